//! The history on disk: a restart goes on with it, also behind a line that was cut, and it stays small.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking, in its helpers too"
)]

use core::time::Duration;
use std::{fmt::Write as _, fs, path::Path};

use ha_tests::{
    alone::Alone,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, Router},
    require,
    service::Service,
    tempdir::TempDir,
    wait,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);
const NODE: Side = Side::A;
/// At this size the file is renamed.
const BYTES_MAX: usize = 1 << 20;

fn start(pair: &mut Pair, file: &Path) {
    let text = config::instance(Dialect::V3Multicast, NODE, 150, "");
    let words = ["--history", file.to_str().expect("our own name")];
    pair.node_mut(NODE).start(Program::Daemon, &text, &words);
}

/// What the daemon remembers.
fn entries(pair: &mut Pair) -> Vec<Value> {
    entries_of(pair.node_mut(NODE).router())
}

fn entries_of(router: &Router) -> Vec<Value> {
    let history: Value =
        serde_json::from_str(&router.order(&["history", "--json"])).unwrap_or_default();
    history["entries"].as_array().cloned().unwrap_or_default()
}

/// The entry of the last change from one state to another one, once it is there.
fn await_move(router: &Router, from: &str, to: &str) -> Value {
    let find = || {
        let is_it = |entry: &Value| entry["from"] == from && entry["to"] == to;
        entries_of(router).into_iter().rev().find(is_it)
    };
    let found = wait::some_within(SOON, find);
    found.unwrap_or_else(|| panic!("no {from} -> {to} in {:#?}", entries_of(router)))
}

fn await_masters(pair: &mut Pair, count: usize) -> Vec<Value> {
    let is_master = |entry: &&Value| entry["to"] == "MASTER" && entry["cause"] == "master_down";
    let holds =
        wait::holds_within(SOON, || entries(pair).iter().filter(is_master).count() == count);
    assert!(holds, "not {count} takeovers in {:#?}\n{}", entries(pair), pair.node(NODE).log());
    entries(pair)
}

#[test]
fn a_restart_goes_on_with_it() {
    if !require::require_daemon() {
        return;
    }
    let (mut pair, directory) = (Pair::new(), TempDir::new("history"));
    let file = directory.path().join("history");
    let path = file.to_str().expect("a path in plain letters");
    start(&mut pair, &file);
    let before = await_masters(&mut pair, 1);
    assert!(pair.node_mut(NODE).router().stop().success());
    let text = directory.read("history");
    assert!(text.contains("\"to\":\"INIT\""), "the stop is not in it: {text}");

    // The power fails in the midst of a line; then it is killed, which has no goodbye either.
    directory.write("history", &format!("{text}{{\"instance\":\"VI_1\",\"fr"));
    start(&mut pair, &file);
    let after = await_masters(&mut pair, 2);
    assert!(after.starts_with(&before), "{after:#?}");
    assert!(after.iter().all(|entry| entry["unix_ms"].is_u64()), "{after:#?}");
    // Where each run began, and where the first one ended.
    let runs = |entries: &[Value]| {
        let of_runs = entries.iter().filter(|entry| entry["run"].is_string());
        let of_runs = of_runs.map(|entry| (entry["run"].clone(), entry["after_kill"].clone()));
        of_runs.collect::<Vec<_>>()
    };
    let [started, ended] = ["started", "ended"].map(Value::from);
    let (in_order, killed) = (Value::from(false), Value::from(true));
    let mut expected = vec![(started.clone(), in_order.clone()), (ended, Value::Null)];
    expected.push((started.clone(), in_order));
    assert_eq!(runs(&after), expected);
    let moments = before.iter().map(|entry| entry["at_nanos"].as_u64());
    assert!(moments.is_sorted(), "{before:#?}");
    let log = pair.node(NODE).log();
    assert!(log.contains("left out what is no entry") && log.contains("1 of its lines"), "{log}");
    // It is written beside everything else, and a kill does not wait for that.
    let written = |count| {
        wait::holds_within(SOON, || {
            directory.read("history").matches("\"to\":\"MASTER\"").count() == count
        })
    };
    assert!(written(2), "{}", directory.read("history"));
    pair.node_mut(NODE).router().process().kill();
    start(&mut pair, &file);
    let again = await_masters(&mut pair, 3);
    expected.push((started, killed));
    assert_eq!(runs(&again), expected);
    let told = pair.node_mut(NODE).router().order(&["history", "VI_1"]);
    assert!(told.contains(", after the last run was killed\n"), "{told}");
    assert!(written(3), "{}", directory.read("history"));
    pair.node_mut(NODE).router().process().kill();
    // Nobody is there to be asked.
    let unasked = pair.node_mut(NODE).router().order(&["history", "VI_1", "--file", path]);
    assert!(unasked.starts_with(&told), "{told} differs from {unasked}");

    // Full, it makes room, and what was in it is still remembered.
    let mut text = directory.read("history");
    let filler = format!("{{\"filler\":\"{}\"}}", "x".repeat(1_000));
    while text.len() < BYTES_MAX {
        writeln!(text, "{filler}").expect("a String takes all");
    }
    directory.write("history", &text);
    start(&mut pair, &file);
    let is_renamed = || directory.path().join("history.old").exists();
    assert!(wait::holds_within(SOON, is_renamed), "{}", pair.node(NODE).log());
    let is_small = || fs::metadata(&file).is_ok_and(|it| (1..64 << 10).contains(&it.len()));
    assert!(wait::holds_within(SOON, is_small), "{}", pair.node(NODE).log());
    let is_kept = || entries(&mut pair).iter().any(|entry| entry["filler"].is_string());
    assert!(wait::holds_within(SOON, is_kept), "the old entries are gone");
}

/// Nothing is told of what did not happen: who was no Master has nothing to send and to set.
#[test]
fn the_evidence_is_of_what_was_done() {
    if !require::require_daemon() {
        return;
    }
    let directory = TempDir::new("evidence");
    let number = directory.write("number", "0\n");
    let file = format!("track_file number {{\n    file {}\n    weight 1\n}}\n", number.display());
    let track = "    track_file {\n        number\n    }\n";
    let config = file + &config::instance(Dialect::V3Multicast, NODE, 100, track);
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    let router = router.router();
    let is_nothing = |entry: &Value| {
        ["late_us", "sent_after_us", "set_after_us"].iter().all(|member| entry[*member].is_null())
    };
    assert!(is_nothing(&await_move(router, "INIT", "BACKUP")));
    let takeover = await_move(router, "BACKUP", "MASTER");
    let steps = ["late_us", "sent_after_us", "set_after_us"];
    assert!(steps.iter().all(|member| takeover[*member].is_u64()), "{takeover:#}");

    directory.write("number", "-254\n");
    let fault = await_move(router, "MASTER", "FAULT");
    assert!(fault["late_us"].is_null() && fault["sent_after_us"].is_u64(), "{fault:#}");
    assert!(fault["set_after_us"].is_u64(), "{fault:#}");
    directory.write("number", "0\n");
    let back = await_move(router, "FAULT", "BACKUP");
    assert!(is_nothing(&back), "{back:#}");
    let told = router.order(&["history"]);
    let of_fault = told.split("MASTER -> FAULT").nth(1).expect("the entry");
    assert!(of_fault.contains("ms and addresses removed "), "{told}");
    let of_back = told.split("FAULT -> BACKUP").nth(1).expect("the entry");
    let of_back = of_back.split("BACKUP -> ").next().unwrap_or_default();
    assert!(!of_back.contains("advertised") && !of_back.contains("after the"), "{told}");
}

/// A process that died and one that was started too often are both down, and are told apart.
#[test]
fn what_a_watcher_knew_is_told_with_what_it_led_to() {
    if !require::require_daemon() {
        return;
    }
    let directory = TempDir::new("trackers");
    let number = directory.write("number", "0\n");
    let file = format!("track_file number {{\n    file {}\n    weight 1\n}}\n", number.display());
    let service = Service::new("/bin/sleep", 'h');
    let block = service.block(0, "max_restarts 1\n    restart_window 600");
    let track =
        "    track_process {\n        svc\n    }\n    track_file {\n        number\n    }\n";
    let config = file + &block + &config::instance(Dialect::V3Multicast, NODE, 100, track);
    let first = service.start(&["600"]);
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    let router = router.router();
    await_move(router, "BACKUP", "MASTER");
    let pid = first.pid();
    first.end();
    let fault = await_move(router, "MASTER", "FAULT");
    let said = format!("pid {pid} has ended, 0 of them, at least 1 needed");
    assert_eq!(fault["reason"], format!("process svc failed: {said}"));
    assert_eq!(fault["trackers"], json!([{ "tracker": "process svc", "said": said }]));

    // Well again, and then started once more than is allowed.
    let second = service.start(&["600"]);
    let is_master = || router.order(&["status"]).contains("MASTER");
    assert!(wait::holds_within(SOON, is_master), "{}", router.log());
    let back = await_move(router, "FAULT", "BACKUP");
    let said = back["trackers"][0]["said"].as_str().unwrap_or_default();
    assert!(said.ends_with("1 of them, at least 1 needed"), "{back:#}");
    let third = service.start(&["600"]);
    let is_told = || router.order(&["history"]).contains("failed: started 2 times within 600 s");
    assert!(wait::holds_within(SOON, is_told), "{}", router.order(&["history"]));
    router.order(&["reset", "VI_1"]);
    assert!(wait::holds_within(SOON, is_master), "{}", router.log());

    directory.write("number", "-254\n");
    let is_told = || router.order(&["history"]).contains("file number says so: its value is -254");
    assert!(wait::holds_within(SOON, is_told), "{}", router.order(&["history"]));
    drop((second, third));
}

/// An order comes before what it leads to, and has the reason of the priorities of all it is about.
#[test]
fn an_order_comes_first_and_a_demotion_is_the_reason_of_the_priority() {
    if !require::require_daemon() {
        return;
    }
    let config = config::instance(Dialect::V3Multicast, NODE, 100, "");
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    let router = router.router();
    await_move(router, "BACKUP", "MASTER");
    router.order(&["demote", "VI_1"]);
    let moved = await_move(router, "MASTER", "BACKUP");
    assert_eq!(moved["priority_reason"], "1: demoted, else 100");
    let order = entries_of(router).into_iter().find(|entry| entry["order"] == "demote");
    let order = order.expect("it is there");
    let at = |entry: &Value| entry["at_nanos"].as_u64().expect("a moment");
    assert!(at(&order) < at(&moved), "{order:#}{moved:#}");
    let log = router.log();
    assert!(log.contains("VI_1: priority 100 -> 1: demoted, else 100"), "{log}");
}

#[test]
fn what_is_waited_for_in_init_is_said() {
    if !require::require_daemon() {
        return;
    }
    let directory = TempDir::new("awaited");
    let fifo = directory.path().join("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a directory of our own");
    // It ends as soon as somebody writes.
    let script = format!(
        "vrrp_script chk {{\n    script \"/bin/cat {}\"\n    interval 600\n    timeout 600\n    user root\n}}\n",
        fifo.display()
    );
    let track = "    track_script {\n        chk\n    }\n";
    let config = script + &config::instance(Dialect::V3Multicast, NODE, 100, track);
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    let router = router.router();
    let words = "why        waiting for the first verdict of script chk";
    let is_told = || router.order(&["status"]).contains(words);
    assert!(wait::holds_within(SOON, is_told), "{}", router.order(&["status"]));
    assert!(!router.order(&["status"]).contains(" INIT   -"), "{}", router.order(&["status"]));
    fs::write(&fifo, "go\n").expect("the script reads");
    await_move(router, "INIT", "BACKUP");
}
