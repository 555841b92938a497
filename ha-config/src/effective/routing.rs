//! Lines of `virtual_routes`, `virtual_rules` and their static siblings.

use core::fmt::Display;

use super::instance::scope_text;
use crate::model::{
    Hop, Mark, Network, PROTOCOL, PathMetric, PathSetting, Route, RouteKind, RouterPreference,
    Rule, RuleAction,
};

/// Words of a line.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, name: &str, is_there: bool) {
        self.0.extend(is_there.then(|| name.to_owned()));
    }

    fn value(&mut self, name: &str, value: Option<impl Display>) {
        self.0.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_string()]));
    }
}

pub(super) fn route(route: &Route) -> Vec<String> {
    let Route {
        kind,
        destination,
        hops,
        source,
        table,
        scope,
        protocol,
        metric,
        tos,
        path,
        preference,
        append,
        track,
        place: _,
    } = route;
    let is_ipv4 = destination.address.is_ipv4();
    let mut words = Words::default();
    words.flag(name_of(&RouteKind::NAMES, *kind), *kind != RouteKind::Unicast);
    words.0.push(destination.to_string());
    if let [hop] = hops.as_slice()
        && hop.weight == 1
    {
        write_hop(&mut words, hop);
    }
    words.value("src", *source);
    words.value("table", Some(table));
    words.value("scope", is_ipv4.then(|| scope_text(*scope)));
    words.value("protocol", Some(*protocol).filter(|protocol| *protocol != PROTOCOL));
    words.value("metric", *metric);
    words.value("tos", Some(tos).filter(|tos| **tos != 0));
    for PathSetting { metric, value, locked } in path {
        words.0.push(name_of(&PathMetric::NAMES, *metric).to_owned());
        words.flag("lock", *locked);
        words.0.push(value.to_string());
    }
    let preference = name_of(&RouterPreference::NAMES, *preference);
    words.value("pref", (!is_ipv4).then_some(preference));
    words.flag("append", *append);
    words.flag("no_track", !track);
    if hops.len() > 1 || hops.iter().any(|hop| hop.weight != 1) {
        for hop in hops {
            words.flag("nexthop", true);
            write_hop(&mut words, hop);
            words.value("weight", Some(hop.weight));
        }
    }
    words.0
}

fn write_hop(words: &mut Words, hop: &Hop) {
    let Hop { gateway, interface, onlink, weight: _ } = hop;
    words.value("via", *gateway);
    words.value("dev", interface.as_ref());
    words.flag("onlink", *onlink);
}

pub(super) fn rule(rule: &Rule) -> Vec<String> {
    let Rule {
        family,
        preference,
        invert,
        from,
        to,
        iif,
        oif,
        tos,
        mark,
        uids,
        suppress_prefix_len,
        action,
        protocol,
        track,
        place: _,
    } = rule;
    let all = || Network::all(*family);
    let mut words = Words::default();
    words.flag("not", *invert);
    words.value("from", Some(from.unwrap_or_else(all)));
    words.value("to", *to);
    words.value("iif", iif.as_ref());
    words.value("oif", oif.as_ref());
    words.value("tos", Some(tos).filter(|tos| **tos != 0));
    let mark = mark.map(|Mark { value, mask }| format!("{value:#x}/{mask:#x}"));
    words.value("fwmark", mark);
    words.value("uidrange", uids.map(|(first, last)| format!("{first}-{last}")));
    words.value("suppress_prefixlength", *suppress_prefix_len);
    match action {
        RuleAction::Lookup(table) => words.value("table", Some(table)),
        RuleAction::Blackhole => words.flag("blackhole", true),
        RuleAction::Unreachable => words.flag("unreachable", true),
        RuleAction::Prohibit => words.flag("prohibit", true),
    }
    words.value("preference", Some(preference));
    words.value("protocol", Some(*protocol).filter(|protocol| *protocol != PROTOCOL));
    words.flag("no_track", !track);
    words.0
}

/// Every value of these types has a name.
fn name_of<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| *name)
}
