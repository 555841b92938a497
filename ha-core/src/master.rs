//! Master (RFC 9568 §6.4.3): advertise, and yield to a better one.

use crate::{
    Action, Actions, Cause, Engine, InstanceId, Instant, Received, State, Version, engine::Timer,
    instance::Round, wire::Advertisement,
};

impl Engine {
    pub(crate) fn hear_as_master(
        &mut self,
        now: Instant,
        heard: Instant,
        received: &Received<'_>,
        advertisement: &Advertisement<'_>,
        actions: &mut Actions,
    ) {
        let id = received.instance;
        self.notice_lateness(now, id, actions);
        let Some(instance) = self.instance(id) else {
            return;
        };
        let (source, priority) = (received.source, advertisement.priority);
        if priority == 0 {
            // V-6.4.3-9.
            if self.answer(now, id, actions) {
                let next = self.instance(id).map(|entry| now + entry.config.interval.as_duration());
                self.set_timer(id, Timer::Protocol, next);
            }
        } else if instance.loses_to(priority, source) {
            if instance.config.higher_prio_send_advert {
                self.answer(now, id, actions);
            }
            self.learn_master(id, heard, received, advertisement);
            self.become_backup(heard, id, Cause::BetterMaster { source, priority }, actions);
        } else if instance.listening && instance.yields_to(priority) {
            // Others had every reason to replace us while we were away.
            self.learn_master(id, heard, received, advertisement);
            self.become_backup(heard, id, Cause::Late { source }, actions);
        } else if !instance.config.lower_prio_no_advert {
            // V-6.4.3-11: assert, so that the other one yields and switches learn.
            let repeat = instance.config.announce.lower_prio_repeat;
            if self.answer(now, id, actions) && repeat > 0 {
                actions.push(Action::Announce { instance: id, repeat });
            }
        }
    }

    /// `Adver_Timer` fired (V-6.4.3-8).
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
            actions.push(Action::Addresses { instance: id, present: true });
            actions.push(Action::Announce { instance: id, repeat });
        }
    }

    pub(crate) fn handle_announce_due(
        &mut self,
        now: Instant,
        id: InstanceId,
        actions: &mut Actions,
    ) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        let plan = instance.config.announce;
        let repeat = match instance.next_round {
            Round::Second => plan.repeat,
            Round::Refresh => plan.refresh_repeat,
        };
        instance.next_round = Round::Refresh;
        let next = (!plan.refresh.is_zero()).then(|| now + plan.refresh);
        self.set_timer(id, Timer::Announce, next);
        actions.push(Action::Announce { instance: id, repeat });
    }

    /// A Master that had no chance to advertise for as long as its Backups wait listens for one
    /// interval before it asserts itself again: they may have a new Master.
    fn notice_lateness(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) -> bool {
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

    fn learn_master(
        &mut self,
        id: InstanceId,
        heard: Instant,
        received: &Received<'_>,
        advertisement: &Advertisement<'_>,
    ) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        instance.heard = Some(heard);
        instance.master = Some((received.source, advertisement.priority));
        if instance.config.version == Version::V3 {
            instance.master_interval = advertisement.interval.as_duration();
        }
    }

    /// Advertises out of turn, at most once each half interval; says whether it did.
    fn answer(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) -> bool {
        let Some(instance) = self.instance_mut(id) else {
            return false;
        };
        if !instance.may_answer(now) {
            return false;
        }
        instance.answered = Some(now);
        let priority = instance.priority;
        self.advertise(id, priority, actions);
        true
    }
}
