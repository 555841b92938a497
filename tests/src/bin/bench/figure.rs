//! What sections measure: figures, each with the samples of every contender.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::contender::Contender;

/// How long a run may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effort {
    /// All sections together in about ten minutes.
    Default,
    /// Everything there is to measure.
    Full,
}

impl Effort {
    /// One of two by effort.
    pub(crate) fn choose<T>(self, default: T, full: T) -> T {
        match self {
            Self::Default => default,
            Self::Full => full,
        }
    }
}

/// A part of the report.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// How it was measured.
    pub(crate) method: &'static str,
    pub(crate) figures: Vec<Figure>,
    /// Further pictures: name and SVG.
    pub(crate) pictures: Vec<(&'static str, String)>,
    /// Where a contender could not be measured, and why.
    pub(crate) notes: Vec<String>,
}

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) samples: BTreeMap<Contender, Vec<f64>>,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str) -> Self {
        Self { what: what.into(), unit, samples: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, contender: Contender, sample: f64) {
        self.samples.entry(contender).or_default().push(sample);
    }

    pub(crate) fn summary(&self, contender: Contender) -> Option<Summary> {
        Summary::of(self.samples.get(&contender)?)
    }

    /// By how much `contender` is above ours at the median; `None` where a ratio says nothing.
    pub(crate) fn ratio(&self, contender: Contender) -> Option<f64> {
        let (ours, theirs) = (self.summary(Contender::Ours)?, self.summary(contender)?);
        (ours.p50 > 0.0 && theirs.p50 > 0.0).then(|| theirs.p50 / ours.p50)
    }
}

/// Samples in three numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Summary {
    /// By the nearest rank: each of the numbers is one of the samples. `None` without any.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = sorted.len();
        let rank = |percent: usize| (count * percent).div_ceil(100).saturating_sub(1);
        let at = |percent| sorted.get(rank(percent)).copied();
        Some(Self { p50: at(50)?, p99: at(99)?, max: at(100)?, count })
    }
}

/// A time as a sample.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A count as a sample.
pub(crate) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample() {
        let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let expected = Summary { p50: 100.0, p99: 198.0, max: 200.0, count: 200 };
        assert_eq!(Summary::of(&samples), Some(expected));
        let one = Summary { p50: 7.0, p99: 7.0, max: 7.0, count: 1 };
        assert_eq!(Summary::of(&[7.0]), Some(one));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_ratio_needs_two_positive_medians() {
        let mut figure = Figure::new("f", "ms");
        assert_eq!(figure.ratio(Contender::Tuned), None);
        figure.add(Contender::Ours, 2.0);
        figure.add(Contender::Tuned, 5.0);
        figure.add(Contender::Keepalived, 0.0);
        assert_eq!(figure.ratio(Contender::Tuned), Some(2.5));
        assert_eq!(figure.ratio(Contender::Keepalived), None);
    }
}
