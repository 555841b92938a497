//! Several daemons on a host: `net_namespace` and `instance` tell them apart.

use core::time::Duration;
use std::process::Command;

use ha_tests::{
    config::{self, Dialect},
    pair::{Pair, SEGMENTS, Side},
    process::{Process, Program, Router, Start, describe},
    require,
    sandbox::{Sandbox, drain},
    status::Status,
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(30);
const NODE: Side = Side::A;

/// `VI_1` on the first segment, or `VI_2` on the second, behind `head`.
fn config(head: &str, second: bool) -> String {
    let text = config::instance(Dialect::V3Multicast, NODE, 150, "");
    let [first, other] = SEGMENTS;
    let text = if second {
        text.replace("VI_1", "VI_2")
            .replace(first.interface, other.interface)
            .replace("198.51.100.", "192.0.2.")
    } else {
        text
    };
    format!("{head}\n{text}")
}

fn await_addresses(pair: &Pair, expected: [usize; 2], log: impl FnOnce() -> String) {
    let holds = wait::holds_within(SOON, || pair.node(NODE).addresses_held() == expected);
    assert!(holds, "not {expected:?}:\n{}", log());
}

fn await_text(log: impl Fn() -> String, text: &str) {
    assert!(wait::holds_within(SOON, || log().contains(text)), "no `{text}`:\n{}", log());
}

fn stop(mut daemon: Process) {
    let status = daemon.stop();
    assert!(status.success(), "{}:\n{}", describe(status), daemon.log());
}

#[test]
fn daemons_in_one_namespace_have_files_of_their_own() {
    if !require::require_daemon() {
        return;
    }
    let (pair, shared) = (Pair::new(), TempDir::new("beside"));
    let run_dir = shared.path().display().to_string();
    let start = |name: &str, second| {
        let text = config(&format!("instance {name}"), second);
        let start = Start { words: &["--run-dir", &run_dir], ..Start::default() };
        Router::start_with(Program::Daemon, pair.node(NODE).namespace(), &text, &start)
    };
    let (mut one, mut two) = (start("one", false), start("two", true));
    await_addresses(&pair, [2, 2], || one.log() + &two.log());
    for (router, name, instance) in [(&mut one, "one", "VI_1"), (&mut two, "two", "VI_2")] {
        let pid = shared.read(&format!("ha-userspace_{name}.pid"));
        assert_eq!(pid, format!("{}\n", router.process().pid()));
        router.process().signal(Signal::SIGUSR1);
        let file = format!("status_{name}.json");
        let status = wait::some_within(SOON, || Status::parse(&shared.read(&file)));
        let status = status.unwrap_or_else(|| panic!("no {file}:\n{}", router.log()));
        assert_eq!(status.state(instance), "MASTER");
    }
    // The end of the one is nothing to the other.
    assert!(one.stop().success(), "{}", one.log());
    await_addresses(&pair, [0, 2], || two.log());
    assert!(!shared.path().join("ha-userspace_one.pid").exists());
    assert_eq!(shared.read("ha-userspace_two.pid"), format!("{}\n", two.process().pid()));
    assert!(two.stop().success(), "{}", two.log());
}

#[test]
fn the_configuration_s_namespace_and_names_hold_from_start_to_end() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let syslog = sandbox.listen(pair.client());
    let namespace = pair.node(NODE).namespace().name();
    let head = format!("net_namespace {namespace}\ninstance one");
    // There are interfaces of these names where it is started, too.
    let daemon = sandbox.start(pair.client(), &config(&head, false), &["-S", "0"], "");
    await_addresses(&pair, [2, 0], || drain(&syslog).concat());
    assert!(!pair.client().has_address("bond0", "198.51.100.13"));
    let pid = daemon.pid();
    assert_eq!(
        sandbox.directory().read(&format!("run/{namespace}/ha-userspace_one.pid")),
        format!("{pid}\n")
    );

    let mut messages = drain(&syslog).concat();
    for (head, keyword) in [
        (format!("net_namespace {namespace}\ninstance two"), "`instance`"),
        ("net_namespace nosuch\ninstance one".to_owned(), "`net_namespace`"),
        ("instance one".to_owned(), "`net_namespace`"),
    ] {
        sandbox.directory().write("keepalived.conf", &config(&head, false));
        let mut daemon_signal = Command::new("kill");
        let sent = daemon_signal.args(["-HUP", &pid.to_string()]).status().expect("kill");
        assert!(sent.success());
        let expected = format!("the running configuration stays: {keyword} cannot change");
        let mut new = String::new();
        let is_refused = wait::holds_within(SOON, || {
            new += &drain(&syslog).concat();
            new.contains(&expected)
        });
        assert!(is_refused, "no `{expected}`:\n{new}");
        messages += &new;
    }
    await_addresses(&pair, [2, 0], || messages.clone());
    let ident = format!("ha-userspace_{namespace}_one[{pid}]: ");
    assert!(messages.contains(&ident), "no {ident}:\n{messages}");
    stop(daemon);
    await_addresses(&pair, [0, 0], || messages);
}

#[test]
fn the_command_line_s_namespace_comes_first() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let namespace = pair.node(NODE).namespace().name();
    let text = config("net_namespace nosuch", false);
    let daemon = sandbox.start(pair.client(), &text, &["-s", namespace], "");
    await_addresses(&pair, [2, 0], || daemon.log());
    await_text(|| daemon.log(), "`net_namespace nosuch` does not count");
    stop(daemon);
}

#[test]
fn a_namespace_that_is_missing_is_said_by_a_start_and_not_by_a_check() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let text = config("net_namespace nosuch", false);
    let mut daemon = sandbox.start(pair.node(NODE).namespace(), &text, &[], "");
    assert!(!daemon.wait(SOON).success(), "{}", daemon.log());
    let sentence = "cannot run in the network namespace nosuch";
    assert!(daemon.log().contains(sentence), "{}", daemon.log());
    let file = sandbox.directory().path().join("keepalived.conf").display().to_string();
    let binary = std::env::var("HA_BINARY").expect("required above");
    for program in ["keepalived", &binary] {
        let output = pair.node(NODE).namespace().output_of(program, &["-t", "-f", &file]);
        assert!(output.is_ok(), "{program}: {output:?}");
    }
}
