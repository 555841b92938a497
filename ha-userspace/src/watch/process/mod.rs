//! `vrrp_track_process`: processes of the host, counted as they come and go.
//!
//! On a thread of its own, which waits for events and reads `/proc`: neither the engine nor the main
//! thread is late because a host starts thousands of processes, and a verdict does not wait for
//! what the main thread has to do.

mod census;
mod judge;
mod pattern;
mod sight;
mod source;
#[cfg(test)]
mod storm;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    thread,
};

use ha_config::Process;
use ha_core::TrackerId;
use tokio::{
    runtime,
    sync::{mpsc, watch},
};
use tracing::{error, warn};

pub(crate) use self::source::Event;
use self::{
    census::Census,
    judge::Judge,
    pattern::Pattern,
    sight::Sight,
    source::{News, Source},
};
use super::{
    judges::{Ruled, Shared, Verdicts, locked, tell_all},
    pause,
};
use crate::{
    cli::ProcessEvents,
    clock,
    engine::Command,
    plan::{Plan, TrackerPlan},
};

/// What is tracked, by the engine's numbers.
pub(super) type Wanted = BTreeMap<TrackerId, Process>;

/// What is thought of the processes that run now. Needs a runtime of tokio.
pub(super) fn look(wanted: Wanted) -> Verdicts {
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut desk = Desk::default();
    desk.take(wanted);
    desk.rescan(&mut Source::scan())
}

/// The thread that counts processes; dropping this ends it.
#[derive(Debug)]
pub(crate) struct ProcessWatch {
    commands: mpsc::Sender<Command>,
    choice: ProcessEvents,
    /// `None`: nothing was to be counted yet.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    wanted: watch::Sender<Wanted>,
    judges: Shared<Judge>,
    resets: mpsc::Sender<BTreeSet<TrackerId>>,
}

/// Orders that wait; whoever gives them waits with them.
const WAITING_MAX: usize = 16;

impl ProcessWatch {
    /// Nothing yet. Verdicts go to the engine when they change.
    pub(crate) fn new(commands: mpsc::Sender<Command>, choice: ProcessEvents) -> Self {
        Self { commands, choice, running: None }
    }

    /// Counts what `plan` tracks. What was counted before goes on.
    pub(crate) fn run(&mut self, plan: &Plan) {
        let tracked = plan.trackers_of(TrackerPlan::process);
        if let Some(running) = &self.running {
            running.wanted.send_replace(tracked);
        } else if !tracked.is_empty() {
            match self.start(tracked) {
                Ok(running) => self.running = Some(running),
                Err(error) => error!("no process is tracked, no thread can be started: {error}"),
            }
        }
    }

    /// Forgets the starts so far of those of these trackers that are processes.
    pub(crate) async fn forgive(&self, trackers: BTreeSet<TrackerId>) {
        if let Some(running) = &self.running {
            // It ends with us.
            drop(running.resets.send(trackers).await);
        }
    }

    /// Who judges them; `None`: nobody does.
    pub(super) fn judges(&self) -> Option<&Shared<impl Ruled>> {
        self.running.as_ref().map(|running| &running.judges)
    }

    fn start(&self, tracked: Wanted) -> io::Result<Running> {
        let desk = Desk::default();
        let judges = Arc::clone(&desk.judges);
        let (wanted, wants) = watch::channel(tracked);
        let (resets, reset) = mpsc::channel(WAITING_MAX);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, choice) = (self.commands.clone(), self.choice);
        thread::Builder::new().name("ha-process".to_owned()).spawn(move || {
            runtime.block_on(attend(desk, wants, reset, &commands, choice));
        })?;
        Ok(Running { wanted, judges, resets })
    }
}

/// Until nobody wants to know any more.
async fn attend(
    mut desk: Desk,
    mut wanted: watch::Receiver<Wanted>,
    mut resets: mpsc::Receiver<BTreeSet<TrackerId>>,
    commands: &mpsc::Sender<Command>,
    choice: ProcessEvents,
) {
    let mut source = Source::open(choice);
    desk.take(wanted.borrow_and_update().clone());
    let mut verdicts = desk.rescan(&mut source);
    loop {
        if !tell_all(commands, verdicts).await {
            return;
        }
        let deadline = locked(&desk.judges).deadline();
        verdicts = tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                desk.take(wanted.borrow_and_update().clone());
                desk.rescan(&mut source)
            }
            news = source.next() => match news {
                News::Events(events) => desk.handle(&events, &mut source),
                News::Unknown => desk.rescan(&mut source),
            },
            reset = resets.recv() => match reset {
                Some(trackers) => locked(&desk.judges).forgive(&trackers),
                None => return,
            },
            () = pause(deadline) => locked(&desk.judges).elapse(clock::now()),
        };
    }
}

/// What is known, and what is thought of it.
#[derive(Debug, Default)]
struct Desk {
    census: Census,
    judges: Shared<Judge>,
}

impl Desk {
    /// Tracks this from now on. A [`Desk::rescan`] has to follow.
    fn take(&mut self, wanted: Wanted) {
        let patterns = wanted.iter().map(|(tracker, process)| (*tracker, Pattern::new(process)));
        self.census.look_for(patterns.collect());
        locked(&self.judges).take(wanted, Judge::new);
    }

    /// Looks at every process there is.
    fn rescan(&mut self, source: &mut Source) -> Verdicts {
        if let Err(error) = source.look_for(&self.census) {
            warn!("some processes are not noticed when they start: {error}");
        }
        let mut changes = Vec::new();
        let mut there = BTreeSet::new();
        let limit = self.census.command_line_bytes();
        match sight::pids() {
            Ok(pids) => {
                for sight in pids.filter_map(|pid| Sight::of(pid, limit)) {
                    let is_meant = self.census.is_meant(&sight);
                    if is_meant || self.census.knows(sight.pid) {
                        let Some(sight) = source.hold(sight.pid, limit) else { continue };
                        there.insert(sight.pid);
                        self.census.see(&sight, &mut changes);
                    }
                }
                self.census.keep(&there, &mut changes);
                source.forget_gone(&there);
            }
            Err(error) => warn!("no process can be counted, /proc cannot be read: {error}"),
        }
        let now = clock::now();
        let mut verdicts = Vec::new();
        for (tracker, judge) in locked(&self.judges).numbered() {
            let of_it = changes.iter().filter(|change| change.tracker == tracker);
            let verdict = judge.recount(now, self.census.count(tracker), of_it);
            verdicts.extend(verdict.map(|verdict| (tracker, verdict)));
        }
        verdicts
    }

    fn handle(&mut self, events: &[Event], source: &mut Source) -> Verdicts {
        let now = clock::now();
        let limit = self.census.command_line_bytes();
        let mut verdicts = Vec::new();
        for event in events {
            let mut changes = Vec::new();
            match *event {
                Event::Fork { parent, child } => {
                    self.census.fork(parent, child, &mut changes);
                    if !self.census.knows(child) {
                        source.release(child);
                    }
                }
                Event::Exit { pid } => self.census.exit(pid, &mut changes),
                Event::ThreadExit { pid } => {
                    if self.census.knows(pid) && Sight::of(pid, 0).is_none() {
                        self.census.exit(pid, &mut changes);
                    }
                }
                Event::Exec { pid } => match self.look_at(pid, limit, source) {
                    Some(sight) => self.census.see(&sight, &mut changes),
                    None => self.census.exit(pid, &mut changes),
                },
            }
            let mut judges = locked(&self.judges);
            for change in changes {
                let count = self.census.count(change.tracker);
                let judge = judges.one(change.tracker);
                let verdict = judge.and_then(|judge| judge.handle(now, count, change));
                verdicts.extend(verdict.map(|verdict| (change.tracker, verdict)));
            }
        }
        verdicts
    }

    /// A process that may have become another one; `None`: it is gone.
    fn look_at(&self, pid: u32, limit: usize, source: &mut Source) -> Option<Sight> {
        let sight = Sight::of(pid, limit)?;
        if self.census.is_meant(&sight) {
            return source.hold(pid, limit);
        }
        source.release(pid);
        Some(sight)
    }
}
