//! One plan after another: who keeps its number, and what that means for the running engine.

use std::collections::BTreeSet;

use ha_config::{Address, Place, Route, Rule};
use ha_core::{GroupConfig, InstanceConfig, InstanceId, Reload, TrackerId};

use super::{InstancePlan, Plan, TrackerPlan};
use crate::io::advert_socket::Channel;

impl Plan {
    /// This plan by the numbers of the one that is running, and what an engine that goes on with it
    /// has to know.
    pub(crate) fn after(self, before: &Self) -> (Self, Reload) {
        // What has the same name is the same.
        let instance_numbers =
            self.instances.numbers_after(&before.instances, |one| &one.name, |_, _| true);
        let tracker_numbers = self.trackers.numbers_after(
            &before.trackers,
            TrackerPlan::name,
            TrackerPlan::is_known_by,
        );
        let plan = self.renumbered(before, &instance_numbers, &tracker_numbers);

        let mut reload = Reload { config: plan.engine.clone(), ..Reload::default() };
        reload.retired = plan.instances.free().map(InstanceId).collect();
        for (number, new) in plan.instances.numbered() {
            let Some(old) = before.instances.get(number) else { continue };
            if !can_go_on(old, new) {
                reload.restart.push(InstanceId(number));
            } else if !has_same_addresses(old, new) || !has_same_routing(old, new) {
                reload.readdressed.push(InstanceId(number));
            }
        }
        for (number, new) in plan.trackers.numbered() {
            let old = before.trackers.get(number);
            if !old.is_some_and(|old| old.is_known_by(new)) {
                reload.new_trackers.push(TrackerId(number));
            }
        }
        (plan, reload)
    }

    /// What [`Plan::after`] came to, in words for the operator.
    pub(crate) fn changes_from(&self, before: &Self, reload: &Reload) -> String {
        let named = |plan: &Self, ids: &[InstanceId]| -> Vec<String> {
            ids.iter().filter_map(|id| plan.instance(*id).map(|one| one.name.clone())).collect()
        };
        let was_there = |id: &InstanceId| before.instance(*id).is_some();
        let numbers = self.instances.numbered().map(|(number, _)| InstanceId(number));
        let (old, new): (Vec<_>, Vec<_>) = numbers.partition(was_there);
        let free: Vec<InstanceId> = before.instances.free().map(InstanceId).collect();
        let mut anew = reload.stopped(&before.engine, &free);
        anew.retain(|id| old.binary_search(id).is_ok());
        let parts = [
            ("new", named(self, &new)),
            ("gone", named(before, &reload.retired)),
            ("anew", named(self, &anew)),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let mut words: Vec<String> =
            parts.map(|(what, names)| format!("{what}: {}", shortened(names))).collect();
        words.push(format!("{} go on", old.len().saturating_sub(anew.len())));
        words.join("; ")
    }

    fn renumbered(self, before: &Self, instances: &[u32], trackers: &[u32]) -> Self {
        let number_of = |numbers: &[u32], place: u32| {
            let place = usize::try_from(place).ok();
            place.and_then(|place| numbers.get(place)).copied().unwrap_or(u32::MAX)
        };
        let mut engine = self.engine;
        for track in engine.instances.iter_mut().flat_map(|instance| &mut instance.tracks) {
            track.tracker = TrackerId(number_of(trackers, track.tracker.0));
        }
        for GroupConfig { members } in &mut engine.groups {
            for member in members {
                *member = InstanceId(number_of(instances, member.0));
            }
        }
        let plans = self.instances.renumbered(instances, before.instances.count());
        let mut configs: Vec<Option<InstanceConfig>> =
            before.engine.instances.iter().cloned().map(Some).collect();
        configs.resize(usize::try_from(plans.count()).unwrap_or(0), None);
        for (config, number) in engine.instances.into_iter().zip(instances) {
            let place = usize::try_from(*number).ok();
            if let Some(place) = place.and_then(|place| configs.get_mut(place)) {
                *place = Some(config);
            }
        }
        // Every number has a configuration: one that is free has what was there last.
        engine.instances = configs.into_iter().flatten().collect();
        let trackers = self.trackers.renumbered(trackers, before.trackers.count());
        engine.trackers = trackers.count();
        Self { engine, instances: plans, trackers, ..self }
    }
}

/// The first few names: a line of the log has an end.
fn shortened(names: &[String]) -> String {
    const NAMES_MAX: usize = 8;
    let shown = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Whether the instance stays the same virtual router, spoken of in the same way.
fn can_go_on(old: &InstancePlan, new: &InstancePlan) -> bool {
    old.interface == new.interface
        && old.family == new.family
        && old.vrid == new.vrid
        && old.version == new.version
        && old.peers.is_empty() == new.peers.is_empty()
        && (!new.peers.is_empty() || old.multicast == new.multicast)
        && Channel::of(old.family, &old.template) == Channel::of(new.family, &new.template)
}

fn has_same_addresses(old: &InstancePlan, new: &InstancePlan) -> bool {
    let all = |plan: &InstancePlan| -> Vec<Address> {
        plan.addresses
            .iter()
            .map(|address| Address { place: Place::line(0), ..address.clone() })
            .collect()
    };
    let listed =
        |plan: &InstancePlan| -> BTreeSet<_> { plan.template.addresses.iter().copied().collect() };
    all(old) == all(new) && listed(old) == listed(new)
}

fn has_same_routing(old: &InstancePlan, new: &InstancePlan) -> bool {
    let place = || Place::line(0);
    let routes = |plan: &InstancePlan| -> Vec<Route> {
        plan.routes.iter().map(|route| Route { place: place(), ..route.clone() }).collect()
    };
    let rules = |plan: &InstancePlan| -> Vec<Rule> {
        plan.rules.iter().map(|rule| Rule { place: place(), ..rule.clone() }).collect()
    };
    routes(old) == routes(new) && rules(old) == rules(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "vrrp_sync_group VG {\n group {\n a\n b\n }\n}\n";

    fn plan(text: &str) -> Plan {
        let parsed = ha_config::parse("x", text);
        let errors = |one: &&ha_config::Diagnostic| one.severity == ha_config::Severity::Error;
        assert_eq!(parsed.diagnostics.iter().find(errors), None);
        Plan::new(&parsed.config, &[]).0
    }

    fn instance(name: &str, vrid: u8, more: &str) -> String {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n \
             virtual_ipaddress {{\n 192.0.2.{vrid}\n }}\n {more}\n}}\n"
        )
    }

    fn script(name: &str, more: &str) -> String {
        format!("vrrp_script {name} {{\n script \"/bin/{name}\"\n {more}\n}}\n")
    }

    fn tracking(names: &[&str]) -> String {
        format!("dont_track_primary\n track_script {{\n {}\n }}", names.join("\n "))
    }

    fn names(plan: &Plan) -> Vec<(u32, &str)> {
        plan.instances.numbered().map(|(number, one)| (number, one.name.as_str())).collect()
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let text = instance("a", 1, "") + &instance("b", 2, "") + GROUP;
        let (again, reload) = plan(&format!("\n\n{text}")).after(&plan(&text));
        assert_eq!(names(&again), [(0, "a"), (1, "b")]);
        let config = plan(&text).engine;
        assert_eq!(reload, Reload { config, ..Reload::default() });
    }

    #[test]
    fn who_stays_keeps_its_number_in_whatever_order_it_comes() {
        let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)].map(|(name, vrid)| instance(name, vrid, ""));
        let first = plan(&(a + &b + &c));
        let [c, d] = [("c", 3), ("d", 4)].map(|(name, vrid)| instance(name, vrid, ""));
        let (second, reload) = plan(&(c.clone() + &d)).after(&first);
        assert_eq!(names(&second), [(2, "c"), (3, "d")]);
        assert_eq!(reload.retired, [InstanceId(0), InstanceId(1)]);
        assert_eq!(reload.restart, []);
        let vrids = second.engine.instances.iter().map(|one| one.vrid.as_u8());
        assert_eq!(vrids.collect::<Vec<_>>(), [1, 2, 3, 4]);
        let (third, reload) = plan(&(instance("e", 5, "") + &c)).after(&second);
        assert_eq!(names(&third), [(0, "e"), (2, "c")], "a number that was free");
        assert_eq!(reload.retired, [InstanceId(1), InstanceId(3)]);
        assert_eq!(third.engine.instances[0].vrid.as_u8(), 5);
    }

    #[test]
    fn the_operator_is_told_what_changes() {
        let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)].map(|(name, vrid)| instance(name, vrid, ""));
        let before = plan(&(a + &b + &c));
        let again = instance("b", 2, "") + &instance("c", 7, "") + &instance("d", 4, "");
        let (after, reload) = plan(&again).after(&before);
        assert_eq!(after.changes_from(&before, &reload), "new: d; gone: a; anew: c; 1 go on");
        // All members of a group move together.
        let group = "vrrp_sync_group G {\n group {\n b\n c\n }\n}\n";
        let (grouped, reload) = plan(&(again.clone() + group)).after(&after);
        assert_eq!(grouped.changes_from(&after, &reload), "anew: b, c; 1 go on");
        let (again, reload) = plan(&again).after(&grouped);
        assert_eq!(again.changes_from(&grouped, &reload), "anew: b, c; 1 go on");
    }

    #[test]
    fn groups_and_trackers_follow_the_numbers() {
        let chk = script("one", "") + &script("two", "");
        let [a, b] = ["a", "b"].map(|name| {
            instance(name, if name == "a" { 1 } else { 2 }, &tracking(&["one", "two"]))
        });
        let first = plan(&(chk.clone() + &a + &b + GROUP));
        let swapped = chk + &instance("b", 2, &tracking(&["two"])) + &a + GROUP;
        let (second, reload) = plan(&swapped).after(&first);
        // In the file's order.
        assert_eq!(second.engine.groups[0].members, [InstanceId(1), InstanceId(0)]);
        assert_eq!(names(&second), [(0, "a"), (1, "b")]);
        let tracks = |place: usize| -> Vec<u32> {
            second.engine.instances[place].tracks.iter().map(|track| track.tracker.0).collect()
        };
        assert_eq!(tracks(1), [1], "`two` is still the second");
        let mut of_a = tracks(0);
        of_a.sort_unstable();
        assert_eq!(of_a, [0, 1]);
        assert_eq!(reload.new_trackers, []);
    }

    #[test]
    fn another_command_is_another_tracker_another_interval_is_not() {
        let with =
            |more: &str| plan(&(script("one", more) + &instance("a", 1, &tracking(&["one"]))));
        let reload = |more: &str| with(more).after(&with("")).1;
        assert_eq!(reload("interval 5").new_trackers, []);
        assert_eq!(reload("user daemon").new_trackers, [TrackerId(1)]);
    }

    #[test]
    fn what_makes_it_another_router_starts_it_anew() {
        let before = || plan(&instance("a", 1, ""));
        let reload = |text: &str| plan(text).after(&before()).1;
        let one = [InstanceId(0)];
        let address = "192.0.2.1\n";
        for (text, restarts, is_readdressed) in [
            (instance("a", 1, "priority 7\n advert_int 3\n nopreempt"), false, false),
            (instance("a", 1, "").replace(address, "192.0.2.1\n 192.0.2.9\n"), false, true),
            (instance("a", 1, "").replace(address, "192.0.2.1/24\n"), false, true),
            (instance("a", 2, ""), true, false),
            (instance("a", 1, "version 3"), true, false),
            (instance("a", 1, "").replace("eth0", "eth1"), true, false),
            (instance("a", 1, "unicast_peer {\n 192.0.2.77\n }"), true, false),
        ] {
            let reload = reload(&text);
            assert_eq!(reload.restart == one, restarts, "{text}: {reload:?}");
            assert_eq!(reload.readdressed == one, is_readdressed, "{text}: {reload:?}");
        }
    }
}
