//! The engine thread: one loop that feeds the engine and carries out what it wants.
//!
//! Nothing here forks, logs, or touches a file: what takes time is sent to the main thread.

mod associations;
mod debounce;
pub(crate) mod decide;
pub(crate) mod driver;
mod effects;
mod notices;
mod pacing;
mod port;
mod removals;
pub(crate) mod retry;
mod words;

use std::{io, net::IpAddr, sync::Arc, thread, time::Duration};

use ha_config::Statics;
use ha_core::{
    Action, Awaited, InstanceId, Instant, Notice, Order, Refusal, Reload, State, Statistics,
    TrackerId, Transition, Verdict, wire::Dialect,
};
use tokio::{
    runtime,
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::LocalSet,
};
use tracing::error;

pub(crate) use self::{effects::RoutingRemoved, words::Words};
use crate::{
    cli::XdpChoice,
    engine::driver::Driver,
    histogram::Histogram,
    io::{
        changes::Ledger,
        schedule::{self, Policy},
        xdp::Xdp,
    },
    plan::Plan,
    record::Tap,
    service::Watchdog,
};

/// Verdicts and questions on their way to the engine thread; senders wait when it is full.
const COMMANDS_MAX: usize = 256;
/// Reports on their way to the main thread: eight for each of the instances that there can be
/// (`INSTANCES_MAX`); when all start, and become Master at once, each makes four. The queue takes
/// memory as it fills. What does not fit is counted, and the operator is told.
const REPORTS_MAX: usize = 8 * 16_384;
/// How long a command waits for room where it cannot be told of it.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// What the engine thread is started with.
pub(crate) struct Setup {
    pub(crate) plan: Arc<Plan>,
    /// Routes and rules of a run before this one.
    pub(crate) leftovers: Statics,
    /// Who is demoted from the start.
    pub(crate) demoted: Vec<InstanceId>,
    /// What is known already of what is tracked.
    pub(crate) verdicts: Vec<Finding>,
    pub(crate) choice: XdpChoice,
    /// Whether advertisements that say nothing new wake nobody.
    pub(crate) absorbs: bool,
    pub(crate) policy: Policy,
    /// `None`: packet sockets are used.
    pub(crate) xdp: Option<Xdp>,
    /// `None`: nothing is recorded.
    pub(crate) tap: Option<Tap>,
    /// `None`: nobody asks whether it lives.
    pub(crate) watchdog: Option<Watchdog>,
}

/// The running engine thread, from outside. Dropping it ends the thread and gives the addresses
/// back, in this order: a running engine would take what is removed for an operator's doing.
pub(crate) struct EngineThread {
    pub(crate) commands: mpsc::Sender<Command>,
    /// Ends when the thread ends, also by a panic.
    pub(crate) reports: mpsc::Receiver<Report>,
    /// What an operator should know about how it is scheduled.
    pub(crate) warning: Option<String>,
    /// What is left to remove if the thread ended by a panic.
    ledger: Ledger,
    /// `None` once it has been waited for.
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl EngineThread {
    /// Starts the thread and waits until its engine runs.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) async fn start(setup: Setup) -> io::Result<Self> {
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (report_queue, reports) = mpsc::channel(REPORTS_MAX);
        let (ready, is_ready) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let work = move || {
            LocalSet::new().block_on(&runtime, async {
                match open(setup, command_queue, report_queue).await {
                    Ok((driver, ledger, warning)) => {
                        // Whoever started us may be gone; then so is the command queue.
                        drop(ready.send(Ok((ledger, warning))));
                        driver.run().await
                    }
                    Err(error) => {
                        drop(ready.send(Err(error)));
                        Ok(())
                    }
                }
            })
        };
        let thread = thread::Builder::new().name("ha-engine".to_owned()).spawn(work)?;
        let started = is_ready.await.unwrap_or_else(|_| {
            Err(io::Error::other("the engine thread ended before it was ready"))
        });
        let (ledger, warning) = match started {
            Ok(started) => started,
            Err(error) => {
                // What it had opened must be closed before the next one opens the same. Why it
                // ended is known already.
                drop(thread.join());
                return Err(error);
            }
        };
        Ok(Self { commands, reports, warning, ledger, thread: Some(thread) })
    }

    /// Has the thread release everything and waits for its end, then removes what it left; does
    /// nothing when repeated.
    ///
    /// Its last reports are in the queue then.
    ///
    /// # Errors
    /// It ended by a panic, or could not go on.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        // Closing the channel would not do: check scripts hold it open too. The queue has room
        // again soon, or nobody reads it any more.
        while matches!(self.commands.try_send(Command::Shutdown), Err(TrySendError::Full(_))) {
            thread::park_timeout(FULL_QUEUE_PAUSE);
        }
        let ended = thread.join().unwrap_or_else(|_panic| {
            Err(io::Error::other(
                "the engine thread panicked, and addresses were removed: please report this",
            ))
        });
        if let Err(error) = self.ledger.remove_all() {
            error!("virtual addresses or routes may be left on this host: {error}");
        }
        ended
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            error!("{error}");
        }
    }
}

async fn open(
    setup: Setup,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Sender<Report>,
) -> io::Result<(Driver, Ledger, Option<String>)> {
    let policy = setup.policy;
    let (mut driver, ledger) = Driver::open(setup, commands, reports).await?;
    let outcome = schedule::apply(policy)?;
    driver.set_scheduling(outcome.description);
    Ok((driver, ledger, outcome.warning))
}

/// What the rest of the daemon asks of the engine thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// A watcher's verdict.
    Tracker { tracker: TrackerId, verdict: Verdict, words: Words },
    /// Go on with another plan, whose numbers follow those of the one before.
    Reload(Box<Handover>),
    /// Do what an operator wants of an instance and its sync group.
    Order { instance: InstanceId, order: Order, answer: oneshot::Sender<Result<State, Refusal>> },
    /// Say how things are.
    Status(oneshot::Sender<Snapshot>),
    /// Say how things are, and count anew from then on.
    LastStatus(oneshot::Sender<Snapshot>),
    /// Say how many instances are in which state.
    Census(oneshot::Sender<Census>),
    /// Release everything and end.
    Shutdown,
}

/// A verdict on a tracker, and what it was known by.
pub(crate) type Finding = (TrackerId, Verdict, Words);

/// Another plan for the running engine.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) plan: Arc<Plan>,
    pub(crate) reload: Reload,
    /// What the verdicts in it were known by.
    pub(crate) words: Vec<(TrackerId, Words)>,
    /// Whether it goes on with it; if not, nothing has changed.
    pub(crate) answer: oneshot::Sender<io::Result<()>>,
}

/// What the engine thread tells the rest of the daemon: actions that concern people and scripts.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) at: Instant,
    /// How many reloads there were before it: numbers in it are of that plan.
    pub(crate) generation: u32,
    pub(crate) message: Message,
}

/// The content of a [`Report`].
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// Never one of those carried out on the engine thread, nor `Noticed`, `Priority` and `Transition`.
    Engine(Action),
    /// What a valid advertisement has shown, so many times in ten seconds: a few of an instance in that
    /// time at most.
    Noticed { instance: InstanceId, source: IpAddr, notice: Notice, times: u64 },
    /// An instance has changed its state.
    Moved(Box<Moved>),
    /// The effective priority has changed.
    Priority(PriorityChange),
    /// Something good to know.
    Note(String),
    /// Something that could not be done, in one sentence for the operator.
    Trouble(String),
}

/// An instance has changed its state, and what led to it.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub(crate) transition: Transition,
    /// The effective one, and what moves it.
    pub(crate) priority: u8,
    pub(crate) weights: Vec<(TrackerId, i32)>,
    /// By an operator: then the priority is 1.
    pub(crate) is_demoted: bool,
    /// What was known of the trackers that led to it, or move the priority.
    pub(crate) words: Vec<(TrackerId, Words)>,
    /// The Master heard last.
    pub(crate) master: Option<(IpAddr, u8)>,
    /// The last advertisement that counted, by the kernel's stamp.
    pub(crate) heard: Option<Instant>,
    /// The deadline of the last takeover.
    pub(crate) deadline: Option<Instant>,
    pub(crate) done: Done,
}

/// When what a transition wants was done; `None`: nothing of that kind was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Its advertisement was sent.
    pub(crate) sent: Option<Instant>,
    /// Its addresses were set and announced, or removed.
    pub(crate) placed: Option<Instant>,
}

/// An instance's effective priority is another one.
#[derive(Clone, Debug)]
pub(crate) struct PriorityChange {
    pub(crate) instance: InstanceId,
    pub(crate) from: u8,
    pub(crate) to: u8,
    /// The configured one.
    pub(crate) base: u8,
    /// By an operator: then the priority is 1.
    pub(crate) is_demoted: bool,
    /// What is added to it. Empty if there is another change by now, which says it.
    pub(crate) weights: Vec<(TrackerId, i32)>,
}

/// How many instances are in which state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    pub(crate) init: usize,
    pub(crate) backup: usize,
    pub(crate) master: usize,
    pub(crate) fault: usize,
}

/// How things are at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: Instant,
    /// Scheduling policy of the engine thread, in words.
    pub(crate) scheduling: String,
    /// By `InstanceId`.
    pub(crate) instances: Vec<InstanceSnapshot>,
    pub(crate) interfaces: Vec<InterfaceSnapshot>,
    /// Reports that the main thread was too slow to take.
    pub(crate) reports_lost: u64,
    /// Advertisements that the kernel did not take, each to one destination.
    pub(crate) adverts_unsent: u64,
    /// Advertisements that were for an instance which has left the interface since.
    pub(crate) records_outdated: u64,
    /// How late the engine thread was when its timer was due.
    pub(crate) wake_ups: Histogram,
}

/// How an instance is.
#[derive(Clone, Debug)]
pub(crate) struct InstanceSnapshot {
    pub(crate) id: InstanceId,
    pub(crate) name: String,
    pub(crate) state: State,
    /// In Init.
    pub(crate) awaited: Option<Awaited>,
    pub(crate) priority: u8,
    /// What moves the priority, and by how much.
    pub(crate) weights: Vec<(TrackerId, i32)>,
    /// By an operator: then the priority is 1.
    pub(crate) is_demoted: bool,
    pub(crate) source: Option<IpAddr>,
    /// The Master heard last.
    pub(crate) master: Option<(IpAddr, u8)>,
    /// The Master's advertisement interval, as it was learned, else the own one.
    pub(crate) master_interval: Duration,
    /// What the Master's checksums cover, where there are two ways.
    pub(crate) dialect: Option<Dialect>,
    /// It was late, and listens before it acts.
    pub(crate) is_listening: bool,
    /// Time since the last advertisement that counted.
    pub(crate) heard_ago: Option<Duration>,
    /// Time since it last sent one.
    pub(crate) sent_ago: Option<Duration>,
    pub(crate) statistics: Statistics,
    /// Routes and rules that somebody else removed.
    pub(crate) removed: RoutingRemoved,
}

/// How an interface is.
#[derive(Clone, Debug)]
pub(crate) struct InterfaceSnapshot {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) is_up: bool,
    /// `native`, `generic` or `off`.
    pub(crate) xdp: &'static str,
    /// Frames by what became of them, all CPUs together.
    pub(crate) counters: Vec<(&'static str, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine thread that does what `work` does.
    fn thread_of(
        queue_max: usize,
        work: impl FnOnce(mpsc::Receiver<Command>, mpsc::Sender<Report>) + Send + 'static,
    ) -> EngineThread {
        let (commands, command_queue) = mpsc::channel(queue_max);
        let (report_queue, reports) = mpsc::channel(1);
        let thread = thread::spawn(move || {
            work(command_queue, report_queue);
            Ok(())
        });
        let ledger = Ledger::default();
        EngineThread { commands, reports, warning: None, ledger, thread: Some(thread) }
    }

    /// Serves as the engine thread does, and says that it was told to stop.
    fn serve(mut commands: mpsc::Receiver<Command>, reports: &mpsc::Sender<Report>) {
        while let Some(command) = commands.blocking_recv() {
            if matches!(command, Command::Shutdown) {
                let message = Message::Note("stopped".to_owned());
                let at = Instant::from_nanos(0);
                reports.try_send(Report { at, generation: 0, message }).unwrap();
                return;
            }
        }
    }

    #[test]
    fn it_is_told_to_stop_while_others_can_still_send() {
        let mut engine = thread_of(1, |commands, reports| serve(commands, &reports));
        let other = engine.commands.clone();
        engine.end().unwrap();
        assert!(other.is_closed());
        assert!(engine.reports.try_recv().is_ok());
        engine.end().unwrap();
    }

    #[test]
    fn a_full_queue_does_not_keep_it_from_stopping() {
        let (go, may_go) = std::sync::mpsc::channel();
        let engine = thread_of(1, move |commands, reports| {
            may_go.recv().unwrap();
            serve(commands, &reports);
        });
        let other = engine.commands.clone();
        let (tracker, verdict, words) = (TrackerId(0), Verdict::Up, Words::default());
        other.try_send(Command::Tracker { tracker, verdict, words }).unwrap();
        let ending = thread::spawn(move || drop(engine));
        go.send(()).unwrap();
        ending.join().unwrap();
        assert!(other.is_closed());
    }

    #[test]
    fn its_panic_is_an_error() {
        let mut engine = thread_of(1, |_, _| panic!("a test's"));
        let error = engine.end().unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}
