//! The engine and what it wants done. Every input goes through here, so that a record has them all,
//! and so that the engine is told of what was absorbed before it is told of anything that came later.

use std::sync::Arc;

use ha_core::{
    Absorption, Action, Actions, Awaited, Config, Deadline, Engine, Input, Instance, InstanceId,
    Instant, Order, Received, Refusal, Reload, TrackerId, Transition,
};

use crate::{
    engine::{Done, Moved, PriorityChange, words::Lexicon},
    io::slots::Slots,
    plan::Plan,
    record::Tap,
};

/// Actions whose memory is kept, so that an ordinary turn does not allocate. One in which thousands of
/// instances move does.
const ACTIONS_KEPT: usize = 64;

/// The engine, its actions that wait to be carried out, and who records both.
#[derive(Debug)]
pub(crate) struct Decider {
    engine: Engine,
    actions: Actions,
    slots: Arc<Slots>,
    absorption: Absorption,
    /// The engine's time; it never goes back.
    now: Instant,
    /// When the slots of all instances were read last.
    caught_up: Option<Instant>,
    tap: Option<Tap>,
    pub(crate) lexicon: Lexicon,
}

impl Decider {
    /// Reads `slots`, and has them absorb what is expected if `absorbs`.
    pub(crate) fn new(config: Config, slots: Arc<Slots>, absorbs: bool, tap: Option<Tap>) -> Self {
        Self {
            engine: Engine::new(config),
            actions: Actions::default(),
            slots,
            absorption: Absorption::new(absorbs),
            now: Instant::default(),
            caught_up: None,
            tap,
            lexicon: Lexicon::default(),
        }
    }

    /// Has the engine decide; what it wants is added to the actions.
    pub(crate) fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Advertisement(received) => self.catch_up(now, received.instance),
            Input::Heard { .. } | Input::Deadline { .. } => {}
            Input::Start
            | Input::Tracker { .. }
            | Input::Source { .. }
            | Input::AddressesUsable { .. }
            | Input::AddressesMissing { .. }
            | Input::Order { .. }
            | Input::Shutdown => self.catch_up_all(now),
        }
        self.give(now, input);
    }

    /// Fires what was due at `heard_until`. What came due since then waits for the next turn: this
    /// thread may not have run meanwhile, and frames of the time before it may be unread.
    pub(crate) fn fire(&mut self, now: Instant, heard_until: Instant) {
        while let Some(input) =
            self.absorption.due(&self.engine, self.slots.as_slice(), heard_until)
        {
            self.give(now, input);
        }
    }

    /// When everything is carried out: looks after those whose deadlines come soon, and has the slots
    /// absorb what is expected now. It may lead to more actions.
    pub(crate) fn settle(&mut self, now: Instant) {
        self.lexicon.end_turn();
        while let Some(input) = self.absorption.ahead(&self.engine, self.slots.as_slice(), now) {
            self.give(now, input);
        }
        let slots = Arc::clone(&self.slots);
        while let Some(input) = self.absorption.publish(&mut self.engine, slots.as_slice()) {
            self.give(now, input);
        }
    }

    /// Tells the engine all that was absorbed.
    pub(crate) fn catch_up_all(&mut self, now: Instant) {
        // An interface's news are many inputs of one moment.
        if self.caught_up.replace(now) == Some(now) {
            return;
        }
        let ids = (0..).map(InstanceId);
        for id in ids.take(self.slots.as_slice().len()) {
            if self.engine.instance(id).is_none() {
                return;
            }
            self.catch_up(now, id);
        }
    }

    fn catch_up(&mut self, now: Instant, id: InstanceId) {
        if let Some(input) = self.absorption.unread(self.slots.as_slice(), id) {
            self.give(now, input);
        }
    }

    fn give(&mut self, now: Instant, input: Input<'_>) {
        // The kernel's stamps are of the same clock, and may be younger than the caller's reading.
        let mut now = self.now.max(now);
        if let Input::Heard { at, .. } | Input::Advertisement(Received { at, .. }) = input {
            now = now.max(at);
        }
        self.now = now;
        self.decide(
            |engine, actions| engine.handle(now, input, actions),
            |tap, decided| tap.note(now, input, decided),
        );
    }

    /// See [`Engine::stop_for`]; `plan` is what comes next.
    pub(crate) fn stop_for(&mut self, now: Instant, plan: &Plan, reload: &Reload) {
        self.catch_up_all(now);
        let now = self.now.max(now);
        self.decide(
            |engine, actions| engine.stop_for(reload, actions),
            |tap, decided| tap.note_stop_for(now, plan, reload, decided),
        );
    }

    /// See [`Engine::reload`]; [`Self::stop_for`] comes first.
    pub(crate) fn reload(&mut self, now: Instant, reload: Reload) {
        let now = self.now.max(now);
        self.decide(
            |engine, actions| engine.reload(now, reload, actions),
            |tap, decided| tap.note_reload(now, decided),
        );
    }

    /// Why the priority of `instance` is `to` now.
    pub(crate) fn explain(&self, instance: InstanceId, from: u8, to: u8) -> PriorityChange {
        let entry = self.engine.instance(instance);
        let is_so_still = entry.is_some_and(|entry| entry.priority() == to);
        let weights = if is_so_still { self.weights(instance) } else { Vec::new() };
        let base = entry.map_or(to, Instance::base_priority);
        let is_demoted = entry.is_some_and(Instance::is_demoted);
        PriorityChange { instance, from, to, base, is_demoted, weights }
    }

    /// What led to a transition, of whose effects so much was carried out.
    pub(crate) fn moved(&self, plan: &Plan, transition: Transition, done: Done) -> Moved {
        let entry = self.engine.instance(transition.instance);
        let weights = self.weights(transition.instance);
        Moved {
            transition,
            priority: entry.map_or(0, Instance::priority),
            is_demoted: entry.is_some_and(Instance::is_demoted),
            words: self.lexicon.of(transition, &weights, plan.tracked_by(transition.instance)),
            weights,
            master: entry.and_then(Instance::master),
            heard: entry.and_then(Instance::heard),
            deadline: entry.and_then(Instance::took_over_at),
            done,
        }
    }

    /// See [`Engine::refusal`].
    pub(crate) fn refusal(
        &mut self,
        now: Instant,
        instance: InstanceId,
        order: Order,
    ) -> Option<Refusal> {
        self.catch_up_all(now);
        self.engine.refusal(instance, order)
    }

    /// See [`Engine::clear_statistics`]. No input: a record has nothing of it.
    pub(crate) fn clear_statistics(&mut self) {
        self.engine.clear_statistics();
    }

    /// See [`Engine::weights`].
    pub(crate) fn weights(&self, instance: InstanceId) -> Vec<(TrackerId, i32)> {
        self.engine.weights(instance).collect()
    }

    /// Once the actions are carried out.
    pub(crate) fn forget_actions(&mut self) {
        self.actions.clear();
        self.actions.shrink_to(ACTIONS_KEPT);
    }

    pub(crate) fn actions(&self) -> &[Action] {
        self.actions.as_slice()
    }

    pub(crate) fn next_deadline(&self) -> Option<Deadline> {
        self.engine.next_deadline()
    }

    /// See [`Engine::awaited`].
    pub(crate) fn awaited(&self, id: InstanceId) -> Option<Awaited> {
        self.engine.awaited(id)
    }

    pub(crate) fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.engine.instance(id)
    }

    fn decide(
        &mut self,
        step: impl FnOnce(&mut Engine, &mut Actions),
        note: impl FnOnce(&mut Tap, &[Action]),
    ) {
        let before = self.actions.as_slice().len();
        step(&mut self.engine, &mut self.actions);
        if let Some(tap) = &mut self.tap {
            note(tap, self.actions.as_slice().get(before..).unwrap_or_default());
        }
    }
}
