//! Start, stop, crash and reload of the daemon: what it takes from the host and what it gives back.

use core::{ffi::c_int, time::Duration};

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    decode,
    pair::{Pair, SEGMENTS, Side},
    process::{Program, Router, Start, describe},
    require,
    status::Status,
    tempdir::TempDir,
    tool, wait,
};
use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const SOON: Duration = Duration::from_secs(20);
/// Longer than any timer at a fifth of a second runs.
const QUIET: Duration = Duration::from_secs(1);
const INTERFACE: &str = "bond0";
const INSTANCE: &str = "VI_1";

fn config(side: Side) -> String {
    let priority = if side == Side::A { 150 } else { 100 };
    config::instance(Dialect::V3Multicast, side, priority, "")
}

/// A and B with the daemon; A is Master.
fn start(words: &[&str]) -> Pair {
    let mut pair = Pair::new();
    for side in Side::BOTH {
        pair.node_mut(side).start(Program::Daemon, &config(side), words);
    }
    await_master(&pair, Side::A);
    pair
}

fn await_master(pair: &Pair, side: Side) {
    let comes = wait::holds_within(SOON, || pair.is_first_master(side));
    assert!(comes, "{side:?} is not the one Master{}", pair.logs());
}

/// What the kernel says about XDP on the interface: `xdp`, `xdpgeneric` or nothing.
fn attached(pair: &Pair, side: Side) -> Option<String> {
    let text = pair.node(side).namespace().ip(&format!("link show dev {INTERFACE}"));
    text.split_whitespace().find(|word| word.starts_with("xdp")).map(str::to_owned)
}

fn judges_by(mode: &str, in_kernel: Option<&str>) {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&["--xdp", mode]);
    for side in Side::BOTH {
        let status = pair.node_mut(side).router().status();
        assert_eq!(status.xdp(INTERFACE), mode, "{}", pair.logs());
        assert_eq!(attached(&pair, side).as_deref(), in_kernel);
    }
    wait::eventually(SOON, "advertisements to be counted", || {
        let status = pair.node_mut(Side::B).router().status();
        status.counter(INTERFACE, "accepted") > 3
    });
    let status = pair.node_mut(Side::A).router().stop();
    assert!(status.success(), "{}{}", describe(status), pair.logs());
    await_master(&pair, Side::B);
    assert_eq!(attached(&pair, Side::A), None, "a program is left after a stop");
    pair.node_mut(Side::B).router().process().kill();
    let is_gone = wait::holds_within(SOON, || attached(&pair, Side::B).is_none());
    assert!(is_gone, "a program is left after SIGKILL");
}

#[test]
fn native_xdp() {
    judges_by("native", Some("xdp"));
}

#[test]
fn generic_xdp() {
    judges_by("generic", Some("xdpgeneric"));
}

#[test]
fn no_xdp() {
    judges_by("off", None);
}

#[test]
fn what_was_demanded_and_cannot_be_had_is_said() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let namespace = pair.node(Side::A).namespace();
    // A device whose driver knows no XDP, and what it needs to have a carrier.
    namespace.ip("link add simple type bridge");
    namespace.ip("link add name inner type veth peer name outer");
    namespace.ip("link set inner master simple up");
    namespace.ip("link set outer up");
    namespace.ip("link set simple up");
    namespace.ip("addr add 198.51.100.30/24 dev simple");
    let text = config(Side::A).replace(INTERFACE, "simple");
    let start = |mode: &str| {
        let words = ["--xdp", mode];
        let start = Start { words: &words, etc: None };
        Router::start_with(Program::Daemon, namespace, &text, &start)
    };
    let mut demanding = start("native");
    let status = demanding.process().wait(SOON);
    assert!(!status.success(), "{}", demanding.log());
    assert!(demanding.log().contains("simple"), "no word on the interface: {}", demanding.log());

    let mut content = start("auto");
    let is_master = || namespace.has_address("simple", "198.51.100.13");
    assert!(wait::holds_within(SOON, is_master), "{}", content.log());
    assert_eq!(content.status().xdp("simple"), "generic");
}

#[test]
fn a_second_daemon_is_refused() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let namespace = pair.node(Side::A).namespace();
    let mut second = Router::start(Program::Daemon, namespace, &config(Side::A));
    let status = second.process().wait(SOON);
    assert!(!status.success(), "{}", second.log());
    let log = second.log();
    assert!(log.contains(INTERFACE), "no word on the interface: {log}");
    let pid = pair.node_mut(Side::A).router().process().pid();
    assert!(log.contains(&pid.to_string()), "no word on the first daemon {pid}: {log}");
    // The first has noticed nothing.
    assert!(wait::holds_throughout(QUIET, || pair.is_first_master(Side::A)), "{}", pair.logs());
    assert!(attached(&pair, Side::A).is_some());
}

#[test]
fn left_overs_are_removed_and_nothing_else() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let own = "198.51.100.77";
    pair.node(Side::A).namespace().ip(&format!("addr add {own}/32 dev {INTERFACE}"));
    pair.node_mut(Side::A).router().process().kill();
    // The host lives on, with the addresses that its daemon has set: both have them.
    let takes_over = wait::holds_within(SOON, || pair.node(Side::B).addresses_held() == [2, 0]);
    assert!(takes_over, "{}", pair.logs());
    assert_eq!(pair.node(Side::A).addresses_held(), [2, 0]);

    // Lower than B now, so it would only be Backup; what was left must go nevertheless.
    let text = config(Side::A).replace("priority 150", "priority 50");
    pair.node_mut(Side::A).start(Program::Daemon, &text, &[]);
    await_master(&pair, Side::B);
    assert!(wait::holds_throughout(QUIET, || pair.is_first_master(Side::B)), "{}", pair.logs());
    let status = pair.node_mut(Side::A).router().stop();
    assert!(status.success(), "{}", describe(status));
    let namespace = pair.node(Side::A).namespace();
    assert!(namespace.has_address(INTERFACE, own), "an address of the operator's is gone");
    assert!(namespace.has_address(INTERFACE, "198.51.100.10"));
}

#[test]
fn a_network_that_falls_apart_has_one_master_when_it_is_whole_again() {
    if !require::require_daemon() {
        return;
    }
    let pair = start(&[]);
    pair.isolate(Side::B, INTERFACE);
    let both = || Side::BOTH.iter().all(|side| pair.node(*side).addresses_held() == [2, 0]);
    assert!(wait::holds_within(SOON, both), "B does not take over{}", pair.logs());
    // The client has learned B's hardware address where it could; now it must learn A's.
    let whole = Stamp::now();
    pair.rejoin(Side::B, INTERFACE);
    await_master(&pair, Side::A);
    assert!(wait::holds_throughout(QUIET, || pair.is_first_master(Side::A)), "{}", pair.logs());
    let [segment, _] = SEGMENTS;
    for address in segment.virtual_addresses {
        let announced =
            wait::some_within(SOON, || pair.first_announcement(INTERFACE, Side::A, address, whole));
        assert!(announced.is_some(), "A does not announce {address} again{}", pair.logs());
    }
    let (_, _, capture) = pair.segment(INTERFACE);
    let later = Stamp::now();
    let speaks = |frame: &ha_tests::capture::Frame| {
        let advert = decode::advert(frame)?;
        (advert.source == segment.host(Side::B.number())).then_some(frame.at)
    };
    let is_silent = wait::holds_throughout(QUIET, || capture.first(later, speaks).is_none());
    assert!(is_silent, "B still advertises{}", pair.logs());
}

#[test]
fn a_configuration_with_an_error_does_not_replace_a_good_one() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let file = pair.node_mut(Side::A).router().directory().path().join("keepalived.conf");
    std::fs::write(file, "vrrp_instance VI_1 {\n    virtual_router_id 300\n").expect("our own");
    let before = pair.node_mut(Side::A).router().status();
    pair.node_mut(Side::A).router().process().signal(Signal::SIGHUP);
    let is_said = || pair.node(Side::A).log().contains("300");
    assert!(wait::holds_within(SOON, is_said), "no word on the error{}", pair.logs());
    assert!(wait::holds_throughout(QUIET, || pair.is_first_master(Side::A)), "{}", pair.logs());
    let after = pair.node_mut(Side::A).router().status();
    assert_eq!(released_master(&after), released_master(&before));
}

/// Has A read `text` as its configuration.
fn reload(pair: &mut Pair, text: &str) {
    pair.node_mut(Side::A).router().directory().write("keepalived.conf", text);
    pair.node_mut(Side::A).router().process().signal(Signal::SIGHUP);
}

/// `VI_2` on the interface `name`, whose addresses begin with `network`.
fn another_instance(name: &str, network: &str) -> String {
    let text = config(Side::A).replace(INSTANCE, "VI_2").replace(INTERFACE, name);
    text.replace("198.51.100.", network).replace("virtual_router_id 133", "virtual_router_id 7")
}

#[test]
fn a_configuration_that_cannot_be_run_leaves_the_old_one_running() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let other = another_instance("eth2", "192.0.2.");
    let namespace = pair.node(Side::A).namespace();
    let second = Router::start(Program::Daemon, namespace, &other);
    let has_it = || pair.node(Side::A).namespace().has_address("eth2", "192.0.2.13");
    assert!(wait::holds_within(SOON, has_it), "{}", second.log());
    let before = pair.node_mut(Side::A).router().status();

    reload(&mut pair, "");
    let is_said = || pair.node(Side::A).log().contains("the running configuration stays");
    assert!(wait::holds_within(SOON, is_said), "no word on the empty file{}", pair.logs());
    reload(&mut pair, &(config(Side::A) + &other));
    let is_said = || pair.node(Side::A).log().contains("already runs on eth2");
    assert!(wait::holds_within(SOON, is_said), "no word on the other daemon{}", pair.logs());

    let both_hold = || {
        let [first, second] = pair.node(Side::A).addresses_held();
        [first, second] == [2, 2] && pair.node(Side::B).addresses_held() == [0, 0]
    };
    assert!(wait::holds_throughout(QUIET, both_hold), "{}", pair.logs());
    let after = pair.node_mut(Side::A).router().status();
    assert_eq!(after.state(INSTANCE), "MASTER");
    // It was not even interrupted.
    assert_eq!(released_master(&after), released_master(&before));
}

#[test]
fn a_configuration_that_cannot_have_its_interface_changes_nothing() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&["--xdp", "native"]);
    // Its driver knows no XDP.
    pair.node(Side::A).namespace().ip("link add simple type bridge");
    pair.node(Side::A).namespace().ip("link set simple up");
    let before = pair.node_mut(Side::A).router().status();
    reload(&mut pair, &(config(Side::A) + &another_instance("simple", "203.0.113.")));
    let is_said = || pair.node(Side::A).log().contains("configuration stays: simple");
    assert!(wait::holds_within(SOON, is_said), "no word on the failure{}", pair.logs());
    await_master(&pair, Side::A);
    let status = pair.node_mut(Side::A).router().status();
    assert_eq!(status.state(INSTANCE), "MASTER");
    assert_eq!(released_master(&status), released_master(&before));
    assert_eq!(status.xdp(INTERFACE), "native");
    // What it could not have is free for others.
    assert_eq!(status.xdp("simple"), "unknown");
    let status = pair.node_mut(Side::A).router().stop();
    assert!(status.success(), "{}", describe(status));
    await_master(&pair, Side::B);
}

#[test]
fn a_reload_does_not_wait_for_scripts_and_does_not_end_them() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = Pair::new();
    let [story, gate] = ["story", "gate"].map(|name| pair.node(Side::A).etc().join(name));
    std::fs::write(&story, "").expect("our own directory");
    let everyone = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&story, everyone).expect("our own file");
    let tell = |word: &str| format!("echo {word} >>/etc/keepalived/story");
    let script = format!(
        "{}; while ! test -e /etc/keepalived/gate; do sleep 0.05; done; {}",
        tell("begins"),
        tell("ends")
    );
    let text = config(Side::A).replace(
        "    virtual_ipaddress",
        &format!("    notify_master \"/bin/sh -c '{script}'\"\n    virtual_ipaddress"),
    );
    pair.node_mut(Side::A).start(Program::Daemon, &text, &[]);
    let told = || std::fs::read_to_string(&story).expect("our own file");
    let begins = wait::holds_within(SOON, || told() == "begins\n");
    assert!(begins, "the script does not run: {}{}", told(), pair.logs());

    // Its new configuration has no script.
    reload(&mut pair, &config(Side::A));
    let is_read = || pair.node(Side::A).log().contains("read again");
    assert!(wait::holds_within(SOON, is_read), "it is not read{}", pair.logs());
    assert_eq!(told(), "begins\n", "the reload was after the script");
    // It has not been ended to have the reload early: it still hears of what it waits for.
    std::fs::write(&gate, "").expect("our own directory");
    let ends = wait::holds_within(SOON, || told() == "begins\nends\n");
    assert!(ends, "the script was ended: {}{}", told(), pair.logs());
}

#[test]
fn a_good_configuration_is_taken_at_sighup() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let more = "198.51.100.15";
    let text =
        config(Side::A).replace("198.51.100.14\n", &format!("198.51.100.14\n        {more}\n"));
    let file = pair.node_mut(Side::A).router().directory().path().join("keepalived.conf");
    std::fs::write(file, text).expect("our own");
    pair.node_mut(Side::A).router().process().signal(Signal::SIGHUP);
    let has_it = || pair.node(Side::A).namespace().has_address(INTERFACE, more);
    assert!(wait::holds_within(SOON, has_it), "{}", pair.logs());
    await_master(&pair, Side::A);
    let status = pair.node_mut(Side::A).router().stop();
    assert!(status.success(), "{}", describe(status));
    assert!(!has_it_at(&pair, more), "an address is left after the stop");
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_it_from_stopping() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let directory = TempDir::new("stalled");
    let file = directory.write("keepalived.conf", &config(Side::A));
    let binary = std::env::var_os("HA_BINARY").expect("required above");
    let (unread, mut errors) = std::io::pipe().expect("a pipe");
    let room = fcntl(&errors, FcntlArg::F_SETPIPE_SZ(1)).expect("a small pipe");
    let room = usize::try_from(room).expect("a size");
    errors.write_all(&vec![b'.'; room]).expect("a pipe that is full now");
    let mut command = Command::new(binary);
    command.arg("--config").arg(file).arg("--run-dir").arg(directory.path());
    // Both outputs: neither may be written to by the way.
    let outputs = errors.try_clone().expect("a pipe");
    command.stdin(Stdio::null()).stdout(outputs).stderr(errors);
    let namespace = pair.node(Side::A).namespace();
    let mut daemon = namespace.spawn(&mut command).expect("the daemon");
    drop(command);
    let holds = |count| pair.node(Side::A).addresses_held() == [count, 0];
    let is_master = wait::holds_within(SOON, || holds(2));

    let pid = Pid::from_raw(i32::try_from(daemon.id()).expect("a process id"));
    // What is wrong with a file is shown where nobody reads: the reload hangs, and nothing else.
    directory.write("keepalived.conf", "nonsense {\n");
    kill(pid, Signal::SIGHUP).expect("signal a child");
    kill(pid, Signal::SIGUSR1).expect("signal a child");
    let serves = wait::holds_within(SOON, || !directory.read("status.json").is_empty());
    kill(pid, Signal::SIGTERM).expect("signal a child");
    let ended = wait::some_within(SOON, || daemon.try_wait().expect("wait for a child"));
    let is_clean = holds(0);
    // Whatever became of it, it must not outlive the test.
    daemon.kill().ok();
    daemon.wait().expect("wait for a child");
    drop(unread);
    assert!(is_master, "it does not become Master");
    assert!(serves, "it does not write its status");
    assert!(ended.is_some_and(|status| status.success()), "it does not end: {ended:?}");
    assert!(is_clean, "it has left its addresses");
}

#[test]
fn keepalived_s_signals_do_not_end_a_master() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let before = pair.node_mut(Side::A).router().status();
    let directory = pair.node_mut(Side::A).router().directory().path().to_owned();
    let send = |pair: &mut Pair, number: c_int| {
        let pid = pair.node_mut(Side::A).router().process().pid();
        // By number: the names of real-time signals are not known everywhere.
        tool::run("kill", &format!("-{number} {pid}"));
    };
    // The status was asked for just now.
    std::fs::remove_file(directory.join("status.json")).expect("the status before");
    for (number, file) in
        [(libc::SIGUSR2, "status.json"), (libc::SIGRTMIN() + 2, "keepalived.json")]
    {
        let file = directory.join(file);
        send(&mut pair, number);
        let is_written = || std::fs::exists(&file).expect("our own directory");
        let comes = wait::holds_within(SOON, is_written);
        assert!(comes, "no status after signal {number}{}", pair.logs());
    }
    let ignored = [libc::SIGALRM, libc::SIGRTMAX()];
    for number in ignored {
        send(&mut pair, number);
    }
    let notes = || pair.node(Side::A).log().matches("means nothing").count() == ignored.len();
    assert!(wait::holds_within(SOON, notes), "a signal is not noted{}", pair.logs());
    assert!(wait::holds_throughout(QUIET, || pair.is_first_master(Side::A)), "{}", pair.logs());
    let after = pair.node_mut(Side::A).router().status();
    assert_eq!(after.state(INSTANCE), "MASTER");
    assert_eq!(released_master(&after), released_master(&before));

    pair.node_mut(Side::A).router().process().signal(Signal::SIGQUIT);
    let status = pair.node_mut(Side::A).router().process().wait(SOON);
    assert!(status.success(), "{}{}", describe(status), pair.logs());
    await_master(&pair, Side::B);
}

/// keepalived's `STATS_CLEAR`: what was counted is in the file, and then it is counted anew.
#[test]
fn statistics_are_written_and_cleared() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let router = pair.node_mut(Side::A).router();
    let file = router.directory().path().join("status.json");
    let became_master = |status: &Status| status.statistic(INSTANCE, "became_master");
    assert_eq!(became_master(&router.status()), 1);
    std::fs::remove_file(&file).expect("the status before");
    let pid = router.process().pid();
    tool::run("kill", &format!("-{} {pid}", libc::SIGRTMAX() - 1));
    let written = || Status::parse(&std::fs::read_to_string(&file).ok()?);
    let last = wait::some_within(SOON, written).unwrap_or_else(|| panic!("{}", router.log()));
    assert_eq!(became_master(&last), 1);
    let after = router.status();
    assert_eq!(became_master(&after), 0, "{}", router.log());
    let sent = |status: &Status| status.statistic(INSTANCE, "adverts_sent");
    let grows = || sent(&router.status()) > sent(&after);
    assert!(wait::holds_within(SOON, grows), "nothing is counted any more");
    assert_eq!(after.state(INSTANCE), "MASTER");
}

fn released_master(status: &Status) -> u64 {
    status.statistic(INSTANCE, "released_master")
}

fn has_it_at(pair: &Pair, address: &str) -> bool {
    pair.node(Side::A).namespace().has_address(INTERFACE, address)
}

#[test]
fn a_client_reaches_the_new_master_by_announcement_alone() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = start(&[]);
    let [segment, _] = SEGMENTS;
    let [address, _] = segment.virtual_addresses;
    let neighbour = |pair: &Pair| {
        let text = pair.client().ip(&format!("neigh show to {address} dev {INTERFACE}"));
        let mut words = text.split_whitespace();
        words.find(|word| *word == "lladdr").and_then(|_| words.next().map(str::to_owned))
    };
    let prober = pair.probe(SOON);
    let begin = Stamp::now();
    wait::eventually(SOON, "an answer", || prober.replies_since(address, begin) > 0);
    // Asks no more, so only an announcement can change what the client knows.
    drop(prober);
    assert_eq!(neighbour(&pair).as_deref(), Some("02:00:00:00:01:0a"));
    pair.node_mut(Side::A).router().stop();
    await_master(&pair, Side::B);
    let moves = || neighbour(&pair).as_deref() == Some("02:00:00:00:01:0b");
    assert!(wait::holds_within(SOON, moves), "{:?}{}", neighbour(&pair), pair.logs());
}
