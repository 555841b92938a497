//! The history on disk: a restart goes on with it, also behind a line that was cut, and it stays small.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking, in its helpers too"
)]

use core::time::Duration;
use std::{env, fmt::Write as _, fs, path::Path, process::Command};

use ha_tests::{
    config::{self, Dialect},
    pair::{Pair, Side},
    process::Program,
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
    let socket = pair.node_mut(NODE).router().directory().path().join("control.sock");
    let mut command = Command::new(env::var_os("HA_BINARY").expect("HA_BINARY"));
    let output = command.args(["history", "--json", "--socket"]).arg(socket).output();
    let output = output.expect("the binary under test");
    let history: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    history["entries"].as_array().cloned().unwrap_or_default()
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
