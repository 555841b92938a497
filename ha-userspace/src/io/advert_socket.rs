//! Sends advertisements on one interface; never receives.
//!
//! As a raw socket of protocol 112 or 51 it has a second use: while it is open the kernel answers no
//! advertisement with "protocol unreachable". What would queue on it is refused by a filter.

use std::{
    ffi::OsString,
    io::{self, IoSlice},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    sync::atomic::{AtomicU16, Ordering},
};

use ha_common::proto::{AH_LEN, IP_PROTOCOL, IP_PROTOCOL_AH};
use ha_core::{
    Family,
    wire::{Authentication, Template, ah::Seal},
};
use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recv,
        sendmmsg, setsockopt, sockopt,
    },
};

use super::sys;

/// Room for 4096 advertisements on their way, at 1 KiB each.
const SEND_BYTES: usize = 4 << 20;
/// Frames that may have come between the opening of the socket and its filter.
const EARLY_FRAMES_MAX: usize = 4096;

const IPV4_HEADER_LEN: u16 = 20;
/// Version 4, five words of header.
const IPV4_VERSION_IHL: u8 = 0x45;
/// DSCP CS6, internetwork control, as keepalived sends it.
const TRAFFIC_CLASS: u8 = 0xc0;

/// How advertisements travel. Each way has sockets of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Channel {
    /// As protocol 112.
    Plain(Family),
    /// Over IPv4, behind an Authentication Header: as protocol 51.
    Ah,
}

impl Channel {
    /// Of an instance's advertisements.
    pub(crate) fn of(family: Family, template: &Template) -> Self {
        match template.authentication {
            Authentication::None | Authentication::Pass(_) => Self::Plain(family),
            Authentication::Ah(_) => Self::Ah,
        }
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Plain(family) => family,
            Self::Ah => Family::V4,
        }
    }

    fn protocol(self) -> u8 {
        match self {
            Self::Plain(_) => IP_PROTOCOL,
            Self::Ah => IP_PROTOCOL_AH,
        }
    }
}

/// An advertisement, and how it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// IPv6: hop limit.
    pub(crate) ttl: u8,
    pub(crate) message: &'a [u8],
    /// Over [`Channel::Ah`].
    pub(crate) seal: Option<Seal>,
}

impl Outgoing<'_> {
    /// Whether both can leave in one system call: flags and control messages are for all in it.
    fn goes_with(&self, next: &Self) -> bool {
        let is_alike = |one: IpAddr, other: IpAddr| one.is_ipv4() == other.is_ipv4();
        // IPv4 has source and TTL in the header, which is ours.
        let has_own_header = self.source.is_ipv4();
        self.destination.is_multicast() == next.destination.is_multicast()
            && is_alike(self.destination, next.destination)
            && is_alike(self.source, next.source)
            && (has_own_header || self.source == next.source && self.ttl == next.ttl)
    }
}

/// A raw socket of a channel's protocol, bound to an interface.
#[derive(Debug)]
pub(crate) struct AdvertSocket {
    fd: OwnedFd,
    ifindex: u32,
    /// Identification of the last IPv4 datagram.
    ip_id: AtomicU16,
}

impl AdvertSocket {
    /// Opens the socket and joins `group` on the interface, so that the network card lets the
    /// group's frames in. The membership lasts as long as the socket.
    pub(crate) fn open(
        interface: &str,
        ifindex: u32,
        channel: Channel,
        group: Option<IpAddr>,
    ) -> io::Result<Self> {
        let describe = |error: io::Error| {
            let what = format_args!("cannot open a raw socket on {interface}");
            sys::context(error, what, "CAP_NET_RAW")
        };
        let family = channel.family();
        let domain = match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        let fd = sys::socket(domain, libc::SOCK_RAW, i32::from(channel.protocol()));
        let fd = fd.map_err(describe)?;
        prepare(&fd, interface, ifindex, family).map_err(describe)?;
        if let Some(group) = group {
            join(&fd, ifindex, group).map_err(|error| {
                let what = format_args!("cannot join {group} on {interface}");
                sys::context(error, what, "CAP_NET_RAW")
            })?;
        }
        Ok(Self { fd, ifindex, ip_id: AtomicU16::new(0) })
    }

    /// Sends `outgoing` in order, in as few system calls as can be; gives back which of them failed,
    /// by their places, and the kernel's own errors without context.
    ///
    /// Over [`Channel::Ah`] all have seals.
    pub(crate) fn send(&self, outgoing: &[Outgoing<'_>]) -> Vec<(usize, io::Error)> {
        let mut failures = Vec::new();
        let mut start = 0;
        for batch in outgoing.chunk_by(Outgoing::goes_with) {
            for some in batch.chunks(sys::FRAMES_MAX) {
                let send = |from: usize| self.send_some(some.get(from..).unwrap_or_default());
                let fail = |at: usize, error| failures.push((start + at, error));
                sys::send_each(some.len(), send, fail);
                start += some.len();
            }
        }
        failures
    }

    /// Sends what goes together; says how many were sent. An error is that of the first.
    fn send_some(&self, batch: &[Outgoing<'_>]) -> io::Result<usize> {
        match batch.first().map(|first| (first.source, first.destination)) {
            Some((IpAddr::V4(_), IpAddr::V4(_))) => self.send_v4(batch),
            Some((IpAddr::V6(source), IpAddr::V6(_))) => self.send_v6(source, batch),
            Some((IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_))) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            None => Ok(0),
        }
    }

    fn send_v4(&self, batch: &[Outgoing<'_>]) -> io::Result<usize> {
        let mut headers = Vec::with_capacity(batch.len());
        let mut to = Vec::with_capacity(batch.len());
        for outgoing in batch {
            let (IpAddr::V4(source), IpAddr::V4(destination)) =
                (outgoing.source, outgoing.destination)
            else {
                break;
            };
            let header = self.headers_v4(source, destination, outgoing);
            headers.push(header.ok_or(io::ErrorKind::InvalidInput)?);
            to.push(Some(SockaddrIn::from(SocketAddrV4::new(destination, 0))));
        }
        let parts: Vec<[IoSlice<'_>; 3]> = headers
            .iter()
            .zip(batch)
            .map(|((header, ah), outgoing)| {
                let ah = ah.as_ref().map_or(&[][..], |ah| ah);
                [IoSlice::new(header), IoSlice::new(ah), IoSlice::new(outgoing.message)]
            })
            .collect();
        self.send_parts(batch, &parts, &to, &[], None)
    }

    fn headers_v4(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        outgoing: &Outgoing<'_>,
    ) -> Option<([u8; 20], Option<[u8; AH_LEN]>)> {
        let Outgoing { ttl, message, seal, .. } = *outgoing;
        let (protocol, ah_len) = seal.map_or((IP_PROTOCOL, 0), |_| (IP_PROTOCOL_AH, AH_LEN));
        let (id, payload_len) = (self.next_ip_id(), ah_len + message.len());
        let header = ipv4_header(id, source, destination, ttl, protocol, payload_len)?;
        Some((header, seal.map(|seal| seal.header(&header, message))))
    }

    fn send_v6(&self, source: Ipv6Addr, batch: &[Outgoing<'_>]) -> io::Result<usize> {
        let from = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
            ipi6_ifindex: self.ifindex,
        };
        let hop_limit = batch.first().map_or(0, |first| i32::from(first.ttl));
        let traffic_class = i32::from(TRAFFIC_CLASS);
        let control = [
            ControlMessage::Ipv6PacketInfo(&from),
            ControlMessage::Ipv6HopLimit(&hop_limit),
            ControlMessage::Ipv6TClass(&traffic_class),
        ];
        let mut to = Vec::with_capacity(batch.len());
        for outgoing in batch {
            let IpAddr::V6(destination) = outgoing.destination else { break };
            let address = SocketAddrV6::new(destination, 0, 0, self.ifindex);
            to.push(Some(SockaddrIn6::from(address)));
        }
        let parts: Vec<[IoSlice<'_>; 1]> =
            batch.iter().map(|outgoing| [IoSlice::new(outgoing.message)]).collect();
        let space = cmsg_space!(libc::in6_pktinfo, i32, i32);
        self.send_parts(batch, &parts, &to, &control, Some(space))
    }

    fn send_parts<const PARTS: usize, A: Copy + SockaddrLike>(
        &self,
        batch: &[Outgoing<'_>],
        parts: &[[IoSlice<'_>; PARTS]],
        to: &[Option<A>],
        control: &[ControlMessage<'_>],
        space: Option<Vec<u8>>,
    ) -> io::Result<usize> {
        let is_multicast = batch.first().is_some_and(|first| first.destination.is_multicast());
        let mut headers = MultiHeaders::preallocate(parts.len(), space);
        let flags = flags(is_multicast);
        let sent = sendmmsg(self.fd.as_raw_fd(), &mut headers, parts, to, control, flags)?;
        Ok(sent.count())
    }

    /// From 1; 0 would make the kernel choose.
    fn next_ip_id(&self) -> u16 {
        let id = self.ip_id.load(Ordering::Relaxed).checked_add(1).unwrap_or(1);
        self.ip_id.store(id, Ordering::Relaxed);
        id
    }
}

fn prepare(fd: &OwnedFd, interface: &str, ifindex: u32, family: Family) -> io::Result<()> {
    sys::attach_filter(fd.as_fd(), &[sys::accept(0)])?;
    discard_queue(fd);
    setsockopt(fd, sockopt::BindToDevice, &OsString::from(interface))?;
    sys::set_urgent(fd)?;
    sys::set_send_bytes(fd, SEND_BYTES)?;
    match family {
        Family::V4 => {
            setsockopt(fd, sockopt::IpMulticastLoop, &false)?;
            // The kernel fragments nothing that has its header: it is an error.
            sys::set_option(fd.as_fd(), libc::IPPROTO_IP, libc::IP_HDRINCL, &1)?;
            let interface = mreqn(Ipv4Addr::UNSPECIFIED, ifindex)?;
            sys::set_option(fd.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &interface)
        }
        // The message carries its checksum: the kernel computes none for raw sockets unless told
        // to (IPV6_CHECKSUM).
        Family::V6 => {
            let level = libc::IPPROTO_IPV6;
            // No router listens to a fragment of an advertisement.
            sys::set_option(fd.as_fd(), level, libc::IPV6_DONTFRAG, &1)?;
            sys::set_option(fd.as_fd(), level, libc::IPV6_MULTICAST_LOOP, &0)?;
            sys::set_option(fd.as_fd(), level, libc::IPV6_MULTICAST_IF, &ifindex)
        }
    }
}

/// The socket was open before its filter was attached: what came meanwhile would stay for ever.
fn discard_queue(fd: &OwnedFd) {
    for _ in 0..EARLY_FRAMES_MAX {
        match recv(fd.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn join(fd: &OwnedFd, ifindex: u32, group: IpAddr) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            let request = mreqn(group, ifindex)?;
            sys::set_option(fd.as_fd(), libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &request)
        }
        IpAddr::V6(group) => {
            let request = libc::ipv6_mreq {
                ipv6mr_multiaddr: libc::in6_addr { s6_addr: group.octets() },
                ipv6mr_interface: ifindex,
            };
            sys::set_option(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &request)
        }
    }
}

fn mreqn(group: Ipv4Addr, ifindex: u32) -> io::Result<libc::ip_mreqn> {
    Ok(libc::ip_mreqn {
        imr_multiaddr: libc::in_addr { s_addr: u32::from_ne_bytes(group.octets()) },
        imr_address: libc::in_addr { s_addr: 0 },
        imr_ifindex: i32::try_from(ifindex).map_err(io::Error::other)?,
    })
}

fn flags(is_multicast: bool) -> MsgFlags {
    // A group needs no route, as with keepalived.
    let route = if is_multicast { libc::MSG_DONTROUTE } else { 0 };
    MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(route)
}

/// A header as keepalived's: no options, no "don't fragment"; the kernel fills in the checksum.
fn ipv4_header(
    id: u16,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    ttl: u8,
    protocol: u8,
    payload_len: usize,
) -> Option<[u8; 20]> {
    let total_len = u16::try_from(payload_len).ok()?.checked_add(IPV4_HEADER_LEN)?;
    let [len_high, len_low] = total_len.to_be_bytes();
    let [id_high, id_low] = id.to_be_bytes();
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    #[rustfmt::skip]
    let header = [
        IPV4_VERSION_IHL, TRAFFIC_CLASS, len_high, len_low,
        id_high, id_low, 0, 0,
        ttl, protocol, 0, 0,
        s0, s1, s2, s3,
        d0, d1, d2, d3,
    ];
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-5.1.1-3; V-2.5: DSCP CS6.
    #[test]
    fn the_ipv4_header_byte_for_byte() {
        let source = Ipv4Addr::new(198, 51, 100, 1);
        let group = Ipv4Addr::new(224, 0, 0, 18);
        let header = ipv4_header(0x0102, source, group, 255, 112, 12).unwrap();
        #[rustfmt::skip]
        let expected = [
            0x45, 0xc0, 0, 32, 1, 2, 0, 0, 255, 112, 0, 0,
            198, 51, 100, 1, 224, 0, 0, 18,
        ];
        assert_eq!(header, expected);
        assert!(ipv4_header(1, source, source, 255, 51, 65_516).is_none());
    }

    /// Flags and control messages are one for all in a `sendmmsg`.
    #[test]
    fn what_leaves_together() {
        let outgoing = |source: &str, destination: &str, ttl| Outgoing {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            ttl,
            message: &[],
            seal: None,
        };
        let v4 = outgoing("198.51.100.1", "224.0.0.18", 255);
        assert!(v4.goes_with(&outgoing("198.51.100.9", "224.0.0.18", 1)), "its header has those");
        assert!(!v4.goes_with(&outgoing("198.51.100.1", "198.51.100.2", 255)), "needs a route");
        let v6 = outgoing("fe80::1", "ff02::12", 255);
        assert!(v6.goes_with(&v6));
        assert!(!v6.goes_with(&outgoing("fe80::9", "ff02::12", 255)));
        assert!(!v6.goes_with(&outgoing("fe80::1", "ff02::12", 1)));
        assert!(!v6.goes_with(&v4) && !v4.goes_with(&v6));
    }
}
