//! The slots of all instances: shared with the XDP program, which stamps and absorbs by itself, or,
//! where there is none, with the packet sockets' path alone.

use std::{io, num::NonZeroUsize, os::fd::AsFd as _, ptr::NonNull, slice};

use aya::maps::{Map, MapData};
use ha_common::{abi::INSTANCES_MAX, slot::SharedSlot};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// The slots, mapped into this process.
#[derive(Debug)]
pub(crate) struct Slots {
    memory: NonNull<SharedSlot>,
    count: usize,
    len: NonZeroUsize,
    /// The mapping alone would keep the map alive; the descriptor is kept for symmetry with it.
    _map: Option<MapData>,
}

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for Slots {}
// SAFETY: what is in it is atomic.
unsafe impl Sync for Slots {}

impl Slots {
    /// Those of the XDP program.
    pub(super) fn of_program(map: Map) -> io::Result<Self> {
        let Map::Array(data) = map else {
            return Err(io::Error::other("the slots in the XDP program are not an array"));
        };
        let (count, len) = size()?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping of the kernel's choosing replaces nothing.
        let memory =
            unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, data.fd().as_fd(), 0) }?;
        Ok(Self { memory: memory.cast(), count, len, _map: Some(data) })
    }

    /// Those of nobody else.
    pub(crate) fn new() -> io::Result<Self> {
        let (count, len) = size()?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: as above; it is zero, and aligned to a page.
        let memory = unsafe { mmap_anonymous(None, len, access, MapFlags::MAP_PRIVATE) }?;
        Ok(Self { memory: memory.cast(), count, len, _map: None })
    }

    /// By instance.
    pub(crate) fn as_slice(&self) -> &[SharedSlot] {
        // SAFETY: mapped with room for so many for as long as this lives; atomics may change under
        // a shared reference, and any bytes are valid ones.
        unsafe { slice::from_raw_parts(self.memory.as_ptr(), self.count) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: mapped above with this length, and nobody borrows it any more.
        unsafe { munmap(self.memory.cast(), self.len.get()) }.ok();
    }
}

fn size() -> io::Result<(usize, NonZeroUsize)> {
    let count = usize::try_from(INSTANCES_MAX).map_err(io::Error::other)?;
    let len = NonZeroUsize::new(count.saturating_mul(size_of::<SharedSlot>()));
    Ok((count, len.ok_or_else(|| io::Error::other("there are no slots"))?))
}
