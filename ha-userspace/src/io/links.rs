//! The interfaces of this host and their addresses, as the kernel reports them.

use std::{io, net::IpAddr};

use ha_core::Family;

/// Something in the table is different.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Change {
    /// Notifications were lost: the table was read anew, anything may be different.
    Lost,
    /// An interface (by index) appeared, vanished, or changed its name, state, MAC address or MTU.
    Link(u32),
    /// The addresses of an interface (by index) changed.
    Addresses(u32),
}

/// An interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Administratively up, and with carrier.
    pub(crate) is_up: bool,
    /// `None` where the interface has no Ethernet address.
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: u32,
    /// In the kernel's order.
    pub(crate) addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) address: IpAddr,
    pub(crate) prefix_len: u8,
    /// `RT_SCOPE_*`.
    pub(crate) scope: u8,
    /// `IFA_F_*`.
    pub(crate) flags: u32,
    /// `IFA_PROTO`: who set it; 0 if nobody said.
    pub(crate) protocol: u8,
}

/// The table, and the subscription that keeps it up to date.
#[derive(Debug)]
pub(crate) struct Links {}

impl Links {
    /// Subscribes and reads the table. Must be called inside the engine thread's runtime.
    pub(crate) async fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits for the next change. Can be dropped and called again without losing anything.
    pub(crate) async fn changed(&mut self) -> io::Result<Change> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        [].iter()
    }

    pub(crate) fn by_name(&self, _name: &str) -> Option<&Link> {
        None
    }

    pub(crate) fn by_index(&self, _index: u32) -> Option<&Link> {
        None
    }

    /// The address to send from: the configured one if the host has it and it is usable, else the
    /// interface's primary IPv4 or link-local IPv6 address that is none of `excluded`.
    pub(crate) fn source_for(
        &self,
        _ifindex: u32,
        _family: Family,
        _configured: Option<IpAddr>,
        _excluded: &[IpAddr],
    ) -> Option<IpAddr> {
        None
    }
}
