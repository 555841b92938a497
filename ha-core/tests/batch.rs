//! Masters whose advertisements are due within a millisecond send them together, early and never
//! late.
#![expect(clippy::expect_used, reason = "a test's own tables")]

use std::net::{IpAddr, Ipv4Addr};

use ha_core::{
    Action, Actions, AdvertInterval, Config, Engine, Input, InstanceConfig, InstanceId, Instant,
    Version, Vrid,
};

/// Microseconds after the first one at which each becomes Backup, and so Master.
const STAGGER: [u64; 5] = [0, 400, 1000, 1001, 1900];
const INTERVAL_US: u64 = 100_000;

fn us(us: u64) -> Instant {
    Instant::from_nanos(us * 1_000)
}

/// Who advertises at a wake-up.
fn turn(engine: &mut Engine, now: Instant) -> Vec<u32> {
    let mut actions = Actions::default();
    engine.handle(now, Input::Deadline { heard: None }, &mut actions);
    let advertised = actions.as_slice().iter().filter_map(|action| {
        if let Action::Advertise { instance, .. } = action { Some(instance.0) } else { None }
    });
    advertised.collect()
}

/// All are Master and have advertised once, as far apart as they were started.
fn masters() -> Engine {
    let instance = |number| InstanceConfig {
        version: Version::V3,
        interval: AdvertInterval::from_centis(10).expect("a tenth of a second"),
        ..InstanceConfig::new(Vrid::new(number).expect("not 0"))
    };
    let instances: Vec<_> = (1..).take(STAGGER.len()).map(instance).collect();
    let mut engine = Engine::new(Config { instances, ..Config::default() });
    let mut actions = Actions::default();
    engine.handle(us(0), Input::Start, &mut actions);
    for (number, at) in (0..).zip(STAGGER) {
        let address = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let input = Input::Source { instance: InstanceId(number), address };
        engine.handle(us(at), input, &mut actions);
    }
    for number in (0..).take(STAGGER.len()) {
        let next = engine.next_deadline().expect("a Backup's");
        assert_eq!(next.takeover, Some(InstanceId(number)));
        // A takeover is never early.
        assert_eq!(turn(&mut engine, next.at), [number]);
    }
    engine
}

fn next(engine: &Engine) -> Instant {
    engine.next_deadline().expect("a Master's").at
}

#[test]
fn those_within_a_millisecond_go_together_and_stay_together() {
    let mut engine = masters();
    let first = next(&engine);
    for round in 0..3 {
        let at = Instant::from_nanos(first.as_nanos() + round * INTERVAL_US * 1_000);
        assert_eq!(next(&engine), at, "the first one's period does not drift");
        assert_eq!(turn(&mut engine, at), [0, 1, 2]);
        // The fourth is a microsecond beyond, and takes the fifth along.
        let later = Instant::from_nanos(at.as_nanos() + 1_001_000);
        assert_eq!(next(&engine), later);
        assert_eq!(turn(&mut engine, later), [3, 4]);
    }
}

#[test]
fn a_late_turn_does_not_move_the_period() {
    let mut engine = masters();
    let first = next(&engine);
    let late = Instant::from_nanos(first.as_nanos() + 20_000_000);
    assert_eq!(turn(&mut engine, late), [0, 1, 2]);
    assert_eq!(turn(&mut engine, late), [3, 4]);
    assert_eq!(next(&engine).as_nanos(), first.as_nanos() + INTERVAL_US * 1_000);
    assert_eq!(engine.instance(InstanceId(2)).expect("known").statistics().late, 0);
}
