//! Another configuration for a running engine: what did not change is not touched.
//!
//! Numbers stay: whoever makes the new configuration gives instances and trackers that were there
//! before the numbers they had, so that nothing outside has to be told of a new one.

use core::time::Duration;

use crate::{
    Action, Actions, Cause, Config, Engine, Event, Instance, InstanceConfig, InstanceId, Instant,
    State, TrackerId, Verdict, Version,
    engine::index,
    expect::Touched,
    group::{Group, group_by},
    timers::{Timer, Timers},
};

/// What a running engine goes on with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reload {
    /// The new configuration; at least as many instances as before.
    pub config: Config,
    /// Numbers that no instance has any more, in no group of the new configuration.
    pub retired: Vec<InstanceId>,
    /// Instances that cannot go on as they are: another interface, VRID, version or way to speak.
    pub restart: Vec<InstanceId>,
    /// Instances with other virtual addresses than before.
    pub readdressed: Vec<InstanceId>,
    /// Trackers that were not there before, or watch something else now.
    pub new_trackers: Vec<TrackerId>,
    /// What is known of some of them already.
    pub known: Vec<(TrackerId, Verdict)>,
}

impl Reload {
    /// Who of `before` cannot go on, `free` having been numbers of no instance: those that are gone or that
    /// start anew, and with them their groups, old and new, as all members of a group are in one state. In
    /// the order of their numbers.
    #[must_use]
    pub fn stopped(&self, before: &Config, free: &[InstanceId]) -> Vec<InstanceId> {
        let (old_groups, old_group_of) = group_by(before, free);
        let (groups, group_of) = group_by(&self.config, &self.retired);
        let owns = before.instances.iter().map(|old| old.priority.is_owner());
        let old: Vec<_> = old_group_of.into_iter().zip(owns).collect();
        self.stopped_of(&old_groups, &old, &groups, &group_of)
    }

    /// `old`: the group of each instance, and whether it was an address owner.
    fn stopped_of(
        &self,
        old_groups: &[Group],
        old: &[(usize, bool)],
        groups: &[Group],
        group_of: &[usize],
    ) -> Vec<InstanceId> {
        let mut ends = vec![false; old.len()];
        for id in self.retired.iter().chain(&self.restart) {
            if let Some(ends) = ends.get_mut(index(*id)) {
                *ends = true;
            }
        }
        // By old group: a large one is looked at once, not once for each of its members.
        let mut stopped = vec![false; old_groups.len()];
        for (place, ((group, owned), ends)) in old.iter().zip(ends).enumerate() {
            let owns = self.config.instances.get(place);
            let owns = owns.is_some_and(|config| config.priority.is_owner());
            if let Some(stopped) = stopped.get_mut(*group) {
                *stopped |= ends || owns != *owned;
            }
        }
        let sorted = |group: &Group| {
            let mut members = group.members.clone();
            members.sort_unstable();
            members
        };
        for (group, stopped) in old_groups.iter().zip(&mut stopped) {
            // Where one member lost or got another one, all of them did.
            let first = group.members.first().and_then(|id| group_of.get(index(*id)));
            let new = first.and_then(|place| groups.get(*place));
            *stopped |= new.map(sorted) != Some(sorted(group));
        }
        let stops = |group: usize| stopped.get(group).copied().unwrap_or(true);
        let all = (0..).zip(old).filter(|(_, (group, _))| stops(*group));
        all.map(|(number, _)| InstanceId(number)).collect()
    }
}

impl Engine {
    /// Stops what cannot go on with `reload`, while everything outside is still as it was: Masters
    /// say goodbye.
    pub fn stop_for(&mut self, reload: &Reload, actions: &mut Actions) {
        let (groups, group_of) = group_by(&reload.config, &reload.retired);
        let stopped = self.stopped_by(reload, &groups, &group_of);
        let ran: Vec<InstanceId> =
            reload.retired.iter().copied().filter(|id| self.runs(*id)).collect();
        self.release(&stopped, actions);
        for &id in &stopped {
            self.enter(id, State::Init, Cause::Reload, actions);
        }
        for id in ran {
            self.notify(id, Event::Deleted, actions);
        }
    }

    /// Goes on with another configuration; [`Engine::stop_for`] comes first.
    ///
    /// An instance that did not change keeps its state, its timers, the interval it has learned and
    /// what it knows of its peers. Another priority, other addresses, timers or trackers are taken
    /// over in place. An instance in another sync group, or of an owner's priority that it did not
    /// have before, starts anew; so do the other members of a group with such an instance.
    pub fn reload(&mut self, now: Instant, reload: Reload, actions: &mut Actions) {
        self.stop_for(&reload, actions);
        let (groups, group_of) = group_by(&reload.config, &reload.retired);
        let stopped = self.stopped_by(&reload, &groups, &group_of);
        let Reload { config, readdressed, new_trackers, known, retired: _, restart: _ } = reload;

        let old = core::mem::take(&mut self.instances);
        let old_timers = core::mem::replace(&mut self.timers, Timers::new(0));
        let startup = old_timers.deadline(Timer::startup(old.len()));
        self.timers = Timers::new(Timer::count(config.instances.len()));
        self.timers.set(Timer::startup(config.instances.len()), startup);
        self.regroup(groups, &old);
        let mut old = old.into_iter();
        for ((number, config), group) in (0..).zip(config.instances).zip(group_of) {
            let id = InstanceId(number);
            let before = old.next().filter(|_| stopped.binary_search(&id).is_err());
            let Some(before) = before else {
                self.instances.push(Instance::new(config, group));
                continue;
            };
            let deadline = old_timers.deadline(Timer::Protocol.of(id));
            let (instance, change) = before.reconfigured(now, config, group, deadline);
            let is_master = instance.state == State::Master;
            let interval = instance.config.interval.as_duration();
            self.instances.push(instance);
            for timer in Timer::ALL {
                self.set_timer(id, timer, old_timers.deadline(timer.of(id)));
            }
            if is_master {
                // A shorter interval counts from now on.
                self.set_timer(id, Timer::Protocol, deadline.map(|at| at.min(now + interval)));
                if change.has_new_plan {
                    self.plan_announcements(now, id);
                }
            } else {
                self.set_timer(id, Timer::Protocol, change.deadline);
            }
        }

        // What was said before this may mean something else now.
        self.touched = Touched::all(self.instances.len());

        self.trackers.resize(usize::try_from(config.trackers).unwrap_or(0), None);
        let anew = new_trackers.into_iter().map(|tracker| (tracker, None));
        let known = known.into_iter().map(|(tracker, verdict)| (tracker, Some(verdict)));
        for (tracker, verdict) in anew.chain(known) {
            let slot = usize::try_from(tracker.0).ok();
            if let Some(slot) = slot.and_then(|place| self.trackers.get_mut(place)) {
                *slot = verdict;
            }
        }
        for &id in &readdressed {
            // Who was late does it when it has listened: the addresses may be somebody else's by now.
            self.notice_lateness(now, id, actions);
            let master = self.instance(id).filter(|one| one.state == State::Master);
            let master = master.filter(|master| !master.listening);
            if let Some(repeat) = master.map(|master| master.config.announce.repeat) {
                self.cancel_restore(id);
                actions.push(Action::Addresses { instance: id, present: true });
                Self::announce(id, repeat, actions);
            }
        }
        for group in 0..self.groups.len() {
            self.reconsider(now, group, actions);
        }
    }

    /// See [`Reload::stopped`].
    fn stopped_by(&self, reload: &Reload, groups: &[Group], group_of: &[usize]) -> Vec<InstanceId> {
        let old = self.instances.iter().map(|old| (old.group, old.is_owner()));
        reload.stopped_of(&self.groups, &old.collect::<Vec<_>>(), groups, group_of)
    }

    fn runs(&self, id: InstanceId) -> bool {
        self.instance(id).is_some_and(|instance| instance.state != State::Init)
    }

    /// The new groups, with what the old ones remember.
    fn regroup(&mut self, groups: Vec<Group>, old: &[Instance]) {
        let before = core::mem::replace(&mut self.groups, groups);
        for group in &mut self.groups {
            let first = group.members.first().and_then(|id| old.get(index(*id)));
            let same = first.and_then(|instance| before.get(instance.group));
            if let Some(same) = same.filter(|same| same.members.len() == group.members.len()) {
                group.clash = same.clash;
            }
        }
    }
}

/// What another configuration means to a running instance.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// A Backup's.
    deadline: Option<Instant>,
    /// Announcements are planned otherwise.
    has_new_plan: bool,
}

impl Instance {
    /// Itself with another configuration; the effective priority follows when trackers are asked.
    fn reconfigured(
        mut self,
        now: Instant,
        config: InstanceConfig,
        group: usize,
        deadline: Option<Instant>,
    ) -> (Self, Change) {
        let moved = [deadline, self.held_back].map(|deadline| {
            let wait = self.wait_until(deadline?);
            Some((deadline?, wait, wait(&self)))
        });
        let fresh = Self::new(config, group);
        let has_new_plan = self.config.announce != fresh.config.announce;
        // What was learned stays. In VRRPv2, and of nobody, nothing was.
        let is_own = self.state == State::Master
            || self.heard.is_none()
            || fresh.config.version == Version::V2;
        // It runs from the same advertisement as before.
        let (old_delay, new_delay) = (self.config.preempt_delay, fresh.config.preempt_delay);
        self.tolerates_until = self.tolerates_until.map(|until| until + new_delay - old_delay);
        self.config = fresh.config;
        self.group = group;
        self.expect_nothing();
        if is_own {
            self.master_interval = self.config.interval.as_duration();
        }
        let [deadline, held_back] = moved.map(|moved| {
            let (before, wait, old_wait) = moved?;
            let moved = before + wait(&self) - old_wait;
            // Due at once would be late, though nobody slept: the Master gets the time to be heard,
            // but no more of it than it had before.
            let listened = before.min(now + self.listening_time());
            Some(if moved < now { listened } else { moved })
        });
        self.held_back = held_back;
        (self, Change { deadline, has_new_plan })
    }

    /// What a Backup waits for until `deadline`: another configuration moves it by as much as that
    /// is longer or shorter.
    fn wait_until(&self, deadline: Instant) -> fn(&Self) -> Duration {
        let silence = self.master_interval * self.config.down_adverts;
        let is_held_back = self.held_back.is_some_and(|held_back| held_back != deadline);
        if self.listening && !is_held_back {
            Self::listening_time
        } else if self.heard.is_some_and(|heard| deadline < heard + silence) {
            // The Master has said that it stops.
            Self::skew_time
        } else {
            Self::master_down_interval
        }
    }
}
