//! What one FIFO is still to be told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::{
    plan::Plan,
    scripts::news::{Kind, News, What},
    status::figures,
};

/// Lines that wait beside those in the pipe: every one of ten thousand instances may move at once.
const LINES_MAX: usize = 16_384;

#[derive(Debug)]
pub(super) struct Backlog {
    path: String,
    content: Mutex<Content>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Content {
    lines: VecDeque<String>,
    /// The state of each, and its priority now.
    states: BTreeMap<(Kind, String), (What, u8)>,
    /// So many lines were lost since the reader was told everything.
    behind: u64,
    is_closed: bool,
    lost: u64,
    reopened: u64,
    error: Option<String>,
}

impl Backlog {
    pub(super) fn new(path: String) -> Self {
        Self { path, content: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn push(&self, news: &News) {
        let mut content = self.content();
        content.note(news);
        self.push_lines(&mut content, [news.line()]);
    }

    pub(super) fn push_states(&self) {
        let mut content = self.content();
        let lines = content.state_lines();
        self.push_lines(&mut content, lines);
    }

    /// A line that could not be written.
    pub(super) fn lose(&self) {
        let mut content = self.content();
        content.lost = content.lost.saturating_add(1);
    }

    /// Another FIFO takes the place of the one so far, with which `unread` lines have gone: whoever
    /// reads it is told the state of everything.
    pub(super) fn begin_anew(&self, unread: u64) {
        let mut content = self.content();
        content.lost = content.lost.saturating_add(unread);
        content.reopened = content.reopened.saturating_add(1);
        let lines = content.state_lines();
        self.push_lines(&mut content, lines);
    }

    fn push_lines(&self, content: &mut Content, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            if content.push(line) {
                warn!("{}: it is not read: lines are lost from here on", self.path);
            }
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

    /// Why it cannot be written to, if it cannot; whether that is news.
    pub(super) fn set_error(&self, error: Option<String>) -> bool {
        let mut content = self.content();
        let is_new = content.error != error;
        content.error = error;
        is_new
    }

    /// Until nothing comes any more; beside [`Self::next`] it would keep the news from that.
    pub(super) async fn closed(&self) {
        while !self.content().is_closed {
            self.changed.notified().await;
        }
    }

    /// The next line; `None` when it is closed and nothing is left.
    pub(super) async fn next(&self) -> Option<String> {
        loop {
            {
                let mut content = self.content();
                let behind = content.behind;
                if let Some(line) = content.take() {
                    if behind > content.behind {
                        let path = &self.path;
                        info!("{path}: read again: after {behind} lost lines all states are told");
                    }
                    return Some(line);
                }
                if content.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    pub(super) fn status(&self) -> Value {
        let content = self.content();
        json!({
            "path": self.path,
            "waiting": content.lines.len(),
            "lost": content.lost,
            "reopened": content.reopened,
            "error": content.error,
        })
    }

    /// For the metrics.
    pub(super) fn figures(&self) -> figures::Fifo {
        let content = self.content();
        let (lost, reopened) = (content.lost, content.reopened);
        figures::Fifo { path: self.path.clone(), lost, reopened }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn note(&mut self, news: &News) {
        let News { kind, name, what, priority, reason: _ } = news;
        if what.is_state() {
            self.states.insert((*kind, name.clone()), (*what, *priority));
        } else if let Some((_, known)) = self.states.get_mut(&(*kind, name.clone())) {
            *known = *priority;
        }
    }

    fn state_lines(&self) -> Vec<String> {
        let line = |((kind, name), (what, priority)): (&(Kind, String), &(What, u8))| {
            let (kind, name, reason) = (*kind, name.clone(), String::new());
            News { kind, name, what: *what, priority: *priority, reason }.line()
        };
        self.states.iter().map(line).collect()
    }

    /// Whether this is the first one that is lost since the reader was told everything.
    fn push(&mut self, line: String) -> bool {
        // What follows a lost one would come before what makes up for it.
        if self.behind == 0 && self.lines.len() < LINES_MAX {
            self.lines.push_back(line);
            return false;
        }
        self.behind = self.behind.saturating_add(1);
        self.lost = self.lost.saturating_add(1);
        self.behind == 1
    }

    /// What waits, then the state of everything if something was lost.
    fn take(&mut self) -> Option<String> {
        if self.lines.is_empty() && self.behind > 0 {
            self.behind = 0;
            self.lines.extend(self.state_lines());
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
        let backlog = Backlog::new("x".to_owned());
        backlog.push(&news("a", What::Told(Event::Backup)));
        for _ in 1..LINES_MAX {
            backlog.push(&news("b", What::Told(Event::Master)));
        }
        // No room, and none for what follows: it would come before what is missing.
        backlog.push(&news("a", What::Told(Event::Fault)));
        assert_eq!(backlog.content().take().unwrap(), "INSTANCE \"a\" BACKUP 100\n");
        backlog.push(&news("b", What::Told(Event::Backup)));
        let moved = News { priority: 90, ..news("b", What::Priority { is_master: false }) };
        backlog.push(&moved);
        let lines = take_all(&backlog);
        let (waited, told) = lines.split_at(LINES_MAX - 1);
        assert!(waited.iter().all(|line| line == "INSTANCE \"b\" MASTER 100\n"));
        assert_eq!(told, ["INSTANCE \"a\" FAULT 100\n", "INSTANCE \"b\" BACKUP 90\n"]);
        assert_eq!(backlog.status()["lost"], 3);
        backlog.push(&news("a", What::Told(Event::LowerMaster)));
        assert_eq!(take_all(&backlog), ["INSTANCE \"a\" MASTER_RX_LOWER_PRI 100\n"]);
    }

    #[test]
    fn another_fifo_gets_what_waits_and_then_the_state_of_everything() {
        let backlog = Backlog::new("x".to_owned());
        backlog.push(&news("a", What::Told(Event::Backup)));
        assert_eq!(take_all(&backlog).len(), 1);
        backlog.push(&news("a", What::Told(Event::Master)));
        backlog.begin_anew(1);
        let line = "INSTANCE \"a\" MASTER 100\n";
        assert_eq!(take_all(&backlog), [line, line]);
        let status = backlog.status();
        assert_eq!((&status["lost"], &status["reopened"]), (&json!(1), &json!(1)));
    }
}
