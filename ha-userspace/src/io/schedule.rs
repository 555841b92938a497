//! How the engine thread is scheduled, and that its memory stays in RAM.

use std::io;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Policy {
    /// `SCHED_DEADLINE`, or fail.
    Deadline,
    /// `SCHED_FIFO`, or fail.
    Fifo,
    /// The normal policy.
    Other,
    /// The best that can be had.
    #[default]
    Auto,
}

/// What was got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// In words, for the status.
    pub(crate) description: String,
    /// What is worse than it could be, and what to do about it.
    pub(crate) warning: Option<String>,
}

/// Schedules the calling thread.
pub(crate) fn apply(_policy: Policy) -> io::Result<Outcome> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Keeps the process's memory in RAM; says what to do if it cannot.
pub(crate) fn lock_memory() -> Option<String> {
    None
}
