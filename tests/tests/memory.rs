//! How much memory the daemon keeps: with one instance, for each further one, and after a flood.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::{fmt::Write as _, net::Ipv4Addr, time::Duration};

use ha_tests::{
    config::{self, Dialect},
    forge::{self, Cover},
    inject::Injector,
    netns::Namespace,
    pair::{Pair, SEGMENTS, Side},
    process::{self, Program, Router},
    require, vectors, wait,
};

const SOON: Duration = Duration::from_mins(1);
/// With one instance.
const RESIDENT_KIB_MAX: u32 = 12 << 10;
const FURTHER_INSTANCE_KIB_MAX: u32 = 4;
/// What does not grow with their number: the history, which they fill together, and pages of the program
/// itself, more or fewer of which are there by what has run (some 300 KiB, in `RssFile`).
const HISTORY_KIB_MAX: u32 = 768;
const FURTHER_INSTANCES: u32 = 500;
/// For an instance that tells a script, which has a queue and is remembered.
const FURTHER_SCRIPT_KIB_MAX: u32 = 16;
const FURTHER_SCRIPTS: u32 = 200;
const SCRIPT: &str = "notify_master /bin/true\n";
/// Frames of each kind.
const FLOOD: u32 = 20_000;
/// What the flood may leave: the code that it was the first to need, and sixteen senders with their
/// lists of addresses.
const AFTER_FLOOD_KIB_MAX: u32 = 512;

fn start(namespace: &Namespace, text: &str) -> Router {
    let router = Router::start(Program::Daemon, namespace, text);
    let instances = text.matches("vrrp_instance").count();
    // Its script has run, where there is one.
    let told = if text.contains(SCRIPT) { "MASTER: notify script" } else { "-> MASTER" };
    let are_masters = || router.log().matches(told).count() == instances;
    assert!(wait::holds_within(SOON, are_masters), "{}", router.log());
    router
}

/// With one instance and with `more`, whose blocks have `lines`: at least what is left when the status
/// was asked for.
fn resident_with(more: u32, lines: &str) -> [u32; 2] {
    let pair = Pair::new();
    [0, more].map(|more| {
        let mut router = start(pair.node(Side::A).namespace(), &instances(more, lines));
        let before = resident_kib(&mut router);
        router.status();
        let after = resident_kib(&mut router);
        router.stop();
        before.max(after)
    })
}

fn resident_kib(router: &mut Router) -> u32 {
    process::resident_kib(router.process().pid()).expect("it runs")
}

/// One instance and `more`, on both segments, with `lines` in their blocks.
fn instances(more: u32, lines: &str) -> String {
    let mut text = config::instance(Dialect::V3Multicast, Side::A, 150, lines);
    let vrids = SEGMENTS.iter().flat_map(|segment| {
        // Its number is its address's, which is not to be the host's own.
        let is_free = move |vrid: &u8| ![segment.vrid, Side::A.number()].contains(vrid);
        (1..=255).filter(is_free).map(move |vrid: u8| (segment, vrid))
    });
    for (segment, vrid) in vrids.take(usize::try_from(more).expect("some hundreds")) {
        let address = segment.host(vrid);
        writeln!(
            text,
            "vrrp_instance {0}_{vrid} {{\n interface {0}\n virtual_router_id {vrid}\n version 3\n \
             advert_int 0.1\n {lines} virtual_ipaddress {{\n {address}\n }}\n}}",
            segment.interface
        )
        .expect("a String takes all");
    }
    text
}

#[test]
fn one_instance_and_each_further_one_have_their_limits() {
    if !require::require_daemon() {
        return;
    }
    let [one, many] = resident_with(FURTHER_INSTANCES, "");
    assert!(one < RESIDENT_KIB_MAX, "{one} KiB with one instance");
    let further = many.saturating_sub(one);
    let further_max = FURTHER_INSTANCE_KIB_MAX * FURTHER_INSTANCES + HISTORY_KIB_MAX;
    assert!(further < further_max, "{further} KiB for {FURTHER_INSTANCES} more");
}

#[test]
fn each_further_script_has_its_limit() {
    if !require::require_daemon() {
        return;
    }
    let [one, many] = resident_with(FURTHER_SCRIPTS, SCRIPT);
    let further = many.saturating_sub(one);
    let further_max = FURTHER_SCRIPT_KIB_MAX * FURTHER_SCRIPTS;
    assert!(further < further_max, "{further} KiB for {FURTHER_SCRIPTS} more");
}

#[test]
fn a_flood_leaves_next_to_nothing() {
    if !require::require_daemon() {
        return;
    }
    let pair = Pair::new();
    let [segment, _] = SEGMENTS;
    let text = config::instance(Dialect::V3Multicast, Side::A, 150, "");
    let mut router = start(pair.node(Side::A).namespace(), &text);
    // The flood's end is seen in the status, which needs memory of its own.
    router.status();
    let before = resident_kib(&mut router);

    let injector = Injector::new(pair.client(), segment.interface);
    let vector = vectors::load("v3-ipv4-multicast").frame;
    let mut sent = 0;
    for number in 0..FLOOD {
        // Each from a sender of its own, with an address of its own (RFC 2544: for benchmarks).
        let own = Ipv4Addr::from_bits(u32::from_be_bytes([198, 18, 0, 0]) + number).octets();
        let valid = forge::changed(&vector, Cover::PseudoHeader, |frame, layout| {
            let (source, len) = layout.source();
            frame.splice(source..source + len, own);
            frame.splice(layout.message + 8..layout.message + 12, own);
            frame.splice(layout.message + 2..=layout.message + 2, [1]);
        });
        let mut wrong = valid.clone();
        if let Some(last) = wrong.last_mut() {
            *last ^= 1;
        }
        sent += u64::from(injector.send_if_room(&valid));
        injector.send_if_room(&wrong);
    }
    assert!(sent > u64::from(FLOOD) / 2, "{sent} frames sent");
    // Some may have found queues full on the way.
    wait::eventually(SOON, "the flood to arrive", || {
        let status = router.status();
        let count = |reason| status.counter(segment.interface, reason);
        count("accepted") > sent / 2 && count("checksum") > sent / 2
    });
    let after = resident_kib(&mut router);
    assert!(after <= before + AFTER_FLOOD_KIB_MAX, "{before} KiB before, {after} KiB after");
}
