//! `vrrp_track_process` with real processes: what the router's priority says, on the wire.

#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    thread,
};

use ha_tests::{
    alone::Alone,
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, Router, Start},
    require,
    service::{Running, Service},
    tempdir::TempDir,
    wait,
};
use serde_json::{Value, json};

const BASE: u8 = 100;
const SOON: Duration = Duration::from_secs(20);
/// Added while what is tracked is as it is to be.
const WEIGHT: u8 = 50;

/// A sleeping program that runs for longer than any test; `letter` is the test's own.
fn service(letter: char) -> Service {
    Service::new("/bin/sleep", letter)
}

fn run(service: &Service) -> Running {
    service.start(&["600"])
}

/// A configuration with `block` that tracks `svc`.
fn config(block: &str) -> String {
    let track = "    track_process {\n        svc\n    }\n";
    block.to_owned() + &config::instance(Dialect::V3Multicast, Side::A, BASE, track)
}

fn start(block: &str, words: &[&str]) -> Alone {
    Alone::start(Program::Daemon, &config(block), words)
}

/// What the first look finds has not started, as far as restarts are counted.
fn await_tracking(alone: &Alone) {
    wait::eventually(SOON, "processes to be tracked", || alone.log().contains(BY_EBPF));
}

const UP: u8 = BASE + WEIGHT;
const BY_EBPF: &str = "processes are tracked by eBPF";
const BY_LOOKS: &str = "processes are looked at once a second only";

#[test]
fn a_process_is_noticed_when_it_comes_and_when_it_goes() {
    if !require::require_daemon() {
        return;
    }
    // The connector is for the initial network namespace only.
    let sources = [("ebpf", BY_EBPF), ("connector", BY_LOOKS), ("scan", "")];
    for (source, words) in sources {
        let service = service('a');
        let first = run(&service);
        let alone = start(&service.block(WEIGHT, ""), &["--process-events", source]);
        alone.await_priority(UP);
        first.end();
        alone.await_priority(BASE);
        let second = run(&service);
        alone.await_priority(UP);
        let third = run(&service);
        second.end();
        alone.assert_priority_stays(UP);
        third.end();
        alone.await_priority(BASE);
        let log = alone.log();
        assert!(log.contains(words), "{log}");
        assert!(log.contains("process svc fails"), "{log}");
        assert!(log.contains("process svc is well again"), "{log}");
    }
}

#[test]
fn a_reload_keeps_what_is_known_and_judges_it_anew() {
    if !require::require_daemon() {
        return;
    }
    let service = service('r');
    let running = run(&service);
    let mut alone = start(&service.block(WEIGHT, ""), &[]);
    alone.await_priority(UP);
    let since = Stamp::now();
    alone.reload(&config(&service.block(WEIGHT, "fork_delay 3")));
    alone.assert_priority_stays(UP);
    alone.reload(&config(&service.block(WEIGHT, "quorum 2")));
    alone.await_priority(BASE);
    let heard = alone.heard(since);
    assert!(heard.iter().all(|one| one.advert.priority != 0), "no restart{}", alone.log());
    let second = run(&service);
    alone.await_priority(UP);
    drop((running, second));
    alone.await_priority(BASE);
}

/// What a reload adds is looked at before it counts.
#[test]
fn a_process_that_a_reload_adds_counts_from_the_first_moment() {
    if !require::require_daemon() {
        return;
    }
    let service = service('n');
    let running = run(&service);
    let before = config::instance(Dialect::V3Multicast, Side::A, UP, "");
    let mut alone = Alone::start(Program::Daemon, &before, &[]);
    alone.await_priority(UP);
    alone.reload(&config(&service.block(WEIGHT, "")));
    let is_counted = || alone.log().contains("process svc: 1 of them");
    assert!(wait::holds_within(SOON, is_counted), "{}", alone.log());
    alone.assert_priority_stays(UP);
    assert!(!alone.log().contains("VI_1: priority "), "{}", alone.log());
    drop(running);
}

#[test]
fn too_many_starts_are_a_failure_while_the_process_runs() {
    if !require::require_daemon() {
        return;
    }
    let service = service('s');
    // Long enough for slow starts, and short enough to be waited for.
    let block = service.block(WEIGHT, "max_restarts 2\n    restart_window 15");
    let alone = start(&block, &[]);
    alone.await_priority(BASE);
    await_tracking(&alone);
    let mut running = run(&service);
    for _ in 0..2 {
        alone.await_priority(UP);
        running.end();
        alone.await_priority(BASE);
        running = run(&service);
    }
    alone.assert_priority_stays(BASE);
    let log = alone.log();
    assert!(log.contains("started 3 times within 15 s"), "{log}");
    alone.await_priority(UP);
    drop(running);
}

#[test]
fn an_operator_ends_a_storm() {
    if !require::require_daemon() {
        return;
    }
    let service = service('o');
    let mut alone = start(&service.block(WEIGHT, "max_restarts 1"), &[]);
    alone.await_priority(BASE);
    await_tracking(&alone);
    let running = run(&service);
    alone.await_priority(UP);
    running.end();
    let running = run(&service);
    let fails = || alone.log().contains("started 2 times within 600 s");
    assert!(wait::holds_within(SOON, fails), "{}", alone.log());
    let starts = |within: u32, is_storm: bool| {
        json!({ "within_window": within, "max_restarts": 1, "restart_window_s": 600.0,
            "is_storm": is_storm })
    };
    let process = |is_up: bool, starts: Value| {
        json!([{ "name": "svc", "is_up": is_up, "count": 1, "quorum": 1, "quorum_max": null,
            "starts": starts }])
    };
    let told = alone.router().status().told("/processes");
    assert_eq!(told, process(false, starts(2, true)));
    let table = alone.router().order(&["status"]);
    let line = "\nprocess svc                       down   1 of them, 2 of 1 starts in 600 s\n";
    assert!(table.contains(line), "{table}");
    let answer = alone.router().order(&["reset", "VI_1"]);
    assert!(answer.contains("starts are counted anew: process svc"), "{answer}");
    alone.await_priority(UP);
    let told = alone.router().status().told("/processes");
    assert_eq!(told, process(true, starts(0, false)));
    drop(running);
}

#[test]
fn a_quorum_counts_copies_and_parameters_tell_processes_apart() {
    if !require::require_daemon() {
        return;
    }
    let service = Service::new("/bin/sh", 'q');
    // A shell that reads from us never ends, nor does its copy.
    let command = service.path();
    let block = format!(
        "vrrp_track_process svc {{\n    process {} -c \"exec 3<&0; (read x <&3) & read x\"\n    weight {WEIGHT}\n    \
         quorum 2\n    quorum_max 3\n}}\n",
        command.display()
    );
    let alone = start(&block, &["--process-events", "ebpf"]);
    alone.await_priority(BASE);
    let other = service.start(&["-c", "read x"]);
    alone.assert_priority_stays(BASE);
    let first = service.start(&["-c", "exec 3<&0; (read x <&3) & read x"]);
    alone.await_priority(UP);
    // Two more are too many.
    let second = service.start(&["-c", "exec 3<&0; (read x <&3) & read x"]);
    alone.await_priority(BASE);
    second.end();
    alone.await_priority(UP);
    first.end();
    alone.await_priority(BASE);
    other.end();
}

/// The priority that `program` has by what it finds of `service`, run with `words`: each way to match adds
/// another weight.
fn matched(program: Program, service: &Service, words: &[&str]) -> u8 {
    let path = service.path();
    let (name, path) = (service.name(), path.display());
    let ways = [
        format!("process {path} 600"),
        format!("process {path} 60\n    param_match initial"),
        format!("process {path} 600\n    param_match partial"),
        format!("process {path}\n    param_match initial"),
        format!("process {name} 600"),
        format!("process {path}\n    full_command"),
        format!("process {name}"),
    ];
    let weights = (0..).map(|shift| 1_u8 << shift);
    let block = |(number, (way, weight)): (usize, (&String, u8))| {
        format!("vrrp_track_process w{number} {{\n    {way}\n    weight {weight}\n}}\n")
    };
    let blocks: String = ways.iter().zip(weights).enumerate().map(block).collect();
    let tracks: Vec<String> =
        (0..ways.len()).map(|number| format!("        w{number}\n")).collect();
    let tracks = format!("    track_process {{\n{}    }}\n", tracks.concat());
    let config = blocks + &config::instance(Dialect::V3Multicast, Side::A, BASE, &tracks);
    let running = service.start(words);
    let pair = Pair::new();
    let since = Stamp::now();
    let namespace = pair.node(Side::A).namespace();
    let router = Router::start_told_of_processes(program, namespace, &config, &Start::default());
    let said = || pair.heard("bond0", since).last().map(|heard| heard.advert.priority);
    let priority = wait::some_within(SOON, said);
    drop(running);
    assert!(priority.is_some(), "{program:?} does not advertise: {}", router.log());
    priority.unwrap_or_default()
}

/// `process NAME PARAMETERS`, `param_match`, `full_command`.
#[test]
fn processes_are_told_apart_as_by_keepalived() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let service = service('m');
    let mut all = Vec::new();
    for words in ["600", "600 1", "6000"] {
        let words: Vec<&str> = words.split(' ').collect();
        let words = words.as_slice();
        let ours = matched(Program::Daemon, &service, words);
        assert_eq!(ours, matched(Program::Keepalived, &service, words), "{words:?}");
        assert!(ours > BASE, "{words:?}: nothing matches");
        all.push(ours);
    }
    assert!(all.is_sorted_by(|one, other| one != other), "{all:?}");
}

/// What one router told of processes that end and come back, and by which means.
#[derive(Debug, Eq, PartialEq)]
struct Told {
    scripts: Vec<String>,
    fifo: Vec<String>,
    /// Each priority on the wire that differs from the one before.
    wire: Vec<u8>,
}

/// A process whose end is Fault, and a quorum of two of another one that moves the priority.
fn tell(program: Program) -> Told {
    let [sole, many] = ['v', 'w'].map(service);
    let directory = TempDir::new("told");
    let [fifo, told] = ["fifo", "told"].map(|name| directory.path().join(name));
    let script = format!("#!/bin/sh\necho \"$*\" >>{}\n", told.display());
    let script = directory.write("tell.sh", &script);
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("our own file");
    let config = format!(
        "global_defs {{\n    script_user root\n    vrrp_notify_fifo {}\n}}\n{}\
         vrrp_track_process many {{\n    process {}\n    quorum 2\n    weight {WEIGHT}\n}}\n{}",
        fifo.display(),
        sole.block(WEIGHT, "").replace(&format!("weight {WEIGHT}"), ""),
        many.name(),
        config::instance(
            Dialect::V3Multicast,
            Side::A,
            BASE,
            &format!(
                "    track_process {{\n        svc\n        many\n    }}\n    notify_priority_changes\n    \
                 notify_fault \"{0} fault 'a b'\"\n    notify {0}\n",
                script.display()
            ),
        )
    );
    let pair = Pair::new();
    let since = Stamp::now();
    // They count from the very beginning.
    let [mut one, first, second] = [run(&sole), run(&many), run(&many)];
    let namespace = pair.node(Side::A).namespace();
    let mut router =
        Router::start_told_of_processes(program, namespace, &config, &Start::default());
    // keepalived has not made it before it reads its configuration.
    assert!(wait::holds_within(SOON, || fifo.exists()), "{}", router.log());
    let path = fifo.clone();
    let read = thread::spawn(move || fs::read_to_string(path).expect("the FIFO"));
    let wire = || {
        let mut wire: Vec<u8> =
            pair.heard("bond0", since).iter().map(|heard| heard.advert.priority).collect();
        wire.dedup();
        wire
    };
    let await_wire = |expected: &[u8], router: &Router| {
        let comes = wait::holds_within(SOON, || wire() == expected);
        assert!(comes, "{program:?}: {:?}, not {expected:?}{}", wire(), router.log());
    };
    await_wire(&[UP], &router);
    // One is not enough.
    second.end();
    await_wire(&[UP, BASE], &router);
    let second = run(&many);
    await_wire(&[UP, BASE, UP], &router);
    one.kill();
    await_wire(&[UP, BASE, UP, 0], &router);
    let one = run(&sole);
    await_wire(&[UP, BASE, UP, 0, UP], &router);
    router.stop();
    drop((one, first, second));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let fifo = lines(&read.join().expect("the FIFO is read"));
    let mut scripts = lines(&directory.read("told"));
    if program == Program::Keepalived {
        // Its scripts run beside each other, and it does not wait for the last ones.
        let all = || lines(&directory.read("told")).len() >= 7;
        assert!(wait::holds_within(SOON, all), "{:?}{}", directory.read("told"), router.log());
        scripts = lines(&directory.read("told"));
    }
    Told { scripts, fifo, wire: wire() }
}

#[test]
fn of_processes_the_same_is_told_as_by_keepalived() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let ours = tell(Program::Daemon);
    let instance = |state: &str, priority: u8| format!("INSTANCE VI_1 {state} {priority}");
    let expected = [
        instance("BACKUP", UP),
        instance("MASTER", UP),
        "fault a b".to_owned(),
        instance("FAULT", UP),
        instance("BACKUP", UP),
        instance("MASTER", UP),
        instance("STOP", UP),
    ];
    assert_eq!(ours.scripts, expected);
    let mut theirs = tell(Program::Keepalived);
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    theirs.scripts = sorted(theirs.scripts);
    assert_eq!(Told { scripts: sorted(ours.scripts.clone()), ..ours }, theirs);
}
