//! What the real program absorbs: the same advertisement again, and nothing else, whatever byte of it
//! is another one and whoever writes the slot at the same time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use ha_common::{abi::Content, absorb::State, check::Reason};
use ha_tests::{
    forge::{Cover, Layout, changed, tagged},
    program::{Outcome, PASS, Program, frames, require_object},
    rules::{
        PEER_V4, SLOT, STRANGER_V4, V2, V2_PASS, V3, V3_UNICAST, V6, VLAN, VLAN_SLOT, cover_of,
        is_behind_ah, said, send_from, tables_for,
    },
    vectors,
};

use super::{Expect, Q, accepted, check, judged, monotonic_nanos, untouched};

/// Frames that keepalived sent and that XDP takes: name, frame, and what the checksum covers.
fn accepted_vectors() -> impl Iterator<Item = (String, Vec<u8>, Cover)> {
    let is_taken = |name: &str| name != "v3-ipv4-unicast-old" && !is_behind_ah(name);
    let vectors = vectors::all().into_iter().filter(move |vector| is_taken(&vector.name));
    vectors.map(|vector| {
        let cover = cover_of(&vector.name);
        (vector.name, vector.frame, cover)
    })
}

/// The frame ends in the kernel: nothing but its counters and stamps has changed.
fn check_absorbed(program: &mut Program, name: &str, frame: &[u8], slot: u32) {
    let before = program.slot(slot);
    let started = monotonic_nanos();
    let Outcome { action, counted, stamped, records } = program.run(frame);
    let [(index, now)] = stamped[..] else { panic!("{name}: {stamped:?}") };
    assert_eq!((action, index, records), (PASS, slot, Vec::new()), "{name}");
    assert_eq!(counted, [(Reason::Accepted, 1), (Reason::Absorbed, 1)], "{name}");
    assert_eq!(now.adverts, before.adverts + 1, "{name}");
    assert_eq!((now.state, now.expected), (before.state + 1, before.expected), "{name}");
    assert_eq!(now.absorbed_nanos, now.heard_nanos, "{name}");
    assert!(now.heard_nanos >= started, "{name}");
}

/// The frame goes up as if nothing were ever absorbed.
fn check_goes_up(program: &mut Program, name: &str, frame: &[u8], expect: &Expect) {
    let Expect::Accept(record) = expect else { panic!("{name} is to be accepted") };
    let outcome = program.run(frame);
    let mut expected = record.clone();
    expected.header.stamp_nanos = program.slot(record.header.slot).heard_nanos;
    assert_eq!(outcome.records, [*expected], "{name}: {frame:02x?}");
    assert_eq!(outcome.counted, [(Reason::Accepted, 1)], "{name}");
}

#[test]
fn what_is_said_again_is_absorbed() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for (name, frame, cover) in accepted_vectors() {
        program.fill(tables_for(&name));
        check_goes_up(&mut program, &name, &frame, &accepted(&frame, SLOT, 0, cover));
        program.expect(SLOT, &said(&frame));
        for _ in 0..3 {
            check_absorbed(&mut program, &name, &frame, SLOT);
        }
        // The same advertisement with a priority tag and with padding says the same.
        check_absorbed(&mut program, &name, &tagged(&frame, Q, 0), SLOT);
        check_absorbed(&mut program, &name, &[frame.as_slice(), &[0xa5; 9]].concat(), SLOT);
        assert_eq!(State(program.slot(SLOT).state).count(), 5, "{name}");
        // Another virtual router's slot is another one.
        let on_vlan = tagged(&frame, Q, VLAN);
        let expect = accepted(&frame, VLAN_SLOT, VLAN, cover);
        check_goes_up(&mut program, &name, &on_vlan, &expect);
        check_absorbed(&mut program, &name, &frame, SLOT);
        program.shared().slot(SLOT).close();
        check_goes_up(&mut program, &name, &frame, &accepted(&frame, SLOT, 0, cover));
        program.shared().slot(VLAN_SLOT).close();
    }
}

/// Every bit of the message and of the source, with checksums that hold: what passes the checks goes
/// up, and so does all that comes behind it, until the engine has seen it.
#[test]
fn no_change_is_ever_absorbed() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    let mut changes = 0;
    for (name, original, cover) in accepted_vectors() {
        let tables = tables_for(&name);
        program.fill(tables.clone());
        let layout = Layout::of(&original);
        let (source, source_len) = layout.source();
        for at in (source..source + source_len).chain(layout.message..layout.end) {
            for bit in 0..8 {
                let mut frame = original.clone();
                frame[at] ^= 1 << bit;
                layout.seal(&mut frame, cover);
                let expect = judged(&tables, &frame);
                if !matches!(expect, Expect::Accept(_)) || frame == original {
                    continue;
                }
                changes += 1;
                program.expect(SLOT, &said(&original));
                check_absorbed(&mut program, &name, &original, SLOT);
                check_goes_up(&mut program, &name, &frame, &expect);
                let same = accepted(&original, SLOT, 0, cover);
                check_goes_up(&mut program, &name, &original, &same);
                assert_eq!(State(program.slot(SLOT).state).count(), 1, "{name}: byte {at}");
            }
        }
    }
    assert!(changes > 1_000, "only {changes} changes pass the checks");
}

type Change = fn(&mut Vec<u8>, Layout);

/// The fields by their names: what each of them would hide.
#[test]
fn every_field_makes_a_difference() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    let changes: [(&str, &str, Cover, Change); 11] = [
        ("stop", V3, Cover::PseudoHeader, |frame, at| frame[at.message + 2] = 0),
        ("priority", V3, Cover::PseudoHeader, |frame, at| frame[at.message + 2] += 1),
        ("interval", V3, Cover::PseudoHeader, |frame, at| frame[at.message + 5] += 1),
        ("reserved bits", V3, Cover::PseudoHeader, |frame, at| frame[at.message + 4] ^= 0x80),
        ("dialect", V3, Cover::Message, |_, _| {}),
        ("sender", V3, Cover::PseudoHeader, |frame, at| send_from(frame, at, &STRANGER_V4)),
        ("address", V3, Cover::PseudoHeader, |frame, at| frame[at.end - 1] ^= 1),
        ("fewer addresses", V6, Cover::PseudoHeader, |frame, at| {
            frame[at.message + 3] -= 1;
            frame.truncate(at.end - 16);
        }),
        ("order", V3_UNICAST, Cover::PseudoHeader, |frame, at| {
            frame[at.message + 8..at.end].rotate_left(4);
        }),
        ("stop of version 2", V2_PASS, Cover::Message, |frame, at| frame[at.message + 2] = 0),
        // RFC 3768 §5.3.10: to be ignored, but who sends it has changed.
        ("unused data", V2, Cover::Message, |frame, at| frame[at.end - 1] = 1),
    ];
    for (what, name, cover, change) in changes {
        program.fill(tables_for(name));
        let original = vectors::load(name).frame;
        let frame = changed(&original, cover, change);
        assert_ne!(frame, original, "{what}");
        program.expect(SLOT, &said(&original));
        check_absorbed(&mut program, what, &original, SLOT);
        check_goes_up(&mut program, what, &frame, &accepted(&frame, SLOT, 0, cover));
    }
    // A frame that fails a check neither counts nor closes the slot.
    let faults: [(Reason, &str, Change); 2] = [
        (Reason::Ttl, V3, |frame, at| frame[at.ttl()] = 254),
        // RFC 3768 §7.1: to be discarded.
        (Reason::Interval, V2, |frame, at| frame[at.message + 5] = 7),
    ];
    for (reason, name, change) in faults {
        program.fill(tables_for(name));
        let original = vectors::load(name).frame;
        program.expect(SLOT, &said(&original));
        let dropped = Outcome { counted: vec![(reason, 1)], ..untouched(super::DROP) };
        assert_eq!(program.run(&changed(&original, Cover::Message, change)), dropped);
        check_absorbed(&mut program, "after", &original, SLOT);
    }
}

/// The longest advertisements there can be, changed in their last byte.
#[test]
fn long_lists_are_compared_to_their_end() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for (name, len) in [(V3, 4), (V6, 16)] {
        program.fill(tables_for(name));
        let frame = changed(&vectors::load(name).frame, Cover::PseudoHeader, |frame, layout| {
            let at = layout.message + 8;
            frame.splice(at.., (0..255 * len).map(|at| u8::try_from(at % 251).expect("a byte")));
            frame[layout.message + 3] = 255;
        });
        program.expect(SLOT, &said(&frame));
        check_absorbed(&mut program, name, &frame, SLOT);
        let other =
            changed(&frame, Cover::PseudoHeader, |frame, layout| frame[layout.end - 1] ^= 1);
        let expect = accepted(&other, SLOT, 0, Cover::PseudoHeader);
        check_goes_up(&mut program, name, &other, &expect);
    }
}

/// A slot that nobody has written is closed, whatever a frame says.
#[test]
fn a_new_slot_absorbs_nothing() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    program.fill(tables_for(V3));
    let frame = vectors::load(V3).frame;
    let expect = accepted(&frame, SLOT, 0, Cover::PseudoHeader);
    for _ in 0..2 {
        check(&mut program, V3, &frame, &expect);
    }
}

/// Ends the other thread, also when this one fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The engine writes two expectations in turn while frames come that say half the one, half the
/// other: source of the one, message of the other. No slot ever said so.
#[test]
fn a_torn_slot_is_never_believed() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    program.fill(tables_for(V3));
    let first = vectors::load(V3).frame;
    let second = changed(&first, Cover::PseudoHeader, |frame, layout| {
        send_from(frame, layout, &STRANGER_V4);
        frame[layout.message + 2] += 1;
    });
    let mixture = changed(&second, Cover::PseudoHeader, |frame, layout| {
        send_from(frame, layout, &PEER_V4);
    });
    // The message is the second's but for the checksum, which covers the source.
    let second = Content { source: said(&second).source, ..said(&mixture) };
    let [first, torn] = [said(&first), said(&mixture)];
    assert!(torn != first && torn != second && torn.source == first.source);

    let is_over = AtomicBool::new(false);
    let slots = program.shared();
    let slot = slots.slot(SLOT);
    thread::scope(|scope| {
        scope.spawn(|| {
            for content in [first, second].iter().cycle() {
                slot.open(content, slot.heard_nanos());
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _over = Over(&is_over);
        let original = vectors::load(V3).frame;
        // A machine that is busy runs the two threads at the same time only now and then.
        let mut is_absorbed = |frame: &[u8], rounds: u32| {
            (0..rounds).any(|_| {
                program.run_repeated(frame, 2_000);
                frames(&program.count_all(), Reason::Absorbed) > 0
            })
        };
        assert!(!is_absorbed(&mixture, 200), "a torn slot was believed");
        assert!(is_absorbed(&original, 20_000), "the two have not met");
    });
}
