//! A router's host and daemon around a real engine: ring, stamps, timers late or not, addresses.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
};

use ha_core::{
    Action, Actions, Engine, Input, Instance, InstanceId, Instant, Received, State, TrackerId,
    wire::{ChecksumScope, Template},
};

use crate::{
    checker::{Checker, Kind, Step, Violation},
    plan::{RouterPlan, VITAL, WEIGHTED},
};

/// What is broken on purpose, to see that a checker notices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sabotage {
    None,
    /// The host does not remove addresses.
    KeepsAddresses,
    /// The first router does not hear anybody.
    Deaf,
    /// Nobody ever takes over.
    Meek,
    /// The daemon does not read the kernel's stamps.
    Unstamped,
    /// Whoever hears an advertisement sends two.
    Chatty,
    /// An instance in Fault advertises.
    TalksInFault,
    /// The engine does not know of its sync group.
    Apart,
    /// A timer that is over stays over.
    StuckTimer,
}

/// One record of the ring, or another input of the daemon.
#[derive(Clone, Debug)]
pub(crate) enum Waiting {
    Frame { instance: usize, at: Instant, source: Ipv4Addr, message: Vec<u8> },
    Tracker { tracker: TrackerId, up: bool },
    Source { instance: usize, found: bool },
    Usable { instance: usize },
    Shutdown,
}

/// A frame that the router wants on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) instance: usize,
    pub(crate) message: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) number: usize,
    pub(crate) plan: RouterPlan,
    pub(crate) engine: Option<Engine>,
    pub(crate) sleeps: bool,
    pub(crate) ring: VecDeque<Waiting>,
    stamps: Vec<Option<Instant>>,
    /// What a look at the interface would show.
    pub(crate) present: Vec<bool>,
    /// The world outside, which a daemon that starts finds as it is.
    pub(crate) vital_up: bool,
    pub(crate) weighted_up: bool,
    pub(crate) has_source: Vec<bool>,
    pub(crate) refuses: Vec<bool>,
    /// What the kernel refused and the engine does not know yet.
    untold: usize,
    sabotage: Sabotage,
    actions: Actions,
}

impl Router {
    pub(crate) fn new(number: usize, plan: &RouterPlan, sabotage: Sabotage) -> Self {
        let count = plan.config.instances.len();
        Self {
            number,
            plan: plan.clone(),
            engine: None,
            sleeps: false,
            ring: VecDeque::new(),
            stamps: vec![None; count],
            present: vec![false; count],
            vital_up: true,
            weighted_up: true,
            has_source: vec![true; count],
            refuses: vec![false; count],
            untold: 0,
            sabotage,
            actions: Actions::default(),
        }
    }

    pub(crate) fn states(&self) -> Vec<State> {
        let state = |id| self.engine.as_ref()?.instance(id).map(Instance::state);
        self.ids().map(|id| state(id).unwrap_or(State::Init)).collect()
    }

    pub(crate) fn priority(&self, instance: usize) -> u8 {
        let engine = self.engine.as_ref();
        engine.and_then(|engine| engine.instance(id(instance))).map_or(0, Instance::priority)
    }

    /// When the daemon, if it is awake, handles its next deadline.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.sleeps || self.sabotage == Sabotage::StuckTimer && self.number == 0 {
            return None;
        }
        let deadline = self.engine.as_ref()?.next_deadline()?;
        Some(deadline.at + self.plan.latency)
    }

    /// A frame has reached the interface.
    pub(crate) fn arrive(&mut self, now: Instant, frame: Waiting, ring_is_full: bool) {
        let Waiting::Frame { instance, .. } = frame else { return };
        if self.sabotage == Sabotage::Deaf && self.number == 0 {
            return;
        }
        self.stamps[instance] = Some(now);
        if !ring_is_full {
            self.ring.push_back(frame);
        }
    }

    /// A daemon is started: it removes what one before left behind, looks around, and goes.
    pub(crate) fn boot(
        &mut self,
        now: Instant,
        checker: &mut Checker,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Violation> {
        let mut config = self.plan.config.clone();
        if self.sabotage == Sabotage::Apart {
            config.groups.clear();
        }
        self.engine = Some(Engine::new(config));
        self.sleeps = false;
        self.ring.clear();
        self.stamps.fill(None);
        self.present.fill(false);
        checker.forget(self.number);
        self.handle(now, Input::Tracker { tracker: VITAL, up: self.vital_up }, checker, sent)?;
        let up = self.weighted_up;
        self.handle(now, Input::Tracker { tracker: WEIGHTED, up }, checker, sent)?;
        for instance in 0..self.present.len() {
            let address = self.has_source[instance].then_some(IpAddr::V4(self.plan.address));
            let input = Input::Source { instance: id(instance), address };
            self.handle(now, input, checker, sent)?;
        }
        self.handle(now, Input::Start, checker, sent)?;
        self.turn(now, checker, sent)
    }

    /// One turn of the daemon: everything that waits, everything that is due.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        checker: &mut Checker,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Violation> {
        if self.sleeps || self.engine.is_none() {
            return Ok(());
        }
        if !self.plan.reads_first {
            self.fire(now, checker, sent)?;
        }
        while let Some(waiting) = self.ring.pop_front() {
            self.take(now, &waiting, checker, sent)?;
            if !self.plan.reads_first {
                self.fire(now, checker, sent)?;
            }
        }
        self.fire(now, checker, sent)?;
        let next = self.engine.as_ref().and_then(Engine::next_deadline);
        checker.turn_is_over(self.number, now, next.map(|deadline| deadline.at))
    }

    fn take(
        &mut self,
        now: Instant,
        waiting: &Waiting,
        checker: &mut Checker,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Violation> {
        match *waiting {
            Waiting::Frame { instance, at, source, ref message } => {
                let received =
                    Received { instance: id(instance), at, source: IpAddr::V4(source), message };
                self.handle(now, Input::Advertisement(received), checker, sent)
            }
            Waiting::Tracker { tracker, up } => {
                self.handle(now, Input::Tracker { tracker, up }, checker, sent)
            }
            Waiting::Source { instance, found } => {
                let address = found.then_some(IpAddr::V4(self.plan.address));
                self.handle(now, Input::Source { instance: id(instance), address }, checker, sent)
            }
            Waiting::Usable { instance } => {
                let input = Input::AddressesUsable { instance: id(instance), usable: true };
                self.handle(now, input, checker, sent)
            }
            Waiting::Shutdown => {
                self.handle(now, Input::Shutdown, checker, sent)?;
                self.engine = None;
                self.ring.clear();
                Ok(())
            }
        }
    }

    fn fire(
        &mut self,
        now: Instant,
        checker: &mut Checker,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Violation> {
        if self.sabotage == Sabotage::StuckTimer && self.number == 0 {
            return Ok(());
        }
        for _ in 0..100 {
            let Some(deadline) = self.engine.as_ref().and_then(Engine::next_deadline) else {
                return Ok(());
            };
            if deadline.at > now {
                return Ok(());
            }
            let slot = deadline.takeover.map(index);
            let heard = match self.sabotage {
                Sabotage::Unstamped => None,
                // As if a frame had come in this very moment.
                Sabotage::Meek => Some(now),
                _ => slot.and_then(|slot| self.stamps[slot]),
            };
            self.handle(now, Input::Deadline { heard }, checker, sent)?;
        }
        Err(Violation::new("timers", format!("router {} fires for ever", self.number)))
    }

    fn handle(
        &mut self,
        now: Instant,
        input: Input<'_>,
        checker: &mut Checker,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Violation> {
        let before = self.states();
        let mut actions = std::mem::take(&mut self.actions);
        actions.clear();
        if let Some(engine) = &mut self.engine {
            engine.handle(now, input, &mut actions);
        }
        let mut done: Vec<Action> = actions.as_slice().to_vec();
        self.actions = actions;
        self.spoil(&input, &mut done);
        let failed = self.apply(&done, sent);
        let kind = match input {
            Input::Advertisement(_) => Kind::Frame,
            Input::Deadline { .. } => Kind::Deadline,
            Input::Start
            | Input::Tracker { .. }
            | Input::Source { .. }
            | Input::AddressesUsable { .. }
            | Input::Shutdown => Kind::Other,
        };
        let after = self.states();
        let timers: Vec<_> = self
            .ids()
            .map(|id| self.engine.as_ref().and_then(|engine| engine.deadline(id)))
            .collect();
        // What the kernel refused is judged when the engine knows of it.
        self.untold += failed.len();
        let present = (self.untold == 0).then_some(self.present.as_slice());
        checker.step(&Step {
            router: self.number,
            now,
            kind,
            before: &before,
            after: &after,
            actions: &done,
            present,
            timers: &timers,
        })?;
        for instance in failed {
            self.untold -= 1;
            let input = Input::AddressesUsable { instance, usable: false };
            self.handle(now, input, checker, sent)?;
        }
        Ok(())
    }

    /// Carries actions out; says which instances' addresses the kernel refused.
    fn apply(&mut self, actions: &[Action], sent: &mut Vec<Sent>) -> Vec<InstanceId> {
        let mut failed = Vec::new();
        for action in actions {
            match *action {
                Action::Advertise { instance, priority } => {
                    let config = &self.plan.config.instances[index(instance)];
                    let template = Template {
                        version: config.version,
                        vrid: config.vrid,
                        interval: config.interval,
                        addresses: vec![Ipv4Addr::new(192, 0, 2, 1).into()],
                        password: None,
                    };
                    let message = template.encode(priority, ChecksumScope::Message);
                    sent.push(Sent { instance: index(instance), message });
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
                Action::Announce { .. }
                | Action::Transition(_)
                | Action::Notify(_)
                | Action::Priority { .. }
                | Action::Rejected { .. }
                | Action::Late { .. } => {}
            }
        }
        failed
    }

    fn spoil(&self, input: &Input<'_>, actions: &mut Vec<Action>) {
        let advertise = Action::Advertise { instance: id(0), priority: 100 };
        let is_frame = matches!(input, Input::Advertisement(_));
        if self.sabotage == Sabotage::Chatty && is_frame {
            actions.extend([advertise, advertise]);
        }
        if self.sabotage == Sabotage::TalksInFault && self.states()[0] == State::Fault {
            actions.push(advertise);
        }
    }

    fn ids(&self) -> impl Iterator<Item = InstanceId> + use<> {
        (0..).map(InstanceId).take(self.present.len())
    }
}

pub(crate) fn id(instance: usize) -> InstanceId {
    InstanceId(u32::try_from(instance).expect("small"))
}

pub(crate) fn index(id: InstanceId) -> usize {
    usize::try_from(id.0).expect("small")
}
