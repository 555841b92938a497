//! `vrrp_track_process` on a host that starts thousands of processes. By itself: it keeps the machine busy.

use core::time::Duration;

use ha_tests::{
    alone::Alone,
    clock::Stamp,
    config::{self, Dialect},
    pair::Side,
    process::Program,
    require,
    service::{Running, Service},
    tempdir::TempDir,
    wait,
};
use nix::sys::signal::Signal;

const BASE: u8 = 100;
/// Added while what is tracked is as it is to be.
const WEIGHT: u8 = 50;
const UP: u8 = BASE + WEIGHT;

/// A sleeping program that runs for longer than any test; `letter` is the test's own.
fn service(letter: char) -> Service {
    Service::new("/bin/sleep", letter)
}

fn run(service: &Service) -> Running {
    service.start(&["600"])
}

/// The daemon with these blocks and what it tracks, by `source`.
fn start(blocks: &str, tracked: &str, source: &str) -> Alone {
    let track = format!("    track_process {{\n        {tracked}\n    }}\n");
    let config = blocks.to_owned() + &config::instance(Dialect::V3Multicast, Side::A, BASE, &track);
    Alone::start(Program::Daemon, &config, &["--process-events", source])
}

/// Neither is one of them taken for the one that counts, nor is its end missed among them.
#[test]
fn among_ten_thousand_short_processes_the_right_one_counts() {
    /// In each of two halves.
    const COUNT: u32 = 5_000;
    /// A machine that does other things starts a hundred in a second.
    const STORM: Duration = Duration::from_mins(3);
    if !require::require_daemon() {
        return;
    }
    let service = service('t');
    let routers = ["ebpf", "scan"].map(|source| start(&service.block(WEIGHT, ""), "svc", source));
    let await_priority =
        |priority| routers.iter().for_each(|router| router.await_priority(priority));
    let first = run(&service);
    await_priority(UP);
    let since = Stamp::now();
    let directory = TempDir::new("storm");
    let half = directory.path().join("half");
    let short = format!("[ $((i%100)) = 0 ] && {} 0", service.path().display());
    let each = |what: &str| {
        format!(
            "read x; i=0; while [ $i -lt {COUNT} ]; do (:); /bin/true; {what}; i=$((i+1)); done"
        )
    };
    let script = format!("{}; : >{}; {}; true", each(&short), half.display(), each(":"));
    let mut storm = Service::new("/bin/sh", 'u').start(&["-c", &script]);
    storm.go();
    assert!(wait::holds_within(STORM, || half.exists()), "the storm is not over");
    for router in &routers {
        let heard = router.heard(since);
        let is_right = heard.iter().all(|one| one.advert.priority == UP);
        assert!(!heard.is_empty() && is_right, "{}", router.log());
    }
    storm.go();
    first.end();
    await_priority(BASE);
    let second = run(&service);
    await_priority(UP);
    assert!(wait::holds_within(STORM, || storm.has_ended()), "the storm is not over");
    await_priority(UP);
    second.end();
    await_priority(BASE);
}

/// The daemon stands still while more happens than there is room for.
#[test]
fn after_a_loss_of_events_all_processes_are_looked_at_again() {
    /// More events, of two each, than the 10,922 that fit into 256 KiB.
    const COPIES: u32 = 6000;
    /// A machine that does other things makes a hundred copies in a second.
    const STORM: Duration = Duration::from_mins(3);
    if !require::require_daemon() {
        return;
    }
    let (service, storm) = (service('l'), Service::new("/bin/sh", 'm'));
    let block = format!(
        "{}vrrp_track_process storm {{\n    process {}\n}}\n",
        service.block(WEIGHT, ""),
        storm.name()
    );
    let mut alone = start(&block, "svc\n        storm weight 1", "ebpf");
    let first = run(&service);
    let script = format!("read x; i=0; while [ $i -lt {COPIES} ]; do (:); i=$((i+1)); done; true");
    let mut copies = storm.start(&["-c", &script]);
    alone.await_priority(UP + 1);
    let router = alone.router();
    router.process().signal(Signal::SIGSTOP);
    copies.go();
    let is_over = wait::holds_within(STORM, || copies.has_ended());
    first.end();
    router.process().signal(Signal::SIGCONT);
    assert!(is_over, "the storm is not over");
    alone.await_priority(BASE);
    let log = alone.log();
    assert!(log.contains("events of processes had no room"), "{log}");
    let again = run(&service);
    alone.await_priority(UP);
    again.end();
    alone.await_priority(BASE);
}
