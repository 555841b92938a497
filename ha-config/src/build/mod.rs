//! Statements to the model: one file a block, then what can only be judged across blocks.
//!
//! A script, a group or an instance is left out when an error lies inside its block, so whoever
//! reports an error decides by its span what is lost.

mod address;
mod auth;
mod garp;
mod global;
mod group;
mod inactive;
mod instance;
mod notify;
mod pacing;
mod script;
mod statement;
mod strict;
mod track;
mod transport;
mod validate;

use crate::{
    Parsed,
    diagnostic::{Sink, Span},
    keywords::Block,
    model::{Config, Instance, Script, Setting, SyncGroup},
    tree::{Statement, Word},
};

/// A block that has been read, and where it is.
struct Built<T> {
    name: Word,
    /// From its head to its closing brace.
    range: Span,
    value: T,
}

/// Everything that has been read, before references are looked up.
#[derive(Default)]
struct Blocks {
    scripts: Vec<Built<Option<Script>>>,
    groups: Vec<Built<group::Draft>>,
    instances: Vec<Built<instance::Draft>>,
    pacing: Vec<pacing::Draft>,
    inactive: Vec<Setting>,
}

/// The model of `statements`; `sink` has what was found before.
pub(crate) fn build(statements: &[Statement], mut sink: Sink) -> Parsed {
    let top = statement::supported(&mut sink, Block::Top, statements);
    let mut global = global::Draft::default();
    let mut blocks = Blocks::default();
    for (keyword, statement) in &top {
        match keyword.name {
            "global_defs" => {
                let late = !blocks.instances.is_empty();
                global.read(&mut sink, statement, late);
            }
            "vrrp_script" => named(&mut sink, &mut blocks.scripts, statement, |sink, name| {
                script::read(sink, name, statement)
            }),
            "vrrp_sync_group" => named(&mut sink, &mut blocks.groups, statement, |sink, _| {
                group::Draft::read(sink, statement)
            }),
            "vrrp_instance" => named(&mut sink, &mut blocks.instances, statement, |sink, _| {
                instance::Draft::read(sink, statement)
            }),
            "garp_group" => blocks.pacing.push(pacing::Draft::read(&mut sink, statement)),
            _ => inactive::keep(&mut sink, keyword, statement, &mut blocks.inactive),
        }
    }
    inactive::check_names(&mut sink, statements);
    inactive::report(&mut sink, statements);
    let config = resolve(&mut sink, global, &blocks);
    let (diagnostics, counts) = sink.into_sorted();
    Parsed { config, diagnostics, counts }
}

/// Reads a block with a name and keeps it, unless its name is taken.
fn named<T>(
    sink: &mut Sink,
    built: &mut Vec<Built<T>>,
    statement: &Statement,
    read: impl FnOnce(&mut Sink, &Word) -> T,
) {
    let Some(name) = statement.value(0) else { return };
    let value = read(sink, name);
    if let Some(first) = built.iter().find(|other| other.name.text == name.text) {
        let place = sink.place(first.name.span);
        sink.error_help(
            name.span,
            format!("`{}` is there already, in {place}", name.text),
            "the first one counts",
        );
        return;
    }
    if name.text.is_empty() {
        sink.error(name.span, "the name is empty");
    }
    built.push(Built { name: name.clone(), range: statement.span, value });
}

fn resolve(sink: &mut Sink, global: global::Draft, blocks: &Blocks) -> Config {
    let scripts: Vec<Script> = blocks
        .scripts
        .iter()
        .filter(|script| !sink.has_error_in(script.range))
        .filter_map(|script| script.value.clone())
        .collect();
    let lookup = track::Scripts { built: &blocks.scripts, usable: &scripts };
    let finish_group =
        |group: &Built<group::Draft>| group.value.finish(sink, group, &lookup, &blocks.instances);
    let mut groups: Vec<SyncGroup> = blocks.groups.iter().map(finish_group).collect();
    validate::one_group_each(sink, &blocks.groups, &mut groups);
    let mut instances: Vec<(Span, Instance)> = Vec::new();
    for instance in &blocks.instances {
        let name = &instance.name;
        let is_home = |group: &&SyncGroup| group.members.contains(&name.text);
        let group = groups.iter().find(is_home);
        let finish = instance::Finish { name, global: &global, scripts: &lookup, group };
        if let Some(finished) = instance.value.finish(sink, &finish) {
            instances.push((instance.range, finished));
        }
    }
    validate::unique_routers(sink, &instances, &blocks.instances);
    strict::warn_of_silence(sink, &global, &instances, &blocks.instances);
    validate::something_to_run(sink, blocks);
    validate::unused_scripts(sink, blocks);
    instances.retain(|(range, _)| !sink.has_error_in(*range));
    let instances: Vec<Instance> = instances.into_iter().map(|(_, instance)| instance).collect();
    // A group lives as long as it has a member that can be used.
    for group in &mut groups {
        group.members.retain(|name| instances.iter().any(|instance| instance.name == *name));
    }
    groups.retain(|group| !group.members.is_empty());
    let pacing = pacing::finish(sink, &blocks.pacing);
    let inactive = blocks.inactive.clone();
    Config { global: global.global, scripts, groups, instances, pacing, inactive }
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
