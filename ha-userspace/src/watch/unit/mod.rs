//! `vrrp_track_unit`: units of systemd that have to be active.
//!
//! Tasks on the main thread, and a connection to the system bus, as long as a unit is tracked.

mod bus;
mod judge;

use std::{collections::BTreeSet, mem, sync::Arc};

use ha_core::{Instant, TrackerId};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tracing::{info, warn};

use self::{
    bus::{News, Wanted},
    judge::Judge,
};
use super::{
    judges::{Ruled, Shared, Verdict, Verdicts, locked, tell_all},
    pause,
};
use crate::{
    clock,
    engine::Command,
    plan::{Plan, TrackerPlan},
};

/// Orders and news that wait; whoever gives them waits with them.
const WAITING_MAX: usize = 16;

/// What is thought of the units as they are now; nothing of those that are just starting, nor where systemd
/// does not answer, of which the log hears from who asks again.
pub(super) async fn look(mut wanted: Wanted) -> Verdicts {
    if wanted.is_empty() {
        return Vec::new();
    }
    let (sights, now) = (bus::look(&wanted).await.unwrap_or_default(), clock::now());
    let verdicts = sights.into_iter().filter_map(|(tracker, sight)| {
        let verdict = Judge::new(now, wanted.remove(&tracker)?).hear(now, sight)?;
        Some((tracker, verdict))
    });
    verdicts.collect()
}

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
    judges: Shared<Judge>,
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
        let tracked = plan.trackers_of(TrackerPlan::unit);
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

    /// Who judges them; `None`: nobody does.
    pub(super) fn judges(&self) -> Option<&Shared<impl Ruled>> {
        self.running.as_ref().map(|running| &running.judges)
    }

    fn start(&self, tracked: Wanted) -> Running {
        let desk = Desk::default();
        let judges = Arc::clone(&desk.judges);
        let (wanted, wants) = watch::channel(tracked);
        let (resets, reset) = mpsc::channel(WAITING_MAX);
        let (tell, news) = mpsc::channel(WAITING_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(bus::listen(wants.clone(), tell));
        tasks.spawn(attend(desk, wants, news, reset, self.commands.clone()));
        Running { wanted, judges, resets, _tasks: tasks }
    }
}

/// Until nobody wants to know any more.
async fn attend(
    mut desk: Desk,
    mut wanted: watch::Receiver<Wanted>,
    mut news: mpsc::Receiver<News>,
    mut resets: mpsc::Receiver<BTreeSet<TrackerId>>,
    commands: mpsc::Sender<Command>,
) {
    let mut verdicts = desk.take(clock::now(), wanted.borrow_and_update().clone());
    loop {
        if !tell_all(&commands, verdicts).await {
            return;
        }
        let deadline = locked(&desk.judges).deadline();
        verdicts = tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                desk.take(clock::now(), wanted.borrow_and_update().clone())
            }
            news = news.recv() => match news {
                Some(news) => desk.hear(clock::now(), news).into_iter().collect(),
                None => return,
            },
            reset = resets.recv() => match reset {
                Some(trackers) => locked(&desk.judges).forgive(&trackers),
                None => return,
            },
            () = pause(deadline) => locked(&desk.judges).elapse(clock::now()),
        };
    }
}

/// What is thought of the units.
#[derive(Debug, Default)]
struct Desk {
    judges: Shared<Judge>,
    /// Whether it was said that systemd does not answer.
    is_silent: bool,
}

impl Desk {
    /// Judges this from now on.
    fn take(&mut self, now: Instant, wanted: Wanted) -> Verdicts {
        let mut judges = locked(&self.judges);
        judges.take(wanted, |unit| Judge::new(now, unit));
        judges.elapse(now)
    }

    fn hear(&mut self, now: Instant, news: News) -> Option<(TrackerId, Verdict)> {
        match news {
            News::Sight(tracker, sight) => {
                if mem::take(&mut self.is_silent) {
                    info!("units: systemd answers again");
                }
                // Of one that is tracked no more, something may still be on its way.
                let mut judges = locked(&self.judges);
                judges.one(tracker)?.hear(now, sight).map(|verdict| (tracker, verdict))
            }
            News::Silence(error) => {
                if !mem::replace(&mut self.is_silent, true) {
                    warn!("units stay as they were, nothing is heard of them: {error}");
                }
                None
            }
        }
    }
}
