//! Changes of state, of all members of a sync group at once.
//!
//! What the network sees comes first, phase by phase over all members: advertisements, addresses,
//! announcements; then the operator is told, the instance that caused it first and the group last
//! (at the start: first).

use crate::{
    Action, Actions, Cause, Config, Engine, GroupId, InstanceId, Instant, State,
    clash::Clash,
    engine::index,
    instance::{Instance, Prospect},
    timers::Timer,
};

/// Instances that move together. One that is in no sync group is a group of its own.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The sync group, for notifications.
    pub(crate) id: Option<GroupId>,
    pub(crate) members: Vec<InstanceId>,
    pub(crate) clash: Clash,
}

impl Group {
    fn new(id: Option<GroupId>, members: Vec<InstanceId>) -> Self {
        Self { id, members, clash: Clash::default() }
    }
}

impl Engine {
    /// All members take over (V-6.4.2-7, V-6.4.1-1).
    pub(crate) fn become_master(
        &mut self,
        now: Instant,
        lead: InstanceId,
        cause: Cause,
        actions: &mut Actions,
    ) {
        let members = self.members_from(lead);
        for &id in &members {
            let Some(instance) = self.instance_mut(id) else {
                continue;
            };
            // The last Master's interval is history: yielding with its group, without a frame to
            // learn from, this one must not wait by it.
            instance.master_interval = instance.config.interval.as_duration();
            let priority = instance.priority;
            let next = now + instance.config.interval.as_duration();
            self.set_timer(id, Timer::Protocol, Some(next));
            self.plan_announcements(now, id);
            self.advertise(id, priority, actions);
        }
        self.note_takeover(now, lead);
        for &id in &members {
            actions.push(Action::Addresses { instance: id, present: true });
        }
        for &id in &members {
            let repeat = self.instance(id).map_or(0, |entry| entry.config.announce.repeat);
            Self::announce(id, repeat, actions);
        }
        self.enter_all(&members, State::Master, cause, actions);
    }

    /// All members listen. `since` is when the reason was heard: timers run from there.
    pub(crate) fn become_backup(
        &mut self,
        since: Instant,
        lead: InstanceId,
        cause: Cause,
        actions: &mut Actions,
    ) {
        let members = self.members_from(lead);
        for &id in &members {
            if self.instance(id).is_some_and(|entry| entry.state == State::Master) {
                actions.push(Action::Addresses { instance: id, present: false });
            }
        }
        if self.instance(lead).is_some_and(|entry| entry.state == State::Master) {
            self.note_yield(since, lead);
        }
        for &id in &members {
            let Some(instance) = self.instance_mut(id) else {
                continue;
            };
            if instance.state == State::Backup {
                continue;
            }
            instance.prospect = Prospect::Silence;
            let wait = instance.master_down_interval();
            self.cancel_restore(id);
            self.set_timer(id, Timer::Announce, None);
            self.set_timer(id, Timer::Protocol, Some(since + wait));
        }
        self.enter_all(&members, State::Backup, cause, actions);
    }

    /// All members stop, because something that `lead` depends on has failed.
    pub(crate) fn become_fault(&mut self, lead: InstanceId, cause: Cause, actions: &mut Actions) {
        let members = self.members_from(lead);
        let is_there = |id: &InstanceId| {
            self.instance(*id).is_some_and(|instance| instance.state == State::Fault)
        };
        if members.iter().all(is_there) {
            return;
        }
        self.release(&members, actions);
        self.enter_all(&members, State::Fault, cause, actions);
    }

    /// All members start, if they are not running: nothing that they depend on is missing.
    pub(crate) fn leave_fault(&mut self, now: Instant, lead: InstanceId, actions: &mut Actions) {
        let members = self.members_from(lead);
        let is_running = |id: &InstanceId| {
            self.instance(*id)
                .is_none_or(|entry| matches!(entry.state, State::Backup | State::Master))
        };
        if members.iter().all(is_running) {
            return;
        }
        for &id in &members {
            let Some(instance) = self.instance_mut(id) else {
                continue;
            };
            instance.master_interval = instance.config.interval.as_duration();
            instance.heard = None;
            instance.master = None;
        }
        let are_owners =
            members.iter().all(|id| self.instance(*id).is_some_and(Instance::is_owner));
        if are_owners {
            self.become_master(now, lead, Cause::Ready, actions);
        } else {
            self.become_backup(now, lead, Cause::Ready, actions);
        }
    }

    /// Masters say priority 0 and give their addresses up; no timer stays armed.
    pub(crate) fn release(&mut self, members: &[InstanceId], actions: &mut Actions) {
        let is_master = |engine: &Self, id: InstanceId| {
            engine.instance(id).is_some_and(|entry| entry.state == State::Master)
        };
        for &id in members {
            if is_master(self, id) {
                self.advertise(id, 0, actions);
            }
        }
        for &id in members {
            if is_master(self, id) {
                actions.push(Action::Addresses { instance: id, present: false });
            }
            self.set_timer(id, Timer::Protocol, None);
            self.set_timer(id, Timer::Announce, None);
            self.cancel_restore(id);
        }
    }

    fn enter_all(
        &mut self,
        members: &[InstanceId],
        to: State,
        cause: Cause,
        actions: &mut Actions,
    ) {
        let Some(&lead) = members.first() else {
            return;
        };
        // keepalived's order: the group last, but first of all when the daemon starts.
        let is_start = self.instance(lead).is_some_and(|entry| entry.state == State::Init);
        let of_group = to.event();
        if let Some(event) = of_group.filter(|_| is_start) {
            self.notify_group(lead, event, actions);
        }
        let mut cause = cause;
        for &id in members {
            self.enter(id, to, cause, actions);
            cause = Cause::Group(lead);
        }
        if let Some(event) = of_group.filter(|_| !is_start) {
            self.notify_group(lead, event, actions);
        }
    }
}

/// The groups of a configuration, and for each instance the place of its group: one of its own
/// where no sync group has it, none where it is `retired`.
pub(crate) fn group_by(config: &Config, retired: &[InstanceId]) -> (Vec<Group>, Vec<usize>) {
    let mut groups: Vec<Group> = Vec::with_capacity(config.groups.len());
    let mut group_of = vec![None; config.instances.len()];
    for (id, group) in (0..).zip(&config.groups) {
        let mut members = Vec::new();
        for &member in &group.members {
            if let Some(slot @ None) = group_of.get_mut(index(member)) {
                *slot = Some(groups.len());
                members.push(member);
            }
        }
        groups.push(Group::new(Some(GroupId(id)), members));
    }
    for &id in retired {
        if let Some(slot @ None) = group_of.get_mut(index(id)) {
            *slot = Some(usize::MAX);
        }
    }
    let mut alone = |id| {
        groups.push(Group::new(None, vec![InstanceId(id)]));
        groups.len() - 1
    };
    let place = |(id, group): (u32, Option<usize>)| group.unwrap_or_else(|| alone(id));
    let group_of = (0..).zip(group_of).map(place).collect();
    (groups, group_of)
}
