//! SIGHUP: the difference is applied, and what did not change misses nothing.

use core::time::Duration;
use std::{collections::BTreeMap, process::Command};

use ha_tests::{
    capture::Capture,
    clock::Stamp,
    config::{self, Dialect},
    decode,
    netns::Namespace,
    pair::{Pair, Side},
    process::{Process, Program, Router},
    require,
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(30);
const FILE: &str = "keepalived.conf";
const INTERFACE: &str = "bond0";

fn start(pair: &Pair, side: Side, text: &str) -> Router {
    let router = Router::start(Program::Daemon, pair.node(side).namespace(), text);
    // Before it has its handlers, a signal would end it.
    let runs = wait::holds_within(SOON, || router.log().contains("engine thread"));
    assert!(runs, "{}", router.log());
    router
}

/// Has it read `text`, and waits until its log says `word` once more.
fn reload(router: &mut Router, text: &str, word: &str) {
    let before = router.log().matches(word).count();
    router.directory().write(FILE, text);
    router.process().signal(Signal::SIGHUP);
    let is_done = || router.log().matches(word).count() > before;
    assert!(wait::holds_within(SOON, is_done), "no `{word}`: {}", router.log());
}

fn await_state(router: &mut Router, instance: &str, state: &str) {
    let comes = wait::holds_within(SOON, || router.status().state(instance) == state);
    assert!(comes, "{instance} is not {state}: {}", router.log());
}

/// `VI_1` and `VI_2` in version 3 at 100 ms, the second with `more` lines.
fn two(more: &str) -> String {
    let first = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    let second = config::instance(Dialect::V3Multicast, Side::A, 150, more);
    let second =
        second.replace("VI_1", "VI_2").replace("virtual_router_id 133", "virtual_router_id 7");
    first + &second.replace("198.51.100.", "203.0.113.")
}

#[test]
fn priority_addresses_and_trackers_change_in_place() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let mut router = start(&pair, Side::A, &two(""));
    await_state(&mut router, "VI_2", "MASTER");
    await_state(&mut router, "VI_1", "MASTER");

    let other = two("").replace("203.0.113.14\n", "203.0.113.15\n");
    reload(&mut router, &other.replace("priority 150", "priority 151"), "read again: 2 go on");
    let is_moved = || {
        namespace.has_address(INTERFACE, "203.0.113.15")
            && !namespace.has_address(INTERFACE, "203.0.113.14")
            && namespace.has_address(INTERFACE, "203.0.113.13")
    };
    assert!(wait::holds_within(SOON, is_moved), "{}", router.log());
    let says_it = || {
        pair.heard(INTERFACE, Stamp::default()).last().is_some_and(|one| one.advert.priority == 151)
    };
    assert!(wait::holds_within(SOON, says_it), "{}", router.log());

    // An interface that does not exist: Fault, and back again, for the one that tracks it.
    reload(&mut router, &two("    track_interface {\n        nosuch\n    }\n"), "read again");
    await_state(&mut router, "VI_2", "FAULT");
    reload(&mut router, &two(""), "read again");
    await_state(&mut router, "VI_2", "MASTER");

    let status = router.status();
    assert_eq!(status.statistic("VI_1", "became_master"), 1, "{}", router.log());
    assert_eq!(status.statistic("VI_2", "became_master"), 2, "{}", router.log());
    assert!(router.stop().success());
    assert!(!namespace.has_address(INTERFACE, "203.0.113.13"), "an address is left");
}

#[test]
fn what_makes_it_another_router_starts_that_one_anew() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let mut router = start(&pair, Side::A, &two(""));
    await_state(&mut router, "VI_2", "MASTER");
    await_state(&mut router, "VI_1", "MASTER");
    let since = Stamp::now();
    let other = two("").replace("virtual_router_id 7", "virtual_router_id 8");
    reload(&mut router, &other, "read again: anew: VI_2; 1 go on");
    await_state(&mut router, "VI_2", "MASTER");
    let heard = pair.heard(INTERFACE, since);
    let goodbyes = heard.iter().filter(|one| one.advert.priority == 0);
    assert_eq!(goodbyes.map(|one| one.advert.vrid).collect::<Vec<_>>(), [7]);
    let by_its_new_name = heard.iter().any(|one| one.advert.vrid == 8 && one.advert.priority > 0);
    assert!(by_its_new_name, "{}", router.log());

    // To another interface, and with it the addresses.
    let moved = other.rsplit_once("interface bond0").expect("two of them");
    let moved = format!("{}interface eth2{}", moved.0, moved.1);
    reload(&mut router, &moved, "read again: anew: VI_2; 1 go on");
    let is_there = || {
        namespace.has_address("eth2", "203.0.113.13")
            && !namespace.has_address(INTERFACE, "203.0.113.13")
    };
    assert!(wait::holds_within(SOON, is_there), "{}", router.log());
    // Nobody speaks on it any more.
    reload(&mut router, &two("").replace("VI_2", "VI_3"), "new: VI_3; gone: VI_2; 1 go on");
    await_state(&mut router, "VI_3", "MASTER");
    let status = router.status();
    assert_eq!(status.xdp("eth2"), "unknown", "{}", router.log());
    assert_eq!(status.statistic("VI_1", "became_master"), 1, "{}", router.log());
}

/// The kernel's news about addresses in a namespace, from its start on.
struct Monitor {
    process: Process,
    _directory: TempDir,
}

impl Monitor {
    /// An address that nobody else uses: its news come after those of everything before.
    const MARK: &str = "203.0.113.99";

    fn start(namespace: &Namespace) -> Self {
        let directory = TempDir::new("monitor");
        let mut command = Command::new("ip");
        command.args(["monitor", "address"]);
        let log = directory.path().join("log");
        let process = Process::start(namespace, command, &log, None);
        let monitor = Self { process, _directory: directory };
        let hears = || {
            namespace.ip(&format!("addr replace {}/32 dev lo", Self::MARK));
            monitor.process.log().contains(Self::MARK)
        };
        assert!(wait::holds_within(SOON, hears), "{}", monitor.process.log());
        monitor
    }

    /// Whether `address` was removed at any time.
    fn has_seen_removal_of(&self, namespace: &Namespace, address: &str) -> bool {
        namespace.ip(&format!("addr del {}/32 dev lo", Self::MARK));
        let is_removal = |line: &str, of: &str| line.contains("Deleted") && line.contains(of);
        let log = wait::eventually_some(SOON, "the news about the mark", || {
            let log = self.process.log();
            log.lines().any(|line| is_removal(line, Self::MARK)).then_some(log)
        });
        log.lines().any(|line| is_removal(line, &format!("{address}/")))
    }
}

/// One of the second's.
const MOVING: &str = "203.0.113.14";

/// Two Masters, and back: whichever of them comes first, the address is never gone, and the new one
/// sees to it that it stays.
#[test]
fn an_address_that_moves_from_one_master_to_another_stays() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    let of_second = two("");
    let line = format!("        {MOVING}\n");
    let last_of_first = "        198.51.100.14\n";
    let of_first =
        of_second.replace(&line, "").replace(last_of_first, &format!("{last_of_first}{line}"));
    let mut router = start(&pair, Side::A, &of_second);
    await_state(&mut router, "VI_1", "MASTER");
    await_state(&mut router, "VI_2", "MASTER");
    let is_there = || namespace.has_address(INTERFACE, MOVING);
    assert!(wait::holds_within(SOON, is_there), "{}", router.log());

    for (text, owner) in [(&of_first, "VI_1"), (&of_second, "VI_2")] {
        let monitor = Monitor::start(namespace);
        reload(&mut router, text, "read again: 2 go on");
        // It answers when the reload is carried out.
        let before = router.status().statistic(owner, "addresses_removed");
        assert!(!monitor.has_seen_removal_of(namespace, MOVING), "to {owner}: {}", router.log());
        assert!(is_there(), "to {owner}: {}", router.log());
        assert_eq!(before, 0, "{}", router.log());

        namespace.ip(&format!("addr del {MOVING}/32 dev {INTERFACE}"));
        let is_missed = || router.status().statistic(owner, "addresses_removed") == 1;
        assert!(wait::holds_within(SOON, is_missed), "{owner}: {}", router.log());
        assert!(wait::holds_within(SOON, is_there), "{owner}: {}", router.log());
    }
    assert!(router.stop().success());
    assert!(!is_there(), "an address is left");
}

const INSTANCES: u8 = 250;
const INTERVAL: Duration = Duration::from_millis(100);

/// As many instances as there are VRIDs, nearly, without those in `left_out`; `more` is a further
/// address of the first.
fn many(priority: u8, left_out: Option<u8>, more: &str) -> String {
    let instance = |vrid: u8| {
        let more = if vrid == 1 { more } else { "" };
        format!(
            "vrrp_instance VI_{vrid} {{\n    interface {INTERFACE}\n    virtual_router_id {vrid}\n    \
             version 3\n    priority {priority}\n    advert_int 0.1\n    garp_master_repeat 1\n    \
             virtual_ipaddress {{\n        203.0.113.{vrid}\n        {more}\n    }}\n}}\n"
        )
    };
    (1..=INSTANCES).filter(|vrid| Some(*vrid) != left_out).map(instance).collect()
}

/// The longest time without an advertisement of each virtual router, between the two moments.
fn longest_gaps(capture: &Capture, since: Stamp, until: Stamp) -> BTreeMap<u8, Duration> {
    let mut last: BTreeMap<u8, Stamp> = (1..=INSTANCES).map(|vrid| (vrid, since)).collect();
    let mut gaps = BTreeMap::new();
    let heard = capture.collect(since, |frame| Some((frame.at, decode::advert(frame)?.vrid)));
    let ends = (1..=INSTANCES).map(|vrid| (until, vrid));
    for (at, vrid) in heard.into_iter().filter(|(at, _)| *at < until).chain(ends) {
        let gap: &mut Duration = gaps.entry(vrid).or_default();
        if let Some(before) = last.insert(vrid, at) {
            *gap = at.since(before).max(*gap);
        }
    }
    gaps
}

#[test]
fn ten_reloads_of_250_instances_cost_no_advertisement() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let full = many(150, None, "");
    let mut master = start(&pair, Side::A, &full);
    let namespace = pair.node(Side::A).namespace();
    let is_held = |vrid: u8| namespace.has_address(INTERFACE, &format!("203.0.113.{vrid}"));
    let holds_all = || (1..=INSTANCES).all(is_held);
    assert!(wait::holds_within(SOON, holds_all), "{}", master.log());
    let mut backup = start(&pair, Side::B, &many(100, None, ""));
    await_state(&mut backup, "VI_250", "BACKUP");

    let heard_by_backup = Capture::start(pair.node(Side::B).namespace(), 1 << 20);
    let since = Stamp::now();
    let without_last = many(150, Some(INSTANCES), "");
    for (text, word) in [
        (&full, "read again: 250 go on"),
        (&format!("\n\n{full}"), "read again: 250 go on"),
        (&many(150, None, "203.0.113.251"), "read again: 250 go on"),
        (&full, "read again: 250 go on"),
        (&without_last, "gone: VI_250; 249 go on"),
        (&full, "new: VI_250; 249 go on"),
        (&format!("{full}vrrp_instance VI_X {{\n    priority 300\n}}\n"), "configuration stays"),
        (&full, "read again: 250 go on"),
        (&full, "read again: 250 go on"),
        (&full, "read again: 250 go on"),
    ] {
        reload(&mut master, text, word);
    }
    // The last reload's doings are on the wire too.
    let until = Stamp::now() + INTERVAL * 3;
    let goes_on =
        wait::holds_within(SOON, || heard_by_backup.first(until, decode::advert).is_some());
    assert!(goes_on && !heard_by_backup.is_full(), "{}", master.log());

    let gaps = longest_gaps(&heard_by_backup, since, until);
    let late: Vec<_> =
        gaps.iter().filter(|(vrid, gap)| **vrid != INSTANCES && **gap > INTERVAL * 2).collect();
    assert!(late.is_empty(), "missing or late by more than an interval: {late:?}{}", master.log());
    // It was told that the last one is gone for a while; of the others none.
    let log = backup.log();
    let took_over = log.lines().filter(|line| line.contains("BACKUP -> MASTER"));
    let others: Vec<&str> = took_over.filter(|line| !line.contains("VI_250:")).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(!is_held(251), "a removed address is left");
}

/// There are slots for those that there are: more of them need more than the first page.
#[test]
fn instances_that_a_reload_adds_are_absorbed_too() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let mut master = start(&pair, Side::A, &many(150, None, ""));
    await_state(&mut master, "VI_250", "MASTER");
    let only = |last: u8| -> String {
        let all = many(100, None, "");
        let blocks = all.split_inclusive("\n}\n");
        blocks.take(usize::from(last)).collect()
    };
    let mut backup = start(&pair, Side::B, &only(1));
    let absorbed = |backup: &mut Router, vrid: u8| {
        backup.status().statistic(&format!("VI_{vrid}"), "adverts_absorbed")
    };
    assert!(wait::holds_within(SOON, || absorbed(&mut backup, 1) > 0), "{}", backup.log());
    for last in [64, 65, INSTANCES] {
        let before = absorbed(&mut backup, 1);
        reload(&mut backup, &only(last), "go on");
        for vrid in [1, last] {
            let least = if vrid == 1 { before } else { 0 };
            let is_absorbed = || absorbed(&mut backup, vrid) > least;
            assert!(wait::holds_within(SOON, is_absorbed), "VI_{vrid}: {}", backup.log());
        }
    }
    assert!(!backup.log().contains("-> MASTER"), "{}", backup.log());
}
