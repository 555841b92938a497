//! Virtual addresses, routes and rules: set and removed for all instances together, and missed when
//! somebody else removes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    time::Duration,
};

use ha_core::InstanceId;

use super::{
    Effects, Outlet, Surroundings,
    routing::{in_a_row, listed, when},
    wanted::{self, Wanted},
};
use crate::{
    engine::Message,
    io::{
        changes::Change,
        links::{Link, Links, News},
    },
};

/// Changes that are made together, and whose each is.
pub(super) type Batch = Vec<(InstanceId, Wanted)>;

/// Of instances that move together, so many addresses are set before those are announced. Setting
/// them takes the kernel some 30 µs each: the first waits for 1 ms. All of a thousand take no longer
/// in batches of 32 than of 16 or 64.
const BATCH_CHANGES: usize = 32;

/// Something that an instance does not have any more, and whether it had been seen: an address on its
/// interface.
struct Gone {
    instance: InstanceId,
    change: Change,
    was_seen: bool,
}

impl Effects {
    /// What sets the addresses, routes and rules of instances, or removes them, and the instances of
    /// which one cannot be set.
    ///
    /// Removals come before additions, and what one instance gives up while another has it stays:
    /// whoever is Master of it would miss it otherwise.
    pub(super) fn batches(
        &mut self,
        around: Surroundings<'_>,
        wanted: &BTreeMap<InstanceId, bool>,
    ) -> (Vec<Batch>, BTreeSet<InstanceId>) {
        let mut gone = Vec::new();
        let mut added: Batch = Vec::new();
        let mut failed = BTreeSet::new();
        for (&instance, &present) in wanted {
            let after = present.then(|| {
                let (wanted, missing) = wanted::of(around, instance);
                for lack in missing {
                    if lack.is_tracked {
                        failed.insert(instance);
                    }
                    self.report(around.now, Message::Trouble(lack.text));
                }
                wanted
            });
            let outlet = usize::try_from(instance.0).ok();
            let Some(outlet) = outlet.and_then(|place| self.outlets.get_mut(place)) else {
                continue;
            };
            let before = outlet.set.take().unwrap_or_default();
            for Wanted { change, .. } in before {
                self.holders.remove(instance, &change);
                let is_kept = |after: &Vec<Wanted>| after.iter().any(|one| one.change == change);
                if !after.as_ref().is_some_and(is_kept) {
                    let was_seen = place(&change).is_some_and(|place| outlet.seen.remove(place));
                    gone.push(Gone { instance, change, was_seen });
                }
            }
            outlet.set.clone_from(&after);
            for Wanted { change, .. } in after.iter().flatten() {
                self.holders.add(instance, change);
            }
            if let Some(after) = after {
                added.extend(after.into_iter().map(|one| (instance, one)));
            } else {
                self.missed.remove(&instance);
                self.pacer.forget(instance);
            }
        }
        self.keep_what_others_have(&mut gone, &added);
        // Removed exactly as added: an interface may have another name by now.
        gone.sort_by(|one, other| other.change.cmp(&one.change));
        let removals = gone.into_iter().map(|gone| {
            (gone.instance, Wanted { change: gone.change.removal(), is_tracked: true })
        });
        let mut batches = vec![removals.collect()];
        batches.extend(in_batches(added));
        batches.retain(|batch: &Batch| !batch.is_empty());
        (batches, failed)
    }

    /// Makes changes in their order; gives back the instances for which one cannot be made without
    /// which they cannot be Master.
    pub(super) fn make(
        &mut self,
        around: Surroundings<'_>,
        changes: Batch,
    ) -> BTreeSet<InstanceId> {
        let mut failed = BTreeSet::new();
        let (owners, changes): (Vec<_>, Vec<_>) =
            changes.into_iter().map(|(owner, one)| ((owner, one.is_tracked), one.change)).unzip();
        let results = self.changes.apply(&changes);
        if let Some(error) = self.changes.take_trouble() {
            self.report(around.now, Message::Trouble(error.to_string()));
        }
        for ((result, change), (instance, is_tracked)) in
            results.into_iter().zip(&changes).zip(owners)
        {
            let Err(error) = result else {
                self.see(around.links, instance, change);
                continue;
            };
            let name = around.plan.instance(instance).map_or("?", |plan| plan.name.as_str());
            self.report(around.now, Message::Trouble(format!("{name}: {error}")));
            if change.is_present() && is_tracked && is_fault(change, &error) {
                failed.insert(instance);
            }
        }
        failed
    }

    /// Takes out of `gone` what another instance has. If so that one has seen it, too.
    fn keep_what_others_have(&mut self, gone: &mut Vec<Gone>, added: &[(InstanceId, Wanted)]) {
        // All may give what they have up at once: nothing is compared with everything.
        let keys: BTreeSet<Change> = gone.iter().map(|gone| gone.change.removal()).collect();
        let mut additions: BTreeMap<Change, Vec<&Change>> = BTreeMap::new();
        for (_, Wanted { change, .. }) in added {
            let key = change.removal();
            if keys.contains(&key) {
                additions.entry(key).or_default().push(change);
            }
        }
        let mut holders: BTreeMap<Change, Vec<usize>> = BTreeMap::new();
        for (place, outlet) in self.outlets.iter().enumerate() {
            for key in outlet.set.iter().flatten().map(|one| one.change.removal()) {
                if keys.contains(&key) {
                    holders.entry(key).or_default().push(place);
                }
            }
        }
        gone.retain(|Gone { change, was_seen, instance: _ }| {
            let key = change.removal();
            if self.statics.has(&key) {
                return false;
            }
            // To have another label or scope it must be set anew.
            let is_other = |one: &&Change| *one != change;
            if additions.get(&key).is_some_and(|same| same.iter().any(is_other)) {
                return true;
            }
            let Some(holders) = holders.get(&key) else { return true };
            for holder in holders.iter().filter(|_| *was_seen) {
                if let Some(outlet) = self.outlets.get_mut(*holder)
                    && let Some(place) = place(change)
                {
                    outlet.seen.insert(place);
                }
            }
            false
        });
    }

    /// An address that is set and was there before: the kernel does not tell of it.
    fn see(&mut self, links: &Links, instance: InstanceId, change: &Change) {
        let Some((ifindex, address)) = place(change).filter(|_| change.is_present()) else {
            return;
        };
        let is_there = |link: &Link| link.addresses.iter().any(|own| own.address == address);
        if links.by_index(ifindex).is_some_and(is_there)
            && let Some(outlet) = self.outlet(instance)
        {
            outlet.seen.insert((ifindex, address));
        }
    }

    /// Instances that miss an address on an interface that there is news of: it was seen there since
    /// it was set, and is not there any more.
    pub(crate) fn find_missing(&mut self, links: &Links, news: &News) -> BTreeSet<InstanceId> {
        let mut missing = BTreeSet::new();
        let missed = &mut self.missed;
        for (ifindex, holders) in self.holders.on_interfaces_in(news) {
            let of_link = links.by_index(ifindex).into_iter().flat_map(|link| &link.addresses);
            let present: BTreeSet<IpAddr> = of_link.map(|own| own.address).collect();
            for &instance in holders {
                let outlet = usize::try_from(instance.0).ok();
                let outlet = outlet.and_then(|place| self.outlets.get_mut(place));
                let Some(Outlet { set: Some(set), seen, .. }) = outlet else { continue };
                let tracked = set.iter().filter(|one| one.is_tracked);
                let here = tracked.filter_map(|one| place(&one.change));
                for key in here.filter(|(index, _)| *index == ifindex) {
                    if present.contains(&key.1) {
                        seen.insert(key);
                    } else if seen.remove(key) {
                        missing.insert(instance);
                        missed.entry(instance).or_default().insert(key);
                    }
                }
            }
        }
        missing
    }

    /// Tells which addresses somebody removed.
    pub(super) fn tell_missed(
        &mut self,
        around: Surroundings<'_>,
        instance: InstanceId,
        (times, wait): (u32, Duration),
    ) {
        let describe = |(ifindex, address)| match around.links.by_index(ifindex) {
            Some(link) => format!("{address} on {}", link.name),
            None => format!("{address}"),
        };
        let missed = self.missed.remove(&instance).unwrap_or_default();
        let what = listed(missed.into_iter().map(describe).collect());
        let name = around.plan.instance(instance).map_or("?", |plan| plan.name.as_str());
        let (times, when) = (in_a_row(times), when(wait));
        let text = format!(
            "{name}: somebody removed virtual address {what}{times}: set again and announced {when}"
        );
        self.report(around.now, Message::Trouble(text));
    }
}

/// Whether an instance is no good as Master because a change cannot be made.
///
/// A route or a rule that the kernel refuses for another reason than an interface that is down would be
/// refused on the other router, too: with both in Fault nobody would have the addresses. keepalived
/// 2.2.7 goes on without it.
fn is_fault(change: &Change, error: &io::Error) -> bool {
    match change {
        Change::Address(_) => true,
        Change::Route(_) | Change::Rule(_) => error.kind() == io::ErrorKind::NetworkDown,
    }
}

/// Additions, in batches of whole instances.
fn in_batches(added: Batch) -> Vec<Batch> {
    // A route's source may be another instance's address: who has routes or rules comes last,
    // together, and in the order of changes.
    let is_address = |(_, one): &(InstanceId, Wanted)| matches!(one.change, Change::Address(_));
    let routing: BTreeSet<InstanceId> =
        added.iter().filter(|one| !is_address(one)).map(|(owner, _)| *owner).collect();
    let (mut last, mut simple): (Batch, Batch) =
        added.into_iter().partition(|(owner, _)| routing.contains(owner));
    last.sort_by(|(_, one), (_, other)| one.change.cmp(&other.change));
    simple.sort_by(|(owner, one), (other_owner, other)| {
        owner.cmp(other_owner).then_with(|| one.change.cmp(&other.change))
    });
    let mut batches: Vec<Batch> = vec![Vec::new()];
    for instance in simple.chunk_by(|(owner, _), (next, _)| owner == next) {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_CHANGES => batch.extend_from_slice(instance),
            _ => batches.push(instance.to_vec()),
        }
    }
    batches.push(last);
    batches
}

/// Interface and address, of an address.
pub(super) fn place(change: &Change) -> Option<(u32, IpAddr)> {
    match change {
        Change::Address(change) => Some((change.ifindex, change.address)),
        Change::Route(_) | Change::Rule(_) => None,
    }
}
