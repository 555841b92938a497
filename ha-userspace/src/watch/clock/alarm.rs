//! What the log says of the clock: when it becomes bad and when it is well again, and of a clock that
//! goes to and fro only so much.

use std::time::Duration;

use ha_core::Instant;

use super::{judge::Look, server::Answer};
use crate::io::adjtimex::KernelClock;

/// So many looks in a row raise an alarm or end it: a host that boots has its clock set meanwhile.
const LOOKS: u32 = 3;
/// An error that the kernel cannot exclude: logs of two hosts cannot be put in order any more. Whoever
/// asks a good server once in 17 minutes has half a second.
const ERROR_RAISED: Duration = Duration::from_secs(2);
const ERROR_OVER: Duration = Duration::from_secs(1);
/// What the servers say that the clock is wrong by.
const OFFSET_RAISED: Duration = Duration::from_millis(500);
const OFFSET_OVER: Duration = Duration::from_millis(250);
/// What is told within [`WINDOW`]; what is more is counted.
const LINES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_hours(1);

/// A line of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) is_warning: bool,
    pub(super) text: String,
}

impl Line {
    pub(super) fn warning(text: String) -> Self {
        Self { is_warning: true, text }
    }

    pub(super) fn info(text: String) -> Self {
        Self { is_warning: false, text }
    }
}

/// Something that is bad from one threshold on and well from another one on.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    is_raised: bool,
    /// Looks in a row that disagree.
    against: u32,
}

impl Alarm {
    /// Takes one look, which may be neither; whether it is raised, where that changes.
    pub(super) fn hear(&mut self, is_bad: bool, is_well: bool) -> Option<bool> {
        let disagrees = if self.is_raised { is_well } else { is_bad };
        self.against = if disagrees { self.against + 1 } else { 0 };
        if self.against < LOOKS {
            return None;
        }
        self.against = 0;
        self.is_raised = !self.is_raised;
        Some(self.is_raised)
    }
}

/// What is thought of the clock, whether somebody tracks it or not.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    unsynchronised: Alarm,
    error: Alarm,
    offset: Alarm,
}

impl Alarms {
    /// Takes one look; what is to be said of it.
    pub(super) fn hear(&mut self, look: &Look) -> Vec<Line> {
        let kernel = look.kernel.and_then(|clock| self.hear_kernel(clock));
        let offset = look.offset.and_then(|answer| self.hear_offset(answer));
        kernel.into_iter().chain(offset).collect()
    }

    fn hear_offset(&mut self, Answer { offset_s, doubt_s, .. }: Answer) -> Option<Line> {
        let by = offset_s.abs();
        let is_large = by - doubt_s > OFFSET_RAISED.as_secs_f64();
        let side = if offset_s < 0.0 { "ahead of" } else { "behind" };
        self.offset.hear(is_large, by < OFFSET_OVER.as_secs_f64()).map(|is_raised| {
            let text = format!("the clock is {by:.3} s {side} the time servers");
            if is_raised {
                Line::warning(format!("{text}: ask `chronyc tracking` (docs/time.md)"))
            } else {
                Line::info(text)
            }
        })
    }

    fn hear_kernel(&mut self, clock: KernelClock) -> Option<Line> {
        let (error, is_synchronised) = (clock.max_error, clock.is_synchronised());
        match self.unsynchronised.hear(!is_synchronised, is_synchronised) {
            Some(true) => {
                return Some(Line::warning(
                    "nobody sets the clock of this host, so that its logs and its peer's may not \
                     agree: run chrony (docs/time.md); failover does not depend on it"
                        .to_owned(),
                ));
            }
            Some(false) => {
                let error = error.as_secs_f64();
                return Some(Line::info(format!("the clock is set, to {error:.3} s at the worst")));
            }
            None => {}
        }
        // Without bounds there is no more to say than the above.
        let is_large = is_synchronised && error > ERROR_RAISED;
        match self.error.hear(is_large, is_synchronised && error < ERROR_OVER) {
            Some(true) => Some(Line::warning(format!(
                "the clock may be wrong by {:.1} s: its time servers are not reached, or bad; ask \
                 `chronyc sources` (docs/time.md)",
                error.as_secs_f64()
            ))),
            Some(false) => Some(Line::info(format!(
                "the clock is not wrong by more than {:.3} s any more",
                error.as_secs_f64()
            ))),
            None => None,
        }
    }
}

/// How many lines may still be said.
#[derive(Debug, Default)]
pub(super) struct Budget {
    since: Option<Instant>,
    said: u32,
    /// Lines that were not said, ever.
    left_out: u64,
}

impl Budget {
    /// Whether one more line may be said now.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.since(since) >= WINDOW) {
            (self.since, self.said) = (Some(now), 0);
        }
        let may = self.said < LINES_MAX;
        if may {
            self.said += 1;
        } else {
            self.left_out += 1;
        }
        may
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said at each look, `!` before a warning.
    fn said(errors_ms: &[u64]) -> Vec<Option<String>> {
        let mut alarms = Alarms::default();
        let mut say = |ms: &u64| {
            let (max_error, estimated_error) = (Duration::from_millis(*ms), Duration::ZERO);
            let kernel = Some(KernelClock { max_error, estimated_error });
            let line = alarms.hear(&Look { kernel, offset: None }).pop()?;
            let mark = if line.is_warning { "!" } else { "" };
            let words: Vec<&str> = line.text.split(' ').take(4).collect();
            Some(format!("{mark}{}", words.join(" ")))
        };
        errors_ms.iter().map(&mut say).collect()
    }

    #[test]
    fn a_host_that_boots_gets_its_time() {
        assert_eq!(said(&[16_000, 16_000, 20, 20, 20, 20]), vec![None; 6]);
    }

    #[test]
    fn what_is_told_is_a_change_that_lasts() {
        let warning = Some("!nobody sets the clock".to_owned());
        let over = Some("the clock is set,".to_owned());
        assert_eq!(said(&[16_000, 16_000, 16_000, 16_000]), [None, None, warning.clone(), None]);
        let back = said(&[16_000, 16_000, 16_000, 20, 16_000, 20, 20, 20]);
        assert_eq!(back[2..], [warning, None, None, None, None, over]);
    }

    #[test]
    fn between_the_thresholds_nothing_is_new() {
        let raised = Some("!the clock may be".to_owned());
        let over = Some("the clock is not".to_owned());
        let lines = said(&[2_100, 2_100, 1_900, 2_100, 2_100, 2_100, 1_500, 1_500, 1_500, 1_500]);
        assert_eq!(lines, [None, None, None, None, None, raised, None, None, None, None]);
        let lines = said(&[2_100, 2_100, 2_100, 900, 900, 900]);
        assert_eq!(lines[5], over);
    }

    #[test]
    fn an_offset_is_told_of_beyond_its_doubt_and_silence_is_no_news() {
        let mut alarms = Alarms::default();
        let mut say = |offset_s: Option<f64>, doubt_s| {
            let offset = offset_s.map(|offset_s| Answer { offset_s, doubt_s, ..Answer::default() });
            alarms.hear(&Look { kernel: None, offset }).pop().map(|line| line.text)
        };
        assert_eq!([0; 4].map(|_| say(Some(-0.7), 0.3)), [None, None, None, None]);
        assert_eq!([say(Some(-0.7), 0.1), say(Some(-0.7), 0.1)], [None, None]);
        assert_eq!(say(None, 0.0), None);
        let text = "the clock is 0.700 s ahead of the time servers: ask `chronyc tracking` \
                    (docs/time.md)";
        assert_eq!(say(Some(-0.7), 0.1).as_deref(), Some(text));
        assert_eq!([0; 4].map(|_| say(Some(0.3), 0.0)), [None, None, None, None]);
        let over = "the clock is 0.200 s behind the time servers".to_owned();
        assert_eq!([0; 3].map(|_| say(Some(0.2), 0.0)), [None, None, Some(over)]);
    }

    #[test]
    fn of_too_many_lines_the_rest_is_counted() {
        let mut budget = Budget::default();
        let start = Instant::from_nanos(5);
        let taken = (0..15).filter(|_| budget.take(start)).count();
        assert_eq!((taken, budget.left_out()), (10, 5));
        assert!(!budget.take(start + Duration::from_secs(3599)));
        assert!(budget.take(start + WINDOW));
        assert_eq!(budget.left_out(), 6);
    }
}
