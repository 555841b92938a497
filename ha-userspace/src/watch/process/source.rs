//! Where events of processes come from: BPF programs, the kernel's connector, or a look at all of them
//! once a second.

use std::{collections::BTreeSet, io, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{census::Census, pattern::Pattern, sight::Sight};
use crate::{
    cli::ProcessEvents,
    io::{connector::Connector, tracepoints::Tracepoints},
};

/// Where there are no events.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// Events in one go: as many as are worth a look at the time, and at other work.
const BATCH_MAX: usize = 1024;

/// What has happened to a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// `child` is a copy of `parent`.
    Fork { parent: u32, child: u32 },
    /// It runs another program, or has another name.
    Exec { pid: u32 },
    /// It ends.
    Exit { pid: u32 },
    /// A thread of it has ended, and perhaps it too.
    ThreadExit { pid: u32 },
}

/// What there is to hear.
#[derive(Debug)]
pub(super) enum News {
    /// In the order in which they happened.
    Events(Vec<Event>),
    /// Anything may have happened.
    Unknown,
}

/// The best source that this host has.
#[derive(Debug)]
pub(super) enum Source {
    Ebpf(Box<Tracepoints>),
    Connector(Connector),
    Scan(Interval),
}

impl Source {
    /// What is asked for, or what is there instead, which is said.
    pub(super) fn open(choice: ProcessEvents) -> Self {
        if matches!(choice, ProcessEvents::Auto | ProcessEvents::Ebpf) {
            match Tracepoints::attach() {
                Ok(tracepoints) => {
                    info!("processes are tracked by eBPF");
                    return Self::Ebpf(Box::new(tracepoints));
                }
                Err(error) => warn!("processes are not tracked by eBPF: {error}"),
            }
        }
        if choice != ProcessEvents::Scan {
            match Connector::open() {
                Ok(connector) => {
                    info!("processes are tracked by the kernel's connector");
                    return Self::Connector(connector);
                }
                Err(error) => warn!("processes are looked at once a second only: {error}"),
            }
        }
        Self::scan()
    }

    /// A look at all processes now and then.
    pub(super) fn scan() -> Self {
        let mut turns = interval(SCAN_INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.reset();
        Self::Scan(turns)
    }

    /// What comes next. Nothing is lost if it is not waited for to the end.
    pub(super) async fn next(&mut self) -> News {
        let events = match self {
            Self::Ebpf(tracepoints) => tracepoints.events(BATCH_MAX).await,
            Self::Connector(connector) => connector.events(BATCH_MAX).await,
            Self::Scan(turns) => {
                turns.tick().await;
                return News::Unknown;
            }
        };
        match events {
            Ok(events) => News::Events(events),
            Err(error) => {
                warn!("all processes are looked at again: {error}");
                News::Unknown
            }
        }
    }

    /// Tells the source what matters.
    ///
    /// # Errors
    /// It is more than the source can know.
    pub(super) fn look_for(&mut self, census: &Census) -> io::Result<()> {
        let Self::Ebpf(tracepoints) = self else { return Ok(()) };
        let names = census.patterns().filter_map(Pattern::name);
        tracepoints.look_for(names, census.patterns().filter_map(Pattern::command))
    }

    /// From now on its end is told. `None`: it has ended already.
    pub(super) fn hold(&mut self, pid: u32, command_line_bytes: usize) -> Option<Sight> {
        if let Self::Ebpf(tracepoints) = self
            && let Err(error) = tracepoints.hold(pid)
        {
            warn!("the end of process {pid} will not be noticed: {error}");
        }
        let sight = Sight::of(pid, command_line_bytes);
        if sight.is_none() {
            self.release(pid);
        }
        sight
    }

    /// Its end does not matter.
    pub(super) fn release(&mut self, pid: u32) {
        if let Self::Ebpf(tracepoints) = self {
            tracepoints.release(pid);
        }
    }

    /// Forgets whom it tells of and who is gone: a number may be given again.
    pub(super) fn forget_gone(&mut self, there: &BTreeSet<u32>) {
        if let Self::Ebpf(tracepoints) = self {
            let held = tracepoints.held().into_iter();
            for pid in held.filter(|pid| !there.contains(pid) && Sight::of(*pid, 0).is_none()) {
                tracepoints.release(pid);
            }
        }
    }
}
