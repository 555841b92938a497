//! The engine thread's only timer.

use std::io;

use ha_core::Instant;

/// A one-shot timer on `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub(crate) struct Timer {}

impl Timer {
    /// Must be called inside the engine thread's runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Arms the timer for `at`, or disarms it; a time in the past fires at once.
    pub(crate) fn set(&mut self, _at: Option<Instant>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits until the timer fires. Can be dropped and called again without losing anything.
    pub(crate) async fn expired(&mut self) {}
}
