//! What a watcher knew when it came to a verdict: kept beside the engine, which decides by the verdict
//! alone, and told with what follows from it.

use std::{collections::BTreeMap, sync::Arc};

use ha_core::{Cause, State, TrackerId, Transition};

/// Characters that are kept: more than any watcher says, but of what a script prints only so many.
const CHARS_MAX: usize = 200;
/// So many trackers are told of with one transition, that which it is for first: an entry of the history
/// stays below 2 KiB.
const TRACKERS_MAX: usize = 8;

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
pub(crate) struct Lexicon {
    words: BTreeMap<TrackerId, Words>,
    /// On which there was a verdict in this turn.
    news: Option<TrackerId>,
}

impl Lexicon {
    pub(crate) fn learn(&mut self, tracker: TrackerId, words: Words) {
        self.words.insert(tracker, words);
        self.news = Some(tracker);
    }

    /// All that the verdicts so far have led to has been told.
    pub(super) const fn end_turn(&mut self) {
        self.news = None;
    }

    /// Those on what a transition of an instance that depends on `tracked` is for, and on what moves its
    /// priority.
    pub(super) fn of(
        &self,
        Transition { from, cause, .. }: Transition,
        weights: &[(TrackerId, i32)],
        mut tracked: impl Iterator<Item = TrackerId>,
    ) -> Vec<(TrackerId, Words)> {
        let reason = if let Cause::TrackerDown(tracker) = cause {
            Some(tracker)
        } else if cause == Cause::Ready && from == State::Fault {
            self.news.filter(|news| tracked.any(|one| one == *news))
        } else {
            None
        };
        let weights = weights.iter().map(|(tracker, _)| *tracker);
        let trackers = reason.into_iter().chain(weights.filter(|one| Some(*one) != reason));
        let known = trackers.filter_map(|one| Some((one, self.words.get(&one)?.clone())));
        known.take(TRACKERS_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use ha_core::InstanceId;

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
        let of = |lexicon: &Lexicon, from, cause, weights: &[(TrackerId, i32)]| {
            let transition = Transition { instance: InstanceId(0), from, to: State::Fault, cause };
            let tracked = [TrackerId(1), TrackerId(2)].into_iter();
            lexicon
                .of(transition, weights, tracked)
                .into_iter()
                .map(|(id, _)| id)
                .collect::<Vec<_>>()
        };
        let failed = Cause::TrackerDown(ids[1]);
        let weights = [(ids[1], 2), (ids[2], 3)];
        assert_eq!(of(&lexicon, State::Master, failed, &weights), [ids[1], ids[2]]);
        let interface = Cause::TrackerDown(TrackerId(9));
        assert_eq!(of(&lexicon, State::Master, interface, &[]), []);
        assert_eq!(of(&lexicon, State::Fault, Cause::Ready, &[]), [ids[2]]);
        assert_eq!(of(&lexicon, State::Init, Cause::Ready, &[]), []);
        let many: Vec<_> = (3..20).map(|number| (TrackerId(number), 1)).collect();
        for (id, _) in &many {
            lexicon.learn(*id, Words::new("d"));
        }
        let told = of(&lexicon, State::Master, Cause::Preempt, &many);
        assert_eq!(told.len(), TRACKERS_MAX);
        lexicon.learn(ids[0], Words::new("of another instance"));
        assert_eq!(of(&lexicon, State::Fault, Cause::Ready, &[]), []);
        lexicon.learn(ids[1], Words::new("well again"));
        lexicon.end_turn();
        assert_eq!(of(&lexicon, State::Fault, Cause::Ready, &[]), []);
    }
}
