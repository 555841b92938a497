//! Notify scripts: one queue for each instance and each group, in order, one run at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    /// Opened with the first event that has scripts.
    queues: BTreeMap<Name, broadcast::Sender<News>>,
    tasks: JoinSet<()>,
}

/// `INSTANCE` or `GROUP`, and which.
type Name = (&'static str, String);

/// A state, a priority, and the scripts that were to be told when it happened.
type News = (Event, u8, ha_config::Notify);

impl Notifier {
    /// Queues the scripts that `plan` has for one event.
    pub(crate) fn notify(&mut self, plan: &Plan, notify: Notify) {
        let told = match notify.subject {
            Subject::Instance(id) => {
                plan.instance(id).map(|one| ("INSTANCE", &one.name, &one.notify))
            }
            Subject::Group(id) => plan.group(id).map(|one| ("GROUP", &one.name, &one.notify)),
        };
        let Some((kind, name, scripts)) = told else { return };
        if *scripts == ha_config::Notify::default() {
            return;
        }
        let queue = self.queues.entry((kind, name.clone())).or_insert_with(|| {
            let (queue, news) = broadcast::channel(QUEUE_MAX);
            self.tasks.spawn(Subscriber { kind, name: name.clone() }.serve(news));
            queue
        });
        // Its task lives as long as the queue.
        queue.send((notify.event, notify.priority, scripts.clone())).ok();
    }

    /// Another plan: who is in it no more gets told what is queued, and nothing after that.
    pub(crate) fn retain(&mut self, plan: &Plan) {
        let instances = plan.instances.iter().map(|one| ("INSTANCE", one.name.as_str()));
        let groups = plan.groups.iter().map(|one| ("GROUP", one.name.as_str()));
        let names: BTreeSet<(&str, &str)> = instances.chain(groups).collect();
        self.queues.retain(|(kind, name), _| names.contains(&(*kind, name.as_str())));
        while self.tasks.try_join_next().is_some() {}
    }

    /// Lets what is queued run to its end, for at most `limit`.
    pub(crate) async fn drain(mut self, limit: Duration) {
        self.queues.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            warn!("notify scripts were still running after {} s and are ended", limit.as_secs());
        }
    }
}

/// An instance or a group whose scripts are run.
#[derive(Debug)]
struct Subscriber {
    /// `INSTANCE` or `GROUP`.
    kind: &'static str,
    name: String,
}

impl Subscriber {
    /// Ends when the queue is closed and empty.
    async fn serve(self, mut news: broadcast::Receiver<News>) {
        let mut lost = 0_u64;
        loop {
            match news.recv().await {
                Ok(news) => {
                    for (command, more) in self.runs(&news) {
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
    fn runs<'a>(&self, news: &'a News) -> impl Iterator<Item = (&'a Command, Vec<String>)> {
        let (event, priority, scripts) = news;
        let own = match event {
            Event::Master => &scripts.master,
            Event::Backup => &scripts.backup,
            Event::Fault => &scripts.fault,
            Event::Stop => &scripts.stop,
        };
        let own = own.iter().map(|command| (command, Vec::new()));
        let any = scripts.any.iter().map(move |command| {
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
            warn!("{name}: notify script {program} ({}): {run}", command.place);
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
            assert_eq!(parsed.config.instances.len(), 1, "{:?}", parsed.diagnostics);
            Self { plan: Plan::new(&parsed.config, &[]).0, file }
        }

        async fn play(self, events: &[(Subject, Event, u8)]) -> Vec<String> {
            let mut notifier = Notifier::default();
            for &(subject, event, priority) in events {
                notifier.notify(&self.plan, Notify { subject, event, priority });
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
    async fn another_plan_s_scripts_wait_for_those_before() {
        let slow = "notify \"/bin/sh -c 'sleep 0.3; echo before >>FILE' any\"";
        let before = Scene::new("reload", slow, "");
        let quick = "notify \"/bin/sh -c 'echo after >>FILE' any\"";
        let text = quick.replace("FILE", before.file.to_str().unwrap());
        let after = Scene::new("reload2", &text, "");
        let mut notifier = Notifier::default();
        let news = |event| Notify { subject: VI_1, event, priority: 1 };
        notifier.notify(&before.plan, news(Event::Master));
        notifier.retain(&after.plan);
        notifier.notify(&after.plan, news(Event::Backup));
        // Who is gone is told the last of it.
        notifier.notify(&before.plan, news(Event::Stop));
        notifier.retain(&Plan::new(&ha_config::Config::default(), &[]).0);
        notifier.drain(LONG).await;
        let text = fs::read_to_string(&before.file).unwrap();
        assert_eq!(text, "before\nafter\nbefore\n");
        fs::remove_file(&before.file).unwrap();
        fs::remove_file(&after.file).unwrap();
    }

    #[tokio::test]
    async fn a_script_that_does_not_end_is_left_at_the_limit() {
        let scene = Scene::new("limit", "notify_stop \"/bin/sleep 1000\"", "");
        let mut notifier = Notifier::default();
        notifier.notify(&scene.plan, Notify { subject: VI_1, event: Event::Stop, priority: 1 });
        let drained = notifier.drain(Duration::from_millis(200));
        timeout(LONG, drained).await.unwrap();
        fs::remove_file(&scene.file).unwrap();
    }
}
