//! What becomes of routes and rules that are marked as ours, as the kernel reports it.
//!
//! Nothing here polls, and nothing here changes anything. Other programs' routes, of which a router
//! may have a million, are filtered out in the kernel.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsFd as _,
};

use ha_config::PROTOCOL;
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    changes::Change,
    netlink::{self, Message, NetlinkSocket},
    routes::RouteChange,
    rules::RuleChange,
    sys,
};

/// Room for some thousand notifications of less than 1 KiB each.
const RECEIVE_BYTES: usize = 4 << 20;
/// Datagrams read before other work gets its turn.
const DATAGRAMS_AT_ONCE: usize = 1_024;
/// `RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_IPV6_ROUTE`, and `RTNLGRP_IPV6_RULE`.
const GROUPS: u32 = 0x40 | 0x80 | 0x400 | 1 << (RTNLGRP_IPV6_RULE - 1);
const RTNLGRP_IPV6_RULE: u32 = 19;

/// `struct rtmsg` and `struct fib_rule_hdr`.
const HEADER_LEN: usize = 12;
/// Metric of an IPv6 route that has none: `IP6_RT_PRIO_USER`.
const IPV6_METRIC: u32 = 1_024;
const RTA_DST: u16 = 1;
const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;

/// What routes, and rules, are told apart by.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Key {
    Route { destination: IpAddr, prefix_len: u8, table: u32, tos: u8, metric: u32 },
    Rule { is_ipv6: bool, preference: u32, table: u32, from: (IpAddr, u8), to: (IpAddr, u8) },
}

impl Key {
    /// `None` of what is not watched.
    pub(crate) fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Address(_) => None,
            Change::Route(route) => Some(Self::of_route(route)),
            Change::Rule(rule) => Some(Self::of_rule(rule)),
        }
    }

    fn of_route(route: &RouteChange) -> Self {
        let RouteChange { destination, prefix_len, table, .. } = *route;
        let is_ipv4 = destination.is_ipv4();
        let metric = match route.metric {
            Some(metric) if is_ipv4 || metric != 0 => metric,
            Some(_) | None => default_metric(destination),
        };
        let tos = if is_ipv4 { route.tos } else { 0 };
        Self::Route { destination, prefix_len, table, tos, metric }
    }

    fn of_rule(rule: &RuleChange) -> Self {
        let RuleChange { is_ipv6, preference, table, from, to, .. } = *rule;
        let all = (unspecified(is_ipv6), 0);
        Self::Rule { is_ipv6, preference, table, from: from.unwrap_or(all), to: to.unwrap_or(all) }
    }
}

/// The subscription, and what has been removed and not set again.
#[derive(Debug)]
pub(crate) struct RoutingWatch {
    socket: AsyncFd<NetlinkSocket>,
    buffer: Vec<u8>,
    lost: BTreeSet<Key>,
}

impl RoutingWatch {
    /// Must be called inside the engine thread's runtime.
    pub(crate) fn open() -> io::Result<Self> {
        let open = || {
            let socket = NetlinkSocket::open(GROUPS, RECEIVE_BYTES)?;
            sys::attach_filter(socket.as_fd(), &filter())?;
            sys::register(socket)
        };
        let socket = open().map_err(|error| {
            sys::context(error, "cannot subscribe to routes by netlink", "CAP_NET_ADMIN")
        })?;
        Ok(Self { socket, buffer: vec![0; netlink::DATAGRAM_MAX], lost: BTreeSet::new() })
    }

    /// Waits until there is something to [`Self::receive`]; nothing is lost if it is dropped.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await.map(drop)
    }

    /// Reads what is there, within bounds; says whether notifications were lost.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        let Self { socket, buffer, lost } = self;
        for _ in 0..DATAGRAMS_AT_ONCE {
            let receive = |socket: &NetlinkSocket| socket.recv(buffer).map(<[u8]>::len);
            match socket.try_io(Interest::READABLE, receive) {
                Ok(len) => {
                    for message in netlink::messages(buffer.get(..len).unwrap_or_default()) {
                        handle(lost, &message);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// What was removed since this was asked for last, and is not there again.
    pub(crate) fn take_lost(&mut self) -> BTreeSet<Key> {
        core::mem::take(&mut self.lost)
    }
}

/// Passes rules, and routes with our mark. A notification is a datagram of its own.
fn filter() -> [libc::sock_filter; 7] {
    /// The low byte of `nlmsg_type`, which is in the host's order.
    const KIND: u32 = if cfg!(target_endian = "little") { 4 } else { 5 };
    /// `rtm_protocol`, behind `struct nlmsghdr`.
    const ROUTE_PROTOCOL: u32 = 16 + 5;
    [
        sys::load_byte(KIND),
        // RTM_NEWROUTE and RTM_DELROUTE are 24 and 25, RTM_NEWRULE and RTM_DELRULE 32 and 33.
        sys::jump_if_equal(24, 1, 0),
        sys::jump_if_equal(25, 0, 2),
        sys::load_byte(ROUTE_PROTOCOL),
        sys::jump_if_equal(u32::from(PROTOCOL), 0, 1),
        sys::accept(u32::MAX),
        sys::accept(0),
    ]
}

fn handle(lost: &mut BTreeSet<Key>, message: &Message<'_>) {
    let key = match message.kind {
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => parse_route(message.payload),
        libc::RTM_NEWRULE | libc::RTM_DELRULE => parse_rule(message.payload),
        _ => None,
    };
    let Some(key) = key else { return };
    if matches!(message.kind, libc::RTM_DELROUTE | libc::RTM_DELRULE) {
        lost.insert(key);
    } else {
        lost.remove(&key);
    }
}

fn parse_route(payload: &[u8]) -> Option<Key> {
    let (&[family, prefix_len, _, tos, table, protocol, ..], rest) =
        payload.split_first_chunk::<HEADER_LEN>()?;
    if protocol != PROTOCOL {
        return None;
    }
    let mut destination = unspecified(i32::from(family) == libc::AF_INET6);
    let (mut table, mut metric) = (u32::from(table), None);
    for (kind, value) in netlink::attributes(rest) {
        match kind {
            RTA_DST => destination = netlink::parse_ip(value)?,
            RTA_PRIORITY => metric = netlink::parse_u32(value),
            RTA_TABLE => table = netlink::parse_u32(value)?,
            _ => {}
        }
    }
    let metric = metric.unwrap_or_else(|| default_metric(destination));
    Some(Key::Route { destination, prefix_len, table, tos, metric })
}

fn parse_rule(payload: &[u8]) -> Option<Key> {
    let (&[family, to_len, from_len, _, table, ..], rest) =
        payload.split_first_chunk::<HEADER_LEN>()?;
    let is_ipv6 = i32::from(family) == libc::AF_INET6;
    let all = unspecified(is_ipv6);
    let (mut from, mut to, mut table, mut preference, mut protocol) =
        (all, all, u32::from(table), 0, 0);
    for (kind, value) in netlink::attributes(rest) {
        match kind {
            FRA_SRC => from = netlink::parse_ip(value)?,
            FRA_DST => to = netlink::parse_ip(value)?,
            FRA_TABLE => table = netlink::parse_u32(value)?,
            FRA_PRIORITY => preference = netlink::parse_u32(value)?,
            FRA_PROTOCOL => protocol = value.first().copied().unwrap_or(0),
            _ => {}
        }
    }
    (protocol == PROTOCOL).then_some(Key::Rule {
        is_ipv6,
        preference,
        table,
        from: (from, from_len),
        to: (to, to_len),
    })
}

fn default_metric(destination: IpAddr) -> u32 {
    if destination.is_ipv4() { 0 } else { IPV6_METRIC }
}

fn unspecified(is_ipv6: bool) -> IpAddr {
    if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RTM_*ROUTE` of 198.51.100.0/24 in table 1000, protocol 18, as the kernel writes it.
    const ROUTE: &[u8] = &[
        2, 24, 0, 0, 252, PROTOCOL, 0, 1, 0, 0, 0, 0, // struct rtmsg
        8, 0, 15, 0, 0xe8, 3, 0, 0, // RTA_TABLE
        8, 0, 1, 0, 198, 51, 100, 0, // RTA_DST
        8, 0, 4, 0, 3, 0, 0, 0, // RTA_OIF
    ];
    /// `RTM_*RULE` to `2001:db8::/32`, preference 44, prohibit, protocol 18.
    const RULE: &[u8] = &[
        10, 32, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, // struct fib_rule_hdr
        5, 0, 21, 0, PROTOCOL, 0, 0, 0, // FRA_PROTOCOL
        8, 0, 6, 0, 44, 0, 0, 0, // FRA_PRIORITY
        20, 0, 1, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // FRA_DST
    ];

    fn told(lost: &mut BTreeSet<Key>, kind: u16, payload: &[u8]) {
        handle(lost, &Message { kind, flags: 0, sequence: 0, payload });
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn what_is_removed_is_lost_until_it_is_set_again() {
        let mut lost = BTreeSet::new();
        told(&mut lost, libc::RTM_DELROUTE, ROUTE);
        told(&mut lost, libc::RTM_DELRULE, RULE);
        let route = Key::Route {
            destination: "198.51.100.0".parse().unwrap(),
            prefix_len: 24,
            table: 1000,
            tos: 0,
            metric: 0,
        };
        let rule = Key::Rule {
            is_ipv6: true,
            preference: 44,
            table: 0,
            from: (Ipv6Addr::UNSPECIFIED.into(), 0),
            to: ("2001:db8::".parse().unwrap(), 32),
        };
        assert_eq!(lost, BTreeSet::from([route, rule]));
        told(&mut lost, libc::RTM_NEWROUTE, ROUTE);
        told(&mut lost, libc::RTM_NEWRULE, RULE);
        assert_eq!(lost, BTreeSet::new());
    }

    #[test]
    fn others_routes_are_not_ours_and_no_prefix_of_a_message_panics() {
        let mut lost = BTreeSet::new();
        let mut others = ROUTE.to_vec();
        others[5] = 4;
        told(&mut lost, libc::RTM_DELROUTE, &others);
        let mut others = RULE.to_vec();
        others[16] = 4;
        told(&mut lost, libc::RTM_DELRULE, &others);
        assert_eq!(lost, BTreeSet::new());
        for len in 0..ROUTE.len().min(RULE.len()) {
            told(&mut lost, libc::RTM_DELROUTE, &ROUTE[..len]);
            told(&mut lost, libc::RTM_DELRULE, &RULE[..len]);
        }
    }
}
