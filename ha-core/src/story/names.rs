//! Names of what the engine knows by numbers, as words of a story.

use std::collections::BTreeMap;

use core::fmt::{self, Write as _};

use crate::{GroupId, InstanceId, TrackerId};

/// What instances, sync groups and trackers are called in a story.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    pub(super) instances: Labels,
    pub(super) groups: Labels,
    pub(super) trackers: Labels,
}

impl Names {
    /// From the names of a configuration, each list in the order of the engine's numbers; `None` is
    /// a number that nobody has. They may be changed a little: to single words, no two of them alike.
    #[must_use]
    pub fn new<'a>(
        instances: impl IntoIterator<Item = Option<&'a str>>,
        groups: impl IntoIterator<Item = Option<&'a str>>,
        trackers: impl IntoIterator<Item = Option<&'a str>>,
    ) -> Self {
        Self {
            instances: Labels::new(instances),
            groups: Labels::new(groups),
            trackers: Labels::new(trackers),
        }
    }

    pub(super) fn instance(&self, id: InstanceId) -> impl fmt::Display {
        self.instances.label(id.0)
    }

    pub(super) fn group(&self, id: GroupId) -> impl fmt::Display {
        self.groups.label(id.0)
    }

    pub(super) fn tracker(&self, id: TrackerId) -> impl fmt::Display {
        self.trackers.label(id.0)
    }
}

/// Words for the numbers from 0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Labels {
    words: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Labels {
    fn new<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut labels = Self::default();
        for name in names {
            let mut word = name.map_or_else(|| format!("#{}", labels.count()), word);
            while labels.numbers.contains_key(&word) {
                word.push('~');
            }
            labels.place(&word);
        }
        labels
    }

    /// The number of a word, a new one if it is new.
    pub(super) fn place(&mut self, word: &str) -> u32 {
        self.numbers.get(word).copied().unwrap_or_else(|| {
            let number = self.count();
            self.words.push(word.to_owned());
            self.numbers.insert(word.to_owned(), number);
            number
        })
    }

    /// The number of a word that is known, or the `N` of `#N`.
    pub(super) fn find(&self, word: &str) -> Option<u32> {
        let known = self.numbers.get(word).copied();
        known.or_else(|| word.strip_prefix('#')?.parse().ok())
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.words.len()).unwrap_or(u32::MAX)
    }

    fn label(&self, number: u32) -> impl fmt::Display {
        fmt::from_fn(move |formatter| {
            match usize::try_from(number).ok().and_then(|place| self.words.get(place)) {
                Some(word) => formatter.write_str(word),
                None => write!(formatter, "#{number}"),
            }
        })
    }
}

/// A name without what means something in a story.
fn word(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut word = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_whitespace() || character.is_control() || "%:=#,".contains(character) {
            // A String takes everything.
            write!(word, "%{:x}", u32::from(character)).ok();
        } else {
            word.push(character);
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words_that_differ() {
        let instances = ["VI 1", "VI%201", "a", "a", "", "#1"].map(Some);
        let names = Names::new(instances.into_iter().chain([None]), [], [Some("eth0:1")]);
        let shown: Vec<String> =
            (0..8).map(|number| names.instance(InstanceId(number)).to_string()).collect();
        assert_eq!(shown, ["VI%201", "VI%25201", "a", "a~", "%", "%231", "#6", "#7"]);
        for (number, word) in (0..).zip(&shown) {
            assert_eq!(names.instances.find(word), Some(number), "{word}");
        }
        assert_eq!(names.tracker(TrackerId(0)).to_string(), "eth0%3a1");
        assert_eq!(names.instances.find("VI"), None);
    }
}
