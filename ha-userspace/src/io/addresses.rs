//! Virtual addresses: put on interfaces and taken off again, many in one system call.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

/// `IFA_PROTO` of every address set here: what tells ours from the administrator's.
pub(crate) const PROTOCOL_MARK: u8 = 112;

/// One address to be there, or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AddressChange {
    pub(crate) present: bool,
    pub(crate) ifindex: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix_len: u8,
    pub(crate) broadcast: Option<Ipv4Addr>,
    /// `RT_SCOPE_*`.
    pub(crate) scope: u8,
    pub(crate) label: Option<String>,
}

/// The socket that changes addresses, and the [`Ledger`] of what it has set.
#[derive(Debug)]
pub(crate) struct AddressSocket {}

impl AddressSocket {
    pub(crate) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What is present because of this socket; to be kept by whoever cleans up.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger {}
    }

    /// Makes all `changes` and waits, at most a second, for the kernel's answers: one result for
    /// each change, in order. What is already as wanted is a success.
    pub(crate) fn apply(&mut self, _changes: &[AddressChange]) -> Vec<io::Result<()>> {
        Vec::new()
    }
}

/// What an [`AddressSocket`] has set and not removed: shared with every exit path.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {}

impl Ledger {
    /// Removes everything that is present, over a socket of its own. For exit paths, a panic of
    /// the engine thread included; harmless when repeated.
    pub(crate) fn remove_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes addresses that a killed run left on these interfaces; says which.
pub(crate) fn remove_leftovers(_ifindexes: &[u32]) -> io::Result<Vec<IpAddr>> {
    Err(io::ErrorKind::Unsupported.into())
}
