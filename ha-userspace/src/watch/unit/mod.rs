//! `vrrp_track_unit`: units of systemd that have to be active.
//!
//! Tasks on the main thread, and a connection to the system bus, as long as a unit is tracked.

mod bus;
mod judge;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use ha_core::{Instant, TrackerId};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tracing::{info, warn};

use self::{
    bus::{News, Wanted},
    judge::{Judge, Verdict},
};
use super::pause;
use crate::{
    clock,
    engine::Command,
    plan::{Plan, TrackerPlan},
};

/// Orders and news that wait; whoever gives them waits with them.
const WAITING_MAX: usize = 16;

/// Judges the tracked units; dropping this ends it.
#[derive(Debug)]
pub(crate) struct UnitWatch {
    commands: mpsc::Sender<Command>,
    /// `None`: no unit is tracked.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    wanted: watch::Sender<Wanted>,
    resets: mpsc::Sender<BTreeSet<TrackerId>>,
    /// Dropped, they end.
    _tasks: JoinSet<()>,
}

impl UnitWatch {
    /// Nothing yet. Verdicts go to the engine when they change.
    pub(crate) const fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands, running: None }
    }

    /// Watches what `plan` tracks. What is known goes on. Needs a runtime of tokio.
    pub(crate) fn run(&mut self, plan: &Plan) {
        let tracked = plan.trackers.numbered().filter_map(|(number, tracker)| match tracker {
            TrackerPlan::Unit(unit) => Some((TrackerId(number), unit.clone())),
            TrackerPlan::Interface(_)
            | TrackerPlan::Script(_)
            | TrackerPlan::Process(_)
            | TrackerPlan::File(_)
            | TrackerPlan::Statics(_)
            | TrackerPlan::Clock(_) => None,
        });
        let tracked: Wanted = tracked.collect();
        if tracked.is_empty() {
            self.running = None;
        } else if let Some(running) = &self.running {
            running.wanted.send_replace(tracked);
        } else {
            self.running = Some(self.start(tracked));
        }
    }

    /// Forgets the starts so far of those of these trackers that are units.
    pub(crate) async fn forgive(&self, trackers: BTreeSet<TrackerId>) {
        if let Some(running) = &self.running {
            // It ends with us.
            drop(running.resets.send(trackers).await);
        }
    }

    fn start(&self, tracked: Wanted) -> Running {
        let (wanted, wants) = watch::channel(tracked);
        let (resets, reset) = mpsc::channel(WAITING_MAX);
        let (tell, news) = mpsc::channel(WAITING_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(bus::listen(wants.clone(), tell));
        tasks.spawn(attend(wants, news, reset, self.commands.clone()));
        Running { wanted, resets, _tasks: tasks }
    }
}

/// Until nobody wants to know any more.
async fn attend(
    mut wanted: watch::Receiver<Wanted>,
    mut news: mpsc::Receiver<News>,
    mut resets: mpsc::Receiver<BTreeSet<TrackerId>>,
    commands: mpsc::Sender<Command>,
) {
    let mut desk = Desk::default();
    let mut verdicts = desk.take(clock::now(), wanted.borrow_and_update().clone());
    loop {
        for (tracker, Verdict { up, why }) in verdicts.drain(..) {
            if up {
                info!("{why}");
            } else {
                warn!("{why}");
            }
            if commands.send(Command::Tracker { tracker, verdict: up.into() }).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                verdicts = desk.take(clock::now(), wanted.borrow_and_update().clone());
            }
            news = news.recv() => match news {
                Some(news) => verdicts.extend(desk.hear(clock::now(), news)),
                None => return,
            },
            reset = resets.recv() => match reset {
                Some(trackers) => verdicts = desk.forgive(&trackers),
                None => return,
            },
            () = pause(desk.deadline()) => verdicts = desk.elapse(clock::now()),
        }
    }
}

type Verdicts = Vec<(TrackerId, Verdict)>;

/// What is thought of the units.
#[derive(Debug, Default)]
struct Desk {
    judges: BTreeMap<TrackerId, Judge>,
    /// Whether it was said that systemd does not answer.
    is_silent: bool,
}

impl Desk {
    /// Judges this from now on.
    fn take(&mut self, now: Instant, wanted: Wanted) -> Verdicts {
        let mut before = mem::take(&mut self.judges);
        for (tracker, unit) in wanted {
            let judge = match before.remove(&tracker).filter(|judge| judge.is_of(&unit)) {
                Some(mut judge) => {
                    judge.follow(unit);
                    judge
                }
                None => Judge::new(now, unit),
            };
            self.judges.insert(tracker, judge);
        }
        self.elapse(now)
    }

    fn hear(&mut self, now: Instant, news: News) -> Option<(TrackerId, Verdict)> {
        match news {
            News::Sight(tracker, sight) => {
                if mem::take(&mut self.is_silent) {
                    info!("units: systemd answers again");
                }
                // Of one that is tracked no more, something may still be on its way.
                let judge = self.judges.get_mut(&tracker)?;
                judge.hear(now, sight).map(|verdict| (tracker, verdict))
            }
            News::Silence(error) => {
                if !mem::replace(&mut self.is_silent, true) {
                    warn!("units stay as they were, nothing is heard of them: {error}");
                }
                None
            }
        }
    }

    fn forgive(&mut self, trackers: &BTreeSet<TrackerId>) -> Verdicts {
        let meant = self.judges.iter_mut().filter(|(tracker, _)| trackers.contains(tracker));
        let verdicts = meant.filter_map(|(tracker, judge)| Some((*tracker, judge.forgive()?)));
        verdicts.collect()
    }

    fn elapse(&mut self, now: Instant) -> Verdicts {
        let due = self.judges.iter_mut();
        due.filter_map(|(tracker, judge)| Some((*tracker, judge.elapse(now)?))).collect()
    }

    fn deadline(&self) -> Option<Instant> {
        self.judges.values().filter_map(Judge::deadline).min()
    }
}
