//! Keywords outside of every block, and those of the small blocks there.

use core::time::Duration;

use super::{
    Again, Argument,
    Argument::{FileName, Interface, Seconds, Word},
    Block::{
        Bfd, Clock, GarpGroup, Global, Group, Instance, Process, Script, Skipped, TrackFile,
        TrackGroup, Unit,
    },
    Keyword,
    argument::TIME,
    entry::{DELAYS, INSTANCES, INTERFACES, POLLED, ROUTE, RULE, STATIC_ADDRESS},
    list,
    reason::{CARRIER, NO_BFD},
    row,
};

const NAME: Argument = Word("NAME");
const WAIT: Argument = Seconds(Duration::ZERO, Duration::from_secs(4294));

pub(super) const KEYWORDS: &[Keyword] = &[
    row("global_defs", &[]).block(Global),
    row("vrrp_script", &[NAME]).block(Script),
    row("vrrp_sync_group", &[NAME]).block(Group),
    row("vrrp_instance", &[NAME]).block(Instance),
    row("garp_group", &[]).block(GarpGroup),
    row("vrrp_track_process", &[NAME]).block(Process),
    row("vrrp_track_unit", &[NAME]).block(Unit),
    row("track_file", &[NAME]).block(TrackFile),
    row("vrrp_track_file", &[NAME]).block(TrackFile),
    row("vrrp_track_clock", &[NAME]).block(Clock),
    row("bfd_instance", &[NAME]).block(Bfd).inactive(NO_BFD),
    list("static_ipaddress", &STATIC_ADDRESS),
    list("static_routes", &ROUTE),
    list("static_rules", &RULE),
    row("track_group", &[NAME]).block(TrackGroup),
    list("interface_up_down_delays", &DELAYS),
    row("net_namespace", &[FileName]).again(Again::Ignored),
    row("net_namespace_ipvs", &[NAME]).at_least(0).load_balancer(),
    row("namespace_with_ipsets", &[]).without_effect("no ipsets are used"),
    row("instance", &[FileName]).again(Again::Ignored),
    row("use_pid_dir", &[]),
    row("linkbeat_use_polling", &[]).without_effect(CARRIER),
    list("linkbeat_interfaces", &POLLED).without_effect(CARRIER),
    row("child_wait_time", &[WAIT]).default("5"),
    row("virtual_server", &[NAME]).repeats().block(Skipped).load_balancer(),
    row("virtual_server_group", &[NAME]).repeats().block(Skipped).load_balancer(),
    row("local_address_group", &[NAME]).repeats().block(Skipped).load_balancer(),
    row("SSL", &[]).block(Skipped).load_balancer(),
];

pub(super) const TRACK_GROUP_KEYWORDS: &[Keyword] = &[list("group", &INSTANCES)];

pub(super) const GARP_GROUP_KEYWORDS: &[Keyword] = &[
    row("garp_interval", &[TIME]).default("0"),
    row("gna_interval", &[TIME]).default("0"),
    row("interface", &[Interface]),
    list("interfaces", &INTERFACES),
];
