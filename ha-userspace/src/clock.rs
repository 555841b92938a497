//! The daemon's only clock.

use std::time::Duration;

use ha_core::Instant;
use nix::time::{ClockId, clock_gettime};

/// Now, on `CLOCK_MONOTONIC`: the clock of the kernel's stamps and of the timerfd.
pub(crate) fn now() -> Instant {
    Instant::default() + read(ClockId::CLOCK_MONOTONIC)
}

/// Since the host was started, suspension included.
pub(crate) fn since_boot() -> Duration {
    read(ClockId::CLOCK_BOOTTIME)
}

/// By the wall clock, which may jump: for people only.
pub(crate) fn since_epoch() -> Duration {
    read(ClockId::CLOCK_REALTIME)
}

fn read(clock: ClockId) -> Duration {
    // It cannot fail for these clocks; zero would only mean that nothing is due yet.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Seconds since 1970-01-01, for what must be different at each start. It may jump, and may be
/// wrong by years: nothing may wait for it.
pub(crate) fn unix_time() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, |time| {
        Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
    })
}
