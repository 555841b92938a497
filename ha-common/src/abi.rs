//! The BPF maps' keys and values: sized integers with explicit padding, and nothing else.
//!
//! Kernel and user space are always built together (the object is inside the daemon), so there is
//! no versioning between them; the asserts below keep both compilers to one layout.

pub mod process;

use core::{
    mem::{offset_of, size_of},
    net::IpAddr,
};

use crate::proto::{Family, MESSAGE_MAX};

/// Names of the maps and of the program, as both sides spell them.
pub mod names {
    /// The XDP program.
    pub const PROGRAM: &str = "ha_xdp";
    /// [`super::AddressKey`] to one of `ADDRESS_*`.
    pub const ADDRESSES: &str = "ADDRESSES";
    /// Interface index to [`super::Counters`], one for each CPU.
    pub const COUNTERS: &str = "COUNTERS";
    /// [`super::InstanceKey`] to [`super::InstanceRule`].
    pub const INSTANCES: &str = "INSTANCES";
    /// [`super::PeerKey`] to [`super::PeerRule`].
    pub const PEERS: &str = "PEERS";
    /// [`super::RefusedKey`] to [`super::Refused`], one for each CPU; user space takes entries out.
    pub const REFUSED: &str = "REFUSED";
    /// Ring buffer of [`super::AdvertHeader`] followed by the message.
    pub const RING: &str = "RING";
    /// Slot index to [`super::Slot`], memory-mapped by the daemon.
    pub const SLOTS: &str = "SLOTS";
    /// Read-only global, 0 or 1: pass frames of unknown VRIDs up instead of dropping them.
    pub const UNKNOWN_VRID_PASS: &str = "UNKNOWN_VRID_PASS";
}

/// Virtual routers on one host.
pub const INSTANCES_MAX: u32 = 16_384;
/// Unicast peers of all instances together: four each.
pub const PEERS_MAX: u32 = 65_536;
/// Own addresses and groups that frames are addressed to.
pub const ADDRESSES_MAX: u32 = 65_536;
/// Interfaces with counters.
pub const INTERFACES_MAX: u32 = 4_096;
/// Entries of [`names::REFUSED`]: sixteen reasons on each interface.
pub const REFUSED_MAX: u32 = 65_536;
/// Senders of a kind of refused frames that are counted by themselves.
pub const SENDERS_MAX: usize = 8;
/// 256 KiB: what the object declares, and the least that is asked for ([`ring_bytes`]).
pub const RING_BYTES: u32 = 256 << 10;
/// A changed advertisement of 120 bytes, with the ring's own header.
const RECORD_BYTES: u32 = 136;

/// Bytes of the ring for so many instances: room for a changed advertisement of each at once, before
/// the daemon has read one. A reload that adds instances does not change it: what finds no room is
/// counted, and its stamp stands all the same.
///
/// It is resident twice: the daemon maps it twice in a row, so that no record is in two pieces.
#[must_use]
pub const fn ring_bytes(instances: u32) -> u32 {
    // 16,384 instances: 4 MiB.
    let records = if instances < INSTANCES_MAX { instances } else { INSTANCES_MAX };
    let bytes = (records * RECORD_BYTES).next_power_of_two();
    if bytes < RING_BYTES { RING_BYTES } else { bytes }
}
/// `BPF_F_MMAPABLE`, for the slots.
pub const MMAPABLE: u32 = 1 << 10;

/// [`names::ADDRESSES`]: not an address that concerns us.
pub const ADDRESS_NONE: u32 = 0;
/// [`names::ADDRESSES`]: one of this host's own addresses.
pub const ADDRESS_LOCAL: u32 = 1;
/// [`names::ADDRESSES`]: a multicast group of VRRP.
pub const ADDRESS_GROUP: u32 = 2;

/// [`InstanceRule::mode`]: advertisements come to the group.
pub const MODE_MULTICAST: u8 = 0;
/// [`InstanceRule::mode`]: advertisements come from listed peers to our own address.
pub const MODE_UNICAST: u8 = 1;

/// The checksum covers the message only (`VRRPv2`; RFC 9568 §5.2.8 for IPv4).
pub const DIALECT_PLAIN: u8 = 0;
/// The checksum covers a pseudo-header too (`VRRPv3` over IPv6; keepalived's IPv4 default).
pub const DIALECT_PSEUDO_HEADER: u8 = 1;

/// Which virtual router a frame is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct InstanceKey {
    /// Interface the frame came in by.
    pub ifindex: u32,
    /// VLAN identifier, 0 for untagged frames.
    pub vlan: u16,
    /// 4 or 6.
    pub family: u8,
    /// 1 to 255.
    pub vrid: u8,
}

/// What a frame for a virtual router must look like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct InstanceRule {
    /// Index into the slots, below [`INSTANCES_MAX`].
    pub slot: u32,
    /// 2 or 3.
    pub version: u8,
    /// `MODE_*`.
    pub mode: u8,
    /// `VRRPv2` authentication type, `proto::AUTH_*`.
    pub auth_type: u8,
    /// Lowest accepted TTL or hop limit: 255 for multicast (RFC 9568 §5.1.1.3), 0 for "any".
    pub ttl_min: u8,
    /// `VRRPv2` password, zero padded.
    pub password: [u8; 8],
    /// The only accepted interval of `VRRPv2`, in seconds as the wire has it; not read in `VRRPv3`, whose
    /// Backups learn it.
    pub interval_secs: u8,
    /// Zero.
    pub pad: [u8; 3],
}

/// An address that frames come to or from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct AddressKey {
    /// Interface of a link-local address; 0 for all others.
    pub ifindex: u32,
    /// 4 or 6.
    pub family: u32,
    /// IPv4 in the first four bytes, the others zero.
    pub address: [u8; 16],
}

impl AddressKey {
    /// The key of an address seen on, or belonging to, an interface.
    ///
    /// A unicast IPv6 link-local address means something on its own link only, and two links may
    /// use the same one; every other address is known to the whole host.
    #[inline(always)]
    #[must_use]
    pub fn new(ifindex: u32, family: Family, address: [u8; 16]) -> Self {
        // fe80::/10. One word and not two bytes, for the reason given in `frame`.
        let prefix = address.first_chunk().map_or(0, |word| u32::from_be_bytes(*word) >> 22);
        let is_link_local = matches!(family, Family::V6) && prefix == 0xfe80 >> 6;
        Self {
            ifindex: if is_link_local { ifindex } else { 0 },
            family: u32::from(family.as_u8()),
            address,
        }
    }
}

/// An address as it stands in keys and records: an IPv4 address fills the first four bytes, the
/// others are zero.
#[must_use]
pub fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// An address of that form as two words, in the order of memory.
#[inline(always)]
#[must_use]
pub fn words(octets: [u8; 16]) -> [u64; 2] {
    let (halves, _) = octets.as_chunks();
    let mut words = [0; 2];
    for (word, bytes) in words.iter_mut().zip(halves) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

/// A unicast peer of an instance.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct PeerKey {
    /// The instance's slot.
    pub slot: u32,
    /// IPv4 in the first four bytes, the others zero.
    pub address: [u8; 16],
}

/// What a frame of a unicast peer must look like (keepalived `unicast_peer { IP min_ttl max_ttl }`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct PeerRule {
    /// Lowest accepted TTL or hop limit, 0 for "any".
    pub ttl_min: u8,
    /// Highest accepted TTL or hop limit, 255 for "any".
    pub ttl_max: u8,
    /// Zero.
    pub pad: [u8; 2],
}

/// What kernel and engine share of an instance, read and written by plain loads and stores.
///
/// One cache line, so that two CPUs serving two instances do not fight for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C, align(64))]
pub struct Slot {
    /// When the last valid advertisement came, in nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
    /// The kernel's, written before anything else.
    pub heard_nanos: u64,
    /// Valid advertisements since the program was loaded. The kernel's.
    pub adverts: u64,
    /// When the last one came that was absorbed; 0 for never. The kernel's, written after it was
    /// counted.
    pub absorbed_nanos: u64,
    /// [`crate::absorb::State`]. Both sides'.
    pub state: u64,
    /// What is absorbed. The engine's, written while the slot is closed.
    pub expected: Content,
}

/// What an advertisement says, as far as it is compared with what another one said. In words,
/// because they are read one by one while another CPU may write them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Content {
    /// Sender, in the order of memory; an IPv4 address fills the first four bytes, the others are
    /// zero.
    pub source: [u64; 2],
    /// The message's first eight bytes: version, VRID, priority, count, interval, checksum.
    pub header: u64,
    /// [`crate::absorb::hash`] of the whole message: addresses, and the password where it has one.
    pub hash: u64,
}

/// Counters of one interface on one CPU, indexed by [`crate::check::Reason`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Counters {
    /// Frames by what became of them.
    pub frames: [u64; COUNTERS_LEN],
}

/// Room for every [`crate::check::Reason`].
pub const COUNTERS_LEN: usize = 32;

/// A kind of refused frames.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct RefusedKey {
    /// Interface the frames came in by.
    pub ifindex: u32,
    /// The index of the [`crate::check::Reason`].
    pub reason: u32,
}

/// Frames that were refused for one reason, by sender, on one CPU.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Refused {
    /// Frames of senders that have no place.
    pub others: u64,
    /// The senders that came first.
    pub places: [Place; SENDERS_MAX],
}

/// A sender and its frames; 0 frames for a place that is free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Place {
    /// Who.
    pub sender: Sender,
    /// How many.
    pub frames: u64,
}

/// Who a refused frame was from, and for which virtual router.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct Sender {
    /// As in [`Content::source`].
    pub source: [u64; 2],
    /// The VRID in the lowest byte, 4 or 6 in the next.
    pub router: u64,
}

/// What stands before the message in a record of the ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct AdvertHeader {
    /// When the frame reached the program, in nanoseconds of `CLOCK_MONOTONIC`.
    pub stamp_nanos: u64,
    /// The instance's slot.
    pub slot: u32,
    /// Interface the frame came in by.
    pub ifindex: u32,
    /// Sender; an IPv4 address fills the first four bytes, the others are zero.
    pub source: [u8; 16],
    /// Receiver, in the same form.
    pub destination: [u8; 16],
    /// Bytes of the message that follows, at most [`MESSAGE_MAX`].
    pub message_len: u16,
    /// VLAN identifier, 0 for untagged frames.
    pub vlan: u16,
    /// 4 or 6.
    pub family: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// `DIALECT_*` of the checksum.
    pub dialect: u8,
    /// `ADDRESS_LOCAL` or `ADDRESS_GROUP`.
    pub destination_kind: u8,
    /// Zero.
    pub pad: [u8; 8],
}

/// A record as the program puts it together: the ring gets the header and the used part of the message.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AdvertRecord {
    /// The part of fixed length.
    pub header: AdvertHeader,
    /// The VRRP message, without IP header.
    pub message: [u8; MESSAGE_MAX],
}

const _: () = {
    assert!(size_of::<InstanceKey>() == 8);
    assert!(offset_of!(InstanceKey, vrid) == 7);
    assert!(size_of::<InstanceRule>() == 20);
    assert!(offset_of!(InstanceRule, password) == 8);
    assert!(offset_of!(InstanceRule, interval_secs) == 16);
    assert!(size_of::<AddressKey>() == 24);
    assert!(size_of::<PeerKey>() == 20);
    assert!(size_of::<PeerRule>() == 4);
    assert!(size_of::<Slot>() == 64);
    assert!(offset_of!(Slot, absorbed_nanos) == 16);
    assert!(offset_of!(Slot, state) == 24);
    assert!(offset_of!(Slot, expected) == 32);
    assert!(size_of::<Content>() == 32);
    assert!(offset_of!(Content, header) == 16);
    assert!(offset_of!(Content, hash) == 24);
    assert!(size_of::<Counters>() == 256);
    assert!(size_of::<RefusedKey>() == 8);
    assert!(size_of::<Sender>() == 24);
    assert!(offset_of!(Place, frames) == 24);
    assert!(offset_of!(Refused, places) == 8);
    assert!(size_of::<Refused>() == 8 + SENDERS_MAX * 32);
    assert!(size_of::<AdvertHeader>() == 64);
    assert!(offset_of!(AdvertHeader, source) == 16);
    assert!(offset_of!(AdvertHeader, message_len) == 48);
    assert!(offset_of!(AdvertHeader, destination_kind) == 55);
    assert!(offset_of!(AdvertRecord, message) == 64);
    // The record is padded to the header's alignment; the ring never sees the padding.
    assert!(size_of::<AdvertRecord>() == 64 + MESSAGE_MAX);
};

#[cfg(feature = "user")]
mod user {
    use super::{
        AddressKey, Counters, InstanceKey, InstanceRule, PeerKey, PeerRule, Refused, RefusedKey,
        Slot,
    };

    macro_rules! plain_old_data {
        ($($record:ty),* $(,)?) => {$(
            // SAFETY: `repr(C)`, `Copy`, integers only, and no implicit padding (asserted above).
            unsafe impl aya::Pod for $record {}
        )*};
    }

    plain_old_data!(
        AddressKey,
        Counters,
        InstanceKey,
        InstanceRule,
        PeerKey,
        PeerRule,
        Refused,
        RefusedKey,
        Slot,
    );
}
