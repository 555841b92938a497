//! `track_interface` and `track_script`: the same blocks in a group and in an instance.

use super::{Reversed, writer::Writer};
use crate::model::{TrackInterface, TrackScript, Weight};

pub(super) fn write(
    writer: &mut Writer,
    interfaces: &[TrackInterface],
    tracked: &[TrackScript],
    reversed: &Reversed<'_>,
) {
    writer.list("track_interface", interfaces, |tracked| {
        let TrackInterface { interface, weight: by, place: _ } = tracked;
        entry(interface, *by)
    });
    writer.list("track_script", tracked, |tracked| {
        let TrackScript { script: name, weight: by, place: _ } = tracked;
        let mut words = entry(name, *by);
        // For keepalived, what is not said here is as the script says it.
        if reversed.contains(name.as_str()) && !by.reverse {
            words.push("noreverse".to_owned());
        }
        words
    });
}

/// `N [reverse]`.
pub(super) fn weight(weight: Weight) -> Vec<String> {
    let Weight { value, reverse } = weight;
    let reverse = reverse.then(|| "reverse".to_owned());
    core::iter::once(value.to_string()).chain(reverse).collect()
}

fn entry(name: &str, by: Weight) -> Vec<String> {
    [name.to_owned(), "weight".to_owned()].into_iter().chain(weight(by)).collect()
}
