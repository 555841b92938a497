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

use std::{io, time::Duration};

use rtnetlink::packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkExtentMask, LinkMessage},
};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    netlink::{self, NetlinkSocket},
    sys,
};

/// Interfaces asked about in one system call; an answer is about 2 KiB.
const BATCH_MAX: usize = 64;
const RECEIVE_BYTES: usize = 1 << 20;

/// How long a lost carrier may go unnoticed, at least and at most. Each look wakes up an idle host.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Asks about the interfaces for as long as it is polled. A Backup waits for three intervals, and no
/// advertisement leaves without carrier: who knows of a loss within `shortest_interval` of the
/// instances can still be quicker for the other members of a sync group.
///
/// # Errors
/// The socket cannot be opened; then the kernel's own pace has to do.
pub(crate) async fn keep_asking(
    interfaces: Vec<String>,
    shortest_interval: Duration,
) -> io::Result<()> {
    let mut probe = CarrierProbe::open()?;
    let mut turns = interval(shortest_interval.clamp(PAUSE_MIN, PAUSE_MAX));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        // A round that failed is made up for by the next one.
        probe.probe(&interfaces).ok();
    }
}

#[derive(Debug)]
struct CarrierProbe {
    socket: NetlinkSocket,
    buffer: Vec<u8>,
}

impl CarrierProbe {
    fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(0, RECEIVE_BYTES).map_err(|error| {
            sys::context(error, "cannot open a netlink socket for interfaces", "CAP_NET_ADMIN")
        })?;
        Ok(Self { socket, buffer: vec![0; netlink::DATAGRAM_MAX] })
    }

    /// Asks about each interface. One that is not there is no error.
    fn probe(&mut self, interfaces: &[String]) -> io::Result<()> {
        for batch in interfaces.chunks(BATCH_MAX) {
            let mut messages = Vec::new();
            for name in batch {
                let mut message = LinkMessage::default();
                message.attributes.push(LinkAttribute::IfName(name.clone()));
                // Counters of all processors are most of the work of an answer.
                message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
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
