//! The control socket: asked and told what to do, by whom, and harmless whatever comes by it.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::PathBuf,
    process::{Command, Output},
};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, Router},
    require,
    tempdir::TempDir,
    wait,
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);
/// `nobody` and `nogroup` of Debian.
const NOBODY: u32 = 65_534;
/// More than may be connected at a time.
const MANY: usize = 40;

/// What somebody types, as root.
fn ha(router: &Router, words: &[&str]) -> Output {
    command(router, words).output().expect("the binary under test")
}

/// The same as another user, with one group.
fn ha_as(router: &Router, group: u32, words: &[&str]) -> Output {
    command(router, words).uid(NOBODY).gid(group).output().expect("the binary under test")
}

fn command(router: &Router, words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("HA_BINARY").expect("HA_BINARY"));
    command.args(words).arg("--socket").arg(socket(router));
    command
}

fn socket(router: &Router) -> PathBuf {
    router.directory().path().join("control.sock")
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

fn done(router: &Router, words: &[&str]) -> String {
    let output = ha(router, words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    said(&output)
}

fn refused(output: &Output, word: &str) {
    let text = said(output);
    assert!(!output.status.success() && text.contains(word), "no `{word}` in: {text}");
}

fn status(router: &Router) -> Value {
    serde_json::from_str(&done(router, &["status", "--json"])).expect("one line of JSON")
}

fn state(router: &Router) -> String {
    let status = status(router);
    let state = status.pointer("/instances/0/state").and_then(Value::as_str);
    state.unwrap_or_default().to_owned()
}

fn await_state(router: &Router, word: &str) {
    let comes = wait::holds_within(SOON, || state(router) == word);
    assert!(comes, "not {word}: {}", router.log());
}

/// Sends bytes, and gives back what is answered until the end.
fn exchange(router: &Router, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket(router)).expect("the control socket");
    // Who is sent away does not read on.
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8(answer).expect("text")
}

fn start(pair: &mut Pair, side: Side, priority: u8) {
    let text = config::instance(Dialect::V3Multicast, side, priority, "");
    pair.node_mut(side).start(Program::Daemon, &text, &["--control-group", "nogroup"]);
    let router = pair.node_mut(side).router();
    let runs = wait::holds_within(SOON, || router.log().contains("engine thread"));
    assert!(runs, "{}", router.log());
}

/// A planned switch-over, there and back, which a restart does not forget.
fn switches_over(pair: &mut Pair) {
    let text = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    let since = Stamp::now();
    assert!(done(pair.node_mut(Side::A).router(), &["demote", "VI_1"]).contains("BACKUP now"));
    await_state(pair.node_mut(Side::B).router(), "MASTER");
    let is_told = || pair.heard("bond0", since).iter().any(|one| one.advert.priority == 0);
    assert!(wait::holds_within(SOON, is_told), "no priority 0 on the wire");
    pair.node_mut(Side::A).restart(&text);
    let router = pair.node_mut(Side::A).router();
    let runs = wait::holds_within(SOON, || ha(router, &["status"]).status.success());
    assert!(runs, "{}", router.log());
    await_state(router, "BACKUP");
    assert!(done(router, &["status", "VI_1"]).contains("1: demoted, else 150"));
    let hears = || {
        let status = status(router);
        status.pointer("/instances/0/master/priority").and_then(Value::as_u64) == Some(100)
    };
    assert!(wait::holds_within(SOON, hears), "{}", router.log());
    assert!(done(router, &["promote", "VI_1"]).contains("MASTER now"));
    assert!(done(router, &["announce", "VI_1"]).contains("announced"));
    let told = done(router, &["history"]);
    assert!(
        told.contains("promote, ordered by uid 0") && told.contains("BACKUP -> MASTER"),
        "{told}"
    );
    let router = pair.node_mut(Side::B).router();
    await_state(router, "BACKUP");
    assert!(done(router, &["promote", "VI_1"]).contains("with priority 150"));
}

#[test]
fn a_pair_is_asked_by_who_may_and_bad_requests_are_answered() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = Pair::new();
    start(&mut pair, Side::A, 150);
    await_state(pair.node_mut(Side::A).router(), "MASTER");
    start(&mut pair, Side::B, 100);
    let router = pair.node_mut(Side::B).router();
    await_state(router, "BACKUP");
    let hears = || status(router)["instances"][0]["master"]["address"] == "198.51.100.10";
    assert!(wait::holds_within(SOON, hears), "{}", router.log());

    let table = done(router, &["status"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("VI_1") && table.contains("198.51.100.10"), "{table}");
    assert!(done(router, &["status", "VI_1"]).contains("why"));
    refused(&ha(router, &["status", "VI_2"]), "it has VI_1");

    // The group's members read; others do not even connect.
    assert!(ha_as(router, NOBODY, &["status"]).status.success());
    refused(&ha_as(router, 1, &["status"]), "only root");

    assert!(exchange(router, b"\n").contains("error"));
    assert!(exchange(router, b"{\"version\":1,\"request\":\"dance\"}\n").contains("dance"));
    assert!(exchange(router, "[".repeat(100_000).as_bytes()).contains("4096 bytes"));
    // One connection, several requests; the last one is not whole.
    let line = "{\"version\":1,\"request\":\"status\"}\n";
    let answers = exchange(router, format!("{line}{line}{{").as_bytes());
    assert_eq!(answers.matches("\"status\":").count(), 2, "{answers}");

    // All are held open: the late ones are told so, and when they have gone it goes on.
    let held: Vec<_> = (0..MANY).map_while(|_| UnixStream::connect(socket(router)).ok()).collect();
    let is_full =
        wait::holds_within(SOON, || exchange(router, line.as_bytes()).contains("too many"));
    assert!(is_full, "{} are connected", held.len());
    drop(held);
    let goes_on = || ha(router, &["status"]).status.success();
    assert!(wait::holds_within(SOON, goes_on), "{}", router.log());
    assert_eq!(state(router), "BACKUP");

    // A reader orders nothing.
    refused(&ha_as(router, NOBODY, &["demote", "VI_1"]), "only root");
    refused(&ha(router, &["announce", "VI_1"]), "VI_1 is BACKUP");
    refused(&ha(router, &["demote", "VI_2"]), "no instance and no sync group");
    refused(&ha(router, &["demote", "VI\n2", "--until-restart"]), "`VI\\n2` is no instance");
    let log = router.log();
    for line in [
        "control: demote VI_1, ordered by uid 65534, process ",
        "control: announce VI_1, ordered by uid 0, process ",
        "control: demote VI_2, ordered by uid 0, process ",
        "control: demote VI\\n2 --until-restart, ordered by uid 0, process ",
    ] {
        let line = log.lines().find(|one| one.contains(line)).unwrap_or_default();
        assert!(line.contains(": refused: "), "{line}\n{log}");
    }
    assert!(done(router, &["reset", "VI_1"]).contains("BACKUP now"));
    assert!(done(router, &["reload"]).contains("read again"));
    let text = router.directory().read("keepalived.conf");
    router.directory().write("keepalived.conf", &text.replace("priority 100", "priority high"));
    refused(&ha(router, &["reload"]), "1 error(s), so nothing is run of it; the first is ");
    router.directory().write("keepalived.conf", &text);

    switches_over(&mut pair);

    assert!(pair.node_mut(Side::A).router().stop().success());
    let router = pair.node_mut(Side::B).router();
    await_state(router, "MASTER");
    let told = done(router, &["history", "VI_1"]);
    for words in ["BACKUP -> MASTER, priority 100", "priority 0", "last Master: 198.51.100.10"] {
        assert!(told.contains(words), "no `{words}` in: {told}");
    }
    let entries: Value = serde_json::from_str(&done(router, &["history", "--json"])).expect("JSON");
    let last = entries["entries"].as_array().and_then(|all| all.last()).expect("an entry");
    assert_eq!(last["cause"], "master_stopped");
    assert!(last["late_us"].is_u64() && last["set_after_us"].is_u64(), "{last}");

    let path = socket(router);
    assert!(router.stop().success());
    assert!(!path.exists(), "the socket is left");
}

/// Each start has a run directory of its own, as after a stop of the service or a restart of the host.
#[test]
fn a_demotion_outlives_the_run_directory() {
    if !require::require_daemon() {
        return;
    }
    let (mut pair, state) = (Pair::new(), TempDir::new("state"));
    let text = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    // As systemd says it.
    let variable = format!("STATE_DIRECTORY={}", state.path().display());
    let start = |pair: &mut Pair| {
        pair.node_mut(Side::A).start_under(&["env", &variable], Program::Daemon, &text, &[]);
        let router = pair.node_mut(Side::A).router();
        let runs = wait::holds_within(SOON, || ha(router, &["status"]).status.success());
        assert!(runs, "{}", router.log());
    };
    let priority = |pair: &mut Pair| done(pair.node_mut(Side::A).router(), &["status", "VI_1"]);
    start(&mut pair);
    let said = done(pair.node_mut(Side::A).router(), &["demote", "VI_1"]);
    assert!(said.contains("also over a restart of the host"), "{said}");
    assert!(pair.node_mut(Side::A).router().stop().success());
    start(&mut pair);
    assert!(priority(&mut pair).contains("1: demoted, else 150"));
    let log = pair.node(Side::A).log();
    assert!(log.contains("demoted since before this start, until promote: VI_1"), "{log}");
    pair.node_mut(Side::A).router().process().kill();
    start(&mut pair);
    assert!(priority(&mut pair).contains("1: demoted, else 150"));

    done(pair.node_mut(Side::A).router(), &["promote", "VI_1"]);
    let said = done(pair.node_mut(Side::A).router(), &["demote", "VI_1", "--until-restart"]);
    assert!(said.contains("until promote or the end of this daemon"), "{said}");
    assert!(pair.node_mut(Side::A).router().stop().success());
    start(&mut pair);
    assert!(!priority(&mut pair).contains("demoted"));

    // What cannot be written down is carried out, and no more is promised.
    fs::create_dir(state.path().join("demoted.list")).expect("the name is free");
    let said = done(pair.node_mut(Side::A).router(), &["demote", "VI_1"]);
    assert!(said.contains("demoted, BACKUP now; a restart will not know of it"), "{said}");
}
