//! Whether the wall clock of the host can be trusted. Failover does not depend on it, its time is
//! [`crate::clock::now`]; but whoever compares the logs of a pair does, and a `vrrp_track_clock` may.

mod alarm;
mod judge;
mod server;

use std::{collections::BTreeMap, time::Duration};

use ha_config::{Clock, ClockLook};
use ha_core::TrackerId;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use self::{
    alarm::{Alarms, Budget, Line},
    judge::{Judge, Look},
    server::Server,
};
use super::judges::{self, Judges};
use crate::{
    clock,
    engine::{Command, Words},
    io::adjtimex::KernelClock,
    plan::{Plan, TrackerPlan},
    status::figures,
};

/// Looks at the clock for as long as it is there.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    wanted: watch::Sender<Wanted>,
    told: watch::Receiver<Told>,
    _task: JoinSet<()>,
}

/// What is told of the clock: for `status.json`, and for the metrics.
#[derive(Debug)]
struct Told {
    status: Value,
    figures: figures::Clock,
}

/// How the clock is looked at, and for whom.
#[derive(Clone, Debug, Default)]
struct Wanted {
    look: ClockLook,
    tracked: BTreeMap<TrackerId, Clock>,
}

impl ClockWatch {
    /// Needs a runtime of tokio, and does not hold it up. Verdicts go to the engine when they change.
    pub(crate) fn new(commands: mpsc::Sender<Command>) -> Self {
        let (wanted, wants) = watch::channel(Wanted::default());
        let mut desk = Desk::default();
        if let Err(error) = desk.ask_kernel() {
            warn!("the kernel does not say how good its clock is: {error}");
        }
        let (tell, told) = watch::channel(desk.told());
        let mut task = JoinSet::new();
        task.spawn(attend(wants, desk, tell, commands));
        Self { wanted, told, _task: task }
    }

    /// Looks at the clock as `plan` wants it. What was thought of it before goes on.
    pub(crate) fn run(&mut self, plan: &Plan) {
        let tracked = plan.trackers_of(TrackerPlan::clock);
        self.wanted.send_replace(Wanted { look: plan.clock.clone(), tracked });
    }

    /// For `status.json`.
    pub(crate) fn status(&self) -> Value {
        self.told.borrow().status.clone()
    }

    /// For the metrics.
    pub(crate) fn figures(&self) -> figures::Clock {
        self.told.borrow().figures.clone()
    }
}

/// Looks at the clock until nobody wants to know.
async fn attend(
    mut wanted: watch::Receiver<Wanted>,
    mut desk: Desk,
    tell: watch::Sender<Told>,
    commands: mpsc::Sender<Command>,
) {
    loop {
        let verdicts = desk.take(wanted.borrow_and_update().clone());
        tell.send_replace(desk.told());
        if !tell_all(&commands, verdicts).await {
            return;
        }
        let mut turns = interval(desk.wanted.interval);
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                _ = turns.tick() => {}
            }
            let verdicts = desk.look().await;
            tell.send_replace(desk.told());
            if !tell_all(&commands, verdicts).await {
                return;
            }
        }
    }
}

type Verdicts = Vec<(TrackerId, bool, Words)>;

/// Whether there still is somebody to tell.
async fn tell_all(commands: &mpsc::Sender<Command>, verdicts: Verdicts) -> bool {
    for (tracker, up, words) in verdicts {
        if !judges::tell(commands, tracker, up, words).await {
            return false;
        }
    }
    true
}

/// What is known of the clock, and what is thought of it.
#[derive(Debug, Default)]
struct Desk {
    wanted: ClockLook,
    servers: Vec<Server>,
    last: Look,
    judges: Judges<Judge>,
    alarms: Alarms,
    budget: Budget,
}

impl Desk {
    /// Goes on with this; who is new has a verdict at once, by the kernel alone.
    fn take(&mut self, Wanted { look, tracked }: Wanted) -> Verdicts {
        if look.servers != self.wanted.servers {
            let start = |server: &ha_config::NtpServer| match Server::start(server.clone()) {
                Ok(server) => Some(server),
                Err(error) => {
                    warn!("the time server {} is not asked: {error}", server.host);
                    None
                }
            };
            self.servers = look.servers.iter().filter_map(start).collect();
        }
        self.wanted = look;
        self.judges.take(tracked, Judge::new);
        let look = Look { offset: None, ..self.last };
        self.judge(&look, Judge::is_new)
    }

    /// Looks at the clock; takes as long as servers may take to answer.
    async fn look(&mut self) -> Verdicts {
        let (answers, mut lines) = server::ask_all(&mut self.servers).await;
        self.last.offset = server::consensus(answers);
        // That it does not say was said at the start.
        self.ask_kernel().ok();
        lines.extend(self.alarms.hear(&self.last));
        for line in lines {
            self.say(&line);
        }
        let look = self.last;
        self.judge(&look, |_| true)
    }

    fn ask_kernel(&mut self) -> std::io::Result<()> {
        let kernel = KernelClock::read();
        self.last.kernel = kernel.as_ref().ok().copied();
        kernel.map(drop)
    }

    fn judge(&mut self, look: &Look, whom: impl Fn(&Judge) -> bool) -> Verdicts {
        let mut verdicts = Vec::new();
        let mut lines = Vec::new();
        for (tracker, judge) in self.judges.numbered().filter(|(_, judge)| whom(judge)) {
            let Some(up) = judge.hear(look) else { continue };
            let text = format!("clock {}: {}", judge.name(), judge.why());
            lines.push(if up { Line::info(text) } else { Line::warning(text) });
            verdicts.push((tracker, up, Words::new(judge.why())));
        }
        for line in lines {
            self.say(&line);
        }
        verdicts
    }

    fn say(&mut self, Line { is_warning, text }: &Line) {
        match (self.budget.take(clock::now()), is_warning) {
            (true, true) => warn!("{text}"),
            (true, false) => info!("{text}"),
            (false, _) => {}
        }
    }

    fn told(&self) -> Told {
        let kernel = self.last.kernel.map(|clock| (clock.is_synchronised(), clock.max_error));
        let servers = self.servers.iter().filter_map(Server::offset).collect();
        Told { status: self.status(), figures: figures::Clock { kernel, servers } }
    }

    fn status(&self) -> Value {
        let kernel = self.last.kernel.map(|clock| {
            json!({
                "is_synchronised": clock.is_synchronised(),
                "max_error_ms": millis(clock.max_error),
                "estimated_error_ms": millis(clock.estimated_error),
            })
        });
        json!({
            "kernel": kernel,
            "offset_ms": self.last.offset.map(|answer| answer.offset_s * 1e3),
            "servers": self.servers.iter().map(Server::status).collect::<Value>(),
            "tracked": self.judges.iter().map(Judge::status).collect::<Value>(),
            "lines_left_out": self.budget.left_out(),
        })
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
