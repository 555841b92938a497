//! Programs that run in a namespace: started, watched, ended by their process id, always reaped.

use core::time::Duration;
use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{Read as _, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{netns::Namespace, status::Status, tempdir::TempDir, wait};

/// What of a program's output is kept: a log that grows beyond is a finding of its own.
const LOG_BYTES_MAX: u64 = 4 << 20;
/// How long a program may take to stop when asked to.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const RELEASE_WITHIN: Duration = Duration::from_secs(20);
/// How long the last of a program's output may be on its way when the program has ended.
const LOG_WITHIN: Duration = Duration::from_secs(1);
/// How long the daemon may take to tell how it is.
const STATUS_WITHIN: Duration = Duration::from_secs(5);

/// A running program. Killed and reaped on drop, if it still runs then.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    log_writer: Option<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in `namespace`; both of its outputs go to the file `log`.
    ///
    /// With `etc`, the program sees that directory's content laid over `/etc`, and nobody else does.
    pub fn start(
        namespace: &Namespace,
        mut command: Command,
        log: &Path,
        etc: Option<&Path>,
    ) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe for the log");
        let errors = writer.try_clone().expect("a pipe for the log");
        // A group of its own: Ctrl-C is for us, who then end it in order.
        command.stdin(Stdio::null()).stdout(writer).stderr(errors).process_group(0);
        let child = namespace.run(|| {
            if let Some(etc) = etc {
                lay_over_etc(etc);
            }
            command.spawn()
        });
        let child = child.unwrap_or_else(|error| {
            panic!("cannot start {}: {error}", command.get_program().display())
        });
        // The command holds the pipe's writing ends; the log ends when the program's are the last.
        drop(command);
        let mut file = File::create(log).expect("a log file");
        let log_writer = thread::spawn(move || copy_bounded(reader, &mut file));
        Self { child, log: log.to_owned(), log_writer: Some(log_writer), status: None }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn is_running(&mut self) -> bool {
        self.status().is_none()
    }

    /// Sends `signal`; a program that is gone already is left alone.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            kill(self.pid(), signal).expect("signal a child");
        }
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(STOP_WITHIN)
    }

    /// Ends it without a chance to say goodbye.
    pub fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.wait(STOP_WITHIN)
    }

    /// Waits until it has ended of itself; panics with its log if it does not.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let ended = wait::some_within(deadline, || self.status());
        let Some(status) = ended else {
            panic!("still runs after {deadline:?}; its log:\n{}", self.log());
        };
        if let Some(writer) = self.log_writer.take()
            // The children of a daemon may hold its outputs open: do not wait for those.
            && wait::holds_within(LOG_WITHIN, || writer.is_finished())
        {
            writer.join().expect("the log is written");
        }
        status
    }

    fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("wait for a child");
        }
        self.status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_some() {
            return;
        }
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("cannot end process {}: {error}", self.child.id());
        }
    }
}

/// The resident size of a process, in KiB; `None` if it is gone.
pub fn resident_kib(pid: Pid) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How a status reads in a message: `exit 0`, `signal 9`.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// A router's program: the daemon under test, or the real keepalived as its peer.
#[derive(Debug)]
pub struct Router {
    process: Process,
    directory: TempDir,
}

/// Which program a [`Router`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// The binary that `HA_BINARY` names.
    Daemon,
    Keepalived,
}

/// How to start a [`Router`], besides its configuration.
#[derive(Clone, Debug, Default)]
pub struct Start<'a> {
    /// More words for the daemon's command line; keepalived does not get them.
    pub words: &'a [&'a str],
    /// See [`Process::start`].
    pub etc: Option<&'a Path>,
}

impl Router {
    /// Starts `program` in `namespace` with `config`, in a fresh directory for all it writes.
    pub fn start(program: Program, namespace: &Namespace, config: &str) -> Self {
        Self::start_with(program, namespace, config, &Start::default())
    }

    pub fn start_with(
        program: Program,
        namespace: &Namespace,
        config: &str,
        start: &Start<'_>,
    ) -> Self {
        Self::start_under(&[], program, namespace, config, start)
    }

    /// Started by another program, which becomes it: `wrapper` is that one's command line.
    pub fn start_under(
        wrapper: &[&str],
        program: Program,
        namespace: &Namespace,
        config: &str,
        start: &Start<'_>,
    ) -> Self {
        let directory = TempDir::new("router");
        let config = directory.write("keepalived.conf", config);
        let command = match program {
            Program::Daemon => daemon_command(&config, directory.path(), start.words),
            Program::Keepalived => keepalived_command(&config, directory.path()),
        };
        let command = wrapped(wrapper, command);
        let log = directory.path().join("log");
        let process = Process::start(namespace, command, &log, start.etc);
        Self { process, directory }
    }

    /// Starts a program that is told of processes. keepalived is so in the initial network namespace
    /// only, which is ours: there it starts, and goes where `net_namespace` says.
    pub fn start_told_of_processes(
        program: Program,
        namespace: &Namespace,
        config: &str,
        start: &Start<'_>,
    ) -> Self {
        match program {
            Program::Daemon => Self::start_with(program, namespace, config, start),
            Program::Keepalived => {
                let here = format!("--net=/proc/{}/ns/net", std::process::id());
                let config = format!("net_namespace {}\n{config}", namespace.name());
                Self::start_under(&["nsenter", &here], program, namespace, &config, start)
            }
        }
    }

    /// Starts the daemon again where it was, after its end.
    pub fn restart(&mut self, namespace: &Namespace, config: &str) {
        let config = self.directory.write("keepalived.conf", config);
        let command = daemon_command(&config, self.directory.path(), &[]);
        let log = self.directory.path().join("log");
        self.process = Process::start(namespace, command, &log, None);
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where it writes: its log, its status, its pid files.
    pub fn directory(&self) -> &TempDir {
        &self.directory
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The daemon's status now. Only of a daemon that has shown signs of life: before that, the
    /// signal that asks for it would end it.
    pub fn status(&mut self) -> Status {
        let file = self.directory.path().join("status.json");
        std::fs::remove_file(&file).ok();
        self.process.signal(Signal::SIGUSR1);
        wait::eventually_some(STATUS_WITHIN, "the daemon's status", || {
            Status::parse(&self.directory.read("status.json"))
        })
    }

    /// What the daemon prints when it is told this, as root.
    pub fn order(&self, words: &[&str]) -> String {
        let mut command = Command::new(env::var_os("HA_BINARY").expect("HA_BINARY"));
        command.args(words).arg("--socket").arg(self.directory.path().join("control.sock"));
        let output = command.output().expect("the binary under test");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    }

    /// Runs what a unit's `ExecStopPost` runs, with the options of its `ExecStart`; how it ended, and
    /// what it said. After a kill it may be refused for the moment that the kernel takes for the end of
    /// the process, with which its lock goes.
    ///
    /// # Panics
    /// It does not end.
    pub fn release(&self, namespace: &Namespace) -> (ExitStatus, String) {
        let directory = self.directory.path();
        let mut command = Command::new(env::var_os("HA_BINARY").expect("HA_BINARY"));
        command.arg("--run-dir").arg(directory).arg("-f").arg(directory.join("keepalived.conf"));
        command.arg("release");
        let log = directory.join("release");
        let mut process = Process::start(namespace, command, &log, None);
        (process.wait(RELEASE_WITHIN), process.log())
    }

    /// Asks it to stop, which makes a Master send priority 0, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }
}

/// `wrapper` with `command` as its last words.
fn wrapped(wrapper: &[&str], command: Command) -> Command {
    let Some((program, words)) = wrapper.split_first() else { return command };
    let mut whole = Command::new(program);
    whole.args(words).arg(command.get_program()).args(command.get_args());
    whole
}

fn daemon_command(config: &Path, directory: &Path, words: &[&str]) -> Command {
    let binary: OsString = env::var_os("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>");
    let mut command = Command::new(binary);
    command.arg("--config").arg(config).arg("--run-dir").arg(directory).args(words);
    command
}

fn keepalived_command(config: &Path, directory: &Path) -> Command {
    let mut command = Command::new("keepalived");
    command.args(["--dont-fork", "--log-console", "--log-detail", "--no-syslog", "--vrrp"]);
    command.arg("--use-file").arg(config);
    command.arg("--pid").arg(directory.join("keepalived.pid"));
    command.arg("--vrrp_pid").arg(directory.join("vrrp.pid"));
    command
}

/// Makes the calling thread, and what it spawns, see `directory` merged over `/etc`.
///
/// An overlay and not a bind mount, because the directories in it need not exist in the real
/// `/etc`, and nothing may be made there.
fn lay_over_etc(directory: &Path) {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let nothing = None::<&str>;
    // Before anything is mounted: what is mounted here must not reach the outside.
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .expect("private mounts");
    let layers = format!("lowerdir={}:/etc", directory.display());
    let flags = MsFlags::MS_RDONLY;
    mount(Some("overlay"), "/etc", Some("overlay"), flags, Some(layers.as_str()))
        .expect("an overlay over /etc");
    // Each directory again by itself, because what changes under an overlay need not show in it.
    for entry in std::fs::read_dir(directory).expect("our own directory").flatten() {
        if entry.path().is_dir() {
            let target = Path::new("/etc").join(entry.file_name());
            mount(Some(&entry.path()), &target, nothing, MsFlags::MS_BIND, nothing)
                .expect("a bind mount below /etc");
        }
    }
}

fn copy_bounded(mut reader: std::io::PipeReader, file: &mut File) {
    let mut buffer = [0_u8; 4096];
    let mut room = LOG_BYTES_MAX;
    // Reads on when the file is full: a program must not block on its log.
    while let Ok(count) = reader.read(&mut buffer) {
        if count == 0 {
            return;
        }
        let kept = usize::try_from(room).unwrap_or(usize::MAX).min(count);
        let bytes = buffer.get(..kept).unwrap_or_default();
        if let Err(error) = file.write_all(bytes) {
            eprintln!("log: {error}");
        }
        room = room.saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require::require_root;

    #[test]
    fn sees_its_own_etc_and_logs() {
        if !require_root() {
            return;
        }
        let namespace = Namespace::new("etc");
        let directory = TempDir::new("etc");
        std::fs::create_dir(directory.path().join("nowhere-else")).unwrap();
        directory.write("nowhere-else/note", "seen\n");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "cat /etc/nowhere-else/note; echo too >/etc/nowhere-else/more; exec sleep 60",
        ]);
        let log = directory.path().join("log");
        let mut process = Process::start(&namespace, command, &log, Some(directory.path()));
        wait::eventually(Duration::from_secs(5), "its log", || process.log() == "seen\n");
        wait::eventually(Duration::from_secs(5), "its note", || {
            directory.read("nowhere-else/more") == "too\n"
        });
        assert!(process.is_running());
        assert!(!Path::new("/etc/nowhere-else").exists());
        assert_eq!(describe(process.kill()), "signal 9");
    }
}
