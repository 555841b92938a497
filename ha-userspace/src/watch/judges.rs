//! What all judges of trackers have in common: which they are from plan to plan, when what they think
//! counts, and who is told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ha_config::RestartLimit;
use ha_core::{Instant, TrackerId};
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::starts::Starts;
use crate::{
    engine::{Command, Finding, Words},
    status::figures::Tracked,
};

/// Judges one tracker.
pub(super) trait Judge {
    /// What is configured.
    type Wanted;

    /// Whether it has judged this, whatever else was asked of it.
    fn is_of(&self, wanted: &Self::Wanted) -> bool;

    /// Judges by other numbers and delays from now on.
    fn follow(&mut self, wanted: Self::Wanted);
}

/// A judge whose verdict is a [`Ruling`].
pub(super) trait Ruled: Judge {
    fn ruling(&self) -> &Ruling;

    fn ruling_mut(&mut self) -> &mut Ruling;

    /// Whether it is as it is to be, by what was heard last.
    fn is_right(&self) -> bool;

    /// What is judged.
    fn title(&self) -> String;

    /// What a verdict that is new is known by.
    fn said(&self, news: News) -> String;

    /// For `status.json`.
    fn status(&self, now: Instant) -> Value;

    /// For the metrics.
    fn figure(&self, now: Instant) -> Tracked;

    /// What is due is settled.
    fn elapse(&mut self, now: Instant) -> Option<Verdict> {
        let is_right = self.is_right();
        self.ruling_mut().elapse(now, is_right);
        self.verdict()
    }

    /// An operator says that the starts so far do not count.
    fn forgive(&mut self) -> Option<Verdict> {
        self.ruling_mut().starts.forgive();
        self.verdict()
    }

    /// If it is another one than before, or has another reason.
    fn verdict(&mut self) -> Option<Verdict> {
        let news = self.ruling_mut().news()?;
        let (title, said) = (self.title(), self.said(news));
        let why = match (news.up, news.is_first) {
            (true, true) => format!("{title}: {said}"),
            (true, false) => format!("{title} is well again: {said}"),
            (false, _) => format!("{title} fails: {said}"),
        };
        Some(Verdict { up: news.up, why, words: Words::new(&said) })
    }
}

/// A verdict that is another one than before, or has another reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Verdict {
    pub(super) up: bool,
    /// Why, in a sentence for the operator.
    pub(super) why: String,
    /// What it is known by.
    pub(super) words: Words,
}

pub(super) type Verdicts = Vec<(TrackerId, Verdict)>;

/// A first verdict, which whoever goes on judging says.
pub(super) fn found((tracker, verdict): (TrackerId, Verdict)) -> Finding {
    (tracker, verdict.up.into(), verdict.words)
}

/// Says them, and tells the engine; whether there still is an engine.
pub(super) async fn tell_all(commands: &mpsc::Sender<Command>, verdicts: Verdicts) -> bool {
    for (tracker, Verdict { up, why, words }) in verdicts {
        if up {
            info!("{why}");
        } else {
            warn!("{why}");
        }
        if !tell(commands, tracker, up, words).await {
            return false;
        }
    }
    true
}

/// Whether there still is an engine that was told.
pub(super) async fn tell(
    commands: &mpsc::Sender<Command>,
    tracker: TrackerId,
    up: bool,
    words: Words,
) -> bool {
    commands.send(Command::Tracker { tracker, verdict: up.into(), words }).await.is_ok()
}

/// The judges of one kind, by the engine's numbers.
#[derive(Debug)]
pub(super) struct Judges<J>(BTreeMap<TrackerId, J>);

/// Judges that are asked on one thread how things are, while they judge on another one.
pub(super) type Shared<J> = Arc<Mutex<Judges<J>>>;

/// Holds nobody up: they are never locked for longer than it takes to look at all of them.
pub(super) fn locked<J>(judges: &Shared<J>) -> MutexGuard<'_, Judges<J>> {
    judges.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<J> Default for Judges<J> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<J: Judge> Judges<J> {
    /// Judges this from now on; who is new comes from `new`.
    pub(super) fn take(
        &mut self,
        wanted: BTreeMap<TrackerId, J::Wanted>,
        new: impl Fn(J::Wanted) -> J,
    ) {
        let mut before = mem::take(&mut self.0);
        for (tracker, wanted) in wanted {
            let judge = match before.remove(&tracker).filter(|judge| judge.is_of(&wanted)) {
                Some(mut judge) => {
                    judge.follow(wanted);
                    judge
                }
                None => new(wanted),
            };
            self.0.insert(tracker, judge);
        }
    }

    pub(super) fn one(&mut self, tracker: TrackerId) -> Option<&mut J> {
        self.0.get_mut(&tracker)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &J> {
        self.0.values()
    }

    pub(super) fn numbered(&mut self) -> impl Iterator<Item = (TrackerId, &mut J)> {
        self.0.iter_mut().map(|(tracker, judge)| (*tracker, judge))
    }
}

impl<J: Ruled> Judges<J> {
    pub(super) fn elapse(&mut self, now: Instant) -> Verdicts {
        self.numbered().filter_map(|(tracker, judge)| Some((tracker, judge.elapse(now)?))).collect()
    }

    pub(super) fn forgive(&mut self, trackers: &BTreeSet<TrackerId>) -> Verdicts {
        let meant = self.numbered().filter(|(tracker, _)| trackers.contains(tracker));
        meant.filter_map(|(tracker, judge)| Some((tracker, judge.forgive()?))).collect()
    }

    /// When [`Judges::elapse`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.iter().filter_map(|judge| judge.ruling().deadline()).min()
    }
}

/// When it counts that something is as it is to be, or not; and that it was not started too often. Pure.
#[derive(Debug)]
pub(super) struct Ruling {
    /// Whether it is as it is to be, delays included. `None`: that is not known yet.
    settled: Option<bool>,
    /// When what differs from what is settled counts.
    due: Option<Instant>,
    pub(super) starts: Starts,
    /// The last verdict that was given, and whether it was for too many starts.
    told: Option<(bool, bool)>,
}

/// A verdict that was not told yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct News {
    pub(super) up: bool,
    /// It is down because it was started too often.
    pub(super) is_storm: bool,
    pub(super) is_first: bool,
}

impl Ruling {
    /// Without a verdict; at `due` there is one at the latest.
    pub(super) fn new(limit: Option<RestartLimit>, due: Option<Instant>) -> Self {
        Self { settled: None, due, starts: Starts::new(limit), told: None }
    }

    /// The last verdict that was given.
    pub(super) fn is_up(&self) -> Option<bool> {
        self.told.map(|(up, _)| up)
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    pub(super) const fn settle(&mut self, is_right: bool) {
        self.due = None;
        self.settled = Some(is_right);
    }

    /// Settles it `delay` after the first time that it was not what is settled.
    pub(super) fn weigh(&mut self, now: Instant, is_right: bool, delay: Duration) {
        if self.settled == Some(is_right) {
            self.due = None;
        } else {
            let due = now + delay;
            self.due = Some(self.due.map_or(due, |before| before.min(due)));
        }
    }

    /// When [`Ruled::elapse`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.due, self.starts.end()].into_iter().flatten().min()
    }

    fn elapse(&mut self, now: Instant, is_right: bool) {
        if self.due.is_some_and(|due| due <= now) {
            self.settle(is_right);
        }
        self.starts.elapse(now);
    }

    fn news(&mut self) -> Option<News> {
        let is_storm = self.starts.is_storm();
        let up = self.settled? && !is_storm;
        let is_first = self.told.is_none();
        let before = self.told.replace((up, is_storm));
        (before != Some((up, is_storm))).then_some(News { up, is_storm, is_first })
    }
}
