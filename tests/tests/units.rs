//! `vrrp_track_unit` with a real systemd: what the router's priority says, on the wire.

use core::time::Duration;

use ha_tests::{
    alone::Alone,
    clock::Stamp,
    config::{self, Dialect},
    pair::Side,
    process::Program,
    require,
    systemd::{Systemd, require_systemd},
    wait,
};
use serde_json::json;

const BASE: u8 = 100;
/// Added while what is tracked is as it is to be.
const WEIGHT: u8 = 50;
const UP: u8 = BASE + WEIGHT;
const SOON: Duration = Duration::from_secs(30);

const SERVICE: &str = "probe.service";
const UNIT: &str = "[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\n\
    [Service]\nExecStart=/bin/sleep 600\n";
const RESTARTED: &str = "Restart=always\nRestartSec=2\n";

/// A configuration that tracks the service as `svc`, with `more` lines.
fn config(more: &str) -> String {
    let block = format!(
        "vrrp_track_unit svc {{\n    unit {SERVICE}\n    weight {WEIGHT}\n    {more}\n}}\n"
    );
    let track = "    track_unit {\n        svc\n    }\n";
    block + &config::instance(Dialect::V3Multicast, Side::A, BASE, track)
}

fn start(environment: &str, more: &str) -> Alone {
    Alone::start_under(&["env", environment], Program::Daemon, &config(more), &[])
}

fn await_log(alone: &Alone, words: &str) {
    let is_said = wait::holds_within(SOON, || alone.log().contains(words));
    assert!(is_said, "not said: {words}{}", alone.log());
}

/// Restarts it, and lets the daemon have its turn.
fn restart(systemd: &Systemd, alone: &Alone) {
    systemd.order("RestartUnit", SERVICE);
    let since = Stamp::now();
    let goes_on = wait::holds_within(SOON, || alone.heard(since).len() > 2);
    assert!(goes_on, "{}", alone.log());
}

#[test]
fn a_unit_is_noticed_when_it_starts_and_when_it_ends() {
    if !require::require_daemon() || !require_systemd() {
        return;
    }
    let systemd = Systemd::start(&[(SERVICE, UNIT)]);
    let mut alone = start(&systemd.environment(), "");
    alone.await_priority(BASE);
    systemd.order("StartUnit", SERVICE);
    alone.await_priority(UP);
    let told = alone.router().status().told("/units");
    let unit = json!([{ "name": "svc", "is_up": true, "unit": SERVICE, "state": "active",
        "starts": null }]);
    assert_eq!(told, unit);
    systemd.order("StopUnit", SERVICE);
    alone.await_priority(BASE);
    systemd.order("StartUnit", SERVICE);
    alone.await_priority(UP);
    systemd.kill(SERVICE);
    alone.await_priority(BASE);
    let log = alone.log();
    for words in ["is inactive", "unit svc is well again", "is failed"] {
        assert!(log.contains(words), "{words}{log}");
    }
}

/// Systemd is asked before the unit counts, at the start as at a reload: no priority is told that is not to be.
#[test]
fn a_unit_counts_from_the_first_moment() {
    if !require::require_daemon() || !require_systemd() {
        return;
    }
    let systemd = Systemd::start(&[(SERVICE, UNIT)]);
    systemd.order("StartUnit", SERVICE);
    let mut alone = start(&systemd.environment(), "");
    await_log(&alone, "unit svc: probe.service is active");
    alone.await_priority(UP);
    alone.reload(&config::instance(Dialect::V3Multicast, Side::A, UP, ""));
    alone.reload(&config(""));
    let is_active = || alone.log().matches("unit svc: probe.service is active").count() == 2;
    assert!(wait::holds_within(SOON, is_active), "{}", alone.log());
    alone.assert_priority_stays(UP);
    let log = alone.log();
    let since_start = log.split_once("INIT -> BACKUP").map(|(_, rest)| rest);
    assert!(since_start.is_some_and(|rest| !rest.contains("VI_1: priority ")), "{log}");
}

#[test]
fn a_unit_that_is_not_there_is_down_until_it_is() {
    if !require::require_daemon() || !require_systemd() {
        return;
    }
    let systemd = Systemd::start(&[]);
    let alone = start(&systemd.environment(), "");
    alone.await_priority(BASE);
    await_log(&alone, "unit svc fails: probe.service is not-found");
    systemd.install(SERVICE, UNIT);
    systemd.order("StartUnit", SERVICE);
    alone.await_priority(UP);
}

/// Restarts by an operator, and by systemd itself; then by nobody, or the operator says that it is well.
#[test]
fn too_many_restarts_are_a_failure_until_an_operator_resets_it() {
    if !require::require_daemon() || !require_systemd() {
        return;
    }
    let systemd = Systemd::start(&[(SERVICE, &format!("{UNIT}{RESTARTED}"))]);
    systemd.order("StartUnit", SERVICE);
    let mut alone = start(&systemd.environment(), "max_restarts 2\n    restart_window 600");
    alone.await_priority(UP);
    restart(&systemd, &alone);
    alone.await_priority(UP);
    systemd.kill(SERVICE);
    alone.await_priority(BASE);
    alone.await_priority(UP);
    restart(&systemd, &alone);
    await_log(&alone, "unit svc fails: probe.service was started 3 times within 600 s");
    alone.await_priority(BASE);
    let told = alone.router().status().told("/units/0");
    assert_eq!((&told["is_up"], &told["starts"]["within_window"]), (&json!(false), &json!(3)));
    let answer = alone.router().order(&["reset", "VI_1"]);
    let words = "VI_1: begins anew, MASTER now; starts are counted anew: unit svc";
    assert_eq!(answer.trim(), words, "{}", alone.log());
    alone.await_priority(UP);
    restart(&systemd, &alone);
    alone.await_priority(UP);
}

#[test]
fn without_the_bus_a_unit_stays_as_it_was() {
    if !require::require_daemon() || !require_systemd() {
        return;
    }
    let systemd = Systemd::start(&[(SERVICE, UNIT)]);
    systemd.order("StartUnit", SERVICE);
    let alone = start(&systemd.environment(), "");
    alone.await_priority(UP);
    let since = Stamp::now();
    systemd.kill_bus();
    await_log(&alone, "units stay as they were");
    await_log(&alone, "systemd answers again");
    let heard = alone.heard(since);
    assert!(heard.iter().all(|one| one.advert.priority == UP), "{}", alone.log());
    systemd.order("StopUnit", SERVICE);
    alone.await_priority(BASE);
    // It comes to the new bus because we ask for it there, which is no second end.
    assert_eq!(alone.log().matches("units stay as they were").count(), 1, "{}", alone.log());
}

#[test]
fn without_a_systemd_a_unit_is_down_after_a_while() {
    if !require::require_daemon() {
        return;
    }
    let alone = start("DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent/bus", "");
    await_log(&alone, "units stay as they were");
    await_log(&alone, "unit svc fails: probe.service is unknown, systemd does not answer");
    alone.await_priority(BASE);
}

#[test]
fn a_reload_keeps_what_is_known_and_judges_it_anew() {
    if !require::require_daemon() || !require_systemd() {
        return;
    }
    let systemd = Systemd::start(&[(SERVICE, UNIT)]);
    systemd.order("StartUnit", SERVICE);
    let mut alone = start(&systemd.environment(), "");
    alone.await_priority(UP);
    let since = Stamp::now();
    alone.reload(&config("terminate_delay 1\n    max_restarts 1"));
    alone.assert_priority_stays(UP);
    let heard = alone.heard(since);
    assert!(heard.iter().all(|one| one.advert.priority == UP), "no restart{}", alone.log());
    restart(&systemd, &alone);
    alone.assert_priority_stays(UP);
    restart(&systemd, &alone);
    alone.await_priority(BASE);
    await_log(&alone, "was started 2 times within 600 s");
    alone.reload(&config(""));
    alone.await_priority(UP);
}
