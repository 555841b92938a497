//! keepalived's command line and signals, with the real program; keepalived itself is asked where
//! it can answer.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test reports by panicking, in its helpers too"
)]

use core::{ffi::c_int, time::Duration};
use std::{
    fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Stdio},
};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Process, describe},
    require,
    sandbox::{DIRECTORY, Sandbox},
    status::Status,
    tempdir::TempDir,
    tool, wait,
};

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
const NODE: Side = Side::A;

fn config() -> String {
    config::instance(Dialect::V3Multicast, NODE, 150, "")
}

fn start(pair: &Pair, sandbox: &Sandbox, config: &str, words: &str) -> Process {
    let words: Vec<&str> = words.split_whitespace().collect();
    sandbox.start(pair.node(NODE).namespace(), config, &words, "")
}

fn await_master(pair: &Pair, daemon: &Process) {
    let is_master = || pair.node(NODE).addresses_held() == [2, 0];
    assert!(wait::holds_within(SOON, is_master), "no Master:\n{}", daemon.log());
}

fn stop(mut daemon: Process) {
    let status = daemon.stop();
    assert!(status.success(), "{}:\n{}", describe(status), daemon.log());
}

/// Exit code and output of a command that ends of itself, in the node's namespace.
fn run(pair: &Pair, program: &str, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = pair.node(NODE).namespace().spawn(&mut command).expect(program);
    let output = child.wait_with_output().expect(program);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

fn daemon() -> String {
    std::env::var("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>")
}

#[test]
fn pid_files_are_there_as_long_as_the_daemon() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let words = "-n -P -p /mnt/main.pid -r /mnt/vrrp.pid -c /mnt/checkers.pid";
    // What another user could put there.
    sandbox.directory().write("victim", "untouched");
    symlink("victim", sandbox.directory().path().join("vrrp.pid")).expect("a link");
    let daemon = start(&pair, &sandbox, &config(), words);
    await_master(&pair, &daemon);
    let directory = sandbox.directory();
    let pid = format!("{}\n", daemon.pid());
    for file in ["main.pid", "vrrp.pid"] {
        assert_eq!(directory.read(file), pid, "{file}");
    }
    assert_eq!(directory.read("victim"), "untouched");
    // No process, no number; and the operator is told.
    assert!(!directory.path().join("checkers.pid").exists());
    assert!(daemon.log().contains("there is no checker process"), "{}", daemon.log());
    stop(daemon);
    for file in ["main.pid", "vrrp.pid"] {
        assert!(!directory.path().join(file).exists(), "{file} is left");
    }
}

#[test]
fn the_id_chooses_lines() {
    if !require::require_daemon() {
        return;
    }
    let text = config().replace("    priority 150\n", "@one priority 201\n@^one priority 51\n");
    for (id, priority) in [("one", 201), ("two", 51)] {
        let (pair, sandbox) = (Pair::new(), Sandbox::new());
        let daemon = start(&pair, &sandbox, &text, &format!("-i {id}"));
        let first =
            || pair.heard(INTERFACE, Stamp::default()).first().map(|heard| heard.advert.priority);
        let first = wait::some_within(SOON, first);
        assert_eq!(first, Some(priority), "{id}:\n{}", daemon.log());
        stop(daemon);
    }
}

#[test]
fn it_goes_to_the_namespace_that_it_is_told() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let name = pair.node(NODE).namespace().name();
    // There are interfaces of these names where it is started, too.
    let daemon = sandbox.start(pair.client(), &config(), &["-s", name], "");
    await_master(&pair, &daemon);
    assert!(!pair.client().has_address(INTERFACE, "198.51.100.13"));
    stop(daemon);
}

#[test]
fn signals_have_keepalived_s_numbers() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let pair = Pair::new();
    for name in ["STOP", "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON"] {
        let word = format!("--signum={name}");
        let theirs = run(&pair, "keepalived", &[&word]);
        assert_eq!(theirs.0, Some(0), "{name}: {}", theirs.1);
        assert_eq!(run(&pair, &daemon(), &[&word]), theirs, "{name}");
    }
    for program in ["keepalived", &daemon()] {
        assert_ne!(run(&pair, program, &["--signum=NONE"]).0, Some(0), "{program}");
    }
}

/// By number: the names of real-time signals are not known everywhere.
fn signal(daemon: &Process, number: c_int) {
    tool::run("kill", &format!("-{number} {}", daemon.pid()));
}

/// Waits until the status is at `path`, where something else was before; and looks at it.
fn await_status(daemon: &Process, path: &Path) -> Status {
    let comes = || {
        let is_file = fs::symlink_metadata(path).ok()?.is_file();
        is_file.then(|| Status::parse(&fs::read_to_string(path).ok()?)).flatten()
    };
    let status = wait::some_within(SOON, comes);
    let status = status.unwrap_or_else(|| panic!("{}:\n{}", path.display(), daemon.log()));
    let mode = fs::symlink_metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    assert_eq!(status.state("VI_1"), "MASTER");
    assert_eq!(status.statistic("VI_1", "became_master"), 1);
    assert!(status.statistic("VI_1", "adverts_sent") > 0);
    status
}

/// What a signal asks for comes to `place`, in the directory `name` of the sandbox, even though
/// links lead away from there; and in one step.
fn dumps(sandbox: &Sandbox, daemon: &Process, name: &str, expected: &[(c_int, &str)]) {
    let directory = sandbox.directory().path().join(name);
    sandbox.directory().write("victim", "untouched");
    // Where the daemon sees it.
    let victim = Path::new(DIRECTORY).join("victim");
    for (number, file) in expected {
        let path = directory.join(file);
        // What another user could guess and put there.
        for guess in [(*file).to_owned(), format!("{file}.new")] {
            let guess = directory.join(guess);
            fs::remove_file(&guess).ok();
            symlink(&victim, &guess).expect("a link");
        }
        signal(daemon, *number);
        let first = await_status(daemon, &path);
        // Who has opened the one keeps it whole while the next comes.
        let mut opened = fs::File::open(&path).expect("the status");
        let inode = opened.metadata().expect("the status").ino();
        signal(daemon, *number);
        let is_replaced = || fs::metadata(&path).is_ok_and(|now| now.ino() != inode);
        assert!(wait::holds_within(SOON, is_replaced), "{file} is not replaced");
        let mut text = String::new();
        opened.read_to_string(&mut text).expect("the status");
        let kept = Status::parse(&text).expect("a whole status");
        assert_eq!(sent(&kept), sent(&first));
        assert!(sent(&await_status(daemon, &path)) >= sent(&first));
    }
    assert_eq!(sandbox.directory().read("victim"), "untouched");
    if let Some((number, file)) = expected.first() {
        what_cannot_be_written_leaves_the_one_before(daemon, *number, &directory.join(file));
    }
    // Nothing else is there, or left, but the control socket.
    let names = expected.iter().map(|(_, file)| *file);
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    let entries = fs::read_dir(&directory).expect("our own");
    let mut found: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    found.retain(|name| name != "control.sock");
    found.sort_unstable();
    assert_eq!(found, names);
}

/// The next one is not begun at the place itself, where it would be read half written.
fn what_cannot_be_written_leaves_the_one_before(daemon: &Process, number: c_int, path: &Path) {
    let before = fs::read_to_string(path).expect("the status");
    let beside = path.with_added_extension("new");
    fs::create_dir(&beside).expect("our own");
    signal(daemon, number);
    let is_told = || daemon.log().contains("cannot write");
    assert!(wait::holds_within(SOON, is_told), "{}", daemon.log());
    assert_eq!(fs::read_to_string(path).expect("the status"), before);
    fs::remove_dir(&beside).expect("our own");
}

fn sent(status: &Status) -> u64 {
    status.statistic("VI_1", "adverts_sent")
}

#[test]
fn the_status_comes_to_the_run_directory() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let daemon = start(&pair, &sandbox, &config(), "");
    await_master(&pair, &daemon);
    // keepalived's own JSON: `keepalived_json`.
    let all = [libc::SIGUSR1, libc::SIGUSR2];
    dumps(&sandbox, &daemon, "run", &all.map(|number| (number, "status.json")));
    // Not where anybody may write.
    let others = fs::read_dir(sandbox.directory().path().join("tmp")).expect("our own").count();
    assert_eq!(others, 0);
    stop(daemon);
}

#[test]
fn the_status_comes_to_keepalived_s_paths_on_request() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    // As /tmp is.
    let tmp = sandbox.directory().path().join("tmp");
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).expect("our own");
    let daemon = start(&pair, &sandbox, &config(), "--keepalived-paths");
    await_master(&pair, &daemon);
    let expected = [(libc::SIGUSR1, "keepalived.data"), (libc::SIGUSR2, "keepalived.stats")];
    dumps(&sandbox, &daemon, "tmp", &expected);
    stop(daemon);
}

#[test]
fn a_config_test_ends_as_keepalived_s() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let pair = Pair::new();
    let directory = TempDir::new("config-test");
    let sound = config();
    let files = [
        ("sound", sound.clone()),
        ("unknown-keyword", sound.replace("priority 150", "priority 150\n    inteval 3")),
        ("out-of-range", sound.replace("router_id 133", "router_id 300")),
        ("no-interface", sound.replace("interface bond0", "")),
        ("unclosed", sound.trim_end().trim_end_matches('}').to_owned()),
        ("one-of-two", format!("{sound}{}", sound.replace("VI_1", "VI_2").replace("133", "300"))),
    ];
    for (name, text) in files {
        let file = directory.write(name, &text).display().to_string();
        // The manual has 4 for errors, and 2.2.7 ends with 5.
        let (expected, theirs) = if name == "sound" { (0, 0) } else { (4, 5) };
        let (code, output) = run(&pair, "keepalived", &["-t", "-f", &file]);
        assert_eq!(code, Some(theirs), "{name}: {output}");
        for words in [
            &["-t", "-f", &file][..],
            &["-f", &file, "--config-test"],
            &["check", &file],
            &["check", "-f", &file],
        ] {
            let (code, output) = run(&pair, &daemon(), words);
            assert_eq!(code, Some(expected), "{name}: {output}");
        }
    }
    // Where keepalived is content, with nothing to run: a slip of the pen must not look sound.
    let missing = directory.path().join("missing").display().to_string();
    let empty = directory.write("empty", "").display().to_string();
    for (file, expected) in [(missing, 1), (empty, 4)] {
        assert_eq!(run(&pair, "keepalived", &["-t", "-f", &file]).0, Some(0), "{file}");
        let (code, output) = run(&pair, &daemon(), &["-t", "-f", &file]);
        assert_eq!(code, Some(expected), "{output}");
        assert!(output.contains(&file), "{output}");
    }
}

/// One plain sentence: no time, no level, as a log has them.
#[test]
fn what_a_command_cannot_do_is_said_as_a_tool_says_it() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let nowhere = TempDir::new("nowhere");
    let run_dir = nowhere.path().display().to_string();
    for words in [
        &["status", "--run-dir", &run_dir, "-f", "/nonexistent"][..],
        &["check", "-f", "/nonexistent"],
        &["replay", "/nonexistent"],
        &["explain", "no_such_keyword"],
    ] {
        let (code, output) = run(&pair, &daemon(), words);
        assert_eq!(code, Some(1), "{words:?}: {output}");
        assert!(
            output.starts_with("error: ") && output.lines().count() == 1,
            "{words:?}: {output}"
        );
    }
}

#[test]
fn a_config_test_writes_to_a_file_if_told() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let directory = TempDir::new("config-test");
    let file = directory.write("broken", "vrrp_instance VI_1 {\n    inteval 3\n}\n");
    let log = format!("--config-test={}", directory.path().join("log").display());
    let (code, output) = run(&pair, &daemon(), &[&log, "-f", &file.display().to_string()]);
    assert_eq!((code, output.as_str()), (Some(4), ""));
    assert!(directory.read("log").contains("inteval"), "{}", directory.read("log"));
}

/// `VI_1` sound, `VI_2` and `VI_3` with an error each.
fn with_errors() -> String {
    let other = |name: &str, vrid: &str| {
        config().replace("VI_1", name).replace("router_id 133", &format!("router_id {vrid}"))
    };
    let third = other("VI_3", "135").replace("priority 150", "priority high");
    let second = other("VI_2", "256").replace("198.51.100.1", "198.51.100.5");
    format!("{}{second}{}", config(), third.replace("198.51.100.1", "198.51.100.6"))
}

#[test]
fn an_error_keeps_the_daemon_from_starting_and_all_are_listed() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let mut daemon = start(&pair, &sandbox, &with_errors(), "");
    let status = daemon.wait(SOON);
    assert!(!status.success(), "{}", daemon.log());
    for what in ["`256`", "`high`", "keepalived.conf:", "2 error(s)"] {
        assert!(daemon.log().contains(what), "no {what}:\n{}", daemon.log());
    }
    assert!(pair.heard(INTERFACE, Stamp::default()).is_empty());
}

#[test]
fn the_sound_instances_keep_going_on_request() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let daemon = start(&pair, &sandbox, &with_errors(), "--keep-going");
    await_master(&pair, &daemon);
    let claims = Stamp::now();
    let goes_on = wait::holds_within(SOON, || pair.heard(INTERFACE, claims).len() > 3);
    assert!(goes_on, "{}", daemon.log());
    for heard in pair.heard(INTERFACE, Stamp::default()) {
        assert_eq!(heard.advert.vrid, 133, "{}", daemon.log());
    }
    // It has not gone unsaid.
    for what in ["`256`", "`high`", "--keep-going"] {
        assert!(daemon.log().contains(what), "no {what}:\n{}", daemon.log());
    }
    let mut present = pair.node(NODE).namespace().addresses(INTERFACE);
    present.retain(|address| address.starts_with("198.51.100."));
    present.sort_unstable();
    assert_eq!(present, ["198.51.100.10/24", "198.51.100.13/32", "198.51.100.14/32"]);
    stop(daemon);
}
