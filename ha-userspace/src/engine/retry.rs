//! When virtual addresses that could not be set, or did not stay, are tried again.

use std::{collections::BTreeMap, time::Duration};

use ha_core::{InstanceId, Instant};

/// The first pause; each failure in a row doubles it.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_mins(1);

/// Instances whose addresses have failed, until they are set.
#[derive(Debug, Default)]
pub(crate) struct Retries(BTreeMap<InstanceId, Retry>);

#[derive(Clone, Copy, Debug, Default)]
struct Retry {
    /// `None`: tried, and not failed again so far.
    at: Option<Instant>,
    /// Zero before the first.
    pause: Duration,
}

impl Retries {
    /// They failed.
    pub(crate) fn put_off(&mut self, now: Instant, instance: InstanceId) {
        let retry = self.0.entry(instance).or_default();
        retry.pause = (retry.pause * 2).clamp(PAUSE_FIRST, PAUSE_LAST);
        retry.at = Some(now + retry.pause);
    }

    /// They are set.
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
            if retry.at.is_none_or(|at| at > now) {
                continue;
            }
            let is_possible = is_possible(instance);
            retry.at = (!is_possible).then(|| now + retry.pause);
            if is_possible {
                due.push(instance);
            }
        }
        due
    }

    /// When the next one's turn comes.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(|retry| retry.at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: InstanceId = InstanceId(1);

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
        retries.forget(ONE);
        retries.put_off(now, ONE);
        assert_eq!(retries.next().unwrap().since(now), Duration::from_secs(1));
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
