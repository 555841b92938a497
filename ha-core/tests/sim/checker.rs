//! What must hold for each router, judged from what it hears and does. [`crate::network`] judges them
//! together.
//!
//! Nothing here looks into an engine: states, timers, actions and addresses are handed in.

use std::{fmt, time::Duration};

use ha_core::{Action, Cause, Config, Input, InstanceConfig, InstanceId, Instant, Order, State};

use crate::{
    bounds,
    memory::{Alive, Heard, Memory, Way, after_listening},
    network::Network,
    plan::{Plan, WEIGHT},
    reloading::{self, Fate},
    router::index,
    story::{Rank, Story, describe, letter},
    table::{Read, Receiver},
};

/// A broken rule: the checker's name, and what it saw.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) checker: &'static str,
    text: String,
}

impl Violation {
    pub(crate) fn new(checker: &'static str, text: String) -> Self {
        Self { checker, text }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.checker, self.text)
    }
}

/// What kind of input a router handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Frame(Read),
    Deadline,
    /// Somebody removed addresses of this instance.
    Missing(usize),
    /// Another configuration.
    Reload,
    /// An operator's, for this instance.
    Order(InstanceId, Order),
    Other,
}

impl Kind {
    pub(crate) fn of(input: &Input<'_>, config: &Config) -> Self {
        match input {
            Input::Advertisement(received) => {
                let config = &config.instances[index(received.instance)];
                Self::Frame(Read::new(received, config))
            }
            Input::Deadline { .. } => Self::Deadline,
            Input::AddressesMissing { instance } => Self::Missing(index(*instance)),
            Input::Order { instance, order } => Self::Order(*instance, *order),
            _ => Self::Other,
        }
    }
}

/// One input of one router, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) router: usize,
    pub(crate) now: Instant,
    /// By the router's clock, as everything that is not said to be otherwise.
    pub(crate) local: Instant,
    pub(crate) kind: Kind,
    /// What a reload means to each instance; empty in other steps.
    pub(crate) fates: &'a [Fate],
    pub(crate) config: &'a Config,
    pub(crate) before: &'a [State],
    pub(crate) after: &'a [State],
    pub(crate) actions: &'a [Action],
    /// `None` where the kernel has just refused, and the engine has not been told yet.
    pub(crate) present: Option<&'a [bool]>,
    /// Each instance's next advertisement or takeover.
    pub(crate) timers: &'a [Option<Instant>],
    /// The start-up delay is over.
    pub(crate) has_started: bool,
}

/// A daemon that goes back to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause<'a> {
    pub(crate) router: usize,
    /// By the router's clock.
    pub(crate) local: Instant,
    /// When anything at all is to happen by itself.
    pub(crate) next: Option<Instant>,
    pub(crate) states: &'a [State],
    /// The start-up delay is over.
    pub(crate) has_started: bool,
}

#[derive(Debug)]
pub(crate) struct Checker {
    plan: Plan,
    interval_min: Duration,
    interval_max: Duration,
    /// When each router last went to sleep, and when it woke up.
    slept: Vec<Option<[Instant; 2]>>,
    pub(crate) story: Story,
    pub(crate) network: Network,
    memories: Vec<Vec<Memory>>,
    /// Effective ones, as far as the daemons have told.
    priorities: Vec<Vec<u8>>,
    /// As they were after the last step.
    timers: Vec<Vec<Option<Instant>>>,
    pub(crate) transitions: u64,
    /// Frames that an engine was told of without their content.
    pub(crate) absorbed: u64,
    pub(crate) steps: u64,
}

impl Checker {
    pub(crate) fn new(plan: &Plan, story: Story) -> Self {
        Self {
            plan: plan.clone(),
            interval_min: bounds::interval_min(plan),
            interval_max: bounds::interval_max(plan),
            slept: vec![None; plan.routers.len()],
            story,
            network: Network::new(plan),
            priorities: vec![vec![0; plan.instances]; plan.routers.len()],
            timers: vec![vec![None; plan.instances]; plan.routers.len()],
            memories: vec![vec![Memory::default(); plan.instances]; plan.routers.len()],
            transitions: 0,
            absorbed: 0,
            steps: 0,
        }
    }

    /// A router's daemon starts: whatever one before had heard it does not know any more.
    pub(crate) fn boots(&mut self, router: usize, config: &Config) {
        let priorities = config.instances.iter().map(|config| config.priority.as_u8());
        self.priorities[router] = priorities.collect();
        self.memories[router].fill(Memory::default());
        self.slept[router] = None;
        self.timers[router].fill(None);
        self.network.forget(router);
    }

    /// A router's daemon goes on with another configuration: who starts anew knows nothing.
    /// `unread`: the stamp of the first frame that it reads by the new one.
    pub(crate) fn reloads(
        &mut self,
        router: usize,
        config: &Config,
        fates: &[Fate],
        unread: Option<Instant>,
    ) {
        self.network.reloads(router);
        for (instance, fate) in fates.iter().enumerate() {
            let memory = &mut self.memories[router][instance];
            match fate {
                Fate::Untouched => {}
                Fate::InPlace { waits_alike } => {
                    // A Master that woke up before was late by its old interval.
                    memory.master_since = memory.master_since.filter(|_| *waits_alike);
                    memory.judge_again(unread);
                }
                Fate::Anew | Fate::Gone => {
                    let last_frame = memory.last_frame.filter(|_| unread.is_some());
                    *memory = Memory { last_frame, ..Memory::default() };
                    memory.judge_again(unread);
                    self.priorities[router][instance] = config.instances[instance].priority.as_u8();
                }
            }
        }
    }

    /// A frame has reached a router's host, whether its daemon is awake or not.
    pub(crate) fn heard(
        &mut self,
        (router, instance): (usize, usize),
        config: &InstanceConfig,
        state: State,
        heard: Heard,
    ) {
        let Heard { at, priority, way, .. } = heard;
        let memory = &mut self.memories[router][instance];
        let own = config.priority.as_u8();
        let interval = match way {
            Way::Read => heard.interval,
            // A stamp teaches no interval: the shortest that anybody has is safe to assume.
            Way::StampFirst | Way::Lost => self.interval_min,
        };
        let alive = Some(Alive { at, interval, way });
        let is_worse = priority < own && (config.preempt || own == u8::MAX);
        memory.last_frame = Some(at);
        if priority == 0 {
            memory.alive = None;
        } else if is_worse {
            let since = *memory.worse_since.get_or_insert(at);
            memory.is_unread = true;
            let is_tolerated = own != u8::MAX && at < since + config.preempt_delay;
            // It may count by the time it is read, and teach a shorter interval. Or there are two
            // Masters and a full ring: nobody can tell whose frame it was that was lost.
            let is_unclear = priority >= own.saturating_sub(WEIGHT)
                || memory.alive.is_some_and(|alive| alive.way == Way::Lost);
            if is_tolerated && way != Way::Lost {
                memory.alive = alive;
            } else if is_unclear || is_tolerated {
                memory.alive = None;
            }
        } else {
            memory.alive = alive;
            if way != Way::Lost {
                memory.worse_since = None;
            }
        }
        if state != State::Backup {
            memory.alive = None;
        }
    }

    /// A router that slept has woken up.
    pub(crate) fn wakes(&mut self, now: Instant, router: usize, slept: [Instant; 2]) {
        self.slept[router] = Some(slept);
        self.network.wakes(now, router);
    }

    /// Somebody has removed the addresses of a Master, whether its daemon is awake or not.
    pub(crate) fn removed(&mut self, router: usize, instance: usize) {
        self.memories[router][instance].has_hole = true;
    }

    pub(crate) fn step(&mut self, step: &Step<'_>) -> Result<(), Violation> {
        self.steps += 1;
        self.tell(step);
        self.look_for_removals(step);
        self.look_for_resets(step);
        self.check_addresses(step)?;
        check_silence(step)?;
        self.check_table(step)?;
        self.check_frames(step)?;
        self.check_waking(step)?;
        check_group(step)?;
        reloading::check(step, &self.timers[step.router], &self.priorities[step.router])?;
        self.timers[step.router].copy_from_slice(step.timers);
        for action in step.actions {
            match action {
                Action::Transition(change) => {
                    self.transitions += 1;
                    let place = (step.router, index(change.instance));
                    self.network.moves(step.now, place, [change.from, change.to])?;
                    self.check_takeover(step, place.1, change.to, change.cause)?;
                    let memory = &mut self.memories[step.router][place.1];
                    *memory = Memory {
                        worse_since: memory.worse_since.filter(|_| memory.is_unread),
                        is_unread: memory.is_unread,
                        last_frame: memory.last_frame,
                        master_since: (change.to == State::Master).then_some(step.local),
                        removals: memory.removals,
                        last_removal: memory.last_removal,
                        ..Memory::default()
                    };
                }
                Action::Priority { instance, to, .. } => {
                    self.priorities[step.router][index(*instance)] = *to;
                }
                Action::Late { instance, .. } => {
                    let memory = &mut self.memories[step.router][index(*instance)];
                    memory.listens = true;
                    memory.restore_by =
                        memory.restore_by.map(|_| after_listening(step, index(*instance)));
                }
                Action::Addresses { instance, present: true } => {
                    self.memories[step.router][index(*instance)].restore_by = None;
                }
                Action::Advertise { instance, .. } if matches!(step.kind, Kind::Frame(_)) => {
                    // Who answers while it listens, a stop perhaps, listens for an interval from there.
                    let memory = &mut self.memories[step.router][index(*instance)];
                    memory.restore_by = memory
                        .restore_by
                        .map(|by| by.max(after_listening(step, index(*instance))))
                        .filter(|_| memory.listens)
                        .or(memory.restore_by);
                }
                Action::Advertise { instance, .. } if step.kind == Kind::Deadline => {
                    self.memories[step.router][index(*instance)].listens = false;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing that is due is left when a daemon goes back to wait, and nothing at all if no instance
    /// runs.
    pub(crate) fn pause(&mut self, pause: &Pause<'_>) -> Result<(), Violation> {
        let Pause { router, local, next, states, has_started } = *pause;
        for memory in &mut self.memories[router] {
            memory.is_unread = false;
        }
        let text = || format!("{} at {local:?} waits for {next:?} in {states:?}", letter(router));
        if next.is_some_and(|next| next <= local) {
            return Err(Violation::new("timers", text()));
        }
        if next.is_some() && has_started && !states.iter().copied().any(is_running) {
            return Err(Violation::new("silence", text()));
        }
        let is_overdue =
            |memory: &Memory| memory.has_hole && memory.restore_by.is_some_and(|by| by < local);
        if self.memories[router].iter().any(is_overdue) {
            let text = format!("{} has not set again what somebody removed", letter(router));
            return Err(Violation::new("addresses", text));
        }
        Ok(())
    }

    fn tell(&mut self, step: &Step<'_>) {
        for action in step.actions {
            let rank = match action {
                Action::Advertise { priority, .. } if *priority != 0 => Rank::Usual,
                Action::Announce { .. } | Action::Noticed { .. } | Action::Notify(_) => {
                    Rank::Detail
                }
                _ => Rank::News,
            };
            let text = || describe(step.router, step.config, action);
            self.story.note(step.now, rank, text);
        }
    }

    fn look_for_removals(&mut self, step: &Step<'_>) {
        for (instance, memory) in self.memories[step.router].iter_mut().enumerate() {
            if step.kind == Kind::Missing(instance) && step.before[instance] == State::Master {
                memory.learn_of_removal(step, instance);
            }
        }
    }

    /// What was counted of removals is forgotten.
    fn look_for_resets(&mut self, step: &Step<'_>) {
        let Kind::Order(instance, Order::Reset) = step.kind else { return };
        for member in members_of(step.config, instance) {
            let memory = &mut self.memories[step.router][member];
            (memory.removals, memory.last_removal) = (0, None);
        }
    }

    /// Addresses are on the interface if and only if the instance is Master, except where somebody
    /// removed them.
    fn check_addresses(&mut self, step: &Step<'_>) -> Result<(), Violation> {
        let Some(present) = step.present else { return Ok(()) };
        for (instance, (present, state)) in present.iter().zip(step.after).enumerate() {
            let memory = &mut self.memories[step.router][instance];
            if *present == (*state == State::Master) {
                memory.has_hole = false;
                continue;
            }
            if *present || !memory.has_hole {
                let who = letter(step.router);
                let text = format!("{who} {instance} is {state}, addresses present: {present}");
                return Err(Violation::new("addresses", text));
            }
        }
        Ok(())
    }

    fn check_table(&self, step: &Step<'_>) -> Result<(), Violation> {
        let Kind::Frame(read) = step.kind else { return Ok(()) };
        let memory = &self.memories[step.router][read.instance];
        read.check(
            step,
            &Receiver {
                source: self.plan.routers[step.router].sources[read.instance],
                priority: self.priorities[step.router][read.instance],
                listens: memory.listens,
                answered: memory.answered,
                interval_max: self.interval_max,
            },
        )
    }

    /// One frame in, one frame out at most, and not always; a deadline moves each member of a group
    /// once at most.
    fn check_frames(&mut self, step: &Step<'_>) -> Result<(), Violation> {
        let who = letter(step.router);
        let frames = step.actions.iter().filter_map(|action| match *action {
            Action::Advertise { instance, .. } => Some(index(instance)),
            _ => None,
        });
        let sent = frames.clone().count();
        let most = match step.kind {
            Kind::Frame(_) => 1,
            Kind::Deadline | Kind::Missing(_) | Kind::Reload | Kind::Order(..) | Kind::Other => {
                step.after.len()
            }
        };
        if sent > most {
            let text = format!("{who} sent {sent} frames for one {:?}", step.kind);
            return Err(Violation::new("frames", text));
        }
        let Kind::Frame(Read { priority, .. }) = step.kind else { return Ok(()) };
        for instance in frames.filter(|instance| step.after[*instance] == State::Master) {
            let memory = &mut self.memories[step.router][instance];
            let config = &step.config.instances[instance];
            let interval = config.interval.as_duration();
            // A Backup whose timer a stop has cut waits for the skew time of its priority, which is
            // 255 at most; a worse Master does not hurry so.
            let pause = match priority {
                0 => bounds::skew_time(config.version, interval, u8::MAX),
                _ => interval / 2,
            };
            let gap = memory.answered.map(|before| step.local.since(before));
            if gap.is_some_and(|gap| gap < pause) {
                let text = format!("{who} instance {instance} answers again after {gap:?}");
                return Err(Violation::new("frames", text));
            }
            memory.answered = Some(step.local);
            self.network.answers(step.now, step.router, instance);
        }
        Ok(())
    }

    /// Whoever was late for so long that the network has got on without it listens for an interval
    /// before it does anything by itself.
    fn check_waking(&mut self, step: &Step<'_>) -> Result<(), Violation> {
        let Some([from, to]) = self.slept[step.router] else { return Ok(()) };
        if matches!(step.kind, Kind::Frame(Read { priority: 0, .. })) {
            // Stops are answered, and what is owed to a second one may come by itself.
            self.slept[step.router] = None;
        }
        let slept = to.since(from);
        for action in step.actions {
            let (instance, acts) = match action {
                Action::Transition(change) if change.to == State::Master => {
                    let config = &step.config.instances[index(change.instance)];
                    // Listening takes an interval and a skew time, which must not be slept through either:
                    // late by an `Active_Down_Interval` more.
                    let patience = self.interval_max * (config.down_adverts + 3);
                    let is_silence = matches!(change.cause, Cause::MasterDown { .. });
                    // A group yields for what one member has heard, and all wait from there.
                    let mut members = members_of(step.config, change.instance);
                    let has_heard = members
                        .any(|member| self.memories[step.router][member].last_frame > Some(from));
                    let acts = is_silence && !has_heard && slept > patience;
                    (change.instance, acts && step.local < to + self.interval_min)
                }
                Action::Advertise { instance, .. } | Action::Announce { instance, .. }
                    if matches!(step.kind, Kind::Deadline | Kind::Reload)
                        && step.after[index(*instance)] == State::Master =>
                {
                    let config = &step.config.instances[index(*instance)];
                    let interval = config.interval.as_duration();
                    // It was to advertise in an interval; its Backups wait for two more at least.
                    let patience = interval * (1 + config.down_adverts.saturating_sub(1).max(1));
                    let memory = self.memories[step.router][index(*instance)];
                    let was_master = memory.master_since.is_some_and(|since| since <= from);
                    let acts = was_master && slept > patience;
                    (*instance, acts && step.local < to + interval)
                }
                _ => continue,
            };
            if acts {
                let (who, since) = (letter(step.router), step.local.since(to));
                let text = format!(
                    "{who} instance {} slept for {slept:?}, and acts {since:?} after that: {action:?}",
                    index(instance)
                );
                return Err(Violation::new("waking", text));
            }
        }
        Ok(())
    }

    /// A Backup takes over only if it heard nobody for the whole `Active_Down_Interval`, by the
    /// moments when frames reached its host.
    fn check_takeover(
        &self,
        step: &Step<'_>,
        instance: usize,
        to: State,
        cause: Cause,
    ) -> Result<(), Violation> {
        let is_own =
            matches!(cause, Cause::MasterDown { .. } | Cause::MasterStopped | Cause::Preempt);
        let Some(alive) = self.memories[step.router][instance].alive else { return Ok(()) };
        if to != State::Master || !is_own {
            return Ok(());
        }
        // The most impatient that this router can be: with its highest priority.
        let config = &step.config.instances[instance];
        let until = alive.at + bounds::down_time(config, alive.interval, config.priority.as_u8());
        if step.local < until {
            let text = format!(
                "{} instance {instance} took over {:?} after it heard a Master",
                letter(step.router),
                step.local.since(alive.at)
            );
            return Err(Violation::new("takeover", text));
        }
        Ok(())
    }
}

fn is_running(state: State) -> bool {
    matches!(state, State::Backup | State::Master)
}

/// Init and Fault arm no timer and send nothing; only who was Master says that it stops.
fn check_silence(step: &Step<'_>) -> Result<(), Violation> {
    let who = letter(step.router);
    for (instance, (state, timer)) in step.after.iter().zip(step.timers).enumerate() {
        if is_running(*state) != timer.is_some() {
            let text = format!("{who} instance {instance}: {state}, {timer:?}");
            return Err(Violation::new("silence", text));
        }
    }
    if !step.has_started && step.after.iter().any(|state| *state != State::Init) {
        return Err(Violation::new("silence", format!("{who} has started too early")));
    }
    for action in step.actions {
        if let Action::Advertise { instance, priority } = *action {
            let (before, after) = (step.before[index(instance)], step.after[index(instance)]);
            let may = if priority == 0 {
                // Demoted, it goes on as Backup.
                let stays = matches!(step.kind, Kind::Order(..)) && after == State::Backup;
                before == State::Master && (!is_running(after) || stays)
            } else {
                before == State::Master && is_running(after) || after == State::Master
            };
            if !may {
                let text = format!("{who} advertises {priority} from {before} to {after}");
                return Err(Violation::new("silence", text));
            }
        }
    }
    Ok(())
}

/// The sync group of an instance, itself included.
fn members_of(config: &Config, instance: InstanceId) -> impl Iterator<Item = usize> {
    let group = config.groups.iter().find(|group| group.members.contains(&instance));
    let others = group.into_iter().flat_map(|group| group.members.iter().copied());
    others.filter(move |other| *other != instance).chain([instance]).map(index)
}

/// Members of a sync group are in one state after each step.
fn check_group(step: &Step<'_>) -> Result<(), Violation> {
    for group in &step.config.groups {
        let state = |member: usize| step.after[index(group.members[member])];
        if (1..group.members.len()).any(|member| state(member) != state(0)) {
            let text = format!("{} has {:?} in {group:?}", letter(step.router), step.after);
            return Err(Violation::new("group", text));
        }
    }
    Ok(())
}
