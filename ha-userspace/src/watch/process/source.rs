//! Where events of processes come from: the kernel's connector, or a look at all of them once a
//! second.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::{cli::ProcessEvents, io::connector::Connector};

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
    Connector(Connector),
    Scan(Interval),
}

impl Source {
    /// What is asked for, or what is there instead, which is said.
    pub(super) fn open(choice: ProcessEvents) -> Self {
        match choice {
            ProcessEvents::Auto | ProcessEvents::Connector => match Connector::open() {
                Ok(connector) => {
                    info!("processes are tracked by the kernel's connector");
                    return Self::Connector(connector);
                }
                Err(error) => warn!("processes are looked at once a second only: {error}"),
            },
            ProcessEvents::Scan => {}
        }
        let mut turns = interval(SCAN_INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.reset();
        Self::Scan(turns)
    }

    /// What comes next. Nothing is lost if it is not waited for to the end.
    pub(super) async fn next(&mut self) -> News {
        match self {
            Self::Connector(connector) => match connector.events(BATCH_MAX).await {
                Ok(events) => News::Events(events),
                Err(error) => {
                    warn!("all processes are looked at again: {error}");
                    News::Unknown
                }
            },
            Self::Scan(turns) => {
                turns.tick().await;
                News::Unknown
            }
        }
    }
}
