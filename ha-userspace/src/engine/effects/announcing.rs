//! Where addresses are: told to the segment when they move, and to unicast peers.

use std::{collections::BTreeMap, net::IpAddr};

use ha_core::{InstanceId, Instant};

use super::{Effects, Surroundings};
use crate::{engine::Message, io::announce::Target};

impl Effects {
    pub(super) fn announce(
        &mut self,
        around: Surroundings<'_>,
        wanted: &BTreeMap<InstanceId, u32>,
    ) {
        let mut by_repeat: BTreeMap<u32, Vec<Target>> = BTreeMap::new();
        for (&instance, &repeat) in wanted {
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
                if !self.pacer.take(interface, instance, target, repeat) {
                    by_repeat.entry(repeat).or_default().push(target);
                }
            }
        }
        for (repeat, targets) in by_repeat {
            self.send_announcements(around.now, &targets, repeat);
        }
        self.announce_paced(around.now);
    }

    /// Announcements whose turn has come.
    pub(crate) fn announce_paced(&mut self, now: Instant) {
        let targets = self.pacer.due(now);
        self.send_announcements(now, &targets, 1);
    }

    /// When the next announcement's turn comes, if one waits.
    pub(crate) fn next_announcement(&self) -> Option<Instant> {
        self.pacer.next()
    }

    fn send_announcements(&mut self, now: Instant, targets: &[Target], repeat: u32) {
        let announced = self.announcer.announce(targets, repeat);
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
