//! What must hold for routers that hear each other, judged from outside of all of them.

use std::time::Duration;

use ha_core::{Instant, State};

use crate::{bounds, checker::Violation, plan::Plan, story::letter};

/// A router as its LANs see it, and what its files and trackers want of it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Running and awake.
    pub(crate) is_awake: bool,
    pub(crate) lans: Vec<LanView>,
}

/// One instance of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LanView {
    /// Routers with the same number hear each other.
    pub(crate) component: usize,
    /// Nothing that it depends on is missing.
    pub(crate) is_able: bool,
    pub(crate) preempts: bool,
    pub(crate) priority: u8,
    pub(crate) state: State,
    pub(crate) is_present: bool,
}

/// A frame of a Master that got through to another router's daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contact {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) instance: usize,
    pub(crate) sent_at: Instant,
}

/// Two routers on one LAN.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    /// Since when both are Masters.
    since: Option<Instant>,
    /// When one of them last heard the other as Master.
    contact: Option<Instant>,
    /// When there must be one Master again, once they have met.
    until: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Network {
    instances: usize,
    routers: usize,
    is_uneven: bool,
    /// Routers have different sync groups: there may be no right answer.
    is_mixed: bool,
    /// May answer a worse Master by its next advertisement only.
    is_silent: bool,
    settling_time: Duration,
    silent_time: Duration,
    succession_time: Duration,
    answer_time: Duration,
    /// Between two answers of one router.
    pause: Duration,
    pairs: Vec<Pair>,
    master_since: Vec<Option<Instant>>,
    /// When each instance of each router last advertised because of a frame.
    answered: Vec<Option<Instant>>,
    /// When each router last woke up.
    woke: Vec<Option<Instant>>,
    /// Since when there is nothing wrong that does not have a right answer.
    quiet_since: Option<Instant>,
    /// Masters that said that they stop: on which LAN, who, and by when there must be another.
    stopped: Vec<(usize, usize, Instant)>,
    /// The same, and for long enough that the network must settle.
    calm_since: Option<Instant>,
}

impl Network {
    pub(crate) fn new(plan: &Plan) -> Self {
        let (instances, routers) = (plan.instances, plan.routers.len());
        Self {
            instances,
            routers,
            is_uneven: plan.is_uneven,
            is_mixed: false,
            is_silent: plan
                .all_instances()
                .any(|config| config.lower_prio_no_advert || config.owner_ignore_adverts),
            settling_time: bounds::settling_time(plan),
            silent_time: bounds::silent_time(plan),
            succession_time: bounds::succession_time(plan),
            answer_time: bounds::way() * 2,
            pause: bounds::slow(bounds::interval_max(plan)) / 2,
            pairs: vec![Pair::default(); instances * routers * routers],
            master_since: vec![None; instances * routers],
            answered: vec![None; instances * routers],
            woke: vec![None; routers],
            quiet_since: None,
            stopped: Vec::new(),
            calm_since: None,
        }
    }

    pub(crate) fn set_calm(&mut self, since: Option<Instant>) {
        self.calm_since = since;
    }

    pub(crate) fn set_quiet(&mut self, since: Option<Instant>) {
        self.quiet_since = since;
        self.pairs.fill(Pair::default());
        self.stopped.clear();
    }

    /// A router goes on with another priority perhaps: what it has answered before does not count.
    pub(crate) fn reloads(&mut self, router: usize) {
        for instance in 0..self.instances {
            for other in (0..self.routers).filter(|other| *other != router) {
                let pair = self.pair(instance, router, other);
                self.pairs[pair] = Pair::default();
            }
        }
    }

    /// Says whether routers have different sync groups.
    pub(crate) fn set_mixed(&mut self, is_mixed: bool) {
        if self.is_mixed != is_mixed {
            // Who stopped may have been Master with half of a group.
            self.stopped.clear();
        }
        self.is_mixed = is_mixed;
    }

    pub(crate) fn wakes(&mut self, now: Instant, router: usize) {
        self.woke[router] = Some(now);
    }

    pub(crate) fn forget(&mut self, router: usize) {
        for instance in 0..self.instances {
            self.master_since[instance * self.routers + router] = None;
        }
    }

    pub(crate) fn moves(
        &mut self,
        now: Instant,
        (router, instance): (usize, usize),
        [from, to]: [State; 2],
    ) -> Result<(), Violation> {
        if from == State::Master && !matches!(to, State::Backup) {
            self.stopped.push((instance, router, now + self.succession_time));
        }
        let since = (to == State::Master).then_some(now);
        self.master_since[instance * self.routers + router] = since;
        if self.is_settled(now) {
            let text = format!("{} instance {instance} moves to {to}", letter(router));
            return Err(Violation::new("election", text));
        }
        Ok(())
    }

    pub(crate) fn answers(&mut self, now: Instant, router: usize, instance: usize) {
        self.answered[instance * self.routers + router] = Some(now);
    }

    pub(crate) fn meets(&mut self, now: Instant, contact: Contact) {
        let Contact { from, to, instance, sent_at } = contact;
        let since = self.master_since[instance * self.routers + from];
        if since.is_some_and(|since| sent_at >= since) {
            let pair = self.pair(instance, from, to);
            self.pairs[pair].contact = Some(now);
        }
    }

    /// Once settled, nobody but the Master talks, and says what its files and trackers want.
    pub(crate) fn sent(
        &self,
        now: Instant,
        (state, priority): (State, u8),
        expected: u8,
    ) -> Result<(), Violation> {
        if self.is_settled(now) && (state != State::Master || priority != expected) {
            let text = format!("{state} advertises {priority}, expected {expected}");
            return Err(Violation::new("election", text));
        }
        Ok(())
    }

    /// Looks at everybody, after each event.
    pub(crate) fn look(&mut self, now: Instant, views: &[View]) -> Result<(), Violation> {
        self.check_succession(now, views)?;
        for instance in 0..self.instances {
            if self.is_settled(now) {
                for component in 0..views.len() {
                    self.check_election(instance, component, views)?;
                }
            }
            if let Some(quiet_since) = self.quiet_since {
                self.check_pairs(now.max(quiet_since), now, instance, views)?;
            }
        }
        Ok(())
    }

    /// Exactly one Master among those who hear each other, and none whom a better one would
    /// replace.
    fn check_election(
        &self,
        instance: usize,
        component: usize,
        views: &[View],
    ) -> Result<(), Violation> {
        let members = || {
            views
                .iter()
                .map(move |view| (view.is_awake, view.lans[instance]))
                .filter(move |(is_awake, lan)| *is_awake && lan.component == component)
                .map(|(_, lan)| lan)
        };
        let fail = |what: &str| {
            let states: Vec<_> =
                members().map(|lan| format!("{} {}", lan.state, lan.priority)).collect();
            let text = format!("instance {instance}: {what}: {}", states.join(", "));
            Err(Violation::new("election", text))
        };
        if members().any(|lan| matches!(lan.state, State::Backup | State::Master) != lan.is_able) {
            return fail("somebody runs who cannot, or does not run who could");
        }
        let mut masters = members().filter(|lan| lan.state == State::Master);
        match (masters.next(), masters.next()) {
            (Some(master), None) => {
                let waits =
                    |lan: LanView| lan.is_able && lan.preempts && lan.priority > master.priority;
                if !self.is_uneven && members().any(waits) {
                    return fail("a better one waits");
                }
                Ok(())
            }
            (None, _) if members().any(|lan| lan.is_able) => fail("no Master"),
            (None, _) => Ok(()),
            (Some(_), Some(_)) => fail("more than one Master"),
        }
    }

    /// Where a Master said that it stops, somebody who listened is Master after the skew time.
    fn check_succession(&mut self, now: Instant, views: &[View]) -> Result<(), Violation> {
        // An advertisement of before the stop may still come.
        if self.is_uneven || self.is_mixed || self.quiet_since.is_none_or(|since| since > now) {
            self.stopped.clear();
        }
        let is_near = |instance: usize, router: usize, view: &View| {
            view.is_awake && view.lans[instance].component == views[router].lans[instance].component
        };
        // Only who listened when the Master stopped knows of it, and never the Master itself.
        self.stopped.retain(|&(instance, router, until)| {
            let is_old = until < now + self.succession_time;
            is_old
                || views.iter().enumerate().any(|(other, view)| {
                    other != router
                        && is_near(instance, router, view)
                        && view.lans[instance].state == State::Backup
                })
        });
        let due = self.stopped.iter().position(|(_, _, until)| *until < now);
        let Some((instance, router, _)) = due.map(|due| self.stopped.swap_remove(due)) else {
            return Ok(());
        };
        let is_master = |view: &View| view.lans[instance].state == State::Master;
        if views.iter().any(|view| is_near(instance, router, view) && is_master(view)) {
            return Ok(());
        }
        let text = format!("nobody has followed {} on LAN {instance}", letter(router));
        Err(Violation::new("succession", text))
    }

    /// Two Masters that hear each other find out: an advertisement of one of them must come, and
    /// when it has, there is one Master after the answer's way.
    fn check_pairs(
        &mut self,
        since: Instant,
        now: Instant,
        instance: usize,
        views: &[View],
    ) -> Result<(), Violation> {
        for (one, view) in views.iter().enumerate() {
            for (other, other_view) in views.iter().enumerate().skip(one + 1) {
                let (lan, other_lan) = (view.lans[instance], other_view.lans[instance]);
                let are_two = lan.is_present
                    && other_lan.is_present
                    && view.is_awake
                    && other_view.is_awake
                    && lan.component == other_lan.component;
                let place = self.pair(instance, one, other);
                let Pair { since: known, contact, until } = self.pairs[place];
                if !are_two {
                    self.pairs[place] = Pair { contact, ..Pair::default() };
                    continue;
                }
                let since = known.unwrap_or(since);
                let met = contact.filter(|contact| *contact >= since);
                let until =
                    until.or(met.map(|met| met + self.patience(met, instance, [one, other])));
                self.pairs[place] = Pair { since: Some(since), contact, until };
                let until = until.unwrap_or(since + self.silent_time);
                if now > until {
                    let names = [letter(one), letter(other)];
                    let text = format!(
                        "{names:?} are both Masters of instance {instance} for {:?}, met: {met:?}",
                        now.since(since)
                    );
                    return Err(Violation::new(self.name(since, one, other), text));
                }
            }
        }
        Ok(())
    }

    /// How long after they met there may still be two: an answer's way. Answers are rare by choice or
    /// in half an interval after another one; then the next advertisement comes soon.
    fn patience(&self, met: Instant, instance: usize, pair: [usize; 2]) -> Duration {
        let has_answered = pair.iter().any(|router| {
            let answered = self.answered[instance * self.routers + router];
            // This very moment's is the one that is waited for.
            answered.is_some_and(|at| at < met && met.since(at) <= self.pause)
        });
        let is_slow = self.is_silent || has_answered;
        self.answer_time + if is_slow { self.silent_time } else { Duration::ZERO }
    }

    /// Whose fault it is that there are two: of somebody who just woke up, or not.
    fn name(&self, since: Instant, one: usize, other: usize) -> &'static str {
        let woke = |router: usize| {
            self.woke[router].is_some_and(|woke| since.since(woke) <= self.silent_time)
        };
        if woke(one) || woke(other) { "waking" } else { "two-masters" }
    }

    fn pair(&self, instance: usize, one: usize, other: usize) -> usize {
        (instance * self.routers + one.min(other)) * self.routers + one.max(other)
    }

    fn is_settled(&self, now: Instant) -> bool {
        !self.is_mixed && self.calm_since.is_some_and(|since| now >= since + self.settling_time)
    }
}
