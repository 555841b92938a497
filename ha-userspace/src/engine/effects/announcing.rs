//! Where addresses are: told to the segment when they move, and to unicast peers.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ha_core::{InstanceId, Instant};

use super::{Effects, Surroundings, addressing::Batch};
use crate::{
    engine::Message,
    io::announce::{Announced, Target},
};

/// What is announced for an instance, and how often.
pub(super) type Targets = BTreeMap<InstanceId, Vec<(Target, u32)>>;

impl Effects {
    /// What is to be announced for instances, and how often, except what has to wait its turn.
    pub(super) fn targets(
        &mut self,
        around: Surroundings<'_>,
        wanted: &BTreeMap<InstanceId, u32>,
    ) -> Targets {
        let mut targets = Targets::new();
        for (&instance, &times) in wanted {
            let Some(plan) = around.plan.instance(instance) else { continue };
            let is_master = self.outlet(instance).is_some_and(|outlet| outlet.set.is_some());
            if !is_master {
                continue;
            }
            for address in &plan.addresses {
                let Some(link) = around.links.by_name(&address.interface) else { continue };
                let Some(mac) = link.mac else { continue };
                let (interface, address) = (&address.interface, address.address);
                let is_router = link.is_router;
                let target = Target { ifindex: link.index, mac, address, is_router };
                if !self.pacer.take(interface, instance, target, times) {
                    targets.entry(instance).or_default().push((target, times));
                }
            }
        }
        targets
    }

    /// Carries `batches` out and announces: what a batch has set is announced once before the next
    /// batch, and nothing twice before all is announced once. Gives back the instances of which
    /// something could not be set.
    pub(super) fn set_and_announce(
        &mut self,
        around: Surroundings<'_>,
        batches: Vec<Batch>,
        mut waiting: Targets,
    ) -> BTreeSet<InstanceId> {
        let mut failed = BTreeSet::new();
        let mut announced = Announced::default();
        let mut once: Vec<(Target, u32)> = Vec::new();
        for batch in batches {
            let owners: BTreeSet<InstanceId> = batch.iter().map(|(owner, _)| *owner).collect();
            failed.extend(self.make(around, batch));
            let set = owners.iter().filter_map(|owner| waiting.remove(owner)).flatten();
            let from = once.len();
            once.extend(set);
            let set = once.get(from..).unwrap_or_default();
            self.announcer.announce(set, 0..1, &mut announced);
        }
        let rest: Vec<_> = waiting.into_values().flatten().collect();
        self.announcer.announce(&rest, 0..1, &mut announced);
        once.extend(rest);
        let times = once.iter().map(|(_, times)| *times).max().unwrap_or(0);
        self.announcer.announce(&once, 1..times, &mut announced);
        self.tell_unannounced(around.now, announced);
        self.announce_paced(around.now);
        failed
    }

    /// Announcements whose turn has come.
    pub(crate) fn announce_paced(&mut self, now: Instant) {
        let targets: Vec<_> = self.pacer.due(now).into_iter().map(|target| (target, 1)).collect();
        let mut announced = Announced::default();
        self.announcer.announce(&targets, 0..1, &mut announced);
        self.tell_unannounced(now, announced);
    }

    /// When the next announcement's turn comes, if one waits.
    pub(crate) fn next_announcement(&self) -> Option<Instant> {
        self.pacer.next()
    }

    fn tell_unannounced(&mut self, now: Instant, announced: Announced) {
        if let Some(error) = announced.error {
            let failed = announced.failed;
            let text = format!("{failed} announcements could not be sent: {error}");
            self.report(now, Message::Trouble(text));
        }
    }

    /// What could not leave must not leave when the link is back: it is not true any more.
    pub(super) fn forget_peers(&mut self, around: Surroundings<'_>, instance: InstanceId) {
        let Some(plan) = around.plan.instance(instance) else { return };
        let Some(port) = around.ports.get(&plan.interface) else { return };
        let peers: Vec<IpAddr> = plan.peers.iter().map(|peer| peer.address).collect();
        if let Err(error) = self.neighbours.forget(port.ifindex, &peers) {
            let text = format!("{}: what waits for its peers may be sent late: {error}", plan.name);
            self.trouble(around.now, instance, text);
        }
    }

    /// A peer that was gone for its Master gets nothing until the Master's kernel knows where it is.
    pub(super) fn greet(&mut self, around: Surroundings<'_>, instance: InstanceId) {
        let Some(plan) = around.plan.instance(instance) else { return };
        if plan.peers.is_empty() {
            return;
        }
        let source = self.outlet(instance).and_then(|outlet| outlet.source);
        let link = around.links.by_name(&plan.interface);
        if let (Some(address), Some(link)) = (source, link)
            && let Some(mac) = link.mac
        {
            let me = Target { ifindex: link.index, mac, address, is_router: false };
            let peers: Vec<IpAddr> = plan.peers.iter().map(|peer| peer.address).collect();
            if let Some(error) = self.announcer.greet(&me, &peers).error {
                let text = format!("{}: cannot tell the peers where it is: {error}", plan.name);
                self.trouble(around.now, instance, text);
            }
        }
    }
}
