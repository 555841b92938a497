//! From a frame to its verdict, without a kernel: frames written by hand after RFC 9568 §5 and
//! RFC 3768 §5. The same verdicts of the XDP program are tested in `tests/tests/prog_run.rs`.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test reports by panicking")]

#[path = "judge/cost.rs"]
mod cost;

use std::collections::BTreeMap;

use ha_common::{
    abi::{
        ADDRESS_GROUP, ADDRESS_LOCAL, ADDRESS_NONE, AddressKey, DIALECT_PLAIN,
        DIALECT_PSEUDO_HEADER, InstanceKey, InstanceRule, MODE_MULTICAST, MODE_UNICAST, PeerKey,
        PeerRule,
    },
    check::{Reason, Tables, Verdict, judge, judge_ah},
    checksum,
    frame::{self, Bytes, Datagram, Skip},
    proto::{AUTH_AH, AUTH_NONE, AUTH_PASS, Family, GROUP_V4, GROUP_V6},
};

const IFINDEX: u32 = 3;
const SLOT: u32 = 9;
const VLAN: u16 = 100;
const OWN: [u8; 4] = [192, 0, 2, 2];
const PEER: [u8; 4] = [192, 0, 2, 1];
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const PASSWORD: [u8; 8] = *b"secret\0\0";

/// Offsets in an untagged frame over IPv4 without options.
const TTL: usize = 22;
const DESTINATION: usize = 30;
const MESSAGE: usize = 34;

#[derive(Default)]
struct Host {
    addresses: BTreeMap<AddressKey, u32>,
    instances: BTreeMap<InstanceKey, InstanceRule>,
    peers: BTreeMap<PeerKey, PeerRule>,
}

impl Tables for Host {
    fn address_kind(&self, key: &AddressKey) -> u32 {
        self.addresses.get(key).copied().unwrap_or(ADDRESS_NONE)
    }

    fn instance(&self, key: &InstanceKey) -> Option<InstanceRule> {
        self.instances.get(key).copied()
    }

    fn peer(&self, key: &PeerKey) -> Option<PeerRule> {
        self.peers.get(key).copied()
    }
}

const MULTICAST: InstanceRule = InstanceRule {
    slot: SLOT,
    version: 3,
    mode: MODE_MULTICAST,
    auth_type: AUTH_NONE,
    ttl_min: 255,
    password: [0; 8],
    interval_secs: 1,
    pad: [0; 3],
};
const UNICAST: InstanceRule = InstanceRule { mode: MODE_UNICAST, ttl_min: 0, ..MULTICAST };
const VERSION_2: InstanceRule =
    InstanceRule { version: 2, auth_type: AUTH_PASS, password: PASSWORD, ..MULTICAST };
const THREE_SECONDS: InstanceRule = InstanceRule { interval_secs: 3, ..VERSION_2 };
const UNAUTHENTICATED: InstanceRule = InstanceRule { auth_type: AUTH_NONE, ..VERSION_2 };

/// A host with VRID 51, untagged and on a VLAN, in both families.
fn host(rule: InstanceRule) -> Host {
    let mut host = Host::default();
    for (family, address, kind) in [
        (Family::V4, wide(OWN), ADDRESS_LOCAL),
        (Family::V4, wide(GROUP_V4), ADDRESS_GROUP),
        (Family::V6, GROUP_V6, ADDRESS_GROUP),
    ] {
        host.addresses.insert(AddressKey::new(IFINDEX, family, address), kind);
    }
    for (vlan, family) in [(0, 4), (VLAN, 4), (0, 6)] {
        host.instances.insert(InstanceKey { ifindex: IFINDEX, vlan, family, vrid: 51 }, rule);
    }
    let peer = PeerRule { ttl_min: 64, ttl_max: 255, pad: [0; 2] };
    host.peers.insert(PeerKey { slot: SLOT, address: wide(PEER) }, peer);
    host
}

fn wide(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..4].copy_from_slice(&address);
    wide
}

/// Version 3, VRID 51, priority 100, one address, every second.
fn version_3(destination: [u8; 4]) -> Vec<u8> {
    let message = [&[0x31, 51, 100, 1, 0, 100, 0, 0], &[192, 0, 2, 9][..]].concat();
    ipv4(destination, &message)
}

/// The same in version 2, with a password.
fn version_2() -> Vec<u8> {
    let header = [0x21, 51, 100, 1, AUTH_PASS, 1, 0, 0];
    ipv4(GROUP_V4, &[header.as_slice(), &[192, 0, 2, 9], &PASSWORD].concat())
}

fn ipv4(destination: [u8; 4], message: &[u8]) -> Vec<u8> {
    let len = u8::try_from(20 + message.len()).expect("a short message");
    let header = [0x45, 0, 0, len, 0, 1, 0, 0, 255, 112, 0, 0];
    let ethernet = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
    sealed([ethernet.as_slice(), &header, &PEER, &destination, message].concat())
}

fn ipv6() -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, 0, 24, 112, 255]);
    frame.extend([LINK_LOCAL, GROUP_V6].concat());
    frame.extend([0x31, 51, 100, 1, 0, 100, 0, 0]);
    frame.extend(LINK_LOCAL);
    sealed_ipv6(frame)
}

/// RFC 8200 §8.1: addresses, length and next header are a part of the sum.
fn sealed_ipv6(mut frame: Vec<u8>) -> Vec<u8> {
    frame[60..62].fill(0);
    let message_len = u32::try_from(frame.len() - 54).expect("a short message");
    let sum = checksum::sum(&frame[22..]) + 112 + message_len;
    frame[60..62].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    frame
}

/// Both checksums of an untagged frame over IPv4; the message's covers the message only.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let message = 14 + usize::from(frame[14] & 0x0f) * 4;
    for (from, to, at) in [(14, message, 24), (message, frame.len(), message + 6)] {
        frame[at..at + 2].fill(0);
        let sum = !checksum::fold(checksum::sum(&frame[from..to]));
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

fn changed(mut frame: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut frame);
    sealed(frame)
}

fn tagged(mut frame: Vec<u8>, tags: &[[u8; 4]]) -> Vec<u8> {
    frame.splice(12..12, tags.concat());
    frame
}

fn check_walk(frame: &[u8], expected: Result<(u16, usize, usize), Skip>) {
    let walked = frame::walk(&Bytes(frame));
    let where_is = |it: Datagram| (it.vlan, it.payload_offset, it.payload_len);
    assert_eq!(walked.map(where_is), expected, "{frame:02x?}");
}

#[test]
fn walks_tags_and_headers() {
    let frame = version_3(GROUP_V4);
    check_walk(&frame, Ok((0, 34, 12)));
    check_walk(&[frame.as_slice(), &[0; 14]].concat(), Ok((0, 34, 12)));
    check_walk(&version_2(), Ok((0, 34, 20)));
    check_walk(&ipv6(), Ok((0, 54, 24)));
    let q = [0x81, 0, 0xe0, 100];
    let priority = [0x81, 0, 0xe0, 0];
    let ad = [0x88, 0xa8, 0, 200];
    check_walk(&tagged(frame.clone(), &[q]), Ok((100, 38, 12)));
    check_walk(&tagged(frame.clone(), &[priority]), Ok((0, 38, 12)));
    check_walk(&tagged(frame.clone(), &[ad]), Ok((200, 38, 12)));
    check_walk(&tagged(frame.clone(), &[priority, q]), Ok((100, 42, 12)));
    check_walk(&tagged(frame.clone(), &[ad, priority]), Ok((200, 42, 12)));
    check_walk(&tagged(frame.clone(), &[ad, q]), Err(Skip::NotVrrp));
    check_walk(&tagged(frame, &[priority, priority, priority]), Err(Skip::NotVrrp));
}

#[test]
fn passes_what_is_not_a_whole_datagram_of_vrrp() {
    let edit = |at: usize, value: u8| {
        let mut frame = version_3(GROUP_V4);
        frame[at] = value;
        frame
    };
    check_walk(&edit(23, 6), Err(Skip::NotVrrp));
    check_walk(&edit(13, 6), Err(Skip::NotVrrp));
    check_walk(&edit(14, 0x65), Err(Skip::NotVrrp));
    check_walk(&edit(14, 0x44), Err(Skip::NotVrrp));
    check_walk(&edit(20, 0x20), Err(Skip::Fragment));
    check_walk(&edit(21, 1), Err(Skip::Fragment));
    check_walk(&edit(20, 0x40), Ok((0, 34, 12)));
    // A total length below the header's own leaves no message.
    check_walk(&edit(17, 19), Ok((0, 34, 0)));
    for (frame, headers) in [(version_3(GROUP_V4), 34), (ipv6(), 54)] {
        for len in 0..headers {
            check_walk(&frame[..len], Err(Skip::NotVrrp));
        }
    }
}

#[test]
fn reads_addresses_and_ttl() {
    let datagram = frame::walk(&Bytes(&version_3(OWN))).expect("a datagram");
    assert_eq!((datagram.family, datagram.ttl), (Family::V4, 255));
    assert_eq!((datagram.source, datagram.destination), (wide(PEER), wide(OWN)));
    let datagram = frame::walk(&Bytes(&ipv6())).expect("a datagram");
    assert_eq!((datagram.family, datagram.ttl), (Family::V6, 255));
    assert_eq!((datagram.source, datagram.destination), (LINK_LOCAL, GROUP_V6));
}

fn check(rule: InstanceRule, frame: &[u8], expected: Result<u8, Option<Reason>>) {
    let verdict = match judge(&Bytes(frame), &host(rule), IFINDEX) {
        Verdict::Accept(accepted) => {
            assert_eq!(accepted.slot, SLOT);
            Ok(accepted.dialect)
        }
        Verdict::Drop(reason, _) => Err(Some(reason)),
        Verdict::NotVrrp(_) | Verdict::Stranger => Err(None),
    };
    assert_eq!(verdict, expected, "{frame:02x?}");
}

/// V-5.1.1-3, V-5.1.2-1, V-5.2.2, V-5.2.5, V-5.2.8-1, V-7.1-1, V-7.1-2, V-7.1-3, V-7.1-4, V-7.1-5,
/// V-7.1-6, V2-5.3-1, V2-7.1-1, V2-7.1-2, V2-7.1-3: nothing is wrong with these.
#[test]
fn accepts_advertisements() {
    check(MULTICAST, &version_3(GROUP_V4), Ok(DIALECT_PLAIN));
    check(MULTICAST, &tagged(version_3(GROUP_V4), &[[0x81, 0, 0, 100]]), Ok(DIALECT_PLAIN));
    check(UNICAST, &version_3(OWN), Ok(DIALECT_PLAIN));
    check(VERSION_2, &version_2(), Ok(DIALECT_PLAIN));
    let unauthenticated = changed(version_2(), |frame| {
        frame[MESSAGE + 4] = AUTH_NONE;
        frame[MESSAGE + 12..].fill(0);
    });
    check(UNAUTHENTICATED, &unauthenticated, Ok(DIALECT_PLAIN));
    let slower = changed(version_2(), |frame| frame[MESSAGE + 5] = 3);
    check(THREE_SECONDS, &slower, Ok(DIALECT_PLAIN));
    // V-7.1-7: in version 3 another interval is no reason to drop.
    let slower = changed(version_3(GROUP_V4), |frame| frame[MESSAGE + 5] = 200);
    check(MULTICAST, &slower, Ok(DIALECT_PLAIN));
    check(MULTICAST, &ipv6(), Ok(DIALECT_PSEUDO_HEADER));
    let with_options = changed(version_3(GROUP_V4), |frame| {
        frame.splice(MESSAGE..MESSAGE, [1; 8]);
        frame[14] += 2;
        frame[17] += 8;
    });
    check(MULTICAST, &with_options, Ok(DIALECT_PLAIN));
}

/// V-7.1-1 to V-7.1-6, each with one thing wrong; V-5.1.1-3, V-5.2.2, V-5.2.5, V-5.2.7, V-5.2.8-1,
/// V2-5.3-1, V2-7.1-1, V2-7.1-2, V2-7.1-3.
#[test]
fn drops_for_the_first_reason() {
    let group = || version_3(GROUP_V4);
    let own = || version_3(OWN);
    let set = |frame: Vec<u8>, at: usize, value: u8| changed(frame, |frame| frame[at] = value);
    // V2-5.3-1: without the eight bytes that are always there (RFC 3768 §5.3.10), used or not.
    let without_authentication = |auth_type: u8| {
        changed(version_2(), |frame| {
            frame[MESSAGE + 4] = auth_type;
            frame.truncate(MESSAGE + 12);
            frame[17] -= 8;
        })
    };
    for (rule, frame, reason) in [
        // V-7.1-6.
        (MULTICAST, set(group(), MESSAGE + 1, 52), Reason::UnknownVrid),
        // V-7.1-1: whatever is not 255, below or far below (there is nothing above).
        (MULTICAST, set(group(), TTL, 254), Reason::Ttl),
        (MULTICAST, set(group(), TTL, 1), Reason::Ttl),
        (MULTICAST, set(group(), TTL, 0), Reason::Ttl),
        (VERSION_2, set(version_2(), TTL, 254), Reason::Ttl),
        // V-7.1-2, V2-7.1-1.
        (MULTICAST, set(group(), MESSAGE, 0x21), Reason::Version),
        (MULTICAST, set(group(), MESSAGE, 0x41), Reason::Version),
        (VERSION_2, set(version_2(), MESSAGE, 0x31), Reason::Version),
        // V-7.1-3.
        (MULTICAST, set(group(), MESSAGE, 0x32), Reason::Type),
        (MULTICAST, set(group(), MESSAGE, 0x30), Reason::Type),
        // V-5.2.5.
        (MULTICAST, set(group(), MESSAGE + 3, 0), Reason::Count),
        // V-7.1-4.
        (MULTICAST, set(group(), MESSAGE + 3, 2), Reason::Length),
        (MULTICAST, group()[..MESSAGE + 7].to_vec(), Reason::Length),
        (MULTICAST, group()[..MESSAGE + 11].to_vec(), Reason::Length),
        (VERSION_2, without_authentication(AUTH_PASS), Reason::Length),
        (UNAUTHENTICATED, without_authentication(AUTH_NONE), Reason::Length),
        (UNICAST, group(), Reason::Destination),
        (MULTICAST, own(), Reason::Destination),
        (MULTICAST, set(group(), 29, 2), Reason::OwnSource),
        (UNICAST, set(own(), 29, 7), Reason::NotPeer),
        (UNICAST, set(own(), TTL, 63), Reason::Ttl),
        // V2-7.1-3.
        (VERSION_2, set(version_2(), MESSAGE + 4, AUTH_NONE), Reason::AuthType),
        (VERSION_2, set(version_2(), MESSAGE + 19, 1), Reason::Password),
        // V2-7.1-2: 0 is nobody's, and what differs in one bit only, or is a multiple, is another one too.
        (VERSION_2, set(version_2(), MESSAGE + 5, 0), Reason::Interval),
        (VERSION_2, set(version_2(), MESSAGE + 5, 3), Reason::Interval),
        (VERSION_2, set(version_2(), MESSAGE + 5, 255), Reason::Interval),
        (THREE_SECONDS, version_2(), Reason::Interval),
        // V-5.2.7: erratum 8301, whatever the reserved bits are.
        (MULTICAST, set(group(), MESSAGE + 5, 0), Reason::Interval),
        (
            MULTICAST,
            changed(group(), |frame| {
                frame[MESSAGE + 4] = 0xf0;
                frame[MESSAGE + 5] = 0;
            }),
            Reason::Interval,
        ),
    ] {
        check(rule, &frame, Err(Some(reason)));
    }
    let flip = |at: usize| {
        let mut frame = group();
        frame[at] ^= 1;
        frame
    };
    check(MULTICAST, &flip(15), Err(Some(Reason::HeaderChecksum)));
    // V-7.1-5: whichever byte of the message is another one on the way.
    for at in MESSAGE + 4..MESSAGE + 12 {
        check(MULTICAST, &flip(at), Err(Some(Reason::Checksum)));
    }
    check(MULTICAST, &flip(MESSAGE + 2), Err(Some(Reason::Checksum)));
}

/// V-5.1.2-1 and V-7.1-1 to V-7.1-6 over IPv6, whose headers and checksum are others.
#[test]
fn drops_over_ipv6_for_the_same_reasons() {
    let set = |at: usize, value: u8| {
        let mut frame = ipv6();
        frame[at] = value;
        sealed_ipv6(frame)
    };
    for (frame, reason) in [
        (set(21, 254), Reason::Ttl),
        (set(21, 64), Reason::Ttl),
        (set(54, 0x21), Reason::Version),
        (set(54, 0x32), Reason::Type),
        (set(55, 52), Reason::UnknownVrid),
        (set(57, 0), Reason::Count),
        (set(57, 2), Reason::Length),
        (set(59, 0), Reason::Interval),
        (ipv6()[..70].to_vec(), Reason::Length),
    ] {
        check(MULTICAST, &frame, Err(Some(reason)));
    }
    for at in 54 + 4..78 {
        let mut frame = ipv6();
        frame[at] ^= 1;
        check(MULTICAST, &frame, Err(Some(Reason::Checksum)));
    }
}

/// V-3, V-5.2.9-2: the VRID of an IPv4 virtual router says nothing about IPv6, nor the reverse.
#[test]
fn a_virtual_router_has_one_family() {
    let frames = [(version_3(GROUP_V4), 4), (ipv6(), 6)];
    for (frame, family) in &frames {
        let mut host = host(MULTICAST);
        host.instances.retain(|key, _| key.family == *family);
        assert!(matches!(judge(&Bytes(frame), &host, IFINDEX), Verdict::Accept(_)), "{family}");
        host.instances.clear();
        let other = InstanceKey { ifindex: IFINDEX, vlan: 0, family: 10 - family, vrid: 51 };
        host.instances.insert(other, MULTICAST);
        let verdict = judge(&Bytes(frame), &host, IFINDEX);
        assert!(matches!(verdict, Verdict::Drop(Reason::UnknownVrid, _)), "{family}");
    }
    // An IPv4 list in an IPv6 packet is not what the count says.
    let mut list = ipv6();
    list.truncate(54 + 12);
    list[19] = 12;
    check(MULTICAST, &sealed_ipv6(list), Err(Some(Reason::Length)));
}

const AH: InstanceRule =
    InstanceRule { version: 2, auth_type: AUTH_AH, password: [0; 8], ..MULTICAST };

/// Version 2 behind an Authentication Header, whose content nobody looks at here.
fn behind_ah() -> Vec<u8> {
    let message = [0x21, 51, 100, 1, AUTH_AH, 1, 0, 0, 192, 0, 2, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut frame = ipv4(GROUP_V4, &message);
    frame.splice(MESSAGE..MESSAGE, [112, 4].into_iter().chain([0xaa; 22]));
    frame[17] += 24;
    frame[23] = 51;
    reheaded(frame)
}

/// The header's checksum again, without the message's.
fn reheaded(mut frame: Vec<u8>) -> Vec<u8> {
    frame[24..26].fill(0);
    let sum = !checksum::fold(checksum::sum(&frame[14..34]));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn judges_what_is_behind_an_authentication_header() {
    let verdict = |rule, frame: &[u8]| match judge_ah(&Bytes(frame), &host(rule), IFINDEX) {
        Verdict::Accept(it) => Ok((it.slot, it.datagram.payload_offset, it.datagram.payload_len)),
        Verdict::Drop(reason, _) => Err(Some(reason)),
        Verdict::NotVrrp(_) | Verdict::Stranger => Err(None),
    };
    assert_eq!(verdict(AH, &behind_ah()), Ok((SLOT, 58, 20)));
    let drop = |reason| Err(Some(reason));
    let edit = |at: usize, value: u8| {
        let mut frame = behind_ah();
        frame[at] = value;
        reheaded(frame)
    };
    // One for each end of the chain of checks, which is the same as without the header.
    assert_eq!(verdict(AH, &edit(TTL, 254)), drop(Reason::Ttl));
    assert_eq!(verdict(AH, &edit(58, 0x31)), drop(Reason::Version));
    assert_eq!(verdict(AH, &edit(59, 52)), drop(Reason::UnknownVrid));
    assert_eq!(verdict(AH, &edit(60, 99)), drop(Reason::Checksum));
    assert_eq!(verdict(AH, &edit(61, 2)), drop(Reason::Length));
    assert_eq!(verdict(AH, &edit(62, AUTH_PASS)), drop(Reason::AuthType));
    let mut frame = behind_ah();
    frame[15] ^= 1;
    assert_eq!(verdict(AH, &frame), drop(Reason::HeaderChecksum));
    // Not ours: another next header, another protocol, a fragment, IPv6.
    for (at, value) in [(34, 50), (23, 112), (20, 0x20), (DESTINATION, 225)] {
        assert_eq!(verdict(AH, &edit(at, value)), Err(None), "{at}");
    }
    let mut frame = ipv6();
    frame[20] = 51;
    frame[54] = 112;
    assert_eq!(verdict(AH, &frame), Err(None));
    for len in 0..behind_ah().len() {
        assert!(verdict(AH, &behind_ah()[..len]).is_err(), "{len}");
    }
}

/// V2-7.1-3, RFC 2338 §5.3.6: whatever the message says of it, it has a header or it has none.
#[test]
fn an_authentication_header_is_there_or_not() {
    let plain = |auth_type| changed(version_2(), |frame| frame[MESSAGE + 4] = auth_type);
    for auth_type in [AUTH_NONE, AUTH_PASS, AUTH_AH] {
        check(AH, &plain(auth_type), Err(Some(Reason::AuthType)));
    }
    for rule in [VERSION_2, InstanceRule { auth_type: AUTH_NONE, ..VERSION_2 }] {
        let verdict = judge_ah(&Bytes(&behind_ah()), &host(rule), IFINDEX);
        assert!(matches!(verdict, Verdict::Drop(Reason::AuthType, _)));
    }
    // XDP sees no VRRP in it.
    check(AH, &behind_ah(), Err(None));
}

#[test]
fn leaves_strangers_alone() {
    let to = |address: [u8; 4]| {
        changed(version_3(GROUP_V4), |frame| {
            frame[DESTINATION..DESTINATION + 4].copy_from_slice(&address);
        })
    };
    check(MULTICAST, &to([192, 0, 2, 77]), Err(None));
    check(MULTICAST, &to([224, 0, 0, 1]), Err(None));
    let other_vlan = [0x81, 0, 0, 101];
    check(MULTICAST, &tagged(version_3(GROUP_V4), &[other_vlan]), Err(None));
    check(MULTICAST, &tagged(version_3(GROUP_V4)[..MESSAGE].to_vec(), &[other_vlan]), Err(None));
}

/// V-5.2.8-2: keepalived adds a pseudo-header over IPv4 too, RFC 9568 §5.2.8 does not: both are taken.
/// V-5.2.8-3, V2-5.3-2: over IPv6 there must be one, in version 2 there must not.
#[test]
fn checksum_dialects() {
    let with_pseudo_header = |mut frame: Vec<u8>| {
        let plain = u16::from_be_bytes([frame[MESSAGE + 6], frame[MESSAGE + 7]]);
        let message_len = u32::try_from(frame.len() - MESSAGE).expect("a short message");
        let sum = checksum::sum(&frame[26..MESSAGE]) + 112 + message_len + u32::from(!plain);
        frame[MESSAGE + 6..MESSAGE + 8].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
        frame
    };
    check(MULTICAST, &with_pseudo_header(version_3(GROUP_V4)), Ok(DIALECT_PSEUDO_HEADER));
    check(VERSION_2, &with_pseudo_header(version_2()), Err(Some(Reason::Checksum)));
    let mut frame = ipv6();
    frame[60..62].fill(0);
    let plain = !checksum::fold(checksum::sum(&frame[54..]));
    frame[60..62].copy_from_slice(&plain.to_be_bytes());
    check(MULTICAST, &frame, Err(Some(Reason::Checksum)));
}

/// An address of one link only is known by the link, all others by the host (RFC 4291 §2.5.6).
#[test]
fn link_local_addresses_belong_to_their_interface() {
    let key = |family, first: [u8; 4]| AddressKey::new(IFINDEX, family, wide(first)).ifindex;
    assert_eq!(key(Family::V6, [0xfe, 0x80, 0, 0]), IFINDEX);
    assert_eq!(key(Family::V6, [0xfe, 0xbf, 0xff, 0xff]), IFINDEX);
    assert_eq!(key(Family::V6, [0xfe, 0x7f, 0, 0]), 0);
    assert_eq!(key(Family::V6, [0xfe, 0xc0, 0, 0]), 0);
    assert_eq!(key(Family::V6, [0xff, 0x80, 0, 0]), 0);
    assert_eq!(key(Family::V6, [0xff, 2, 0, 0]), 0);
    assert_eq!(key(Family::V4, [0xfe, 0x80, 0, 0]), 0);
    assert_eq!(AddressKey::new(1, Family::V4, wide(OWN)).family, 4);
    assert_eq!(AddressKey::new(1, Family::V6, GROUP_V6).family, 6);
}
