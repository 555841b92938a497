//! Keywords of `vrrp_instance` and `vrrp_sync_group`.

use core::time::Duration;

use super::{
    Again, Argument,
    Argument::{Address, After, Command, Interface, Number, OneOf, Seconds, Word},
    Block::{Authentication, Skipped},
    Keyword,
    argument::TIME,
    entry::{
        ADDRESS, INSTANCES, PEER, ROUTE, RULE, TRACKED_BFD, TRACKED_CLOCK, TRACKED_FILE,
        TRACKED_INTERFACE, TRACKED_PROCESS, TRACKED_SCRIPT, TRACKED_UNIT,
    },
    flag, list,
    reason::{CARRIER, NO_BFD, NO_VMAC, OWN_BUFFERS},
    row,
};

const WHOM: [Argument; 3] = [Command, Word("USER"), Word("GROUP")];
/// More announcements than any switch needs, and few enough not to flood one.
pub(super) const REPEAT: Argument = Number(0, 1000);

const fn notify(name: &'static str) -> Keyword {
    row(name, &WHOM).at_least(1).again(Again::Ignored)
}

pub(super) const GROUP_KEYWORDS: &[Keyword] = &[
    list("group", &INSTANCES),
    list("track_interface", &TRACKED_INTERFACE),
    list("track_script", &TRACKED_SCRIPT),
    list("track_file", &TRACKED_FILE),
    list("track_process", &TRACKED_PROCESS),
    list("track_unit", &TRACKED_UNIT),
    list("track_clock", &TRACKED_CLOCK),
    list("track_bfd", &TRACKED_BFD).inactive(NO_BFD),
    notify("notify_master"),
    notify("notify_backup"),
    notify("notify_fault"),
    notify("notify_stop"),
    notify("notify"),
    notify("notify_deleted").at_least(0).without_effect("it is told of instances, not of groups"),
    flag("notify_priority_changes").default("vrrp_notify_priority_changes"),
    flag("notify_coalesce"),
    flag("smtp_alert").default("smtp_alert_vrrp of global_defs"),
    row("sync_group_tracking_weight", &[]),
    row("global_tracking", &[]),
];

pub(super) const VERSION: Argument = OneOf(&["2", "3"]);
const INTERVAL: Argument = Seconds(Duration::from_millis(10), Duration::from_secs(255));
const PREEMPT_DELAY: Argument = Seconds(Duration::ZERO, Duration::from_secs(1000));
/// Up to a day.
pub(super) const EXTRA: Argument = After(&["all"], &Number(0, 86400));
pub(super) const DEAF: &str = "it cannot be ignored: the nodes would not hear each other";
const ONE_GROUP: &str = "frames of all instances are judged by the same two groups: set these by \
    `vrrp_mcast_group4` or `vrrp_mcast_group6`, on all nodes";
pub(super) const ALSO_OTHER_INTERFACES: &str =
    "`garp_master_refresh` announces every address, on whichever interface it is";
const LATE_RULE: &str = "a Master that was late for longer than its Backups wait always listens \
    before it goes on";

pub(super) const KEYWORDS: &[Keyword] = &[
    row("state", &[Word("MASTER|BACKUP")]).default("BACKUP").again(Again::IgnoredAfter("MASTER")),
    row("interface", &[Interface]),
    row("virtual_router_id", &[Number(1, 255)]),
    row("priority", &[Number(1, 255)]).default("100; 255 with `state MASTER`"),
    row("advert_int", &[INTERVAL]).default("1"),
    row("version", &[VERSION]).default("vrrp_version").again(Again::Ignored),
    row("native_ipv6", &[]),
    row("nopreempt", &[]),
    row("preempt", &[]),
    row("preempt_delay", &[PREEMPT_DELAY]).default("0"),
    row("authentication", &[]).block(Authentication),
    list("virtual_ipaddress", &ADDRESS),
    list("virtual_ipaddress_excluded", &ADDRESS),
    list("unicast_peer", &PEER),
    row("unicast_src_ip", &[Address]).default("the interface's first address"),
    row("mcast_src_ip", &[Address]).default("the interface's first address"),
    row("unicast_ttl", &[Number(0, 255)]).default("255"),
    row("check_unicast_src", &[]).default("vrrp_check_unicast_src"),
    flag("skip_check_adv_addr").default("vrrp_skip_check_adv_addr"),
    row("dont_track_primary", &[]),
    list("track_interface", &TRACKED_INTERFACE),
    list("track_script", &TRACKED_SCRIPT),
    list("track_file", &TRACKED_FILE),
    list("track_process", &TRACKED_PROCESS),
    list("track_unit", &TRACKED_UNIT),
    list("track_clock", &TRACKED_CLOCK),
    list("track_bfd", &TRACKED_BFD).inactive(NO_BFD),
    notify("notify_master"),
    notify("notify_backup"),
    notify("notify_fault"),
    notify("notify_stop"),
    notify("notify"),
    notify("notify_deleted").at_least(0),
    notify("notify_master_rx_lower_pri"),
    flag("notify_priority_changes").default("vrrp_notify_priority_changes"),
    flag("notify_coalesce"),
    flag("smtp_alert").default("smtp_alert_vrrp of global_defs"),
    row("garp_master_delay", &[TIME]).default("vrrp_garp_master_delay"),
    row("garp_master_repeat", &[REPEAT]).default("vrrp_garp_master_repeat"),
    row("garp_master_refresh", &[TIME]).default("vrrp_garp_master_refresh"),
    row("garp_master_refresh_repeat", &[REPEAT]).default("vrrp_garp_master_refresh_repeat"),
    row("garp_lower_prio_delay", &[TIME]).default("vrrp_garp_lower_prio_delay"),
    row("garp_lower_prio_repeat", &[REPEAT]).default("vrrp_garp_lower_prio_repeat"),
    row("garp_extra_if", &[EXTRA]).default("0").unsupported(ALSO_OTHER_INTERFACES),
    row("vmac_garp_intvl", &[EXTRA]).default("0").unsupported(ALSO_OTHER_INTERFACES),
    row("down_timer_adverts", &[Number(1, 100)]).default("vrrp_down_timer_adverts"),
    flag("lower_prio_no_advert").default("vrrp_lower_prio_no_advert"),
    flag("higher_prio_send_advert").default("vrrp_higher_prio_send_advert"),
    flag("owner_ignore_adverts").default("vrrp_owner_ignore_adverts"),
    flag("v3_checksum_as_v2").default("the same in global_defs"),
    flag("strict_mode").default("vrrp_strict"),
    row("accept", &[]).default("on, unless strict"),
    row("no_accept", &[]),
    row("debug", &[Number(0, 4)]).default("0").without_effect("keepalived has none for it either"),
    // Without these the instance would not understand its peers and be Master beside them.
    row("mcast_dst_ip", &[Address]).default("224.0.0.18 or ff02::12").refused(ONE_GROUP),
    row("old_unicast_checksum", &[OneOf(&["never"])])
        .at_least(0)
        .default("never")
        .refused("the other nodes' keepalived would be too old to take our checksums: update it"),
    row("vrf", &[Interface]).refused(DEAF),
    row("auth_hmac", &[]).block(Skipped).refused(DEAF),
    row("no_virtual_ipaddress", &[]).unsupported("an instance has at least one address"),
    list("virtual_routes", &ROUTE),
    list("virtual_rules", &RULE),
    row("promote_secondaries", &[])
        .unsupported("set net.ipv4.conf.INTERFACE.promote_secondaries=1 with sysctl"),
    row("use_vmac", &[Word("INTERFACE"), Word("MAC"), Word("OPTION")])
        .at_least(0)
        .repeats()
        .inactive(NO_VMAC),
    row("vmac_xmit_base", &[]).inactive(NO_VMAC),
    row("use_vmac_addr", &[]).inactive(NO_VMAC),
    row("use_ipvlan", &[Word("INTERFACE"), Word("ADDRESS"), Word("OPTION")])
        .at_least(0)
        .repeats()
        .inactive(NO_VMAC),
    row("track_src_ip", &[]).without_effect("a source address that is gone is always a fault"),
    row("unicast_fault_no_peer", &[]),
    row("timer_expired_backup", &[Number(1, 254)]).at_least(0).without_effect(LATE_RULE),
    row("thread_timer_expired", &[Number(1, 254)]).at_least(0).without_effect(LATE_RULE),
    row("kernel_rx_buf_size", &[Number(1, 0x7fff_ffff)]).without_effect(OWN_BUFFERS),
    row("linkbeat_use_polling", &[]).without_effect(CARRIER),
    row("lvs_sync_daemon_interface", &[Interface]).load_balancer(),
];

pub(super) const AUTHENTICATION_KEYWORDS: &[Keyword] =
    &[row("auth_type", &[Word("PASS|AH")]), row("auth_pass", &[Word("PASSWORD")])];
