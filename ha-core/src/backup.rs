//! Backup (RFC 9568 §6.4.2): listen, and take over when the Master is silent for too long.

use crate::{
    Action, Actions, Cause, Engine, InstanceId, Instant, Version, expect::Said, instance::Prospect,
    timers::Timer,
};

impl Engine {
    pub(crate) fn hear_as_backup(&mut self, id: InstanceId, heard: Instant, said: Said) {
        let Some(instance) = self.instance_mut(id) else {
            return;
        };
        if Some(heard) < instance.heard {
            // Read after a younger one that counted: its news is no news, and a stop least of all.
            instance.expect_nothing();
            return;
        }
        let is_stop = said.priority == 0;
        let is_better = instance.yields_to(said.priority);
        if is_better {
            instance.tolerates_until = None;
        }
        if !is_stop && !is_better && !instance.tolerates(heard) {
            // V-6.4.2-10: discarded, the timer is not touched.
            if instance.prospect != Prospect::Stop {
                instance.prospect = Prospect::Lower;
            }
            instance.master = Some((said.source, said.priority));
            self.restore_deadline(id, heard);
            return;
        }
        let is_stopping = is_stop && instance.prospect == Prospect::Stop;
        let is_steady = !is_stop && instance.is_steady(said.source, heard);
        instance.heard = Some(heard);
        instance.held_back = None;
        instance.wants_master = false;
        instance.listening = false;
        instance.prospect = if is_stop { Prospect::Stop } else { Prospect::Silence };
        let wait = if is_stop {
            // V-6.4.2-8.
            instance.skew_time()
        } else {
            instance.master = Some((said.source, said.priority));
            if instance.config.version == Version::V3 {
                instance.master_interval = said.interval;
            }
            instance.said = Some(said);
            instance.master_down_interval()
        };
        let mut deadline = heard + wait;
        if is_stopping {
            // Stops without a Master between them do not add up: a stream of them, forged or not,
            // must not keep everybody from taking over. (The RFC restarts the timer each time.)
            deadline = deadline.min(self.deadline(id).unwrap_or(deadline));
        }
        self.set_timer(id, Timer::Protocol, Some(deadline));
        self.note_master(id, is_steady);
    }

    /// Puts the deadline back that was held back for a frame which turned out not to count.
    ///
    /// If it is for another frame that it was held back, its stamp does so again when it fires. A
    /// deadline of before the frame is due when that came: until then there was reason to wait, and
    /// nobody was late.
    pub(crate) fn restore_deadline(&mut self, id: InstanceId, heard: Instant) {
        if let Some(deadline) = self.instance_mut(id).and_then(|entry| entry.held_back.take()) {
            self.set_timer(id, Timer::Protocol, Some(deadline.max(heard)));
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
        // A stamp whose content was not seen: that comes by the ring, or was lost there. It counts
        // as a Master's sign of life until then, each time anew, so that the order in which frames
        // and timers are handled does not matter.
        let unseen = stamp.map(|stamp| stamp.min(now)).filter(|stamp| Some(*stamp) > instance.seen);
        let mut down_at = deadline;
        if let Some(stamp) = unseen {
            down_at = down_at.max(stamp + instance.master_down_interval());
            if down_at > now {
                instance.held_back.get_or_insert(deadline);
                instance.wants_master = false;
                instance.statistics.saved_by_stamp += 1;
                self.set_timer(id, Timer::Protocol, Some(down_at));
                self.note_master(id, false);
                return;
            }
        }
        instance.held_back = None;
        let by = now.since(down_at);
        // Who listens already is given more time: a daemon that is always late by a little takes over
        // in the end. But nobody sleeps through the listening, and has listened.
        let patience = if instance.listening {
            instance.master_down_interval()
        } else {
            instance.master_interval
        };
        if by > patience {
            // A living Master would have advertised meanwhile, and its frame may be lost if the
            // whole host slept: no stamp is no proof any more.
            instance.listening = true;
            instance.wants_master = false;
            instance.statistics.late += 1;
            let wait = instance.listening_time();
            actions.push(Action::Late { instance: id, by });
            self.set_timer(id, Timer::Protocol, Some(now + wait));
            return;
        }
        instance.wants_master = true;
        instance.took_over_at = Some(down_at);
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
            if !self.waits_for_others(now, id) {
                self.become_master(now, id, cause, actions);
            }
        } else {
            // The other members still hear their Master: keepalived waits for all of them.
            self.set_timer(id, Timer::Protocol, Some(now + wait));
        }
    }
}
