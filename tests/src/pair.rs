//! The scene of the reference pair: two nodes and a client on two segments.
//!
//! Node A has 198.51.100.10 on `bond0` and 192.0.2.10 on `eth2`, node B the same with `.11`; the
//! client has `.20` on both segments. What runs on the nodes, and with which configuration, is up to
//! the test. Both segments are captured at their switch from the start.

use core::{net::Ipv4Addr, time::Duration};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::ExitStatus};

use crate::{
    capture::{Capture, Frame},
    clock::Stamp,
    decode::{self, Advert},
    guardian,
    lan::Lan,
    netns::Namespace,
    pcap,
    prober::Prober,
    process::{Program, Router, Start},
    tempdir::TempDir,
    wait,
};

/// More than the longest scene sends: two routers at 10 ms on one segment for minutes.
const FRAMES_MAX: usize = 200_000;

/// The segments: the nodes' interface, the reference pair's VRID and virtual addresses there, and
/// the network.
pub const SEGMENTS: [Segment; 2] = [
    Segment {
        interface: "bond0",
        vrid: 133,
        virtual_addresses: [Ipv4Addr::new(198, 51, 100, 13), Ipv4Addr::new(198, 51, 100, 14)],
        network: Ipv4Addr::new(198, 51, 100, 0),
    },
    Segment {
        interface: "eth2",
        vrid: 233,
        virtual_addresses: [Ipv4Addr::new(192, 0, 2, 13), Ipv4Addr::new(192, 0, 2, 14)],
        network: Ipv4Addr::new(192, 0, 2, 0),
    },
];

/// What is particular to one of the two segments.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub interface: &'static str,
    pub vrid: u8,
    pub virtual_addresses: [Ipv4Addr; 2],
    network: Ipv4Addr,
}

impl Segment {
    /// The address of the host with this number.
    pub fn host(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | u32::from(number))
    }
}

/// One of the nodes, by name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The last byte of its addresses.
    pub const fn number(self) -> u8 {
        match self {
            Self::A => 10,
            Self::B => 11,
        }
    }

    /// Its ports at both switches.
    const fn port(self) -> &'static str {
        match self {
            Self::A => "node-a",
            Self::B => "node-b",
        }
    }

    pub fn of_port(port: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|side| side.port() == port)
    }
}

/// A node: a namespace, what is in its `/etc/keepalived`, and its router while one runs.
#[derive(Debug)]
pub struct Node {
    // Before the namespace, whose end would end it too, but without reaping.
    router: Option<Router>,
    etc: TempDir,
    namespace: Namespace,
}

/// The whole scene.
#[derive(Debug)]
pub struct Pair {
    captures: [Capture; 2],
    nodes: [Node; 2],
    client: Namespace,
    lans: [Lan; 2],
}

/// An advertisement on a segment, and who sent it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Stamp,
    pub from: Side,
    pub advert: Advert,
}

impl Node {
    fn new(name: &str) -> Self {
        let etc = TempDir::new("etc");
        let keepalived = etc.path().join("keepalived");
        fs::create_dir(&keepalived).expect("a directory in a fresh directory");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        for script in ["monitor_service.sh", "notify.sh"] {
            fs::copy(scripts.join(script), keepalived.join(script)).expect("a script to copy");
        }
        // Scripts may run as a user of their own, who must be able to write here.
        let notes = etc.write("keepalived/notify.log", "");
        fs::set_permissions(&notes, fs::Permissions::from_mode(0o666)).expect("our own file");
        Self { router: None, etc, namespace: Namespace::new(name) }
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The directory that its router sees as `/etc/keepalived`.
    pub fn etc(&self) -> std::path::PathBuf {
        self.etc.path().join("keepalived")
    }

    /// Starts `program` with `config`; `words` are further words of the daemon's command line.
    pub fn start(&mut self, program: Program, config: &str, words: &[&str]) {
        self.start_under(&[], program, config, words);
    }

    /// [`Self::start`] by another program, which becomes it: `wrapper` is that one's command line.
    pub fn start_under(
        &mut self,
        wrapper: &[&str],
        program: Program,
        config: &str,
        words: &[&str],
    ) {
        // The one before, if any, must be gone before its successor comes.
        self.router = None;
        let start = Start { words, etc: Some(self.etc.path()) };
        self.router = Some(Router::start_under(wrapper, program, &self.namespace, config, &start));
    }

    /// Stops the daemon, and starts it again with `config` where it was.
    pub fn restart(&mut self, config: &str) {
        let router = self.router.as_mut().expect("a router was started");
        router.stop();
        router.restart(&self.namespace, config);
    }

    /// The running router; panics if there is none.
    pub fn router(&mut self) -> &mut Router {
        self.router.as_mut().expect("a router was started")
    }

    /// See [`Router::release`].
    pub fn release(&self) -> (ExitStatus, String) {
        self.router.as_ref().expect("a router was started").release(&self.namespace)
    }

    /// What the router has logged; empty without one.
    pub fn log(&self) -> String {
        self.router.as_ref().map(Router::log).unwrap_or_default()
    }

    /// Ends everything that runs on the node, without a goodbye. What it did to the node stays.
    pub fn kill(&mut self) {
        self.namespace.kill_all();
        self.router = None;
    }

    /// Makes the service check fail, or succeed again.
    pub fn set_healthy(&self, is_healthy: bool) {
        let flag = self.etc().join("unhealthy");
        let done = if is_healthy { fs::remove_file(&flag) } else { fs::write(&flag, "") };
        done.unwrap_or_else(|error| panic!("{}: {error}", flag.display()));
    }

    /// What `notify.sh` was called with so far, in the order in which it wrote.
    pub fn notified(&self) -> Vec<String> {
        let text = self.etc.read("keepalived/notify.log");
        let words = |line: &str| line.split_once(' ').map(|(_, words)| words.to_owned());
        text.lines().filter_map(words).collect()
    }

    /// How many of the two virtual addresses of each segment are on the node.
    pub fn addresses_held(&self) -> [usize; 2] {
        SEGMENTS.map(|segment| {
            let present = self.namespace.addresses(segment.interface);
            let holds = |address: &&Ipv4Addr| {
                let text = address.to_string();
                present.iter().any(|held| held.split('/').next() == Some(text.as_str()))
            };
            segment.virtual_addresses.iter().filter(holds).count()
        })
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if guardian::is_keeping() {
            let directory = TempDir::new("captures");
            self.save_captures(directory.path());
        }
    }
}

impl Pair {
    pub fn new() -> Self {
        let lans = [Lan::new("lan1"), Lan::new("lan2")];
        let nodes = [Node::new("a"), Node::new("b")];
        let client = Namespace::new("client");
        for ((lan, segment), number) in lans.iter().zip(SEGMENTS).zip(1..) {
            for (side, node) in Side::BOTH.into_iter().zip(&nodes) {
                let tail = [number, side.number()];
                lan.connect(side.port(), &node.namespace, segment.interface, tail);
                let address = segment.host(side.number());
                node.namespace.ip(&format!("addr add {address}/24 dev {}", segment.interface));
            }
            lan.connect("client", &client, segment.interface, [number, 20]);
            client.ip(&format!("addr add {}/24 dev {}", segment.host(20), segment.interface));
        }
        let captures = [0, 1].map(|index: usize| {
            let lan = lans.get(index).expect("one of two");
            Capture::start(lan.switch(), FRAMES_MAX)
        });
        Self { captures, nodes, client, lans }
    }

    pub fn node(&self, side: Side) -> &Node {
        let [a, b] = &self.nodes;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    pub fn node_mut(&mut self, side: Side) -> &mut Node {
        let [a, b] = &mut self.nodes;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// The segment with the interface `interface`, its switch and its capture.
    pub fn segment(&self, interface: &str) -> (Segment, &Lan, &Capture) {
        let mut all = SEGMENTS.into_iter().zip(&self.lans).zip(&self.captures);
        let ((segment, lan), capture) = all
            .find(|((segment, _), _)| segment.interface == interface)
            .unwrap_or_else(|| panic!("{interface}: no such segment"));
        (segment, lan, capture)
    }

    /// Pulls the cable of `interface` at `side`.
    pub fn cut(&self, side: Side, interface: &str) {
        self.segment(interface).1.cut(side.port());
    }

    /// Plugs it in again.
    pub fn mend(&self, side: Side, interface: &str) {
        self.segment(interface).1.mend(side.port());
    }

    /// Cuts `side` off on `interface`, with carrier.
    pub fn isolate(&self, side: Side, interface: &str) {
        self.segment(interface).1.isolate(side.port());
    }

    /// Undoes [`Self::isolate`].
    pub fn rejoin(&self, side: Side, interface: &str) {
        self.segment(interface).1.rejoin(side.port());
    }

    /// A client that asks for all four virtual addresses.
    pub fn probe(&self, duration_max: Duration) -> Prober {
        let targets: Vec<Ipv4Addr> =
            SEGMENTS.iter().flat_map(|segment| segment.virtual_addresses).collect();
        Prober::start(&self.client, &targets, duration_max)
    }

    /// The advertisements that the nodes sent on `interface` since `since`, oldest first.
    pub fn heard(&self, interface: &str, since: Stamp) -> Vec<Heard> {
        self.segment(interface).2.collect(since, heard_in)
    }

    /// The first advertisement with a priority that `from` sent on `interface` since `since`.
    pub fn first_claim(&self, interface: &str, from: Side, since: Stamp) -> Option<Stamp> {
        self.segment(interface).2.first(since, |frame| {
            heard_in(frame)
                .filter(|heard| heard.from == from && heard.advert.priority > 0)
                .map(|heard| heard.at)
        })
    }

    /// The last advertisement with a priority that `from` sent on `interface` before `before`.
    pub fn last_claim(&self, interface: &str, from: Side, before: Stamp) -> Option<Stamp> {
        let heard = self.heard(interface, Stamp::default());
        let is_it =
            |heard: &&Heard| heard.from == from && heard.advert.priority > 0 && heard.at < before;
        heard.iter().rev().find(is_it).map(|heard| heard.at)
    }

    /// When `from` first announced `address` by gratuitous ARP since `since`.
    pub fn first_announcement(
        &self,
        interface: &str,
        from: Side,
        address: Ipv4Addr,
        since: Stamp,
    ) -> Option<Stamp> {
        self.segment(interface).2.first(since, |frame| {
            let arp = decode::arp(frame).filter(|_| sent_by(frame) == Some(from))?;
            (arp.is_gratuitous() && arp.sender == address).then_some(frame.at)
        })
    }

    /// Whether `side` is the one Master of the first segment's instance, where the second has none.
    pub fn is_first_master(&self, side: Side) -> bool {
        let held = [side, side.other()].map(|side| self.node(side).addresses_held());
        held == [[2, 0], [0, 0]]
    }

    /// Who is Master of both reference instances now: the one node that holds all four addresses,
    /// while the other holds none.
    pub fn master(&self) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| {
            self.node(*side).addresses_held() == [2, 2]
                && self.node(side.other()).addresses_held() == [0, 0]
        })
    }

    /// Waits until `side` is Master of both instances; panics with both logs if it is not.
    pub fn await_master(&self, side: Side, deadline: Duration) {
        let is_master = wait::holds_within(deadline, || self.master() == Some(side));
        assert!(is_master, "{side:?} is not Master within {deadline:?}{}", self.logs());
    }

    /// Writes what was captured to `<interface>.pcap` in `directory`.
    pub fn save_captures(&self, directory: &Path) {
        for (segment, capture) in SEGMENTS.iter().zip(&self.captures) {
            let file = directory.join(format!("{}.pcap", segment.interface));
            pcap::write(&file, &capture.frames());
        }
    }

    /// Both routers' logs, for a message.
    pub fn logs(&self) -> String {
        let [a, b] = &self.nodes;
        format!("\n--- A's log\n{}\n--- B's log\n{}", a.log(), b.log())
    }
}

/// The advertisement in `frame` and the node whose port it came in by.
fn heard_in(frame: &Frame) -> Option<Heard> {
    let from = sent_by(frame)?;
    Some(Heard { at: frame.at, from, advert: decode::advert(frame)? })
}

fn sent_by(frame: &Frame) -> Option<Side> {
    Side::of_port(&frame.interface).filter(|_| !frame.is_outgoing)
}
