//! Thousands of small networks in virtual time, real engines in them, and faults drawn from a seed.
//!
//! A broken rule prints its seed; `HA_SIM_SEED=N cargo test -p ha-core --test sim -- --nocapture one`
//! runs that seed alone and tells its story. `HA_SIM_COUNT=N` runs so many seeds.

#![expect(
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a simulation's own tables; a failing seed is to be told"
)]

mod prng;

mod plan;
mod world;

mod router;

mod checker;

use std::{env, thread};

use crate::{
    plan::Plan,
    router::Sabotage,
    world::{Summary, World},
};

/// Seeds in an ordinary test run: some seconds, unoptimized, on two cores.
const SEEDS: u64 = 2_000;

#[test]
fn many_seeds_hold() {
    let count = number("HA_SIM_COUNT").unwrap_or(SEEDS);
    let half = |first: u64| move || (first..count).step_by(2).map(check).collect::<Vec<_>>();
    let other = thread::spawn(half(1));
    let mut summaries = half(0)();
    summaries.extend(other.join().expect("its panic has been printed"));
    // A simulation in which nothing happens proves nothing.
    let transitions: u64 = summaries.iter().map(|summary| summary.transitions).sum();
    let steps: u64 = summaries.iter().map(|summary| summary.steps).sum();
    println!("{count} seeds, {steps} steps, {transitions} transitions");
    assert!(transitions > count * 5, "{transitions} transitions in {count} runs");
}

#[test]
fn one_seed_tells_its_story() {
    let Some(seed) = number("HA_SIM_SEED") else { return };
    println!("{:#?}", Plan::draw(seed));
    let (summary, violation) = World::run(seed, Sabotage::None, true);
    println!("{}", summary.log);
    if let Some(violation) = violation {
        panic!("seed {seed}: {violation}");
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in 0..50 {
        let (first, _) = World::run(seed, Sabotage::None, true);
        let (second, _) = World::run(seed, Sabotage::None, true);
        assert_eq!(first.log, second.log, "seed {seed}");
        assert!(!first.log.is_empty());
        // The comparison can fail: another seed is another story.
        let (other, _) = World::run(seed + 1, Sabotage::None, true);
        assert_ne!(first.log, other.log, "seed {seed}");
    }
}

#[test]
fn addresses_that_stay_are_noticed() {
    notices(Sabotage::KeepsAddresses, "addresses");
}

#[test]
fn a_deaf_router_is_noticed() {
    notices(Sabotage::Deaf, "two-masters");
}

#[test]
fn a_network_without_master_is_noticed() {
    notices(Sabotage::Meek, "election");
}

#[test]
fn a_takeover_from_a_living_master_is_noticed() {
    notices(Sabotage::Unstamped, "takeover");
}

#[test]
fn too_many_frames_are_noticed() {
    notices(Sabotage::Chatty, "frames");
}

#[test]
fn an_advertisement_in_fault_is_noticed() {
    notices(Sabotage::TalksInFault, "silence");
}

#[test]
fn members_that_move_apart_are_noticed() {
    notices(Sabotage::Apart, "group");
}

#[test]
fn a_timer_left_behind_is_noticed() {
    notices(Sabotage::StuckTimer, "timers");
}

/// Something broken on purpose is found by the checker that is there for it.
fn notices(sabotage: Sabotage, checker: &str) {
    let found = (0..300)
        .filter_map(|seed| World::run(seed, sabotage, false).1)
        .any(|violation| violation.checker == checker);
    assert!(found, "{sabotage:?} was not noticed by `{checker}`");
}

fn check(seed: u64) -> Summary {
    let (summary, violation) = World::run(seed, Sabotage::None, false);
    if let Some(violation) = violation {
        panic!("HA_SIM_SEED={seed}: {violation}");
    }
    summary
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect("a number"))
}
