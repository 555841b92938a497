//! What is tracked, beside interfaces: each kind in a file of its own. A tracker is a task on the main
//! thread that tells the engine how the tracked thing is, whenever that changes.

mod clock;
mod file;
mod judges;
mod opinion;
mod process;
mod script;
mod starts;
mod unit;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ha_config::TrackedFile;
use ha_core::{Instant, TrackerId, Verdict};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

pub(crate) use self::process::Event;
use self::{
    clock::ClockWatch,
    judges::{Ruled, Shared, locked},
    process::ProcessWatch,
    script::Standing,
    unit::UnitWatch,
};
use crate::{
    cli::ProcessEvents,
    clock as time,
    engine::{Command, Finding},
    plan::{Plan, TrackerPlan},
    status::{
        Told,
        figures::{Figures, Tracked},
    },
};

/// Longer than it takes to look at all processes, to read some files, and to ask systemd.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// What can be known of `trackers` before the engine goes by `plan`, so that an instance begins with the
/// priority that it is to have. What takes longer is told when it is known.
pub(crate) async fn first_look(plan: &Plan, trackers: &BTreeSet<TrackerId>) -> Vec<Finding> {
    let units = unit::look(chosen(plan, trackers, TrackerPlan::unit));
    let processes = chosen(plan, trackers, TrackerPlan::process);
    let files = chosen(plan, trackers, TrackerPlan::file);
    let others = async {
        if processes.is_empty() && files.is_empty() {
            return Vec::new();
        }
        let look = spawn_blocking(move || {
            let processes = process::look(processes).into_iter().map(judges::found);
            let file = |(id, file): (&TrackerId, &TrackedFile)| {
                let value = file::look(file);
                (*id, Verdict::Value(value), file::words(value))
            };
            processes.chain(files.iter().map(file)).collect()
        });
        look.await.unwrap_or_default()
    };
    let (units, others) = tokio::join!(timeout(FIRST_LOOK, units), timeout(FIRST_LOOK, others));
    let units = units.unwrap_or_default().into_iter().map(judges::found);
    units.chain(others.unwrap_or_default()).collect()
}

/// Those of one kind.
fn chosen<T: Clone>(
    plan: &Plan,
    trackers: &BTreeSet<TrackerId>,
    kind: fn(&TrackerPlan) -> Option<&T>,
) -> BTreeMap<TrackerId, T> {
    let mut all = plan.trackers_of(kind);
    all.retain(|id, _| trackers.contains(id));
    all
}

/// The running trackers; dropping it ends them.
#[derive(Debug)]
pub(crate) struct Watchers {
    commands: mpsc::Sender<Command>,
    running: BTreeMap<TrackerId, Running>,
    /// All processes together, by events that are all processes'.
    processes: ProcessWatch,
    /// All units together, by one connection.
    units: UnitWatch,
    clock: ClockWatch,
}

#[derive(Debug)]
struct Running {
    tracked: TrackerPlan,
    known: Known,
    /// Dropped, it ends.
    _task: JoinSet<()>,
}

/// What a task knows of what it watches.
#[derive(Debug)]
enum Known {
    Script(watch::Receiver<Standing>),
    /// The number; `None`: it was not read yet.
    File(watch::Receiver<Option<i32>>),
}

impl Watchers {
    /// None yet. Verdicts go to the engine when they change. Needs a runtime of tokio.
    pub(crate) fn new(commands: mpsc::Sender<Command>, choice: ProcessEvents) -> Self {
        let processes = ProcessWatch::new(commands.clone(), choice);
        let units = UnitWatch::new(commands.clone());
        let clock = ClockWatch::new(commands.clone());
        Self { commands, running: BTreeMap::new(), processes, units, clock }
    }

    /// All but interfaces and what is static, for `status.json`.
    pub(crate) fn tell_status(&self, told: &mut Told) {
        let now = time::now();
        told.add_list("scripts", self.scripts().map(|(name, known)| known.status(name)));
        told.add_list("processes", statuses(self.processes.judges(), now));
        told.add_list("units", statuses(self.units.judges(), now));
        let file = |(file, value): (&TrackedFile, Option<i32>)| json!({ "name": file.name, "path": file.path, "value": value });
        told.add_list("files", self.files().map(file));
        told.add("clock", &self.clock.status());
    }

    /// For the metrics.
    pub(crate) fn count(&self, figures: &mut Figures) {
        let now = time::now();
        figures.scripts = self.scripts().map(|(name, known)| known.checked(name)).collect();
        figures.processes = judged(self.processes.judges(), now);
        figures.units = judged(self.units.judges(), now);
        figures.files =
            self.files().filter_map(|(file, value)| Some((file.name.clone(), value?))).collect();
        figures.clock = self.clock.figures();
    }

    fn scripts(&self) -> impl Iterator<Item = (&str, watch::Ref<'_, Standing>)> {
        self.running.values().filter_map(|running| match &running.known {
            Known::Script(known) => Some((running.tracked.name(), known.borrow())),
            Known::File(_) => None,
        })
    }

    fn files(&self) -> impl Iterator<Item = (&TrackedFile, Option<i32>)> {
        self.running.values().filter_map(|running| match &running.known {
            Known::File(value) => Some((running.tracked.file()?, *value.borrow())),
            Known::Script(_) => None,
        })
    }

    /// Watches what `plan` tracks. What is watched already, as it is to be, is watched on.
    pub(crate) fn run(&mut self, plan: &Plan) {
        self.running.retain(|id, running| {
            plan.tracker(*id).is_some_and(|tracked| running.tracked.has_same_meaning(tracked))
        });
        for (number, tracked) in plan.trackers.numbered() {
            let id = TrackerId(number);
            if self.running.contains_key(&id) {
                continue;
            }
            let commands = self.commands.clone();
            let mut task = JoinSet::new();
            let known = match tracked {
                // The engine thread sees to the first two, one thread to all processes, one connection to
                // all units, one task to all that is asked of the clock.
                TrackerPlan::Interface(_)
                | TrackerPlan::Statics(_)
                | TrackerPlan::Process(_)
                | TrackerPlan::Unit(_)
                | TrackerPlan::Clock(_) => continue,
                TrackerPlan::Script(script) => {
                    let (tell, known) = watch::channel(Standing::default());
                    task.spawn(script::watch(script.clone(), id, commands, tell));
                    Known::Script(known)
                }
                TrackerPlan::File(file) => {
                    let (tell, known) = watch::channel(None);
                    task.spawn(file::watch(file.clone(), id, commands, tell));
                    Known::File(known)
                }
            };
            self.running.insert(id, Running { tracked: tracked.clone(), known, _task: task });
        }
        self.processes.run(plan);
        self.units.run(plan);
        self.clock.run(plan);
    }

    /// Forgets how often those of these trackers were started that count starts, and names them.
    pub(crate) async fn forgive(&self, plan: &Plan, trackers: &BTreeSet<TrackerId>) -> Vec<String> {
        let counts = |tracker: &TrackerPlan| match tracker {
            TrackerPlan::Process(process) => process.restarts.is_some(),
            TrackerPlan::Unit(unit) => unit.restarts.is_some(),
            TrackerPlan::Interface(_)
            | TrackerPlan::Script(_)
            | TrackerPlan::File(_)
            | TrackerPlan::Statics(_)
            | TrackerPlan::Clock(_) => false,
        };
        let meant = trackers.iter().filter_map(|id| Some((*id, plan.tracker(*id)?)));
        let meant: BTreeMap<_, _> = meant.filter(|(_, tracker)| counts(tracker)).collect();
        let numbers: BTreeSet<TrackerId> = meant.keys().copied().collect();
        self.processes.forgive(numbers.clone()).await;
        self.units.forgive(numbers).await;
        meant.values().map(ToString::to_string).collect()
    }
}

/// For `status.json`.
fn statuses<J: Ruled>(judges: Option<&Shared<J>>, now: Instant) -> impl Iterator<Item = Value> {
    let all = |judges| locked(judges).iter().map(|judge: &J| judge.status(now)).collect();
    judges.map_or_else(Vec::new, all).into_iter()
}

/// For the metrics.
fn judged<J: Ruled>(judges: Option<&Shared<J>>, now: Instant) -> Vec<Tracked> {
    let all = |judges| locked(judges).iter().map(|judge: &J| judge.figure(now)).collect();
    judges.map_or_else(Vec::new, all)
}

/// Until a moment, or for ever.
async fn pause(until: Option<Instant>) {
    let Some(until) = until else { return std::future::pending().await };
    let left = until.since(time::now());
    // The timer's ticks are milliseconds: it must not come just before what is due.
    #[expect(clippy::disallowed_methods, reason = "delays are in milliseconds at the least")]
    sleep(left.saturating_add(Duration::from_millis(1))).await;
}
