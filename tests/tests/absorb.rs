//! Advertisements that say nothing new, on the wire: with absorbing or without, by XDP or by packet
//! sockets, a Backup decides the same; it sleeps through them, and through a pause of its own.
#![expect(clippy::expect_used, reason = "a test reports by panicking")]

use core::{fmt::Write as _, time::Duration};
use std::{collections::BTreeSet, fs};

use aya::{maps::loaded_maps, programs::loaded_programs};
use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, describe},
    require, wait,
};
use nix::{sys::signal::Signal, unistd::Pid};

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
const INSTANCE: &str = "VI_1";
/// Advertisements that are waited for: more than a takeover takes.
const SOME: usize = 6;
/// How long wake-ups are counted, in intervals.
const INTERVALS: u64 = 20;

fn config(dialect: Dialect, side: Side) -> String {
    let priority = if side == Side::A { 150 } else { 100 };
    config::instance(dialect, side, priority, "")
}

fn await_held(pair: &Pair, a: usize, b: usize) {
    let holds = || {
        pair.node(Side::A).addresses_held() == [a, 0]
            && pair.node(Side::B).addresses_held() == [b, 0]
    };
    assert!(wait::holds_within(SOON, holds), "not {a} and {b} addresses{}", pair.logs());
}

/// Advertisements of the Master A on the wire since then.
fn adverts_of_a(pair: &Pair, since: Stamp) -> usize {
    pair.heard(INTERFACE, since).iter().filter(|heard| heard.from == Side::A).count()
}

fn await_adverts_of_a(pair: &Pair, since: Stamp, count: usize) {
    let have_come = || adverts_of_a(pair, since) >= count;
    assert!(wait::holds_within(SOON, have_come), "A advertises too little{}", pair.logs());
}

/// What a record says that was decided of `VI_1`, without times.
fn decisions(record: &str) -> Vec<String> {
    let lines = record.lines().filter_map(|line| line.split_once(" -> "));
    let kept = lines.filter(|(_, decision)| {
        ["VI_1 ", "notify ", "noticed ", "rejected "].iter().any(|word| decision.starts_with(word))
    });
    kept.map(|(_, decision)| match decision.split_once(" (heard ") {
        Some((change, _)) => format!("{change} (silence)"),
        None => decision.to_owned(),
    })
    .collect()
}

/// B is alone, gives way to A, takes over when A is killed, gives way again, takes over when A says
/// goodbye. What B decided, how many frames it has heard, and how many of them it has not read.
fn play(dialect: Dialect, words: &[&str]) -> (Vec<String>, u64, u64) {
    let mut pair = Pair::new();
    let record = pair.node(Side::B).etc().join("record").display().to_string();
    let words = [words, &["--record", &record]].concat();
    pair.node_mut(Side::B).start(Program::Daemon, &config(dialect, Side::B), &words);
    await_held(&pair, 0, 2);
    for is_killed in [true, false] {
        let since = Stamp::now();
        pair.node_mut(Side::A).start(Program::Daemon, &config(dialect, Side::A), &[]);
        await_held(&pair, 2, 0);
        await_adverts_of_a(&pair, since, SOME);
        if is_killed {
            pair.node_mut(Side::A).kill();
            await_held(&pair, 2, 2);
        } else {
            let status = pair.node_mut(Side::A).router().stop();
            assert!(status.success(), "{}{}", describe(status), pair.logs());
            await_held(&pair, 0, 2);
        }
    }
    let sent = adverts_of_a(&pair, Stamp::default());
    let status = pair.node_mut(Side::B).router().status();
    let counted = ["adverts_received", "adverts_absorbed"];
    let [received, absorbed] = counted.map(|name| status.statistic(INSTANCE, name));
    assert_eq!(u64::try_from(sent), Ok(received), "read or not, each one counts{}", pair.logs());
    assert_eq!(status.counter(INTERFACE, "absorbed"), absorbed);
    assert_eq!(status.counter(INTERFACE, "accepted"), received);
    let status = pair.node_mut(Side::B).router().stop();
    assert!(status.success(), "{}{}", describe(status), pair.logs());
    let record = fs::read_to_string(record).expect("a record");
    assert_eq!(record.contains(" heard VI_1 x"), absorbed > 0, "{record}");
    (decisions(&record), received, absorbed)
}

fn decide_the_same(dialect: Dialect, modes: &[&[&str]]) {
    if !require::require_daemon() {
        return;
    }
    let mut expected = None;
    for words in modes {
        let (decisions, received, absorbed) = play(dialect, words);
        let expected = expected.get_or_insert_with(|| decisions.clone());
        assert_eq!(decisions, *expected, "{words:?}");
        if words.contains(&"--no-absorb") {
            assert_eq!(absorbed, 0, "{words:?}");
        } else {
            // All but those that brought news: a few for each time that A comes or goes.
            assert!(absorbed * 2 > received, "{words:?}: {absorbed} of {received}");
        }
    }
}

#[test]
fn version_3_decides_the_same_absorbed_or_not() {
    let modes: [&[&str]; 4] =
        [&["--no-absorb"], &[], &["--xdp", "off"], &["--xdp", "off", "--no-absorb"]];
    decide_the_same(Dialect::V3Multicast, &modes);
}

#[test]
fn unicast_peers_decide_the_same_absorbed_or_not() {
    decide_the_same(Dialect::V3Unicast, &[&["--no-absorb"], &[]]);
}

#[test]
fn a_password_s_advertisements_are_absorbed_too() {
    decide_the_same(Dialect::V2PassMulticast, &[&["--no-absorb"], &[]]);
}

/// What is behind an Authentication Header is opened first: its sequence number has to count.
#[test]
fn what_is_behind_an_authentication_header_is_absorbed_when_it_is_opened() {
    decide_the_same(Dialect::V2AhMulticast, &[&["--no-absorb"], &[]]);
}

/// B sleeps while A advertises, for less and for more than it would wait: the kernel has stamped.
#[test]
fn a_pause_of_the_backup_has_no_effect_on_the_wire() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start();
    for missed in [1, 2, 6] {
        let before = absorbed(&mut pair);
        let since = Stamp::now();
        pair.node_mut(Side::B).router().process().signal(Signal::SIGSTOP);
        await_adverts_of_a(&pair, since, missed);
        pair.node_mut(Side::B).router().process().signal(Signal::SIGCONT);
        await_adverts_of_a(&pair, since, missed + SOME);
        let status = pair.node_mut(Side::B).router().status();
        assert_eq!(status.state(INSTANCE), "BACKUP", "{}", pair.logs());
        for name in ["adverts_sent", "became_master", "late"] {
            assert_eq!(status.statistic(INSTANCE, name), 0, "{name}{}", pair.logs());
        }
        assert!(status.statistic(INSTANCE, "adverts_absorbed") > before, "{}", pair.logs());
        let of_b = pair.heard(INTERFACE, Stamp::default());
        assert!(of_b.iter().all(|heard| heard.from == Side::A), "{}", pair.logs());
    }
}

/// A is Master, and B absorbs what it says.
fn start() -> Pair {
    let mut pair = Pair::new();
    for side in Side::BOTH {
        let config = config(Dialect::V3Multicast, side);
        pair.node_mut(side).start(Program::Daemon, &config, &[]);
        await_held(&pair, 2, 0);
    }
    await_absorbed(&mut pair);
    pair
}

fn absorbed(pair: &mut Pair) -> u64 {
    pair.node_mut(Side::B).router().status().statistic(INSTANCE, "adverts_absorbed")
}

/// B has become a Backup, and reads no more than it has to.
fn await_absorbed(pair: &mut Pair) {
    // Before that, the signal that asks for its status would end it.
    let has_started = wait::holds_within(SOON, || pair.node(Side::B).log().contains("BACKUP"));
    assert!(has_started, "B does not start{}", pair.logs());
    assert!(wait::holds_within(SOON, || absorbed(pair) > 0), "{}", pair.logs());
}

/// Numbers of the maps and programs that a process holds, as `/proc` shows them.
fn held_in_kernel(pid: Pid, key: &str) -> BTreeSet<u32> {
    let folder = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("a running process");
    let texts = folder.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let numbers = lines.iter().filter_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    numbers.collect()
}

/// Mapped slots do not outlive their daemon, and the next one absorbs from scratch.
#[test]
fn everything_is_released_when_the_daemon_is_killed() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start();
    let pid = pair.node_mut(Side::B).router().process().pid();
    let (maps, programs) = (held_in_kernel(pid, "map_id:"), held_in_kernel(pid, "prog_id:"));
    assert!(maps.len() > 5 && !programs.is_empty(), "{maps:?} {programs:?}");
    pair.node_mut(Side::B).router().process().kill();
    wait::eventually(SOON, "maps and programs to be gone", || {
        let loaded = |id: u32, all: &BTreeSet<u32>| all.contains(&id);
        !loaded_maps().flatten().any(|map| loaded(map.id(), &maps))
            && !loaded_programs().flatten().any(|program| loaded(program.id(), &programs))
    });
    let links = pair.node(Side::B).namespace().ip(&format!("link show dev {INTERFACE}"));
    assert!(!links.contains("xdp"), "{links}");

    let config = config(Dialect::V3Multicast, Side::B);
    pair.node_mut(Side::B).start(Program::Daemon, &config, &[]);
    let since = Stamp::now();
    await_adverts_of_a(&pair, since, SOME);
    await_absorbed(&mut pair);
    await_held(&pair, 2, 0);
}

/// Virtual routers 1 to `count`. A's priorities spread its advertisements over the interval.
fn many(side: Side, count: u8) -> String {
    let mut text = String::new();
    for vrid in 1..=count {
        let priority = if side == Side::A { 54 + vrid } else { 50 };
        write!(
            text,
            "vrrp_instance VI_{vrid} {{\n interface {INTERFACE}\n virtual_router_id {vrid}\n \
             version 3\n priority {priority}\n advert_int 0.2\n \
             virtual_ipaddress {{\n 203.0.113.{vrid}\n }}\n}}\n"
        )
        .expect("a String takes all");
    }
    text
}

/// How often the engine's thread has gone to sleep.
fn sleeps(pid: Pid) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let is_engine = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "ha-engine")
    };
    let engine = tasks.flatten().find(is_engine).expect("an engine thread");
    let status = fs::read_to_string(engine.path().join("status")).expect("its status");
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.and_then(|count| count.trim().parse().ok()).expect("a number")
}

/// How often a Backup of `count` instances wakes up while VRID 1's Master advertises so often.
fn wake_ups(count: u8, words: &[&str]) -> u64 {
    let mut pair = Pair::new();
    pair.node_mut(Side::A).start(Program::Daemon, &many(Side::A, count), &[]);
    let last = format!("VI_{count}");
    wait::eventually(SOON, "A to start", || pair.node(Side::A).log().contains("BACKUP"));
    let is_master = |pair: &mut Pair| {
        let status = pair.node_mut(Side::A).router().status();
        status.state("VI_1") == "MASTER" && status.state(&last) == "MASTER"
    };
    assert!(wait::holds_within(SOON, || is_master(&mut pair)), "{}", pair.logs());
    pair.node_mut(Side::B).start(Program::Daemon, &many(Side::B, count), words);
    let of_first = |pair: &Pair, since| {
        let heard = pair.heard(INTERFACE, since);
        heard.iter().filter(|heard| heard.from == Side::A && heard.advert.vrid == 1).count()
    };
    let await_first = |pair: &Pair, count| {
        let since = Stamp::now();
        let have_come = || of_first(pair, since) >= count;
        assert!(wait::holds_within(SOON, have_come), "A advertises too little{}", pair.logs());
    };
    wait::eventually(SOON, "B to start", || pair.node(Side::B).log().contains("BACKUP"));
    // The first ones are read.
    await_first(&pair, SOME);
    let pid = pair.node_mut(Side::B).router().process().pid();
    let before = sleeps(pid);
    await_first(&pair, usize::try_from(INTERVALS).expect("few"));
    let wake_ups = sleeps(pid) - before;
    let status = pair.node_mut(Side::B).router().status();
    for vrid in 1..=count {
        let name = format!("VI_{vrid}");
        assert_eq!(status.state(&name), "BACKUP", "{name}{}", pair.logs());
        let received = status.statistic(&name, "adverts_received");
        // Phases differ by an interval at most.
        assert!(received + 1 >= INTERVALS, "{name}: {received}{}", pair.logs());
    }
    wake_ups
}

#[test]
fn wake_ups_do_not_grow_with_the_number_of_instances() {
    if !require::require_daemon() {
        return;
    }
    let one = wake_ups(1, &[]);
    let many = wake_ups(200, &[]);
    let unabsorbed = wake_ups(200, &["--no-absorb"]);
    let found = format!(
        "in {INTERVALS} intervals, 1: {one}, 200: {many}, 200 with --no-absorb: {unabsorbed}"
    );
    // Two in each interval are a few.
    assert!(many <= 3 * one + 2 * INTERVALS, "{found}");
    assert!(many * 5 < unabsorbed, "{found}");
}
