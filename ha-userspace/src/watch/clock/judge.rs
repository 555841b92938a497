//! What is thought of the clock for a `vrrp_track_clock`.

use ha_config::Clock;
use serde_json::{Value, json};

use super::server::Answer;
use crate::{
    io::adjtimex::KernelClock,
    watch::{judges, opinion::Opinion},
};

/// What one look has shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// `None`: the kernel does not say.
    pub(super) kernel: Option<KernelClock>,
    /// `None`: no server has answered.
    pub(super) offset: Option<Answer>,
}

/// Whether it is good enough, from look to look.
#[derive(Debug)]
pub(super) struct Judge {
    clock: Clock,
    opinion: Opinion,
    /// By the last answer that there was.
    is_offset_bad: bool,
    /// By the last look that said anything.
    why: String,
}

impl judges::Judge for Judge {
    type Wanted = Clock;

    fn is_of(&self, other: &Clock) -> bool {
        let question = |clock: &Clock| {
            (clock.name.clone(), clock.max_offset, clock.max_error, clock.require_sync)
        };
        question(&self.clock) == question(other)
    }

    fn follow(&mut self, clock: Clock) {
        (self.opinion.rise, self.opinion.fall) = (clock.rise, clock.fall);
        self.clock = clock;
    }
}

impl Judge {
    pub(super) fn new(clock: Clock) -> Self {
        let opinion = Opinion::new(clock.rise, clock.fall, None);
        Self { clock, opinion, is_offset_bad: false, why: String::new() }
    }

    /// Whether there is no verdict yet.
    pub(super) fn is_new(&self) -> bool {
        self.opinion.up.is_none()
    }

    /// Takes one look; the verdict where it changes.
    pub(super) fn hear(&mut self, look: &Look) -> Option<bool> {
        let failure = self.kernel_failure(look.kernel).or_else(|| self.offset_failure(look.offset));
        match failure {
            Some(why) => {
                self.why = why;
                self.opinion.hear(false)
            }
            // Silence says nothing: what the servers said last holds, and is not counted again.
            None if self.is_offset_bad => None,
            None => {
                "it is good enough".clone_into(&mut self.why);
                self.opinion.hear(true)
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.clock.name
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// For `status.json`.
    pub(super) fn status(&self) -> Value {
        json!({ "name": self.clock.name, "is_up": self.opinion.up, "reason": self.why })
    }

    fn kernel_failure(&self, kernel: Option<KernelClock>) -> Option<String> {
        let kernel = kernel?;
        if self.clock.require_sync && !kernel.is_synchronised() {
            return Some("nobody sets it".to_owned());
        }
        let max = self.clock.max_error.filter(|max| kernel.max_error > *max)?;
        let (error, max) = (kernel.max_error.as_secs_f64(), max.as_secs_f64());
        Some(format!("it may be wrong by {error:.3} s, more than {max} s"))
    }

    fn offset_failure(&mut self, offset: Option<Answer>) -> Option<String> {
        let (max, answer) = (self.clock.max_offset?.as_secs_f64(), offset?);
        let Answer { offset_s, doubt_s, .. } = answer;
        // Only what is surely too much: the doubt is the network's, not the clock's.
        self.is_offset_bad = offset_s.abs() - doubt_s > max;
        let side = if offset_s < 0.0 { "ahead of" } else { "behind" };
        let by = offset_s.abs();
        self.is_offset_bad
            .then(|| format!("it is {by:.3} s {side} the time servers, more than {max} s"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ha_config::{Place, Weight};

    use super::{judges::Judge as _, *};

    fn clock(rise: u32, fall: u32) -> Clock {
        Clock {
            name: "c".to_owned(),
            max_offset: Some(Duration::from_millis(500)),
            max_error: Some(Duration::from_secs(1)),
            require_sync: true,
            weight: Weight::default(),
            rise,
            fall,
            place: Place::line(1),
        }
    }

    fn kernel(error_ms: u64) -> KernelClock {
        let max_error = Duration::from_millis(error_ms);
        KernelClock { max_error, estimated_error: Duration::ZERO }
    }

    fn said(offset_s: f64, doubt_s: f64) -> Answer {
        Answer { offset_s, doubt_s, ..Answer::default() }
    }

    /// The verdicts on what servers say; `None`: they are silent.
    fn verdicts(judge: &mut Judge, offsets_s: &[Option<f64>]) -> Vec<Option<bool>> {
        let look = |offset_s: &Option<f64>| Look {
            kernel: Some(kernel(10)),
            offset: offset_s.map(|offset_s| said(offset_s, 0.001)),
        };
        offsets_s.iter().map(|offset_s| judge.hear(&look(offset_s))).collect()
    }

    #[test]
    fn a_clock_of_which_nobody_says_anything_is_good_enough() {
        let mut judge = Judge::new(clock(1, 1));
        assert_eq!(verdicts(&mut judge, &[None, None]), [Some(true), None]);
        assert_eq!(Judge::new(clock(1, 1)).hear(&Look::default()), Some(true));
    }

    #[test]
    fn servers_that_fall_silent_change_no_verdict() {
        let mut judge = Judge::new(clock(2, 2));
        let (good, bad) = (Some(0.1), Some(-0.7));
        assert_eq!(
            verdicts(&mut judge, &[good, bad, None, None, None]),
            [Some(true), None, None, None, None]
        );
        // The second in a row that said so.
        assert_eq!(verdicts(&mut judge, &[bad]), [Some(false)]);
        assert_eq!(judge.why(), "it is 0.700 s ahead of the time servers, more than 0.5 s");
        assert_eq!(verdicts(&mut judge, &[None, None, None]), [None, None, None]);
        assert_eq!(verdicts(&mut judge, &[good, None, good]), [None, Some(true), None]);
    }

    #[test]
    fn what_the_network_may_have_done_is_not_held_against_the_clock() {
        let hear = |offset_s, doubt_s| {
            let look = Look { kernel: Some(kernel(10)), offset: Some(said(offset_s, doubt_s)) };
            Judge::new(clock(1, 1)).hear(&look)
        };
        assert_eq!(hear(0.75, 0.25), Some(true));
        assert_eq!(hear(0.75, 0.24), Some(false));
        assert_eq!(hear(-0.75, 0.24), Some(false));
    }

    #[test]
    fn the_kernel_s_error_and_a_clock_that_nobody_sets_are_failures() {
        let hear = |error_ms| {
            let mut judge = Judge::new(clock(1, 1));
            let verdict = judge.hear(&Look { kernel: Some(kernel(error_ms)), offset: None });
            (verdict, judge.why().to_owned())
        };
        assert_eq!(hear(1_000).0, Some(true));
        let why = "it may be wrong by 1.500 s, more than 1 s".to_owned();
        assert_eq!(hear(1_500), (Some(false), why));
        assert_eq!(hear(16_000), (Some(false), "nobody sets it".to_owned()));
        let mut judge = Judge::new(Clock { require_sync: false, max_error: None, ..clock(1, 1) });
        assert_eq!(judge.hear(&Look { kernel: Some(kernel(16_000)), offset: None }), Some(true));
    }

    #[test]
    fn other_limits_are_another_question_and_other_counts_are_not() {
        let mut judge = Judge::new(clock(1, 1));
        let (good, bad) = (Some(0.1), Some(-0.7));
        verdicts(&mut judge, &[good]);
        assert!(judge.is_of(&clock(5, 3)));
        assert!(!judge.is_of(&Clock { max_offset: None, ..clock(1, 1) }));
        judge.follow(clock(5, 3));
        assert_eq!(verdicts(&mut judge, &[bad, bad, bad]), [None, None, Some(false)]);
    }
}
