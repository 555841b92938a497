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
        addresses::{AddressChange, Key, PROTOCOL_MARK},
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
        self.keep_what_others_have(&mut gone, &added);
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

    /// Takes out of `gone` what another instance has. If so that one has seen it, too.
    fn keep_what_others_have(
        &mut self,
        gone: &mut Vec<Gone>,
        added: &[(InstanceId, AddressChange)],
    ) {
        // All may give their addresses up at once: none is compared with all others.
        let keys: BTreeSet<Key> = gone.iter().map(|gone| gone.removal.key()).collect();
        let mut additions: BTreeMap<Key, Vec<&AddressChange>> = BTreeMap::new();
        for (_, one) in added.iter().filter(|(_, one)| keys.contains(&one.key())) {
            additions.entry(one.key()).or_default().push(one);
        }
        let mut holders: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (place, outlet) in self.outlets.iter().enumerate() {
            for key in outlet.set.iter().flatten().map(AddressChange::key) {
                if keys.contains(&key) {
                    holders.entry(key).or_default().push(place);
                }
            }
        }
        gone.retain(|Gone { removal, was_seen, instance: _ }| {
            let key = removal.key();
            // To have another label or scope it must be set anew.
            let is_other = |one: &&AddressChange| {
                AddressChange { present: false, ..(*one).clone() } != *removal
            };
            if additions.get(&key).is_some_and(|same| same.iter().any(is_other)) {
                return true;
            }
            let Some(holders) = holders.get(&key) else { return true };
            for place in holders.iter().filter(|_| *was_seen) {
                if let Some(outlet) = self.outlets.get_mut(*place) {
                    outlet.seen.insert((removal.ifindex, removal.address));
                }
            }
            false
        });
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
