//! Virtual addresses that somebody else removed from a Master: set again, for as long as it makes
//! sense.
//!
//! Once is an accident, and mended at once. Somebody who removes them again and again (another
//! address manager) is given way to: a Master without its addresses helps nobody, and a peer may do
//! better. keepalived goes to Backup instead, and would take over again within its skew time.

use core::time::Duration;

use crate::{Action, Actions, Cause, Engine, InstanceId, Instant, State, timers::Timer};

/// Removals in a row that are put up with.
const TIMES_MAX: u32 = 10;
/// How long the second one in a row waits; each further one twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// What stayed for so long before it was removed again was not removed in a row.
pub const REMOVAL_QUIET: Duration = Duration::from_mins(1);

/// How long what somebody else removed so many `times` in a row waits until it is set again: not at all
/// the first time, then 10 ms, and twice as long each further time.
#[must_use]
pub fn removal_wait(times: u32) -> Duration {
    let doublings = times.checked_sub(2);
    doublings.map_or(Duration::ZERO, |doublings| {
        FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings))
    })
}

/// What an instance remembers of removals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Removals {
    /// In a row.
    times: u32,
    last: Option<Instant>,
    /// They are set again when the timer fires.
    is_waiting: bool,
}

impl Engine {
    /// Somebody removed addresses of an instance.
    pub(crate) fn handle_addresses_missing(
        &mut self,
        now: Instant,
        id: InstanceId,
        actions: &mut Actions,
    ) {
        let Some(instance) = self.instance_mut(id) else { return };
        // A Master that listens sets them when it has listened.
        let is_due = instance.state == State::Master && !instance.listening;
        let removals = &mut instance.removals;
        if !is_due || removals.is_waiting {
            return;
        }
        if removals.last.is_none_or(|last| now.since(last) >= REMOVAL_QUIET) {
            removals.times = 0;
        }
        removals.last = Some(now);
        removals.times = removals.times.saturating_add(1);
        let times = removals.times;
        instance.statistics.addresses_removed += 1;
        if times > TIMES_MAX {
            instance.addresses_usable = false;
            self.become_fault(id, Cause::AddressesRemoved, actions);
            return;
        }
        let wait = removal_wait(times);
        actions.push(Action::Restoring { instance: id, times, wait });
        if wait.is_zero() {
            self.restore(id, actions);
            return;
        }
        if let Some(instance) = self.instance_mut(id) {
            instance.removals.is_waiting = true;
        }
        self.set_timer(id, Timer::Restore, Some(now + wait));
    }

    /// The time to set them again has come.
    pub(crate) fn handle_restore_due(
        &mut self,
        now: Instant,
        id: InstanceId,
        actions: &mut Actions,
    ) {
        self.cancel_restore(id);
        self.notice_lateness(now, id, actions);
        if self.instance(id).is_some_and(|instance| !instance.listening) {
            self.restore(id, actions);
        }
    }

    /// The next removal is the first one in a row.
    pub(crate) fn forget_removals(&mut self, id: InstanceId) {
        if let Some(instance) = self.instance_mut(id) {
            instance.removals.last = None;
        }
    }

    /// The instance gives its addresses up, or has just set them: nothing is to be set again.
    pub(crate) fn cancel_restore(&mut self, id: InstanceId) {
        self.set_timer(id, Timer::Restore, None);
        if let Some(instance) = self.instance_mut(id) {
            instance.removals.is_waiting = false;
        }
    }

    fn restore(&mut self, id: InstanceId, actions: &mut Actions) {
        let Some(instance) = self.instance(id) else { return };
        // Others may have answered for them meanwhile.
        let repeat = instance.config.announce.repeat;
        actions.push(Action::Addresses { instance: id, present: true });
        Self::announce(id, repeat, actions);
    }
}
