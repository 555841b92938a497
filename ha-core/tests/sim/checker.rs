//! What must hold, judged from what routers do and from what the network did to them.
//!
//! Nothing here looks into an engine: states, timers, actions and addresses are handed in.

use std::{fmt, time::Duration};

use ha_core::{Action, Cause, Instant, State};

use crate::{
    plan::{Plan, WEIGHT},
    router::index,
};

/// A broken rule: the checker's name, and what it saw.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) checker: &'static str,
    text: String,
}

impl Violation {
    pub(crate) fn new(checker: &'static str, text: String) -> Self {
        Self { checker, text }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.checker, self.text)
    }
}

/// What kind of input a router handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Frame,
    Deadline,
    Other,
}

/// One input of one router, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) router: usize,
    pub(crate) now: Instant,
    pub(crate) kind: Kind,
    pub(crate) before: &'a [State],
    pub(crate) after: &'a [State],
    pub(crate) actions: &'a [Action],
    /// `None` where the kernel has just refused, and the engine has not been told yet.
    pub(crate) present: Option<&'a [bool]>,
    pub(crate) timers: &'a [Option<Instant>],
}

/// A router as its LANs see it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Routers with the same number hear each other.
    pub(crate) component: usize,
    /// Running and awake.
    pub(crate) is_awake: bool,
    pub(crate) states: Vec<State>,
    pub(crate) present: Vec<bool>,
    pub(crate) priorities: Vec<u8>,
    pub(crate) preempts: bool,
}

/// How the engine learns of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// By its content.
    Read,
    /// By its stamp, and by its content later.
    StampFirst,
    /// By its stamp alone.
    Lost,
}

/// A frame as the checker remembers it.
#[derive(Clone, Copy, Debug)]
struct Alive {
    at: Instant,
    interval: Duration,
    way: Way,
}

#[derive(Debug)]
pub(crate) struct Checker {
    plan: Plan,
    log: Option<String>,
    /// For each router and instance: the last frame that must keep it from taking over.
    alive: Vec<Vec<Option<Alive>>>,
    /// Since when there have been two Masters that hear each other, for each instance.
    two_since: Vec<Option<Instant>>,
    /// Since when there is nothing wrong that does not have a right answer.
    quiet_since: Option<Instant>,
    /// The same, and for long enough that the network must settle.
    calm_since: Option<Instant>,
    pub(crate) transitions: u64,
    pub(crate) steps: u64,
}

impl Checker {
    pub(crate) fn new(plan: &Plan, log: bool) -> Self {
        Self {
            plan: plan.clone(),
            log: log.then(String::new),
            alive: vec![vec![None; plan.instances]; plan.routers.len()],
            two_since: vec![None; plan.instances],
            quiet_since: None,
            calm_since: None,
            transitions: 0,
            steps: 0,
        }
    }

    pub(crate) fn note(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let text = text();
            log.push_str(&format!("{:>16} {text}\n", now.as_nanos()));
        }
    }

    pub(crate) fn into_log(self) -> String {
        self.log.unwrap_or_default()
    }

    pub(crate) fn set_calm(&mut self, since: Option<Instant>) {
        self.calm_since = since;
    }

    pub(crate) fn set_quiet(&mut self, since: Option<Instant>) {
        self.quiet_since = since;
        self.two_since.fill(None);
    }

    /// A router's daemon has gone: whatever it had heard it does not know any more.
    pub(crate) fn forget(&mut self, router: usize) {
        self.alive[router].fill(None);
    }

    /// A frame has reached a router's host, whether its daemon is awake or not.
    pub(crate) fn heard(
        &mut self,
        (router, instance): (usize, usize),
        at: Instant,
        (priority, interval): (u8, Duration),
        way: Way,
        state: State,
    ) {
        let config = &self.plan.routers[router].config.instances[instance];
        let alive = &mut self.alive[router][instance];
        let own = config.priority.as_u8();
        if priority == 0 || state != State::Backup {
            *alive = None;
        } else if priority >= own || !config.preempt && own != 255 {
            // A stamp teaches no interval: the shortest that anybody has is safe to assume.
            let shortest = self
                .plan
                .routers
                .iter()
                .map(|router| router.config.instances[instance].interval.as_duration());
            let interval = match way {
                Way::Read => interval,
                Way::StampFirst | Way::Lost => shortest.min().unwrap_or_default(),
            };
            *alive = Some(Alive { at, interval, way });
        } else if priority >= own.saturating_sub(WEIGHT)
            || alive.is_some_and(|alive| alive.way == Way::Lost)
        {
            // It may count by the time it is read, and teach a shorter interval. Or there are two
            // Masters and a full ring: nobody can tell whose frame it was that was lost.
            *alive = None;
        }
    }

    pub(crate) fn step(&mut self, step: &Step<'_>) -> Result<(), Violation> {
        self.steps += 1;
        for action in step.actions {
            self.note(step.now, || format!("router {} {action:?}", step.router));
        }
        check_addresses(step)?;
        check_silence(step)?;
        check_frames(step)?;
        if self.plan.grouped {
            check_group(step)?;
        }
        for action in step.actions {
            if let Action::Transition(change) = action {
                self.transitions += 1;
                if self.is_settled(step.now) {
                    let text = format!("router {} moves at {:?}", step.router, step.now);
                    return Err(Violation::new("election", text));
                }
                let instance = index(change.instance);
                self.check_takeover(step, instance, change.to, change.cause)?;
                self.alive[step.router][instance] = None;
            }
        }
        Ok(())
    }

    /// Nothing that is due is left when a daemon goes back to wait.
    #[expect(clippy::unused_self, reason = "called like the other checks")]
    pub(crate) fn turn_is_over(
        &self,
        router: usize,
        now: Instant,
        next: Option<Instant>,
    ) -> Result<(), Violation> {
        match next {
            Some(next) if next <= now => {
                let text = format!("router {router} at {now:?} is due at {next:?}");
                Err(Violation::new("timers", text))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The whole network, after each event.
    pub(crate) fn network(&mut self, now: Instant, views: &[View]) -> Result<(), Violation> {
        let is_settled = self.is_settled(now);
        for instance in 0..self.plan.instances {
            let mut two = false;
            for component in 0..views.len() {
                let members: Vec<_> = views
                    .iter()
                    .filter(|view| view.component == component && view.is_awake)
                    .collect();
                two |= members.iter().filter(|view| view.present[instance]).count() > 1;
                if is_settled {
                    check_election(now, instance, &members, self.plan.is_uneven)?;
                }
            }
            self.check_meeting(now, instance, two)?;
        }
        Ok(())
    }

    /// Two Masters that hear each other find out soon.
    fn check_meeting(&mut self, now: Instant, instance: usize, two: bool) -> Result<(), Violation> {
        let Some(quiet_since) = self.quiet_since.filter(|_| two) else {
            self.two_since[instance] = None;
            return Ok(());
        };
        let since = *self.two_since[instance].get_or_insert(now.max(quiet_since));
        if now.since(since) > self.plan.meeting_time() {
            let text = format!("instance {instance} has two Masters since {since:?} at {now:?}");
            return Err(Violation::new("two-masters", text));
        }
        Ok(())
    }

    fn is_settled(&self, now: Instant) -> bool {
        self.calm_since.is_some_and(|since| now >= since + self.plan.settling_time())
    }

    /// Once settled, nobody moves and nobody but the Master talks.
    pub(crate) fn sent(&self, now: Instant, state: State) -> Result<(), Violation> {
        if self.is_settled(now) && state != State::Master {
            return Err(Violation::new("election", format!("{state} advertises at {now:?}")));
        }
        Ok(())
    }

    /// A Backup takes over only if it heard nobody for the whole `Active_Down_Interval`, by the
    /// moments when frames reached its host.
    fn check_takeover(
        &self,
        step: &Step<'_>,
        instance: usize,
        to: State,
        cause: Cause,
    ) -> Result<(), Violation> {
        let is_own =
            matches!(cause, Cause::MasterDown { .. } | Cause::MasterStopped | Cause::Preempt);
        let Some(alive) = self.alive[step.router][instance] else { return Ok(()) };
        if to != State::Master || !is_own {
            return Ok(());
        }
        // The most impatient that this router can be: with its highest priority.
        let config = &self.plan.routers[step.router].config.instances[instance];
        let skew = 256 - u32::from(config.priority.as_u8());
        let scale = match config.version {
            ha_core::Version::V2 => Duration::from_secs(1),
            ha_core::Version::V3 => alive.interval,
        };
        let until = alive.at + alive.interval * 3 + scale * skew / 256;
        if step.now < until {
            let text = format!(
                "router {} instance {instance} took over at {:?} from a Master heard at {:?}",
                step.router, step.now, alive.at
            );
            return Err(Violation::new("takeover", text));
        }
        Ok(())
    }
}

/// Addresses are on the interface if and only if the instance is Master.
fn check_addresses(step: &Step<'_>) -> Result<(), Violation> {
    let Some(present) = step.present else { return Ok(()) };
    for (instance, (present, state)) in present.iter().zip(step.after).enumerate() {
        if *present != (*state == State::Master) {
            let text = format!(
                "router {} instance {instance} is {state}, addresses present: {present}",
                step.router
            );
            return Err(Violation::new("addresses", text));
        }
    }
    Ok(())
}

/// Init and Fault arm no timer and send nothing; only who was Master says that it stops.
fn check_silence(step: &Step<'_>) -> Result<(), Violation> {
    let is_running = |state: State| matches!(state, State::Backup | State::Master);
    for (instance, (state, timer)) in step.after.iter().zip(step.timers).enumerate() {
        if is_running(*state) != timer.is_some() {
            let text = format!("router {} instance {instance}: {state}, {timer:?}", step.router);
            return Err(Violation::new("silence", text));
        }
    }
    for action in step.actions {
        if let Action::Advertise { instance, priority } = *action {
            let (before, after) = (step.before[index(instance)], step.after[index(instance)]);
            let may = if priority == 0 {
                before == State::Master && !is_running(after)
            } else {
                before == State::Master && is_running(after) || after == State::Master
            };
            if !may {
                let text = format!(
                    "router {} advertises {priority} from {before} to {after}",
                    step.router
                );
                return Err(Violation::new("silence", text));
            }
        }
    }
    Ok(())
}

/// One frame in, one frame out at most; a deadline moves each member of a group once at most.
fn check_frames(step: &Step<'_>) -> Result<(), Violation> {
    let sent =
        step.actions.iter().filter(|action| matches!(action, Action::Advertise { .. })).count();
    let most = match step.kind {
        Kind::Frame => 1,
        Kind::Deadline | Kind::Other => step.after.len(),
    };
    if sent > most {
        let text = format!("router {} sent {sent} frames for one {:?}", step.router, step.kind);
        return Err(Violation::new("frames", text));
    }
    Ok(())
}

/// Members of a sync group are in one state after each step.
fn check_group(step: &Step<'_>) -> Result<(), Violation> {
    if step.after.windows(2).any(|pair| pair[0] != pair[1]) {
        let text = format!("router {} has {:?}", step.router, step.after);
        return Err(Violation::new("group", text));
    }
    Ok(())
}

/// Exactly one Master among those who hear each other, and none whom a better one would replace.
fn check_election(
    now: Instant,
    instance: usize,
    members: &[&View],
    is_uneven: bool,
) -> Result<(), Violation> {
    let eligible: Vec<_> = members
        .iter()
        .filter(|view| matches!(view.states[instance], State::Backup | State::Master))
        .collect();
    let masters: Vec<_> =
        eligible.iter().filter(|view| view.states[instance] == State::Master).collect();
    let fail = |what: &str| {
        let states: Vec<_> = members
            .iter()
            .map(|view| format!("{} {}", view.states[instance], view.priorities[instance]))
            .collect();
        let text = format!("instance {instance} at {now:?}: {what}: {}", states.join(", "));
        Err(Violation::new("election", text))
    };
    match (eligible.len(), masters.as_slice()) {
        (0, []) => Ok(()),
        (_, [master]) => {
            let waits = |view: &View| {
                view.preempts
                    && !is_uneven
                    && view.priorities[instance] > master.priorities[instance]
            };
            if eligible.iter().any(|view| waits(view)) {
                return fail("a better one waits");
            }
            Ok(())
        }
        (_, []) => fail("no Master"),
        (_, [..]) => fail("more than one Master"),
    }
}
