//! Which interfaces are open, and what changes about that at a reload.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::Arc,
};

use ha_core::{Reload, TrackerId};

use super::{
    Driver,
    host::{Host, View},
    places::Places,
};
use crate::{
    clock,
    engine::{
        Message, Words,
        port::{Opening, Port, Speech, Spoken},
    },
    io::{advert_socket::Channel, links::News, xdp::Xdp},
    plan::Plan,
};

/// What another plan needs beside what is open, by the interface's name.
#[derive(Default)]
struct Opened {
    ports: Vec<(String, Port)>,
    /// For interfaces that are open, and on which other channels are used than before.
    speeches: Vec<(String, Speech)>,
}

impl Opened {
    fn close(self, mut xdp: Option<&mut Xdp>) {
        for (_, port) in self.ports {
            port.close(xdp.as_deref_mut());
        }
    }
}

impl Driver {
    /// Goes on with another plan. What it needs is opened first: if that fails nothing has changed.
    pub(super) fn reload(
        &mut self,
        plan: Arc<Plan>,
        reload: Reload,
        words: Vec<(TrackerId, Words)>,
    ) -> io::Result<()> {
        let now = clock::now();
        let opened = self.open_for(&plan)?;
        if let Err(error) = self.write_for(&plan, &opened) {
            opened.close(self.xdp.as_mut());
            // Some of it may be in the tables.
            self.handle_change(News::of_all());
            return Err(error);
        }
        self.engine.stop_for(now, &plan, &reload);
        self.apply(now);
        for (name, speech) in opened.speeches {
            if let Some(port) = self.ports.get_mut(&name) {
                port.set_speech(speech);
            }
        }
        self.ports.extend(opened.ports);
        let names = interfaces_of(&plan);
        let unused = self.ports.extract_if(.., |name, _| !names.contains(name));
        for (_, port) in unused.collect::<Vec<_>>() {
            port.close(self.xdp.as_mut());
        }
        self.effects.reload(&plan);
        self.associations.reload(&plan, clock::unix_time());
        self.places = Places::of(&plan);
        self.plan = plan;
        self.debounce.retain(|name| self.places.is_tracked(name));
        for &id in reload.retired.iter().chain(&reload.restart) {
            self.retries.forget(id);
        }
        for (tracker, words) in words {
            self.engine.lexicon.learn(tracker, words);
        }
        self.engine.reload(now, reload);
        self.handle_change(News::of_all());
        Ok(())
    }

    /// Opens what `plan` needs beside what is open.
    fn open_for(&mut self, plan: &Plan) -> io::Result<Opened> {
        let mut opened = Opened::default();
        for name in interfaces_of(plan) {
            let Some(link) = self.links.by_name(&name) else { continue };
            let channels = channels_on(plan, &name);
            let outcome = match self.ports.get(&name).filter(|port| port.ifindex == link.index) {
                Some(port) => port.prepare(link, &channels, &self.arrived).map(|speech| {
                    opened.speeches.extend(speech.map(|speech| (name, speech)));
                }),
                None => self.open_port(&channels, &name).map(|port| {
                    opened.ports.extend(port.map(|port| (name, port)));
                }),
            };
            if let Err(error) = outcome {
                opened.close(self.xdp.as_mut());
                return Err(error);
            }
        }
        Ok(opened)
    }

    /// Writes the XDP program's tables for `plan`, which can fail, before anybody goes by it.
    fn write_for(&mut self, plan: &Plan, opened: &Opened) -> io::Result<()> {
        self.slots.cover(plan.instances.count())?;
        let Some(xdp) = &mut self.xdp else { return Ok(()) };
        let (ports, links) = (&self.ports, self.links.table());
        let open = |name: &str| {
            let mut new = opened.ports.iter();
            let new = new.find(|(opened, _)| opened == name).map(|(_, port)| port);
            new.or_else(|| ports.get(name)).map(|port| port.ifindex)
        };
        let places = Places::of(plan);
        xdp.write(&Host::look(View { plan, places: &places, links, open: &open }).tables)?;
        self.rewrite = None;
        Ok(())
    }

    /// Opens what has appeared and closes what is gone; gives back what could not be opened.
    pub(super) fn open_ports(&mut self, news: &News) -> Vec<io::Error> {
        let mut errors = Vec::new();
        for name in self.places.interfaces_in(news) {
            let ifindex = self.links.by_name(&name).map(|link| link.index);
            if self.ports.get(&name).map(|port| port.ifindex) == ifindex {
                continue;
            }
            if let Some(port) = self.ports.remove(&name) {
                port.close(self.xdp.as_mut());
            }
            match self.open_port(&channels_on(&self.plan, &name), &name) {
                Ok(port) => self.ports.extend(port.map(|port| (name, port))),
                Err(error) => {
                    errors.push(error);
                    self.unopened.insert(name);
                }
            }
        }
        errors
    }

    /// Opens an interface, if it is there.
    fn open_port(&mut self, channels: &[Spoken], name: &str) -> io::Result<Option<Port>> {
        let Some(link) = self.links.by_name(name) else { return Ok(None) };
        let (port, warning) = Port::open(Opening {
            link,
            carries_vlans: self.links.carries_vlans(link.index),
            channels,
            choice: self.choice,
            xdp: self.xdp.as_mut(),
            arrived: &self.arrived,
        })?;
        let message = match warning {
            Some(warning) => Message::Trouble(warning),
            None => Message::Note(format!("{name}: XDP {}", port.xdp_name())),
        };
        self.effects.report(clock::now(), message);
        Ok(Some(port))
    }
}

/// The interfaces that instances speak on.
fn interfaces_of(plan: &Plan) -> BTreeSet<String> {
    plan.instances.iter().map(|instance| instance.interface.clone()).collect()
}

/// Channels used on an interface, and the group to join for each that uses multicast.
fn channels_on(plan: &Plan, interface: &str) -> Vec<Spoken> {
    let mut channels: BTreeMap<Channel, Option<IpAddr>> = BTreeMap::new();
    for instance in plan.instances.iter().filter(|instance| instance.interface == interface) {
        let channel = Channel::of(instance.family, &instance.template);
        let joined = channels.entry(channel).or_default();
        if instance.peers.is_empty() {
            *joined = Some(instance.multicast);
        }
    }
    channels.into_iter().collect()
}
