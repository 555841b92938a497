//! An operator's orders: a planned switch-over and its end, announcements, and a fresh start for what
//! counts failures. They concern the whole sync group, whose members are always in one state.
//!
//! An order changes nothing about who may be Master: a demoted router says the lowest priority, and a
//! promoted one takes over only from a Master that yields to it.

use core::net::IpAddr;

use crate::{
    Actions, Cause, Engine, Instance, InstanceId, Instant, State, TrackerId, instance::Source,
};

/// What an operator wants of an instance and its sync group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Give mastership away, and until [`Order::Promote`] take it only if nobody else is there: the
    /// effective priority is 1.
    Demote,
    /// Demoted no more; and take over at once from a Master of lower priority, whatever `nopreempt` and
    /// `preempt_delay` say.
    Promote,
    /// Announce the addresses once more.
    Announce,
    /// What was counted of removed addresses is forgotten: the next removal is the first one.
    Reset,
}

/// Why an order is not carried out. It names the member of the group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Nobody has this number.
    Unknown,
    /// It owns the addresses: its priority is always 255.
    Owner(InstanceId),
    /// It is in a state in which that cannot be.
    State(InstanceId, State),
    /// It was late, and listens before it acts.
    Listening(InstanceId),
    /// It has heard no Master: it takes over by itself when its time has come.
    NoMaster(InstanceId),
    /// The Master has no lower priority.
    Better {
        /// Whose Master.
        instance: InstanceId,
        /// Who that is.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// The instance's own effective one.
        own: u8,
    },
}

/// What an instance in Init waits for, or a member of its sync group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Awaited {
    /// The start, or the end of the start-up delay.
    Start,
    /// An address to send from, or that there is none.
    Source(InstanceId),
    /// The first verdict on what is tracked.
    Tracker(InstanceId, TrackerId),
}

impl Engine {
    /// What keeps an instance in Init. `None`: it is not in Init.
    #[must_use]
    pub fn awaited(&self, id: InstanceId) -> Option<Awaited> {
        self.instance(id).filter(|instance| instance.state == State::Init)?;
        if !self.is_running {
            return Some(Awaited::Start);
        }
        self.members_from(id).into_iter().find_map(|member| {
            let instance = self.instance(member)?;
            if instance.source == Source::Unknown {
                return Some(Awaited::Source(member));
            }
            let tracker = instance.unknown_tracker(&self.trackers)?;
            Some(Awaited::Tracker(member, tracker))
        })
    }

    /// Why an order would not be carried out now; of a promotion, why it would not take over.
    #[must_use]
    pub fn refusal(&self, id: InstanceId, order: Order) -> Option<Refusal> {
        let Some(group) = self.group_of(id) else { return Some(Refusal::Unknown) };
        let members = group.members.iter();
        let members = members.filter_map(|id| Some((*id, self.instance(*id)?)));
        members.into_iter().find_map(|(id, instance)| match order {
            Order::Demote => instance.is_owner().then_some(Refusal::Owner(id)),
            Order::Promote => instance.promotion_refusal(id),
            Order::Announce if instance.state != State::Master => {
                Some(Refusal::State(id, instance.state))
            }
            Order::Announce => instance.listening.then_some(Refusal::Listening(id)),
            Order::Reset => None,
        })
    }

    pub(crate) fn handle_order(
        &mut self,
        now: Instant,
        id: InstanceId,
        order: Order,
        actions: &mut Actions,
    ) {
        if order != Order::Promote && self.refusal(id, order).is_some() {
            return;
        }
        match order {
            Order::Demote => self.demote(now, id, actions),
            Order::Promote => self.promote(now, id, actions),
            Order::Announce => {
                for member in self.members_from(id) {
                    let repeat = self.instance(member).map_or(0, |one| one.config.announce.repeat);
                    Self::announce(member, repeat, actions);
                }
            }
            Order::Reset => {
                for member in self.members_from(id) {
                    self.forget_removals(member);
                }
            }
        }
    }

    fn demote(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) {
        self.set_demoted(id, true, actions);
        if self.instance(id).is_none_or(|instance| instance.state != State::Master) {
            return;
        }
        for member in self.members_from(id) {
            self.advertise(member, 0, actions);
        }
        self.become_backup(now, id, Cause::Demoted, actions);
    }

    fn promote(&mut self, now: Instant, id: InstanceId, actions: &mut Actions) {
        self.set_demoted(id, false, actions);
        if self.refusal(id, Order::Promote).is_none() {
            self.become_master(now, id, Cause::Promoted, actions);
        }
    }

    fn set_demoted(&mut self, id: InstanceId, is_demoted: bool, actions: &mut Actions) {
        if self.group_of(id).is_none() {
            return;
        }
        for member in self.members_from(id) {
            if let Some(instance) = self.instance_mut(member) {
                instance.is_demoted = is_demoted;
            }
            self.update_priority(member, actions);
        }
    }
}

impl Instance {
    /// Whether an operator has demoted it.
    #[must_use]
    pub fn is_demoted(&self) -> bool {
        self.is_demoted
    }

    fn promotion_refusal(&self, id: InstanceId) -> Option<Refusal> {
        if self.state != State::Backup {
            return Some(Refusal::State(id, self.state));
        }
        if self.listening {
            return Some(Refusal::Listening(id));
        }
        let Some((source, priority)) = self.master else { return Some(Refusal::NoMaster(id)) };
        let (instance, own) = (id, self.priority);
        (priority >= own).then_some(Refusal::Better { instance, source, priority, own })
    }
}
