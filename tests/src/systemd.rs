//! A real systemd of the test's own, with a bus of its own: process 1 in namespaces, which knows no units
//! but the test's.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use crate::{netns::Namespace, process::Process, require, tempdir::TempDir, tool, wait};

const PROGRAM: &str = "/lib/systemd/systemd";
const SYSTEMD: &str = "org.freedesktop.systemd1";
/// A machine that does other things needs some seconds.
const SOON: Duration = Duration::from_secs(30);
/// Names of control groups: with our process id behind it.
const GROUP: &str = "ha-systemd-";

/// Enters the control group `$1`, and becomes systemd with the directory `$0` as `/run/ha`, where it
/// finds its units. No mount writes to a table in `/run`, which is on its way.
const ENTER: &str = r#"
echo $$ >"$1/cgroup.procs"
exec unshare --mount --pid --fork --uts --ipc --cgroup --kill-child sh -ec '
    mount --no-mtab --make-rprivate /
    mount --no-mtab -t tmpfs tmpfs /mnt
    mkdir /mnt/ha /mnt/dbus
    mount --no-mtab --bind "$0" /mnt/ha
    mount --no-mtab --move /mnt /run
    mount --no-mtab -t proc proc /proc
    umount -R /sys/fs/cgroup
    mount --no-mtab -t cgroup2 cgroup2 /sys/fs/cgroup
    export container=ha SYSTEMD_UNIT_PATH=/run/ha/units
    exec /lib/systemd/systemd --system --log-target=console --show-status=no
' "$0"
"#;

const TARGET: &str = "[Unit]\nWants=dbus.socket\n";
const BUS_SOCKET: &str = "[Unit]\nDefaultDependencies=no\n[Socket]\n\
    ListenStream=/run/dbus/system_bus_socket\nListenStream=/run/ha/bus\n";
const BUS_SERVICE: &str = "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\n[Service]\n\
    Type=notify\nExecStart=/usr/bin/dbus-daemon --config-file=/run/ha/bus.conf --nofork \
    --nopidfile --systemd-activation\n";
/// Whoever reaches it is the test.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>systemd:</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_type="method_call"/><allow send_type="method_return"/><allow send_type="error"/>
<allow send_type="signal"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>
"#;

/// It and its services end with this.
#[derive(Debug)]
pub struct Systemd {
    process: Process,
    directory: TempDir,
    group: PathBuf,
    /// Dropped, it ends what is left.
    _namespace: Namespace,
}

/// Whether there can be one; see [`require`].
pub fn require_systemd() -> bool {
    let tools = [("busctl", "systemd"), (PROGRAM, "systemd"), ("dbus-daemon", "dbus-daemon")];
    require::require_tools(&tools) && require::require_control_groups()
}

/// Where the kernel has control groups of version 2.
pub(crate) fn control_groups() -> Option<&'static Path> {
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    places.into_iter().find(|place| place.join("cgroup.procs").is_file())
}

impl Systemd {
    /// Boots it with these units besides the bus, none of which it starts; each is a name and a text.
    pub fn start(units: &[(&str, &str)]) -> Self {
        let directory = TempDir::new("systemd");
        fs::create_dir(directory.path().join("units")).expect("a fresh directory");
        directory.write("bus.conf", BUS);
        let own = [
            ("default.target", TARGET),
            ("dbus.socket", BUS_SOCKET),
            ("dbus.service", BUS_SERVICE),
        ];
        for (name, text) in own.iter().chain(units) {
            directory.write(&format!("units/{name}"), text);
        }
        let group = control_group(directory.path());
        let mut command = Command::new("sh");
        command.args(["-ec", ENTER]).arg(directory.path()).arg(&group);
        // It has no use for a network, but is ended with all that is in one of ours.
        let namespace = Namespace::new("systemd");
        let log = directory.path().join("log");
        let process = Process::start(&namespace, command, &log, None);
        let systemd = Self { process, directory, group, _namespace: namespace };
        let answers = wait::holds_within(SOON, || {
            let words = ["get-property", SYSTEMD, "/org/freedesktop/systemd1"];
            systemd.ask(&words, &["org.freedesktop.systemd1.Manager", "Version"]).is_ok()
        });
        assert!(answers, "systemd does not answer: {}", systemd.process.log());
        systemd
    }

    /// Adds a unit.
    pub fn install(&self, name: &str, text: &str) {
        self.directory.write(&format!("units/{name}"), text);
        self.call(&["Reload"]);
    }

    /// The environment of a program that is to find its bus.
    pub fn environment(&self) -> String {
        format!("DBUS_SYSTEM_BUS_ADDRESS=unix:path={}", self.directory.path().join("bus").display())
    }

    /// Has it do something with a unit, by one of `StartUnit`, `StopUnit`, `RestartUnit`, and waits until
    /// it is done.
    pub fn order(&self, method: &str, unit: &str) {
        self.call(&[method, "ss", unit, "replace"]);
        // Nothing but letters and the dot, which is escaped so.
        let path = format!("/org/freedesktop/systemd1/unit/{}", unit.replace('.', "_2e"));
        let words = ["get-property", SYSTEMD, &path];
        let is_done = || {
            let job = self.ask(&words, &["org.freedesktop.systemd1.Unit", "Job"]);
            job.is_ok_and(|job| job.starts_with("(uo) 0 "))
        };
        assert!(wait::holds_within(SOON, is_done), "{method} {unit}: {}", self.process.log());
    }

    /// Kills the bus, which comes again when somebody asks for it.
    pub fn kill_bus(&self) {
        // The answer may be killed with it.
        let manager = ["call", SYSTEMD, "/org/freedesktop/systemd1"];
        let method = "org.freedesktop.systemd1.Manager";
        self.ask(&manager, &[method, "KillUnit", "ssi", "dbus.service", "all", "9"]).ok();
    }

    /// Kills all processes of a unit.
    pub fn kill(&self, unit: &str) {
        self.call(&["KillUnit", "ssi", unit, "all", "9"]);
    }

    fn call(&self, words: &[&str]) {
        let manager = ["call", SYSTEMD, "/org/freedesktop/systemd1"];
        let method = ["org.freedesktop.systemd1.Manager"].iter().chain(words).copied();
        let answer = self.ask(&manager, &method.collect::<Vec<_>>());
        answer.unwrap_or_else(|error| panic!("{error}"));
    }

    fn ask(&self, words: &[&str], more: &[&str]) -> Result<String, String> {
        let environment = self.environment();
        let mut all = vec![environment.as_str(), "busctl", "--timeout=10"];
        all.extend(words.iter().chain(more));
        tool::output_of("env", &all)
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.process.kill();
        wait::holds_within(SOON, || remove_group(&self.group));
    }
}

/// A control group of the test's own. Those that were left behind by others are removed.
fn control_group(directory: &Path) -> PathBuf {
    let groups = control_groups().expect("require_systemd");
    for entry in fs::read_dir(groups).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(GROUP).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove_group(&entry.path());
        }
    }
    let own = directory.file_name().unwrap_or_default().to_string_lossy();
    let group = groups.join(format!("{GROUP}{}-{own}", process::id()));
    fs::create_dir(&group).expect("a control group");
    group
}

/// With those in it; `false`: something is still there.
fn remove_group(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok()
}
