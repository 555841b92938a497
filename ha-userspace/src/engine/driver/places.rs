//! Who is concerned by an interface or an address: so that news of one cost what they are about, and
//! not what there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{io::links::News, plan::Plan};

/// A plan by what may change on the host.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Instances, by the interface they speak on.
    speakers: BTreeMap<String, Vec<u32>>,
    /// Instances, by the address they are configured to send from, wherever it is.
    senders: BTreeMap<IpAddr, Vec<u32>>,
    /// Trackers of interfaces, by name.
    trackers: BTreeMap<String, u32>,
    /// Addresses that come and go with mastership: nobody sends from them. An owner's are its own.
    virtual_addresses: BTreeSet<IpAddr>,
}

impl Places {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut places = Self { virtual_addresses: virtual_addresses(plan), ..Self::default() };
        for (number, instance) in plan.instances.numbered() {
            places.speakers.entry(instance.interface.clone()).or_default().push(number);
            if let Some(source) = instance.source {
                places.senders.entry(source).or_default().push(number);
            }
        }
        for (number, tracker) in plan.trackers.numbered() {
            if let Some(name) = tracker.interface() {
                places.trackers.insert(name.to_owned(), number);
            }
        }
        places
    }

    pub(super) fn virtual_addresses(&self) -> &BTreeSet<IpAddr> {
        &self.virtual_addresses
    }

    /// The interfaces that instances speak on, as far as there is news of them.
    pub(super) fn interfaces_in(&self, news: &News) -> Vec<String> {
        if news.is_of_all {
            return self.speakers.keys().cloned().collect();
        }
        news.names.iter().filter(|name| self.speakers.contains_key(*name)).cloned().collect()
    }

    /// Instances that the news may be about.
    pub(super) fn instances_in(&self, news: &News) -> BTreeSet<u32> {
        if news.is_of_all {
            return self.speakers.values().flatten().copied().collect();
        }
        let speakers = news.names.iter().filter_map(|name| self.speakers.get(name));
        let senders = news.addresses.iter().filter_map(|address| self.senders.get(address));
        speakers.chain(senders).flatten().copied().collect()
    }

    /// Instances that are configured to send from this address.
    pub(super) fn senders(&self, address: IpAddr) -> &[u32] {
        self.senders.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Trackers of interfaces that there may be news of, and these interfaces.
    pub(super) fn trackers_in(&self, news: &News) -> Vec<(String, u32)> {
        let named = |(name, number): (&String, &u32)| (name.clone(), *number);
        if news.is_of_all {
            return self.trackers.iter().map(named).collect();
        }
        let known = news.names.iter().filter_map(|name| self.trackers.get_key_value(name));
        known.map(named).collect()
    }

    /// Whether anybody tracks an interface of this name.
    pub(super) fn is_tracked(&self, name: &str) -> bool {
        self.trackers.contains_key(name)
    }
}

/// See [`Places::virtual_addresses`].
pub(super) fn virtual_addresses(plan: &Plan) -> BTreeSet<IpAddr> {
    let instances = plan.instances.iter().filter(|instance| !instance.is_owner);
    instances.flat_map(|instance| instance.addresses.iter().map(|one| one.address)).collect()
}
