//! More than the XDP program's tables have room for: nobody is Master who could not hear.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::{fmt::Write as _, ops::Range, time::Duration};

use ha_common::abi::ADDRESSES_MAX;
use ha_tests::{
    netns::Namespace,
    process::{Program, Router},
    require,
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_mins(1);
/// Interfaces with an instance each, and as many of the host's own addresses as fit beside the one that
/// each sends from, its link-local one and the two groups that VRRP is sent to.
const INTERFACES: u32 = 16;
const ADDRESSES: u32 = ADDRESSES_MAX / INTERFACES - 3;
/// Enough to be too many, also without IPv6.
const MORE: u32 = 3 * INTERFACES;

fn interface(number: u32) -> String {
    format!("d{number}")
}

/// Instances on this many of the interfaces, whose virtual addresses are documentation's.
fn instances(count: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(
            text,
            "vrrp_instance V{number} {{\n interface {}\n virtual_router_id 51\n version 3\n \
             advert_int 0.1\n virtual_ipaddress {{\n 203.0.113.{number}\n }}\n}}",
            interface(number)
        )
        .expect("a String takes all");
    }
    text
}

/// Has `ip` do `what` with so many addresses of an interface, of the host's loopback network: nobody
/// sends to them.
fn change(namespace: &Namespace, what: &str, number: u32, addresses: Range<u32>) {
    let mut text = String::new();
    for last in addresses {
        let (third, fourth) = (last >> 8, last & 0xff);
        let (second, interface) = (number + 1, interface(number));
        writeln!(text, "addr {what} 127.{second}.{third}.{fourth}/32 dev {interface}")
            .expect("a String takes all");
    }
    let directory = TempDir::new("batch");
    let path = directory.write("batch", &text);
    namespace.ip(&format!("-batch {}", path.display()));
}

/// One that nobody else is on.
fn add_link(namespace: &Namespace, name: &str, other_end: &str) {
    namespace.ip(&format!("link add {name} type veth peer name {other_end}"));
    namespace.ip(&format!("link set {name} up"));
    namespace.ip(&format!("link set {other_end} up"));
}

#[test]
fn who_cannot_be_heard_by_is_in_fault_until_there_is_room() {
    if !require::require_daemon() {
        return;
    }
    let namespace = Namespace::new("full");
    for number in 0..=INTERFACES {
        let name = interface(number);
        add_link(&namespace, &name, &format!("p{number}"));
        namespace.ip(&format!("addr add 192.0.2.{}/32 dev {name}", number + 1));
        let addresses = if number < INTERFACES { ADDRESSES } else { MORE };
        change(&namespace, "add", number, 0..addresses);
    }
    let mut router = Router::start(Program::Daemon, &namespace, &instances(INTERFACES));
    let count = |text: &str, router: &Router| router.log().matches(text).count();
    let all = usize::try_from(INTERFACES).expect("a few");
    let masters = |namespace: &Namespace| {
        let held = (0..INTERFACES)
            .filter(|one| namespace.has_address(&interface(*one), &format!("203.0.113.{one}")));
        held.count()
    };
    wait::eventually(SOON, "all to be Master", || masters(&namespace) == all);

    // One interface more, whose addresses do not fit: nothing changes.
    router.directory().write("keepalived.conf", &instances(INTERFACES + 1));
    router.process().signal(Signal::SIGHUP);
    let refused = "the running configuration stays: the XDP program's table of addresses";
    wait::eventually(SOON, "the reload to be refused", || count(refused, &router) == 1);
    assert_eq!(count("FAULT", &router), 0, "{}", router.log());
    assert_eq!(masters(&namespace), all, "{}", router.log());

    // The same addresses come by themselves.
    change(&namespace, "add", 0, ADDRESSES..ADDRESSES + MORE);
    wait::eventually(SOON, "nobody to be Master", || masters(&namespace) == 0);
    let why = "of 65536 at most";
    assert!(count(why, &router) >= 2, "{}", router.log());
    assert_eq!(count("MASTER -> FAULT", &router), all, "{}", router.log());

    change(&namespace, "del", 0, ADDRESSES..ADDRESSES + MORE);
    wait::eventually(SOON, "all to be Master again", || masters(&namespace) == all);
    assert!(router.stop().success(), "{}", router.log());
}

/// Virtual routers, half of all that there may be and a few more, that wait too long to become Master
/// here.
const HALF_AND_MORE: usize = 8_200;

fn named(prefix: &str) -> String {
    let mut text = String::new();
    for place in 0..HALF_AND_MORE {
        let (interface, vrid) = (place / 255, place % 255 + 1);
        writeln!(
            text,
            "vrrp_instance {prefix}{place} {{\n interface d{interface}\n virtual_router_id {vrid}\n \
             version 3\n advert_int 40\n virtual_ipaddress {{\n 203.0.113.1\n }}\n}}"
        )
        .expect("a String takes all");
    }
    text
}

/// One that goes keeps its number until the next reload: those that come need others.
#[test]
fn a_reload_that_needs_too_many_numbers_is_refused() {
    if !require::require_daemon() {
        return;
    }
    let namespace = Namespace::new("full");
    for number in 0..=HALF_AND_MORE / 255 {
        add_link(&namespace, &format!("d{number}"), &format!("p{number}"));
        namespace.ip(&format!("addr add 192.0.2.{}/32 dev d{number}", number + 1));
    }
    let mut router = Router::start(Program::Daemon, &namespace, &named("A"));
    let count = |text: &str, router: &Router| router.log().matches(text).count();
    wait::eventually(SOON, "all to be Backup", || count("-> BACKUP", &router) == HALF_AND_MORE);
    router.directory().write("keepalived.conf", &named("B"));
    router.process().signal(Signal::SIGHUP);
    let refused = "the running configuration stays: numbers for 16400 instances are needed";
    wait::eventually(SOON, "the reload to be refused", || count(refused, &router) == 1);
    assert_eq!(router.status().state("A0"), "BACKUP");
    assert!(router.stop().success());
}
