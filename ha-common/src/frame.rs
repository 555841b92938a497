//! From the first byte of an Ethernet frame to the VRRP message, written once for all readers.
//!
//! Nothing here can panic: every access goes through [`Packet::load`], which refuses what is not
//! there. What cannot be shown to be a whole VRRP datagram is a [`Skip`], and passes untouched.

use crate::{
    absorb, checksum,
    proto::{AH_LEN, Family, IP_PROTOCOL, IP_PROTOCOL_AH},
};

const ETHERNET_LEN: usize = 14;
const VLAN_LEN: usize = 4;
/// A VLAN tag and a priority tag.
const VLAN_TAGS_MAX: usize = 2;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_8021Q: u16 = 0x8100;
const ETHERTYPE_8021AD: u16 = 0x88a8;

const IPV4_MIN_LEN: usize = 20;
const IPV4_MAX_WORDS: usize = 15;
const IPV6_LEN: usize = 40;
/// "More fragments" and the 13-bit offset: "don't fragment" is no fragment.
const FRAGMENT_MASK: u16 = 0x3fff;
const VLAN_ID_MASK: u16 = 0x0fff;

/// A frame that can be read at an offset: packet memory in XDP, a slice elsewhere.
pub trait Packet {
    /// `N` bytes at `offset`, or `None` where the frame ends before.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// Reads the message at `offset` once.
    ///
    /// `len` is a multiple of four, at most [`crate::proto::MESSAGE_MAX`]; `None` where the frame
    /// ends before.
    fn digest(&self, offset: usize, len: usize) -> Option<Digest>;
}

/// What is computed of a whole message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digest {
    /// One's complement sum of its 16-bit words, not folded.
    pub sum: u32,
    /// [`absorb::hash`].
    pub hash: u64,
}

/// A frame in ordinary memory.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Packet for Bytes<'_> {
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }

    fn digest(&self, offset: usize, len: usize) -> Option<Digest> {
        let message = self.0.get(offset..offset.checked_add(len)?)?;
        Some(Digest { sum: checksum::sum(message), hash: absorb::hash(message) })
    }
}

/// Where the VRRP message is, and what the headers before it say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram {
    /// IPv4 or IPv6.
    pub family: Family,
    /// VLAN identifier; 0 for an untagged or priority-tagged frame.
    pub vlan: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Sender; an IPv4 address fills the first four bytes, the others are zero.
    pub source: [u8; 16],
    /// Receiver, in the same form.
    pub destination: [u8; 16],
    /// Offset of the IP header in the frame.
    pub ip_offset: usize,
    /// Offset of the VRRP message in the frame.
    pub payload_offset: usize,
    /// Length of the VRRP message by the IP header: the frame may be padded, or cut short.
    pub payload_len: usize,
}

/// Why a frame is not a whole VRRP datagram. Such frames pass untouched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Skip {
    /// Another ethertype or another IP protocol, or too short to tell.
    NotVrrp,
    /// A fragment: the kernel has not put it together yet.
    Fragment,
}

/// Walks Ethernet, up to two VLAN tags and IPv4 or IPv6 to the VRRP message.
///
/// # Errors
/// [`Skip`] says why the frame is not ours to judge.
#[inline(always)]
pub fn walk<P: Packet>(packet: &P) -> Result<Datagram, Skip> {
    walk_to(packet, IP_PROTOCOL)
}

/// As [`walk`], through an IPv4 Authentication Header to the VRRP message behind it.
///
/// # Errors
/// [`Skip`] says why the frame is not ours to judge.
pub fn walk_ah<P: Packet>(packet: &P) -> Result<Datagram, Skip> {
    let outer = walk_to(packet, IP_PROTOCOL_AH)?;
    let [next_header] = packet.load(outer.payload_offset).ok_or(Skip::NotVrrp)?;
    if next_header != IP_PROTOCOL || matches!(outer.family, Family::V6) {
        return Err(Skip::NotVrrp);
    }
    Ok(Datagram {
        payload_offset: outer.payload_offset + AH_LEN,
        payload_len: outer.payload_len.saturating_sub(AH_LEN),
        ..outer
    })
}

#[inline(always)]
fn walk_to<P: Packet>(packet: &P, protocol: u8) -> Result<Datagram, Skip> {
    let mut offset = ETHERNET_LEN;
    let mut ethertype = load_u16(packet, offset - 2)?;
    let mut vlan = 0;
    for _ in 0..VLAN_TAGS_MAX {
        if ethertype != ETHERTYPE_8021Q && ethertype != ETHERTYPE_8021AD {
            break;
        }
        let id = load_u16(packet, offset)? & VLAN_ID_MASK;
        if vlan != 0 && id != 0 {
            // A VLAN inside a VLAN is another network than the inner one by itself.
            return Err(Skip::NotVrrp);
        }
        vlan |= id;
        ethertype = load_u16(packet, offset + 2)?;
        offset += VLAN_LEN;
    }
    match ethertype {
        ETHERTYPE_IPV4 => walk_ipv4(packet, offset, vlan, protocol),
        ETHERTYPE_IPV6 => walk_ipv6(packet, offset, vlan, protocol),
        _ => Err(Skip::NotVrrp),
    }
}

#[inline(always)]
fn walk_ipv4<P: Packet>(
    packet: &P,
    offset: usize,
    vlan: u16,
    protocol: u8,
) -> Result<Datagram, Skip> {
    let [version_ihl, _, len_high, len_low, _, _, frag_high, frag_low, ttl, carried, _, _] =
        packet.load(offset).ok_or(Skip::NotVrrp)?;
    let source = packet.load(offset + 12).ok_or(Skip::NotVrrp)?;
    let destination = packet.load(offset + 16).ok_or(Skip::NotVrrp)?;
    let header_len = usize::from(version_ihl & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([len_high, len_low]));
    if carried != protocol || version_ihl >> 4 != 4 || header_len < IPV4_MIN_LEN {
        return Err(Skip::NotVrrp);
    }
    if u16::from_be_bytes([frag_high, frag_low]) & FRAGMENT_MASK != 0 {
        return Err(Skip::Fragment);
    }
    Ok(Datagram {
        family: Family::V4,
        vlan,
        ttl,
        source: widen(source),
        destination: widen(destination),
        ip_offset: offset,
        payload_offset: offset + header_len,
        payload_len: total_len.saturating_sub(header_len),
    })
}

/// Copied as one word: byte by byte, the addresses of a frame would need more registers and more
/// stack than BPF has.
#[inline(always)]
fn widen(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    if let Some(first) = wide.first_chunk_mut() {
        *first = address;
    }
    wide
}

#[inline(always)]
fn walk_ipv6<P: Packet>(
    packet: &P,
    offset: usize,
    vlan: u16,
    protocol: u8,
) -> Result<Datagram, Skip> {
    let [version, _, _, _, len_high, len_low, next_header, hop_limit] =
        packet.load(offset).ok_or(Skip::NotVrrp)?;
    // An advertisement has no extension headers (RFC 9568 §5.1.2.4); a fragment header is one.
    if next_header != protocol || version >> 4 != 6 {
        return Err(Skip::NotVrrp);
    }
    Ok(Datagram {
        family: Family::V6,
        vlan,
        ttl: hop_limit,
        source: packet.load(offset + 8).ok_or(Skip::NotVrrp)?,
        destination: packet.load(offset + 24).ok_or(Skip::NotVrrp)?,
        ip_offset: offset,
        payload_offset: offset + IPV6_LEN,
        payload_len: usize::from(u16::from_be_bytes([len_high, len_low])),
    })
}

/// Whether the IPv4 header's own checksum holds; the kernel checks it only after XDP. IPv6 has none.
#[inline(always)]
#[must_use]
pub fn is_header_intact<P: Packet>(packet: &P, datagram: &Datagram) -> bool {
    if matches!(datagram.family, Family::V6) {
        return true;
    }
    // The message need not be next to it: an Authentication Header may be between them.
    let Some([version_ihl]) = packet.load(datagram.ip_offset) else { return false };
    let mut sum = 0;
    let mut offset = datagram.ip_offset;
    let end = offset + usize::from(version_ihl & 0x0f) * 4;
    for _ in 0..IPV4_MAX_WORDS {
        if offset >= end {
            break;
        }
        match packet.load(offset) {
            Some(word) => sum = checksum::add_word(sum, word),
            None => return false,
        }
        offset += 4;
    }
    checksum::fold(sum) == 0xffff
}

#[inline(always)]
fn load_u16<P: Packet>(packet: &P, offset: usize) -> Result<u16, Skip> {
    packet.load(offset).map(u16::from_be_bytes).ok_or(Skip::NotVrrp)
}
