//! An address on an interface.

use core::net::{IpAddr, Ipv4Addr};

use crate::diagnostic::Place;

/// A line of `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The address itself.
    pub address: IpAddr,
    /// 0 to 32 or 128; default 32 or 128.
    pub prefix_len: u8,
    /// `brd`: its broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// `dev`, else the instance's interface, or `default_interface` of a static one.
    pub interface: String,
    /// `scope`; default global.
    pub scope: Scope,
    /// `label`: IPv4's interface alias.
    pub label: Option<String>,
    /// False with `noprefixroute`: no route to its network comes with it.
    pub prefix_route: bool,
    /// `preferred_lft` of an IPv6 address.
    pub preferred: Lifetime,
    /// False with `no_track`: it is set once, and neither its failing nor its loss is a fault.
    pub track: bool,
    /// The line of the file.
    pub place: Place,
}

/// How long after it is set an address may be the source of this host's new connections.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lifetime {
    /// `forever`; the default but for IPv6 addresses with the prefix length 128.
    #[default]
    Forever,
    /// In seconds; 0 for those: never.
    Seconds(u32),
}

impl Lifetime {
    /// That of an address of which nothing is said, as keepalived has it.
    pub(crate) const fn default_of(address: IpAddr, prefix_len: u8) -> Self {
        if address.is_ipv6() && prefix_len == 128 { Self::Seconds(0) } else { Self::Forever }
    }
}

/// `scope` of an address, as the kernel numbers it (rtnetlink(7), `ifa_scope`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Scope(pub u8);

impl Scope {
    /// `global`: valid everywhere; the default.
    pub const GLOBAL: Self = Self(0);
    /// `site`.
    pub const SITE: Self = Self(200);
    /// `link`: valid on this link only.
    pub const LINK: Self = Self(253);
    /// `host`: valid on this host only.
    pub const HOST: Self = Self(254);
    /// `nowhere`.
    pub const NOWHERE: Self = Self(255);
}
