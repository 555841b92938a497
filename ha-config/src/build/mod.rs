//! Statements to the model: one file a block, then what can only be judged across blocks.
//!
//! A script, a group or an instance is left out when an error lies inside its block, so whoever
//! reports an error decides by its span what is lost.

mod address;
mod auth;
mod clock;
mod delays;
mod fifo;
mod file;
mod garp;
mod global;
mod group;
mod inactive;
mod instance;
mod notify;
mod option;
mod pacing;
mod process;
mod restarts;
mod route;
mod routing;
mod rule;
mod script;
mod statement;
mod statics;
mod strict;
mod track;
mod transport;
mod unique;
mod unit;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use self::unique::Unique;
use crate::{
    Parsed,
    diagnostic::{Sink, Span},
    keywords::{Block, Keyword},
    model::{
        Clock, Config, Identity, Instance, Process, Script, Setting, Statics, SyncGroup,
        TrackGroup, TrackedFile, Unit,
    },
    tree::{Statement, Word},
    value,
};

/// A block that has been read, and where it is.
struct Built<T> {
    name: Word,
    /// From its head to its closing brace.
    range: Span,
    value: T,
}

/// By name.
type Named<T> = Unique<String, Built<T>>;

/// Everything that has been read, before references are looked up.
#[derive(Default)]
struct Blocks {
    scripts: Named<Option<Script>>,
    processes: Named<Option<Process>>,
    units: Named<Option<Unit>>,
    files: Named<Option<TrackedFile>>,
    clocks: Named<Option<Clock>>,
    groups: Named<group::Draft>,
    instances: Named<instance::Draft>,
    pacing: Vec<pacing::Draft>,
    delays: delays::List,
    statics: statics::Draft,
    track_groups: Named<statics::Group>,
    inactive: Vec<Setting>,
}

/// The model of `statements`; `sink` has what was found before.
pub(crate) fn build(statements: &[Statement], mut sink: Sink) -> Parsed {
    let top = statement::supported(&mut sink, Block::Top, statements);
    let mut global = global::Draft::default();
    let mut globals = statement::Given::new();
    let mut identity = Identity::default();
    let mut is_astray = false;
    let mut blocks = Blocks::default();
    for (keyword, statement) in &top {
        match keyword.name {
            "global_defs" => {
                let late = !blocks.instances.as_slice().is_empty();
                global.read(&mut sink, statement, late, &mut globals);
            }
            "vrrp_script" => named(&mut sink, &mut blocks.scripts, statement, |sink, name| {
                script::read(sink, name, statement)
            }),
            "vrrp_track_process" => {
                named(&mut sink, &mut blocks.processes, statement, |sink, name| {
                    process::read(sink, name, statement)
                });
            }
            "vrrp_track_unit" => named(&mut sink, &mut blocks.units, statement, |sink, name| {
                unit::read(sink, name, statement)
            }),
            "track_file" | "vrrp_track_file" => {
                named(&mut sink, &mut blocks.files, statement, |sink, name| {
                    file::read(sink, name, statement)
                });
            }
            "vrrp_track_clock" => named(&mut sink, &mut blocks.clocks, statement, |sink, name| {
                clock::read(sink, name, statement)
            }),
            "vrrp_sync_group" => named(&mut sink, &mut blocks.groups, statement, |sink, _| {
                group::Draft::read(sink, statement)
            }),
            "vrrp_instance" => named(&mut sink, &mut blocks.instances, statement, |sink, _| {
                instance::Draft::read(sink, statement)
            }),
            "net_namespace" => {
                identity.net_namespace = file_name(&mut sink, keyword, statement);
                is_astray = identity.net_namespace.is_none();
            }
            "instance" => identity.instance = file_name(&mut sink, keyword, statement),
            "use_pid_dir" => identity.use_pid_dir = true,
            "interface_up_down_delays" => delays::read(&mut sink, statement, &mut blocks.delays),
            "garp_group" => blocks.pacing.push(pacing::Draft::read(&mut sink, statement)),
            "track_group" => named(&mut sink, &mut blocks.track_groups, statement, |sink, _| {
                statics::read_group(sink, statement)
            }),
            "child_wait_time" => global.read_wait(&mut sink, keyword, statement),
            other => {
                if !blocks.statics.read(&mut sink, other, statement) {
                    inactive::keep(&mut sink, keyword, statement, &mut blocks.inactive);
                }
            }
        }
    }
    inactive::check_names(&mut sink, statements);
    inactive::report(&mut sink, statements);
    identity.data_use_instance = global.data_use_instance;
    let mut config = Config { identity, ..resolve(&mut sink, global, &blocks) };
    if is_astray {
        // They would run on other interfaces of the same names.
        config.instances.clear();
        config.groups.clear();
        config.statics = Statics::default();
    }
    let (diagnostics, counts) = sink.into_sorted();
    Parsed { config, diagnostics, counts }
}

/// Reads a block with a name and keeps it, unless its name is taken.
fn named<T>(
    sink: &mut Sink,
    built: &mut Named<T>,
    statement: &Statement,
    read: impl FnOnce(&mut Sink, &Word) -> T,
) {
    let Some(name) = statement.value(0) else { return };
    let value = read(sink, name);
    let block = Built { name: name.clone(), range: statement.span, value };
    if let Err(first) = built.insert(name.text.clone(), block) {
        let place = sink.place(first.name.span);
        let message = format!("`{}` is there already, in {place}", name.text);
        let help = "the first one counts";
        if FIRST_COUNTS.contains(&statement.head.text.as_str()) {
            sink.warning_help(name.span, message, help);
        } else {
            sink.error_help(name.span, message, help);
        }
        return;
    }
    if name.text.is_empty() {
        sink.error(name.span, "the name is empty");
    }
}

/// Blocks of which keepalived takes another one with the same name, and says nothing: it goes by the
/// first of them. Of others it says so, and refuses the file.
const FIRST_COUNTS: [&str; 3] = ["vrrp_script", "track_file", "vrrp_track_file"];

/// The blocks that are in order.
fn usable<T: Clone>(sink: &Sink, blocks: &Named<Option<T>>) -> Vec<T> {
    let sound = blocks.iter().filter(|block| !sink.has_error_in(block.range));
    sound.filter_map(|block| block.value.clone()).collect()
}

fn file_name(sink: &mut Sink, keyword: &Keyword, statement: &Statement) -> Option<String> {
    let wrong = statement::wrong_values(keyword, statement);
    for (word, argument) in &wrong {
        value::bad(sink, word, &argument.expected());
    }
    let name = statement.value(0).filter(|_| wrong.is_empty())?;
    Some(name.text.clone())
}

fn resolve(sink: &mut Sink, global: global::Draft, blocks: &Blocks) -> Config {
    let scripts: Vec<Script> = usable(sink, &blocks.scripts);
    let processes: Vec<Process> = usable(sink, &blocks.processes);
    let units: Vec<Unit> = usable(sink, &blocks.units);
    let files: Vec<TrackedFile> = usable(sink, &blocks.files);
    let clocks: Vec<Clock> = usable(sink, &blocks.clocks);
    let finish_group = |group| group::finish(sink, group, blocks, &global);
    let mut groups: Vec<SyncGroup> = blocks.groups.iter().map(finish_group).collect();
    validate::one_group_each(sink, &blocks.groups, &mut groups);
    let mut homes: BTreeMap<&str, &SyncGroup> = BTreeMap::new();
    for group in &groups {
        homes.extend(group.members.iter().map(|member| (member.as_str(), group)));
    }
    let mut preferences = rule::Preferences::new();
    let interface = global.global.default_interface.as_deref().unwrap_or("eth0");
    let mut statics =
        blocks.statics.finish(sink, &blocks.track_groups, interface, &mut preferences);
    let finish_group = |group| statics::finish_group(sink, group, blocks);
    let mut track_groups: Vec<TrackGroup> = blocks.track_groups.iter().map(finish_group).collect();
    let mut instances: Vec<(Span, Instance)> = Vec::new();
    for instance in validate::runnable(sink, &blocks.instances) {
        let name = &instance.name;
        let group = homes.get(name.text.as_str()).copied();
        let finish = instance::Finish { name, global: &global, blocks, group, is_owner: false };
        let finished = instance.value.finish(sink, &finish);
        debug_assert!(
            finished.is_some() || sink.has_error_in(instance.range),
            "`{}` is left out, and nobody is told why",
            name.text
        );
        if let Some(mut finished) = finished {
            finished.rules = instance.value.routing.finish_rules(sink, &mut preferences);
            instances.push((instance.range, finished));
        }
    }
    validate::few_tracked(sink, &mut instances, &homes, blocks);
    validate::few_peers(sink, &mut instances, blocks);
    validate::in_each_other_s_way(sink, &instances, &blocks.instances);
    strict::warn_of_silence(sink, &global, &instances, &blocks.instances);
    validate::something_to_run(sink, blocks);
    validate::unused_trackers(sink, blocks);
    validate::offsets_of_nobody(sink, blocks, &global);
    validate::looks_for_processes(sink, &blocks.scripts);
    instances.retain(|(range, _)| !sink.has_error_in(*range));
    let instances: Vec<Instance> = instances.into_iter().map(|(_, instance)| instance).collect();
    // A group lives as long as it has a member that can be used.
    let usable: BTreeSet<&str> = instances.iter().map(|one| one.name.as_str()).collect();
    for group in &mut groups {
        group.members.retain(|name| usable.contains(name.as_str()));
    }
    groups.retain(|group| !group.members.is_empty());
    statics::keep_usable(&mut track_groups, &mut statics, &instances);
    let pacing = pacing::finish(sink, &blocks.pacing);
    let delays = blocks.delays.as_slice().to_vec();
    let inactive = blocks.inactive.clone();
    let (identity, global) = (Identity::default(), global.finish(sink));
    Config {
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
    }
}

#[cfg(test)]
mod tests {
    use super::statement::NO_BUILDER;
    use crate::keywords::{Block, Support, TABLE};

    #[test]
    fn every_supported_keyword_has_a_meaning() {
        for (block, keywords) in TABLE {
            for keyword in keywords.iter().filter(|keyword| matches!(keyword.support, Support::Now))
            {
                let words = " 2".repeat(keyword.least);
                let braces = if keyword.body.is_some() { " {\n}" } else { "" };
                let line = format!("{}{words}{braces}\n", keyword.name);
                let text = if block == Block::Top {
                    line
                } else if block == Block::Authentication {
                    format!("vrrp_instance V {{\nauthentication {{\n{line}}}\n}}\n")
                } else {
                    format!("{} N {{\n{line}}}\n", block.name().trim_matches('`'))
                };
                let parsed = crate::parse("", &text);
                let forgotten = parsed.diagnostics.iter().any(|found| {
                    found.message.contains(NO_BUILDER) || found.message.contains("unknown")
                });
                assert!(!forgotten, "{text}{:?}", parsed.diagnostics);
            }
        }
    }
}
