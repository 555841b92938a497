//! The daemon's only clock.

use std::{fs, io, time::Duration};

use ha_core::Instant;
use nix::time::{ClockId, clock_gettime};

/// Clocks of this process that are not the kernel's: see `time_namespaces(7)`.
const OFFSETS: &str = "/proc/self/timens_offsets";

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

#[expect(clippy::disallowed_methods, reason = "the daemon's only clock")]
fn read(clock: ClockId) -> Duration {
    // It cannot fail for these clocks; zero would only mean that nothing is due yet.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Whether [`now`] is on the clock of the XDP program's stamps, which knows of no time namespace.
///
/// # Errors
/// One sentence for the operator: it is not.
pub(crate) fn check_stamps() -> io::Result<()> {
    // A kernel without time namespaces has no such file.
    if is_monotonic_moved(&fs::read_to_string(OFFSETS).unwrap_or_default()) {
        return Err(io::Error::other(
            "this process is in a time namespace with another CLOCK_MONOTONIC than the kernel's, so \
             that the kernel's stamps mean nothing here: start it outside, or with --xdp off",
        ));
    }
    Ok(())
}

/// A line is a clock's name, seconds and nanoseconds.
fn is_monotonic_moved(offsets: &str) -> bool {
    offsets.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("monotonic") && words.any(|word| word != "0")
    })
}

/// Seconds since 1970-01-01, for what must be different at each start. It may jump, and may be
/// wrong by years: nothing may wait for it.
#[expect(clippy::disallowed_methods, reason = "the daemon's only clock")]
pub(crate) fn unix_time() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, |time| {
        Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 says outside of a time namespace, and in those made by `unshare --time`.
    #[test]
    fn a_moved_clock_is_seen() {
        let outside = "monotonic           0         0\nboottime            0         0\n";
        assert!(!is_monotonic_moved(outside));
        let ahead = "monotonic        3600         0\nboottime            0         0\n";
        assert!(is_monotonic_moved(ahead));
        let behind = "monotonic          -5         0\nboottime            0         0\n";
        assert!(is_monotonic_moved(behind));
        let another = "monotonic           0         0\nboottime          3600         0\n";
        assert!(!is_monotonic_moved(another));
        assert!(!is_monotonic_moved(""));
        // Of unshare's making are whole seconds only.
        assert!(is_monotonic_moved(&outside.replacen(" 0\n", " 1\n", 1)));
    }
}
