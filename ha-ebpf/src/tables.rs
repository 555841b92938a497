//! The maps that user space fills, and those it reads.
//!
//! Hash maps take memory by the entry (`BPF_F_NO_PREALLOC`): the capacities are far above what a
//! usual host has, and entries come and go with the configuration only.

use core::ptr;

use aya_ebpf::{
    Global,
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    macros::map,
    maps::{Array, HashMap, PerCpuHashMap},
};
use ha_common::{
    abi::{
        ADDRESS_NONE, ADDRESSES_MAX, AddressKey, Content, Counters, INSTANCES_MAX, INTERFACES_MAX,
        InstanceKey, InstanceRule, MMAPABLE, PEERS_MAX, PeerKey, PeerRule, REFUSED_MAX, Refused,
        RefusedKey, Sender, Slot,
    },
    absorb::{self, State, Step},
    check::{Reason, Tables},
};

use crate::machine;

#[map]
static ADDRESSES: HashMap<AddressKey, u32> =
    HashMap::with_max_entries(ADDRESSES_MAX, BPF_F_NO_PREALLOC);
#[map]
static INSTANCES: HashMap<InstanceKey, InstanceRule> =
    HashMap::with_max_entries(INSTANCES_MAX, BPF_F_NO_PREALLOC);
#[map]
static PEERS: HashMap<PeerKey, PeerRule> = HashMap::with_max_entries(PEERS_MAX, BPF_F_NO_PREALLOC);
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(INSTANCES_MAX, MMAPABLE);
#[map]
static COUNTERS: PerCpuHashMap<u32, Counters> =
    PerCpuHashMap::with_max_entries(INTERFACES_MAX, BPF_F_NO_PREALLOC);
#[map]
static REFUSED: PerCpuHashMap<RefusedKey, Refused> =
    PerCpuHashMap::with_max_entries(REFUSED_MAX, BPF_F_NO_PREALLOC);

#[unsafe(no_mangle)]
static UNKNOWN_VRID_PASS: Global<u32> = Global::new(0);

#[inline(always)]
pub(crate) fn is_unknown_vrid_passed() -> bool {
    UNKNOWN_VRID_PASS.load() != 0
}

/// The checks' view of the maps.
pub(crate) struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn address_kind(&self, key: &AddressKey) -> u32 {
        lookup(&ADDRESSES, key).unwrap_or(ADDRESS_NONE)
    }

    #[inline(always)]
    fn instance(&self, key: &InstanceKey) -> Option<InstanceRule> {
        lookup(&INSTANCES, key)
    }

    #[inline(always)]
    fn peer(&self, key: &PeerKey) -> Option<PeerRule> {
        lookup(&PEERS, key)
    }
}

#[inline(always)]
fn lookup<K, V: Copy>(map: &HashMap<K, V>, key: &K) -> Option<V> {
    // SAFETY: an entry that user space replaces at this moment may be read in part from the old
    // and in part from the new: integers all, and one frame is judged by the mixture.
    unsafe { map.get(key) }.copied()
}

/// Notes a valid advertisement where the engine reads it by plain loads; says whether the engine
/// has no need to see it.
#[inline(always)]
pub(crate) fn stamp(index: u32, now_nanos: u64, content: &Content) -> bool {
    let Some(slot) = SLOTS.get_ptr_mut(index) else {
        return false;
    };
    // SAFETY: valid and aligned. Volatile, because the compiler has no atomic stores for this
    // target; one instruction writes the eight bytes, and readers load them as a whole.
    unsafe { (&raw mut (*slot).heard_nanos).write_volatile(now_nanos) };
    // SAFETY: valid and aligned, and read by atomic loads only.
    unsafe { machine::increment(&raw mut (*slot).adverts) };
    // SAFETY: the field of a valid slot, aligned.
    let word = unsafe { &raw mut (*slot).state };
    // SAFETY: valid and aligned. The stamp is there before this: an engine that opens the slot now
    // sees the stamp, or this sees it open.
    let state = State(unsafe { machine::load(word) });
    // SAFETY: the field of a valid slot, aligned.
    let words = unsafe { (&raw const (*slot).expected).cast::<u64>() };
    // SAFETY: there are four. They may be read half old and half new: then the state has changed.
    let expected = |index| unsafe { words.add(index).read_volatile() };
    match absorb::judge(state, content, expected) {
        Step::Pass => false,
        Step::Close => {
            // SAFETY: valid and aligned.
            unsafe { machine::clear(word, State::OPEN) };
            false
        }
        Step::Absorb(State(counted)) => {
            // SAFETY: valid and aligned.
            let is_absorbed = unsafe { machine::compare_exchange(word, state.0, counted) };
            if is_absorbed {
                // SAFETY: as the stamp above.
                unsafe { (&raw mut (*slot).absorbed_nanos).write_volatile(now_nanos) };
            }
            is_absorbed
        }
    }
}

/// This CPU's counters of one interface; an interface without an entry is not counted.
pub(crate) struct Tally(*mut Counters);

impl Tally {
    #[inline(always)]
    pub(crate) fn new(ifindex: u32) -> Self {
        Self(COUNTERS.get_ptr_mut(ifindex).unwrap_or(ptr::null_mut()))
    }

    #[inline(always)]
    pub(crate) fn count(&self, reason: Reason) {
        // SAFETY: null, or this CPU's own entry; programs on one CPU run one after the other.
        let counters = unsafe { self.0.as_mut() };
        if let Some(frames) = counters.and_then(|known| known.frames.get_mut(reason.index())) {
            *frames = frames.wrapping_add(1);
        }
    }
}

/// Counts a refused frame for whom it is from. Without memory for that it is counted by its reason
/// only.
#[inline(always)]
pub(crate) fn count_refused(ifindex: u32, reason: Reason, sender: &Sender) {
    let key = RefusedKey { ifindex, reason: u32::try_from(reason.index()).unwrap_or(0) };
    let known = REFUSED.get_ptr_mut(key).or_else(|| begin_refused(key));
    // SAFETY: this CPU's own entry; programs on one CPU run one after the other. User space may
    // take it out meanwhile: the memory stays the map's for as long as this runs, so that at worst
    // a frame is counted for somebody else.
    if let Some(refused) = known.and_then(|refused| unsafe { refused.as_mut() }) {
        refused.count(sender, 1);
    }
}

/// A function of its own: it is called once in ten seconds.
#[inline(never)]
fn begin_refused(key: RefusedKey) -> Option<*mut Refused> {
    static NONE: Refused = Refused::NONE;
    // By its place in memory: it does not fit the stack.
    let none: &Refused = &NONE;
    REFUSED.insert(key, none, u64::from(BPF_NOEXIST)).ok()?;
    REFUSED.get_ptr_mut(key)
}
