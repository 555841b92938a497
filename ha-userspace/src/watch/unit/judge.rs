//! The verdict of one tracker: the unit is active, and was not started too often. Pure.

use core::time::Duration;

use ha_config::Unit;
use ha_core::Instant;
use serde_json::{Value, json};

use super::super::judges::{self, News, Ruled, Ruling, Verdict};
use crate::status::figures::Tracked;

/// For so long the first verdict waits for systemd to answer, and for a unit that is just starting.
pub(super) const FIRST_VERDICT_WITHIN: Duration = Duration::from_secs(10);

/// What systemd says of a unit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Sight {
    /// `ActiveState`, or why there is none.
    pub(super) state: String,
    /// `NRestarts`: how often systemd itself has restarted it; 0 again when somebody else has.
    pub(super) restarts: u32,
    /// `InvocationID`: another one for each start. Empty if it has not run.
    pub(super) invocation: Vec<u8>,
}

impl Sight {
    fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "active" | "reloading" | "refreshing")
    }

    fn is_starting(&self) -> bool {
        self.state == "activating"
    }

    /// How often it was started since `before`.
    fn starts_since(&self, before: &Self) -> u32 {
        let is_another = !self.invocation.is_empty() && self.invocation != before.invocation;
        self.restarts.saturating_sub(before.restarts).max(u32::from(is_another))
    }
}

/// What is thought of a tracker, and since when it may be thought otherwise.
#[derive(Debug)]
pub(super) struct Judge {
    unit: Unit,
    /// `None`: systemd has not been heard yet.
    sight: Option<Sight>,
    ruling: Ruling,
}

impl Judge {
    pub(super) fn new(now: Instant, unit: Unit) -> Self {
        let ruling = Ruling::new(unit.restarts, Some(now + FIRST_VERDICT_WITHIN));
        Self { unit, sight: None, ruling }
    }

    /// So it is now.
    pub(super) fn hear(&mut self, now: Instant, sight: Sight) -> Option<Verdict> {
        let (is_up, is_starting) = (sight.is_up(), sight.is_starting());
        // What ran before anybody looked has not just started.
        let starts = self.sight.as_ref().map_or(0, |before| sight.starts_since(before));
        // A limit is a thousand at most.
        for _ in 0..starts.min(1001) {
            self.ruling.starts.note(now);
        }
        self.sight = Some(sight);
        let delay = if is_up { Duration::ZERO } else { self.unit.terminate_delay };
        match self.ruling.is_settled() {
            false if is_starting => {}
            false => self.ruling.settle(is_up),
            true => self.ruling.weigh(now, is_up, delay),
        }
        self.elapse(now)
    }

    fn state(&self) -> &str {
        self.sight.as_ref().map_or("unknown, systemd does not answer", |sight| sight.state.as_str())
    }
}

impl judges::Judge for Judge {
    type Wanted = Unit;

    fn is_of(&self, unit: &Unit) -> bool {
        self.unit.is_same(unit)
    }

    fn follow(&mut self, unit: Unit) {
        self.ruling.starts.follow(unit.restarts);
        self.unit = unit;
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
        self.sight.as_ref().is_some_and(Sight::is_up)
    }

    fn title(&self) -> String {
        format!("unit {}", self.unit.name)
    }

    fn said(&self, News { up, is_storm, .. }: News) -> String {
        let (unit, state) = (&self.unit.unit, self.state());
        if is_storm && !up {
            format!("{unit} was {}", self.ruling.starts.why())
        } else {
            format!("{unit} is {state}")
        }
    }

    fn status(&self, now: Instant) -> Value {
        let Unit { name, unit, .. } = &self.unit;
        let state = self.sight.as_ref().map(|sight| &sight.state);
        json!({ "name": name, "is_up": self.ruling.is_up(), "unit": unit, "state": state,
            "starts": self.ruling.starts.status(now) })
    }

    fn figure(&self, now: Instant) -> Tracked {
        let starts = self.ruling.starts.within(now);
        let name = self.unit.name.clone();
        Tracked { name, is_up: self.ruling.is_up(), count: None, starts }
    }
}

#[cfg(test)]
mod tests {
    use ha_config::{Place, RestartLimit, Weight};

    use super::{judges::Judge as _, *};

    fn unit() -> Unit {
        Unit {
            name: "web".to_owned(),
            unit: "nginx.service".to_owned(),
            weight: Weight::default(),
            terminate_delay: Duration::ZERO,
            restarts: None,
            place: Place::line(1),
        }
    }

    fn at(secs: f64) -> Instant {
        Instant::default() + Duration::from_secs_f64(secs)
    }

    fn sight(state: &str, restarts: u32, invocation: u8) -> Sight {
        Sight { state: state.to_owned(), restarts, invocation: vec![invocation] }
    }

    fn limit(max: u32) -> RestartLimit {
        RestartLimit { max, window: Duration::from_secs(10) }
    }

    /// What is said of each state, one a second.
    fn verdicts(judge: &mut Judge, states: &[&str]) -> Vec<Option<bool>> {
        let hear = |(secs, state): (u8, &&str)| {
            judge.hear(at(f64::from(secs)), sight(state, 0, 1)).map(|verdict| verdict.up)
        };
        (0_u8..).zip(states).map(hear).collect()
    }

    #[test]
    fn what_serves_is_up_and_nothing_else() {
        let mut judge = Judge::new(at(0.0), unit());
        let states = ["active", "reloading", "refreshing", "deactivating", "inactive", "active"];
        let expected = [Some(true), None, None, Some(false), None, Some(true)];
        assert_eq!(verdicts(&mut judge, &states), expected);
        for state in ["inactive", "failed", "deactivating", "maintenance", "not-found", "?"] {
            assert_eq!(verdicts(&mut Judge::new(at(0.0), unit()), &[state]), [Some(false)]);
        }
        let mut judge = Judge::new(at(0.0), unit());
        let restart = ["active", "activating", "active"];
        assert_eq!(verdicts(&mut judge, &restart), [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn a_unit_that_starts_and_a_systemd_that_is_not_there_are_waited_for() {
        let mut judge = Judge::new(at(0.0), unit());
        assert_eq!(judge.hear(at(1.0), sight("activating", 0, 1)), None);
        assert_eq!(judge.hear(at(2.0), sight("active", 0, 1)).map(|one| one.up), Some(true));
        assert_eq!(judge.ruling.deadline(), None);
        for state in [None, Some("activating")] {
            let mut judge = Judge::new(at(0.0), unit());
            if let Some(state) = state {
                assert_eq!(judge.hear(at(1.0), sight(state, 0, 1)), None);
            }
            assert_eq!(judge.ruling.deadline(), Some(at(10.0)));
            assert_eq!(judge.elapse(at(9.9)), None);
            assert_eq!(judge.elapse(at(10.0)).map(|one| one.up), Some(false));
        }
    }

    #[test]
    fn a_restart_within_the_delay_is_not_noticed() {
        let unit = Unit { terminate_delay: Duration::from_secs(2), ..unit() };
        let mut judge = Judge::new(at(0.0), unit);
        let restart = ["active", "deactivating", "activating", "active"];
        // The third comes after a second, the fourth at the last moment.
        assert_eq!(verdicts(&mut judge, &restart[..3]), [Some(true), None, None]);
        assert_eq!(judge.ruling.deadline(), Some(at(3.0)), "since the first that was not well");
        assert_eq!(judge.hear(at(2.9), sight("active", 0, 2)), None);
        assert_eq!(judge.ruling.deadline(), None);
        assert_eq!(judge.hear(at(4.0), sight("failed", 0, 2)), None);
        assert_eq!(judge.elapse(at(6.0)).map(|one| one.up), Some(false));
    }

    #[test]
    fn restarts_count_whoever_does_them() {
        let mut judge = Judge::new(at(0.0), Unit { restarts: Some(limit(3)), ..unit() });
        let mut hear = |secs, restarts, invocation| {
            judge.hear(at(secs), sight("active", restarts, invocation)).map(|one| one.up)
        };
        assert_eq!(hear(0.0, 7, 1), Some(true), "those of before do not count");
        assert_eq!(hear(1.0, 7, 1), None);
        assert_eq!(hear(2.0, 8, 2), None, "one start, seen twice");
        assert_eq!(hear(3.0, 0, 3), None, "somebody else's");
        assert_eq!(hear(3.5, 0, 3), None);
        assert_eq!(hear(4.0, 2, 4), Some(false), "two at once");
        assert_eq!(judge.ruling.deadline(), Some(at(14.0)));
        assert_eq!(judge.elapse(at(13.9)), None);
        assert_eq!(judge.elapse(at(14.0)).map(|one| one.up), Some(true));
    }

    #[test]
    fn an_operator_ends_it() {
        let mut judge = Judge::new(at(0.0), Unit { restarts: Some(limit(1)), ..unit() });
        judge.hear(at(0.0), sight("active", 0, 1));
        let why = judge.hear(at(1.0), sight("active", 2, 2)).unwrap().why;
        let text = "unit web fails: nginx.service was started 2 times within 10 s, 1 is allowed; \
                    this lasts until there was no start for 10 s";
        assert_eq!(why, text);
        let why = judge.forgive().unwrap().why;
        assert_eq!(why, "unit web is well again: nginx.service is active");
        assert_eq!(judge.ruling.deadline(), None);
        assert_eq!(judge.hear(at(2.0), sight("active", 3, 3)), None, "the first one again");
    }

    #[test]
    fn other_limits_judge_on() {
        let mut judge = Judge::new(at(0.0), Unit { restarts: Some(limit(1)), ..unit() });
        judge.hear(at(0.0), sight("active", 0, 1));
        assert_eq!(judge.hear(at(1.0), sight("active", 2, 2)).map(|one| one.up), Some(false));
        assert!(judge.is_of(&unit()));
        judge.follow(unit());
        assert_eq!(judge.elapse(at(2.0)).map(|one| one.up), Some(true));
    }
}
