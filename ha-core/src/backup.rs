//! Backup (RFC 9568 §6.4.2): listen, and take over when the Master is silent for too long.

use crate::{
    Action, Actions, Cause, Engine, InstanceId, Instant, Received, Version, engine::Timer,
    instance::Prospect, wire::Advertisement,
};

impl Engine {
    pub(crate) fn hear_as_backup(
        &mut self,
        heard: Instant,
        received: &Received<'_>,
        advertisement: &Advertisement<'_>,
    ) {
        let id = received.instance;
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        let is_stop = advertisement.priority == 0;
        if !is_stop && !instance.yields_to(advertisement.priority) {
            // V-6.4.2-10: discarded, the timer is not touched.
            instance.prospect = Prospect::Lower;
            instance.master = Some((received.source, advertisement.priority));
            self.undo_stamp(id);
            return;
        }
        instance.heard = instance.heard.max(Some(heard));
        instance.before_stamp = None;
        instance.wants_master = false;
        instance.listening = false;
        instance.prospect = if is_stop { Prospect::Stop } else { Prospect::Silence };
        let wait = if is_stop {
            // V-6.4.2-8.
            instance.skew_time()
        } else {
            instance.master = Some((received.source, advertisement.priority));
            if instance.config.version == Version::V3 {
                instance.master_interval = advertisement.interval.as_duration();
            }
            instance.master_down_interval()
        };
        let since = instance.heard.unwrap_or(heard);
        self.set_timer(id, Timer::Protocol, Some(since + wait));
    }

    /// Puts the deadline back that was moved for a frame which turned out not to count.
    pub(crate) fn undo_stamp(&mut self, id: InstanceId) {
        if let Some(deadline) = self.instance_mut(id).and_then(|entry| entry.before_stamp.take()) {
            self.set_timer(id, Timer::Protocol, Some(deadline));
        }
    }

    /// `Active_Down_Timer` fired (V-6.4.2-7).
    pub(crate) fn handle_master_down(
        &mut self,
        now: Instant,
        id: InstanceId,
        deadline: Instant,
        stamp: Option<Instant>,
        actions: &mut Actions,
    ) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        let stamp = stamp.map(|stamp| stamp.min(now));
        if let Some(stamp) = stamp
            && Some(stamp) > instance.seen
        {
            // A Master lives; what its frame says comes by the ring, or was lost there.
            instance.seen = Some(stamp);
            instance.before_stamp = Some(deadline);
            instance.statistics.saved_by_stamp += 1;
            let wait = instance.master_down_interval();
            self.set_timer(id, Timer::Protocol, Some(stamp + wait));
            return;
        }
        let by = now.since(deadline);
        if by > instance.master_down_interval() && !instance.listening {
            // Asleep for so long that the whole host may have been: its frames with it.
            instance.listening = true;
            instance.statistics.late += 1;
            let wait = instance.config.interval.as_duration() + instance.skew_time();
            actions.push(Action::Late { instance: id, by });
            self.set_timer(id, Timer::Protocol, Some(now + wait));
            return;
        }
        instance.wants_master = true;
        let cause = match instance.prospect {
            Prospect::Silence => Cause::MasterDown { heard: instance.heard, deadline },
            Prospect::Stop => Cause::MasterStopped,
            Prospect::Lower => Cause::Preempt,
        };
        let wait = instance.master_down_interval();
        if self.group_of(id).is_some_and(|group| {
            group
                .members
                .iter()
                .all(|member| self.instance(*member).is_some_and(|instance| instance.wants_master))
        }) {
            self.become_master(now, id, cause, actions);
        } else {
            // The other members still hear their Master: keepalived waits for all of them.
            self.set_timer(id, Timer::Protocol, Some(now + wait));
        }
    }
}
