//! What scripts and FIFOs are told, in which order and with which words. keepalived is the oracle: it
//! and our daemon go through the same story.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    path::PathBuf,
    process::Command,
};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    decode,
    forge::{self, Cover},
    inject::Injector,
    pair::{Pair, Side},
    process::{Process, Program, Router},
    require,
    scene::{INTERFACE, Make, SOON, Scene},
    tempdir::TempDir,
    wait,
};

const ROUTER: usize = 0;
/// A host without a router, from which an advertisement comes.
const OTHER: usize = 1;
/// Debian's user `daemon`, and its group.
const DAEMON: u32 = 1;

/// A router alone, and a directory with its FIFO `all`, its scripts and what they write.
struct Stage {
    _reader: Process,
    directory: TempDir,
    scene: Scene,
}

impl Stage {
    fn new(make: Make) -> Option<Self> {
        let scene = Scene::new(Dialect::V3Multicast, &[(make, 150), (make, 100)])?;
        let directory = TempDir::new("notify");
        let place = directory.path().display();
        script(&directory, "tell.sh", &format!("echo \"$*\" >>{place}/told"));
        // A reader of its own, and the daemon's user's: it gets the FIFO's name as its last word.
        let last = "for last; do :; done";
        let read =
            format!("echo \"$*\" >>{place}/reader; {last}; exec cat \"$last\" >>{place}/read");
        script(&directory, "read.sh", &read);
        for file in ["told", "reader", "read", "lines"] {
            let path = directory.write(file, "");
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("our own file");
        }
        // keepalived closes and opens its FIFOs at a reload, and removes them at its end.
        let read = format!(
            "while :; do until test -p {place}/all; do sleep 0.02; done; cat {place}/all; done \
             >>{place}/lines"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &read]);
        let log = directory.path().join("log");
        let reader = Process::start(scene.namespace(ROUTER), command, &log, None);
        Some(Self { _reader: reader, directory, scene })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `TELL` and `PLACE` stand for the script and the directory.
    fn expand(&self, text: &str) -> String {
        let place = self.directory.path().display().to_string();
        text.replace("TELL", &format!("{place}/tell.sh")).replace("PLACE", &place)
    }

    /// What the FIFO has told about these, in its order.
    fn lines(&self, names: &[&str]) -> Vec<String> {
        let is_about = |line: &&str| names.iter().any(|name| line.contains(&format!("\"{name}\"")));
        self.directory.read("lines").lines().filter(is_about).map(str::to_owned).collect()
    }

    fn await_line(&self, line: &str) {
        let told = wait::holds_within(SOON, || {
            self.directory.read("lines").lines().any(|one| one == line)
        });
        let lines = self.directory.read("lines");
        assert!(told, "not told: {line}\n--- told was\n{lines}{}", self.scene.logs());
    }

    /// The line is told once more.
    fn await_again(&self, line: &str, step: impl FnOnce(&Self)) {
        let count = || self.directory.read("lines").lines().filter(|one| *one == line).count();
        let before = count();
        step(self);
        let told = wait::holds_within(SOON, || count() > before);
        let lines = self.directory.read("lines");
        assert!(told, "not told again: {line}\n--- told was\n{lines}{}", self.scene.logs());
    }

    /// The last line about `name` says `state`.
    fn await_last(&self, name: &str, state: &str) {
        let is_told = || self.lines(&[name]).last().is_some_and(|line| line.contains(state));
        let told = wait::holds_within(SOON, is_told);
        assert!(told, "{name} {state}: {:?}{}", self.lines(&[name]), self.scene.logs());
    }

    fn told(&self) -> Vec<String> {
        self.directory.read("told").lines().map(str::to_owned).collect()
    }

    /// Another router claims to be Master of `VI_1`, with a lower priority.
    fn claim(&self) {
        let since = Stamp::now();
        let frame = self.scene.capture().await_first(SOON, "an advertisement", since, |frame| {
            let is_ours = self.scene.sender(frame) == Some(ROUTER);
            let advert = decode::advert(frame).filter(|advert| is_ours && advert.vrid == 133)?;
            (advert.priority > 0).then(|| frame.bytes.clone())
        });
        let claim = forge::changed(&frame, Cover::PseudoHeader, |frame, layout| {
            let (source, len) = layout.source();
            frame.splice(source..source + len, [198, 51, 100, 11]);
            let priority = frame.get_mut(layout.message + 2).expect("a whole message");
            *priority = 50;
        });
        Injector::new(self.scene.namespace(OTHER), INTERFACE).send(&claim);
    }
}

fn script(directory: &TempDir, name: &str, text: &str) {
    let path = directory.write(name, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}

const GLOBAL: &str = "global_defs {
    script_user root
    enable_script_security
    notify_fifo PLACE/all daemon
    vrrp_notify_fifo PLACE/vrrp
    vrrp_notify_fifo_script \"PLACE/read.sh one 'two words'\"
    startup_script \"TELL startup\"
    shutdown_script \"TELL shutdown\"
    fifo_write_vrrp_states_on_reload
}
";

const SCRIPTS: &str = "    notify_master \"TELL NAME master\"
    notify_backup \"TELL NAME backup\"
    notify_fault \"TELL NAME fault\"
    notify_stop \"TELL NAME stop\"
    notify \"TELL NAME any 'a b'\"
";

const GROUP: &str = "vrrp_sync_group VG {
    group {
        VI_1
    }
    sync_group_tracking_weight
    notify_priority_changes on
SCRIPTS}
";

/// Two more virtual routers, that a reload removes.
const MORE: &str = "vrrp_instance VI_2 {
    interface IF
    virtual_router_id 2
    version 3
    priority 150
    advert_int 0.2
    notify_deleted \"TELL VI_2 deleted\"
SCRIPTS    virtual_ipaddress {
        198.51.100.22
    }
}
vrrp_instance VI_3 {
    interface IF
    virtual_router_id 3
    version 3
    priority 150
    advert_int 0.2
SCRIPTS    virtual_ipaddress {
        198.51.100.23
    }
}
";

/// A router alone starts, is told of another priority and of a router with a lower one, loses its link
/// and gets it back, reads a configuration without `VI_2` and `VI_3`, and stops.
///
/// keepalived 2.2.7 reads nothing again: its VRRP process dies or hangs at every other reload of this
/// configuration. What it told at those that went well is what ours is expected to tell.
fn play(make: Make) -> Option<Stage> {
    let mut stage = Stage::new(make)?;
    let own = format!("{SCRIPTS}    notify_master_rx_lower_pri \"TELL NAME lower\"\n");
    let named = |text: &str, name: &str| text.replace("NAME", name);
    let vi_1 = stage.scene.config(ROUTER, &named(&own, "VI_1"));
    let group = GROUP.replace("SCRIPTS", &named(SCRIPTS, "VG"));
    let [vi_2, vi_3] = ["VI_2", "VI_3"].map(|name| named(SCRIPTS, name));
    let more = MORE.replacen("SCRIPTS", &vi_2, 1).replacen("SCRIPTS", &vi_3, 1);
    let before = stage.expand(&[GLOBAL, &group, &vi_1, &more.replace("IF", INTERFACE)].concat());
    let after = stage.expand(&[GLOBAL, &group, &vi_1].concat());
    stage.scene.launch(ROUTER, &before);
    for name in ["VI_1", "VI_2", "VI_3"] {
        stage.await_line(&format!("INSTANCE \"{name}\" MASTER 150"));
    }
    stage.await_line("GROUP \"VG\" MASTER 0");
    let fifo = fs::symlink_metadata(stage.path("all")).expect("the FIFO");
    assert!(fifo.file_type().is_fifo());
    assert_eq!((fifo.mode() & 0o7777, fifo.uid(), fifo.gid()), (0o600, DAEMON, DAEMON));

    let (well, ill) = stage.scene.priorities(ROUTER);
    stage.scene.set_healthy(ROUTER, false);
    stage.await_line(&format!("INSTANCE \"VI_1\" MASTER_PRIORITY {ill}"));
    stage.scene.set_healthy(ROUTER, true);
    stage.await_line(&format!("INSTANCE \"VI_1\" MASTER_PRIORITY {well}"));
    stage.claim();
    stage.await_line("INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 150");
    stage.scene.namespace(ROUTER).ip(&format!("link set {INTERFACE} down"));
    for name in ["VI_1", "VI_2", "VI_3"] {
        stage.await_line(&format!("INSTANCE \"{name}\" FAULT 150"));
    }
    stage.await_line("GROUP \"VG\" FAULT 0");
    stage.await_again("GROUP \"VG\" MASTER 0", |stage| {
        stage.scene.namespace(ROUTER).ip(&format!("link set {INTERFACE} up"));
    });
    stage.await_last("VI_2", "MASTER");
    stage.await_last("VI_3", "MASTER");
    if make == Make::Ours {
        stage.scene.reload(ROUTER, &after);
        stage.await_last("VI_2", "DELETED");
        stage.await_last("VI_3", "FAULT");
    }
    stage.scene.stop(ROUTER);
    stage.await_line("GROUP \"VG\" STOP 0");
    Some(stage)
}

/// What each is told in the end, when `VI_2` and `VI_3` were removed by a reload, and when they were not.
/// Removed, `VI_3` says FAULT, as it has no `notify_deleted`.
fn last(make: Make, name: &str) -> &'static str {
    match (make, name) {
        (Make::Ours, "VI_2") => "DELETED",
        (Make::Ours, "VI_3") => "FAULT",
        _ => "STOP",
    }
}

/// What the scripts of `name` write, in the order of the events.
fn expected_scripts(make: Make, name: &str) -> Vec<String> {
    let (kind, priority) = if name == "VG" { ("GROUP", 0) } else { ("INSTANCE", 150) };
    let any = |state: &str| format!("{name} any a b {kind} {name} {state} {priority}");
    let own = |state: &str| format!("{name} {}", state.to_lowercase());
    let states = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", last(make, name)];
    let mut all: Vec<_> = states.iter().flat_map(|state| [own(state), any(state)]).collect();
    match (make, name) {
        // Between becoming Master and the fault.
        (_, "VI_1") => all.insert(4, "VI_1 lower".to_owned()),
        // It says FAULT, and `notify_fault` is not run.
        (Make::Ours, "VI_3") => drop(all.remove(10)),
        _ => {}
    }
    all
}

fn check(make: Make) {
    let Some(stage) = play(make) else { return };
    let mut of_group = vec![
        "GROUP \"VG\" BACKUP 0",
        "INSTANCE \"VI_1\" BACKUP 150",
        "INSTANCE \"VI_1\" MASTER 150",
        "GROUP \"VG\" MASTER 0",
        "INSTANCE \"VI_1\" MASTER_PRIORITY 50",
        "INSTANCE \"VI_1\" MASTER_PRIORITY 150",
        "INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 150",
        "INSTANCE \"VI_1\" FAULT 150",
        "GROUP \"VG\" FAULT 0",
        "INSTANCE \"VI_1\" BACKUP 150",
        "GROUP \"VG\" BACKUP 0",
        "INSTANCE \"VI_1\" MASTER 150",
        "GROUP \"VG\" MASTER 0",
        // After the reload. 2.2.7 writes the states of groups, and of instances only those in Fault.
        "GROUP \"VG\" MASTER 0",
        "INSTANCE \"VI_1\" MASTER 150",
        "INSTANCE \"VI_1\" STOP 150",
        "GROUP \"VG\" STOP 0",
    ];
    if make == Make::Keepalived {
        of_group.drain(13..15);
    }
    assert_eq!(stage.lines(&["VG", "VI_1"]), of_group, "{}", stage.scene.logs());
    for name in ["VI_2", "VI_3"] {
        let states = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", last(make, name)];
        let expected = states.map(|state| format!("INSTANCE \"{name}\" {state} 150"));
        assert_eq!(stage.lines(&[name]), expected, "{}", stage.scene.logs());
    }
    let own = |told: &[String], name: &str| -> Vec<String> {
        told.iter().filter(|line| line.starts_with(name)).cloned().collect()
    };
    for name in ["VG", "VI_1", "VI_2", "VI_3"] {
        let mut expected = expected_scripts(make, name);
        if make == Make::Keepalived {
            // Its scripts run beside each other.
            expected.sort();
        }
        let told = || {
            let mut told = own(&stage.told(), name);
            if make == Make::Keepalived {
                told.sort();
            }
            told
        };
        let is_told = wait::holds_within(SOON, || told() == expected);
        assert!(is_told, "{name}: {:?}, not {expected:?}{}", told(), stage.scene.logs());
    }
    let told = stage.told();
    assert_eq!(told.first().map(String::as_str), Some("startup"));
    assert!(told.iter().any(|line| line == "shutdown"));
    let words = format!("one two words {}/vrrp", stage.directory.path().display());
    let reader = stage.directory.read("reader");
    assert!(reader.lines().count() > 0, "its script was not started{}", stage.scene.logs());
    assert!(reader.lines().all(|line| line == words), "{reader}");
    for fifo in ["all", "vrrp"] {
        assert!(!stage.path(fifo).exists(), "{fifo} is left behind");
    }
    if make == Make::Ours {
        // What reads the other FIFO has had the time to read all of it, and nothing is twice.
        let [all, read] = ["lines", "read"].map(|name| stage.directory.read(name));
        assert_eq!(all, read);
        assert_eq!(told.last().map(String::as_str), Some("shutdown"));
    }
}

#[test]
fn scripts_and_fifos_are_told_as_keepalived_tells_them() {
    check(Make::Ours);
}

#[test]
fn keepalived_tells_scripts_and_fifos_the_same() {
    check(Make::Keepalived);
}

/// The daemon's `VI_1` with these lines, on a stage that has begun.
fn perform(stage: &mut Stage, global: &str, more: &str) {
    let config = stage.scene.config(ROUTER, more);
    let config = stage.expand(&[global, &config].concat());
    stage.scene.launch(ROUTER, &config);
    let is_master = || stage.scene.held(ROUTER) == 2;
    assert!(wait::holds_within(SOON, is_master), "no Master{}", stage.scene.logs());
}

fn await_log(stage: &Stage, words: &[&str]) {
    let logs = || stage.scene.logs();
    let is_there = || words.iter().all(|words| logs().contains(words));
    assert!(wait::holds_within(SOON, is_there), "not all of {words:?} in{}", logs());
}

#[test]
fn a_script_that_cannot_run_hangs_or_is_killed_holds_nothing_up() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    let plain = stage.directory.write("plain", "#!/bin/sh\n");
    fs::set_permissions(plain, fs::Permissions::from_mode(0o644)).expect("our own file");
    let unsafe_one = stage.directory.write("unsafe", "#!/bin/sh\n");
    fs::set_permissions(unsafe_one, fs::Permissions::from_mode(0o757)).expect("our own file");
    perform(
        &mut stage,
        "child_wait_time 1\nglobal_defs {\n    script_user root\n}\n",
        "    notify_backup \"PLACE/missing\"
    notify_master \"PLACE/plain\"
    notify_master_rx_lower_pri \"PLACE/unsafe\"
    notify_fault \"/bin/sh -c 'kill -9 $$'\"
    notify_stop \"/bin/sh -c 'echo hangs >>PLACE/told; exec sleep 1000'\"
    notify \"TELL any\"\n",
    );
    // What `check` says, the log says too.
    await_log(
        &stage,
        &["will not be run as root", "unsafe can be changed by everybody (mode 0757)"],
    );
    await_log(&stage, &["missing", "exit code 127", "plain", "exit code 126"]);
    stage.claim();
    await_log(&stage, &["not run as root: "]);
    stage.scene.namespace(ROUTER).ip(&format!("link set {INTERFACE} down"));
    await_log(&stage, &["ended by signal 9"]);
    // Its queue went on after each.
    let states =
        ["BACKUP", "MASTER", "FAULT"].map(|state| format!("any INSTANCE VI_1 {state} 150"));
    let told = wait::holds_within(SOON, || stage.told() == states);
    assert!(told, "{:?}{}", stage.told(), stage.scene.logs());
    stage.scene.stop(ROUTER);
    await_log(&stage, &["still running after 1 s (child_wait_time)"]);
    assert_eq!(stage.told().last().map(String::as_str), Some("hangs"));
}

#[test]
fn of_what_a_script_floods_its_output_with_the_end_is_kept() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    perform(
        &mut stage,
        "global_defs {\n    script_user root\n}\n",
        "    notify_master \"/bin/sh -c 'yes flood | head -n 1000000; echo last words; exit 3'\"\n",
    );
    await_log(&stage, &["exit code 3", "last words"]);
    let status = stage.scene.status(ROUTER);
    let last = status.last_notification("VI_1").cloned().unwrap_or_default();
    assert_eq!(last["exit_code"], 3, "{last}");
    assert!(last["duration_ms"].as_f64() > Some(0.0), "{last}");
    let output = last["output"].as_str().unwrap_or_default();
    assert_eq!(output.len(), 4096);
    assert!(output.ends_with("flood\nlast words\n"), "{output}");
}

#[test]
fn a_fifo_keeps_lines_for_a_reader_that_comes_late() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    perform(&mut stage, "global_defs {\n    vrrp_notify_fifo PLACE/vrrp\n}\n", "");
    let fifo = stage.path("vrrp");
    let read = std::thread::spawn(move || fs::read_to_string(fifo).expect("the FIFO"));
    // The end of the file is the daemon's end.
    stage.scene.stop(ROUTER);
    let lines = read.join().expect("the FIFO is read");
    let expected =
        ["BACKUP", "MASTER", "STOP"].map(|state| format!("INSTANCE \"VI_1\" {state} 150\n"));
    assert_eq!(lines, expected.concat());
}

#[test]
fn a_link_in_a_fifo_s_place_is_not_followed() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    let victim = stage.directory.write("victim", "untouched");
    symlink(&victim, stage.path("vrrp")).expect("our own directory");
    perform(&mut stage, "global_defs {\n    vrrp_notify_fifo PLACE/vrrp daemon\n}\n", "");
    await_log(&stage, &["nothing is written to the FIFO", "it is a symbolic link"]);
    stage.scene.stop(ROUTER);
    assert_eq!(stage.directory.read("victim"), "untouched");
    assert_eq!(fs::metadata(&victim).expect("our own file").uid(), 0);
    assert!(stage.path("vrrp").is_symlink(), "it is not ours to remove");
}

/// Beside the words that keepalived gives a script, which `keepalived_tells_scripts_and_fifos_the_same` shows.
#[test]
fn a_script_finds_what_happened_and_why_in_its_environment() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    let place = stage.directory.path().display().to_string();
    let names = "^HA_(TYPE|NAME|STATE|PRIORITY|REASON)=";
    let note = format!("env | grep -E '{names}' | sort | paste -sd ';' >>{place}/told");
    script(&stage.directory, "env.sh", &note);
    perform(
        &mut stage,
        "global_defs {\n    script_user root\n}\n",
        "    notify_master \"PLACE/env.sh\"\n    notify_fault \"PLACE/env.sh\"\n",
    );
    stage.scene.namespace(ROUTER).ip(&format!("link set {INTERFACE} down"));
    let told = |state: &str, reason: &str| {
        format!("HA_NAME=VI_1;HA_PRIORITY=150;HA_REASON={reason};HA_STATE={state};HA_TYPE=INSTANCE")
    };
    let expected = [
        told("MASTER", "no advertisement since it began to listen"),
        told("FAULT", &format!("interface {INTERFACE} is down")),
    ];
    let is_told = wait::holds_within(SOON, || stage.told() == expected);
    assert!(is_told, "{:?}, not {expected:?}{}", stage.told(), stage.scene.logs());
}

/// Whatever moves beside it.
#[test]
fn a_sync_group_stops_because_the_daemon_does() {
    if !require::require_daemon() {
        return;
    }
    let (pair, directory) = (Pair::new(), TempDir::new("group"));
    let told = directory.path().join("told");
    let note = format!("echo \"$HA_STATE: $HA_REASON\" >>{}", told.display());
    script(&directory, "env.sh", &note);
    let member = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    let other = member.replace("VI_1", "VI_2").replace("bond0", "eth2");
    let other = other.replace("198.51.100", "192.0.2");
    let config = format!(
        "global_defs {{\n    script_user root\n}}\nvrrp_sync_group G {{\n    group {{\n        VI_1\n    \
         }}\n    notify {}/env.sh\n}}\n{member}{other}",
        directory.path().display()
    );
    let namespace = pair.node(Side::A).namespace();
    let mut router = Router::start(Program::Daemon, namespace, &config);
    let both_are = || {
        let log = router.log();
        log.contains("VI_2: BACKUP -> MASTER") && log.contains("G: MASTER: notify script")
    };
    assert!(wait::holds_within(SOON, both_are), "{}", router.log());
    assert!(router.stop().success(), "{}", router.log());
    let expected = "BACKUP: its members start\nMASTER: no advertisement since it began to listen\n\
                    STOP: the daemon stops\n";
    assert_eq!(directory.read("told"), expected, "{}", router.log());
}
