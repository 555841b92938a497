//! An interface that virtual routers speak on: how frames come in, and how advertisements go out.

use std::{io, rc::Rc};

use ha_common::{
    abi::COUNTERS_LEN,
    check::{self, Reason, Verdict},
    frame::Bytes,
};
use ha_core::{Family, InstanceId, Instant};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    cli::XdpChoice,
    io::{
        advert_socket::AdvertSocket,
        links::{Kind, Link},
        packet_socket::PacketSocket,
        tables::{self, Tables},
        xdp::{Advert, Mode, Xdp},
    },
};

/// Longest Ethernet frame that is read: a jumbo frame with two tags.
const FRAME_MAX: usize = 9_216 + 22;
/// Frames taken from one socket before other work gets its turn.
const FRAMES_PER_TURN: usize = 256;

/// An open interface.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) ifindex: u32,
    senders: Vec<(Family, AdvertSocket)>,
    receiver: Receiver,
}

#[derive(Debug)]
enum Receiver {
    Xdp(Mode),
    Sockets { sockets: Vec<Listener>, counters: Box<[u64; COUNTERS_LEN]> },
}

/// A packet socket and the task that says when it has something.
#[derive(Debug)]
struct Listener {
    socket: Rc<PacketSocket>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a port is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) link: &'a Link,
    /// VLAN interfaces are on top of it.
    pub(crate) carries_vlans: bool,
    /// Families of its instances, and the multicast group to join for each, if any.
    pub(crate) families: &'a [(Family, Option<std::net::IpAddr>)],
    pub(crate) choice: XdpChoice,
    pub(crate) xdp: Option<&'a mut Xdp>,
    /// Woken when a packet socket has something.
    pub(crate) arrived: &'a Rc<Notify>,
}

impl Port {
    /// Opens the sockets and attaches the XDP program; says what an operator should know.
    ///
    /// # Errors
    /// A socket was refused, or XDP was demanded and cannot be had.
    pub(crate) fn open(opening: Opening<'_>) -> io::Result<(Self, Option<String>)> {
        let Opening { link, carries_vlans, families, choice, xdp, arrived } = opening;
        let mut senders = Vec::with_capacity(families.len());
        for (family, group) in families {
            let socket = AdvertSocket::open(&link.name, link.index, *family, *group)?;
            senders.push((*family, socket));
        }
        let is_loaded = xdp.is_some();
        let attached = match xdp {
            // A network card may take the tag off before XDP sees the frame: the kernel's packet
            // sockets know whose frame it is, XDP does not.
            Some(_) if carries_vlans && choice == XdpChoice::Auto => {
                Err(io::Error::other("VLAN interfaces are on top of it"))
            }
            Some(xdp) => xdp.attach(link.index, link.kind == Kind::Aggregate, choice),
            None => Err(io::Error::other("the XDP program is not loaded")),
        };
        let (receiver, warning) = match attached {
            Ok(mode) => (Receiver::Xdp(mode), None),
            Err(error) if matches!(choice, XdpChoice::Native | XdpChoice::Generic) => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", link.name)));
            }
            Err(error) => {
                let receiver = Receiver::listen(link, families, arrived)?;
                // Why it is not loaded was said when that failed.
                let warning = is_loaded.then(|| {
                    format!("{}: a packet socket is used instead of XDP: {error}", link.name)
                });
                (receiver, warning)
            }
        };
        Ok((Self { ifindex: link.index, senders, receiver }, warning))
    }

    /// Detaches what does not go with the sockets.
    pub(crate) fn close(self, xdp: Option<&mut Xdp>) {
        if let (Receiver::Xdp(_), Some(xdp)) = (&self.receiver, xdp) {
            xdp.detach(self.ifindex);
        }
    }

    pub(crate) fn sender(&self, family: Family) -> Option<&AdvertSocket> {
        self.senders.iter().find(|(of, _)| *of == family).map(|(_, sender)| sender)
    }

    /// `native`, `generic` or `off`.
    pub(crate) fn xdp_name(&self) -> &'static str {
        match self.receiver {
            Receiver::Xdp(mode) => mode.name(),
            Receiver::Sockets { .. } => "off",
        }
    }

    pub(crate) fn is_xdp(&self) -> bool {
        matches!(self.receiver, Receiver::Xdp(_))
    }

    /// Frames by what became of them, where no XDP program counts.
    pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
        let Receiver::Sockets { counters, .. } = &self.receiver else { return Vec::new() };
        let count = |reason: Reason| counters.get(reason.index()).copied().unwrap_or(0);
        Reason::ALL.iter().map(|reason| (reason.name(), count(*reason))).collect()
    }

    /// Judges what waits in the packet sockets and hands on what is accepted; says whether they
    /// are empty now. Does nothing where XDP does it.
    pub(crate) fn receive(
        &mut self,
        tables: &Tables,
        now: Instant,
        mut take: impl FnMut(Advert<'_>),
    ) -> bool {
        let Receiver::Sockets { sockets, counters } = &mut self.receiver else { return true };
        let mut buffer = [0; FRAME_MAX];
        let mut are_empty = true;
        for listener in sockets {
            let mut left = FRAMES_PER_TURN;
            // An error of the socket (interface down) is the link notification's to tell.
            while let Ok(Some(len)) = listener.socket.recv(&mut buffer) {
                let frame = buffer.get(..len).unwrap_or(&buffer);
                let reason = judge(frame, tables, self.ifindex, now, &mut take);
                if let Some(count) = reason.and_then(|reason| counters.get_mut(reason.index())) {
                    *count += 1;
                }
                left -= 1;
                if left == 0 {
                    are_empty = false;
                    break;
                }
            }
        }
        are_empty
    }
}

impl Receiver {
    fn listen(
        link: &Link,
        families: &[(Family, Option<std::net::IpAddr>)],
        arrived: &Rc<Notify>,
    ) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(families.len());
        for (family, _) in families {
            let socket = Rc::new(PacketSocket::open(&link.name, link.index, *family)?);
            let task = tokio::task::spawn_local(watch(Rc::clone(&socket), Rc::clone(arrived)));
            sockets.push(Listener { socket, task });
        }
        Ok(Self::Sockets { sockets, counters: Box::new([0; COUNTERS_LEN]) })
    }
}

async fn watch(socket: Rc<PacketSocket>, arrived: Rc<Notify>) {
    while socket.readable().await.is_ok() {
        arrived.notify_one();
    }
}

/// What the XDP program does, for a frame that came by a packet socket.
///
/// The moment of reading stands for the stamp: it is never before the frame's arrival, so it can
/// put a takeover off, but not bring one about.
fn judge(
    frame: &[u8],
    tables: &Tables,
    ifindex: u32,
    now: Instant,
    take: &mut impl FnMut(Advert<'_>),
) -> Option<Reason> {
    match check::judge(&Bytes(frame), tables, ifindex) {
        Verdict::NotVrrp(_) | Verdict::Stranger => None,
        Verdict::Drop(reason) => Some(reason),
        Verdict::Accept(accepted) => {
            let datagram = accepted.datagram;
            let end = datagram.payload_offset + datagram.payload_len;
            take(Advert {
                instance: InstanceId(accepted.slot),
                at: now,
                source: tables::address(datagram.family, datagram.source),
                message: frame.get(datagram.payload_offset..end).unwrap_or_default(),
            });
            Some(Reason::Accepted)
        }
    }
}
