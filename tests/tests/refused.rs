//! What an operator is told of frames that are not taken: for each reason who sends them and how many, a
//! line in ten seconds, however many come and from however many made-up addresses.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking, in its helpers too"
)]

use core::{net::Ipv4Addr, time::Duration};
use std::fs;

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    forge::{self, Cover, Layout},
    inject::Injector,
    pair::{Pair, SEGMENTS, Side},
    process::{Program, describe},
    require,
    rules::send_from,
    vectors, wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
const VICTIM: Side = Side::A;
const SENDER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);
/// As `ha_common::abi::SENDERS_MAX`.
const NAMED_MAX: usize = 8;

/// One of our daemons, and a neighbour that sends what it likes.
struct Scene {
    pair: Pair,
    injector: Injector,
    start: Stamp,
}

/// A line of the log: `bond0: 7 frames from SENDER not taken in the last 10 s: REASON`.
#[derive(Debug)]
struct Line {
    frames: u64,
    sender: String,
}

impl Scene {
    fn new(dialect: Dialect, mode: &str) -> Option<Self> {
        if !require::require_daemon() {
            return None;
        }
        let mut pair = Pair::new();
        let text = config::instance(dialect, VICTIM, 150, "");
        pair.node_mut(VICTIM).start(Program::Daemon, &text, &["--xdp", mode]);
        let holds = || pair.node(VICTIM).addresses_held() == [2, 0];
        assert!(wait::holds_within(SOON, holds), "no Master{}", pair.logs());
        let injector = Injector::new(pair.client(), INTERFACE);
        Some(Self { pair, injector, start: Stamp::now() })
    }

    fn counter(&mut self, reason: &str) -> u64 {
        self.pair.node_mut(VICTIM).router().status().counter(INTERFACE, reason)
    }

    /// Waits until so many frames are counted under `reason`.
    fn await_counter(&mut self, reason: &str, frames: u64) {
        let mut last = 0;
        let is_counted = wait::holds_within(SOON, || {
            last = self.counter(reason);
            last >= frames
        });
        assert!(is_counted, "{reason}: {last} of {frames}{}", self.pair.logs());
    }

    /// What was told so far of frames that were not taken for the reason `words`.
    fn told(&self, words: &str) -> Vec<Line> {
        let parse = |line: &str| {
            let (_, line) = line.split_once("bond0: ")?;
            let (line, reason) = line.split_once(" not taken in the last 10 s: ")?;
            let (frames, sender) = line.split_once(" from ")?;
            let frames = frames.split_once(" frame")?.0.parse().ok()?;
            reason.starts_with(words).then(|| Line { frames, sender: sender.to_owned() })
        };
        self.pair.node(VICTIM).log().lines().filter_map(parse).collect()
    }

    fn await_told(&self, words: &str) {
        let is_told = wait::holds_within(SOON, || !self.told(words).is_empty());
        assert!(is_told, "{words}{}", self.pair.logs());
    }

    /// What is told when the daemon has ended, and how often at most the same could be.
    fn stop(&mut self, words: &str) -> (Vec<Line>, u64) {
        let status = self.pair.node_mut(VICTIM).router().stop();
        assert!(status.success(), "{}{}", describe(status), self.pair.logs());
        // At once, every ten seconds, and at the end.
        let most = 2 + Stamp::now().since(self.start).as_secs() / 10;
        (self.told(words), most)
    }
}

/// A captured advertisement from [`SENDER`] to the victim.
fn frame(vector: &str, cover: Cover, change: impl FnOnce(&mut Vec<u8>, Layout)) -> Vec<u8> {
    let [segment, _] = SEGMENTS;
    forge::changed(&vectors::load(vector).frame, cover, |frame, layout| {
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 1, 20]);
        send_from(frame, layout, &SENDER.octets());
        if vector.contains("unicast") {
            frame[..6].copy_from_slice(&[2, 0, 0, 0, 1, VICTIM.number()]);
            let (at, len) = layout.destination();
            frame[at..at + len].copy_from_slice(&segment.host(VICTIM.number()).octets());
        }
        change(frame, layout);
    })
}

fn of_another_router(source: Ipv4Addr, vrid: Option<u8>) -> Vec<u8> {
    frame("v3-ipv4-multicast", Cover::PseudoHeader, |frame, layout| {
        send_from(frame, layout, &source.octets());
        match vrid {
            Some(vrid) => frame[layout.message + 1] = vrid,
            None => frame[layout.ttl()] = 254,
        }
    })
}

/// Whoever sends with another password is named, with all that it has sent.
fn names_who_has_another_password(mode: &str) {
    let Some(mut scene) = Scene::new(Dialect::V2Unicast, mode) else { return };
    let [segment, _] = SEGMENTS;
    let frame = frame("v2-pass-unicast", Cover::Message, |frame, layout| {
        frame[layout.end - 1] ^= 1;
    });
    let reason = "a wrong password";
    scene.injector.send(&frame);
    scene.await_told(reason);
    for count in 2..=50 {
        scene.injector.send(&frame);
        if count % 10 == 0 {
            // In several turns of the engine thread.
            scene.await_counter("password", count);
        }
    }
    let (told, most) = scene.stop(reason);
    let expected = format!("{SENDER} for VRID {}", segment.vrid);
    assert!(told.iter().all(|line| line.sender == expected), "{told:?}");
    assert_eq!(told.iter().map(|line| line.frames).sum::<u64>(), 50, "{told:?}");
    let lines = u64::try_from(told.len()).expect("a count");
    assert!((2..=most).contains(&lines), "{told:?}");
}

#[test]
fn who_has_another_password_is_named_with_native_xdp() {
    names_who_has_another_password("native");
}

#[test]
fn who_has_another_password_is_named_with_generic_xdp() {
    names_who_has_another_password("generic");
}

#[test]
fn who_has_another_password_is_named_without_xdp() {
    names_who_has_another_password("off");
}

/// A flood from made-up addresses is a few lines, and none of it goes untold.
fn a_flood_is_told_in_a_few_lines(mode: &str) {
    /// Each fits what a packet socket holds; all together come in less than ten seconds.
    const ROUNDS: u64 = 4;
    let Some(mut scene) = Scene::new(Dialect::V3Multicast, mode) else { return };
    let reason = "its TTL";
    // Told at once, so that what comes now is told together.
    scene.injector.send(&of_another_router(SENDER, None));
    scene.await_told(reason);
    let frames: Vec<Vec<u8>> =
        (0..=255).map(|last| of_another_router(Ipv4Addr::new(203, 0, 113, last), None)).collect();
    for round in 1..=ROUNDS {
        for frame in &frames {
            scene.injector.send(frame);
        }
        scene.await_counter("ttl", 1 + 256 * round);
    }
    let counted = scene.counter("ttl");
    let (told, most) = scene.stop(reason);
    assert_eq!(told.iter().map(|line| line.frames).sum::<u64>(), counted, "{told:?}");
    let most = usize::try_from(most).expect("a small number") * (NAMED_MAX + 1);
    assert!(told.len() <= most, "{} lines: {told:?}", told.len());
    let others = told.iter().filter(|line| line.sender == "other senders");
    assert!(others.map(|line| line.frames).sum::<u64>() > counted / 2, "{told:?}");
}

#[test]
fn a_flood_is_told_in_a_few_lines_with_xdp() {
    a_flood_is_told_in_a_few_lines("native");
}

#[test]
fn a_flood_is_told_in_a_few_lines_without_xdp() {
    a_flood_is_told_in_a_few_lines("off");
}

/// keepalived's `log_unknown_vrids`, which a reload may add.
fn unknown_vrids_are_told_on_request(mode: &str) {
    let Some(mut scene) = Scene::new(Dialect::V3Multicast, mode) else { return };
    let frame = of_another_router(SENDER, Some(134));
    let (reason, counter) = ("no such virtual router", "unknown-vrid");
    scene.injector.send(&frame);
    scene.await_counter(counter, 1);
    // Behind it, something that is told.
    scene.injector.send(&of_another_router(SENDER, None));
    scene.await_told("its TTL");
    assert!(scene.told(reason).is_empty(), "{}", scene.pair.logs());

    let router = scene.pair.node_mut(VICTIM).router();
    let path = router.directory().path().join("keepalived.conf");
    let text = fs::read_to_string(&path).expect("the configuration");
    router
        .directory()
        .write("keepalived.conf", &format!("global_defs {{\n    log_unknown_vrids\n}}\n{text}"));
    router.process().signal(Signal::SIGHUP);
    let is_read = || scene.pair.node(VICTIM).log().contains("read again");
    assert!(wait::holds_within(SOON, is_read), "{}", scene.pair.logs());
    scene.injector.send(&frame);
    scene.await_counter(counter, 2);
    let (told, _) = scene.stop(reason);
    let expected = format!("{SENDER} for VRID 134");
    assert!(told.iter().all(|line| line.sender == expected), "{told:?}");
    assert!(told.iter().map(|line| line.frames).sum::<u64>() >= 1, "{told:?}");
}

#[test]
fn unknown_vrids_are_told_on_request_with_xdp() {
    unknown_vrids_are_told_on_request("native");
}

#[test]
fn unknown_vrids_are_told_on_request_without_xdp() {
    unknown_vrids_are_told_on_request("off");
}

/// A daemon that stands still loses frames that a packet socket has no room for, and counts those too.
#[test]
fn no_frame_is_lost_in_silence_without_xdp() {
    /// More than a packet socket holds.
    const FRAMES: u64 = 6_000;
    let Some(mut scene) = Scene::new(Dialect::V3Multicast, "off") else { return };
    let before = scene.counter("ttl");
    scene.pair.node_mut(VICTIM).router().process().signal(Signal::SIGSTOP);
    let frame = of_another_router(SENDER, None);
    for _ in 0..FRAMES {
        scene.injector.send(&frame);
    }
    scene.pair.node_mut(VICTIM).router().process().signal(Signal::SIGCONT);
    let counted = wait::holds_within(SOON, || {
        scene.counter("ttl") - before + scene.counter("unread") == FRAMES
    });
    assert!(counted, "{} read, {} not", scene.counter("ttl") - before, scene.counter("unread"));
    assert!(scene.counter("unread") > 0, "all had room");
}
