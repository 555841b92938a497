//! The model as keepalived.conf again: one file a block, as in `build`.
//!
//! The structs of the model are taken apart field by field, without `..`: who adds a field is told
//! by the compiler to write it here. What is written is looked up in the keyword table, so that a
//! keyword cannot have one name here and another one there.

mod announce;
mod clock;
mod file;
mod global;
mod group;
mod instance;
mod notify;
mod process;
mod quote;
mod routing;
mod script;
mod statics;
mod track;
mod transport;
mod unit;
mod writer;

use std::collections::BTreeSet;

use self::writer::Writer;
use crate::model::{Authentication, Config, Route, Rule, Scope, Statics, Weight};

/// A route in the words of the configuration.
#[must_use]
pub fn route_text(route: &Route) -> String {
    routing::route(route).join(" ")
}

/// A rule in the words of the configuration.
#[must_use]
pub fn rule_text(rule: &Rule) -> String {
    routing::rule(rule).join(" ")
}

/// A scope's name, else its number.
#[must_use]
pub fn scope_text(scope: Scope) -> String {
    instance::scope_text(scope)
}

/// `config` as a keepalived.conf with every default in it. Lists and scripts that are not there are
/// not mentioned.
///
/// Reading it gives the same model again, but for the numbers of lines, and that the same text.
/// What is said of it then has its cause in the model: what is not active yet, what is tracked
/// nowhere, an offset that no server is asked for, a script that only looks for a process, a group of one member, strict mode, a password
/// of which only a part counts, and words too many after what is not active yet. Of everything else
/// that was said of the original file nothing is left, because what it was said of is either
/// resolved or left out.
///
/// Passwords are in it, because without them it would be another configuration. A text that is
/// larger than what may be read (64 MiB, two million words: some 20,000 instances) is written all
/// the same.
#[must_use]
pub fn effective(config: &Config) -> String {
    let Config {
        identity,
        global,
        scripts,
        processes,
        units,
        files,
        clocks,
        groups,
        instances,
        pacing,
        delays,
        statics,
        track_groups,
        inactive,
    } = config;
    let mut writer = Writer::default();
    writer.remark("The effective configuration: what counts, with every default.");
    writer
        .remark("In comments: defaults that have no words, or that keepalived 2.2 does not take.");
    writer
        .remark("Left out: what has no effect here. `check` of the original names each such line.");
    if instances.iter().any(|instance| instance.authentication != Authentication::None) {
        writer.remark("SECRET: auth_pass is in it. Take it out before you show this to anybody.");
    }
    global::write_identity(&mut writer, identity);
    writer.value("child_wait_time", writer::seconds(global.lifecycle.child_wait_time));
    global::write(&mut writer, global, identity);
    for group in pacing {
        announce::write_pacing(&mut writer, group);
    }
    track::write_delays(&mut writer, delays);
    statics::write(&mut writer, statics, track_groups);
    for setting in inactive {
        writer.setting(setting);
    }
    for script in scripts {
        script::write(&mut writer, script);
    }
    for process in processes {
        process::write(&mut writer, process);
    }
    for unit in units {
        unit::write(&mut writer, unit);
    }
    for file in files {
        file::write(&mut writer, file);
    }
    for clock in clocks {
        clock::write(&mut writer, clock);
    }
    let reversed = Reversed {
        scripts: names(scripts.iter().map(|one| (one.name.as_str(), one.weight))),
        processes: names(processes.iter().map(|one| (one.name.as_str(), one.weight))),
        units: names(units.iter().map(|one| (one.name.as_str(), one.weight))),
        files: names(files.iter().map(|one| (one.name.as_str(), one.weight))),
        clocks: names(clocks.iter().map(|one| (one.name.as_str(), one.weight))),
    };
    for group in groups {
        group::write(&mut writer, group, &reversed);
    }
    for instance in instances {
        instance::write(&mut writer, instance, &reversed);
    }
    writer.into_text()
}

/// The lines of `statics` alone, as keepalived.conf.
#[must_use]
pub fn statics_text(statics: &Statics) -> String {
    let mut writer = Writer::default();
    statics::write(&mut writer, statics, &[]);
    writer.into_text()
}

/// The names of what says `reverse` itself.
struct Reversed<'a> {
    scripts: BTreeSet<&'a str>,
    processes: BTreeSet<&'a str>,
    units: BTreeSet<&'a str>,
    files: BTreeSet<&'a str>,
    clocks: BTreeSet<&'a str>,
}

fn names<'a>(weights: impl Iterator<Item = (&'a str, Weight)>) -> BTreeSet<&'a str> {
    weights.filter(|(_, weight)| weight.reverse).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;
