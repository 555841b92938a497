//! The main thread: starts the engine thread, runs everything slow beside it, and cleans up.

mod asking;
mod reloading;

use std::{
    collections::{BTreeMap, BTreeSet},
    future, io,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use ha_config::Hook;
use ha_core::{Reload, TrackerId};
use nix::sys::signal::SigSet;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::{info, warn};

use self::asking::Taken;
use crate::{
    cli::{Options, XdpChoice},
    clock,
    control::{Answer, ControlServer, Opening, Question, Questions, protocol::Request},
    demotions::Demotions,
    engine::{Command, EngineThread, Handover, Setup, Words},
    firewall::{self, Filter},
    history::History,
    http,
    io::{
        carrier,
        lock::{InterfaceLock, LockError},
        memory, namespace,
        refused::{self, RefusedFrames},
        xdp::Xdp,
    },
    logging,
    plan::{Plan, TrackerPlan},
    privileges,
    reading::{self, Reading},
    record::Recorder,
    report::Reporter,
    rival,
    routing_file::{RoutingFile, routing_of},
    run_files::{self, Asked, PidFiles, RunFiles},
    scripts::hook,
    service::Manager,
    status::StatusWriter,
    watch::{self, Watchers},
};

/// One daemon an interface. By the interface's name.
pub(crate) type Locks = BTreeMap<String, InterfaceLock>;

/// What is the daemon's from its start to its end, whatever it runs.
struct Held {
    filter: Filter,
    recorder: Option<Recorder>,
    files: RunFiles,
    routing: RoutingFile,
    /// `None`: it cannot be had, which the log says.
    _control: Option<ControlServer>,
    questions: mpsc::Receiver<Question>,
    manager: Manager,
    demotions: Demotions,
    /// Given back last: who waits for them finds nothing of this daemon's any more, above all no
    /// control socket that still answers.
    locks: Locks,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug)]
enum Order {
    Stop,
    Reload,
    Status(Asked),
    /// The statistics, which are counted anew then.
    ClearStatistics,
    /// One that keepalived takes: its monitoring must not end this daemon.
    Nothing(&'static str),
}

/// The signals that keepalived and this daemon know. All have handlers, as one that is ignored
/// would be ignored in scripts too.
struct Signals(Vec<(Order, Signal)>);

impl Signals {
    fn new() -> io::Result<Self> {
        // Those that come first are heard first.
        let orders = [
            (Order::Stop, SignalKind::terminate()),
            (Order::Stop, SignalKind::interrupt()),
            (Order::Stop, SignalKind::quit()),
            (Order::Reload, SignalKind::hangup()),
            (Order::Status(Asked::Data), SignalKind::user_defined1()),
            (Order::Status(Asked::Statistics), SignalKind::user_defined2()),
            (Order::Status(Asked::Json), SignalKind::from_raw(libc::SIGRTMIN() + 2)),
            (Order::ClearStatistics, SignalKind::from_raw(libc::SIGRTMAX() - 1)),
            // keepalived's to be debugged.
            (Order::Nothing("SIGRTMAX"), SignalKind::from_raw(libc::SIGRTMAX())),
            (Order::Nothing("SIGALRM"), SignalKind::alarm()),
        ];
        let open = |(order, kind)| Ok((order, signal(kind)?));
        Ok(Self(orders.into_iter().map(open).collect::<io::Result<_>>()?))
    }

    /// The next order; nothing is lost if it is not waited for to the end. Without `may_reload`,
    /// that order waits.
    async fn next(&mut self, may_reload: bool) -> Order {
        future::poll_fn(|context| {
            for (order, signal) in &mut self.0 {
                if matches!(order, Order::Reload) && !may_reload {
                    continue;
                }
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*order);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// An order to stop; others, before there is anything to give them to, are forgotten.
    async fn stop(&mut self) {
        while !matches!(self.next(false).await, Order::Stop) {}
    }
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    // Whoever started us may have blocked signals, and a mask is inherited: SIGTERM must arrive, here
    // and in the scripts.
    SigSet::empty().thread_set_mask()?;
    memory::give_back_large();
    let plan = reading::read(options).map_err(io::Error::other)?;
    privileges::check()?;
    let manager = Manager::find();
    if let Some(name) = &plan.identity.net_namespace {
        // Before anything looks for an interface, and before there is a thread that would stay outside.
        namespace::enter(name)?;
    }
    let plan = reading::fit(plan);
    for unknown in rival::check(&plan)? {
        warn!("{unknown}");
    }
    privileges::give_up()?;
    logging::add_to_ident(&plan.identity);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(options, plan, manager))
}

async fn supervise(options: &Options, plan: Plan, manager: Manager) -> io::Result<()> {
    let files = RunFiles::new(options.home.clone(), plan.identity.clone());
    let mut signals = Signals::new()?;
    let locks = lock_interfaces(&plan, &Locks::new())?;
    // Not before the locks: these files may be those of the daemon that runs here already.
    let pid_files = match options.pid_files.as_slice() {
        [] => files.pid(),
        named => named.to_vec(),
    };
    let _pid_files = PidFiles::write(pid_files)?;
    let recorder = options.record.as_deref().map(Recorder::create).transpose()?;
    let routing = RoutingFile::new(files.routing());
    let (asker, questions) = Questions::new();
    let control = open_control(options, &files, asker.clone());
    if let Some(address) = options.http {
        http::serve(address, asker)?;
    }
    let filter = Filter::default();
    let demotions = Demotions::read(&files, options.state_directory.as_deref());
    let mut held = Held {
        filter,
        recorder,
        files,
        routing,
        _control: control,
        questions,
        manager,
        demotions,
        locks,
    };
    let mut shutdown = plan.lifecycle.shutdown.clone();
    let startup = hook::run("startup_script", &plan.lifecycle.startup);
    let is_stopped = tokio::select! {
        () = startup => false,
        () = signals.stop() => true,
    };
    let end = if is_stopped {
        held.manager.tell_stopping();
        Ok(())
    } else {
        start_and_run(options, plan, &mut held, &mut signals, &mut shutdown).await
    };
    held.filter.remove().await;
    hook::run("shutdown_script", &shutdown).await;
    end
}

/// Leaves in `shutdown` what is to be run after it: that of the plan that ran last.
async fn start_and_run(
    options: &Options,
    plan: Plan,
    held: &mut Held,
    signals: &mut Signals,
    shutdown: &mut Hook,
) -> io::Result<()> {
    // Before the engine can set an address.
    held.filter.set(&plan).await?;
    let run = Run::start(options, plan, held).await?;
    held.manager.expect_news();
    run.until_stop(options, held, signals, shutdown).await
}

/// The engine thread, and what is done beside it.
struct Run {
    plan: Arc<Plan>,
    engine: EngineThread,
    reporter: Reporter,
    watchers: Watchers,
    status_writer: StatusWriter,
    /// `None`: the engine thread hears all frames itself.
    refused: Option<RefusedFrames>,
    carriers: JoinSet<()>,
    taken: Taken,
}

impl Run {
    async fn start(options: &Options, mut plan: Plan, held: &Held) -> io::Result<Self> {
        let mut xdp = load_xdp(options, plan.instances.count())?;
        let refused = xdp.as_mut().map(Xdp::refused).transpose()?;
        let (choice, policy) = (options.xdp, options.scheduling);
        let startup_delay = plan.startup_delay(clock::since_boot());
        plan.engine.startup_delay = startup_delay;
        // One for all: with thousands of instances it is most of the daemon's memory.
        let plan = Arc::new(plan);
        if !startup_delay.is_zero() {
            held.manager.tell_delay(startup_delay);
            info!("all instances wait for {} s", startup_delay.as_secs_f32());
        }
        let tap = held.recorder.as_ref().map(|recorder| recorder.start(&plan)).transpose()?;
        let absorbs = options.absorbs;
        let leftovers = held.routing.begin(&plan).await;
        let watchdog = held.manager.watchdog();
        held.demotions.tell(&plan);
        let demoted = held.demotions.of(&plan);
        let verdicts = watch::first_look(&plan, &plan.tracker_numbers().collect()).await;
        let setup = Setup {
            plan: Arc::clone(&plan),
            leftovers,
            demoted,
            verdicts,
            choice,
            absorbs,
            policy,
            xdp,
            tap,
            watchdog,
        };
        let status_writer = StatusWriter::start()?;
        let started = clock::now();
        let engine = EngineThread::start(setup).await?;
        held.routing.write(routing_of(&[&plan])).await;
        if let Some(warning) = &engine.warning {
            warn!("{warning}");
        }
        // Not before: what reading the configuration and loading the program took is given back.
        memory::trim();
        if let Some(warning) = memory::lock() {
            warn!("{warning}");
        }
        let mut watchers = Watchers::new(engine.commands.clone(), options.process_events);
        watchers.run(&plan);
        let carriers = watch_carriers(&plan);
        let history = options.history.as_deref().map(History::with_file).transpose()?;
        let mut history = history.unwrap_or_default();
        history.begin(started);
        let reporter = Reporter::new(Arc::clone(&plan), history);
        let taken = Taken::default();
        Ok(Self { plan, engine, reporter, watchers, status_writer, refused, carriers, taken })
    }

    async fn until_stop(
        mut self,
        options: &Options,
        held: &mut Held,
        signals: &mut Signals,
        shutdown: &mut Hook,
    ) -> io::Result<()> {
        let served = self.serve(options, signals, held).await;
        held.manager.tell_stopping();
        let Self { plan, mut engine, mut reporter, watchers, mut refused, .. } = self;
        shutdown.clone_from(&plan.lifecycle.shutdown);
        drop(watchers);
        let ended = engine.end();
        while let Ok(report) = engine.reports.try_recv() {
            reporter.handle(&report);
        }
        if let Some(refused) = &mut refused {
            reporter.tell_refused(&refused.take_all());
        }
        let end = ended.and(served);
        reporter.history.end(end.as_ref().err().map(ToString::to_string).as_deref());
        reporter.drain().await;
        end
    }

    /// Serves signals and reports until it is told to stop.
    async fn serve(
        &mut self,
        options: &Options,
        signals: &mut Signals,
        held: &mut Held,
    ) -> io::Result<()> {
        let mut reading: Option<Reading> = None;
        loop {
            tokio::select! {
                report = self.engine.reports.recv() => match report {
                    Some(report) => {
                        self.reporter.handle(&report);
                        held.manager.expect_news();
                    }
                    None => return Err(io::Error::other("the engine thread has ended")),
                },
                refused = refused::due(&mut self.refused) => self.reporter.tell_refused(&refused),
                // One reading at a time: a second thread would only wait behind the first.
                order = signals.next(reading.is_none()) => match order {
                    Order::Stop => return Ok(()),
                    Order::Reload => reading = self.begin_reload(options, held, None),
                    Order::Status(asked) => {
                        self.write_status(&held.files, asked, Command::Status).await;
                    }
                    Order::ClearStatistics => self.clear_statistics(&held.files).await,
                    Order::Nothing(name) => info!("{name} means nothing to this daemon"),
                },
                Some(question) = held.questions.recv() => {
                    if question.request != Request::Reload {
                        self.answer(question, held).await;
                    } else if reading.is_some() {
                        let words = Err("a configuration is being read already".to_owned());
                        self.audit(clock::now(), question.asker, &question.request, &words);
                        // Whoever asked may have gone away.
                        drop(question.answer.send(words.map_or_else(Answer::Refused, Answer::Done)));
                    } else {
                        reading = self.begin_reload(options, held, Some(question));
                    }
                }
                plan = reading::answer(&mut reading, &options.source.path) => {
                    let asked = reading.take().and_then(|reading| reading.asked);
                    let reloaded = match plan {
                        Ok(plan) => self.reload(plan, held).await,
                        Err(error) => Err(error),
                    };
                    self.end_reload(options, held, reloaded, asked);
                }
                () = self.taken.fade() => {}
                () = held.filter.lost() => held.filter.restore(&self.plan).await,
                () = held.manager.due() => match self.ask(Command::Census).await {
                    Some(census) => held.manager.tell_census(&census),
                    None => held.manager.expect_news(),
                },
            }
        }
    }

    /// Goes on with another plan; says what has changed. If it cannot, nothing has.
    async fn reload(&mut self, plan: Plan, held: &mut Held) -> Result<String, String> {
        if let Some(keyword) = run_files::fixed_difference(&plan.identity, &self.plan.identity) {
            return Err(format!(
                "`{keyword}` cannot change in a reload: restart the daemon for it"
            ));
        }
        firewall::check(&plan).await.map_err(|error| error.to_string())?;
        let locks = lock_interfaces(&plan, &held.locks).map_err(|error| error.to_string())?;
        held.filter.set(&plan).await.map_err(|error| error.to_string())?;
        let (plan, mut reload) = plan.after(&self.plan);
        let changes = plan.changes_from(&self.plan, &reload);
        let plan = Arc::new(plan);
        let anew = reload.new_trackers.iter().copied().collect();
        let found = watch::first_look(&plan, &anew).await;
        reload.known = found.iter().map(|(tracker, verdict, _)| (*tracker, *verdict)).collect();
        let words = found.into_iter().map(|(tracker, _, words)| (tracker, words)).collect();
        self.reporter.expect(Arc::clone(&plan));
        held.routing.write(routing_of(&[&self.plan, &plan])).await;
        if let Err(error) = self.hand_over(Arc::clone(&plan), reload, words).await {
            // What was refused before is refused still.
            if let Err(error) = held.filter.set(&self.plan).await {
                warn!("{error}");
            }
            held.routing.write(routing_of(&[&self.plan])).await;
            return Err(error.to_string());
        }
        // What it said before it went on is about the plan before.
        while let Ok(report) = self.engine.reports.try_recv() {
            self.reporter.handle(&report);
        }
        self.reporter.settle();
        held.locks.extend(locks);
        let interfaces = interfaces_of(&plan);
        held.locks.retain(|name, _| interfaces.contains(name.as_str()));
        self.watchers.run(&plan);
        self.carriers = watch_carriers(&plan);
        held.files.follow(&plan.identity);
        held.routing.write(routing_of(&[&plan])).await;
        self.plan = plan;
        self.demote_again(&held.demotions).await;
        Ok(changes)
    }

    /// Has the engine thread go on with another plan, and hears what it reports meanwhile.
    async fn hand_over(
        &mut self,
        plan: Arc<Plan>,
        reload: Reload,
        words: Vec<(TrackerId, Words)>,
    ) -> io::Result<()> {
        let gone = || io::Error::other("the engine thread has ended");
        let (answer, mut answered) = oneshot::channel();
        let command = Command::Reload(Box::new(Handover { plan, reload, words, answer }));
        if self.engine.commands.send(command).await.is_err() {
            return Err(gone());
        }
        loop {
            tokio::select! {
                result = &mut answered => return result.unwrap_or_else(|_| Err(gone())),
                Some(report) = self.engine.reports.recv() => self.reporter.handle(&report),
            }
        }
    }
}

/// The daemon does its work without it, too.
fn open_control(options: &Options, files: &RunFiles, asker: Questions) -> Option<ControlServer> {
    let opening = Opening { path: files.control(), group: options.control_group.clone() };
    match ControlServer::start(&opening, asker) {
        Ok(server) => Some(server),
        Err(error) => {
            warn!("{error}");
            None
        }
    }
}

/// Takes the locks that `plan` needs beside those that are held.
pub(crate) fn lock_interfaces(plan: &Plan, held: &Locks) -> io::Result<Locks> {
    let missing = interfaces_of(plan).into_iter().filter(|name| !held.contains_key(*name));
    let take = |name: &str| Ok((name.to_owned(), InterfaceLock::take(name)?));
    let locks: Result<_, LockError> = missing.map(take).collect();
    locks.map_err(io::Error::other)
}

fn interfaces_of(plan: &Plan) -> BTreeSet<&str> {
    plan.instances.iter().map(|instance| instance.interface.as_str()).collect()
}

/// Has lost carriers reported at once, where the kernel would take its time.
fn watch_carriers(plan: &Plan) -> JoinSet<()> {
    let names = plan.trackers.iter().filter_map(TrackerPlan::interface);
    let names = names.map(str::to_owned).collect();
    let intervals = plan.engine.instances.iter().map(|instance| instance.interval.as_duration());
    let shortest = intervals.min().unwrap_or(Duration::MAX);
    let mut task = JoinSet::new();
    task.spawn(async move {
        if let Err(error) = carrier::keep_asking(names, shortest).await {
            warn!("a lost carrier may be noticed up to a second late: {error}");
        }
    });
    task
}

fn load_xdp(options: &Options, instances: u32) -> io::Result<Option<Xdp>> {
    if options.xdp == XdpChoice::Off {
        return Ok(None);
    }
    match clock::check_stamps().and_then(|()| Xdp::load(options.pass_unknown_vrids, instances)) {
        Ok(xdp) => Ok(Some(xdp)),
        Err(error) if options.xdp == XdpChoice::Auto => {
            warn!("packet sockets are used instead of XDP: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
