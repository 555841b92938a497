//! Processes that are counted.

use core::time::Duration;

use super::Weight;
use crate::diagnostic::Place;

/// `vrrp_track_process NAME`: processes of the host that have to be there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// The block's name.
    pub name: String,
    /// `process`: the name, or as the command was typed; then its parameters. Never empty.
    pub command: Vec<String>,
    /// Which processes it means.
    pub matching: ProcessMatch,
    /// `weight`; default 0. Where it is tracked it may be overridden: see
    /// [`TrackProcess::weight`], which is the one to use. -254 to 254.
    pub weight: Weight,
    /// `quorum`: fewer are a failure; default 1, and 0 with a [`Process::quorum_max`] of 0.
    pub quorum: u32,
    /// `quorum_max`: more are a failure; at least [`Process::quorum`]. `None`: there is no limit.
    pub quorum_max: Option<u32>,
    /// `fork_delay` or `delay`: what a fork changes counts after this time; default 0.
    pub fork_delay: Duration,
    /// `terminate_delay` or `delay`: what an end changes counts after this time; default 0.
    pub terminate_delay: Duration,
    /// `max_restarts`, `restart_window`. `None`: starts are not counted.
    pub restarts: Option<RestartLimit>,
    /// The line of the block's head.
    pub place: Place,
}

impl Process {
    /// Whether both look for the same processes under the same name: what is known of one is known
    /// of the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.command == other.command && self.matching == other.matching
    }
}

/// What of a process is compared with [`Process::command`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProcessMatch {
    /// Its name alone (`/proc/PID/comm`, 15 bytes), as there are no parameters.
    Name,
    /// `full_command`: its command line, parameter by parameter; without parameters only the
    /// command.
    Command,
    /// `param_match partial`: its command line may have more parameters.
    Partial,
    /// `param_match initial`: its command line goes on in any way, even within the last parameter.
    Initial,
}

/// When a process that is started again and again counts as failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RestartLimit {
    /// `max_restarts`: more starts than this within the window are a failure; 1 to 1000.
    pub max: u32,
    /// `restart_window`: 1 s to a day, default 600 s. As long without a start, and the failure is
    /// over.
    pub window: Duration,
}

/// One line of `track_process`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackProcess {
    /// A name in [`super::Config::processes`].
    pub process: String,
    /// `weight N [reverse]`; default is the process's own weight. -254 to 254.
    pub weight: Weight,
    /// The line of the file.
    pub place: Place,
}
