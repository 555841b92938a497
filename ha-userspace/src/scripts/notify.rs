//! Notify scripts: one queue for each instance and each group, in order, one run at a time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ha_config::Command;
use ha_core::Event;
use serde_json::{Value, json};
use tokio::{
    sync::{
        Semaphore,
        broadcast::{
            self,
            error::{RecvError, TryRecvError},
        },
    },
    task::JoinSet,
    time::timeout,
};
use tracing::{info, warn};

use crate::{
    histogram::Histogram,
    plan::Plan,
    scripts::{
        child::{self, Run},
        news::{Kind, News, What},
        outcome::Outcome,
    },
    status::figures::{Figures, Notified},
};

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
    queues: BTreeMap<Name, Queue>,
    tasks: JoinSet<()>,
    /// How long they take, all together.
    runs: Arc<Mutex<Histogram>>,
}

/// Which instance or group.
type Name = (Kind, String);

/// News, and the scripts that were to be told when it happened. A queue has room for all its items
/// from the beginning, hence shared ones.
type Item = Arc<(News, Arc<ha_config::Notify>)>;

#[derive(Debug)]
struct Queue {
    items: broadcast::Sender<Item>,
    record: Arc<Mutex<Record>>,
}

/// What is told of the scripts of one instance or group.
#[derive(Debug, Default)]
struct Record {
    runs: u64,
    failed: u64,
    /// Events that were left out because scripts were too slow.
    lost: u64,
    /// Events that were superseded before a script was told (`notify_coalesce`).
    coalesced: u64,
    last: Option<Last>,
}

/// The last run.
#[derive(Debug)]
struct Last {
    what: What,
    command: String,
    outcome: Outcome,
}

impl Notifier {
    /// Queues the scripts `of` whom `news` is about.
    pub(crate) fn notify(&mut self, news: News, of: &Arc<ha_config::Notify>) {
        if commands(&news, of).next().is_none() {
            return;
        }
        let name = (news.kind, news.name.clone());
        let queue = self.queues.entry(name).or_insert_with_key(|(_, name)| {
            let (items, waiting) = broadcast::channel(QUEUE_MAX);
            let record = Arc::new(Mutex::new(Record::default()));
            let (record_of, runs) = (Arc::clone(&record), Arc::clone(&self.runs));
            let subscriber = Subscriber { name: name.clone(), record: record_of, runs };
            self.tasks.spawn(subscriber.serve(waiting));
            Queue { items, record }
        });
        // Its task lives as long as the queue.
        queue.items.send(Arc::new((news, Arc::clone(of)))).ok();
    }

    /// Another plan: who is in it no more gets told what is queued, and nothing after that.
    pub(crate) fn retain(&mut self, plan: &Plan) {
        let instances = plan.instances.iter().map(|one| (Kind::Instance, one.name.as_str()));
        let groups = plan.groups.iter().map(|one| (Kind::Group, one.name.as_str()));
        let names: BTreeSet<(Kind, &str)> = instances.chain(groups).collect();
        self.queues.retain(|(kind, name), _| names.contains(&(*kind, name.as_str())));
        while self.tasks.try_join_next().is_some() {}
    }

    /// For `status.json`.
    pub(crate) fn status(&self) -> impl Iterator<Item = Value> + '_ {
        let one = |((kind, name), queue): (&Name, &Queue)| {
            let record = queue.record.lock().unwrap_or_else(PoisonError::into_inner);
            json!({
                "type": kind.to_string(),
                "name": name,
                "waiting": queue.items.len(),
                "runs": record.runs,
                "failed": record.failed,
                "lost": record.lost,
                "coalesced": record.coalesced,
                "last": record.last.as_ref().map(Last::status),
            })
        };
        self.queues.iter().map(one)
    }

    /// For the metrics.
    pub(crate) fn count(&self, figures: &mut Figures) {
        figures.notify_runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let one = |((_, name), queue): (&Name, &Queue)| {
            let record = queue.record.lock().unwrap_or_else(PoisonError::into_inner);
            let &Record { runs, failed, lost, coalesced: _, ref last } = &*record;
            let last = last.as_ref().map(|last| last.outcome.duration);
            Notified { name: name.clone(), runs, failed, lost, last }
        };
        figures.notified = self.queues.iter().map(one).collect();
    }

    /// Lets what is queued run to its end, for at most `limit` (`child_wait_time`).
    pub(crate) async fn drain(mut self, limit: Duration) {
        self.queues.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            warn!(
                "notify scripts were still running after {} s (child_wait_time) and are ended",
                limit.as_secs_f64()
            );
        }
    }
}

impl Last {
    fn status(&self) -> Value {
        let Self { what, command, outcome } = self;
        json!({ "state": what.to_string(), "command": command, "run": outcome.status() })
    }
}

/// `notify_<state>` first, then `notify` with `INSTANCE|GROUP name STATE priority`, as keepalived.
fn commands<'a>(
    news: &'a News,
    scripts: &'a ha_config::Notify,
) -> impl Iterator<Item = (&'a Command, Vec<String>)> {
    let (own, any) = match news.what {
        What::Told(Event::Master) => (&scripts.master, &scripts.any),
        What::Told(Event::Backup) => (&scripts.backup, &scripts.any),
        What::Told(Event::Fault) => (&scripts.fault, &scripts.any),
        What::Told(Event::Stop) => (&scripts.stop, &scripts.any),
        What::Told(Event::Deleted) => (&scripts.deleted, &scripts.any),
        // Not in keepalived's arguments, so not for a script that knows only those.
        What::Told(Event::LowerMaster) => (&scripts.lower_master, &None),
        // As keepalived 2.2.7, although it says FAULT.
        What::LeftOut => (&None, &scripts.any),
        What::Priority { .. } => (&None, &None),
    };
    let own = own.iter().map(|command| (command, Vec::new()));
    own.chain(any.iter().map(|command| (command, news.arguments().to_vec())))
}

/// An instance or a group whose scripts are run.
#[derive(Debug)]
struct Subscriber {
    name: String,
    record: Arc<Mutex<Record>>,
    runs: Arc<Mutex<Histogram>>,
}

impl Subscriber {
    /// Ends when the queue is closed and empty.
    async fn serve(self, mut queue: broadcast::Receiver<Item>) {
        loop {
            let first = match queue.recv().await {
                Ok(item) => item,
                Err(RecvError::Lagged(events)) => {
                    self.note_lost(events);
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            let mut items = VecDeque::from([first]);
            while let Some(item) = items.pop_front() {
                let (news, scripts) = &*item;
                if scripts.coalesce {
                    self.take_waiting(&mut queue, &mut items);
                    if self.is_superseded(news, &items) {
                        continue;
                    }
                }
                for (command, more) in commands(news, scripts) {
                    self.run(news, command, &more).await;
                }
            }
        }
    }

    fn take_waiting(&self, queue: &mut broadcast::Receiver<Item>, items: &mut VecDeque<Item>) {
        loop {
            match queue.try_recv() {
                Ok(item) => items.push_back(item),
                Err(TryRecvError::Lagged(events)) => self.note_lost(events),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Whether one of `later` makes `news` history.
    fn is_superseded(&self, news: &News, later: &VecDeque<Item>) -> bool {
        let by = |other: &News| other.what.is_state() || other.what == news.what;
        let is = later.iter().any(|item| by(&item.0));
        if is {
            self.change(|record| record.coalesced = record.coalesced.saturating_add(1));
        }
        is
    }

    async fn run(&self, news: &News, command: &Command, more: &[String]) {
        let run = child::run_told(command, more, &news.environment(), RUN_MAX, &SLOTS).await;
        let (name, what, program) = (&self.name, news.what, command.argv.join(" "));
        if run.is_success() {
            info!("{name}: {what}: notify script {program}: {run}");
        } else {
            warn!("{name}: {what}: notify script {program} ({}): {run}", command.place);
        }
        self.note(what, program, &run);
        run.finish().await;
    }

    fn note(&self, what: What, command: String, run: &Run) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).add(run.duration);
        self.change(|record| {
            record.runs = record.runs.saturating_add(1);
            record.failed = record.failed.saturating_add(u64::from(!run.is_success()));
            record.last = Some(Last { what, command, outcome: run.outcome() });
        });
    }

    fn note_lost(&self, events: u64) {
        self.change(|record| {
            record.lost = record.lost.saturating_add(events);
            warn!(
                "{}: notify scripts are too slow: not told of the oldest {events} changes, {} \
                 since the start; `notify_coalesce` tells them the last state only",
                self.name, record.lost
            );
        });
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf, process};

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

        fn scripts(&self, kind: Kind) -> &Arc<ha_config::Notify> {
            match kind {
                Kind::Instance => &self.plan.instances.get(0).unwrap().notify,
                Kind::Group => &self.plan.groups[0].notify,
            }
        }

        /// All of it happens before the first script runs.
        async fn play(self, events: &[(Kind, Event, u8)]) -> Vec<String> {
            let mut notifier = Notifier::default();
            for &(kind, event, priority) in events {
                notifier.notify(news(kind, event, priority), self.scripts(kind));
            }
            notifier.drain(LONG).await;
            let text = fs::read_to_string(&self.file).unwrap();
            fs::remove_file(&self.file).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    fn news(kind: Kind, event: Event, priority: u8) -> News {
        let name = if kind == Kind::Instance { "VI_1" } else { "VG_1" }.to_owned();
        News { kind, name, what: What::Told(event), priority, reason: "it's so".to_owned() }
    }

    const VI_1: Kind = Kind::Instance;
    const VG_1: Kind = Kind::Group;

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
    async fn a_losing_master_has_a_script_of_its_own_alone() {
        let scene = Scene::new(
            "lower",
            "notify_master_rx_lower_pri \"/bin/sh -c 'echo lower >>FILE'\"\n \
             notify \"/bin/sh -c 'echo $* >>FILE' any\"",
            "",
        );
        assert_eq!(scene.play(&[(VI_1, Event::LowerMaster, 100)]).await, ["lower"]);
    }

    #[tokio::test]
    async fn groups_are_told_with_their_own_words() {
        let scene = Scene::new("group", "", "notify \"/bin/sh -c 'echo $* >>FILE' any\"");
        let lines = scene.play(&[(VI_1, Event::Stop, 9), (VG_1, Event::Stop, 0)]).await;
        assert_eq!(lines, ["GROUP VG_1 STOP 0"]);
    }

    #[tokio::test]
    async fn what_has_no_place_in_the_arguments_is_in_the_environment() {
        let words = "$HA_TYPE $HA_NAME $HA_STATE $HA_PRIORITY $HA_REASON";
        let notify = format!("notify_master \"/bin/sh -c 'echo {words} >>FILE'\"");
        let lines = Scene::new("environment", &notify, "").play(&[(VI_1, Event::Master, 7)]).await;
        assert_eq!(lines, ["INSTANCE VI_1 MASTER 7 it's so"]);
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
    async fn superseded_states_are_left_out_where_it_is_asked_for() {
        let all = "notify \"/bin/sh -c 'echo $3 >>FILE' any\"\n \
                   notify_master_rx_lower_pri \"/bin/sh -c 'echo lower >>FILE'\"";
        let events = [
            Event::Backup,
            Event::LowerMaster,
            Event::Master,
            Event::LowerMaster,
            Event::LowerMaster,
        ];
        let events = events.map(|event| (VI_1, event, 1));
        let lines = Scene::new("each", all, "").play(&events).await;
        assert_eq!(lines, ["BACKUP", "lower", "MASTER", "lower", "lower"]);
        let coalesced = format!("{all}\n notify_coalesce");
        let lines = Scene::new("coalesced", &coalesced, "").play(&events).await;
        assert_eq!(lines, ["MASTER", "lower"]);
    }

    #[tokio::test]
    async fn another_plan_s_scripts_wait_for_those_before() {
        let slow = "notify \"/bin/sh -c 'sleep 0.3; echo before >>FILE' any\"";
        let before = Scene::new("reload", slow, "");
        let quick = "notify \"/bin/sh -c 'echo after >>FILE' any\"";
        let text = quick.replace("FILE", before.file.to_str().unwrap());
        let after = Scene::new("reload2", &text, "");
        let mut notifier = Notifier::default();
        notifier.notify(news(VI_1, Event::Master, 1), before.scripts(VI_1));
        notifier.retain(&after.plan);
        notifier.notify(news(VI_1, Event::Backup, 1), after.scripts(VI_1));
        // Who is gone is told the last of it.
        notifier.notify(news(VI_1, Event::Deleted, 1), before.scripts(VI_1));
        notifier.retain(&Plan::new(&ha_config::Config::default(), &[]).0);
        notifier.drain(LONG).await;
        let text = fs::read_to_string(&before.file).unwrap();
        assert_eq!(text, "before\nafter\nbefore\n");
        fs::remove_file(&before.file).unwrap();
        fs::remove_file(&after.file).unwrap();
    }

    #[tokio::test]
    async fn how_the_last_run_ended_is_in_the_status() {
        let scene = Scene::new("status", "notify_fault \"/bin/sh -c 'echo why; exit 3'\"", "");
        let mut notifier = Notifier::default();
        notifier.notify(news(VI_1, Event::Fault, 1), scene.scripts(VI_1));
        let record = Arc::clone(&notifier.queues.values().next().unwrap().record);
        notifier.drain(LONG).await;
        let record = record.lock().unwrap();
        assert_eq!((record.runs, record.failed, record.lost), (1, 1, 0));
        let last = record.last.as_ref().unwrap().status();
        assert_eq!(last["state"], "FAULT");
        assert_eq!(last["run"]["exit_code"], 3);
        assert_eq!(last["run"]["output"], "why\n");
        assert!(last["run"]["duration_ms"].as_f64().unwrap() > 0.0);
        fs::remove_file(&scene.file).unwrap();
    }

    #[tokio::test]
    async fn a_script_that_does_not_end_is_left_at_the_limit() {
        let scene = Scene::new("limit", "notify_stop \"/bin/sleep 1000\"", "");
        let mut notifier = Notifier::default();
        notifier.notify(news(VI_1, Event::Stop, 1), scene.scripts(VI_1));
        let drained = notifier.drain(Duration::from_millis(200));
        timeout(LONG, drained).await.unwrap();
        fs::remove_file(&scene.file).unwrap();
    }
}
