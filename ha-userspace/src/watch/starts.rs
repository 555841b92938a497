//! `max_restarts` and `restart_window`: whether something is started again and again. Pure.

use std::collections::VecDeque;

use ha_config::RestartLimit;
use ha_core::Instant;
use serde_json::{Value, json};

/// The starts of one thing, as far back as they count.
#[derive(Debug)]
pub(super) struct Starts {
    limit: Option<RestartLimit>,
    /// Within the window, at most one more than are allowed.
    at: VecDeque<Instant>,
    is_storm: bool,
}

impl Starts {
    pub(super) fn new(limit: Option<RestartLimit>) -> Self {
        Self { limit, at: VecDeque::new(), is_storm: false }
    }

    /// Counts by another limit from now on.
    pub(super) fn follow(&mut self, limit: Option<RestartLimit>) {
        self.limit = limit;
        if limit.is_none() {
            self.forgive();
        }
        let most = self.most();
        while self.at.len() > most {
            self.at.pop_front();
        }
    }

    /// It was started.
    pub(super) fn note(&mut self, now: Instant) {
        let Some(RestartLimit { window, .. }) = self.limit else { return };
        while self.at.front().is_some_and(|first| *first + window <= now) {
            self.at.pop_front();
        }
        let most = self.most();
        if self.at.len() == most {
            self.at.pop_front();
        }
        self.at.push_back(now);
        self.is_storm |= self.at.len() == most;
    }

    /// The window is clean, if it is.
    pub(super) fn elapse(&mut self, now: Instant) {
        if self.end().is_some_and(|end| end <= now) {
            self.forgive();
        }
    }

    /// Starts so far are forgotten: the window is clean, or an operator says so.
    pub(super) fn forgive(&mut self) {
        self.is_storm = false;
        self.at.clear();
    }

    /// Whether there were too many.
    pub(super) const fn is_storm(&self) -> bool {
        self.is_storm
    }

    /// When the window is clean after too many.
    pub(super) fn end(&self) -> Option<Instant> {
        let limit = self.limit.filter(|_| self.is_storm)?;
        self.at.back().map(|last| *last + limit.window)
    }

    /// That there were too many, for the operator.
    pub(super) fn why(&self) -> String {
        let (max, window) =
            self.limit.map_or((0, 0.0), |limit| (limit.max, limit.window.as_secs_f64()));
        let (starts, unit) = (self.at.len(), if max == 1 { "is" } else { "are" });
        format!(
            "started {starts} times within {window} s, {max} {unit} allowed; this lasts until there \
             was no start for {window} s"
        )
    }

    /// How many there were within the window: at most one more than are allowed. `None`: nobody counts.
    pub(super) fn within(&self, now: Instant) -> Option<usize> {
        let RestartLimit { window, .. } = self.limit?;
        Some(self.at.iter().filter(|at| **at + window > now).count())
    }

    /// For `status.json`.
    pub(super) fn status(&self, now: Instant) -> Option<Value> {
        let RestartLimit { max, window } = self.limit?;
        Some(json!({ "within_window": self.within(now), "max_restarts": max,
            "restart_window_s": window.as_secs_f64(), "is_storm": self.is_storm }))
    }

    fn most(&self) -> usize {
        let max = self.limit.map_or(0, |limit| limit.max);
        usize::try_from(max).unwrap_or(0).saturating_add(1)
    }
}
