//! The verdict of one tracker: enough processes, not too many, not too many starts. Pure.

use core::time::Duration;

use ha_config::Process;
use ha_core::Instant;
use serde_json::{Value, json};

use super::{
    super::judges::{self, News, Ruled, Ruling, Verdict},
    census::{Cause, Change},
};
use crate::status::figures::Tracked;

/// What is thought of a tracker, and since when it may be thought otherwise.
#[derive(Debug)]
pub(super) struct Judge {
    process: Process,
    count: u32,
    ruling: Ruling,
    last: Option<(Cause, u32)>,
}

impl Judge {
    pub(super) fn new(process: Process) -> Self {
        let ruling = Ruling::new(process.restarts, None);
        Self { process, count: 0, ruling, last: None }
    }

    /// So many processes are there, found by looking at all of them; `changes` is what is new
    /// since the last time.
    pub(super) fn recount<'a>(
        &mut self,
        now: Instant,
        count: u32,
        changes: impl Iterator<Item = &'a Change>,
    ) -> Option<Verdict> {
        let cause = if count < self.count { Cause::Exit } else { Cause::Exec };
        self.count = count;
        self.last = None;
        if !self.ruling.is_settled() {
            // What ran before anybody looked has not just started.
            let is_right = self.is_right();
            self.ruling.settle(is_right);
            return self.verdict();
        }
        for change in changes {
            self.note(now, *change);
        }
        self.weigh(now, cause)
    }

    /// The number is another one, because of `change`.
    pub(super) fn handle(&mut self, now: Instant, count: u32, change: Change) -> Option<Verdict> {
        self.count = count;
        self.note(now, change);
        self.weigh(now, change.cause)
    }

    fn note(&mut self, now: Instant, change: Change) {
        self.last = Some((change.cause, change.pid));
        if change.is_start {
            self.ruling.starts.note(now);
        }
    }

    /// Settles the number, or has it wait.
    fn weigh(&mut self, now: Instant, cause: Cause) -> Option<Verdict> {
        let delay = match cause {
            Cause::Fork => self.process.fork_delay,
            Cause::Exit => self.process.terminate_delay,
            // keepalived 2.2.7 has no delay for it either.
            Cause::Exec => Duration::ZERO,
        };
        let is_right = self.is_right();
        self.ruling.weigh(now, is_right, delay);
        self.elapse(now)
    }

    /// `pid 17 has ended, `, if it was one process.
    fn event(&self) -> String {
        let what = |cause| match cause {
            Cause::Fork => "is a new copy",
            Cause::Exec => "has started or changed",
            Cause::Exit => "has ended",
        };
        self.last.map_or(String::new(), |(cause, pid)| format!("pid {pid} {}, ", what(cause)))
    }

    fn number(&self) -> String {
        let Process { quorum, quorum_max, .. } = &self.process;
        let needed = match quorum_max {
            None => format!("at least {quorum}"),
            Some(most) if most == quorum => format!("{quorum}"),
            Some(most) => format!("{quorum} to {most}"),
        };
        format!("{} of them, {needed} needed", self.count)
    }
}

impl judges::Judge for Judge {
    type Wanted = Process;

    fn is_of(&self, process: &Process) -> bool {
        self.process.is_same(process)
    }

    fn follow(&mut self, process: Process) {
        self.ruling.starts.follow(process.restarts);
        self.process = process;
    }
}

impl Ruled for Judge {
    fn ruling(&self) -> &Ruling {
        &self.ruling
    }

    fn ruling_mut(&mut self) -> &mut Ruling {
        &mut self.ruling
    }

    fn is_right(&self) -> bool {
        let Process { quorum, quorum_max, .. } = &self.process;
        self.count >= *quorum && quorum_max.is_none_or(|most| self.count <= most)
    }

    fn title(&self) -> String {
        format!("process {}", self.process.name)
    }

    fn said(&self, News { up, is_storm, is_first }: News) -> String {
        match (up, is_storm) {
            (true, _) if is_first => self.number(),
            (false, true) => self.ruling.starts.why(),
            (_, _) => format!("{}{}", self.event(), self.number()),
        }
    }

    fn status(&self, now: Instant) -> Value {
        let Process { name, quorum, quorum_max, .. } = &self.process;
        json!({ "name": name, "is_up": self.ruling.is_up(), "count": self.count, "quorum": quorum,
            "quorum_max": quorum_max, "starts": self.ruling.starts.status(now) })
    }

    fn figure(&self, now: Instant) -> Tracked {
        let starts = self.ruling.starts.within(now);
        let name = self.process.name.clone();
        Tracked { name, is_up: self.ruling.is_up(), count: Some(self.count), starts }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use ha_config::{ProcessMatch, RestartLimit};
    use ha_core::TrackerId;

    use super::{super::pattern::tests::process, judges::Judge as _, *};

    /// A judge, a number, and a clock that is set by hand.
    struct Bench {
        judge: Judge,
        count: u32,
    }

    fn at(secs: f64) -> Instant {
        Instant::default() + Duration::from_secs_f64(secs)
    }

    impl Bench {
        fn new(count: u32, set: impl FnOnce(&mut Process)) -> (Self, bool) {
            let mut process = process(&["nginx"], ProcessMatch::Name);
            set(&mut process);
            let mut judge = Judge::new(process);
            let first = judge.recount(at(0.0), count, [].iter()).unwrap();
            (Self { judge, count }, first.up)
        }

        fn tell(&mut self, secs: f64, cause: Cause, by: i32, is_start: bool) -> Option<Verdict> {
            self.count = self.count.checked_add_signed(by).unwrap();
            let change = Change { tracker: TrackerId(0), cause, pid: 7, is_start };
            self.judge.handle(at(secs), self.count, change)
        }

        /// What changes: the verdict that follows, and why.
        fn change(&mut self, secs: f64, cause: Cause, by: i32) -> Option<bool> {
            self.tell(secs, cause, by, false).map(|verdict| verdict.up)
        }

        fn start(&mut self, secs: f64) -> Option<bool> {
            self.tell(secs, Cause::Exec, 1, true).map(|verdict| verdict.up)
        }

        fn end(&mut self, secs: f64) -> Option<bool> {
            self.change(secs, Cause::Exit, -1)
        }

        fn elapse(&mut self, secs: f64) -> Option<bool> {
            self.judge.elapse(at(secs)).map(|verdict| verdict.up)
        }
    }

    #[test]
    fn one_is_enough_and_none_is_not() {
        let (mut bench, up) = Bench::new(1, |_| ());
        assert!(up);
        assert_eq!(bench.change(1.0, Cause::Fork, 1), None);
        assert_eq!(bench.end(2.0), None);
        assert_eq!(bench.end(3.0), Some(false));
        assert_eq!(bench.start(4.0), Some(true));
        assert!(!Bench::new(0, |_| ()).1);
    }

    #[test]
    fn none_at_all_and_not_too_many() {
        let none = |process: &mut Process| (process.quorum, process.quorum_max) = (0, Some(0));
        let (mut bench, up) = Bench::new(0, none);
        assert!(up);
        assert_eq!(bench.start(1.0), Some(false));
        assert_eq!(bench.end(2.0), Some(true));
        let two = |process: &mut Process| (process.quorum, process.quorum_max) = (2, Some(3));
        let (mut bench, up) = Bench::new(1, two);
        assert!(!up);
        let told: Vec<_> = (1_u8..4).map(|secs| bench.start(f64::from(secs))).collect();
        assert_eq!(told, [Some(true), None, Some(false)]);
    }

    #[test]
    fn delays_begin_with_the_first_event_and_end_when_all_is_well_again() {
        let delays = |process: &mut Process| {
            process.fork_delay = Duration::from_secs(1);
            process.terminate_delay = Duration::from_secs(2);
            process.quorum_max = Some(1);
        };
        let (mut bench, _) = Bench::new(1, delays);
        assert_eq!(bench.end(1.0), None);
        assert_eq!(bench.judge.ruling.deadline(), Some(at(3.0)));
        assert_eq!(bench.start(2.0), None, "in time");
        assert_eq!(bench.judge.ruling.deadline(), None);
        assert_eq!(bench.end(4.0), None);
        assert_eq!(bench.elapse(5.9), None);
        assert_eq!(bench.elapse(6.0), Some(false));
        assert_eq!(bench.start(7.0), Some(true), "what is started is not waited for");
        assert_eq!(bench.change(8.0, Cause::Fork, 1), None);
        assert_eq!(bench.change(8.5, Cause::Fork, 1), None);
        assert_eq!(bench.elapse(9.0), Some(false), "too many since the first of them");
    }

    #[test]
    fn too_many_starts_are_a_failure_until_there_was_none_for_the_window() {
        let limit = RestartLimit { max: 2, window: Duration::from_secs(10) };
        let (mut bench, _) = Bench::new(1, |process| process.restarts = Some(limit));
        let mut restart = |secs: f64| (bench.end(secs), bench.start(secs));
        assert_eq!(restart(1.0), (Some(false), Some(true)));
        assert_eq!(restart(2.0), (Some(false), Some(true)));
        assert_eq!(restart(11.0), (Some(false), Some(true)), "the first is out of the window");
        assert_eq!(restart(11.5), (Some(false), Some(false)), "three within ten seconds");
        assert_eq!(restart(20.0), (None, None));
        assert_eq!(bench.judge.ruling.deadline(), Some(at(30.0)));
        assert_eq!(bench.elapse(29.9), None);
        assert_eq!(bench.elapse(30.0), Some(true));
        assert_eq!(bench.judge.ruling.deadline(), None);
    }

    #[test]
    fn an_operator_ends_it() {
        let limit = RestartLimit { max: 1, window: Duration::from_secs(10) };
        let (mut bench, _) = Bench::new(1, |process| process.restarts = Some(limit));
        assert_eq!(bench.start(1.0), None);
        assert_eq!(bench.judge.forgive(), None, "nothing was wrong");
        assert_eq!((bench.start(2.0), bench.start(3.0)), (None, Some(false)));
        assert_eq!(bench.judge.forgive().map(|verdict| verdict.up), Some(true));
        assert_eq!(bench.judge.ruling.deadline(), None);
        assert_eq!(bench.start(4.0), None, "the first one again");
    }

    #[test]
    fn a_storm_without_a_limit_is_none_any_more() {
        let limit = RestartLimit { max: 1, window: Duration::from_secs(10) };
        let (mut bench, _) = Bench::new(1, |process| process.restarts = Some(limit));
        assert_eq!(bench.start(1.0), None);
        assert_eq!(bench.start(2.0), Some(false));
        bench.judge.follow(process(&["nginx"], ProcessMatch::Name));
        assert_eq!(
            bench.judge.recount(at(3.0), 3, [].iter()).map(|verdict| verdict.up),
            Some(true)
        );
    }

    #[test]
    fn other_numbers_are_judged_at_once() {
        let (mut bench, _) = Bench::new(1, |_| ());
        let mut two = process(&["nginx"], ProcessMatch::Name);
        two.quorum = 2;
        bench.judge.follow(two);
        assert_eq!(
            bench.judge.recount(at(1.0), 1, [].iter()).map(|verdict| verdict.up),
            Some(false)
        );
    }

    #[test]
    fn the_operator_is_told_why() {
        let limit = RestartLimit { max: 1, window: Duration::from_mins(10) };
        let (mut bench, _) = Bench::new(1, |process| process.restarts = Some(limit));
        let mut why = |cause, by, is_start| bench.tell(1.0, cause, by, is_start).unwrap().why;
        let text = "process web fails: pid 7 has ended, 0 of them, at least 1 needed";
        assert_eq!(why(Cause::Exit, -1, false), text);
        let text =
            "process web is well again: pid 7 has started or changed, 1 of them, at least 1 needed";
        assert_eq!(why(Cause::Exec, 1, true), text);
        let text = "process web fails: started 2 times within 600 s, 1 is allowed; this lasts until \
                    there was no start for 600 s";
        assert_eq!(why(Cause::Exec, 1, true), text);
    }
}
