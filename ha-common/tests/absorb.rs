//! What is absorbed, and what never is: by every bit of every word, and while a slot is written.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test reports by panicking")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use ha_common::{
    abi::Content,
    absorb::{State, Step, hash, judge},
    slot::SharedSlot,
};

const SOURCE: [u8; 16] = [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// RFC 9568 §5: version 3, VRID 51, priority 100, two addresses, every second.
const MESSAGE: [u8; 16] = [0x31, 51, 100, 2, 0, 100, 0xaa, 0x55, 192, 0, 2, 13, 198, 51, 100, 13];

fn content() -> Content {
    Content::of(SOURCE, &MESSAGE).expect("a whole header")
}

fn judge_by(state: State, said: &Content, expected: &Content) -> Step {
    judge(state, said, |index| expected.words()[index])
}

/// A slot that absorbs `content`, when a frame was seen at 1.
fn open_slot(content: &Content) -> SharedSlot {
    let slot = SharedSlot::default();
    assert!(!slot.stamp(1, content), "nothing is expected yet");
    assert!(slot.open(content, 1));
    slot
}

/// FNV-1a of one 32-bit word where FNV-1a takes a byte: (0xcbf29ce484222325 ^ 1) x 0x100000001b3.
#[test]
fn the_hash_is_fnv_1a_by_words() {
    let of = |start: u64, word: u64| {
        let product = u128::from(start ^ word) * 0x0100_0000_01b3;
        u64::try_from(product % (1 << 64)).expect("reduced")
    };
    let start = 0xcbf2_9ce4_8422_2325;
    assert_eq!(hash(&[]), start);
    assert_eq!(hash(&[0, 0, 0, 1]), of(start, 1));
    assert_eq!(hash(&[0, 0, 0, 1, 0xff, 0, 0, 2]), of(of(start, 1), 0xff00_0002));
}

#[test]
fn any_bit_of_source_or_message_makes_a_difference() {
    let open = State(0).reopened();
    assert!(matches!(judge_by(open, &content(), &content()), Step::Absorb(_)));
    for bit in 0..128 {
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        let mut source = SOURCE;
        source[byte] ^= mask;
        let mut message = MESSAGE;
        message[byte] ^= mask;
        for said in [Content::of(source, &MESSAGE), Content::of(SOURCE, &message)] {
            let said = said.expect("a whole header");
            assert_eq!(judge_by(open, &said, &content()), Step::Close, "bit {bit}");
        }
    }
    for len in [8, 12] {
        let said = Content::of(SOURCE, &MESSAGE[..len]).expect("a whole header");
        assert_eq!(judge_by(open, &said, &content()), Step::Close, "{len} bytes");
    }
    assert_eq!(Content::of(SOURCE, &MESSAGE[..7]), None);
}

#[test]
fn a_closed_slot_absorbs_nothing() {
    let zero = Content::default();
    assert_eq!(judge_by(State(0), &zero, &zero), Step::Pass, "a slot that nobody has written");
    assert_eq!(judge_by(State(0).reopened().closed(), &zero, &zero), Step::Pass);
    let slot = open_slot(&content());
    slot.close();
    assert!(!slot.stamp(2, &content()));
    assert_eq!((slot.heard_nanos(), slot.absorbed_nanos()), (2, 0));
}

#[test]
fn what_is_absorbed_is_counted_and_stamped() {
    let slot = open_slot(&content());
    assert!(slot.stamp(2, &content()) && slot.stamp(3, &content()));
    assert_eq!(slot.state().count(), 2);
    assert_eq!((slot.heard_nanos(), slot.absorbed_nanos()), (3, 3));
    // What was absorbed before is still known when it is closed, and only then gone.
    assert_eq!(slot.close().count(), 2);
    assert_eq!(slot.close().count(), 2);
    assert!(slot.open(&content(), 3));
    assert_eq!(slot.state().count(), 0);
}

/// A frame that has to go up ends it for those behind it, until the engine has seen it.
#[test]
fn nothing_is_absorbed_behind_a_difference() {
    let slot = open_slot(&content());
    let other = Content { hash: content().hash ^ 1, ..content() };
    assert!(slot.stamp(2, &content()));
    assert!(!slot.stamp(3, &other));
    assert!(!slot.stamp(4, &content()));
    assert_eq!((slot.absorbed_nanos(), slot.heard_nanos()), (2, 4));
    // Not before it has seen the last one.
    assert!(!slot.open(&content(), 3));
    assert!(!slot.stamp(5, &content()));
    assert!(slot.open(&content(), 5));
    assert!(slot.stamp(6, &content()));
}

#[test]
fn generations_and_counts_may_wrap() {
    let last = State(u64::MAX >> 1);
    assert!(!last.is_open());
    let first = last.reopened();
    assert!(first.is_open());
    assert_eq!(first.count(), 0);
    assert_eq!(first.closed(), State(0));
    let Step::Absorb(full) = judge_by(first, &content(), &content()) else { panic!("it is open") };
    assert_eq!(full.count(), 1);
}

/// Frames that a torn slot's test waits for: each took its chance between two openings.
const ABSORBED: u32 = 10_000;

/// Two contents are written in turn, and frames come that are a mixture of both: no slot that says
/// so was ever whole.
#[test]
fn a_torn_slot_is_never_believed() {
    let first = Content { source: [1, 1], header: 1, hash: 1 };
    let second = Content { source: [2, 2], header: 2, hash: 2 };
    let mixtures = [
        Content { source: [1, 1], header: 2, hash: 2 },
        Content { source: [2, 1], header: 1, hash: 1 },
        Content { source: [2, 2], header: 1, hash: 1 },
        Content { source: [1, 1], header: 1, hash: 2 },
    ];
    let slot = SharedSlot::default();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for content in [first, second].iter().cycle() {
                // Whatever has come last was seen.
                slot.open(content, slot.heard_nanos());
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        // Until the two have met so often that a wrong order would have shown.
        let (mut believed, mut absorbed) = (None, 0);
        while absorbed < ABSORBED && believed.is_none() {
            believed = mixtures.iter().find(|mixture| slot.stamp(1, mixture));
            absorbed += u32::from(slot.stamp(1, &first));
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().expect("it has told why");
        assert_eq!(believed, None);
    });
}
