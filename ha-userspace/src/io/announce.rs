//! Gratuitous ARP and unsolicited neighbour advertisements: tells the segment where addresses are.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An address, and where it now is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) ifindex: u32,
    pub(crate) mac: [u8; 6],
    pub(crate) address: IpAddr,
    /// IPv6: this host forwards (the Router flag).
    pub(crate) is_router: bool,
}

/// What became of the frames of one call.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    pub(crate) sent: usize,
    pub(crate) failed: usize,
    /// The last failure.
    pub(crate) error: Option<io::Error>,
}

/// A packet socket that only sends.
#[derive(Debug)]
pub(crate) struct Announcer {}

impl Announcer {
    pub(crate) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Announces all targets once, then all again, `repeat` times in total.
    pub(crate) fn announce(&self, _targets: &[Target], _repeat: u32) -> Announced {
        Announced::default()
    }
}

/// A gratuitous ARP request for `address`.
pub(crate) fn arp_frame(_mac: [u8; 6], _address: Ipv4Addr) -> [u8; 42] {
    [0; 42]
}

/// An unsolicited neighbour advertisement for `address`.
pub(crate) fn neighbour_advertisement_frame(
    _mac: [u8; 6],
    _address: Ipv6Addr,
    _is_router: bool,
) -> [u8; 86] {
    [0; 86]
}
