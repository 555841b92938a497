//! As much of a captured frame as a test asks for: who says what in VRRP and ARP.
//!
//! It reads well-formed frames of our own making at fixed offsets and is no judge of others'; the
//! judges are `ha_common::frame`, `ha_core::wire` and tshark.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capture::Frame;

/// An advertisement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advert {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    pub addresses: u8,
    /// Of the authentication header, where there is one.
    pub ah_sequence: Option<u32>,
    /// From the version on, to the end that the IP header states.
    pub payload: Vec<u8>,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arp {
    pub is_request: bool,
    pub sender_mac: [u8; 6],
    pub sender: Ipv4Addr,
    pub target: Ipv4Addr,
    pub is_broadcast: bool,
}

impl Arp {
    /// Whether it announces the sender's own address (RFC 5227 §3: sender and target are the same).
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

/// A neighbour advertisement (RFC 4861 §4.4) and what carried it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NeighbourAdvertisement {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub hop_limit: u8,
    pub is_router: bool,
    pub is_solicited: bool,
    pub is_override: bool,
    pub target: Ipv6Addr,
    /// The option, if it is the first.
    pub target_mac: Option<[u8; 6]>,
}

/// The advertisement in `frame`, if it is one.
pub fn advert(frame: &Frame) -> Option<Advert> {
    let bytes = &frame.bytes;
    let Datagram { source, destination, ttl, ah_sequence, payload } = match be16(bytes, 12)? {
        0x0800 => ipv4(bytes)?,
        0x86dd => ipv6(bytes)?,
        _ => return None,
    };
    Some(Advert {
        ah_sequence,
        source_mac: array(bytes, 6)?,
        destination_mac: array(bytes, 0)?,
        source,
        destination,
        ttl,
        version: payload.first()? >> 4,
        vrid: *payload.get(1)?,
        priority: *payload.get(2)?,
        addresses: *payload.get(3)?,
        payload: payload.to_vec(),
    })
}

/// The ARP packet in `frame`, if it is one.
pub fn arp(frame: &Frame) -> Option<Arp> {
    let bytes = &frame.bytes;
    if be16(bytes, 12)? != 0x0806 {
        return None;
    }
    Some(Arp {
        is_request: be16(bytes, 20)? == 1,
        sender_mac: array(bytes, 22)?,
        sender: Ipv4Addr::from(array::<4>(bytes, 28)?),
        target: Ipv4Addr::from(array::<4>(bytes, 38)?),
        is_broadcast: array(bytes, 0)? == [0xff; 6],
    })
}

/// Type and code of the ICMP message in `frame`, if it is one.
pub fn icmp(frame: &Frame) -> Option<(u8, u8)> {
    let bytes = &frame.bytes;
    if be16(bytes, 12)? != 0x0800 || *bytes.get(23)? != 1 {
        return None;
    }
    let header = 14 + usize::from(bytes.get(14)? & 0x0f) * 4;
    Some((*bytes.get(header)?, *bytes.get(header + 1)?))
}

/// The neighbour advertisement in `frame`, if it is one.
pub fn neighbour_advertisement(frame: &Frame) -> Option<NeighbourAdvertisement> {
    let bytes = &frame.bytes;
    if be16(bytes, 12)? != 0x86dd || *bytes.get(20)? != 58 || *bytes.get(54)? != 136 {
        return None;
    }
    let flags = *bytes.get(58)?;
    // RFC 4861 §4.6.1: target link-layer address, one unit of eight bytes.
    let has_option = bytes.get(78..80) == Some(&[2, 1]);
    Some(NeighbourAdvertisement {
        source_mac: array(bytes, 6)?,
        destination_mac: array(bytes, 0)?,
        source: Ipv6Addr::from(array::<16>(bytes, 22)?),
        destination: Ipv6Addr::from(array::<16>(bytes, 38)?),
        hop_limit: *bytes.get(21)?,
        is_router: flags & 0x80 != 0,
        is_solicited: flags & 0x40 != 0,
        is_override: flags & 0x20 != 0,
        target: Ipv6Addr::from(array::<16>(bytes, 62)?),
        target_mac: if has_option { array(bytes, 80) } else { None },
    })
}

/// The target of the neighbour solicitation in `frame` (RFC 4861 §4.3), if it is one, and whether
/// it asks for a duplicate of its own (RFC 4862 §5.4.2: it has no source).
pub fn neighbour_solicitation(frame: &Frame) -> Option<(Ipv6Addr, bool)> {
    let bytes = &frame.bytes;
    let is_one = be16(bytes, 12)? == 0x86dd && *bytes.get(20)? == 58 && *bytes.get(54)? == 135;
    let has_source = bytes.get(22..38)?.iter().any(|byte| *byte != 0);
    is_one.then_some((Ipv6Addr::from(array::<16>(bytes, 62)?), !has_source))
}

/// What `frame` tells everybody about: the address of a gratuitous ARP or of an unsolicited
/// neighbour advertisement.
pub fn announced(frame: &Frame) -> Option<IpAddr> {
    if let Some(arp) = arp(frame) {
        // A kernel that has the address too answers an announcement, and that one alone.
        return (arp.is_gratuitous() && arp.is_broadcast).then_some(arp.sender.into());
    }
    let advertisement = neighbour_advertisement(frame)?;
    (!advertisement.is_solicited).then_some(advertisement.target.into())
}

struct Datagram<'a> {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    ah_sequence: Option<u32>,
    payload: &'a [u8],
}

fn ipv4(bytes: &[u8]) -> Option<Datagram<'_>> {
    let mut start = 14 + usize::from(bytes.get(14)? & 0x0f) * 4;
    let end = 14 + usize::from(be16(bytes, 16)?);
    let mut protocol = *bytes.get(23)?;
    let mut ah_sequence = None;
    if protocol == 51 {
        // RFC 4302 §2: next header, length in words less two, then index and sequence number.
        protocol = *bytes.get(start)?;
        ah_sequence = Some(u32::from_be_bytes(array(bytes, start + 8)?));
        start += (usize::from(*bytes.get(start + 1)?) + 2) * 4;
    }
    let source = Ipv4Addr::from(array::<4>(bytes, 26)?).into();
    let destination = Ipv4Addr::from(array::<4>(bytes, 30)?).into();
    let (ttl, payload) = (*bytes.get(22)?, bytes.get(start..end)?);
    (protocol == 112).then_some(Datagram { source, destination, ttl, ah_sequence, payload })
}

fn ipv6(bytes: &[u8]) -> Option<Datagram<'_>> {
    if *bytes.get(20)? != 112 {
        return None;
    }
    let end = 54 + usize::from(be16(bytes, 18)?);
    let source = Ipv6Addr::from(array::<16>(bytes, 22)?).into();
    let destination = Ipv6Addr::from(array::<16>(bytes, 38)?).into();
    let (ttl, payload) = (*bytes.get(21)?, bytes.get(54..end)?);
    Some(Datagram { source, destination, ttl, ah_sequence: None, payload })
}

fn be16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_be_bytes)
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset + N)?.try_into().ok()
}
