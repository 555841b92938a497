//! Virtual addresses and those that are none: set, taken back exactly as set, and never somebody else's.

use core::time::Duration;

use ha_tests::{
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, Router, Start},
    require, wait,
};

const SOON: Duration = Duration::from_secs(20);
const VIRTUAL: &str = "198.51.100.13";

fn start_on(pair: &Pair, side: Side, text: &str) -> Router {
    let start = Start { words: &[], etc: None };
    let router = Router::start_with(Program::Daemon, pair.node(side).namespace(), text, &start);
    // Before it has its handlers, a signal for the status would end it.
    let runs = wait::holds_within(SOON, || router.log().contains("engine thread"));
    assert!(runs, "{}", router.log());
    router
}

/// The daemon on A with `text`, once it is Master.
fn master_on_a(pair: &Pair, text: &str) -> Router {
    let mut router = start_on(pair, Side::A, text);
    let comes = wait::holds_within(SOON, || router.status().state("VI_1") == "MASTER");
    assert!(comes, "{}", router.log());
    router
}

fn multicast(priority: u8) -> String {
    config::instance(Dialect::V3Multicast, Side::A, priority, "")
}

#[test]
fn addresses_follow_an_interface_that_gets_another_name() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let router = master_on_a(&pair, &multicast(150));
    namespace.ip("link set bond0 name renamed");
    let is_clean = || !namespace.has_address("renamed", VIRTUAL);
    assert!(wait::holds_within(SOON, is_clean), "{VIRTUAL} stays: {}", router.log());
}

/// What `ip` says of `address` on the bond.
fn shown(pair: &Pair, address: &str) -> String {
    pair.node(Side::A).namespace().ip(&format!("-o addr show dev bond0 to {address}"))
}

/// keepalived's were seen first: the routes and lifetimes are not of our own making.
#[test]
fn lifetimes_and_routes_of_addresses_are_keepalived_s() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let excluded = "    virtual_ipaddress_excluded {
        192.0.2.13/24
        203.0.113.13/24 noprefixroute
        2001:db8:1::13/64 preferred_lft 0
        2001:db8:2::13/64 noprefixroute
        2001:db8:3::13/128
        2001:db8:4::13/128 preferred_lft forever
        2001:db8:5::13/64 preferred_lft 6000
    }
";
    for program in [Program::Daemon, Program::Keepalived] {
        let pair = Pair::new();
        let namespace = pair.node(Side::A).namespace();
        let text = config::instance(Dialect::V3Multicast, Side::A, 150, excluded);
        let router = Router::start(program, namespace, &text);
        let is_there = || namespace.has_address("bond0", "2001:db8:5::13");
        assert!(wait::holds_within(SOON, is_there), "{}", router.log());

        for (address, flag, has_it) in [
            ("192.0.2.13", "noprefixroute", false),
            ("203.0.113.13", "noprefixroute", true),
            ("2001:db8:1::13", "deprecated", true),
            ("2001:db8:1::13", "noprefixroute", false),
            ("2001:db8:2::13", "noprefixroute", true),
            ("2001:db8:2::13", "nodad", true),
            ("2001:db8:2::13", "deprecated", false),
            ("2001:db8:3::13", "deprecated", true),
            ("2001:db8:4::13", "deprecated", false),
            ("2001:db8:4::13", "preferred_lft forever", true),
            ("2001:db8:5::13", "preferred_lft forever", false),
            ("2001:db8:5::13", "deprecated", false),
        ] {
            let shown = shown(&pair, address);
            assert_eq!(shown.contains(flag), has_it, "{program:?}, {flag}: {shown}");
        }
        for (family, network, is_there) in [
            ("-4", "192.0.2.0/24", true),
            ("-4", "203.0.113.0/24", false),
            ("-6", "2001:db8:1::/64", true),
            ("-6", "2001:db8:2::/64", false),
        ] {
            let found = namespace.ip(&format!("{family} route show {network} dev bond0"));
            assert_eq!(!found.is_empty(), is_there, "{program:?}, {network}: {found}");
        }
    }
}

#[test]
fn an_owner_s_address_is_the_interface_s_own() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let text = multicast(255).replace(&format!("{VIRTUAL}\n"), "198.51.100.10/24\n");
    assert!(text.contains("198.51.100.10/24"), "{text}");
    let mut router = master_on_a(&pair, &text);
    assert!(namespace.has_address("bond0", "198.51.100.10"), "{}", router.log());
    assert!(namespace.has_address("bond0", "198.51.100.14"), "{}", router.log());
    assert!(router.stop().success());
    assert!(namespace.has_address("bond0", "198.51.100.10"), "the host's own address is gone");
    assert!(!namespace.has_address("bond0", "198.51.100.14"));
}

#[test]
fn left_overs_go_also_where_the_new_configuration_has_nothing() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let mut router = master_on_a(&pair, &multicast(150));
    router.process().kill();
    assert!(namespace.has_address("bond0", VIRTUAL), "nothing was left: the test shows nothing");
    let elsewhere = multicast(150).replace("bond0", "eth2").replace("198.51.100", "192.0.2");
    let router = start_on(&pair, Side::A, &elsewhere);
    let is_clean = || !namespace.has_address("bond0", VIRTUAL);
    assert!(wait::holds_within(SOON, is_clean), "{VIRTUAL} stays: {}", router.log());
}

#[test]
fn what_another_daemon_of_ours_has_set_is_no_left_over() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let _router = master_on_a(&pair, &multicast(150));
    let elsewhere = multicast(150).replace("bond0", "eth2").replace("198.51.100", "192.0.2");
    let mut second = start_on(&pair, Side::A, &elsewhere);
    let comes = wait::holds_within(SOON, || second.status().state("VI_1") == "MASTER");
    assert!(comes, "{}", second.log());
    assert!(namespace.has_address("bond0", VIRTUAL), "{}", second.log());
}

#[test]
fn an_address_that_cannot_be_set_does_not_take_a_healthy_master_down_again() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let worse = config::instance(Dialect::V3Multicast, Side::B, 100, "");
    let mut healthy = start_on(&pair, Side::B, &worse);
    let comes = wait::holds_within(SOON, || healthy.status().state("VI_1") == "MASTER");
    assert!(comes, "{}", healthy.log());
    let text = multicast(150).replace(VIRTUAL, &format!("{VIRTUAL} dev nosuch"));
    let mut broken = start_on(&pair, Side::A, &text);
    let gives_up = wait::holds_within(SOON, || broken.status().state("VI_1") == "FAULT");
    assert!(gives_up, "{}", broken.log());
    let is_back = wait::holds_within(SOON, || healthy.status().state("VI_1") == "MASTER");
    assert!(is_back, "{}", healthy.log());
    // The first retry of what may have been passing is after a second.
    let tried = broken.status().statistic("VI_1", "became_master");
    let stays = wait::holds_throughout(Duration::from_secs(3), || {
        broken.status().statistic("VI_1", "became_master") == tried
    });
    assert!(stays, "{}", broken.log());
    // The interface comes: then it is worth another try.
    pair.node(Side::A).namespace().ip("link add nosuch type bridge");
    pair.node(Side::A).namespace().ip("link set nosuch up");
    let takes_over = wait::holds_within(SOON, || broken.status().state("VI_1") == "MASTER");
    assert!(takes_over, "{}", broken.log());
}
