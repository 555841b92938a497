//! The operator's programs: check scripts whose exit code is tracked, and notify scripts.
//!
//! All of it runs on the main thread. Every run has a time limit, every queue a bound.

pub(crate) mod launch;
pub(crate) mod notify;
pub(crate) mod track;

mod child;
