//! LANs, faults and time: moves frames between routers and lets everything happen in its order.

use std::{collections::BTreeMap, time::Duration};

use ha_core::{Instant, wire::Advertisement};

use crate::{
    bounds::{self, WAY_MIN, WAY_SPREAD},
    checker::{Checker, Violation},
    fault::FaultKind,
    memory::{Heard, Way},
    network::{Contact, LanView, View},
    plan::{Plan, VITAL, WEIGHTED, random},
    prng::Prng,
    router::{Frame, Output, Router, Sent, Waiting},
    sabotage::Sabotage,
    story::{Rank, Story, letter},
};

#[derive(Clone, Debug)]
enum Event {
    Arrival {
        to: usize,
        frame: Frame,
    },
    /// A fault, by its number.
    Begin(usize, FaultKind),
    End(usize, FaultKind),
    /// Somebody looks for addresses to remove, on behalf of a fault.
    Removal(usize),
    Calm,
    RoundEnds,
}

/// What a run was like.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) steps: u64,
    pub(crate) transitions: u64,
    pub(crate) absorbed: u64,
    pub(crate) story: Story,
}

pub(crate) struct World {
    plan: Plan,
    chance: Prng,
    now: Instant,
    queue: BTreeMap<(Instant, u64), Event>,
    events: u64,
    routers: Vec<Router>,
    views: Vec<View>,
    /// When each router's daemon handles its next deadline.
    dues: Vec<Option<Instant>>,
    /// When the last frame from one router reaches another: a healthy LAN keeps their order.
    last_arrival: BTreeMap<(usize, usize), Instant>,
    /// Until then, frames may come that were sent during a delay.
    delayed_until: Instant,
    /// Faults that are going on.
    faults: Vec<(usize, FaultKind)>,
    checker: Checker,
}

impl World {
    /// Runs a plan to its end, or to the first broken rule.
    pub(crate) fn run(
        plan: Plan,
        sabotage: Sabotage,
        story: Story,
    ) -> (Summary, Option<Violation>) {
        let routers: Vec<_> = plan
            .routers
            .iter()
            .enumerate()
            .map(|(number, plan)| Router::new(number, plan, sabotage))
            .collect();
        let mut world = Self {
            chance: Prng::new(!plan.seed),
            now: Instant::default(),
            queue: BTreeMap::new(),
            events: 0,
            views: Vec::new(),
            dues: Vec::new(),
            routers,
            last_arrival: BTreeMap::new(),
            delayed_until: Instant::default(),
            faults: Vec::new(),
            checker: Checker::new(&plan, story),
            plan,
        };
        world.look_again();
        let result = world.live();
        if let Err(violation) = &result {
            world.checker.story.note(world.now, Rank::News, || format!("BROKEN {violation}"));
        }
        let Checker { steps, transitions, absorbed, story, .. } = world.checker;
        (Summary { steps, transitions, absorbed, story }, result.err())
    }

    fn live(&mut self) -> Result<(), Violation> {
        for router in 0..self.routers.len() {
            self.with_router(router, Router::boot)?;
        }
        self.checker.network.set_quiet(Some(self.now));
        let mut number = 0;
        for round in self.plan.rounds.clone() {
            self.schedule(round.calm, Event::Calm);
            self.schedule(round.end, Event::RoundEnds);
            for fault in round.faults {
                number += 1;
                self.schedule(fault.from, Event::Begin(number, fault.kind));
                // What may stay is mended in the next round.
                let until = fault.until.unwrap_or(round.end);
                self.schedule(until, Event::End(number, fault.kind));
            }
        }
        let end = self.plan.rounds.last().map_or(self.now, |round| round.end);
        while self.now <= end && self.advance()? {
            self.checker.network.look(self.now, &self.views)?;
        }
        Ok(())
    }

    /// Lets the next thing happen; says whether there was one.
    fn advance(&mut self) -> Result<bool, Violation> {
        let event = self.queue.keys().next().map(|(at, _)| *at);
        let due = self.dues.iter().enumerate().filter_map(|(router, due)| Some(((*due)?, router)));
        let due = due.min();
        let next = [event, due.map(|(at, _)| at)].into_iter().flatten().min();
        self.now = next.map_or(self.now, |next| self.now.max(next));
        if event.is_some_and(|at| at <= self.now)
            && let Some((_, event)) = self.queue.pop_first()
        {
            self.happen(event)?;
        } else if let Some((_, router)) = due {
            self.with_router(router, Router::turn)?;
        }
        Ok(next.is_some())
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Arrival { to, frame } => self.arrive(to, frame),
            Event::Begin(number, kind) => {
                self.checker.story.note(self.now, Rank::News, || format!("--- {kind}"));
                self.faults.push((number, kind));
                self.judge_quiet(kind);
                self.begin(number, kind)?;
                self.look_again();
                Ok(())
            }
            Event::End(number, kind) => {
                self.checker.story.note(self.now, Rank::News, || format!("--- no more: {kind}"));
                self.faults.retain(|(other, _)| *other != number);
                self.judge_quiet(kind);
                self.look_again();
                // The same may go on for another reason.
                if self.has(|fault| *fault == kind) { Ok(()) } else { self.end(kind) }
            }
            Event::Removal(number) => self.remove_addresses(number),
            Event::Calm => {
                self.checker.story.note(self.now, Rank::News, || "--- calm".to_owned());
                self.checker.network.set_calm(Some(self.now));
                Ok(())
            }
            Event::RoundEnds => {
                self.checker.network.set_calm(None);
                Ok(())
            }
        }
    }

    /// Whatever goes on after a change: is there one right answer now, and since when?
    fn judge_quiet(&mut self, change: FaultKind) {
        let is_quiet = self.faults.iter().all(|(_, fault)| fault.may_stay(&self.plan));
        // Frames that were sent during a delay are still on their way.
        if let FaultKind::Delay(longest) = change {
            self.delayed_until = self.now + longest;
        }
        let since = self.now.max(self.delayed_until);
        self.checker.network.set_quiet(is_quiet.then_some(since));
    }

    fn arrive(&mut self, to: usize, mut frame: Frame) -> Result<(), Violation> {
        let is_frozen =
            self.has(|fault| matches!(fault, FaultKind::Freeze { router } if *router == to));
        let router = &self.routers[to];
        if is_frozen || router.engine.is_none() {
            return Ok(());
        }
        let is_lost =
            self.has(|fault| matches!(fault, FaultKind::RingFull { router } if *router == to));
        let Frame { from, instance, .. } = frame;
        let config = router.instance(instance);
        let Ok(content) = Advertisement::decode(config.version, config.family, &frame.message)
        else {
            return Err(Violation::new("wire", format!("{:?}", frame.message)));
        };
        frame.stamp = router.plan.clock.show(self.now);
        let sent_at = frame.sent_at;
        let mut heard = Heard {
            at: frame.stamp,
            priority: content.priority,
            interval: content.interval.as_duration(),
            way: match (is_lost, router.sleeps && !router.plan.reads_first) {
                (true, _) => Way::Lost,
                (false, true) => Way::StampFirst,
                (false, false) => Way::Read,
            },
        };
        let is_absorbed = self.routers[to].arrive(frame, is_lost);
        if is_absorbed {
            // Its content is known without the ring, and before any deadline.
            heard.way = Way::Read;
        }
        let router = &self.routers[to];
        let config = router.instance(instance);
        if from != to {
            self.checker.heard((to, instance), config, router.state(instance), heard);
        }
        self.checker.story.note(self.now, Rank::Detail, || {
            let (to, from) = (letter(to), letter(from));
            format!("{to} hears {from} {instance}: {} ({:?})", heard.priority, heard.way)
        });
        if !router.sleeps && heard.way != Way::Lost && heard.priority != 0 {
            let contact = Contact { from, to, instance, sent_at };
            self.checker.network.meets(self.now, contact);
        }
        // Nobody is woken for what is absorbed.
        if is_absorbed { Ok(()) } else { self.with_router(to, Router::turn) }
    }

    fn begin(&mut self, number: usize, kind: FaultKind) -> Result<(), Violation> {
        match kind {
            FaultKind::Restart { router, graceful: true } => {
                self.tell(router, Waiting::Shutdown)?;
                // A daemon that sleeps is killed by its supervisor.
                self.routers[router].engine = None;
                self.routers[router].present.fill(false);
                Ok(())
            }
            FaultKind::Restart { router, graceful: false } => {
                // Addresses stay where they are.
                self.routers[router].engine = None;
                Ok(())
            }
            FaultKind::Reload { router } => {
                self.routers[router].file ^= 1;
                self.tell(router, Waiting::Reload)
            }
            FaultKind::Sleep { router } | FaultKind::Freeze { router } => {
                self.routers[router].sleep(self.now);
                Ok(())
            }
            FaultKind::VitalDown { router } => self.track(router, true, false),
            FaultKind::WeightedDown { router } => self.track(router, false, false),
            FaultKind::NoSource { router, instance } => self.source(router, instance, false),
            FaultKind::Refuses { router, instance } => {
                self.routers[router].refuses[instance] = true;
                Ok(())
            }
            FaultKind::Stranger { .. } => self.remove_addresses(number),
            FaultKind::Demoted { router } => self.demote(router, true),
            FaultKind::Ordered { router, instance, order } => {
                self.tell(router, Waiting::Order { instance, order })
            }
            FaultKind::Loss(_)
            | FaultKind::Delay(_)
            | FaultKind::Duplicates(_)
            | FaultKind::Loop { .. }
            | FaultKind::Split { .. }
            | FaultKind::OneWay { .. }
            | FaultKind::RingFull { .. }
            | FaultKind::LinkDown { .. } => Ok(()),
        }
    }

    fn end(&mut self, kind: FaultKind) -> Result<(), Violation> {
        match kind {
            FaultKind::Restart { router, .. } => {
                if self.routers[router].engine.is_none() {
                    return self.with_router(router, Router::boot);
                }
                Ok(())
            }
            FaultKind::Sleep { router } | FaultKind::Freeze { router } => self.wake(router),
            FaultKind::VitalDown { router } => self.track(router, true, true),
            FaultKind::WeightedDown { router } => self.track(router, false, true),
            FaultKind::NoSource { router, instance } => self.source(router, instance, true),
            FaultKind::Refuses { router, instance } => {
                self.routers[router].refuses[instance] = false;
                self.tell(router, Waiting::Usable { instance })
            }
            // Had it led to Fault, the operator mends that.
            FaultKind::Stranger { router, instance, .. } => {
                self.tell(router, Waiting::Usable { instance })
            }
            FaultKind::Demoted { router } => self.demote(router, false),
            FaultKind::Reload { .. }
            | FaultKind::Ordered { .. }
            | FaultKind::Loss(_)
            | FaultKind::Delay(_)
            | FaultKind::Duplicates(_)
            | FaultKind::Loop { .. }
            | FaultKind::Split { .. }
            | FaultKind::OneWay { .. }
            | FaultKind::RingFull { .. }
            | FaultKind::LinkDown { .. } => Ok(()),
        }
    }

    fn wake(&mut self, router: usize) -> Result<(), Violation> {
        let is_cause = |fault: &FaultKind| match fault {
            FaultKind::Sleep { router: other } | FaultKind::Freeze { router: other } => {
                *other == router
            }
            _ => false,
        };
        if self.has(is_cause) || !self.routers[router].sleeps {
            return Ok(());
        }
        for waiting in &self.routers[router].ring {
            if let Waiting::Frame(Frame { from, instance, sent_at, ref message, .. }) = *waiting
                && message[2] != 0
            {
                let contact = Contact { from, to: router, instance, sent_at };
                self.checker.network.meets(self.now, contact);
            }
        }
        let slept = self.routers[router].wake(self.now);
        self.checker.wakes(self.now, router, slept);
        self.with_router(router, Router::turn)
    }

    fn remove_addresses(&mut self, number: usize) -> Result<(), Violation> {
        let Some((_, kind)) = self.faults.iter().find(|(other, _)| *other == number).copied()
        else {
            return Ok(());
        };
        let FaultKind::Stranger { router, instance, again } = kind else { return Ok(()) };
        if again {
            let interval = self.routers[router].interval(instance);
            let next = self.now + WAY_MIN + random(&mut self.chance, interval / 4);
            self.schedule(next, Event::Removal(number));
        }
        let is_running = self.routers[router].engine.is_some();
        if !is_running || !std::mem::take(&mut self.routers[router].present[instance]) {
            return Ok(());
        }
        self.checker.story.note(self.now, Rank::News, || {
            format!("{} instance {instance} loses its addresses", letter(router))
        });
        self.checker.removed(router, instance);
        self.tell(router, Waiting::Missing { instance })
    }

    fn track(&mut self, router: usize, vital: bool, up: bool) -> Result<(), Violation> {
        let tracker = if vital {
            self.routers[router].vital_up = up;
            VITAL
        } else {
            self.routers[router].weighted_up = up;
            WEIGHTED
        };
        self.tell(router, Waiting::Tracker { tracker, up })
    }

    fn source(&mut self, router: usize, instance: usize, found: bool) -> Result<(), Violation> {
        self.routers[router].has_source[instance] = found;
        self.tell(router, Waiting::Source { instance, found })
    }

    fn demote(&mut self, router: usize, is_demoted: bool) -> Result<(), Violation> {
        self.routers[router].is_demoted = is_demoted;
        self.tell(router, Waiting::Demotion { is_demoted })
    }

    fn tell(&mut self, router: usize, waiting: Waiting) -> Result<(), Violation> {
        if self.routers[router].engine.is_some() {
            self.routers[router].ring.push_back(waiting);
        }
        self.with_router(router, Router::turn)
    }

    fn with_router(
        &mut self,
        router: usize,
        act: impl FnOnce(&mut Router, Instant, &mut Output<'_>) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let mut sent = Vec::new();
        let mut output = Output { checker: &mut self.checker, sent: &mut sent };
        act(&mut self.routers[router], self.now, &mut output)?;
        self.views[router] = self.view(router);
        self.dues[router] = self.routers[router].due();
        let groups = &self.routers[0].running.config.groups;
        let is_other = |router: &Router| &router.running.config.groups != groups;
        self.checker.network.set_mixed(self.routers.iter().any(is_other));
        for frame in sent {
            let speaker = &self.routers[router];
            let said = (speaker.state(frame.instance), frame.priority);
            let expected = speaker.expected_priority(frame.instance);
            self.checker.network.sent(self.now, said, expected)?;
            self.send(router, &frame);
        }
        Ok(())
    }

    fn send(&mut self, from: usize, sent: &Sent) {
        let loops = self.has(|fault| *fault == FaultKind::Loop { router: from });
        for to in (0..self.routers.len()).filter(|to| *to != from || loops) {
            if !self.hears(from, to, sent.instance) {
                continue;
            }
            let (copies, spread) = self.draw_way();
            for _ in 0..copies {
                let mut at = self.now + WAY_MIN + random(&mut self.chance, spread);
                if spread == WAY_SPREAD {
                    let last = self.last_arrival.entry((from, to)).or_default();
                    at = at.max(*last + Duration::from_nanos(1));
                    *last = at;
                }
                let frame = Frame {
                    from,
                    instance: sent.instance,
                    sent_at: self.now,
                    stamp: Instant::default(),
                    source: self.routers[from].plan.sources[sent.instance],
                    message: sent.message.clone(),
                };
                self.schedule(at, Event::Arrival { to, frame });
            }
        }
    }

    /// How often a frame comes, and how much its way varies.
    fn draw_way(&mut self) -> (usize, Duration) {
        let (mut copies, mut spread) = (1, WAY_SPREAD);
        for (_, fault) in &self.faults {
            match *fault {
                FaultKind::Loss(percent) if self.chance.percent(percent) => copies = 0,
                FaultKind::Duplicates(percent) if self.chance.percent(percent) => copies *= 2,
                FaultKind::Delay(longest) => spread = longest,
                _ => {}
            }
        }
        (copies, spread)
    }

    /// Whether frames get from one router to the other on a LAN.
    fn hears(&self, from: usize, to: usize, instance: usize) -> bool {
        self.faults.iter().all(|(_, fault)| fault.lets_through(from, to, instance))
    }

    fn has(&self, test: impl Fn(&FaultKind) -> bool) -> bool {
        self.faults.iter().any(|(_, fault)| test(fault))
    }

    /// Who hears whom has changed, perhaps.
    fn look_again(&mut self) {
        self.views = (0..self.routers.len()).map(|router| self.view(router)).collect();
        self.dues = self.routers.iter().map(Router::due).collect();
    }

    fn view(&self, number: usize) -> View {
        let router = &self.routers[number];
        let lans = (0..self.plan.instances).map(|instance| {
            // With faults that may stay, whoever is cut off from one is cut off from all of its side.
            let component = (0..self.routers.len())
                .find(|other| *other == number || self.hears(*other, number, instance));
            let config = router.instance(instance);
            LanView {
                component: component.unwrap_or(number),
                is_able: router.has_started(self.now)
                    && router.vital_up
                    && router.running.has(instance)
                    && router.running.members(instance).iter().all(|id| router.has_source[*id]),
                preempts: config.preempt || config.priority.is_owner(),
                priority: router.expected_priority(instance),
                state: router.state(instance),
                is_present: router.present[instance],
            }
        });
        View { is_awake: router.engine.is_some() && !router.sleeps, lans: lans.collect() }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.events += 1;
        self.queue.insert((at, self.events), event);
    }
}

/// The longest that a network of these may take in health, to see that bounds are not met by chance.
#[test]
fn a_way_is_shorter_than_any_interval() {
    assert!(bounds::way() * 4 < Duration::from_millis(10));
}
