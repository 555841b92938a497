//! Keywords of `global_defs`.

use core::time::Duration;

use ha_core::Family;

use super::{
    Again, Argument,
    Argument::{Command, Group, Integer, Interface, Number, OneOf, Seconds, Word},
    Keyword,
    argument::{TIME, U32_MAX},
    entry::MAIL_ADDRESSES,
    flag,
    instance::{ALSO_OTHER_INTERFACES, EXTRA, REPEAT, VERSION},
    list,
    reason::{
        CARRIER, NO_BFD, NO_DBUS, NO_SNMP, NO_VMAC, ONE_PROCESS, OWN_BUFFERS, RUN_DIR, SCHEDULING,
    },
    row,
};

const NAME: Argument = Word("NAME");
const PATH: Argument = Word("PATH");
const WHOM: &[Argument] = &[Word("PATH"), Word("USER"), Word("GROUP")];
const RUN: &[Argument] = &[Command, Word("USER"), Word("GROUP")];
const BYTES: Argument = Number(1, 0x7fff_ffff);
const NICE: Argument = Number(-20, 19);
const REAL_TIME: Argument = Number(1, 99);
const MICROSECONDS: Argument = Number(2, U32_MAX);
const CPU: Argument = Number(0, 8191);
/// RFC 4330 §10 asks that servers of others be asked no more often than once in 15 s.
const CLOCK_INTERVAL: Argument = Seconds(Duration::from_secs(1), Duration::from_hours(1));
const SCRIPT_LIMIT: Argument = Seconds(Duration::from_secs(1), Duration::from_secs(1000));

const ONE_TABLE: &str = "one nftables table of the daemon's own is all that is used";
const NUMBERS: &str = "tables and protocols are numbers, or the kernel's names";
const NO_COPIES: &str = "the configuration is read once, into memory";

pub(super) const KEYWORDS: &[Keyword] = &[
    row("router_id", &[NAME]).default("the host's name"),
    list("notification_email", &MAIL_ADDRESSES),
    row("notification_email_from", &[Word("MAIL_ADDRESS")]).default("root@ and the host's name"),
    row("smtp_server", &[Word("HOST"), Number(1, 65535)]).at_least(1).default("port 25"),
    row("smtp_helo_name", &[NAME]).default("the host's name"),
    row("smtp_connect_timeout", &[TIME]).default("30"),
    flag("smtp_alert"),
    flag("smtp_alert_vrrp").default("smtp_alert"),
    row("no_email_faults", &[]),
    row("enable_script_security", &[]),
    row("script_user", &[Word("USER"), Word("GROUP")])
        .at_least(1)
        .default("keepalived_script, else root"),
    row("set_supplementary_groups", &[]),
    flag("use_symlink_paths").without_effect("the paths of scripts are used as they are written"),
    row("startup_script", RUN).at_least(1),
    row("startup_script_timeout", &[SCRIPT_LIMIT]).default("10"),
    row("shutdown_script", RUN).at_least(1),
    row("shutdown_script_timeout", &[SCRIPT_LIMIT]).default("10"),
    row("ntp_server", &[Word("HOST"), Number(1, 65535)])
        .at_least(1)
        .again(Again::Adds)
        .default("port 123"),
    row("clock_interval", &[CLOCK_INTERVAL]).default("32"),
    // The protocol.
    row("vrrp_version", &[VERSION]).default("2"),
    row("vrrp_skip_check_adv_addr", &[]).acts_on_what_follows(),
    row("vrrp_check_unicast_src", &[]),
    row("vrrp_garp_master_delay", &[TIME]).default("5").acts_on_what_follows(),
    row("vrrp_garp_master_repeat", &[REPEAT]).default("5").acts_on_what_follows(),
    row("vrrp_garp_master_refresh", &[TIME]).default("0").acts_on_what_follows(),
    row("vrrp_garp_master_refresh_repeat", &[REPEAT]).default("1").acts_on_what_follows(),
    row("vrrp_garp_lower_prio_delay", &[TIME])
        .default("vrrp_garp_master_delay")
        .acts_on_what_follows(),
    row("vrrp_garp_lower_prio_repeat", &[REPEAT])
        .default("vrrp_garp_master_repeat")
        .acts_on_what_follows(),
    flag("vrrp_min_garp").acts_on_what_follows(),
    row("vrrp_garp_interval", &[TIME]).default("0"),
    row("vrrp_gna_interval", &[TIME]).default("0"),
    row("vrrp_garp_extra_if", &[EXTRA]).default("0").unsupported(ALSO_OTHER_INTERFACES),
    row("vrrp_vmac_garp_intvl", &[EXTRA]).default("0").unsupported(ALSO_OTHER_INTERFACES),
    row("vrrp_startup_delay", &[TIME]).default("0"),
    row("vrrp_delay_after_boot", &[TIME]).default("0"),
    flag("vrrp_owner_ignore_adverts"),
    row("vrrp_strict", &[]),
    row("vrrp_down_timer_adverts", &[Number(1, 100)]).default("3").acts_on_what_follows(),
    flag("vrrp_lower_prio_no_advert"),
    flag("vrrp_higher_prio_send_advert"),
    flag("v3_checksum_as_v2").acts_on_what_follows(),
    row("vrrp_mcast_group4", &[Group(Family::V4)]).default("224.0.0.18"),
    row("vrrp_mcast_group6", &[Group(Family::V6)]).default("ff02::12"),
    row("log_unknown_vrids", &[]),
    // The host.
    row("default_interface", &[Interface]).default("eth0"),
    row("dynamic_interfaces", &[OneOf(&["allow_if_changes"])])
        .at_least(0)
        .without_effect("interfaces may always come and go"),
    row("disable_local_igmp", &[])
        .unsupported("set net.ipv4.igmp_link_local_mcast_reports=0 with sysctl"),
    row("nftables", &[Word("TABLE")]).at_least(0).default("ha_INTERFACE"),
    row("nftables_priority", &[Integer(-0x8000_0000, 0x7fff_ffff)]).default("-1"),
    row("nftables_counters", &[]),
    row("nftables_ifindex", &[]).without_effect(ONE_TABLE),
    row("vrrp_iptables", &[Word("CHAIN_IN"), Word("CHAIN_OUT")])
        .at_least(0)
        .without_effect(ONE_TABLE),
    row("vrrp_ipsets", &[Word("SET")]).at_least(0).repeats().without_effect(ONE_TABLE),
    row("vmac_prefix", &[NAME]).default("vrrp").inactive(NO_VMAC),
    row("vmac_addr_prefix", &[NAME]).default("vmac_prefix").inactive(NO_VMAC),
    row("iproute_usr_dir", &[PATH]).without_effect(NUMBERS),
    row("iproute_etc_dir", &[PATH]).without_effect(NUMBERS),
    row("linkbeat_use_polling", &[]).without_effect(CARRIER),
    // Processes.
    row("vrrp_priority", &[NICE]).default("0").without_effect(SCHEDULING),
    row("vrrp_rt_priority", &[REAL_TIME]).without_effect(SCHEDULING),
    row("vrrp_rlimit_rttime", &[MICROSECONDS]).without_effect(SCHEDULING),
    row("vrrp_rlimit_rtime", &[MICROSECONDS]).without_effect(SCHEDULING),
    row("vrrp_no_swap", &[]).without_effect("the daemon's memory is always locked"),
    row("vrrp_cpu_affinity", &[CPU])
        .repeats()
        .unsupported("with `--sched fifo`, `CPUAffinity=` of the daemon's unit"),
    row("max_auto_priority", &[Number(-1, 99)]).at_least(0).without_effect(SCHEDULING),
    row("min_auto_priority_delay", &[Number(1, 10_000_000)]).without_effect(SCHEDULING),
    row("bfd_priority", &[NICE]).default("0").inactive(NO_BFD),
    row("bfd_rt_priority", &[REAL_TIME]).inactive(NO_BFD),
    row("bfd_rlimit_rttime", &[MICROSECONDS]).inactive(NO_BFD),
    row("bfd_no_swap", &[]).inactive(NO_BFD),
    row("bfd_cpu_affinity", &[CPU]).repeats().inactive(NO_BFD),
    row("process_names", &[]).without_effect(ONE_PROCESS),
    row("process_name", &[NAME]).without_effect(ONE_PROCESS),
    row("vrrp_process_name", &[NAME]).without_effect(ONE_PROCESS),
    row("bfd_process_name", &[NAME]).without_effect(ONE_PROCESS),
    row("checker_process_name", &[NAME]).load_balancer(),
    row("vrrp_netlink_cmd_rcv_bufs", &[BYTES]).without_effect(OWN_BUFFERS),
    flag("vrrp_netlink_cmd_rcv_bufs_force").without_effect(OWN_BUFFERS),
    row("vrrp_netlink_monitor_rcv_bufs", &[BYTES]).without_effect(OWN_BUFFERS),
    flag("vrrp_netlink_monitor_rcv_bufs_force").without_effect(OWN_BUFFERS),
    row("process_monitor_rcv_bufs", &[BYTES]).without_effect(OWN_BUFFERS),
    flag("process_monitor_rcv_bufs_force").without_effect(OWN_BUFFERS),
    row("vrrp_rx_bufs_policy", &[Word("MTU|ADVERT|BYTES")]).without_effect(OWN_BUFFERS),
    row("vrrp_rx_bufs_multiplier", &[Number(1, 0x7fff_ffff)])
        .default("3")
        .without_effect(OWN_BUFFERS),
    // Who is told of what.
    row("notify_fifo", WHOM).at_least(1),
    row("notify_fifo_script", RUN).at_least(1),
    row("vrrp_notify_fifo", WHOM).at_least(1),
    row("vrrp_notify_fifo_script", RUN).at_least(1),
    flag("vrrp_notify_priority_changes"),
    row("fifo_write_vrrp_states_on_reload", &[]),
    row("snmp_socket", &[Word("SOCKET")]).default("unix:/var/agentx/master").unsupported(NO_SNMP),
    row("enable_snmp_keepalived", &[]).unsupported(NO_SNMP),
    row("enable_snmp_vrrp", &[]).unsupported(NO_SNMP),
    row("enable_snmp_rfc", &[]).unsupported(NO_SNMP),
    row("enable_snmp_rfcv2", &[]).unsupported(NO_SNMP),
    row("enable_snmp_rfcv3", &[]).unsupported(NO_SNMP),
    row("enable_traps", &[]).unsupported(NO_SNMP),
    row("enable_dbus", &[]).unsupported(NO_DBUS),
    row("dbus_service_name", &[NAME]).default("org.keepalived.Vrrp1").unsupported(NO_DBUS),
    row("dbus_no_interface_name", &[]).unsupported(NO_DBUS),
    // Files, and reading the configuration.
    row("tmp_config_directory", &[PATH]).without_effect(NO_COPIES),
    row("config_save_dir", &[PATH]).unsupported(NO_COPIES),
    row("umask", &[Word("NUMBER|BITS")])
        .without_effect("the option --umask sets it; the status is for its owner only"),
    row("random_seed", &[Number(0, U32_MAX)]).unsupported("write the numbers down"),
    row("include_check", &[Word("OPTION")]).at_least(0).repeats(),
    row("reload_check_config", &[PATH])
        .at_least(0)
        .without_effect("a file with an error never replaces what runs"),
    row("reload_time_file", &[PATH])
        .unsupported("`systemd-run --on-calendar=TIME systemctl reload UNIT` does it"),
    row("reload_repeat", &[]).unsupported("use a timer of systemd"),
    row("reload_file", &[PATH])
        .at_least(0)
        .unsupported("write a new file and rename it: it is read in one go"),
    flag("data_use_instance"),
    row("state_dump_file", &[PATH]).unsupported(RUN_DIR),
    row("stats_dump_file", &[PATH]).unsupported(RUN_DIR),
    row("json_dump_file", &[PATH]).unsupported(RUN_DIR),
    row("json_version", &[OneOf(&["1", "2"])]).unsupported("the list of version 1 is written"),
    // The load balancer.
    flag("smtp_alert_checker").load_balancer(),
    row("checker_priority", &[NICE]).load_balancer(),
    row("checker_rt_priority", &[REAL_TIME]).load_balancer(),
    row("checker_rlimit_rttime", &[MICROSECONDS]).load_balancer(),
    row("checker_no_swap", &[]).load_balancer(),
    row("checker_cpu_affinity", &[CPU]).repeats().load_balancer(),
    row("enable_snmp_checker", &[]).load_balancer(),
    row("lvs_sync_daemon", &[Interface, Word("OPTION")]).repeats().load_balancer(),
    row("lvs_timeouts", &[Word("OPTION")]).repeats().load_balancer(),
    row("lvs_flush", &[]).load_balancer(),
    row("lvs_flush_on_stop", &[OneOf(&["VS"])]).at_least(0).load_balancer(),
    row("lvs_notify_fifo", WHOM).at_least(1).load_balancer(),
    row("lvs_notify_fifo_script", RUN).at_least(1).load_balancer(),
    row("lvs_netlink_cmd_rcv_bufs", &[BYTES]).load_balancer(),
    flag("lvs_netlink_cmd_rcv_bufs_force").load_balancer(),
    row("lvs_netlink_monitor_rcv_bufs", &[BYTES]).load_balancer(),
    flag("lvs_netlink_monitor_rcv_bufs_force").load_balancer(),
    row("rs_init_notifies", &[]).load_balancer(),
    row("no_checker_emails", &[]).load_balancer(),
    row("nftables_ipvs", &[Word("TABLE")]).at_least(0).load_balancer(),
    row("nftables_ipvs_priority", &[Integer(-0x8000_0000, 0x7fff_ffff)]).load_balancer(),
    row("nftables_ipvs_start_fwmark", &[Number(0, U32_MAX)]).load_balancer(),
    flag("checker_log_all_failures").load_balancer(),
    row("snmp_vs_stats_update_interval", &[TIME]).load_balancer(),
    row("snmp_rs_stats_update_interval", &[TIME]).load_balancer(),
];
