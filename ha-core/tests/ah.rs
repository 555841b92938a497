//! The Authentication Header against keepalived's frames: opened, sealed again byte for byte, and
//! refused for each thing that can be wrong with one.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's own vectors; what is wrong with them shall stop it"
)]

use std::{fs, path::Path, time::Duration};

use ha_core::wire::ah::{self, AhError, Key, Mode, Opened, Seal, Sequence};

/// keepalived takes eight bytes of the configured "337639943".
const KEY: Key = Key::new(*b"33763994");
const ETHERNET_LEN: usize = 14;
/// Offsets in a packet without IP options.
const AH: usize = 20;
const ICV: usize = AH + 12;
const MESSAGE: usize = AH + 24;

/// The IP packet of a captured frame.
fn packet(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors"));
    let text = fs::read_to_string(folder.join(format!("{name}.hex"))).expect("a captured vector");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .skip(ETHERNET_LEN)
        .map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits"))
        .collect()
}

fn resealed(mode: Mode, sequence: u32, packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let header = *packet.first_chunk().expect("an IP header");
    let ah = Seal { key: KEY, mode, sequence }.header(&header, &packet[MESSAGE..]);
    packet[AH..MESSAGE].copy_from_slice(&ah);
    packet
}

const MULTICAST: &str = "v2-ah-multicast";
const UNICAST: &str = "v2-ah-unicast";

const CAPTURES: [(&str, Mode, u32); 3] = [
    (MULTICAST, Mode::Multicast, 1),
    (UNICAST, Mode::Unicast, 1),
    ("v2-ah-unicast-stop", Mode::Unicast, 2),
];

/// V2-7.1-3.
#[test]
fn keepalived_s_packets_open_and_come_back_byte_for_byte() {
    for (name, mode, sequence) in CAPTURES {
        let packet = packet(name);
        let opened = ah::open(&KEY, mode, &packet);
        assert_eq!(opened, Ok(Opened { sequence, message: &packet[MESSAGE..] }), "{name}");
        assert_eq!(resealed(mode, sequence, &packet), packet, "{name}");
    }
}

#[test]
fn padding_behind_the_packet_is_not_part_of_it() {
    let packet = packet(MULTICAST);
    let padded = [packet.as_slice(), &[0; 9]].concat();
    let opened = ah::open(&KEY, Mode::Multicast, &padded);
    assert_eq!(opened, Ok(Opened { sequence: 1, message: &packet[MESSAGE..] }));
}

/// RFC 4302 §3.3.3.1.1.1, and the TTL as keepalived 2.2.7 was seen to treat it.
#[test]
fn what_changes_on_the_way_is_not_sealed_and_all_else_is() {
    // TOS, "don't fragment", the header's checksum.
    let changing = [(1, 0xff), (6, 0x40), (10, 0xff), (11, 0xff)];
    for (name, mode, _) in CAPTURES {
        let packet = packet(name);
        for at in 0..packet.len() {
            for bit in 0..8 {
                let mut other = packet.clone();
                other[at] ^= 1 << bit;
                let may_change =
                    changing.contains(&(at, 0xff)) || changing.contains(&(at, 1 << bit));
                let is_ttl_of_unicast = at == 8 && mode == Mode::Unicast;
                // The evil bit, which no router touches, is in the same byte as "don't fragment".
                let is_evil = (at, bit) == (6, 7);
                let expected = may_change || is_ttl_of_unicast || is_evil;
                let is_good = ah::open(&KEY, mode, &other).is_ok();
                assert_eq!(is_good, expected, "{name}: bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn each_fault_has_its_name() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, AhError, Change); 14] = [
        ("nothing", AhError::Protocol, Vec::clear),
        ("no whole IP header", AhError::Protocol, |packet| packet.truncate(19)),
        ("version 6", AhError::Protocol, |packet| packet[0] = 0x65),
        ("a header of four words", AhError::Protocol, |packet| packet[0] = 0x44),
        ("a plain advertisement", AhError::Protocol, |packet| packet[9] = 112),
        ("a first fragment", AhError::Protocol, |packet| packet[6] = 0x20),
        ("a later fragment", AhError::Protocol, |packet| packet[7] = 1),
        ("another next header", AhError::Protocol, |packet| packet[AH] = 50),
        ("cut short", AhError::Length, |packet| packet.truncate(67)),
        ("no whole AH", AhError::Length, |packet| packet[3] = 43),
        ("options to beyond the end", AhError::Length, |packet| {
            packet[0] = 0x4f;
            packet[3] = 59;
        }),
        ("RFC 4302 §2.2: an ICV of 128 bits", AhError::Length, |packet| packet[AH + 1] = 5),
        ("another SPI", AhError::Spi, |packet| packet[AH + 7] ^= 1),
        ("a changed ICV", AhError::Icv, |packet| packet[ICV + 11] ^= 1),
    ];
    for (name, expected, change) in cases {
        let mut packet = packet(MULTICAST);
        change(&mut packet);
        assert_eq!(ah::open(&KEY, Mode::Multicast, &packet), Err(expected), "{name}");
        assert!(!expected.to_string().is_empty());
    }
}

/// V2-7.1-3.
#[test]
fn another_key_and_another_mode_do_not_open_it() {
    let other = Key::new(*b"33763995");
    for (name, mode, _) in CAPTURES {
        let packet = packet(name);
        assert_eq!(ah::open(&other, mode, &packet), Err(AhError::Icv), "{name}");
        let wrong = match mode {
            Mode::Multicast => Mode::Unicast,
            Mode::Unicast => Mode::Multicast,
        };
        assert_eq!(ah::open(&KEY, wrong, &packet), Err(AhError::Icv), "{name}");
    }
}

/// keepalived 2.2.7 accepts them: it seals options and the reserved field as they are.
#[test]
fn options_and_the_reserved_field_are_sealed_as_they_are() {
    let plain = packet(UNICAST);
    let mut reserved = plain.clone();
    reserved[AH + 3] = 1;
    assert_eq!(ah::open(&KEY, Mode::Unicast, &reserved), Err(AhError::Icv));

    // Sealed by Python's hmac over the same bytes.
    let mut with_options = plain.clone();
    with_options[0] = 0x46;
    with_options[3] += 4;
    with_options.splice(AH..AH, [1, 1, 1, 0]);
    with_options[ICV + 4..MESSAGE + 4].copy_from_slice(&ICV_WITH_OPTIONS);
    let opened = ah::open(&KEY, Mode::Unicast, &with_options);
    assert_eq!(opened, Ok(Opened { sequence: 1, message: &plain[MESSAGE..] }));
}

/// `hmac.new(b"33763994", packet, "md5").digest()[:12]`, where `packet` is the one of the test with
/// TOS, flags, TTL, checksum and ICV zero.
const ICV_WITH_OPTIONS: [u8; 12] =
    [0xb1, 0x26, 0x21, 0x71, 0xaa, 0x1f, 0x85, 0xa2, 0x97, 0xb0, 0x0f, 0x17];

#[test]
fn no_bytes_can_stop_it() {
    let packet = packet(MULTICAST);
    for len in 0..=packet.len() {
        for at in 0..len.min(MESSAGE) {
            for value in 0..=u8::MAX {
                let mut other = packet[..len].to_vec();
                other[at] = value;
                if let Ok(opened) = ah::open(&KEY, Mode::Multicast, &other) {
                    assert_eq!(opened.message, &packet[MESSAGE..]);
                }
            }
        }
    }
}

#[test]
fn the_key_reaches_no_log() {
    assert_eq!(format!("{KEY:?}"), "********");
}

/// A node whose clock says 1970.
fn sequence() -> Sequence {
    Sequence::starting_at(Duration::ZERO)
}

/// V2-7.1-3. keepalived 2.2.7: "sequence number 100 already processed. Packet dropped. Local(100)".
#[test]
fn a_number_counts_once() {
    let mut sequence = sequence();
    let heard = [100, 100, 50, 101, 101, 100, 300, 299, u32::MAX, u32::MAX, 0, 1];
    let expected = [true, false, false, true, false, false, true, false, true, false, false, false];
    assert_eq!(heard.map(|number| sequence.accept(number)), expected);
}

#[test]
fn all_nodes_count_together() {
    let (mut a, mut b) = (sequence(), sequence());
    assert_eq!([a.advance(), a.advance(), a.advance()], [1, 2, 3]);
    // B, just started, goes on where A was.
    assert!(b.accept(3));
    assert_eq!(b.advance(), 4);
    // A, started anew, knows of nothing and is not believed; then it hears B, and is.
    let mut a = Sequence::starting_at(Duration::ZERO);
    let low = a.advance();
    assert!(!b.accept(low));
    assert!(a.accept(4));
    let next = a.advance();
    assert!(b.accept(next));
    // What was sent is used, too.
    assert!(!a.accept(next));
}

#[test]
fn a_start_is_above_all_that_was_sent_before() {
    // 2020-01-01 00:00 UTC, and from there to 2026-11-23 23:00 UTC: 217,638,000 s.
    let unix = Duration::from_hours(438_288 + 60_455);
    let mut first = Sequence::starting_at(unix);
    assert_eq!(first.advance(), 435_276_000);
    let mut last = 0;
    for _ in 0..3600 {
        last = first.advance();
    }
    let mut again = Sequence::starting_at(unix + Duration::from_hours(1));
    assert!(again.advance() > last);
    // It knows of no number yet: a keepalived that has just started counts from 1.
    assert!(Sequence::starting_at(unix).accept(1));
}

#[test]
fn a_wrong_clock_does_not_use_the_numbers_up() {
    for unix in [Duration::ZERO, Duration::from_secs(1_577_836_799), Duration::MAX] {
        assert_eq!(Sequence::starting_at(unix).advance(), 1);
    }
    // 2100-01-01.
    assert_eq!(Sequence::starting_at(Duration::from_hours(1_139_568)).advance(), 1);
}

/// keepalived 2.2.7 repeats 4294967295 too, and takes no number after it.
#[test]
fn after_the_last_number_there_is_none() {
    let mut sequence = sequence();
    assert!(sequence.accept(u32::MAX - 1));
    assert_eq!([sequence.advance(), sequence.advance()], [u32::MAX; 2]);
}
