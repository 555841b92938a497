//! An interface that virtual routers speak on: how frames come in, and how advertisements go out.

use std::{io, net::IpAddr, rc::Rc};

use ha_common::{
    abi::{COUNTERS_LEN, Content, Sender},
    check::{self, Reason, Verdict},
    frame::{Bytes, Datagram},
    slot::SharedSlot,
};
use ha_core::{InstanceId, Instant};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    cli::XdpChoice,
    clock,
    engine::associations::Associations,
    io::{
        advert_socket::{AdvertSocket, Channel},
        links::{Kind, Link},
        packet_socket::{self, PacketSocket},
        tables::{self, Tables},
        xdp::{Advert, Mode, Xdp},
    },
};

/// Longest Ethernet frame that is read: a jumbo frame with two tags.
const FRAME_MAX: usize = 9_216 + 22;
/// Frames taken from one socket before other work gets its turn: all that can wait there when the
/// turn begins. With any of them unread a living Master could look silent.
const FRAMES_PER_TURN: usize = packet_socket::FRAMES_MAX;

/// An open interface.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) ifindex: u32,
    speech: Speech,
    hearing: Hearing,
    /// Of frames that came by packet sockets.
    counters: Box<[u64; COUNTERS_LEN]>,
    /// Frames for which the packet sockets had no room.
    unread: u64,
}

/// A channel that is used, and the multicast group to join for it, if any.
pub(crate) type Spoken = (Channel, Option<IpAddr>);

/// The sockets for the channels that are used.
#[derive(Debug)]
pub(crate) struct Speech {
    channels: Vec<Spoken>,
    senders: Vec<(Channel, AdvertSocket)>,
    /// None where XDP hears.
    plain: Vec<Listener>,
    /// XDP knows no Authentication Header: what has one comes by a packet socket always.
    ah: Option<Listener>,
}

/// Who hears what has no Authentication Header.
#[derive(Clone, Copy, Debug)]
enum Hearing {
    Xdp(Mode),
    Sockets,
}

/// A packet socket and the task that says when it has something.
#[derive(Debug)]
struct Listener {
    socket: Rc<PacketSocket>,
    task: JoinHandle<()>,
}

impl Listener {
    fn open(link: &Link, channel: Channel, arrived: &Rc<Notify>) -> io::Result<Self> {
        let socket = Rc::new(PacketSocket::open(&link.name, link.index, channel)?);
        let task = tokio::task::spawn_local(watch(Rc::clone(&socket), Rc::clone(arrived)));
        Ok(Self { socket, task })
    }

    /// Hands what waits to `judge`, with the moment at which it was read, counts what it says, and
    /// has `refuse` know what was not taken; says whether nothing waits any more.
    fn drain(
        &self,
        counters: &mut [u64; COUNTERS_LEN],
        refuse: &mut impl FnMut(Instant, Reason, &Sender),
        mut judge: impl FnMut(&[u8], Instant) -> Fate,
    ) -> bool {
        let mut buffer = [0; FRAME_MAX];
        for _ in 0..FRAMES_PER_TURN {
            // An error of the socket (interface down) is the link notification's to tell.
            let Ok(Some(len)) = self.socket.recv(&mut buffer) else { return true };
            let now = clock::now();
            let reasons = match judge(buffer.get(..len).unwrap_or(&buffer), now) {
                Fate::Stranger => [None; 2],
                Fate::Refused(reason, sender) => {
                    refuse(now, reason, &sender);
                    [Some(reason), None]
                }
                Fate::Accepted => [Some(Reason::Accepted), None],
                // As in the program, it is an accepted one too.
                Fate::Absorbed => [Some(Reason::Accepted), Some(Reason::Absorbed)],
            };
            for reason in reasons.into_iter().flatten() {
                if let Some(count) = counters.get_mut(reason.index()) {
                    *count += 1;
                }
            }
        }
        false
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What has become of a frame.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stranger,
    Refused(Reason, Sender),
    Absorbed,
    Accepted,
}

/// What a frame is judged by that comes by a packet socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judges<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) associations: &'a Associations,
    pub(crate) slots: &'a [SharedSlot],
}

/// What a port is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) link: &'a Link,
    /// VLAN interfaces are on top of it.
    pub(crate) carries_vlans: bool,
    /// Channels of its instances, and the multicast group to join for each, if any.
    pub(crate) channels: &'a [Spoken],
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
        let Opening { link, carries_vlans, channels, choice, xdp, arrived } = opening;
        let mut speech = Speech::open(link, channels, arrived)?;
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
        let (hearing, warning) = match attached {
            Ok(mode) => (Hearing::Xdp(mode), None),
            Err(error) if matches!(choice, XdpChoice::Native | XdpChoice::Generic) => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", link.name)));
            }
            Err(error) => {
                speech.listen(link, arrived)?;
                // Why it is not loaded was said when that failed.
                let warning = is_loaded.then(|| {
                    format!("{}: a packet socket is used instead of XDP: {error}", link.name)
                });
                (Hearing::Sockets, warning)
            }
        };
        let counters = Box::new([0; COUNTERS_LEN]);
        Ok((Self { ifindex: link.index, speech, hearing, counters, unread: 0 }, warning))
    }

    /// The sockets for other channels than before, if they are others.
    ///
    /// # Errors
    /// A socket was refused.
    pub(crate) fn prepare(
        &self,
        link: &Link,
        channels: &[Spoken],
        arrived: &Rc<Notify>,
    ) -> io::Result<Option<Speech>> {
        if self.speech.channels == channels {
            return Ok(None);
        }
        let mut speech = Speech::open(link, channels, arrived)?;
        if matches!(self.hearing, Hearing::Sockets) {
            speech.listen(link, arrived)?;
        }
        Ok(Some(speech))
    }

    /// Goes on with other sockets.
    pub(crate) fn set_speech(&mut self, speech: Speech) {
        self.count_unread();
        self.speech = speech;
    }

    /// Detaches what does not go with the sockets.
    pub(crate) fn close(self, xdp: Option<&mut Xdp>) {
        if let (Hearing::Xdp(_), Some(xdp)) = (&self.hearing, xdp) {
            xdp.detach(self.ifindex);
        }
    }

    pub(crate) fn sender(&self, channel: Channel) -> Option<&AdvertSocket> {
        self.speech.senders.iter().find(|(of, _)| *of == channel).map(|(_, sender)| sender)
    }

    /// Whether what it hears is judged by the XDP program.
    pub(crate) fn hears_by_xdp(&self) -> bool {
        matches!(self.hearing, Hearing::Xdp(_))
    }

    /// `native`, `generic` or `off`.
    pub(crate) fn xdp_name(&self) -> &'static str {
        match self.hearing {
            Hearing::Xdp(mode) => mode.name(),
            Hearing::Sockets => "off",
        }
    }

    fn count_unread(&mut self) {
        let listeners = self.speech.plain.iter().chain(&self.speech.ah);
        self.unread += listeners.map(|one| u64::from(one.socket.take_lost())).sum::<u64>();
    }

    /// Frames by what became of them, whoever judged them.
    pub(crate) fn counters(&mut self, xdp: Option<&Xdp>) -> Vec<(&'static str, u64)> {
        self.count_unread();
        let mut counts: Vec<(&'static str, u64)> = match (self.hearing, xdp) {
            (Hearing::Xdp(_), Some(xdp)) => xdp.counters(self.ifindex),
            (Hearing::Xdp(_) | Hearing::Sockets, _) => {
                Reason::ALL.iter().map(|reason| (reason.name(), 0)).collect()
            }
        };
        for ((_, count), own) in counts.iter_mut().zip(self.counters.iter()) {
            *count += own;
        }
        counts.push(("unread", self.unread));
        counts
    }

    /// Judges what waits in the packet sockets, hands on what is accepted to `take` and the rest to
    /// `refuse`; says whether they are empty now. Does nothing where XDP does it.
    pub(crate) fn receive(
        &mut self,
        judges: Judges<'_>,
        mut take: impl FnMut(Advert<'_>),
        mut refuse: impl FnMut(Instant, Reason, &Sender),
    ) -> bool {
        let Judges { tables, associations, slots } = judges;
        let Self { ifindex, speech, counters, hearing: _, unread: _ } = self;
        let mut are_empty = true;
        for listener in &speech.plain {
            are_empty &= listener.drain(counters, &mut refuse, |frame, now| {
                let verdict = check::judge(&Bytes(frame), tables, *ifindex);
                let open = |_instance, datagram: &Datagram| {
                    let end = datagram.payload_offset + datagram.payload_len;
                    Ok(frame.get(datagram.payload_offset..end).unwrap_or_default())
                };
                hand_on(verdict, *ifindex, slots, now, open, &mut take)
            });
        }
        if let Some(listener) = &speech.ah {
            are_empty &= listener.drain(counters, &mut refuse, |frame, now| {
                let verdict = check::judge_ah(&Bytes(frame), tables, *ifindex);
                let open = |instance, datagram: &Datagram| {
                    let end = datagram.payload_offset + datagram.payload_len;
                    let packet = frame.get(datagram.ip_offset..end).unwrap_or_default();
                    associations.open(instance, packet)
                };
                hand_on(verdict, *ifindex, slots, now, open, &mut take)
            });
        }
        are_empty
    }
}

impl Speech {
    fn open(link: &Link, channels: &[Spoken], arrived: &Rc<Notify>) -> io::Result<Self> {
        let mut senders = Vec::with_capacity(channels.len());
        let mut ah = None;
        for &(channel, group) in channels {
            senders.push((channel, AdvertSocket::open(&link.name, link.index, channel, group)?));
            if channel == Channel::Ah {
                ah = Some(Listener::open(link, channel, arrived)?);
            }
        }
        Ok(Self { channels: channels.to_vec(), senders, plain: Vec::new(), ah })
    }

    /// Hears by packet sockets what XDP does not.
    fn listen(&mut self, link: &Link, arrived: &Rc<Notify>) -> io::Result<()> {
        let plain = self.channels.iter().filter(|(channel, _)| *channel != Channel::Ah);
        let open = |(channel, _): &Spoken| Listener::open(link, *channel, arrived);
        self.plain = plain.map(open).collect::<io::Result<_>>()?;
        Ok(())
    }
}

async fn watch(socket: Rc<PacketSocket>, arrived: Rc<Notify>) {
    while socket.readable().await.is_ok() {
        arrived.notify_one();
    }
}

/// What the XDP program does with a verdict, for a frame that came by a packet socket. `open` gives
/// the message of one that is accepted, or has a reason against it.
///
/// The moment of reading stands for the stamp: it is never before the frame's arrival, so it can
/// put a takeover off, but not bring one about.
fn hand_on<'a>(
    verdict: Verdict,
    ifindex: u32,
    slots: &[SharedSlot],
    now: Instant,
    open: impl FnOnce(InstanceId, &Datagram) -> Result<&'a [u8], Reason>,
    take: &mut impl FnMut(Advert<'_>),
) -> Fate {
    match verdict {
        Verdict::NotVrrp(_) | Verdict::Stranger => Fate::Stranger,
        Verdict::Drop(reason, sender) => Fate::Refused(reason, sender),
        Verdict::Accept(accepted) => {
            let (instance, datagram) = (InstanceId(accepted.slot), accepted.datagram);
            let message = match open(instance, &datagram) {
                Ok(message) => message,
                Err(reason) => return Fate::Refused(reason, accepted.sender()),
            };
            let content = Content::of(datagram.source, message);
            let slot = usize::try_from(accepted.slot).ok().and_then(|slot| slots.get(slot));
            if let (Some(slot), Some(content)) = (slot, content)
                && slot.stamp(now.as_nanos(), &content)
            {
                return Fate::Absorbed;
            }
            let source = tables::address(datagram.family, datagram.source);
            take(Advert { instance, ifindex, at: now, source, message });
            Fate::Accepted
        }
    }
}
