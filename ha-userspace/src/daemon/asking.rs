//! What is asked of the running daemon, by signals and by the control socket.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ha_core::Instant;
use tokio::{sync::oneshot, time::timeout};
use tracing::warn;

use super::Run;
use crate::{
    clock,
    control::{Answer, Question, protocol::Request},
    engine::Command,
    status::{Status, Told},
};

/// The engine thread answers within a turn, or it is stuck.
const ANSWER: Duration = Duration::from_secs(1);
/// Whoever asks again within this time is told the same: the engine thread is asked ten times a
/// second at most.
const FRESH: Duration = Duration::from_millis(100);

/// The status as it was taken last.
#[derive(Debug, Default)]
pub(super) struct Taken(Option<(Instant, Arc<Status>)>);

impl Taken {
    fn fresh(&self, now: Instant) -> Option<Arc<Status>> {
        let (at, status) = self.0.as_ref()?;
        (now.since(*at) < FRESH).then(|| Arc::clone(status))
    }
}

impl Run {
    pub(super) async fn write_status(&mut self, path: PathBuf) {
        match self.status().await {
            Ok(status) => self.status_writer.write(path, status),
            Err(error) => warn!("no status: {error}"),
        }
    }

    pub(super) async fn answer(&mut self, question: Question) {
        let Question { request, answer } = question;
        let answered = match request {
            Request::Status => self.status_taken().await.map(Answer::Status),
            Request::History => Ok(Answer::History(self.reporter.history.remembered())),
        };
        // Whoever asked may have gone away.
        drop(answer.send(answered.unwrap_or_else(Answer::Refused)));
    }

    /// How things are, or were a moment ago.
    async fn status_taken(&mut self) -> Result<Arc<Status>, String> {
        let now = clock::now();
        if let Some(status) = self.taken.fresh(now) {
            return Ok(status);
        }
        // Before the next one is made: they are large.
        self.taken = Taken::default();
        let status = self.status().await?;
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

    async fn status(&self) -> Result<Arc<Status>, String> {
        let Some(snapshot) = self.ask(Command::Status).await else {
            return Err("the engine thread does not answer".to_owned());
        };
        let since_epoch = clock::since_epoch().saturating_sub(clock::now().since(snapshot.at));
        let mut told = Told::default();
        self.reporter.tell_status(&mut told);
        self.watchers.tell_status(&mut told);
        let (plan, standings) = (Arc::clone(&self.plan), self.reporter.standings());
        Ok(Arc::new(Status { snapshot, plan, standings, told, since_epoch }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Snapshot, plan::Plan};
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
        };
        let status = Status {
            snapshot,
            plan: Arc::new(plan),
            standings: BTreeMap::new(),
            told: Told::default(),
            since_epoch: Duration::ZERO,
        };
        let taken = Taken(Some((at, Arc::new(status))));
        assert!(taken.fresh(at + FRESH / 2).is_some());
        assert!(taken.fresh(at + FRESH).is_none());
        assert!(Taken::default().fresh(at).is_none());
    }
}
