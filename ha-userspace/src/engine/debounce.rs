//! `interface_up_down_delays`: an interface that bounces counts as it was, until it stays otherwise.

use std::{collections::BTreeMap, time::Duration};

use ha_core::Instant;

use crate::plan::Delays;

/// How interfaces count, by name.
#[derive(Debug, Default)]
pub(crate) struct Debounce(BTreeMap<String, Counted>);

#[derive(Debug)]
struct Counted {
    is_up: bool,
    /// Since when it is otherwise, and how long it has to be.
    otherwise: Option<(Instant, Duration)>,
}

impl Debounce {
    /// How an interface counts that `is_up` now or is not; what is heard of first counts at once.
    pub(crate) fn hear(&mut self, now: Instant, name: &str, is_up: bool, delays: Delays) -> bool {
        let Some(counted) = self.0.get_mut(name) else {
            self.0.insert(name.to_owned(), Counted { is_up, otherwise: None });
            return is_up;
        };
        if counted.is_up == is_up {
            counted.otherwise = None;
            return is_up;
        }
        let delay = if is_up { delays.up } else { delays.down };
        let since = counted.otherwise.map_or(now, |(since, _)| since);
        let is_settled = now.since(since) >= delay;
        counted.otherwise = (!is_settled).then_some((since, delay));
        counted.is_up = if is_settled { is_up } else { counted.is_up };
        counted.is_up
    }

    /// When the next interface counts otherwise, if it stays so.
    pub(crate) fn next(&self) -> Option<Instant> {
        let otherwise = self.0.values().filter_map(|counted| counted.otherwise);
        otherwise.map(|(since, delay)| since + delay).min()
    }

    /// Forgets all interfaces that are not `used`.
    pub(crate) fn retain(&mut self, used: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| used(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAYS: Delays =
        Delays { down: Duration::from_millis(500), up: Duration::from_millis(1500) };

    /// How an interface counts after each of these moments (in ms) at which it was up or not, and
    /// the moment that is waited for at the end.
    fn play(heard: &[(u64, bool)], delays: Delays) -> (Vec<bool>, Option<u64>) {
        let mut debounce = Debounce::default();
        let hear = |&(at, is_up): &(u64, bool)| {
            debounce.hear(Instant::from_nanos(at * 1_000_000), "eth0", is_up, delays)
        };
        let counts = heard.iter().map(hear).collect();
        (counts, debounce.next().map(|at| at.as_nanos() / 1_000_000))
    }

    #[test]
    fn what_is_heard_of_first_counts_at_once() {
        assert_eq!(play(&[(0, true)], DELAYS), (vec![true], None));
        assert_eq!(play(&[(0, false)], DELAYS), (vec![false], None));
    }

    #[test]
    fn it_counts_otherwise_once_it_stays_so() {
        let down = [(0, true), (100, false), (599, false)];
        assert_eq!(play(&down, DELAYS), (vec![true; 3], Some(600)));
        let down = [(0, true), (100, false), (600, false)];
        assert_eq!(play(&down, DELAYS), (vec![true, true, false], None));
        let up = [(0, false), (100, true), (1599, true), (1600, true)];
        assert_eq!(play(&up, DELAYS), (vec![false, false, false, true], None));
    }

    #[test]
    fn each_return_begins_the_wait_anew() {
        let bounces = [(0, true), (100, false), (500, true), (600, false), (1000, false)];
        assert_eq!(play(&bounces, DELAYS), (vec![true; 5], Some(1100)));
        assert_eq!(play(&[(0, true), (100, false), (200, true)], DELAYS), (vec![true; 3], None));
    }

    #[test]
    fn without_delays_all_counts_at_once() {
        let bounces = [(0, true), (1, false), (2, true)];
        assert_eq!(play(&bounces, Delays::default()), (vec![true, false, true], None));
    }
}
