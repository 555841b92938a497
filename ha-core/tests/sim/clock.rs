//! A router's own clock: it began at another moment than everybody else's, and runs at its own rate.

use std::{fmt, time::Duration};

use ha_core::Instant;

use crate::prng::Prng;

const MILLION: u64 = 1_000_000;
/// 1 %: far more than the worst quartz, little enough for the protocol.
const DRIFT_MAX: u64 = 10_000;

/// Turns the simulation's time, of hours at most, into a router's and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// What it shows when the simulation begins.
    start: Duration,
    /// How many of its nanoseconds go by in a million.
    rate: u64,
}

impl Clock {
    pub(crate) fn draw(chance: &mut Prng, is_exact: bool) -> Self {
        let fast = match chance.below(4) {
            _ if is_exact => DRIFT_MAX,
            0 => 0,
            1 => 2 * DRIFT_MAX,
            _ => chance.below(2 * DRIFT_MAX + 1),
        };
        Self {
            start: Duration::from_nanos(chance.below(1 << 50)),
            rate: MILLION + fast - DRIFT_MAX,
        }
    }

    /// What it shows at a moment of the simulation.
    pub(crate) fn show(self, moment: Instant) -> Instant {
        Instant::from_nanos(moment.as_nanos() * self.rate / MILLION) + self.start
    }

    /// The first moment of the simulation at which it shows `local`, or more.
    pub(crate) fn moment(self, local: Instant) -> Instant {
        let start = Instant::default() + self.start;
        let since = local.as_nanos().saturating_sub(start.as_nanos());
        Instant::from_nanos((since * MILLION).div_ceil(self.rate))
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, off) = match self.rate.checked_sub(MILLION) {
            Some(off) => ("+", off),
            None => ("-", MILLION - self.rate),
        };
        write!(formatter, "{sign}{}.{:04} %", off / 10_000, off % 10_000)
    }
}

#[test]
fn a_clock_shows_a_time_at_its_moment_and_not_before() {
    let mut chance = Prng::new(0);
    for _ in 0..1000 {
        let clock = Clock::draw(&mut chance, false);
        let local = Instant::default() + clock.start + Duration::from_nanos(chance.below(1 << 40));
        let moment = clock.moment(local);
        assert!(clock.show(moment) >= local, "{clock:?} {local:?}");
        let before = moment - Duration::from_nanos(1);
        assert!(clock.show(before) < local || moment == Instant::default(), "{clock:?} {local:?}");
    }
    let clock = Clock { start: Duration::from_secs(5), rate: 1_010_000 };
    let later = Instant::default() + Duration::from_secs(100);
    assert_eq!(clock.show(later), Instant::default() + Duration::from_secs(106));
    assert_eq!(clock.to_string(), "+1.0000 %");
}
