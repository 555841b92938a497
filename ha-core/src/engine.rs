//! The engine's surface: inputs are taken here and led to the state that has to deal with them.

use core::{net::IpAddr, time::Duration};

use crate::{
    Action, Actions, Cause, Config, Event, Input, InstanceId, Instant, Notify, Received, Rejection,
    State, Subject, TrackerId, Transition, Verdict, Version,
    expect::{Said, Touched},
    group::{Group, group_by},
    instance::{Condition, Instance, Source, Statistics},
    peers::Seen,
    timers::{Timer, Timers},
    wire::Advertisement,
};

/// All virtual routers of one daemon.
///
/// `handle_*` methods take a moment and an input and add what is to be done to the actions; they
/// never fail, and an input that makes no sense changes nothing.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) instances: Vec<Instance>,
    pub(crate) groups: Vec<Group>,
    pub(crate) timers: Timers,
    pub(crate) trackers: Vec<Option<Verdict>>,
    /// Who may expect something else than before.
    pub(crate) touched: Touched,
    startup_delay: Duration,
    pub(crate) is_running: bool,
}

/// The earliest deadline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadline {
    /// When the engine wants [`Input::Deadline`].
    pub at: Instant,
    /// The Backup that would take over: its last stamp is to be read first.
    pub takeover: Option<InstanceId>,
}

impl Engine {
    /// An engine whose instances are all in Init. A group's unknown members are left out.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (groups, group_of) = group_by(&config, &[]);
        Self {
            groups,
            timers: Timers::new(Timer::count(config.instances.len())),
            trackers: vec![None; usize::try_from(config.trackers).unwrap_or(0)],
            touched: Touched::all(config.instances.len()),
            startup_delay: config.startup_delay,
            is_running: false,
            instances: config
                .instances
                .into_iter()
                .zip(group_of)
                .map(|(config, group)| Instance::new(config, group))
                .collect(),
        }
    }

    /// Takes one input at the moment `now` and appends what is to be done.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, actions: &mut Actions) {
        match input {
            Input::Start => self.handle_start(now, actions),
            Input::Advertisement(received) => self.handle_received(now, &received, actions),
            Input::Heard { instance, at, count } => {
                self.handle_heard(now, instance, at, count, actions);
            }
            Input::Deadline { heard } => self.handle_deadline(now, heard, actions),
            Input::Tracker { tracker, verdict } => {
                self.handle_tracker(now, tracker, verdict, actions);
            }
            Input::Source { instance, address } => {
                self.handle_source(now, instance, address, actions);
            }
            Input::AddressesUsable { instance, usable } => {
                if let Some(entry) = self.instance_mut(instance) {
                    entry.addresses_usable = usable;
                    let group = entry.group;
                    self.reconsider(now, group, actions);
                }
            }
            Input::AddressesMissing { instance } => {
                self.handle_addresses_missing(now, instance, actions);
            }
            Input::Order { instance, order } => self.handle_order(now, instance, order, actions),
            Input::Shutdown => self.handle_shutdown(actions),
        }
    }

    /// The earliest moment at which something is to be done.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        let (at, timer) = self.timers.next()?;
        let takeover = match Timer::at(timer) {
            Some((id, Timer::Protocol)) => {
                self.instance(id).filter(|instance| instance.state == State::Backup).map(|_| id)
            }
            Some((_, Timer::Announce | Timer::Restore)) | None => None,
        };
        Some(Deadline { at, takeover })
    }

    /// A virtual router.
    #[must_use]
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.get(index(id))
    }

    /// Counts anew from now on. Nothing is decided by what was counted.
    pub fn clear_statistics(&mut self) {
        for instance in &mut self.instances {
            instance.statistics = Statistics::default();
        }
    }

    /// What moves the priority of an instance, and by how much: with the configured one the sum of
    /// these is [`Instance::priority`], but for its bounds 1 and 254.
    pub fn weights(&self, id: InstanceId) -> impl Iterator<Item = (TrackerId, i32)> {
        self.instance(id).into_iter().flat_map(|instance| instance.weights(&self.trackers))
    }

    /// When the instance will take over or advertise, if it is Backup or Master.
    #[must_use]
    pub fn deadline(&self, id: InstanceId) -> Option<Instant> {
        self.timer(id, Timer::Protocol)
    }

    pub(crate) fn timer(&self, id: InstanceId, timer: Timer) -> Option<Instant> {
        // Behind the last instance's timers is the start-up delay's.
        self.instance(id).and_then(|_| self.timers.deadline(timer.of(id)))
    }

    pub(crate) fn instance_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        let instance = self.instances.get_mut(index(id))?;
        self.touched.add(id);
        Some(instance)
    }

    pub(crate) fn set_timer(&mut self, id: InstanceId, timer: Timer, deadline: Option<Instant>) {
        if index(id) < self.instances.len() {
            self.timers.set(timer.of(id), deadline);
        }
    }

    /// The members of the instance's group, itself first.
    pub(crate) fn members_from(&self, lead: InstanceId) -> Vec<InstanceId> {
        let mut members = vec![lead];
        if let Some(group) = self.group_of(lead) {
            members.extend(group.members.iter().copied().filter(|member| *member != lead));
        }
        members
    }

    pub(crate) fn group_of(&self, id: InstanceId) -> Option<&Group> {
        self.instance(id).and_then(|instance| self.groups.get(instance.group))
    }

    pub(crate) fn group_of_mut(&mut self, id: InstanceId) -> Option<&mut Group> {
        let group = self.instance(id)?.group;
        self.groups.get_mut(group)
    }

    /// Puts the instance into a state, and tells of it. Timers are the caller's.
    pub(crate) fn enter(
        &mut self,
        instance: InstanceId,
        to: State,
        cause: Cause,
        actions: &mut Actions,
    ) {
        let Some(entry) = self.instance_mut(instance) else {
            return;
        };
        let from = entry.state;
        if from == to {
            return;
        }
        entry.state = to;
        entry.held_back = None;
        entry.wants_master = false;
        entry.listening = false;
        entry.answered = None;
        entry.told_of_lower = None;
        entry.tolerates_until = None;
        entry.expect_nothing();
        if to == State::Master {
            entry.statistics.became_master += 1;
        }
        if from == State::Master {
            entry.statistics.released_master += 1;
        }
        actions.push(Action::Transition(Transition { instance, from, to, cause }));
        if let Some(event) = to.event() {
            self.notify(instance, event, actions);
        }
    }

    /// Tells the operator about the instance.
    pub(crate) fn notify(&self, id: InstanceId, event: Event, actions: &mut Actions) {
        let priority = self.instance(id).map_or(0, Instance::priority);
        let subject = Subject::Instance(id);
        actions.push(Action::Notify(Notify { subject, event, priority }));
    }

    /// Tells the operator about the sync group, if `lead` is in one.
    pub(crate) fn notify_group(&self, lead: InstanceId, event: Event, actions: &mut Actions) {
        if let Some(id) = self.group_of(lead).and_then(|group| group.id) {
            let subject = Subject::Group(id);
            actions.push(Action::Notify(Notify { subject, event, priority: 0 }));
        }
    }

    pub(crate) fn advertise(&mut self, instance: InstanceId, priority: u8, actions: &mut Actions) {
        let Some(entry) = self.instance_mut(instance) else {
            return;
        };
        entry.statistics.adverts_sent += 1;
        if priority == 0 {
            entry.statistics.priority_zero_sent += 1;
        }
        actions.push(Action::Advertise { instance, priority });
    }

    /// Asks for a round of announcements; one without repetitions is none.
    pub(crate) fn announce(instance: InstanceId, repeat: u32, actions: &mut Actions) {
        if repeat > 0 {
            actions.push(Action::Announce { instance, repeat });
        }
    }

    fn handle_start(&mut self, now: Instant, actions: &mut Actions) {
        if self.startup_delay.is_zero() {
            self.run(now, actions);
        } else {
            self.timers.set(self.startup_timer(), Some(now + self.startup_delay));
        }
    }

    /// Instances may leave Init.
    fn run(&mut self, now: Instant, actions: &mut Actions) {
        self.startup_delay = Duration::ZERO;
        self.timers.set(self.startup_timer(), None);
        self.is_running = true;
        for group in 0..self.groups.len() {
            self.reconsider(now, group, actions);
        }
    }

    fn startup_timer(&self) -> usize {
        Timer::startup(self.instances.len())
    }

    fn handle_received(&mut self, now: Instant, received: &Received<'_>, actions: &mut Actions) {
        let Some(instance) = self.instance(received.instance) else {
            return;
        };
        // Nobody listens in Init and Fault: a frame there is neither counted nor answered.
        if !matches!(instance.state, State::Backup | State::Master) {
            return;
        }
        let verdict = judge(instance, received);
        // A stamp in the future would put off the takeover for as long as it likes.
        let heard = received.at.min(now);
        if let Some(instance) = self.instance_mut(received.instance) {
            instance.seen = instance.seen.max(Some(heard));
        }
        match verdict {
            Ok(advertisement) => {
                self.handle_advertisement(now, heard, received, &advertisement, actions);
            }
            Err(reason) => self.reject(heard, received, reason, actions),
        }
    }

    fn reject(
        &mut self,
        heard: Instant,
        received: &Received<'_>,
        reason: Rejection,
        actions: &mut Actions,
    ) {
        if let Some(instance) = self.instance_mut(received.instance)
            && let Some(count) = instance.statistics.rejected.get_mut(reason.kind())
        {
            *count = count.saturating_add(1);
        }
        self.restore_deadline(received.instance, heard);
        let (instance, source) = (received.instance, received.source);
        actions.push(Action::Rejected { instance, source, reason });
    }

    fn handle_advertisement(
        &mut self,
        now: Instant,
        heard: Instant,
        received: &Received<'_>,
        advertisement: &Advertisement<'_>,
        actions: &mut Actions,
    ) {
        let Some(instance) = self.instance_mut(received.instance) else {
            return;
        };
        let Seen { notices, has_forgotten } =
            instance.peers.observe(&instance.config, received.source, advertisement);
        instance.statistics.peers_forgotten += u64::from(has_forgotten);
        for notice in notices.into_iter().flatten() {
            let (instance, source) = (received.instance, received.source);
            actions.push(Action::Noticed { instance, source, notice });
        }
        if instance.is_owner() && instance.config.owner_ignore_adverts {
            // After the notices: that there are two owners is to be told in any case.
            self.reject(heard, received, Rejection::Owner, actions);
            return;
        }
        instance.statistics.adverts_received += 1;
        if advertisement.priority == 0 {
            instance.statistics.priority_zero_received += 1;
        }
        if let Some(said) = Said::new(received, advertisement) {
            self.hear(now, received.instance, heard, said, actions);
        }
    }

    fn handle_deadline(&mut self, now: Instant, heard: Option<Instant>, actions: &mut Actions) {
        let Some((deadline, timer)) = self.timers.next() else {
            return;
        };
        if now < deadline {
            return;
        }
        if timer == self.startup_timer() {
            self.run(now, actions);
            return;
        }
        let Some((id, kind)) = Timer::at(timer) else {
            return;
        };
        match (self.instance(id).map(Instance::state), kind) {
            (Some(State::Backup), Timer::Protocol) => {
                self.handle_master_down(now, id, deadline, heard, actions);
            }
            (Some(State::Master), Timer::Protocol) => {
                self.handle_advertise_due(now, id, deadline, actions);
                self.advertise_those_near(now, deadline, actions);
            }
            (Some(State::Master), Timer::Announce) => self.handle_announce_due(now, id, actions),
            (Some(State::Master), Timer::Restore) => self.handle_restore_due(now, id, actions),
            // No timer outlives its state; one that did must not fire for ever.
            (Some(State::Backup), Timer::Announce | Timer::Restore)
            | (Some(State::Init | State::Fault) | None, _) => {
                self.timers.set(timer, None);
            }
        }
    }

    fn handle_tracker(
        &mut self,
        now: Instant,
        tracker: TrackerId,
        verdict: Verdict,
        actions: &mut Actions,
    ) {
        let slot = usize::try_from(tracker.0).ok().and_then(|index| self.trackers.get_mut(index));
        match slot {
            Some(known) if *known != Some(verdict) => *known = Some(verdict),
            Some(_) | None => return,
        }
        for group in 0..self.groups.len() {
            self.reconsider(now, group, actions);
        }
    }

    fn handle_source(
        &mut self,
        now: Instant,
        instance: InstanceId,
        address: Option<IpAddr>,
        actions: &mut Actions,
    ) {
        if let Some(entry) = self.instance_mut(instance) {
            entry.source = address.map_or(Source::Missing, Source::Known);
            let group = entry.group;
            self.reconsider(now, group, actions);
        }
    }

    /// Lets a group be where what it depends on allows it to be.
    pub(crate) fn reconsider(&mut self, now: Instant, group: usize, actions: &mut Actions) {
        if !self.is_running {
            return;
        }
        let Some(members) = self.groups.get(group).map(|group| group.members.clone()) else {
            return;
        };
        let mut worst = Condition::Ready;
        let mut lead = None;
        let mut recovered = None;
        for &id in &members {
            self.update_priority(id, actions);
            let condition = self.instance(id).map(|instance| instance.condition(&self.trackers));
            let (Some(condition), Some(instance)) = (condition, self.instance_mut(id)) else {
                continue;
            };
            let is_ready = condition == Condition::Ready;
            let is_new = !core::mem::replace(&mut instance.is_ready, is_ready) && is_ready;
            // When they start, they do so in their own order.
            if is_new && instance.state == State::Fault {
                recovered.get_or_insert(id);
            }
            let is_worse = match condition {
                Condition::Ready => lead.is_none(),
                Condition::Unknown => worst == Condition::Ready,
                Condition::Faulty(_) => !matches!(worst, Condition::Faulty(_)),
            };
            if is_worse {
                (worst, lead) = (condition, Some(id));
            }
        }
        let Some(lead) = lead else { return };
        match worst {
            Condition::Unknown => {}
            // Whom the others have waited for.
            Condition::Ready => self.leave_fault(now, recovered.unwrap_or(lead), actions),
            Condition::Faulty(cause) => self.become_fault(lead, cause, actions),
        }
    }

    pub(crate) fn update_priority(&mut self, id: InstanceId, actions: &mut Actions) {
        let weighted = self.instance(id).map(|entry| entry.weighted_priority(&self.trackers));
        let (Some(priority), Some(instance)) = (weighted, self.instance_mut(id)) else {
            return;
        };
        let from = instance.priority;
        if priority == from {
            return;
        }
        let before = instance.master_down_interval();
        instance.priority = priority;
        let after = instance.master_down_interval();
        let state = instance.state;
        if let Some(held_back) = &mut instance.held_back {
            *held_back = *held_back + after - before;
        }
        actions.push(Action::Priority { instance: id, from, to: priority });
        if state == State::Backup
            && let Some(deadline) = self.deadline(id)
        {
            self.set_timer(id, Timer::Protocol, Some(deadline + after - before));
        }
    }

    fn handle_shutdown(&mut self, actions: &mut Actions) {
        self.timers.set(self.startup_timer(), None);
        if !core::mem::take(&mut self.is_running) {
            return;
        }
        // Numbers that nobody has any more have stopped before.
        let ids = (0..).map(InstanceId).take(self.instances.len());
        let all: Vec<InstanceId> = ids.filter(|id| self.group_of(*id).is_some()).collect();
        self.release(&all, actions);
        for &id in &all {
            self.enter(id, State::Init, Cause::Shutdown, actions);
            self.notify(id, Event::Stop, actions);
        }
        for group in self.groups.iter().filter_map(|group| group.id) {
            let subject = Subject::Group(group);
            actions.push(Action::Notify(Notify { subject, event: Event::Stop, priority: 0 }));
        }
    }
}

/// The checks that need the instance's configuration or state (RFC 9568 §7.1).
fn judge<'a>(instance: &Instance, received: &Received<'a>) -> Result<Advertisement<'a>, Rejection> {
    let config = &instance.config;
    let advertisement = Advertisement::decode(config.version, config.family, received.message)
        .map_err(Rejection::Malformed)?;
    if advertisement.vrid != config.vrid {
        return Err(Rejection::Vrid);
    }
    // RFC 3768 §7.1: MUST; RFC 9568 §7.1 only logs, and a Backup learns the interval.
    // Compared as the wire has it: a configured fraction of a second is not sent either.
    let is_same = advertisement.interval.to_secs() == config.interval.to_secs();
    if config.version == Version::V2 && !is_same {
        return Err(Rejection::Interval);
    }
    if instance.source == Source::Known(received.source) {
        return Err(Rejection::OwnSource);
    }
    Ok(advertisement)
}

pub(crate) fn index(id: InstanceId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}
