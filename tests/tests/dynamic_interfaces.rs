//! The interface that an instance speaks on, and the address that it sends from, come and go: on the wire,
//! and beside keepalived where it has the feature.

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    netns::Namespace,
    pair::{Pair, Side},
    process::{Program, Router},
    require, wait,
};

const SOON: Duration = Duration::from_secs(30);

fn instance(more: &str) -> String {
    config::instance(Dialect::V3Multicast, Side::A, 150, more)
}

fn await_mastership(namespace: &Namespace, is_wanted: bool, router: &Router) {
    let is_so = || namespace.has_address("bond0", "198.51.100.14") == is_wanted;
    assert!(wait::holds_within(SOON, is_so), "wanted: {is_wanted}\n{}", router.log());
}

fn await_claim(pair: &Pair, since: Stamp, router: &Router) {
    let claim = wait::some_within(SOON, || pair.first_claim("bond0", Side::A, since));
    assert!(claim.is_some(), "{}", router.log());
}

fn await_fault(router: &mut Router) {
    let is_fault = wait::holds_within(SOON, || router.log().contains("FAULT"));
    assert!(is_fault, "{}", router.log());
    assert_eq!(router.status().state("VI_1"), "FAULT", "{}", router.log());
}

/// An instance counts by its interface's name, as `dynamic_interfaces` has it: one that is renamed is
/// gone, and one that gets the name has appeared.
#[test]
fn an_instance_works_on_whatever_has_its_interface_s_name() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    namespace.ip("link set bond0 name away");
    let mut router = Router::start(Program::Daemon, namespace, &instance(""));
    await_fault(&mut router);
    assert!(router.log().contains("bond0 is not on this host"), "{}", router.log());
    for _ in 0..2 {
        let since = Stamp::now();
        namespace.ip("link set away name bond0");
        await_mastership(namespace, true, &router);
        await_claim(&pair, since, &router);
        namespace.ip("link set bond0 name away");
        let is_clean = || !namespace.has_address("away", "198.51.100.14");
        assert!(wait::holds_within(SOON, is_clean), "{}", router.log());
        let is_fault = wait::holds_within(SOON, || router.status().state("VI_1") == "FAULT");
        assert!(is_fault, "{}", router.log());
    }
    assert!(router.stop().success(), "{}", router.log());
}

/// It is another one each time, by another index.
#[test]
fn an_interface_may_be_deleted_and_made_again() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let text = instance("").replace("interface bond0", "interface eth7");
    assert!(text.contains("eth7"), "{text}");
    let mut router = Router::start(Program::Daemon, namespace, &text);
    await_fault(&mut router);
    for _ in 0..2 {
        namespace.ip("link add eth7 type veth peer name peer7");
        namespace.ip("address add 198.51.100.77/24 dev eth7");
        namespace.ip("link set peer7 up");
        namespace.ip("link set eth7 up");
        let is_master = || namespace.has_address("eth7", "198.51.100.14");
        assert!(wait::holds_within(SOON, is_master), "{}", router.log());
        namespace.ip("link del eth7");
        let is_fault = wait::holds_within(SOON, || router.status().state("VI_1") == "FAULT");
        assert!(is_fault, "{}", router.log());
    }
}

/// The switch does not forward yet when the host has started; with both.
#[test]
fn who_starts_without_carrier_waits_for_it() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    for program in [Program::Daemon, Program::Keepalived] {
        let pair = Pair::new();
        let namespace = pair.node(Side::A).namespace();
        pair.cut(Side::A, "bond0");
        let router = Router::start(program, namespace, &instance(""));
        let is_fault = wait::holds_within(SOON, || router.log().contains("FAULT"));
        assert!(is_fault, "{program:?}: {}", router.log());
        assert!(!namespace.has_address("bond0", "198.51.100.14"), "{}", router.log());
        let since = Stamp::now();
        pair.mend(Side::A, "bond0");
        await_mastership(namespace, true, &router);
        await_claim(&pair, since, &router);
    }
}

/// `track_src_ip`, which here is always so. keepalived 2.2.7 says that the address is gone and goes on.
#[test]
fn a_source_address_that_is_removed_is_a_fault_until_it_is_there_again() {
    if !require::require_daemon() {
        return;
    }
    let with = |dialect, more: &str| config::instance(dialect, Side::A, 150, more);
    for text in [
        with(Dialect::V3Unicast, ""),
        with(Dialect::V3Multicast, "    mcast_src_ip 198.51.100.10\n"),
    ] {
        let pair = Pair::new();
        let namespace = pair.node(Side::A).namespace();
        let router = Router::start(Program::Daemon, namespace, &text);
        await_mastership(namespace, true, &router);
        namespace.ip("address del 198.51.100.10/24 dev bond0");
        await_mastership(namespace, false, &router);
        let says_why = || {
            let log = router.log();
            log.contains("FAULT")
                && log.contains("source address 198.51.100.10 is not on this host")
        };
        assert!(wait::holds_within(SOON, says_why), "{}", router.log());
        let since = Stamp::now();
        namespace.ip("address add 198.51.100.10/24 dev bond0");
        await_mastership(namespace, true, &router);
        await_claim(&pair, since, &router);
    }
}
