//! The one table of keywords: which block has them, what they take, what becomes of them.
//!
//! It decides what is known, where it belongs and where a block is expected; suggestions and the
//! compatibility page come from it too. What a supported keyword means is in `build`.

use Block::{Authentication, GarpGroup, Global, Group, Instance, List, Script, Skipped, Top};

/// A kind of block.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Block {
    /// Outside of every block.
    Top,
    Global,
    Script,
    Group,
    Instance,
    Authentication,
    GarpGroup,
    /// Lines that are entries, not keywords.
    List,
    /// Read for its braces only.
    Skipped,
}

impl Block {
    /// The keyword that begins it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Top => "the top level",
            Global => "`global_defs`",
            Script => "`vrrp_script`",
            Group => "`vrrp_sync_group`",
            Instance => "`vrrp_instance`",
            Authentication => "`authentication`",
            GarpGroup => "`garp_group`",
            List | Skipped => "a list",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Keyword {
    pub(crate) name: &'static str,
    /// Words after it.
    pub(crate) least: usize,
    /// More are reported, and ignored as keepalived does.
    pub(crate) most: usize,
    /// What is between its braces; `None`: it has none.
    pub(crate) body: Option<Block>,
    pub(crate) support: Support,
}

/// What becomes of a keyword.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Support {
    /// It has its effect.
    Now,
    /// It is checked and in the model, but the daemon does nothing with it yet: a warning that
    /// says what is missing.
    Unused(&'static str),
    /// Known but without effect: a warning.
    Later,
    /// Known, and running without it would split the virtual router: an error.
    Refused,
    /// keepalived's load balancer, which this is not: one warning per file.
    LoadBalancer,
}

impl Support {
    /// Whether `build` gives it a meaning.
    #[cfg(test)]
    pub(crate) const fn is_read(self) -> bool {
        matches!(self, Self::Now | Self::Unused(_))
    }
}

const ANY: usize = usize::MAX;

const fn now(name: &'static str, least: usize, most: usize) -> Keyword {
    Keyword { name, least, most, body: None, support: Support::Now }
}

/// `keyword`, of which the daemon does not do what `missing` says.
const fn unused(missing: &'static str, keyword: Keyword) -> Keyword {
    Keyword { support: Support::Unused(missing), ..keyword }
}

const fn block(name: &'static str, words: usize, body: Block) -> Keyword {
    Keyword { name, least: words, most: words, body: Some(body), support: Support::Now }
}

const fn later(name: &'static str) -> Keyword {
    Keyword { name, least: 0, most: ANY, body: None, support: Support::Later }
}

const fn later_block(name: &'static str) -> Keyword {
    Keyword { name, least: 0, most: ANY, body: Some(Skipped), support: Support::Later }
}

const fn refused(name: &'static str) -> Keyword {
    Keyword { name, least: 0, most: ANY, body: None, support: Support::Refused }
}

const fn refused_block(name: &'static str) -> Keyword {
    Keyword { name, least: 0, most: ANY, body: Some(Skipped), support: Support::Refused }
}

const fn load_balancer(name: &'static str) -> Keyword {
    Keyword { name, least: 0, most: ANY, body: Some(Skipped), support: Support::LoadBalancer }
}

const NO_MAIL: &str = "no mail is sent";

/// Every block that has keywords, with them.
pub(crate) const TABLE: [(Block, &[Keyword]); 7] = [
    (Top, TOP_KEYWORDS),
    (Global, GLOBAL_KEYWORDS),
    (Script, SCRIPT_KEYWORDS),
    (Group, GROUP_KEYWORDS),
    (Instance, INSTANCE_KEYWORDS),
    (Authentication, AUTHENTICATION_KEYWORDS),
    (GarpGroup, GARP_GROUP_KEYWORDS),
];

/// The keywords of `block`.
pub(crate) fn of(block: Block) -> &'static [Keyword] {
    TABLE.iter().find(|(kind, _)| *kind == block).map_or(&[], |(_, keywords)| *keywords)
}

pub(crate) fn find(block: Block, name: &str) -> Option<&'static Keyword> {
    of(block).iter().find(|keyword| keyword.name == name)
}

/// Whether a line beginning with `name` and ending in `{` can only be at the top level, so that
/// an unclosed block must have ended before it.
pub(crate) fn begins_top_block(name: &str, inside: Block) -> bool {
    // A sync group or an instance has a `track_file {` of its own.
    name != "track_file"
        && find(inside, name).is_none()
        && find(Top, name).is_some_and(|keyword| keyword.body.is_some())
}

const TOP_KEYWORDS: &[Keyword] = &[
    block("global_defs", 0, Global),
    block("vrrp_script", 1, Script),
    block("vrrp_sync_group", 1, Group),
    block("vrrp_instance", 1, Instance),
    block("garp_group", 0, GarpGroup),
    refused("net_namespace"),
    later("net_namespace_ipvs"),
    later("namespace_with_ipsets"),
    later("instance"),
    later("use_pid_dir"),
    later("linkbeat_use_polling"),
    later("child_wait_time"),
    later_block("linkbeat_interfaces"),
    later_block("static_ipaddress"),
    later_block("static_routes"),
    later_block("static_rules"),
    later_block("track_group"),
    later_block("interface_up_down_delays"),
    later_block("vrrp_track_process"),
    later_block("track_file"),
    later_block("vrrp_track_file"),
    later_block("bfd_instance"),
    load_balancer("virtual_server"),
    load_balancer("virtual_server_group"),
    load_balancer("local_address_group"),
    load_balancer("SSL"),
];

const GLOBAL_KEYWORDS: &[Keyword] = &[
    now("router_id", 1, 1),
    unused(NO_MAIL, block("notification_email", 0, List)),
    now("notification_email_from", 1, 1),
    now("smtp_server", 1, 2),
    now("smtp_helo_name", 1, 1),
    now("smtp_connect_timeout", 1, 1),
    unused("the paths of scripts are not checked", now("enable_script_security", 0, 0)),
    now("script_user", 1, 2),
    now("vrrp_version", 1, 1),
    now("vrrp_skip_check_adv_addr", 0, 1),
    now("vrrp_check_unicast_src", 0, 1),
    now("vrrp_garp_master_delay", 1, 1),
    now("vrrp_garp_master_repeat", 1, 1),
    now("vrrp_garp_master_refresh", 1, 1),
    now("vrrp_garp_master_refresh_repeat", 1, 1),
    now("vrrp_garp_lower_prio_delay", 1, 1),
    now("vrrp_garp_lower_prio_repeat", 1, 1),
    now("vrrp_min_garp", 0, 1),
    now("vrrp_garp_interval", 1, 1),
    now("vrrp_gna_interval", 1, 1),
    now("vrrp_startup_delay", 1, 1),
    now("vrrp_delay_after_boot", 1, 1),
    now("vrrp_owner_ignore_adverts", 0, 1),
    now("vrrp_strict", 0, 0),
    now("nftables", 0, 1),
    now("nftables_priority", 1, 1),
    now("nftables_counters", 0, 0),
    now("vrrp_down_timer_adverts", 1, 1),
    now("vrrp_lower_prio_no_advert", 0, 1),
    now("vrrp_higher_prio_send_advert", 0, 1),
    now("v3_checksum_as_v2", 0, 1),
    // Other groups: an instance on the usual one would not hear its peers and be Master beside them.
    refused("vrrp_mcast_group4"),
    refused("vrrp_mcast_group6"),
    later("smtp_alert"),
    later("smtp_alert_vrrp"),
    later("smtp_alert_checker"),
    later("no_email_faults"),
    later("set_supplementary_groups"),
    later("use_symlink_paths"),
    later("startup_script"),
    later("startup_script_timeout"),
    later("shutdown_script"),
    later("shutdown_script_timeout"),
    later("default_interface"),
    later("vrrp_garp_extra_if"),
    later("vrrp_vmac_garp_intvl"),
    later("log_unknown_vrids"),
    later("dynamic_interfaces"),
    later("disable_local_igmp"),
    later("vrrp_iptables"),
    later("vrrp_ipsets"),
    later("nftables_ifindex"),
    later("vmac_prefix"),
    later("vmac_addr_prefix"),
    later("vrrp_priority"),
    later("vrrp_rt_priority"),
    later("vrrp_rlimit_rttime"),
    later("vrrp_rlimit_rtime"),
    later("vrrp_no_swap"),
    later("vrrp_cpu_affinity"),
    later("bfd_priority"),
    later("bfd_rt_priority"),
    later("bfd_rlimit_rttime"),
    later("bfd_no_swap"),
    later("bfd_cpu_affinity"),
    later("checker_priority"),
    later("checker_rt_priority"),
    later("checker_rlimit_rttime"),
    later("checker_no_swap"),
    later("checker_cpu_affinity"),
    later("max_auto_priority"),
    later("min_auto_priority_delay"),
    later("vrrp_netlink_cmd_rcv_bufs"),
    later("vrrp_netlink_cmd_rcv_bufs_force"),
    later("vrrp_netlink_monitor_rcv_bufs"),
    later("vrrp_netlink_monitor_rcv_bufs_force"),
    later("process_monitor_rcv_bufs"),
    later("process_monitor_rcv_bufs_force"),
    later("vrrp_rx_bufs_policy"),
    later("vrrp_rx_bufs_multiplier"),
    later("notify_fifo"),
    later("notify_fifo_script"),
    later("vrrp_notify_fifo"),
    later("vrrp_notify_fifo_script"),
    later("vrrp_notify_priority_changes"),
    later("fifo_write_vrrp_states_on_reload"),
    later("snmp_socket"),
    later("enable_snmp_keepalived"),
    later("enable_snmp_vrrp"),
    later("enable_snmp_checker"),
    later("enable_snmp_rfc"),
    later("enable_snmp_rfcv2"),
    later("enable_snmp_rfcv3"),
    later("enable_traps"),
    later("enable_dbus"),
    later("dbus_service_name"),
    later("dbus_no_interface_name"),
    later("process_names"),
    later("process_name"),
    later("vrrp_process_name"),
    later("bfd_process_name"),
    later("checker_process_name"),
    later("tmp_config_directory"),
    later("config_save_dir"),
    later("umask"),
    later("random_seed"),
    later("reload_check_config"),
    later("reload_time_file"),
    later("reload_repeat"),
    later("reload_file"),
    later("include_check"),
    later("data_use_instance"),
    later("state_dump_file"),
    later("stats_dump_file"),
    later("json_dump_file"),
    later("json_version"),
    later("iproute_usr_dir"),
    later("iproute_etc_dir"),
    later("linkbeat_use_polling"),
    later("lvs_sync_daemon"),
    later("lvs_timeouts"),
    later("lvs_flush"),
    later("lvs_flush_on_stop"),
    later("lvs_notify_fifo"),
    later("lvs_notify_fifo_script"),
    later("lvs_netlink_cmd_rcv_bufs"),
    later("lvs_netlink_cmd_rcv_bufs_force"),
    later("lvs_netlink_monitor_rcv_bufs"),
    later("lvs_netlink_monitor_rcv_bufs_force"),
    later("rs_init_notifies"),
    later("no_checker_emails"),
    later("nftables_ipvs"),
    later("nftables_ipvs_priority"),
    later("nftables_ipvs_start_fwmark"),
    later("checker_log_all_failures"),
    later("snmp_vs_stats_update_interval"),
    later("snmp_rs_stats_update_interval"),
];

const SCRIPT_KEYWORDS: &[Keyword] = &[
    now("script", 1, ANY),
    now("interval", 1, 1),
    now("timeout", 1, 1),
    now("weight", 1, 2),
    now("rise", 1, 1),
    now("fall", 1, 1),
    now("user", 1, 2),
    now("init_fail", 0, 0),
];

const GROUP_KEYWORDS: &[Keyword] = &[
    block("group", 0, List),
    block("track_interface", 0, List),
    block("track_script", 0, List),
    now("notify_master", 1, 3),
    now("notify_backup", 1, 3),
    now("notify_fault", 1, 3),
    now("notify_stop", 1, 3),
    now("notify", 1, 3),
    now("sync_group_tracking_weight", 0, 0),
    now("global_tracking", 0, 0),
    later("notify_deleted"),
    later("notify_priority_changes"),
    later("smtp_alert"),
    later_block("track_file"),
    later_block("track_process"),
    later_block("track_bfd"),
];

const INSTANCE_KEYWORDS: &[Keyword] = &[
    now("state", 1, 1),
    now("interface", 1, 1),
    now("virtual_router_id", 1, 1),
    now("priority", 1, 1),
    now("advert_int", 1, 1),
    now("version", 1, 1),
    now("native_ipv6", 0, 0),
    now("nopreempt", 0, 0),
    now("preempt", 0, 0),
    now("preempt_delay", 1, 1),
    block("authentication", 0, Authentication),
    block("virtual_ipaddress", 0, List),
    block("virtual_ipaddress_excluded", 0, List),
    block("unicast_peer", 0, List),
    now("unicast_src_ip", 1, 1),
    now("mcast_src_ip", 1, 1),
    now("unicast_ttl", 1, 1),
    now("check_unicast_src", 0, 1),
    now("skip_check_adv_addr", 0, 1),
    now("dont_track_primary", 0, 0),
    block("track_interface", 0, List),
    block("track_script", 0, List),
    now("notify_master", 1, 3),
    now("notify_backup", 1, 3),
    now("notify_fault", 1, 3),
    now("notify_stop", 1, 3),
    now("notify", 1, 3),
    now("garp_master_delay", 1, 1),
    now("garp_master_repeat", 1, 1),
    now("garp_master_refresh", 1, 1),
    now("garp_master_refresh_repeat", 1, 1),
    now("garp_lower_prio_delay", 1, 1),
    now("garp_lower_prio_repeat", 1, 1),
    now("down_timer_adverts", 1, 1),
    now("lower_prio_no_advert", 0, 1),
    now("higher_prio_send_advert", 0, 1),
    now("v3_checksum_as_v2", 0, 1),
    now("owner_ignore_adverts", 0, 1),
    now("strict_mode", 0, 1),
    now("accept", 0, 0),
    now("no_accept", 0, 0),
    unused(NO_MAIL, now("smtp_alert", 0, 1)),
    now("debug", 1, 1),
    // Without these the instance would not understand its peers and be Master beside them.
    refused("mcast_dst_ip"),
    refused("vrf"),
    refused_block("auth_hmac"),
    later("no_virtual_ipaddress"),
    later_block("virtual_routes"),
    later_block("virtual_rules"),
    later("promote_secondaries"),
    later("use_vmac"),
    later("vmac_xmit_base"),
    later("use_vmac_addr"),
    later("use_ipvlan"),
    later_block("track_file"),
    later_block("track_process"),
    later_block("track_bfd"),
    later("track_src_ip"),
    later("unicast_fault_no_peer"),
    later("old_unicast_checksum"),
    later("garp_extra_if"),
    later("vmac_garp_intvl"),
    later("timer_expired_backup"),
    later("thread_timer_expired"),
    later("kernel_rx_buf_size"),
    later("linkbeat_use_polling"),
    later("lvs_sync_daemon_interface"),
    later("notify_deleted"),
    later("notify_master_rx_lower_pri"),
    later("notify_priority_changes"),
];

const AUTHENTICATION_KEYWORDS: &[Keyword] = &[now("auth_type", 1, 1), now("auth_pass", 1, 1)];

const GARP_GROUP_KEYWORDS: &[Keyword] = &[
    now("garp_interval", 1, 1),
    now("gna_interval", 1, 1),
    now("interface", 1, 1),
    block("interfaces", 0, List),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_is_twice_in_a_block() {
        for (block, keywords) in TABLE {
            for (index, keyword) in keywords.iter().enumerate() {
                let first = keywords.iter().position(|other| other.name == keyword.name);
                assert_eq!(first, Some(index), "{} in {block:?}", keyword.name);
            }
        }
    }
}
