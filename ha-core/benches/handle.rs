//! What one step of the engine costs, with few and with many virtual routers: `cargo bench -p ha-core`.
//! It asserts no times, which are the machine's; what a step decides is the tests'.

#![expect(clippy::expect_used, reason = "a bench of an engine that is not there must not run")]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ha_core::{Actions, Engine, Family, Input, InstanceId, Instant, Received, State, Version};

const DIALECT: (Version, Family) = (Version::V3, Family::V4);
const COUNTS: [u32; 3] = [1, 100, 4000];
const TICK: Duration = Duration::from_micros(1);

fn engine(count: u32) -> Engine {
    fixture::engine(DIALECT, count, Vec::new())
}

/// Everything that is due at `now`; each takeover is decided without a younger stamp.
fn fire(engine: &mut Engine, now: Instant, actions: &mut Actions) {
    while engine.next_deadline().is_some_and(|deadline| deadline.at <= now) {
        engine.handle(now, Input::Deadline { heard: None }, actions);
    }
}

/// The last of the first deadlines: all started together, and none waits longer than another.
fn take_over(engine: &mut Engine, actions: &mut Actions) {
    let deadline = engine.next_deadline().expect("a Backup has one");
    fire(engine, deadline.at, actions);
}

fn hear(engine: &mut Engine, at: Instant, number: u32, message: &[u8], actions: &mut Actions) {
    let (instance, source) = (InstanceId(number), fixture::sender(DIALECT.1, 12));
    let received = Received { instance, at, source, message };
    engine.handle(at, Input::Advertisement(received), actions);
}

fn unchanged_advertisement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unchanged advertisement");
    group.throughput(Throughput::Elements(1));
    for count in COUNTS {
        let mut engine = engine(count);
        let messages: Vec<_> =
            (0..count).map(|number| fixture::message(DIALECT, number, 200)).collect();
        let mut actions = Actions::default();
        // The first one of each is news.
        for (number, message) in (0..).zip(&messages) {
            hear(&mut engine, fixture::START, number, message, &mut actions);
        }
        actions.clear();
        let mut heard = (0..count).zip(&messages).cycle();
        let mut at = fixture::START;
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                at = at + TICK;
                if let Some((number, message)) = heard.next() {
                    hear(&mut engine, at, number, message, &mut actions);
                }
            });
        });
        assert_eq!(actions.as_slice(), [], "nothing was new");
    }
    group.finish();
}

fn due_advertisement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("due advertisement");
    group.throughput(Throughput::Elements(1));
    for count in COUNTS {
        let mut engine = engine(count);
        let mut actions = Actions::default();
        take_over(&mut engine, &mut actions);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                actions.clear();
                if let Some(deadline) = engine.next_deadline() {
                    engine.handle(deadline.at, Input::Deadline { heard: None }, &mut actions);
                }
            });
        });
        assert_eq!(actions.as_slice().len(), 1, "one was due");
    }
    group.finish();
}

fn takeover_of_all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("takeover of all");
    for count in COUNTS {
        group.throughput(Throughput::Elements(u64::from(count)));
        let backups = engine(count);
        let mut actions = Actions::default();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched_ref(
                || backups.clone(),
                |engine| {
                    actions.clear();
                    take_over(engine, &mut actions);
                },
                BatchSize::LargeInput,
            );
        });
        let mut masters = backups;
        take_over(&mut masters, &mut actions);
        let last = masters.instance(InstanceId(count - 1)).expect("configured");
        assert_eq!(last.state(), State::Master);
    }
    group.finish();
}

criterion_group!(benches, unchanged_advertisement, due_advertisement, takeover_of_all);
criterion_main!(benches);
