//! Any bytes as a frame: the walker and the checks against a plain reading of the same headers.
//!
//! The reference looks at slices, in no clever order: it says which faults a frame has, not which one is
//! found first. A dropped frame must have the fault it is dropped for, an accepted one none.

#![no_main]

use ha_common::{
    abi::{
        ADDRESS_GROUP, ADDRESS_LOCAL, ADDRESS_NONE, AddressKey, DIALECT_PLAIN,
        DIALECT_PSEUDO_HEADER, InstanceKey, InstanceRule, MODE_MULTICAST, MODE_UNICAST, PeerKey,
        PeerRule,
    },
    check::{Reason, Tables, Verdict, judge, judge_ah},
    frame::{Bytes, Datagram, Skip, walk, walk_ah},
    proto::{AUTH_AH, AUTH_NONE, AUTH_PASS, Family, GROUP_V4, GROUP_V6},
};
use libfuzzer_sys::fuzz_target;

const IFINDEX: u32 = 3;
/// That of the frames in `tests/vectors`.
const PASSWORD: [u8; 8] = *b"33763994";

/// How the message is carried: in the IP packet, or behind an Authentication Header in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Plain,
    Ah,
}

fuzz_target!(|frame: &[u8]| {
    for way in [Way::Plain, Way::Ah] {
        check_with_all_rules(way, frame);
        // Chance alone does not find lengths and checksums that hold.
        if let Ok(datagram) = read(way, frame) {
            for dialect in [DIALECT_PLAIN, DIALECT_PSEUDO_HEADER] {
                check_with_all_rules(way, &mended(way, frame.to_vec(), &datagram, dialect));
            }
        }
    }
});

fn check_with_all_rules(way: Way, frame: &[u8]) {
    let walked = match way {
        Way::Plain => walk(&Bytes(frame)),
        Way::Ah => walk_ah(&Bytes(frame)),
    };
    assert_eq!(walked, read(way, frame), "{way:?}");
    for (version, auth_type) in [(2, AUTH_NONE), (2, AUTH_PASS), (2, AUTH_AH), (3, AUTH_NONE)] {
        for mode in [MODE_MULTICAST, MODE_UNICAST] {
            for ttl_min in [0, 255] {
                let (slot, password) = (7, PASSWORD);
                let (interval_secs, pad) = (1, [0; 3]);
                let rule = InstanceRule {
                    slot,
                    version,
                    mode,
                    auth_type,
                    ttl_min,
                    password,
                    interval_secs,
                    pad,
                };
                check(way, frame, rule);
            }
        }
    }
}

/// The same frame with a length, a count and checksums that fit, as far as it is long enough for them.
fn mended(way: Way, mut frame: Vec<u8>, datagram: &Datagram, dialect: u8) -> Vec<u8> {
    let (ip, at) = (datagram.ip_offset, datagram.payload_offset);
    let (length_field, from, address_len) = match datagram.family {
        Family::V4 => (ip + 2, ip, 4),
        Family::V6 => (ip + 4, at, 16),
    };
    if frame.len() < at + 8 {
        return frame;
    }
    let auth_len = if frame[at] >> 4 == 2 { 8 } else { 0 };
    let count = frame.len().saturating_sub(at + 8 + auth_len) / address_len;
    frame[at + 3] = u8::try_from(count).unwrap_or(u8::MAX);
    let end = at + 8 + usize::from(frame[at + 3]) * address_len + auth_len;
    let len = u16::try_from(end - from).unwrap_or(u16::MAX);
    frame[length_field..length_field + 2].copy_from_slice(&len.to_be_bytes());
    let Ok(datagram) = read(way, &frame) else { return frame };
    if datagram.family == Family::V4 {
        frame[ip + 10..ip + 12].fill(0);
        let sum = !sum(&frame[ip..ip + header_len(frame[ip])]);
        frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
    }
    frame[at + 6..at + 8].fill(0);
    if let Some(sum) = message_sum(&frame, &datagram, dialect) {
        frame[at + 6..at + 8].copy_from_slice(&(!sum).to_be_bytes());
    }
    frame
}

fn check(way: Way, frame: &[u8], rule: InstanceRule) {
    let verdict = match way {
        Way::Plain => judge(&Bytes(frame), &Host(rule), IFINDEX),
        Way::Ah => judge_ah(&Bytes(frame), &Host(rule), IFINDEX),
    };
    let datagram = match read(way, frame) {
        Ok(datagram) => datagram,
        Err(skip) => return assert_eq!(verdict, Verdict::NotVrrp(skip)),
    };
    let faults = faults(way, frame, &datagram, &rule);
    let vrid = frame.get(datagram.payload_offset..datagram.payload_offset + 8).map(|it| it[1]);
    let is_foreign_vlan =
        datagram.vlan != 0 && !vrid.is_some_and(|vrid| is_ours(datagram.vlan, vrid));
    let is_strangers =
        is_foreign_vlan || kind(datagram.family, &datagram.destination) == ADDRESS_NONE;
    match verdict {
        Verdict::NotVrrp(_) => panic!("{datagram:?} is one"),
        Verdict::Stranger => assert!(is_strangers),
        Verdict::Drop(reason, _) => {
            assert!(!is_strangers, "{reason:?}");
            assert!(faults.contains(&reason), "{reason:?}, but {faults:?}");
        }
        Verdict::Accept(accepted) => {
            assert!(!is_strangers);
            assert_eq!(faults, []);
            assert_eq!((accepted.slot, accepted.datagram), (rule.slot, datagram));
            assert!(dialects(frame, &datagram, &rule).contains(&accepted.dialect));
        }
    }
}

/// A host whose tables can be told from the key alone.
struct Host(InstanceRule);

impl Tables for Host {
    fn address_kind(&self, key: &AddressKey) -> u32 {
        kind(if key.family == 4 { Family::V4 } else { Family::V6 }, &key.address)
    }

    fn instance(&self, key: &InstanceKey) -> Option<InstanceRule> {
        is_ours(key.vlan, key.vrid).then_some(self.0)
    }

    fn peer(&self, key: &PeerKey) -> Option<PeerRule> {
        peer(&key.address)
    }
}

/// Every fourth address is our own, those of the vectors' receivers among them.
fn kind(family: Family, address: &[u8; 16]) -> u32 {
    let (is_group, last) = match family {
        Family::V4 => (address.starts_with(&GROUP_V4), address[3]),
        Family::V6 => (*address == GROUP_V6, address[15]),
    };
    match last % 4 {
        _ if is_group => ADDRESS_GROUP,
        3 => ADDRESS_LOCAL,
        _ => ADDRESS_NONE,
    }
}

fn is_ours(vlan: u16, vrid: u8) -> bool {
    vlan < 2048 && vrid != 0
}

fn peer(address: &[u8; 16]) -> Option<PeerRule> {
    let ttl_max = if address[0] & 2 == 0 { 128 } else { 255 };
    (address[0] & 1 == 0).then_some(PeerRule { ttl_min: 64, ttl_max, pad: [0; 2] })
}

fn read(way: Way, frame: &[u8]) -> Result<Datagram, Skip> {
    if way == Way::Plain {
        return read_ip(frame, 112);
    }
    let outer = read_ip(frame, 51)?;
    // RFC 4302 §2.1: the next header comes first. keepalived's header has 24 bytes.
    if outer.family == Family::V6 || frame.get(outer.payload_offset) != Some(&112) {
        return Err(Skip::NotVrrp);
    }
    Ok(Datagram {
        payload_offset: outer.payload_offset + 24,
        payload_len: outer.payload_len.saturating_sub(24),
        ..outer
    })
}

/// The headers, read one after the other.
fn read_ip(frame: &[u8], protocol: u8) -> Result<Datagram, Skip> {
    let word = |at: usize| frame.get(at..at + 2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let mut at = 12;
    let mut tags = Vec::new();
    while let Some(0x8100 | 0x88a8) = word(at) {
        tags.push(word(at + 2).ok_or(Skip::NotVrrp)? & 0x0fff);
        at += 4;
    }
    // One VLAN at most; a priority tag (VLAN 0) may stand before or behind it.
    if tags.len() > 2 || tags.iter().filter(|tag| **tag != 0).count() > 1 {
        return Err(Skip::NotVrrp);
    }
    let vlan = tags.into_iter().max().unwrap_or(0);
    let ip_offset = at + 2;
    let ip = frame.get(ip_offset..).unwrap_or_default();
    match word(at) {
        Some(0x0800)
            if ip.len() >= 20 && ip[0] >> 4 == 4 && ip[0] & 15 >= 5 && ip[9] == protocol =>
        {
            if word(ip_offset + 6).unwrap_or(0) & 0x3fff != 0 {
                return Err(Skip::Fragment);
            }
            let header_len = header_len(ip[0]);
            let total_len = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
            let wide = |address: &[u8]| {
                let mut wide = [0; 16];
                wide[..4].copy_from_slice(address);
                wide
            };
            Ok(Datagram {
                family: Family::V4,
                vlan,
                ttl: ip[8],
                source: wide(&ip[12..16]),
                destination: wide(&ip[16..20]),
                ip_offset,
                payload_offset: ip_offset + header_len,
                payload_len: total_len.saturating_sub(header_len),
            })
        }
        Some(0x86dd) if ip.len() >= 40 && ip[0] >> 4 == 6 && ip[6] == protocol => Ok(Datagram {
            family: Family::V6,
            vlan,
            ttl: ip[7],
            source: ip[8..24].try_into().expect("16 bytes"),
            destination: ip[24..40].try_into().expect("16 bytes"),
            ip_offset,
            payload_offset: ip_offset + 40,
            payload_len: usize::from(u16::from_be_bytes([ip[4], ip[5]])),
        }),
        _ => Err(Skip::NotVrrp),
    }
}

fn header_len(version_ihl: u8) -> usize {
    usize::from(version_ihl & 15) * 4
}

/// Everything that is wrong with a datagram, whoever it is addressed to.
fn faults(way: Way, frame: &[u8], datagram: &Datagram, rule: &InstanceRule) -> Vec<Reason> {
    let Some(header) = frame.get(datagram.payload_offset..datagram.payload_offset + 8) else {
        return vec![Reason::Length];
    };
    if !is_ours(datagram.vlan, header[1]) {
        return vec![Reason::UnknownVrid];
    }
    let is_version_2 = rule.version == 2;
    let is_unicast = rule.mode == MODE_UNICAST;
    let peer = peer(&datagram.source);
    let address_len = if datagram.family == Family::V4 { 4 } else { 16 };
    let message_len = 8 + usize::from(header[3]) * address_len + if is_version_2 { 8 } else { 0 };
    let message = message(frame, datagram);
    let is_for_ttl = |min: u8, max: u8| (min..=max).contains(&datagram.ttl);
    let is_password = |message: &[u8]| message.ends_with(&rule.password);

    let all = [
        (Reason::Ttl, !is_for_ttl(rule.ttl_min, 255)),
        (Reason::Ttl, is_unicast && peer.is_some_and(|it| !is_for_ttl(it.ttl_min, it.ttl_max))),
        (Reason::Version, header[0] >> 4 != rule.version),
        (Reason::Type, header[0] & 15 != 1),
        (Reason::Count, header[3] == 0),
        (Reason::Length, datagram.payload_len != message_len || message.is_none()),
        (
            Reason::Destination,
            is_unicast == (kind(datagram.family, &datagram.destination) == ADDRESS_GROUP),
        ),
        (Reason::OwnSource, kind(datagram.family, &datagram.source) == ADDRESS_LOCAL),
        (Reason::NotPeer, is_unicast && peer.is_none()),
        (Reason::AuthType, is_version_2 && header[4] != rule.auth_type),
        (Reason::AuthType, (way == Way::Ah) != (rule.auth_type == AUTH_AH)),
        (
            Reason::Password,
            is_version_2 && header[4] == AUTH_PASS && !message.is_some_and(is_password),
        ),
        (Reason::Interval, is_version_2 && header[5] != rule.interval_secs),
        (Reason::Interval, !is_version_2 && header[4] % 16 == 0 && header[5] == 0),
        (Reason::HeaderChecksum, !is_header_intact(frame, datagram)),
        (Reason::Checksum, dialects(frame, datagram, rule).is_empty()),
    ];
    all.into_iter().filter_map(|(reason, is_there)| is_there.then_some(reason)).collect()
}

fn message<'a>(frame: &'a [u8], datagram: &Datagram) -> Option<&'a [u8]> {
    frame.get(datagram.payload_offset..)?.get(..datagram.payload_len)
}

fn is_header_intact(frame: &[u8], datagram: &Datagram) -> bool {
    datagram.family == Family::V6
        || frame
            .get(datagram.ip_offset..)
            .and_then(|ip| ip.get(..header_len(*ip.first()?)))
            .is_some_and(|header| sum(header) == 0xffff)
}

/// The ways of computing the checksum in which it holds and which the version allows.
fn dialects(frame: &[u8], datagram: &Datagram, rule: &InstanceRule) -> Vec<u8> {
    let holds = |dialect: u8| message_sum(frame, datagram, dialect) == Some(0xffff);
    let may_be_plain = rule.version == 2 || datagram.family == Family::V4;
    let may_have_pseudo_header = rule.version == 3;
    [(DIALECT_PLAIN, may_be_plain), (DIALECT_PSEUDO_HEADER, may_have_pseudo_header)]
        .into_iter()
        .filter_map(|(dialect, may_be)| (may_be && holds(dialect)).then_some(dialect))
        .collect()
}

fn message_sum(frame: &[u8], datagram: &Datagram, dialect: u8) -> Option<u16> {
    let message = message(frame, datagram)?;
    if dialect == DIALECT_PLAIN {
        return Some(sum(message));
    }
    let len = u32::try_from(message.len()).expect("16 bits").to_be_bytes();
    // RFC 8200 §8.1; the zeros that widen an IPv4 address add nothing.
    let header = [&datagram.source[..], &datagram.destination, &len, &[0, 0, 0, 112]];
    Some(sum(&[&header.concat(), message].concat()))
}

/// One's complement sum, written down as RFC 1071 §1 says it.
fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([pair[0], low]));
        sum + u16::from(carry)
    })
}
