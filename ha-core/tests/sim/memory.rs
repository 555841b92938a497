//! What a checker remembers of one instance of one router.

use std::time::Duration;

use ha_core::Instant;

use crate::{bounds, checker::Step};

/// How the engine learns of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// By its content.
    Read,
    /// By its stamp, and by its content later.
    StampFirst,
    /// By its stamp alone.
    Lost,
}

/// A frame that reached a router's host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
    pub(crate) way: Way,
}

/// A frame that must keep its receiver from taking over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alive {
    pub(crate) at: Instant,
    pub(crate) interval: Duration,
    pub(crate) way: Way,
}

/// What is remembered of one instance of one router.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) alive: Option<Alive>,
    /// Since when it may have heard a Master that it would preempt, but for `preempt_delay`.
    pub(crate) worse_since: Option<Instant>,
    /// The daemon has not read that one yet, and may do so in another state.
    pub(crate) is_unread: bool,
    /// When this Master last advertised because of a frame.
    pub(crate) answered: Option<Instant>,
    /// It was late, and has not advertised since.
    pub(crate) listens: bool,
    /// Somebody removed its addresses, although it is Master.
    pub(crate) has_hole: bool,
    /// When they must be there again: the daemon knows.
    pub(crate) restore_by: Option<Instant>,
    /// When the last frame came, of whatever kind.
    pub(crate) last_frame: Option<Instant>,
    pub(crate) master_since: Option<Instant>,
    pub(crate) removals: u32,
    pub(crate) last_removal: Option<Instant>,
}

impl Memory {
    /// Frames were judged by the configuration that was running when they came: what was not read by
    /// then may mean something else.
    pub(crate) fn judge_again(&mut self, unread: Option<Instant>) {
        let Some(unread) = unread else { return };
        self.alive = None;
        self.is_unread = true;
        self.worse_since = Some(self.worse_since.unwrap_or(unread).min(unread));
    }

    pub(crate) fn learn_of_removal(&mut self, step: &Step<'_>, instance: usize) {
        if self.restore_by.is_some() {
            return;
        }
        if self.listens {
            self.restore_by = Some(after_listening(step, instance));
            return;
        }
        if self.last_removal.is_none_or(|last| step.local.since(last) >= bounds::RESTORE_QUIET) {
            self.removals = 0;
        }
        self.last_removal = Some(step.local);
        self.removals += 1;
        let wait = match self.removals {
            1 => Duration::ZERO,
            times if times > bounds::RESTORES_MAX => {
                // Now it must be in Fault.
                self.has_hole = false;
                return;
            }
            times => bounds::RESTORE_FIRST * (1 << (times - 2)) + slack(),
        };
        self.restore_by = Some(step.local + wait);
    }
}

/// When a Master that was late, whose addresses others may have by now, has listened.
pub(crate) fn after_listening(step: &Step<'_>, instance: usize) -> Instant {
    step.local + step.config.instances[instance].interval.as_duration() + slack()
}

/// How late a deadline is handled, by any clock.
fn slack() -> Duration {
    bounds::slow(bounds::way())
}
