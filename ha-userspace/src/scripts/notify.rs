//! Notify scripts: one queue for each instance and each group, in order, one run at a time.

use std::time::Duration;

use ha_config::Command;
use ha_core::{Event, Notify, Subject};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tracing::{debug, warn};

use crate::{plan::Plan, scripts::child};

/// A notify script is ended after this.
const RUN_MAX: Duration = Duration::from_mins(1);
/// Runs waiting for one instance or group: two scripts for each of 32 transitions.
const QUEUE_MAX: usize = 64;

/// Runs notify scripts.
#[derive(Debug)]
pub(crate) struct Notifier {
    plan: Plan,
    instances: Vec<Queue>,
    groups: Vec<Queue>,
    tasks: JoinSet<()>,
}

/// What is to be run.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Job {
    command: Command,
    /// Appended to the command's own arguments.
    more: Vec<String>,
}

/// The way to one instance's or group's runs; without any script there is none.
type Queue = Option<mpsc::Sender<Job>>;

impl Notifier {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut tasks = JoinSet::new();
        let mut open = |notify: &ha_config::Notify, name: &str| {
            if *notify == ha_config::Notify::default() {
                return None;
            }
            let (queue, jobs) = mpsc::channel(QUEUE_MAX);
            tasks.spawn(work(name.to_owned(), jobs));
            Some(queue)
        };
        let instances = plan.instances.iter().map(|one| open(&one.notify, &one.name)).collect();
        let groups = plan.groups.iter().map(|one| open(&one.notify, &one.name)).collect();
        Self { plan, instances, groups, tasks }
    }

    /// Queues the scripts for one event.
    pub(crate) fn notify(&mut self, notify: Notify) {
        let (queue, name) = match notify.subject {
            Subject::Instance(id) => {
                let index = usize::try_from(id.0).unwrap_or(usize::MAX);
                let name = self.plan.instances.get(index).map(|one| &one.name);
                (self.instances.get(index), name)
            }
            Subject::Group(id) => {
                let index = usize::try_from(id.0).unwrap_or(usize::MAX);
                (self.groups.get(index), self.plan.groups.get(index).map(|one| &one.name))
            }
        };
        let (Some(Some(queue)), Some(name)) = (queue, name) else { return };
        for job in jobs(&self.plan, notify) {
            if queue.try_send(job).is_err() {
                warn!("{name}: {QUEUE_MAX} notify scripts wait already, {} is lost", notify.event);
            }
        }
    }

    /// Lets what is queued run to its end, for at most `limit`.
    pub(crate) async fn drain(mut self, limit: Duration) {
        self.instances.clear();
        self.groups.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            warn!("notify scripts were still running after {} s and are ended", limit.as_secs());
        }
    }
}

async fn work(name: String, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let run = child::run(&job.command, &job.more, RUN_MAX).await;
        let program = job.command.argv.join(" ");
        if run.is_success() {
            debug!("{name}: notify script {program}: {run}");
        } else {
            warn!("{name}: notify script {program} (line {}): {run}", job.command.line);
        }
    }
}

/// `notify_<state>` first, then `notify` with `INSTANCE|GROUP name STATE priority`, as keepalived.
fn jobs(plan: &Plan, notify: Notify) -> Vec<Job> {
    let (kind, name, scripts) = match notify.subject {
        Subject::Instance(id) => {
            let index = usize::try_from(id.0).unwrap_or(usize::MAX);
            let Some(instance) = plan.instances.get(index) else { return Vec::new() };
            ("INSTANCE", &instance.name, &instance.notify)
        }
        Subject::Group(id) => {
            let index = usize::try_from(id.0).unwrap_or(usize::MAX);
            let Some(group) = plan.groups.get(index) else { return Vec::new() };
            ("GROUP", &group.name, &group.notify)
        }
    };
    let own = match notify.event {
        Event::Master => &scripts.master,
        Event::Backup => &scripts.backup,
        Event::Fault => &scripts.fault,
        Event::Stop => &scripts.stop,
    };
    let own = own.iter().map(|command| Job { command: command.clone(), more: Vec::new() });
    let any = scripts.any.iter().map(|command| {
        let more = [kind, name, &notify.event.to_string(), &notify.priority.to_string()];
        Job { command: command.clone(), more: more.map(str::to_owned).to_vec() }
    });
    own.chain(any).collect()
}
