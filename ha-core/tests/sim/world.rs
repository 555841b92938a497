//! LANs, faults and time: moves frames between routers and lets everything happen in its order.

use std::{collections::BTreeMap, time::Duration};

use ha_core::{Family, Instant, wire::Advertisement};

use crate::{
    checker::{Checker, View, Violation, Way},
    plan::{Fault, FaultKind, Plan, VITAL, WEIGHTED, random},
    prng::Prng,
    router::{Router, Sabotage, Sent, Waiting},
};

/// Frames on a healthy LAN take 20 to 220 µs.
const WAY_MIN: Duration = Duration::from_micros(20);
const WAY_SPREAD: Duration = Duration::from_micros(200);

#[derive(Clone, Debug)]
enum Event {
    Arrival { to: usize, frame: Waiting },
    Begin(FaultKind),
    End(FaultKind),
    Calm,
    RoundEnds,
}

/// What a run was like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) steps: u64,
    pub(crate) transitions: u64,
    pub(crate) log: String,
}

pub(crate) struct World {
    plan: Plan,
    chance: Prng,
    now: Instant,
    queue: BTreeMap<(Instant, u64), Event>,
    events: u64,
    routers: Vec<Router>,
    /// When the last frame from one router reaches another: a healthy LAN keeps their order.
    last_arrival: BTreeMap<(usize, usize), Instant>,
    /// Faults that are going on.
    faults: Vec<FaultKind>,
    checker: Checker,
}

impl World {
    /// Runs a seed to its end, or to the first broken rule.
    pub(crate) fn run(seed: u64, sabotage: Sabotage, log: bool) -> (Summary, Option<Violation>) {
        let plan = Plan::draw(seed);
        let routers = plan
            .routers
            .iter()
            .enumerate()
            .map(|(number, plan)| Router::new(number, plan, sabotage))
            .collect();
        let mut world = Self {
            chance: Prng::new(!seed),
            now: Instant::default(),
            queue: BTreeMap::new(),
            events: 0,
            routers,
            last_arrival: BTreeMap::new(),
            faults: Vec::new(),
            checker: Checker::new(&plan, log),
            plan,
        };
        let result = world.live();
        let (steps, transitions) = (world.checker.steps, world.checker.transitions);
        let summary = Summary { steps, transitions, log: world.checker.into_log() };
        (summary, result.err())
    }

    fn live(&mut self) -> Result<(), Violation> {
        for router in 0..self.routers.len() {
            self.with_router(router, Router::boot)?;
        }
        self.checker.set_quiet(Some(self.now));
        for round in self.plan.rounds.clone() {
            self.schedule(round.calm, Event::Calm);
            self.schedule(round.end, Event::RoundEnds);
            for Fault { from, until, kind } in round.faults {
                self.schedule(from, Event::Begin(kind));
                // What may stay is mended in the next round.
                self.schedule(until.unwrap_or(round.end), Event::End(kind));
            }
        }
        let end = self.plan.rounds.last().map_or(self.now, |round| round.end);
        while self.next_moment().is_some_and(|next| next <= end) {
            self.advance()?;
            let views = self.views();
            self.checker.network(self.now, &views)?;
        }
        Ok(())
    }

    fn next_moment(&self) -> Option<Instant> {
        let event = self.queue.keys().next().map(|(at, _)| *at);
        let due = self.routers.iter().filter_map(Router::due).min();
        event.into_iter().chain(due).min()
    }

    fn advance(&mut self) -> Result<(), Violation> {
        let Some(next) = self.next_moment() else { return Ok(()) };
        self.now = self.now.max(next);
        let first = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now);
        if let Some(entry) = first {
            let event = entry.remove();
            return self.happen(event);
        }
        let due = |router: &Router| router.due().is_some_and(|due| due <= self.now);
        match self.routers.iter().position(due) {
            Some(router) => self.with_router(router, Router::turn),
            None => Ok(()),
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Arrival { to, frame } => self.arrive(to, frame),
            Event::Begin(kind) => {
                self.checker.note(self.now, || format!("begins: {kind:?}"));
                self.faults.push(kind);
                self.judge_quiet(kind);
                self.begin(kind)
            }
            Event::End(kind) => {
                self.checker.note(self.now, || format!("ends: {kind:?}"));
                self.faults.retain(|fault| format!("{fault:?}") != format!("{kind:?}"));
                self.judge_quiet(kind);
                self.end(kind)
            }
            Event::Calm => {
                self.checker.note(self.now, || "calm".to_owned());
                self.checker.set_calm(Some(self.now));
                Ok(())
            }
            Event::RoundEnds => {
                self.checker.set_calm(None);
                Ok(())
            }
        }
    }

    /// Whatever goes on after a change: is there one right answer now, and since when?
    fn judge_quiet(&mut self, change: FaultKind) {
        let is_quiet = self.faults.iter().all(|fault| fault.may_stay());
        // Frames that were sent during a delay are still on their way.
        let since = match change {
            FaultKind::Delay(longest) => self.now + longest,
            _ => self.now,
        };
        self.checker.set_quiet(is_quiet.then_some(since));
    }

    fn arrive(&mut self, to: usize, frame: Waiting) -> Result<(), Violation> {
        let Waiting::Frame { instance, source, message, .. } = frame else { return Ok(()) };
        let is_frozen =
            self.has(|fault| matches!(fault, FaultKind::Freeze { router } if *router == to));
        if is_frozen || self.routers[to].engine.is_none() {
            return Ok(());
        }
        let lost =
            self.has(|fault| matches!(fault, FaultKind::RingFull { router } if *router == to));
        let version = self.routers[to].plan.config.instances[instance].version;
        let Ok(content) = Advertisement::decode(version, Family::V4, &message) else {
            return Err(Violation::new("wire", format!("{message:?}")));
        };
        let news = (content.priority, content.interval.as_duration());
        let state = self.routers[to].states()[instance];
        let router = &self.routers[to];
        let way = match (lost, router.sleeps && !router.plan.reads_first) {
            (true, _) => Way::Lost,
            (false, true) => Way::StampFirst,
            (false, false) => Way::Read,
        };
        self.checker.heard((to, instance), self.now, news, way, state);
        let frame = Waiting::Frame { instance, at: self.now, source, message };
        self.routers[to].arrive(self.now, frame, lost);
        self.with_router(to, Router::turn)
    }

    fn begin(&mut self, kind: FaultKind) -> Result<(), Violation> {
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
            FaultKind::Sleep { router } | FaultKind::Freeze { router } => {
                self.routers[router].sleeps = true;
                Ok(())
            }
            FaultKind::VitalDown { router } => self.track(router, true, false),
            FaultKind::WeightedDown { router } => self.track(router, false, false),
            FaultKind::NoSource { router, instance } => self.source(router, instance, false),
            FaultKind::Refuses { router, instance } => {
                self.routers[router].refuses[instance] = true;
                Ok(())
            }
            FaultKind::Loss(_)
            | FaultKind::Delay(_)
            | FaultKind::Duplicates(_)
            | FaultKind::Partition { .. }
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
            FaultKind::Sleep { router } | FaultKind::Freeze { router } => {
                let sleeps = self.has(|fault| {
                    matches!(fault, FaultKind::Sleep { router: other } | FaultKind::Freeze { router: other } if *other == router)
                });
                self.routers[router].sleeps = sleeps && self.routers[router].sleeps;
                self.with_router(router, Router::turn)
            }
            FaultKind::VitalDown { router } => self.track(router, true, true),
            FaultKind::WeightedDown { router } => self.track(router, false, true),
            FaultKind::NoSource { router, instance } => self.source(router, instance, true),
            FaultKind::Refuses { router, instance } => {
                self.routers[router].refuses[instance] = false;
                self.tell(router, Waiting::Usable { instance })
            }
            FaultKind::Loss(_)
            | FaultKind::Delay(_)
            | FaultKind::Duplicates(_)
            | FaultKind::Partition { .. }
            | FaultKind::OneWay { .. }
            | FaultKind::RingFull { .. }
            | FaultKind::LinkDown { .. } => Ok(()),
        }
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

    fn tell(&mut self, router: usize, waiting: Waiting) -> Result<(), Violation> {
        if self.routers[router].engine.is_some() {
            self.routers[router].ring.push_back(waiting);
        }
        self.with_router(router, Router::turn)
    }

    fn with_router(
        &mut self,
        router: usize,
        act: impl FnOnce(&mut Router, Instant, &mut Checker, &mut Vec<Sent>) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let mut sent = Vec::new();
        act(&mut self.routers[router], self.now, &mut self.checker, &mut sent)?;
        for frame in sent {
            let state = self.routers[router].states()[frame.instance];
            self.checker.sent(self.now, state)?;
            self.send(router, &frame);
        }
        Ok(())
    }

    fn send(&mut self, from: usize, sent: &Sent) {
        for to in (0..self.routers.len()).filter(|to| *to != from) {
            if !self.hears(from, to, sent.instance) {
                continue;
            }
            let mut copies = 1;
            let mut spread = WAY_SPREAD;
            for fault in self.faults.clone() {
                match fault {
                    FaultKind::Loss(percent) if self.chance.percent(percent) => copies = 0,
                    FaultKind::Duplicates(percent) if self.chance.percent(percent) => copies *= 2,
                    FaultKind::Delay(longest) => spread = longest,
                    _ => {}
                }
            }
            for _ in 0..copies {
                let mut at = self.now + WAY_MIN + random(&mut self.chance, spread);
                if spread == WAY_SPREAD {
                    let last = self.last_arrival.entry((from, to)).or_default();
                    at = at.max(*last + Duration::from_nanos(1));
                    *last = at;
                }
                let source = self.routers[from].plan.address;
                let (instance, message) = (sent.instance, sent.message.clone());
                let frame = Waiting::Frame { instance, at, source, message };
                self.schedule(at, Event::Arrival { to, frame });
            }
        }
    }

    /// Whether frames get from one router to the other on a LAN.
    fn hears(&self, from: usize, to: usize, instance: usize) -> bool {
        !self.has(|fault| match *fault {
            FaultKind::Partition { router, lan } => {
                (router == from || router == to) && lan.is_none_or(|lan| lan == instance)
            }
            FaultKind::LinkDown { router } => router == from || router == to,
            FaultKind::OneWay { from: mute, to: deaf } => mute == from && deaf == to,
            _ => false,
        })
    }

    fn has(&self, test: impl Fn(&FaultKind) -> bool) -> bool {
        self.faults.iter().any(test)
    }

    fn views(&self) -> Vec<View> {
        self.routers
            .iter()
            .map(|router| {
                // With these faults, whoever is cut off from one is cut off from all.
                let component = (0..self.routers.len())
                    .find(|other| *other == router.number || self.hears(*other, router.number, 0));
                View {
                    component: component.unwrap_or(router.number),
                    is_awake: router.engine.is_some() && !router.sleeps,
                    states: router.states(),
                    present: router.present.clone(),
                    preempts: router
                        .plan
                        .config
                        .instances
                        .iter()
                        .all(|config| config.preempt || config.priority.is_owner()),
                    priorities: (0..self.plan.instances).map(|i| router.priority(i)).collect(),
                }
            })
            .collect()
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.events += 1;
        self.queue.insert((at, self.events), event);
    }
}
