//! The real XDP program, run by the kernel on hand-made frames: what it answers, counts, stamps and
//! hands up. No interface takes part.
//!
//! Frames are a real keepalived's, as captured or changed in one thing; what must become of them is
//! said here by RFC 9568 (and RFC 3768 for version 2), not by the code under test. Only for the mass of
//! mutants the host's judge says it: there the two must agree.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking"
)]

#[path = "prog_run/absorb.rs"]
mod absorb;
#[path = "prog_run/refused.rs"]
mod refused;
#[path = "prog_run/walk.rs"]
mod walk;

use ha_common::{
    abi::{
        ADDRESS_GROUP, ADDRESS_LOCAL, AdvertHeader, DIALECT_PLAIN, DIALECT_PSEUDO_HEADER, PeerRule,
        RING_BYTES,
    },
    check::{self, Reason, Verdict},
    frame::Bytes,
    proto::{AH_LEN, AUTH_NONE, AUTH_PASS, Family, IP_PROTOCOL},
};
use ha_tests::{
    budget::Budget,
    clock,
    forge::{Cover, Layout, changed},
    program::{DROP, IFINDEX, Outcome, PASS, Program, Record, Tables, frames, require_object},
    rules::{
        GROUP_V4, GROUP_V6, OWN_V4, OWN_V6, SLOT, STRANGER_V4, V2, V2_PASS, V3, V3_UNICAST, V6,
        V6_UNICAST, cover_of, family_of, is_behind_ah, receive_at, send_from, tables_for, wide,
    },
    vectors,
};

const Q: u16 = 0x8100;
const AD: u16 = 0x88a8;

/// What must become of a frame.
#[derive(Clone, Debug)]
enum Expect {
    Stranger,
    Drop(Reason),
    /// The record, with a stamp of zero.
    Accept(Box<Record>),
}

/// The one check: the answer, and everything the program leaves behind.
fn check(program: &mut Program, name: &str, frame: &[u8], expect: &Expect) {
    let slot = match expect {
        Expect::Accept(record) => record.header.slot,
        Expect::Stranger | Expect::Drop(_) => SLOT,
    };
    let before = program.slot(slot);
    let started = monotonic_nanos();
    let outcome = program.run(frame);
    let ended = monotonic_nanos();
    let context = format!("{name}: {frame:02x?}");
    match expect {
        Expect::Stranger => assert_eq!(outcome, untouched(PASS), "{context}"),
        Expect::Drop(reason) => {
            let expected = Outcome { counted: vec![(*reason, 1)], ..untouched(DROP) };
            assert_eq!(outcome, expected, "{context}");
        }
        Expect::Accept(record) => {
            assert_eq!(outcome.action, PASS, "{context}");
            assert_eq!(outcome.counted, [(Reason::Accepted, 1)], "{context}");
            let [(stamped, now)] = outcome.stamped[..] else {
                panic!("{context}: one slot is stamped, not {:?}", outcome.stamped);
            };
            assert_eq!((stamped, now.adverts), (slot, before.adverts + 1), "{context}");
            assert!((started..=ended).contains(&now.heard_nanos), "{context}: {now:?}");
            assert_eq!((now.state, now.absorbed_nanos), (0, 0), "{context}");
            let mut expected = Record::clone(record);
            expected.header.stamp_nanos = now.heard_nanos;
            assert_eq!(outcome.records, [expected], "{context}");
        }
    }
}

fn untouched(action: u32) -> Outcome {
    Outcome { action, counted: Vec::new(), stamped: Vec::new(), records: Vec::new() }
}

fn monotonic_nanos() -> u64 {
    u64::try_from(clock::monotonic().as_nanos()).expect("less than 500 years")
}

/// That `frame` is accepted, with what the sender put into it.
fn accepted(frame: &[u8], slot: u32, vlan: u16, cover: Cover) -> Expect {
    let layout = Layout::of(frame);
    let address = |(at, len): (usize, usize)| wide(&frame[at..at + len]);
    let message = frame[layout.message..layout.end].to_vec();
    let destination = address(layout.destination());
    let is_group = [wide(&GROUP_V4), GROUP_V6].contains(&destination);
    let header = AdvertHeader {
        stamp_nanos: 0,
        slot,
        ifindex: IFINDEX,
        source: address(layout.source()),
        destination,
        message_len: u16::try_from(message.len()).expect("a length"),
        vlan,
        family: family_of(frame).as_u8(),
        ttl: frame[layout.ttl()],
        dialect: match cover {
            Cover::Message => DIALECT_PLAIN,
            Cover::PseudoHeader => DIALECT_PSEUDO_HEADER,
        },
        destination_kind: u8::try_from(if is_group { ADDRESS_GROUP } else { ADDRESS_LOCAL })
            .expect("a small number"),
        pad: [0; 8],
    };
    Expect::Accept(Box::new(Record { header, message }))
}

/// What the host's judge says of `frame`.
fn judged(tables: &Tables, frame: &[u8]) -> Expect {
    let accepted = match check::judge(&Bytes(frame), tables, IFINDEX) {
        Verdict::NotVrrp(_) | Verdict::Stranger => return Expect::Stranger,
        Verdict::Drop(reason, _) => return Expect::Drop(reason),
        Verdict::Accept(accepted) => accepted,
    };
    let datagram = accepted.datagram;
    let end = datagram.payload_offset + datagram.payload_len;
    let header = AdvertHeader {
        stamp_nanos: 0,
        slot: accepted.slot,
        ifindex: IFINDEX,
        source: datagram.source,
        destination: datagram.destination,
        message_len: u16::try_from(datagram.payload_len).expect("a length"),
        vlan: datagram.vlan,
        family: datagram.family.as_u8(),
        ttl: datagram.ttl,
        dialect: accepted.dialect,
        destination_kind: u8::try_from(accepted.destination_kind).expect("a small number"),
        pad: [0; 8],
    };
    let message = frame[datagram.payload_offset..end].to_vec();
    Expect::Accept(Box::new(Record { header, message }))
}

/// Keepalived's own frames; all but the one in the form of its versions before 1.3.6, whose
/// checksum covers another destination than the frame has (RFC 5798 §5.2.8). V-7.1-1, V-7.1-2, V-7.1-3,
/// V-7.1-4, V-7.1-5, V-7.1-6, V2-7.1-1, V2-7.1-3.
#[test]
fn captured_frames_are_accepted() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for vector in vectors::all() {
        let name = &vector.name;
        program.fill(tables_for(name));
        let expect = match name.as_str() {
            "v3-ipv4-unicast-old" => Expect::Drop(Reason::Checksum),
            _ if is_behind_ah(name) => Expect::Stranger,
            _ => accepted(&vector.frame, SLOT, 0, cover_of(name)),
        };
        check(&mut program, name, &vector.frame, &expect);
    }
}

/// One thing wrong with a captured frame.
struct Fault {
    reason: Reason,
    vector: &'static str,
    change: fn(&mut Vec<u8>, Layout),
}

/// Faults in frames whose checksums are right.
const FAULTS: [Fault; 38] = [
    // RFC 9568 §7.1: "MUST verify that the received packet contains the complete VRRP packet".
    fault(Reason::Length, V3, |frame, layout| frame[layout.message + 3] = 3),
    fault(Reason::Length, V3, |frame, layout| frame[layout.message + 3] = 1),
    fault(Reason::Length, V3, |frame, layout| frame.truncate(layout.message + 8)),
    fault(Reason::Length, V3, |frame, _| frame.extend([0; 4])),
    fault(Reason::Length, V6, |frame, layout| frame[layout.message + 3] = 255),
    fault(Reason::Length, V6, |frame, layout| frame.truncate(layout.end - 16)),
    // RFC 3768 §5.1: the authentication data is always there.
    fault(Reason::Length, V2, |frame, layout| frame.truncate(layout.end - 8)),
    // RFC 9568 §7.1: "MUST verify that the VRID is configured on the receiving interface".
    fault(Reason::UnknownVrid, V2, |frame, layout| frame[layout.message + 1] = 77),
    fault(Reason::UnknownVrid, V3, |frame, layout| frame[layout.message + 1] = 0),
    fault(Reason::UnknownVrid, V6, |frame, layout| frame[layout.message + 1] = 134),
    // RFC 9568 §7.1: "MUST verify that the IPv4 TTL/IPv6 hop limit is 255".
    fault(Reason::Ttl, V2, |frame, layout| frame[layout.ttl()] = 254),
    fault(Reason::Ttl, V3, |frame, layout| frame[layout.ttl()] = 254),
    fault(Reason::Ttl, V6, |frame, layout| frame[layout.ttl()] = 1),
    // RFC 9568 §7.1: "MUST verify the VRRP version is 3".
    fault(Reason::Version, V3, |frame, layout| frame[layout.message] = 0x21),
    fault(Reason::Version, V3, |frame, layout| frame[layout.message] = 0x41),
    fault(Reason::Version, V2, |frame, layout| frame[layout.message] = 0x31),
    // RFC 9568 §5.2.2: "A packet with unknown type MUST be discarded".
    fault(Reason::Type, V3, |frame, layout| frame[layout.message] = 0x32),
    fault(Reason::Type, V6, |frame, layout| frame[layout.message] = 0x30),
    // RFC 9568 §5.2.5: "If the received count is 0, the VRRP advertisement MUST be ignored".
    fault(Reason::Count, V3, |frame, layout| {
        frame.truncate(layout.message + 8);
        frame[layout.message + 3] = 0;
    }),
    // keepalived: a unicast instance takes nothing from the group, and the reverse.
    fault(Reason::Destination, V3_UNICAST, |frame, layout| receive_at(frame, layout, &GROUP_V4)),
    fault(Reason::Destination, V3, |frame, layout| receive_at(frame, layout, &OWN_V4)),
    fault(Reason::Destination, V6, |frame, layout| receive_at(frame, layout, &OWN_V6)),
    // A reflection: nobody else may send from an address of this host.
    fault(Reason::OwnSource, V3, |frame, layout| send_from(frame, layout, &OWN_V4)),
    fault(Reason::OwnSource, V3_UNICAST, |frame, layout| send_from(frame, layout, &OWN_V4)),
    fault(Reason::OwnSource, V6, |frame, layout| send_from(frame, layout, &OWN_V6)),
    // keepalived `unicast_peer`.
    fault(Reason::NotPeer, V2_PASS, |frame, layout| send_from(frame, layout, &STRANGER_V4)),
    fault(Reason::NotPeer, V3_UNICAST, |frame, layout| send_from(frame, layout, &STRANGER_V4)),
    fault(Reason::NotPeer, V6_UNICAST, |frame, layout| {
        send_from(frame, layout, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    }),
    // RFC 3768 §7.1: "MUST verify that the Auth Type matches the locally configured method".
    fault(Reason::AuthType, V2, |frame, layout| frame[layout.message + 4] = AUTH_PASS),
    fault(Reason::AuthType, V2_PASS, |frame, layout| frame[layout.message + 4] = AUTH_NONE),
    // RFC 2338 §5.3.6.3: what is to be authenticated by its header has one.
    fault(Reason::AuthType, "v2-ah-unicast", |frame, layout| {
        frame.drain(layout.message - AH_LEN..layout.message);
        frame[layout.ip + 9] = IP_PROTOCOL;
    }),
    fault(Reason::Password, V2_PASS, |frame, layout| frame[layout.end - 1] ^= 1),
    fault(Reason::Password, V2_PASS, |frame, layout| frame[layout.end - 8..].fill(0)),
    // RFC 3768 §7.1: "MUST verify that the Adver Interval in the packet is the same".
    fault(Reason::Interval, V2, |frame, layout| frame[layout.message + 5] = 2),
    fault(Reason::Interval, V2, |frame, layout| frame[layout.message + 5] = 0),
    fault(Reason::Interval, V2_PASS, |frame, layout| frame[layout.message + 5] = 3),
    // Erratum 8301 of RFC 9568.
    fault(Reason::Interval, V3, |frame, layout| frame[layout.message + 4..][..2].fill(0)),
    fault(Reason::Interval, V6, |frame, layout| frame[layout.message + 5] = 0),
];

/// Reasons that need a key, which XDP has not: `tests/ah.rs` is about them.
const OF_USER_SPACE: [Reason; 3] = [Reason::AhHeader, Reason::AhIcv, Reason::AhSequence];

const fn fault(reason: Reason, vector: &'static str, change: fn(&mut Vec<u8>, Layout)) -> Fault {
    Fault { reason, vector, change }
}

/// V-5.2.7, V-7.1-1, V-7.1-2, V-7.1-3, V-7.1-4, V-7.1-5, V-7.1-6, V2-7.1-1, V2-7.1-2, V2-7.1-3, in the
/// kernel.
#[test]
fn every_fault_is_dropped_and_counted_by_its_reason() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for Fault { reason, vector, change } in FAULTS {
        program.fill(tables_for(vector));
        let frame = changed(&vectors::load(vector).frame, cover_of(vector), change);
        check(&mut program, vector, &frame, &Expect::Drop(reason));
    }
    // The two whose fault is the seal itself.
    let is_sealed_otherwise = |name: &str| name == "v3-ipv4-unicast-old" || is_behind_ah(name);
    for vector in vectors::all().iter().filter(|vector| !is_sealed_otherwise(&vector.name)) {
        program.fill(tables_for(&vector.name));
        let layout = Layout::of(&vector.frame);
        let mut frame = vector.frame.clone();
        frame[layout.message + 2] ^= 0x10;
        check(&mut program, &vector.name, &frame, &Expect::Drop(Reason::Checksum));
        if family_of(&frame) == Family::V4 {
            let mut frame = vector.frame.clone();
            frame[layout.ip + 1] ^= 0x10;
            check(&mut program, &vector.name, &frame, &Expect::Drop(Reason::HeaderChecksum));
        }
    }
    let tested = |reason: &Reason| FAULTS.iter().any(|fault| fault.reason == *reason);
    let untested: Vec<Reason> = Reason::ALL.into_iter().filter(|one| !tested(one)).collect();
    // The first three are no drops, and tested below, above and in `absorb`; the two checksums are
    // just above.
    let mut elsewhere = vec![
        Reason::Accepted,
        Reason::RingFull,
        Reason::Absorbed,
        Reason::Checksum,
        Reason::HeaderChecksum,
    ];
    elsewhere.extend(OF_USER_SPACE);
    assert_eq!(untested, elsewhere);
}

/// RFC 9568 §5.2.8: over IPv6 the pseudo-header is a part of the sum; in version 2 it never is.
#[test]
fn each_family_and_version_has_its_own_dialect() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for (vector, cover, is_good) in [
        (V2, Cover::Message, true),
        (V2, Cover::PseudoHeader, false),
        (V3, Cover::Message, true),
        (V3, Cover::PseudoHeader, true),
        (V6, Cover::Message, false),
        (V6, Cover::PseudoHeader, true),
    ] {
        program.fill(tables_for(vector));
        let frame = changed(&vectors::load(vector).frame, cover, |_, _| {});
        let expect =
            if is_good { accepted(&frame, SLOT, 0, cover) } else { Expect::Drop(Reason::Checksum) };
        check(&mut program, vector, &frame, &expect);
    }
}

/// keepalived `unicast_peer { IP min_ttl 100 max_ttl 200 }`.
#[test]
fn a_peers_ttl_has_limits() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    let mut tables = tables_for(V3_UNICAST);
    for rule in tables.peers.values_mut() {
        *rule = PeerRule { ttl_min: 100, ttl_max: 200, pad: [0; 2] };
    }
    program.fill(tables);
    for (ttl, is_good) in [(99, false), (100, true), (200, true), (201, false), (255, false)] {
        let frame = changed(&vectors::load(V3_UNICAST).frame, Cover::Message, |frame, layout| {
            frame[layout.ttl()] = ttl;
        });
        let expect = if is_good {
            accepted(&frame, SLOT, 0, Cover::Message)
        } else {
            Expect::Drop(Reason::Ttl)
        };
        check(&mut program, "ttl", &frame, &expect);
    }
}

/// Reserved bits are ignored (RFC 9568 §5.2.6), and so is what a priority or interval may be.
#[test]
fn contents_are_the_engines_affair() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    program.fill(tables_for(V3));
    for (offset, value) in [(4, 0xff), (4, 0x00), (5, 1), (2, 0), (2, 255), (8, 0), (8, 224)] {
        let frame = changed(&vectors::load(V3).frame, Cover::PseudoHeader, |frame, layout| {
            frame[layout.message + offset] = value;
        });
        let expect = accepted(&frame, SLOT, 0, Cover::PseudoHeader);
        check(&mut program, "contents", &frame, &expect);
    }
}

/// Unlike times, instructions are the same in every run: a program that grows shows at once.
#[test]
fn the_program_stays_within_its_budget_of_instructions() {
    let Some(object) = require_object() else { return };
    let size = Program::load(&object, false).size();
    let budget = Budget::load();
    for (name, count) in
        [("instructions translated", size.translated), ("instructions verified", size.verified)]
    {
        let limit = budget.of(name).expect("a limit");
        assert!(count <= limit, "{name}: {count} of {limit}: see docs/benchmarks/xdp-budget.txt");
        assert!(count > limit / 4, "{name}: {count} of {limit}: a budget that says nothing");
    }
}

/// The most addresses there can be, in more than one page.
#[test]
fn the_longest_advertisements() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for (name, address_len) in [(V3, 4), (V6, 16), (V2, 4)] {
        for count in [1_u8, 2, 3, 20, 127, 128, 255] {
            program.fill(tables_for(name));
            let cover = cover_of(name);
            let frame = changed(&vectors::load(name).frame, cover, |frame, layout| {
                let at = layout.message + 8;
                let addresses = (0..usize::from(count) * address_len)
                    .map(|at| u8::try_from(at * 7 % 251).expect("a byte"));
                frame.splice(at..at + 2 * address_len, addresses);
                frame[layout.message + 3] = count;
            });
            let expect = accepted(&frame, SLOT, 0, cover);
            check(&mut program, name, &frame, &expect);
            let mut broken = frame.clone();
            *broken.last_mut().expect("a frame") ^= 0x80;
            check(&mut program, name, &broken, &Expect::Drop(Reason::Checksum));
        }
    }
}

#[test]
fn a_full_ring_is_counted_and_the_stamp_stands() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    program.fill(tables_for(V2));
    let frame = vectors::load(V2).frame;
    // A record has at least the header and the message, 88 bytes: so many do not fit.
    let runs = RING_BYTES / 64;
    let (action, _) = program.run_repeated(&frame, runs);
    let started = monotonic_nanos();
    let (last_action, _) = program.run_repeated(&frame, 1);
    let slot = program.slot(SLOT);
    assert_eq!((action, last_action), (PASS, PASS));
    assert!(slot.adverts > u64::from(runs));
    assert!(slot.heard_nanos >= started, "a full ring must not keep the stamp back");

    let records = program.drain();
    let Expect::Accept(expected) = accepted(&frame, SLOT, 0, Cover::Message) else { return };
    let mut last = 0;
    for record in &records {
        let mut intact = Record::clone(&expected);
        intact.header.stamp_nanos = record.header.stamp_nanos;
        assert_eq!(*record, intact);
        assert!(record.header.stamp_nanos >= last, "in the order of arrival");
        last = record.header.stamp_nanos;
    }
    let counters = program.count_all();
    let full = frames(&counters, Reason::RingFull);
    assert_eq!(frames(&counters, Reason::Accepted), slot.adverts);
    assert!(full > 0 && !records.is_empty());
    assert_eq!(u64::try_from(records.len()).expect("a count") + full, slot.adverts);
    // Once drained, there is room again.
    check(&mut program, "after", &frame, &Expect::Accept(expected));
}

#[test]
fn unknown_vrids_pass_on_request_and_are_counted_all_the_same() {
    let Some(object) = require_object() else { return };
    for (is_passed, action) in [(false, DROP), (true, PASS)] {
        let mut program = Program::load(&object, is_passed);
        program.fill(tables_for(V3));
        let frame = vectors::load(V3).frame;
        let of_others = changed(&frame, Cover::Message, |frame, layout| {
            frame[layout.message + 1] = 77;
        });
        let expected = Outcome { counted: vec![(Reason::UnknownVrid, 1)], ..untouched(action) };
        assert_eq!(program.run(&of_others), expected);
        // Nothing else passes by that.
        check(&mut program, "ours", &frame, &accepted(&frame, SLOT, 0, Cover::PseudoHeader));
        let faulty = changed(&frame, Cover::Message, |frame, layout| frame[layout.ttl()] = 1);
        check(&mut program, "faulty", &faulty, &Expect::Drop(Reason::Ttl));
    }
}

#[test]
fn an_interface_without_counters_is_judged_the_same() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    program.fill(tables_for(V3));
    program.forget_counters();
    let frame = vectors::load(V3).frame;
    let outcome = program.run(&frame);
    assert_eq!((outcome.action, outcome.counted), (PASS, Vec::new()));
    assert_eq!((outcome.stamped.len(), outcome.records.len()), (1, 1));
    let faulty = changed(&frame, Cover::Message, |frame, layout| frame[layout.ttl()] = 1);
    assert_eq!(program.run(&faulty), untouched(DROP));
}
