//! What a takeover is decided by: frames that waited, and stamps that must be of the daemon's clock.

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Heard, Pair, Side},
    process::{Program, Router, Start},
    require, wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(30);
const INTERFACE: &str = "bond0";

fn await_log(router: &Router, word: &str) {
    let comes = wait::holds_within(SOON, || router.log().contains(word));
    assert!(comes, "no `{word}`: {}", router.log());
}

fn await_state(router: &mut Router, instance: &str, state: &str) {
    let comes = wait::holds_within(SOON, || router.status().state(instance) == state);
    assert!(comes, "{instance} is not {state}: {}", router.log());
}

/// Virtual routers that both have, at an advertisement a second.
const SLOW: core::ops::RangeInclusive<u8> = 1..=100;
/// Those that only the Master has, ten times as fast: they fill the Backup's socket.
const FAST: core::ops::RangeInclusive<u8> = 101..=150;
/// How long the Backup does not run: three intervals and the skew time of priority 100
/// (256 - 100) / 256, and not an interval more, after which it would listen first.
const PAUSE: Duration = Duration::from_millis(3_700);

fn routers(numbers: impl Iterator<Item = u8>, priority: u8, interval: &str) -> String {
    let router = |vrid: u8| {
        format!(
            "vrrp_instance VI_{vrid} {{\n    interface {INTERFACE}\n    virtual_router_id {vrid}\n    \
             version 3\n    priority {priority}\n    advert_int {interval}\n    \
             garp_master_repeat 1\n    virtual_ipaddress {{\n        203.0.113.{vrid}\n    }}\n}}\n"
        )
    };
    numbers.map(router).collect()
}

#[test]
fn nobody_takes_over_while_frames_of_a_living_master_are_unread() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let start = |side: Side, text: &str, words| {
        let start = Start { words, etc: None };
        let router = Router::start_with(Program::Daemon, pair.node(side).namespace(), text, &start);
        await_log(&router, "engine thread");
        router
    };
    let text = routers(SLOW, 150, "1") + &routers(FAST, 150, "0.1");
    let mut master = start(Side::A, &text, &[]);
    for vrid in SLOW {
        await_state(&mut master, &format!("VI_{vrid}"), "MASTER");
    }
    let mut backup = start(Side::B, &routers(SLOW, 100, "1"), &["--xdp", "off"]);
    let knows =
        |status: &ha_tests::status::Status, vrid| status.master(&format!("VI_{vrid}")).is_some();
    let knows_all = || {
        let status = backup.status();
        SLOW.into_iter().all(|vrid| knows(&status, vrid))
    };
    assert!(wait::holds_within(SOON, knows_all), "{}", backup.log());

    let heard_after = |moment: Stamp| pair.heard(INTERFACE, moment);
    let from_master = |heard: &Heard| heard.from == Side::A;
    backup.process().signal(Signal::SIGSTOP);
    let stopped = Stamp::now();
    let is_late = || heard_after(stopped + PAUSE).iter().any(from_master);
    let goes_on = wait::holds_within(SOON, is_late);
    let waiting = heard_after(stopped).len();
    backup.process().signal(Signal::SIGCONT);
    assert!(goes_on, "{}", master.log());
    // Far more than one of each that both have.
    assert!(waiting > 1_000, "only {waiting} frames");

    // Long enough for one who listens.
    let ran = Stamp::now();
    let is_over = || heard_after(ran + PAUSE * 2).iter().any(from_master);
    assert!(wait::holds_within(SOON, is_over), "{}", master.log());
    let status = backup.status();
    let became_master = |vrid: &u8| status.statistic(&format!("VI_{vrid}"), "became_master") > 0;
    let taken: Vec<u8> = SLOW.filter(became_master).collect();
    assert!(taken.is_empty(), "{} of {waiting} frames: {taken:?}", taken.len());
    let said = heard_after(Stamp::default()).iter().filter(|heard| heard.from == Side::B).count();
    assert_eq!(said, 0, "{}", backup.log());
}

/// The kernel's stamps know of no time namespace.
const AN_HOUR_AHEAD: [&str; 4] = ["unshare", "--time", "--monotonic", "3600"];

#[test]
fn a_clock_that_is_not_the_kernel_s_is_not_compared_with_its_stamps() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = Pair::new();
    let text = |side, priority| config::instance(Dialect::V3Multicast, side, priority, "");
    pair.node_mut(Side::A).start(Program::Daemon, &text(Side::A, 150), &[]);
    await_log(pair.node_mut(Side::A).router(), "engine thread");
    await_state(pair.node_mut(Side::A).router(), "VI_1", "MASTER");
    let start = |words: &[&str]| {
        let start = Start { words, etc: None };
        let (namespace, text) = (pair.node(Side::B).namespace(), text(Side::B, 100));
        Router::start_under(&AN_HOUR_AHEAD, Program::Daemon, namespace, &text, &start)
    };
    for mode in ["native", "generic"] {
        let words = ["--xdp", mode];
        let mut demanding = start(&words);
        let status = demanding.process().wait(SOON);
        assert!(!status.success(), "{}", demanding.log());
        assert!(demanding.log().contains("time namespace"), "{}", demanding.log());
    }

    let mut backup = start(&[]);
    await_log(&backup, "engine thread");
    let since = Stamp::now();
    let heard = || pair.heard(INTERFACE, since);
    // Ten intervals: whoever hears nothing takes over after less than four.
    let is_over = || heard().iter().filter(|heard| heard.from == Side::A).count() > 10;
    assert!(wait::holds_within(SOON, is_over), "{}", pair.logs());
    let of_backup = heard().iter().filter(|heard| heard.from == Side::B).count();
    assert_eq!(of_backup, 0, "{}", backup.log());
    let status = backup.status();
    assert_eq!(status.state("VI_1"), "BACKUP", "{}", backup.log());
    assert_eq!(status.xdp(INTERFACE), "off");
    assert_eq!(backup.log().matches("time namespace").count(), 1, "{}", backup.log());

    pair.node_mut(Side::A).kill();
    await_state(&mut backup, "VI_1", "MASTER");
}
