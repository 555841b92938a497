//! One run of an operator's program or of a tool: in a process group of its own, with a limit on its time and on
//! what is kept of its output.
//!
//! Only groups that were started here are ever signalled.

use std::{
    fmt, future, io,
    os::unix::process::ExitStatusExt as _,
    pin::{Pin, pin},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use ha_config::Command;
use ha_core::Instant;
use nix::sys::signal::Signal;
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    process::{Child, Command as Process},
    sync::{Semaphore, SemaphorePermit},
    time::{interval, timeout},
};

use crate::{
    clock,
    scripts::{group::Group, launch, outcome::Outcome},
};

/// What is kept of a run's output: its end.
const OUTPUT_BYTES_MAX: usize = 4_096;
/// From SIGTERM to SIGKILL (as keepalived).
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// How often a group is looked at whose leader has ended, but not all others.
const LOOK: Duration = Duration::from_millis(50);
/// A background process may hold the pipe open: output after the end is not waited for longer.
const LAST_OUTPUT: Duration = Duration::from_millis(100);
/// Background processes of ended runs whose output is still read, and thrown away. Further ones
/// find their pipe closed.
static LEFT_OPEN: Semaphore = Semaphore::const_new(64);

/// Tools are few and short: they wait for nobody.
static TOOLS: Semaphore = Semaphore::const_new(4);

/// How a run ended, or why it is to end.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) end: End,
    pub(crate) duration: Duration,
    /// The last [`OUTPUT_BYTES_MAX`] bytes of standard output and error.
    output: Vec<u8>,
    overdue: Option<Overdue>,
}

/// Why a run was over.
#[derive(Debug)]
pub(crate) enum End {
    Exited(ExitStatus),
    /// It did not end within its limit: [`Run::finish`] sees to its end.
    TimedOut,
    /// It could not be started.
    NotStarted(io::Error),
}

impl Run {
    pub(crate) fn is_success(&self) -> bool {
        matches!(&self.end, End::Exited(status) if status.success())
    }

    /// The end of what it printed.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Waits until nothing is left of a run that took too long; at once for all others.
    ///
    /// Apart from [`run`], because a program that hangs in the kernel does not end by any signal,
    /// and its verdict must not wait for that.
    pub(crate) async fn finish(self) {
        if let Some(overdue) = self.overdue {
            overdue.finish().await;
        }
    }

    /// What is remembered of it.
    pub(crate) fn outcome(&self) -> Outcome {
        let (exit_code, signal, error) = match &self.end {
            End::Exited(status) => (status.code(), status.signal(), None),
            End::TimedOut => (None, None, Some("still running at its time limit".to_owned())),
            End::NotStarted(error) => (None, None, Some(error.to_string())),
        };
        Outcome { exit_code, signal, error, duration: self.duration, output: self.output() }
    }

    fn not_started(error: io::Error) -> Self {
        let end = End::NotStarted(error);
        Self { end, duration: Duration::ZERO, output: Vec::new(), overdue: None }
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
            End::TimedOut => formatter.write_str("still running, and ended,")?,
            End::NotStarted(error) => return write!(formatter, "not started: {error}"),
        }
        write!(formatter, " after {:.3} s", self.duration.as_secs_f64())?;
        let output = String::from_utf8_lossy(&self.output);
        let mut separator = ", output: ";
        // One line of the log, whatever is in it.
        for line in output.lines().map(str::trim).filter(|line| !line.is_empty()) {
            formatter.write_str(separator)?;
            separator = " / ";
            for char in line.chars() {
                let shown = if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
                write!(formatter, "{shown}")?;
            }
        }
        Ok(())
    }
}

/// Variables of the environment beside the daemon's own.
pub(crate) type Variables<'a> = &'a [(&'static str, String)];

/// Runs `command` with further arguments for at most `limit`, the wait for one of `slots` included.
pub(crate) async fn run(
    command: &Command,
    more: &[String],
    limit: Duration,
    slots: &'static Semaphore,
) -> Run {
    run_told(command, more, &[], limit, slots).await
}

/// The same with `variables` in its environment.
pub(crate) async fn run_told(
    command: &Command,
    more: &[String],
    variables: Variables<'_>,
    limit: Duration,
    slots: &'static Semaphore,
) -> Run {
    run_until(command, more, variables, over(limit), slots).await
}

/// The same, ended when `end` comes.
pub(crate) async fn run_until(
    command: &Command,
    more: &[String],
    variables: Variables<'_>,
    end: impl Future<Output = ()>,
    slots: &'static Semaphore,
) -> Run {
    let launch = launch::arguments(command.user.as_ref());
    // The tests' own program does not know how to become a script.
    let launch = if cfg!(test) { &[] } else { launch.as_slice() };
    let words: Vec<&str> =
        launch.iter().chain(&command.argv).chain(more).map(String::as_str).collect();
    run_words(&words, variables, end, slots).await
}

/// Runs a program of the host for the daemon itself, as whom the daemon runs.
pub(crate) async fn run_tool(words: &[&str], limit: Duration) -> Run {
    run_words(words, &[], over(limit), &TOOLS).await
}

/// When `limit` has passed.
async fn over(limit: Duration) {
    timeout(limit, future::pending::<()>()).await.ok();
}

async fn run_words(
    words: &[&str],
    variables: Variables<'_>,
    end: impl Future<Output = ()>,
    slots: &'static Semaphore,
) -> Run {
    let start = clock::now();
    let mut time_is_up = pin!(end);
    let slot = tokio::select! {
        biased;
        slot = slots.acquire() => slot.ok(),
        () = &mut time_is_up => None,
    };
    // The semaphore is never closed.
    let Some(slot) = slot else {
        return Run::not_started(io::Error::other("too many scripts are running already"));
    };
    // On the heap for as long as it runs: most tasks only wait for something to run.
    Box::pin(run_in(slot, start, words, variables, time_is_up)).await
}

async fn run_in(
    slot: SemaphorePermit<'static>,
    start: Instant,
    words: &[&str],
    variables: Variables<'_>,
    time_is_up: Pin<&mut impl Future<Output = ()>>,
) -> Run {
    let (mut child, mut output) = match spawn(words, variables) {
        Ok(started) => started,
        Err(error) => return Run::not_started(error),
    };
    let Some(mut group) = child.id().and_then(Group::new) else {
        return Run::not_started(io::Error::other("it has no process number"));
    };
    let end = tokio::select! {
        biased;
        ended = output.keep_until_end_of(&mut child) => match ended {
            Ok(status) => End::Exited(status),
            Err(error) => End::NotStarted(error),
        },
        () = time_is_up => End::TimedOut,
    };
    let duration = clock::now().since(start);
    let mut overdue = None;
    let tail;
    if matches!(end, End::TimedOut) {
        group.signal(Signal::SIGTERM);
        tail = output.tail.clone();
        overdue = Some(Overdue { child, output, group, _slot: slot });
    } else {
        // What a script left running on purpose (a daemon it started) is the operator's.
        group.forget();
        tail = output.keep_rest().await;
    }
    Run { end, duration, output: tail, overdue }
}

/// A run that took too long, and has been sent SIGTERM.
#[derive(Debug)]
struct Overdue {
    child: Child,
    output: Output,
    group: Group,
    _slot: SemaphorePermit<'static>,
}

impl Overdue {
    async fn finish(mut self) {
        let all_ended = async {
            // Read on: a full pipe would keep it from ending.
            drop(self.output.keep_until_end_of(&mut self.child).await);
            let mut looks = interval(LOOK);
            while self.group.has_members() {
                looks.tick().await;
            }
        };
        if timeout(GRACE, all_ended).await.is_err() {
            self.group.signal(Signal::SIGKILL);
            drop(self.child.wait().await);
        }
        self.group.forget();
    }
}

/// Standard output and error of a run, in the order in which they were written.
#[derive(Debug)]
struct Output {
    pipe: pipe::Receiver,
    is_open: bool,
    tail: Vec<u8>,
}

impl Output {
    async fn keep_until_end_of(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                () = self.keep_some(), if self.is_open => {}
            }
        }
    }

    /// What is in the pipe when the program has ended; then whoever still writes is not disturbed.
    async fn keep_rest(mut self) -> Vec<u8> {
        let rest = async {
            while self.is_open {
                self.keep_some().await;
            }
        };
        let is_left_open = timeout(LAST_OUTPUT, rest).await.is_err();
        let tail = std::mem::take(&mut self.tail);
        if is_left_open && let Ok(slot) = LEFT_OPEN.try_acquire() {
            // A closed pipe would end, at its next word, a daemon that a notify script started.
            tokio::spawn(async move {
                while self.is_open {
                    self.keep_some().await;
                }
                drop(slot);
            });
        }
        tail
    }

    async fn keep_some(&mut self) {
        let mut chunk = [0; 1_024];
        let len = self.pipe.read(&mut chunk).await.unwrap_or(0);
        self.is_open = len > 0;
        self.tail.extend(chunk.get(..len).unwrap_or_default());
        let excess = self.tail.len().saturating_sub(OUTPUT_BYTES_MAX);
        self.tail.drain(..excess);
    }
}

fn spawn(words: &[&str], variables: Variables<'_>) -> io::Result<(Child, Output)> {
    let (program, words) = words
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
    let (reader, writer) = io::pipe()?;
    let pipe = pipe::Receiver::from_owned_fd(reader.into())?;
    // The pipe ends when `process`, which holds its other end, and the child's ends are gone.
    let mut process = Process::new(program);
    process
        .args(words)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true);
    let child = process.spawn()?;
    Ok((child, Output { pipe, is_open: true, tail: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(text: &str) -> Command {
        let argv = ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
        Command { argv, user: None, place: ha_config::Place::line(1) }
    }

    async fn run_for(command: &Command, limit: Duration) -> Run {
        static SLOTS: Semaphore = Semaphore::const_new(16);
        run(command, &[], limit, &SLOTS).await
    }

    /// A path of this test alone.
    fn scratch(name: &str) -> PathBuf {
        env::temp_dir().join(format!("ha-child-{}-{name}", std::process::id()))
    }

    async fn until(condition: impl Fn() -> bool) {
        let mut looks = interval(Duration::from_millis(10));
        let wait = async {
            while !condition() {
                looks.tick().await;
            }
        };
        timeout(LONG, wait).await.unwrap();
    }

    #[tokio::test]
    async fn exit_codes_and_arguments_arrive() {
        static SLOTS: Semaphore = Semaphore::const_new(1);
        let mut command = shell("exit $1");
        command.argv.push("name".to_owned());
        let run = run(&command, &["7".to_owned()], LONG, &SLOTS).await;
        assert!(matches!(&run.end, End::Exited(status) if status.code() == Some(7)), "{run}");
        assert!(!run.is_success());
    }

    #[tokio::test]
    async fn output_is_kept_at_its_end_only_and_in_order() {
        let text =
            "head -c 100000 /dev/zero | tr '\\0' x; echo; echo one; echo two >&2; echo three";
        let run = run_for(&shell(text), LONG).await;
        assert!(run.is_success(), "{run}");
        assert_eq!(run.output.len(), OUTPUT_BYTES_MAX);
        assert!(run.to_string().ends_with("x / one / two / three"), "{run}");
    }

    #[tokio::test]
    async fn output_cannot_forge_a_line_of_the_log() {
        let run = run_for(&shell("printf 'a\\n\\033[31mb\\r\\n'"), LONG).await;
        assert!(run.to_string().ends_with("output: a / \u{fffd}[31mb"), "{run}");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_with_its_children() {
        let pid_file = scratch("pid");
        // The shell goes at SIGTERM; its child does not: SIGKILL has to come, to the whole group.
        let text = format!(
            "(trap '' TERM; echo begun; sleep 1000) & echo $! >{}; wait",
            pid_file.display()
        );
        // Long enough for a shell to start on a busy machine.
        let run = run_for(&shell(&text), Duration::from_secs(4)).await;
        assert!(matches!(run.end, End::TimedOut), "{run}");
        assert!(run.to_string().ends_with("output: begun"), "{run}");
        let is_alive = run.overdue.as_ref().is_some_and(|overdue| overdue.group.has_members());
        assert!(is_alive, "the verdict does not wait for the end");
        let start = clock::now();
        run.finish().await;
        assert!(clock::now().since(start) >= GRACE);
        let pid = fs::read_to_string(&pid_file).unwrap();
        let entry = format!("/proc/{}/stat", pid.trim());
        // Nobody here waits for a grandchild: it may be a zombie.
        let is_over = || fs::read_to_string(&entry).map_or(true, |text| text.contains(") Z "));
        until(is_over).await;
        fs::remove_file(pid_file).unwrap();
    }

    #[tokio::test]
    async fn sigterm_leaves_time_to_clean_up() {
        let mark = scratch("cleaned-up");
        let text = format!("trap 'echo >{}; exit' TERM; sleep 1000 & wait", mark.display());
        run_for(&shell(&text), Duration::from_secs(1)).await.finish().await;
        fs::remove_file(mark).unwrap();
    }

    #[tokio::test]
    async fn a_run_that_is_given_up_is_killed() {
        let run = run_for(&shell("trap '' TERM; sleep 1000"), Duration::from_millis(50)).await;
        let overdue = run.overdue.unwrap();
        let Group(Some(pid)) = overdue.group else { panic!("no group") };
        drop(overdue);
        let group = Group(Some(pid));
        until(|| !group.has_members()).await;
        std::mem::forget(group);
    }

    #[tokio::test]
    async fn a_background_process_is_neither_waited_for_nor_ended() {
        let (go, mark) = (scratch("go"), scratch("background"));
        // `echo` would end the shell by SIGPIPE if nobody read any more.
        let text = format!(
            "(until test -e {}; do sleep 0.02; done; echo more; echo >{}) & echo started",
            go.display(),
            mark.display()
        );
        let run = run_for(&shell(&text), LONG).await;
        assert!(run.is_success(), "{run}");
        fs::write(&go, "").unwrap();
        until(|| mark.exists()).await;
        fs::remove_file(go).unwrap();
        fs::remove_file(mark).unwrap();
    }

    #[tokio::test]
    async fn a_run_without_a_slot_is_over_at_its_limit() {
        static SLOTS: Semaphore = Semaphore::const_new(0);
        let run = run(&shell("true"), &[], Duration::from_millis(20), &SLOTS).await;
        assert_eq!(run.to_string(), "not started: too many scripts are running already");
    }

    #[tokio::test]
    async fn a_missing_program_is_said_so() {
        let command = Command {
            argv: vec!["/nonexistent".to_owned()],
            user: None,
            place: ha_config::Place::line(1),
        };
        let run = run_for(&command, LONG).await;
        assert!(matches!(&run.end, End::NotStarted(_)));
        assert!(run.to_string().starts_with("not started: "), "{run}");
    }
}
