//! How things are, for the status.

use ha_core::{InstanceId, State};

use super::Driver;
use crate::{
    clock,
    engine::{Census, InstanceSnapshot, InterfaceSnapshot, Snapshot},
};

impl Driver {
    pub(super) fn census(&self) -> Census {
        let mut census = Census::default();
        for (number, _) in self.plan.instances.numbered() {
            let Some(instance) = self.engine.instance(InstanceId(number)) else { continue };
            let count = match instance.state() {
                State::Init => &mut census.init,
                State::Backup => &mut census.backup,
                State::Master => &mut census.master,
                State::Fault => &mut census.fault,
            };
            *count += 1;
        }
        census
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        let now = clock::now();
        self.engine.catch_up_all(now);
        let instances = self.plan.instances.numbered();
        let instances = instances.filter_map(|(number, plan)| {
            let id = InstanceId(number);
            let instance = self.engine.instance(id)?;
            Some(InstanceSnapshot {
                id,
                name: plan.name.clone(),
                state: instance.state(),
                awaited: self.engine.awaited(id),
                priority: instance.priority(),
                weights: self.engine.weights(id),
                is_demoted: instance.is_demoted(),
                source: instance.source(),
                master: instance.master(),
                master_interval: instance.master_interval(),
                dialect: instance.dialect(),
                is_listening: instance.is_listening(),
                heard_ago: instance.heard().map(|heard| now.since(heard)),
                sent_ago: self.effects.sent(id).map(|sent| now.since(sent)),
                statistics: *instance.statistics(),
                removed: self.effects.routing_removed(id),
            })
        });
        let interfaces = self.ports.iter_mut().map(|(name, port)| {
            let counters = port.counters(self.xdp.as_ref());
            InterfaceSnapshot {
                name: name.clone(),
                index: port.ifindex,
                is_up: self.links.by_index(port.ifindex).is_some_and(|link| link.is_up),
                xdp: port.xdp_name(),
                counters,
            }
        });
        Snapshot {
            at: now,
            scheduling: self.scheduling.clone(),
            instances: instances.collect(),
            interfaces: interfaces.collect(),
            reports_lost: self.effects.reports_lost,
            adverts_unsent: self.effects.adverts_unsent,
            records_outdated: self.records_outdated,
            wake_ups: self.wake_ups.clone(),
        }
    }
}
