//! The one place that carries out what the engine wants.
//!
//! What peers and switches see comes first, phase by phase over all instances: advertisements, then
//! addresses in one batch, then announcements. What people and scripts see is sent to the main
//! thread last.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ha_common::proto;
use ha_core::{Action, Family, InstanceId, Instant, State, Transition, wire::ChecksumScope};
use tokio::sync::mpsc;

use crate::{
    engine::{Message, Report, port::Port},
    io::{
        addresses::{AddressChange, AddressSocket},
        announce::{Announcer, Target},
        links::Links,
    },
    plan::{InstancePlan, Plan},
};

/// Refused frames and failing sends are told of once an instance in this time.
const REPORT_PAUSE: Duration = Duration::from_secs(10);

/// Sockets and memory that carrying out needs.
#[derive(Debug)]
pub(crate) struct Effects {
    addresses: AddressSocket,
    announcer: Announcer,
    outlets: Vec<Outlet>,
    reports: mpsc::Sender<Report>,
    pub(crate) reports_lost: u64,
}

/// What an instance sends, and from where.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    /// The address it sends from, as the engine was told.
    pub(crate) source: Option<IpAddr>,
    /// Destinations and messages for one source and priority: built once, sent many times.
    built: Option<Built>,
    are_addresses_wanted: bool,
    refusal_reported: Option<Instant>,
    trouble_reported: Option<Instant>,
}

#[derive(Debug)]
struct Built {
    source: IpAddr,
    priority: u8,
    messages: Vec<(IpAddr, Vec<u8>)>,
}

/// What carrying out needs to see.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Instant,
    pub(crate) plan: &'a Plan,
    pub(crate) links: &'a Links,
    /// Open interfaces by name.
    pub(crate) ports: &'a BTreeMap<String, Port>,
}

impl Effects {
    pub(crate) fn new(
        addresses: AddressSocket,
        announcer: Announcer,
        instances: usize,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let outlets = (0..instances).map(|_| Outlet::default()).collect();
        Self { addresses, announcer, outlets, reports, reports_lost: 0 }
    }

    pub(crate) fn outlet(&mut self, instance: InstanceId) -> Option<&mut Outlet> {
        self.outlets.get_mut(usize::try_from(instance.0).ok()?)
    }

    /// Carries out `actions`; gives back the instances whose addresses could not be set.
    pub(crate) fn apply(
        &mut self,
        around: Surroundings<'_>,
        actions: &[Action],
    ) -> Vec<InstanceId> {
        let mut addresses = BTreeMap::new();
        let mut announcements = BTreeMap::new();
        for action in actions {
            match *action {
                Action::Advertise { instance, priority } => {
                    self.advertise(around, instance, priority);
                }
                // Of several wishes for one instance the last one counts.
                Action::Addresses { instance, present } => {
                    addresses.insert(instance, present);
                }
                Action::Announce { instance, repeat } => {
                    let wanted = announcements.entry(instance).or_insert(0);
                    *wanted = repeat.max(*wanted);
                }
                Action::Transition(_)
                | Action::Notify(_)
                | Action::Priority { .. }
                | Action::Rejected { .. }
                | Action::Late { .. } => {}
            }
        }
        let failed = self.set_addresses(around, &addresses);
        self.announce(around, &announcements);
        for action in actions {
            match *action {
                Action::Advertise { .. } | Action::Addresses { .. } | Action::Announce { .. } => {}
                Action::Rejected { instance, .. } => {
                    if self.is_refusal_due(around.now, instance) {
                        self.report(around.now, Message::Engine(*action));
                    }
                }
                Action::Transition(transition) => {
                    if is_return(transition) {
                        self.greet(around, transition.instance);
                    }
                    self.report(around.now, Message::Engine(*action));
                }
                Action::Notify(_) | Action::Priority { .. } | Action::Late { .. } => {
                    self.report(around.now, Message::Engine(*action));
                }
            }
        }
        failed
    }

    /// Tells the main thread; counts what does not fit.
    pub(crate) fn report(&mut self, at: Instant, message: Message) {
        if self.reports.try_send(Report { at, message }).is_err() {
            self.reports_lost += 1;
        }
    }

    fn advertise(&mut self, around: Surroundings<'_>, instance: InstanceId, priority: u8) {
        let Some(plan) = plan_of(around.plan, instance) else { return };
        let Some(port) = around.ports.get(&plan.interface) else { return };
        let Some(sender) = port.sender(plan.family) else { return };
        let mut failure = None;
        if let Some(outlet) = self.outlet(instance)
            && let Some(source) = outlet.source
        {
            for (destination, message) in outlet.messages(plan, source, priority) {
                if let Err(error) = sender.send(source, *destination, plan.ttl, message) {
                    failure = Some(format!("to {destination}: {error}"));
                }
            }
        }
        // A Master whose carrier is gone says goodbye into the void: nothing to complain about.
        let is_up = around.links.by_name(&plan.interface).is_some_and(|link| link.is_up);
        if let Some(failure) = failure.filter(|_| is_up) {
            let text = format!("{}: cannot send an advertisement {failure}", plan.name);
            self.trouble(around.now, instance, text);
        }
    }

    fn set_addresses(
        &mut self,
        around: Surroundings<'_>,
        wanted: &BTreeMap<InstanceId, bool>,
    ) -> Vec<InstanceId> {
        let mut owners = Vec::new();
        let mut changes = Vec::new();
        let mut failed = Vec::new();
        for (&instance, &present) in wanted {
            let Some(plan) = plan_of(around.plan, instance) else { continue };
            if let Some(outlet) = self.outlet(instance) {
                outlet.are_addresses_wanted = present;
            }
            for address in &plan.addresses {
                match around.links.by_name(&address.interface) {
                    Some(link) => {
                        owners.push(instance);
                        changes.push(AddressChange {
                            present,
                            ifindex: link.index,
                            address: address.address,
                            prefix_len: address.prefix_len,
                            broadcast: address.broadcast,
                            scope: address.scope.0,
                            label: address.label.clone(),
                        });
                    }
                    // What is gone has taken its addresses along.
                    None if !present => {}
                    None => {
                        let what = format!(
                            "{}: cannot set {}: there is no interface {}",
                            plan.name, address.address, address.interface
                        );
                        self.report(around.now, Message::Trouble(what));
                        failed.push(instance);
                    }
                }
            }
        }
        let results = self.addresses.apply(&changes);
        for ((result, change), instance) in results.into_iter().zip(&changes).zip(owners) {
            let Err(error) = result else { continue };
            let name = plan_of(around.plan, instance).map_or("?", |plan| plan.name.as_str());
            let verb = if change.present { "set" } else { "remove" };
            let what = format!("{name}: cannot {verb} {}: {error}", change.address);
            self.report(around.now, Message::Trouble(what));
            if change.present {
                failed.push(instance);
            }
        }
        failed.dedup();
        failed
    }

    fn announce(&mut self, around: Surroundings<'_>, wanted: &BTreeMap<InstanceId, u32>) {
        let mut by_repeat: BTreeMap<u32, Vec<Target>> = BTreeMap::new();
        for (&instance, &repeat) in wanted {
            let Some(plan) = plan_of(around.plan, instance) else { continue };
            let is_master = self.outlet(instance).is_some_and(|outlet| outlet.are_addresses_wanted);
            if !is_master {
                continue;
            }
            for address in &plan.addresses {
                let Some(link) = around.links.by_name(&address.interface) else { continue };
                let Some(mac) = link.mac else { continue };
                let address = address.address;
                let target = Target { ifindex: link.index, mac, address, is_router: false };
                by_repeat.entry(repeat).or_default().push(target);
            }
        }
        for (repeat, targets) in by_repeat {
            let announced = self.announcer.announce(&targets, repeat);
            if let Some(error) = announced.error {
                let failed = announced.failed;
                let text = format!("{failed} announcements could not be sent: {error}");
                self.report(around.now, Message::Trouble(text));
            }
        }
    }

    /// A peer that was gone for its Master gets nothing until the Master's kernel knows where it is.
    fn greet(&mut self, around: Surroundings<'_>, instance: InstanceId) {
        let Some(plan) = plan_of(around.plan, instance) else { return };
        if plan.peers.is_empty() {
            return;
        }
        let source = self.outlet(instance).and_then(|outlet| outlet.source);
        let link = around.links.by_name(&plan.interface);
        if let (Some(address), Some(link)) = (source, link)
            && let Some(mac) = link.mac
        {
            let me = Target { ifindex: link.index, mac, address, is_router: false };
            let peers: Vec<IpAddr> = plan.peers.iter().map(|peer| peer.address).collect();
            if let Some(error) = self.announcer.greet(&me, &peers).error {
                let text = format!("{}: cannot tell the peers where it is: {error}", plan.name);
                self.trouble(around.now, instance, text);
            }
        }
    }

    fn trouble(&mut self, now: Instant, instance: InstanceId, text: String) {
        let Some(outlet) = self.outlet(instance) else { return };
        if is_due(&mut outlet.trouble_reported, now) {
            self.report(now, Message::Trouble(text));
        }
    }

    fn is_refusal_due(&mut self, now: Instant, instance: InstanceId) -> bool {
        self.outlet(instance).is_some_and(|outlet| is_due(&mut outlet.refusal_reported, now))
    }
}

impl Outlet {
    fn messages(
        &mut self,
        plan: &InstancePlan,
        source: IpAddr,
        priority: u8,
    ) -> &[(IpAddr, Vec<u8>)] {
        let is_other = |built: &Built| built.source != source || built.priority != priority;
        if self.built.as_ref().is_none_or(is_other) {
            let messages = destinations(plan).into_iter().map(|destination| {
                let scope = if plan.pseudo_header {
                    ChecksumScope::PseudoHeader { source, destination }
                } else {
                    ChecksumScope::Message
                };
                (destination, plan.template.encode(priority, scope))
            });
            let messages = messages.collect();
            self.built = Some(Built { source, priority, messages });
        }
        self.built.as_ref().map_or(&[], |built| &built.messages)
    }
}

/// Whether an instance has begun to listen.
fn is_return(transition: Transition) -> bool {
    matches!(transition.from, State::Init | State::Fault) && transition.to == State::Backup
}

/// The group that a family's advertisements go to.
pub(crate) fn group(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from(proto::GROUP_V4),
        Family::V6 => IpAddr::from(proto::GROUP_V6),
    }
}

fn destinations(plan: &InstancePlan) -> Vec<IpAddr> {
    if plan.peers.is_empty() {
        return vec![group(plan.family)];
    }
    plan.peers.iter().map(|peer| peer.address).collect()
}

fn plan_of(plan: &Plan, instance: InstanceId) -> Option<&InstancePlan> {
    plan.instances.get(usize::try_from(instance.0).ok()?)
}

fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = last.is_none_or(|last| now.since(last) >= REPORT_PAUSE);
    if is_due {
        *last = Some(now);
    }
    is_due
}
