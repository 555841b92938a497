//! The JSON for exporters beside that of a real keepalived: the same keys, types, and values, of the same
//! configuration in the same scene.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, process::Command};

use ha_tests::{
    alone::Alone,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Process, Program},
    require,
    sandbox::Sandbox,
    wait,
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);
/// That of the configuration.
const PASSWORD: &str = "33763994";
/// What exporters read where the two may differ, because it is a moment or a number of adverts.
const MOVING: [&str; 2] = ["last_transition", "advert_sent"];
/// Of these keepalived's words are its own; that they are there is compared.
const WORDS: [&str; 2] = ["vroutes", "vrules"];

fn router_config(side: Side) -> String {
    let more = "    virtual_ipaddress_excluded {\n        203.0.113.9/32\n        203.0.113.8/28 brd 203.0.113.15\n    }\n    \
        virtual_routes {\n        203.0.113.128/25 dev bond0\n    }\n    \
        virtual_rules {\n        from 203.0.113.9 lookup 100 priority 7000\n    }\n    \
        track_interface {\n        eth2\n    }\n    track_script {\n        chk\n    }\n    \
        notify_master \"/usr/bin/true m\"\n    notify \"/usr/bin/true\"\n    smtp_alert\n    preempt_delay 3\n    \
        garp_master_delay 2\n    garp_master_refresh 60\n    garp_lower_prio_repeat 3\n";
    let script =
        "vrrp_script chk {\n    script \"/usr/bin/true\"\n    interval 1\n    weight -5\n}\n";
    let head = "global_defs {\n    notification_email {\n        a@example.org\n    }\n    \
        smtp_server 127.0.0.1\n    enable_script_security\n    script_user root\n}\n";
    format!("{head}{script}{}", config::instance(Dialect::V2PassMulticast, side, 150, more))
}

/// keepalived where its `/tmp` is ours.
fn start_keepalived(pair: &Pair, sandbox: &Sandbox, config: &str) -> Process {
    let file = sandbox.directory().write("keepalived.conf", config);
    let tmp = sandbox.directory().path().join("tmp");
    let enter = "mount --bind \"$0\" /tmp; exec \"$@\"";
    // What is laid over /tmp may hide the directory itself.
    let text = fs::read(&file).expect("our own file");
    fs::write(tmp.join("keepalived.conf"), text).expect("our own directory");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", enter]).arg(&tmp);
    command.args(["keepalived", "--dont-fork", "--log-console", "--no-syslog", "--vrrp"]);
    command.args(["--use-file", "/tmp/keepalived.conf"]);
    command.args(["--pid", "/tmp/k.pid", "--vrrp_pid", "/tmp/v.pid"]);
    let log = sandbox.directory().path().join("output");
    Process::start(pair.node(Side::A).namespace(), command, &log, None)
}

/// Asks for the dump until there is one that says MASTER.
fn dump(process: &mut Process, sandbox: &Sandbox) -> Value {
    let path = sandbox.directory().path().join("tmp/keepalived.json");
    let pid = process.pid().to_string();
    let number = (libc::SIGRTMIN() + 2).to_string();
    let is_master = |value: &Value| value.pointer("/0/data/state") == Some(&Value::from(2));
    let found = wait::some_within(SOON, || {
        fs::remove_file(&path).ok();
        Command::new("kill").args([&format!("-{number}"), &pid]).status().expect("kill");
        let written = || serde_json::from_slice::<Value>(&fs::read(&path).ok()?).ok();
        wait::some_within(Duration::from_secs(2), written).filter(is_master)
    });
    assert!(found.is_some(), "no dump of a Master:\n{}", process.log());
    let value = found.unwrap_or_default();
    let mode = fs::metadata(&path).expect("it was read").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}: others may read it");
    value
}

/// All members, by their way from the top.
fn members(value: &Value, at: &str, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                members(value, &format!("{at}/{name}"), into);
            }
        }
        Value::Array(list) if list.iter().all(Value::is_object) => {
            for (place, value) in list.iter().enumerate() {
                members(value, &format!("{at}/{place}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            into.insert(at.to_owned(), value.clone());
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[test]
fn it_is_what_keepalived_writes() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let config = router_config(Side::A);
    let theirs = {
        let (pair, sandbox) = (Pair::new(), Sandbox::new());
        let mut keepalived = start_keepalived(&pair, &sandbox, &config);
        // Before that, the signal would end it.
        let is_master = || keepalived.log().contains("Entering MASTER STATE");
        assert!(wait::holds_within(SOON, is_master), "{}", keepalived.log());
        dump(&mut keepalived, &sandbox)
    };
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let namespace = pair.node(Side::A).namespace();
    let mut daemon = sandbox.start(namespace, &config, &["--keepalived-paths"], "");
    assert!(
        wait::holds_within(SOON, || daemon.log().contains("engine thread")),
        "{}",
        daemon.log()
    );
    let ours = dump(&mut daemon, &sandbox);
    assert!(!ours.to_string().contains(PASSWORD), "{ours}");

    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    members(&theirs, "", &mut left);
    members(&ours, "", &mut right);
    let names = |of: &BTreeMap<String, Value>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right), "{theirs}\n{ours}");
    for (name, value) in &left {
        let own = right.get(name).expect("the names are the same");
        let last = name.rsplit('/').next().unwrap_or_default();
        assert_eq!(kind(value), kind(own), "{name}");
        if last == "auth_data" {
            assert_eq!(own, "********");
        } else if !MOVING.contains(&last) && !WORDS.contains(&last) {
            assert_eq!(value, own, "{name}");
        }
    }
    let moved = |of: &Value| of.pointer("/0/data/last_transition").and_then(Value::as_f64);
    let (before, now) = (moved(&theirs).expect("a moment"), moved(&ours).expect("a moment"));
    assert!(now >= before && now < before + 600.0, "{before} {now}");
}

#[test]
fn without_keepalived_s_paths_it_is_in_the_run_directory() {
    if !require::require_daemon() {
        return;
    }
    let config = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    router.await_priority(150);
    let pid = router.router().process().pid().to_string();
    let number = (libc::SIGRTMIN() + 2).to_string();
    Command::new("kill").args([&format!("-{number}"), &pid]).status().expect("kill");
    let directory = router.router().directory().path().to_owned();
    let read = || fs::read(directory.join("keepalived.json")).ok();
    let bytes = wait::some_within(SOON, read).expect("the file");
    let value: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(value.pointer("/0/data/iname"), Some(&Value::from("VI_1")), "{value}");
    assert!(!directory.join("status.json").exists());
}
