//! What a watcher knew when it came to a verdict: kept beside the engine, which decides by the verdict
//! alone, and told with what follows from it.

use std::{collections::BTreeMap, sync::Arc};

use ha_core::{Cause, TrackerId};

/// Characters that are kept: more than any watcher says, but of what a script prints only so many.
const CHARS_MAX: usize = 200;

/// A few words on one verdict.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Words(Arc<str>);

impl Words {
    pub(crate) fn new(text: &str) -> Self {
        if text.chars().nth(CHARS_MAX).is_none() {
            return Self(text.into());
        }
        Self(text.chars().take(CHARS_MAX - 1).chain(['…']).collect::<String>().into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The words on the last verdict on each tracker; of interfaces there are none.
#[derive(Debug, Default)]
pub(crate) struct Lexicon(BTreeMap<TrackerId, Words>);

impl Lexicon {
    pub(crate) fn learn(&mut self, tracker: TrackerId, words: Words) {
        self.0.insert(tracker, words);
    }

    /// Those on what a transition is for, and on what moves the priority.
    pub(super) fn of(&self, cause: Cause, weights: &[(TrackerId, i32)]) -> Vec<(TrackerId, Words)> {
        let failed = if let Cause::TrackerDown(tracker) = cause { Some(tracker) } else { None };
        let weights = weights.iter().map(|(tracker, _)| *tracker);
        let trackers = failed.into_iter().chain(weights.filter(|one| Some(*one) != failed));
        trackers.filter_map(|tracker| Some((tracker, self.0.get(&tracker)?.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_few() {
        assert_eq!(Words::new("short").as_str(), "short");
        let whole = "é".repeat(CHARS_MAX);
        assert_eq!(Words::new(&whole).as_str(), whole);
        let cut = Words::new(&"é".repeat(CHARS_MAX + 1));
        assert_eq!(cut.as_str().chars().count(), CHARS_MAX);
        assert!(cut.as_str().ends_with("é…"));
    }

    #[test]
    fn a_transition_has_those_that_led_to_it() {
        let mut lexicon = Lexicon::default();
        let ids = [0, 1, 2].map(TrackerId);
        for (id, word) in ids.into_iter().zip(["a", "b", "c"]) {
            lexicon.learn(id, Words::new(word));
        }
        let of = |cause, weights: &[(TrackerId, i32)]| {
            lexicon.of(cause, weights).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(of(Cause::TrackerDown(ids[1]), &[(ids[1], 2), (ids[2], 3)]), [ids[1], ids[2]]);
        assert_eq!(of(Cause::Ready, &[]), []);
        assert_eq!(of(Cause::TrackerDown(TrackerId(9)), &[]), [], "an interface");
    }
}
