//! `docs/migrate-from-keepalived.md`, followed on the reference pair: from keepalived and back, host
//! by host. systemd's part of it, to stop the one program and to start the other, is the test's.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{collections::BTreeMap, fs, process::Command};

use ha_tests::{
    clock::Stamp,
    pair::{Heard, Pair, SEGMENTS, Side},
    process::{Process, Program, describe},
    reference, require,
    status::Status,
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(30);
const DOCUMENT: &str = include_str!("../../docs/migrate-from-keepalived.md");
/// Longer than a Backup waits (RFC 3768 §6.1: three intervals and less than one more).
const LONG_IN_ADVERTISEMENTS: usize = 5;

/// The unit `keepalived.service` of one node: one program after the other with the same options.
struct Unit {
    process: Option<Process>,
    directory: TempDir,
}

struct Migration {
    units: BTreeMap<Side, Unit>,
    pair: Pair,
}

impl Migration {
    fn new() -> Self {
        let pair = Pair::new();
        for side in Side::BOTH {
            let file = pair.node(side).etc().join("keepalived.conf");
            fs::write(file, reference::config(side)).expect("our own directory");
        }
        let unit = |side| (side, Unit { process: None, directory: TempDir::new("unit") });
        Self { units: Side::BOTH.map(unit).into(), pair }
    }

    fn unit(&mut self, side: Side) -> &mut Unit {
        self.units.get_mut(&side).expect("one for each side")
    }

    fn process(&mut self, side: Side) -> &mut Process {
        self.unit(side).process.as_mut().expect("it was started")
    }

    /// Runs a command of the document's on the node of `side`.
    fn command(&mut self, side: Side, mut words: Vec<String>) -> Process {
        let program = match words.remove(0).as_str() {
            "ha-userspace" | "/usr/local/sbin/ha-userspace" => {
                std::env::var("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>")
            }
            other => other.to_owned(),
        };
        let mut command = Command::new(program);
        command.args(words);
        let etc = self.pair.node(side).etc();
        let log = self.unit(side).directory.path().join("log");
        let node = self.pair.node(side);
        Process::start(node.namespace(), command, &log, etc.parent())
    }

    /// `systemctl start keepalived`.
    fn start(&mut self, side: Side, program: Program) {
        let directory = self.unit(side).directory.path().display().to_string();
        let pid_files = format!("-p {directory}/main.pid -r {directory}/vrrp.pid");
        // The same for both: this is what is in /etc/default/keepalived.
        let options = format!("-P -D -l {pid_files}");
        let line = match program {
            // Of Debian's unit.
            Program::Keepalived => "keepalived --dont-fork $DAEMON_ARGS".to_owned(),
            Program::Daemon => {
                let line = DOCUMENT.lines().find_map(|line| {
                    line.strip_prefix("ExecStart=").filter(|line| line.contains("ha-userspace"))
                });
                // Only so that both nodes can be on one host.
                format!("{} --run-dir {directory}", line.expect("the unit's line"))
            }
        };
        let line = line.replace("$DAEMON_ARGS", &options);
        let words = line.split_whitespace().map(str::to_owned).collect();
        let process = self.command(side, words);
        self.unit(side).process = Some(process);
    }

    /// `systemctl restart keepalived`, with another program behind it.
    fn restart(&mut self, side: Side, program: Program) {
        let status = self.process(side).stop();
        let logs = self.logs();
        assert!(status.success(), "{side:?}: {}{logs}", describe(status));
        assert_eq!(self.pair.node(side).addresses_held(), [0, 0], "{side:?} leaves some{logs}");
        self.start(side, program);
    }

    /// Waits until `master` is Master and the other node listens to it, and goes on to.
    fn await_settled(&mut self, master: Side) {
        let settles = wait::holds_within(SOON, || self.pair.master() == Some(master));
        assert!(settles, "{master:?} is not Master{}", self.logs());
        let begin = Stamp::now();
        let is_heard = |pair: &Pair| {
            SEGMENTS.iter().all(|segment| {
                let heard = pair.heard(segment.interface, begin);
                heard.iter().filter(|one| one.from == master).count() >= LONG_IN_ADVERTISEMENTS
            })
        };
        let goes_on = wait::holds_within(SOON, || is_heard(&self.pair));
        assert!(goes_on, "{master:?} is silent{}", self.logs());
        for segment in SEGMENTS {
            let others = self.pair.heard(segment.interface, begin);
            let other = others.iter().find(|one| one.from != master);
            assert!(other.is_none(), "{other:?} beside the Master{}", self.logs());
        }
        assert_eq!(self.pair.master(), Some(master), "{}", self.logs());
    }

    /// What the document has the operator look at, on a node that has been migrated.
    fn assert_looks_well(&mut self, side: Side, state: &str) {
        let log = self.process(side).log();
        for instance in ["VI_1", "VI_2"] {
            assert!(log.contains(&format!("{instance}: INIT -> BACKUP")), "{log}");
        }
        let status = self.unit(side).directory.path().join("status.json");
        fs::remove_file(&status).ok();
        self.process(side).signal(Signal::SIGUSR1);
        let read = || Status::parse(&self.unit(side).directory.read("status.json"));
        let status = wait::some_within(SOON, read).expect("the status");
        for (instance, segment) in ["VI_1", "VI_2"].into_iter().zip(SEGMENTS) {
            assert_eq!(status.state(instance), state);
            let master = segment.host(side.other().number()).to_string();
            if state == "BACKUP" {
                assert_eq!(status.master(instance), Some(master.as_str()));
            }
            assert_eq!(status.statistic(instance, "rejected"), 0);
        }
    }

    /// Waits until the scripts of `side` were told `words`, and nothing else.
    fn await_notified(&self, side: Side, words: &[&str]) {
        let node = self.pair.node(side);
        let told = wait::holds_within(SOON, || node.notified() == words);
        assert!(told, "{side:?} was told {:?}, not {words:?}{}", node.notified(), self.logs());
    }

    fn logs(&self) -> String {
        let log = |(side, unit): (&Side, &Unit)| {
            format!("\n--- {side:?}'s log\n{}", unit.directory.read("log"))
        };
        self.units.iter().map(log).collect()
    }

    /// What must not change: the configuration and the scripts.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for side in Side::BOTH {
            for entry in fs::read_dir(self.pair.node(side).etc()).expect("ours").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name != "notify.log" {
                    let content = fs::read(entry.path()).expect("ours");
                    files.push((format!("{side:?}/{name}"), content));
                }
            }
        }
        files.sort_unstable();
        files
    }

    /// On each segment, since `since`, exactly these nodes were Masters one after the other; each
    /// left with a goodbye before its successor's first word, and the successor did not wait for
    /// more than that.
    fn assert_masters(&self, since: Stamp, masters: &[Side]) {
        for segment in SEGMENTS {
            let heard = self.pair.heard(segment.interface, since);
            let (claims, goodbyes): (Vec<&Heard>, Vec<&Heard>) =
                heard.iter().partition(|one| one.advert.priority > 0);
            let mut seen: Vec<Side> = claims.iter().map(|one| one.from).collect();
            seen.dedup();
            assert_eq!(seen, masters, "on {}{}", segment.interface, self.logs());
            let successors = claims.iter().skip(1);
            let handovers: Vec<(&Heard, &Heard)> = claims
                .iter()
                .zip(successors)
                .filter(|(one, next)| one.from != next.from)
                .map(|(one, next)| (*one, *next))
                .collect();
            assert_eq!(goodbyes.len(), handovers.len(), "{goodbyes:?}");
            for ((last, first), goodbye) in handovers.into_iter().zip(goodbyes) {
                assert_eq!(goodbye.from, last.from);
                assert!(last.at <= goodbye.at && goodbye.at < first.at, "{goodbye:?}");
                // RFC 3768 §6.1: three intervals of a second, and the skew of priority 100.
                let master_down = Duration::from_secs(3) + Duration::from_secs(156) / 256;
                let silence = first.at.since(last.at);
                assert!(silence < master_down, "{silence:?}{}", self.logs());
            }
        }
    }
}

#[test]
fn a_pair_is_migrated_and_comes_back() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let mut migration = Migration::new();
    let files = migration.files();
    for side in Side::BOTH {
        migration.start(side, Program::Keepalived);
    }
    let is_master = || migration.pair.master();
    let first = wait::some_within(SOON, is_master).expect("a Master");
    let second = first.other();
    migration.await_settled(first);
    let begin = Stamp::now();

    // 1. Ask what would be different.
    let check = "ha-userspace check /etc/keepalived/keepalived.conf";
    assert!(DOCUMENT.lines().any(|line| line == check), "the document says something else");
    for side in Side::BOTH {
        let words = check.split_whitespace().map(str::to_owned).collect();
        let mut process = migration.command(side, words);
        let status = process.wait(SOON);
        assert!(status.success(), "{}: {}", describe(status), process.log());
    }
    // 2. The Backup first.
    migration.restart(second, Program::Daemon);
    migration.await_settled(first);
    migration.assert_looks_well(second, "BACKUP");
    migration.await_notified(second, &["backup", "backup"]);
    migration.assert_masters(begin, &[first]);
    // 3. The Master.
    migration.restart(first, Program::Daemon);
    migration.await_settled(second);
    migration.assert_looks_well(first, "BACKUP");
    migration.assert_looks_well(second, "MASTER");
    migration.await_notified(first, &["backup", "master", "backup"]);
    migration.await_notified(second, &["backup", "backup", "master"]);
    // `systemctl reload keepalived`.
    migration.process(second).signal(Signal::SIGHUP);
    let is_read =
        wait::holds_within(SOON, || migration.process(second).log().contains("read again"));
    assert!(is_read, "{}", migration.logs());
    migration.await_settled(second);
    // 4. The way back, the Backup first.
    migration.restart(first, Program::Keepalived);
    migration.await_settled(second);
    migration.restart(second, Program::Keepalived);
    migration.await_settled(first);
    migration.await_notified(first, &["backup", "master", "backup", "backup", "master"]);
    migration.await_notified(second, &["backup", "backup", "master", "backup"]);
    migration.assert_masters(begin, &[first, second, first]);
    assert_eq!(migration.files(), files);
}

/// After a kill nobody has taken the addresses off; whoever comes next on that node must.
fn comes_after_a_killed(killed: Program, next: Program) {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let mut migration = Migration::new();
    for side in Side::BOTH {
        migration.start(side, killed);
    }
    let first = wait::some_within(SOON, || migration.pair.master()).expect("a Master");
    migration.await_settled(first);
    migration.pair.node(first).namespace().kill_all();
    let both =
        || Side::BOTH.iter().all(|side| migration.pair.node(*side).addresses_held() == [2, 2]);
    assert!(wait::holds_within(SOON, both), "{}", migration.logs());
    migration.start(first, next);
    migration.await_settled(first.other());
}

#[test]
fn keepalived_comes_after_a_killed_daemon() {
    comes_after_a_killed(Program::Daemon, Program::Keepalived);
}

#[test]
fn the_daemon_comes_after_a_killed_keepalived() {
    comes_after_a_killed(Program::Keepalived, Program::Daemon);
}
