//! What happens all the time must not wait for the allocator: an advertisement that says nothing new,
//! a due one, an answer, a refused frame. Takeovers may allocate, and a reload, in proportion.

#![expect(clippy::expect_used, reason = "a test reports by panicking")]

mod fixture;

use std::{hint::black_box, time::Duration};

use allocation_counter::measure;
use ha_core::{
    Action, Actions, Config, Engine, Family, GroupConfig, Input, InstanceId, Instant, Received,
    Reload, State, Version,
};

const DIALECTS: [(Version, Family); 3] =
    [(Version::V2, Family::V4), (Version::V3, Family::V4), (Version::V3, Family::V6)];
const INTERVAL: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 100;
/// One by itself and a sync group of two.
const INSTANCES: [InstanceId; 3] = [InstanceId(0), InstanceId(1), InstanceId(2)];

fn engine(dialect: (Version, Family)) -> Engine {
    fixture::engine(dialect, 3, vec![GroupConfig { members: INSTANCES[1..].to_vec() }])
}

/// Each interval one advertisement for each instance, and before it whatever is due; all of that twice:
/// the first time, the actions may grow to the size that the caller keeps.
fn check(
    engine: &mut Engine,
    from: Instant,
    dialect: (Version, Family),
    messages: &[Vec<u8>; 3],
) -> Actions {
    let source = fixture::sender(dialect.1, 12);
    let mut actions = Actions::default();
    let mut at = from;
    let mut rounds = |actions: &mut Actions| {
        actions.clear();
        for _ in 0..ROUNDS {
            at = at + INTERVAL;
            while let Some(deadline) = engine.next_deadline().filter(|due| due.at <= at) {
                engine.handle(deadline.at, Input::Deadline { heard: None }, actions);
            }
            for (instance, message) in INSTANCES.into_iter().zip(messages) {
                let received = Received { instance, at, source, message };
                engine.handle(at, Input::Advertisement(received), actions);
            }
        }
    };
    rounds(&mut actions);
    let counted = measure(|| rounds(&mut actions));
    assert_eq!(counted.count_total, 0, "allocations, {dialect:?}");
    actions
}

fn messages(dialect: (Version, Family), priority: u8) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|number| fixture::message(dialect, number, priority))
}

fn states(engine: &Engine) -> [State; 3] {
    INSTANCES.map(|id| engine.instance(id).expect("configured").state())
}

fn count(actions: &Actions, kind: impl Fn(&Action) -> bool) -> usize {
    actions.as_slice().iter().filter(|action| kind(action)).count()
}

#[test]
fn a_backup_hears_its_master() {
    for dialect in DIALECTS {
        let mut engine = engine(dialect);
        let actions = check(&mut engine, fixture::START, dialect, &messages(dialect, 200));
        assert_eq!(actions.as_slice(), []);
        assert_eq!(states(&engine), [State::Backup; 3]);
        for id in INSTANCES {
            let statistics = engine.instance(id).expect("configured").statistics();
            assert_eq!(statistics.adverts_received, u64::from(2 * ROUNDS));
        }
    }
}

#[test]
fn a_master_advertises_and_answers_a_lesser_one() {
    for dialect in DIALECTS {
        let mut engine = engine(dialect);
        let mut at = fixture::START;
        let mut takeover = Actions::default();
        while let Some(deadline) = engine.next_deadline().filter(|due| due.takeover.is_some()) {
            at = deadline.at;
            engine.handle(at, Input::Deadline { heard: None }, &mut takeover);
        }
        assert_eq!(states(&engine), [State::Master; 3]);
        let actions = check(&mut engine, at, dialect, &messages(dialect, 50));
        assert_eq!(states(&engine), [State::Master; 3]);
        let advertises = |action: &Action| matches!(action, Action::Advertise { .. });
        let announces = |action: &Action| matches!(action, Action::Announce { .. });
        // One due and one in answer, in each of the rounds.
        let expected = usize::try_from(2 * 3 * ROUNDS).expect("small");
        assert_eq!(count(&actions, advertises), expected);
        assert!(count(&actions, announces) >= expected / 2);
    }
}

#[test]
fn a_frame_is_refused() {
    for dialect in DIALECTS {
        let mut engine = engine(dialect);
        let mut messages = messages(dialect, 200);
        messages.rotate_left(1);
        let actions = check(&mut engine, fixture::START, dialect, &messages);
        let refused = |action: &Action| matches!(action, Action::Rejected { .. });
        assert_eq!(count(&actions, refused), usize::try_from(3 * ROUNDS).expect("small"));
    }
}

/// What a reload takes by which a sync group of `count` loses its first member.
fn reload_bytes(count: u32) -> u64 {
    let dialect @ (version, family) = DIALECTS[0];
    let group = |first| vec![GroupConfig { members: (first..count).map(InstanceId).collect() }];
    let mut engine = fixture::engine(dialect, count, group(0));
    let instances = (0..count).map(|number| fixture::instance(version, family, number)).collect();
    let config = Config { instances, groups: group(1), ..Config::default() };
    let reload = Reload { config, retired: vec![InstanceId(0)], ..Reload::default() };
    let mut actions = Actions::default();
    measure(|| engine.reload(fixture::START, reload, &mut actions)).bytes_max
}

#[test]
fn a_reload_of_a_large_group_takes_memory_in_proportion() {
    // In proportion it is twice as much, with the square four times.
    let (some, twice) = (reload_bytes(2000), reload_bytes(4000));
    assert!(twice < 3 * some, "{some} bytes, then {twice}");
}

#[test]
fn the_counter_sees_an_allocation() {
    let counted = measure(|| drop(black_box(Vec::<u8>::with_capacity(black_box(1)))));
    assert_eq!(counted.count_total, 1);
}
