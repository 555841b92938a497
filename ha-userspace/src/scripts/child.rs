//! One run of an operator's program: in a process group of its own, with a limit on its time and on
//! what is kept of its output.

use std::{
    fmt, io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use ha_config::{Command, ScriptUser};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Group as UnixGroup, Pid, User},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command as Process},
    sync::Semaphore,
    time::timeout,
};

use crate::clock;

/// Runs at one time, of all scripts together.
static RUNS: Semaphore = Semaphore::const_new(64);
/// What is kept of a run's output: its end.
const OUTPUT_BYTES_MAX: usize = 4_096;
/// From SIGTERM to SIGKILL (as keepalived).
const GRACE: Duration = Duration::from_secs(2);
/// A background process of the script may hold the pipe open: its output is not waited for.
const LAST_OUTPUT: Duration = Duration::from_millis(100);
/// keepalived's default user for scripts, where it exists.
const DEFAULT_USER: &str = "keepalived_script";

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) end: End,
    pub(crate) duration: Duration,
    /// The last [`OUTPUT_BYTES_MAX`] bytes of standard output and error.
    pub(crate) output: String,
}

/// Why a run was over.
#[derive(Debug)]
pub(crate) enum End {
    Exited(ExitStatus),
    /// It did not end within its limit, and was ended.
    TimedOut,
    /// It could not be started.
    NotStarted(io::Error),
}

impl Run {
    pub(crate) fn is_success(&self) -> bool {
        matches!(&self.end, End::Exited(status) if status.success())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            End::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(formatter, "exit code {code}")?,
                (None, Some(signal)) => write!(formatter, "ended by signal {signal}")?,
                (None, None) => write!(formatter, "{status}")?,
            },
            End::TimedOut => formatter.write_str("ended for taking too long")?,
            End::NotStarted(error) => return write!(formatter, "not started: {error}"),
        }
        write!(formatter, " after {:.3} s", self.duration.as_secs_f64())?;
        let output = self.output.trim();
        if !output.is_empty() {
            write!(formatter, ", output: {output}")?;
        }
        Ok(())
    }
}

/// Runs `command` with further arguments, for at most `limit`.
pub(crate) async fn run(command: &Command, more: &[String], limit: Duration) -> Run {
    // The semaphore is never closed.
    let _turn = RUNS.acquire().await.ok();
    let start = clock::now();
    let mut output = Vec::new();
    let end = match spawn(command, more) {
        Ok(child) => watch(child, limit, &mut output).await,
        Err(error) => End::NotStarted(error),
    };
    let output = String::from_utf8_lossy(&output).into_owned();
    Run { end, duration: clock::now().since(start), output }
}

/// Ends whatever is left of a process group when its run is over, or given up.
struct Group(Pid);

impl Group {
    fn signal(&self, signal: Signal) {
        // The group may have ended by itself.
        killpg(self.0, signal).ok();
    }
}

async fn watch(mut child: Child, limit: Duration, output: &mut Vec<u8>) -> End {
    let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) else {
        return End::NotStarted(io::Error::other("it has no process number"));
    };
    let group = Group(Pid::from_raw(group));
    let mut guard = KillOnDrop(Some(&group));
    let pipes = (child.stdout.take(), child.stderr.take());
    let end = {
        let read = async {
            let (out, err) = pipes;
            let mut tails = (Vec::new(), Vec::new());
            let (tail_out, tail_err) = (&mut tails.0, &mut tails.1);
            tokio::join!(keep_tail(out, tail_out), keep_tail(err, tail_err));
            tails
        };
        tokio::pin!(read);
        let mut tails = None;
        let wait = async {
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    both = &mut read, if tails.is_none() => tails = Some(both),
                }
            }
        };
        let end = match timeout(limit, wait).await {
            Ok(Ok(status)) => End::Exited(status),
            Ok(Err(error)) => End::NotStarted(error),
            Err(_elapsed) => End::TimedOut,
        };
        if tails.is_none() && !matches!(end, End::TimedOut) {
            tails = timeout(LAST_OUTPUT, read).await.ok();
        }
        if let Some((out, err)) = tails {
            output.extend(out);
            output.extend(err);
        }
        end
    };
    if matches!(end, End::TimedOut) {
        group.signal(Signal::SIGTERM);
        if timeout(GRACE, child.wait()).await.is_err() {
            group.signal(Signal::SIGKILL);
            drop(child.wait().await);
        }
    }
    // What a script left running on purpose (a daemon it started) is the operator's.
    guard.0 = None;
    end
}

/// A run that is given up (reload, stop) must not go on unseen.
struct KillOnDrop<'a>(Option<&'a Group>);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            group.signal(Signal::SIGKILL);
        }
    }
}

async fn keep_tail<R: AsyncRead + Unpin>(pipe: Option<R>, tail: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = [0; 1_024];
    while let Ok(len @ 1..) = pipe.read(&mut chunk).await {
        tail.extend(chunk.get(..len).unwrap_or_default());
        let excess = tail.len().saturating_sub(OUTPUT_BYTES_MAX);
        tail.drain(..excess);
    }
}

fn spawn(command: &Command, more: &[String]) -> io::Result<Child> {
    let (program, arguments) = command
        .argv
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
    let mut process = Process::new(program);
    process
        .args(arguments)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some((uid, gid)) = user(command.user.as_ref())? {
        // Supplementary groups are dropped along with the uid.
        process.uid(uid).gid(gid);
    }
    process.spawn()
}

/// Whom to run as; `None`: as this daemon.
fn user(configured: Option<&ScriptUser>) -> io::Result<Option<(u32, u32)>> {
    let Some(configured) = configured else {
        let default = User::from_name(DEFAULT_USER).ok().flatten();
        return Ok(default.map(|user| (user.uid.as_raw(), user.gid.as_raw())));
    };
    let name = &configured.user;
    let (uid, own_gid) = match name.parse::<u32>() {
        Ok(uid) => (uid, uid),
        Err(_) => match User::from_name(name)? {
            Some(user) => (user.uid.as_raw(), user.gid.as_raw()),
            None => return Err(io::Error::other(format!("there is no user {name}"))),
        },
    };
    let gid = match &configured.group {
        None => own_gid,
        Some(group) => match group.parse::<u32>() {
            Ok(gid) => gid,
            Err(_) => UnixGroup::from_name(group)?
                .ok_or_else(|| io::Error::other(format!("there is no group {group}")))?
                .gid
                .as_raw(),
        },
    };
    Ok(Some((uid, gid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Command {
        let argv = ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
        let own = ScriptUser { user: nix::unistd::getuid().to_string(), group: None };
        Command { argv, user: Some(own).filter(|_| !nix::unistd::getuid().is_root()), line: 1 }
    }

    #[tokio::test]
    async fn exit_codes_and_arguments_arrive() {
        let more = ["7".to_owned()];
        let mut command = shell("exit $1");
        command.argv.push("name".to_owned());
        let run = run(&command, &more, Duration::from_secs(10)).await;
        assert!(matches!(&run.end, End::Exited(status) if status.code() == Some(7)), "{run}");
        assert!(!run.is_success());
    }

    #[tokio::test]
    async fn output_is_kept_at_its_end_only() {
        let text = "head -c 100000 /dev/zero | tr '\\0' x; echo; echo the end";
        let run = run(&shell(text), &[], Duration::from_secs(10)).await;
        assert!(run.is_success(), "{run}");
        assert_eq!(run.output.len(), OUTPUT_BYTES_MAX);
        assert!(run.output.ends_with("x\nthe end\n"));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_with_its_children() {
        // The shell and its child ignore SIGTERM: SIGKILL has to come, to the whole group.
        let text = "trap '' TERM; sleep 1000";
        let run = run(&shell(text), &[], Duration::from_millis(50)).await;
        assert!(matches!(run.end, End::TimedOut), "{run}");
        assert!(run.duration >= GRACE);
    }

    #[tokio::test]
    async fn a_background_process_that_keeps_the_pipe_is_not_waited_for() {
        let run = run(&shell("sleep 20 & echo started"), &[], Duration::from_secs(15)).await;
        assert!(run.is_success(), "{run}");
    }

    #[tokio::test]
    async fn a_missing_program_is_said_so() {
        let command = Command { argv: vec!["/nonexistent".to_owned()], user: None, line: 1 };
        let run = run(&command, &[], Duration::from_secs(1)).await;
        assert!(matches!(&run.end, End::NotStarted(_)));
        assert!(run.to_string().starts_with("not started: "), "{run}");
    }
}
