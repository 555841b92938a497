//! What is remembered of a run that is over.

use std::time::Duration;

use serde_json::{Value, json};

/// How it ended; at most one of the first three is there.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) error: Option<String>,
    pub(super) duration: Duration,
    /// The end of what it printed.
    pub(super) output: String,
}

impl Outcome {
    /// For `status.json`.
    pub(crate) fn status(&self) -> Value {
        json!({
            "exit_code": self.exit_code,
            "signal": self.signal,
            "error": self.error,
            "duration_ms": self.duration.as_secs_f64() * 1e3,
            "output": self.output,
        })
    }
}
