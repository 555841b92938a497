//! Routes and rules that are gone: whose they are, what they are called, and setting them again.

use std::{collections::BTreeSet, time::Duration};

use ha_core::InstanceId;

use super::{
    Effects, Outlet, Surroundings,
    wanted::{self, Wanted},
};
use crate::{
    engine::Message,
    io::{changes::Change, links::News, routes::NextHop, routing_watch::Key},
};

/// So many things are named in one sentence.
const NAMES_MAX: usize = 4;

/// How often somebody else removed routes and rules of an instance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoutingRemoved {
    pub(crate) routes: u64,
    pub(crate) rules: u64,
}

impl Effects {
    /// Routes and rules of instances among those that are `lost`.
    pub(crate) fn find_lost(&self, lost: &BTreeSet<Key>) -> BTreeSet<(InstanceId, Key)> {
        let mut found = BTreeSet::new();
        if lost.is_empty() {
            return found;
        }
        for &instance in self.holders.of_routing() {
            let tracked = self.set_of(instance).filter(|one| one.is_tracked);
            let keys = tracked.filter_map(|one| Key::of(&one.change));
            found.extend(keys.filter(|key| lost.contains(key)).map(|key| (instance, key)));
        }
        found
    }

    /// Tells of routes and rules that somebody removed, and counts them.
    pub(crate) fn tell_lost(
        &mut self,
        around: Surroundings<'_>,
        instance: InstanceId,
        keys: &[Key],
        (times, wait): (u32, Duration),
    ) {
        if let Some(outlet) = self.outlet(instance) {
            for key in keys {
                let count = match key {
                    Key::Route { .. } => &mut outlet.removed.routes,
                    Key::Rule { .. } => &mut outlet.removed.rules,
                };
                *count += 1;
            }
        }
        let texts = keys.iter().filter_map(|key| wanted::text_of(around, instance, *key));
        let what = listed(texts.collect());
        let name = around.plan.instance(instance).map_or("?", |plan| plan.name.as_str());
        let times = in_a_row(times);
        let text = format!("{name}: somebody removed {what}{times}: set again {}", when(wait));
        self.report(around.now, Message::Trouble(text));
    }

    /// How often somebody else removed routes and rules of an instance.
    pub(crate) fn routing_removed(&self, instance: InstanceId) -> RoutingRemoved {
        let outlet = usize::try_from(instance.0).ok().and_then(|at| self.outlets.get(at));
        outlet.map(|outlet| outlet.removed).unwrap_or_default()
    }

    /// Counts anew.
    pub(crate) fn clear_statistics(&mut self) {
        for Outlet { removed, .. } in &mut self.outlets {
            *removed = RoutingRemoved::default();
        }
    }

    /// Sets what somebody removed again, as far as it is wanted still; gives back the instances of
    /// which one cannot be set.
    pub(crate) fn set_again(
        &mut self,
        around: Surroundings<'_>,
        due: &[(InstanceId, Key)],
    ) -> BTreeSet<InstanceId> {
        let mut all = Vec::new();
        for &(instance, key) in due {
            let is_it = |one: &&Wanted| Key::of(&one.change) == Some(key);
            all.extend(self.set_of(instance).filter(is_it).map(|one| (instance, one.clone())));
        }
        self.make(around, all)
    }

    /// Sets routes and rules again that went with an interface or an address, of which the kernel says
    /// nothing; gives back the instances of which one cannot be set.
    pub(crate) fn mend_routing(
        &mut self,
        around: Surroundings<'_>,
        news: &News,
    ) -> BTreeSet<InstanceId> {
        let mut all = Vec::new();
        for &instance in self.holders.of_routing() {
            let tracked = self.set_of(instance).filter(|one| one.is_tracked);
            let doubtful = tracked.filter(|one| may_be_lost(&one.change, news));
            all.extend(doubtful.map(|one| (instance, one.clone())));
        }
        self.make(around, all)
    }

    /// What an instance has set.
    fn set_of(&self, instance: InstanceId) -> impl Iterator<Item = &Wanted> {
        let outlet = usize::try_from(instance.0).ok().and_then(|at| self.outlets.get(at));
        outlet.and_then(|outlet| outlet.set.as_ref()).into_iter().flatten()
    }
}

/// Whether a route or a rule may have gone with what there is news of.
fn may_be_lost(change: &Change, news: &News) -> bool {
    match change {
        Change::Address(_) => false,
        Change::Route(route) => {
            let is_concerned = |hop: &NextHop| hop.ifindex.is_none_or(|index| news.is_of(index));
            news.is_of_all
                || route.hops.iter().any(is_concerned)
                || route.source.is_some_and(|source| news.addresses.contains(&source))
        }
        // The kernel tells of each that goes.
        Change::Rule(_) => news.is_of_all,
    }
}

/// The first of them, and how many more there are.
pub(super) fn listed(mut texts: Vec<String>) -> String {
    let more = texts.len().saturating_sub(NAMES_MAX);
    texts.truncate(NAMES_MAX);
    let text = texts.join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

/// Nothing, for the first time.
pub(super) fn in_a_row(times: u32) -> String {
    match times {
        0 | 1 => String::new(),
        2 => ", twice in a row".to_owned(),
        times => format!(", {times} times in a row"),
    }
}

/// When something is set again.
pub(super) fn when(wait: Duration) -> String {
    if wait.is_zero() { "at once".to_owned() } else { format!("after {wait:?}") }
}
