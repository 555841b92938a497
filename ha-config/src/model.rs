//! What a configuration says, as plain owned data: every default filled in, every reference resolved.
//!
//! Values keep the units of keepalived's manual in their types; nothing here refers back to the
//! text except the numbers of the lines that later complaints (an interface that does not exist)
//! have to name.

mod address;
mod announce;
mod authentication;
mod clock;
mod delays;
mod file;
mod notify;
mod process;
mod routing;
mod setting;
mod statics;
mod unit;

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use ha_core::{AdvertInterval, Family, Priority, Version, Vrid};

use crate::diagnostic::Place;

pub use self::{
    address::{Address, Lifetime, Scope},
    announce::{Garp, Pacing},
    authentication::{Authentication, Password},
    clock::{Clock, ClockLook, NtpServer, TrackClock},
    delays::InterfaceDelays,
    file::{InitFile, TrackFile, TrackedFile},
    notify::{Fifo, Hook, Lifecycle, Notify},
    process::{Process, ProcessMatch, RestartLimit, TrackProcess},
    routing::{
        Hop, MAIN_TABLE, Mark, Network, PROTOCOL, PathMetric, PathSetting, Route, RouteKind,
        RouterPreference, Rule, RuleAction,
    },
    setting::Setting,
    statics::{Static, Statics, TrackGroup},
    unit::{TrackUnit, Unit},
};

/// One configuration, without the scripts and instances that had errors.
///
/// A group is kept as long as one of its members is; of a `global_defs` with errors the rest counts.
///
/// What holds between its parts: names of instances, scripts and groups are unique in their list;
/// every name in [`SyncGroup::members`], [`TrackScript::script`], [`TrackProcess::process`], [`TrackUnit::unit`] and [`Static::track_group`] exists; no instance is in two
/// groups; no two instances have the same interface, family and VRID.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// What tells the daemon from others on the host.
    pub identity: Identity,
    /// `global_defs`.
    pub global: Global,
    /// `vrrp_script` blocks, in the order of the file; unused ones too.
    pub scripts: Vec<Script>,
    /// `vrrp_track_process` blocks, in the order of the file; unused ones too.
    pub processes: Vec<Process>,
    /// `vrrp_track_unit` blocks, in the order of the file; unused ones too.
    pub units: Vec<Unit>,
    /// Top-level `track_file` blocks, in the order of the file; unused ones too.
    pub files: Vec<TrackedFile>,
    /// `vrrp_track_clock` blocks, in the order of the file; unused ones too.
    pub clocks: Vec<Clock>,
    /// `vrrp_sync_group` blocks, in the order of the file.
    pub groups: Vec<SyncGroup>,
    /// `vrrp_instance` blocks, in the order of the file.
    pub instances: Vec<Instance>,
    /// `garp_group` blocks, in the order of the file.
    pub pacing: Vec<Pacing>,
    /// `interface_up_down_delays`, in the order of the file; no interface is in it twice.
    pub delays: Vec<InterfaceDelays>,
    /// `static_ipaddress`, `static_routes` and `static_rules`.
    pub statics: Statics,
    /// `track_group` blocks, in the order of the file; unused ones too.
    pub track_groups: Vec<TrackGroup>,
    /// Other blocks that are not active yet, in the order of the file.
    pub inactive: Vec<Setting>,
}

impl Config {
    /// The instance called `name`.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    /// The script called `name`.
    #[must_use]
    pub fn script(&self, name: &str) -> Option<&Script> {
        self.scripts.iter().find(|script| script.name == name)
    }

    /// The group that the instance called `name` belongs to.
    #[must_use]
    pub fn group_of(&self, name: &str) -> Option<&SyncGroup> {
        self.groups.iter().find(|group| group.members.iter().any(|member| member == name))
    }
}

/// What tells a daemon from others on the host, from its start to its end: but for the last, no
/// reload changes it, as in keepalived.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// `net_namespace`: the network namespace that it runs in, by the name that `ip netns` gives it.
    /// `None`: the one that it is started in.
    pub net_namespace: Option<String>,
    /// `instance`: a name that its files carry.
    pub instance: Option<String>,
    /// `use_pid_dir`: it writes its number to a file unasked, even if it has neither of these names.
    pub use_pid_dir: bool,
    /// `data_use_instance`: what it writes to keepalived's path for its state carries them too.
    pub data_use_instance: bool,
}

/// `global_defs`: what belongs to the daemon; defaults of instances are already in the instances.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the file")]
pub struct Global {
    /// `router_id`: the node's name in mails, never on the wire. `None`: the host's name.
    pub router_id: Option<String>,
    /// Where mails on transitions go.
    pub mail: Mail,
    /// `default_interface`: where static addresses without `dev` are. `None`: `eth0`.
    pub default_interface: Option<String>,
    /// `script_user`: whom scripts run as. `None`: the user `keepalived_script` if there is one,
    /// else root.
    pub script_user: Option<ScriptUser>,
    /// `enable_script_security`: asked for. keepalived then also refuses scripts without a
    /// `script_user`, if there is no user `keepalived_script`.
    pub script_security: bool,
    /// `set_supplementary_groups`: scripts have all groups of their user, not the first one only.
    pub supplementary_groups: bool,
    /// `notify_fifo`.
    pub fifo: Option<Fifo>,
    /// `vrrp_notify_fifo`: the same, as there is nothing else to be told of.
    pub vrrp_fifo: Option<Fifo>,
    /// `fifo_write_vrrp_states_on_reload`: FIFOs are told all states after a reload.
    pub fifo_states_on_reload: bool,
    /// What is run at the start and at the stop.
    pub lifecycle: Lifecycle,
    /// `vrrp_startup_delay`: from the daemon's start until instances take part; default 0.
    pub startup_delay: Duration,
    /// `vrrp_delay_after_boot`: from the host's start until instances take part; default 0.
    pub delay_after_boot: Duration,
    /// `vrrp_garp_interval`: least time between two gratuitous ARP on an interface that is in no
    /// [`Config::pacing`]; default 0: none.
    pub garp_interval: Duration,
    /// `vrrp_gna_interval`: the same for unsolicited neighbour advertisements.
    pub gna_interval: Duration,
    /// Where advertisements of instances without `unicast_peer` go.
    pub multicast: MulticastGroups,
    /// `log_unknown_vrids`: tell of advertisements for virtual routers that are not configured.
    pub log_unknown_vrids: bool,
    /// What is set up for instances that do not accept packets to their addresses.
    pub firewall: Firewall,
    /// How the host's wall clock is looked at.
    pub clock: ClockLook,
    /// What is not active yet and has no field of its own.
    pub inactive: Vec<Setting>,
}

/// `nftables*`: the packet filter of instances with [`Instance::accept`] false.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Firewall {
    /// `nftables_priority`: of its chains; default -1.
    pub priority: i32,
    /// `nftables_counters`: its rules count packets.
    pub counters: bool,
}

impl Default for Firewall {
    fn default() -> Self {
        Self { priority: -1, counters: false }
    }
}

/// `vrrp_mcast_group4`, `vrrp_mcast_group6`: all nodes of a virtual router have the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MulticastGroups {
    /// Default 224.0.0.18 (RFC 9568 §5.1.1.2).
    pub v4: Ipv4Addr,
    /// Default `ff02::12` (RFC 9568 §5.1.2.2).
    pub v6: Ipv6Addr,
}

impl MulticastGroups {
    /// The family's.
    #[must_use]
    pub fn of(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }
}

impl Default for MulticastGroups {
    fn default() -> Self {
        Self { v4: Ipv4Addr::new(224, 0, 0, 18), v6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12) }
    }
}

/// The mail part of `global_defs`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mail {
    /// `notification_email`: recipients. Empty: no mails.
    pub to: Vec<String>,
    /// `notification_email_from`: the sender. `None`: `root@` and the host's name.
    pub from: Option<String>,
    /// `smtp_server`.
    pub server: Option<SmtpServer>,
    /// `smtp_connect_timeout`, in whole seconds in the file; default 30 s.
    pub connect_timeout: Duration,
    /// `smtp_helo_name`. `None`: the host's name.
    pub helo_name: Option<String>,
    /// `no_email_faults`: none about Fault.
    pub no_faults: bool,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            from: None,
            server: None,
            connect_timeout: Duration::from_secs(30),
            helo_name: None,
            no_faults: false,
        }
    }
}

/// `smtp_server HOST [PORT]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SmtpServer {
    /// An address or a name.
    pub host: String,
    /// Default 25.
    pub port: u16,
}

/// A user, and a group if it is not the user's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScriptUser {
    /// A name or a number.
    pub user: String,
    /// A name or a number. `None`: the user's own group.
    pub group: Option<String>,
}

/// A program to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// The program's path, then its arguments; never empty.
    pub argv: Vec<String>,
    /// Whom to run it as. `None`: as [`Global::script_user`] says.
    pub user: Option<ScriptUser>,
    /// The line that names it.
    pub place: Place,
}

/// What a tracked thing does to the priority of an instance.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weight {
    /// -253 to 253. Positive: added while the tracked thing is up. Negative: subtracted while it
    /// is down. 0: the instance is in Fault while it is down.
    pub value: i32,
    /// `reverse`: what would be added is subtracted, and what would be subtracted added. With 0 up and
    /// down are exchanged.
    pub reverse: bool,
}

/// `vrrp_script NAME`: a program whose exit code is tracked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Script {
    /// The block's name.
    pub name: String,
    /// `script`, with `user`.
    pub command: Command,
    /// `interval`: from start to start; above zero, default 1 s.
    pub interval: Duration,
    /// `timeout`: after this the run counts as failed; above zero, default [`Script::interval`].
    pub timeout: Duration,
    /// `weight`; default 0. Where the script is tracked it may be overridden: see
    /// [`TrackScript::weight`], which is the one to use.
    pub weight: Weight,
    /// `rise`: successes in a row that make it up; at least 1, default 1.
    pub rise: u32,
    /// `fall`: failures in a row that make it down; at least 1, default 1.
    pub fall: u32,
    /// `init_fail`: down before the first run, instead of unknown.
    pub init_fail: bool,
    /// The line of the block's head.
    pub place: Place,
}

/// `vrrp_sync_group NAME`: instances that change state together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncGroup {
    /// The block's name.
    pub name: String,
    /// `group`: names of instances that are in [`Config::instances`]; never empty.
    pub members: Vec<String>,
    /// Scripts to run when the group changes state.
    pub notify: Notify,
    /// `track_interface`: tracked for every member.
    pub track_interfaces: Vec<TrackInterface>,
    /// `track_script`: tracked for every member.
    pub track_scripts: Vec<TrackScript>,
    /// `track_process`: tracked for every member.
    pub track_processes: Vec<TrackProcess>,
    /// `track_unit`: tracked for every member.
    pub track_units: Vec<TrackUnit>,
    /// `track_file`: tracked for every member.
    pub track_files: Vec<TrackFile>,
    /// `track_clock`.
    pub track_clocks: Vec<TrackClock>,
    /// `sync_group_tracking_weight`: weights in the members' own blocks count. Without it the model
    /// has none: they are 0, or what has them is not tracked.
    pub tracking_weight: bool,
    /// `smtp_alert`: mail on transitions; default that of `global_defs`.
    pub smtp_alert: bool,
    /// What is not active yet.
    pub inactive: Vec<Setting>,
    /// The line of the block's head.
    pub place: Place,
}

/// One line of `track_interface`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackInterface {
    /// The interface's name.
    pub interface: String,
    /// `weight N [reverse]`; default 0.
    pub weight: Weight,
    /// The line of the file.
    pub place: Place,
}

/// One line of `track_script`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackScript {
    /// A name in [`Config::scripts`].
    pub script: String,
    /// `weight N [reverse]`; default is the script's own weight.
    pub weight: Weight,
    /// The line of the file.
    pub place: Place,
}

/// `state`: what an instance wants to start as.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InitialState {
    /// `MASTER`.
    Master,
    /// `BACKUP`; the default.
    #[default]
    Backup,
}

/// `vrrp_instance NAME`: one virtual router.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the file")]
pub struct Instance {
    /// The block's name.
    pub name: String,
    /// `interface`; also the one of every address that names no other.
    pub interface: String,
    /// The family of [`Instance::addresses`].
    pub family: Family,
    /// `version`, else `vrrp_version`, else 2; always 3 for IPv6.
    pub version: Version,
    /// `virtual_router_id`.
    pub vrid: Vrid,
    /// `state`; default Backup.
    pub state: InitialState,
    /// `priority`; default 255 with `state MASTER`, else 100.
    pub priority: Priority,
    /// `advert_int`, already rounded to what [`Instance::version`] can carry; default 1 s.
    pub advert_interval: AdvertInterval,
    /// False with `nopreempt`: a Master of lower priority is left alone.
    pub preempt: bool,
    /// `preempt_delay`: how long a Master of lower priority is left alone; 0 to 1000 s, default 0.
    /// Zero where it has no effect: [`Instance::preempt`] is false, state MASTER, priority 255,
    /// [`Instance::strict`].
    pub preempt_delay: Duration,
    /// `authentication`; always [`Authentication::None`] for version 3.
    pub authentication: Authentication,
    /// Where advertisements go to and come from.
    pub transport: Transport,
    /// `virtual_ipaddress`, all of one family, at least one: in the advertisement, in this order, as
    /// far as there is room.
    pub addresses: Vec<Address>,
    /// `virtual_ipaddress_excluded`: moved with the others but not advertised; either family.
    pub excluded: Vec<Address>,
    /// `virtual_routes`: set after the addresses, and removed before them.
    pub routes: Vec<Route>,
    /// `virtual_rules`: set after the routes, and removed before them.
    pub rules: Vec<Rule>,
    /// False with `dont_track_primary`: [`Instance::interface`] going down is no fault.
    pub track_primary: bool,
    /// `track_interface`, without the instance's own interface at weight 0, which is
    /// [`Instance::track_primary`].
    pub track_interfaces: Vec<TrackInterface>,
    /// `track_script`.
    pub track_scripts: Vec<TrackScript>,
    /// `track_process`.
    pub track_processes: Vec<TrackProcess>,
    /// `track_unit`.
    pub track_units: Vec<TrackUnit>,
    /// `track_file`.
    pub track_files: Vec<TrackFile>,
    /// `track_clock`.
    pub track_clocks: Vec<TrackClock>,
    /// Scripts to run when the instance changes state.
    pub notify: Notify,
    /// Gratuitous ARP and unsolicited neighbour advertisements.
    pub garp: Garp,
    /// `down_timer_adverts`: advertisements missed until the Master is down; 1 to 100, default 3.
    pub down_timer_adverts: u8,
    /// `lower_prio_no_advert`: a Master does not answer an advertisement of lower priority.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`: a Master answers an advertisement of higher priority once before
    /// it goes to Backup.
    pub higher_prio_send_advert: bool,
    /// `v3_checksum_as_v2`: IPv4 checksums of version 3 without the pseudo-header.
    pub v3_checksum_as_v2: bool,
    /// `vrrp_check_unicast_src`: unicast advertisements are accepted from the peers only.
    pub check_unicast_src: bool,
    /// `vrrp_skip_check_adv_addr`: the address list of an advertisement is not compared when it
    /// comes from the same Master as the one before.
    pub skip_check_adv_addr: bool,
    /// `owner_ignore_adverts`: with priority 255, advertisements of others are not listened to.
    pub owner_ignore_adverts: bool,
    /// `strict_mode`: what the protocol demands has been put into the other fields.
    pub strict: bool,
    /// Whether packets to the virtual addresses are accepted: always with priority 255, else as
    /// `accept` and `no_accept` say; default true, in strict mode false.
    pub accept: bool,
    /// `smtp_alert`: mail on transitions; default that of `global_defs`.
    pub smtp_alert: bool,
    /// What is not active yet and has no field of its own.
    pub inactive: Vec<Setting>,
    /// The line of the block's head.
    pub place: Place,
}

/// Where advertisements go to and come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transport {
    /// To the family's VRRP group.
    Multicast {
        /// `mcast_src_ip` (or `unicast_src_ip` without peers). `None`: the interface's first
        /// address; for IPv6 its link-local one.
        source: Option<IpAddr>,
    },
    /// To each of `unicast_peer`.
    Unicast {
        /// `unicast_src_ip`. `None`: the interface's first address.
        source: Option<IpAddr>,
        /// Never empty, no address twice, all of the instance's family.
        peers: Vec<Peer>,
        /// `unicast_ttl`: TTL or hop limit of what is sent; default 255.
        ttl: u8,
    },
}

/// One line of `unicast_peer`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The peer's address.
    pub address: IpAddr,
    /// `min_ttl`: lowest TTL accepted from it. `None`: not checked.
    pub min_ttl: Option<u8>,
    /// `max_ttl`: highest TTL accepted from it. `None`: not checked.
    pub max_ttl: Option<u8>,
}
