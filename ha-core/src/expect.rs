//! What a Backup expects to hear again: advertisements that would do nothing but put its deadline
//! off need not be read, if somebody stamps and counts them.

use core::{net::IpAddr, time::Duration};

use ha_common::abi::{Content, octets};

use crate::{
    Actions, Engine, InstanceId, Instant, Received, State,
    engine::index,
    instance::{Instance, Prospect, Source},
    timers::Timer,
    wire::Advertisement,
};

/// What need not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expectation {
    /// What its Master says.
    pub content: Content,
    /// When the last frame came whose content was seen: none may have come after it unseen.
    pub seen: Instant,
}

/// What an advertisement said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) source: IpAddr,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
    content: Content,
    /// It was said in this state, and with this configuration.
    is_current: bool,
}

/// Instances that were touched since somebody looked; each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    waiting: Vec<InstanceId>,
    /// By instance.
    are_waiting: Vec<bool>,
}

impl Touched {
    /// Of so many instances, all.
    pub(crate) fn all(count: usize) -> Self {
        let waiting = (0..).map(InstanceId).take(count).collect();
        Self { waiting, are_waiting: vec![true; count] }
    }

    pub(crate) fn add(&mut self, id: InstanceId) {
        if let Some(is_waiting @ false) = self.are_waiting.get_mut(index(id)) {
            *is_waiting = true;
            self.waiting.push(id);
        }
    }

    fn next(&mut self) -> Option<InstanceId> {
        let id = self.waiting.pop()?;
        if let Some(is_waiting) = self.are_waiting.get_mut(index(id)) {
            *is_waiting = false;
        }
        Some(id)
    }
}

impl Said {
    /// Of one that was decoded: it is a whole one.
    pub(crate) fn new(received: &Received<'_>, advertisement: &Advertisement<'_>) -> Option<Self> {
        Some(Self {
            source: received.source,
            priority: advertisement.priority,
            interval: advertisement.interval.as_duration(),
            content: Content::of(octets(received.source), received.message)?,
            is_current: true,
        })
    }
}

impl Engine {
    /// What a valid advertisement must say to be told of by [`crate::Input::Heard`], if any may.
    ///
    /// Only what its Master said last, to a Backup which that leaves as it is but for its deadline.
    /// An advertisement that shows something to the operator has done so the first time.
    #[must_use]
    pub fn expectation(&self, id: InstanceId) -> Option<Expectation> {
        let instance = self.instance(id)?;
        let said = instance.said.filter(|said| instance.expects(said))?;
        // Clashes are counted by when the Master was heard: each time matters.
        let is_calm = self.group_of(id).is_some_and(|group| group.clash.count == 0);
        let seen = instance.seen.filter(|_| is_calm)?;
        Some(Expectation { content: said.content, seen })
    }

    /// An instance whose expectation may have changed since it was last given here.
    pub fn next_touched(&mut self) -> Option<InstanceId> {
        self.touched.next()
    }

    /// Adds to `found` the Backups that will take over until then, unless they hear somebody.
    pub fn takeovers_until(&self, end: Instant, found: &mut Vec<InstanceId>) {
        self.timers.until(end, &mut |timer| {
            if let Some((id, Timer::Protocol)) = Timer::at(timer)
                && self.instance(id).is_some_and(|instance| instance.state == State::Backup)
            {
                found.push(id);
            }
        });
    }

    /// Advertisements came that were not read.
    pub(crate) fn handle_heard(
        &mut self,
        now: Instant,
        id: InstanceId,
        at: Instant,
        count: u32,
        actions: &mut Actions,
    ) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        if !matches!(instance.state, State::Backup | State::Master) {
            return;
        }
        let Some(said) = instance.said else {
            return;
        };
        let heard = at.min(now);
        instance.seen = instance.seen.max(Some(heard));
        instance.statistics.adverts_received += u64::from(count);
        instance.statistics.adverts_absorbed += u64::from(count);
        instance.peers.hear_again(said.source);
        self.hear(now, id, heard, said, actions);
    }

    /// A valid advertisement, whether it was read or not.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        id: InstanceId,
        heard: Instant,
        said: Said,
        actions: &mut Actions,
    ) {
        match self.instance(id).map(Instance::state) {
            Some(State::Backup) => self.hear_as_backup(id, heard, said),
            Some(State::Master) => self.hear_as_master(now, id, heard, said, actions),
            Some(State::Init | State::Fault) | None => {}
        }
    }
}

impl Instance {
    /// What was said is to be said again before it is expected.
    pub(crate) fn expect_nothing(&mut self) {
        if let Some(said) = &mut self.said {
            said.is_current = false;
        }
    }

    /// Whether an advertisement that says the same again does nothing but put the deadline off.
    fn expects(&self, said: &Said) -> bool {
        said.is_current
            && self.state == State::Backup
            && self.prospect == Prospect::Silence
            && !self.wants_master
            && !self.listening
            && self.held_back.is_none()
            // A lesser one counts during `preempt_delay`, which the next advertisement may end.
            && self.yields_to(said.priority)
            && self.source != Source::Known(said.source)
    }
}
