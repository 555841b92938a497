//! Another configuration for a running engine: what did not change does not notice.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test's own tables")]

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ha_core::{
    Action, Actions, AdvertInterval, Cause, Config, Engine, Event, GroupConfig, Input,
    InstanceConfig, InstanceId, Instant, Notify, Priority, Received, Reload, State, Subject, Track,
    TrackerId, Transition, Verdict, Version, Vrid,
    wire::{Authentication, ChecksumScope, Template},
};

const ONE: InstanceId = InstanceId(0);
const TWO: InstanceId = InstanceId(1);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

/// An engine in virtual time.
struct Router {
    engine: Engine,
    config: Config,
    now: Instant,
}

fn instance(vrid: u8) -> InstanceConfig {
    InstanceConfig::new(Vrid::new(vrid).expect("not 0"))
}

fn config(instances: &[InstanceConfig]) -> Config {
    Config { instances: instances.to_vec(), ..Config::default() }
}

fn grouped(instances: &[InstanceConfig], members: &[InstanceId]) -> Config {
    Config { groups: vec![GroupConfig { members: members.to_vec() }], ..config(instances) }
}

fn ms(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

impl Router {
    /// All its instances are Backup at 0 ms.
    fn start(config: Config) -> Self {
        let mut router = Self { engine: Engine::new(config.clone()), config, now: ms(0) };
        router.feed(Input::Start);
        router.find_sources();
        router
    }

    fn find_sources(&mut self) {
        for (number, _) in (0..).zip(&self.config.instances.clone()) {
            let address = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
            self.feed(Input::Source { instance: InstanceId(number), address });
        }
    }

    fn feed(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut actions = Actions::default();
        self.engine.handle(self.now, input, &mut actions);
        actions.as_slice().to_vec()
    }

    fn run_until(&mut self, end: Instant) {
        while let Some(deadline) = self.engine.next_deadline().filter(|one| one.at <= end) {
            self.now = deadline.at;
            self.feed(Input::Deadline { heard: None });
        }
        self.now = end;
    }

    fn hear(&mut self, instance: InstanceId, priority: u8, interval: AdvertInterval) {
        let config = &self.config.instances[usize::try_from(instance.0).expect("small")];
        let (version, vrid) = (config.version, config.vrid);
        let template = Template {
            version,
            vrid,
            interval,
            addresses: vec![PEER],
            authentication: Authentication::None,
        };
        let message = template.encode(priority, ChecksumScope::Message);
        let received = Received { instance, at: self.now, source: PEER, message: &message };
        self.feed(Input::Advertisement(received));
    }

    fn reload(&mut self, reload: Reload) -> Vec<Action> {
        let mut actions = Actions::default();
        self.config = reload.config.clone();
        self.engine.reload(self.now, reload, &mut actions);
        actions.as_slice().to_vec()
    }

    fn reload_to(&mut self, config: Config) -> Vec<Action> {
        self.reload(Reload { config, ..Reload::default() })
    }

    fn state(&self, id: InstanceId) -> State {
        self.engine.instance(id).expect("known").state()
    }

    fn deadline(&self, id: InstanceId) -> Option<Instant> {
        self.engine.deadline(id)
    }
}

fn transition(instance: InstanceId, from: State, to: State, cause: Cause) -> Action {
    Action::Transition(Transition { instance, from, to, cause })
}

#[test]
fn who_did_not_change_does_not_notice() {
    let both = grouped(&[instance(1), instance(2)], &[ONE, TWO]);
    for (moment, state) in [(1000, State::Backup), (5000, State::Master)] {
        let mut router = Router::start(both.clone());
        router.run_until(ms(moment));
        assert_eq!(router.state(TWO), state);
        let before = format!("{:?}", router.engine);
        assert_eq!(router.reload_to(both.clone()), []);
        assert_eq!(format!("{:?}", router.engine), before);
    }
}

#[test]
fn a_learned_interval_and_the_deadline_stay() {
    let mut router = Router::start(config(&[instance(1)]));
    router.now = ms(500);
    router.hear(ONE, 200, AdvertInterval::from_secs(2).expect("2 s"));
    // 500 + 3 * 2000 + 156 / 256 * 2000.
    let due = Instant::from_nanos(7_718_750_000);
    assert_eq!(router.deadline(ONE), Some(due));
    router.now = ms(600);
    let mut other = instance(1);
    other.interval = AdvertInterval::from_secs(3).expect("3 s");
    assert_eq!(router.reload_to(config(&[other])), []);
    assert_eq!(router.deadline(ONE), Some(due));
}

#[test]
fn in_version_2_the_own_interval_is_the_master_s() {
    let mut two = instance(1);
    two.version = Version::V2;
    let mut router = Router::start(config(std::slice::from_ref(&two)));
    two.interval = AdvertInterval::from_secs(2).expect("2 s");
    router.now = ms(100);
    router.reload_to(config(&[two]));
    // 3 * 2 s instead of 3 * 1 s; the skew time does not depend on it.
    assert_eq!(router.deadline(ONE), Some(Instant::from_nanos(6_609_375_000)));
}

#[test]
fn another_priority_moves_the_deadline_by_the_skew_time() {
    let mut router = Router::start(config(&[instance(1)]));
    router.now = ms(1000);
    let mut other = instance(1);
    other.priority = Priority::new(164).expect("not 0");
    let actions = router.reload_to(config(&[other]));
    assert_eq!(actions, [Action::Priority { instance: ONE, from: 100, to: 164 }]);
    // 64 / 256 s earlier than 3609.375 ms.
    assert_eq!(router.deadline(ONE), Some(Instant::from_nanos(3_359_375_000)));
}

#[test]
fn a_master_advertises_by_its_new_interval_from_now_on() {
    let mut other = instance(1);
    let mut router = Router::start(config(std::slice::from_ref(&other)));
    router.run_until(ms(4000));
    let due = Instant::from_nanos(4_609_375_000);
    assert_eq!(router.deadline(ONE), Some(due));
    other.interval = AdvertInterval::from_secs(10).expect("10 s");
    assert_eq!(router.reload_to(config(std::slice::from_ref(&other))), []);
    assert_eq!(router.deadline(ONE), Some(due), "the peers wait by the old one until then");
    other.interval = AdvertInterval::from_centis(10).expect("100 ms");
    assert_eq!(router.reload_to(config(std::slice::from_ref(&other))), []);
    assert_eq!(router.deadline(ONE), Some(ms(4100)));
}

#[test]
fn other_addresses_are_set_and_announced_by_a_master_only() {
    let mut router = Router::start(config(&[instance(1)]));
    let reload =
        || Reload { config: config(&[instance(1)]), readdressed: vec![ONE], ..Reload::default() };
    assert_eq!(router.reload(reload()), []);
    router.run_until(ms(4000));
    let expected = [
        Action::Addresses { instance: ONE, present: true },
        Action::Announce { instance: ONE, repeat: 5 },
    ];
    assert_eq!(router.reload(reload()), expected);
}

#[test]
fn an_added_instance_starts_and_a_removed_one_says_goodbye_once() {
    let mut router = Router::start(config(&[instance(1)]));
    router.run_until(ms(4000));
    let due = router.deadline(ONE);
    let both = config(&[instance(1), instance(2)]);
    assert_eq!(router.reload_to(both.clone()), [], "nothing is known of its source yet");
    router.find_sources();
    assert_eq!((router.state(ONE), router.state(TWO)), (State::Master, State::Backup));
    assert_eq!(router.deadline(ONE), due);

    let told =
        |id, event| Action::Notify(Notify { subject: Subject::Instance(id), event, priority: 100 });
    let without = || Reload { config: both.clone(), retired: vec![ONE], ..Reload::default() };
    let expected = [
        Action::Advertise { instance: ONE, priority: 0 },
        Action::Addresses { instance: ONE, present: false },
        transition(ONE, State::Master, State::Init, Cause::Reload),
        told(ONE, Event::Deleted),
    ];
    let second = router.deadline(TWO);
    assert_eq!(router.reload(without()), expected);
    assert_eq!((router.state(ONE), router.deadline(ONE)), (State::Init, None));
    assert_eq!((router.state(TWO), router.deadline(TWO)), (State::Backup, second));
    assert_eq!(router.reload(without()), [], "it is gone already");
    let notified = |actions: &[Action]| {
        let notify = |action: &Action| matches!(action, Action::Notify(_));
        actions.iter().filter(|action| notify(action)).copied().collect::<Vec<_>>()
    };
    let mut ended = router.engine.clone();
    let mut actions = Actions::default();
    ended.handle(router.now, Input::Shutdown, &mut actions);
    assert_eq!(notified(actions.as_slice()), [told(TWO, Event::Stop)], "it has been told already");
    router.find_sources();
    assert_eq!(router.state(ONE), State::Init, "nobody has that number");
    router.reload_to(both);
    router.find_sources();
    assert_eq!(router.state(ONE), State::Backup, "the number is somebody's again");
}

#[test]
fn who_must_start_anew_does_so_alone_but_for_its_group() {
    let three = [instance(1), instance(2), instance(3)];
    let mut router = Router::start(grouped(&three, &[ONE, TWO]));
    router.run_until(ms(5000));
    let third = InstanceId(2);
    let due = router.deadline(third);
    let config = grouped(&three, &[ONE, TWO]);
    let restart = vec![ONE];
    let actions = router.reload(Reload { config, restart, ..Reload::default() });
    let goodbyes =
        actions.iter().filter(|one| matches!(one, Action::Advertise { priority: 0, .. }));
    assert_eq!(goodbyes.count(), 2);
    router.find_sources();
    assert_eq!(
        [ONE, TWO, third].map(|id| router.state(id)),
        [State::Backup, State::Backup, State::Master]
    );
    assert_eq!(router.deadline(third), due);
}

#[test]
fn a_group_with_another_member_starts_anew() {
    let three = [instance(1), instance(2), instance(3)];
    let mut router = Router::start(grouped(&three, &[ONE, TWO]));
    router.run_until(ms(5000));
    router.reload_to(grouped(&three, &[TWO, InstanceId(2)]));
    router.find_sources();
    // The one that left it too: it was to move with the others.
    let states = [ONE, TWO, InstanceId(2)].map(|id| router.state(id));
    assert_eq!(states, [State::Backup; 3]);
}

#[test]
fn an_owner_s_priority_is_a_new_start() {
    let mut router = Router::start(config(&[instance(1)]));
    router.now = ms(1000);
    let mut owner = instance(1);
    owner.priority = Priority::OWNER;
    router.reload_to(config(&[owner]));
    router.find_sources();
    assert_eq!(router.state(ONE), State::Master);
}

#[test]
fn a_new_tracker_is_waited_for_and_known_ones_stay_known() {
    let tracked = |numbers: &[u32]| {
        let mut one = instance(1);
        one.tracks = numbers
            .iter()
            .map(|&number| Track { tracker: TrackerId(number), weight: 0, reverse: false })
            .collect();
        let trackers = u32::try_from(numbers.len()).expect("small");
        Config { trackers, ..config(&[one]) }
    };
    let mut router = Router::start(tracked(&[0]));
    router.feed(Input::Tracker { tracker: TrackerId(0), verdict: Verdict::Up });
    assert_eq!(router.state(ONE), State::Backup);
    assert_eq!(router.reload_to(tracked(&[0, 1])), [], "nothing has failed");
    router.feed(Input::Tracker { tracker: TrackerId(1), verdict: Verdict::Down });
    assert_eq!(router.state(ONE), State::Fault);
    // The number stands for something else now, of which nothing is known: no reason for Fault,
    // and none to leave it.
    let config = tracked(&[0, 1]);
    let new_trackers = vec![TrackerId(1)];
    assert_eq!(router.reload(Reload { config, new_trackers, ..Reload::default() }), []);
    router.feed(Input::Tracker { tracker: TrackerId(1), verdict: Verdict::Up });
    assert_eq!(router.state(ONE), State::Backup);
    // What has been looked at before counts at once.
    let (config, new_trackers) = (tracked(&[0, 1]), vec![TrackerId(1)]);
    let known = vec![(TrackerId(1), Verdict::Down)];
    router.reload(Reload { config, new_trackers, known, ..Reload::default() });
    assert_eq!(router.state(ONE), State::Fault);
    router.feed(Input::Tracker { tracker: TrackerId(1), verdict: Verdict::Up });
    assert_eq!(router.state(ONE), State::Backup);
    // A tracker that is gone cannot fail any more.
    router.feed(Input::Tracker { tracker: TrackerId(1), verdict: Verdict::Down });
    router.reload_to(tracked(&[0]));
    assert_eq!(router.state(ONE), State::Backup);
}

#[test]
fn a_start_up_delay_goes_on() {
    let delayed = Config { startup_delay: Duration::from_secs(5), ..config(&[instance(1)]) };
    let mut router = Router::start(delayed);
    router.run_until(ms(3000));
    assert_eq!(router.deadline(TWO), None, "who is not there yet does not wait");
    router.reload_to(config(&[instance(1), instance(2)]));
    router.find_sources();
    router.run_until(ms(4999));
    assert_eq!((router.state(ONE), router.state(TWO)), (State::Init, State::Init));
    router.run_until(ms(5000));
    assert_eq!((router.state(ONE), router.state(TWO)), (State::Backup, State::Backup));
}

#[test]
fn another_plan_of_announcements_begins_now() {
    let mut one = instance(1);
    one.announce.delay = Duration::ZERO;
    let mut router = Router::start(config(std::slice::from_ref(&one)));
    router.run_until(ms(4000));
    one.interval = AdvertInterval::DEFAULT;
    one.announce.refresh = Duration::from_millis(100);
    assert_eq!(router.reload_to(config(&[one])), []);
    assert_eq!(router.engine.next_deadline().map(|next| next.at), Some(ms(4100)));
}
