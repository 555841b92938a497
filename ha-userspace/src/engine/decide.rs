//! The engine and what it wants done. Every input goes through here, so that a record has them all.

use ha_core::{
    Action, Actions, Config, Deadline, Engine, Input, Instance, InstanceId, Instant, Reload,
};

use crate::{plan::Plan, record::Tap};

/// The engine, its actions that wait to be carried out, and who records both.
#[derive(Debug)]
pub(crate) struct Decider {
    engine: Engine,
    actions: Actions,
    tap: Option<Tap>,
}

impl Decider {
    pub(crate) fn new(config: Config, tap: Option<Tap>) -> Self {
        Self { engine: Engine::new(config), actions: Actions::default(), tap }
    }

    /// Has the engine decide; what it wants is added to the actions.
    pub(crate) fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.decide(
            |engine, actions| engine.handle(now, input, actions),
            |tap, decided| tap.note(now, input, decided),
        );
    }

    /// See [`Engine::stop_for`]; `plan` is what comes next.
    pub(crate) fn stop_for(&mut self, now: Instant, plan: &Plan, reload: &Reload) {
        self.decide(
            |engine, actions| engine.stop_for(reload, actions),
            |tap, decided| tap.note_stop_for(now, plan, reload, decided),
        );
    }

    /// See [`Engine::reload`]; [`Self::stop_for`] comes first.
    pub(crate) fn reload(&mut self, now: Instant, reload: Reload) {
        self.decide(
            |engine, actions| engine.reload(now, reload, actions),
            |tap, decided| tap.note_reload(now, decided),
        );
    }

    /// Once the actions are carried out.
    pub(crate) fn forget_actions(&mut self) {
        self.actions.clear();
    }

    pub(crate) fn actions(&self) -> &[Action] {
        self.actions.as_slice()
    }

    pub(crate) fn next_deadline(&self) -> Option<Deadline> {
        self.engine.next_deadline()
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
