//! What is copied for a record, on the engine thread.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::{self, TrySendError},
};

use ha_core::{
    Action, Input, Instant, Reload,
    story::{KeptInput, Names},
};

use crate::plan::Plan;

/// Takes copies on the engine thread.
#[derive(Debug)]
pub(crate) struct Tap {
    /// `None` once nobody writes any more.
    pub(super) queue: Option<mpsc::SyncSender<Entry>>,
    /// Inputs that the queue had no room for.
    lost: Arc<AtomicU64>,
    /// How often the engine has gone on with another plan.
    reloads: u32,
    /// What it goes on with, until there is room for it: without it, nothing after it can be read.
    next: Option<Box<Next>>,
}

/// What happened to the engine, and what was decided.
#[derive(Debug)]
pub(super) struct Entry {
    /// So many inputs were lost before this one, of all since the start.
    pub(super) lost: u64,
    pub(super) at: Instant,
    pub(super) step: Step,
    pub(super) actions: Vec<Action>,
    /// The engine had gone on with so many other plans by then.
    pub(super) reloads: u32,
    pub(super) next: Option<Box<Next>>,
}

#[derive(Debug)]
pub(super) enum Step {
    Input(KeptInput),
    StopFor,
    Reload,
}

/// What an engine goes on with.
#[derive(Debug)]
pub(super) struct Next {
    /// From 1.
    pub(super) number: u32,
    pub(super) names: Names,
    pub(super) reload: Reload,
}

/// None of these waits.
impl Tap {
    pub(super) fn new(queue: mpsc::SyncSender<Entry>, lost: Arc<AtomicU64>) -> Self {
        Self { queue: Some(queue), lost, reloads: 0, next: None }
    }

    pub(crate) fn note(&mut self, at: Instant, input: Input<'_>, actions: &[Action]) {
        self.send(at, || Step::Input(input.into()), actions);
    }

    /// [`ha_core::Engine::stop_for`]; `plan` is what comes next.
    pub(crate) fn note_stop_for(
        &mut self,
        at: Instant,
        plan: &Plan,
        reload: &Reload,
        actions: &[Action],
    ) {
        if self.queue.is_some() {
            let (number, reload) = (self.reloads.saturating_add(1), reload.clone());
            self.next = Some(Box::new(Next { number, names: super::names(plan), reload }));
        }
        self.send(at, || Step::StopFor, actions);
    }

    /// [`ha_core::Engine::reload`], after [`Self::note_stop_for`].
    pub(crate) fn note_reload(&mut self, at: Instant, actions: &[Action]) {
        self.reloads = self.reloads.saturating_add(1);
        self.send(at, || Step::Reload, actions);
    }

    fn send(&mut self, at: Instant, step: impl FnOnce() -> Step, actions: &[Action]) {
        let Some(queue) = &self.queue else { return };
        let lost = self.lost.load(Ordering::Relaxed);
        let (actions, reloads, next) = (actions.to_vec(), self.reloads, self.next.take());
        match queue.try_send(Entry { lost, at, step: step(), actions, reloads, next }) {
            Ok(()) => {}
            Err(TrySendError::Full(entry)) => {
                self.next = entry.next;
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => self.queue = None,
        }
    }
}
