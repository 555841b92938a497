//! `track_group`, `static_ipaddress`, `static_routes` and `static_rules`.

use super::{instance::address, routing, writer::Writer};
use crate::model::{Static, Statics, TrackGroup};

pub(super) fn write(writer: &mut Writer, statics: &Statics, groups: &[TrackGroup]) {
    let Statics { addresses, routes, rules } = statics;
    for TrackGroup { name, members, place: _ } in groups {
        writer.block("track_group", Some(name), |writer| {
            writer.list("group", members, |member| vec![member.clone()]);
        });
    }
    writer.list("static_ipaddress", addresses, |one| line(one, address));
    writer.list("static_routes", routes, |one| line(one, routing::route));
    writer.list("static_rules", rules, |one| line(one, routing::rule));
}

/// With the group before what may be a list of hops.
fn line<T>(one: &Static<T>, words: impl Fn(&T) -> Vec<String>) -> Vec<String> {
    let Static { item, track_group } = one;
    let group = track_group.iter().flat_map(|name| ["track_group".to_owned(), name.clone()]);
    let mut words = words(item);
    let end = words.iter().position(|word| word == "nexthop").unwrap_or(words.len());
    words.splice(end..end, group);
    words
}
