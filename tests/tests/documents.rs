//! The commands that the documents show, as they stand there: `tests/commands.md` says which are run
//! here, and `cargo xtask tidy` that it has them all.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ha_tests::{
    pair::{Pair, Side},
    process::Process,
    reference, require,
    tempdir::TempDir,
    wait,
};

const LIST: &str = include_str!("../commands.md");
/// What documents write for what the reader has to put there.
const PLACES: [(&str, &str); 5] = [
    (" [NAME]", ""),
    (" NAME", " VI_1"),
    (" [FILE]", ""),
    (" FILE", " /etc/keepalived/keepalived.conf"),
    (" KEYWORD", " advert_int"),
];
/// Lays the directory over /run, and becomes the daemon with its own defaults.
const START: &str = r#"mount --bind "$0" /run; exec ha-userspace"#;
const SOON: Duration = Duration::from_secs(30);

/// A host on which the daemon is installed and runs.
struct Host {
    daemon: Process,
    path: String,
    pair: Pair,
    _directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let (pair, directory) = (Pair::new(), TempDir::new("documents"));
        let node = pair.node(Side::A);
        let keepalived = node.etc();
        let etc = keepalived.parent().expect("it is in one").to_owned();
        fs::create_dir(etc.join("ha")).expect("our own directory");
        for file in [etc.join("ha/ha.conf"), keepalived.join("keepalived.conf")] {
            fs::write(file, reference::config(Side::A)).expect("our own directory");
        }
        let [programs, run] = ["bin", "run"].map(|name| directory.path().join(name));
        for place in [&programs, &run] {
            fs::create_dir(place).expect("a fresh directory");
        }
        let binary = env::var("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>");
        symlink(binary, programs.join("ha-userspace")).expect("a fresh directory");
        let path = format!("{}:{}", programs.display(), env::var("PATH").expect("PATH"));
        let mut command = Command::new("sh");
        command.args(["-ec", START]).arg(run).env("PATH", &path);
        let log = directory.path().join("log");
        let daemon = Process::start(node.namespace(), command, &log, Some(&etc));
        Self { daemon, path, pair, _directory: directory }
    }

    /// Runs a line of shell script as root of that host, in the root of this repository.
    fn run(&self, line: &str) -> Output {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.daemon.pid()));
        command.args(["--mount", "--net"]).arg(format!("--wd={}", repository().display()));
        command.args(["bash", "-c", line]).env("PATH", &self.path);
        command.output().expect("nsenter")
    }
}

fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("this package is in the repository").to_owned()
}

/// Those that are to be run, in the order of the list.
fn commands() -> impl Iterator<Item = &'static str> {
    LIST.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` | run |"))
}

#[test]
fn commands_of_the_documents_work_as_they_stand() {
    if !require::require_daemon() {
        return;
    }
    let host = Host::new();
    let is_master = || host.pair.node(Side::A).addresses_held() == [2, 2];
    assert!(wait::holds_within(SOON, is_master), "{}", host.daemon.log());
    assert!(commands().count() > 10, "the list is not read");
    for command in commands() {
        let fill = |line: String, (place, text): &(&str, &str)| line.replace(place, text);
        let line = PLACES.iter().fold(command.to_owned(), fill);
        let output = host.run(&line);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let log = host.daemon.log();
        assert!(output.status.success(), "{line}: {}\n{said}\n{log}", output.status);
        let is_silent = command.starts_with("source ");
        assert!(is_silent || !said.trim().is_empty(), "{line} says nothing\n{log}");
    }
}
