//! The ladder: what the routers do while something disturbs them, and when the Master dies in it.

use core::{fmt, time::Duration};

use ha_tests::{clock::Stamp, pair::Side, process::Process, tempdir::TempDir, wait};
use nix::sys::signal::Signal;

use crate::{
    contender::Contender,
    duel::{Duel, Plan, signal_all},
    figure::{Effort, Figure, Section, millis, number},
    flood::Flood,
    frames::Bogus,
    stressor::{self, Kind},
    takeover,
    wire::{Said, longest_gap, overlap, presence},
};

const DURATION: Duration = Duration::from_secs(5);
/// The Master dies when the disturbance has lasted for so long.
const DIES_AT: Duration = Duration::from_secs(4);
/// For a stressor that had to wait for a processor.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);
const FLOOD_FRAMES_PER_SECOND: u32 = 100_000;
/// A silence of a Master that is one, in intervals.
const PATIENCE: u32 = 3;

/// A rung of the ladder.
#[derive(Clone, Copy, Debug)]
enum Rung {
    Stressor(Kind),
    Flood,
    /// The Backup stands still for so many intervals.
    Pause(u32),
}

impl fmt::Display for Rung {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stressor(kind) => kind.fmt(formatter),
            Self::Flood => write!(formatter, "flood, {FLOOD_FRAMES_PER_SECOND} frames a second"),
            Self::Pause(intervals) => {
                write!(formatter, "Backup stopped for {intervals} x the interval")
            }
        }
    }
}

fn ladder() -> Vec<Rung> {
    let stressors = Kind::ALL.into_iter().map(Rung::Stressor);
    stressors.chain([Rung::Flood]).chain([1, 2, 5].map(Rung::Pause)).collect()
}

pub(crate) fn measure(effort: Effort) -> Section {
    let (mut figures, mut notes) = (Vec::new(), Vec::new());
    for interval in effort.choose(&[10][..], &[10, 100][..]) {
        let interval = Duration::from_millis(*interval);
        for rung in ladder() {
            let figure = |what: &str, unit| {
                Figure::new(format!("{} ms, {rung}: {what}", interval.as_millis()), unit)
            };
            let mut gap = figure("longest gap", "ms");
            let mut takeovers = figure("false takeovers", "");
            let mut both = figure("two Masters", "ms");
            let mut overshoot = figure("takeover overhead to the first ARP", "ms");
            for contender in Contender::ALL {
                let plan = Plan { contender, instances: 1, interval };
                let Some(duel) = Duel::start(plan, &mut notes) else { continue };
                let seen = climb(&duel, rung, &mut notes);
                gap.add(contender, millis(seen.gap));
                takeovers.add(contender, number(seen.takeovers));
                both.add(contender, millis(seen.both));
                if let Some(millis) = seen.overshoot {
                    overshoot.add(contender, millis);
                }
            }
            figures.extend([gap, takeovers, both]);
            if !matches!(rung, Rung::Pause(_)) {
                figures.push(overshoot);
            }
        }
    }
    Section {
        title: "Stress",
        method: "Five seconds of each disturbance; the Master is stopped after four. Before that: \
                 the longest time between two of its advertisements, how often the Backup took over \
                 from a living Master, and for how long both advertised. Then: the takeover, as in \
                 the section on takeovers. Disturbances run on all processors, beside the routers.",
        figures,
        pictures: Vec::new(),
        notes,
    }
}

struct Seen {
    gap: Duration,
    takeovers: usize,
    both: Duration,
    /// Milliseconds; not where the Master did not die.
    overshoot: Option<f64>,
}

fn climb(duel: &Duel, rung: Rung, notes: &mut Vec<String>) -> Seen {
    let from = Stamp::now();
    let victims = duel.pids(Side::A);
    match rung {
        Rung::Stressor(kind) => {
            let directory = TempDir::new("stressor");
            let mut command = stressor::command(kind, DURATION, DIES_AT, &victims);
            command.current_dir(directory.path());
            let log = directory.path().join("log");
            let mut process = Process::start(duel.node(Side::B), command, &log, None);
            let status = process.wait(ENDS_WITHIN);
            assert!(status.success(), "{rung}: {}", process.log());
        }
        Rung::Flood => {
            let frames = Bogus::UnknownVrid.frames(duel);
            let (third, interface) = duel.third();
            let flood =
                Flood::start(third, &interface, frames, Some(FLOOD_FRAMES_PER_SECOND), DURATION);
            wait::through(DIES_AT);
            signal_all(&victims, Signal::SIGSTOP);
            flood.end();
        }
        Rung::Pause(intervals) => return pause(duel, intervals),
    }
    let interval = duel.plan().interval;
    let overhead = wait::some_within(TAKEN_OVER_WITHIN, || {
        let said = duel.wire().said(from);
        let last = last_of(&said, Side::A)?;
        let [_, arp] = takeover::overheads(&said, last, duel.plan().master_down())?;
        Some(arp)
    });
    signal_all(&victims, Signal::SIGCONT);
    if overhead.is_none() {
        notes.push(format!("{}, {rung}: node B did not take over.", duel.plan()));
    }
    let seen = before_death(&duel.wire().said(from), from, from + DIES_AT, interval);
    Seen { overshoot: overhead, ..seen }
}

/// The Backup stands still, ten times; the Master lives.
fn pause(duel: &Duel, intervals: u32) -> Seen {
    let interval = duel.plan().interval;
    let from = Stamp::now();
    for _ in 0..10 {
        let backup = duel.pids(Side::B);
        signal_all(&backup, Signal::SIGSTOP);
        wait::through(intervals * interval);
        signal_all(&backup, Signal::SIGCONT);
        wait::through(10 * interval);
    }
    let until = Stamp::now();
    before_death(&duel.wire().said(from), from, until, interval)
}

/// What happened while the Master lived, which was until `until`.
fn before_death(said: &[Said], from: Stamp, until: Stamp, interval: Duration) -> Seen {
    let of = |side| {
        let alive = said.iter().filter(move |one| one.at <= until);
        alive.filter(move |one| one.advert_of(side).is_some()).map(|one| one.at)
    };
    let patience = PATIENCE * interval;
    let backup = presence(of(Side::B), patience);
    Seen {
        gap: longest_gap(of(Side::A), from, until),
        takeovers: backup.len(),
        both: overlap(&presence(of(Side::A), interval), &presence(of(Side::B), interval)),
        overshoot: None,
    }
}

fn last_of(said: &[Said], side: Side) -> Option<Stamp> {
    said.iter().rev().find(|one| one.advert_of(side).is_some()).map(|one| one.at)
}
