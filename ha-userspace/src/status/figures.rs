//! What is counted beside the engine thread, for metrics.

use std::{collections::BTreeMap, time::Duration};

use ha_core::State;

use crate::histogram::Histogram;

/// Counts of the daemon since its start.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) moves: Moves,
    /// Runs of notify scripts, all together.
    pub(crate) notify_runs: Histogram,
    pub(crate) notified: Vec<Notified>,
    pub(crate) fifos: Vec<Fifo>,
    pub(crate) mails: Mails,
    pub(crate) scripts: Vec<Checked>,
    pub(crate) processes: Vec<Tracked>,
    pub(crate) units: Vec<Tracked>,
    /// Names of tracked files, and the numbers in them.
    pub(crate) files: Vec<(String, i32)>,
    pub(crate) clock: Clock,
}

/// Changes of state, of all instances together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    /// Where to, the cause's name for programs, how often.
    pub(crate) counts: BTreeMap<(State, &'static str), u64>,
    /// From a deadline, or else from the decision, until addresses were set and announced.
    pub(crate) takeovers: Histogram,
}

/// Who has notify scripts.
#[derive(Debug)]
pub(crate) struct Notified {
    pub(crate) name: String,
    pub(crate) runs: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) last: Option<Duration>,
}

/// A notification FIFO.
#[derive(Debug)]
pub(crate) struct Fifo {
    pub(crate) path: String,
    /// Lines.
    pub(crate) lost: u64,
    pub(crate) reopened: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Mails {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
}

/// A tracked script.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) name: String,
    /// `None` before the first verdict.
    pub(crate) is_up: Option<bool>,
    pub(crate) runs: Histogram,
}

/// What a `vrrp_track_process` or `vrrp_track_unit` tracks.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) name: String,
    /// `None` before the first verdict.
    pub(crate) is_up: Option<bool>,
    /// Of processes: how many there are.
    pub(crate) count: Option<u32>,
    /// Within `restart_window`, at most one more than `max_restarts`. `None`: they are not counted.
    pub(crate) starts: Option<usize>,
}

/// The host's wall clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// Whether it is synchronised, and the bound of its error, as the kernel has them.
    pub(crate) kernel: Option<(bool, Duration)>,
    /// Time servers that have answered, and by how many seconds the clock is off.
    pub(crate) servers: Vec<(String, f64)>,
}
