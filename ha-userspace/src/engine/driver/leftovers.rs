//! What an earlier run that was killed has left on this host: removed before anything else is done.

use std::io;

use ha_config::Statics;

use super::{Driver, virtual_addresses};
use crate::{
    clock,
    engine::effects,
    io::{
        addresses::{AddressChange, PROTOCOL_MARK, STATIC_MARK},
        changes::Change,
        links, lock,
    },
};

impl Driver {
    /// Addresses that a killed run left, marked as ours; and virtual addresses that are here although
    /// nobody is Master yet (keepalived removes them too).
    ///
    /// Beyond the interfaces that this daemon speaks on, only where no other of ours runs: what is
    /// marked there may be another's.
    pub(super) fn remove_leftovers(&mut self, earlier: &Statics) -> io::Result<()> {
        let spoken_on: Vec<&str> =
            self.plan.instances.iter().map(|instance| instance.interface.as_str()).collect();
        let is_alone = !lock::is_anyone_else_here(&spoken_on)?;
        let virtual_addresses = virtual_addresses(&self.plan);
        let is_static = |interface: &str, own: &links::Address| {
            let mut addresses = self.plan.statics.addresses.iter().map(|one| &one.item);
            addresses.any(|one| {
                (one.interface.as_str(), one.address, one.prefix_len)
                    == (interface, own.address, own.prefix_len)
            })
        };
        let mut leftovers = Vec::new();
        for link in self.links.iter() {
            let is_ours = spoken_on.contains(&link.name.as_str());
            if !is_ours && !is_alone {
                continue;
            }
            let is_left = |own: &&links::Address| {
                own.protocol == PROTOCOL_MARK
                    || is_ours && virtual_addresses.contains(&own.address)
                    || is_alone && own.protocol == STATIC_MARK && !is_static(&link.name, own)
            };
            leftovers.extend(link.addresses.iter().filter(is_left).map(|own| {
                Change::Address(AddressChange {
                    present: false,
                    ifindex: link.index,
                    address: own.address,
                    prefix_len: own.prefix_len,
                    broadcast: None,
                    scope: own.scope,
                    label: None,
                    prefix_route: true,
                    preferred: 0,
                    mark: 0,
                })
            }));
        }
        // keepalived marks its routes as we do: only those that are exactly those of the plan before, or
        // of this one, are known to be ours.
        let of_instances = self.plan.instances.iter();
        let routing = of_instances.flat_map(|plan| effects::routing(&self.links, plan));
        leftovers.extend(routing.map(|change| change.removal()));
        leftovers.extend(effects::static_removals(&self.links, earlier, &self.plan.statics));
        leftovers.sort_by(|one, other| other.cmp(one));
        self.effects.remove(clock::now(), &leftovers);
        Ok(())
    }
}
