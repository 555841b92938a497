//! `virtual_routes` and `virtual_rules`: there while there is a Master, as keepalived has them, and gone
//! with it. What is there is read by `ip`.

use core::time::Duration;
use std::collections::BTreeSet;

use ha_tests::{
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, Router},
    require,
    routing::{await_routing, routing},
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(30);

/// Each kind and option, as keepalived 2.2.7 takes it, too.
const ROUTING: &str = "    virtual_routes {
        10.1.0.0/16 via 198.51.100.1
        10.2.0.0/16 dev bond0
        blackhole 10.3.0.0/16
        unreachable 10.4.0.0/16 metric 7
        prohibit 10.5.0.0/16
        throw 10.6.0.0/16 table 100
        src 198.51.100.13 to 10.7.0.0/16 via 198.51.100.1 table 100
        10.8.0.0/16 table 100 nexthop via 198.51.100.2 dev bond0 weight 2 nexthop via 198.51.100.3 dev bond0 onlink
        10.9.0.0/16 via 198.51.100.1 tos 0x10 mtu lock 1400 advmss 1300 hoplimit 30 initcwnd 20 quickack 1
        10.10.0.0/16 via 203.0.113.1 dev bond0 onlink
        10.11.0.0/16 dev eth2 scope link protocol static no_track
        10.12.0.0/16 via 198.51.100.98
        10.13.0.0/16 via 198.51.100.98 append
        10.14.0.0/16 dev eth2
        default via 198.51.100.1 table 101
        2001:db8:1::/48 via 2001:db8::1 dev bond0
        2001:db8:2::/48 dev bond0 metric 50 pref low
        2001:db8:3::/48 nexthop via 2001:db8::1 dev bond0 nexthop via 2001:db8::2 dev bond0
        unreachable 2001:db8:4::/48
    }
    virtual_rules {
        from 10.2.0.0/16 table 100
        to 10.3.0.0/16 table 100 priority 500
        from 10.4.0.0/16 to 10.5.0.0/16 iif bond0 oif eth2 fwmark 24/12 preference 39 table 102
        not from 10.6.0.0/16 table main suppress_prefixlength 0 preference 40
        from 10.7.0.0/16 blackhole preference 41
        from all table 105 tos 0x10 preference 42
        from 10.8.0.0/16 table 77 preference 43 protocol 4 no_track
        from 2001:db8:7::/48 table 100 uidrange 100-200
        to 2001:db8:8::/48 prohibit preference 44
    }
";

/// The same route is the administrator's already, by another gateway.
const ADMINISTRATORS: [&str; 2] = ["10.12.0.0/16", "10.13.0.0/16"];

fn instance(more: &str) -> String {
    config::instance(Dialect::V3Multicast, Side::A, 150, more)
}

/// The scene, with an address of IPv6 and with what is the administrator's.
fn scene() -> Pair {
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    namespace.ip("addr add 2001:db8::10/64 dev bond0 nodad");
    for network in ADMINISTRATORS {
        namespace.ip(&format!("route add {network} via 198.51.100.99"));
    }
    pair
}

fn start(pair: &Pair, program: Program, text: &str) -> Router {
    let router = Router::start(program, pair.node(Side::A).namespace(), text);
    let becomes = wait::holds_within(SOON, || is_master(pair));
    assert!(becomes, "{}", router.log());
    router
}

fn is_master(pair: &Pair) -> bool {
    pair.node(Side::A).namespace().has_address("bond0", "198.51.100.14")
}

/// What keepalived sets in the same scene.
fn keepalived_s(more: &str) -> BTreeSet<String> {
    let pair = scene();
    let namespace = pair.node(Side::A).namespace();
    let before = routing(namespace);
    let mut router = start(&pair, Program::Keepalived, &instance(more));
    // It sets them after the addresses, one after another.
    let last =
        || routing(namespace).iter().any(|one| one.contains("prohibit\"") && one.contains("44"));
    assert!(wait::holds_within(SOON, last), "{}", router.log());
    let set = routing(namespace);
    assert!(set.len() > before.len() + 20, "{set:#?}\n{}", router.log());
    router.stop();
    set
}

#[test]
fn a_master_has_what_keepalived_s_has_and_leaves_nothing() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let expected = keepalived_s(ROUTING);
    let pair = scene();
    let namespace = pair.node(Side::A).namespace();
    let before = routing(namespace);
    let mut router = start(&pair, Program::Daemon, &instance(ROUTING));
    await_routing(namespace, &expected, &router);
    assert!(router.stop().success(), "{}", router.log());
    await_routing(namespace, &before, &router);
}

#[test]
fn what_somebody_deletes_comes_back() {
    if !require::require_daemon() {
        return;
    }
    let pair = scene();
    let namespace = pair.node(Side::A).namespace();
    let router = start(&pair, Program::Daemon, &instance(ROUTING));
    let is_whole = || routing(namespace).iter().any(|one| one.contains("prohibit"));
    assert!(wait::holds_within(SOON, is_whole), "{}", router.log());
    let set = routing(namespace);
    // Each after the one before is back: what comes too often is put off.
    for line in [
        "route del 10.2.0.0/16 dev bond0",
        "rule del preference 500",
        "-6 route del 2001:db8:2::/48 dev bond0 metric 50",
        "-6 rule del preference 44",
    ] {
        namespace.ip(line);
        await_routing(namespace, &set, &router);
    }
    // The kernel takes this one without a word.
    namespace.ip("link set eth2 down");
    namespace.ip("link set eth2 up");
    let without_eth2 = |one: &String| !one.contains("10.11.0.0");
    let tracked: BTreeSet<String> = set.iter().filter(|one| without_eth2(one)).cloned().collect();
    let is_back = || {
        let now = routing(namespace);
        now.iter().filter(|one| without_eth2(one)).eq(&tracked)
    };
    assert!(wait::holds_within(SOON, is_back), "{}", router.log());
    assert!(is_master(&pair), "{}", router.log());
}

/// Each is named and counted for what it is, and one that is removed again and again puts nothing else
/// off, and is no fault.
#[test]
fn what_somebody_deletes_is_named_and_has_a_count_and_a_delay_of_its_own() {
    if !require::require_daemon() {
        return;
    }
    let pair = scene();
    let namespace = pair.node(Side::A).namespace();
    let more = "    virtual_routes {
        203.0.113.0/24 via 198.51.100.1 metric 7
    }
    virtual_rules {
        from 203.0.113.0/24 table 100 priority 500
    }
";
    let mut router = start(&pair, Program::Daemon, &instance(more));
    let has = |text: &str| routing(namespace).iter().any(|one| one.contains(text));
    let is_whole = || has("\"203.0.113.0/24\"") && has("\"priority\":500");
    assert!(wait::holds_within(SOON, is_whole), "{}", router.log());
    let removals = |what: &str| {
        let log = router.log();
        log.lines().filter(|line| line.contains("removed") && line.contains(what)).count()
    };
    for times in 1..=11 {
        let words = ["route", "del", "203.0.113.0/24", "metric", "7"];
        let is_deleted = || namespace.output_of("ip", &words).is_ok();
        assert!(wait::holds_within(SOON, is_deleted), "{times}: {}", router.log());
        let is_told = || removals("virtual route") == times;
        assert!(wait::holds_within(SOON, is_told), "{times}: {}", router.log());
    }
    // The route waits for seconds now.
    namespace.ip("rule del priority 500");
    assert!(wait::holds_within(SOON, || has("\"priority\":500")), "{}", router.log());
    assert!(!has("\"203.0.113.0/24\""), "the route does not wait: the test shows nothing");
    namespace.ip("addr del 198.51.100.14/32 dev bond0");
    assert!(wait::holds_within(SOON, || is_master(&pair)), "{}", router.log());
    let log = router.log();
    for line in [
        "VI_1: somebody removed virtual route `203.0.113.0/24 via 198.51.100.1 table 254 scope global metric 7`: set again at once",
        "metric 7`, 10 times in a row: set again after 2.56s",
        "VI_1: somebody removed virtual rule `from 203.0.113.0/24 table 100 preference 500`: set again at once",
        "VI_1: somebody removed virtual address 198.51.100.14 on bond0: set again and announced at once",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    assert!(wait::holds_within(SOON, is_whole), "{}", router.log());
    let status = router.status();
    let counted = ["addresses_removed", "routes_removed", "rules_removed", "became_master"];
    assert_eq!(counted.map(|name| status.statistic("VI_1", name)), [1, 11, 1, 1], "{log}");
}

#[test]
fn a_killed_router_s_routes_go_at_the_next_start_and_others_stay() {
    if !require::require_daemon() {
        return;
    }
    let pair = scene();
    let namespace = pair.node(Side::A).namespace();
    // keepalived's mark, but nobody of ours has set it.
    namespace.ip("route add 10.99.0.0/16 dev bond0 proto 18");
    let before = routing(namespace);
    let mut router = start(&pair, Program::Daemon, &instance(ROUTING));
    let is_whole = || routing(namespace).iter().any(|one| one.contains("prohibit"));
    assert!(wait::holds_within(SOON, is_whole), "{}", router.log());
    router.process().kill();
    assert!(routing(namespace).len() > before.len(), "nothing was left: the test shows nothing");
    // The next one never becomes Master: its interface to track is not there.
    let text = instance(&format!("{ROUTING}    track_interface {{\n        nosuch\n    }}\n"));
    let router = Router::start(Program::Daemon, namespace, &text);
    await_routing(namespace, &before, &router);
}

#[test]
fn a_reload_changes_them_in_place() {
    if !require::require_daemon() {
        return;
    }
    let pair = scene();
    let namespace = pair.node(Side::A).namespace();
    let text = |more: &str| {
        instance(&format!(
            "    virtual_routes {{\n        10.1.0.0/16 dev bond0\n        {more}\n    }}\n"
        ))
    };
    let mut router = start(&pair, Program::Daemon, &text("10.2.0.0/16 dev bond0"));
    let has = |network: &str| {
        routing(namespace).iter().any(|one| one.contains(&format!("\"{network}\"")))
    };
    assert!(wait::holds_within(SOON, || has("10.2.0.0/16")), "{}", router.log());
    router.directory().write("keepalived.conf", &text("10.3.0.0/16 dev bond0"));
    router.process().signal(Signal::SIGHUP);
    let is_changed = || has("10.1.0.0/16") && !has("10.2.0.0/16") && has("10.3.0.0/16");
    assert!(wait::holds_within(SOON, is_changed), "{}", router.log());
    assert_eq!(router.status().statistic("VI_1", "became_master"), 1, "{}", router.log());
}

/// Nothing but a file knows of them: their mark is keepalived's.
#[test]
fn what_a_file_does_not_have_any_more_goes_after_a_kill() {
    if !require::require_daemon() {
        return;
    }
    let pair = scene();
    let namespace = pair.node(Side::A).namespace();
    namespace.ip("route add 10.99.0.0/16 dev bond0 proto 18");
    let before = routing(namespace);
    let statics = "static_routes {\n    10.20.0.0/16 dev bond0\n}\n";
    let mut router = start(&pair, Program::Daemon, &format!("{statics}{}", instance(ROUTING)));
    let is_whole = || routing(namespace).iter().any(|one| one.contains("prohibit"));
    assert!(wait::holds_within(SOON, is_whole), "{}", router.log());
    router.process().kill();
    assert!(routing(namespace).len() > before.len() + 20, "nothing was left");
    router.restart(namespace, &instance(""));
    await_routing(namespace, &before, &router);
    assert!(router.stop().success(), "{}", router.log());
    assert!(!router.directory().path().join("ha-routing.conf").exists());
}

/// What is on an interface that is down serves nobody; with both programs.
#[test]
fn an_interface_of_what_is_virtual_that_goes_down_is_a_fault() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let by_address = |more: &str| {
        format!(
            "    virtual_ipaddress_excluded {{\n        192.0.2.40/28 dev eth2 {more}\n    }}\n"
        )
    };
    let by_route = |more: &str| {
        format!("    virtual_routes {{\n        10.1.0.0/16 dev eth2 {more}\n    }}\n")
    };
    let by_rule = |more: &str| {
        format!(
            "    virtual_rules {{\n        from 10.1.0.0/16 iif eth2 table 77 preference 9 {more}\n    }}\n"
        )
    };
    for program in [Program::Daemon, Program::Keepalived] {
        for (more, is_fault) in [
            (by_address(""), true),
            (by_route(""), true),
            (by_rule(""), true),
            (by_address("no_track") + &by_route("no_track") + &by_rule("no_track"), false),
        ] {
            let pair = scene();
            let router = start(&pair, program, &instance(&more));
            pair.cut(Side::A, "eth2");
            if is_fault {
                let gives_up = wait::holds_within(SOON, || !is_master(&pair));
                assert!(gives_up, "{program:?}: {more}{}", router.log());
                pair.mend(Side::A, "eth2");
                let returns = wait::holds_within(SOON, || is_master(&pair));
                assert!(returns, "{program:?}: {more}{}", router.log());
            } else {
                let stays = wait::holds_throughout(Duration::from_secs(2), || is_master(&pair));
                assert!(stays, "{program:?}: {more}{}", router.log());
            }
        }
    }
}

/// With both: on the other router it would be refused, too, and nobody would have the addresses.
#[test]
fn a_route_that_the_kernel_refuses_is_said_and_is_no_fault() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let refused = "    virtual_routes {\n        10.1.0.0/16 via 203.0.113.1 dev bond0\n    }\n";
    for program in [Program::Daemon, Program::Keepalived] {
        let pair = scene();
        let namespace = pair.node(Side::A).namespace();
        let mut router = start(&pair, program, &instance(refused));
        let stays = wait::holds_throughout(Duration::from_secs(2), || is_master(&pair));
        assert!(stays, "{program:?}: {}", router.log());
        if program == Program::Daemon {
            let log = router.log();
            assert!(log.contains("cannot set the route to 10.1.0.0/16 in table 254"), "{log}");
            // As soon as it can be, it is set.
            namespace.ip("address add 203.0.113.2/24 dev bond0");
            let is_set = || routing(namespace).iter().any(|one| one.contains("10.1.0.0/16"));
            assert!(wait::holds_within(SOON, is_set), "{}", router.log());
        }
        router.stop();
    }
}
