//! What a Backup expects to hear again, and when it expects nothing. That it makes no difference
//! whether such frames are read is the simulation's to show.

#![expect(clippy::expect_used, reason = "a test reports by panicking")]

mod fixture;

use std::{net::IpAddr, time::Duration};

use ha_common::abi::{Content, octets};
use ha_core::{
    Actions, Config, Engine, Family, GroupConfig, Input, InstanceConfig, InstanceId, Instant,
    Priority, Received, Reload, State, Track, TrackerId, Verdict, Version, Vrid,
};

use fixture::{START, message, sender};

const DIALECT: (Version, Family) = (Version::V3, Family::V4);
const ID: InstanceId = InstanceId(0);
const INTERVAL: Duration = Duration::from_secs(1);

/// An engine, its time, and the Master's host.
struct Scene {
    engine: Engine,
    now: Instant,
    master: IpAddr,
}

impl Scene {
    /// Two instances in Backup that have heard a Master of priority 200.
    fn new(groups: Vec<GroupConfig>) -> Self {
        let engine = fixture::engine(DIALECT, 2, groups);
        Self { engine, now: START, master: sender(Family::V4, 12) }.hearing()
    }

    /// One of this configuration that has heard the same.
    fn of(config: impl FnOnce(&mut InstanceConfig)) -> Self {
        let mut instance = InstanceConfig::new(Vrid::new(1).expect("not 0"));
        config(&mut instance);
        let tracks = instance.tracks.len();
        let trackers = u32::try_from(tracks).expect("few");
        let engine =
            Engine::new(Config { instances: vec![instance], trackers, ..Config::default() });
        let mut scene = Self { engine, now: START, master: sender(Family::V4, 12) };
        let address = Some(sender(Family::V4, 11));
        for tracker in (0..trackers).map(TrackerId) {
            scene.handle(Input::Tracker { tracker, verdict: Verdict::Up });
        }
        scene.handle(Input::Source { instance: ID, address });
        scene.handle(Input::Start);
        scene.hearing()
    }

    fn hearing(mut self) -> Self {
        for id in [ID, InstanceId(1)] {
            self.hear(id, self.master, 200);
        }
        self
    }

    fn handle(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input, &mut Actions::default());
    }

    /// A frame comes, an interval after the one before.
    fn hear(&mut self, instance: InstanceId, source: IpAddr, priority: u8) {
        self.now = self.now + INTERVAL;
        let message = message(DIALECT, instance.0, priority);
        let received = Received { instance, at: self.now, source, message: &message };
        self.handle(Input::Advertisement(received));
    }

    /// The next deadline is there, and `late` more.
    fn fire(&mut self, late: Duration, heard: Option<Instant>) {
        let deadline = self.engine.next_deadline().expect("a timer");
        self.now = deadline.at + late;
        self.handle(Input::Deadline { heard });
    }

    fn expects(&self) -> bool {
        self.engine.expectation(ID).is_some()
    }

    fn state(&self) -> State {
        self.engine.instance(ID).expect("configured").state()
    }
}

#[test]
fn it_is_what_the_master_said_last() {
    let mut scene = Scene::new(Vec::new());
    for (host, priority) in [(12, 200), (12, 201), (13, 201), (13, 100)] {
        let source = sender(Family::V4, host);
        scene.hear(ID, source, priority);
        let expected = scene.engine.expectation(ID).expect("a Master is heard");
        let content = Content::of(octets(source), &message(DIALECT, 0, priority));
        assert_eq!((Some(expected.content), expected.seen), (content, scene.now));
    }
}

#[test]
fn nothing_is_expected_before_a_master_is_heard_and_of_nobody() {
    let engine = fixture::engine(DIALECT, 1, Vec::new());
    assert_eq!(engine.expectation(ID), None);
    assert_eq!(engine.expectation(InstanceId(7)), None);
}

/// A situation in which the next frame does more than to put the deadline off, and how it ends.
fn check(name: &str, mut scene: Scene, change: impl FnOnce(&mut Scene), returns: bool) {
    assert!(scene.expects(), "{name}: before");
    change(&mut scene);
    assert!(!scene.expects(), "{name}: {:?}", scene.state());
    scene.hear(ID, scene.master, 200);
    assert_eq!(scene.expects(), returns, "{name}: after the next frame");
}

#[test]
fn a_stop_and_a_lesser_master_are_not_to_be_missed() {
    check("stop", Scene::new(Vec::new()), |scene| scene.hear(ID, scene.master, 0), true);
    check("lesser", Scene::new(Vec::new()), |scene| scene.hear(ID, scene.master, 99), true);
    let delayed = Scene::of(|config| config.preempt_delay = Duration::from_mins(1));
    check("tolerated", delayed, |scene| scene.hear(ID, scene.master, 99), true);
    let mut scene = Scene::of(|config| config.preempt = false);
    scene.hear(ID, scene.master, 99);
    assert!(scene.expects(), "a lesser one that stays is a Master as any other");
}

#[test]
fn who_is_late_or_waits_for_others_or_for_the_ring_has_to_see_the_next_frame() {
    let late = |scene: &mut Scene| {
        scene.fire(INTERVAL * 2, None);
        assert!(scene.engine.instance(ID).expect("configured").is_listening());
    };
    check("listening", Scene::of(|_| {}), late, true);
    let unseen = |scene: &mut Scene| {
        let at = scene.engine.next_deadline().expect("a timer").at;
        scene.fire(Duration::ZERO, Some(at - INTERVAL));
        assert_eq!(scene.state(), State::Backup);
    };
    check("unseen stamp", Scene::of(|_| {}), unseen, true);
    let group = vec![GroupConfig { members: vec![ID, InstanceId(1)] }];
    let waits = |scene: &mut Scene| {
        scene.hear(InstanceId(1), scene.master, 200);
        scene.hear(InstanceId(1), scene.master, 200);
        scene.fire(Duration::ZERO, None);
        assert_eq!(scene.state(), State::Backup);
    };
    check("waits for its group", Scene::new(group), waits, true);
}

#[test]
fn a_priority_above_the_master_s_preempts() {
    let scene = Scene::of(|config| {
        config.priority = Priority::new(150).expect("not 0");
        config.tracks = vec![Track { tracker: TrackerId(0), weight: -100, reverse: true }];
    });
    let fails = |scene: &mut Scene| {
        scene.handle(Input::Tracker { tracker: TrackerId(0), verdict: Verdict::Down });
    };
    check("weight", scene, fails, false);
}

#[test]
fn another_state_expects_nothing() {
    let takes_over = |scene: &mut Scene| {
        scene.fire(Duration::ZERO, None);
        assert_eq!(scene.state(), State::Master);
    };
    // What made it yield is not what it heard as a Backup.
    check("Master", Scene::of(|_| {}), takes_over, false);
    let fails = |scene: &mut Scene| {
        scene.handle(Input::AddressesUsable { instance: ID, usable: false });
        assert_eq!(scene.state(), State::Fault);
    };
    check("Fault", Scene::of(|_| {}), fails, false);
    let returns = |scene: &mut Scene| {
        fails(scene);
        scene.handle(Input::AddressesUsable { instance: ID, usable: true });
        assert_eq!(scene.state(), State::Backup);
    };
    check("Fault and back", Scene::of(|_| {}), returns, true);
}

#[test]
fn a_master_with_our_own_address_is_refused() {
    let becomes_own = |scene: &mut Scene| {
        let address = Some(scene.master);
        scene.handle(Input::Source { instance: ID, address });
    };
    check("own source", Scene::of(|_| {}), becomes_own, false);
}

#[test]
fn another_configuration_has_to_see_it_once() {
    let reloads = |scene: &mut Scene| {
        let instances = vec![InstanceConfig::new(Vrid::new(1).expect("not 0"))];
        let reload =
            Reload { config: Config { instances, ..Config::default() }, ..Reload::default() };
        scene.engine.reload(scene.now, reload, &mut Actions::default());
        assert_eq!(scene.state(), State::Backup);
    };
    check("reload", Scene::of(|_| {}), reloads, true);
}

/// An old frame that is read after a younger one has shown something to the operator.
#[test]
fn a_frame_read_too_late_ends_it() {
    let read_late = |scene: &mut Scene| {
        let message = message(DIALECT, 0, 199);
        let at = scene.now - INTERVAL * 2;
        let received = Received { instance: ID, at, source: scene.master, message: &message };
        scene.handle(Input::Advertisement(received));
    };
    check("late", Scene::of(|_| {}), read_late, true);
}

#[test]
fn who_may_expect_something_else_is_told_of_once() {
    let mut scene = Scene::new(Vec::new());
    let touched = |engine: &mut Engine| {
        let mut touched: Vec<InstanceId> = std::iter::from_fn(|| engine.next_touched()).collect();
        touched.sort_unstable_by_key(|id| id.0);
        touched
    };
    assert_eq!(touched(&mut scene.engine), [ID, InstanceId(1)]);
    assert_eq!(touched(&mut scene.engine), []);
    scene.hear(InstanceId(1), scene.master, 200);
    scene.hear(InstanceId(1), scene.master, 200);
    assert_eq!(touched(&mut scene.engine), [InstanceId(1)]);
}

#[test]
fn what_was_heard_counts_as_handled_and_is_told_apart() {
    let mut scene = Scene::new(Vec::new());
    let deadline = scene.engine.deadline(ID).expect("a timer");
    let before = *scene.engine.instance(ID).expect("configured").statistics();
    scene.now = scene.now + INTERVAL * 3;
    let at = scene.now - INTERVAL / 2;
    scene.handle(Input::Heard { instance: ID, at, count: 3 });
    let instance = scene.engine.instance(ID).expect("configured");
    assert_eq!(instance.heard(), Some(at));
    // 3 intervals and (256 - 100) / 256 of one, from when it came (RFC 9568 §6.1).
    let down = Duration::from_micros(3_609_375);
    assert_eq!(scene.engine.deadline(ID), Some(at + down));
    assert!(scene.engine.deadline(ID) > Some(deadline));
    let now = instance.statistics();
    assert_eq!(now.adverts_received, before.adverts_received + 3);
    assert_eq!((before.adverts_absorbed, now.adverts_absorbed), (0, 3));
}

/// Of the senders that are remembered, the one heard longest ago is forgotten.
#[test]
fn who_is_heard_again_is_not_forgotten() {
    let mut scene = Scene::of(|_| {});
    for host in 101..=115 {
        scene.hear(ID, sender(Family::V4, host), 200);
    }
    scene.hear(ID, scene.master, 200);
    for host in 101..=115 {
        scene.hear(ID, sender(Family::V4, host), 99);
    }
    scene.handle(Input::Heard { instance: ID, at: scene.now, count: 1 });
    scene.hear(ID, sender(Family::V4, 116), 99);
    let message = message(DIALECT, 0, 200);
    let received =
        Received { instance: ID, at: scene.now, source: scene.master, message: &message };
    let mut actions = Actions::default();
    scene.engine.handle(scene.now, Input::Advertisement(received), &mut actions);
    assert_eq!(actions.as_slice(), [], "the Master is known");
}

/// A stamp of the future must not put a takeover off for as long as it likes.
#[test]
fn a_stamp_of_the_future_counts_as_now() {
    let mut scene = Scene::new(Vec::new());
    scene.handle(Input::Heard { instance: ID, at: scene.now + INTERVAL * 60, count: 1 });
    assert_eq!(scene.engine.instance(ID).and_then(ha_core::Instance::heard), Some(scene.now));
}

#[test]
fn deadlines_are_found_by_when_they_come() {
    let scene = Scene::new(Vec::new());
    let deadlines = [ID, InstanceId(1)].map(|id| scene.engine.deadline(id).expect("a timer"));
    let [first, second] = deadlines;
    assert!(first < second);
    for (end, expected) in
        [(first - Duration::from_nanos(1), &[][..]), (first, &[ID]), (second, &[ID, InstanceId(1)])]
    {
        let mut found = Vec::new();
        scene.engine.takeovers_until(end, &mut found);
        assert_eq!(found, expected);
    }
}
