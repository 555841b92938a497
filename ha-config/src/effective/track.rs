//! `track_interface`, `track_script`, `track_process`, `track_unit`, `track_file` and `track_clock`: the same blocks in a
//! group and in an instance; and `interface_up_down_delays`.

use std::collections::BTreeSet;

use super::{
    Reversed,
    writer::{Writer, seconds},
};
use crate::model::{
    InterfaceDelays, RestartLimit, TrackClock, TrackFile, TrackInterface, TrackProcess,
    TrackScript, TrackUnit, Weight,
};

/// The lists of a group or of an instance.
pub(super) struct Tracks<'a> {
    pub(super) interfaces: &'a [TrackInterface],
    pub(super) scripts: &'a [TrackScript],
    pub(super) processes: &'a [TrackProcess],
    pub(super) units: &'a [TrackUnit],
    pub(super) files: &'a [TrackFile],
    pub(super) clocks: &'a [TrackClock],
}

pub(super) fn write(writer: &mut Writer, tracks: &Tracks<'_>, reversed: &Reversed<'_>) {
    let Tracks { interfaces, scripts, processes, files, units: _, clocks: _ } = *tracks;
    writer.list("track_interface", interfaces, |tracked| {
        let TrackInterface { interface, weight: by, place: _ } = tracked;
        entry(interface, *by)
    });
    writer.list("track_script", scripts, |tracked| {
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
}

/// What keepalived does not know, for the end of a block: of what comes after it in there, it would not
/// know a line.
pub(super) fn write_ours(writer: &mut Writer, tracks: &Tracks<'_>, reversed: &Reversed<'_>) {
    let Tracks { units, clocks, interfaces: _, scripts: _, processes: _, files: _ } = *tracks;
    writer.list("track_unit", units, |tracked| {
        let TrackUnit { unit: name, weight: by, place: _ } = tracked;
        entry_against(&reversed.units, name, *by)
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

/// `max_restarts` and `restart_window`.
pub(super) fn write_restarts(writer: &mut Writer, restarts: Option<RestartLimit>) {
    match restarts {
        Some(RestartLimit { max, window }) => {
            writer.value("max_restarts", max);
            writer.value("restart_window", seconds(window));
        }
        None => writer.silent("max_restarts", "(no limit)"),
    }
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
