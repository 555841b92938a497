//! A netlink socket, and walking what comes out of it.
//!
//! Only the attributes that are needed are read: a new kernel's unknown or longer attributes must
//! not make an interface disappear from the daemon's sight.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use ha_core::Instant;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::{
    packet_core::{
        NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
        NlasIterator,
    },
    packet_route::RouteNetlinkMessage,
    sys::{self, protocols::NETLINK_ROUTE},
};

use super::{links::Address, sys as calls};
use crate::clock;

/// Longest datagram that is read: the kernel makes its dumps fit into 32 KiB.
pub(crate) const DATAGRAM_MAX: usize = 64 << 10;

/// `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// `struct ifaddrmsg`.
const ADDRESS_HEADER_LEN: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;

/// A netlink socket, non-blocking; mostly of routing.
#[derive(Debug)]
pub(crate) struct NetlinkSocket(sys::Socket);

impl NetlinkSocket {
    /// `groups` is the mask of the multicast groups to hear.
    pub(crate) fn open(groups: u32, receive_bytes: usize) -> io::Result<Self> {
        Self::open_family(NETLINK_ROUTE, groups, receive_bytes)
    }

    /// [`Self::open`] for another family than routing: a `NETLINK_*` number.
    pub(crate) fn open_family(
        family: isize,
        groups: u32,
        receive_bytes: usize,
    ) -> io::Result<Self> {
        let mut socket = sys::Socket::new(family)?;
        socket.set_non_blocking(true)?;
        // Acknowledgements come without the request they answer.
        socket.set_cap_ack(true)?;
        calls::set_receive_bytes(&socket, receive_bytes)?;
        socket.bind(&sys::SocketAddr::new(0, groups))?;
        Ok(Self(socket))
    }

    /// Hands messages to the kernel, which carries them out before this returns.
    pub(crate) fn send(&self, messages: &[u8]) -> io::Result<()> {
        self.0.send_to(messages, &sys::SocketAddr::new(0, 0), 0).map(drop)
    }

    /// The next datagram of the kernel's; `WouldBlock` if there is none now.
    pub(crate) fn recv<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        loop {
            let (len, sender) = self.0.recv_from(&mut &mut *buffer, libc::MSG_TRUNC)?;
            if sender.port_number() != 0 {
                continue;
            }
            // A datagram cut off is as good as lost.
            return buffer.get(..len).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOBUFS));
        }
    }

    /// The next datagram, waiting for it until `deadline`.
    pub(crate) fn recv_until<'a>(
        &self,
        buffer: &'a mut [u8],
        deadline: Instant,
    ) -> io::Result<&'a [u8]> {
        let len = loop {
            match self.recv(buffer).map(<[u8]>::len) {
                Ok(len) => break len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(deadline)?,
                Err(error) => return Err(error),
            }
        };
        Ok(buffer.get(..len).unwrap_or_default())
    }

    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.since(clock::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let millis = i32::try_from(left.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(millis).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for NetlinkSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl Message<'_> {
    /// The answer of `NLMSG_ERROR` or `NLMSG_DONE`: an acknowledgement, or what went wrong.
    pub(crate) fn verdict(&self) -> io::Result<()> {
        let code = self.payload.first_chunk().copied().map_or(0, i32::from_ne_bytes);
        if code < 0 { Err(io::Error::from_raw_os_error(code.saturating_neg())) } else { Ok(()) }
    }
}

/// The messages of a datagram, up to the first that is malformed.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let buffer = NetlinkBuffer::new_checked(datagram).ok()?;
        let len = usize::try_from(buffer.length()).ok()?;
        let (message, _) = datagram.split_at_checked(len)?;
        let payload = message.get(HEADER_LEN..)?;
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            payload,
        })
    })
}

/// The attributes after a message's header, up to the first that is malformed.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attribute| {
        let len = attribute.value_length();
        let kind = attribute.kind();
        (kind, attribute.into_inner().get(4..4 + len).unwrap_or_default())
    })
}

/// Appends a message to a buffer.
pub(crate) fn append(
    buffer: &mut Vec<u8>,
    flags: u16,
    sequence: u32,
    message: RouteNetlinkMessage,
) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let start = buffer.len();
    // What it appends is a multiple of four long, as the next one needs it.
    buffer.resize(start + message.buffer_len(), 0);
    message.serialize(buffer.get_mut(start..).ok_or(io::ErrorKind::InvalidInput)?);
    Ok(())
}

/// Asks for a dump.
pub(crate) fn request_dump(
    socket: &NetlinkSocket,
    sequence: u32,
    message: RouteNetlinkMessage,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    append(&mut buffer, NLM_F_DUMP, sequence, message)?;
    socket.send(&buffer)
}

/// An address and the index of its interface, from `RTM_NEWADDR` or `RTM_DELADDR`.
pub(crate) fn parse_address(payload: &[u8]) -> Option<(u32, Address)> {
    let (header, rest) = payload.split_first_chunk::<ADDRESS_HEADER_LEN>()?;
    let [_, prefix_len, flags, scope, index @ ..] = *header;
    let (mut local, mut address, mut protocol, mut flags) = (None, None, 0, u32::from(flags));
    for (kind, value) in attributes(rest) {
        match kind {
            IFA_LOCAL => local = parse_ip(value),
            // With a peer this is the peer's; else both are the same, or only this is there.
            IFA_ADDRESS => address = parse_ip(value),
            IFA_FLAGS => flags = parse_u32(value)?,
            IFA_PROTO => protocol = value.first().copied().unwrap_or(0),
            _ => {}
        }
    }
    let address = Address { address: local.or(address)?, prefix_len, scope, flags, protocol };
    Some((u32::from_ne_bytes(index), address))
}

pub(crate) fn parse_u32(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

pub(crate) fn parse_ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(value).map(IpAddr::from);
    v4.or(v6).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RTM_NEWADDR` of 198.51.100.7/24 on interface 3, label "eth0", as the kernel writes it.
    const NEW_ADDRESS: &[u8] = &[
        2, 24, 0x80, 0, 3, 0, 0, 0, // family, prefix, flags, scope, index
        8, 0, 1, 0, 198, 51, 100, 7, // IFA_ADDRESS
        8, 0, 2, 0, 198, 51, 100, 7, // IFA_LOCAL
        9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0, // IFA_LABEL, padded
        5, 0, 11, 0, 112, 0, 0, 0, // IFA_PROTO, padded
        8, 0, 8, 0, 0x81, 0, 0, 0, // IFA_FLAGS
    ];

    #[cfg(target_endian = "little")]
    #[test]
    fn reads_an_address() {
        let (index, address) = parse_address(NEW_ADDRESS).unwrap();
        assert_eq!(index, 3);
        let expected = Address {
            address: IpAddr::from([198, 51, 100, 7]),
            prefix_len: 24,
            scope: 0,
            flags: 0x81,
            protocol: 112,
        };
        assert_eq!(address, expected);
    }

    #[test]
    fn no_prefix_of_a_message_panics() {
        for len in 0..NEW_ADDRESS.len() {
            let cut = NEW_ADDRESS.get(..len).unwrap();
            assert!(len >= 16 || parse_address(cut).is_none(), "{len}");
            assert!(messages(cut).count() <= 1);
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn walks_messages_and_stops_at_a_bad_length() {
        let mut datagram = Vec::new();
        for sequence in [7, 8] {
            datagram.extend([20, 0, 0, 0, 2, 0, 0, 0, sequence, 0, 0, 0, 0, 0, 0, 0]);
            datagram.extend((-17_i32).to_ne_bytes());
        }
        datagram.extend([3, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let found: Vec<_> = messages(&datagram)
            .map(|message| (message.sequence, message.verdict().unwrap_err().raw_os_error()))
            .collect();
        assert_eq!(found, [(7, Some(17)), (8, Some(17))]);
    }
}
