//! Makes the kernel report a lost carrier now, not in up to a second.
//!
//! The kernel holds the notification of a lost carrier back until a second after the last link
//! event of any interface, in any namespace (`net/core/link_watch.c`). Asked about one interface, it
//! first reports what it held back (since Linux 6.8, "net: core: synchronize link-watch when carrier
//! is queried"; before, asking has no effect). The report comes as a notification to
//! [`super::links::Links`]; nothing is learnt here.
//!
//! Never on the engine thread: the kernel answers under its network configuration lock, which
//! others may hold for long.

use std::io;

use rtnetlink::packet_route::{RouteNetlinkMessage, link::LinkMessage};

use super::{
    netlink::{self, NetlinkSocket},
    sys,
};

/// Interfaces asked about in one system call; an answer is about 2 KiB.
const BATCH_MAX: usize = 64;
const RECEIVE_BYTES: usize = 1 << 20;

/// Asks about interfaces, at the caller's pace: 20 ms apart is a good one.
#[derive(Debug)]
pub(crate) struct CarrierProbe {
    socket: NetlinkSocket,
    buffer: Vec<u8>,
}

impl CarrierProbe {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(0, RECEIVE_BYTES).map_err(|error| {
            sys::context(error, "cannot open a netlink socket for interfaces", "CAP_NET_ADMIN")
        })?;
        Ok(Self { socket, buffer: vec![0; netlink::DATAGRAM_MAX] })
    }

    /// Asks about each interface by its index. One that is not there is no error.
    pub(crate) fn probe(&mut self, ifindexes: &[u32]) -> io::Result<()> {
        for batch in ifindexes.chunks(BATCH_MAX) {
            let mut messages = Vec::new();
            for &ifindex in batch {
                let mut message = LinkMessage::default();
                message.header.index = ifindex;
                netlink::append(&mut messages, 0, 0, RouteNetlinkMessage::GetLink(message))?;
            }
            self.socket.send(&messages)?;
            // The answers are there; what counts has gone to whoever listens for notifications.
            for _ in 0..=batch.len() {
                if self.socket.recv(&mut self.buffer).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}
