//! What this host is like, as the engine and the XDP program are told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::Arc,
};

use ha_core::{Family, Input, InstanceId, Instant, TrackerId, Verdict};

use super::Driver;
use crate::{
    engine::{Message, port::Port},
    io::{links::Links, tables::Tables},
    plan::{InstancePlan, Plan},
};

/// What a plan makes of the interfaces and addresses that there are.
pub(super) struct Host {
    pub(super) tables: Tables,
    /// The address that each instance sends from, by its number.
    sources: Vec<Option<IpAddr>>,
}

impl Host {
    /// `indexes` are those of the open interfaces, by name.
    pub(super) fn look(plan: &Plan, links: &Links, indexes: &BTreeMap<&str, u32>) -> Self {
        let virtual_addresses = virtual_addresses(plan);
        let mut tables = Tables::new(&plan.multicast);
        // Frames that come in by other interfaces are not judged.
        for link in indexes.values().filter_map(|index| links.by_index(*index)) {
            for address in &link.addresses {
                if !virtual_addresses.contains(&address.address) {
                    tables.add_local(link.index, address.address);
                }
            }
        }
        let sources = plan.instances.numbered().map(|(number, instance)| {
            let ifindex = *indexes.get(instance.interface.as_str())?;
            tables.add_instance(number, ifindex, instance);
            let (family, configured) = (instance.family, instance.source);
            let source = links.source_for(ifindex, family, configured, &virtual_addresses)?;
            tables.add_local(ifindex, source);
            Some(source)
        });
        let sources = sources.collect();
        Self { tables, sources }
    }
}

impl Driver {
    /// Writes the tables and tells the engine what it has to know of the host. While the XDP
    /// program's cannot be written, whoever hears by it has no source: an instance that is deaf must
    /// not be Master.
    ///
    /// # Errors
    /// They could not be written; they are tried again after a while. Not said again until then.
    pub(super) fn tell_engine(&mut self, now: Instant) -> io::Result<()> {
        let Host { tables, sources } = Host::look(&self.plan, &self.links, &indexes(&self.ports));
        // First, so that nobody speaks before it hears.
        let written = self.write(now, &tables);
        self.tables = tables;
        let plan = Arc::clone(&self.plan);
        for ((number, instance), source) in plan.instances.numbered().zip(sources) {
            let port = self.ports.get(&instance.interface);
            let lack = source.is_none().then(|| lack_of_source(instance, port.is_some()));
            let is_deaf = self.rewrite.is_some() && port.is_some_and(Port::hears_by_xdp);
            let source = source.filter(|_| !is_deaf);
            let id = InstanceId(number);
            self.effects.set_source(now, id, source, lack);
            let input = Input::Source { instance: id, address: source };
            self.engine.handle(now, input);
        }
        self.tell_of_interfaces(now);
        written
    }

    /// Writes the XDP program's tables, unless that has failed a moment ago.
    fn write(&mut self, now: Instant, tables: &Tables) -> io::Result<()> {
        let Some(xdp) = &mut self.xdp else { return Ok(()) };
        if self.rewrite.is_some_and(|backoff| !backoff.is_due(now)) {
            return Ok(());
        }
        let Err(error) = xdp.write(tables) else {
            if self.rewrite.take().is_some() {
                let note = "the XDP program's tables are written, and its instances return";
                self.effects.report(now, Message::Note(note.to_owned()));
            }
            return Ok(());
        };
        let pause = self.rewrite.get_or_insert_default().put_off(now).as_secs();
        let text = format!("{error}; whoever hears by it is in FAULT; tried again in {pause} s");
        Err(io::Error::other(text))
    }

    pub(super) fn tell_of_interfaces(&mut self, now: Instant) {
        for (number, tracker) in self.plan.trackers.numbered() {
            if let Some(name) = tracker.interface() {
                let is_up = self.links.by_name(name).is_some_and(|link| link.is_up);
                let delays = self.plan.delays.get(name).copied().unwrap_or_default();
                let counts_up = self.debounce.hear(now, name, is_up, delays);
                let verdict = Verdict::from(counts_up);
                let input = Input::Tracker { tracker: TrackerId(number), verdict };
                self.engine.handle(now, input);
            }
        }
    }
}

/// Those of the open interfaces, by name.
pub(super) fn indexes(ports: &BTreeMap<String, Port>) -> BTreeMap<&str, u32> {
    ports.iter().map(|(name, port)| (name.as_str(), port.ifindex)).collect()
}

/// Why an instance has no address to send from, and what would help.
fn lack_of_source(instance: &InstancePlan, is_open: bool) -> String {
    let InstancePlan { name, interface, family, source, .. } = instance;
    match (source, family) {
        _ if !is_open => format!("{name}: {interface} is not on this host: waiting for it"),
        (Some(source), _) => format!("{name}: its source address {source} is not on this host"),
        (None, Family::V4) => format!("{name}: {interface} has no IPv4 address to send from"),
        (None, Family::V6) => {
            format!("{name}: {interface} has no link-local IPv6 address to send from")
        }
    }
}

/// Addresses that come and go with mastership: nobody sends from them. An owner's are its own.
pub(super) fn virtual_addresses(plan: &Plan) -> BTreeSet<IpAddr> {
    let instances = plan.instances.iter().filter(|instance| !instance.is_owner);
    instances.flat_map(|instance| instance.addresses.iter().map(|one| one.address)).collect()
}
