//! `static_ipaddress`, `static_routes`, `static_rules`, and the `track_group` blocks that they name.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::{
    Blocks, Built, Named, address, route, rule,
    statement::{entry_words, supported},
    track,
    unique::Unique,
};
use crate::{
    diagnostic::Sink,
    keywords::{Block, STATIC_ADDRESS},
    model::{Instance, Route, Static, Statics, TrackGroup},
    tree::{Statement, Word},
};

/// The lines, before their groups and the default interface are known.
#[derive(Debug, Default)]
pub(super) struct Draft {
    addresses: Unique<IpAddr, address::Draft>,
    routes: Vec<(Route, Option<Word>)>,
    rules: Vec<rule::Draft>,
}

impl Draft {
    /// Whether `keyword` is one of them.
    pub(super) fn read(&mut self, sink: &mut Sink, keyword: &str, list: &Statement) -> bool {
        match keyword {
            "static_ipaddress" => address::read(sink, &STATIC_ADDRESS, list, &mut self.addresses),
            "static_routes" => self.routes.extend(route::read(sink, list)),
            "static_rules" => self.rules.extend(rule::read(sink, list)),
            _ => return false,
        }
        true
    }

    /// Rules without a preference get theirs before those of instances, as in keepalived.
    pub(super) fn finish(
        &self,
        sink: &mut Sink,
        groups: &Named<Group>,
        interface: &str,
        preferences: &mut rule::Preferences,
    ) -> Statics {
        let mut statics = Statics::default();
        for draft in &self.addresses {
            let item = draft.finish(sink, interface);
            let track_group = group(sink, groups, draft.group.as_ref(), item.track);
            statics.addresses.push(Static { item, track_group });
        }
        for (route, named) in &self.routes {
            let track_group = group(sink, groups, named.as_ref(), route.track);
            statics.routes.push(Static { item: route.clone(), track_group });
        }
        for draft in &self.rules {
            let item = preferences.finish(sink, draft);
            let track_group = group(sink, groups, draft.group.as_ref(), item.track);
            statics.rules.push(Static { item, track_group });
        }
        statics
    }
}

/// The group of this name, if it has an effect.
fn group(
    sink: &mut Sink,
    groups: &Named<Group>,
    named: Option<&Word>,
    is_tracked: bool,
) -> Option<String> {
    let named = named?;
    if !groups.contains(&named.text) {
        let known = groups.iter().map(|group| group.name.text.as_str());
        track::unknown(sink, named, "track_group", known);
        return None;
    }
    if !is_tracked {
        sink.warning_help(named.span, "`track_group` beside `no_track`: ignored", "choose one");
        return None;
    }
    Some(named.text.clone())
}

/// A `track_group`: the names of its members.
pub(super) type Group = Unique<String, Word>;

pub(super) fn read_group(sink: &mut Sink, block: &Statement) -> Group {
    let mut members = Group::default();
    for (_, list) in supported(sink, Block::TrackGroup, block.body()) {
        for word in entry_words(sink, list) {
            if members.insert(word.text.clone(), word.clone()).is_err() {
                sink.warning(word.span, format!("`{}` is in the group twice: ignored", word.text));
            }
        }
    }
    if members.as_slice().is_empty() {
        let message = "a `track_group` needs a `group { .. }` with names";
        sink.error(block.line_span(), message);
    }
    members
}

/// With the members that are in the file.
pub(super) fn finish_group(sink: &mut Sink, built: &Built<Group>, blocks: &Blocks) -> TrackGroup {
    let members = find_members(sink, &built.value, blocks);
    TrackGroup { name: built.name.text.clone(), members, place: sink.place(built.name.span) }
}

/// The names that are instances'; of the others it is said.
pub(super) fn find_members(sink: &mut Sink, members: &Group, blocks: &Blocks) -> Vec<String> {
    let mut found = Vec::new();
    for member in members {
        if blocks.instances.contains(&member.text) {
            found.push(member.text.clone());
        } else {
            let names = blocks.instances.iter().map(|instance| instance.name.text.as_str());
            track::unknown(sink, member, "vrrp_instance", names);
        }
    }
    found
}

/// Groups live as long as they have a member that can be used, and what names them goes on without.
pub(super) fn keep_usable(
    groups: &mut Vec<TrackGroup>,
    statics: &mut Statics,
    instances: &[Instance],
) {
    let usable: BTreeSet<&str> = instances.iter().map(|one| one.name.as_str()).collect();
    for group in groups.iter_mut() {
        group.members.retain(|name| usable.contains(name.as_str()));
    }
    groups.retain(|group| !group.members.is_empty());
    let known: BTreeSet<&str> = groups.iter().map(|one| one.name.as_str()).collect();
    let Statics { addresses, routes, rules } = statics;
    let lines = addresses.iter_mut().map(|one| &mut one.track_group);
    let lines = lines.chain(routes.iter_mut().map(|one| &mut one.track_group));
    for group in lines.chain(rules.iter_mut().map(|one| &mut one.track_group)) {
        group.take_if(|name| !known.contains(name.as_str()));
    }
}
