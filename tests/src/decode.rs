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

/// The advertisement in `frame`, if it is one.
pub fn advert(frame: &Frame) -> Option<Advert> {
    let bytes = &frame.bytes;
    let (source, destination, ttl, payload) = match be16(bytes, 12)? {
        0x0800 => ipv4(bytes)?,
        0x86dd => ipv6(bytes)?,
        _ => return None,
    };
    Some(Advert {
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

/// The target of the unsolicited neighbour advertisement in `frame`, if it is one.
pub fn neighbour_advertisement(frame: &Frame) -> Option<Ipv6Addr> {
    let bytes = &frame.bytes;
    let is_one = be16(bytes, 12)? == 0x86dd && *bytes.get(20)? == 58 && *bytes.get(54)? == 136;
    // The S flag: an answer to somebody.
    let is_solicited = bytes.get(58)? & 0x40 != 0;
    (is_one && !is_solicited).then_some(Ipv6Addr::from(array::<16>(bytes, 62)?))
}

type Datagram<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn ipv4(bytes: &[u8]) -> Option<Datagram<'_>> {
    if *bytes.get(23)? != 112 {
        return None;
    }
    let start = 14 + usize::from(bytes.get(14)? & 0x0f) * 4;
    let end = 14 + usize::from(be16(bytes, 16)?);
    let source = Ipv4Addr::from(array::<4>(bytes, 26)?);
    let destination = Ipv4Addr::from(array::<4>(bytes, 30)?);
    Some((source.into(), destination.into(), *bytes.get(22)?, bytes.get(start..end)?))
}

fn ipv6(bytes: &[u8]) -> Option<Datagram<'_>> {
    if *bytes.get(20)? != 112 {
        return None;
    }
    let end = 54 + usize::from(be16(bytes, 18)?);
    let source = Ipv6Addr::from(array::<16>(bytes, 22)?);
    let destination = Ipv6Addr::from(array::<16>(bytes, 38)?);
    Some((source.into(), destination.into(), *bytes.get(21)?, bytes.get(54..end)?))
}

fn be16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_be_bytes)
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset + N)?.try_into().ok()
}
