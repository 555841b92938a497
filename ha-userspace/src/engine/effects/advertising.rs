//! Advertisements: built once, sent many times, and those that leave by one socket together.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ha_core::{InstanceId, wire::ChecksumScope};

use super::{Effects, Surroundings};
use crate::{
    clock,
    engine::Message,
    io::advert_socket::{AdvertSocket, Channel, Outgoing},
    plan::InstancePlan,
};

/// Destinations and messages for one source and priority.
#[derive(Debug)]
pub(super) struct Built {
    source: IpAddr,
    priority: u8,
    /// The interface's.
    mtu: u32,
    messages: Vec<(IpAddr, Vec<u8>)>,
}

/// An instance that may send now.
struct Speaker<'a> {
    instance: InstanceId,
    plan: &'a InstancePlan,
    ifindex: u32,
    mtu: u32,
    channel: Channel,
    sender: &'a AdvertSocket,
}

/// What leaves by one socket, and whose each is.
struct Post<'a> {
    sender: &'a AdvertSocket,
    outgoing: Vec<Outgoing<'a>>,
    owners: Vec<InstanceId>,
}

impl Effects {
    /// Sends advertisements of instances with their priorities; of one instance in this order.
    pub(super) fn advertise(&mut self, around: Surroundings<'_>, wanted: &[(InstanceId, u8)]) {
        let mut rest = wanted;
        while !rest.is_empty() {
            // What an instance says twice in one turn has two priorities: one message is built at
            // a time.
            let mut speaking = BTreeSet::new();
            let once = rest.iter().take_while(|(instance, _)| speaking.insert(*instance)).count();
            let (batch, later) = rest.split_at(once);
            self.advertise_once(around, batch);
            rest = later;
        }
    }

    fn advertise_once(&mut self, around: Surroundings<'_>, batch: &[(InstanceId, u8)]) {
        let mut speakers = Vec::with_capacity(batch.len());
        let mut narrowed = Vec::new();
        for &(instance, priority) in batch {
            if let Some(speaker) = Speaker::find(around, instance)
                && let Some(outlet) = self.outlet(instance)
                && let Some(source) = outlet.source
            {
                let Speaker { plan, mtu, .. } = speaker;
                let key = (source, priority, mtu);
                let is_it = |built: &Built| (built.source, built.priority, built.mtu) == key;
                if !outlet.built.as_ref().is_some_and(is_it) {
                    let room = plan.room(mtu);
                    let narrow = (plan.template.addresses.len() > room).then_some(mtu);
                    if core::mem::replace(&mut outlet.narrow, narrow) != narrow && narrow.is_some()
                    {
                        narrowed.push(plan.overflow(room, narrow));
                    }
                    outlet.built = Some(Built::new(plan, source, priority, mtu));
                }
                speakers.push(speaker);
            }
        }
        for text in narrowed {
            self.report(around.now, Message::Trouble(text));
        }
        let failures = self.post(around, &speakers);
        self.note_sent(&speakers, &failures);
        for (instance, failure) in failures {
            self.adverts_unsent += 1;
            let name = around.plan.instance(instance).map_or("?", |plan| plan.name.as_str());
            let text = format!("{name}: cannot send an advertisement {failure}");
            self.trouble(around.now, instance, text);
        }
    }

    /// Whoever has sent something to somebody has done so now.
    fn note_sent(&mut self, speakers: &[Speaker<'_>], failures: &[(InstanceId, String)]) {
        let now = clock::now();
        let mut failed = BTreeMap::<_, usize>::new();
        for (instance, _) in failures {
            *failed.entry(*instance).or_default() += 1;
        }
        for Speaker { instance, .. } in speakers {
            let failed = failed.get(instance).copied().unwrap_or(0);
            let Some(outlet) = self.outlet(*instance) else { continue };
            if outlet.built.as_ref().is_some_and(|built| built.messages.len() > failed) {
                outlet.sent = Some(now);
            }
        }
    }

    /// Sends what is built; gives back what could not be sent.
    fn post(
        &self,
        around: Surroundings<'_>,
        speakers: &[Speaker<'_>],
    ) -> Vec<(InstanceId, String)> {
        let mut posts = BTreeMap::new();
        for &Speaker { instance, plan, ifindex, mtu: _, channel, sender } in speakers {
            let number = usize::try_from(instance.0).ok();
            let outlet = number.and_then(|number| self.outlets.get(number));
            let Some(built) = outlet.and_then(|outlet| outlet.built.as_ref()) else { continue };
            let (source, ttl) = (built.source, plan.ttl);
            let seal = around.associations.seal(instance);
            let post = posts.entry((ifindex, channel)).or_insert_with(|| Post::new(sender));
            for &(destination, ref message) in &built.messages {
                post.outgoing.push(Outgoing { source, destination, ttl, message, seal });
                post.owners.push(instance);
            }
        }
        let failures = posts.into_values().flat_map(|Post { sender, outgoing, owners }| {
            sender.send(&outgoing).into_iter().filter_map(move |(at, error)| {
                let destination = outgoing.get(at)?.destination;
                Some((*owners.get(at)?, format!("to {destination}: {error}")))
            })
        });
        failures.collect()
    }
}

impl Built {
    /// The interface's MTU may be smaller than it was when the plan was made.
    fn new(plan: &InstancePlan, source: IpAddr, priority: u8, mtu: u32) -> Self {
        let mut template = plan.template.clone();
        template.addresses.truncate(plan.room(mtu));
        let messages = destinations(plan).into_iter().map(|destination| {
            let scope = if plan.pseudo_header {
                ChecksumScope::PseudoHeader { source, destination }
            } else {
                ChecksumScope::Message
            };
            (destination, template.encode(priority, scope))
        });
        Self { source, priority, mtu, messages: messages.collect() }
    }
}

impl<'a> Speaker<'a> {
    fn find(around: Surroundings<'a>, instance: InstanceId) -> Option<Self> {
        let plan = around.plan.instance(instance)?;
        let port = around.ports.get(&plan.interface)?;
        let channel = Channel::of(plan.family, &plan.template);
        let sender = port.sender(channel)?;
        let ifindex = port.ifindex;
        // Nothing leaves without carrier, but the kernel would keep it for later.
        let link = around.links.by_index(ifindex).filter(|link| link.is_up)?;
        Some(Self { instance, plan, ifindex, mtu: link.mtu, channel, sender })
    }
}

impl<'a> Post<'a> {
    fn new(sender: &'a AdvertSocket) -> Self {
        Self { sender, outgoing: Vec::new(), owners: Vec::new() }
    }
}

fn destinations(plan: &InstancePlan) -> Vec<IpAddr> {
    if plan.peers.is_empty() {
        return vec![plan.multicast];
    }
    plan.peers.iter().map(|peer| peer.address).collect()
}
