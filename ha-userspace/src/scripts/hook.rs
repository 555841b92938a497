//! `startup_script` and `shutdown_script`: run once, and waited for.

use ha_config::Hook;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::scripts::child;

static SLOTS: Semaphore = Semaphore::const_new(1);

/// Runs it; whether it succeeds changes nothing, as with keepalived. `keyword` is what it is called.
pub(crate) async fn run(keyword: &str, hook: &Hook) {
    let Some(command) = &hook.command else { return };
    let program = command.argv.join(" ");
    info!("{keyword} {program} runs, for {} s at most", hook.timeout.as_secs_f64());
    let run = child::run(command, &[], hook.timeout, &SLOTS).await;
    if run.is_success() {
        info!("{keyword} {program}: {run}");
    } else {
        warn!("{keyword} {program} ({}): {run}", command.place);
    }
    run.finish().await;
}
