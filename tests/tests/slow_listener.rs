//! Somebody on the host is told of every change of an address, and is slow to read of it.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::{fmt::Write as _, time::Duration};
use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd as _, OwnedFd},
};

use ha_tests::{
    capture::{Capture, Frame},
    clock::Stamp,
    decode,
    lan::Lan,
    netns::Namespace,
    process::{Program, Router},
    require, wait,
};
use nix::sys::socket::{
    self, AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, setsockopt, sockopt,
};

const SOON: Duration = Duration::from_mins(1);
const SEGMENTS: u8 = 4;
/// Virtual routers on each.
const VRIDS: u8 = 250;
/// For about as many news as there are addresses; the kernel doubles it (socket(7)).
const ROOM: usize = 850_000;
const PORT: &str = "router";
const FRAMES_MAX: usize = 100_000;

fn interface(segment: u8) -> String {
    format!("eth{segment}")
}

fn config() -> String {
    let mut text = "global_defs {\n vrrp_garp_master_delay 0\n}\n".to_owned();
    for (segment, vrid) in (0..SEGMENTS).flat_map(|one| (1..=VRIDS).map(move |vrid| (one, vrid))) {
        writeln!(
            text,
            "vrrp_instance V{segment}_{vrid} {{\n interface {0}\n version 3\n virtual_router_id \
             {vrid}\n advert_int 1\n virtual_ipaddress {{\n 203.0.113.{vrid} dev {0}\n 198.51.100.{vrid} dev {0}\n }}\n}}",
            interface(segment),
        )
        .expect("a String takes all");
    }
    text
}

/// Reads nothing: while more than half of its room is taken, and not all, the kernel has whoever changes
/// an address yield.
fn listen(namespace: &Namespace) -> OwnedFd {
    namespace.run(|| {
        let (flags, protocol) = (SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
        let fd = socket::socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)
            .expect("a netlink socket");
        setsockopt(&fd, sockopt::RcvBufForce, &ROOM).expect("room");
        let groups = libc::RTMGRP_IPV4_IFADDR.unsigned_abs();
        socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).expect("news of addresses");
        fd
    })
}

/// A deadline task that yields loses the rest of its period: five milliseconds for each address.
#[test]
fn two_thousand_addresses_are_held_up_by_nobody() {
    if !require::require_daemon() {
        return;
    }
    let namespace = Namespace::new("slow");
    let lans: Vec<Lan> = (0..SEGMENTS).map(|_| Lan::new("lan")).collect();
    for (segment, lan) in (0..SEGMENTS).zip(&lans) {
        lan.connect(PORT, &namespace, &interface(segment), [segment, 1]);
        namespace.ip(&format!("addr add 192.0.2.{}/32 dev {}", segment + 1, interface(segment)));
    }
    let start = |lan: &Lan| Capture::start_at_port(lan.switch(), PORT, FRAMES_MAX);
    let captures: Vec<Capture> = lans.iter().map(start).collect();
    let listener = listen(&namespace);

    let since = Stamp::now();
    let router = Router::start(Program::Daemon, &namespace, &config());
    // Each first announcement, by segment and address.
    let announced = || {
        let mut firsts = BTreeMap::new();
        for (segment, capture) in captures.iter().enumerate() {
            let first = |frame: &Frame| Some((decode::announced(frame)?, frame.at));
            for (address, at) in capture.collect(since, first) {
                firsts.entry((segment, address)).or_insert(at);
            }
        }
        firsts
    };
    let count = 2 * usize::from(SEGMENTS) * usize::from(VRIDS);
    wait::eventually(SOON, "every address to be announced", || announced().len() == count);
    let firsts = announced();
    let (begin, end) = (firsts.values().min(), firsts.values().max());
    let took = end.zip(begin).map(|(end, begin)| end.since(*begin)).expect("there are some");
    // Yielding each time it would be five seconds.
    assert!(took < Duration::from_secs(3), "{took:?} from the first to the last{}", router.log());
    drop(listener);
}
