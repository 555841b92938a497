//! The host's wall clock, which failover does not depend on.

use core::time::Duration;

use super::Weight;
use crate::diagnostic::Place;

/// How the clock is looked at: in `global_defs`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClockLook {
    /// `ntp_server`, in the order of the file: at most 4, none twice.
    pub servers: Vec<NtpServer>,
    /// `clock_interval`: from one look to the next, 1 s to an hour; default 32 s.
    pub interval: Duration,
}

impl Default for ClockLook {
    fn default() -> Self {
        Self { servers: Vec::new(), interval: Duration::from_secs(32) }
    }
}

/// Who is asked for the time, by SNTP (RFC 4330).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NtpServer {
    /// An address, or a name that is looked up each time: not empty.
    pub host: String,
    /// UDP; default 123.
    pub port: u16,
}

/// `vrrp_track_clock NAME`: how good the clock has to be. At least one of the three is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Clock {
    /// The block's name.
    pub name: String,
    /// `max_offset`: what the servers say may differ by so much; 1 ms to a day.
    pub max_offset: Option<Duration>,
    /// `max_error`: the error that the kernel cannot exclude; 1 ms to 16 s.
    pub max_error: Option<Duration>,
    /// `require_sync`: somebody has to set the clock.
    pub require_sync: bool,
    /// `weight`; default 0. Where it is tracked it may be overridden: see [`TrackClock::weight`],
    /// which is the one to use.
    pub weight: Weight,
    /// `rise`: looks in a row until it is well again; default 2.
    pub rise: u32,
    /// `fall`: looks in a row until it has failed; default 2.
    pub fall: u32,
    /// The line of the block's head.
    pub place: Place,
}

/// One line of `track_clock` in a group or an instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackClock {
    /// A name in [`super::Config::clocks`].
    pub clock: String,
    /// `weight N [reverse]`; default is the clock's own weight.
    pub weight: Weight,
    /// The line of the file.
    pub place: Place,
}
