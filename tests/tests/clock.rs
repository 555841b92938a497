//! `vrrp_track_clock` with a real chrony: what the router's priority says, on the wire.
//!
//! chronyd runs with `-x`, which never touches the machine's clock: it serves the time of its
//! reference. That is the machine's own time, or, for one that is wrong, what the test tells it through
//! a reference clock's socket.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{ffi::OsString, fs, net::UdpSocket, os::unix::net::UnixDatagram, process::Command};

use ha_tests::{
    alone::Alone,
    clock::{self, Stamp},
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Process, Program, Router, Start},
    require,
    tempdir::TempDir,
    wait,
};

const SOON: Duration = Duration::from_secs(30);
const BASE: u8 = 100;
/// Subtracted while the clock fails.
const WEIGHT: u8 = 20;
const PORT: u16 = 11_123;
/// What is too much by far for a network of two processes, and for a machine that is busy.
const MAX_OFFSET_S: u32 = 2;
const WRONG_BY_S: f64 = 3600.0;

/// chronyd, in the namespace of the router that asks it.
struct Chrony {
    program: OsString,
    directory: TempDir,
    running: Option<Process>,
}

impl Chrony {
    fn new(program: OsString) -> Self {
        Self { program, directory: TempDir::new("chrony"), running: None }
    }

    /// Serves the machine's time, or, `wrong`, that of a reference clock that has to be fed.
    fn start(&mut self, router: &Alone, wrong: bool) {
        let at = self.directory.path().display().to_string();
        let source = if wrong {
            // A sample each second; of a single source the first few decide.
            format!("refclock SOCK {at}/reference poll 0 filter 1 precision 0.001\n")
        } else {
            String::new()
        };
        let config = format!(
            "{source}local stratum 1\nallow\nport {PORT}\nbindaddress 127.0.0.1\ncmdport 0\n\
             bindcmdaddress /\npidfile {at}/pid\n"
        );
        let config = self.directory.write("chrony.conf", &config);
        let mut command = Command::new(&self.program);
        // Not as its package's user, which is not there; in the foreground.
        command.args(["-x", "-d", "-u", "root", "-f"]).arg(config);
        let log = self.directory.path().join("log");
        self.running = Some(Process::start(router.namespace(), command, &log, None));
    }

    fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.stop();
        }
        // What a socket leaves behind keeps the next one from binding it.
        fs::remove_file(self.directory.path().join("reference")).ok();
    }

    /// Tells the reference clock's time, which is wrong: `sock_sample` of chrony's `refclock_sock.c`, as
    /// chrony.conf(5) has it for gpsd.
    fn feed(&self) {
        const MAGIC: i32 = 0x534f_434b;
        let now = Duration::from_nanos(Stamp::now().as_nanos());
        let seconds = i64::try_from(now.as_secs()).expect("a moment of this age");
        let mut sample = Vec::new();
        sample.extend(seconds.to_ne_bytes());
        sample.extend(i64::from(now.subsec_micros()).to_ne_bytes());
        sample.extend(WRONG_BY_S.to_ne_bytes());
        // No pulse, no leap second, padding.
        sample.extend([0; 12]);
        sample.extend(MAGIC.to_ne_bytes());
        let socket = UnixDatagram::unbound().expect("a socket");
        // It may not listen yet.
        socket.send_to(&sample, self.directory.path().join("reference")).ok();
    }
}

/// A router that tracks what is thought of the clock.
fn config(asked: &str, limits: &str) -> String {
    let track = "    track_clock {\n        wall\n    }\n";
    let block = format!(
        "global_defs {{\n    {asked}\n    clock_interval 1\n}}\nvrrp_track_clock wall {{\n    \
         {limits}\n    weight -{WEIGHT}\n    rise 1\n    fall 2\n}}\n"
    );
    block + &config::instance(Dialect::V3Multicast, Side::A, BASE, track)
}

/// What a status has of the only server: `answers`, `failures`, `offset_ms`.
fn of_server(router: &mut Alone, word: &str) -> f64 {
    let status = router.router().status();
    status.clock(&format!("/servers/0/{word}")).as_f64().unwrap_or_default()
}

#[test]
fn a_wrong_clock_is_noticed_and_a_server_that_is_gone_changes_nothing() {
    let Some(chronyd) = require::require_chronyd() else { return };
    if !require::require_daemon() {
        return;
    }
    let asked = format!("ntp_server 127.0.0.1 {PORT}");
    let limits = format!("max_offset {MAX_OFFSET_S}");
    let mut router = Alone::start(Program::Daemon, &config(&asked, &limits), &[]);
    router.namespace().ip("link set lo up");
    // Nobody answers yet, which is no reason.
    router.await_priority(BASE);
    let mut chrony = Chrony::new(chronyd);
    chrony.start(&router, false);
    wait::eventually(SOON, "an answer", || of_server(&mut router, "answers") > 1.0);
    let right_by_s = of_server(&mut router, "offset_ms") / 1e3;
    assert!(right_by_s.abs() < f64::from(MAX_OFFSET_S), "{right_by_s}{}", router.log());
    router.assert_priority_stays(BASE);

    chrony.stop();
    chrony.start(&router, true);
    let is_noticed = || {
        chrony.feed();
        router.router().status().clock("/tracked/0/is_up") == false
    };
    wait::eventually(SOON, "a failure", is_noticed);
    router.await_priority(BASE - WEIGHT);
    let wrong_by_s = of_server(&mut router, "offset_ms") / 1e3;
    assert!((wrong_by_s - WRONG_BY_S).abs() < f64::from(MAX_OFFSET_S), "{wrong_by_s}");
    assert!(router.log().contains("s behind the time servers, more than 2 s"), "{}", router.log());

    chrony.stop();
    let failures = of_server(&mut router, "failures");
    // More than `fall`, and as many as make it worth a word.
    let is_gone = || of_server(&mut router, "failures") > failures + 3.0;
    wait::eventually(SOON, "no answers", is_gone);
    router.assert_priority_stays(BASE - WEIGHT);
    assert!(router.log().contains("does not answer"), "{}", router.log());

    chrony.start(&router, false);
    router.await_priority(BASE);
}

#[test]
fn whether_somebody_sets_the_clock_is_as_the_kernel_says() {
    if !require::require_daemon() {
        return;
    }
    // A test must not set the machine's clock: of the two ways that this can go, it has one.
    let is_set = clock::wall_error() < Duration::from_secs(16);
    let mut router = Alone::start(Program::Daemon, &config("", "require_sync"), &[]);
    router.await_priority(if is_set { BASE } else { BASE - WEIGHT });
    assert_eq!(router.router().status().clock("/kernel/is_synchronised"), is_set);
    // No clock is wrong by more for the kernel.
    router.reload(&config("", "max_error 16"));
    router.await_priority(BASE);
}

#[test]
fn a_name_that_is_looked_up_for_ever_holds_nobody_up() {
    if !require::require_daemon() {
        return;
    }
    let etc = TempDir::new("etc");
    etc.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n");
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    namespace.ip("link set lo up");
    // It takes questions, and answers none.
    let resolver = namespace.run(|| UdpSocket::bind("127.0.0.1:53").expect("a free port"));
    let text = config("ntp_server time.example.net", "max_offset 1");
    let start = Start { words: &[], etc: Some(etc.path()) };
    let mut router = Router::start_with(Program::Daemon, namespace, &text, &start);
    let last = || pair.heard("bond0", Stamp::default()).last().map(|heard| heard.advert.priority);
    wait::eventually(SOON, "a Master", || last() == Some(BASE));
    let mut question = [0; 512];
    resolver.set_read_timeout(Some(SOON)).expect("a limit");
    assert!(resolver.recv(&mut question).is_ok(), "the name is asked for: {}", router.log());
    let mut failures = || router.status().clock("/servers/0/failures").as_u64();
    wait::eventually(SOON, "two questions in vain", || failures() >= Some(2));
    // In order, though the resolver still waits.
    assert!(router.stop().success(), "{}", router.log());
    assert_eq!(last(), Some(0));
}
