//! One deadline for each timer, and the earliest of them at hand.
//!
//! A tournament tree of fixed size: setting a timer touches one path to the root, allocates
//! nothing, and the order among equal deadlines is the order of the timers' numbers.

use crate::{InstanceId, Instant, engine::index};

const NEVER: u64 = u64::MAX;

/// The timers of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timer {
    /// `Active_Down_Timer` of a Backup, `Adver_Timer` of a Master.
    Protocol,
    /// The next round of announcements of a Master.
    Announce,
    /// A Master's addresses that somebody removed are set again.
    Restore,
}

impl Timer {
    pub(crate) const ALL: [Self; 3] = [Self::Protocol, Self::Announce, Self::Restore];

    /// How many there are: one more than the instances have, for the start-up delay.
    pub(crate) fn count(instances: usize) -> usize {
        Self::startup(instances).saturating_add(1)
    }

    /// The start-up delay's number.
    pub(crate) fn startup(instances: usize) -> usize {
        instances.saturating_mul(Self::ALL.len())
    }

    /// The number of an instance's timer.
    pub(crate) fn of(self, id: InstanceId) -> usize {
        let place = match self {
            Self::Protocol => 0,
            Self::Announce => 1,
            Self::Restore => 2,
        };
        index(id).saturating_mul(Self::ALL.len()).saturating_add(place)
    }

    /// Whose it is, and which.
    pub(crate) fn at(number: usize) -> Option<(InstanceId, Self)> {
        let id = InstanceId(u32::try_from(number / Self::ALL.len()).ok()?);
        Some((id, *Self::ALL.get(number % Self::ALL.len())?))
    }
}

/// The timers of an engine, numbered from zero.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    /// Node `i` holds the smaller of nodes `2i` and `2i + 1`; the leaves are the second half.
    tree: Vec<u64>,
}

impl Timers {
    pub(crate) fn new(count: usize) -> Self {
        Self { tree: vec![NEVER; 2 * count.next_power_of_two()] }
    }

    /// Sets the timer, or cancels it with `None`.
    pub(crate) fn set(&mut self, timer: usize, deadline: Option<Instant>) {
        let mut node = self.leaves() + timer;
        if let Some(leaf) = self.tree.get_mut(node) {
            *leaf = deadline.map_or(NEVER, Instant::as_nanos);
        }
        while node > 1 {
            node /= 2;
            let earlier = self.node(2 * node).min(self.node(2 * node + 1));
            if let Some(parent) = self.tree.get_mut(node) {
                *parent = earlier;
            }
        }
    }

    pub(crate) fn deadline(&self, timer: usize) -> Option<Instant> {
        instant(self.node(self.leaves() + timer))
    }

    /// The earliest deadline and its timer.
    pub(crate) fn next(&self) -> Option<(Instant, usize)> {
        let earliest = instant(self.node(1))?;
        let mut node = 1;
        while node < self.leaves() {
            node *= 2;
            if self.node(node) != earliest.as_nanos() {
                node += 1;
            }
        }
        Some((earliest, node - self.leaves()))
    }

    /// Calls `found` with each timer that is due at `end`, in the order of their numbers.
    pub(crate) fn until(&self, end: Instant, found: &mut impl FnMut(usize)) {
        // Depth first, without recursion: over the left child, or to the next subtree.
        let mut node = 1;
        loop {
            let is_due = instant(self.node(node)).is_some_and(|earliest| earliest <= end);
            if is_due && node < self.leaves() {
                node *= 2;
                continue;
            }
            if is_due {
                found(node - self.leaves());
            }
            // The last of its subtree: so are its parents that are right children.
            node >>= node.trailing_ones();
            if node == 0 {
                return;
            }
            node += 1;
        }
    }

    fn leaves(&self) -> usize {
        self.tree.len() / 2
    }

    fn node(&self, node: usize) -> u64 {
        self.tree.get(node).copied().unwrap_or(NEVER)
    }
}

fn instant(nanos: u64) -> Option<Instant> {
    (nanos != NEVER).then(|| Instant::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn the_earliest_is_next_and_ties_go_to_the_first() {
        for count in [1, 2, 3, 5, 8] {
            let mut timers = Timers::new(count);
            assert_eq!(timers.next(), None);
            for timer in 0..count {
                timers.set(timer, Some(at(100)));
            }
            assert_eq!(timers.next(), Some((at(100), 0)));
            timers.set(count - 1, Some(at(7)));
            assert_eq!(timers.next(), Some((at(7), count - 1)));
            assert_eq!(timers.deadline(count - 1), Some(at(7)));
            for timer in 0..count {
                timers.set(timer, None);
            }
            assert_eq!(timers.next(), None);
        }
    }

    #[test]
    fn all_that_are_due_are_found_in_order() {
        const TIMES: [u64; 5] = [0, 1, 2, 3, 4];
        for count in [1, 2, 3, 7, 8, 33] {
            let mut timers = Timers::new(count);
            let all_nanos: Vec<u64> = (0..count).map(|timer| TIMES[timer * 7 % 5]).collect();
            for (timer, nanos) in all_nanos.iter().enumerate().filter(|(timer, _)| timer % 4 != 3) {
                timers.set(timer, Some(at(*nanos)));
            }
            for end in 0..6 {
                let mut found = Vec::new();
                timers.until(at(end), &mut |timer| found.push(timer));
                let expected =
                    (0..count).filter(|timer| timer % 4 != 3 && all_nanos[*timer] <= end);
                assert_eq!(found, expected.collect::<Vec<_>>(), "{count} timers, until {end}");
            }
        }
    }

    #[test]
    fn a_timer_that_does_not_exist_changes_nothing() {
        let mut timers = Timers::new(2);
        timers.set(9, Some(at(1)));
        assert_eq!(timers.next(), None);
        assert_eq!(timers.deadline(9), None);
    }
}
