//! `track_interface`, `track_script`, `track_process`, `track_unit`, `track_file` and `track_clock`: the same blocks in a
//! group and in an instance.

use super::{Named, address, instance::Finish, statement::entries, unique::Unique};
use crate::{
    diagnostic::{Severity, Sink},
    model::{
        Clock, Process, Script, TrackClock, TrackFile, TrackInterface, TrackProcess, TrackScript,
        TrackUnit, TrackedFile, Unit, Weight,
    },
    suggest,
    tree::{Statement, Word},
    value::{self, WEIGHT_MAX, WIDE_WEIGHT_MAX},
};

/// A line: a script or process, before it is looked up, or an interface.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) name: Word,
    /// `None`: the script's or process's own, or 0.
    weight: Option<Weight>,
}

/// By name.
pub(super) type List = Unique<String, Tracked>;

/// What a group or an instance tracks.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) interfaces: List,
    pub(super) scripts: List,
    pub(super) processes: List,
    pub(super) units: List,
    pub(super) files: List,
    pub(super) clocks: List,
}

impl Lists {
    /// How many things are in them.
    pub(super) fn count(&self) -> usize {
        let Self { interfaces, scripts, processes, units, files, clocks } = self;
        let lists = [interfaces, scripts, processes, units, files, clocks];
        lists.map(|list| list.as_slice().len()).into_iter().sum()
    }

    /// Reads a list of what is tracked; `false`: it is none.
    pub(super) fn read(&mut self, sink: &mut Sink, keyword: &str, list: &Statement) -> bool {
        match keyword {
            "track_interface" => read(sink, WEIGHT_MAX, list, &mut self.interfaces),
            "track_script" => read(sink, WEIGHT_MAX, list, &mut self.scripts),
            "track_process" => read(sink, WIDE_WEIGHT_MAX, list, &mut self.processes),
            "track_unit" => read(sink, WIDE_WEIGHT_MAX, list, &mut self.units),
            "track_file" => read(sink, WIDE_WEIGHT_MAX, list, &mut self.files),
            "track_clock" => read(sink, WEIGHT_MAX, list, &mut self.clocks),
            _ => return false,
        }
        true
    }

    /// Those beside the instance's own one, which counts by itself if it is `track_primary`.
    pub(super) fn interfaces(
        &self,
        sink: &mut Sink,
        with: &Finish<'_>,
        own: &str,
        track_primary: bool,
    ) -> Vec<TrackInterface> {
        let mut tracked = Vec::new();
        for line in &self.interfaces {
            let mut one = line.interface(sink);
            if one.interface == own {
                let has_weight = one.weight != Weight::default();
                let help = match (track_primary, has_weight) {
                    (false, _) => "leave out `dont_track_primary` if its loss is to be a fault",
                    (true, true) => "its loss is a fault by itself",
                    // It is what holds anyway.
                    (true, false) => continue,
                };
                let message = format!("`{own}` is the instance's own interface: ignored");
                sink.warning_help(line.name.span, message, help);
                continue;
            }
            if drops_weights(with) && one.weight.value != 0 {
                let name = &one.interface;
                let message = format!("`{name}` has a weight, but {ONE_PRIORITY}: weight 0");
                sink.warning(line.name.span, message);
                one.weight = Weight::default();
            }
            if keeps_of_owner(sink, with, one.weight, &line.name) {
                tracked.push(one);
            }
        }
        tracked
    }

    /// Scripts, without those of a weight that cannot count.
    pub(super) fn scripts(&self, sink: &mut Sink, with: &Finish<'_>) -> Vec<TrackScript> {
        let found = self.scripts.iter().filter_map(|one| {
            let found = find_script(sink, &with.blocks.scripts, one)?;
            keeps(sink, with, found.weight, &one.name).then_some(found)
        });
        found.collect()
    }

    /// The same of files.
    pub(super) fn files(&self, sink: &mut Sink, with: &Finish<'_>) -> Vec<TrackFile> {
        let found = self.files.iter().filter_map(|one| {
            let found = find_file(sink, &with.blocks.files, one)?;
            keeps(sink, with, found.weight, &one.name).then_some(found)
        });
        found.collect()
    }

    /// The same of clocks.
    pub(super) fn clocks(&self, sink: &mut Sink, with: &Finish<'_>) -> Vec<TrackClock> {
        let found = self.clocks.iter().filter_map(|one| {
            let found = find_clock(sink, &with.blocks.clocks, one)?;
            keeps(sink, with, found.weight, &one.name).then_some(found)
        });
        found.collect()
    }

    /// The same of units.
    pub(super) fn units(&self, sink: &mut Sink, with: &Finish<'_>) -> Vec<TrackUnit> {
        let found = self.units.iter().filter_map(|one| {
            let found = find_unit(sink, &with.blocks.units, one)?;
            keeps(sink, with, found.weight, &one.name).then_some(found)
        });
        found.collect()
    }

    /// The same of processes.
    pub(super) fn processes(&self, sink: &mut Sink, with: &Finish<'_>) -> Vec<TrackProcess> {
        let found = self.processes.iter().filter_map(|one| {
            let found = find_process(sink, &with.blocks.processes, one)?;
            keeps(sink, with, found.weight, &one.name).then_some(found)
        });
        found.collect()
    }
}

/// Why keepalived drops weights in members of a group.
const ONE_PRIORITY: &str = "members of a sync group have one priority";

fn drops_weights(with: &Finish<'_>) -> bool {
    with.group.is_some_and(|group| !group.tracking_weight)
}

/// Whether what has this weight can be tracked; if not, that is said.
fn keeps(sink: &mut Sink, with: &Finish<'_>, weight: Weight, name: &Word) -> bool {
    let keeps = !drops_weights(with) || weight.value == 0;
    if !keeps {
        let message = format!("`{}` has a weight, but {ONE_PRIORITY}: ignored", name.text);
        sink.warning_help(name.span, message, "track it in the group");
    }
    keeps && keeps_of_owner(sink, with, weight, name)
}

/// The same of an instance that owns its addresses. keepalived 2.2.7: "ignoring tracked script s with
/// weights due to `address_owner`", and so with files and interfaces.
fn keeps_of_owner(sink: &mut Sink, with: &Finish<'_>, weight: Weight, name: &Word) -> bool {
    let keeps = !with.is_owner || weight.value == 0;
    if !keeps {
        let message = format!(
            "`{}` has a weight, but priority 255 never changes: ignored, as keepalived does",
            name.text
        );
        let help = "weight 0 makes its failure a fault; a lower priority makes the weight count";
        sink.warning_help(name.span, message, help);
    }
    keeps
}

impl Tracked {
    /// As an interface.
    pub(super) fn interface(&self, sink: &Sink) -> TrackInterface {
        TrackInterface {
            interface: self.name.text.clone(),
            weight: self.weight.unwrap_or_default(),
            place: sink.place(self.name.span),
        }
    }
}

/// What `tracked` names; that there is no such script is reported.
pub(super) fn find_script(
    sink: &mut Sink,
    scripts: &Named<Option<Script>>,
    tracked: &Tracked,
) -> Option<TrackScript> {
    let script = find(sink, "vrrp_script", scripts, &tracked.name)?;
    Some(TrackScript {
        script: script.name.clone(),
        weight: tracked.weight.unwrap_or(script.weight),
        place: sink.place(tracked.name.span),
    })
}

/// The same of processes.
pub(super) fn find_process(
    sink: &mut Sink,
    processes: &Named<Option<Process>>,
    tracked: &Tracked,
) -> Option<TrackProcess> {
    let process = find(sink, "vrrp_track_process", processes, &tracked.name)?;
    Some(TrackProcess {
        process: process.name.clone(),
        weight: tracked.weight.unwrap_or(process.weight),
        place: sink.place(tracked.name.span),
    })
}

/// The same of units.
pub(super) fn find_unit(
    sink: &mut Sink,
    units: &Named<Option<Unit>>,
    tracked: &Tracked,
) -> Option<TrackUnit> {
    let unit = find(sink, "vrrp_track_unit", units, &tracked.name)?;
    Some(TrackUnit {
        unit: unit.name.clone(),
        weight: tracked.weight.unwrap_or(unit.weight),
        place: sink.place(tracked.name.span),
    })
}

/// The same of files.
pub(super) fn find_file(
    sink: &mut Sink,
    files: &Named<Option<TrackedFile>>,
    tracked: &Tracked,
) -> Option<TrackFile> {
    let file = find(sink, "track_file", files, &tracked.name)?;
    Some(TrackFile {
        file: file.name.clone(),
        weight: tracked.weight.unwrap_or(file.weight),
        place: sink.place(tracked.name.span),
    })
}

/// The same of clocks.
pub(super) fn find_clock(
    sink: &mut Sink,
    clocks: &Named<Option<Clock>>,
    tracked: &Tracked,
) -> Option<TrackClock> {
    let clock = find(sink, "vrrp_track_clock", clocks, &tracked.name)?;
    Some(TrackClock {
        clock: clock.name.clone(),
        weight: tracked.weight.unwrap_or(clock.weight),
        place: sink.place(tracked.name.span),
    })
}

/// The block `name` of the kind, which is in order.
fn find<'a, T>(
    sink: &mut Sink,
    kind: &str,
    blocks: &'a Named<Option<T>>,
    name: &Word,
) -> Option<&'a T> {
    let Some(built) = blocks.find(&name.text) else {
        unknown(sink, name, kind, blocks.iter().map(|one| one.name.text.as_str()));
        return None;
    };
    let usable = built.value.as_ref().filter(|_| !sink.has_error_in(built.range));
    if usable.is_none() {
        sink.error(name.span, format!("the `{kind}` `{}` has errors", name.text));
    } else if built.range.at > name.span.at && kind != "vrrp_track_clock" {
        let message =
            format!("`{}` is defined after this line: keepalived does not find it", name.text);
        let help = format!("it is tracked here; put its `{kind}` before what tracks it");
        sink.warning_help(name.span, message, help);
    }
    usable
}

/// A name is not compared with more: a suggestion may be missed, but not take seconds.
const COMPARED_MAX: usize = 1000;

/// Says that there is no `kind` called `name`.
pub(super) fn unknown<'a>(
    sink: &mut Sink,
    name: &Word,
    kind: &str,
    known: impl Iterator<Item = &'a str>,
) {
    let message = format!("there is no `{kind}` called `{}`", name.text);
    let known = known.take(COMPARED_MAX);
    let near =
        if sink.is_full(Severity::Error) { None } else { suggest::nearest(&name.text, known) };
    match near {
        Some(near) => sink.error_help(name.span, message, format!("did you mean `{near}`?")),
        None => sink.error(name.span, message),
    }
}

/// The lines of one kind that an instance or a group may have.
const LINES_MAX: usize = 256;

/// Adds the lines of `list` to `tracked`, each name once; weights are from -`most` to `most`.
fn read(sink: &mut Sink, most: i64, list: &Statement, tracked: &mut List) {
    for entry in entries(sink, list) {
        let Ok(weight) = value::weight_option(sink, most, &entry.values) else { continue };
        let name = &entry.head;
        if list.head.text == "track_interface" && address::interface_name(sink, name).is_none() {
            continue;
        }
        if tracked.as_slice().len() == LINES_MAX && !tracked.contains(&name.text) {
            let message = format!("more than {LINES_MAX} lines of `{}`", list.head.text);
            sink.error_help(name.span, message, "let one script look at several things");
            return;
        }
        if tracked.insert(name.text.clone(), Tracked { name: name.clone(), weight }).is_err() {
            sink.warning(name.span, format!("`{}` is tracked twice: ignored", name.text));
        }
    }
}
