//! The reference deployment's behaviour as a whole: the sync group, no preemption, the service
//! check, and what the notify scripts are told. keepalived is the oracle for the latter.
#![expect(clippy::panic, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::collections::BTreeMap;

use ha_tests::{
    clock::Stamp,
    pair::{Pair, SEGMENTS, Side},
    process::Program,
    reference, require, wait,
};

const SOON: Duration = Duration::from_secs(20);
/// Longer than any timer at a tenth of a second runs.
const QUIET: Duration = Duration::from_secs(1);

/// The reference files at version 3 and a tenth of a second, so that a test does not take long.
fn config(side: Side) -> String {
    reference::as_version_3(&reference::config(side), "0.1")
}

/// A pair that runs the daemon on both nodes; `change` changes the text of a node's configuration.
fn start(program: Program, change: impl Fn(Side, String) -> String) -> Pair {
    let mut pair = Pair::new();
    for side in Side::BOTH {
        let text = change(side, config(side));
        pair.node_mut(side).start(program, &text, &[]);
    }
    pair
}

fn await_any_master(pair: &Pair) -> Side {
    let master = wait::some_within(SOON, || pair.master());
    let master = master.unwrap_or_else(|| panic!("no Master{}", pair.logs()));
    assert_stays(pair, master);
    master
}

fn assert_stays(pair: &Pair, master: Side) {
    let stays = wait::holds_throughout(QUIET, || pair.master() == Some(master));
    assert!(stays, "{master:?} does not stay Master{}", pair.logs());
}

fn await_notified(pair: &Pair, side: Side, words: &[&str]) {
    let node = pair.node(side);
    let told = wait::holds_within(SOON, || node.notified() == words);
    assert!(told, "{side:?} was told {:?}, not {words:?}{}", node.notified(), pair.logs());
}

#[test]
fn a_group_moves_together_and_does_not_come_back() {
    if !require::require_daemon() {
        return;
    }
    let pair = start(Program::Daemon, |_, text| text);
    let old = await_any_master(&pair);
    let new = old.other();
    for segment in SEGMENTS {
        let cut = Stamp::now();
        pair.cut(old, segment.interface);
        // Both instances, although the other segment is whole.
        pair.await_master(new, SOON);
        for other in SEGMENTS.iter().filter(|other| other.interface != segment.interface) {
            let heard = pair.heard(other.interface, cut);
            let goodbye = heard.iter().position(|one| one.from == old && one.advert.priority == 0);
            let claim = heard.iter().position(|one| one.from == new);
            let goodbye = goodbye.unwrap_or_else(|| panic!("no goodbye{}", pair.logs()));
            assert!(claim.is_some_and(|claim| goodbye < claim), "{:?}", other.interface);
        }
        pair.mend(old, segment.interface);
        assert_stays(&pair, new);
        // The next turn starts from the same Master: hand over by cutting the new one.
        pair.cut(new, "bond0");
        pair.await_master(old, SOON);
        pair.mend(new, "bond0");
        assert_stays(&pair, old);
    }
}

/// What a Master sends between the loss of its carrier and its noticing waits in the kernel for ARP,
/// and would go out when the link is back: an advertisement of a Master that is none any more, which
/// takes the place of the new one if the addresses say so.
#[test]
fn what_a_lost_link_held_back_is_not_sent_when_it_returns() {
    // At 10 ms, one of a few losses falls on an advertisement.
    const ROUNDS: usize = 10;
    if !require::require_daemon() {
        return;
    }
    let mut pair = Pair::new();
    for side in Side::BOTH {
        let text = reference::as_version_3(&reference::config(side), "0.01");
        pair.node_mut(side).start(Program::Daemon, &text, &[]);
    }
    let mut master = await_any_master(&pair);
    for round in 0..ROUNDS {
        let old = master;
        master = old.other();
        pair.cut(old, "eth2");
        pair.await_master(master, SOON);
        let mended = Stamp::now();
        pair.mend(old, "eth2");
        assert_stays(&pair, master);
        let heard = pair.heard("eth2", mended);
        let late: Vec<_> = heard.iter().filter(|one| one.from == old).collect();
        assert!(late.is_empty(), "round {round}: {late:?}{}", pair.logs());
    }
}

#[test]
fn nopreempt_leaves_a_lower_master_alone() {
    if !require::require_daemon() {
        return;
    }
    let better = |side: Side, text: String| match side {
        Side::A => text.replace("priority 100", "priority 150"),
        Side::B => text,
    };
    let mut pair = Pair::new();
    pair.node_mut(Side::B).start(Program::Daemon, &better(Side::B, config(Side::B)), &[]);
    pair.await_master(Side::B, SOON);
    pair.node_mut(Side::A).start(Program::Daemon, &better(Side::A, config(Side::A)), &[]);
    await_notified(&pair, Side::A, &["backup"]);
    let since = Stamp::now();
    assert_stays(&pair, Side::B);
    for segment in SEGMENTS {
        let heard = pair.heard(segment.interface, since);
        assert!(heard.iter().all(|one| one.from == Side::B), "{}", pair.logs());
    }
}

#[test]
fn a_failing_service_check_moves_the_group() {
    if !require::require_daemon() {
        return;
    }
    let pair = start(Program::Daemon, |_, text| text);
    let old = await_any_master(&pair);
    let new = old.other();
    pair.node(old).set_healthy(false);
    pair.await_master(new, SOON);
    await_notified(&pair, old, &["backup", "master", "fault"]);
    await_notified(&pair, new, &["backup", "master"]);
    pair.node(old).set_healthy(true);
    await_notified(&pair, old, &["backup", "master", "fault", "backup"]);
    assert_stays(&pair, new);
}

#[test]
fn a_node_that_is_not_well_does_not_take_over() {
    if !require::require_daemon() {
        return;
    }
    let pair = start(Program::Daemon, |_, text| text);
    let master = await_any_master(&pair);
    let ill = master.other();
    pair.node(ill).set_healthy(false);
    await_notified(&pair, ill, &["backup", "fault"]);
    let cut = Stamp::now();
    pair.cut(master, "eth2");
    // Nobody is left who could.
    let nobody = || Side::BOTH.iter().all(|side| pair.node(*side).addresses_held() == [0, 0]);
    wait::eventually(SOON, "addresses to be released", nobody);
    assert!(wait::holds_throughout(QUIET, nobody), "{}", pair.logs());
    for segment in SEGMENTS {
        assert_eq!(pair.first_claim(segment.interface, ill, cut), None, "{}", pair.logs());
    }
    pair.node(ill).set_healthy(true);
    pair.await_master(ill, SOON);
}

/// Everything that can be told is told to the same script, and noted with its words.
fn telling(side: Side, text: &str) -> String {
    let own = "notify \"/etc/keepalived/notify.sh any\"";
    let more = "notify_stop \"/etc/keepalived/notify.sh stop\"";
    let text = text.replace("    nopreempt\n", &format!("    nopreempt\n    {own}\n    {more}\n"));
    let text =
        text.replace("    notify_master", &format!("    {own}\n    {more}\n    notify_master"));
    match side {
        Side::A => text.replace("priority 100", "priority 150"),
        Side::B => text,
    }
}

/// What each subject was told, in order. Scripts of different subjects, and in keepalived all of
/// them, run side by side, so only this much order can be seen.
fn told_by_subject(pair: &Pair, side: Side) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in pair.node(side).notified() {
        let words: Vec<&str> = line.split(' ').collect();
        let (subject, what) = match words.as_slice() {
            ["any", kind, name, what @ ..] => (format!("{kind} {name}"), what.join(" ")),
            _ => ("own script".to_owned(), line),
        };
        told.entry(subject).or_default().push(what);
    }
    told
}

/// A becomes Master, loses a link, gets it back, and is stopped; B takes over once.
fn play(program: Program) -> [BTreeMap<String, Vec<String>>; 2] {
    let mut pair = Pair::new();
    let total = |pair: &Pair, side: Side| pair.node(side).notified().len();
    let step = |pair: &mut Pair, what: &str, act: &dyn Fn(&mut Pair), master: Side| {
        let before = Side::BOTH.map(|side| total(pair, side));
        act(pair);
        pair.await_master(master, SOON);
        // Scripts are started late and run side by side: until none has written for a while.
        wait::eventually(SOON, what, || {
            let now = Side::BOTH.map(|side| total(pair, side));
            now != before
                && wait::holds_throughout(QUIET, || now == Side::BOTH.map(|side| total(pair, side)))
        });
    };
    let start = |side: Side| {
        move |pair: &mut Pair| {
            let text = telling(side, &config(side));
            pair.node_mut(side).start(program, &text, &[]);
        }
    };
    step(&mut pair, "A's start", &start(Side::A), Side::A);
    step(&mut pair, "B's start", &start(Side::B), Side::A);
    step(&mut pair, "the loss of A's link", &|pair| pair.cut(Side::A, "eth2"), Side::B);
    step(&mut pair, "A's return", &|pair| pair.mend(Side::A, "eth2"), Side::B);
    let end = |pair: &mut Pair| {
        pair.node_mut(Side::A).router().stop();
    };
    step(&mut pair, "A's stop", &end, Side::B);
    Side::BOTH.map(|side| told_by_subject(&pair, side))
}

#[test]
fn scripts_are_told_what_keepalived_tells_them() {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let expected = play(Program::Keepalived);
    // The oracle itself: a scene in which nothing was told would agree with everything.
    let [a, _] = &expected;
    let group = a.get("GROUP VG_1").expect("the group is told of");
    assert!(group.iter().any(|told| told.starts_with("FAULT")), "{expected:?}");
    assert_eq!(play(Program::Daemon), expected);
}
