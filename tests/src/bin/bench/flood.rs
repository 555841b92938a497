//! What bogus frames cost the routers, and what the routers miss for them.

use core::time::Duration;
use std::thread::{self, JoinHandle};

use ha_tests::{clock, clock::Stamp, inject::Injector, netns::Namespace, pair::Side, wait};

use crate::{
    contender::Contender,
    duel::{Duel, Plan},
    figure::{Effort, Figure, Section, number},
    frames::Bogus,
    wire::{adverts_by_router, longest_gap},
};

const INTERVAL: Duration = Duration::from_millis(100);
/// Frames between two looks at the clock.
const BURST: usize = 32;

/// Frames of one kind from one host, in turn; it ends by its own clock.
#[derive(Debug)]
pub(crate) struct Flood(JoinHandle<u64>);

impl Flood {
    /// `rate`: frames a second; `None`: as many as it can.
    pub(crate) fn start(
        namespace: &Namespace,
        interface: &str,
        frames: Vec<Vec<u8>>,
        rate: Option<u32>,
        duration: Duration,
    ) -> Self {
        let injector = Injector::new(namespace, interface);
        Self(thread::spawn(move || send(&injector, &frames, rate, duration)))
    }

    /// Waits for its end; how many frames left.
    pub(crate) fn end(self) -> u64 {
        self.0.join().expect("the flood ends in order")
    }
}

fn send(injector: &Injector, frames: &[Vec<u8>], rate: Option<u32>, duration: Duration) -> u64 {
    let started = clock::monotonic();
    let mut in_turn = frames.iter().cycle();
    let mut sent: u64 = 0;
    loop {
        let elapsed = clock::monotonic().saturating_sub(started);
        if elapsed >= duration {
            return sent;
        }
        let due = rate.map(|rate| elapsed.as_micros() * u128::from(rate) / 1_000_000);
        if due.is_some_and(|due| u128::from(sent) >= due) {
            // The rest of the burst is due by then.
            #[expect(clippy::disallowed_methods, reason = "a flood lives by the clock")]
            thread::sleep(Duration::from_micros(200));
            continue;
        }
        for frame in in_turn.by_ref().take(BURST) {
            sent += u64::from(injector.send_if_room(frame));
        }
    }
}

pub(crate) fn measure(effort: Effort) -> Section {
    let some = [Bogus::UnknownVrid, Bogus::Checksum, Bogus::Interval, Bogus::LowPriorities];
    let kinds = effort.choose(&some[..], &Bogus::ALL[..]);
    let rates = effort.choose(&[Some(100_000)][..], &[Some(10_000), Some(100_000), None][..]);
    let duration = Duration::from_secs(effort.choose(3, 10));
    let (mut figures, mut notes) = (Vec::new(), Vec::new());
    for kind in kinds {
        for rate in rates {
            let rate_word = rate.map_or("as many as possible".to_owned(), |rate| rate.to_string());
            let figure = |what, unit| Figure::new(format!("{kind}, {rate_word}/s: {what}"), unit);
            let mut load = figure("CPU of either daemon", "% of a core");
            let mut missed = figure("advertisements missed", "");
            let mut takeovers = figure("instances taken over", "");
            let mut frames = figure("frames sent", "thousands/s");
            for contender in Contender::ALL {
                let plan = Plan { contender, instances: 10, interval: INTERVAL };
                let Some(duel) = Duel::start(plan, &mut notes) else { continue };
                let seen = flood(&duel, *kind, *rate, duration);
                for share in seen.load {
                    load.add(contender, share * 100.0);
                }
                missed.add(contender, number(seen.missed));
                takeovers.add(contender, number(seen.taken));
                frames.add(contender, seen.frames_per_second / 1000.0);
            }
            figures.extend([load, missed, takeovers, frames]);
        }
    }
    Section {
        title: "Flood",
        method: "Ten instances at 100 ms; a third host sends bogus frames to the group, or valid \
                 ones that change nothing and are each another one than the last. The time \
                 that each node's daemon spends on a processor (what the kernel does before a daemon \
                 sees a frame is not in it), how many intervals passed without an advertisement of \
                 the Master, and how many instances the Backup advertised.",
        figures,
        pictures: Vec::new(),
        notes,
    }
}

struct Seen {
    /// Of node A and node B.
    load: [f64; 2],
    missed: usize,
    taken: usize,
    frames_per_second: f64,
}

fn flood(duel: &Duel, kind: Bogus, rate: Option<u32>, duration: Duration) -> Seen {
    let frames = kind.frames(duel);
    let from = Stamp::now();
    let before = Side::BOTH.map(|side| duel.processor_time(side));
    let (third, interface) = duel.third();
    let sent = Flood::start(third, &interface, frames, rate, duration).end();
    let after = Side::BOTH.map(|side| duel.processor_time(side));
    let until = Stamp::now();
    // What is on its way may still arrive at the capture.
    wait::through(INTERVAL);
    let said = duel.wire().said(from);
    let seconds = until.since(from).as_secs_f64();
    let mut load = [0.0; 2];
    for ((load, before), after) in load.iter_mut().zip(before).zip(after) {
        *load = after.saturating_sub(before).as_secs_f64() / seconds;
    }
    let missed = adverts_by_router(&said, Side::A).into_values().map(|moments| {
        let gap = longest_gap(moments, from, until);
        usize::try_from(gap.as_nanos() / INTERVAL.as_nanos()).unwrap_or(0).saturating_sub(1)
    });
    let sent = f64::from(u32::try_from(sent).unwrap_or(u32::MAX));
    Seen {
        load,
        missed: missed.sum(),
        taken: adverts_by_router(&said, Side::B).len(),
        frames_per_second: sent / seconds,
    }
}
