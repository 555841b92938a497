//! What a frame leads to by RFC 9568 §6.4.2 and §6.4.3, whatever else a network does.

use std::{net::IpAddr, time::Duration};

use ha_core::{Action, InstanceConfig, Instant, Received, State, Version};

use crate::{
    bounds,
    checker::{Step, Violation},
    router::index,
    story::letter,
};

/// A frame as it is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Read {
    pub(crate) instance: usize,
    pub(crate) priority: u8,
    interval: Duration,
    source: IpAddr,
    stamp: Instant,
}

/// What the receiver is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver {
    pub(crate) source: IpAddr,
    /// With its trackers' weights.
    pub(crate) priority: u8,
    /// It was late, and has not advertised since.
    pub(crate) listens: bool,
    /// When this Master last advertised because of a frame.
    pub(crate) answered: Option<Instant>,
    pub(crate) interval_max: Duration,
}

impl Read {
    /// Reads the bytes where the RFCs have them.
    pub(crate) fn new(received: &Received<'_>, config: &InstanceConfig) -> Self {
        let message = received.message;
        let interval = match config.version {
            Version::V2 => Duration::from_secs(message[5].into()),
            Version::V3 => {
                let centis = u16::from_be_bytes([message[4], message[5]]);
                Duration::from_millis(u64::from(centis) * 10)
            }
        };
        Self {
            instance: index(received.instance),
            priority: message[2],
            interval,
            source: received.source,
            stamp: received.at,
        }
    }

    pub(crate) fn check(&self, step: &Step<'_>, receiver: &Receiver) -> Result<(), Violation> {
        let config = &step.config.instances[self.instance];
        let is_owner = config.priority.is_owner();
        if self.source == receiver.source {
            return self.check_own(step);
        }
        if is_owner && config.owner_ignore_adverts {
            return Ok(());
        }
        match step.before[self.instance] {
            State::Master => self.check_master(step, receiver, config),
            State::Backup => self.check_backup(step, receiver, config),
            State::Init | State::Fault => Ok(()),
        }
    }

    /// What comes back to its sender changes nothing, and is not answered.
    fn check_own(&self, step: &Step<'_>) -> Result<(), Violation> {
        let is_refusal = |action: &Action| matches!(action, Action::Rejected { .. });
        if step.before == step.after && step.actions.iter().all(is_refusal) {
            return Ok(());
        }
        self.fail(step, "own-frame", "takes its own frame for another router's")
    }

    fn check_master(
        &self,
        step: &Step<'_>,
        receiver: &Receiver,
        config: &InstanceConfig,
    ) -> Result<(), Violation> {
        let own = receiver.priority;
        let is_better =
            self.priority > own || self.priority == own && self.source > receiver.source;
        let has_answered = step.actions.iter().any(
            |action| matches!(action, Action::Advertise { instance, .. } if index(*instance) == self.instance),
        );
        let after = step.after[self.instance];
        let interval = config.interval.as_duration();
        let owed_by = receiver
            .answered
            .map(|before| before + bounds::skew_time(config.version, interval, u8::MAX));
        let is_late = step.actions.iter().any(|action| matches!(action, Action::Late { .. }));
        match self.priority {
            // V-6.4.3-9; a second answer may come as late as it still helps.
            0 if !has_answered && (owed_by.is_none() || step.timers[self.instance] > owed_by) => {
                self.fail(step, "answer", "does not answer a stop")
            }
            0 => Ok(()),
            // V-6.4.3-10.
            _ if is_better && after != State::Backup => {
                self.fail(step, "yield", "does not yield to a better Master")
            }
            _ if is_better || receiver.listens || is_late => Ok(()),
            _ if after != State::Master => self.fail(step, "yield", "yields to a worse Master"),
            // V-6.4.3-11, once in half an interval.
            _ if has_answered || config.lower_prio_no_advert => Ok(()),
            _ if receiver.answered.is_some_and(|at| step.local.since(at) < interval / 2) => Ok(()),
            _ => self.fail(step, "answer", "does not answer a worse Master"),
        }
    }

    fn check_backup(
        &self,
        step: &Step<'_>,
        receiver: &Receiver,
        config: &InstanceConfig,
    ) -> Result<(), Violation> {
        if step.after[self.instance] != State::Backup {
            return Ok(());
        }
        let timer = step.timers[self.instance];
        let own = receiver.priority;
        if self.priority == 0 {
            // V-6.4.2-8; the interval that counts is one that somebody has.
            let wait = bounds::skew_time(config.version, receiver.interval_max, own);
            if timer > Some(self.stamp + wait) {
                return self.fail(step, "timers", "waits for too long after a stop");
            }
        } else if self.priority >= own || !config.preempt && !config.priority.is_owner() {
            // V-6.4.2-9.
            let due = self.stamp + bounds::down_time(config, self.interval, own);
            if timer != Some(due) {
                return self.fail(step, "timers", "has another Active_Down_Interval");
            }
        }
        Ok(())
    }

    fn fail(&self, step: &Step<'_>, checker: &'static str, what: &str) -> Result<(), Violation> {
        Err(Violation::new(checker, format!("{} {what}: {self:?}", letter(step.router))))
    }
}
