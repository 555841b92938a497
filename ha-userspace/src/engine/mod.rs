//! The engine thread: one loop that feeds the engine and carries out what it wants.
//!
//! Nothing here forks, logs, or touches a file: what takes time is sent to the main thread.

use std::{net::IpAddr, time::Duration};

use ha_core::{Action, Instant, State, Statistics, TrackerId};
use tokio::sync::oneshot;

/// What the rest of the daemon asks of the engine thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// A script's verdict.
    Tracker { tracker: TrackerId, up: bool },
    /// Say how things are.
    Status(oneshot::Sender<Snapshot>),
    /// Release everything and end.
    Shutdown,
}

/// What the engine thread tells the rest of the daemon: actions that concern people and scripts.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) at: Instant,
    pub(crate) message: Message,
}

/// The content of a [`Report`].
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// `Transition`, `Notify`, `Priority`, `Rejected` or `Late`; never one of those carried out on
    /// the engine thread. `Rejected` comes once an instance and ten seconds at most.
    Engine(Action),
    /// Something that could not be done, in one sentence for the operator.
    Trouble(String),
}

/// How things are at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: Instant,
    /// Scheduling policy of the engine thread, in words.
    pub(crate) scheduling: String,
    /// By `InstanceId`.
    pub(crate) instances: Vec<InstanceSnapshot>,
    pub(crate) interfaces: Vec<InterfaceSnapshot>,
    /// Reports that the main thread was too slow to take.
    pub(crate) reports_lost: u64,
}

/// How an instance is.
#[derive(Clone, Debug)]
pub(crate) struct InstanceSnapshot {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) priority: u8,
    pub(crate) source: Option<IpAddr>,
    /// The Master heard last.
    pub(crate) master: Option<(IpAddr, u8)>,
    /// Time since the last advertisement that counted.
    pub(crate) heard_ago: Option<Duration>,
    pub(crate) statistics: Statistics,
}

/// How an interface is.
#[derive(Clone, Debug)]
pub(crate) struct InterfaceSnapshot {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) is_up: bool,
    /// `native`, `generic` or `off`.
    pub(crate) xdp: &'static str,
    /// Frames by what became of them, all CPUs together.
    pub(crate) counters: Vec<(&'static str, u64)>,
}
