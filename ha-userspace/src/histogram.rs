//! How long something took, each time: counted by upper bounds that are the same for everything, so
//! that it costs the same memory however often it happens.

use std::time::Duration;

/// Upper bounds: from what a timer is late on an idle host to a script that hangs.
const BOUNDS: [Duration; 16] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
];

/// Durations, counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Histogram {
    counts: [u64; BOUNDS.len()],
    /// Beyond the last bound.
    beyond: u64,
    sum: Duration,
}

impl Histogram {
    pub(crate) fn add(&mut self, duration: Duration) {
        let at = BOUNDS.partition_point(|bound| *bound < duration);
        let count = self.counts.get_mut(at).unwrap_or(&mut self.beyond);
        *count = count.saturating_add(1);
        self.sum = self.sum.saturating_add(duration);
    }

    /// All together.
    pub(crate) const fn sum(&self) -> Duration {
        self.sum
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.buckets().map(|(_, count)| count).sum()
    }

    /// Upper bounds, `None` for the last bucket, which has none, and what is in each alone.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounded = BOUNDS.into_iter().map(Some).zip(self.counts);
        bounded.chain([(None, self.beyond)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_its_bucket() {
        let mut histogram = Histogram::default();
        for micros in [0, 10, 11, 10_000_000, 10_000_001] {
            histogram.add(Duration::from_micros(micros));
        }
        let buckets: Vec<u64> = histogram.buckets().map(|(_, count)| count).collect();
        assert_eq!((buckets[0], buckets[1], buckets[15], buckets[16]), (2, 1, 1, 1));
        assert_eq!(histogram.buckets().last(), Some((None, 1)));
        assert_eq!((histogram.count(), histogram.sum()), (5, Duration::from_micros(20_000_022)));
    }

    #[test]
    fn bounds_go_up() {
        assert!(BOUNDS.is_sorted_by(|one, next| one < next));
    }
}
