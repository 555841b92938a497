//! What is asked of the running daemon, by signals and by the control socket.

use std::{collections::BTreeSet, future, sync::Arc, time::Duration};

use ha_core::{InstanceId, Instant, Order, Refusal, State, TrackerId};
use serde_json::json;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{Held, Run};
use crate::{
    clock,
    control::{Answer, Asker, Question, protocol::Request},
    demotions::Demotions,
    engine::{Command, Snapshot},
    history::Entry,
    run_files::{self, Asked, RunFiles},
    status::{Status, Told, figures::Figures},
};

/// The engine thread answers within a turn, or it is stuck.
const ANSWER: Duration = Duration::from_secs(1);
/// Whoever asks again within this time is told the same: the engine thread is asked ten times a
/// second at most.
const FRESH: Duration = Duration::from_millis(100);

/// How the engine thread is asked for a snapshot.
type Asking = fn(oneshot::Sender<Snapshot>) -> Command;

/// The status as it was taken last.
#[derive(Debug, Default)]
pub(super) struct Taken(Option<(Instant, Arc<Status>)>);

impl Taken {
    fn fresh(&self, now: Instant) -> Option<Arc<Status>> {
        let (at, status) = self.0.as_ref()?;
        (now.since(*at) < FRESH).then(|| Arc::clone(status))
    }

    /// Waits until it is of no use any more, and forgets it: with many instances it is large.
    pub(super) async fn fade(&mut self) {
        let Some((at, _)) = &self.0 else { return future::pending().await };
        #[expect(clippy::disallowed_methods, reason = "memory may be given back late")]
        let over = sleep(FRESH.saturating_sub(clock::now().since(*at)));
        over.await;
        self.0 = None;
    }
}

impl Run {
    /// Whether there is one: then it is written beside everything else.
    pub(super) async fn write_status(
        &mut self,
        files: &RunFiles,
        asked: Asked,
        question: Asking,
    ) -> bool {
        match self.status(question).await {
            Ok(status) => {
                self.status_writer.write(files.status(asked), run_files::form(asked), status);
                true
            }
            Err(error) => {
                warn!("no status: {error}");
                false
            }
        }
    }

    /// As keepalived does: they are written once more.
    pub(super) async fn clear_statistics(&mut self, files: &RunFiles) {
        if self.write_status(files, Asked::Statistics, Command::LastStatus).await {
            let path = files.status(Asked::Statistics);
            info!("the statistics go to {}, and are counted anew", path.display());
        }
        // Whoever asks now is told of the new ones.
        self.taken = Taken::default();
    }

    pub(super) async fn answer(&mut self, question: Question, held: &mut Held) {
        let Question { request, asker, answer } = question;
        let answered = match &request {
            Request::Status => self.status_taken().await.map(Answer::Status),
            // It is begun elsewhere.
            Request::Reload => Err("not now".to_owned()),
            Request::Order { order, name, until_restart } => {
                // Before what it leads to.
                let at = clock::now();
                let result = self.order(*order, name, *until_restart, &mut held.demotions).await;
                self.audit(at, asker, &request, &result);
                result.map(Answer::Done)
            }
            Request::History => Ok(Answer::History(self.reporter.history.remembered())),
        };
        // Whoever asked may have gone away.
        drop(answer.send(answered.unwrap_or_else(Answer::Refused)));
    }

    /// Says in the log and in the history who has ordered what at `at`, and what came of it.
    pub(super) fn audit(
        &mut self,
        at: Instant,
        asker: Option<Asker>,
        request: &Request,
        result: &Result<String, String>,
    ) {
        let asker = asker.unwrap_or(Asker { uid: u32::MAX, pid: 0 });
        let order = request.words();
        match result {
            Ok(words) => info!("control: {order}, {asker}: {words}"),
            Err(words) => warn!("control: {order}, {asker}: refused: {words}"),
        }
        let (Ok(words) | Err(words)) = result;
        let (name, until_restart) = match request {
            Request::Order { name, until_restart, .. } => (name.as_str(), *until_restart),
            Request::Status | Request::History | Request::Reload => ("-", false),
        };
        let entry = [("instance", name), ("order", request.name()), ("result", words)];
        let mut entry = Entry::from(entry.map(|(member, words)| (member, json!(words))));
        entry.set("uid", json!(asker.uid));
        entry.set("pid", json!(asker.pid));
        entry.set("is_done", json!(result.is_ok()));
        entry.set("until_restart", json!(until_restart));
        self.reporter.history.add(at, entry);
    }

    async fn order(
        &mut self,
        order: Order,
        name: &str,
        until_restart: bool,
        demotions: &mut Demotions,
    ) -> Result<String, String> {
        let Some(instance) = self.plan.named(name) else {
            let name = name.escape_debug();
            return Err(format!("`{name}` is no instance and no sync group of this daemon"));
        };
        let result = self.give(instance, order).await?;
        let noted = match order {
            Order::Demote if result.is_ok() => demotions.add(name, until_restart),
            Order::Promote => demotions.remove(&self.plan, instance),
            Order::Demote | Order::Announce | Order::Reset => Ok(()),
        };
        let forgiven = if order == Order::Reset && result.is_ok() {
            self.watchers.forgive(&self.plan, &self.tracked_by(instance)).await
        } else {
            Vec::new()
        };
        let mut words = match result {
            Ok(state) => {
                let members = self.plan.members_with(instance);
                let names = members.iter().map(|member| self.name(*member));
                format!("{}: {}, {state} now", names.collect::<Vec<_>>().join(", "), past(order))
            }
            Err(refusal) if order == Order::Promote => {
                format!("not demoted, but not Master: {}", self.describe(refusal))
            }
            Err(refusal) => return Err(self.describe(refusal)),
        };
        if order == Order::Demote && noted.is_ok() {
            words = format!("{words}; {}", demotions.term(until_restart));
        }
        if !forgiven.is_empty() {
            words = format!("{words}; starts are counted anew: {}", forgiven.join(", "));
        }
        if let Err(error) = noted {
            words = format!("{words}; {error}");
        }
        Ok(words)
    }

    /// What the members of its sync group depend on.
    fn tracked_by(&self, instance: InstanceId) -> BTreeSet<TrackerId> {
        let members = self.plan.members_with(instance);
        members.into_iter().flat_map(|member| self.plan.tracked_by(member)).collect()
    }

    /// Has the engine thread demote again those whose instances began anew.
    pub(super) async fn demote_again(&self, demotions: &Demotions) {
        for instance in demotions.of(&self.plan) {
            if let Err(error) = self.give(instance, Order::Demote).await {
                warn!("{}: not demoted any more: {error}", self.name(instance));
            }
        }
    }

    async fn give(
        &self,
        instance: InstanceId,
        order: Order,
    ) -> Result<Result<State, Refusal>, String> {
        let given = self.ask(|answer| Command::Order { instance, order, answer }).await;
        given.ok_or_else(|| "the engine thread does not answer".to_owned())
    }

    fn name(&self, instance: InstanceId) -> &str {
        self.plan.instance(instance).map_or("?", |instance| instance.name.as_str())
    }

    fn describe(&self, refusal: Refusal) -> String {
        match refusal {
            Refusal::Unknown => "nothing runs by that name".to_owned(),
            Refusal::Owner(id) => format!(
                "{} owns its addresses, and its priority is always 255: stop the daemon instead",
                self.name(id)
            ),
            Refusal::State(id, state) => format!("{} is {state}", self.name(id)),
            Refusal::Listening(id) => {
                format!("{} was late, and listens before it acts: try again", self.name(id))
            }
            Refusal::NoMaster(id) => format!(
                "{} has heard no Master, and takes over by itself when its time has come",
                self.name(id)
            ),
            Refusal::Better { instance, source, priority, own } => format!(
                "{source} is Master with priority {priority}, and that of {} is {own}",
                self.name(instance)
            ),
        }
    }

    /// How things are, or were a moment ago.
    async fn status_taken(&mut self) -> Result<Arc<Status>, String> {
        let now = clock::now();
        if let Some(status) = self.taken.fresh(now) {
            return Ok(status);
        }
        // Before the next one is made: they are large.
        self.taken = Taken::default();
        let status = self.status(Command::Status).await?;
        self.taken = Taken(Some((now, Arc::clone(&status))));
        Ok(status)
    }

    /// `None`: the engine thread does not answer.
    pub(super) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (ask, answer) = oneshot::channel();
        let asked = async {
            self.engine.commands.send(question(ask)).await.ok()?;
            answer.await.ok()
        };
        // The limit is on both: with a full queue the question waits as well.
        timeout(ANSWER, asked).await.ok().flatten()
    }

    async fn status(&self, question: Asking) -> Result<Arc<Status>, String> {
        let Some(snapshot) = self.ask(question).await else {
            return Err("the engine thread does not answer".to_owned());
        };
        let since_epoch = clock::since_epoch().saturating_sub(clock::now().since(snapshot.at));
        let mut told = Told::default();
        self.reporter.tell_status(&mut told);
        self.watchers.tell_status(&mut told);
        let mut figures = Figures::default();
        self.reporter.count(&mut figures);
        self.watchers.count(&mut figures);
        let (plan, standings) = (Arc::clone(&self.plan), self.reporter.standings());
        Ok(Arc::new(Status { snapshot, plan, standings, told, figures, since_epoch }))
    }
}

const fn past(order: Order) -> &'static str {
    match order {
        Order::Demote => "demoted",
        Order::Promote => "promoted",
        Order::Announce => "announced",
        Order::Reset => "begins anew",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Snapshot, histogram::Histogram, plan::Plan};
    use std::collections::BTreeMap;

    #[test]
    fn a_status_is_fresh_for_a_while() {
        let (plan, _) = Plan::new(&ha_config::parse("x", "").config, &[]);
        let at = Instant::from_nanos(5);
        let snapshot = Snapshot {
            at,
            scheduling: String::new(),
            instances: Vec::new(),
            interfaces: Vec::new(),
            reports_lost: 0,
            adverts_unsent: 0,
            records_outdated: 0,
            wake_ups: Histogram::default(),
        };
        let status = Status {
            snapshot,
            plan: Arc::new(plan),
            standings: BTreeMap::new(),
            told: Told::default(),
            figures: Figures::default(),
            since_epoch: Duration::ZERO,
        };
        let taken = Taken(Some((at, Arc::new(status))));
        assert!(taken.fresh(at + FRESH / 2).is_some());
        assert!(taken.fresh(at + FRESH).is_none());
        assert!(Taken::default().fresh(at).is_none());
    }
}
