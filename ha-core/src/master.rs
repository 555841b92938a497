//! Master (RFC 9568 §6.4.3): advertise, and yield to a better one.

use core::time::Duration;

use crate::{
    Action, Actions, Cause, Engine, Event, InstanceId, Instant, State, Version, expect::Said,
    instance::Round, timers::Timer,
};

/// Advertisements that are due in so long are sent together: a tenth of the shortest interval.
const NEAR: Duration = Duration::from_millis(1);

impl Engine {
    pub(crate) fn hear_as_master(
        &mut self,
        now: Instant,
        id: InstanceId,
        heard: Instant,
        said: Said,
        actions: &mut Actions,
    ) {
        self.notice_lateness(now, id, actions);
        let Some(instance) = self.instance(id) else {
            return;
        };
        let Said { source, priority, .. } = said;
        if priority == 0 {
            self.answer_stop(now, id, actions);
        } else if instance.loses_to(priority, source) {
            if instance.config.higher_prio_send_advert {
                self.assert_mastership(now, id, actions);
            }
            self.learn_master(id, heard, said);
            self.become_backup(heard, id, Cause::BetterMaster { source, priority }, actions);
        } else if instance.listening && instance.may_be_replaced_by(priority) {
            // Others had every reason to replace us while we were away.
            self.learn_master(id, heard, said);
            self.become_backup(heard, id, Cause::Late { source }, actions);
        } else {
            let answers = !instance.config.lower_prio_no_advert;
            // V-6.4.3-11: assert, so that the other one yields and switches learn.
            if answers && self.assert_mastership(now, id, actions) {
                self.announce_after_lower(now, id, actions);
            }
            self.tell_of_lower(now, id, actions);
        }
    }

    /// Has what is not on the network put right: the other Master has moved it. At most as often
    /// as it is answered, so that a stream of such advertisements starts no stream of scripts.
    fn tell_of_lower(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        let pause = instance.config.interval.as_duration() / 2;
        if instance.told_of_lower.is_none_or(|told| now.since(told) >= pause) {
            instance.told_of_lower = Some(now);
            self.notify(id, Event::LowerMaster, actions);
        }
    }

    /// Switches have heard the other Master last: announces, and plans one more round.
    fn announce_after_lower(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        let plan = instance.config.announce;
        Self::announce(id, plan.lower_prio_repeat, actions);
        if plan.lower_prio_repeat == 0 || plan.lower_prio_delay.is_zero() {
            return;
        }
        let again = now + plan.lower_prio_delay;
        let planned = self.timer(id, Timer::Announce);
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        // A second round that comes anyway is not put off: a stream of such advertisements would
        // do so for ever.
        if planned.is_none() || instance.next_round == Round::Refresh && planned > Some(again) {
            instance.next_round = Round::LowerPrio;
            self.set_timer(id, Timer::Announce, Some(again));
        }
    }

    /// `Adver_Timer` fired (V-6.4.3-8). It is set again an interval after `deadline`, which is its own
    /// or that of whom it advertises with.
    pub(crate) fn handle_advertise_due(
        &mut self,
        now: Instant,
        id: InstanceId,
        deadline: Instant,
        actions: &mut Actions,
    ) {
        if self.notice_lateness(now, id, actions) {
            return;
        }
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        let interval = instance.config.interval.as_duration();
        let priority = instance.priority;
        let has_listened = core::mem::take(&mut instance.listening);
        let repeat = instance.config.announce.repeat;
        // The period does not drift: the next deadline follows from this one, not from now.
        let next = deadline + interval;
        let next = if next > now { next } else { now + interval };
        self.set_timer(id, Timer::Protocol, Some(next));
        self.advertise(id, priority, actions);
        if has_listened {
            // Nobody took over meanwhile, but switches may have forgotten us.
            self.cancel_restore(id);
            actions.push(Action::Addresses { instance: id, present: true });
            Self::announce(id, repeat, actions);
            self.plan_announcements(now, id);
        }
    }

    /// Has Masters whose turn comes within a millisecond advertise with the one whose `deadline` it
    /// was, now and from then on: a thousand of them are one wake-up, and one system call.
    ///
    /// Early, never late: no Backup waits longer than it would have. The RFC asks for no distance
    /// between virtual routers and has no jitter. Each is early once and not again and again, because
    /// from here both go on from the same moment, and intervals are whole hundredths of a second.
    pub(crate) fn advertise_those_near(
        &mut self,
        now: Instant,
        deadline: Instant,
        actions: &mut Actions,
    ) {
        let end = deadline + NEAR;
        while let Some((at, timer)) = self.timers.next()
            && at <= end
            && let Some((id, Timer::Protocol)) = Timer::at(timer)
            // One that listens does so for all of its interval.
            && self.instance(id).is_some_and(|one| one.state == State::Master && !one.listening)
        {
            self.handle_advertise_due(now, id, deadline, actions);
        }
    }

    /// The rounds of announcements after the first one.
    pub(crate) fn plan_announcements(&mut self, now: Instant, id: InstanceId) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        let plan = instance.config.announce;
        let (round, wait) = if plan.delay.is_zero() {
            (Round::Refresh, plan.refresh)
        } else {
            (Round::Second, plan.delay)
        };
        instance.next_round = round;
        self.set_timer(id, Timer::Announce, (!wait.is_zero()).then(|| now + wait));
    }

    pub(crate) fn handle_announce_due(
        &mut self,
        now: Instant,
        id: InstanceId,
        actions: &mut Actions,
    ) {
        self.notice_lateness(now, id, actions);
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        if instance.listening {
            // The addresses may be somebody else's by now. When it has listened it starts anew.
            self.set_timer(id, Timer::Announce, None);
            return;
        }
        let plan = instance.config.announce;
        let repeat = match instance.next_round {
            Round::Second => plan.repeat,
            Round::LowerPrio => plan.lower_prio_repeat,
            Round::Refresh => plan.refresh_repeat,
        };
        instance.next_round = Round::Refresh;
        let next = (!plan.refresh.is_zero()).then(|| now + plan.refresh);
        self.set_timer(id, Timer::Announce, next);
        Self::announce(id, repeat, actions);
    }

    /// A Master that had no chance to advertise for as long as its Backups wait listens for one
    /// interval before it asserts itself again: they may have a new Master.
    pub(crate) fn notice_lateness(
        &mut self,
        now: Instant,
        id: InstanceId,
        actions: &mut Actions,
    ) -> bool {
        let Some(deadline) = self.deadline(id) else {
            return false;
        };
        let Some(instance) = self.instance_mut(id) else {
            return false;
        };
        let by = now.since(deadline);
        if instance.state != State::Master || by <= instance.patience() {
            return false;
        }
        instance.listening = true;
        instance.statistics.late += 1;
        let until = now + instance.config.interval.as_duration();
        self.set_timer(id, Timer::Protocol, Some(until));
        actions.push(Action::Late { instance: id, by });
        true
    }

    fn learn_master(&mut self, id: InstanceId, heard: Instant, said: Said) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        instance.heard = Some(heard);
        instance.master = Some((said.source, said.priority));
        if instance.config.version == Version::V3 {
            instance.master_interval = said.interval;
        }
    }

    /// Answers priority 0 (V-6.4.3-9), and keeps a storm of them from making another one.
    ///
    /// An answer sent before this frame does not help a Backup whose timer this frame has cut, so
    /// one is never left out: it comes at the latest when the fastest Backup's skew time is over.
    fn answer_stop(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) {
        let Some(instance) = self.instance(id) else {
            return;
        };
        let interval = instance.config.interval.as_duration();
        let pause = instance.shortest_skew_time();
        // A stream of stops must not make the listening last.
        let listens_until = instance.listening.then(|| self.deadline(id)).flatten();
        let next = match instance.answered.map(|answered| answered + pause) {
            Some(next) if now < next => self.deadline(id).map(|deadline| deadline.min(next)),
            Some(_) | None => {
                self.answer(now, id, actions);
                listens_until.or(Some(now + interval))
            }
        };
        self.set_timer(id, Timer::Protocol, next);
    }

    /// Answers another Master, at most once each half interval; says whether it did.
    fn assert_mastership(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) -> bool {
        let Some(instance) = self.instance(id) else {
            return false;
        };
        let pause = instance.config.interval.as_duration() / 2;
        let may_answer = instance.answered.is_none_or(|answered| now.since(answered) >= pause);
        if may_answer {
            self.answer(now, id, actions);
        }
        may_answer
    }

    /// Advertises out of turn.
    fn answer(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        instance.answered = Some(now);
        let priority = instance.priority;
        self.advertise(id, priority, actions);
    }
}
