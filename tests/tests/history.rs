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
    tempdir::TempDir,
    wait,
};
use serde_json::Value;

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
    let log = pair.node(NODE).log();
    assert!(log.contains("left out what is no entry") && log.contains("1 of its lines"), "{log}");
    pair.node_mut(NODE).router().process().kill();

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
