//! `static_ipaddress`, `static_routes`, `static_rules` and `track_group`: there as long as the daemon
//! runs, as keepalived has them. What is there is read by `ip`.

use core::time::Duration;
use std::collections::BTreeSet;

use ha_tests::{
    config::{self, Dialect},
    netns::Namespace,
    pair::{Pair, Side},
    process::{Program, Router},
    require,
    routing::{await_routing, routing},
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(30);

const STATICS: &str = "track_group UPLINK {
    group {
        VI_1
    }
}
static_ipaddress {
    198.51.100.60/24 brd + dev bond0 label bond0:60
    198.51.100.61/32 dev bond0 no_track
    192.0.2.60/28 dev eth2 scope link track_group UPLINK
    2001:db8:60::1/64 dev eth2
}
static_routes {
    10.1.0.0/16 via 198.51.100.1 dev bond0
    10.2.0.0/16 via 192.0.2.61 dev eth2 track_group UPLINK
    10.3.0.0/16 dev eth2 no_track
    blackhole 10.4.0.0/16
    2001:db8:61::/48 via 2001:db8:60::2 dev eth2
}
static_rules {
    from 10.2.0.0/16 table 100 preference 500
    from 10.3.0.0/16 iif eth2 table 100 preference 501 track_group UPLINK
    to 2001:db8:62::/48 table 100 preference 502 protocol 4 no_track
}
";

fn text(statics: &str) -> String {
    format!("{statics}{}", config::instance(Dialect::V3Multicast, Side::A, 150, ""))
}

/// Addresses, without those that the kernel gives itself, with all that `ip` says of them but who has
/// set them, which keepalived 2.2.7 does not say.
fn addresses(namespace: &Namespace) -> BTreeSet<String> {
    let of_link = |interface: &str| {
        let text = namespace.ip(&format!("-o address show dev {interface}"));
        let lines = text.lines().filter_map(|line| line.split_once("inet"));
        let lines = lines.filter(|(_, line)| !line.contains("fe80"));
        let bare = |line: &str| line.replace(" proto keepalived", "").replace(" proto 112", "");
        lines.map(|(_, line)| format!("{interface}: {}", bare(line))).collect::<Vec<_>>()
    };
    ["bond0", "eth2"].into_iter().flat_map(of_link).collect()
}

fn is_master(namespace: &Namespace) -> bool {
    namespace.has_address("bond0", "198.51.100.14")
}

fn start(namespace: &Namespace, program: Program, text: &str) -> Router {
    let router = Router::start(program, namespace, text);
    assert!(wait::holds_within(SOON, || is_master(namespace)), "{}", router.log());
    router
}

fn has_route(namespace: &Namespace, network: &str) -> bool {
    routing(namespace).iter().any(|one| one.contains(&format!("\"{network}\"")))
}

#[test]
fn all_is_as_keepalived_sets_it_and_goes_with_the_daemon() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let set_by = |program: Program| {
        let pair = Pair::new();
        let namespace = pair.node(Side::A).namespace();
        let before = (addresses(namespace), routing(namespace));
        let mut router = start(namespace, program, &text(STATICS));
        let set = (addresses(namespace), routing(namespace));
        assert!(set.0.len() > before.0.len() + 4, "{set:#?}\n{}", router.log());
        assert!(set.1.len() > before.1.len() + 7, "{set:#?}\n{}", router.log());
        assert!(router.stop().success(), "{}", router.log());
        assert_eq!((addresses(namespace), routing(namespace)), before, "{}", router.log());
        set
    };
    let (ours, theirs) = (set_by(Program::Daemon), set_by(Program::Keepalived));
    let differing = |ours: &BTreeSet<String>, theirs: &BTreeSet<String>| -> Vec<String> {
        ours.symmetric_difference(theirs).cloned().collect()
    };
    assert_eq!(differing(&ours.0, &theirs.0), [""; 0]);
    assert_eq!(differing(&ours.1, &theirs.1), [""; 0]);
}

#[test]
fn what_somebody_deletes_is_put_back_unless_it_is_not_tracked() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let mut router = start(namespace, Program::Daemon, &text(STATICS));
    let (held, leading) = (addresses(namespace), routing(namespace));
    for line in [
        "address del 198.51.100.60/24 dev bond0",
        // The route by it goes, too.
        "address del 192.0.2.60/28 dev eth2",
        "-6 address del 2001:db8:60::1/64 dev eth2",
        "route del 10.1.0.0/16",
        "route del blackhole 10.4.0.0/16",
        "-6 route del 2001:db8:61::/48",
        "rule del preference 500",
        "rule del preference 501",
    ] {
        namespace.ip(line);
        let is_back = wait::holds_within(SOON, || addresses(namespace) == held);
        assert!(is_back, "{line}: {:#?}\n{}", addresses(namespace), router.log());
        await_routing(namespace, &leading, &router);
    }
    namespace.ip("address del 198.51.100.61/32 dev bond0");
    namespace.ip("route del 10.3.0.0/16");
    namespace.ip("-6 rule del preference 502");
    // What comes after it is put back, so that has been looked at.
    namespace.ip("route del 10.1.0.0/16");
    assert!(wait::holds_within(SOON, || has_route(namespace, "10.1.0.0/16")), "{}", router.log());
    assert!(!namespace.has_address("bond0", "198.51.100.61"));
    let untracked = |one: &String| one.contains("10.3.0.0\"") || one.contains("502");
    assert!(!has_route(namespace, "10.3.0.0/16"));
    assert!(!routing(namespace).iter().any(|one| untracked(one) && !one.contains("501")));
    assert_eq!(router.status().statistic("VI_1", "became_master"), 1, "{}", router.log());
}

#[test]
fn a_reload_changes_them_in_place() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let of = |host: u8, network: u8| {
        text(&format!(
            "static_ipaddress {{\n    198.51.100.60/24 dev bond0\n    198.51.100.{host}/24 dev \
             bond0\n}}\nstatic_routes {{\n    10.1.0.0/16 dev bond0\n    10.{network}.0.0/16 dev \
             bond0\n}}\n"
        ))
    };
    let mut router = start(namespace, Program::Daemon, &of(61, 2));
    router.directory().write("keepalived.conf", &of(62, 3));
    router.process().signal(Signal::SIGHUP);
    let has = |host: u8| namespace.has_address("bond0", &format!("198.51.100.{host}"));
    let is_changed = || {
        has(60)
            && !has(61)
            && has(62)
            && has_route(namespace, "10.1.0.0/16")
            && !has_route(namespace, "10.2.0.0/16")
            && has_route(namespace, "10.3.0.0/16")
    };
    assert!(wait::holds_within(SOON, is_changed), "{}", router.log());
    assert_eq!(router.status().statistic("VI_1", "became_master"), 1, "{}", router.log());
    router.directory().write("keepalived.conf", &text(""));
    router.process().signal(Signal::SIGHUP);
    let is_empty = || !has(60) && !has(62) && !has_route(namespace, "10.3.0.0/16");
    assert!(wait::holds_within(SOON, is_empty), "{}", router.log());
}

/// A tracked line that cannot be there, or whose interface is down, is a fault of who tracks it; with
/// both.
#[test]
fn a_track_group_is_a_fault_while_what_is_in_it_cannot_be_there() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    for program in [Program::Daemon, Program::Keepalived] {
        let pair = Pair::new();
        let namespace = pair.node(Side::A).namespace();
        let router = start(namespace, program, &text(STATICS));
        pair.cut(Side::A, "eth2");
        let gives_up = wait::holds_within(SOON, || !is_master(namespace));
        assert!(gives_up, "{program:?}: {}", router.log());
        let says_so = wait::holds_within(SOON, || router.log().contains("FAULT"));
        assert!(says_so, "{program:?}: {}", router.log());
        pair.mend(Side::A, "eth2");
        let returns = wait::holds_within(SOON, || is_master(namespace));
        assert!(returns, "{program:?}: {}", router.log());
    }
}

#[test]
fn what_cannot_be_set_is_a_fault_of_its_track_group_until_it_can() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let route = |more: &str| {
        text(&format!(
            "track_group G {{\n    group {{\n        VI_1\n    }}\n}}\nstatic_routes {{\n    \
             10.1.0.0/16 via 203.0.113.1 dev eth2 {more}\n}}\n"
        ))
    };
    let mut router = Router::start(Program::Daemon, namespace, &route("track_group G"));
    let says_why = || {
        let log = router.log();
        log.contains("what is static: cannot set the route to 10.1.0.0/16")
            && log.contains("track_group G")
    };
    assert!(wait::holds_within(SOON, says_why), "{}", router.log());
    let is_fault = wait::holds_within(SOON, || router.status().state("VI_1") == "FAULT");
    assert!(is_fault, "{}", router.log());
    namespace.ip("address add 203.0.113.2/24 dev eth2");
    assert!(wait::holds_within(SOON, || is_master(namespace)), "{}", router.log());
    assert!(has_route(namespace, "10.1.0.0/16"));
    namespace.ip("address del 203.0.113.2/24 dev eth2");
    assert!(wait::holds_within(SOON, || !is_master(namespace)), "{}", router.log());
    assert!(router.stop().success());
    // Nobody tracks it.
    let mut router = start(namespace, Program::Daemon, &route(""));
    assert!(says_it(&router, "what is static: cannot set the route to 10.1.0.0/16"));
    assert_eq!(router.status().state("VI_1"), "MASTER");
}

fn says_it(router: &Router, text: &str) -> bool {
    wait::holds_within(SOON, || router.log().contains(text))
}

#[test]
fn a_static_address_is_one_to_send_from_and_a_killed_daemon_s_goes_at_the_next_start() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let own: Vec<String> = namespace.addresses("bond0");
    assert!(own.iter().any(|one| one.starts_with("198.51.100.10")), "{own:?}");
    namespace.ip("address flush dev bond0 scope global");
    let of =
        |host: u8| text(&format!("static_ipaddress {{\n    198.51.100.{host}/24 dev bond0\n}}\n"));
    let mut router = start(namespace, Program::Daemon, &of(60));
    assert!(!router.log().contains("no IPv4 address to send from"), "{}", router.log());
    router.process().kill();
    assert!(namespace.has_address("bond0", "198.51.100.60"));
    // What the killed one has left says nothing of this one.
    let router = Router::start(Program::Daemon, namespace, &of(61));
    let is_changed = || {
        namespace.has_address("bond0", "198.51.100.61")
            && !namespace.has_address("bond0", "198.51.100.60")
            && is_master(namespace)
    };
    assert!(wait::holds_within(SOON, is_changed), "{}", router.log());
}
