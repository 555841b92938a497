//! The wall clock of both hosts jumps, and nothing comes of it but other times in the log.
#![expect(clippy::expect_used, reason = "a test reports by panicking")]

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::Program,
    require,
    tempdir::TempDir,
    tool, wait,
};
use nix::libc;

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
const SECONDS_OF_A_YEAR: i64 = 31_556_952;
/// How many years the clock is ahead, one after the other.
const JUMPS: [i64; 4] = [10, -20, 0, 5];
/// Advertisements after each jump: more than a Backup can miss.
const SOME: usize = 6;

/// The daemons' clocks, which are set here without touching the host's.
struct WallClock(TempDir);

impl WallClock {
    fn new() -> Self {
        let directory = TempDir::new("wall-clock");
        let library = directory.path().join("wall_clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wall_clock.c");
        tool::run("gcc", &format!("-shared -fPIC -O1 -Wall -o {} {source}", library.display()));
        let clock = Self(directory);
        clock.set(0);
        clock
    }

    fn set(&self, years: i64) {
        self.0.write("ahead", &(years * SECONDS_OF_A_YEAR).to_string());
    }

    /// Whoever is started by this has it.
    fn wrapper(&self) -> [String; 3] {
        let path = |name| self.0.path().join(name).display().to_string();
        let library = format!("LD_PRELOAD={}", path("wall_clock.so"));
        ["env".to_owned(), library, format!("WALL_CLOCK_AHEAD={}", path("ahead"))]
    }
}

/// Has the daemon log a word; says what year it is then.
fn year_now(pair: &mut Pair, side: Side) -> i64 {
    let before = pair.node(side).log().len();
    let pid = pair.node_mut(side).router().process().pid();
    tool::run("kill", &format!("-{} {pid}", libc::SIGALRM));
    let year = wait::some_within(SOON, || {
        let log = pair.node(side).log();
        let line =
            log.get(before..)?.lines().find(|line| line.contains("SIGALRM means nothing"))?;
        line.get(..4)?.parse().ok()
    });
    year.expect("a line with a time")
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    if !require::require_daemon() || !require::require_tools(&[("gcc", "gcc")]) {
        return;
    }
    let clock = WallClock::new();
    let wrapper = clock.wrapper();
    let wrapper = wrapper.each_ref().map(String::as_str);
    let mut pair = Pair::new();
    for (side, priority) in [(Side::A, 150), (Side::B, 100)] {
        let config = config::instance(Dialect::V3Multicast, side, priority, "");
        pair.node_mut(side).start_under(&wrapper, Program::Daemon, &config, &[]);
    }
    let is_master = || pair.is_first_master(Side::A);
    assert!(wait::holds_within(SOON, is_master), "{}", pair.logs());
    let first = year_now(&mut pair, Side::A);
    let before = Side::BOTH
        .map(|side| pair.node_mut(side).router().status().statistic("VI_1", "became_master"));
    let begin = Stamp::now();
    for years in JUMPS {
        clock.set(years);
        let since = Stamp::now();
        let goes_on = wait::holds_within(SOON, || pair.heard(INTERFACE, since).len() > SOME);
        assert!(goes_on, "{years}: A is silent{}", pair.logs());
        for side in Side::BOTH {
            let year = year_now(&mut pair, side);
            assert!((year - first - years).abs() <= 1, "{years} years have not come to {side:?}");
        }
    }
    let heard = pair.heard(INTERFACE, begin);
    assert!(heard.iter().all(|one| one.from == Side::A), "B has advertised{}", pair.logs());
    let after = Side::BOTH
        .map(|side| pair.node_mut(side).router().status().statistic("VI_1", "became_master"));
    assert_eq!(after, before, "{}", pair.logs());
    clock.set(-20);
    pair.node_mut(Side::A).kill();
    // A killed host keeps its addresses; B has them nevertheless.
    let has_all = || pair.node(Side::B).addresses_held() == [2, 0];
    assert!(wait::holds_within(SOON, has_all), "{}", pair.logs());
}
