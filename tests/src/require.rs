//! Whether a test can run here. One that cannot fails, unless the caller said that it may be left
//! out: a test that skips itself in silence is a test that nobody runs.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

use nix::unistd::geteuid;

use crate::{frr, systemd};

/// Whether the test can have root and iproute2. `false` only where `HA_TESTS_UNPRIVILEGED=1` allows
/// it, with the reason printed; a panic otherwise.
pub fn require_root() -> bool {
    let reason = if !geteuid().is_root() {
        Some("it needs root, for network namespaces and raw sockets".to_owned())
    } else if !is_runnable("ip", "-V") {
        Some("it needs `ip` (apt-get install iproute2)".to_owned())
    } else {
        None
    };
    is_satisfied(reason)
}

/// [`require_root`], and the named tools too. Each is given with the package that has it.
pub fn require_tools(tools: &[(&str, &str)]) -> bool {
    if !require_root() {
        return false;
    }
    let missing = tools.iter().find(|(tool, _)| !is_runnable(tool, "--version"));
    is_satisfied(
        missing.map(|(tool, package)| format!("it needs `{tool}` (apt-get install {package})")),
    )
}

/// A real keepalived as the other router.
pub fn require_keepalived() -> bool {
    require_tools(&[("keepalived", "keepalived")])
}

/// Where Debian's package has keepalived's samples.
pub const KEEPALIVED_SAMPLES: &str = "/usr/share/doc/keepalived/samples";

/// A real keepalived and its samples, which are documentation.
pub fn require_keepalived_samples() -> bool {
    let missing = format!(
        "it needs {KEEPALIVED_SAMPLES}: dpkg was told to leave documentation out, by a line \
         `path-exclude` in /etc/dpkg/dpkg.cfg.d; without it, `apt-get install --reinstall keepalived`"
    );
    let is_there = Path::new(KEEPALIVED_SAMPLES).is_dir();
    require_keepalived() && is_satisfied((!is_there).then_some(missing))
}

/// FRR's vrrpd as the other router.
pub fn require_frr() -> bool {
    let vrrpd = frr::program("vrrpd");
    require_tools(&[(&vrrpd.display().to_string(), "frr"), ("vtysh", "frr")])
}

/// A real chronyd: the one that `HA_CHRONYD` names, else the machine's. `None` as
/// [`require_root`]'s `false`.
pub fn require_chronyd() -> Option<OsString> {
    let chronyd = env::var_os("HA_CHRONYD").unwrap_or_else(|| "chronyd".into());
    let missing = "it needs HA_CHRONYD=<path of chronyd>, of Debian's package chrony".to_owned();
    let is_there = is_runnable(&chronyd, "--version");
    (require_root() && is_satisfied((!is_there).then_some(missing))).then_some(chronyd)
}

/// Control groups of version 2, for processes of a test's own systemd.
pub(crate) fn require_control_groups() -> bool {
    let missing =
        "it needs control groups of version 2 (mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified)";
    is_satisfied(systemd::control_groups().is_none().then(|| missing.to_owned()))
}

/// The daemon under test: `HA_BINARY`, a path.
pub fn require_daemon() -> bool {
    if !require_root() {
        return false;
    }
    let reason = match env::var_os("HA_BINARY") {
        None => Some("it needs HA_BINARY=<path of ha-userspace>".to_owned()),
        Some(path) if !Path::new(&path).is_file() => {
            Some(format!("HA_BINARY={} is no file", path.display()))
        }
        Some(_) => None,
    };
    is_satisfied(reason)
}

fn is_satisfied(missing: Option<String>) -> bool {
    let Some(reason) = missing else {
        return true;
    };
    assert!(
        env::var("HA_TESTS_UNPRIVILEGED").is_ok_and(|value| value == "1"),
        "cannot run: {reason} (HA_TESTS_UNPRIVILEGED=1 leaves such tests out)"
    );
    eprintln!("skipped: {reason}");
    false
}

fn is_runnable(tool: impl AsRef<OsStr>, word: &str) -> bool {
    Command::new(tool).arg(word).output().is_ok()
}
