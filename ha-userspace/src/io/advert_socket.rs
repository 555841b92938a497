//! Sends advertisements on one interface; never receives.

use std::{io, net::IpAddr};

use ha_core::Family;

/// A raw socket of protocol 112, bound to an interface.
#[derive(Debug)]
pub(crate) struct AdvertSocket {}

impl AdvertSocket {
    /// Opens the socket and joins `group` on the interface, so that the network card lets the
    /// group's frames in. The membership lasts as long as the socket.
    pub(crate) fn open(
        _interface: &str,
        _ifindex: u32,
        _family: Family,
        _group: Option<IpAddr>,
    ) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends one message. The error is the kernel's own, without context.
    pub(crate) fn send(
        &self,
        _source: IpAddr,
        _destination: IpAddr,
        _ttl: u8,
        _message: &[u8],
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
