//! Cleaning up after a process that could not: a shell that waits for our end and then ends every
//! process in our namespaces and deletes them, and our temporary directories.
//!
//! `Drop` covers the ordinary ways and panics; this covers Ctrl-C and SIGKILL, and leaves to `Drop`
//! what it does. Namespaces of earlier processes that are gone with their guardian are swept too.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    panic,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::OnceLock,
    thread,
};

use nix::sys::signal::{SigSet, Signal};

use crate::netns;

/// Ends with the pipe at its standard input, that is, with us. `$1` is our process id, `$2` is our
/// directory for temporary files, or empty if they are to be kept.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for path in /run/netns/ha-"$1"-*; do
    [ -e "$path" ] || continue
    name=${path##*/}
    for pid in $(ip netns pids "$name"); do kill -KILL "$pid"; done
    ip netns del "$name"
done
[ -n "$2" ] && rm -rf "$2"/ha-"$1"-*
"#;

/// Starts the guardian, once per process.
pub(crate) fn watch() {
    static GUARDIAN: OnceLock<Child> = OnceLock::new();
    GUARDIAN.get_or_init(|| {
        sweep();
        let directory =
            if is_keeping() { String::new() } else { env::temp_dir().display().to_string() };
        Command::new("sh")
            .args(["-c", SCRIPT, "ha-guardian", &process::id().to_string(), &directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the terminal's foreground group: Ctrl-C must reach us and not it.
            .process_group(0)
            .spawn()
            .expect("a shell as guardian")
    });
}

/// `HA_TESTS_KEEP=1` keeps temporary directories (logs, configurations) for a look at them.
pub(crate) fn is_keeping() -> bool {
    env::var("HA_TESTS_KEEP").is_ok_and(|value| value == "1")
}

/// Makes SIGINT and SIGTERM clean up and then end the process. To be called before the process has
/// other threads, which would take the signals otherwise.
pub fn clean_up_on_signals() {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block().expect("block signals");
    let end = move || {
        let signal = signals.wait().expect("a signal set of ours");
        // The scene falls apart under the threads that play in it: their panics say nothing.
        panic::set_hook(Box::new(|_| ()));
        eprintln!("{signal}: cleaning up");
        remove_own();
        // As a shell tells it: 128 and the signal's number.
        process::exit(if signal == Signal::SIGINT { 130 } else { 143 });
    };
    thread::spawn(end);
}

/// Removes what this process has made. What its other threads make meanwhile is the guardian's.
fn remove_own() {
    let prefix = format!("ha-{}-", process::id());
    let names = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let is_own = |entry: &fs::DirEntry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix))
        };
        entries.filter(is_own).map(|entry| entry.path()).collect()
    };
    for path in names(Path::new(netns::DIRECTORY)) {
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            netns::remove(name);
        }
    }
    if !is_keeping() {
        for path in names(&env::temp_dir()) {
            fs::remove_dir_all(path).ok();
        }
    }
}

/// Removes the namespaces of harness processes that are gone.
fn sweep() {
    let Ok(entries) = fs::read_dir(netns::DIRECTORY) else {
        return;
    };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        let owner = name.strip_prefix("ha-").and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else {
            continue;
        };
        if !fs::exists(format!("/proc/{owner}")).unwrap_or(true) {
            netns::remove(&name);
        }
    }
}
