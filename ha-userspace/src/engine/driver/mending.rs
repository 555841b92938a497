//! What others have removed, or the kernel by itself, is put back.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use ha_core::{Input, InstanceId, Instant, TrackerId, Verdict};

use super::Driver;
use crate::{
    clock,
    engine::{Message, effects::Surroundings, removals::Removal},
    io::{links::News, routing_watch::Key},
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
        let mut told: BTreeMap<(InstanceId, u32, Duration), Vec<Key>> = BTreeMap::new();
        for (instance, key) in self.effects.find_lost(&lost) {
            if let Some(Removal { times, wait, .. }) = self.removals.add(now, instance, key) {
                told.entry((instance, times, wait)).or_default().push(key);
            }
        }
        let Self { plan, links, ports, effects, associations, engine, .. } = self;
        let around = Surroundings { now, plan, links, ports, associations, engine };
        for ((instance, times, wait), keys) in told {
            effects.tell_lost(around, instance, &keys, (times, wait));
        }
    }

    /// Sets the routes and rules that somebody removed, and whose time has come.
    pub(super) fn put_back(&mut self, now: Instant) {
        let due = self.removals.take_due(now);
        if due.is_empty() {
            return;
        }
        let Self { plan, links, ports, effects, associations, engine, .. } = self;
        let around = Surroundings { now, plan, links, ports, associations, engine };
        let failed = effects.set_again(around, &due);
        self.handle_failed(now, failed);
        self.apply(now);
    }

    /// What instances want cannot be set: they are no good as Masters until it can.
    pub(super) fn handle_failed(&mut self, now: Instant, failed: BTreeSet<InstanceId>) {
        for instance in failed {
            self.retries.put_off(now, instance);
            let input = Input::AddressesUsable { instance, usable: false };
            self.engine.handle(now, input);
        }
    }

    /// Sets what the kernel has removed in silence.
    pub(super) fn mend_routing(&mut self, now: Instant) {
        let doubts = core::mem::take(&mut self.routing_doubts);
        if doubts.is_empty() {
            return;
        }
        let Self { plan, links, ports, effects, associations, engine, .. } = self;
        let around = Surroundings { now, plan, links, ports, associations, engine };
        let failed = effects.mend_routing(around, &doubts);
        self.handle_failed(now, failed);
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
