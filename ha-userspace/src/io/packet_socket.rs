//! Receives advertisements where XDP cannot: a packet socket, one an interface and channel.
//!
//! It judges nothing: the caller hands each frame to the same judge that the XDP program calls.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd, OwnedFd, RawFd},
};

use ha_common::proto::{IP_PROTOCOL, IP_PROTOCOL_AH};
use ha_core::Family;
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use tokio::io::unix::AsyncFd;

use super::{advert_socket::Channel, sys};

/// Room for some two thousand frames; under a flood the newest are dropped, not memory taken.
const RECEIVE_BYTES: usize = 1 << 20;
/// What of the room a frame takes at least: the kernel's `sk_buff` and `skb_shared_info`.
const FRAME_ROOM_MIN: usize = 512;
/// Frames that wait in a socket at most; the kernel doubles the room that it is asked for
/// (socket(7), `SO_RCVBUF`).
pub(crate) const FRAMES_MAX: usize = 2 * RECEIVE_BYTES / FRAME_ROOM_MIN;
/// Errors that the interface left on the socket, before the frames.
const STALE_ERRORS_MAX: usize = 4;
/// More than any frame has.
const SNAP_LEN: u32 = 0x4_0000;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Offset of the IP header in the frame.
const OFFSET_IP: u32 = 14;
/// Offset of the IPv4 header's protocol field in the frame.
const OFFSET_PROTOCOL: u32 = OFFSET_IP + 9;
/// Offset of the IPv6 header's next-header field in the frame.
const OFFSET_NEXT_HEADER: u32 = OFFSET_IP + 6;
/// `SKF_AD_OFF + SKF_AD_PKTTYPE`: how the frame was addressed.
const ANCILLARY_PACKET_TYPE: u32 = 0xffff_f000 + 4;
/// `PACKET_OTHERHOST`: seen in promiscuous mode only.
const PACKET_OTHERHOST: u32 = 3;
/// `SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT`.
const ANCILLARY_VLAN_TAG_PRESENT: u32 = 0xffff_f000 + 48;

/// A packet socket that gets whole Ethernet frames of one channel, and nothing else.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    fd: AsyncFd<OwnedFd>,
}

impl PacketSocket {
    /// Must be called inside the engine thread's runtime. Joins no group: the
    /// [`super::advert_socket::AdvertSocket`] does.
    pub(crate) fn open(interface: &str, ifindex: u32, channel: Channel) -> io::Result<Self> {
        open(ifindex, channel).map_err(|error| {
            let what = format_args!("cannot open a packet socket on {interface}");
            sys::context(error, what, "CAP_NET_RAW")
        })
    }

    /// Waits for the arrival of a frame. Can be dropped and called again.
    ///
    /// It tells of each arrival once: [`Self::recv`] is then to be called until it says `None`.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.fd.readable().await?.clear_ready();
        Ok(())
    }

    /// Frames for which there was no room, since this was asked last (packet(7),
    /// `PACKET_STATISTICS`).
    pub(crate) fn take_lost(&self) -> u32 {
        let none: [u32; 2] = [0; 2];
        let counted = sys::option(self.fd.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, none);
        let [_seen, lost] = counted.unwrap_or(none);
        lost
    }

    /// The next frame's length, or `None` if there is none now. A frame longer than `buffer` is
    /// cut off.
    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv_frame(self.fd.get_ref(), buffer) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn open(ifindex: u32, channel: Channel) -> io::Result<PacketSocket> {
    let protocol = match channel.family() {
        Family::V4 => ETHERTYPE_IPV4,
        Family::V6 => ETHERTYPE_IPV6,
    };
    // Protocol 0: nothing comes before everything is set up.
    let fd = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    sys::attach_filter(fd.as_fd(), &filter(channel))?;
    sys::set_option(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1)?;
    sys::set_receive_bytes(&fd, RECEIVE_BYTES)?;
    sys::bind(fd.as_fd(), &sys::link_address(ifindex, protocol)?)?;
    Ok(PacketSocket { fd: sys::register(fd)? })
}

/// Frames of the channel for this host, untagged (a network card may have taken the tag off).
fn filter(channel: Channel) -> Vec<libc::sock_filter> {
    let is_vrrp = match channel {
        Channel::Plain(family) => {
            let offset = match family {
                Family::V4 => OFFSET_PROTOCOL,
                Family::V6 => OFFSET_NEXT_HEADER,
            };
            vec![sys::load_byte(offset), sys::jump_if_equal(u32::from(IP_PROTOCOL), 0, 5)]
        }
        // Other users of IPsec on this host are none of ours: only VRRP next behind the header.
        Channel::Ah => vec![
            sys::load_byte(OFFSET_PROTOCOL),
            sys::jump_if_equal(u32::from(IP_PROTOCOL_AH), 0, 8),
            sys::load_header_len(OFFSET_IP),
            sys::load_byte_behind(OFFSET_IP),
            sys::jump_if_equal(u32::from(IP_PROTOCOL), 0, 5),
        ],
    };
    let is_for_us = [
        sys::load_byte(ANCILLARY_PACKET_TYPE),
        sys::jump_if_equal(PACKET_OTHERHOST, 3, 0),
        sys::load_byte(ANCILLARY_VLAN_TAG_PRESENT),
        sys::jump_if_equal(0, 0, 1),
        sys::accept(SNAP_LEN),
        sys::accept(0),
    ];
    is_vrrp.into_iter().chain(is_for_us).collect()
}

fn recv_frame(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    for _ in 0..STALE_ERRORS_MAX {
        match recv(fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            // The interface went down; when it comes up again the socket goes on by itself.
            Err(Errno::ENETDOWN | Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}
