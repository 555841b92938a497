//! A sync group of ours with one of keepalived's on the other node, in both roles: what happens to
//! one instance moves both, whoever is Master.
#![expect(clippy::panic, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    decode,
    pair::{Pair, SEGMENTS, Side},
    process::Program,
    reference, require, tshark, wait,
};

const SOON: Duration = Duration::from_secs(20);
/// Longer than any timer at a fifth of a second runs.
const QUIET: Duration = Duration::from_secs(1);

/// The reference files at version 3 and a fifth of a second, so that a test does not take long.
fn start(pair: &mut Pair, side: Side, program: Program) {
    let text = reference::as_version_3(&reference::config(side), "0.2");
    pair.node_mut(side).start(program, &text, &[]);
    let listens = wait::holds_within(SOON, || pair.node(side).log().contains("BACKUP"));
    assert!(listens, "{side:?} does not become Backup{}", pair.logs());
}

/// Both instances are with `master`, stay there, and nobody else claims them.
fn assert_stays(pair: &Pair, master: Side) {
    let since = Stamp::now();
    let stays = wait::holds_throughout(QUIET, || pair.master() == Some(master));
    assert!(stays, "{master:?} does not stay Master{}", pair.logs());
    for segment in SEGMENTS {
        let heard = pair.heard(segment.interface, since);
        // keepalived's goodbye of a lost link leaves when the link returns.
        let other = heard.iter().find(|one| one.from != master && one.advert.priority > 0);
        assert!(other.is_none(), "{other:?}{}", pair.logs());
        assert!(heard.iter().any(|one| one.from == master), "{}", pair.logs());
    }
}

/// The link `cut` of `old` is gone: `new` takes both instances, on the other link because it is
/// told to and not by a timer.
fn lose_link(pair: &Pair, old: Side, cut: &str) {
    let new = old.other();
    let since = Stamp::now();
    pair.cut(old, cut);
    pair.await_master(new, SOON);
    for segment in SEGMENTS {
        for address in segment.virtual_addresses {
            let announced = wait::holds_within(SOON, || {
                pair.first_announcement(segment.interface, new, address, since).is_some()
            });
            assert!(announced, "{address} is not announced{}", pair.logs());
        }
    }
    let whole = SEGMENTS.into_iter().find(|segment| segment.interface != cut);
    let whole = whole.unwrap_or_else(|| panic!("there is no other than {cut}"));
    let heard = pair.heard(whole.interface, since);
    let goodbye = heard.iter().position(|one| one.from == old && one.advert.priority == 0);
    let claim = heard.iter().position(|one| one.from == new && one.advert.priority > 0);
    let is_in_order = goodbye.zip(claim).is_some_and(|(goodbye, claim)| goodbye < claim);
    assert!(is_in_order, "no goodbye before the claim{}", pair.logs());
    // Nobody preempts in these groups.
    pair.mend(old, cut);
    assert_stays(pair, new);
}

/// Node A, with `first`, is Master when node B comes with `second`.
fn play(first: Program, second: Program) {
    if !require::require_daemon() || !require::require_keepalived() {
        return;
    }
    let mut pair = Pair::new();
    start(&mut pair, Side::A, first);
    pair.await_master(Side::A, SOON);
    start(&mut pair, Side::B, second);
    assert_stays(&pair, Side::A);
    lose_link(&pair, Side::A, "bond0");
    lose_link(&pair, Side::B, "eth2");
    lose_link(&pair, Side::A, "eth2");
    lose_link(&pair, Side::B, "bond0");

    let stop = Stamp::now();
    assert!(pair.node_mut(Side::A).router().stop().success());
    pair.await_master(Side::B, SOON);
    for segment in SEGMENTS {
        let heard = pair.heard(segment.interface, stop);
        let goodbye = heard.iter().any(|one| one.from == Side::A && one.advert.priority == 0);
        assert!(goodbye, "no goodbye on {}{}", segment.interface, pair.logs());
    }
    for segment in SEGMENTS {
        let (_, _, capture) = pair.segment(segment.interface);
        let frames: Vec<_> =
            capture.frames().into_iter().filter(|frame| !frame.is_outgoing).collect();
        assert_eq!(tshark::complaints(&frames), "");
        assert!(frames.iter().any(|frame| decode::advert(frame).is_some()));
    }
}

#[test]
fn keepalived_comes_to_our_master() {
    play(Program::Daemon, Program::Keepalived);
}

#[test]
fn ours_comes_to_keepalived_s_master() {
    play(Program::Keepalived, Program::Daemon);
}
