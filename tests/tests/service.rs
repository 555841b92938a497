//! The daemon as a service: what it tells the manager that has started it (`sd_notify(3)`, heard by a
//! socket of the test's own), and what is left on the host after its end.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    env,
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixDatagram,
    },
    process::Command,
};

use ha_tests::{
    clock,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, Router, Start, describe},
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
const DELAY: &str = "global_defs {\n vrrp_startup_delay 4\n";
const USER: &str = "nobody";
const USER_ID: u32 = 65_534;
const SCRIPT: &str = "/bin/sh -c 'id -u >/etc/keepalived/story'";

/// The unit, whose capabilities are all that the daemon gets here.
const UNIT: &str = include_str!("../../etc/systemd/ha.service");
/// By their bit (capabilities(7)).
const CAPABILITIES: [(&str, u32); 10] = [
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_KILL", 5),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_RAW", 13),
    ("CAP_SYS_NICE", 23),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// Kept only where the limit of locked memory cannot be lifted.
const IPC_LOCK: u32 = 14;

/// The numbers of those that the unit allows.
fn allowed() -> Vec<u32> {
    let lines = UNIT.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let number = |name: &str| {
        let known = CAPABILITIES.iter().find(|(known, _)| *known == name);
        known.expect("one of the list").1
    };
    lines.flat_map(str::split_whitespace).map(number).collect()
}

fn set_of(capabilities: &[u32]) -> u64 {
    capabilities.iter().fold(0, |set, bit| set | 1 << bit)
}

/// What each thread of a process may do.
fn capabilities(pid: Pid) -> Vec<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let permitted = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    threads.flatten().filter_map(permitted).collect()
}

/// The manager's end, and the daemon that talks to it.
struct Service {
    socket: UnixDatagram,
    heard: Vec<String>,
    router: Router,
    pair: Pair,
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
        let etc = pair.node(Side::A).etc();
        let story = etc.join("story");
        fs::write(&story, "").expect("our own directory");
        fs::set_permissions(&story, Permissions::from_mode(0o666)).expect("our own file");
        let namespace = pair.node(Side::A).namespace();
        let bounds =
            allowed().iter().fold("-all".to_owned(), |set, cap| format!("{set},+cap_{cap}"));
        let wrapper = ["env", &address, &watchdog, "setpriv", "--bounding-set", &bounds];
        let start = Start { etc: etc.parent(), ..Start::default() };
        let router = Router::start_under(&wrapper, Program::Daemon, namespace, config, &start);
        Self { socket, heard: Vec::new(), router, pair, _directory: directory }
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
    let notify = format!("    notify_master \"{SCRIPT}\" {USER}\n");
    let text = config::instance(Dialect::V3Multicast, Side::A, 150, &notify);
    let fifo = TempDir::new("fifo");
    let fifo = fifo.path().join("news");
    let more = format!(" vrrp_notify_fifo {} {USER}\n}}\n", fifo.display());
    let mut service = Service::start(&format!("{DELAY}{more}{text}"));
    // Told before the delay begins, and the longest of all that systemd waits for by default.
    service.await_line("EXTEND_TIMEOUT_USEC=94000000", 1);
    service.await_line("WATCHDOG=1", 1);
    service.await_line("STATUS=1 instance: 1 Init", 1);
    let early = service.count("READY=1");
    let state = service.router.status().state("VI_1").to_owned();
    assert_eq!((state.as_str(), early), ("INIT", 0), "{}", service.router.log());
    service.await_line("READY=1", 1);
    service.await_line("STATUS=1 instance: 1 Master", 1);

    // What it needs capabilities for beside the network: another user's scripts and FIFOs.
    let owner = fs::metadata(&fifo).expect("it is made at the start").uid();
    assert_eq!(owner, USER_ID, "{}", service.router.log());
    let story = service.pair.node(Side::A).etc().join("story");
    let is_told = || fs::read_to_string(&story).is_ok_and(|told| told == format!("{USER_ID}\n"));
    assert!(wait::holds_within(SOON, is_told), "{}", service.router.log());
    assert_eq!(service.router.status().xdp("bond0"), "native", "{}", service.router.log());

    // That is enough, and every thread has all of it.
    for of_thread in capabilities(service.router.process().pid()) {
        assert_eq!(of_thread, set_of(&allowed()));
    }

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
    let instance = config::instance(Dialect::V3Multicast, Side::A, 150, &routes);
    // There is something to say of it, but not at each end.
    let text = format!("global_defs {{\n    vrrp_skip_check_adv_addr off\n}}\n{instance}");
    pair.node_mut(Side::A).start(Program::Daemon, &text, &[]);
    let pid = pair.node_mut(Side::A).router().process().pid();
    let namespace = pair.node(Side::A).namespace();
    namespace.ip(&format!("addr add {FOREIGN}/32 dev bond0"));
    let has_route = || !namespace.ip(&format!("route show {ROUTE}")).is_empty();
    let is_master = || pair.node(Side::A).addresses_held() == [2, 0] && has_route();
    assert!(wait::holds_within(SOON, is_master), "{}", pair.logs());
    assert!(pair.logs().contains("1 warning(s)"), "{}", pair.logs());

    // Started without a unit, by root who may do anything, it has given up the rest in every thread.
    let may_have = set_of(&allowed()) | set_of(&[IPC_LOCK]);
    let threads = capabilities(pid);
    assert!(threads.len() > 2 && threads.iter().all(|set| set & !may_have == 0), "{threads:x?}");

    let release = || pair.node(Side::A).release();
    let (status, log) = release();
    assert!(!status.success() && log.contains("already runs on bond0"), "{log}");
    assert!(is_master(), "it has released what a living daemon holds{}", pair.logs());

    namespace.kill_all();
    assert!(is_master(), "a kill removes nothing");
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

#[test]
fn a_router_that_keepalived_has_is_refused_and_another_is_not() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let mut pair = Pair::new();
    let text = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    pair.node_mut(Side::A).start(Program::Keepalived, &text, &[]);
    let holds = |count| pair.node(Side::A).addresses_held() == [2, count];
    assert!(wait::holds_within(SOON, || holds(0)), "{}", pair.logs());

    let namespace = pair.node(Side::A).namespace();
    let mut ours = Router::start(Program::Daemon, namespace, &text);
    let status = ours.process().wait(SOON);
    let log = ours.log();
    assert!(!status.success() && log.contains("virtual router 133 on bond0"), "{log}");
    assert!(log.contains("keepalived (pid "), "{log}");
    assert!(holds(0), "what keepalived holds was touched{}", pair.logs());

    // On another interface both may run.
    let other = text.replace("bond0", "eth2").replace("198.51.100.", "192.0.2.");
    let ours = Router::start(Program::Daemon, namespace, &other);
    assert!(wait::holds_within(SOON, || holds(2)), "{}{}", ours.log(), pair.logs());
}

/// What systemd says of the unit: 0 to 100, the less the better.
const EXPOSURE_MAX: &str = "--threshold=69";

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    if !require::require_daemon() || !require::require_tools(&[("systemd-analyze", "systemd")]) {
        return;
    }
    let directory = TempDir::new("unit");
    let daemon = env::var("HA_BINARY").expect("required above");
    let unit = UNIT.replace("/usr/sbin/ha-userspace", &daemon);
    directory.write("ha.service", &unit);
    let path = directory.path().join("ha.service");
    for words in [["verify", "--man=no"].as_slice(), &["security", "--offline=true", EXPOSURE_MAX]]
    {
        let mut command = Command::new("systemd-analyze");
        let output = command.args(words).arg(&path).output().expect("it is there");
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        assert!(!said.contains("Unknown"), "{said}");
    }
}
