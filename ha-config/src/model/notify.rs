//! Who is told of transitions, and which programs are run at the daemon's start and stop.

use core::time::Duration;

use super::{Command, ScriptUser};
use crate::diagnostic::Place;

/// Scripts to run on transitions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notify {
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`: when the daemon stops.
    pub stop: Option<Command>,
    /// `notify_deleted`, with or without a script: an instance that a reload leaves out is told as
    /// DELETED. Without it, as FAULT. Not of a group.
    pub tells_deleted: bool,
    /// The script of `notify_deleted`.
    pub deleted: Option<Command>,
    /// `notify_master_rx_lower_pri`: a Master has heard another one that has to yield. Not of a group.
    pub lower_master: Option<Command>,
    /// `notify`: on every transition, with `GROUP|INSTANCE name STATE priority` appended.
    pub any: Option<Command>,
    /// `notify_priority_changes`: FIFOs are told of other effective priorities (of a group: of its
    /// members').
    pub priority_changes: bool,
    /// `notify_coalesce`: of states that wait for their scripts only the last one is told.
    pub coalesce: bool,
}

/// `notify_fifo`, `vrrp_notify_fifo`: a named pipe that is told of every transition, a line each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fifo {
    /// Its path; made if it is not there.
    pub path: String,
    /// Whose it is. `None`: the user's whom the daemon runs as.
    pub user: Option<ScriptUser>,
    /// `notify_fifo_script`, `vrrp_notify_fifo_script`: reads it, and gets its path as its last
    /// argument.
    pub script: Option<Command>,
    /// The line of the file.
    pub place: Place,
}

/// What is run and waited for at the daemon's start and stop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lifecycle {
    /// `startup_script`: before any instance starts.
    pub startup: Hook,
    /// `shutdown_script`: when all instances have stopped.
    pub shutdown: Hook,
    /// `child_wait_time`: how long the last notifications may take at a stop; default 5 s.
    pub child_wait_time: Duration,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            startup: Hook::default(),
            shutdown: Hook::default(),
            child_wait_time: Duration::from_secs(5),
        }
    }
}

/// A script that is run once, and waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// What to run, if anything.
    pub command: Option<Command>,
    /// It is ended after this; 1 to 1000 s, default 10 s.
    pub timeout: Duration,
}

impl Default for Hook {
    fn default() -> Self {
        Self { command: None, timeout: Duration::from_secs(10) }
    }
}
