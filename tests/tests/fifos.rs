//! Notification FIFOs whose reader is slow or not there, and that somebody removes: what was lost is
//! counted and made up for.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Read as _},
    os::unix::fs::{
        FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
    },
    path::{Path, PathBuf},
};

use ha_tests::{
    alone::Alone,
    config::{self, Dialect},
    pair::Side,
    process::Program,
    require,
    tempdir::TempDir,
    wait,
};
use nix::{sys::stat::Mode, unistd::mkfifo};

const BASE: u8 = 100;
const SOON: Duration = Duration::from_secs(30);

/// A directory with a FIFO in it and with the number that is added to every priority.
struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: TempDir::new("fifo") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What instances need for [`Self::add`].
    fn tracked_file(&self) -> String {
        let path = self.path("number");
        format!("track_file number {{\n    file {}\n    weight 1\n}}\n", path.display())
    }

    fn add(&self, number: u8) {
        self.directory.write("number", &format!("{number}\n"));
    }
}

const TRACK: &str = "    notify_priority_changes\n    track_file {\n        number\n    }\n";

/// Reads a FIFO as far as it can be read.
struct Reader {
    file: File,
    text: String,
}

impl Reader {
    fn open(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
        Self { file: file.expect("the FIFO"), text: String::new() }
    }

    fn read(&mut self) -> &str {
        let mut bytes = [0; 8_192];
        loop {
            match self.file.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => {
                    let read = bytes.get(..count).unwrap_or_default();
                    self.text.push_str(core::str::from_utf8(read).expect("names of ASCII"));
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        &self.text
    }

    fn await_lines(&mut self, what: &str, count: usize, log: impl Fn() -> String) {
        let there = |text: &str| text.lines().filter(|line| line.ends_with(what)).count() >= count;
        let come = wait::holds_within(SOON, || there(self.read()));
        assert!(come, "not {count} lines `{what}`: {}{}", self.text, log());
    }
}

/// Whether a FIFO for root alone is there.
fn is_fifo(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|found| found.file_type().is_fifo() && found.mode() & 0o7777 == 0o600)
}

#[test]
fn a_fifo_that_somebody_removes_or_replaces_is_made_again() {
    if !require::require_daemon() {
        return;
    }
    let scene = Scene::new();
    let path = scene.path("vrrp");
    let globals = format!("global_defs {{\n    vrrp_notify_fifo {}\n}}\n", path.display());
    let instance = config::instance(Dialect::V3Multicast, Side::A, BASE, TRACK);
    let config = globals + &scene.tracked_file() + &instance;
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    router.await_priority(BASE);
    let mut reader = Reader::open(&path);
    reader.await_lines("\"VI_1\" MASTER 100", 1, || router.log());
    // A line that nobody reads.
    scene.add(1);
    router.await_priority(BASE + 1);
    fs::remove_file(&path).expect("it is there");
    assert!(wait::holds_within(SOON, || is_fifo(&path)), "{}", router.log());
    let mut reader = Reader::open(&path);
    reader.await_lines("\"VI_1\" MASTER 101", 1, || router.log());
    scene.add(2);
    reader.await_lines("\"VI_1\" MASTER_PRIORITY 102", 1, || router.log());
    let fifo = |router: &mut Alone, pointer| router.router().status().fifo(pointer);
    assert_eq!(fifo(&mut router, "/reopened"), 1, "{}", router.log());
    assert_eq!(fifo(&mut router, "/lost"), 1, "{}", router.log());

    // Another user's, so to say: it is not written to.
    let other = scene.path("other");
    mkfifo(&other, Mode::S_IRUSR).expect("a directory of our own");
    fs::set_permissions(&other, Permissions::from_mode(0o666)).expect("our own file");
    fs::rename(&other, &path).expect("the same directory");
    let words = "others can write to it (mode 0666)";
    assert!(wait::holds_within(SOON, || router.log().contains(words)), "{}", router.log());
    let victim = scene.directory.write("victim", "untouched");
    symlink(&victim, &other).expect("a directory of our own");
    fs::rename(&other, &path).expect("the same directory");
    let words = "it is a symbolic link, which is not followed";
    assert!(wait::holds_within(SOON, || router.log().contains(words)), "{}", router.log());
    assert!(fifo(&mut router, "/error").as_str().is_some_and(|error| error.contains(words)));
    scene.add(3);
    router.await_priority(BASE + 3);
    fs::remove_file(&path).expect("it is there");
    assert!(wait::holds_within(SOON, || is_fifo(&path)), "{}", router.log());
    let mut reader = Reader::open(&path);
    reader.await_lines("\"VI_1\" MASTER_PRIORITY 103", 1, || router.log());
    assert!(fifo(&mut router, "/error").is_null(), "{}", router.log());
    // However often it was tried.
    for words in ["others can write to it", "it is a symbolic link"] {
        assert_eq!(router.log().matches(words).count(), 1, "{}", router.log());
    }
    assert_eq!(fs::read_to_string(&victim).expect("our own file"), "untouched");
    assert!(router.router().stop().success(), "{}", router.log());
    assert!(!path.exists(), "what was made is removed");
}

/// It ends with the daemon, and is not started again to wait for nothing.
#[test]
fn the_reader_of_a_fifo_that_was_there_before_does_not_hold_up_the_end() {
    if !require::require_daemon() {
        return;
    }
    let scene = Scene::new();
    let (path, read) = (scene.path("vrrp"), scene.path("read"));
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a directory of our own");
    let text = format!("#!/bin/sh\nexec cat \"$1\" >>{}\n", read.display());
    let script = scene.directory.write("read.sh", &text);
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("our own file");
    let globals = format!(
        "child_wait_time 600\nglobal_defs {{\n    vrrp_notify_fifo {}\n    \
         vrrp_notify_fifo_script {}\n    script_user root\n}}\n",
        path.display(),
        script.display()
    );
    let config = globals + &config::instance(Dialect::V3Multicast, Side::A, BASE, "");
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    router.await_priority(BASE);
    assert!(router.router().stop().success(), "{}", router.log());
    let states = ["BACKUP", "MASTER", "STOP"];
    let expected = states.map(|state| format!("INSTANCE \"VI_1\" {state} {BASE}\n")).concat();
    assert_eq!(scene.directory.read("read"), expected);
    assert!(is_fifo(&path), "what was there stays");
}

#[test]
fn a_fifo_that_nobody_reads_does_not_hold_up_the_end() {
    if !require::require_daemon() {
        return;
    }
    let scene = Scene::new();
    let config = format!(
        "child_wait_time 600\nglobal_defs {{\n    vrrp_notify_fifo {}\n}}\n{}",
        scene.path("vrrp").display(),
        config::instance(Dialect::V3Multicast, Side::A, BASE, "")
    );
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    router.await_priority(BASE);
    assert!(router.router().stop().success(), "{}", router.log());
}

/// The same is told by two FIFOs; one of them is read all the time.
#[test]
fn a_reader_that_is_behind_loses_nothing_up_to_the_bound_and_is_told_all_states_after_it() {
    const INSTANCES: u8 = 250;
    if !require::require_daemon() {
        return;
    }
    let scene = Scene::new();
    let (all, slow) = (scene.path("all"), scene.path("slow"));
    let globals = format!(
        "global_defs {{\n    vrrp_notify_fifo {}\n    notify_fifo {}\n}}\n",
        slow.display(),
        all.display()
    );
    let instance = |vrid: u8| {
        format!(
            "vrrp_instance I{vrid} {{\n    interface bond0\n    virtual_router_id {vrid}\n    version 3\n\
             {TRACK}    virtual_ipaddress {{\n        192.0.2.{vrid}\n    }}\n}}\n"
        )
    };
    let instances: String = (1..=INSTANCES).map(instance).collect();
    let config = globals + &scene.tracked_file() + &instances;
    let mut router = Alone::start(Program::Daemon, &config, &[]);
    let log = || router.log();
    assert!(wait::holds_within(SOON, || is_fifo(&all)), "{}", log());
    let mut reader = Reader::open(&all);
    let count = usize::from(INSTANCES);
    reader.await_lines(" MASTER 100", count, log);

    // Nobody has opened it yet.
    let mut number = 0;
    let of_slow = |router: &mut Alone, pointer| -> u64 {
        let status = router.router().status();
        let number = status.fifos().find(|fifo| fifo["path"] == *slow.display().to_string());
        number.and_then(|fifo| fifo[pointer].as_u64()).expect("a number of the FIFO")
    };
    while of_slow(&mut router, "lost") < u64::from(INSTANCES) {
        number += 1;
        assert!(number < 150, "nothing is lost: {}", router.log());
        scene.add(number);
        reader.await_lines(&format!(" MASTER_PRIORITY {}", BASE + number), count, || router.log());
    }
    let lost = usize::try_from(of_slow(&mut router, "lost")).expect("a small number");
    let told: Vec<String> = reader.read().lines().map(str::to_owned).collect();
    let kept = told.len().checked_sub(lost).expect("no more is lost than was told");
    // Those in the daemon, beside those in the pipe.
    assert!(kept > 16_384, "{kept}");

    let mut late = Reader::open(&slow);
    late.await_lines(&format!(" MASTER {}", BASE + number), count, || router.log());
    let lines: Vec<&str> = late.text.lines().collect();
    let (waited, states) = lines.split_at_checked(kept).expect("what was kept");
    assert!(waited.iter().eq(told.iter().take(kept)), "something is missing or in disorder");
    assert_eq!(states.len(), count, "each state once");
    let words = format!("after {lost} lost lines all states are told");
    assert!(wait::holds_within(SOON, || router.log().contains(&words)), "{}", router.log());
    assert_eq!(router.log().matches("it is not read").count(), 1, "{}", router.log());

    // From here on it loses nothing.
    scene.add(number + 1);
    let line = format!(" MASTER_PRIORITY {}", BASE + number + 1);
    late.await_lines(&line, count, || router.log());
    assert_eq!(of_slow(&mut router, "lost"), u64::try_from(lost).expect("a small number"));
    assert_eq!(of_slow(&mut router, "waiting"), 0);
}

/// A sync group of which one member fails and recovers: who is told, in which order.
fn told_of_a_group(program: Program) -> Vec<String> {
    let scene = Scene::new();
    let path = scene.path("vrrp");
    let instance = |number: u8, interface: &str| {
        format!(
            "vrrp_instance VI_{number} {{\n    interface {interface}\n    virtual_router_id 13{number}\n    \
             priority 100\n    advert_int 0.1\n    virtual_ipaddress {{\n        192.0.2.{number}\n    }}\n}}\n"
        )
    };
    let config = format!(
        "global_defs {{\n    vrrp_version 3\n    vrrp_notify_fifo {}\n}}\n\
         vrrp_sync_group VG {{\n    group {{\n        VI_1\n        VI_2\n    }}\n}}\n{}{}",
        path.display(),
        instance(1, "bond0"),
        instance(2, "eth2")
    );
    let router = Alone::start(program, &config, &[]);
    let made = wait::holds_within(SOON, || fs::metadata(&path).is_ok());
    assert!(made, "{}", router.log());
    let mut reader = Reader::open(&path);
    reader.await_lines("GROUP \"VG\" MASTER 0", 1, || router.log());
    router.cut("eth2");
    reader.await_lines("GROUP \"VG\" FAULT 0", 1, || router.log());
    router.mend("eth2");
    reader.await_lines("GROUP \"VG\" MASTER 0", 2, || router.log());
    let lines: Vec<_> = reader.read().lines().map(str::to_owned).collect();
    // Who takes over first depends on whose timer it is.
    let from = lines.iter().position(|line| line.contains("FAULT")).expect("it is told");
    lines.into_iter().skip(from).filter(|line| !line.contains("MASTER")).collect()
}

/// keepalived is the oracle: the member that the others have waited for comes first.
#[test]
fn of_a_group_who_caused_it_is_told_first_also_when_it_leaves_fault() {
    let told = ["FAULT", "BACKUP"].map(|state| {
        let of = |number: u8| format!("INSTANCE \"VI_{number}\" {state} 100");
        [of(2), of(1), format!("GROUP \"VG\" {state} 0")]
    });
    if require::require_keepalived() {
        assert_eq!(told_of_a_group(Program::Keepalived), told.concat());
    }
    if require::require_daemon() {
        assert_eq!(told_of_a_group(Program::Daemon), told.concat());
    }
}
