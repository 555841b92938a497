//! Routes and rules that somebody else removes from a Master: when each is set again.
//!
//! Once is an accident, and mended at once. Who removes the same one again and again is waited for
//! longer each time. It is no fault in the end, as it is with addresses: on the other router it would be
//! removed, too, and with both in Fault nobody would have the addresses.

use std::{collections::BTreeMap, time::Duration};

use ha_core::{InstanceId, Instant, REMOVAL_QUIET, removal_wait};

use crate::io::routing_watch::Key;

/// The longest wait for the next time: of addresses there is none so long, since they end in Fault.
const WAIT_LAST: Duration = Duration::from_mins(1);

/// What was removed, each by itself: at most what instances have, since nothing else is asked for.
#[derive(Debug, Default)]
pub(crate) struct Removals(BTreeMap<(InstanceId, Key), Removal>);

/// Something was removed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Removal {
    /// So many times in a row, this one included.
    pub(crate) times: u32,
    /// It is set again after so long,
    pub(crate) wait: Duration,
    /// at this moment.
    at: Instant,
    is_waiting: bool,
}

impl Removals {
    /// Somebody has removed it; `None` if that is known.
    pub(crate) fn add(&mut self, now: Instant, instance: InstanceId, key: Key) -> Option<Removal> {
        self.0.retain(|_, one| one.is_waiting || now.since(one.at) < REMOVAL_QUIET);
        let before = self.0.get(&(instance, key));
        if before.is_some_and(|before| before.is_waiting) {
            return None;
        }
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        let wait = removal_wait(times).min(WAIT_LAST);
        let removal = Removal { times, wait, at: now + wait, is_waiting: true };
        self.0.insert((instance, key), removal);
        Some(removal)
    }

    /// What is to be set again now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(InstanceId, Key)> {
        let due = self.0.iter_mut().filter(|(_, one)| one.is_waiting && one.at <= now);
        let take = |(&key, one): (&(InstanceId, Key), &mut Removal)| {
            one.is_waiting = false;
            key
        };
        due.map(take).collect()
    }

    /// When the next one's turn comes.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().filter(|one| one.is_waiting).map(|one| one.at).min()
    }

    /// What waits is set again at once, and the next removal is the first one.
    pub(crate) fn hurry(&mut self, now: Instant, instance: InstanceId) {
        self.0.retain(|(owner, _), one| *owner != instance || one.is_waiting);
        for (_, one) in self.0.iter_mut().filter(|((owner, _), _)| *owner == instance) {
            (one.times, one.at) = (0, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: InstanceId = InstanceId(1);

    fn key(preference: u32) -> Key {
        let all = ("0.0.0.0".parse().unwrap(), 0);
        Key::Rule { is_ipv6: false, preference, table: 1, from: all, to: all }
    }

    fn after(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn each_has_a_delay_of_its_own_that_doubles() {
        let mut removals = Removals::default();
        let mut now = after(0);
        let mut waits = Vec::new();
        for _ in 0..16 {
            let removal = removals.add(now, ONE, key(1)).unwrap();
            assert_eq!(removals.add(now, ONE, key(1)), None, "it is waited for");
            waits.push(removal.wait.as_millis());
            now = removals.next().unwrap();
            assert_eq!(removals.take_due(now), [(ONE, key(1))]);
            assert_eq!(removals.next(), None);
        }
        assert_eq!(waits[..6], [0, 10, 20, 40, 80, 160]);
        assert_eq!(waits[9], 2_560);
        assert_eq!(waits[13..], [40_960, 60_000, 60_000]);
        let other = removals.add(now, ONE, key(2)).unwrap();
        assert_eq!((other.times, other.wait), (1, Duration::ZERO));
        let other = removals.add(now, InstanceId(2), key(1)).unwrap();
        assert_eq!((other.times, other.wait), (1, Duration::ZERO));
    }

    #[test]
    fn what_stayed_for_a_minute_was_not_removed_in_a_row() {
        let mut removals = Removals::default();
        for (ms, times) in [(0, 1), (59_999, 2), (120_008, 3), (180_028, 1)] {
            let removal = removals.add(after(ms), ONE, key(1)).unwrap();
            assert_eq!(removal.times, times, "{ms} ms");
            assert_eq!(removals.take_due(removal.at).len(), 1);
        }
        removals.add(after(500_000), ONE, key(2)).unwrap();
        assert_eq!(removals.0.len(), 1, "what is forgotten takes no memory");
    }

    #[test]
    fn an_operator_has_it_counted_anew() {
        let mut removals = Removals::default();
        for _ in 0..3 {
            removals.add(after(0), ONE, key(1)).unwrap();
            removals.take_due(after(1_000));
        }
        removals.add(after(1_000), ONE, key(1)).unwrap();
        removals.hurry(after(1_001), ONE);
        assert_eq!(removals.take_due(after(1_001)), [(ONE, key(1))]);
        assert_eq!(removals.add(after(1_002), ONE, key(1)).unwrap().times, 1);
    }
}
