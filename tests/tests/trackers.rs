//! What trackers do to the priority on the wire: their weights, their bounds, and scripts that do
//! not behave. keepalived is the oracle where it has the same.
#![expect(clippy::panic, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    scene::{INTERFACE, Make, SOON, Scene},
    tempdir::TempDir,
    wait,
};

const ONLY: usize = 0;
const BASE: u8 = 100;
const DIALECT: Dialect = Dialect::V3Multicast;
/// Longer than a script that runs each second needs to be heard of.
const QUIET: Duration = Duration::from_secs(3);

/// One router whose scripts fail as this directory says.
struct Watch {
    scene: Scene,
    flags: TempDir,
}

impl Watch {
    /// `None` where `make` cannot be run.
    fn new(make: Make) -> Option<Self> {
        let scene = Scene::new(DIALECT, &[(make, BASE)])?;
        let watch = Self { scene, flags: TempDir::new("flags") };
        watch.add_link();
        Some(watch)
    }

    fn add_link(&self) {
        for line in ["add eth7 type veth peer name eth8", "set eth8 up", "set eth7 up"] {
            self.ip_link(line);
        }
    }

    fn ip_link(&self, line: &str) {
        self.scene.namespace(ONLY).ip(&format!("link {line}"));
    }

    /// A script that fails while [`Self::fail`] says so.
    fn script(&self, name: &str, weight: &str) -> String {
        let command = format!("/usr/bin/test ! -e {}", self.flags.path().join(name).display());
        script(name, &command, weight)
    }

    fn fail(&self, name: &str) {
        self.flags.write(name, "");
    }

    fn succeed(&self, name: &str) {
        let flag = self.flags.path().join(name);
        fs::remove_file(&flag).unwrap_or_else(|error| panic!("{}: {error}", flag.display()));
    }

    /// Starts the router with `blocks`, and `more` lines in its instance.
    fn start(&mut self, blocks: &str, more: &str) {
        let config = self.config(blocks, more);
        self.scene.start_with(ONLY, &config);
    }

    /// Has it read `blocks` and `more` instead.
    fn reload(&mut self, blocks: &str, more: &str) {
        let config = self.config(blocks, more);
        self.scene.reload(ONLY, &config);
    }

    fn config(&self, blocks: &str, more: &str) -> String {
        let globals = match self.scene.make(ONLY) {
            Make::Keepalived => {
                "global_defs {\n    vrrp_rt_priority 50\n    dynamic_interfaces\n}\n"
            }
            Make::Ours | Make::Frr => "",
        };
        let instance = config::instance_of(DIALECT, 10, &[], BASE, more);
        [globals, blocks, &instance].concat()
    }

    /// Waits until the router says `priority`.
    fn await_priority(&self, priority: u8) -> Stamp {
        let last = || self.scene.heard(Stamp::default()).pop();
        let said = wait::some_within(SOON, || last().filter(|one| one.advert.priority == priority));
        let logs = || format!("not {priority} but {:?}{}", last(), self.scene.logs());
        said.unwrap_or_else(|| panic!("{}", logs())).at
    }

    /// The priorities said since `since`.
    fn priorities(&self, since: Stamp) -> BTreeSet<u8> {
        self.scene.heard(since).iter().map(|one| one.advert.priority).collect()
    }
}

fn script(name: &str, command: &str, weight: &str) -> String {
    format!(
        "vrrp_script {name} {{\n    script \"{command}\"\n    interval 1\n    timeout 1\n    \
         weight {weight}\n    rise 1\n    fall 1\n    user root\n}}\n"
    )
}

fn list(keyword: &str, lines: &[&str]) -> String {
    format!("    {keyword} {{\n        {}\n    }}\n", lines.join("\n        "))
}

/// keepalived.conf(5): a positive weight is added while up, a negative one subtracted while down,
/// `reverse` turns the direction around; the sum is kept within 1 and 254.
fn weights_add_up(make: Make) {
    let Some(mut watch) = Watch::new(make) else { return };
    let scripts = [
        ("plus", "10"),
        ("minus", "-20"),
        ("plus_reversed", "5 reverse"),
        ("minus_reversed", "-7 reverse"),
        ("most", "253"),
        ("least", "-253"),
    ];
    let blocks: String = scripts.iter().map(|(name, by)| watch.script(name, by)).collect();
    watch.fail("most");
    let names = scripts.map(|(name, _)| name);
    let tracked = list("track_script", &names) + &list("track_interface", &["eth7 weight 3"]);
    watch.start(&blocks, &tracked);

    watch.await_priority(100 + 10 - 5 + 3);
    watch.fail("plus");
    watch.await_priority(100 - 5 + 3);
    watch.fail("minus");
    watch.await_priority(100 - 20 - 5 + 3);
    watch.fail("plus_reversed");
    watch.await_priority(100 - 20 + 3);
    watch.fail("minus_reversed");
    watch.await_priority(100 - 20 + 7 + 3);
    watch.ip_link("set eth7 down");
    watch.await_priority(100 - 20 + 7);
    watch.succeed("most");
    watch.await_priority(254);
    watch.fail("least");
    watch.await_priority(100 - 20 + 7);
    watch.fail("most");
    watch.await_priority(1);
    watch.succeed("least");
    watch.await_priority(100 - 20 + 7);
    if make == Make::Ours {
        let log = watch.scene.logs();
        let reasons = ": 100, script minus -20, script minus_reversed +7, script most +253";
        assert!(log.contains(reasons), "{log}");
        assert!(log.contains(", script least -253, not below 1"), "{log}");
    }
}

#[test]
fn weights_add_up_with_us() {
    weights_add_up(Make::Ours);
}

#[test]
fn weights_add_up_with_keepalived() {
    weights_add_up(Make::Keepalived);
}

/// A group's weights move its members; their own do not, unless `sync_group_tracking_weight` says so.
fn weights_in_a_group(make: Make, more: &str, with_own: u8, with_both: u8) {
    let Some(mut watch) = Watch::new(make) else { return };
    let scripts = watch.script("own", "-20") + &watch.script("of_group", "-30");
    let members = list("group", &["VI_1"]) + &list("track_script", &["of_group"]);
    let group = format!("vrrp_sync_group VG {{\n{members}{more}}}\n");
    watch.start(&(scripts + &group), &list("track_script", &["own"]));
    watch.await_priority(BASE);
    let start = Stamp::now();
    watch.fail("own");
    watch.await_priority(with_own);
    wait::through(QUIET);
    watch.fail("of_group");
    watch.await_priority(with_both);
    let said = watch.priorities(start);
    let expected = BTreeSet::from([BASE, with_own, with_both]);
    assert!(said.is_subset(&expected), "{said:?}{}", watch.scene.logs());
}

#[test]
fn a_group_s_weights_count_and_its_members_do_not() {
    weights_in_a_group(Make::Ours, "", BASE, BASE - 30);
}

#[test]
fn a_group_s_weights_count_and_its_members_do_not_with_keepalived() {
    weights_in_a_group(Make::Keepalived, "", BASE, BASE - 30);
}

#[test]
fn members_weights_count_where_the_group_says_so() {
    weights_in_a_group(Make::Ours, "    sync_group_tracking_weight\n", BASE - 20, BASE - 50);
}

#[test]
fn members_weights_count_where_the_group_says_so_with_keepalived() {
    weights_in_a_group(Make::Keepalived, "    sync_group_tracking_weight\n", BASE - 20, BASE - 50);
}

/// `</path` is up while the file can be opened.
fn a_file_that_can_be_opened(make: Make) {
    let Some(mut watch) = Watch::new(make) else { return };
    let path = watch.flags.path().join("ready");
    let block = script("ready", &format!("<{}", path.display()), "10");
    watch.start(&block, &list("track_script", &["ready"]));
    watch.await_priority(BASE);
    watch.fail("ready");
    watch.await_priority(BASE + 10);
    watch.succeed("ready");
    watch.await_priority(BASE);
}

#[test]
fn a_file_that_can_be_opened_is_a_success() {
    a_file_that_can_be_opened(Make::Ours);
}

#[test]
fn a_file_that_can_be_opened_is_a_success_with_keepalived() {
    a_file_that_can_be_opened(Make::Keepalived);
}

/// Each of them fails, and the one that is sound is heard of all the same.
#[test]
fn scripts_that_do_not_behave_fail_and_disturb_nobody() {
    let Some(mut watch) = Watch::new(Make::Ours) else { return };
    let plain = watch.flags.write("plain", "#!/bin/sh\nexit 0\n");
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&plain, mode).unwrap_or_else(|error| panic!("{error}"));
    let bad = [
        ("missing", "/nonexistent/script".to_owned(), "-1"),
        ("not_executable", plain.display().to_string(), "-2"),
        ("hangs", "/bin/sh -c 'trap : TERM; while :; do sleep 600; done'".to_owned(), "-4"),
        ("floods", "/usr/bin/yes".to_owned(), "-8"),
        ("killed", "/bin/sh -c 'echo last words; kill -9 $$'".to_owned(), "-16"),
    ];
    let blocks: String = bad.iter().map(|(name, command, by)| script(name, command, by)).collect();
    let blocks = blocks + &watch.script("sound", "-32");
    let mut names: Vec<&str> = bad.iter().map(|(name, ..)| *name).collect();
    names.push("sound");
    watch.start(&blocks, &list("track_script", &names));
    watch.await_priority(BASE - 1 - 2 - 4 - 8 - 16);
    watch.fail("sound");
    watch.await_priority(BASE - 1 - 2 - 4 - 8 - 16 - 32);
    watch.succeed("sound");
    watch.await_priority(BASE - 1 - 2 - 4 - 8 - 16);
    let log = watch.scene.logs();
    let failure = |watch: &mut Watch, name| watch.scene.status(ONLY).last_failure(name);
    let killed = failure(&mut watch, "killed").unwrap_or_default();
    assert_eq!(killed["signal"], 9, "{killed}");
    assert_eq!(killed["output"], "last words\n", "{killed}");
    let floods = failure(&mut watch, "floods").unwrap_or_default();
    assert_eq!(floods["output"].as_str().map(str::len), Some(4096), "{floods}");
    for words in [
        "script missing fails: exit code 127",
        "script not_executable fails: exit code 126",
        "script hangs fails: still running, and ended, after",
        "script floods fails: still running, and ended, after",
        "script killed fails: ended by signal 9",
        "output: last words",
    ] {
        assert!(log.contains(words), "no `{words}` in {log}");
    }
}

/// Its runs take longer than the interval, and it is run all the same more often than once a second.
#[test]
fn a_script_with_an_interval_below_a_second_never_runs_twice_at_once() {
    let Some(mut watch) = Watch::new(Make::Ours) else { return };
    let text = "cd $(dirname $0) && mkdir lock || echo >>twice\necho >>runs\nsleep 0.3\nrmdir lock\n\
                test ! -e chk\n";
    let path = watch.flags.write("quick", text);
    let block = script("chk", &format!("/bin/sh {}", path.display()), "-20");
    watch.start(&block.replace("interval 1\n", "interval 0.2\n"), &list("track_script", &["chk"]));
    let begin = watch.await_priority(BASE);
    let file = |name: &str| fs::read_to_string(watch.flags.path().join(name)).unwrap_or_default();
    let runs = || file("runs").lines().count();
    let before = runs();
    watch.fail("chk");
    watch.await_priority(BASE - 20);
    watch.succeed("chk");
    watch.await_priority(BASE);
    let more = || runs() >= before + 10;
    assert!(wait::holds_within(SOON, more), "{}{}", runs(), watch.scene.logs());
    let runs = u32::try_from(runs() - before).unwrap_or(u32::MAX);
    let passed = Stamp::now().since(begin);
    assert!(passed < Duration::from_secs(1) * runs, "{runs} runs in {passed:?}");
    assert_eq!(file("twice"), "", "two runs at once");
}

/// Before its first verdict a script is neither good nor bad news.
#[test]
fn nobody_is_told_of_a_fault_before_the_first_verdict() {
    let Some(mut watch) = Watch::new(Make::Ours) else { return };
    let go = watch.flags.path().join("go");
    let command = format!("/bin/sh -c 'until test -e {}; do sleep 0.05; done'", go.display());
    let block = script("slow", &command, "0").replace("timeout 1", "timeout 600");
    let told = watch.flags.path().join("told");
    let notify = format!("    notify \"/bin/sh -c 'echo $3 >>{}' sh\" root\n", told.display());
    let instance =
        config::instance_of(DIALECT, 10, &[], BASE, &(list("track_script", &["slow"]) + &notify));
    watch.scene.launch(ONLY, &(block + &instance));
    let runs = wait::holds_within(SOON, || watch.scene.logs().contains("engine thread"));
    assert!(runs, "{}", watch.scene.logs());
    let state = |watch: &mut Watch| watch.scene.status(ONLY).state("VI_1").to_owned();
    let begins = wait::holds_within(SOON, || state(&mut watch) == "INIT");
    assert!(begins, "{}", watch.scene.logs());
    let stays = wait::holds_throughout(QUIET, || state(&mut watch) == "INIT");
    assert!(stays && !told.exists(), "{}", watch.scene.logs());
    watch.fail("go");
    watch.await_priority(BASE);
    let words = fs::read_to_string(&told).unwrap_or_default();
    assert!(!words.contains("FAULT"), "{words}{}", watch.scene.logs());
}

/// `rise`, `fall`: the first run decides by itself, with `init_fail` too, which says what is thought
/// before it; with both.
fn the_first_run_decides(make: Make) {
    let Some(mut watch) = Watch::new(make) else { return };
    let often = "rise 1000\n    fall 1000";
    let block = |name: &str, more: &str| {
        watch.script(name, "0").replace("rise 1\n    fall 1", &format!("{often}{more}"))
    };
    let (well, ill) = (block("well", "\n    init_fail"), block("ill", ""));
    watch.fail("ill");
    watch.start(&well, &list("track_script", &["well"]));
    watch.await_priority(BASE);
    let is_master = |watch: &Watch| {
        let namespace = watch.scene.namespace(ONLY);
        DIALECT.addresses().iter().any(|address| namespace.has_address(INTERFACE, address))
    };
    assert!(wait::holds_within(SOON, || is_master(&watch)), "{}", watch.scene.logs());
    // One that a reload adds, too. At a reload keepalived is killed by its own rlimit_rttime now and
    // then, so its last advertisement may be missing.
    watch.reload(&[well, ill].concat(), &list("track_script", &["well", "ill"]));
    let gives_up = || !is_master(&watch) && watch.scene.logs().contains("ill");
    assert!(wait::holds_within(SOON, gives_up), "{}", watch.scene.logs());
}

#[test]
fn the_first_run_of_a_script_decides() {
    the_first_run_decides(Make::Ours);
}

#[test]
fn the_first_run_of_a_script_decides_with_keepalived() {
    the_first_run_decides(Make::Keepalived);
}

/// `interface_up_down_delays`: what comes back before its delay was never gone.
#[test]
fn an_interface_that_bounces_counts_once_it_stays_down() {
    let delay = Duration::from_secs(5);
    let Some(mut watch) = Watch::new(Make::Ours) else { return };
    let delays = list("interface_up_down_delays", &["eth7 5 0.1"]).trim_start().to_owned();
    watch.start(&delays, &list("track_interface", &["eth7 weight -50"]));
    watch.await_priority(BASE);
    let start = Stamp::now();
    for _ in 0..3 {
        watch.ip_link("set eth7 down");
        wait::through(Duration::from_millis(300));
        watch.ip_link("set eth7 up");
        wait::through(Duration::from_millis(300));
    }
    let down = Stamp::now();
    watch.ip_link("set eth7 down");
    let lowered = watch.await_priority(BASE - 50);
    assert!(lowered.since(down) >= delay, "after {:?}", lowered.since(down));
    let first = watch.scene.heard(start).into_iter().find(|one| one.advert.priority != BASE);
    assert_eq!(first.map(|one| one.at >= down + delay), Some(true), "{}", watch.scene.logs());
    watch.ip_link("set eth7 up");
    watch.await_priority(BASE);
}

/// With keepalived by `dynamic_interfaces`.
fn an_interface_comes_and_goes(make: Make) {
    let Some(mut watch) = Watch::new(make) else { return };
    watch.ip_link("del eth7");
    watch.start("", &list("track_interface", &["eth7 weight -50"]));
    watch.await_priority(BASE - 50);
    for _ in 0..2 {
        watch.add_link();
        watch.await_priority(BASE);
        watch.ip_link("del eth7");
        watch.await_priority(BASE - 50);
    }
}

#[test]
fn an_interface_may_come_and_go() {
    an_interface_comes_and_goes(Make::Ours);
}

#[test]
fn an_interface_may_come_and_go_with_keepalived() {
    an_interface_comes_and_goes(Make::Keepalived);
}

/// Another interface takes the name's place.
#[test]
fn an_interface_counts_by_its_name() {
    let Some(mut watch) = Watch::new(Make::Ours) else { return };
    watch.start("", &list("track_interface", &["eth7 weight -50"]));
    watch.await_priority(BASE);
    watch.ip_link("set eth7 name other");
    watch.await_priority(BASE - 50);
    watch.ip_link("set eth8 name eth7");
    watch.await_priority(BASE);
}
