//! A router's host and daemon around a real engine: ring, stamps, timers late or not, addresses.
//!
//! The engine is told the router's own time; the world outside has another.

use std::{collections::VecDeque, net::IpAddr, time::Duration};

use ha_common::{
    abi::{Content, octets},
    slot::SharedSlot,
};
use ha_core::{
    Absorption, Action, Actions, Engine, Family, Input, Instance, InstanceConfig, InstanceId,
    Instant, Order, Received, State, TrackerId, Version,
    wire::{Authentication, ChecksumScope, Template},
};

use crate::{
    checker::{Checker, Pause, Step, Violation},
    cue::Cue,
    double::Double,
    plan::{File, RouterPlan, VITAL, WEIGHTED},
    reloading::{Fate, Reloading},
    sabotage::Sabotage,
};

/// One record of the ring, or another input of the daemon.
#[derive(Clone, Debug)]
pub(crate) enum Waiting {
    Frame(Frame),
    Tracker {
        tracker: TrackerId,
        up: bool,
    },
    Source {
        instance: usize,
        found: bool,
    },
    Usable {
        instance: usize,
    },
    Missing {
        instance: usize,
    },
    Order {
        instance: usize,
        order: Order,
    },
    /// All instances, or none any more.
    Demotion {
        is_demoted: bool,
    },
    Reload,
    Shutdown,
}

/// A frame that has come.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) from: usize,
    pub(crate) instance: usize,
    /// In the sender's world.
    pub(crate) sent_at: Instant,
    /// By the receiver's clock.
    pub(crate) stamp: Instant,
    pub(crate) source: IpAddr,
    pub(crate) message: Vec<u8>,
}

/// A frame that the router wants on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) instance: usize,
    pub(crate) priority: u8,
    pub(crate) message: Vec<u8>,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct Router {
    pub(crate) number: usize,
    pub(crate) plan: RouterPlan,
    /// Which of the plan's files is there.
    pub(crate) file: usize,
    /// What the daemon runs with.
    pub(crate) running: File,
    /// How many instances there have been since it was started, to keep their numbers.
    known: usize,
    pub(crate) engine: Option<Engine>,
    /// When the daemon was started, by its clock.
    started: Instant,
    /// Of the file that it was started with.
    startup_delay: Duration,
    pub(crate) sleeps: bool,
    slept_since: Instant,
    pub(crate) ring: VecDeque<Waiting>,
    /// The kernel's.
    slots: Vec<SharedSlot>,
    absorption: Absorption,
    /// What handles all frames.
    double: Option<Double>,
    /// What a look at the interface would show.
    pub(crate) present: Vec<bool>,
    /// The world outside, which a daemon that starts finds as it is.
    pub(crate) vital_up: bool,
    pub(crate) weighted_up: bool,
    pub(crate) has_source: Vec<bool>,
    pub(crate) refuses: Vec<bool>,
    /// What an operator has said last, which a file keeps.
    pub(crate) is_demoted: bool,
    /// What the kernel refused and the engine does not know yet.
    untold: usize,
    sabotage: Sabotage,
    actions: Actions,
}

/// What a daemon does writes here.
pub(crate) struct Output<'a> {
    pub(crate) checker: &'a mut Checker,
    pub(crate) sent: &'a mut Vec<Sent>,
}

impl Router {
    pub(crate) fn new(number: usize, plan: &RouterPlan, sabotage: Sabotage) -> Self {
        let [running, _] = plan.files.clone();
        let count = running.config.instances.len();
        Self {
            number,
            plan: plan.clone(),
            file: 0,
            running,
            known: 0,
            engine: None,
            started: Instant::default(),
            startup_delay: Duration::ZERO,
            sleeps: false,
            slept_since: Instant::default(),
            ring: VecDeque::new(),
            slots: new_slots(count),
            absorption: Absorption::default(),
            double: None,
            present: vec![false; count],
            vital_up: true,
            weighted_up: true,
            has_source: vec![true; count],
            refuses: vec![false; count],
            is_demoted: false,
            untold: 0,
            sabotage,
            actions: Actions::default(),
        }
    }

    pub(crate) fn instance(&self, instance: usize) -> &InstanceConfig {
        &self.running.config.instances[instance]
    }

    pub(crate) fn state(&self, instance: usize) -> State {
        let engine = self.engine.as_ref();
        engine.and_then(|engine| engine.instance(id(instance))).map_or(State::Init, Instance::state)
    }

    fn states(&self) -> Vec<State> {
        (0..self.present.len()).map(|instance| self.state(instance)).collect()
    }

    /// Running and not waiting for the start-up delay to end.
    pub(crate) fn has_started(&self, now: Instant) -> bool {
        let since = self.plan.clock.show(now).since(self.started);
        self.engine.is_some() && since >= self.startup_delay
    }

    /// When the daemon, if it is awake, handles its next deadline.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.sleeps || self.sabotage.stops_timers(self.number) {
            return None;
        }
        let deadline = self.engine.as_ref()?.next_deadline()?;
        Some(self.plan.clock.moment(deadline.at) + self.plan.latency)
    }

    /// A frame has reached the interface; says whether it ends there.
    pub(crate) fn arrive(&mut self, frame: Frame, ring_is_full: bool) -> bool {
        if self.sabotage.is_deaf(self.number, frame.message[2]) {
            return false;
        }
        // The kernel knows its own addresses, and stamps no frame that comes from them.
        if frame.from != self.number {
            let said = Content::of(octets(frame.source), &frame.message).expect("a whole message");
            if self.slots[frame.instance].stamp(frame.stamp.as_nanos(), &said) {
                if let Some(double) = &mut self.double {
                    double.absorb(frame);
                }
                return true;
            }
        }
        if !ring_is_full {
            self.ring.push_back(Waiting::Frame(frame));
        }
        false
    }

    /// A daemon is started: it removes what one before left behind, looks around, and goes.
    pub(crate) fn boot(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        self.running = self.plan.files[self.file].clone();
        let mut config = self.running.config.clone();
        self.known = config.instances.len() - usize::from(self.running.lacks_last);
        config.instances.truncate(self.known);
        self.startup_delay = config.startup_delay;
        let engine = Engine::new(self.sabotage.configure(config));
        let absorbs = self.plan.absorbs && self.sabotage.reads_slots();
        self.absorption = Absorption::new(absorbs);
        self.double = absorbs.then(|| Double::new(engine.clone()));
        self.engine = Some(engine);
        self.started = self.plan.clock.show(now);
        self.sleeps = false;
        self.ring.clear();
        self.slots = new_slots(self.slots.len());
        self.present.fill(false);
        output.checker.boots(self.number, &self.running.config);
        self.look_around(now, output)?;
        self.demote_again(now, output)?;
        self.handle(now, Input::Start, output)?;
        self.turn(now, output)
    }

    /// Tells the engine how things are.
    fn look_around(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        self.handle(now, Input::Tracker { tracker: VITAL, verdict: self.vital_up.into() }, output)?;
        let verdict = self.weighted_up.into();
        self.handle(now, Input::Tracker { tracker: WEIGHTED, verdict }, output)?;
        for instance in 0..self.present.len() {
            if self.running.has(instance) {
                let input = self.source(instance, self.has_source[instance]);
                self.handle(now, input, output)?;
            }
        }
        Ok(())
    }

    /// The daemon goes on with what is in the file by now.
    fn reload(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        let next = self.plan.files[self.file].clone();
        let Reloading { mut reload, fates } =
            Reloading::new(&self.plan, [&self.running, &next], self.known);
        self.known = reload.config.instances.len();
        reload.config = self.sabotage.configure(reload.config);
        self.act(now, Cue::StopFor(&reload), &fates, output)?;
        self.running = next;
        let unread = self.ring.iter().find_map(|waiting| match waiting {
            Waiting::Frame(frame) => Some(frame.stamp),
            _ => None,
        });
        output.checker.reloads(self.number, &self.running.config, &fates, unread);
        self.act(now, Cue::Reload(&reload), &fates, output)?;
        self.look_around(now, output)?;
        self.demote_again(now, output)
    }

    /// Who begins anew does not know of it.
    fn demote_again(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        if self.is_demoted { self.order_all(now, Order::Demote, output) } else { Ok(()) }
    }

    fn order_all(
        &mut self,
        now: Instant,
        order: Order,
        output: &mut Output<'_>,
    ) -> Result<(), Violation> {
        for instance in (0..self.present.len()).map(id) {
            self.handle(now, Input::Order { instance, order }, output)?;
        }
        Ok(())
    }

    /// The daemon gets no CPU.
    pub(crate) fn sleep(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.sleeps, true) {
            self.slept_since = self.plan.clock.show(now);
        }
    }

    /// It gets CPU again; says how long it slept.
    pub(crate) fn wake(&mut self, now: Instant) -> [Instant; 2] {
        self.sleeps = false;
        if self.sabotage == Sabotage::Dreams {
            self.ring.retain(|waiting| !matches!(waiting, Waiting::Frame(_)));
            self.slots = new_slots(self.slots.len());
        }
        [self.slept_since, self.plan.clock.show(now)]
    }

    /// One turn of the daemon: everything that waits, everything that is due.
    pub(crate) fn turn(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        if self.sleeps || self.engine.is_none() {
            return Ok(());
        }
        if !self.plan.reads_first {
            self.fire(now, output)?;
        }
        while let Some(waiting) = self.ring.pop_front() {
            self.take(now, &waiting, output)?;
            if !self.plan.reads_first {
                self.fire(now, output)?;
            }
        }
        self.fire(now, output)?;
        self.publish(now, output)?;
        let next = self.engine.as_ref().and_then(Engine::next_deadline);
        output.checker.pause(&Pause {
            router: self.number,
            local: self.plan.clock.show(now),
            next: next.map(|deadline| deadline.at),
            states: &self.states(),
            has_started: self.has_started(now),
        })
    }

    fn take(
        &mut self,
        now: Instant,
        waiting: &Waiting,
        output: &mut Output<'_>,
    ) -> Result<(), Violation> {
        match *waiting {
            Waiting::Frame(ref frame) => self.catch_up(now, frame.instance, output)?,
            _ if self.sabotage == Sabotage::Careless => {}
            _ => {
                for instance in 0..self.slots.len() {
                    self.catch_up(now, instance, output)?;
                }
            }
        }
        let input = match *waiting {
            Waiting::Frame(ref frame) => Input::Advertisement(Received {
                instance: id(frame.instance),
                at: frame.stamp,
                source: frame.source,
                message: &frame.message,
            }),
            Waiting::Tracker { tracker, up } => Input::Tracker { tracker, verdict: up.into() },
            Waiting::Source { instance, found } => self.source(instance, found),
            Waiting::Usable { instance } => {
                Input::AddressesUsable { instance: id(instance), usable: true }
            }
            Waiting::Missing { instance } => Input::AddressesMissing { instance: id(instance) },
            // Promoted, it would not be demoted any more.
            Waiting::Order { order: Order::Promote, .. } if self.is_demoted => return Ok(()),
            Waiting::Order { instance, order } => Input::Order { instance: id(instance), order },
            Waiting::Demotion { is_demoted } => {
                let order = if is_demoted { Order::Demote } else { Order::Promote };
                return self.order_all(now, order, output);
            }
            Waiting::Reload => return self.reload(now, output),
            Waiting::Shutdown => {
                self.handle(now, Input::Shutdown, output)?;
                self.engine = None;
                self.ring.clear();
                return Ok(());
            }
        };
        self.handle(now, input, output)
    }

    fn source(&self, instance: usize, found: bool) -> Input<'static> {
        let address = found.then_some(self.sabotage.address(self.plan.sources[instance]));
        Input::Source { instance: id(instance), address }
    }

    fn fire(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        if self.sabotage.stops_timers(self.number) {
            return Ok(());
        }
        let local = self.plan.clock.show(now);
        for _ in 0..100 {
            let Some(engine) = &self.engine else { return Ok(()) };
            let Some(mut input) = self.absorption.due(engine, &self.slots, local) else {
                return self.look_ahead(now, output);
            };
            if let Input::Deadline { heard } = &mut input {
                match self.sabotage {
                    Sabotage::Unstamped => *heard = None,
                    // As if a frame had come in this very moment.
                    Sabotage::Meek => *heard = Some(local),
                    _ => {}
                }
            }
            self.handle(now, input, output)?;
        }
        Err(Violation::new("timers", format!("router {} fires for ever", self.number)))
    }

    fn look_ahead(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        let local = self.plan.clock.show(now);
        while let Some(engine) = &self.engine
            && let Some(input) = self.absorption.ahead(engine, &self.slots, local)
        {
            self.handle(now, input, output)?;
        }
        Ok(())
    }

    /// Tells the engine what was absorbed for an instance.
    fn catch_up(
        &mut self,
        now: Instant,
        instance: usize,
        output: &mut Output<'_>,
    ) -> Result<(), Violation> {
        match self.absorption.unread(&self.slots, id(instance)) {
            Some(input) => self.handle(now, input, output),
            None => Ok(()),
        }
    }

    fn publish(&mut self, now: Instant, output: &mut Output<'_>) -> Result<(), Violation> {
        while let Some(engine) = &mut self.engine
            && let Some(input) = self.absorption.publish(engine, &self.slots)
        {
            self.handle(now, input, output)?;
        }
        Ok(())
    }

    fn handle(
        &mut self,
        now: Instant,
        mut input: Input<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Violation> {
        self.sabotage.miscounts(&mut input);
        self.act(now, Cue::Input(input), &[], output)
    }

    /// Lets the engine decide, and carries it out. `fates`: of instances in a reload.
    fn act(
        &mut self,
        now: Instant,
        cue: Cue<'_>,
        fates: &[Fate],
        output: &mut Output<'_>,
    ) -> Result<(), Violation> {
        let kind = cue.kind(&self.running.config);
        let local = self.plan.clock.show(now);
        let told = match self.engine.as_ref().and_then(Engine::next_deadline) {
            Some(deadline) if self.sabotage == Sabotage::Punctual => local.min(deadline.at),
            Some(_) | None => local,
        };
        let before = self.states();
        let mut actions = std::mem::take(&mut self.actions);
        actions.clear();
        if let Some(engine) = &mut self.engine
            && !self.sabotage.swallows(&cue)
        {
            cue.tell(engine, told, self.sabotage, &mut actions);
            if let Cue::Input(Input::Heard { count, .. }) = cue {
                output.checker.absorbed += u64::from(count);
            }
            if let Some(double) = &mut self.double {
                double.check(told, &cue, self.sabotage, engine, &actions)?;
            }
        }
        let mut done: Vec<Action> = actions.as_slice().to_vec();
        self.actions = actions;
        let after = self.states();
        self.sabotage.spoil(kind, &after, &mut done);
        let failed = self.apply(&done, output.sent);
        // What the kernel refused is judged when the engine knows of it.
        self.untold += failed.len();
        output.checker.step(&Step {
            router: self.number,
            now,
            local,
            kind,
            fates,
            config: &self.running.config,
            before: &before,
            after: &after,
            actions: &done,
            present: (self.untold == 0).then_some(self.present.as_slice()),
            timers: &self.timers(),
            has_started: self.engine.is_none() || self.has_started(now),
        })?;
        for instance in failed {
            self.untold -= 1;
            self.handle(now, Input::AddressesUsable { instance, usable: false }, output)?;
        }
        Ok(())
    }

    fn timers(&self) -> Vec<Option<Instant>> {
        let timers = (0..self.present.len())
            .map(|instance| self.engine.as_ref().and_then(|engine| engine.deadline(id(instance))));
        if self.sabotage == Sabotage::KeepsTimer {
            return timers.map(|timer| timer.or(Some(Instant::default()))).collect();
        }
        timers.collect()
    }

    /// Carries actions out; says which instances' addresses the kernel refused.
    fn apply(&mut self, actions: &[Action], sent: &mut Vec<Sent>) -> Vec<InstanceId> {
        let mut failed = Vec::new();
        for action in actions {
            match *action {
                Action::Advertise { instance, priority } => {
                    let instance = index(instance);
                    let message = self.encode(instance, priority);
                    sent.push(Sent { instance, priority, message });
                }
                Action::Addresses { instance, present } => {
                    let refused = present && self.refuses[index(instance)];
                    if refused {
                        failed.push(instance);
                    }
                    let keeps = !present && self.sabotage == Sabotage::KeepsAddresses;
                    if !refused && !keeps {
                        self.present[index(instance)] = present;
                    }
                }
                // Nothing that another router or a look at the interface would show.
                _ => {}
            }
        }
        failed
    }

    fn encode(&self, instance: usize, priority: u8) -> Vec<u8> {
        let config = self.instance(instance);
        let source = self.plan.sources[instance];
        let scope = match (config.version, config.family) {
            (Version::V2, _) | (Version::V3, Family::V4) => ChecksumScope::Message,
            (Version::V3, Family::V6) => ChecksumScope::PseudoHeader {
                source,
                destination: std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
            },
        };
        let template = Template {
            version: config.version,
            vrid: config.vrid,
            interval: config.interval,
            addresses: config.addresses.clone(),
            authentication: Authentication::None,
        };
        template.encode(priority, scope)
    }

    /// What the files, trackers and the operator of this router make of its priority.
    pub(crate) fn expected_priority(&self, instance: usize) -> u8 {
        let priority = self.instance(instance).priority.as_u8();
        // An owner is not demoted.
        if priority == u8::MAX {
            return priority;
        }
        if self.is_demoted {
            return 1;
        }
        if self.weighted_up {
            return priority;
        }
        priority.saturating_sub(crate::plan::WEIGHT).max(1)
    }

    /// The interval that the instance advertises in, by nobody's clock in particular.
    pub(crate) fn interval(&self, instance: usize) -> Duration {
        self.instance(instance).interval.as_duration()
    }
}

fn new_slots(count: usize) -> Vec<SharedSlot> {
    (0..count).map(|_| SharedSlot::default()).collect()
}

pub(crate) fn id(instance: usize) -> InstanceId {
    InstanceId(u32::try_from(instance).expect("small"))
}

pub(crate) fn index(id: InstanceId) -> usize {
    usize::try_from(id.0).expect("small")
}
