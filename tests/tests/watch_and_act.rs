//! `docs/watch-and-act.md`: every example as it stands in the text. The checker takes each without a
//! word; of some, the story that the text tells is gone through by a running daemon.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use std::{env, fs, os::unix::fs::PermissionsExt as _, process::Command};

use ha_tests::{
    alone::Alone,
    clock::Stamp,
    pair::{Pair, Side},
    process::{Process, Program, describe},
    require,
    service::Service,
    tempdir::TempDir,
    wait,
};

const DOCUMENT: &str = include_str!("../../docs/watch-and-act.md");
/// What opens an example; a fence alone closes it.
const FENCE: &str = "```keepalived";
/// Of all its instances, none of which says anything of it but one.
const PRIORITY: u8 = 100;
const SOON: core::time::Duration = core::time::Duration::from_secs(20);

/// The examples, each with the heading that it stands under.
fn examples() -> Vec<(&'static str, String)> {
    let mut examples: Vec<(&str, String)> = Vec::new();
    let (mut heading, mut is_inside) = ("", false);
    for line in DOCUMENT.lines() {
        match line {
            "```" => is_inside = false,
            FENCE => {
                is_inside = true;
                examples.push((heading, String::new()));
            }
            _ if is_inside => {
                let (_, text) = examples.last_mut().expect("one was begun");
                text.push_str(line);
                text.push('\n');
            }
            _ => heading = line.strip_prefix("## ").unwrap_or(heading),
        }
    }
    examples
}

/// The example under this heading.
fn example(heading: &str) -> String {
    let found = examples().into_iter().find(|(own, _)| *own == heading);
    found.expect("every section has an example").1
}

fn start(heading: &str) -> Alone {
    Alone::start(Program::Daemon, &example(heading), &[])
}

#[test]
fn the_checker_has_nothing_to_say_of_any() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let node = pair.node(Side::A);
    // The example's own; the other scripts of the text are the scene's.
    let script = node.etc().join("fifo.sh");
    fs::write(&script, "#!/bin/sh\nexec cat \"$1\"\n").expect("a directory of our own");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("our own file");
    let sections = DOCUMENT.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(examples().len(), sections, "each section has one example");
    for (heading, text) in examples() {
        let directory = TempDir::new("example");
        let file = directory.write("keepalived.conf", &text);
        let mut command = Command::new(env::var("HA_BINARY").expect("require_daemon"));
        command.arg("check").arg(file);
        let log = directory.path().join("log");
        let etc = node.etc();
        let mut checker = Process::start(node.namespace(), command, &log, etc.parent());
        let status = checker.wait(SOON);
        let said = checker.log();
        assert!(status.success(), "{heading}: {}\n{said}", describe(status));
        assert!(!said.contains("warning: ") && !said.contains("note: "), "{heading}:\n{said}");
    }
}

#[test]
fn a_time_server_that_is_not_there_changes_nothing() {
    if !require::require_daemon() {
        return;
    }
    let mut router = start("The clock");
    router.await_priority(PRIORITY);
    let asked = || router.router().status().clock("/servers/0/failures").as_u64() > Some(0);
    assert!(wait::holds_within(SOON, asked), "it is asked: {}", router.log());
    router.assert_priority_stays(PRIORITY);
}

/// Nobody is Master before there is one.
fn start_without_nginx(heading: &str) -> Alone {
    let router = start(heading);
    let is_missing = || router.log().contains("process nginx fails: 0 of them");
    let misses = wait::holds_within(SOON, is_missing);
    assert!(misses, "does an nginx of this machine run?{}", router.log());
    router
}

/// One after the other: they look for the same name, as they would on one host.
#[test]
fn a_process_ends_and_is_restarted_again_and_again() {
    if !require::require_daemon() {
        return;
    }
    let service = Service::called("/bin/sleep", "nginx".to_owned());
    let run = || service.start(&["600"]);
    let router = start_without_nginx("A process");
    let process = run();
    router.await_priority(PRIORITY);
    let since = Stamp::now();
    process.end();
    router.await_priority_since(since, 0);
    drop(router);

    let router = start_without_nginx("A service that is restarted again and again");
    let mut process = run();
    router.await_priority(PRIORITY);
    let since = Stamp::now();
    for restart in 1..=5 {
        assert!(!router.log().contains("times within"), "{restart}{}", router.log());
        let since = Stamp::now();
        process.end();
        process = run();
        // Restarts are slower than this test: the daemon has its turn before the next one.
        let goes_on = || !router.heard(since).is_empty();
        assert!(wait::holds_within(SOON, goes_on), "{restart}{}", router.log());
    }
    let fails = || router.log().contains("started 6 times within 600 s");
    assert!(wait::holds_within(SOON, fails), "{}", router.log());
    router.await_priority_since(since, 0);
    assert!(!process.has_ended());
}

#[test]
fn the_operator_hands_the_addresses_over_by_a_file() {
    if !require::require_daemon() {
        return;
    }
    let router = start("A file");
    router.await_priority(PRIORITY);
    let file = router.etc().join("handicap");
    fs::write(&file, "3\n").expect("a directory of our own");
    router.await_priority(PRIORITY - 30);
    let since = Stamp::now();
    fs::write(&file, "26\n").expect("a directory of our own");
    router.await_priority_since(since, 0);
    fs::remove_file(&file).expect("it is there");
    router.await_priority(PRIORITY);
}

#[test]
fn a_script_finds_out_and_scripts_are_told() {
    if !require::require_daemon() {
        return;
    }
    let router = start("Whatever a script can find out");
    router.await_priority(PRIORITY);
    let flag = router.etc().join("unhealthy");
    fs::write(&flag, "").expect("a directory of our own");
    router.await_priority(PRIORITY - 20);
    fs::remove_file(&flag).expect("it is there");
    router.await_priority(PRIORITY);
    drop(router);

    let mut router = start("Scripts");
    router.await_priority(PRIORITY);
    assert!(router.router().stop().success(), "{}", router.log());
    let told = router.notified();
    let expected = [
        "backup",
        "INSTANCE VI_1 BACKUP 100",
        "master",
        "INSTANCE VI_1 MASTER 100",
        "stop",
        "INSTANCE VI_1 STOP 100",
    ];
    assert_eq!(told, expected, "{}", router.log());
}

#[test]
fn another_interface_lowers_the_priority() {
    if !require::require_daemon() {
        return;
    }
    let router = start("Another interface");
    router.await_priority(PRIORITY);
    router.cut("eth2");
    router.await_priority(PRIORITY - 30);
    router.mend("eth2");
    router.await_priority(PRIORITY);
}
