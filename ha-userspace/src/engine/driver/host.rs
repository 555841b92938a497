//! What this host is like, as the engine and the XDP program are told of it.

use std::{collections::BTreeSet, io, net::IpAddr, sync::Arc};

use ha_core::{Family, Input, InstanceId, Instant, TrackerId, Verdict};

use super::{Driver, places::Places};
use crate::{
    engine::{Message, port::Port},
    io::{
        links::{Link, News, Table},
        tables::{Keys, Tables},
        xdp::Advert,
    },
    plan::{InstancePlan, Plan},
};

/// What a plan makes of the interfaces and addresses that there are.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Host {
    pub(super) tables: Tables,
    /// By the instance's number.
    seats: Vec<Seat>,
}

/// Where an instance is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Seat {
    /// The interface it speaks on, if that is open.
    ifindex: Option<u32>,
    /// The address it sends from.
    source: Option<IpAddr>,
}

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) plan: &'a Plan,
    pub(super) places: &'a Places,
    pub(super) links: &'a Table,
    /// The index of an interface that is open, by name.
    pub(super) open: &'a dyn Fn(&str) -> Option<u32>,
}

impl View<'_> {
    fn is_open(&self, link: &Link) -> bool {
        (self.open)(&link.name) == Some(link.index)
    }

    fn seat(&self, instance: &InstancePlan) -> Seat {
        let InstancePlan { interface, family, source, .. } = instance;
        let ifindex = (self.open)(interface);
        let excluded = self.places.virtual_addresses();
        let source =
            ifindex.and_then(|index| self.links.source_for(index, *family, *source, excluded));
        Seat { ifindex, source }
    }
}

impl Host {
    /// Frames that come in by interfaces that are not open are not judged.
    pub(super) fn look(view: View<'_>) -> Self {
        let mut tables = Tables::new(&view.plan.multicast);
        for link in view.links.iter().filter(|link| view.is_open(link)) {
            for address in &link.addresses {
                if !view.places.virtual_addresses().contains(&address.address) {
                    tables.add_local(link.index, address.address);
                }
            }
        }
        let count = usize::try_from(view.plan.instances.count()).unwrap_or(0);
        let mut seats = vec![Seat::default(); count];
        for (number, known) in (0..).zip(&mut seats) {
            let Some(instance) = view.plan.instances.get(number) else { continue };
            *known = view.seat(instance);
            let Some(ifindex) = known.ifindex else { continue };
            tables.add_instance(number, ifindex, instance, &mut Keys::default());
            if let Some(source) = known.source {
                tables.add_local(ifindex, source);
            }
        }
        Self { tables, seats }
    }

    /// The same, where only what there is news of may be different; gives back what may be so in the
    /// tables.
    pub(super) fn look_again(&mut self, view: View<'_>, news: &News) -> Keys {
        let mut keys = Keys::default();
        for index in &news.indexes {
            self.tables.remove_interface(*index, &mut keys);
        }
        let mut places: BTreeSet<(u32, IpAddr)> = BTreeSet::new();
        for address in &news.addresses {
            places.extend(news.indexes.iter().map(|index| place(*index, *address)));
        }
        for number in view.places.instances_in(news) {
            let Some(instance) = view.plan.instances.get(number) else { continue };
            let now = view.seat(instance);
            let known = usize::try_from(number).ok().and_then(|at| self.seats.get_mut(at));
            let before = known.map_or(now, |known| std::mem::replace(known, now));
            if let Some(ifindex) = now.ifindex {
                self.tables.add_instance(number, ifindex, instance, &mut keys);
            }
            for Seat { ifindex, source } in [before, now] {
                places.extend(ifindex.zip(source).map(|(index, source)| place(index, source)));
            }
        }
        for (index, address) in places {
            let is_local = self.is_local(view, index, address);
            self.tables.set_local(index, address, is_local, &mut keys);
        }
        keys
    }

    /// Whether an advertisement has come in by the interface that its instance speaks on now: one of
    /// before a reload may have waited while its instance went elsewhere.
    pub(super) fn is_where_it_was_heard(&self, advert: &Advert<'_>) -> bool {
        self.seat(advert.instance.0).ifindex == Some(advert.ifindex)
    }

    fn seat(&self, number: u32) -> Seat {
        let seat = usize::try_from(number).ok().and_then(|at| self.seats.get(at));
        seat.copied().unwrap_or_default()
    }

    /// Whether frames from an address are this host's own; the index is 0 for what is known to all of it.
    fn is_local(&self, view: View<'_>, index: u32, address: IpAddr) -> bool {
        let has_it = |link: &Link| {
            view.is_open(link) && link.addresses.iter().any(|own| own.address == address)
        };
        let is_of_host = !view.places.virtual_addresses().contains(&address)
            && match index {
                0 => view.links.iter().any(has_it),
                _ => view.links.by_index(index).is_some_and(has_it),
            };
        let sends = |number: &u32| {
            let seat = self.seat(*number);
            (index == 0 || seat.ifindex == Some(index)) && seat.source == Some(address)
        };
        is_of_host || view.places.senders(address).iter().any(sends)
    }
}

/// Where an address is known: on its link, or (0) everywhere.
fn place(ifindex: u32, address: IpAddr) -> (u32, IpAddr) {
    let is_of_link = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    (if is_of_link { ifindex } else { 0 }, address)
}

impl Driver {
    /// Writes the tables and tells the engine what it has to know of the host. While the XDP
    /// program's cannot be written, whoever hears by it has no source: an instance that is deaf must
    /// not be Master.
    ///
    /// # Errors
    /// They could not be written; they are tried again after a while. Not said again until then.
    pub(super) fn tell_engine(&mut self, now: Instant, news: &News) -> io::Result<()> {
        let was_unwritten = self.rewrite.is_some();
        let Self { plan, places, links, ports, host, .. } = self;
        let open = |name: &str| ports.get(name).map(|port| port.ifindex);
        let view = View { plan, places, links: links.table(), open: &open };
        let keys = if news.is_of_all || was_unwritten {
            *host = Host::look(view);
            None
        } else {
            Some(host.look_again(view, news))
        };
        // First, so that nobody speaks before it hears.
        let written = self.write(now, keys.as_ref());
        let is_for_all = keys.is_none() || self.rewrite.is_some();
        let of_all = News::of_all();
        let concerned = self.places.instances_in(if is_for_all { &of_all } else { news });
        let plan = Arc::clone(&self.plan);
        for number in concerned {
            let Some(instance) = plan.instances.get(number) else { continue };
            let source = self.host.seat(number).source;
            let port = self.ports.get(&instance.interface);
            let lack = source.is_none().then(|| lack_of_source(instance, port.is_some()));
            let is_deaf = self.rewrite.is_some() && port.is_some_and(Port::hears_by_xdp);
            let source = source.filter(|_| !is_deaf);
            let id = InstanceId(number);
            let is_news = self.effects.set_source(now, id, source, lack);
            if is_for_all || is_news {
                let input = Input::Source { instance: id, address: source };
                self.engine.handle(now, input);
            }
        }
        self.tell_of_interfaces(now, news);
        written
    }

    /// Writes the XDP program's tables, all or what is of these keys, unless that has failed a moment
    /// ago.
    fn write(&mut self, now: Instant, keys: Option<&Keys>) -> io::Result<()> {
        let Some(xdp) = &mut self.xdp else { return Ok(()) };
        if self.rewrite.is_some_and(|backoff| !backoff.is_due(now)) {
            return Ok(());
        }
        let tables = &self.host.tables;
        let result = match keys {
            Some(keys) => xdp.write_changed(tables, keys),
            None => xdp.write(tables),
        };
        let Err(error) = result else {
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

    pub(super) fn tell_of_interfaces(&mut self, now: Instant, news: &News) {
        for (name, number) in self.places.trackers_in(news) {
            let is_up = self.links.by_name(&name).is_some_and(|link| link.is_up);
            let delays = self.plan.delays.get(&name).copied().unwrap_or_default();
            let counts_up = self.debounce.hear(now, &name, is_up, delays);
            let verdict = Verdict::from(counts_up);
            let input = Input::Tracker { tracker: TrackerId(number), verdict };
            self.engine.handle(now, input);
        }
    }
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

#[cfg(test)]
mod tests;
