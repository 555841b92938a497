//! In which order addresses are announced when many move at once.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::{fmt::Write as _, net::Ipv4Addr, time::Duration};
use std::collections::BTreeMap;

use ha_tests::{
    clock::Stamp,
    decode,
    pair::{Pair, SEGMENTS, Side},
    process::Program,
    require, wait,
};

const SOON: Duration = Duration::from_mins(1);
/// More than are set in one batch.
const VRIDS: core::ops::RangeInclusive<u8> = 20..=219;
const ADDRESSES: usize = 200;

/// How often an address is announced: every other one more often (`garp_master_repeat`).
fn times(vrid: u8) -> usize {
    if vrid.is_multiple_of(2) { 2 } else { 5 }
}

/// Instances of one group: its members move together.
fn group() -> String {
    let [segment, _] = SEGMENTS;
    let members: Vec<String> = VRIDS.map(|vrid| format!(" VI_{vrid}\n")).collect();
    let members = members.concat();
    let mut text = format!("vrrp_sync_group GROUP {{\n group {{\n{members} }}\n}}\n");
    for vrid in VRIDS {
        writeln!(
            text,
            "vrrp_instance VI_{vrid} {{\n interface {}\n virtual_router_id {vrid}\n version 3\n \
             advert_int 0.1\n garp_master_delay 0\n garp_master_repeat {}\n \
             virtual_ipaddress {{\n {}\n }}\n}}",
            segment.interface,
            times(vrid),
            segment.host(vrid)
        )
        .expect("a String takes all");
    }
    text
}

#[test]
fn every_address_is_announced_once_before_any_twice() {
    if !require::require_daemon() {
        return;
    }
    let mut pair = Pair::new();
    let [segment, _] = SEGMENTS;
    pair.node_mut(Side::A).start(Program::Daemon, &group(), &[]);

    let announced = || -> Vec<Ipv4Addr> {
        pair.segment(segment.interface).2.collect(Stamp::default(), |frame| {
            // Each frame passes several ports of the segment.
            let is_sent = Side::of_port(&frame.interface).is_some() && !frame.is_outgoing;
            let arp = decode::arp(frame).filter(|_| is_sent)?;
            arp.is_gratuitous().then_some(arp.sender)
        })
    };
    let all: usize = VRIDS.map(times).sum();
    let are_all = || announced().len() >= all;
    assert!(wait::holds_within(SOON, are_all), "{} of {all}: {}", announced().len(), pair.logs());

    let mut counts: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    for address in announced() {
        let count = counts.entry(address).or_default();
        *count += 1;
        if *count == 2 {
            break;
        }
    }
    assert_eq!(counts.len(), ADDRESSES, "announced when the first was announced twice");
}
