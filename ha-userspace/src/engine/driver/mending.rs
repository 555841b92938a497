//! What others have removed, or the kernel by itself, is put back.

use std::io;

use ha_core::{Input, Instant, TrackerId, Verdict};

use super::Driver;
use crate::{
    clock,
    engine::{Message, effects::Surroundings},
    io::links::News,
    plan::TrackerPlan,
};

impl Driver {
    /// Routes or rules of ours are different.
    pub(super) fn handle_routing(&mut self, result: io::Result<()>) {
        match result.and_then(|()| self.routing.receive()) {
            Ok(true) => {
                self.routing_doubts = News::of_all();
                self.effects.doubt_statics(clock::now());
            }
            Ok(false) => {}
            Err(error) => {
                let text = format!("the kernel's notifications about routes: {error}");
                self.effects.report(clock::now(), Message::Trouble(text));
            }
        }
        let lost = self.routing.take_lost();
        if self.effects.has_lost_static(&lost) {
            self.effects.doubt_statics(clock::now());
        }
        let now = clock::now();
        for instance in self.effects.find_lost(&lost) {
            self.engine.handle(now, Input::AddressesMissing { instance });
        }
    }

    /// Sets what the kernel has removed in silence. What cannot be set is missing as if somebody had
    /// removed it.
    pub(super) fn mend_routing(&mut self, now: Instant) {
        let doubts = core::mem::take(&mut self.routing_doubts);
        if doubts.is_empty() {
            return;
        }
        let Self { plan, links, ports, effects, associations, engine, .. } = self;
        let around = Surroundings { now, plan, links, ports, associations, engine };
        for instance in effects.mend_routing(around, &doubts) {
            self.engine.handle(now, Input::AddressesMissing { instance });
        }
        self.apply(now);
    }

    /// Sets what is static and not there, and tells the engine whom that concerns.
    pub(super) fn mend_statics(&mut self, now: Instant) {
        let Self { plan, links, ports, effects, associations, engine, .. } = self;
        let around = Surroundings { now, plan, links, ports, associations, engine };
        let down = effects.mend_statics(around);
        for (number, tracker) in self.plan.trackers.numbered() {
            if let TrackerPlan::Statics(group) = tracker {
                let verdict = Verdict::from(!down.contains(group));
                let input = Input::Tracker { tracker: TrackerId(number), verdict };
                self.engine.handle(now, input);
            }
        }
    }
}
