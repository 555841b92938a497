//! Keywords of keepalived.conf with values for them, the plainest first.
//!
//! Nothing here makes `keepalived -t` touch the host: no FIFOs, no namespaces, no D-Bus, no SNMP. Values of
//! what has no effect in ours are right: a wrong one would be a warning only.

/// A keyword; a value may be a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) good: &'static [&'static str],
    /// Values that somebody could write, and that should be refused.
    pub(super) bad: &'static [&'static str],
}

const fn keyword(
    name: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
) -> Keyword {
    Keyword { name, good, bad }
}

const FLAG: &[&str] = &[""];
const BOOL: &[&str] = &["", "on", "off", "true", "no"];
const NO_BOOL: &[&str] = &["maybe", "1"];
const NO_NUMBER: &[&str] = &["", "x", "-1", "1.5x"];
const SECONDS: &[&str] = &["1", "5", "0"];

#[rustfmt::skip]
pub(super) const GLOBAL: &[Keyword] = &[
    keyword("router_id", &["a", "\"two words\""], &[""]),
    keyword("vrrp_version", &["2", "3"], &["", "1", "4", "x"]),
    keyword("vrrp_garp_master_delay", SECONDS, NO_NUMBER),
    keyword("vrrp_garp_master_repeat", &["1", "5"], NO_NUMBER),
    keyword("vrrp_garp_master_refresh", &["60", "0"], NO_NUMBER),
    keyword("vrrp_garp_master_refresh_repeat", &["1", "2"], NO_NUMBER),
    keyword("vrrp_garp_lower_prio_delay", SECONDS, NO_NUMBER),
    keyword("vrrp_garp_lower_prio_repeat", &["1", "0"], NO_NUMBER),
    keyword("vrrp_garp_interval", &["0.001", "1"], NO_NUMBER),
    keyword("vrrp_gna_interval", &["0.001", "1"], NO_NUMBER),
    keyword("vrrp_min_garp", BOOL, NO_BOOL),
    keyword("vrrp_mcast_group4", &["224.0.0.18", "224.0.0.19"], &["", "192.0.2.1", "x", "ff02::12"]),
    keyword("vrrp_mcast_group6", &["ff02::12"], &["2001:db8::1", "224.0.0.18"]),
    keyword("default_interface", &["eth0"], &[""]),
    keyword("vrrp_strict", FLAG, &[]),
    keyword("vrrp_skip_check_adv_addr", FLAG, &[]),
    keyword("vrrp_check_unicast_src", FLAG, &[]),
    keyword("vrrp_lower_prio_no_advert", BOOL, NO_BOOL),
    keyword("vrrp_higher_prio_send_advert", BOOL, NO_BOOL),
    keyword("vrrp_startup_delay", &["1", "0.5"], NO_NUMBER),
    keyword("vrrp_down_timer_adverts", &["3", "1", "100"], &["0", "101", "x"]),
    keyword("vrrp_notify_priority_changes", BOOL, NO_BOOL),
    keyword("vrrp_priority", &["0", "-20", "19"], &[]),
    keyword("vrrp_rt_priority", &["1", "50", "99"], &[]),
    keyword("vrrp_rlimit_rttime", &["10000", "1"], &[]),
    keyword("max_auto_priority", &["99", "-1"], &[]),
    keyword("min_auto_priority_delay", &["1000000", "1"], &[]),
    keyword("vrrp_rx_bufs_policy", &["MTU", "ADVERT", "1000"], &[]),
    // With another user than root, `keepalived -t` ends itself by SIGTERM (2.2.7).
    keyword("script_user", &["root", "root root"], &[]),
    keyword("notification_email", &["{\nroot@example.net\n}"], &["root@example.net"]),
    keyword("notification_email_from", &["root@example.net"], &[""]),
    keyword("smtp_server", &["192.0.2.25", "192.0.2.25 25"], &["", "192.0.2.25 70000", "192.0.2.25 x"]),
    keyword("smtp_connect_timeout", &["30"], NO_NUMBER),
    keyword("smtp_helo_name", &["a.example.net"], &[""]),
    keyword("smtp_alert", BOOL, NO_BOOL),
    keyword("smtp_alert_vrrp", BOOL, NO_BOOL),
    keyword("no_email_faults", FLAG, &[]),
    keyword("process_names", FLAG, &[]),
    keyword("vrrp_process_name", &["a"], &[]),
    keyword("dynamic_interfaces", &["", "allow_if_changes"], &[]),
    keyword("vrrp_no_swap", FLAG, &[]),
];

#[rustfmt::skip]
pub(super) const SCRIPT: &[Keyword] = &[
    keyword("interval", &["1", "2"], &["0", "x", "", "-1"]),
    keyword("timeout", &["1", "2"], &["0", "x", "-1"]),
    keyword("weight", &["2", "-2", "0", "253", "-253", "2 reverse"], &["254", "-254", "x", "2 x", ""]),
    keyword("rise", &["1", "3"], &["0", "x", "", "-1"]),
    keyword("fall", &["1", "3"], &["0", "x", "", "-1"]),
    keyword("user", &["root", "root root"], &[""]),
    keyword("init_fail", FLAG, &["x"]),
    keyword("script", &["/bin/true", "\"/bin/true a\"", "\"/bin/sh -c 'exit 0'\""], &[""]),
];

#[rustfmt::skip]
pub(super) const GROUP: &[Keyword] = &[
    keyword("group", &["{\nVI_1\n}", "{\nVI_1\nVI_2\n}"], &["{\nVI_9\n}", "{\n}", "VI_1"]),
    keyword("track_interface", &["{\neth1\n}", "{\neth1 weight 5\n}"], &["{\neth1 weight 254\n}"]),
    keyword("track_script", &["{\nchk_1\n}"], &["{\nchk_9\n}"]),
    keyword("notify_master", &["/bin/true", "\"/bin/true a\" root"], &[]),
    keyword("notify", &["/bin/true"], &[]),
    keyword("smtp_alert", BOOL, NO_BOOL),
    keyword("global_tracking", FLAG, &[]),
    keyword("sync_group_tracking_weight", FLAG, &[]),
];

#[rustfmt::skip]
pub(super) const INSTANCE: &[Keyword] = &[
    keyword("state", &["BACKUP", "MASTER", "SLAVE"], &["master", ""]),
    keyword("interface", &["eth0", "eth1"], &[""]),
    keyword("virtual_router_id", &["9", "255"], &["0", "256", "x", "", "-1", "1.5"]),
    keyword("priority", &["100", "1", "254", "255"], &["0", "256", "x", "", "-1", "10o"]),
    keyword("advert_int", &["1", "3", "0.5", "1.0", "255"], &["0", "256", "x", "", "-1", "0.001"]),
    keyword("version", &["2", "3"], &["1", "4", "x", ""]),
    keyword("virtual_ipaddress", &[
        "{\n192.0.2.20\n}", "{\n192.0.2.20/24 dev eth1\n}", "{\n192.0.2.20/24 brd 192.0.2.255\n}",
        "{\n192.0.2.20/24 brd + scope link\n}", "{\n192.0.2.20/24 label eth0:1\n}", "{\n2001:db8::1/64\n}",
        "{ 192.0.2.20 }", "{\n192.0.2.20\n192.0.2.21\n}", "{\n192.0.2.20 no_track\n}", "{\n}",
    ], &[
        "{\n192.0.2.256\n}", "{\n192.0.2.20/33\n}", "{\n192.0.2.20 dve eth1\n}", "{\n192.0.2.20 dev\n}",
        "192.0.2.20", "{\nexample.net\n}", "{\n192.0.2.20 scope x\n}", "{\n192.0.2.20/24 brd x\n}",
        "{\n192.0.2./24\n}", "{\n192.0.2.20 192.0.2.21\n}", "{\n192.0.2.20,\n}", "{\n192.0.2.20/x\n}",
    ]),
    keyword("virtual_ipaddress_excluded", &[
        "{\n198.51.100.9/24\n}", "{\n2001:db8::9/64\n}", "{\n198.51.100.9/24 dev eth1\n}",
    ], &["{\nx\n}"]),
    keyword("unicast_src_ip", &["192.0.2.91"], &["", "x", "2001:db8::91", "192.0.2.91/24"]),
    keyword("mcast_src_ip", &["192.0.2.91"], &["x"]),
    keyword("unicast_peer", &["{\n192.0.2.92\n}", "{\n192.0.2.92\n192.0.2.93 min_ttl 64 max_ttl 255\n}"],
        &["{\nx\n}", "192.0.2.92", "{\n2001:db8::92\n}", "{\n192.0.2.92 min_ttl 256\n}"]),
    keyword("unicast_ttl", &["64", "255"], &["256", "x"]),
    keyword("authentication", &[
        "{\nauth_type PASS\nauth_pass 1111\n}", "{\nauth_type AH\nauth_pass 1111\n}",
        "{\nauth_type PASS\nauth_pass longer-than-8\n}", "{\nauth_type PASS\n}",
        "{\nauth_type PASS\nauth_pass abc\\\n}", "{\nauth_type PASS\nauth_pass \"a\\b c\\\\\"\n}",
    ], &[
        "{\nauth_type SIMPLE\nauth_pass 1111\n}", "{\nauth_pass 1111\n}",
        "{\n}", "{\nauth_type PASS\nauth_psas 1111\n}",
        "{\nauth_type PASS\nauth_pass \"a b\\\"\n}",
    ]),
    keyword("nopreempt", FLAG, &[]),
    keyword("preempt", FLAG, &[]),
    keyword("preempt_delay", &["5", "0.5", "1000"], &["1001", "x", "", "-1"]),
    keyword("track_interface", &["{\neth1\n}", "{\neth1 weight -5\n}", "{\neth1 weight 5 reverse\n}"],
        &["{\neth1 weight 254\n}", "{\neth1 weight\n}", "{\neth1 wieght 5\n}", "eth1"]),
    keyword("track_script", &["{\nchk_1\n}", "{\nchk_1 weight 5\n}", "{\nchk_2\n}"],
        &["{\nchk_9\n}", "{\nchk_1 weight 254\n}"]),
    keyword("notify_master", &["/bin/true", "\"/bin/true a\"", "/bin/true root"], &[]),
    keyword("notify_backup", &["/bin/true", "'/bin/true \"a\"'"], &["'/bin/true # a'"]),
    keyword("notify_fault", &["/bin/true"], &[]),
    keyword("notify_stop", &["/bin/true"], &[]),
    keyword("notify", &["/bin/true", "\"/bin/true a b\""], &[]),
    keyword("notify_master_rx_lower_pri", &["/bin/true"], &[]),
    keyword("garp_master_delay", SECONDS, NO_NUMBER),
    keyword("garp_master_repeat", &["1", "5"], NO_NUMBER),
    keyword("garp_master_refresh", &["60", "0"], NO_NUMBER),
    keyword("garp_master_refresh_repeat", &["1", "2"], NO_NUMBER),
    keyword("garp_lower_prio_delay", SECONDS, NO_NUMBER),
    keyword("garp_lower_prio_repeat", &["1", "0"], NO_NUMBER),
    keyword("accept", FLAG, &[]),
    keyword("no_accept", FLAG, &[]),
    keyword("strict_mode", BOOL, NO_BOOL),
    keyword("skip_check_adv_addr", BOOL, NO_BOOL),
    keyword("check_unicast_src", FLAG, &[]),
    keyword("debug", &["1", "4", "0"], &[]),
    keyword("smtp_alert", BOOL, NO_BOOL),
    keyword("dont_track_primary", FLAG, &[]),
    keyword("track_src_ip", FLAG, &[]),
    keyword("lower_prio_no_advert", BOOL, NO_BOOL),
    keyword("higher_prio_send_advert", BOOL, NO_BOOL),
    keyword("down_timer_adverts", &["3", "1"], &["0", "101"]),
    keyword("notify_priority_changes", BOOL, NO_BOOL),
    keyword("native_ipv6", FLAG, &[]),
    keyword("kernel_rx_buf_size", &["100000"], &[]),
    keyword("linkbeat_use_polling", FLAG, &[]),
    keyword("old_unicast_checksum", &["", "never"], &["x"]),
    keyword("use_vmac", FLAG, &[]),
    keyword("virtual_routes", &["{\n198.51.100.0/24 via 192.0.2.254 dev eth0\n}", "{\n198.51.100.0/24 dev eth1\n}"],
        &["{\n198.51.100.0/33 dev eth0\n}", "{\n198.51.100.0/24 via x\n}"]),
    keyword("virtual_rules", &["{\nfrom 198.51.100.0/24 table 1 preference 100\n}"],
        &["{\nfrom x table 1\n}", "{\nform 198.51.100.0/24 table 1\n}"]),
];
