//! What an earlier run that was killed has left on this host: removed before anything else is done.

use std::io;

use ha_config::Statics;

use super::{Driver, places::virtual_addresses};
use crate::{
    clock,
    engine::effects,
    io::{
        addresses::{AddressChange, PROTOCOL_MARK, STATIC_MARK},
        changes::Change,
        links::{Address, Link, Links},
        lock,
    },
    plan::Plan,
};

impl Driver {
    /// Addresses that a killed run left, marked as ours; and virtual addresses that are here although
    /// nobody is Master yet (keepalived removes them too).
    ///
    /// Beyond the interfaces that this daemon speaks on, only where no other of ours runs: what is
    /// marked there may be another's.
    pub(super) fn remove_leftovers(&mut self, earlier: &Statics) -> io::Result<()> {
        let host = Host::of(&self.plan)?;
        let virtual_addresses = virtual_addresses(&self.plan);
        let mut leftovers = removals(&self.links, |link, own| {
            host.is_marked_as_ours(link, own)
                || host.is_ours(link) && virtual_addresses.contains(&own.address)
                || host.is_alone && own.protocol == STATIC_MARK && !is_static(&self.plan, link, own)
        });
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

/// What to remove after a run of `plan` that was killed, with the routes and rules that it has named,
/// where no other run follows: only what is known to be ours, as keepalived may run here now.
///
/// # Errors
/// It is not known who else is here.
pub(crate) fn of_killed(plan: &Plan, links: &Links, earlier: &Statics) -> io::Result<Vec<Change>> {
    let host = Host::of(plan)?;
    let mut leftovers = removals(links, |link, own| {
        host.is_marked_as_ours(link, own)
            || own.protocol == STATIC_MARK && is_static(plan, link, own)
    });
    leftovers.extend(effects::static_removals(links, earlier, &Statics::default()));
    leftovers.sort_by(|one, other| other.cmp(one));
    Ok(leftovers)
}

/// Who is on this host.
struct Host<'plan> {
    /// The interfaces that the plan speaks on.
    spoken_on: Vec<&'plan str>,
    /// No other daemon of ours runs here.
    is_alone: bool,
}

impl<'plan> Host<'plan> {
    fn of(plan: &'plan Plan) -> io::Result<Self> {
        let spoken_on: Vec<&str> =
            plan.instances.iter().map(|instance| instance.interface.as_str()).collect();
        let is_alone = !lock::is_anyone_else_here(&spoken_on)?;
        Ok(Self { spoken_on, is_alone })
    }

    fn is_ours(&self, link: &Link) -> bool {
        self.spoken_on.contains(&link.name.as_str())
    }

    fn is_marked_as_ours(&self, link: &Link, own: &Address) -> bool {
        own.protocol == PROTOCOL_MARK && (self.is_ours(link) || self.is_alone)
    }
}

/// Whether the plan has it as a static address.
fn is_static(plan: &Plan, link: &Link, own: &Address) -> bool {
    let mut addresses = plan.statics.addresses.iter().map(|one| &one.item);
    addresses.any(|one| {
        (one.interface.as_str(), one.address, one.prefix_len)
            == (link.name.as_str(), own.address, own.prefix_len)
    })
}

fn removals(links: &Links, is_left: impl Fn(&Link, &Address) -> bool) -> Vec<Change> {
    let all = links.iter().flat_map(|link| link.addresses.iter().map(move |own| (link, own)));
    let left = all.filter(|(link, own)| is_left(link, own));
    let removal = |(link, own): (&Link, &Address)| {
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
    };
    left.map(removal).collect()
}
