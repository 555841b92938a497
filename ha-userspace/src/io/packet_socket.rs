//! Receives advertisements where XDP cannot.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
};

use ha_core::Family;

/// A packet socket that gets whole Ethernet frames of IP protocol 112, and nothing else.
#[derive(Debug)]
pub(crate) struct PacketSocket {}

impl PacketSocket {
    /// Must be called inside the engine thread's runtime. Joins no group: the
    /// [`super::advert_socket::AdvertSocket`] does.
    pub(crate) fn open(_interface: &str, _ifindex: u32, _family: Family) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits until there may be a frame. Can be dropped and called again.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The next frame's length, or `None` if there is none now. A frame longer than `buffer` is
    /// cut off.
    pub(crate) fn recv(&self, _buffer: &mut [u8]) -> io::Result<Option<usize>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        -1
    }
}
