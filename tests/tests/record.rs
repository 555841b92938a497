//! A record of a running pair: it is decided again as it was decided then, reloads included.
#![expect(clippy::expect_used, reason = "a test reports by panicking")]

use core::time::Duration;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use ha_tests::{
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, describe},
    require,
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
/// What the wire shows of the pair's password: its first eight bytes.
const PASSWORD: &[u8] = b"33763994";

fn await_held(pair: &Pair, a: usize, b: usize) {
    let holds = || {
        pair.node(Side::A).addresses_held() == [a, 0]
            && pair.node(Side::B).addresses_held() == [b, 0]
    };
    assert!(wait::holds_within(SOON, holds), "not {a} and {b} addresses{}", pair.logs());
}

fn replay(words: &[&str], file: &Path) -> Output {
    let binary = std::env::var_os("HA_BINARY").expect("required by the caller");
    Command::new(binary).arg("replay").args(words).arg(file).output().expect("the daemon's binary")
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("UTF-8")
}

/// Each change of state of `VI_1`, `FROM -> TO`, in lines where it stands behind `before`.
fn transitions(text: &str, before: &str) -> Vec<String> {
    let change = |line: &str| {
        let (_, rest) = line.split_once(before)?;
        let words: Vec<&str> = rest.split_whitespace().take(3).collect();
        let is_change = matches!(words.as_slice(), [_, "->", _]);
        is_change.then(|| words.join(" ").trim_end_matches(':').to_owned())
    };
    text.lines().filter_map(change).collect()
}

#[test]
fn what_a_pair_decided_is_decided_again() {
    if !require::require_daemon() {
        return;
    }
    let directory = TempDir::new("records");
    let files = Side::BOTH.map(|side| directory.path().join(format!("{side:?}")));
    let mut pair = Pair::new();
    for (side, file) in Side::BOTH.into_iter().zip(&files) {
        let priority = if side == Side::A { 150 } else { 100 };
        let config = config::instance(Dialect::V2PassMulticast, side, priority, "");
        let file = file.display().to_string();
        pair.node_mut(side).start(Program::Daemon, &config, &["--record", &file]);
        // Before B starts: on a busy host it might be the first.
        await_held(&pair, 2, 0);
    }
    pair.isolate(Side::A, INTERFACE);
    await_held(&pair, 2, 2);
    pair.rejoin(Side::A, INTERFACE);
    await_held(&pair, 2, 0);
    for (side, last) in [(Side::A, 2), (Side::B, 0)] {
        let status = pair.node_mut(side).router().stop();
        assert!(status.success(), "{}{}", describe(status), pair.logs());
        await_held(&pair, 0, last);
    }

    let expected = [
        ["INIT -> BACKUP", "BACKUP -> MASTER", "MASTER -> INIT"].as_slice(),
        &[
            "INIT -> BACKUP",
            "BACKUP -> MASTER",
            "MASTER -> BACKUP",
            "BACKUP -> MASTER",
            "MASTER -> INIT",
        ],
    ];
    let hex = PASSWORD.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    for ((side, file), expected) in Side::BOTH.into_iter().zip(&files).zip(expected) {
        let record = fs::read_to_string(file).expect("a record");
        assert_eq!(transitions(&record, "-> VI_1 "), expected, "{record}");
        assert_eq!(transitions(&pair.node(side).log(), " VI_1: "), expected, "{}", pair.logs());
        assert!(record.contains(" due"), "{record}");
        // B may yield before A hears it.
        assert!(side == Side::A || record.contains(" frame VI_1 from "), "{record}");
        assert!(!record.contains(&hex), "the password is in the record");
        let mode = fs::metadata(file).expect("a record").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let again = replay(&[], file);
        assert_eq!(text(&again.stderr), "");
        assert_eq!(text(&again.stdout), record);
        assert!(again.status.success(), "{}", describe(again.status));
        let decisions = replay(&["--decisions"], file);
        assert_eq!(transitions(text(&decisions.stdout), "-> VI_1 "), expected);
        assert!(!text(&decisions.stdout).contains(" frame "));
    }
    differs_where_it_was_changed(&directory, &files[1]);
}

/// What A reads: `VI_1` with `priority`, and another virtual router by the name `other`.
fn two(priority: u8, other: &str, vrid: u8) -> String {
    let first = config::instance(Dialect::V3Multicast, Side::A, priority, "");
    let second = config::instance(Dialect::V3Multicast, Side::A, 150, "")
        .replace("VI_1", other)
        .replace("virtual_router_id 133", &format!("virtual_router_id {vrid}"))
        .replace("198.51.100.", "203.0.113.");
    first + &second
}

/// Has A read `text`, and waits until its log says `word`.
fn reload(pair: &mut Pair, text: &str, word: &str) {
    let router = pair.node_mut(Side::A).router();
    router.directory().write("keepalived.conf", text);
    router.process().signal(Signal::SIGHUP);
    let is_done = || pair.node(Side::A).log().contains(word);
    assert!(wait::holds_within(SOON, is_done), "no `{word}`{}", pair.logs());
}

#[test]
fn reloads_are_decided_again() {
    if !require::require_daemon() {
        return;
    }
    let directory = TempDir::new("record");
    let file = directory.path().join("record");
    let mut pair = Pair::new();
    let words = ["--record", &file.display().to_string()];
    pair.node_mut(Side::A).start(Program::Daemon, &two(150, "VI_2", 7), &words);
    await_held(&pair, 2, 0);
    let await_other = |pair: &mut Pair, name: &str| {
        let router = pair.node_mut(Side::A).router();
        let is_master = wait::holds_within(SOON, || router.status().state(name) == "MASTER");
        assert!(is_master, "{name}{}", pair.logs());
    };
    await_other(&mut pair, "VI_2");
    let config = config::instance(Dialect::V3Multicast, Side::B, 100, "");
    pair.node_mut(Side::B).start(Program::Daemon, &config, &[]);

    // Worse than B; one is gone, another one comes.
    reload(&mut pair, &two(50, "VI_3", 8), "new: VI_3; gone: VI_2; 1 go on");
    await_held(&pair, 0, 2);
    await_other(&mut pair, "VI_3");
    // The number of the one that was gone is used again.
    reload(&mut pair, &two(150, "VI_4", 9), "new: VI_4; gone: VI_3; 1 go on");
    await_held(&pair, 2, 0);
    await_other(&mut pair, "VI_4");
    // What cannot be read is no reload.
    reload(&mut pair, "vrrp_instance VI_1 {\n", "the running configuration stays");
    let status = pair.node_mut(Side::A).router().stop();
    assert!(status.success(), "{}{}", describe(status), pair.logs());

    let record = fs::read_to_string(&file).expect("a record");
    for (line, count) in [("\nnext\n", 2), (" stop_for\n", 2), (" reload\n", 2), (" lost ", 0)] {
        assert_eq!(record.matches(line).count(), count, "{line:?} in {record}");
    }
    let again = replay(&[], &file);
    assert_eq!(text(&again.stderr), "");
    assert_eq!(text(&again.stdout), record);
    assert!(again.status.success(), "{}", describe(again.status));
    let decisions = replay(&["--decisions"], &file);
    let decisions = text(&decisions.stdout);
    let takeover = ["INIT -> BACKUP", "BACKUP -> MASTER"];
    let expected = [&takeover[..], &["MASTER -> BACKUP", "BACKUP -> MASTER", "MASTER -> INIT"]];
    assert_eq!(transitions(decisions, "-> VI_1 "), expected.concat(), "{record}");
    let expected = [&takeover[..], &["MASTER -> INIT"]].concat();
    for other in ["VI_2", "VI_3", "VI_4"] {
        assert_eq!(transitions(decisions, &format!("-> {other} ")), expected, "{record}");
    }
    // A record without its reloads is decided otherwise.
    let without = record.replace(" reload\n", " end\n");
    let changed = directory.write("without", &without);
    assert_eq!(replay(&[], &changed).status.code(), Some(4));
}

/// A decision that is not the engine's, and a line that is nothing.
fn differs_where_it_was_changed(directory: &TempDir, file: &Path) {
    let record = fs::read_to_string(file).expect("a record");
    let (before, after) = record.split_once("VI_1 BACKUP -> MASTER").expect("a takeover");
    let line = before.lines().count();
    let changed = directory.write("changed", &format!("{before}VI_1 BACKUP -> FAULT{after}"));
    let output = replay(&[], &changed);
    assert_eq!(text(&output.stdout), record);
    let place = format!("{}:{line}: ", changed.display());
    assert!(text(&output.stderr).starts_with(&place), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(4));

    let broken = directory.write("broken", &format!("{record}1 end\n"));
    let output = replay(&[], &broken);
    let expected = format!(
        "{}:{}: expected a time like 1s or 609.375ms, found `1`\n",
        broken.display(),
        record.lines().count() + 1
    );
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(output.status.code(), Some(4));
}
