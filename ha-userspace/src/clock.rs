//! The daemon's only clock.

use ha_core::Instant;
use nix::time::{ClockId, clock_gettime};

/// Now, on `CLOCK_MONOTONIC`: the clock of the kernel's stamps and of the timerfd.
pub(crate) fn now() -> Instant {
    // It cannot fail for this clock; zero would only mean that nothing is due yet.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or_else(
        |_| Instant::default(),
        |time| {
            let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
            Instant::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
        },
    )
}
