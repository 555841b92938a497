//! The harness's only clock, and its only pause.
//!
//! Events are dated in wall-clock nanoseconds, because that is what `SO_TIMESTAMPNS` gives;
//! deadlines count `CLOCK_MONOTONIC`, so that a step of the wall clock fails no wait.

use core::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

use crate::sys;

/// A moment of `CLOCK_REALTIME`, in nanoseconds: the clock of the kernel's packet timestamps.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Stamp(u64);

impl Stamp {
    /// The end of time, for an interval without an end.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `duration` after the epoch.
    pub fn from_epoch(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Now.
    pub fn now() -> Self {
        Self::from_epoch(read(ClockId::CLOCK_REALTIME))
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Stamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0 / 1000;
        write!(formatter, "{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// The error of the machine's wall clock that its kernel cannot exclude.
pub fn wall_error() -> Duration {
    Duration::from_micros(u64::try_from(sys::clock_error_us()).unwrap_or_default())
}

/// `CLOCK_MONOTONIC`, for deadlines.
pub fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Gives the processor away for `duration`. For the polling loops and measurements of this crate only:
/// a test waits for a condition.
pub(crate) fn pause(duration: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one pause: between two looks at a condition, or two of a measurement"
    )]
    std::thread::sleep(duration);
}

#[expect(clippy::disallowed_methods, reason = "the only clock of tests")]
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("the kernel has this clock").into()
}
