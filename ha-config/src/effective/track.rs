//! `track_interface`, `track_script`, `track_process`, `track_file` and `track_clock`: the same blocks in a
//! group and in an instance; and `interface_up_down_delays`.

use std::collections::BTreeSet;

use super::{
    Reversed,
    writer::{Writer, seconds},
};
use crate::model::{
    InterfaceDelays, TrackClock, TrackFile, TrackInterface, TrackProcess, TrackScript, Weight,
};

pub(super) fn write(
    writer: &mut Writer,
    interfaces: &[TrackInterface],
    tracked: &[TrackScript],
    processes: &[TrackProcess],
    files: &[TrackFile],
    clocks: &[TrackClock],
    reversed: &Reversed<'_>,
) {
    writer.list("track_interface", interfaces, |tracked| {
        let TrackInterface { interface, weight: by, place: _ } = tracked;
        entry(interface, *by)
    });
    writer.list("track_script", tracked, |tracked| {
        let TrackScript { script: name, weight: by, place: _ } = tracked;
        entry_against(&reversed.scripts, name, *by)
    });
    writer.list("track_process", processes, |tracked| {
        let TrackProcess { process: name, weight: by, place: _ } = tracked;
        entry_against(&reversed.processes, name, *by)
    });
    writer.list("track_file", files, |tracked| {
        let TrackFile { file: name, weight: by, place: _ } = tracked;
        entry_against(&reversed.files, name, *by)
    });
    writer.list("track_clock", clocks, |tracked| {
        let TrackClock { clock: name, weight: by, place: _ } = tracked;
        entry_against(&reversed.clocks, name, *by)
    });
}

pub(super) fn write_delays(writer: &mut Writer, delays: &[InterfaceDelays]) {
    writer.list("interface_up_down_delays", delays, |delays| {
        let InterfaceDelays { interface, down, up } = delays;
        vec![interface.clone(), seconds(*down), seconds(*up)]
    });
}

/// `N [reverse]`.
pub(super) fn weight(weight: Weight) -> Vec<String> {
    let Weight { value, reverse } = weight;
    let reverse = reverse.then(|| "reverse".to_owned());
    core::iter::once(value.to_string()).chain(reverse).collect()
}

/// For keepalived, what is not said here is as the block of that name says it.
fn entry_against(reversed: &BTreeSet<&str>, name: &str, by: Weight) -> Vec<String> {
    let noreverse = (reversed.contains(name) && !by.reverse).then(|| "noreverse".to_owned());
    entry(name, by).into_iter().chain(noreverse).collect()
}

fn entry(name: &str, by: Weight) -> Vec<String> {
    [name.to_owned(), "weight".to_owned()].into_iter().chain(weight(by)).collect()
}
