//! The XDP program without an interface: the kernel runs it on frames given by hand
//! (`BPF_PROG_TEST_RUN`), and what it did is read from its maps.

use std::{
    collections::BTreeMap, env, io, os::fd::AsFd as _, path::PathBuf, sync::Arc, time::Duration,
};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, HashMap, Map, MapData, PerCpuHashMap, PerCpuValues, RingBuf},
    programs::{ProgramError, TestRun as _, TestRunOptions, Xdp},
    util::nr_cpus,
};
use ha_common::{
    abi::{
        self, AddressKey, AdvertHeader, Content, Counters, InstanceKey, InstanceRule, PeerKey,
        PeerRule, Refused, RefusedKey, Slot, names,
    },
    check::{self, Reason},
};

use crate::require::require_root;
pub use crate::sys::Slots;

/// The interface that the kernel pretends the frames came in by: the loopback of the namespace,
/// always the first.
pub const IFINDEX: u32 = 1;

const INTERRUPTIONS_MAX: u32 = 100;

/// `XDP_DROP`.
pub const DROP: u32 = 1;
/// `XDP_PASS`.
pub const PASS: u32 = 2;

/// The object under test, by `HA_EBPF_OBJECT`. `None` only where [`require_root`] allows it.
pub fn require_object() -> Option<PathBuf> {
    if !require_root() {
        return None;
    }
    let path = env::var_os("HA_EBPF_OBJECT").map(PathBuf::from);
    let path = path.filter(|path| path.is_file());
    assert!(
        path.is_some(),
        "cannot run: it needs HA_EBPF_OBJECT=<path of the object>, made by `cargo xtask ebpf build`"
    );
    path
}

/// What the program is told of the host, and the host-side judge too.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub addresses: BTreeMap<AddressKey, u32>,
    pub instances: BTreeMap<InstanceKey, InstanceRule>,
    pub peers: BTreeMap<PeerKey, PeerRule>,
}

impl check::Tables for Tables {
    fn address_kind(&self, key: &AddressKey) -> u32 {
        self.addresses.get(key).copied().unwrap_or(abi::ADDRESS_NONE)
    }

    fn instance(&self, key: &InstanceKey) -> Option<InstanceRule> {
        self.instances.get(key).copied()
    }

    fn peer(&self, key: &PeerKey) -> Option<PeerRule> {
        self.peers.get(key).copied()
    }
}

/// One record of the ring.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub header: AdvertHeader,
    pub message: Vec<u8>,
}

/// What the program did with one frame.
#[derive(Debug, Eq, PartialEq)]
pub struct Outcome {
    /// [`DROP`] or [`PASS`].
    pub action: u32,
    /// Counters that moved, and by how much.
    pub counted: Vec<(Reason, u64)>,
    /// Slots that changed, as they are now.
    pub stamped: Vec<(u32, Slot)>,
    /// What came by the ring.
    pub records: Vec<Record>,
}

/// How long the program is, in instructions and bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    /// Instructions after the kernel's rewriting.
    pub translated: u32,
    /// Instructions that the verifier walked through, on all paths together.
    pub verified: u32,
    /// Bytes of machine code; 0 where the kernel interprets.
    pub jitted_bytes: u32,
}

/// The loaded program.
pub struct Program {
    ebpf: Ebpf,
    addresses: HashMap<MapData, AddressKey, u32>,
    instances: HashMap<MapData, InstanceKey, InstanceRule>,
    peers: HashMap<MapData, PeerKey, PeerRule>,
    counters: PerCpuHashMap<MapData, u32, Counters>,
    slots: Array<MapData, Slot>,
    shared: Arc<Slots>,
    ring: RingBuf<MapData>,
    refused: PerCpuHashMap<MapData, RefusedKey, Refused>,
    tables: Tables,
}

impl Program {
    /// Loads the object; nothing is attached.
    pub fn load(object: &PathBuf, is_unknown_vrid_passed: bool) -> Self {
        let pass = u32::from(is_unknown_vrid_passed);
        let mut ebpf = EbpfLoader::new()
            .override_global(names::UNKNOWN_VRID_PASS, &pass, true)
            .load_file(object)
            .unwrap_or_else(|error| panic!("{}: {error:?}", object.display()));
        // A signal interrupts the verifier, which then says EAGAIN: so libbpf tries again, too.
        let is_again = |error: &ProgramError| {
            matches!(error, ProgramError::LoadError { io_error, .. }
                if io_error.kind() == io::ErrorKind::WouldBlock)
        };
        let mut loaded = xdp_mut(&mut ebpf).load();
        for _ in 0..4 {
            if !loaded.as_ref().is_err_and(is_again) {
                break;
            }
            loaded = xdp_mut(&mut ebpf).load();
        }
        loaded.unwrap_or_else(|error| panic!("the kernel refuses: {error:?}"));
        let mut take = |name: &str| -> Map {
            ebpf.take_map(name).unwrap_or_else(|| panic!("the object has no map {name}"))
        };
        let Map::Array(slots) = take(names::SLOTS) else { panic!("SLOTS is no array") };
        Self {
            shared: Arc::new(Slots::map(slots.fd().as_fd()).expect("BPF_F_MMAPABLE")),
            slots: Array::try_from(Map::Array(slots)).expect(names::SLOTS),
            addresses: HashMap::try_from(take(names::ADDRESSES)).expect(names::ADDRESSES),
            instances: HashMap::try_from(take(names::INSTANCES)).expect(names::INSTANCES),
            peers: HashMap::try_from(take(names::PEERS)).expect(names::PEERS),
            counters: PerCpuHashMap::try_from(take(names::COUNTERS)).expect(names::COUNTERS),
            ring: RingBuf::try_from(take(names::RING)).expect(names::RING),
            refused: PerCpuHashMap::try_from(take(names::REFUSED)).expect(names::REFUSED),
            tables: Tables::default(),
            ebpf,
        }
    }

    /// Fills the maps with `tables` and nothing else, and counts [`IFINDEX`] from zero.
    pub fn fill(&mut self, tables: Tables) {
        refill(&mut self.addresses, &tables.addresses);
        refill(&mut self.instances, &tables.instances);
        refill(&mut self.peers, &tables.peers);
        self.tables = tables;
        let zero = Counters { frames: [0; abi::COUNTERS_LEN] };
        let zeros = vec![zero; nr_cpus().expect("the number of CPUs")];
        let zeros = PerCpuValues::try_from(zeros).expect("one for each CPU");
        self.counters.insert(IFINDEX, zeros, 0).expect("COUNTERS takes an interface");
    }

    /// What the kernel says of the program it has loaded.
    pub fn size(&mut self) -> Size {
        /// Bytes of an instruction (RFC 9669 §3).
        const INSTRUCTION: u32 = 8;
        let info = xdp_mut(&mut self.ebpf).info().expect("what the kernel knows of its program");
        let translated = info.size_translated().expect("Linux 4.13") / INSTRUCTION;
        let verified = info.verified_instruction_count().expect("Linux 5.16");
        Size { translated, verified, jitted_bytes: info.size_jitted() }
    }

    /// Takes [`IFINDEX`] out of the counters.
    pub fn forget_counters(&mut self) {
        self.counters.remove(&IFINDEX).expect("COUNTERS has the interface");
    }

    /// Runs the program on `frame` once, and empties the ring.
    pub fn run(&mut self, frame: &[u8]) -> Outcome {
        let before = (self.count_all(), self.slots_in_use());
        let (action, _) = self.run_repeated(frame, 1);
        let counters = self.count_all();
        let counted = Reason::ALL.into_iter().filter_map(|reason| {
            let delta = frames(&counters, reason) - frames(&before.0, reason);
            (delta != 0).then_some((reason, delta))
        });
        let slots = self.slots_in_use().into_iter().zip(before.1);
        Outcome {
            action,
            counted: counted.collect(),
            stamped: slots.filter(|(now, then)| now != then).map(|(now, _)| now).collect(),
            records: self.drain(),
        }
    }

    /// Runs the program on `frame` many times. The last action, and the mean time of one run.
    ///
    /// The kernel gives up between two runs if this thread has something else to do (`EINTR`): then
    /// it begins again, and counters show more than `repeat`.
    pub fn run_repeated(&mut self, frame: &[u8], repeat: u32) -> (u32, Duration) {
        for _ in 0..INTERRUPTIONS_MAX {
            let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::new() };
            match xdp_mut(&mut self.ebpf).test_run(options) {
                Ok(result) => return (result.return_value, result.duration),
                Err(ProgramError::SyscallError(error))
                    if error.io_error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("{} bytes: {error:?}", frame.len()),
            }
        }
        panic!("interrupted {INTERRUPTIONS_MAX} times");
    }

    /// All records that wait in the ring.
    pub fn drain(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(item) = self.ring.next() {
            records.push(decode(&item));
        }
        records
    }

    /// Takes out what was refused since the last time: the interface, the reason, the senders.
    pub fn take_refused(&mut self) -> Vec<(u32, Reason, Refused)> {
        let keys: Vec<RefusedKey> = self.refused.keys().collect::<Result<_, _>>().expect("keys");
        let mut all = Vec::new();
        for key in keys {
            let values = self.refused.get(&key, 0).expect("a key that was there");
            self.refused.remove(&key).expect("a key that was there");
            let reason = Reason::ALL.into_iter().find(|one| one.index() == index(key.reason));
            let reason = reason.expect("a reason");
            let used = values.iter().filter(|refused| !refused.is_none());
            all.extend(used.map(|refused| (key.ifindex, reason, *refused)));
        }
        all
    }

    /// The counters of [`IFINDEX`], all CPUs together; zeros if it has none.
    pub fn count_all(&self) -> Counters {
        let mut sum = Counters { frames: [0; abi::COUNTERS_LEN] };
        if let Ok(values) = self.counters.get(&IFINDEX, 0) {
            for value in values.iter() {
                for (total, frames) in sum.frames.iter_mut().zip(value.frames) {
                    *total += frames;
                }
            }
        }
        sum
    }

    /// A slot as it is now.
    pub fn slot(&self, index: u32) -> Slot {
        self.slots.get(&index, 0).expect("a slot")
    }

    /// The slots as the daemon has them.
    pub fn shared(&self) -> Arc<Slots> {
        Arc::clone(&self.shared)
    }

    /// Has a slot absorb what says the same as `content`; nothing else runs meanwhile.
    pub fn expect(&self, index: u32, content: &Content) {
        let slot = self.shared.slot(index);
        assert!(slot.open(content, slot.heard_nanos()), "nothing came meanwhile");
    }

    /// The slots of all instances in the tables, and the very last one.
    fn slots_in_use(&self) -> Vec<(u32, Slot)> {
        let slots = self.tables.instances.values().map(|rule| rule.slot);
        let slots = slots.chain([abi::INSTANCES_MAX - 1]);
        slots.map(|index| (index, self.slot(index))).collect()
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("32 bits")
}

/// Frames counted for a reason.
pub fn frames(counters: &Counters, reason: Reason) -> u64 {
    counters.frames.get(reason.index()).copied().expect("a counter for every reason")
}

fn xdp_mut(ebpf: &mut Ebpf) -> &mut Xdp {
    let program = ebpf.program_mut(names::PROGRAM).expect(names::PROGRAM);
    program.try_into().expect("an XDP program")
}

fn refill<K: Pod + Ord, V: Pod>(map: &mut HashMap<MapData, K, V>, entries: &BTreeMap<K, V>) {
    let old: Vec<K> = map.keys().collect::<Result<_, _>>().expect("the keys of a map");
    for key in old {
        map.remove(&key).expect("a key that was there");
    }
    for (key, value) in entries {
        map.insert(key, value, 0).expect("room in the map");
    }
}

/// Field by field, in the order of the record: a layout that this reading does not know shows.
fn decode(mut bytes: &[u8]) -> Record {
    fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
        let (first, rest) = bytes.split_first_chunk().expect("a whole header");
        *bytes = rest;
        *first
    }
    let from = &mut bytes;
    let header = AdvertHeader {
        stamp_nanos: u64::from_ne_bytes(take(from)),
        slot: u32::from_ne_bytes(take(from)),
        ifindex: u32::from_ne_bytes(take(from)),
        source: take(from),
        destination: take(from),
        message_len: u16::from_ne_bytes(take(from)),
        vlan: u16::from_ne_bytes(take(from)),
        family: u8::from_ne_bytes(take(from)),
        ttl: u8::from_ne_bytes(take(from)),
        dialect: u8::from_ne_bytes(take(from)),
        destination_kind: u8::from_ne_bytes(take(from)),
        pad: take(from),
    };
    Record { header, message: bytes.to_vec() }
}
