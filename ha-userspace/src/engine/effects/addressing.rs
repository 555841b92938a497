//! Virtual addresses: set and removed for all instances together, and missed when somebody else
//! removes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ha_config::Address;
use ha_core::InstanceId;

use super::{Effects, Surroundings};
use crate::{
    engine::Message,
    io::{
        addresses::{AddressChange, PROTOCOL_MARK},
        links::{self, Links},
    },
};

/// An address that an instance does not have any more, and whether it had been seen on its interface.
struct Gone {
    instance: InstanceId,
    removal: AddressChange,
    was_seen: bool,
}

impl Effects {
    /// Sets the addresses of instances, or removes them; gives back the instances of which one could
    /// not be set.
    ///
    /// Removals come before additions, and an address that one instance gives up while another has it
    /// stays: whoever is Master of it would miss it otherwise.
    pub(super) fn set_addresses(
        &mut self,
        around: Surroundings<'_>,
        wanted: &BTreeMap<InstanceId, bool>,
    ) -> BTreeSet<InstanceId> {
        let mut gone = Vec::new();
        let mut added = Vec::new();
        let mut failed = BTreeSet::new();
        for (&instance, &present) in wanted {
            let after = present.then(|| {
                let (additions, missing) = additions(around, instance);
                if let Some(missing) = missing {
                    failed.insert(instance);
                    self.report(around.now, Message::Trouble(missing));
                }
                additions
            });
            let Some(outlet) = self.outlet(instance) else { continue };
            let before = outlet.set.take().unwrap_or_default();
            for old in before {
                if after.as_ref().is_none_or(|after| !after.contains(&old)) {
                    let was_seen = outlet.seen.remove(&(old.ifindex, old.address));
                    // Removed exactly as added: an interface may have another name by now.
                    let removal = AddressChange { present: false, ..old };
                    gone.push(Gone { instance, removal, was_seen });
                }
            }
            outlet.set.clone_from(&after);
            match after {
                Some(after) => added.extend(after.into_iter().map(|one| (instance, one))),
                None => self.pacer.forget(instance),
            }
        }
        gone.retain(|gone| !self.stays(gone, &added));
        let removals = gone.into_iter().map(|gone| (gone.instance, gone.removal));
        let (owners, changes): (Vec<_>, Vec<_>) = removals.chain(added).unzip();
        let results = self.addresses.apply(&changes);
        for ((result, change), instance) in results.into_iter().zip(&changes).zip(owners) {
            let Err(error) = result else { continue };
            let name = around.plan.instance(instance).map_or("?", |plan| plan.name.as_str());
            let verb = if change.present { "set" } else { "remove" };
            let what = format!("{name}: cannot {verb} {}: {error}", change.address);
            self.report(around.now, Message::Trouble(what));
            if change.present {
                failed.insert(instance);
            }
        }
        failed
    }

    /// Whether an instance has what another does not have any more. If so it has seen it, too.
    fn stays(&mut self, gone: &Gone, added: &[(InstanceId, AddressChange)]) -> bool {
        let key = gone.removal.key();
        let is_it = |one: &AddressChange| one.key() == key;
        // To have another label or scope it must be set anew.
        let is_other =
            |one: &AddressChange| AddressChange { present: false, ..one.clone() } != gone.removal;
        if added.iter().any(|(_, one)| is_it(one) && is_other(one)) {
            return false;
        }
        let mut stays = false;
        for outlet in &mut self.outlets {
            if outlet.set.iter().flatten().any(is_it) {
                stays = true;
                if gone.was_seen {
                    outlet.seen.insert((gone.removal.ifindex, gone.removal.address));
                }
            }
        }
        stays
    }

    /// Instances that miss an address: it was seen on its interface since it was set, and is not
    /// there any more.
    pub(crate) fn find_missing(&mut self, links: &Links) -> Vec<InstanceId> {
        let present: BTreeSet<(u32, IpAddr)> = links
            .iter()
            .flat_map(|link| link.addresses.iter().map(|own| (link.index, own.address)))
            .collect();
        let mut missing = Vec::new();
        for (number, outlet) in (0..).zip(&mut self.outlets) {
            let Some(set) = &outlet.set else { continue };
            for change in set {
                let key = (change.ifindex, change.address);
                if present.contains(&key) {
                    outlet.seen.insert(key);
                } else if outlet.seen.remove(&key) && missing.last() != Some(&InstanceId(number)) {
                    missing.push(InstanceId(number));
                }
            }
        }
        missing
    }
}

/// The addresses of an instance as they are to be set, and what is in the way of one.
fn additions(
    around: Surroundings<'_>,
    instance: InstanceId,
) -> (Vec<AddressChange>, Option<String>) {
    let mut additions = Vec::new();
    let mut missing = None;
    let Some(plan) = around.plan.instance(instance) else { return (additions, missing) };
    for address in &plan.addresses {
        let Some(link) = around.links.by_name(&address.interface) else {
            let Address { address, interface, .. } = address;
            let name = &plan.name;
            missing = Some(format!("{name}: cannot set {address}: there is no {interface}"));
            continue;
        };
        // An owner's address is the interface's own, set by the administrator: not ours to touch.
        let is_its_own =
            |own: &links::Address| own.address == address.address && own.protocol != PROTOCOL_MARK;
        if plan.is_owner && link.addresses.iter().any(is_its_own) {
            continue;
        }
        additions.push(AddressChange {
            present: true,
            ifindex: link.index,
            address: address.address,
            prefix_len: address.prefix_len,
            broadcast: address.broadcast,
            scope: address.scope.0,
            label: address.label.clone(),
        });
    }
    (additions, missing)
}
