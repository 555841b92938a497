//! What the XDP program costs for one frame, by kind, beside its budget: `bench xdp [--strict]`.
//!
//! The kernel runs the loaded program on a frame in memory many times and says how long one run took
//! (`BPF_PROG_TEST_RUN`): no interface, no driver, everything in the cache. The counters show that each
//! of them was what it was meant to be.

use core::time::Duration;
use std::{fs, process::ExitCode, thread};

use ha_common::{abi::SENDERS_MAX, check::Reason};
use ha_tests::{
    budget::Budget,
    forge::{Layout, changed},
    program::{DROP, PASS, Program, frames, require_object},
    rules::{SLOT, STRANGER_V4, V2_PASS, V6, cover_of, receive_at, said, send_from, tables_for},
    vectors,
};

/// The word that makes the benchmark's program this one.
pub(crate) const WORD: &str = "xdp";

const USAGE: &str = "usage: bench xdp [--strict]";

/// Each kind is measured so often, all kinds in turn: what disturbs the machine disturbs all alike.
const ROUNDS: usize = 40;
/// Frames in a round.
const REPEAT: u32 = 20_000;
/// Frames in a round that fill the ring: a tenth of what it has room for.
const REPEAT_INTO_RING: u32 = 1_000;
/// So many records do not fit: the least that one takes is 88 bytes.
const REPEAT_TO_FILL: u32 = 20_000;

/// What the program must do with a kind of frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// Passed, uncounted.
    Passed,
    /// Dropped, and counted so, for a sender that is named.
    Dropped(Reason),
    /// Dropped, and counted so, when all places for senders are taken: in a flood from made-up
    /// addresses each but the first is one of these.
    DroppedOfMany(Reason),
    /// Absorbed by an open slot.
    Absorbed,
    /// Handed up by a ring that is emptied between the rounds.
    HandedUp,
    /// To be handed up, but the ring is full and stays so.
    RingFull,
}

/// A kind of frame.
struct Kind {
    name: &'static str,
    /// The captured frame it is made from.
    vector: &'static str,
    fate: Fate,
    change: fn(&mut Vec<u8>, Layout),
}

const fn kind(
    name: &'static str,
    vector: &'static str,
    fate: Fate,
    change: fn(&mut Vec<u8>, Layout),
) -> Kind {
    Kind { name, vector, fate, change }
}

/// One captured frame with all there is to check, a peer's with a password, and what may be wrong with
/// it; and the longest frame that is usual.
const KINDS: [Kind; 14] = [
    kind("TCP over IPv4", V2_PASS, Fate::Passed, |frame, layout| set(frame, layout.ip + 9, &[6])),
    kind("TCP over IPv6", V6, Fate::Passed, |frame, layout| set(frame, layout.ip + 6, &[6])),
    kind("VRRP to another host", V2_PASS, Fate::Passed, |frame, layout| {
        receive_at(frame, layout, &STRANGER_V4);
    }),
    kind("unknown VRID", V2_PASS, Fate::Dropped(Reason::UnknownVrid), |frame, layout| {
        set(frame, layout.message + 1, &[77]);
    }),
    kind("wrong version", V2_PASS, Fate::Dropped(Reason::Version), |frame, layout| {
        set(frame, layout.message, &[0x31]);
    }),
    kind("wrong password", V2_PASS, Fate::Dropped(Reason::Password), |frame, layout| {
        set(frame, layout.end - 8, b"guessed!");
    }),
    kind(
        "wrong password, many senders",
        V2_PASS,
        Fate::DroppedOfMany(Reason::Password),
        |frame, layout| {
            set(frame, layout.end - 8, b"guessed!");
        },
    ),
    kind("wrong source", V2_PASS, Fate::Dropped(Reason::NotPeer), |frame, layout| {
        send_from(frame, layout, &STRANGER_V4);
    }),
    kind("wrong checksum", V2_PASS, Fate::Dropped(Reason::Checksum), |_, _| {}),
    kind("valid, unchanged", V2_PASS, Fate::Absorbed, |_, _| {}),
    kind("valid, changed", V2_PASS, Fate::HandedUp, |_, _| {}),
    kind("valid, changed, ring full", V2_PASS, Fate::RingFull, |_, _| {}),
    kind("20 IPv6 addresses, wrong checksum", V6, Fate::Dropped(Reason::Checksum), twenty),
    kind("20 IPv6 addresses, unchanged", V6, Fate::Absorbed, twenty),
];

/// Twenty addresses instead of two.
fn twenty(frame: &mut Vec<u8>, layout: Layout) {
    let addresses: Vec<u8> = (0..20 * 16_u16).map(|at| at.to_be_bytes()[1]).collect();
    frame.splice(layout.message + 8..layout.end, addresses);
    set(frame, layout.message + 3, &[20]);
}

fn set(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame.get_mut(at..at + bytes.len()).expect("inside the frame").copy_from_slice(bytes);
}

impl Kind {
    fn frame(&self) -> Vec<u8> {
        let original = vectors::load(self.vector).frame;
        let mut frame = changed(&original, cover_of(self.vector), self.change);
        if self.fate == Fate::Dropped(Reason::Checksum) {
            let at = Layout::of(&frame).message + 6;
            set(&mut frame, at, &[0xba, 0xad]);
        }
        frame
    }

    const fn repeat(&self) -> u32 {
        match self.fate {
            Fate::HandedUp => REPEAT_INTO_RING,
            Fate::Passed
            | Fate::Dropped(_)
            | Fate::DroppedOfMany(_)
            | Fate::Absorbed
            | Fate::RingFull => REPEAT,
        }
    }

    /// What one frame takes, in a round.
    fn measure(&self, program: &mut Program, frame: &[u8]) -> Duration {
        program.fill(tables_for(self.vector));
        program.shared().slot(SLOT).close();
        match self.fate {
            Fate::Passed | Fate::Dropped(_) | Fate::HandedUp => {}
            Fate::DroppedOfMany(_) => take_places(program, frame),
            Fate::Absorbed => program.expect(SLOT, &said(frame)),
            Fate::RingFull => {
                program.run_repeated(frame, REPEAT_TO_FILL);
            }
        }
        let before = program.count_all();
        let (action, duration) = program.run_repeated(frame, self.repeat());
        let after = program.count_all();
        let (expected, reasons): (u32, &[Reason]) = match self.fate {
            Fate::Passed => (PASS, &[]),
            Fate::Dropped(ref reason) | Fate::DroppedOfMany(ref reason) => {
                (DROP, core::slice::from_ref(reason))
            }
            Fate::Absorbed => (PASS, &[Reason::Accepted, Reason::Absorbed]),
            Fate::HandedUp => (PASS, &[Reason::Accepted]),
            Fate::RingFull => (PASS, &[Reason::Accepted, Reason::RingFull]),
        };
        assert_eq!(action, expected, "{}", self.name);
        for reason in Reason::ALL {
            let counted = frames(&after, reason) - frames(&before, reason);
            let is_expected = reasons.contains(&reason);
            let least = if is_expected { u64::from(self.repeat()) } else { 0 };
            let is_right = counted >= least && (counted == 0) != is_expected;
            assert!(is_right, "{}: {counted} times {}", self.name, reason.name());
        }
        program.drain();
        program.take_refused();
        duration
    }
}

/// Has other senders of such a frame counted on whichever CPU this runs on: the kernel may move it.
fn take_places(program: &mut Program, frame: &[u8]) {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    for last in 1..=u8::try_from(SENDERS_MAX * 4 * cpus).unwrap_or(u8::MAX) {
        let mut frame = frame.to_vec();
        let layout = Layout::of(&frame);
        send_from(&mut frame, layout, &[203, 0, 113, last]);
        layout.seal(&mut frame, cover_of(V2_PASS));
        program.run_repeated(&frame, 1);
    }
}

/// Measures and prints; with `--strict` it fails where a budget is exceeded.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let is_strict = match words {
        [] => false,
        [word] if word == "--strict" => true,
        _ => {
            eprintln!("bench: `{}` is not understood\n{USAGE}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    let Some(object) = require_object() else { return ExitCode::FAILURE };
    let mut program = Program::load(&object, false);
    let budget = Budget::load();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    println!("Linux {}, {processors} processors\n", kernel.trim());
    let is_within = show_size(&mut program, &budget) & show_times(&mut program, &budget);
    println!("{NOTES}");
    if is_strict && !is_within { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

const NOTES: &str = "
ns: the least and the middle of 40 rounds, of 20,000 frames each. \"changed\" is handed up by the ring: 1,000
frames a round, then the ring is emptied, outside the measured time; nobody waits for the ring, so that no
wake-up is in it. The slot is closed meanwhile, as it stays in the daemon until its engine has read the
first of them. With the ring full, each is stamped, counted, and lost to all but the stamp.";

fn show_size(program: &mut Program, budget: &Budget) -> bool {
    let size = program.size();
    let mut is_all_within = true;
    for (name, figure) in [
        ("instructions translated", size.translated),
        ("instructions verified", size.verified),
        ("bytes of machine code", size.jitted_bytes),
    ] {
        is_all_within &= show(name, &figure.to_string(), figure, budget);
    }
    println!();
    is_all_within
}

fn show_times(program: &mut Program, budget: &Budget) -> bool {
    let frames = KINDS.each_ref().map(Kind::frame);
    let mut rounds: [Vec<u32>; KINDS.len()] = KINDS.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for ((kind, frame), samples) in KINDS.iter().zip(&frames).zip(&mut rounds) {
            let duration = kind.measure(program, frame);
            samples.push(u32::try_from(duration.as_nanos()).expect("a short time"));
        }
    }
    println!("{:36} {:>10} {:>8}", "a frame of this kind, ns", "", "budget");
    let mut is_all_within = true;
    for (kind, mut samples) in KINDS.iter().zip(rounds) {
        samples.sort_unstable();
        let least = samples.first().copied().expect("a round");
        let middle = samples.get(ROUNDS / 2).copied().expect("a round");
        is_all_within &= show(kind.name, &format!("{least:4} {middle:5}"), least, budget);
    }
    is_all_within
}

/// A line: a figure as it is shown, beside its budget. Whether it is within.
fn show(name: &str, shown: &str, figure: u32, budget: &Budget) -> bool {
    let limit = budget.of(name);
    let is_within = limit.is_none_or(|limit| figure <= limit);
    let limit = limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    let verdict = if is_within { "" } else { "  exceeded" };
    println!("{name:36} {shown:>10} {limit:>8}{verdict}");
    is_within
}
