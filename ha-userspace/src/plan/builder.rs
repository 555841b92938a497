//! Instances as the engine has them, and a number for each thing that they track.

use std::{collections::BTreeMap, iter};

use ha_config::{
    Clock, Config, Instance, Process, Route, Rule, Script, Statics, SyncGroup, TrackClock,
    TrackFile, TrackInterface, TrackProcess, TrackScript, TrackUnit, TrackedFile, Unit, Weight,
};
use ha_core::{AnnouncePlan, InstanceConfig, Track, TrackerId};

use super::{TrackerPlan, commands::Defaults};

/// Gives each tracked thing a number. A file may have ten thousands of each: none is looked for by
/// going through all others.
pub(super) struct Builder<'a> {
    defaults: Defaults<'a>,
    scripts: BTreeMap<&'a str, &'a Script>,
    processes: BTreeMap<&'a str, &'a Process>,
    units: BTreeMap<&'a str, &'a Unit>,
    files: BTreeMap<&'a str, &'a TrackedFile>,
    clocks: BTreeMap<&'a str, &'a Clock>,
    /// By the names of their members.
    groups: BTreeMap<&'a str, &'a SyncGroup>,
    /// The names of their track groups, by those of the members.
    track_groups: BTreeMap<&'a str, Vec<&'a str>>,
    /// By the name of a track group: the interfaces of what is static and in it.
    statics: BTreeMap<&'a str, Vec<&'a str>>,
    pub(super) trackers: Vec<TrackerPlan>,
    interface_numbers: BTreeMap<&'a str, TrackerId>,
    script_numbers: BTreeMap<&'a str, TrackerId>,
    process_numbers: BTreeMap<&'a str, TrackerId>,
    unit_numbers: BTreeMap<&'a str, TrackerId>,
    file_numbers: BTreeMap<&'a str, TrackerId>,
    group_numbers: BTreeMap<&'a str, TrackerId>,
    clock_numbers: BTreeMap<&'a str, TrackerId>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let scripts = config.scripts.iter().map(|script| (script.name.as_str(), script));
        let processes = config.processes.iter().map(|process| (process.name.as_str(), process));
        let units = config.units.iter().map(|unit| (unit.name.as_str(), unit));
        let files = config.files.iter().map(|file| (file.name.as_str(), file));
        let clocks = config.clocks.iter().map(|clock| (clock.name.as_str(), clock));
        let members = config
            .groups
            .iter()
            .flat_map(|group| group.members.iter().map(move |member| (member.as_str(), group)));
        let mut track_groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for group in &config.track_groups {
            for member in &group.members {
                track_groups.entry(member).or_default().push(&group.name);
            }
        }
        Self {
            defaults: Defaults::new(&config.global),
            scripts: scripts.collect(),
            processes: processes.collect(),
            units: units.collect(),
            files: files.collect(),
            clocks: clocks.collect(),
            groups: members.collect(),
            track_groups,
            statics: interfaces_of_groups(&config.statics),
            trackers: Vec::new(),
            interface_numbers: BTreeMap::new(),
            script_numbers: BTreeMap::new(),
            process_numbers: BTreeMap::new(),
            unit_numbers: BTreeMap::new(),
            file_numbers: BTreeMap::new(),
            group_numbers: BTreeMap::new(),
            clock_numbers: BTreeMap::new(),
        }
    }

    pub(super) fn engine_instance(&mut self, instance: &'a Instance) -> InstanceConfig {
        let garp = &instance.garp;
        InstanceConfig {
            vrid: instance.vrid,
            version: instance.version,
            family: instance.family,
            priority: instance.priority,
            interval: instance.advert_interval,
            addresses: instance.addresses.iter().map(|address| address.address).collect(),
            preempt: instance.preempt,
            preempt_delay: instance.preempt_delay,
            owner_ignore_adverts: instance.owner_ignore_adverts,
            skip_check_adv_addr: instance.skip_check_adv_addr,
            down_adverts: u32::from(instance.down_timer_adverts),
            lower_prio_no_advert: instance.lower_prio_no_advert,
            higher_prio_send_advert: instance.higher_prio_send_advert,
            announce: AnnouncePlan {
                repeat: garp.master_repeat,
                delay: garp.master_delay,
                lower_prio_repeat: garp.lower_prio_repeat,
                lower_prio_delay: garp.lower_prio_delay,
                refresh: garp.master_refresh,
                refresh_repeat: garp.master_refresh_repeat,
            },
            tracks: self.tracks(instance),
        }
    }

    fn tracks(&mut self, instance: &'a Instance) -> Vec<Track> {
        let group = self.groups.get(instance.name.as_str()).copied();
        let mut tracks = Vec::new();
        if instance.track_primary {
            let tracker = self.interface(&instance.interface);
            tracks.push(Track { tracker, weight: 0, reverse: false });
        }
        // Weights of a member's own trackers are no more, unless its group keeps them: the
        // configuration has dropped them.
        for lists in iter::once(Lists::of(instance)).chain(group.map(Lists::of_group)) {
            self.add_lists(&lists, &mut tracks);
        }
        // As keepalived has it, beside `track_interface` too: what is on an interface that is down
        // serves nobody.
        for interface in of_virtual(instance) {
            tracks.push(engine_track(self.interface(interface), Weight::default()));
        }
        for group in self.track_groups.get(instance.name.as_str()).cloned().unwrap_or_default() {
            let Some(interfaces) = self.statics.get(group).cloned() else { continue };
            tracks.push(engine_track(self.statics_of(group), Weight::default()));
            for interface in interfaces {
                tracks.push(engine_track(self.interface(interface), Weight::default()));
            }
        }
        tracks.sort_unstable_by_key(|track| (track.tracker, track.weight, track.reverse));
        tracks.dedup();
        tracks
    }

    fn add_lists(&mut self, lists: &Lists<'a>, tracks: &mut Vec<Track>) {
        for track in lists.interfaces {
            tracks.push(engine_track(self.interface(&track.interface), track.weight));
        }
        let scripts = lists.scripts.iter().map(|one| (self.script(&one.script), one.weight));
        tracks.extend(scripts.filter_map(known));
        let processes = lists.processes.iter().map(|one| (self.process(&one.process), one.weight));
        tracks.extend(processes.filter_map(known));
        let units = lists.units.iter().map(|one| (self.unit(&one.unit), one.weight));
        tracks.extend(units.filter_map(known));
        let files = lists.files.iter().map(|one| (self.file(&one.file), one.weight));
        tracks.extend(files.filter_map(known));
        let clocks = lists.clocks.iter().map(|one| (self.clock(&one.clock), one.weight));
        tracks.extend(clocks.filter_map(known));
    }

    fn interface(&mut self, name: &'a str) -> TrackerId {
        let trackers = &mut self.trackers;
        let new = || add(trackers, TrackerPlan::Interface(name.to_owned()));
        *self.interface_numbers.entry(name).or_insert_with(new)
    }

    fn statics_of(&mut self, group: &'a str) -> TrackerId {
        let trackers = &mut self.trackers;
        let new = || add(trackers, TrackerPlan::Statics(group.to_owned()));
        *self.group_numbers.entry(group).or_insert_with(new)
    }

    fn script(&mut self, name: &'a str) -> Option<TrackerId> {
        let script = *self.scripts.get(name)?;
        let (trackers, defaults) = (&mut self.trackers, self.defaults);
        let new = || {
            let command = defaults.command(&script.command);
            add(trackers, TrackerPlan::Script(Script { command, ..script.clone() }))
        };
        Some(*self.script_numbers.entry(name).or_insert_with(new))
    }

    fn file(&mut self, name: &'a str) -> Option<TrackerId> {
        let file = *self.files.get(name)?;
        let trackers = &mut self.trackers;
        let new = || add(trackers, TrackerPlan::File(file.clone()));
        Some(*self.file_numbers.entry(name).or_insert_with(new))
    }

    fn clock(&mut self, name: &'a str) -> Option<TrackerId> {
        let clock = *self.clocks.get(name)?;
        let trackers = &mut self.trackers;
        let new = || add(trackers, TrackerPlan::Clock(clock.clone()));
        Some(*self.clock_numbers.entry(name).or_insert_with(new))
    }

    fn unit(&mut self, name: &'a str) -> Option<TrackerId> {
        let unit = *self.units.get(name)?;
        let trackers = &mut self.trackers;
        let new = || add(trackers, TrackerPlan::Unit(unit.clone()));
        Some(*self.unit_numbers.entry(name).or_insert_with(new))
    }

    fn process(&mut self, name: &'a str) -> Option<TrackerId> {
        let process = *self.processes.get(name)?;
        let trackers = &mut self.trackers;
        let new = || add(trackers, TrackerPlan::Process(process.clone()));
        Some(*self.process_numbers.entry(name).or_insert_with(new))
    }
}

/// What an instance or a group tracks.
struct Lists<'a> {
    interfaces: &'a [TrackInterface],
    scripts: &'a [TrackScript],
    processes: &'a [TrackProcess],
    units: &'a [TrackUnit],
    files: &'a [TrackFile],
    clocks: &'a [TrackClock],
}

impl<'a> Lists<'a> {
    fn of(instance: &'a Instance) -> Self {
        Self {
            interfaces: &instance.track_interfaces,
            scripts: &instance.track_scripts,
            processes: &instance.track_processes,
            units: &instance.track_units,
            files: &instance.track_files,
            clocks: &instance.track_clocks,
        }
    }

    fn of_group(group: &'a SyncGroup) -> Self {
        Self {
            interfaces: &group.track_interfaces,
            scripts: &group.track_scripts,
            processes: &group.track_processes,
            units: &group.track_units,
            files: &group.track_files,
            clocks: &group.track_clocks,
        }
    }
}

/// A tracker that is there.
fn known((tracker, weight): (Option<TrackerId>, Weight)) -> Option<Track> {
    tracker.map(|tracker| engine_track(tracker, weight))
}

fn interfaces_of_groups(statics: &Statics) -> BTreeMap<&str, Vec<&str>> {
    let Statics { addresses, routes, rules } = statics;
    let addresses =
        addresses.iter().map(|one| (&one.track_group, vec![one.item.interface.as_str()]));
    let routes = routes.iter().map(|one| (&one.track_group, of_route(&one.item).collect()));
    let rules = rules.iter().map(|one| (&one.track_group, of_rule(&one.item).collect()));
    let mut interfaces: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (group, names) in addresses.chain(routes).chain(rules) {
        if let Some(group) = group {
            interfaces.entry(group).or_default().extend(names);
        }
    }
    interfaces
}

/// The interfaces beside its own on which an instance has something to lose.
fn of_virtual(instance: &Instance) -> impl Iterator<Item = &str> {
    let addresses = instance.addresses.iter().chain(&instance.excluded);
    let addresses = addresses.filter(|one| one.track).map(|one| one.interface.as_str());
    let routes = instance.routes.iter().filter(|one| one.track).flat_map(of_route);
    let rules = instance.rules.iter().filter(|one| one.track).flat_map(of_rule);
    let all = addresses.chain(routes).chain(rules);
    all.filter(|name| *name != instance.interface)
}

/// A route with several hops goes on by another.
fn of_route(route: &Route) -> impl Iterator<Item = &str> {
    let hops = if route.hops.len() == 1 { route.hops.as_slice() } else { &[] };
    hops.iter().filter_map(|hop| hop.interface.as_deref())
}

fn of_rule(rule: &Rule) -> impl Iterator<Item = &str> {
    [&rule.iif, &rule.oif].into_iter().filter_map(Option::as_deref)
}

/// The number of a tracker that comes after the others.
fn add(trackers: &mut Vec<TrackerPlan>, tracker: TrackerPlan) -> TrackerId {
    let number = u32::try_from(trackers.len()).unwrap_or(u32::MAX);
    trackers.push(tracker);
    TrackerId(number)
}

fn engine_track(tracker: TrackerId, weight: Weight) -> Track {
    Track { tracker, weight: weight.value, reverse: weight.reverse }
}
