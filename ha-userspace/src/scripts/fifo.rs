//! Notification FIFOs: a line for each change, in order, for whoever reads.
//!
//! Nobody waits for a reader. What it is behind with waits here up to a bound; beyond that lines are
//! lost and counted, and as soon as it reads again it is told the state of everything. So is whoever
//! reads the FIFO that is made in the place of one that somebody has removed.

mod backlog;
mod open;

use std::{future, pin::pin, sync::Arc, time::Duration};

use ha_config::{Command, Place};
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    sync::{Semaphore, watch},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use tracing::{error, info, warn};

use self::{backlog::Backlog, open::Opened};
use crate::{
    clock,
    plan::Plan,
    scripts::{child, news::News},
    status::figures::Figures,
};

/// Scripts of FIFOs: one each.
static SLOTS: Semaphore = Semaphore::const_new(2);
/// From the end of a FIFO's script to its next start, the first time; doubled each time in a row.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Between tries to open a FIFO, at most: whoever has put right what is wrong waits so long.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// At the stop: how often a pipe is looked at that its reader has not emptied.
const LOOK: Duration = Duration::from_millis(10);

/// The FIFOs of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Fifos(Vec<Fifo>);

/// How far the end of a FIFO has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    NotYet,
    /// What waits is the last; who reads may read it.
    Near,
    /// The script is to end.
    Now,
}

/// Until `end` is what it is to be; for ever, if nobody can say so any more.
async fn until(end: &watch::Receiver<End>, is_it: impl FnMut(&End) -> bool) {
    if end.clone().wait_for(is_it).await.is_err() {
        future::pending::<()>().await;
    }
}

#[derive(Debug)]
struct Fifo {
    config: ha_config::Fifo,
    backlog: Arc<Backlog>,
    end: watch::Sender<End>,
    /// Dropped, it is closed and its script killed.
    tasks: JoinSet<()>,
}

impl Fifos {
    /// Opens what `plan` has. Who is there already, as it is to be, goes on.
    pub(crate) fn run(&mut self, plan: &Plan) {
        let is_wanted = |fifo: &Fifo| plan.fifos.iter().any(|one| is_same(one, &fifo.config));
        self.0.retain(is_wanted);
        for config in &plan.fifos {
            if !self.0.iter().any(|fifo| is_same(config, &fifo.config)) {
                self.0.push(Fifo::start(config.clone()));
            }
        }
        for fifo in &self.0 {
            fifo.backlog.retain(plan);
        }
    }

    pub(crate) fn tell(&self, news: &News) {
        for fifo in &self.0 {
            fifo.backlog.push(news);
        }
    }

    /// Tells the state of everything (`fifo_write_vrrp_states_on_reload`).
    pub(crate) fn tell_states(&self) {
        for fifo in &self.0 {
            fifo.backlog.push_states();
        }
    }

    /// For `status.json`.
    pub(crate) fn status(&self) -> Vec<Value> {
        self.0.iter().map(|fifo| fifo.backlog.status()).collect()
    }

    /// For the metrics.
    pub(crate) fn count(&self, figures: &mut Figures) {
        figures.fifos = self.0.iter().map(|fifo| fifo.backlog.figures()).collect();
    }

    /// Lets readers read what waits and scripts end, for at most `limit` (`child_wait_time`).
    pub(crate) async fn drain(self, limit: Duration) {
        let mut all = JoinSet::new();
        for fifo in self.0 {
            all.spawn(fifo.drain(limit));
        }
        while all.join_next().await.is_some() {}
    }
}

/// Whether they differ only in where they stand in the file.
fn is_same(one: &ha_config::Fifo, other: &ha_config::Fifo) -> bool {
    let bare = |fifo: &ha_config::Fifo| {
        let place = || Place::line(0);
        let script = fifo.script.clone().map(|script| Command { place: place(), ..script });
        ha_config::Fifo { script, place: place(), ..fifo.clone() }
    };
    bare(one) == bare(other)
}

impl Fifo {
    fn start(config: ha_config::Fifo) -> Self {
        let backlog = Arc::new(Backlog::new(config.path.clone()));
        let (end, ending) = watch::channel(End::NotYet);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(config.clone(), Arc::clone(&backlog), ending));
        Self { config, backlog, end, tasks }
    }

    async fn drain(self, limit: Duration) {
        let Self { config, backlog, end, mut tasks } = self;
        backlog.close();
        end.send_replace(End::Near);
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        let mut all_ended = pin!(all_ended);
        if timeout(limit, &mut all_ended).await.is_err() {
            let limit = limit.as_secs_f64();
            warn!(
                "{}: not read to its end, or its script did not end, within {limit} s \
                 (child_wait_time)",
                config.path
            );
            end.send_replace(End::Now);
            // The script gets a moment to clean up, and is killed then.
            timeout(child::GRACE * 2, all_ended).await.ok();
        }
    }
}

/// Writes until the backlog is closed and empty, while the script runs.
async fn serve(config: ha_config::Fifo, backlog: Arc<Backlog>, end: watch::Receiver<End>) {
    let path = &config.path;
    let (over, is_over) = watch::channel(false);
    let mut script = JoinSet::new();
    let has_script = config.script.is_some();
    let mut pause = PAUSE_MIN;
    while let Some(mut opened) = open(&config, &backlog).await {
        if script.is_empty()
            && let Some(command) = config.script.clone()
        {
            let (end, over) = (end.clone(), is_over.clone());
            script.spawn(keep_running(command, path.clone(), end, over));
        }
        let since = clock::now();
        // A script may not have opened it yet.
        let nears = until(&end, |end| !has_script && *end != End::NotYet);
        let left = write(&mut opened, &backlog, nears).await;
        if left == Left::Nothing {
            over.send_replace(true);
            if !has_script {
                opened.stop_reading();
            }
            tokio::select! {
                () = opened.await_empty(LOOK) => {}
                () = until(&end, |end| *end == End::Now) => {}
            }
            break;
        }
        let unread = opened.take_unread();
        // Its readers see the end of the file.
        drop(opened);
        warn!(
            "{path}: it is not there any more, nor {unread} lines that nobody has read: it is opened again"
        );
        backlog.begin_anew(unread);
        if clock::now().since(since) >= PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        if timeout(pause, backlog.closed()).await.is_ok() {
            break;
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
    over.send_replace(true);
    while script.join_next().await.is_some() {}
}

/// Opens the FIFO, as soon as that can be done; `None`: nothing is to be written any more.
async fn open(config: &ha_config::Fifo, backlog: &Backlog) -> Option<Opened> {
    let ha_config::Fifo { path, place, .. } = config;
    let mut pause = PAUSE_MIN;
    loop {
        let (at, owner) = (path.clone(), config.user.clone());
        // A disk or a name service may keep it waiting.
        let opened = spawn_blocking(move || Opened::new(&at, owner.as_ref())).await;
        match opened.unwrap_or_else(|_panic| Err("opening it failed".to_owned())) {
            Ok(opened) => {
                if backlog.set_error(None) {
                    info!("{path}: it is written to");
                }
                return Some(opened);
            }
            Err(error) => {
                if backlog.set_error(Some(error.clone())) {
                    error!("nothing is written to the FIFO {path} ({place}): {error}");
                }
            }
        }
        if timeout(pause, backlog.closed()).await.is_ok() {
            return None;
        }
        pause = RETRY_MAX.min(pause * 2);
    }
}

/// What is left when no more can be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Left {
    /// All is written.
    Nothing,
    /// It is not there any more.
    Lines,
}

/// As soon as the end `nears`, nothing waits any more for a reader that is not there.
async fn write(opened: &mut Opened, backlog: &Backlog, nears: impl Future<Output = ()>) -> Left {
    let mut gone = pin!(opened.node().gone());
    let mut nears = pin!(nears);
    let mut is_near = false;
    loop {
        let line = tokio::select! {
            line = backlog.next() => line,
            () = &mut gone => return Left::Lines,
        };
        let Some(line) = line else { return Left::Nothing };
        let mut is_written = false;
        while !is_written {
            tokio::select! {
                written = opened.pipe.write_all(line.as_bytes()) => {
                    is_written = true;
                    if written.is_err() {
                        backlog.lose();
                    }
                }
                // A line is written whole or not at all (pipe(7)), so that it can be begun again.
                () = &mut nears, if !is_near => {
                    is_near = true;
                    opened.stop_reading();
                }
                () = &mut gone => {
                    backlog.lose();
                    return Left::Lines;
                }
            }
        }
    }
}

/// A FIFO without its script is read by nobody: it is started again.
async fn keep_running(
    command: Command,
    path: String,
    end: watch::Receiver<End>,
    mut is_over: watch::Receiver<bool>,
) {
    let program = command.argv.join(" ");
    let mut pause = PAUSE_MIN;
    let arguments = [path.clone()];
    let is_now = |end: &End| *end == End::Now;
    while !is_now(&end.borrow()) {
        let asked = until(&end, is_now);
        let run = child::run_until(&command, &arguments, &[], asked, &SLOTS).await;
        if run.duration >= PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        info!("{path}: its script {program} ({}): {run}", command.place);
        run.finish().await;
        if *is_over.borrow() {
            return;
        }
        let ends = async {
            tokio::select! {
                () = until(&end, is_now) => {}
                _ = is_over.changed() => {}
            }
        };
        if timeout(pause, ends).await.is_ok() {
            return;
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use ha_core::Event;

    use super::*;
    use crate::scripts::news::{Kind, What};

    const LONG: Duration = Duration::from_mins(1);

    /// More than fits into the pipe.
    #[tokio::test]
    async fn a_reader_that_is_not_there_does_not_hold_up_the_end() {
        let path = env::temp_dir().join(format!("ha-fifo-unread-{}", process::id()));
        let path = path.into_os_string().into_string().unwrap();
        let config = ha_config::Fifo { path, user: None, script: None, place: Place::line(1) };
        let fifo = Fifo::start(config.clone());
        for _ in 0..5_000 {
            let (name, what) = ("VI_1".to_owned(), What::Told(Event::Backup));
            let reason = String::new();
            fifo.backlog.push(&News { kind: Kind::Instance, name, what, priority: 100, reason });
        }
        timeout(LONG, fifo.drain(LONG * 10)).await.expect("it ends at once");
        assert!(fs::symlink_metadata(&config.path).is_err());
    }
}
