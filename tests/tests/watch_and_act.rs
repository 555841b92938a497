//! `docs/watch-and-act.md`: every example as it stands in the text. The checker takes each without a
//! word; of some, the story that the text tells is gone through by a running daemon.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use std::{env, fs, os::unix::fs::PermissionsExt as _, process::Command};

use ha_tests::{
    alone::Alone,
    clock::Stamp,
    pair::{Node, Pair, SEGMENTS, Side},
    prober::Prober,
    process::{Process, Program, Router, Start, describe},
    require,
    routing::routing,
    service::Service,
    smtp::{SmtpServer, require_smtp_server},
    systemd::{Systemd, require_systemd},
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

/// The script of the FIFO: notes what it reads where `notify.sh` does, behind the same word too many.
fn write_reader(node: &Node) {
    let script = node.etc().join("fifo.sh");
    let text = "#!/bin/sh\nexec sed -u 's/^/- /' \"$1\" >>\"${0%/*}/notify.log\"\n";
    fs::write(&script, text).expect("a directory of our own");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("our own file");
}

#[test]
fn the_checker_has_nothing_to_say_of_any() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let node = pair.node(Side::A);
    // The example's own; the other scripts of the text are the scene's.
    write_reader(node);
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
fn a_unit_fails_and_is_restarted_again_and_again() {
    const UNIT: &str = "nginx.service";
    if !require::require_daemon() || !require_systemd() {
        return;
    }
    let text = "[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\n\
                [Service]\nExecStart=/bin/sleep 600\n";
    let systemd = Systemd::start(&[(UNIT, text)]);
    systemd.order("StartUnit", UNIT);
    let environment = systemd.environment();
    let config = example("A unit of systemd");
    let router = Alone::start_under(&["env", &environment], Program::Daemon, &config, &[]);
    router.await_priority(PRIORITY);
    let since = Stamp::now();
    systemd.order("StopUnit", UNIT);
    router.await_priority_since(since, 0);
    systemd.order("StartUnit", UNIT);
    router.await_priority(PRIORITY);
    let since = Stamp::now();
    for restart in 2..=5 {
        assert!(!router.log().contains("times within"), "{restart}{}", router.log());
        let since = Stamp::now();
        systemd.order("RestartUnit", UNIT);
        // Restarts are slower than this test: the daemon has its turn before the next one.
        let goes_on = || !router.heard(since).is_empty();
        assert!(wait::holds_within(SOON, goes_on), "{restart}{}", router.log());
    }
    systemd.order("RestartUnit", UNIT);
    let fails = || router.log().contains("started 6 times within 600 s");
    assert!(wait::holds_within(SOON, fails), "{}", router.log());
    router.await_priority_since(since, 0);
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

#[test]
fn the_first_election_is_put_off() {
    if !require::require_daemon() {
        return;
    }
    let begin = Stamp::now();
    let router = start("A host that has just started");
    router.await_priority(PRIORITY);
    let first = router.heard(begin).first().map(|heard| heard.at.since(begin));
    // And then it listens for three intervals of a second, and the skew time.
    assert!(first >= Some(core::time::Duration::from_secs(5)), "{first:?}{}", router.log());
}

#[test]
fn scripts_run_as_somebody_who_may_do_little() {
    if !require::require_daemon() {
        return;
    }
    let router = start("Who may change what runs as root");
    // What the script wants to know here is who it is.
    let script = router.etc().join("notify.sh");
    let text = "#!/bin/sh\necho \"- $1 $(id -un) $(id -Gn)\" >>\"${0%/*}/notify.log\"\n";
    fs::write(&script, text).expect("our own file");
    let told = || router.notified() == ["master nobody nogroup"];
    assert!(wait::holds_within(SOON, told), "{:?}{}", router.notified(), router.log());
}

#[test]
fn a_program_reads_the_fifo() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let node = pair.node(Side::A);
    write_reader(node);
    // The FIFO is in /run, which is the whole host's otherwise.
    let wrapper =
        ["unshare", "--mount", "sh", "-ec", "mount -t tmpfs tmpfs /run; exec \"$@\"", "sh"];
    let etc = node.etc();
    let start = Start { words: &[], etc: etc.parent() };
    let text = example("A FIFO");
    let mut router =
        Router::start_under(&wrapper, Program::Daemon, node.namespace(), &text, &start);
    let states = ["BACKUP", "MASTER"].map(|state| format!("INSTANCE \"VI_1\" {state} 100"));
    let told = || node.notified() == states;
    assert!(wait::holds_within(SOON, told), "{:?}{}", node.notified(), router.log());
    assert!(router.stop().success(), "{}", router.log());
    let last = node.notified().pop();
    assert_eq!(last.as_deref(), Some("INSTANCE \"VI_1\" STOP 100"), "{}", router.log());
}

#[test]
fn the_operators_get_mail() {
    if !require::require_daemon() || !require_smtp_server() {
        return;
    }
    let router = start("Mail");
    router.namespace().ip("link set lo up");
    router.namespace().ip("address add 192.0.2.25/32 dev lo");
    // The first try is before it is there.
    let address = "192.0.2.25:25".parse().expect("an address");
    let server = SmtpServer::start(router.namespace(), address);
    let is_told = |state: &str| {
        let words = format!("VRRP Instance VI_1 - {state}");
        let is_it = |mail: &String| {
            let mail = mail.replace(['\r', '\n'], "");
            mail.contains("To: ops@example.net")
                && mail.contains("From: ha@node-a.example.net")
                && mail.to_lowercase().contains(&words.to_lowercase())
        };
        server.mails().iter().any(is_it)
    };
    let both = || is_told("Entering BACKUP state") && is_told("Entering MASTER state");
    assert!(wait::holds_within(SOON, both), "{:#?}{}", server.mails(), router.log());
}

#[test]
fn routes_and_rules_come_and_go_with_the_master() {
    if !require::require_daemon() {
        return;
    }
    let mut router = start("Routes and rules");
    let count = |router: &Alone| {
        let all = routing(router.namespace());
        let is = |one: &String, words: &[&str]| words.iter().all(|words| one.contains(words));
        let wanted: [&[&str]; 3] = [
            &[
                "-4 route",
                "\"default\"",
                "198.51.100.1\"",
                "\"prefsrc\":\"198.51.100.13\"",
                "\"100\"",
            ],
            &["-4 route", "203.0.113.0/24", "198.51.100.1\""],
            &["-4 rule", "198.51.100.13", "\"priority\":500", "\"100\""],
        ];
        wanted.iter().filter(|words| all.iter().any(|one| is(one, words))).count()
    };
    let log = |router: &Alone| format!("{:#?}{}", routing(router.namespace()), router.log());
    assert!(wait::holds_within(SOON, || count(&router) == 3), "{}", log(&router));
    assert!(router.router().stop().success(), "{}", router.log());
    assert_eq!(count(&router), 0, "{}", log(&router));
}

#[test]
fn what_is_static_is_there_without_a_master_and_makes_one() {
    if !require::require_daemon() {
        return;
    }
    let router = start("Addresses, routes and rules that do not move");
    router.await_priority(PRIORITY);
    let since = Stamp::now();
    router.cut("eth2");
    router.await_priority_since(since, 0);
    let has = |words: &str| routing(router.namespace()).iter().any(|one| one.contains(words));
    assert!(router.namespace().has_address("eth2", "192.0.2.60"), "{}", router.log());
    assert!(has("\"priority\":501"), "{}", router.log());
    router.mend("eth2");
    router.await_priority(PRIORITY);
    assert!(wait::holds_within(SOON, || has("203.0.113.0/24")), "{}", router.log());
}

#[test]
fn the_addresses_take_no_packets() {
    if !require::require_daemon() || !require::require_tools(&[("nft", "nftables")]) {
        return;
    }
    let router = start("Addresses that take no packets");
    router.await_priority(PRIORITY);
    let [segment, _] = SEGMENTS;
    let (own, [address, _]) = (segment.host(Side::A.number()), segment.virtual_addresses);
    let since = Stamp::now();
    let prober = Prober::start(router.client(), &[own, address], SOON);
    let answers = wait::holds_within(SOON, || prober.replies_since(own, since) > 100);
    assert!(answers, "{own} does not answer ping{}", router.log());
    assert_eq!(prober.replies_since(address, since), 0, "{address} answers ping");
    let entry = router.client().ip(&format!("neigh show to {address} dev bond0"));
    assert!(entry.contains("lladdr"), "no answer to ARP: {entry}");
}
