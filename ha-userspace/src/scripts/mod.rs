//! Programs that are run: check scripts whose exit code is tracked, notify scripts, tools.
//!
//! All of it runs on the main thread. Every run has a time limit, every queue a bound.

pub(crate) mod child;
pub(crate) mod fifo;
mod group;
pub(crate) mod hook;
pub(crate) mod launch;
pub(crate) mod news;
pub(crate) mod notify;
pub(crate) mod outcome;
pub(crate) mod security;
