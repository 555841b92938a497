//! `vrrp_track_process` with real processes: what the router's priority says, on the wire.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    fs,
    io::Write as _,
    process::{Child, Command, Stdio},
};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::Program,
    require,
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;

/// Looks at all processes are a second apart; the rest is for a machine that does other things.
const SOON: Duration = Duration::from_secs(20);
/// Longer than it takes to notice anything.
const QUIET: Duration = Duration::from_secs(2);
const BASE: u8 = 100;
/// Added while what is tracked is as it is to be.
const WEIGHT: u8 = 50;

/// A program under a name that no other process of the host has.
#[derive(Debug)]
struct Service {
    name: String,
    directory: TempDir,
}

/// A running process of it; killed and reaped on drop.
#[derive(Debug)]
struct Running(Child);

impl Service {
    /// `letter` is the test's own.
    fn new(letter: char) -> Self {
        Self::copy_of("/bin/sleep", letter)
    }

    fn copy_of(program: &str, letter: char) -> Self {
        let name = format!("ha{letter}{}", std::process::id());
        let directory = TempDir::new("service");
        fs::copy(program, directory.path().join(&name)).expect("a program to copy");
        Self { name, directory }
    }

    /// Runs it for longer than any test.
    fn start(&self) -> Running {
        self.start_with(&["600"])
    }

    fn start_with(&self, words: &[&str]) -> Running {
        let mut command = Command::new(self.directory.path().join(&self.name));
        command.args(words).stdin(Stdio::piped());
        Running(command.spawn().expect("a program of our own"))
    }

    /// The block that tracks it as `svc`.
    fn block(&self, more: &str) -> String {
        format!(
            "vrrp_track_process svc {{\n    process {}\n    weight {WEIGHT}\n    {more}\n}}\n",
            self.name
        )
    }
}

impl Running {
    /// Writes a line to its standard input.
    fn go(&mut self) {
        let input = self.0.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("a reader");
    }

    /// Whether it has ended of itself.
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child of ours").is_some()
    }

    fn end(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that has ended already is still ours to reap.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A configuration with `block` that tracks `svc`.
fn config(block: &str) -> String {
    let track = "    track_process {\n        svc\n    }\n";
    block.to_owned() + &config::instance(Dialect::V3Multicast, Side::A, BASE, track)
}

/// One router on a segment.
struct Alone(Pair);

impl Alone {
    fn start(block: &str, words: &[&str]) -> Self {
        let mut pair = Pair::new();
        pair.node_mut(Side::A).start(Program::Daemon, &config(block), words);
        Self(pair)
    }

    fn reload(&mut self, block: &str) {
        let router = self.0.node_mut(Side::A).router();
        let read = router.log().matches("read again").count();
        fs::write(router.directory().path().join("keepalived.conf"), config(block))
            .expect("our own");
        router.process().signal(Signal::SIGHUP);
        let again = || router.log().matches("read again").count() > read;
        let done = wait::holds_within(SOON, again);
        assert!(done, "not read again{}", self.0.logs());
    }

    /// The priority that was advertised last since `since`.
    fn priority(&self, since: Stamp) -> Option<u8> {
        self.0.heard("bond0", since).last().map(|heard| heard.advert.priority)
    }

    fn await_priority(&self, priority: u8) {
        let since = Stamp::now();
        let heard = wait::holds_within(SOON, || self.priority(since) == Some(priority));
        let last = self.priority(since);
        assert!(heard, "the priority is {last:?} and not {priority}{}", self.0.logs());
    }

    fn assert_priority_stays(&self, priority: u8) {
        let since = Stamp::now();
        let stays = wait::holds_throughout(QUIET, || {
            self.0.heard("bond0", since).iter().all(|heard| heard.advert.priority == priority)
        });
        assert!(stays, "the priority does not stay {priority}{}", self.0.logs());
    }
}

const UP: u8 = BASE + WEIGHT;
const BY_EBPF: &str = "processes are tracked by eBPF";
const BY_LOOKS: &str = "processes are looked at once a second only";

#[test]
fn a_process_is_noticed_when_it_comes_and_when_it_goes() {
    if !require::require_daemon() {
        return;
    }
    // The connector is for the initial network namespace only.
    let sources = [("ebpf", BY_EBPF), ("connector", BY_LOOKS), ("scan", "")];
    for (source, words) in sources {
        let service = Service::new('a');
        let first = service.start();
        let alone = Alone::start(&service.block(""), &["--process-events", source]);
        alone.await_priority(UP);
        first.end();
        alone.await_priority(BASE);
        let second = service.start();
        alone.await_priority(UP);
        let third = service.start();
        second.end();
        alone.assert_priority_stays(UP);
        third.end();
        alone.await_priority(BASE);
        let log = alone.0.logs();
        assert!(log.contains(words), "{log}");
        assert!(log.contains("process svc fails"), "{log}");
        assert!(log.contains("process svc is well again"), "{log}");
    }
}

#[test]
fn a_reload_keeps_what_is_known_and_judges_it_anew() {
    if !require::require_daemon() {
        return;
    }
    let service = Service::new('r');
    let running = service.start();
    let mut alone = Alone::start(&service.block(""), &[]);
    alone.await_priority(UP);
    let since = Stamp::now();
    alone.reload(&service.block("fork_delay 3"));
    alone.assert_priority_stays(UP);
    alone.reload(&service.block("quorum 2"));
    alone.await_priority(BASE);
    let heard = alone.0.heard("bond0", since);
    assert!(heard.iter().all(|one| one.advert.priority != 0), "no restart{}", alone.0.logs());
    let second = service.start();
    alone.await_priority(UP);
    drop((running, second));
    alone.await_priority(BASE);
}

#[test]
fn too_many_starts_are_a_failure_while_the_process_runs() {
    if !require::require_daemon() {
        return;
    }
    let service = Service::new('s');
    // Long enough for slow starts, and short enough to be waited for.
    let block = service.block("max_restarts 2\n    restart_window 15");
    let alone = Alone::start(&block, &[]);
    alone.await_priority(BASE);
    let mut running = service.start();
    for _ in 0..2 {
        alone.await_priority(UP);
        running.end();
        alone.await_priority(BASE);
        running = service.start();
    }
    alone.assert_priority_stays(BASE);
    let log = alone.0.logs();
    assert!(log.contains("started 3 times within 15 s"), "{log}");
    alone.await_priority(UP);
    drop(running);
}

/// The daemon stands still while more happens than there is room for.
#[test]
fn after_a_loss_of_events_all_processes_are_looked_at_again() {
    /// More events, of two each, than the 10,922 that fit into 256 KiB.
    const COPIES: u32 = 6000;
    /// A machine that does other things makes a hundred copies in a second.
    const STORM: Duration = Duration::from_mins(3);
    if !require::require_daemon() {
        return;
    }
    let (service, storm) = (Service::new('l'), Service::copy_of("/bin/sh", 'm'));
    let block = format!(
        "{}vrrp_track_process storm {{\n    process {}\n}}\n",
        service.block(""),
        storm.name
    );
    let config = config(&block).replace("        svc\n", "        svc\n        storm weight 1\n");
    let mut pair = Pair::new();
    pair.node_mut(Side::A).start(Program::Daemon, &config, &["--process-events", "ebpf"]);
    let mut alone = Alone(pair);
    let first = service.start();
    let script = format!("read x; i=0; while [ $i -lt {COPIES} ]; do (:); i=$((i+1)); done; true");
    let mut copies = storm.start_with(&["-c", &script]);
    alone.await_priority(UP + 1);
    let router = alone.0.node_mut(Side::A).router();
    router.process().signal(Signal::SIGSTOP);
    copies.go();
    let is_over = wait::holds_within(STORM, || copies.has_ended());
    first.end();
    router.process().signal(Signal::SIGCONT);
    assert!(is_over, "the storm is not over");
    alone.await_priority(BASE);
    let log = alone.0.logs();
    assert!(log.contains("events of processes had no room"), "{log}");
    let again = service.start();
    alone.await_priority(UP);
    again.end();
    alone.await_priority(BASE);
}
