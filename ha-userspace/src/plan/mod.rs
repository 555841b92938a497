//! The configuration, resolved for this host: numbers for the engine, and for each number what the
//! daemon has to do in its name.

mod builder;
mod commands;
mod delays;
mod numbered;
mod pacing;
mod room;
mod succession;
mod tracker;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use ha_config::{
    Address, Authentication, ClockLook, Command, Config, Fifo, Firewall, Global, Identity,
    Instance, Lifecycle, MulticastGroups, Notify, Peer, Route, Rule, Statics, Transport,
};
use ha_core::{
    Family, GroupConfig, GroupId, InstanceId, TrackerId, Version,
    wire::{self, Template},
};

use self::{builder::Builder, commands::Defaults, numbered::Numbered};
pub(crate) use self::{delays::Delays, pacing::PacingPlan, tracker::TrackerPlan};
use crate::{host, mail::Letterhead};

/// TTL or hop limit of multicast advertisements (RFC 9568 §5.1.1.3).
const MULTICAST_TTL: u8 = 255;

/// Everything the daemon runs. Numbers here are the engine's.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What tells the daemon from others on the host.
    pub(crate) identity: Identity,
    /// What the engine is made of.
    pub(crate) engine: ha_core::Config,
    /// By `InstanceId`.
    pub(crate) instances: Numbered<InstancePlan>,
    /// By `GroupId`.
    pub(crate) groups: Vec<GroupPlan>,
    /// By `TrackerId`.
    pub(crate) trackers: Numbered<TrackerPlan>,
    /// What is set as long as the daemon runs.
    pub(crate) statics: Statics,
    /// How the host's wall clock is looked at.
    pub(crate) clock: ClockLook,
    /// Where frames of virtual routers without peers come to.
    pub(crate) multicast: MulticastGroups,
    /// Whether advertisements for virtual routers that are not here are told of.
    pub(crate) logs_unknown_vrids: bool,
    /// How packets are kept from what does not accept them.
    pub(crate) firewall: Firewall,
    /// How fast addresses are announced.
    pub(crate) pacing: PacingPlan,
    /// What is told of every transition.
    pub(crate) fifos: Vec<Fifo>,
    /// They are told all states after a reload.
    pub(crate) fifo_states_on_reload: bool,
    /// What is run at the start and at the stop.
    pub(crate) lifecycle: Lifecycle,
    /// How long an interface has to be up or down until that counts, where it does not at once.
    pub(crate) delays: BTreeMap<String, Delays>,
    after_start: Duration,
    after_boot: Duration,
}

/// A virtual router, as the outside world sees it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct InstancePlan {
    pub(crate) name: String,
    /// The interface it speaks on.
    pub(crate) interface: String,
    pub(crate) family: Family,
    pub(crate) vrid: u8,
    /// Priority 255: the virtual addresses are the interface's own.
    pub(crate) is_owner: bool,
    /// 2 or 3.
    pub(crate) version: u8,
    /// The advertisement that it sends.
    pub(crate) template: Template,
    /// `VRRPv3` over IPv4: the checksum covers a pseudo-header, as keepalived's does by default.
    pub(crate) pseudo_header: bool,
    /// Configured address to send from; `None`: the interface's primary (IPv6: link-local) one.
    pub(crate) source: Option<IpAddr>,
    /// Where multicast advertisements go and come from.
    pub(crate) multicast: IpAddr,
    /// Unicast peers; empty for multicast.
    pub(crate) peers: Vec<Peer>,
    /// TTL or hop limit of what is sent.
    pub(crate) ttl: u8,
    /// All virtual addresses, advertised or not.
    pub(crate) addresses: Vec<Address>,
    /// Set after the addresses.
    pub(crate) routes: Vec<Route>,
    /// Set after the routes.
    pub(crate) rules: Vec<Rule>,
    /// Whether packets to them are accepted.
    pub(crate) accepts: bool,
    /// `strict_mode`: it is in the other fields already.
    pub(crate) is_strict: bool,
    pub(crate) notify: Arc<Notify>,
    /// Of the mails about it; `None`: there are none.
    pub(crate) mail: Option<Arc<Letterhead>>,
}

/// A sync group, as the operator's scripts see it.
#[derive(Clone, Debug)]
pub(crate) struct GroupPlan {
    pub(crate) name: String,
    pub(crate) notify: Arc<Notify>,
    /// Of the mails about it; `None`: there are none.
    pub(crate) mail: Option<Arc<Letterhead>>,
}

impl Plan {
    /// The priority that weights are added to.
    pub(crate) fn base_priority(&self, instance: InstanceId) -> Option<u8> {
        let config = self.engine.instances.get(usize::try_from(instance.0).ok()?)?;
        Some(config.priority.as_u8())
    }

    /// What an instance depends on.
    pub(crate) fn tracked_by(&self, instance: InstanceId) -> impl Iterator<Item = TrackerId> {
        let index = usize::try_from(instance.0).ok();
        let config = index.and_then(|index| self.engine.instances.get(index));
        config.into_iter().flat_map(|config| &config.tracks).map(|track| track.tracker)
    }

    /// The instance and the other members of its sync group.
    pub(crate) fn members_with(&self, instance: InstanceId) -> Vec<InstanceId> {
        let mut groups = self.engine.groups.iter();
        let group = groups.find(|group| group.members.contains(&instance));
        group.map_or_else(|| vec![instance], |group| group.members.clone())
    }

    /// The instance of this name, else the first member of the sync group.
    pub(crate) fn named(&self, name: &str) -> Option<InstanceId> {
        let mut instances = self.instances.numbered();
        let instance = instances.find(|(_, instance)| instance.name == name);
        if let Some((number, _)) = instance {
            return Some(InstanceId(number));
        }
        let place = self.groups.iter().position(|group| group.name == name)?;
        self.engine.groups.get(place)?.members.first().copied()
    }

    /// The sync group of an instance.
    pub(crate) fn group_of(&self, instance: InstanceId) -> Option<&GroupPlan> {
        let mut members = self.engine.groups.iter();
        let place = members.position(|group| group.members.contains(&instance))?;
        self.groups.get(place)
    }

    /// How long a daemon that starts now, on a host that runs for `since_boot`, has to wait
    /// (`vrrp_startup_delay`, `vrrp_delay_after_boot`).
    pub(crate) fn startup_delay(&self, since_boot: Duration) -> Duration {
        self.after_start.max(self.after_boot.saturating_sub(since_boot))
    }

    /// The instance that the engine knows by this number.
    pub(crate) fn instance(&self, id: InstanceId) -> Option<&InstancePlan> {
        self.instances.get(id.0)
    }

    /// The sync group that the engine knows by this number.
    pub(crate) fn group(&self, id: GroupId) -> Option<&GroupPlan> {
        self.groups.get(usize::try_from(id.0).ok()?)
    }

    /// The tracked thing that the engine knows by this number.
    pub(crate) fn tracker(&self, id: TrackerId) -> Option<&TrackerPlan> {
        self.trackers.get(id.0)
    }

    /// Every program that may be run.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.commands_that_tell().chain(self.trackers.iter().filter_map(TrackerPlan::command))
    }

    /// Those that no instance depends on.
    pub(crate) fn commands_that_tell(&self) -> impl Iterator<Item = &Command> {
        let notify = self.instances.iter().map(|one| one.notify.as_ref());
        let notify = notify.chain(self.groups.iter().map(|one| one.notify.as_ref()));
        let scripts = notify.flat_map(commands::of_notify);
        let fifos = self.fifos.iter().filter_map(|fifo| fifo.script.as_ref());
        let Lifecycle { startup, shutdown, child_wait_time: _ } = &self.lifecycle;
        let hooks = [startup, shutdown].into_iter().filter_map(|hook| hook.command.as_ref());
        scripts.chain(fifos).chain(hooks)
    }

    /// Resolves a configuration, on the interfaces `only` if there are any; says what the operator
    /// may not expect of it.
    pub(crate) fn new(config: &Config, only: &[String]) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let letterhead = letterhead(config, &mut warnings);
        let mail = |is_asked: bool| letterhead.clone().filter(|_| is_asked);
        let mut builder = Builder::new(config);
        let defaults = Defaults::new(&config.global);
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
            instances.push(instance_plan(instance, &config.global, mail(instance.smtp_alert)));
        }
        let used: BTreeSet<&str> =
            instances.iter().map(|instance| instance.interface.as_str()).collect();
        for interface in only.iter().filter(|name| !used.contains(name.as_str())) {
            warnings.push(format!("--iface {interface}: no vrrp_instance uses it"));
        }
        let names = instances.iter().map(|instance| instance.name.as_str());
        let numbers: BTreeMap<&str, InstanceId> = names.zip((0..).map(InstanceId)).collect();
        let mut groups = Vec::new();
        for group in &config.groups {
            let member = |name: &String| numbers.get(name.as_str()).copied();
            let mut members: Vec<InstanceId> = group.members.iter().filter_map(member).collect();
            members.sort_unstable();
            engine.groups.push(GroupConfig { members });
            let notify = defaults.notify(&group.notify);
            let mail = mail(group.smtp_alert);
            groups.push(GroupPlan { name: group.name.clone(), notify, mail });
        }
        engine.trackers = u32::try_from(builder.trackers.len()).unwrap_or(u32::MAX);
        let plan = Self {
            identity: config.identity.clone(),
            engine,
            instances: instances.into_iter().collect(),
            groups,
            trackers: builder.trackers.into_iter().collect(),
            statics: config.statics.clone(),
            clock: config.global.clock.clone(),
            multicast: config.global.multicast.clone(),
            logs_unknown_vrids: config.global.log_unknown_vrids,
            firewall: config.global.firewall.clone(),
            pacing: PacingPlan::new(config),
            fifos: defaults.fifos(&config.global),
            fifo_states_on_reload: config.global.fifo_states_on_reload,
            lifecycle: defaults.lifecycle(&config.global.lifecycle),
            delays: delays::limited(config, &mut warnings),
            after_start: config.global.startup_delay,
            after_boot: config.global.delay_after_boot,
        };
        (plan, warnings)
    }
}

/// For the mails, if any are to be sent.
fn letterhead(config: &Config, warnings: &mut Vec<String>) -> Option<Arc<Letterhead>> {
    let is_asked = config.instances.iter().any(|one| one.smtp_alert)
        || config.groups.iter().any(|one| one.smtp_alert);
    if !is_asked {
        return None;
    }
    let letterhead = Letterhead::new(&config.global, &host::name(), warnings);
    if letterhead.is_none() {
        warnings.push(
            "`smtp_alert` without effect: `notification_email` with an address and `smtp_server` \
             are needed in `global_defs`"
                .to_owned(),
        );
    }
    letterhead.map(Arc::new)
}

fn instance_plan(
    instance: &Instance,
    global: &Global,
    mail: Option<Arc<Letterhead>>,
) -> InstancePlan {
    let authentication = match &instance.authentication {
        Authentication::None => wire::Authentication::None,
        Authentication::Pass(password) => wire::Authentication::Pass(*password.as_bytes()),
        Authentication::Ah(password) => {
            wire::Authentication::Ah(wire::ah::Key::new(*password.as_bytes()))
        }
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
        is_owner: instance.priority.is_owner(),
        version: instance.version.as_u8(),
        template: Template {
            version: instance.version,
            vrid: instance.vrid,
            interval: instance.advert_interval,
            addresses: advertised.collect(),
            authentication,
        },
        pseudo_header: instance.family == Family::V6 || is_version_3 && !instance.v3_checksum_as_v2,
        source,
        multicast: global.multicast.of(instance.family),
        peers,
        ttl,
        addresses: instance.addresses.iter().chain(&instance.excluded).cloned().collect(),
        routes: instance.routes.clone(),
        rules: instance.rules.clone(),
        accepts: instance.accept,
        is_strict: instance.strict,
        notify: Defaults::new(global).notify(&instance.notify),
        mail,
    }
}

#[cfg(test)]
mod tests {
    use ha_core::Track;

    use std::time::Duration;

    use super::*;

    const NODE_A: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/reference-pair/node-a.conf"));

    fn plan(text: &str, only: &[&str]) -> (Plan, Vec<String>) {
        let parsed = ha_config::parse("x", text);
        let errors = |one: &&ha_config::Diagnostic| one.severity == ha_config::Severity::Error;
        assert_eq!(parsed.diagnostics.iter().find(errors), None);
        let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
        Plan::new(&parsed.config, &only)
    }

    fn instance(number: u8, more: &str) -> String {
        format!(
            "vrrp_instance VI_{number} {{\n interface eth{number}\n virtual_router_id {number}\n \
             virtual_ipaddress {{\n 192.0.2.{number}\n }}\n {more}\n}}\n"
        )
    }

    fn group(more: &str) -> String {
        format!("vrrp_sync_group VG {{\n group {{\n VI_1\n VI_2\n }}\n {more}\n}}\n")
    }

    const SCRIPT: &str = "vrrp_script chk {\n script \"/bin/true\"\n weight -20\n}\n";

    /// The trackers of each instance in words.
    fn tracks(plan: &Plan) -> Vec<Vec<String>> {
        let describe = |track: &Track| {
            let name = plan.tracker(track.tracker).unwrap().name();
            format!("{name} {}", track.weight)
        };
        let instances = plan.engine.instances.iter();
        instances.map(|instance| instance.tracks.iter().map(describe).collect()).collect()
    }

    #[test]
    fn the_reference_pair() {
        let (plan, warnings) = plan(NODE_A, &[]);
        assert!(warnings.is_empty(), "{warnings:?}");
        let names: Vec<&str> = plan.instances.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["VI_1", "VI_2"]);
        assert_eq!(
            tracks(&plan),
            [["bond0 0", "monitor_service 0"], ["monitor_service 0", "eth2 0"]]
        );
        assert_eq!(plan.engine.trackers, 3);
        let members = &plan.engine.groups[0].members;
        assert_eq!(members, &[InstanceId(0), InstanceId(1)]);
        assert!(plan.groups[0].notify.fault.is_some());
        let first = &plan.instances.get(0).unwrap();
        assert_eq!(first.source, Some("198.51.100.10".parse().unwrap()));
        assert_eq!(first.peers[0].address, "198.51.100.11".parse::<IpAddr>().unwrap());
        // keepalived cuts a password at eight bytes.
        assert_eq!(first.template.authentication, wire::Authentication::Pass(*b"33763994"));
        assert_eq!(first.template.addresses.len(), 2);
        assert!(!first.pseudo_header, "version 2");
        let engine = &plan.engine.instances[0];
        assert!(!engine.preempt);
        assert_eq!((engine.down_adverts, engine.announce.repeat), (3, 5));
        assert_eq!(engine.announce.delay, Duration::from_secs(5));
    }

    #[test]
    fn other_interfaces_are_left_out_and_groups_follow() {
        let (plan, warnings) = plan(NODE_A, &["eth2", "eth9"]);
        assert_eq!(plan.instances.iter().count(), 1);
        assert_eq!(plan.instances.get(0).unwrap().name, "VI_2");
        assert_eq!(plan.engine.groups[0].members, [InstanceId(0)]);
        assert_eq!(tracks(&plan), [["eth2 0", "monitor_service 0"]]);
        assert!(warnings.iter().any(|text| text.starts_with("VI_1 is not started")));
        assert!(warnings.iter().any(|text| text.starts_with("--iface eth9: ")));
    }

    /// As keepalived 2.2.7 was seen to do it.
    #[test]
    fn interfaces_of_what_is_virtual_and_tracked_are_tracked() {
        let routing = |more: &str| {
            format!(
                "virtual_ipaddress_excluded {{\n 192.0.2.7 dev eth7 {more}\n 192.0.2.8\n }}\n \
                 virtual_routes {{\n 10.1.0.0/16 dev eth8 {more}\n 10.2.0.0/16 {more} nexthop via \
                 192.0.2.9 dev eth4 nexthop via 192.0.2.8 dev eth5\n }}\n virtual_rules {{\n from \
                 10.1.0.0/16 iif eth9 table 7 preference 9 {more}\n }}\n dont_track_primary"
            )
        };
        let (plan_of_all, _) = plan(&instance(1, &routing("")), &[]);
        assert_eq!(tracks(&plan_of_all), [["eth7 0", "eth8 0", "eth9 0"]]);
        let (plan_of_none, _) = plan(&instance(1, &routing("no_track")), &[]);
        assert_eq!(tracks(&plan_of_none), [[""; 0]]);
    }

    #[test]
    fn own_weights_of_members_do_not_count() {
        let own = "track_script {\n chk\n }\n track_interface {\n eth7 weight 5\n }";
        let text = [SCRIPT, &group(""), &instance(1, own), &instance(2, "")].concat();
        let (plan, _) = plan(&text, &[]);
        assert_eq!(tracks(&plan), [vec!["eth1 0", "eth7 0"], vec!["eth2 0"]]);
    }

    #[test]
    fn own_weights_of_members_count_where_the_group_says_so() {
        let own = "track_script {\n chk\n }\n track_interface {\n eth7 weight 5\n }";
        let group = group("sync_group_tracking_weight");
        let text = [SCRIPT, &group, &instance(1, own), &instance(2, "")].concat();
        let (plan, _) = plan(&text, &[]);
        assert_eq!(tracks(&plan), [vec!["eth1 0", "eth7 5", "chk -20"], vec!["eth2 0"]]);
    }

    #[test]
    fn a_group_s_trackers_are_every_member_s() {
        let tracked = "track_script {\n chk\n }";
        let text = [SCRIPT, &group(tracked), &instance(1, tracked), &instance(2, "")].concat();
        let (plan, warnings) = plan(&text, &[]);
        assert_eq!(tracks(&plan), [["eth1 0", "chk -20"], ["chk -20", "eth2 0"]]);
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn outside_groups_weights_count() {
        let own = "track_script {\n chk\n }\n dont_track_primary";
        let (plan, _) = plan(&[SCRIPT, &instance(1, own)].concat(), &[]);
        assert_eq!(tracks(&plan), [["chk -20"]]);
    }

    #[test]
    fn script_user_runs_what_names_no_user() {
        let scripts = "notify \"/bin/a\"\n notify_stop \"/bin/b\" daemon\n \
                       track_script {\n chk\n }";
        let global = "global_defs {\n script_user nobody\n}\n";
        let (plan, _) = plan(&[global, SCRIPT, &instance(1, scripts)].concat(), &[]);
        let user = |command: &Command| command.user.clone().unwrap().user;
        let notify = &plan.instances.get(0).unwrap().notify;
        assert_eq!(user(notify.any.as_ref().unwrap()), "nobody");
        assert_eq!(user(notify.stop.as_ref().unwrap()), "daemon");
        let script = plan.trackers.iter().find_map(|tracker| match tracker {
            TrackerPlan::Script(script) => Some(&script.command),
            TrackerPlan::Interface(_)
            | TrackerPlan::Process(_)
            | TrackerPlan::File(_)
            | TrackerPlan::Statics(_)
            | TrackerPlan::Unit(_)
            | TrackerPlan::Clock(_) => None,
        });
        assert_eq!(user(script.unwrap()), "nobody");
    }

    #[test]
    fn the_longer_delay_counts_and_the_host_may_have_been_up_for_a_while() {
        let delays = "global_defs {\n vrrp_startup_delay 5\n vrrp_delay_after_boot 60\n}\n";
        let (plan, _) = plan(&[delays, &instance(1, "")].concat(), &[]);
        let secs = Duration::from_secs;
        assert_eq!(plan.startup_delay(secs(10)), secs(50));
        assert_eq!(plan.startup_delay(secs(58)), secs(5));
        assert_eq!(plan.startup_delay(secs(1000)), secs(5));
        assert_eq!(plan.engine.startup_delay, Duration::ZERO, "not at a reload");
    }

    #[test]
    fn checksums_of_version_3_over_ipv4_cover_keepalived_s_pseudo_header() {
        let pseudo_header =
            |more: &str| plan(&instance(1, more), &[]).0.instances.get(0).unwrap().pseudo_header;
        assert!(!pseudo_header("version 2"));
        assert!(pseudo_header("version 3"));
        assert!(!pseudo_header("version 3\n v3_checksum_as_v2"));
    }
}
