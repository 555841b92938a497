//! When what could not be set, or did not stay, is tried again.

use std::{collections::BTreeMap, time::Duration};

use ha_core::{InstanceId, Instant};

/// The first pause; each failure in a row doubles it.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_mins(1);
/// Addresses that somebody had removed have to stay for so long before that is forgotten.
const QUIET: Duration = Duration::from_mins(1);

/// One thing that has failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    /// `None`: tried, and not failed again so far.
    at: Option<Instant>,
    /// Zero before the first.
    pause: Duration,
}

impl Backoff {
    /// It has failed; says in how long it is to be tried again.
    pub(crate) fn put_off(&mut self, now: Instant) -> Duration {
        self.pause = (self.pause * 2).clamp(PAUSE_FIRST, PAUSE_LAST);
        self.at = Some(now + self.pause);
        self.pause
    }

    /// Tries at once what waits, and begins anew with the first pause.
    fn hurry(&mut self, now: Instant) {
        self.pause = Duration::ZERO;
        self.at = self.at.map(|at| at.min(now));
    }

    /// When its turn comes, if it has failed.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it has failed, and its turn has come.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }
}

/// Instances whose addresses have failed: until they are set, and if somebody had removed them,
/// until they stay.
#[derive(Debug, Default)]
pub(crate) struct Retries(BTreeMap<InstanceId, Retry>);

#[derive(Clone, Copy, Debug, Default)]
struct Retry {
    backoff: Backoff,
    /// Somebody had removed them. That they can be set says nothing then.
    were_removed: bool,
    /// Since when they have stayed.
    set: Option<Instant>,
}

impl Retries {
    /// They could not be set.
    pub(crate) fn put_off(&mut self, now: Instant, instance: InstanceId) {
        self.0.entry(instance).or_default().backoff.put_off(now);
    }

    /// Somebody has removed them too often.
    pub(crate) fn give_way(&mut self, now: Instant, instance: InstanceId) {
        self.handle_gone(now, instance);
        self.put_off(now, instance);
        self.0.entry(instance).or_default().were_removed = true;
    }

    /// They are set.
    pub(crate) fn handle_set(&mut self, now: Instant, instance: InstanceId) {
        let Some(retry) = self.0.get_mut(&instance) else { return };
        if retry.were_removed {
            retry.backoff.at = None;
            retry.set.get_or_insert(now);
        } else {
            self.0.remove(&instance);
        }
    }

    /// They are not all there any more, whoever removed them.
    pub(crate) fn handle_gone(&mut self, now: Instant, instance: InstanceId) {
        let Some(retry) = self.0.get_mut(&instance) else { return };
        if retry.set.take().is_some_and(|set| now.since(set) >= QUIET) {
            self.0.remove(&instance);
        }
    }

    /// [`Backoff::hurry`].
    pub(crate) fn hurry(&mut self, now: Instant, instance: InstanceId) {
        if let Some(retry) = self.0.get_mut(&instance) {
            retry.backoff.hurry(now);
        }
    }

    /// Nothing that happened to the instance matters any more.
    pub(crate) fn forget(&mut self, instance: InstanceId) {
        self.0.remove(&instance);
    }

    /// Instances whose turn it is; one that `is_possible` refuses is asked for again later.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        is_possible: impl Fn(InstanceId) -> bool,
    ) -> Vec<InstanceId> {
        let mut due = Vec::new();
        for (&instance, retry) in &mut self.0 {
            let backoff = &mut retry.backoff;
            if !backoff.is_due(now) {
                continue;
            }
            let is_possible = is_possible(instance);
            backoff.at = (!is_possible).then(|| now + backoff.pause);
            if is_possible {
                due.push(instance);
            }
        }
        due
    }

    /// When the next one's turn comes.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(|retry| retry.backoff.next()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: InstanceId = InstanceId(1);

    #[test]
    fn who_is_hurried_begins_anew() {
        let mut retries = Retries::default();
        let start = Instant::from_nanos(0);
        for _ in 0..5 {
            retries.put_off(start, ONE);
        }
        retries.hurry(start, ONE);
        assert_eq!(retries.due(start, |_| true), [ONE]);
        retries.put_off(start, ONE);
        assert_eq!(retries.next(), Some(start + PAUSE_FIRST));
        retries.hurry(start, InstanceId(9));
    }

    fn at(secs: u64) -> Instant {
        Instant::from_nanos(secs * 1_000_000_000)
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut retries = Retries::default();
        let mut now = at(0);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            retries.put_off(now, ONE);
            let next = retries.next().unwrap();
            assert_eq!(next.since(now), Duration::from_secs(pause));
            assert_eq!(retries.due(now, |_| true), []);
            now = next;
            assert_eq!(retries.due(now, |_| true), [ONE]);
            assert_eq!(retries.next(), None, "tried: nothing is due until it fails again");
        }
        retries.handle_set(now, ONE);
        retries.put_off(now, ONE);
        assert_eq!(retries.next().unwrap().since(now), Duration::from_secs(1));
    }

    /// Somebody removes them a few seconds after each time that they are set.
    #[test]
    fn who_goes_on_removing_is_given_way_to_for_longer_each_time() {
        let mut retries = Retries::default();
        let mut now = at(0);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            retries.give_way(now, ONE);
            let next = retries.next().unwrap();
            assert_eq!(next.since(now), Duration::from_secs(pause));
            assert_eq!(retries.due(next, |_| true), [ONE]);
            retries.handle_set(next, ONE);
            assert_eq!(retries.next(), None);
            // Put back once before it is too much.
            retries.handle_gone(next + Duration::from_secs(1), ONE);
            retries.handle_set(next + Duration::from_secs(1), ONE);
            now = next + Duration::from_secs(5);
        }
    }

    #[test]
    fn removals_are_forgotten_when_addresses_have_stayed() {
        let minute = Duration::from_mins(1);
        let pause_after = |stayed: Duration, is_set_again: bool| {
            let mut retries = Retries::default();
            retries.give_way(at(0), ONE);
            assert_eq!(retries.due(at(1), |_| true), [ONE]);
            retries.handle_set(at(1), ONE);
            let end = at(1) + stayed;
            if is_set_again {
                // A reload does.
                retries.handle_set(end, ONE);
            }
            retries.handle_gone(end, ONE);
            retries.handle_set(end, ONE);
            retries.give_way(end, ONE);
            retries.next().unwrap().since(end)
        };
        let a_little_less = minute.saturating_sub(Duration::from_nanos(1));
        for is_set_again in [false, true] {
            assert_eq!(pause_after(a_little_less, is_set_again), Duration::from_secs(2));
            assert_eq!(pause_after(minute, is_set_again), Duration::from_secs(1));
        }
        // Given up for another reason, they have not stayed.
        let mut retries = Retries::default();
        retries.give_way(at(0), ONE);
        retries.handle_set(at(1), ONE);
        retries.handle_gone(at(2), ONE);
        retries.handle_set(at(100), ONE);
        retries.give_way(at(101), ONE);
        assert_eq!(retries.next(), Some(at(103)));
    }

    #[test]
    fn what_is_not_possible_is_put_off_without_doubling() {
        let mut retries = Retries::default();
        retries.put_off(at(0), ONE);
        assert_eq!(retries.due(at(1), |_| false), []);
        assert_eq!(retries.next(), Some(at(2)));
        assert_eq!(retries.due(at(2), |_| true), [ONE]);
    }
}
