//! Cleaning up after a process that could not: a shell that waits for our end and then ends every
//! process in our namespaces and deletes them, and our temporary directories.
//!
//! `Drop` covers the ordinary ways and panics; this covers Ctrl-C and SIGKILL, and leaves to `Drop`
//! what it does. Namespaces of earlier processes that are gone with their guardian are swept too.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    process::{self, Child, Command, Stdio},
    sync::OnceLock,
};

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
