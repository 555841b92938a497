//! What the kernel knows of unicast peers' link-layer addresses, and holds back until it knows it.
//!
//! When carrier is lost the kernel forgets its neighbours. What is sent afterwards waits for their
//! answer, and leaves when the link is back: an advertisement from before, of a Master that is none
//! any more.

use std::{io, net::IpAddr};

use rtnetlink::packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage},
};

use super::{
    netlink::{self, NetlinkSocket},
    sys,
};

const RECEIVE_BYTES: usize = 256 << 10;
/// `ndm_state` in `struct ndmsg`, and the states an administrator has given (neighbor(7)).
const STATE_OFFSET: usize = 8;
const STATE_PERMANENT: u16 = 0x80;

/// A socket to ask about neighbours.
#[derive(Debug)]
pub(crate) struct NeighbourSocket {
    socket: NetlinkSocket,
    buffer: Vec<u8>,
}

impl NeighbourSocket {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(0, RECEIVE_BYTES).map_err(|error| {
            sys::context(error, "cannot open a netlink socket for neighbours", "CAP_NET_ADMIN")
        })?;
        Ok(Self { socket, buffer: vec![0; netlink::DATAGRAM_MAX] })
    }

    /// Makes the kernel forget `peers` on an interface, and what waits for them; one that the
    /// administrator has set stays.
    pub(crate) fn forget(&mut self, ifindex: u32, peers: &[IpAddr]) -> io::Result<()> {
        for peer in peers {
            let entry = entry(ifindex, *peer);
            if self.is_permanent(entry.clone())? {
                continue;
            }
            let mut request = Vec::new();
            netlink::append(&mut request, 0, 0, RouteNetlinkMessage::DelNeighbour(entry))?;
            self.socket.send(&request)?;
        }
        // Complaints about entries that are not there: nobody waits for them.
        while self.socket.recv(&mut self.buffer).is_ok() {}
        Ok(())
    }

    fn is_permanent(&mut self, entry: NeighbourMessage) -> io::Result<bool> {
        while self.socket.recv(&mut self.buffer).is_ok() {}
        let mut request = Vec::new();
        netlink::append(&mut request, 0, 0, RouteNetlinkMessage::GetNeighbour(entry))?;
        self.socket.send(&request)?;
        // The answer is there when the call returns.
        let Ok(datagram) = self.socket.recv(&mut self.buffer) else { return Ok(false) };
        let answer = netlink::messages(datagram)
            .find(|message| message.kind == libc::RTM_NEWNEIGH)
            .and_then(|message| message.payload.get(STATE_OFFSET..)?.first_chunk().copied());
        Ok(answer.is_some_and(|state| u16::from_ne_bytes(state) & STATE_PERMANENT != 0))
    }
}

fn entry(ifindex: u32, peer: IpAddr) -> NeighbourMessage {
    let mut entry = NeighbourMessage::default();
    let (family, address) = match peer {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    entry.header.family = family;
    entry.header.ifindex = ifindex;
    entry.attributes.push(NeighbourAttribute::Destination(address));
    entry
}
