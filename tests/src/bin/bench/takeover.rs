//! How long after a Master's death the other one is there, beyond what the protocol waits.

use core::time::Duration;
use std::collections::BTreeMap;

use ha_tests::{clock::Stamp, pair::Side, wait};
use nix::sys::signal::Signal;

use crate::{
    contender::Contender,
    duel::{Duel, Plan, signal_all},
    figure::{Effort, Figure, Section, millis},
    timeline::{self, Story},
    wire::Said,
};

const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(30);

/// How a Master falls silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Death {
    Stopped,
    Killed,
}

/// Of these, each contender's last takeover is drawn.
const TOLD: (Duration, Death) = (Duration::from_millis(10), Death::Killed);
/// With these, the daemon is compared with itself.
const ALONE: (Duration, Death) = (Duration::from_millis(10), Death::Stopped);

/// Interval in milliseconds, the death, and how many of them by default and in full.
const TRIALS: [(u64, Death, usize, usize); 6] = [
    (10, Death::Stopped, 100, 100),
    (10, Death::Killed, 10, 100),
    (100, Death::Stopped, 5, 30),
    (100, Death::Killed, 5, 30),
    (1000, Death::Stopped, 1, 10),
    (1000, Death::Killed, 1, 10),
];

pub(crate) fn measure(effort: Effort) -> Section {
    let (mut figures, mut notes, mut stories) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (interval, death, default, full) in TRIALS {
        let word = match death {
            Death::Stopped => "SIGSTOP",
            Death::Killed => "SIGKILL",
        };
        let figure = |until| Figure::new(format!("{interval} ms, {word}, to the {until}"), "ms");
        let (mut adverts, mut arps) = (figure("first advertisement"), figure("first ARP"));
        let trials = effort.choose(default, full);
        let interval = Duration::from_millis(interval);
        for contender in Contender::ALL {
            let plan = Plan { contender, instances: 1, interval };
            let Some(mut duel) = Duel::start(plan, &mut notes) else { continue };
            for _ in 0..trials {
                let since = Stamp::now();
                let Some([advert, arp]) = die(&mut duel, since, death, &mut notes) else { break };
                if (interval, death) == TOLD {
                    stories.insert(contender, story(&duel, since));
                }
                adverts.add(contender, advert);
                arps.add(contender, arp);
            }
        }
        figures.extend([adverts, arps]);
        if (interval, death) == ALONE {
            figures.push(with_a_timer_each(interval, trials / 2, &mut notes));
        }
    }
    Section {
        title: "Takeover",
        method: "Milliseconds from the last advertisement of a Master that falls silent to the \
                 first advertisement and the first gratuitous ARP of the new one, minus three \
                 intervals and the skew time.",
        figures,
        pictures: vec![("timeline", timeline::svg(stories.values()))],
        notes,
    }
}

/// The same, where every advertisement is read and moves the timer: what it costs to leave the timer
/// alone, and to read the slot when it fires.
fn with_a_timer_each(interval: Duration, trials: usize, notes: &mut Vec<String>) -> Figure {
    let what = "to the first advertisement, with --no-absorb (a timer set for each one heard)";
    let mut figure = Figure::new(format!("{} ms, SIGSTOP, {what}", interval.as_millis()), "ms");
    let plan = Plan { contender: Contender::Unabsorbed, instances: 1, interval };
    if let Some(mut duel) = Duel::start(plan, notes) {
        for _ in 0..trials {
            let Some([advert, _]) = die(&mut duel, Stamp::now(), ALONE.1, notes) else { break };
            figure.add(Contender::Ours, advert);
        }
    }
    figure
}

fn story(duel: &Duel, death: Stamp) -> Story {
    let master_down = duel.plan().master_down();
    let said = duel.wire().said(death - 2 * master_down);
    Story { contender: duel.plan().contender, master_down, death, said }
}

/// Milliseconds beyond the protocol's to the first advertisement and the first gratuitous ARP;
/// `None` where there was no takeover, or no way back.
fn die(duel: &mut Duel, since: Stamp, death: Death, notes: &mut Vec<String>) -> Option<[f64; 2]> {
    let pids = duel.pids(Side::A);
    match death {
        Death::Stopped => signal_all(&pids, Signal::SIGSTOP),
        Death::Killed => duel.kill(Side::A),
    }
    let overheads = wait::some_within(TAKEN_OVER_WITHIN, || {
        let earlier = since - 4 * duel.plan().interval;
        overheads(&duel.wire().said(earlier), since, duel.plan().master_down())
    });
    match death {
        Death::Stopped => signal_all(&pids, Signal::SIGCONT),
        Death::Killed => duel.launch(Side::A),
    }
    if overheads.is_none() {
        notes.push(format!("{}: node B did not take over.", duel.plan()));
    }
    overheads.filter(|_| duel.settles(notes))
}

/// What A's death cost after `since`, if B has advertised and announced already.
pub(crate) fn overheads(said: &[Said], since: Stamp, master_down: Duration) -> Option<[f64; 2]> {
    let mut later = said.iter().filter(|one| one.at >= since);
    let advert = later.clone().find(|one| one.advert_of(Side::B).is_some())?.at;
    let arp = later.find(|one| one.is_announcement_of(Side::B))?.at;
    let is_last = |one: &&Said| one.advert_of(Side::A).is_some() && one.at < advert;
    let last = said.iter().rev().find(is_last)?.at;
    Some([advert, arp].map(|at| millis(at.since(last)) - millis(master_down)))
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::wire::What;

    #[test]
    fn the_protocols_own_wait_is_no_overhead() {
        let at = |millis| Stamp::from_epoch(Duration::from_millis(millis));
        let said = |millis, from, what| Said { at: at(millis), from, segment: 0, what };
        let arp = What::Announcement(Ipv4Addr::new(198, 51, 100, 1));
        let story = [
            said(90, Side::A, What::Advert(1)),
            said(100, Side::A, What::Advert(1)),
            said(140, Side::B, What::Advert(1)),
            said(141, Side::B, arp),
        ];
        let down = Duration::from_millis(36);
        let found = overheads(&story, at(95), down).unwrap();
        assert!((found[0] - 4.0).abs() < 1e-9 && (found[1] - 5.0).abs() < 1e-9, "{found:?}");
        assert_eq!(overheads(&story[..3], at(95), down), None);
    }
}
