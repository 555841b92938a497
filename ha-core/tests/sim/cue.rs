//! What an engine is told in one step.

use ha_core::{Actions, Config, Engine, Input, Instant, Reload};

use crate::{checker::Kind, sabotage::Sabotage};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Cue<'a> {
    Input(Input<'a>),
    StopFor(&'a Reload),
    Reload(&'a Reload),
}

impl Cue<'_> {
    pub(crate) fn kind(&self, config: &Config) -> Kind {
        match self {
            Self::Input(input) => Kind::of(input, config),
            Self::StopFor(_) | Self::Reload(_) => Kind::Reload,
        }
    }

    pub(crate) fn tell(
        &self,
        engine: &mut Engine,
        now: Instant,
        sabotage: Sabotage,
        actions: &mut Actions,
    ) {
        match *self {
            Self::Input(input) => engine.handle(now, input, actions),
            Self::StopFor(reload) => engine.stop_for(reload, actions),
            Self::Reload(reload) => sabotage.reload(engine, now, reload.clone(), actions),
        }
    }
}
