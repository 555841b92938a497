//! An engine beside a router's own that is given every frame, absorbed or not, when the router's own
//! is told of it: the two must decide the same, and be in the same state after each step.

use ha_common::abi::octets;
use ha_core::{Actions, Engine, Input, Instance, InstanceId, Instant, Received, Statistics};

use crate::{
    checker::Violation,
    cue::Cue,
    router::{Frame, id},
    sabotage::Sabotage,
};

#[derive(Debug)]
pub(crate) struct Double {
    engine: Engine,
    /// Frames that the kernel has kept back, in their order.
    absorbed: Vec<Frame>,
    actions: Actions,
}

impl Double {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, absorbed: Vec::new(), actions: Actions::default() }
    }

    /// The kernel keeps a frame back.
    pub(crate) fn absorb(&mut self, frame: Frame) {
        self.absorbed.push(frame);
    }

    /// The router's own engine was told something.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        cue: &Cue<'_>,
        sabotage: Sabotage,
        own: &Engine,
        actions: &Actions,
    ) -> Result<(), Violation> {
        self.actions.clear();
        match *cue {
            Cue::Input(Input::Heard { instance, at, count }) => {
                self.hear(now, instance, at, count)?;
            }
            _ => cue.tell(&mut self.engine, now, sabotage, &mut self.actions),
        }
        let fail = |what: String| Err(Violation::new("absorb", format!("{cue:?}: {what}")));
        if self.actions != *actions {
            return fail(format!("{actions:?} instead of {:?}", self.actions));
        }
        for instance in (0..).map(id).take_while(|instance| own.instance(*instance).is_some()) {
            let (of_own, of_double) = (view(own, instance), view(&self.engine, instance));
            if of_own != of_double {
                return fail(format!("{of_own:?} instead of {of_double:?}"));
            }
        }
        Ok(())
    }

    /// Handles the frames that the other one is told of.
    fn hear(
        &mut self,
        now: Instant,
        instance: InstanceId,
        at: Instant,
        count: u32,
    ) -> Result<(), Violation> {
        let told = self.absorbed.extract_if(.., |frame| id(frame.instance) == instance);
        let told: Vec<Frame> = told.collect();
        let last = told.last().map(|frame| frame.stamp);
        if u32::try_from(told.len()) != Ok(count) || last != Some(at) {
            let text = format!("{count} frames, the last at {at:?}, instead of {told:?}");
            return Err(Violation::new("absorb", text));
        }
        for frame in told {
            let Frame { stamp, source, ref message, .. } = frame;
            // What was expected is what has come, byte by byte.
            let said = ha_common::abi::Content::of(octets(source), message);
            if self.engine.expectation(instance).map(|expected| expected.content) != said {
                let text = format!("{message:?} from {source} was not expected");
                return Err(Violation::new("absorb", text));
            }
            let received = Received { instance, at: stamp, source, message };
            self.engine.handle(now, Input::Advertisement(received), &mut self.actions);
        }
        Ok(())
    }
}

/// Everything that can be seen of an instance, and decides what it does.
fn view(engine: &Engine, id: InstanceId) -> impl PartialEq + std::fmt::Debug {
    let instance = engine.instance(id);
    let statistics = instance.map(|instance| Statistics {
        // The one thing in which they differ.
        adverts_absorbed: 0,
        ..*instance.statistics()
    });
    (
        instance.map(Instance::state),
        engine.deadline(id),
        instance.map(Instance::priority),
        instance.and_then(Instance::master),
        instance.and_then(Instance::heard),
        instance.map(Instance::is_listening),
        statistics,
    )
}
