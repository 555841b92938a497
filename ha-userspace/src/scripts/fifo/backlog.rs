//! What one FIFO is still to be told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::warn;

use crate::{
    plan::Plan,
    scripts::news::{Kind, News},
};

/// Lines that wait beside those in the pipe: every one of ten thousand instances may move at once.
const LINES_MAX: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    content: Mutex<Content>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Content {
    lines: VecDeque<String>,
    /// The last line of each that says a state.
    states: BTreeMap<(Kind, String), String>,
    /// Lines were lost since the reader was told everything.
    is_behind: bool,
    is_closed: bool,
    lost: u64,
    error: Option<String>,
}

impl Backlog {
    pub(super) fn push(&self, news: &News) {
        let mut content = self.content();
        let line = news.line();
        if news.what.is_state() {
            content.states.insert((news.kind, news.name.clone()), line.clone());
        }
        content.push(line);
        self.changed.notify_one();
    }

    pub(super) fn push_states(&self) {
        let mut content = self.content();
        for line in content.states.values().cloned().collect::<Vec<_>>() {
            content.push(line);
        }
        self.changed.notify_one();
    }

    /// Forgets the states of who is not in `plan`.
    pub(super) fn retain(&self, plan: &Plan) {
        let instances = plan.instances.iter().map(|one| (Kind::Instance, one.name.as_str()));
        let groups = plan.groups.iter().map(|one| (Kind::Group, one.name.as_str()));
        let names: BTreeSet<(Kind, &str)> = instances.chain(groups).collect();
        self.content().states.retain(|(kind, name), _| names.contains(&(*kind, name.as_str())));
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.content().is_closed = true;
        self.changed.notify_one();
    }

    /// It cannot be written to.
    pub(super) fn fail(&self, error: String) {
        self.content().error = Some(error);
    }

    /// The next line; `None` when it is closed and nothing is left.
    pub(super) async fn next(&self) -> Option<String> {
        loop {
            {
                let mut content = self.content();
                if let Some(line) = content.take() {
                    return Some(line);
                }
                if content.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    pub(super) fn status(&self, path: &str) -> Value {
        let content = self.content();
        json!({
            "path": path,
            "waiting": content.lines.len(),
            "lost": content.lost,
            "error": content.error,
        })
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn push(&mut self, line: String) {
        if self.is_behind || self.lines.len() >= LINES_MAX {
            if !self.is_behind {
                warn!(
                    "a notification FIFO is not read: lines are lost until it is, {} so far",
                    self.lost
                );
            }
            self.is_behind = true;
            self.lost = self.lost.saturating_add(1);
        } else {
            self.lines.push_back(line);
        }
    }

    /// What waits, then the state of everything if something was lost.
    fn take(&mut self) -> Option<String> {
        if self.lines.is_empty() && self.is_behind {
            self.is_behind = false;
            self.lines.extend(self.states.values().cloned());
        }
        self.lines.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use ha_core::Event;

    use super::*;
    use crate::scripts::news::What;

    fn news(name: &str, what: What) -> News {
        let name = name.to_owned();
        News { kind: Kind::Instance, name, what, priority: 100, reason: String::new() }
    }

    fn take_all(backlog: &Backlog) -> Vec<String> {
        std::iter::from_fn(|| backlog.content().take()).collect()
    }

    #[test]
    fn what_was_lost_is_made_up_for_by_the_state_of_everything() {
        let backlog = Backlog::default();
        backlog.push(&news("a", What::Told(Event::Backup)));
        for _ in 1..LINES_MAX {
            backlog.push(&news("b", What::Told(Event::Master)));
        }
        // No room, and none for what follows: it would come before what is missing.
        backlog.push(&news("a", What::Told(Event::Fault)));
        assert_eq!(backlog.content().take().unwrap(), "INSTANCE \"a\" BACKUP 100\n");
        backlog.push(&news("b", What::Told(Event::Backup)));
        backlog.push(&news("b", What::Priority { is_master: false }));
        let lines = take_all(&backlog);
        let (waited, told) = lines.split_at(LINES_MAX - 1);
        assert!(waited.iter().all(|line| line == "INSTANCE \"b\" MASTER 100\n"));
        assert_eq!(told, ["INSTANCE \"a\" FAULT 100\n", "INSTANCE \"b\" BACKUP 100\n"]);
        assert_eq!(backlog.status("x")["lost"], 3);
        backlog.push(&news("a", What::Told(Event::LowerMaster)));
        assert_eq!(take_all(&backlog), ["INSTANCE \"a\" MASTER_RX_LOWER_PRI 100\n"]);
    }
}
