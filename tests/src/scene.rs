//! The scene of the tests with other makes: routers of any make on one segment, and what they say.
//!
//! The routers are numbered from 0 in the order in which they are given. Router N has the address
//! 198.51.100.(10 + N), and all have the virtual router 133 with two addresses.

use core::{net::IpAddr, time::Duration};
use std::fs;

use nix::sys::signal::Signal;

use crate::{
    capture::{Capture, Frame},
    clock::Stamp,
    config::{self, Dialect},
    decode::{self, Advert},
    frr::{self, Frr, VirtualRouter},
    guardian,
    lan::Lan,
    netns::Namespace,
    pair::SEGMENTS,
    pcap,
    process::{Program, Router, describe},
    require,
    status::Status,
    tempdir::TempDir,
    tshark, wait,
};

/// Several times what any dialect's timers take.
pub const SOON: Duration = Duration::from_secs(20);
/// The interface of every router.
pub const INTERFACE: &str = "bond0";
/// More than the longest scene sends.
const FRAMES_MAX: usize = 50_000;
/// The number of the first router's addresses.
const FIRST_NUMBER: u8 = 10;
/// What a failing check takes from the priority: enough to make the best the worst.
const CHECK_WEIGHT: u8 = 100;

/// Whose a router is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Make {
    Ours,
    Keepalived,
    Frr,
}

/// An advertisement and who sent it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Stamp,
    pub from: usize,
    pub advert: Advert,
}

/// The whole scene.
#[derive(Debug)]
pub struct Scene {
    capture: Capture,
    seats: Vec<Seat>,
    dialect: Dialect,
    lan: Lan,
}

/// A host and the router that it is to run.
#[derive(Debug)]
struct Seat {
    // Before the namespace, whose end would end it too, but without reaping.
    running: Option<Running>,
    has_run: bool,
    make: Make,
    priority: u8,
    number: u8,
    /// Where the check looks whether it is to fail.
    directory: TempDir,
    namespace: Namespace,
}

#[derive(Debug)]
enum Running {
    Router(Router),
    Frr(Frr),
}

impl Running {
    fn log(&self) -> String {
        match self {
            Self::Router(router) => router.log(),
            Self::Frr(frr) => frr.log(),
        }
    }
}

impl Seat {
    fn holds(&self, address: &str) -> bool {
        match self.make {
            Make::Ours | Make::Keepalived => self.namespace.has_address(INTERFACE, address),
            Make::Frr => frr::has_address(&self.namespace, address),
        }
    }

    fn port(&self) -> String {
        format!("node-{}", self.number)
    }
}

impl Scene {
    /// Routers with their priorities, none of which runs yet. `None` where the scene cannot be
    /// played and need not be (see [`require`]).
    pub fn new(dialect: Dialect, routers: &[(Make, u8)]) -> Option<Self> {
        let can_run = routers.iter().all(|(make, _)| match make {
            Make::Ours => require::require_daemon(),
            Make::Keepalived => require::require_keepalived(),
            Make::Frr => require::require_frr(),
        });
        if !can_run || !require::require_tools(&[("tshark", "tshark")]) {
            return None;
        }
        let lan = Lan::new("lan");
        let seat = |(number, &(make, priority)): (u8, &(Make, u8))| {
            let namespace = Namespace::new(&format!("node{number}"));
            let directory = TempDir::new("check");
            let seat = Seat {
                running: None,
                has_run: false,
                make,
                priority,
                number,
                directory,
                namespace,
            };
            lan.connect(&seat.port(), &seat.namespace, INTERFACE, [1, number]);
            let [segment, _] = SEGMENTS;
            let address = segment.host(number);
            seat.namespace.ip(&format!("addr add {address}/24 dev {INTERFACE}"));
            seat
        };
        let seats = (FIRST_NUMBER..).zip(routers).map(seat).collect();
        // Last: it knows the ports that are there when it begins.
        let capture = Capture::start(lan.switch(), FRAMES_MAX);
        Some(Self { capture, seats, dialect, lan })
    }

    /// Starts router `who` and waits until it is a Backup, as all are first.
    pub fn start(&mut self, who: usize) {
        let config = self.config(who, "");
        self.start_with(who, &config);
    }

    /// The configuration of router `who` with `more` lines in its instance; not for FRR.
    pub fn config(&self, who: usize, more: &str) -> String {
        let seat = self.seat(who);
        let others: Vec<u8> =
            self.seats.iter().map(|one| one.number).filter(|one| *one != seat.number).collect();
        // As ours is by itself: a late router is no finding about the other.
        let globals = match seat.make {
            Make::Keepalived => "global_defs {\n    vrrp_rt_priority 50\n}\n",
            Make::Ours | Make::Frr => "",
        };
        // Not a shell: what is started each second is to be light.
        let check = format!(
            "{globals}vrrp_script check {{\n    script \"/usr/bin/test ! -e {}\"\n    interval 1\n    \
             weight -{CHECK_WEIGHT}\n    rise 1\n    fall 1\n    user root\n}}\n",
            seat.directory.path().join("unhealthy").display()
        );
        let more = format!("    track_script {{\n        check\n    }}\n{more}");
        check + &config::instance_of(self.dialect, seat.number, &others, seat.priority, &more)
    }

    /// [`Self::start`] with another configuration.
    pub fn start_with(&mut self, who: usize, config: &str) {
        self.launch(who, config);
        let listens = wait::holds_within(SOON, || self.is_listening(who));
        assert!(listens, "router {who} does not become Backup{}", self.logs());
    }

    /// Starts router `who`, and waits for nothing.
    pub fn launch(&mut self, who: usize, config: &str) {
        let addresses = self.dialect.addresses();
        let seat = self.seat_mut(who);
        // The one before, if any, must be gone before its successor comes.
        seat.running = None;
        let running = match seat.make {
            Make::Ours => Running::Router(Router::start(Program::Daemon, &seat.namespace, config)),
            Make::Keepalived => {
                Running::Router(Router::start(Program::Keepalived, &seat.namespace, config))
            }
            Make::Frr => Running::Frr(Frr::start(
                &seat.namespace,
                &VirtualRouter {
                    interface: INTERFACE,
                    vrid: 133,
                    priority: seat.priority,
                    interval_ms: 200,
                    addresses: &addresses,
                },
            )),
        };
        seat.running = Some(running);
        seat.has_run = true;
    }

    /// Has router `who`, one of ours or a keepalived, read `config`.
    pub fn reload(&mut self, who: usize, config: &str) {
        match &mut self.seat_mut(who).running {
            Some(Running::Router(router)) => {
                router.directory().write("keepalived.conf", config);
                router.process().signal(Signal::SIGHUP);
            }
            Some(Running::Frr(_)) | None => panic!("router {who} does not reload"),
        }
    }

    /// Whether router `who` has been a Backup: both makes log the state that they enter first, and
    /// listen from then on.
    pub fn is_listening(&self, who: usize) -> bool {
        match &self.seat(who).running {
            Some(Running::Router(router)) => router.log().contains("BACKUP"),
            Some(Running::Frr(frr)) => frr.show().is_ok_and(|text| text.contains("Backup")),
            None => false,
        }
    }

    /// Asks router `who` to stop and waits until it has.
    pub fn stop(&mut self, who: usize) {
        let status = match &mut self.seat_mut(who).running {
            Some(Running::Router(router)) => router.stop(),
            Some(Running::Frr(frr)) => frr.stop(),
            None => panic!("router {who} does not run"),
        };
        assert!(status.success(), "{}{}", describe(status), self.logs());
    }

    /// The host of router `who` dies: no goodbye, and no carrier for its link.
    pub fn die(&mut self, who: usize) {
        let seat = self.seat(who);
        seat.namespace.freeze_all();
        self.lan.cut(&seat.port());
        seat.namespace.kill_all();
        self.seat_mut(who).running = None;
    }

    /// The host is there again, without a router, and without what its router had left.
    pub fn revive(&mut self, who: usize) {
        let addresses = self.dialect.addresses();
        let seat = self.seat(who);
        for address in &addresses {
            seat.namespace.ip(&format!("addr flush dev {INTERFACE} to {address}"));
        }
        frr::forget(&seat.namespace);
        self.lan.mend(&seat.port());
    }

    /// Makes the check of router `who` fail, or succeed again.
    pub fn set_healthy(&self, who: usize, is_healthy: bool) {
        let flag = self.seat(who).directory.path().join("unhealthy");
        let done = if is_healthy { fs::remove_file(&flag) } else { fs::write(&flag, "") };
        done.unwrap_or_else(|error| panic!("{}: {error}", flag.display()));
    }

    /// The priority of router `who`: while its check succeeds, and while it fails.
    pub fn priorities(&self, who: usize) -> (u8, u8) {
        let priority = self.seat(who).priority;
        (priority, priority.saturating_sub(CHECK_WEIGHT))
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub fn make(&self, who: usize) -> Make {
        self.seat(who).make
    }

    pub fn namespace(&self, who: usize) -> &Namespace {
        &self.seat(who).namespace
    }

    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// What router `who` sends from.
    pub fn source(&self, who: usize) -> IpAddr {
        let seat = self.seat(who);
        self.dialect.source(seat.number).parse().expect("an address")
    }

    /// How router `who` is, which is one of ours.
    pub fn status(&mut self, who: usize) -> Status {
        match &mut self.seat_mut(who).running {
            Some(Running::Router(router)) => router.status(),
            Some(Running::Frr(_)) | None => panic!("router {who} has no status"),
        }
    }

    /// How many of the virtual addresses router `who` has.
    pub fn held(&self, who: usize) -> usize {
        let seat = self.seat(who);
        self.dialect.addresses().iter().filter(|address| seat.holds(address)).count()
    }

    /// Whether `who` has all addresses and nobody else has any.
    pub fn is_master(&self, who: usize) -> bool {
        (0..self.seats.len()).all(|one| self.held(one) == if one == who { 2 } else { 0 })
    }

    /// Waits until `who` has all addresses and nobody else has any.
    pub fn await_master(&self, who: usize) {
        let comes = wait::holds_within(SOON, || self.is_master(who));
        assert!(comes, "router {who} is not the one Master{}", self.logs());
    }

    /// The advertisements since `since`, oldest first.
    pub fn heard(&self, since: Stamp) -> Vec<Heard> {
        self.capture.collect(since, |frame| {
            let from = self.sender(frame)?;
            Some(Heard { at: frame.at, from, advert: decode::advert(frame)? })
        })
    }

    /// The first advertisement with a priority of `who` since `since`.
    pub fn await_claim(&self, who: usize, since: Stamp) -> Stamp {
        let is_it = |one: &Heard| one.from == who && one.advert.priority > 0;
        let claim =
            wait::some_within(SOON, || self.heard(since).into_iter().find(is_it).map(|one| one.at));
        claim.unwrap_or_else(|| panic!("router {who} does not advertise{}", self.logs()))
    }

    /// When `who` first announced `address` by ARP or neighbour advertisement since `since`.
    pub fn await_announcement(&self, who: usize, address: &str, since: Stamp) -> Stamp {
        let address: IpAddr = address.parse().expect("an address");
        let announcement = wait::some_within(SOON, || {
            self.capture.first(since, |frame| {
                let is_it =
                    self.sender(frame) == Some(who) && decode::announced(frame) == Some(address);
                is_it.then_some(frame.at)
            })
        });
        announcement
            .unwrap_or_else(|| panic!("router {who} does not announce {address}{}", self.logs()))
    }

    /// The frames that `who` has sent.
    pub fn sent_by(&self, who: usize) -> Vec<Frame> {
        let frames = self.capture.frames();
        frames.into_iter().filter(|frame| self.sender(frame) == Some(who)).collect()
    }

    /// What tshark has to say against what our routers have sent: nothing; and it knows it all.
    pub fn assert_well_formed(&self) {
        assert!(!self.capture.is_full());
        for (who, seat) in self.seats.iter().enumerate() {
            if seat.make == Make::Ours && seat.has_run {
                let frames = self.sent_by(who);
                assert_eq!(tshark::complaints(&frames), "", "router {who}");
                let adverts = frames.iter().filter_map(decode::advert).count();
                // A host whose router is gone quotes what it gets in ICMP.
                let recognised = tshark::count(&frames, "vrrp && !icmp && !icmpv6");
                assert_eq!(recognised, adverts, "router {who}");
                assert!(adverts > 0, "router {who} has sent nothing");
            }
        }
    }

    /// All routers' logs, for a message.
    pub fn logs(&self) -> String {
        let log = |(who, seat): (usize, &Seat)| {
            let log = seat.running.as_ref().map(Running::log).unwrap_or_default();
            format!("\n--- the log of router {who} ({:?})\n{log}", seat.make)
        };
        self.seats.iter().enumerate().map(log).collect()
    }

    /// Whose port `frame` came in by.
    pub fn sender(&self, frame: &Frame) -> Option<usize> {
        if frame.is_outgoing {
            return None;
        }
        self.seats.iter().position(|seat| seat.port() == frame.interface)
    }

    fn seat(&self, who: usize) -> &Seat {
        self.seats.get(who).unwrap_or_else(|| panic!("there is no router {who}"))
    }

    fn seat_mut(&mut self, who: usize) -> &mut Seat {
        self.seats.get_mut(who).unwrap_or_else(|| panic!("there is no router {who}"))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if guardian::is_keeping() {
            let directory = TempDir::new("captures");
            pcap::write(&directory.path().join("scene.pcap"), &self.capture.frames());
        }
    }
}
