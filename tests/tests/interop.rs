//! The daemon with itself and with a real keepalived, in every dialect: who is Master, which
//! addresses are where, what is on the wire, and in which order.
//!
//! Each scene goes through all that makes mastership move: a stop, a return of the better router,
//! its death, and a check that changes its priority. Ours is once the better and once the other.
#![expect(clippy::panic, reason = "a test reports by panicking, in its helpers too")]

use core::{ops::Range, time::Duration};

use ha_tests::{
    clock::Stamp,
    config::Dialect,
    decode::{self, Arp},
    scene::{Heard, INTERFACE, Make, SOON, Scene},
    tshark, wait,
};

/// The better router, Master whenever it can be, and the other.
const A: usize = 0;
const B: usize = 1;
/// ICMP destination unreachable, protocol unreachable.
const PROTOCOL_UNREACHABLE: (u8, u8) = (3, 2);

/// The advertisement interval as `Dialect::advert_int` has it.
fn interval(dialect: Dialect) -> Duration {
    Duration::from_millis(if dialect.is_version_2() { 1000 } else { 200 })
}

/// V-6.1-2: a part of the interval, in version 2 of a second.
fn skew(dialect: Dialect, priority: u8) -> Duration {
    interval(dialect) * (256 - u32::from(priority)) / 256
}

/// V-6.1-3.
fn master_down(dialect: Dialect, priority: u8) -> Duration {
    interval(dialect) * 3 + skew(dialect, priority)
}

/// Less than `duration` by as much as two clocks that count it may differ.
fn nearly(duration: Duration) -> Duration {
    duration * 99 / 100
}

fn last_claim(heard: &[Heard], from: usize, before: Stamp) -> Stamp {
    let is_it = |one: &&Heard| one.from == from && one.advert.priority > 0 && one.at < before;
    heard.iter().rev().find(is_it).map(|one| one.at).unwrap_or_default()
}

/// Priority 0 from `who` since `since`.
fn goodbye(scene: &Scene, who: usize, since: Stamp) -> Option<Stamp> {
    let heard = scene.heard(since);
    heard.iter().find(|one| one.from == who && one.advert.priority == 0).map(|one| one.at)
}

/// Watches longer than a timer of the Backup runs that `master` stays the only one to speak.
fn assert_quiet(scene: &Scene, master: usize) {
    let since = Stamp::now();
    let quiet = master_down(scene.dialect(), 1);
    let stays = wait::holds_throughout(quiet, || scene.is_master(master));
    assert!(stays, "{master} did not stay Master{}", scene.logs());
    for heard in scene.heard(since) {
        assert_eq!(heard.from, master, "who advertises{}", scene.logs());
        assert_eq!(heard.advert.priority, scene.priorities(master).0);
    }
}

/// V-6.4.2-7: the new Master `who` advertised first, at `claim`, and then announced each address.
fn assert_announced(scene: &Scene, who: usize, since: Stamp, claim: Stamp) {
    for address in scene.dialect().addresses() {
        let announced = scene.await_announcement(who, &address, since);
        assert!(claim <= announced, "{address} announced before it is claimed{}", scene.logs());
    }
}

/// A host whose router listens on a raw socket answers no advertisement with ICMP.
fn assert_no_unreachable(scene: &Scene, during: Range<Stamp>) {
    let answers = scene.capture().collect(during.start, |frame| {
        let is_one = decode::icmp(frame)? == PROTOCOL_UNREACHABLE && frame.at < during.end;
        is_one.then_some(frame.at)
    });
    assert!(answers.is_empty(), "protocol unreachable at {answers:?}");
}

/// The first router on the segment becomes Master, and stays it when a worse one comes.
fn begin(scene: &mut Scene) {
    let start = Stamp::now();
    scene.start(A);
    scene.await_master(A);
    let claim = scene.await_claim(A, start);
    assert_announced(scene, A, start, claim);
    scene.start(B);
    assert_quiet(scene, A);
}

/// A's check fails and its priority falls below B's: B preempts. The check succeeds: A does.
fn change_priority_by_script(scene: &mut Scene) {
    let dialect = scene.dialect();
    let (good, bad) = scene.priorities(A);
    let (other, _) = scene.priorities(B);

    let fails = Stamp::now();
    scene.set_healthy(A, false);
    scene.await_master(B);
    let claim = scene.await_claim(B, fails);
    assert_announced(scene, B, fails, claim);
    let heard = scene.heard(fails);
    let lowered = heard.iter().find(|one| one.from == A && one.advert.priority == bad);
    let lowered = lowered.unwrap_or_else(|| panic!("A does not say {bad}{}", scene.logs()));
    assert!(lowered.at < claim, "B came before A's priority fell{}", scene.logs());
    // B heeds no advertisement of a lower priority (V-6.4.2-10), so its timer runs from the last
    // good one.
    let last_good = heard.iter().rev().find(|one| one.from == A && one.advert.priority == good);
    if let Some(last_good) = last_good {
        let waited = claim.since(last_good.at);
        assert!(waited >= nearly(master_down(dialect, other)), "after {waited:?}{}", scene.logs());
    }

    let succeeds = Stamp::now();
    scene.set_healthy(A, true);
    scene.await_master(A);
    let claim = scene.await_claim(A, succeeds);
    assert_announced(scene, A, succeeds, claim);
    // A change of priority is no goodbye (V-6.4.3-10: to Backup without a word).
    for heard in scene.heard(fails) {
        assert_ne!(heard.advert.priority, 0, "from {}{}", heard.from, scene.logs());
    }
    assert_yielded(scene, succeeds);
}

/// B, which was Master, has not advertised after A's second advertisement since `since`.
fn assert_yielded(scene: &Scene, since: Stamp) {
    let first = scene.await_claim(A, since);
    let second = scene.await_claim(A, first + Duration::from_nanos(1));
    let late = scene.heard(second).into_iter().find(|one| one.from == B);
    assert!(late.is_none(), "B does not yield: {late:?}{}", scene.logs());
}

/// A says goodbye and B takes over after the skew time, without waiting for more.
fn stop_the_master(scene: &mut Scene) {
    let dialect = scene.dialect();
    let stop = Stamp::now();
    scene.stop(A);
    scene.await_master(B);
    let claim = scene.await_claim(B, stop);
    let goodbye = goodbye(scene, A, stop);
    let goodbye = goodbye.unwrap_or_else(|| panic!("no priority 0{}", scene.logs()));
    // V-6.4.2-8.
    let (priority, _) = scene.priorities(B);
    let waited = claim.since(goodbye);
    assert!(waited >= nearly(skew(dialect, priority)), "after {waited:?}{}", scene.logs());
    let last = last_claim(&scene.heard(Stamp::default()), A, goodbye);
    let silent = claim.since(last);
    assert!(silent < master_down(dialect, priority), "after {silent:?}{}", scene.logs());
    assert_announced(scene, B, stop, claim);
    let words = scene.heard(goodbye + Duration::from_nanos(1));
    let after = words.iter().find(|one| one.from == A && one.advert.priority > 0);
    assert!(after.is_none(), "advertised after its goodbye: {after:?}");
}

/// The better router comes back, listens first, and takes over from the Master.
fn preempt(scene: &mut Scene) {
    let back = Stamp::now();
    scene.start(A);
    scene.await_master(A);
    let claim = scene.await_claim(A, back);
    assert_announced(scene, A, back, claim);
    let before = last_claim(&scene.heard(back), B, claim);
    assert!(before >= back, "A did not wait for B's word{}", scene.logs());
    assert_yielded(scene, back);
    assert_eq!(goodbye(scene, B, back), None, "a Backup says goodbye");
    assert_quiet(scene, A);
}

/// A falls silent; B takes over when its timer has run out, and not before.
fn kill_the_master(scene: &mut Scene) {
    let dialect = scene.dialect();
    let death = Stamp::now();
    scene.die(A);
    let takes_over = wait::holds_within(SOON, || scene.held(B) == 2);
    assert!(takes_over, "B did not take over{}", scene.logs());
    let claim = scene.await_claim(B, death);
    let last = last_claim(&scene.heard(Stamp::default()), A, claim);
    let (priority, _) = scene.priorities(B);
    let waited = claim.since(last);
    assert!(waited >= nearly(master_down(dialect, priority)), "after {waited:?}{}", scene.logs());
    assert_announced(scene, B, death, claim);
    assert_eq!(goodbye(scene, A, death), None, "the dead say goodbye");
}

/// V-5.1.1-1, V-5.1.1-3, V-5.1.2-1, V-5.2-0 and what is configured, of all that was advertised.
fn assert_as_configured(scene: &Scene) {
    let dialect = scene.dialect();
    let group = if dialect.is_ipv6() { "ff02::12" } else { "224.0.0.18" };
    for Heard { from, advert, .. } in scene.heard(Stamp::default()) {
        // keepalived's unicast over IPv6 has the kernel's hop limit.
        let is_free = dialect.is_unicast() && dialect.is_ipv6() && scene.make(from) != Make::Ours;
        assert!(advert.ttl == 255 || is_free, "{advert:?}");
        assert_eq!(advert.source, scene.source(from));
        if dialect.is_unicast() {
            assert_eq!(advert.destination, scene.source(if from == A { B } else { A }));
        } else {
            assert_eq!(advert.destination.to_string(), group);
        }
        assert_eq!(advert.vrid, 133);
        assert_eq!(advert.version, if dialect.is_version_2() { 2 } else { 3 });
        assert_eq!(advert.addresses, 2);
        assert_eq!(advert.ah_sequence.is_some(), dialect.is_behind_ah());
        let hardware = scene.namespace(from).hardware_address(INTERFACE);
        assert_eq!(advert.source_mac, hardware);
    }
}

/// What our routers have told the switches and the neighbours, in every frame: the gratuitous ARP
/// request of RFC 5227 §3, the neighbour advertisement of RFC 4861 §7.2.6, and who hears the group.
fn assert_neighbours_told(scene: &Scene) {
    let dialect = scene.dialect();
    let group = match (dialect.is_unicast(), dialect.is_ipv6()) {
        (true, _) => None,
        (false, false) => Some("igmp.maddr == 224.0.0.18"),
        (false, true) => Some("icmpv6.mldr.mar.multicast_address == ff02::12"),
    };
    for who in [A, B].into_iter().filter(|who| scene.make(*who) == Make::Ours) {
        let frames = scene.sent_by(who);
        let hardware = scene.namespace(who).hardware_address(INTERFACE);
        for frame in frames.iter().filter(|frame| decode::announced(frame).is_some()) {
            let is_right = |arp: Arp| arp.is_request && arp.sender_mac == hardware;
            assert!(decode::arp(frame).is_none_or(is_right), "{frame:?}");
        }
        let neighbours = frames.iter().filter_map(decode::neighbour_advertisement);
        for one in neighbours.filter(|one| !one.is_solicited) {
            assert!(one.is_override && !one.is_router && one.hop_limit == 255, "{one:?}");
            assert_eq!(one.target_mac, Some(hardware));
        }
        if let Some(group) = group {
            assert!(tshark::count(&frames, group) > 0, "{who} has not joined the group");
        }
    }
}

/// Who takes over from whom, and which of the stories is played, is up to the order of the makes.
fn play(dialect: Dialect, makes: [Make; 2]) {
    let [a, b] = makes;
    let Some(mut scene) = Scene::new(dialect, &[(a, 150), (b, 100)]) else {
        return;
    };
    begin(&mut scene);
    let both_run = Stamp::now();
    change_priority_by_script(&mut scene);
    assert_no_unreachable(&scene, both_run..Stamp::now());
    stop_the_master(&mut scene);
    preempt(&mut scene);
    kill_the_master(&mut scene);
    scene.assert_well_formed();
    assert_as_configured(&scene);
    assert_neighbours_told(&scene);
}

/// V-5.2.8-2: RFC 9568's checksum is taken from who sends it, and RFC 5798's from the others.
#[test]
fn v3_checksums_differ_and_both_are_taken() {
    let Some(mut scene) = Scene::new(Dialect::V3Multicast, &[(Make::Ours, 150), (Make::Ours, 100)])
    else {
        return;
    };
    let config = scene.config(A, "    v3_checksum_as_v2\n");
    scene.start_with(A, &config);
    scene.await_master(A);
    scene.start(B);
    // B takes A's word,
    assert_quiet(&scene, A);
    let stop = Stamp::now();
    scene.stop(A);
    scene.await_master(B);
    assert!(goodbye(&scene, A, stop).is_some());
    // and A takes B's: it yields to a Master that nobody preempts.
    let config = scene.config(A, "    v3_checksum_as_v2\n    nopreempt\n");
    scene.start_with(A, &config);
    assert_quiet(&scene, B);
    assert_eq!(tshark::complaints_by_rfc_9568(&scene.sent_by(A)), "");
    assert_eq!(tshark::complaints(&scene.sent_by(B)), "");
}

const OURS: [Make; 2] = [Make::Ours, Make::Ours];
const OUR_BACKUP: [Make; 2] = [Make::Keepalived, Make::Ours];
const OUR_MASTER: [Make; 2] = [Make::Ours, Make::Keepalived];

macro_rules! scenes {
    ($($name:ident: $dialect:ident, $makes:ident;)*) => {
        $(
            #[test]
            fn $name() {
                play(Dialect::$dialect, $makes);
            }
        )*
    };
}

scenes! {
    v2_unicast_ours: V2Unicast, OURS;
    v2_unicast_ours_is_backup_to_keepalived: V2Unicast, OUR_BACKUP;
    v2_unicast_keepalived_is_backup_to_ours: V2Unicast, OUR_MASTER;
    v2_multicast_ours_is_backup_to_keepalived: V2Multicast, OUR_BACKUP;
    v2_multicast_keepalived_is_backup_to_ours: V2Multicast, OUR_MASTER;
    v2_pass_multicast_ours: V2PassMulticast, OURS;
    v2_pass_multicast_ours_is_backup_to_keepalived: V2PassMulticast, OUR_BACKUP;
    v2_pass_multicast_keepalived_is_backup_to_ours: V2PassMulticast, OUR_MASTER;
    v2_ah_unicast_ours: V2AhUnicast, OURS;
    v2_ah_unicast_ours_is_backup_to_keepalived: V2AhUnicast, OUR_BACKUP;
    v2_ah_unicast_keepalived_is_backup_to_ours: V2AhUnicast, OUR_MASTER;
    v2_ah_multicast_ours: V2AhMulticast, OURS;
    v2_ah_multicast_ours_is_backup_to_keepalived: V2AhMulticast, OUR_BACKUP;
    v2_ah_multicast_keepalived_is_backup_to_ours: V2AhMulticast, OUR_MASTER;
    v3_unicast_ours: V3Unicast, OURS;
    v3_unicast_ours_is_backup_to_keepalived: V3Unicast, OUR_BACKUP;
    v3_unicast_keepalived_is_backup_to_ours: V3Unicast, OUR_MASTER;
    v3_multicast_ours: V3Multicast, OURS;
    v3_multicast_ours_is_backup_to_keepalived: V3Multicast, OUR_BACKUP;
    v3_multicast_keepalived_is_backup_to_ours: V3Multicast, OUR_MASTER;
    v3_unicast_ipv6_ours: V3UnicastIpv6, OURS;
    v3_unicast_ipv6_ours_is_backup_to_keepalived: V3UnicastIpv6, OUR_BACKUP;
    v3_unicast_ipv6_keepalived_is_backup_to_ours: V3UnicastIpv6, OUR_MASTER;
    v3_multicast_ipv6_ours: V3MulticastIpv6, OURS;
    v3_multicast_ipv6_ours_is_backup_to_keepalived: V3MulticastIpv6, OUR_BACKUP;
    v3_multicast_ipv6_keepalived_is_backup_to_ours: V3MulticastIpv6, OUR_MASTER;
}
