//! The slots of all instances: shared with the XDP program, which stamps and absorbs by itself, or,
//! where there is none, with the packet sockets' path alone.

use std::{
    io,
    num::NonZeroUsize,
    os::fd::AsFd as _,
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicUsize, Ordering},
};

use aya::maps::{Map, MapData};
use ha_common::{abi::INSTANCES_MAX, slot::SharedSlot};
use nix::{
    sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap},
    unistd::{SysconfVar, sysconf},
};

/// The slots, mapped into this process.
///
/// Every mapped page of a BPF map is resident, used or not, so the program's are mapped only as far
/// as there are instances; the addresses behind them are reserved, so that none ever moves.
#[derive(Debug)]
pub(crate) struct Slots {
    memory: NonNull<SharedSlot>,
    reserved: NonZeroUsize,
    /// How many slots may be used.
    mapped: AtomicUsize,
    /// The XDP program's.
    map: Option<MapData>,
}

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for Slots {}
// SAFETY: what is in it is atomic.
unsafe impl Sync for Slots {}

impl Slots {
    /// Those of the XDP program, for so many instances.
    pub(super) fn of_program(map: Map, instances: u32) -> io::Result<Self> {
        let Map::Array(data) = map else {
            return Err(io::Error::other("the slots in the XDP program are not an array"));
        };
        let slots = Self::reserve(ProtFlags::PROT_NONE, 0, Some(data))?;
        slots.cover(instances)?;
        Ok(slots)
    }

    /// Those of nobody else.
    pub(crate) fn new() -> io::Result<Self> {
        // Its pages are resident when they are first used.
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        Self::reserve(access, index(INSTANCES_MAX)?, None)
    }

    fn reserve(access: ProtFlags, mapped: usize, map: Option<MapData>) -> io::Result<Self> {
        let reserved = index(INSTANCES_MAX)?.saturating_mul(size_of::<SharedSlot>());
        let reserved =
            NonZeroUsize::new(reserved).ok_or_else(|| io::Error::other("there are no slots"))?;
        // SAFETY: a new mapping of the kernel's choosing replaces nothing; it is zero, and aligned
        // to a page.
        let memory = unsafe { mmap_anonymous(None, reserved, access, MapFlags::MAP_PRIVATE) }?;
        Ok(Self { memory: memory.cast(), reserved, mapped: AtomicUsize::new(mapped), map })
    }

    /// Has a slot for each of so many instances; those that are there stay where they are.
    ///
    /// # Errors
    /// One sentence for the operator; then there are as many as before.
    pub(crate) fn cover(&self, instances: u32) -> io::Result<()> {
        if instances > INSTANCES_MAX {
            return Err(io::Error::other(format!(
                "numbers for {instances} instances are needed, since one that goes keeps its own until \
                 the next reload, and there are {INSTANCES_MAX}: take out first what goes, and add with \
                 a second reload what comes"
            )));
        }
        self.map(instances).map_err(|error| {
            let text = format!("cannot map slots for {instances} instances: {error}");
            io::Error::new(error.kind(), text)
        })
    }

    fn map(&self, instances: u32) -> io::Result<()> {
        let Some(map) = &self.map else { return Ok(()) };
        let (mapped, wanted) = (self.mapped.load(Ordering::Acquire), index(instances)?);
        // Whole pages: those that are mapped are not mapped again, as a failure might leave none.
        let page = usize::try_from(sysconf(SysconfVar::PAGE_SIZE)?.unwrap_or(4096))
            .map_err(io::Error::other)?;
        let bytes = |slots: usize| slots.saturating_mul(size_of::<SharedSlot>());
        let (begin, end) =
            (bytes(mapped).next_multiple_of(page), bytes(wanted).next_multiple_of(page));
        if let Some(len) = end.checked_sub(begin).and_then(NonZeroUsize::new) {
            let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
            let place = self.memory.addr().checked_add(begin);
            let offset = libc::off_t::try_from(begin).map_err(io::Error::other)?;
            // SAFETY: within what is reserved, and nobody has seen what it replaces.
            unsafe { mmap(place, len, access, flags, map.fd().as_fd(), offset) }?;
        }
        self.mapped.fetch_max(wanted, Ordering::AcqRel);
        Ok(())
    }

    /// By instance.
    pub(crate) fn as_slice(&self) -> &[SharedSlot] {
        // SAFETY: so many are mapped for as long as this lives; atomics may change under a shared
        // reference, and any bytes are valid ones.
        unsafe { slice::from_raw_parts(self.memory.as_ptr(), self.mapped.load(Ordering::Acquire)) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: reserved above with this length, and nobody borrows it any more.
        unsafe { munmap(self.memory.cast(), self.reserved.get()) }.ok();
    }
}

fn index(instances: u32) -> io::Result<usize> {
    usize::try_from(instances).map_err(io::Error::other)
}
