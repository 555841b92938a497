//! The loop of the engine thread: wait, hear, decide, act.
//!
//! Decisions are taken with the kernel's stamps. Every turn first hears everything that waits, and a
//! takeover is decided with the last stamp read at that very moment, so a late turn of this loop
//! costs time but never blames a peer. What says nothing new is absorbed by the kernel, and found in
//! the slots when somebody's deadline comes.

mod host;
pub(crate) mod leftovers;
mod mending;
mod ordering;
mod places;
mod ports;
mod snapshot;
mod telling;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
};

use ha_common::{abi::Sender, check::Reason};
use ha_core::{Action, Cause, Input, Instant, Order, Received, Transition};
use tokio::{
    io::unix::AsyncFd,
    sync::{Notify, mpsc},
};

use self::{host::Host, places::Places};
use crate::{
    cli::XdpChoice,
    clock,
    engine::{
        Command, Handover, Message, Report, Setup,
        associations::Associations,
        debounce::Debounce,
        decide::Decider,
        effects::{Effects, Surroundings},
        port::{Judges, Port},
        removals::Removals,
        retry::{Backoff, Retries},
    },
    histogram::Histogram,
    io::{
        announce::Announcer,
        changes::{ChangeSocket, Ledger},
        links::{Links, News},
        neighbours::NeighbourSocket,
        routing_watch::RoutingWatch,
        slots::Slots,
        timer::Timer,
        xdp::{Advert, Xdp},
    },
    plan::Plan,
    refused::Refusal,
    service::Watchdog,
};

/// Records taken from the ring before other work gets its turn.
const RECORDS_PER_TURN: usize = 4_096;

/// What the loop works with.
pub(crate) struct Driver {
    plan: Arc<Plan>,
    engine: Decider,
    effects: Effects,
    links: Links,
    routing: RoutingWatch,
    /// Routes may have gone with what there is news of.
    routing_doubts: News,
    timer: Timer,
    choice: XdpChoice,
    xdp: Option<Xdp>,
    /// Readable when the ring has records; a hint only.
    ring: Option<AsyncFd<OwnedFd>>,
    slots: Arc<Slots>,
    ports: BTreeMap<String, Port>,
    /// Interfaces that are there, and could not be opened.
    unopened: BTreeSet<String>,
    places: Places,
    host: Host,
    /// Records of the ring that were for an instance that has left the interface.
    records_outdated: u64,
    associations: Associations,
    /// Woken by packet sockets.
    arrived: Rc<Notify>,
    commands: mpsc::Receiver<Command>,
    retries: Retries,
    /// Routes and rules that somebody removed.
    removals: Removals,
    /// The XDP program's tables could not be written.
    rewrite: Option<Backoff>,
    debounce: Debounce,
    watchdog: Option<Watchdog>,
    scheduling: String,
    wake_ups: Histogram,
}

/// What happened while the loop waited.
enum Wake {
    Arrived,
    Timer(io::Result<Instant>),
    Links(io::Result<News>),
    Routing(io::Result<()>),
    Command(Option<Command>),
}

impl Driver {
    /// Opens everything on the interfaces that exist, and starts the engine.
    ///
    /// # Errors
    /// One sentence for the operator: what is missing and what to do about it.
    pub(crate) async fn open(
        setup: Setup,
        commands: mpsc::Receiver<Command>,
        reports: mpsc::Sender<Report>,
    ) -> io::Result<(Self, Ledger)> {
        let Setup {
            plan, leftovers, demoted, verdicts, choice, absorbs, xdp, tap, watchdog, ..
        } = setup;
        let changes = ChangeSocket::open()?;
        let ledger = changes.ledger();
        let announcer = Announcer::open()?;
        let neighbours = NeighbourSocket::open()?;
        let effects = Effects::new(changes, announcer, neighbours, &plan, reports);
        let ring = xdp.as_ref().map(Xdp::wake_up).transpose()?;
        let slots = match &xdp {
            Some(xdp) => xdp.slots(),
            None => Arc::new(Slots::new()?),
        };
        let mut driver = Self {
            engine: Decider::new(plan.engine.clone(), Arc::clone(&slots), absorbs, tap),
            effects,
            links: Links::open().await?,
            routing: RoutingWatch::open()?,
            routing_doubts: News::default(),
            timer: Timer::new()?,
            choice,
            xdp,
            ring,
            slots,
            ports: BTreeMap::new(),
            unopened: BTreeSet::new(),
            places: Places::of(&plan),
            host: Host::default(),
            records_outdated: 0,
            associations: Associations::new(&plan, clock::unix_time()),
            arrived: Rc::new(Notify::new()),
            commands,
            retries: Retries::default(),
            removals: Removals::default(),
            rewrite: None,
            debounce: Debounce::default(),
            watchdog,
            scheduling: String::new(),
            wake_ups: Histogram::default(),
            plan,
        };
        driver.remove_leftovers(&leftovers)?;
        driver.mend_statics(clock::now());
        if !driver.plan.statics.addresses.is_empty() {
            // They may be what an instance sends from.
            driver.links = Links::open().await?;
        }
        let problems = driver.open_ports(&News::of_all());
        if let Some(error) = problems.into_iter().next() {
            return Err(error);
        }
        driver.tell_engine(clock::now(), &News::of_all())?;
        for instance in demoted {
            driver.engine.handle(clock::now(), Input::Order { instance, order: Order::Demote });
        }
        for (tracker, verdict, words) in verdicts {
            driver.engine.lexicon.learn(tracker, words);
            driver.engine.handle(clock::now(), Input::Tracker { tracker, verdict });
        }
        driver.engine.handle(clock::now(), Input::Start);
        Ok((driver, ledger))
    }

    /// Says how the thread is scheduled.
    pub(crate) fn set_scheduling(&mut self, description: String) {
        let note = Message::Note(format!("engine thread: {description}"));
        self.effects.report(clock::now(), note);
        self.scheduling = description;
    }

    /// Runs until it is told to stop, or nobody is left to tell it.
    ///
    /// # Errors
    /// It is blind: interfaces cannot be watched any more. Everything has been released then.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let end = self.serve().await;
        self.engine.handle(clock::now(), Input::Shutdown);
        self.apply(clock::now());
        self.effects.remove_statics(clock::now());
        self.tell_last_refused(clock::now());
        end
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            let is_empty = self.turn();
            // A flood that a turn does not get to the end of must not keep a stop from being heard.
            let wake = tokio::select! {
                biased;
                wake = self.wait() => wake,
                () = std::future::ready(()), if !is_empty => Wake::Arrived,
            };
            match wake {
                Wake::Arrived => {}
                Wake::Timer(Ok(due)) => self.wake_ups.add(clock::now().since(due)),
                Wake::Timer(Err(error)) => {
                    let text = format!("the timer: {error}");
                    self.effects.report(clock::now(), Message::Trouble(text));
                }
                Wake::Links(Ok(news)) => self.handle_change(news),
                Wake::Links(Err(error)) => {
                    let text = format!("the kernel's notifications about interfaces: {error}");
                    self.effects.report(clock::now(), Message::Trouble(text));
                    self.links = Links::open().await?;
                    self.handle_change(News::of_all());
                }
                Wake::Routing(result) => self.handle_routing(result),
                Wake::Command(Some(Command::Tracker { tracker, verdict, words })) => {
                    self.engine.lexicon.learn(tracker, words);
                    let input = Input::Tracker { tracker, verdict };
                    self.engine.handle(clock::now(), input);
                }
                Wake::Command(Some(Command::Reload(handover))) => {
                    let Handover { plan, reload, words, answer } = *handover;
                    // Whoever asked may have gone away.
                    drop(answer.send(self.reload(plan, reload, words)));
                }
                Wake::Command(Some(Command::Order { instance, order, answer })) => {
                    // Whoever asked may have gone away.
                    answer.send(self.order(instance, order)).ok();
                }
                Wake::Command(Some(Command::Status(answer))) => {
                    // Whoever asked may have gone away.
                    drop(answer.send(self.snapshot()));
                }
                Wake::Command(Some(Command::LastStatus(answer))) => {
                    // What nobody was told of is counted on.
                    if answer.send(self.snapshot()).is_ok() {
                        self.engine.clear_statistics();
                        self.effects.clear_statistics();
                    }
                }
                Wake::Command(Some(Command::Census(answer))) => {
                    // Whoever asked may have gone away.
                    drop(answer.send(self.census()));
                }
                Wake::Command(Some(Command::Shutdown) | None) => return Ok(()),
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let ring = async {
            match &self.ring {
                Some(ring) => match ring.readable().await {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        // What comes seldom is looked at first; frames and deadlines are in every turn anyway.
        tokio::select! {
            biased;
            command = self.commands.recv() => Wake::Command(command),
            news = self.links.changed() => Wake::Links(news),
            result = self.routing.readable() => Wake::Routing(result),
            result = self.timer.expired() => Wake::Timer(result),
            () = ring => Wake::Arrived,
            () = self.arrived.notified() => Wake::Arrived,
        }
    }

    /// Hears what waits, fires what is due, carries it out; says whether there is nothing left to
    /// do until something happens.
    fn turn(&mut self) -> bool {
        let heard_until = clock::now();
        let is_empty = self.receive();
        if self.rewrite.is_some_and(|backoff| backoff.is_due(heard_until)) {
            self.handle_change(News::of_all());
        }
        let now = clock::now();
        if self.debounce.next().is_some_and(|at| at <= now) {
            self.tell_of_interfaces(now, &News::of_all());
        }
        self.engine.fire(now, heard_until);
        self.retry(now);
        self.apply(now);
        self.put_back(now);
        self.mend_routing(now);
        if self.effects.next_statics().is_some_and(|at| at <= now) {
            self.mend_statics(now);
            self.apply(now);
        }
        self.effects.announce_paced(now);
        self.tell_refused(now);
        self.effects.tell_notices(now, &self.plan);
        self.effects.tell_overflow(now);
        // Last: whoever does not get to here is stuck.
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.feed(now);
        }
        let deadline = self.engine.next_deadline().map(|deadline| deadline.at);
        let retry = self.retries.next();
        let removal = self.removals.next();
        let announcement = self.effects.next_announcement();
        let settled = self.debounce.next();
        let telling = self.effects.refusals.next_due();
        let noticed = self.effects.notices.next_due();
        let statics = self.effects.next_statics();
        let watchdog = self.watchdog.as_ref().map(Watchdog::next);
        let rewrite = self.rewrite.and_then(|backoff| backoff.next());
        let next = [
            deadline,
            retry,
            removal,
            announcement,
            settled,
            telling,
            noticed,
            statics,
            watchdog,
            rewrite,
        ];
        let next = next.into_iter().flatten().min();
        if let Err(error) = self.timer.set(next) {
            self.effects.report(now, Message::Trouble(format!("cannot set the timer: {error}")));
        }
        is_empty
    }

    /// Hears all that waits, or in a flood at least what waited at the beginning; says whether it
    /// was all.
    fn receive(&mut self) -> bool {
        let Self {
            plan,
            engine,
            effects,
            xdp,
            slots,
            ports,
            host,
            associations,
            records_outdated,
            ..
        } = self;
        let mut take = |advert: Advert<'_>| {
            let received = Received {
                instance: advert.instance,
                at: advert.at,
                source: advert.source,
                message: advert.message,
            };
            engine.handle(clock::now(), Input::Advertisement(received));
        };
        let mut take_current = |advert: Advert<'_>| {
            if host.is_where_it_was_heard(&advert) {
                take(advert);
            } else {
                *records_outdated += 1;
            }
        };
        let mut is_empty =
            xdp.as_mut().is_none_or(|xdp| xdp.drain(RECORDS_PER_TURN, &mut take_current));
        for port in ports.values_mut() {
            let judges = Judges { tables: &host.tables, associations, slots: slots.as_slice() };
            let ifindex = port.ifindex;
            let mut refuse = |now, reason, sender: &Sender| {
                if reason != Reason::UnknownVrid || plan.logs_unknown_vrids {
                    effects.refusals.count(now, Refusal::Frame { ifindex, reason }, sender);
                }
            };
            is_empty &= port.receive(judges, &mut take, &mut refuse);
        }
        is_empty
    }

    /// Addresses that could not be set may be possible now.
    fn retry(&mut self, now: Instant) {
        // To try without its interface would only take mastership from whoever has it.
        let is_possible = |instance| {
            self.plan.instance(instance).is_some_and(|plan| {
                let routes = plan.routes.iter().filter(|route| route.track);
                let hops = routes.flat_map(|route| &route.hops);
                let of_routes = hops.filter_map(|hop| hop.interface.as_ref());
                let addresses = plan.addresses.iter().filter(|address| address.track);
                let mut all = addresses.map(|one| &one.interface).chain(of_routes);
                all.all(|name| self.links.by_name(name).is_some())
            })
        };
        for instance in self.retries.due(now, is_possible) {
            let input = Input::AddressesUsable { instance, usable: true };
            self.engine.handle(now, input);
        }
    }

    /// Carries out what the engine wants, until it wants nothing more.
    fn apply(&mut self, now: Instant) {
        loop {
            self.carry_out(now);
            self.engine.settle(now);
            if self.engine.actions().is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self, now: Instant) {
        while !self.engine.actions().is_empty() {
            let Self { plan, links, ports, effects, engine, associations, .. } = self;
            let around = Surroundings { now, plan, links, ports, associations, engine };
            let failed = effects.apply(around);
            for action in self.engine.actions() {
                match *action {
                    Action::Addresses { instance, present: true }
                        if !failed.contains(&instance) =>
                    {
                        self.retries.handle_set(now, instance);
                    }
                    Action::Addresses { instance, present: false }
                    | Action::Restoring { instance, .. } => self.retries.handle_gone(now, instance),
                    Action::Transition(Transition {
                        instance,
                        cause: Cause::AddressesRemoved,
                        ..
                    }) => self.retries.give_way(now, instance),
                    Action::Addresses { .. }
                    | Action::Transition(_)
                    | Action::Advertise { .. }
                    | Action::Announce { .. }
                    | Action::Notify(_)
                    | Action::Priority { .. }
                    | Action::Rejected { .. }
                    | Action::Noticed { .. }
                    | Action::Late { .. } => {}
                }
            }
            self.engine.forget_actions();
            self.handle_failed(now, failed);
        }
    }

    /// Interfaces or addresses are different.
    fn handle_change(&mut self, mut news: News) {
        // What could not be opened is tried again with whatever comes next.
        let unopened = std::mem::take(&mut self.unopened);
        for link in unopened.iter().filter_map(|name| self.links.by_name(name)) {
            news.add_link(link);
        }
        // One moment for all: what was absorbed is read once.
        let now = clock::now();
        for error in self.open_ports(&news) {
            self.effects.report(now, Message::Trouble(error.to_string()));
        }
        if let Err(error) = self.tell_engine(now, &news) {
            self.effects.report(now, Message::Trouble(error.to_string()));
        }
        // Last: an instance whose interface has failed gives its addresses up anyway.
        for instance in self.effects.find_missing(&self.links, &news) {
            self.engine.handle(now, Input::AddressesMissing { instance });
        }
        self.routing_doubts.add(news);
        self.effects.doubt_statics(now);
    }
}
