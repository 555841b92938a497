//! Routes and policy rules that come and go with mastership, or stay while the daemon runs.

use core::{fmt, net::IpAddr};

use ha_core::Family;

use super::Scope;
use crate::diagnostic::Place;

/// The table that a route is in, and that a rule looks into, unless it says otherwise.
pub const MAIN_TABLE: u32 = 254;
/// `RTPROT_KEEPALIVED` (linux/rtnetlink.h): who has set a route or a rule, unless it says otherwise.
pub const PROTOCOL: u8 = 18;

/// An address and how much of it counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// No bit is set beyond [`Network::prefix_len`].
    pub address: IpAddr,
    /// 0 to 32 or 128.
    pub prefix_len: u8,
}

impl Network {
    /// Every address of a family: the destination of a default route.
    #[must_use]
    pub const fn all(family: Family) -> Self {
        let address = match family {
            Family::V4 => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
        };
        Self { address, prefix_len: 0 }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_len)
    }
}

/// A line of `virtual_routes` or `static_routes`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// What becomes of packets; default [`RouteKind::Unicast`].
    pub kind: RouteKind,
    /// `to`, or the first word; all addresses of the route are of its family.
    pub destination: Network,
    /// `via`, `dev` and `onlink`, or one for each `nexthop`: at least one for
    /// [`RouteKind::Unicast`], none for the other kinds.
    pub hops: Vec<Hop>,
    /// `src`: the address that this host sends from by the route.
    pub source: Option<IpAddr>,
    /// `table`; default [`MAIN_TABLE`], never 0.
    pub table: u32,
    /// `scope`; default global, and always for IPv6.
    pub scope: Scope,
    /// `protocol`; default [`PROTOCOL`], and always where [`Route::track`] is set.
    pub protocol: u8,
    /// `metric`, `priority` or `preference`. `None`: the kernel's, 0 for IPv4 and 1024 for IPv6.
    pub metric: Option<u32>,
    /// `tos` or `dsfield`: a multiple of 4; 0: any.
    pub tos: u8,
    /// `mtu` and others, each at most once, in the order of [`PathMetric`].
    pub path: Vec<PathSetting>,
    /// `pref`: IPv6's router preference (RFC 4191); default medium.
    pub preference: RouterPreference,
    /// `append`: it comes after those with the same destination and metric, not before them.
    pub append: bool,
    /// False with `no_track`: it is set once, and neither its failing nor its loss is a fault.
    pub track: bool,
    /// The line of the file.
    pub place: Place,
}

/// What becomes of packets to the destination.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RouteKind {
    /// They go to a hop.
    #[default]
    Unicast,
    /// `blackhole`: dropped without a word.
    Blackhole,
    /// `unreachable`: answered with "host unreachable".
    Unreachable,
    /// `prohibit`: answered with "administratively prohibited".
    Prohibit,
    /// `throw`: the next rule decides.
    Throw,
}

impl RouteKind {
    /// Each, and its name in the file.
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("unicast", Self::Unicast),
        ("blackhole", Self::Blackhole),
        ("unreachable", Self::Unreachable),
        ("prohibit", Self::Prohibit),
        ("throw", Self::Throw),
    ];
}

/// A way that packets may go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hop {
    /// `via`. `None`: the destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// `dev`. `None`: the kernel finds it by the gateway, which is there then.
    pub interface: Option<String>,
    /// `onlink`: the gateway is taken to be on the link, whatever the addresses there are.
    pub onlink: bool,
    /// `weight`: its share of the flows among the hops; 1 to 256, default 1.
    pub weight: u16,
}

/// A setting of connections that use a route (ip-route(8)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PathSetting {
    /// Which.
    pub metric: PathMetric,
    /// In the unit of the metric.
    pub value: u32,
    /// `lock`: it is not changed by what the path shows, such as path MTU discovery.
    pub locked: bool,
}

/// What a [`PathSetting`] sets; each value is that of `RTAX_*` in linux/rtnetlink.h.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum PathMetric {
    /// Bytes.
    Mtu = 2,
    /// Bytes.
    Window = 3,
    /// Segments.
    SlowStartThreshold = 6,
    /// Segments.
    CongestionWindow = 7,
    /// Bytes.
    Mss = 8,
    /// Segments.
    Reordering = 9,
    /// Hops.
    HopLimit = 10,
    /// Segments.
    InitialCongestionWindow = 11,
    /// Segments.
    InitialReceiveWindow = 14,
    /// 0 or 1.
    QuickAck = 15,
}

impl PathMetric {
    /// Each, and its name in the file.
    pub(crate) const NAMES: [(&'static str, Self); 10] = [
        ("mtu", Self::Mtu),
        ("window", Self::Window),
        ("ssthresh", Self::SlowStartThreshold),
        ("cwnd", Self::CongestionWindow),
        ("advmss", Self::Mss),
        ("reordering", Self::Reordering),
        ("hoplimit", Self::HopLimit),
        ("initcwnd", Self::InitialCongestionWindow),
        ("initrwnd", Self::InitialReceiveWindow),
        ("quickack", Self::QuickAck),
    ];

    /// `RTAX_*`.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the numbers are written at the variants")]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

/// `pref` (RFC 4191 §2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RouterPreference {
    /// `low`.
    Low,
    /// `medium`; the default.
    #[default]
    Medium,
    /// `high`.
    High,
}

impl RouterPreference {
    /// Each, and its name in the file.
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("low", Self::Low), ("medium", Self::Medium), ("high", Self::High)];
}

/// A line of `virtual_rules` or `static_rules`: which packets, and what becomes of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Of the packets, and of [`Rule::from`] and [`Rule::to`].
    pub family: Family,
    /// `preference`, `priority` or `order`: rules with lower ones are asked first. Default: counted
    /// down from 16384 for each family, as keepalived does.
    pub preference: u32,
    /// `not`: the packets that the rest does not say.
    pub invert: bool,
    /// `from`. `None`: all.
    pub from: Option<Network>,
    /// `to`. `None`: all.
    pub to: Option<Network>,
    /// `iif` or `dev`: the interface that they come in by.
    pub iif: Option<String>,
    /// `oif`: the interface that their socket is bound to.
    pub oif: Option<String>,
    /// `tos` or `dsfield`: a multiple of 4; 0: any.
    pub tos: u8,
    /// `fwmark`: the mark that a packet filter has given them.
    pub mark: Option<Mark>,
    /// `uidrange`: first and last of the users that send them.
    pub uids: Option<(u32, u32)>,
    /// `suppress_prefixlength`: what the lookup finds does not count with so short a prefix.
    pub suppress_prefix_len: Option<u8>,
    /// What becomes of them.
    pub action: RuleAction,
    /// `protocol`; default [`PROTOCOL`], and always where [`Rule::track`] is set.
    pub protocol: u8,
    /// False with `no_track`: it is set once, and neither its failing nor its loss is a fault.
    pub track: bool,
    /// The line of the file.
    pub place: Place,
}

/// `fwmark MARK[/MASK]`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// What the bits of [`Mark::mask`] are.
    pub value: u32,
    /// Default: all bits.
    pub mask: u32,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RuleAction {
    /// `table` or `lookup`: its route is looked for in a table; never 0.
    Lookup(u32),
    /// `blackhole`: dropped without a word.
    Blackhole,
    /// `unreachable`: answered with "network unreachable".
    Unreachable,
    /// `prohibit`: answered with "administratively prohibited".
    Prohibit,
}
