//! What the kernel thinks of its wall clock: `adjtimex(2)`, asked and never told.

use std::{io, mem, time::Duration};

/// `NTP_PHASE_LIMIT` of Linux. The error is this after a boot; where nobody sets the clock any more it
/// grows up to this, by 500 µs in a second.
const ERROR_LIMIT: Duration = Duration::from_secs(16);

/// How good the clock is, as whoever sets it has told the kernel last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KernelClock {
    /// It is not wrong by more.
    pub(crate) max_error: Duration,
    /// It is likely wrong by so much.
    pub(crate) estimated_error: Duration,
}

impl KernelClock {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The system call is forbidden here: a filter of a container may be in the way.
    pub(crate) fn read() -> io::Result<Self> {
        // SAFETY: a `timex` is integers, for which zeros are valid; no modes change nothing.
        let mut timex: libc::timex = unsafe { mem::zeroed() };
        // SAFETY: the kernel writes into `timex`, which is one.
        if unsafe { libc::adjtimex(&raw mut timex) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            max_error: from_micros(timex.maxerror),
            estimated_error: from_micros(timex.esterror),
        })
    }

    /// Whether somebody sets the clock. Not told by the kernel's flag `STA_UNSYNC`: that stays where the
    /// kernel is not to copy the time to the clock on the board (chrony without `rtcsync`).
    pub(crate) fn is_synchronised(self) -> bool {
        self.max_error < ERROR_LIMIT
    }
}

fn from_micros(micros: libc::c_long) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_sets_is_told_by_its_error() {
        let clock = |seconds| KernelClock {
            max_error: Duration::from_secs(seconds),
            estimated_error: Duration::ZERO,
        };
        // After boot Linux 6.18 says 16000000 µs; chrony that follows a server says milliseconds.
        assert!(!clock(16).is_synchronised());
        assert!(clock(15).is_synchronised());
    }

    #[test]
    fn the_kernel_answers_within_its_limit() {
        let clock = KernelClock::read().unwrap();
        assert!((Duration::from_micros(1)..=ERROR_LIMIT).contains(&clock.max_error), "{clock:?}");
    }

    #[test]
    fn an_error_that_makes_no_sense_is_none() {
        assert_eq!(from_micros(-1), Duration::ZERO);
        assert_eq!(from_micros(1_500), Duration::from_micros(1_500));
    }
}
