//! Gratuitous ARP and unsolicited neighbour advertisements: tells the segment where addresses are.
//!
//! It neither knows which addresses are ours nor when to announce them.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
    os::fd::{AsFd as _, OwnedFd},
};

use ha_common::checksum;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::sys;

/// Room for 4096 frames on their way, at 1 KiB each.
const SEND_BYTES: usize = 4 << 20;
/// Times that the frames of one [`Announced`] wait for room in a queue, a millisecond each.
const WAITS_MAX: u32 = 4;
const WAIT_MS: u8 = 1;

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const BROADCAST: [u8; 6] = [0xff; 6];
/// Ethernet address of `ff02::1` (RFC 2464 §7).
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ARP_LEN: usize = 42;
const NA_LEN: usize = 86;
/// Of the `ICMPv6` message: header, target address, one option.
const NA_MESSAGE_LEN: u8 = 32;
const ICMPV6: u8 = 58;
/// RFC 4861 §4.4.
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const FLAG_ROUTER: u8 = 0x80;
const FLAG_OVERRIDE: u8 = 0x20;
/// RFC 4861 §4.6.1: target link-layer address, one unit of eight bytes.
const OPTION_TARGET_MAC: [u8; 2] = [2, 1];

/// An address, and where it now is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) ifindex: u32,
    pub(crate) mac: [u8; 6],
    pub(crate) address: IpAddr,
    /// IPv6: this host forwards (the Router flag).
    pub(crate) is_router: bool,
}

/// What became of frames that leave in one turn of the engine.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) sent: usize,
    pub(crate) failed: usize,
    /// The last failure, the kernel's own, without context.
    pub(crate) error: Option<io::Error>,
    waits_left: u32,
}

impl Default for Announced {
    fn default() -> Self {
        Self { sent: 0, failed: 0, error: None, waits_left: WAITS_MAX }
    }
}

/// A packet socket that only sends.
#[derive(Debug)]
pub(crate) struct Announcer {
    fd: OwnedFd,
}

impl Announcer {
    pub(crate) fn open() -> io::Result<Self> {
        let open = || {
            // Protocol 0 receives nothing.
            let fd = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
            sys::set_urgent(&fd)?;
            sys::set_send_bytes(&fd, SEND_BYTES)?;
            Ok(Self { fd })
        };
        open().map_err(|error: io::Error| {
            sys::context(error, "cannot open a packet socket for announcements", "CAP_NET_RAW")
        })
    }

    /// Tells unicast `peers` where `me` is, before they have to ask: their kernels may be in the
    /// middle of asking once a second for a host that was gone, and hold advertisements back.
    pub(crate) fn greet(&self, me: &Target, peers: &[IpAddr]) -> Announced {
        let mut announced = Announced::default();
        let to = match sys::link_address(me.ifindex, Frame::of(me).0) {
            Ok(to) => to,
            Err(error) => {
                announced.failed = peers.len();
                announced.error = Some(error);
                return announced;
            }
        };
        // An ARP request tells whom it asks where the asker is, even who did not know of it; an
        // unsolicited neighbour advertisement mends what is known wrongly.
        let frames: Vec<Frame> = match me.address {
            IpAddr::V4(own) => peers
                .iter()
                .filter_map(|peer| match peer {
                    IpAddr::V4(peer) => Some(Frame::Arp(arp_frame(me.mac, own, *peer))),
                    IpAddr::V6(_) => None,
                })
                .collect(),
            IpAddr::V6(_) => vec![Frame::of(me).1],
        };
        let frames: Vec<_> = frames.iter().map(|frame| (to, frame.as_slice())).collect();
        // A greeting is not worth waiting for.
        announced.waits_left = 0;
        self.send(&frames, &mut announced);
        announced
    }

    /// Announces targets in these rounds of their times: all in the first, then all again that are
    /// to be announced as often.
    pub(crate) fn announce(
        &self,
        targets: &[(Target, u32)],
        rounds: Range<u32>,
        announced: &mut Announced,
    ) {
        let mut frames = Vec::with_capacity(targets.len());
        for (target, times) in targets {
            let (protocol, frame) = Frame::of(target);
            match sys::link_address(target.ifindex, protocol) {
                Ok(to) => frames.push((to, frame, *times)),
                Err(error) => {
                    announced.failed += 1;
                    announced.error = Some(error);
                }
            }
        }
        for round in rounds {
            let due = frames.iter().filter(|(.., times)| round < *times);
            let due: Vec<_> = due.map(|(to, frame, _)| (*to, frame.as_slice())).collect();
            self.send(&due, announced);
        }
    }

    fn send(&self, frames: &[(libc::sockaddr_ll, &[u8])], announced: &mut Announced) {
        let Announced { sent, failed, error, waits_left } = announced;
        let send = |from: usize| {
            let rest = frames.get(from..).unwrap_or_default();
            let mut result = sys::send_frames(self.fd.as_fd(), rest);
            while result.as_ref().is_err_and(is_full) && *waits_left > 0 {
                *waits_left -= 1;
                self.wait();
                result = sys::send_frames(self.fd.as_fd(), rest);
            }
            *sent += result.as_ref().map_or(0, |sent| *sent);
            result
        };
        // An interface may be gone or down; the next frame's may be another.
        sys::send_each(frames.len(), send, |_, last| {
            *failed += 1;
            *error = Some(last);
        });
    }

    fn wait(&self) {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut fds, PollTimeout::from(WAIT_MS)) {
            // Whatever it says, sending is tried again, and `waits_left` is the bound.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Whether a queue on the way had no room: the socket's, or the interface's.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// A frame of either kind.
enum Frame {
    Arp([u8; ARP_LEN]),
    NeighbourAdvertisement([u8; NA_LEN]),
}

impl Frame {
    fn of(target: &Target) -> (u16, Self) {
        match target.address {
            // RFC 5227 §3: sender and target are the same.
            IpAddr::V4(address) => {
                (ETHERTYPE_ARP, Self::Arp(arp_frame(target.mac, address, address)))
            }
            IpAddr::V6(address) => (
                ETHERTYPE_IPV6,
                Self::NeighbourAdvertisement(neighbour_advertisement_frame(
                    target.mac,
                    address,
                    target.is_router,
                )),
            ),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Arp(frame) => frame,
            Self::NeighbourAdvertisement(frame) => frame,
        }
    }
}

/// An ARP request of `sender` for `target`, to everybody (RFC 826).
pub(crate) fn arp_frame(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> [u8; ARP_LEN] {
    let [high, low] = ETHERTYPE_ARP.to_be_bytes();
    let mut frame = [0; ARP_LEN];
    // Ethernet and IPv4, address lengths, request.
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    let (sender, target) = (sender.octets(), target.octets());
    let parts: [&[u8]; 8] =
        [&BROADCAST, &mac, &[high, low], &fixed, &mac, &sender, &BROADCAST, &target];
    fill(&mut frame, &parts);
    frame
}

/// An unsolicited neighbour advertisement for `address` (RFC 4861 §4.4, §7.2.6).
pub(crate) fn neighbour_advertisement_frame(
    mac: [u8; 6],
    address: Ipv6Addr,
    is_router: bool,
) -> [u8; NA_LEN] {
    let flags = if is_router { FLAG_ROUTER | FLAG_OVERRIDE } else { FLAG_OVERRIDE };
    let address = address.octets();
    let [high, low] = ETHERTYPE_IPV6.to_be_bytes();
    let icmp = [NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];

    // RFC 8200 §8.1: addresses, length and next header are summed too; their order is no matter.
    let pseudo_header = [0, NA_MESSAGE_LEN, 0, ICMPV6];
    let summed: [&[u8]; 7] =
        [&address, &ALL_NODES.octets(), &pseudo_header, &icmp, &address, &OPTION_TARGET_MAC, &mac];
    let sum = summed.iter().map(|part| checksum::sum(part)).sum();
    let [sum_high, sum_low] = (!checksum::fold(sum)).to_be_bytes();

    let mut frame = [0; NA_LEN];
    let ipv6 = [0x60, 0, 0, 0, 0, NA_MESSAGE_LEN, ICMPV6, 255];
    let icmp = [NEIGHBOUR_ADVERTISEMENT, 0, sum_high, sum_low, flags, 0, 0, 0];
    let parts: [&[u8]; 10] = [
        &ALL_NODES_MAC,
        &mac,
        &[high, low],
        &ipv6,
        &address,
        &ALL_NODES.octets(),
        &icmp,
        &address,
        &OPTION_TARGET_MAC,
        &mac,
    ];
    fill(&mut frame, &parts);
    frame
}

fn fill(frame: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().copied().flatten();
    for (to, from) in frame.iter_mut().zip(bytes) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x02, 0x00, 0x5e, 0x10, 0x20, 0x30];

    /// V-6.4.1-1, V-6.4.2-7: sender and target are the virtual address.
    #[test]
    fn arp_byte_for_byte() {
        #[rustfmt::skip]
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01,
            0x02, 0x00, 0x5e, 0x10, 0x20, 0x30, 198, 51, 100, 7,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 198, 51, 100, 7,
        ];
        let address = Ipv4Addr::new(198, 51, 100, 7);
        assert_eq!(arp_frame(MAC, address, address), expected);
    }

    /// V-6.4.1-1, V-6.4.2-7: R as the host forwards, S 0, O 1, target the virtual address.
    #[test]
    fn neighbour_advertisement_byte_for_byte() {
        let address: Ipv6Addr = "2001:db8::7".parse().unwrap();
        // The sum by hand, in words: twice the address 2 * (2001 + 0db8 + 0007) = 5b80,
        // ff02 + 0001, 0020 + 003a, 8800 + 2000, 0201 + 0200 + 5e10 + 2030 = 8241:
        // 5b80 + ff03 + 005a + a800 + 8241 = 2_851e, folded 8520, inverted 7adf.
        #[rustfmt::skip]
        let expected = [
            0x33, 0x33, 0, 0, 0, 1, 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30, 0x86, 0xdd,
            0x60, 0, 0, 0, 0, 32, 58, 255,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,
            0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            136, 0, 0x7a, 0xdf, 0x20, 0, 0, 0,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,
            2, 1, 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30,
        ];
        assert_eq!(neighbour_advertisement_frame(MAC, address, false), expected);

        let router = neighbour_advertisement_frame(MAC, address, true);
        assert_eq!(router[58], 0xa0);
        // The flag adds 8000 to the sum: 7adf - 8000 in one's complement is fade.
        assert_eq!(router[56..58], [0xfa, 0xde]);
    }

    /// Byte by byte, with an explicit pseudo-header: shares nothing with `ha_common::checksum`.
    #[test]
    fn checksum_verifies_by_another_calculation() {
        for last in [0_u16, 1, 0x7fff, 0xffff] {
            let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xabcd, 0xff, 0xfe01, last);
            let frame = neighbour_advertisement_frame(MAC, address, last % 2 == 0);
            let mut checked = frame[22..54].to_vec();
            checked.extend([0, 0, 0, 32, 0, 0, 0, 58]);
            checked.extend(&frame[54..]);
            let mut sum = 0_u64;
            for (index, byte) in checked.iter().enumerate() {
                sum += u64::from(*byte) * if index % 2 == 0 { 256 } else { 1 };
            }
            assert_eq!(sum % 0xffff, 0, "{last:x}");
        }
    }
}
