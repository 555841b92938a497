//! The engine and what it wants done. Every input goes through here, so that a record has them all.

use ha_core::{
    Action, Actions, Config, Deadline, Engine, Input, Instance, InstanceId, Instant, Reload,
};

use crate::record::Tap;

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
        let before = self.actions.as_slice().len();
        self.engine.handle(now, input, &mut self.actions);
        if let Some(tap) = &mut self.tap {
            let decided = self.actions.as_slice().get(before..).unwrap_or_default();
            tap.note(now, input, decided);
        }
    }

    /// See [`Engine::stop_for`].
    pub(crate) fn stop_for(&mut self, reload: &Reload) {
        self.engine.stop_for(reload, &mut self.actions);
    }

    /// See [`Engine::reload`].
    pub(crate) fn reload(&mut self, now: Instant, reload: Reload) {
        self.engine.reload(now, reload, &mut self.actions);
        if let Some(tap) = &mut self.tap {
            tap.note_gap();
        }
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
}
