//! The configuration, resolved for this host: numbers for the engine, and for each number what the
//! daemon has to do in its name.

use std::{collections::BTreeSet, net::IpAddr};

use ha_config::{
    Address, Authentication, Config, Instance, Notify, Peer, Script, SyncGroup, Transport, Weight,
};
use ha_core::{
    AnnouncePlan, Family, GroupConfig, InstanceConfig, InstanceId, Track, TrackerId, Version,
    wire::Template,
};

/// TTL or hop limit of multicast advertisements (RFC 9568 §5.1.1.3).
const MULTICAST_TTL: u8 = 255;

/// Everything the daemon runs. An index into a list here is the engine's number for that thing.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What the engine is made of.
    pub(crate) engine: ha_core::Config,
    /// By `InstanceId`.
    pub(crate) instances: Vec<InstancePlan>,
    /// By `GroupId`.
    pub(crate) groups: Vec<GroupPlan>,
    /// By `TrackerId`.
    pub(crate) trackers: Vec<TrackerPlan>,
}

/// A virtual router, as the outside world sees it.
#[derive(Clone, Debug)]
pub(crate) struct InstancePlan {
    pub(crate) name: String,
    /// The interface it speaks on.
    pub(crate) interface: String,
    pub(crate) family: Family,
    pub(crate) vrid: u8,
    /// 2 or 3.
    pub(crate) version: u8,
    /// The advertisement that it sends.
    pub(crate) template: Template,
    /// `VRRPv3` over IPv4: the checksum covers a pseudo-header, as keepalived's does by default.
    pub(crate) pseudo_header: bool,
    /// Configured address to send from; `None`: the interface's primary (IPv6: link-local) one.
    pub(crate) source: Option<IpAddr>,
    /// Unicast peers; empty for multicast.
    pub(crate) peers: Vec<Peer>,
    /// TTL or hop limit of what is sent.
    pub(crate) ttl: u8,
    /// All virtual addresses, advertised or not.
    pub(crate) addresses: Vec<Address>,
    pub(crate) notify: Notify,
}

/// A sync group, as the operator's scripts see it.
#[derive(Clone, Debug)]
pub(crate) struct GroupPlan {
    pub(crate) name: String,
    pub(crate) notify: Notify,
}

/// What a tracker number stands for.
#[derive(Clone, Debug)]
pub(crate) enum TrackerPlan {
    /// Up while the interface is there, up and has carrier.
    Interface(String),
    /// Up while the script succeeds.
    Script(Script),
}

impl Plan {
    /// Resolves a configuration, on the interfaces `only` if there are any; says what the operator
    /// may not expect of it.
    pub(crate) fn new(config: &Config, only: &[String]) -> (Self, Vec<String>) {
        let mut warnings = later(config);
        let mut builder = Builder { config, trackers: Vec::new(), warnings: Vec::new() };
        let mut instances = Vec::new();
        let mut engine = ha_core::Config::default();
        for instance in &config.instances {
            if !only.is_empty() && !only.contains(&instance.interface) {
                warnings.push(format!(
                    "{} is not started: its interface {} is not among those of --iface",
                    instance.name, instance.interface
                ));
                continue;
            }
            engine.instances.push(builder.engine_instance(instance));
            instances.push(instance_plan(instance));
        }
        let used: BTreeSet<&str> =
            instances.iter().map(|instance| instance.interface.as_str()).collect();
        for interface in only.iter().filter(|name| !used.contains(name.as_str())) {
            warnings.push(format!("--iface {interface}: no vrrp_instance uses it"));
        }
        let mut groups = Vec::new();
        for group in &config.groups {
            let members = (0..).zip(&instances);
            let members = members.filter(|(_, instance)| group.members.contains(&instance.name));
            let members: Vec<InstanceId> = members.map(|(id, _)| InstanceId(id)).collect();
            engine.groups.push(GroupConfig { members });
            groups.push(GroupPlan { name: group.name.clone(), notify: group.notify.clone() });
        }
        engine.trackers = u32::try_from(builder.trackers.len()).unwrap_or(u32::MAX);
        warnings.append(&mut builder.warnings);
        (Self { engine, instances, groups, trackers: builder.trackers }, warnings)
    }
}

/// Gives each tracked thing a number.
struct Builder<'a> {
    config: &'a Config,
    trackers: Vec<TrackerPlan>,
    warnings: Vec<String>,
}

impl Builder<'_> {
    fn engine_instance(&mut self, instance: &Instance) -> InstanceConfig {
        let garp = &instance.garp;
        InstanceConfig {
            vrid: instance.vrid,
            version: instance.version,
            family: instance.family,
            priority: instance.priority,
            interval: instance.advert_interval,
            preempt: instance.preempt,
            down_adverts: u32::from(instance.down_timer_adverts),
            lower_prio_no_advert: instance.lower_prio_no_advert,
            higher_prio_send_advert: instance.higher_prio_send_advert,
            announce: AnnouncePlan {
                repeat: garp.master_repeat,
                delay: garp.master_delay,
                lower_prio_repeat: garp.lower_prio_repeat,
                refresh: garp.master_refresh,
                refresh_repeat: garp.master_refresh_repeat,
            },
            tracks: self.tracks(instance),
        }
    }

    fn tracks(&mut self, instance: &Instance) -> Vec<Track> {
        let config = self.config;
        let group = config.group_of(&instance.name);
        let mut tracks = Vec::new();
        if instance.track_primary {
            let tracker = self.interface(&instance.interface);
            tracks.push(Track { tracker, weight: 0, reverse: false });
        }
        for track in &instance.track_interfaces {
            let tracker = self.interface(&track.interface);
            // keepalived: the members of a group must not drift apart by weights of their own.
            let weight = if group.is_some() { Weight::default() } else { track.weight };
            tracks.push(engine_track(tracker, weight));
        }
        for track in &instance.track_scripts {
            if let Some(group) = group.filter(|_| track.weight.value != 0) {
                self.warn_of_weight(instance, group, &track.script);
                continue;
            }
            if let Some(tracker) = self.script(&track.script) {
                tracks.push(engine_track(tracker, track.weight));
            }
        }
        for track in group.iter().flat_map(|group| &group.track_interfaces) {
            let tracker = self.interface(&track.interface);
            tracks.push(engine_track(tracker, track.weight));
        }
        for track in group.iter().flat_map(|group| &group.track_scripts) {
            if let Some(tracker) = self.script(&track.script) {
                tracks.push(engine_track(tracker, track.weight));
            }
        }
        tracks.sort_unstable_by_key(|track| (track.tracker, track.weight, track.reverse));
        tracks.dedup();
        tracks
    }

    fn warn_of_weight(&mut self, instance: &Instance, group: &SyncGroup, script: &str) {
        self.warnings.push(format!(
            "{}: track_script {script} has a weight and is not tracked: members of a sync group \
             move together; track it in vrrp_sync_group {} instead",
            instance.name, group.name
        ));
    }

    fn interface(&mut self, name: &str) -> TrackerId {
        let is_it =
            |tracker: &TrackerPlan| matches!(tracker, TrackerPlan::Interface(of) if of == name);
        self.number(is_it, || TrackerPlan::Interface(name.to_owned()))
    }

    fn script(&mut self, name: &str) -> Option<TrackerId> {
        let script = self.config.script(name)?;
        let is_it =
            |tracker: &TrackerPlan| matches!(tracker, TrackerPlan::Script(of) if of.name == name);
        Some(self.number(is_it, || TrackerPlan::Script(script.clone())))
    }

    fn number(
        &mut self,
        is_it: impl Fn(&TrackerPlan) -> bool,
        make: impl FnOnce() -> TrackerPlan,
    ) -> TrackerId {
        let known = self.trackers.iter().position(is_it);
        let index = known.unwrap_or_else(|| {
            self.trackers.push(make());
            self.trackers.len() - 1
        });
        TrackerId(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

fn engine_track(tracker: TrackerId, weight: Weight) -> Track {
    Track { tracker, weight: weight.value, reverse: weight.reverse }
}

fn instance_plan(instance: &Instance) -> InstancePlan {
    let password = match &instance.authentication {
        Authentication::None => None,
        Authentication::Pass(password) => Some(*password.as_bytes()),
    };
    let (source, peers, ttl) = match &instance.transport {
        Transport::Multicast { source } => (*source, Vec::new(), MULTICAST_TTL),
        Transport::Unicast { source, peers, ttl } => (*source, peers.clone(), *ttl),
    };
    let is_version_3 = instance.version == Version::V3;
    let advertised = instance.addresses.iter().map(|address| address.address);
    InstancePlan {
        name: instance.name.clone(),
        interface: instance.interface.clone(),
        family: instance.family,
        vrid: instance.vrid.as_u8(),
        version: instance.version.as_u8(),
        template: Template {
            version: instance.version,
            vrid: instance.vrid,
            interval: instance.advert_interval,
            addresses: advertised.collect(),
            password,
        },
        pseudo_header: instance.family == Family::V6 || is_version_3 && !instance.v3_checksum_as_v2,
        source,
        peers,
        ttl,
        addresses: instance.addresses.iter().chain(&instance.excluded).cloned().collect(),
        notify: instance.notify.clone(),
    }
}

/// What the configuration asks for and this daemon does not do yet: said once, at the start.
fn later(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if !config.global.mail.to.is_empty() {
        warnings.push("notification_email: the mail settings are kept; no mail is sent yet".into());
    }
    if config.instances.iter().any(|instance| !instance.preempt_delay.is_zero()) {
        warnings.push("preempt_delay: not built yet, preemption is not delayed".into());
    }
    warnings
}
