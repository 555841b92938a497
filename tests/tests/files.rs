//! `track_file` with real files: what the router's priority says, on the wire. keepalived does the
//! same in the same scene.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{fs, os::unix::fs::symlink, path::PathBuf};

use ha_tests::{
    alone::Alone,
    config::{self, Dialect},
    pair::Side,
    process::Program,
    require,
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;
use serde_json::json;

const BASE: u8 = 100;
/// What the number in the file is multiplied with.
const WEIGHT: u8 = 2;

/// A directory with the file in it, or without.
struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: TempDir::new("tracked") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, text: &str) {
        fs::write(self.path("value"), text).expect("a file of our own");
    }

    fn start(&self, program: Program, more: &str) -> Alone {
        self.start_with(program, "", more, "")
    }

    /// With `globals` before all blocks, `more` lines in the file's, and these in the instance's.
    fn start_with(&self, program: Program, globals: &str, more: &str, of_instance: &str) -> Alone {
        Alone::start(program, &self.config(globals, more, of_instance), &[])
    }

    fn config(&self, globals: &str, more: &str, of_instance: &str) -> String {
        let path = self.path("value");
        let block = format!(
            "track_file load {{\n    file {}\n    weight {WEIGHT}\n    {more}\n}}\n",
            path.display()
        );
        let track = format!("    track_file {{\n        load\n    }}\n{of_instance}");
        let instance = config::instance(Dialect::V3Multicast, Side::A, BASE, &track);
        [globals, &block, &instance].concat()
    }
}

fn for_both(test: impl Fn(Program)) {
    if !require::require_daemon() {
        return;
    }
    test(Program::Daemon);
    if require::require_keepalived() {
        test(Program::Keepalived);
    }
}

#[test]
fn the_number_is_followed_whatever_becomes_of_the_file() {
    for_both(|program| {
        let scene = Scene::new();
        let router = scene.start(program, "");
        router.await_priority(BASE);
        for (text, number) in [("5\n", 5), ("7", 7), ("", 0), (" 9 rest\n", 9), ("0x10", 16)] {
            scene.write(text);
            router.await_priority(BASE + number * WEIGHT);
        }
        scene.write("-20\n");
        router.await_priority(BASE - 20 * WEIGHT);
        fs::remove_file(scene.path("value")).expect("it is there");
        router.await_priority(BASE);
        fs::write(scene.path("new"), "6\n").expect("a file of our own");
        fs::rename(scene.path("new"), scene.path("value")).expect("the same directory");
        router.await_priority(BASE + 6 * WEIGHT);
        // keepalived: at most 254 and at least 1.
        scene.write("100");
        router.await_priority(254);
        scene.write("-126");
        router.await_priority(1);
        // A product of -254 is Fault: a Master says that it stops.
        scene.write("-127");
        router.await_priority(0);
        scene.write("0");
        router.await_priority(BASE);
    });
}

#[test]
fn a_router_begins_with_the_priority_that_the_file_gives_it() {
    for_both(|program| {
        let scene = Scene::new();
        scene.write("5");
        let notify = "    notify /etc/keepalived/notify.sh\n";
        let globals = "global_defs {\n    script_user root\n}\n";
        let router = scene.start_with(program, globals, "", notify);
        router.await_priority(BASE + 5 * WEIGHT);
        let told = ["BACKUP", "MASTER"].map(|state| format!("INSTANCE VI_1 {state} 110"));
        let has_told = || router.notified() == told;
        let is_told = wait::holds_within(Duration::from_secs(20), has_told);
        assert!(is_told, "{program:?}: {:?}{}", router.notified(), router.log());
    });
}

/// What a reload adds is read before it counts: nobody hears a priority that it is not to have.
#[test]
fn a_file_that_a_reload_adds_counts_from_the_first_moment() {
    if !require::require_daemon() {
        return;
    }
    let scene = Scene::new();
    scene.write("5");
    let before = config::instance(Dialect::V3Multicast, Side::A, BASE + 5 * WEIGHT, "");
    let mut router = Alone::start(Program::Daemon, &before, &[]);
    router.await_priority(BASE + 5 * WEIGHT);
    router.reload(&scene.config("", "", ""));
    scene.write("6");
    router.await_priority(BASE + 6 * WEIGHT);
    let log = router.log();
    let changes: Vec<_> = log.lines().filter(|line| line.contains("VI_1: priority ")).collect();
    let [change] = changes.as_slice() else { panic!("more than one change: {log}") };
    assert!(change.contains("priority 110 -> 112: 100, file load +12"), "{log}");
}

#[test]
fn a_link_is_followed_and_a_directory_may_come_back() {
    if !require::require_daemon() {
        return;
    }
    let scene = Scene::new();
    fs::write(scene.path("other"), "3\n").expect("a file of our own");
    symlink(scene.path("other"), scene.path("value")).expect("a directory of our own");
    let router = scene.start(Program::Daemon, "");
    router.await_priority(BASE + 3 * WEIGHT);
    fs::write(scene.path("other"), "4\n").expect("a file of our own");
    router.await_priority(BASE + 4 * WEIGHT);
    let (here, elsewhere) =
        (scene.directory.path(), scene.directory.path().with_extension("moved"));
    fs::rename(here, &elsewhere).expect("our own");
    router.await_priority(BASE);
    fs::rename(&elsewhere, here).expect("our own");
    router.await_priority(BASE + 4 * WEIGHT);
}

#[test]
fn what_is_no_number_changes_nothing_and_is_said() {
    if !require::require_daemon() {
        return;
    }
    let scene = Scene::new();
    scene.write("5");
    let mut router = scene.start(Program::Daemon, "");
    router.await_priority(BASE + 5 * WEIGHT);
    let file = json!([{ "name": "load", "path": scene.path("value"), "value": 5 }]);
    assert_eq!(router.router().status().told("/files"), file);
    scene.write("99999999999999");
    scene.write("many");
    scene.write("6");
    router.await_priority(BASE + 6 * WEIGHT);
    scene.write("many");
    let said = wait::holds_within(Duration::from_secs(20), || {
        router.log().contains("does not begin with a number: its value stays 6")
    });
    assert!(said, "{}", router.log());
    router.await_priority(BASE + 6 * WEIGHT);
}

#[test]
fn a_file_is_initialised_as_it_is_asked_for() {
    for_both(|program| {
        let scene = Scene::new();
        let router = scene.start(program, "init_file 5");
        router.await_priority(BASE + 5 * WEIGHT);
        drop(router);
        scene.write("7");
        let router = scene.start(program, "init_file 5");
        router.await_priority(BASE + 7 * WEIGHT);
        drop(router);
        let router = scene.start(program, "init_file 5 overwrite");
        router.await_priority(BASE + 5 * WEIGHT);
    });
}

/// What the kernel would have told of the file it has not, because there was no room.
#[test]
fn after_a_loss_of_events_the_file_is_read_again() {
    if !require::require_daemon() {
        return;
    }
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("inotify");
    let limit: u32 = limit.trim().parse().expect("a number");
    let scene = Scene::new();
    scene.write("5");
    let mut router = scene.start(Program::Daemon, "");
    router.await_priority(BASE + 5 * WEIGHT);
    router.router().process().signal(Signal::SIGSTOP);
    // Two events each, of which none is like the one before.
    for _ in 0..limit {
        fs::write(scene.path("another"), "").expect("a file of our own");
        fs::remove_file(scene.path("another")).expect("it is there");
    }
    scene.write("6");
    router.router().process().signal(Signal::SIGCONT);
    router.await_priority(BASE + 6 * WEIGHT);
    scene.write("7");
    router.await_priority(BASE + 7 * WEIGHT);
}
