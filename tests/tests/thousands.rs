//! More than two thousand virtual routers become Master at the same moment: each has its address, each
//! is announced, each is told of, and nothing is lost on the way.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::{fmt::Write as _, net::IpAddr, time::Duration};
use std::{collections::BTreeMap, fs, path::Path, thread};

use ha_tests::{
    capture::Capture,
    clock::Stamp,
    decode,
    lan::Lan,
    netns::Namespace,
    process::{Program, Router},
    require,
    tempdir::TempDir,
    wait,
};

const SOON: Duration = Duration::from_mins(2);
/// Each with all the virtual routers that it can have.
const SEGMENTS: u8 = 9;
const VRIDS: u8 = 255;
const PORT: &str = "router";
/// keepalived's `vrrp_garp_master_repeat`.
const REPEAT: usize = 2;
/// Announcements, and a minute of advertisements.
const FRAMES_MAX: usize = 100_000;

fn interface(segment: u8) -> String {
    format!("eth{segment}")
}

fn address(segment: u8, vrid: u8) -> String {
    format!("2001:db8:{segment:x}::{vrid:x}")
}

fn all() -> impl Iterator<Item = (u8, u8)> {
    (0..SEGMENTS).flat_map(|segment| (1..=VRIDS).map(move |vrid| (segment, vrid)))
}

fn config(fifo: &Path) -> String {
    let mut text = format!(
        "global_defs {{\n vrrp_notify_fifo {}\n vrrp_garp_master_repeat {REPEAT}\n \
         vrrp_garp_master_delay 0\n}}\n",
        fifo.display()
    );
    for (segment, vrid) in all() {
        writeln!(
            text,
            "vrrp_instance V{segment}_{vrid} {{\n interface {}\n version 3\n virtual_router_id \
             {vrid}\n advert_int 1\n virtual_ipaddress {{\n {}\n }}\n}}",
            interface(segment),
            address(segment, vrid)
        )
        .expect("a String takes all");
    }
    text
}

/// How often each line there is has been read.
fn counted(lines: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines.lines() {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// How often each of the virtual addresses was announced.
fn announced(captures: &[Capture], since: Stamp) -> BTreeMap<IpAddr, usize> {
    let mut counts = BTreeMap::new();
    for capture in captures {
        assert!(!capture.is_full(), "a capture that has room");
        for address in capture.collect(since, decode::announced) {
            *counts.entry(address).or_default() += 1;
        }
    }
    counts
}

#[test]
fn thousands_become_master_at_once_and_nothing_is_lost() {
    if !require::require_daemon() {
        return;
    }
    let count = usize::from(SEGMENTS) * usize::from(VRIDS);
    let namespace = Namespace::new("many");
    let lans: Vec<Lan> = (0..SEGMENTS).map(|_| Lan::new("lan")).collect();
    for (segment, lan) in (0..SEGMENTS).zip(&lans) {
        lan.connect(PORT, &namespace, &interface(segment), [segment, 1]);
    }
    // All have their sources before they start: so they wait for the same moment.
    wait::eventually(SOON, "link-local addresses", || {
        let shown = namespace.ip("-6 -oneline addr show scope link");
        shown.lines().count() == usize::from(SEGMENTS) && !shown.contains("tentative")
    });
    let start = |lan: &Lan| Capture::start_at_port(lan.switch(), PORT, FRAMES_MAX);
    let captures: Vec<Capture> = lans.iter().map(start).collect();
    let since = Stamp::now();
    let directory = TempDir::new("many");
    let fifo = directory.path().join("fifo");
    let mut router = Router::start(Program::Daemon, &namespace, &config(&fifo));
    wait::eventually(SOON, "the FIFO", || fifo.exists());
    let told = thread::spawn(move || fs::read_to_string(fifo).expect("the FIFO"));

    let held = || {
        let shown = namespace.ip("-6 -oneline addr show");
        shown.lines().filter(|line| line.contains("2001:db8:")).count()
    };
    wait::eventually(SOON, "every address to be there", || held() == count);
    let expected: Vec<IpAddr> =
        all().map(|(segment, vrid)| address(segment, vrid).parse().expect("an address")).collect();
    let is_announced = || {
        let counts = announced(&captures, since);
        expected.iter().all(|address| counts.get(address).is_some_and(|times| *times >= REPEAT))
    };
    assert!(wait::holds_within(SOON, is_announced), "not all are announced {REPEAT} times");

    let status = router.status();
    for (segment, vrid) in all() {
        let name = format!("V{segment}_{vrid}");
        assert_eq!(status.state(&name), "MASTER", "{name}");
        assert_eq!(status.statistic(&name, "became_master"), 1, "{name}");
        assert_eq!(status.statistic(&name, "adverts_received"), 0, "{name}");
    }
    assert_eq!(status.fifo("/lost"), 0, "{:?}", status.fifo(""));
    assert_eq!(status.number("/reports_lost"), 0);

    assert!(router.stop().success(), "{}", router.log());
    assert_eq!(held(), 0, "addresses are left");
    let told = told.join().expect("the FIFO is read");
    let counts = counted(&told);
    for (segment, vrid) in all() {
        for state in ["BACKUP", "MASTER", "STOP"] {
            let line = format!("INSTANCE \"V{segment}_{vrid}\" {state} 100");
            assert_eq!(counts.get(line.as_str()), Some(&1), "{line}");
        }
    }
    assert_eq!(counts.len(), 3 * count, "nothing else is told");
}
