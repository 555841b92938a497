//! What an instance can depend on.

use std::{collections::BTreeMap, fmt};

use ha_config::{Clock, Command, Place, Process, Script, TrackedFile, Unit, Weight};
use ha_core::TrackerId;

use super::Plan;

/// What a tracker number stands for.
#[derive(Clone, Debug)]
pub(crate) enum TrackerPlan {
    /// Up while the interface is there, up and has carrier.
    Interface(String),
    /// Up while the script succeeds.
    Script(Script),
    /// Up while so many processes run.
    Process(Process),
    /// Up while the unit is active.
    Unit(Unit),
    /// As the number in the file says.
    File(TrackedFile),
    /// Up while all is there that is static and in this `track_group`.
    Statics(String),
    /// Up while the wall clock is good enough.
    Clock(Clock),
}

impl Plan {
    /// The engine's number of each tracked thing.
    pub(crate) fn tracker_numbers(&self) -> impl Iterator<Item = TrackerId> {
        self.trackers.numbered().map(|(number, _)| TrackerId(number))
    }

    /// Those of one kind.
    pub(crate) fn trackers_of<T: Clone>(
        &self,
        kind: fn(&TrackerPlan) -> Option<&T>,
    ) -> BTreeMap<TrackerId, T> {
        let of_it = |(number, tracker)| Some((TrackerId(number), kind(tracker)?.clone()));
        self.trackers.numbered().filter_map(of_it).collect()
    }
}

impl TrackerPlan {
    /// What it is called in the file: no other of its kind is.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Interface(name) | Self::Statics(name) => name,
            Self::Script(script) => &script.name,
            Self::Process(process) => &process.name,
            Self::Unit(unit) => &unit.name,
            Self::File(file) => &file.name,
            Self::Clock(clock) => &clock.name,
        }
    }

    /// What is run for it, if anything.
    pub(crate) fn command(&self) -> Option<&Command> {
        Some(&self.script()?.command)
    }

    /// The script, if it is one.
    pub(crate) const fn script(&self) -> Option<&Script> {
        let Self::Script(script) = self else { return None };
        Some(script)
    }

    /// The file, if it is one.
    pub(crate) const fn file(&self) -> Option<&TrackedFile> {
        let Self::File(file) = self else { return None };
        Some(file)
    }

    /// The processes, if it is about some.
    pub(crate) const fn process(&self) -> Option<&Process> {
        let Self::Process(process) = self else { return None };
        Some(process)
    }

    /// The unit, if it is one.
    pub(crate) const fn unit(&self) -> Option<&Unit> {
        let Self::Unit(unit) = self else { return None };
        Some(unit)
    }

    /// The limits of the clock, if it is about that.
    pub(crate) const fn clock(&self) -> Option<&Clock> {
        let Self::Clock(clock) = self else { return None };
        Some(clock)
    }

    /// The interface, if it is one.
    pub(crate) fn interface(&self) -> Option<&str> {
        let Self::Interface(name) = self else { return None };
        Some(name)
    }

    /// Whether they differ at most in where they stand in the file.
    pub(crate) fn has_same_meaning(&self, other: &Self) -> bool {
        let bare = |script: &Script| {
            let command = Command { place: Place::line(0), ..script.command.clone() };
            Script { command, place: Place::line(0), ..script.clone() }
        };
        // Its weight is the engine's matter.
        let bare_clock = |clock: &Clock| Clock {
            weight: Weight::default(),
            place: Place::line(0),
            ..clock.clone()
        };
        match (self, other) {
            (Self::Interface(one), Self::Interface(other))
            | (Self::Statics(one), Self::Statics(other)) => one == other,
            (Self::Script(one), Self::Script(other)) => bare(one) == bare(other),
            (Self::Process(one), Self::Process(other)) => {
                *one == Process { place: one.place.clone(), ..other.clone() }
            }
            (Self::Unit(one), Self::Unit(other)) => {
                *one == Unit { weight: one.weight, place: one.place.clone(), ..other.clone() }
            }
            // Its weight is the engine's matter.
            (Self::File(one), Self::File(other)) => {
                (&one.name, &one.path, one.init) == (&other.name, &other.path, other.init)
            }
            (Self::Clock(one), Self::Clock(other)) => bare_clock(one) == bare_clock(other),
            (
                Self::Interface(_)
                | Self::Script(_)
                | Self::Process(_)
                | Self::Unit(_)
                | Self::File(_)
                | Self::Statics(_)
                | Self::Clock(_),
                _,
            ) => false,
        }
    }

    /// Whether what is known of this one holds for `new`: another interval or another `rise` only
    /// changes what is known next.
    pub(crate) fn is_known_by(&self, new: &Self) -> bool {
        match (self, new) {
            (Self::Interface(old), Self::Interface(new))
            | (Self::Statics(old), Self::Statics(new)) => old == new,
            (Self::Script(old), Self::Script(new)) => {
                let run = |script: &Script| {
                    let Command { argv, user, place: _ } = script.command.clone();
                    (script.name.clone(), argv, user)
                };
                run(old) == run(new)
            }
            (Self::Process(old), Self::Process(new)) => old.is_same(new),
            (Self::Unit(old), Self::Unit(new)) => old.is_same(new),
            (Self::File(old), Self::File(new)) => old.path == new.path,
            // Other limits are another question.
            (Self::Clock(old), Self::Clock(new)) => {
                let limits =
                    |clock: &Clock| (clock.max_offset, clock.max_error, clock.require_sync);
                old.name == new.name && limits(old) == limits(new)
            }
            (
                Self::Interface(_)
                | Self::Script(_)
                | Self::Process(_)
                | Self::Unit(_)
                | Self::File(_)
                | Self::Statics(_)
                | Self::Clock(_),
                _,
            ) => false,
        }
    }
}

impl fmt::Display for TrackerPlan {
    /// The kind and the name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Interface(_) => "interface",
            Self::Script(_) => "script",
            Self::Process(_) => "process",
            Self::Unit(_) => "unit",
            Self::File(_) => "file",
            Self::Statics(_) => "track group",
            Self::Clock(_) => "clock",
        };
        write!(formatter, "{kind} {}", self.name())
    }
}
