//! The daemon as a service: what it tells the manager that has started it (`sd_notify(3)`, heard by a
//! socket of the test's own), and what is left on the host after its end.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{env, fs, os::unix::net::UnixDatagram, process::Command};

use ha_tests::{
    clock,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Process, Program, Router, Start, describe},
    require,
    tempdir::TempDir,
    wait,
};
use nix::{
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

const SOON: Duration = Duration::from_secs(20);
/// Several times as long as the watchdog waits to be fed.
const QUIET: Duration = Duration::from_secs(2);
const WATCHDOG: Duration = Duration::from_millis(400);
/// Long enough that the daemon is seen before its instance starts.
const DELAY: &str = "global_defs {\n vrrp_startup_delay 4\n}\n";

/// The manager's end, and the daemon that talks to it.
struct Service {
    socket: UnixDatagram,
    heard: Vec<String>,
    router: Router,
    _pair: Pair,
    _directory: TempDir,
}

impl Service {
    fn start(config: &str) -> Self {
        let directory = TempDir::new("manager");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a fresh name");
        socket.set_nonblocking(true).expect("our own socket");
        let address = format!("NOTIFY_SOCKET={}", path.display());
        let watchdog = format!("WATCHDOG_USEC={}", WATCHDOG.as_micros());
        let pair = Pair::new();
        let namespace = pair.node(Side::A).namespace();
        let wrapper = ["env", address.as_str(), watchdog.as_str()];
        let start = Start::default();
        let router = Router::start_under(&wrapper, Program::Daemon, namespace, config, &start);
        Self { socket, heard: Vec::new(), router, _pair: pair, _directory: directory }
    }

    /// All lines so far.
    fn listen(&mut self) -> &[String] {
        let mut buffer = [0_u8; 4096];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            let message = String::from_utf8_lossy(buffer.get(..len).unwrap_or_default());
            self.heard.extend(message.lines().map(str::to_owned));
        }
        &self.heard
    }

    fn count(&mut self, line: &str) -> usize {
        self.listen().iter().filter(|heard| *heard == line).count()
    }

    /// Waits until `line` was heard for the `times`. time; where it is among the others.
    fn await_line(&mut self, line: &str, times: usize) -> usize {
        let comes = wait::holds_within(SOON, || self.count(line) >= times);
        assert!(comes, "no {line} in {:?}\n{}", self.heard, self.router.log());
        let mut places = self.heard.iter().enumerate().filter(|(_, heard)| *heard == line);
        places.nth(times - 1).expect("counted").0
    }

    /// Has it read `text`; the moment that it names as the beginning, in microseconds.
    fn reload(&mut self, text: &str) -> u128 {
        let before = self.count("RELOADING=1");
        let ready = self.count("READY=1");
        self.router.directory().write("keepalived.conf", text);
        self.router.process().signal(Signal::SIGHUP);
        let place = self.await_line("RELOADING=1", before + 1);
        assert!(self.await_line("READY=1", ready + 1) > place, "{:?}", self.heard);
        let moment =
            self.heard.get(place + 1).and_then(|line| line.strip_prefix("MONOTONIC_USEC="));
        moment.and_then(|usec| usec.parse().ok()).expect("beside RELOADING=1")
    }

    fn engine_thread(&mut self) -> Pid {
        let tasks = format!("/proc/{}/task", self.router.process().pid());
        let tasks = fs::read_dir(tasks).expect("a running daemon").flatten();
        let is_engine = |task: &fs::DirEntry| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "ha-engine\n")
        };
        let mut engine = tasks.filter(is_engine);
        let name = engine.next().expect("a thread of this name").file_name();
        Pid::from_raw(name.to_string_lossy().parse().expect("a thread's number"))
    }
}

#[test]
fn the_manager_hears_of_the_start_of_reloads_of_life_and_of_the_end() {
    if !require::require_daemon() {
        return;
    }
    let text = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    let mut service = Service::start(&format!("{DELAY}{text}"));
    // Told before the delay begins, and the longest of all that systemd waits for by default.
    service.await_line("EXTEND_TIMEOUT_USEC=94000000", 1);
    service.await_line("WATCHDOG=1", 1);
    service.await_line("STATUS=1 instance: 1 Init", 1);
    let early = service.count("READY=1");
    let state = service.router.status().state("VI_1").to_owned();
    assert_eq!((state.as_str(), early), ("INIT", 0), "{}", service.router.log());
    service.await_line("READY=1", 1);
    service.await_line("STATUS=1 instance: 1 Master", 1);

    for text in [text.as_str(), "vrrp_instance VI_1 {\n    virtual_router_id 300\n"] {
        let begin = clock::monotonic().as_micros();
        let moment = service.reload(text);
        assert!((begin..=clock::monotonic().as_micros()).contains(&moment), "{moment}");
    }
    assert_eq!(service.router.status().state("VI_1"), "MASTER");

    // Only the engine thread is held; what else the daemon does goes on, and must not feed for it.
    let fed = service.count("WATCHDOG=1");
    service.await_line("WATCHDOG=1", fed + 3);
    let engine = service.engine_thread();
    ptrace::seize(engine, ptrace::Options::empty()).expect("a thread of our child's");
    ptrace::interrupt(engine).expect("seized");
    waitpid(engine, Some(WaitPidFlag::__WALL)).expect("it stops");
    let fed = service.count("WATCHDOG=1");
    service.router.process().signal(Signal::SIGUSR1);
    let is_quiet = wait::holds_throughout(QUIET, || service.count("WATCHDOG=1") == fed);
    assert!(is_quiet, "it is fed although the engine thread stands still: {:?}", service.heard);
    let is_awake = || service.router.log().contains("the engine thread does not answer");
    assert!(wait::holds_within(SOON, is_awake), "{}", service.router.log());
    ptrace::detach(engine, None).expect("seized");
    service.await_line("WATCHDOG=1", fed + 1);

    let status = service.router.stop();
    assert!(status.success(), "{}{}", describe(status), service.router.log());
    service.await_line("STOPPING=1", 1);
}

/// A virtual route of `VI_1`, and its network.
const ROUTE: &str = "192.0.2.192/26";
/// An address that somebody else has set, without a mark.
const FOREIGN: &str = "198.51.100.77";

#[test]
fn what_a_killed_daemon_left_is_released_and_nothing_else() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = Pair::new();
    let routes = format!("    virtual_routes {{\n        {ROUTE} dev bond0\n    }}\n");
    let text = config::instance(Dialect::V3Multicast, Side::A, 150, &routes);
    pair.node_mut(Side::A).start(Program::Daemon, &text, &[]);
    let directory = pair.node_mut(Side::A).router().directory().path().to_owned();
    let namespace = pair.node(Side::A).namespace();
    namespace.ip(&format!("addr add {FOREIGN}/32 dev bond0"));
    let has_route = || !namespace.ip(&format!("route show {ROUTE}")).is_empty();
    let is_master = || pair.node(Side::A).addresses_held() == [2, 0] && has_route();
    assert!(wait::holds_within(SOON, is_master), "{}", pair.logs());

    // What a unit's ExecStopPost runs, with the options of its ExecStart.
    let release = || {
        let mut command = Command::new(env::var_os("HA_BINARY").expect("required above"));
        command.arg("--run-dir").arg(&directory).arg("-f").arg(directory.join("keepalived.conf"));
        command.arg("release");
        let mut process = Process::start(namespace, command, &directory.join("release"), None);
        (process.wait(SOON), process.log())
    };
    let (status, log) = release();
    assert!(!status.success() && log.contains("already runs on bond0"), "{log}");
    assert!(is_master(), "it has released what a living daemon holds{}", pair.logs());

    namespace.kill_all();
    assert!(is_master(), "a kill removes nothing");
    // The kernel takes a moment for the end of a process, with which its lock goes.
    let released = || Some(release()).filter(|(status, _)| status.success());
    let (_, log) = wait::some_within(SOON, released).expect("it is released");
    assert_eq!(log.matches("left over").count(), 3, "{log}");
    assert_eq!(pair.node(Side::A).addresses_held(), [0, 0], "{log}");
    assert!(!has_route(), "{log}");
    assert!(
        namespace.has_address("bond0", FOREIGN) && namespace.has_address("bond0", "198.51.100.10")
    );
    // Every stop runs it: where there is nothing, it says nothing.
    let (status, log) = release();
    assert!(status.success() && log.is_empty(), "{}: {log}", describe(status));
}
