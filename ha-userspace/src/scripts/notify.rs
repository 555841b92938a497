//! Notify scripts: one queue for each instance and each group, in order, one run at a time.

use std::time::Duration;

use ha_config::Command;
use ha_core::{Event, Notify, Subject};
use tokio::{
    sync::{
        Semaphore,
        broadcast::{self, error::RecvError},
    },
    task::JoinSet,
    time::timeout,
};
use tracing::{debug, warn};

use crate::{plan::Plan, scripts::child};

/// Runs at one time, of all notify scripts together.
static SLOTS: Semaphore = Semaphore::const_new(64);
/// A notify script is ended after this.
const RUN_MAX: Duration = Duration::from_mins(1);
/// Events waiting for one instance's or group's scripts. Of more, the oldest are left out: what a
/// script must know is the state that holds in the end.
const QUEUE_MAX: usize = 32;

/// Runs notify scripts.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// By `InstanceId`.
    instances: Vec<Queue>,
    /// By `GroupId`.
    groups: Vec<Queue>,
    tasks: JoinSet<()>,
}

/// The way to one instance's or group's scripts; without any script there is none.
type Queue = Option<broadcast::Sender<News>>;

/// A state and a priority.
type News = (Event, u8);

impl Notifier {
    /// Has a task wait for each instance and group that has scripts.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut tasks = JoinSet::new();
        let mut open = |kind, name, scripts| {
            if scripts == ha_config::Notify::default() {
                return None;
            }
            let (queue, news) = broadcast::channel(QUEUE_MAX);
            tasks.spawn(Subscriber { kind, name, scripts }.serve(news));
            Some(queue)
        };
        let instances = plan.instances.into_iter();
        let instances = instances.map(|one| open("INSTANCE", one.name, one.notify)).collect();
        let groups = plan.groups.into_iter();
        let groups = groups.map(|one| open("GROUP", one.name, one.notify)).collect();
        Self { instances, groups, tasks }
    }

    /// Queues the scripts for one event.
    pub(crate) fn notify(&mut self, notify: Notify) {
        let (queues, index) = match notify.subject {
            Subject::Instance(id) => (&self.instances, id.0),
            Subject::Group(id) => (&self.groups, id.0),
        };
        let queue = usize::try_from(index).ok().and_then(|index| queues.get(index));
        if let Some(Some(queue)) = queue {
            // Its task lives as long as the queue.
            queue.send((notify.event, notify.priority)).ok();
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

/// An instance's or a group's scripts.
#[derive(Debug)]
struct Subscriber {
    /// `INSTANCE` or `GROUP`.
    kind: &'static str,
    name: String,
    scripts: ha_config::Notify,
}

impl Subscriber {
    /// Ends when the queue is closed and empty.
    async fn serve(self, mut news: broadcast::Receiver<News>) {
        let mut lost = 0_u64;
        loop {
            match news.recv().await {
                Ok((event, priority)) => {
                    for (command, more) in self.runs(event, priority) {
                        self.run(command, &more).await;
                    }
                }
                Err(RecvError::Lagged(events)) => {
                    lost = lost.saturating_add(events);
                    warn!(
                        "{}: notify scripts are too slow: not told of the oldest {events} \
                         changes, {lost} since the start",
                        self.name
                    );
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// `notify_<state>` first, then `notify` with `INSTANCE|GROUP name STATE priority`, as
    /// keepalived.
    fn runs(&self, event: Event, priority: u8) -> impl Iterator<Item = (&Command, Vec<String>)> {
        let own = match event {
            Event::Master => &self.scripts.master,
            Event::Backup => &self.scripts.backup,
            Event::Fault => &self.scripts.fault,
            Event::Stop => &self.scripts.stop,
        };
        let own = own.iter().map(|command| (command, Vec::new()));
        let any = self.scripts.any.iter().map(move |command| {
            let more = [self.kind, &self.name, &event.to_string(), &priority.to_string()];
            (command, more.map(str::to_owned).to_vec())
        });
        own.chain(any)
    }

    async fn run(&self, command: &Command, more: &[String]) {
        let run = child::run(command, more, RUN_MAX, &SLOTS).await;
        let (name, program) = (&self.name, command.argv.join(" "));
        if run.is_success() {
            debug!("{name}: notify script {program}: {run}");
        } else {
            warn!("{name}: notify script {program} (line {}): {run}", command.line);
        }
        run.finish().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf, process};

    use ha_core::{GroupId, InstanceId};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A plan of instance `VI_1` in group `VG_1`, whose scripts append to a file of this test.
    struct Scene {
        plan: Plan,
        file: PathBuf,
    }

    impl Scene {
        /// `instance` and `group` are what is in their blocks; `FILE` stands for the file.
        fn new(name: &str, instance: &str, group: &str) -> Self {
            let file = env::temp_dir().join(format!("ha-notify-{}-{name}", process::id()));
            fs::write(&file, "").unwrap();
            let text = format!(
                "vrrp_sync_group VG_1 {{\n group {{\n VI_1\n }}\n {group}\n}}\n\
                 vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 1\n \
                 virtual_ipaddress {{\n 192.0.2.1\n }}\n {instance}\n}}\n"
            );
            let parsed = ha_config::parse("x", &text.replace("FILE", file.to_str().unwrap()));
            let errors = ha_config::render(&parsed.diagnostics, &text);
            assert_eq!(parsed.config.instances.len(), 1, "{errors}");
            Self { plan: Plan::new(&parsed.config, &[]).0, file }
        }

        async fn play(self, events: &[(Subject, Event, u8)]) -> Vec<String> {
            let mut notifier = Notifier::new(self.plan);
            for &(subject, event, priority) in events {
                notifier.notify(Notify { subject, event, priority });
            }
            notifier.drain(LONG).await;
            let text = fs::read_to_string(&self.file).unwrap();
            fs::remove_file(&self.file).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    const VI_1: Subject = Subject::Instance(InstanceId(0));
    const VG_1: Subject = Subject::Group(GroupId(0));

    #[tokio::test]
    async fn the_state_s_script_runs_before_the_general_one() {
        let scene = Scene::new(
            "order",
            "notify_backup \"/bin/sh -c 'echo own >>FILE'\"\n \
             notify_master \"/bin/sh -c 'echo wrong >>FILE'\"\n \
             notify \"/bin/sh -c 'echo $* >>FILE' any\"",
            "",
        );
        let lines = scene.play(&[(VI_1, Event::Backup, 100)]).await;
        assert_eq!(lines, ["own", "INSTANCE VI_1 BACKUP 100"]);
    }

    #[tokio::test]
    async fn groups_are_told_with_their_own_words() {
        let scene = Scene::new("group", "", "notify \"/bin/sh -c 'echo $* >>FILE' any\"");
        let lines = scene.play(&[(VI_1, Event::Stop, 9), (VG_1, Event::Stop, 0)]).await;
        assert_eq!(lines, ["GROUP VG_1 STOP 0"]);
    }

    #[tokio::test]
    async fn runs_of_one_instance_never_overlap() {
        let scene = Scene::new(
            "serial",
            "notify_master \"/bin/sh -c 'echo slow >>FILE; sleep 0.3; echo end >>FILE'\"\n \
             notify_backup \"/bin/sh -c 'echo quick >>FILE'\"",
            "",
        );
        let lines = scene.play(&[(VI_1, Event::Master, 1), (VI_1, Event::Backup, 1)]).await;
        assert_eq!(lines, ["slow", "end", "quick"]);
    }

    #[tokio::test]
    async fn of_too_many_events_the_last_ones_are_told() {
        let scene = Scene::new("many", "notify \"/bin/sh -c 'echo $4 >>FILE' any\"", "");
        let events: Vec<_> = (1..=40).map(|priority| (VI_1, Event::Backup, priority)).collect();
        let expected: Vec<_> = (9..=40).map(|priority: u8| priority.to_string()).collect();
        assert_eq!(scene.play(&events).await, expected);
    }

    #[tokio::test]
    async fn a_script_that_does_not_end_is_left_at_the_limit() {
        let scene = Scene::new("limit", "notify_stop \"/bin/sleep 1000\"", "");
        let mut notifier = Notifier::new(scene.plan);
        notifier.notify(Notify { subject: VI_1, event: Event::Stop, priority: 1 });
        let drained = notifier.drain(Duration::from_millis(200));
        timeout(LONG, drained).await.unwrap();
        fs::remove_file(&scene.file).unwrap();
    }
}
