//! The main thread: starts the engine thread, runs everything slow beside it, and cleans up.

use std::{
    collections::BTreeSet, fs, future, io, path::PathBuf, process, task::Poll, time::Duration,
};

use ha_config::Config;
use nix::sys::signal::SigSet;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::timeout,
};
use tracing::{error, info, warn};

use crate::{
    check,
    cli::{Options, XdpChoice},
    engine::{Command, EngineThread, Setup},
    io::{carrier, lock::InterfaceLock, schedule, xdp::Xdp},
    plan::{Plan, TrackerPlan},
    privileges,
    report::Reporter,
    scripts::{notify::Notifier, track},
    status,
};

/// Last notifications get this long before the daemon ends (keepalived `child_wait_time`, 5 s).
const LAST_SCRIPTS: Duration = Duration::from_secs(5);
/// The engine thread answers within a turn, or it is stuck.
const ANSWER: Duration = Duration::from_secs(1);

/// Why a run of the engine ended.
enum End {
    Stop,
    Reload(Box<Config>),
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug)]
enum Order {
    Stop,
    Reload,
    Status,
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
            // keepalived's for its data, its statistics, and both as JSON.
            (Order::Status, SignalKind::user_defined1()),
            (Order::Status, SignalKind::user_defined2()),
            (Order::Status, SignalKind::from_raw(libc::SIGRTMIN() + 2)),
            // keepalived's to clear statistics, and to be debugged.
            (Order::Nothing("SIGRTMAX-1"), SignalKind::from_raw(libc::SIGRTMAX() - 1)),
            (Order::Nothing("SIGRTMAX"), SignalKind::from_raw(libc::SIGRTMAX())),
            (Order::Nothing("SIGALRM"), SignalKind::alarm()),
        ];
        let open = |(order, kind)| Ok((order, signal(kind)?));
        Ok(Self(orders.into_iter().map(open).collect::<io::Result<_>>()?))
    }

    /// The next order; nothing is lost if it is not waited for to the end.
    async fn next(&mut self) -> Order {
        future::poll_fn(|context| {
            for (order, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*order);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Files with the process's number, removed at the end.
struct PidFiles<'a>(&'a [PathBuf]);

impl<'a> PidFiles<'a> {
    fn write(paths: &'a [PathBuf]) -> io::Result<Self> {
        for path in paths {
            fs::write(path, format!("{}\n", process::id())).map_err(|error| {
                let text = format!("cannot write the pid file {}: {error}", path.display());
                io::Error::new(error.kind(), text)
            })?;
        }
        Ok(Self(paths))
    }
}

impl Drop for PidFiles<'_> {
    fn drop(&mut self) {
        for path in self.0 {
            drop(fs::remove_file(path));
        }
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
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(options))
}

async fn supervise(options: &Options) -> io::Result<()> {
    let mut config = check::load(&options.config).map_err(io::Error::other)?;
    privileges::check()?;
    let mut pid_files = None;
    let mut signals = Signals::new()?;
    if let Some(warning) = schedule::lock_memory() {
        warn!("{warning}");
    }
    loop {
        match run_once(options, &config, &mut signals, &mut pid_files).await? {
            End::Stop => return Ok(()),
            End::Reload(changed) => config = *changed,
        }
    }
}

async fn run_once<'a>(
    options: &'a Options,
    config: &Config,
    signals: &mut Signals,
    pid_files: &mut Option<PidFiles<'a>>,
) -> io::Result<End> {
    let (plan, warnings) = Plan::new(config, &options.interfaces);
    for warning in warnings {
        warn!("{warning}");
    }
    if plan.instances.is_empty() {
        return Err(io::Error::other(format!(
            "{}: no vrrp_instance to run{}",
            options.config.display(),
            if options.interfaces.is_empty() { "" } else { " on the interfaces of --iface" }
        )));
    }
    // Held until the end of this run: one daemon an interface.
    let _locks = lock_interfaces(&plan)?;
    // Not before the locks: these files may be those of the daemon that runs here already.
    if pid_files.is_none() {
        *pid_files = Some(PidFiles::write(&options.pid_files)?);
    }
    let xdp = load_xdp(options)?;
    let setup = Setup { plan: plan.clone(), choice: options.xdp, policy: options.scheduling, xdp };
    let mut engine = EngineThread::start(setup).await?;
    if let Some(warning) = &engine.warning {
        warn!("{warning}");
    }
    let carrier = tokio::spawn(watch_carriers(&plan));
    let scripts = track::start(&plan, &engine.commands);
    let mut reporter = Reporter::new(plan.clone(), Notifier::new(plan));
    let end = watch(options, signals, &mut engine, &mut reporter).await;
    drop(scripts);
    carrier.abort();
    let engine_end = engine.end();
    while let Ok(report) = engine.reports.try_recv() {
        reporter.handle(&report);
    }
    reporter.into_notifier().drain(LAST_SCRIPTS).await;
    engine_end.and(end)
}

/// Serves signals and reports until the run has to end.
async fn watch(
    options: &Options,
    signals: &mut Signals,
    engine: &mut EngineThread,
    reporter: &mut Reporter,
) -> io::Result<End> {
    loop {
        tokio::select! {
            report = engine.reports.recv() => match report {
                Some(report) => reporter.handle(&report),
                None => return Err(io::Error::other("the engine thread has ended")),
            },
            order = signals.next() => match order {
                Order::Stop => return Ok(End::Stop),
                Order::Reload => match check::load(&options.config) {
                    Ok(config) => {
                        info!("{}: read again, restarting all instances", options.config.display());
                        return Ok(End::Reload(Box::new(config)));
                    }
                    Err(error) => error!("the running configuration stays: {error}"),
                },
                Order::Status => write_status(options, engine).await,
                Order::Nothing(name) => info!("{name} means nothing to this daemon"),
            },
        }
    }
}

async fn write_status(options: &Options, engine: &EngineThread) {
    let path = options.run_dir.join("status.json");
    let (ask, answer) = oneshot::channel();
    let asked = async {
        engine.commands.send(Command::Status(ask)).await.ok()?;
        answer.await.ok()
    };
    // The limit is on both: with a full queue the question waits as well.
    let Ok(Some(snapshot)) = timeout(ANSWER, asked).await else {
        warn!("no status: the engine thread does not answer");
        return;
    };
    if let Err(error) = status::write(&path, &snapshot) {
        warn!("cannot write {}: {error}", path.display());
    }
}

fn lock_interfaces(plan: &Plan) -> io::Result<Vec<InterfaceLock>> {
    let names: BTreeSet<&str> =
        plan.instances.iter().map(|instance| instance.interface.as_str()).collect();
    names.into_iter().map(|name| InterfaceLock::take(name).map_err(io::Error::other)).collect()
}

/// Has lost carriers reported at once, where the kernel would take its time.
fn watch_carriers(plan: &Plan) -> impl Future<Output = ()> + use<> {
    let names = plan.trackers.iter().filter_map(|tracker| match tracker {
        TrackerPlan::Interface(name) => Some(name.clone()),
        TrackerPlan::Script(_) => None,
    });
    let names = names.collect();
    async {
        if let Err(error) = carrier::keep_asking(names).await {
            warn!("a lost carrier may be noticed up to a second late: {error}");
        }
    }
}

fn load_xdp(options: &Options) -> io::Result<Option<Xdp>> {
    if options.xdp == XdpChoice::Off {
        return Ok(None);
    }
    match Xdp::load(options.pass_unknown_vrids) {
        Ok(mut xdp) => {
            bridge_logs(&mut xdp);
            Ok(Some(xdp))
        }
        Err(error) if options.xdp == XdpChoice::Auto => {
            warn!("packet sockets are used instead of XDP: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The program's own messages go to the daemon's log, from this thread.
fn bridge_logs(xdp: &mut Xdp) {
    match xdp.logger() {
        Ok(mut logger) => {
            tokio::spawn(async move {
                while let Ok(mut guard) = logger.readable_mut().await {
                    guard.get_inner_mut().flush();
                    guard.clear_ready();
                }
            });
        }
        Err(error) => warn!("the XDP program's own messages are not shown: {error}"),
    }
}
