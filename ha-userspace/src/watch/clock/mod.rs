//! Whether the wall clock of the host can be trusted. Failover does not depend on it, its time is
//! [`crate::clock::now`]; but whoever compares the logs of a pair does.

mod alarm;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use self::alarm::{Budget, KernelAlarms, Line};
use crate::{clock, io::adjtimex::KernelClock};

/// From one look to the next.
const INTERVAL: Duration = Duration::from_secs(32);

/// Looks at the clock for as long as it is there.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    look: watch::Receiver<Look>,
    _task: JoinSet<()>,
}

/// What one look at the clock has shown.
#[derive(Clone, Debug)]
struct Look {
    /// `Err`: why the kernel does not say.
    kernel: Result<KernelClock, String>,
    /// Lines that the log was spared.
    lines_left_out: u64,
}

impl ClockWatch {
    /// Needs a runtime of tokio, and does not hold it up.
    pub(crate) fn start() -> Self {
        let first = Look { kernel: ask_kernel(), lines_left_out: 0 };
        if let Err(error) = &first.kernel {
            warn!("the kernel does not say how good its clock is: {error}");
        }
        let (tell, look) = watch::channel(first);
        let mut task = JoinSet::new();
        task.spawn(attend(tell));
        Self { look, _task: task }
    }

    /// For `status.json`.
    pub(crate) fn status(&self) -> Value {
        let Look { kernel, lines_left_out } = &*self.look.borrow();
        let kernel = match kernel {
            Ok(clock) => json!({
                "is_synchronised": clock.is_synchronised(),
                "max_error_ms": millis(clock.max_error),
                "estimated_error_ms": millis(clock.estimated_error),
            }),
            Err(error) => json!({ "error": error }),
        };
        json!({ "kernel": kernel, "lines_left_out": lines_left_out })
    }
}

/// Looks at the clock until nobody wants to know.
async fn attend(tell: watch::Sender<Look>) {
    let mut alarms = KernelAlarms::default();
    let mut budget = Budget::default();
    let mut turns = interval(INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !tell.is_closed() {
        turns.tick().await;
        let kernel = ask_kernel();
        if let Some(line) = kernel.as_ref().ok().and_then(|clock| alarms.hear(*clock)) {
            say(&line, &mut budget);
        }
        tell.send_replace(Look { kernel, lines_left_out: budget.left_out() });
    }
}

fn ask_kernel() -> Result<KernelClock, String> {
    KernelClock::read().map_err(|error| error.to_string())
}

fn say(Line { is_warning, text }: &Line, budget: &mut Budget) {
    match (budget.take(clock::now()), is_warning) {
        (true, true) => warn!("{text}"),
        (true, false) => info!("{text}"),
        (false, _) => {}
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
