//! Any bytes as a packet behind an Authentication Header: never a panic, and what opens is what was
//! sealed. What was sealed opens, unless a byte was changed that does not change on the way.

#![no_main]

use std::time::Duration;

use ha_core::wire::ah::{Key, Mode, Seal, Sequence, open};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary, Unstructured},
    fuzz_target,
};

/// That of the frames in `tests/vectors`.
const KEY: Key = Key::new(*b"33763994");
const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const AH_LEN: usize = 24;

#[derive(Arbitrary, Debug)]
struct Case {
    key: [u8; 8],
    is_unicast: bool,
    header: [u8; IPV4_LEN],
    sequence: u32,
    /// Which byte is changed on the way, and what is added to it.
    change: (u8, u8),
    start: Duration,
    /// Sequence numbers that are heard; `None`: one is sent.
    sequences: [Option<u32>; 8],
    message: Vec<u8>,
}

fuzz_target!(|input: &[u8]| {
    for packet in [Some(input), input.get(ETHERNET_LEN..)].into_iter().flatten() {
        for mode in [Mode::Multicast, Mode::Unicast] {
            check_opened(mode, packet);
        }
    }
    if let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(input)) {
        check_sealed(&case);
        check_sequence(&case);
    }
});

fn check_opened(mode: Mode, packet: &[u8]) {
    let Ok(opened) = open(&KEY, mode, packet) else { return };
    let header = packet.first_chunk().expect("an IPv4 header");
    let has_options = header[0] != 0x45;
    let reserved = &packet[IPV4_LEN + 2..IPV4_LEN + 4];
    if !has_options && reserved == [0, 0] {
        let seal = Seal { key: KEY, mode, sequence: opened.sequence };
        let sealed = seal.header(header, opened.message);
        assert_eq!(sealed, packet[IPV4_LEN..IPV4_LEN + AH_LEN]);
    }
}

fn check_sealed(case: &Case) {
    let key = Key::new(case.key);
    let mode = if case.is_unicast { Mode::Unicast } else { Mode::Multicast };
    let mut header = case.header;
    let len = u16::try_from(IPV4_LEN + AH_LEN + case.message.len()).expect("a short message");
    header[0] = 0x45;
    header[2..4].copy_from_slice(&len.to_be_bytes());
    // "Don't fragment" and the reserved bit are as they are.
    header[6] &= 0xc0;
    header[7] = 0;
    header[9] = 51;
    let seal = Seal { key, mode, sequence: case.sequence };
    let ah = seal.header(&header, &case.message);
    let mut packet = [&header[..], &ah, &case.message].concat();
    let opened = open(&key, mode, &packet).expect("what we seal, we open");
    assert_eq!((opened.sequence, opened.message), (case.sequence, case.message.as_slice()));

    let (place, difference) = (usize::from(case.change.0) % packet.len(), case.change.1);
    packet[place] = packet[place].wrapping_add(difference);
    // RFC 4302 §3.3.3.1.1.1: TOS, flags, TTL and header checksum change on the way; fragments are put
    // together before.
    let may_change = match place {
        1 | 10 | 11 => true,
        6 => packet[6].is_multiple_of(0x40),
        8 => mode == Mode::Unicast,
        _ => false,
    };
    let is_open = open(&key, mode, &packet).is_ok();
    assert_eq!(is_open, difference == 0 || may_change, "byte {place} plus {difference}");
}

/// All nodes count together: what counts is above all that counted or was sent before.
fn check_sequence(case: &Case) {
    let mut sequence = Sequence::starting_at(case.start);
    let mut last = 0;
    for heard in case.sequences {
        if let Some(number) = heard {
            assert_eq!(sequence.accept(number), number > last, "{number} after {last}");
            last = last.max(number);
        } else {
            let sent = sequence.advance();
            assert!(sent > last || last == u32::MAX, "{sent} after {last}");
            last = sent;
        }
    }
}
