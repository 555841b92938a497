//! `vrrp_script`: programs that are run again and again, and whose exit code is the verdict.

use std::time::Duration;

use ha_config::Script;
use ha_core::{TrackerId, Verdict};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, info, warn};

use super::opinion::Opinion;
use crate::{
    engine::{Command, Words},
    histogram::Histogram,
    scripts::{child, outcome::Outcome},
    status::figures::Checked,
};

/// Runs at one time, of all check scripts together. Those of notify scripts are counted apart: a
/// service that hangs its checks must not keep the operator from being told.
static SLOTS: Semaphore = Semaphore::const_new(64);
/// A `vrrp_script` cannot run more often than this, whatever its interval says.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// What is known of a script.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The verdict.
    is_up: Option<bool>,
    /// The last run that failed.
    last_failure: Option<Outcome>,
    runs: Histogram,
}

impl Standing {
    /// For `status.json`.
    pub(super) fn status(&self, name: &str) -> Value {
        let last_failure = self.last_failure.as_ref().map(Outcome::status);
        json!({ "name": name, "is_up": self.is_up, "last_failure": last_failure })
    }

    /// For the metrics.
    pub(super) fn checked(&self, name: &str) -> Checked {
        Checked { name: name.to_owned(), is_up: self.is_up, runs: self.runs.clone() }
    }
}

/// Runs `script` for ever and tells the verdict on `tracker` whenever it changes; ends when nobody listens.
pub(super) async fn watch(
    script: Script,
    tracker: TrackerId,
    commands: mpsc::Sender<Command>,
    standing: watch::Sender<Standing>,
) {
    // keepalived: the first run decides by itself, also against what `init_fail` says before it.
    let mut opinion = Opinion::new(script.rise, script.fall, None);
    standing.send_modify(|standing| standing.is_up = script.init_fail.then_some(false));
    if script.init_fail {
        let words = Words::new("init_fail, and it has not run yet");
        let command = Command::Tracker { tracker, verdict: Verdict::Down, words };
        if commands.send(command).await.is_err() {
            return;
        }
    }
    let mut turns = interval(script.interval.max(INTERVAL_MIN));
    // A run that takes longer than its interval puts the next one off: no two at a time.
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        turns.tick().await;
        let run = child::run(&script.command, &[], script.timeout, &SLOTS).await;
        debug!("script {}: {run}", script.name);
        let change = opinion.hear(run.is_success());
        standing.send_modify(|standing| {
            standing.is_up = opinion.up;
            standing.runs.add(run.duration);
            if !run.is_success() {
                standing.last_failure = Some(run.outcome());
            }
        });
        if let Some(up) = change {
            if up {
                info!("script {} succeeds: {run}", script.name);
            } else {
                warn!("script {} fails: {run}", script.name);
            }
            let words = Words::new(&run.to_string());
            let command = Command::Tracker { tracker, verdict: up.into(), words };
            if commands.send(command).await.is_err() {
                return;
            }
        }
        run.finish().await;
    }
}

#[cfg(test)]
mod tests {
    use ha_config::Place;
    use tokio::time::timeout;

    use super::*;

    fn script(text: &str, init_fail: bool) -> Script {
        let argv = ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
        Script {
            name: "chk".to_owned(),
            command: ha_config::Command { argv, user: None, place: Place::line(1) },
            interval: Duration::from_millis(5),
            timeout: Duration::from_secs(1),
            weight: ha_config::Weight::default(),
            rise: 1,
            fall: 1,
            init_fail,
            place: Place::line(1),
        }
    }

    /// The first verdicts of a script.
    async fn verdicts<const N: usize>(script: Script) -> [bool; N] {
        let (commands, mut queue) = mpsc::channel(1);
        let (standing, _) = watch::channel(Standing::default());
        let task = tokio::spawn(watch(script, TrackerId(3), commands, standing));
        let mut verdicts = [false; N];
        for verdict in &mut verdicts {
            let command = timeout(Duration::from_secs(20), queue.recv()).await.unwrap().unwrap();
            let Command::Tracker { tracker: TrackerId(3), verdict: heard, .. } = command else {
                panic!("{command:?}");
            };
            *verdict = heard == Verdict::Up;
        }
        task.abort();
        verdicts
    }

    #[tokio::test]
    async fn only_changes_are_told() {
        // Succeeds three times, fails ever after.
        let count = std::env::temp_dir().join(format!("ha-track-{}", std::process::id()));
        let text = format!("echo >>{0}; test $(wc -l <{0}) -le 3", count.display());
        assert_eq!(verdicts(script(&text, false)).await, [true, false]);
        std::fs::remove_file(count).unwrap();
    }

    #[tokio::test]
    async fn the_last_failure_is_remembered_with_the_end_of_its_output() {
        let (commands, mut queue) = mpsc::channel(1);
        let (standing, told) = watch::channel(Standing::default());
        assert_eq!(told.borrow().status("chk")["is_up"], Value::Null);
        let text = "head -c 9000 /dev/zero | tr '\\0' x; echo end; exit 3";
        let task = tokio::spawn(watch(script(text, false), TrackerId(3), commands, standing));
        timeout(Duration::from_secs(20), queue.recv()).await.unwrap().unwrap();
        let status = told.borrow().status("chk");
        task.abort();
        assert_eq!(status["is_up"], false);
        assert_eq!(status["last_failure"]["exit_code"], 3);
        let output = status["last_failure"]["output"].as_str().unwrap();
        assert_eq!((output.len(), output.ends_with("xxend\n")), (4096, true));
    }

    #[tokio::test]
    async fn init_fail_is_down_before_the_first_run() {
        let slow = Script { rise: 1_000, ..script("exit 0", true) };
        assert_eq!(verdicts(slow).await, [false, true]);
    }

    #[tokio::test]
    async fn taking_too_long_is_a_failure() {
        assert_eq!(verdicts(script("sleep 1000", false)).await, [false]);
    }
}
