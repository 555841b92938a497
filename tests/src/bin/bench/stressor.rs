//! What disturbs the routers: a process of its own, which ends by its own clock.
//!
//! `bench stressor KIND MILLIS [STOP_AT_MILLIS PID...]`. Nothing outside could be relied upon to end
//! it: a hog under `SCHED_FIFO` starves whatever would. For the same reason it is the stressor
//! itself that stops the Master (SIGSTOP to the processes named) in the midst of the disturbance.

use core::{fmt, iter, time::Duration};
use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read as _, Seek as _, Write as _},
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use ha_tests::clock;
use nix::{
    sys::{
        signal::Signal,
        timer::{Expiration, TimerSetTimeFlags},
        timerfd::{ClockId, TimerFd, TimerFlags},
    },
    unistd::Pid,
};

use crate::duel::signal_all;

/// The word that makes the benchmark's program a stressor.
pub(crate) const WORD: &str = "stressor";
/// No stressor goes on for longer, whatever it is told.
const DURATION_MAX: Duration = Duration::from_secs(5);
/// Of each processor.
const HOGS: usize = 2;
const PACE: Duration = Duration::from_micros(50);
const BLOCK_BYTES: usize = 1 << 20;
/// The file is written over and over.
const BLOCKS: usize = 32;
/// Above keepalived as installed, beside it as tuned; never more.
const FIFO_PRIORITY: &str = "50";

/// A way to disturb.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Nothing.
    Idle,
    /// Threads that compute.
    Hogs,
    /// Threads that wake each other.
    Switches,
    /// Threads that wake by timers.
    Timers,
    /// Threads that compute under `SCHED_FIFO`.
    FifoHogs,
    /// Writing and syncing.
    Disk,
    /// Links and addresses that come and go in the namespace it runs in.
    Netlink,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Idle,
        Self::Hogs,
        Self::Switches,
        Self::Timers,
        Self::FifoHogs,
        Self::Disk,
        Self::Netlink,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Hogs => "hogs",
            Self::Switches => "switches",
            Self::Timers => "timers",
            Self::FifoHogs => "fifo-hogs",
            Self::Disk => "disk",
            Self::Netlink => "netlink",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Idle => "idle",
            Self::Hogs => "CPU hogs, 2 for each processor",
            Self::Switches => "context switches",
            Self::Timers => "timers",
            Self::FifoHogs => "SCHED_FIFO hogs, 2 for each processor",
            Self::Disk => "disk writes",
            Self::Netlink => "links and addresses come and go",
        })
    }
}

/// The command that disturbs for `duration` and stops `victims` after `stop_at`. Its working
/// directory is where it writes.
pub(crate) fn command(
    kind: Kind,
    duration: Duration,
    stop_at: Duration,
    victims: &[Pid],
) -> Command {
    let own = std::env::current_exe().expect("the program's own file");
    let mut command = if kind == Kind::FifoHogs {
        // It becomes the program: nothing is around the hog that could be starved.
        let mut command = Command::new("chrt");
        command.args(["--fifo", FIFO_PRIORITY]).arg(own);
        command
    } else {
        Command::new(own)
    };
    command.args([WORD, kind.word(), &duration.as_millis().to_string()]);
    command.arg(stop_at.as_millis().to_string());
    command.args(victims.iter().map(Pid::to_string));
    command
}

/// Runs as a stressor.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let Some(orders) = Orders::parse(words) else {
        return ExitCode::from(2);
    };
    let started = clock::monotonic();
    let end = started + orders.duration;
    let stop = Stop {
        at: started + orders.stop_at,
        victims: orders.victims,
        is_done: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        scope.spawn(|| disturb(orders.kind, end, &stop));
        pause_until(stop.at);
        stop.if_due();
    });
    ExitCode::SUCCESS
}

/// Whom to stop when: by whoever notices first that it is due.
struct Stop {
    at: Duration,
    victims: Vec<Pid>,
    is_done: AtomicBool,
}

impl Stop {
    fn if_due(&self) {
        if clock::monotonic() >= self.at && !self.is_done.swap(true, Ordering::Relaxed) {
            signal_all(&self.victims, Signal::SIGSTOP);
        }
    }
}

struct Orders {
    kind: Kind,
    duration: Duration,
    stop_at: Duration,
    victims: Vec<Pid>,
}

impl Orders {
    fn parse(words: &[String]) -> Option<Self> {
        let [kind, duration, stop_at, victims @ ..] = words else { return None };
        let kind = Kind::ALL.into_iter().find(|known| known.word() == kind)?;
        let millis = |word: &String| word.parse().ok().map(Duration::from_millis);
        let victims = victims.iter().map(|word| word.parse().ok().map(Pid::from_raw));
        Some(Self {
            kind,
            duration: millis(duration)?.min(DURATION_MAX),
            stop_at: millis(stop_at)?.min(DURATION_MAX),
            victims: victims.collect::<Option<_>>()?,
        })
    }
}

fn disturb(kind: Kind, end: Duration, stop: &Stop) {
    let hogs = thread::available_parallelism().map_or(1, usize::from) * HOGS;
    match kind {
        Kind::Idle => pause_until(end),
        Kind::Hogs | Kind::FifoHogs => in_threads(hogs, || hog(end, stop)),
        Kind::Switches => in_threads(hogs, || switch(end).expect("two pipes")),
        Kind::Timers => in_threads(4 * hogs, || wake_often(end).expect("a timer")),
        Kind::Disk => write(end).expect("a file in the working directory"),
        Kind::Netlink => churn(end).expect("`ip` changes links"),
    }
}

fn in_threads(count: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(&work);
        }
    });
}

/// Looks after the victims too: whoever sleeps is not woken beside it.
fn hog(end: Duration, stop: &Stop) {
    while is_before(end) {
        stop.if_due();
    }
}

fn is_before(end: Duration) -> bool {
    clock::monotonic() < end
}

fn pause_until(moment: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a stressor lives by the clock")]
    thread::sleep(moment.saturating_sub(clock::monotonic()));
}

/// Two threads, each of which waits for the other.
fn switch(end: Duration) -> io::Result<()> {
    let (there, back) = (io::pipe()?, io::pipe()?);
    let pass = |mut from: PipeReader, mut to: PipeWriter| {
        let mut byte = [0];
        // The other end is gone when its time is up: so is ours.
        while is_before(end) && from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {}
    };
    (&there.1).write_all(&[0])?;
    thread::scope(|scope| {
        scope.spawn(|| pass(there.0, back.1));
        pass(back.0, there.1);
    });
    Ok(())
}

fn wake_often(end: Duration) -> nix::Result<()> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    timer.set(Expiration::Interval(PACE.into()), TimerSetTimeFlags::empty())?;
    while is_before(end) {
        timer.wait()?;
    }
    Ok(())
}

fn write(end: Duration) -> io::Result<()> {
    let mut file = File::create("blocks")?;
    let block = vec![0x5a_u8; BLOCK_BYTES];
    while is_before(end) {
        file.rewind()?;
        for () in iter::repeat_n((), BLOCKS).take_while(|()| is_before(end)) {
            file.write_all(&block)?;
            file.sync_data()?;
        }
    }
    Ok(())
}

/// A batch at a time: one program, a hundred changes.
fn churn(end: Duration) -> io::Result<()> {
    let change = |number| {
        format!(
            "link add name churn{number} type veth peer name other{number}\nlink set churn{number} up\n\
             addr add 203.0.113.{number}/32 dev churn{number}\n\
             addr del 203.0.113.{number}/32 dev churn{number}\nlink del churn{number}\n"
        )
    };
    let batch: String = (0..20).map(change).collect();
    while is_before(end) {
        let mut ip = Command::new("ip");
        let mut ip = ip.args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut input) = ip.stdin.take() {
            input.write_all(batch.as_bytes())?;
        }
        if !ip.wait()?.success() {
            return Err(io::Error::other("a change was refused"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_is_for_longer_than_five_seconds() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let orders = Orders::parse(&words("fifo-hogs 60000 3000 17")).unwrap();
        assert_eq!((orders.kind, orders.duration), (Kind::FifoHogs, DURATION_MAX));
        assert_eq!(orders.stop_at, Duration::from_secs(3));
        assert_eq!(orders.victims, [Pid::from_raw(17)]);
        assert!(Orders::parse(&words("nothing 1 1")).is_none());
        assert!(Orders::parse(&words("hogs 1")).is_none());
    }
}
