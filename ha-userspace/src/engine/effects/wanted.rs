//! What an instance has while it is Master: its plan as the kernel is asked for it.

use std::collections::BTreeSet;

use ha_config::{
    Address, Lifetime, Route, RouteKind, RouterPreference, Rule, RuleAction, Static, Statics,
};
use ha_core::InstanceId;

use super::Surroundings;
use crate::{
    io::{
        addresses::{AddressChange, LIFETIME_INFINITE, PROTOCOL_MARK, STATIC_MARK},
        changes::Change,
        links::{self, Links},
        routes::{NextHop, RouteChange},
        routing_watch::Key,
        rules::RuleChange,
    },
    plan::InstancePlan,
};

/// A change that is to be made and to last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) change: Change,
    /// That it cannot be made, or is undone, is a fault.
    pub(crate) is_tracked: bool,
}

/// Something static that is to be there.
pub(super) struct StaticLine {
    pub(super) change: Change,
    /// It is put back when it is lost.
    pub(super) is_tracked: bool,
    pub(super) track_group: Option<String>,
}

/// What is in the way of something static.
pub(super) struct StaticLack {
    pub(super) text: String,
    pub(super) track_group: Option<String>,
}

/// What is in the way of a change.
pub(super) struct Lack {
    pub(super) text: String,
    pub(super) is_tracked: bool,
}

/// All that an instance wants, and what is in the way of the rest.
pub(super) fn of(around: Surroundings<'_>, instance: InstanceId) -> (Vec<Wanted>, Vec<Lack>) {
    let (mut wanted, mut missing) = (Vec::new(), Vec::new());
    let Some(plan) = around.plan.instance(instance) else { return (wanted, missing) };
    for address in &plan.addresses {
        if is_owned(around.links, plan, address) {
            continue;
        }
        let is_tracked = address.track;
        match address_change(around.links, address, PROTOCOL_MARK) {
            Ok(change) => wanted.push(Wanted { change, is_tracked }),
            Err(lack) => {
                missing.push(Lack { text: format!("{}: {lack}", plan.name), is_tracked });
            }
        }
    }
    let (routes, lacking) = routes(around.links, plan);
    wanted.extend(routes);
    missing.extend(lacking);
    wanted.extend(rules(plan));
    (wanted, missing)
}

/// All that is static, in the order in which it is set, and what is in the way of the rest.
pub(super) fn statics(links: &Links, statics: &Statics) -> (Vec<StaticLine>, Vec<StaticLack>) {
    let Statics { addresses, routes, rules } = statics;
    let addresses = addresses.iter().map(|Static { item, track_group }| {
        (address_change(links, item, STATIC_MARK), item.track, track_group)
    });
    let routes = routes
        .iter()
        .map(|Static { item, track_group }| (route_change(links, item), item.track, track_group));
    let rules = rules
        .iter()
        .map(|Static { item, track_group }| (Ok(rule_change(item)), item.track, track_group));
    let (mut possible, mut lacking) = (Vec::new(), Vec::new());
    for (change, is_tracked, track_group) in addresses.chain(routes).chain(rules) {
        let track_group = track_group.clone();
        match change {
            Ok(change) => possible.push(StaticLine { change, is_tracked, track_group }),
            Err(lack) => {
                let text = format!("what is static: {lack}");
                lacking.push(StaticLack { text, track_group });
            }
        }
    }
    (possible, lacking)
}

/// What removes those of `earlier` that are not in `now`; those on interfaces that are gone have gone
/// with them.
pub(crate) fn static_removals(links: &Links, earlier: &Statics, now: &Statics) -> Vec<Change> {
    let changes = |of: &Statics| statics(links, of).0.into_iter().map(|line| line.change);
    let kept: BTreeSet<Change> = changes(now).collect();
    let gone = changes(earlier).filter(|change| !kept.contains(change));
    gone.map(|change| change.removal()).collect()
}

/// The routes and rules of an instance, as far as they are possible.
pub(crate) fn routing(links: &Links, plan: &InstancePlan) -> Vec<Change> {
    let (routes, _) = routes(links, plan);
    routes.into_iter().chain(rules(plan)).map(|one| one.change).collect()
}

/// A route or a rule of an instance, in the words of the configuration.
pub(super) fn text_of(around: Surroundings<'_>, instance: InstanceId, key: Key) -> Option<String> {
    let plan = around.plan.instance(instance)?;
    let is_it = |change: &Change| Key::of(change) == Some(key);
    let is_route =
        |route: &&Route| route_change(around.links, route).is_ok_and(|change| is_it(&change));
    let route = plan.routes.iter().find(is_route);
    let rule = || plan.rules.iter().find(|rule| is_it(&rule_change(rule)));
    let route = route.map(|route| format!("virtual route `{}`", ha_config::route_text(route)));
    route.or_else(|| rule().map(|rule| format!("virtual rule `{}`", ha_config::rule_text(rule))))
}

/// An owner's address is the interface's own, set by the administrator: not ours to touch.
fn is_owned(links: &Links, plan: &InstancePlan, address: &Address) -> bool {
    let is_its_own =
        |own: &links::Address| own.address == address.address && own.protocol != PROTOCOL_MARK;
    let link = links.by_name(&address.interface).filter(|_| plan.is_owner);
    link.is_some_and(|link| link.addresses.iter().any(is_its_own))
}

/// That its interface is not there is an error.
fn address_change(links: &Links, address: &Address, mark: u8) -> Result<Change, String> {
    let Some(link) = links.by_name(&address.interface) else {
        let Address { address, interface, .. } = address;
        return Err(format!("cannot set {address}: there is no {interface}"));
    };
    Ok(Change::Address(AddressChange {
        present: true,
        ifindex: link.index,
        address: address.address,
        prefix_len: address.prefix_len,
        broadcast: address.broadcast,
        scope: address.scope.0,
        label: address.label.clone(),
        prefix_route: address.prefix_route,
        preferred: match address.preferred {
            Lifetime::Forever => LIFETIME_INFINITE,
            Lifetime::Seconds(seconds) => seconds,
        },
        mark,
    }))
}

fn routes(links: &Links, plan: &InstancePlan) -> (Vec<Wanted>, Vec<Lack>) {
    let (mut wanted, mut missing) = (Vec::new(), Vec::new());
    for route in &plan.routes {
        let is_tracked = route.track;
        match route_change(links, route) {
            Ok(change) => wanted.push(Wanted { change, is_tracked }),
            Err(lack) => {
                missing.push(Lack { text: format!("{}: {lack}", plan.name), is_tracked });
            }
        }
    }
    (wanted, missing)
}

/// An interface that is not there is an error.
fn route_change(links: &Links, route: &Route) -> Result<Change, String> {
    let hop = |hop: &ha_config::Hop| {
        let index = |name: &String| {
            let lack = || format!("cannot set {}: there is no {name}", route.destination);
            links.by_name(name).map(|link| link.index).ok_or_else(lack)
        };
        Ok::<NextHop, String>(NextHop {
            gateway: hop.gateway,
            ifindex: hop.interface.as_ref().map(index).transpose()?,
            onlink: hop.onlink,
            more_weight: u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX),
        })
    };
    let preference = match route.preference {
        RouterPreference::Medium => 0,
        RouterPreference::High => 1,
        RouterPreference::Low => 3,
    };
    let locked = route.path.iter().filter(|setting| setting.locked);
    Ok(Change::Route(RouteChange {
        present: true,
        destination: route.destination.address,
        prefix_len: route.destination.prefix_len,
        table: route.table,
        protocol: route.protocol,
        scope: route.scope.0,
        kind: match route.kind {
            RouteKind::Unicast => libc::RTN_UNICAST,
            RouteKind::Blackhole => libc::RTN_BLACKHOLE,
            RouteKind::Unreachable => libc::RTN_UNREACHABLE,
            RouteKind::Prohibit => libc::RTN_PROHIBIT,
            RouteKind::Throw => libc::RTN_THROW,
        },
        tos: route.tos,
        metric: route.metric,
        source: route.source,
        hops: route.hops.iter().map(hop).collect::<Result<_, _>>()?,
        path: route.path.iter().map(|setting| (setting.metric.as_u8(), setting.value)).collect(),
        locks: locked.fold(0, |locks, setting| locks | 1 << setting.metric.as_u8()),
        preference: route.destination.address.is_ipv6().then_some(preference),
        append: route.append,
    }))
}

fn rules(plan: &InstancePlan) -> impl Iterator<Item = Wanted> {
    plan.rules.iter().map(|rule| Wanted { change: rule_change(rule), is_tracked: rule.track })
}

fn rule_change(rule: &Rule) -> Change {
    let network = |network: ha_config::Network| (network.address, network.prefix_len);
    let (action, table) = match rule.action {
        RuleAction::Lookup(table) => (FR_ACT_TO_TBL, table),
        RuleAction::Blackhole => (FR_ACT_BLACKHOLE, 0),
        RuleAction::Unreachable => (FR_ACT_UNREACHABLE, 0),
        RuleAction::Prohibit => (FR_ACT_PROHIBIT, 0),
    };
    Change::Rule(RuleChange {
        present: true,
        is_ipv6: rule.family == ha_core::Family::V6,
        preference: rule.preference,
        invert: rule.invert,
        from: rule.from.map(network),
        to: rule.to.map(network),
        iif: rule.iif.clone(),
        oif: rule.oif.clone(),
        tos: rule.tos,
        mark: rule.mark.map(|mark| (mark.value, mark.mask)),
        uids: rule.uids,
        suppress_prefix_len: rule.suppress_prefix_len,
        action,
        table,
        protocol: rule.protocol,
    })
}

/// `FR_ACT_*` of `linux/fib_rules.h`.
const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_BLACKHOLE: u8 = 6;
const FR_ACT_UNREACHABLE: u8 = 7;
const FR_ACT_PROHIBIT: u8 = 8;
