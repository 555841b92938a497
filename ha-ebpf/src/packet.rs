//! The frame as XDP shows it, read so that the verifier can follow, and the record for the ring.
//!
//! Headers are read in place. The message is copied once, to where the ring takes it from.

use core::{hint::black_box, ptr, slice};

use aya_ebpf::{
    helpers::generated::bpf_xdp_load_bytes,
    macros::map,
    maps::{PerCpuArray, RingBuf},
    programs::XdpContext,
};
use ha_common::{
    abi::{AdvertHeader, AdvertRecord, RING_BYTES},
    absorb, checksum,
    frame::{Digest, Packet},
    proto::MESSAGE_MAX,
};

#[map]
static RING: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Where a record is put together: it does not fit the stack of 512 bytes.
#[map]
static SCRATCH: PerCpuArray<AdvertRecord> = PerCpuArray::with_max_entries(1, 0);

/// A received frame.
pub(crate) struct Frame {
    pub(crate) context: XdpContext,
}

impl Frame {
    #[inline(always)]
    pub(crate) const fn new(context: XdpContext) -> Self {
        Self { context }
    }

    /// The interface the frame came in by.
    #[inline(always)]
    pub(crate) fn ifindex(&self) -> u32 {
        // SAFETY: the kernel hands the program a valid context, for as long as it runs.
        unsafe { (*self.context.ctx).ingress_ifindex }
    }
}

impl Packet for Frame {
    /// Reads the first buffer only: no driver splits a frame within the headers.
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.context.data() + offset;
        if start + N > self.context.data_end() {
            return None;
        }
        // SAFETY: `N` bytes from `start` are inside the frame, and bytes need no alignment.
        Some(unsafe { ptr::with_exposed_provenance::<[u8; N]>(start).read() })
    }

    /// Leaves the message in the scratch record, for [`submit`].
    #[inline(always)]
    fn digest(&self, offset: usize, len: usize) -> Option<Digest> {
        // The verifier has to see the bounds here, where the compiler may know them already.
        let len = black_box(len);
        if len == 0 || len > MESSAGE_MAX {
            return None;
        }
        let record = SCRATCH.get_ptr_mut(0)?;
        // SAFETY: the record is this CPU's own; programs on one CPU run one after the other.
        let message = unsafe { &raw mut (*record).message };
        // SAFETY: at most `MESSAGE_MAX` bytes are written, which is the length of `message`.
        let result = unsafe {
            bpf_xdp_load_bytes(
                self.context.ctx,
                u32::try_from(offset).ok()?,
                message.cast(),
                u32::try_from(len).ok()?,
            )
        };
        if result != 0 {
            return None;
        }
        let (mut sum, mut hash) = (0, absorb::HASH_START);
        for index in 0..MESSAGE_MAX / 4 {
            if index >= len / 4 {
                break;
            }
            // SAFETY: below `MESSAGE_MAX`, and aligned as the record's header is.
            let word = unsafe { message.cast::<[u8; 4]>().add(index).read() };
            sum = checksum::add_word(sum, word);
            hash = absorb::hash_word(hash, word);
        }
        Some(Digest { sum, hash })
    }
}

/// Hands `header` and the message that [`Packet::digest`] copied to user space; `false` if there is
/// no room.
#[inline(always)]
pub(crate) fn submit(header: AdvertHeader, message_len: usize) -> bool {
    let message_len = black_box(message_len);
    let Some(record) = SCRATCH.get_ptr_mut(0) else {
        return false;
    };
    if message_len > MESSAGE_MAX {
        return false;
    }
    let len = size_of::<AdvertHeader>() + message_len;
    // SAFETY: the record is this CPU's own, all zero before it was first written, and `len` is
    // at most its size.
    let bytes = unsafe {
        (*record).header = header;
        slice::from_raw_parts(record.cast::<u8>(), len)
    };
    RING.output::<[u8]>(bytes, 0).is_ok()
}
