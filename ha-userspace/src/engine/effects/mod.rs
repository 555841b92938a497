//! The one place that carries out what the engine wants.
//!
//! What peers and switches see comes first, over all instances: advertisements, then addresses in
//! batches, each announced once before the next, then further announcements. What people and scripts
//! see is sent to the main thread last.

mod addressing;
mod advertising;
mod announcing;
mod holders;
mod routing;
mod seen;
mod statics;
mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use ha_common::abi::Sender;
use ha_core::{Action, InstanceId, Instant, Rejection, State, Transition};
use tokio::sync::mpsc;

use self::{advertising::Built, holders::Holders, seen::Seen, statics::Statics, wanted::Wanted};
pub(crate) use self::{
    routing::RoutingRemoved,
    wanted::{routing, static_removals},
};
use crate::{
    clock,
    engine::{
        Done, Message, Report,
        associations::Associations,
        decide::Decider,
        notices::{Notices, Told},
        pacing::Pacer,
        port::Port,
    },
    io::{
        announce::Announcer,
        changes::{Change, ChangeSocket, Outcome},
        links::Links,
        neighbours::NeighbourSocket,
    },
    plan::Plan,
    refused::{Refusal, Refusals},
};

/// Failing sends are told of once an instance in this time.
const REPORT_PAUSE: Duration = Duration::from_secs(10);

/// Sockets and memory that carrying out needs.
#[derive(Debug)]
pub(crate) struct Effects {
    changes: ChangeSocket,
    announcer: Announcer,
    neighbours: NeighbourSocket,
    pacer: Pacer,
    outlets: Vec<Outlet>,
    holders: Holders,
    /// Addresses that somebody removed, until that is told; of a Master only.
    missed: BTreeMap<InstanceId, BTreeSet<(u32, IpAddr)>>,
    statics: Statics,
    reports: mpsc::Sender<Report>,
    pub(crate) reports_lost: u64,
    /// Advertisements that the kernel did not take.
    pub(crate) adverts_unsent: u64,
    /// Those among them that did not fit, until it is told.
    overflow: u64,
    overflow_reported: Option<Instant>,
    /// What was not taken, until it is told.
    pub(crate) refusals: Refusals,
    pub(crate) notices: Notices,
    /// Reloads so far.
    generation: u32,
}

/// What an instance sends, and from where.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    /// The address it sends from, as the engine was told.
    source: Option<IpAddr>,
    /// The operator was told that there is none.
    is_lack_told: bool,
    /// What it sends, while source and priority stay.
    built: Option<Built>,
    /// The MTU by which not all is advertised that the plan lists, which the operator was told.
    narrow: Option<u32>,
    /// When it last sent.
    sent: Option<Instant>,
    /// Addresses, routes and rules as they were set, while they are wanted.
    set: Option<Vec<Wanted>>,
    /// The addresses among them that the kernel has confirmed, by interface.
    seen: Seen,
    removed: RoutingRemoved,
    trouble_reported: Option<Instant>,
}

/// What carrying out needs to see.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Instant,
    pub(crate) plan: &'a Plan,
    pub(crate) links: &'a Links,
    /// Open interfaces by name.
    pub(crate) ports: &'a BTreeMap<String, Port>,
    pub(crate) associations: &'a Associations,
    /// What is to be carried out, and who wants it.
    pub(crate) engine: &'a Decider,
}

impl Effects {
    pub(crate) fn new(
        changes: ChangeSocket,
        announcer: Announcer,
        neighbours: NeighbourSocket,
        plan: &Plan,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let outlets = (0..plan.instances.count()).map(|_| Outlet::default()).collect();
        let pacer = Pacer::new(plan);
        Self {
            changes,
            announcer,
            neighbours,
            pacer,
            outlets,
            holders: Holders::default(),
            missed: BTreeMap::new(),
            statics: Statics::default(),
            reports,
            reports_lost: 0,
            adverts_unsent: 0,
            overflow: 0,
            overflow_reported: None,
            refusals: Refusals::default(),
            notices: Notices::default(),
            generation: 0,
        }
    }

    /// Goes on with another plan, by the same numbers; what is announced slowly is left at that.
    pub(crate) fn reload(&mut self, plan: &Plan) {
        self.generation = self.generation.wrapping_add(1);
        self.pacer = Pacer::new(plan);
        self.outlets
            .resize_with(usize::try_from(plan.instances.count()).unwrap_or(0), Outlet::default);
        for outlet in &mut self.outlets {
            outlet.built = None;
        }
    }

    pub(crate) fn outlet(&mut self, instance: InstanceId) -> Option<&mut Outlet> {
        self.outlets.get_mut(usize::try_from(instance.0).ok()?)
    }

    /// When an instance last sent an advertisement.
    pub(crate) fn sent(&self, instance: InstanceId) -> Option<Instant> {
        self.outlets.get(usize::try_from(instance.0).ok()?)?.sent
    }

    /// The address an instance sends from; `lack` says why there is none. Whether it is another one
    /// than before.
    pub(crate) fn set_source(
        &mut self,
        now: Instant,
        instance: InstanceId,
        source: Option<IpAddr>,
        lack: Option<String>,
    ) -> bool {
        let Some(outlet) = self.outlet(instance) else { return false };
        let before = core::mem::replace(&mut outlet.source, source);
        let was_told = core::mem::replace(&mut outlet.is_lack_told, lack.is_some());
        if let Some(lack) = lack.filter(|_| !was_told) {
            self.report(now, Message::Trouble(lack));
        }
        before != source
    }

    /// Carries out what the engine wants; gives back the instances whose addresses could not be set.
    pub(crate) fn apply(&mut self, around: Surroundings<'_>) -> BTreeSet<InstanceId> {
        let actions = around.engine.actions();
        let mut advertisements = Vec::new();
        let mut addresses = BTreeMap::new();
        let mut announcements = BTreeMap::new();
        for action in actions {
            match *action {
                Action::Advertise { instance, priority } => {
                    advertisements.push((instance, priority));
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
                | Action::Noticed { .. }
                | Action::Restoring { .. }
                | Action::Late { .. } => {}
            }
        }
        let begin = clock::now();
        self.advertise(around, &advertisements);
        let (batches, mut failed) = self.batches(around, &addresses);
        let targets = self.targets(around, &announcements);
        failed.extend(self.set_and_announce(around, batches, targets));
        let placed = clock::now();
        for action in actions {
            match *action {
                Action::Advertise { .. } | Action::Addresses { .. } | Action::Announce { .. } => {}
                Action::Rejected { instance, source, reason } => {
                    self.refuse(around.now, instance, source, reason);
                }
                Action::Transition(transition @ Transition { instance, .. }) => {
                    if is_return(transition) {
                        self.greet(around, instance);
                    }
                    if transition.to == State::Fault {
                        self.forget_peers(around, instance);
                    }
                    let is_set = addresses.contains_key(&instance) && !failed.contains(&instance);
                    let sent = self.sent(instance).filter(|sent| *sent >= begin);
                    let done = Done { sent, placed: is_set.then_some(placed) };
                    let moved = around.engine.moved(around.plan, transition, done);
                    self.report(around.now, Message::Moved(Box::new(moved)));
                }
                Action::Noticed { instance, source, notice } => {
                    let told = self.notices.add(around.now, instance, source, notice);
                    if let Some(told) = told {
                        self.tell_noticed(around.now, around.plan, instance, told);
                    }
                }
                Action::Priority { instance, from, to } => {
                    let change = around.engine.explain(instance, from, to);
                    self.report(around.now, Message::Priority(change));
                }
                Action::Restoring { instance, times, wait } => {
                    self.tell_missed(around, instance, (times, wait));
                }
                Action::Notify(_) | Action::Late { .. } => {
                    self.report(around.now, Message::Engine(*action));
                }
            }
        }
        failed
    }

    fn refuse(&mut self, now: Instant, instance: InstanceId, source: IpAddr, reason: Rejection) {
        // Whose virtual router it is about is said by the instance's name.
        let sender = Sender::at(source, 0);
        self.refusals.count(now, Refusal::Advertisement { instance, reason }, &sender);
    }

    /// Tells the main thread; counts what does not fit.
    pub(crate) fn report(&mut self, at: Instant, message: Message) {
        let generation = self.generation;
        if self.reports.try_send(Report { at, generation, message }).is_err() {
            self.reports_lost += 1;
            self.overflow += 1;
        }
    }

    /// Tells, once in a while, how much did not fit: when there is room for it.
    pub(crate) fn tell_overflow(&mut self, at: Instant) {
        if self.overflow == 0 {
            return;
        }
        let Ok(room) = self.reports.try_reserve() else { return };
        if !is_due(&mut self.overflow_reported, at) {
            return;
        }
        let count = std::mem::take(&mut self.overflow);
        let text = format!(
            "{count} transitions, notifications or other reports were lost: the main thread was too \
             slow for them, and the status says how things are"
        );
        room.send(Report { at, generation: self.generation, message: Message::Trouble(text) });
    }

    /// Removes what a run before this one left; says what could not be removed.
    pub(crate) fn remove(&mut self, now: Instant, leftovers: &[Change]) {
        let results = self.changes.apply(leftovers);
        for (change, result) in leftovers.iter().zip(results) {
            let text = match result {
                Ok(Outcome::Done) => Message::Note(format!("removed {change}, left over")),
                Ok(Outcome::AsItWas) => continue,
                Err(error) => Message::Trouble(error.to_string()),
            };
            self.report(now, text);
        }
    }

    fn trouble(&mut self, now: Instant, instance: InstanceId, text: String) {
        let Some(outlet) = self.outlet(instance) else { return };
        if is_due(&mut outlet.trouble_reported, now) {
            self.report(now, Message::Trouble(text));
        }
    }

    /// Tells what has been noticed for as long as that is put off.
    pub(crate) fn tell_notices(&mut self, now: Instant, plan: &Plan) {
        for (instance, told) in self.notices.take_due(now) {
            self.tell_noticed(now, plan, instance, told);
        }
    }

    fn tell_noticed(&mut self, now: Instant, plan: &Plan, instance: InstanceId, told: Told) {
        // A reload may have taken it away.
        let Some(plan) = plan.instance(instance) else { return };
        let message = match told {
            Told::Notice { source, notice, times } => {
                Message::Noticed { instance, source, notice, times }
            }
            Told::Others(count) => Message::Trouble(format!(
                "{}: {count} more such things were seen of other senders in the last 10 s",
                plan.name
            )),
        };
        self.report(now, message);
    }
}

/// Whether an instance has begun to listen.
fn is_return(transition: Transition) -> bool {
    matches!(transition.from, State::Init | State::Fault) && transition.to == State::Backup
}

fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = last.is_none_or(|last| now.since(last) >= REPORT_PAUSE);
    if is_due {
        *last = Some(now);
    }
    is_due
}
