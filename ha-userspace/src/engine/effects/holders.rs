//! Which instances have set something on an interface, so that news of it concern nobody else.

use std::collections::{BTreeMap, BTreeSet};

use ha_core::InstanceId;

use super::addressing::place;
use crate::io::{changes::Change, links::News};

/// Instances by where their addresses are; those with routes or rules.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// By the interface's index; none of no interface.
    addresses: BTreeMap<u32, BTreeSet<InstanceId>>,
    routing: BTreeSet<InstanceId>,
}

impl Holders {
    /// The instance wants this change to last.
    pub(super) fn add(&mut self, instance: InstanceId, change: &Change) {
        match place(change) {
            Some((ifindex, _)) => {
                self.addresses.entry(ifindex).or_default().insert(instance);
            }
            None => {
                self.routing.insert(instance);
            }
        }
    }

    /// It gives up this one and all others of its.
    pub(super) fn remove(&mut self, instance: InstanceId, change: &Change) {
        let Some((ifindex, _)) = place(change) else {
            self.routing.remove(&instance);
            return;
        };
        if let Some(holders) = self.addresses.get_mut(&ifindex) {
            holders.remove(&instance);
            if holders.is_empty() {
                self.addresses.remove(&ifindex);
            }
        }
    }

    /// Interfaces that there may be news of, and who has addresses there.
    pub(super) fn on_interfaces_in(
        &self,
        news: &News,
    ) -> impl Iterator<Item = (u32, &BTreeSet<InstanceId>)> {
        let all = self.addresses.iter().filter(|_| news.is_of_all);
        let some = news.indexes.iter().filter(|_| !news.is_of_all);
        let some = some.filter_map(|index| self.addresses.get_key_value(index));
        all.chain(some).map(|(index, holders)| (*index, holders))
    }

    /// Who has routes or rules.
    pub(super) fn of_routing(&self) -> &BTreeSet<InstanceId> {
        &self.routing
    }
}
