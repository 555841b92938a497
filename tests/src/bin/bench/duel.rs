//! The scene of every section: two nodes with routers of one make. Node A has the higher priority.
//!
//! There are up to 250 virtual routers on a segment, each with one address; a segment is a bridge of
//! its own. A third host on the first segment is for whatever else sends there.

use core::{fmt, net::Ipv4Addr, time::Duration};
use std::{collections::BTreeSet, fmt::Write as _, fs};

use ha_tests::{
    clock::Stamp,
    lan::Lan,
    netns::Namespace,
    pair::Side,
    process::{self, Router, Start},
    wait,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    contender::Contender,
    wire::{self, Wire},
};

/// Virtual routers on a segment; VRIDs have 8 bits.
pub(crate) const SEGMENT_INSTANCES: usize = 250;
/// The number of the third host; the nodes are 1 and 2.
const THIRD: u8 = 3;
/// Time to settle, and more of it for each instance: keepalived with thousands takes minutes.
const SETTLED_WITHIN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_millis(50));
/// Beyond the intervals that a node may stay silent: the kernel and the capture may be late.
const LATENESS: Duration = Duration::from_millis(50);

/// What runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) contender: Contender,
    pub(crate) instances: usize,
    pub(crate) interval: Duration,
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, millis) = (self.contender.name(), self.interval.as_millis());
        write!(formatter, "{name}, {} instances at {millis} ms", self.instances)
    }
}

impl Plan {
    /// After the last advertisement, how long a Backup waits (RFC 9568 §6.1): three intervals and
    /// the skew time of node B.
    pub(crate) fn master_down(&self) -> Duration {
        let skew = self.interval * (256 - u32::from(priority(Side::B))) / 256;
        3 * self.interval + skew
    }

    fn segments(&self) -> usize {
        self.instances.div_ceil(SEGMENT_INSTANCES)
    }

    pub(crate) fn config(&self, side: Side) -> String {
        let mut text = self.contender.globals().to_owned();
        for index in 0..self.instances {
            let (segment, vrid) = (index / SEGMENT_INSTANCES, index % SEGMENT_INSTANCES + 1);
            text += &self.instance(side, segment, u8::try_from(vrid).expect("at most 250"));
        }
        text
    }

    pub(crate) fn instance(&self, side: Side, segment: usize, vrid: u8) -> String {
        let mut text = String::new();
        write!(
            text,
            "vrrp_instance V{segment}_{vrid} {{\n    state BACKUP\n    interface {}\n    \
             version 3\n    virtual_router_id {vrid}\n    priority {}\n    advert_int {}\n    \
             virtual_ipaddress {{\n        {}\n    }}\n}}\n",
            interface(segment),
            priority(side),
            self.interval.as_secs_f64(),
            virtual_address(segment, vrid),
        )
        .expect("a String takes all");
        text
    }
}

const fn priority(side: Side) -> u8 {
    match side {
        Side::A => 200,
        Side::B => 100,
    }
}

fn interface(segment: usize) -> String {
    format!("eth{segment}")
}

/// Two of the networks for documentation (RFC 5737), in turn: what is on one segment is not seen on
/// another.
pub(crate) fn virtual_address(segment: usize, vrid: u8) -> Ipv4Addr {
    if segment.is_multiple_of(2) {
        Ipv4Addr::new(198, 51, 100, vrid)
    } else {
        Ipv4Addr::new(203, 0, 113, vrid)
    }
}

/// A part of 192.0.2.0/24 for each segment.
fn host_address(segment: usize, number: u8) -> Ipv4Addr {
    let segment = u8::try_from(segment).ok().filter(|segment| *segment < 16);
    Ipv4Addr::new(192, 0, 2, 16 * segment.expect("at most 16 segments") + number)
}

/// Two routers that run.
#[derive(Debug)]
pub(crate) struct Duel {
    // Before the namespaces, whose end would end them too, but without reaping.
    routers: [Option<Router>; 2],
    wire: Wire,
    nodes: [Namespace; 2],
    third: Namespace,
    lans: Vec<Lan>,
    plan: Plan,
}

impl Duel {
    /// Both nodes run, and A is Master of everything; `None`, and a note, if it does not get there.
    pub(crate) fn start(plan: Plan, notes: &mut Vec<String>) -> Option<Self> {
        let mut duel = Self::prepare(plan);
        duel.launch_both();
        duel.settles(notes).then_some(duel)
    }

    /// Without routers.
    pub(crate) fn prepare(plan: Plan) -> Self {
        eprintln!("bench:   {plan}");
        let nodes = ["a", "b"].map(Namespace::new);
        let third = Namespace::new("third");
        let lans: Vec<Lan> = (0..plan.segments()).map(|_| Lan::new("lan")).collect();
        for (segment, lan) in lans.iter().enumerate() {
            let interface = interface(segment);
            let tail = u8::try_from(segment).expect("at most 16 segments");
            let hosts = Side::BOTH.map(wire::port).into_iter().zip(&nodes);
            for ((port, host), number) in hosts.zip(1..) {
                lan.connect(port, host, &interface, [tail, number]);
                let address = host_address(segment, number);
                host.ip(&format!("addr add {address}/28 dev {interface}"));
            }
        }
        if let Some(lan) = lans.first() {
            lan.connect("third", &third, &interface(0), [0, THIRD]);
            third.ip(&format!("addr add {}/28 dev {}", host_address(0, THIRD), interface(0)));
        }
        let wire = Wire::start(&lans);
        Self { routers: [None, None], wire, nodes, third, lans, plan }
    }

    pub(crate) fn launch_both(&mut self) {
        for side in Side::BOTH {
            self.launch(side);
        }
    }

    pub(crate) fn launch(&mut self, side: Side) {
        let config = self.plan.config(side);
        let program = self.plan.contender.program();
        // The one before, if any, must be gone before its successor comes.
        *self.seat(side) = None;
        let start = Start { words: self.plan.contender.words(), ..Start::default() };
        let router = Router::start_with(program, self.node(side), &config, &start);
        *self.seat(side) = Some(router);
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(crate) fn node(&self, side: Side) -> &Namespace {
        let [a, b] = &self.nodes;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    /// The host beside the nodes, and its interface.
    pub(crate) fn third(&self) -> (&Namespace, String) {
        (&self.third, interface(0))
    }

    /// The addresses of node A and of the third host on the first segment.
    pub(crate) fn host_addresses() -> (Ipv4Addr, Ipv4Addr) {
        (host_address(0, 1), host_address(0, THIRD))
    }

    pub(crate) fn router(&mut self, side: Side) -> &mut Router {
        self.seat(side).as_mut().expect("a router was started")
    }

    /// Forgets what was captured so far.
    pub(crate) fn capture_anew(&mut self) {
        self.wire = Wire::start(&self.lans);
    }

    /// Everything that belongs to the router of `side`.
    pub(crate) fn pids(&self, side: Side) -> Vec<Pid> {
        self.node(side).pids()
    }

    /// The router of `side` is killed, and has to be launched anew. Children first: one of
    /// keepalived's that outlives its parent says goodbye.
    pub(crate) fn kill(&mut self, side: Side) {
        let mut pids = self.pids(side);
        pids.sort_unstable();
        pids.reverse();
        signal_all(&pids, Signal::SIGKILL);
        *self.seat(side) = None;
    }

    /// Whether A is Master of everything now, and B of nothing.
    fn is_settled(&self) -> bool {
        let quiet = 4 * self.plan.interval + LATENESS;
        let said = self.wire.said(Stamp::now() - quiet);
        let of = |side| said.iter().filter_map(move |one| one.advert_of(side));
        of(Side::B).next().is_none()
            && of(Side::A).collect::<BTreeSet<_>>().len() >= self.plan.instances
    }

    /// Waits until A is Master of everything, and B of nothing; `false`, and a note, if that takes
    /// too long.
    pub(crate) fn settles(&self, notes: &mut Vec<String>) -> bool {
        let instances = u32::try_from(self.plan.instances).expect("some thousands");
        let within = SETTLED_WITHIN.0 + SETTLED_WITHIN.1 * instances;
        let is_settled = wait::holds_within(within, || self.is_settled());
        if !is_settled {
            let seconds = within.as_secs();
            notes.push(format!("{}: node A was not Master of all in {seconds} s.", self.plan));
        }
        is_settled
    }

    /// What the router of `side` has used of the processors so far.
    pub(crate) fn processor_time(&self, side: Side) -> Duration {
        let mut nanos = 0;
        for pid in self.pids(side) {
            for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let word = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
                nanos += word.unwrap_or(0);
            }
        }
        Duration::from_nanos(nanos)
    }

    /// The resident size of the router of `side`, in KiB: of all its processes.
    pub(crate) fn resident_kib(&self, side: Side) -> u32 {
        self.pids(side).into_iter().filter_map(process::resident_kib).sum()
    }

    fn seat(&mut self, side: Side) -> &mut Option<Router> {
        let [a, b] = &mut self.routers;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }
}

/// Sends `signal` to all of them; one that is gone already is left alone.
pub(crate) fn signal_all(pids: &[Pid], signal: Signal) {
    for pid in pids {
        kill(*pid, signal).ok();
    }
}
