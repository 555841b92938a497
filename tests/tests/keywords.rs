//! Keywords of the file whose effect is on the wire or on the interface, one by one.

use core::{net::Ipv4Addr, time::Duration};
use std::fs;

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    decode,
    pair::{Pair, Side},
    process::{Program, Router, Start},
    require, wait,
};

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
const VIRTUAL: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 51, 100, 13), Ipv4Addr::new(198, 51, 100, 14)];

/// The daemon on `side`, multicast at 100 ms, with `more` lines in its instance and `global` ones.
fn start(pair: &Pair, side: Side, priority: u8, more: &str, global: &str) -> Router {
    let instance = config::instance(Dialect::V3Multicast, side, priority, more);
    let text = format!("global_defs {{\n{global}\n}}\n{instance}");
    let start = Start { words: &[], etc: None };
    let router = Router::start_with(Program::Daemon, pair.node(side).namespace(), &text, &start);
    // Before it has its handlers, a signal for the status would end it.
    let runs = wait::holds_within(SOON, || router.log().contains("engine thread"));
    assert!(runs, "{}", router.log());
    router
}

fn await_state(router: &mut Router, state: &str) {
    let comes = wait::holds_within(SOON, || router.status().state("VI_1") == state);
    assert!(comes, "not {state}: {}", router.log());
}

/// The daemon on both sides, the better one first and with `more` lines in its instance.
fn start_both(pair: &Pair, more: &str) -> [Router; 2] {
    let mut master = start(pair, Side::A, 150, more, "");
    await_state(&mut master, "MASTER");
    let mut backup = start(pair, Side::B, 100, "", "");
    await_state(&mut backup, "BACKUP");
    [master, backup]
}

/// Moments of the gratuitous ARP of `side` since `since`, each with its address.
fn announcements(pair: &Pair, side: Side, since: Stamp) -> Vec<(Stamp, Ipv4Addr)> {
    pair.segment(INTERFACE).2.collect(since, |frame| {
        // The bridge shows a broadcast where it comes in, by itself, and where it goes out.
        let is_here = Side::of_port(&frame.interface) == Some(side) && !frame.is_outgoing;
        let arp = decode::arp(frame).filter(|_| is_here)?;
        arp.is_gratuitous().then_some((frame.at, arp.sender))
    })
}

#[test]
fn an_address_that_somebody_removes_is_put_back_and_announced() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let [mut master, mut backup] = start_both(&pair, "    garp_master_delay 0\n");
    let namespace = pair.node(Side::A).namespace();
    let [first, second] = VIRTUAL;
    let removal = Stamp::now();
    namespace.ip(&format!("addr del {first}/32 dev {INTERFACE}"));
    let is_back = || namespace.has_address(INTERFACE, &first.to_string());
    assert!(wait::holds_within(SOON, is_back), "{}", master.log());
    let is_announced = || {
        let announced = announcements(&pair, Side::A, removal);
        VIRTUAL.iter().all(|address| announced.iter().any(|(_, one)| one == address))
    };
    assert!(wait::holds_within(SOON, is_announced), "{}", master.log());
    assert!(namespace.has_address(INTERFACE, &second.to_string()));
    assert_eq!(master.status().statistic("VI_1", "addresses_removed"), 1);
    assert_eq!(master.status().statistic("VI_1", "became_master"), 1, "{}", master.log());
    assert_eq!(backup.status().statistic("VI_1", "became_master"), 0, "{}", backup.log());
    assert!(master.log().contains("somebody removed virtual address"), "{}", master.log());
    // Our own removal is none.
    assert!(master.stop().success());
    assert_eq!(master.log().matches("somebody removed").count(), 1, "{}", master.log());
}

/// Removes an address on A whenever it is there, until `is_enough`; says whether it came to that.
fn remove_until(pair: &Pair, is_enough: impl Fn() -> bool) -> bool {
    let namespace = pair.node(Side::A).namespace();
    let [first, _] = VIRTUAL;
    wait::holds_within(SOON, || {
        if namespace.has_address(INTERFACE, &first.to_string()) {
            let words = ["addr", "del", &format!("{first}/32"), "dev", INTERFACE];
            // It may just have been given up.
            drop(namespace.output_of("ip", &words));
        }
        is_enough()
    })
}

#[test]
fn somebody_who_removes_addresses_for_good_is_given_way_to() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let [mut master, mut backup] = start_both(&pair, "");
    // Ten removals are put up with; the waits before them add up to some five seconds.
    let is_given_up = remove_until(&pair, || master.log().contains("MASTER -> FAULT"));
    assert!(is_given_up, "{}", master.log());
    await_state(&mut backup, "MASTER");
    assert_eq!(master.status().statistic("VI_1", "addresses_removed"), 11, "{}", master.log());
    assert!(master.log().contains("keeps removing"), "{}", master.log());
    // Nobody removes anything any more: it tries again, and is the better one.
    await_state(&mut master, "MASTER");
    await_state(&mut backup, "BACKUP");
}

#[test]
fn somebody_who_goes_on_removing_addresses_is_given_way_to_for_longer_each_time() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let [master, _backup] = start_both(&pair, "");
    for times in 1..=4 {
        let is_given_up = || master.log().matches("MASTER -> FAULT").count() == times;
        assert!(remove_until(&pair, is_given_up), "not {times} times: {}", master.log());
    }
    let mut goodbye = None;
    let mut silences = Vec::new();
    for heard in pair.heard(INTERFACE, Stamp::default()) {
        if heard.from != Side::A {
        } else if heard.advert.priority == 0 {
            goodbye = Some(heard.at);
        } else if let Some(goodbye) = goodbye.take() {
            silences.push(heard.at.since(goodbye));
        }
    }
    // The pause before it is tried again, from a second on, and then the time of a Backup.
    let at_least = [1, 2, 4].map(Duration::from_secs);
    assert_eq!(silences.len(), at_least.len(), "{silences:?}: {}", master.log());
    let are_long = silences.iter().zip(at_least).all(|(silence, pause)| *silence > pause);
    assert!(are_long, "{silences:?}: {}", master.log());
}

#[test]
fn addresses_that_the_kernel_takes_with_the_link_come_back_with_it() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    // An IPv6 address goes when its interface is set down, an IPv4 address stays.
    let more =
        "    dont_track_primary\n    virtual_ipaddress_excluded {\n        2001:db8::99\n    }\n";
    let mut master = start(&pair, Side::A, 150, more, "");
    await_state(&mut master, "MASTER");
    let namespace = pair.node(Side::A).namespace();
    assert!(namespace.has_address(INTERFACE, "2001:db8::99"), "{}", master.log());
    namespace.ip("link set bond0 down");
    let is_noticed = || master.log().contains("somebody removed virtual address");
    assert!(wait::holds_within(SOON, is_noticed), "the kernel kept it: the test shows nothing");
    namespace.ip("link set bond0 up");
    let is_back = || namespace.has_address(INTERFACE, "2001:db8::99");
    assert!(wait::holds_within(SOON, is_back), "{}", master.log());
    await_state(&mut master, "MASTER");
}

#[test]
fn announcements_keep_the_configured_distance() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let more = "    garp_master_delay 0\n    garp_master_repeat 3\n";
    let since = Stamp::now();
    let mut master = start(&pair, Side::A, 150, more, "vrrp_garp_interval 0.05");
    await_state(&mut master, "MASTER");
    let [first, second] = VIRTUAL;
    let all = wait::some_within(SOON, || {
        Some(announcements(&pair, Side::A, since)).filter(|announced| announced.len() >= 6)
    });
    let all = all.unwrap_or_else(|| panic!("{}", master.log()));
    let order: Vec<Ipv4Addr> = all.iter().map(|(_, address)| *address).collect();
    assert_eq!(order, [first, second, first, second, first, second]);
    // Five distances of 50 ms. The wire's clock reads when the capture got them, on a busy machine late.
    let taken = all[5].0.since(all[0].0);
    assert!(taken > Duration::from_millis(200), "{taken:?}");
}

#[test]
fn a_start_up_delay_keeps_everything_silent() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let since = Stamp::now();
    let mut master = start(&pair, Side::A, 255, "", "vrrp_startup_delay 2.5");
    assert_eq!(master.status().state("VI_1"), "INIT", "{}", master.log());
    let claim = wait::some_within(SOON, || pair.first_claim(INTERFACE, Side::A, since));
    let claim = claim.unwrap_or_else(|| panic!("{}", master.log()));
    assert!(claim.since(since) >= Duration::from_millis(2500), "{:?}", claim.since(since));
    await_state(&mut master, "MASTER");
}

#[test]
fn a_host_that_has_just_booted_is_silent() {
    const DELAY: &str = "global_defs {\n    vrrp_delay_after_boot 10\n}\n";
    if !require::require_daemon() {
        return;
    }
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split('.').next().and_then(|text| text.parse::<u64>().ok());
    let text = DELAY.to_owned() + &config::instance(Dialect::V3Multicast, Side::A, 255, "");
    // In a time namespace of its own the daemon is on a host that has booted a second ago, or long since.
    for (booted_before, silence) in [(1, Duration::from_secs(4)), (1000, Duration::ZERO)] {
        let pair = Pair::new();
        let offset = booted_before - seconds.unwrap_or_default().cast_signed();
        let wrapper = ["unshare", "--time", "--boottime", &offset.to_string()];
        let since = Stamp::now();
        let namespace = pair.node(Side::A).namespace();
        let start = Start { words: &[], etc: None };
        let router = Router::start_under(&wrapper, Program::Daemon, namespace, &text, &start);
        let claim = wait::some_within(SOON, || pair.first_claim(INTERFACE, Side::A, since));
        let claim = claim.unwrap_or_else(|| panic!("{}", router.log()));
        assert!(claim.since(since) >= silence, "{:?}{}", claim.since(since), router.log());
        let waits = router.log().contains("all instances wait for");
        assert_eq!(waits, !silence.is_zero(), "{}", router.log());
    }
}

#[test]
fn preemption_waits_for_preempt_delay() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let mut lower = start(&pair, Side::B, 100, "", "");
    await_state(&mut lower, "MASTER");
    let since = Stamp::now();
    let mut higher = start(&pair, Side::A, 150, "    preempt_delay 2\n", "");
    let claim = wait::some_within(SOON, || pair.first_claim(INTERFACE, Side::A, since));
    let claim = claim.unwrap_or_else(|| panic!("{}", higher.log()));
    assert!(claim.since(since) >= Duration::from_secs(2), "{:?}", claim.since(since));
    await_state(&mut higher, "MASTER");
    await_state(&mut lower, "BACKUP");
}

/// The peer is keepalived: both keep to another group, and neither hears what comes to the usual one.
#[test]
fn advertisements_go_to_another_group_and_come_from_it() {
    if !require::require_keepalived() || !require::require_daemon() {
        return;
    }
    let group = Ipv4Addr::new(233, 252, 0, 18);
    let global = format!("vrrp_mcast_group4 {group}");
    let pair = Pair::new();
    let instance = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    let text = format!("global_defs {{\n{global}\n}}\n{instance}");
    let since = Stamp::now();
    let mut peer = Router::start(Program::Keepalived, pair.node(Side::A).namespace(), &text);
    let claim = wait::some_within(SOON, || pair.first_claim(INTERFACE, Side::A, since));
    assert!(claim.is_some(), "{}", peer.log());
    let mut ours = start(&pair, Side::B, 100, "", &global);
    let source = Dialect::V3Multicast.source(Side::A.number());
    let hears_it = || ours.status().master("VI_1") == Some(source.as_str());
    assert!(wait::holds_within(SOON, hears_it), "{}", ours.log());
    assert_eq!(ours.status().state("VI_1"), "BACKUP", "{}", ours.log());

    let since = Stamp::now();
    peer.stop();
    await_state(&mut ours, "MASTER");
    let sent = pair.segment(INTERFACE).2.collect(since, |frame| {
        let is_ours = Side::of_port(&frame.interface) == Some(Side::B) && !frame.is_outgoing;
        decode::advert(frame).filter(|_| is_ours)
    });
    assert!(!sent.is_empty(), "{}", ours.log());
    assert!(sent.iter().all(|advert| advert.destination == group), "{sent:?}");

    // A router of a higher priority, but on the usual group: both are Master, as with keepalived.
    let mut other = start(&pair, Side::A, 150, "", "");
    await_state(&mut other, "MASTER");
    assert_eq!(ours.status().state("VI_1"), "MASTER", "{}", ours.log());
}
