//! The wire format against vectors from outside: RFC layout added up by hand, and keepalived's frames.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's own vectors; what is wrong with them shall stop it"
)]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use ha_common::frame::{self, Bytes, Datagram};
use ha_core::{
    AdvertInterval, Family, Version, Vrid,
    wire::{Advertisement, Authentication, ChecksumScope, DecodeError, Template, ah},
};

/// VRID 133, priority 100, one address 192.0.2.1, 1 s, without a pseudo-header:
/// 3185 + 6401 + 0064 + c000 + 0201 = 157eb, folded 57ec, inverted a813.
const V3: [u8; 12] = [0x31, 0x85, 100, 1, 0x00, 0x64, 0xa8, 0x13, 192, 0, 2, 1];

/// The same from 192.0.2.11 to 224.0.0.18 with the pseudo-header that keepalived adds:
/// 157eb + c000 + 020b + e000 + 0012 + 0070 + 000c = 2fa84, folded fa86, inverted 0579.
const V3_PSEUDO: [u8; 12] = [0x31, 0x85, 100, 1, 0x00, 0x64, 0x05, 0x79, 192, 0, 2, 1];

/// 2185 + 6401 + 0001 + c000 + 0201 = 14788, folded 4789, inverted b876; the eight zeros are part of it.
const V2: [u8; 20] = [0x21, 0x85, 100, 1, 0, 1, 0xb8, 0x76, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];

/// `fe80::1` from `fe80::b` to `ff02::12`, RFC 8200's pseudo-header (length 0018, next header 0070):
/// 95ea + fe80 + 0001 + fe80 + 000b + ff02 + 0012 + 0018 + 0070 = 39292, folded 9295, inverted 6d6a.
const V3_IPV6: [u8; 24] = [
    0x31, 0x85, 100, 1, 0x00, 0x64, 0x6d, 0x6a, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1,
];

fn template(version: Version, address: IpAddr) -> Template {
    Template {
        version,
        vrid: Vrid::new(133).expect("not 0"),
        interval: AdvertInterval::DEFAULT,
        addresses: vec![address],
        authentication: Authentication::None,
    }
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn v6(last: u16) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last).into()
}

/// As keepalived 2.2.7 says it when it is run with 400 addresses on an interface of each MTU ("max 89
/// addresses").
#[test]
fn as_many_addresses_as_keepalived_advertises() {
    let (plain, pass) = (Authentication::None, Authentication::Pass(*b"abc\0\0\0\0\0"));
    let ah = Authentication::Ah(ah::Key::new(*b"abc\0\0\0\0\0"));
    for (version, family, authentication, mtu, expected) in [
        (Version::V2, Family::V4, plain, 68, 4),
        (Version::V2, Family::V4, plain, 101, 12),
        (Version::V2, Family::V4, plain, 102, 13),
        (Version::V2, Family::V4, pass, 102, 13),
        (Version::V2, Family::V4, plain, 576, 131),
        (Version::V2, Family::V4, ah, 101, 6),
        (Version::V2, Family::V4, ah, 102, 7),
        (Version::V2, Family::V4, ah, 1000, 231),
        (Version::V3, Family::V4, plain, 101, 14),
        (Version::V3, Family::V4, plain, 102, 15),
        (Version::V3, Family::V4, plain, 1000, 239),
        (Version::V3, Family::V4, plain, 1500, 255),
        (Version::V3, Family::V6, plain, 1280, 76),
        (Version::V3, Family::V6, plain, 1500, 89),
        (Version::V3, Family::V6, plain, 1501, 89),
        (Version::V3, Family::V6, plain, 1502, 90),
        (Version::V3, Family::V6, plain, 4096, 252),
        (Version::V3, Family::V6, plain, 9000, 255),
    ] {
        let address = if family == Family::V4 { v4(1) } else { v6(1) };
        let template = Template { authentication, ..template(version, address) };
        let room = template.room(family, mtu);
        assert_eq!(room, expected, "{version:?} {family:?} {authentication:?} {mtu}");
    }
    // keepalived 2.2.7 takes less than nothing for 255 there.
    let template = Template { authentication: ah, ..template(Version::V2, v4(1)) };
    assert_eq!(template.room(Family::V4, 68), 1);
    assert_eq!(template.room(Family::V4, 0), 1);
}

fn check(template: &Template, family: Family, scope: ChecksumScope, expected: &[u8]) {
    assert_eq!(template.encode(100, scope), expected);
    let decoded = Advertisement::decode(template.version, family, expected).expect("valid");
    assert_eq!((decoded.vrid, decoded.priority), (template.vrid, 100));
    assert_eq!(decoded.interval, template.interval);
    assert_eq!(decoded.addresses().collect::<Vec<_>>(), template.addresses);
}

#[test]
fn version_3_over_ipv4_in_both_dialects() {
    // V-5.2-0, V-5.2.1, V-5.2.2, V-5.2.5, V-5.2.6, V-5.2.8-1, V-5.2.8-2, V-7.2-1.
    let template = template(Version::V3, v4(1));
    check(&template, Family::V4, ChecksumScope::Message, &V3);
    let destination = Ipv4Addr::new(224, 0, 0, 18).into();
    let scope = ChecksumScope::PseudoHeader { source: v4(11), destination };
    check(&template, Family::V4, scope, &V3_PSEUDO);
}

#[test]
fn version_2() {
    // V2-5.3-1, V2-5.3-2: eight bytes of authentication data, always, and in the checksum.
    check(&template(Version::V2, v4(1)), Family::V4, ChecksumScope::Message, &V2);
}

#[test]
fn version_3_over_ipv6() {
    // V-5.2.8-3, V-5.2.9-2.
    let destination = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into();
    let scope = ChecksumScope::PseudoHeader { source: v6(11), destination };
    check(&template(Version::V3, v6(1)), Family::V6, scope, &V3_IPV6);
}

#[test]
fn reserved_bits_are_ignored_and_the_interval_has_twelve() {
    // V-5.2.6, V-5.2.7: 0x0fff centiseconds, and not 0xffff.
    let mut message = V3;
    message[4] = 0xff;
    message[5] = 0xff;
    let decoded = Advertisement::decode(Version::V3, Family::V4, &message).expect("valid");
    assert_eq!(Some(decoded.interval), AdvertInterval::from_centis(4095));
}

#[test]
fn each_check_says_its_name() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, DecodeError, Change); 9] = [
        ("V-7.1-4: no header", DecodeError::Length, |message| message.truncate(7)),
        ("V-7.1-4: cut short", DecodeError::Length, |message| message.truncate(11)),
        ("V-7.1-4: a byte too many", DecodeError::Length, |message| message.push(0)),
        ("V-7.1-4: the count is higher", DecodeError::Length, |message| message[3] = 2),
        ("V-7.1-2: version", DecodeError::Version, |message| message[0] = 0x21),
        ("V-5.2.2, V-7.1-3: type", DecodeError::Type, |message| message[0] = 0x32),
        ("V-7.1-6: VRID 0", DecodeError::Vrid, |message| message[1] = 0),
        ("V-5.2.5: no address", DecodeError::Count, |message| message[3] = 0),
        ("V-5.2.7: interval 0", DecodeError::Interval, |message| message[5] = 0),
    ];
    for (name, expected, change) in cases {
        let mut message = V3.to_vec();
        change(&mut message);
        let result = Advertisement::decode(Version::V3, Family::V4, &message);
        assert_eq!(result.map(|_| ()), Err(expected), "{name}");
    }
}

/// V-5.2.6, V-5.2.7: the longest interval fills twelve bits and none of the four before them.
#[test]
fn reserved_bits_are_sent_as_zero() {
    for (centis, bytes) in [(1, [0x00, 0x01]), (256, [0x01, 0x00]), (4095, [0x0f, 0xff])] {
        let mut template = template(Version::V3, v4(1));
        template.interval = AdvertInterval::from_centis(centis).expect("in range");
        let message = template.encode(100, ChecksumScope::Message);
        assert_eq!(message[4..6], bytes, "{centis}");
    }
}

/// V-5.2.9-2: four IPv4 addresses are as long as one IPv6 address, but not by the count.
#[test]
fn a_list_of_another_family_is_refused() {
    let message = template(Version::V3, v4(1)).encode(100, ChecksumScope::Message);
    let as_ipv6 = Advertisement::decode(Version::V3, Family::V6, &message);
    assert_eq!(as_ipv6.map(|_| ()), Err(DecodeError::Length));
    let as_ipv4 = Advertisement::decode(Version::V3, Family::V4, &V3_IPV6);
    assert_eq!(as_ipv4.map(|_| ()), Err(DecodeError::Length));
}

/// V-5.2.9-3: the file's order is the wire's, so that all routers have the same one.
#[test]
fn addresses_are_sent_in_their_order() {
    let mut template = template(Version::V3, v4(1));
    template.addresses = vec![v4(9), v4(1), v4(5)];
    let message = template.encode(100, ChecksumScope::Message);
    assert_eq!(message[8..], [192, 0, 2, 9, 192, 0, 2, 1, 192, 0, 2, 5]);
}

#[test]
fn no_bytes_can_stop_the_decoder() {
    for vector in [&V3[..], &V2[..], &V3_IPV6[..]] {
        for len in 0..=vector.len() {
            for at in 0..len {
                for value in 0..=u8::MAX {
                    let mut message = vector[..len].to_vec();
                    message[at] = value;
                    for version in [Version::V2, Version::V3] {
                        for family in [Family::V4, Family::V6] {
                            if let Ok(decoded) = Advertisement::decode(version, family, &message) {
                                assert_eq!(decoded.addresses().count(), usize::from(message[3]));
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn at_most_255_addresses_are_sent() {
    let mut template = template(Version::V3, v4(1));
    template.addresses = (0..300).map(|_| v4(1)).collect();
    let message = template.encode(100, ChecksumScope::Message);
    assert_eq!((message[3], message.len()), (255, 8 + 255 * 4));
    let decoded = Advertisement::decode(Version::V3, Family::V4, &message).expect("valid");
    assert_eq!(decoded.addresses().count(), 255);
}

#[test]
fn keepalived_s_frames_come_back_byte_for_byte() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors"));
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the captured vectors") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a text");
            check_capture(&name, &text);
            count += 1;
        }
    }
    // One of each kind that `capture-vectors` makes; fewer means that some were not found.
    assert!(count >= 15, "only {count} vectors in {}", folder.display());
}

fn check_capture(name: &str, text: &str) {
    let bytes: Vec<u8> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits"))
        .collect();
    let walk = if name.contains("-ah-") { frame::walk_ah } else { frame::walk };
    let datagram = walk(&Bytes(&bytes)).unwrap_or_else(|skip| panic!("{name}: {skip:?}"));
    let end = datagram.payload_offset + datagram.payload_len;
    let message = &bytes[datagram.payload_offset..end];

    let version = if message[0] >> 4 == 2 { Version::V2 } else { Version::V3 };
    let decoded = Advertisement::decode(version, datagram.family, message)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    // RFC 2338 §5.3.6: authentication type 1 is a password, the last eight bytes; 2 is AH.
    let authentication = match (version, message[4]) {
        (Version::V2, 1) => {
            Authentication::Pass(*message.last_chunk().expect("longer than eight bytes"))
        }
        (Version::V2, 2) => Authentication::Ah(ah::Key::new([0; 8])),
        (Version::V2 | Version::V3, _) => Authentication::None,
    };
    let template = Template {
        version,
        vrid: decoded.vrid,
        interval: decoded.interval,
        addresses: decoded.addresses().collect(),
        authentication,
    };
    let encoded = template.encode(decoded.priority, scope(name, version, &datagram));
    assert_eq!(encoded, message, "{name}");
}

/// What keepalived's checksum covers (keepalived.conf(5): `v3_checksum_as_v2`,
/// `old_unicast_checksum`), by the vector's name.
fn scope(name: &str, version: Version, datagram: &Datagram) -> ChecksumScope {
    if version == Version::V2 || name.ends_with("-as-v2") {
        return ChecksumScope::Message;
    }
    let source = address(datagram.family, &datagram.source);
    if name.ends_with("-old") {
        return ChecksumScope::PseudoHeader {
            source,
            destination: Ipv4Addr::new(224, 0, 0, 18).into(),
        };
    }
    let destination = address(datagram.family, &datagram.destination);
    ChecksumScope::PseudoHeader { source, destination }
}

fn address(family: Family, bytes: &[u8; 16]) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        Family::V6 => IpAddr::from(*bytes),
    }
}
