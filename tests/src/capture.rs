//! Frames as they were on the wire, with the kernel's timestamps.
//!
//! A capture belongs to a namespace and takes all its interfaces. In a switch's namespace only what
//! comes in by a port is kept, so each frame is there once and its port says who sent it.

use core::{ops::ControlFlow, time::Duration};
use std::{
    collections::BTreeMap,
    io,
    io::IoSliceMut,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use nix::{
    cmsg_space,
    errno::Errno,
    net::if_::{if_nameindex, if_nametoindex},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        socket::{LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
        time::TimeSpec,
    },
};

use crate::{clock::Stamp, netns::Namespace, sys, wait};

/// `PACKET_OUTGOING`: a frame on its way out of the namespace.
const OUTGOING: u8 = 4;
/// Room for the largest frame of an Ethernet segment, with tags.
const FRAME_BYTES_MAX: usize = 2048;
/// How long the capturing thread waits before it looks whether it is to end.
const LOOK_EVERY_MS: u16 = 50;
/// Some thousands of small frames: the thread may be late by tenths of a second.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Takes what the tests are about, and not the probes: ARP, protocols 112, AH and IGMP, ICMP other
/// than echo, and all of IPv6.
const INTERESTING: [sys::Instruction; 14] = [
    (0x28, 0, 0, 12),      //  0 ldh [12]: the Ethernet type
    (0x15, 10, 0, 0x0806), //  1 ARP: keep
    (0x15, 9, 0, 0x86dd),  //  2 IPv6: keep
    (0x15, 0, 9, 0x0800),  //  3 not IPv4: drop
    (0x30, 0, 0, 23),      //  4 ldb [23]: the protocol
    (0x15, 6, 0, 112),     //  5 VRRP: keep
    (0x15, 5, 0, 51),      //  6 an authentication header: keep
    (0x15, 4, 0, 2),       //  7 IGMP: keep
    (0x15, 0, 4, 1),       //  8 not ICMP: drop
    (0x30, 0, 0, 34),      //  9 ldb [34]: the ICMP type (no IP options in what we probe with)
    (0x15, 2, 0, 0),       // 10 echo reply: drop
    (0x15, 1, 0, 8),       // 11 echo request: drop
    (0x06, 0, 0, 0xffff),  // 12 keep
    (0x06, 0, 0, 0),       // 13 drop
];

/// Before [`INTERESTING`]: drops what goes out (`SKF_AD_PKTTYPE`, Linux
/// Documentation/networking/filter.rst).
const INCOMING: [sys::Instruction; 3] = [
    (0x28, 0, 0, 0xffff_f004), // ldh [SKF_AD_OFF + SKF_AD_PKTTYPE]
    (0x15, 0, 1, 4),           // PACKET_OUTGOING
    (0x06, 0, 0, 0),           // drop
];

/// A frame, when it passed, and by which interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    pub at: Stamp,
    pub interface: String,
    /// Whether it was leaving the namespace.
    pub is_outgoing: bool,
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
}

/// A running capture; it ends on drop.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    frames: Mutex<Vec<Frame>>,
    frames_max: usize,
    is_ending: AtomicBool,
    is_full: AtomicBool,
}

impl Capture {
    /// Captures in `namespace` until dropped or until `frames_max` frames are held.
    pub fn start(namespace: &Namespace, frames_max: usize) -> Self {
        Self::start_with(namespace, &INTERESTING, None, frames_max)
    }

    fn start_with(
        namespace: &Namespace,
        program: &[sys::Instruction],
        port: Option<&str>,
        frames_max: usize,
    ) -> Self {
        let (socket, names) = namespace.run(|| {
            let index = port.map(|port| if_nametoindex(port).expect("the interface"));
            let socket = open(program, index).expect("a packet socket");
            (socket, interface_names())
        });
        let shared = Arc::new(Shared {
            frames: Mutex::default(),
            frames_max,
            is_ending: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || for_thread.record(&socket, &names));
        Self { shared, thread: Some(thread) }
    }

    /// Captures what comes in by the interface `port` of `namespace`, and nothing else.
    pub fn start_at_port(namespace: &Namespace, port: &str, frames_max: usize) -> Self {
        let program = [&INCOMING[..], &INTERESTING[..]].concat();
        Self::start_with(namespace, &program, Some(port), frames_max)
    }

    /// The frames so far, oldest first.
    pub fn frames(&self) -> Vec<Frame> {
        self.shared.lock().clone()
    }

    /// The frames from `since` on for which `pick` gives something.
    pub fn collect<T>(&self, since: Stamp, mut pick: impl FnMut(&Frame) -> Option<T>) -> Vec<T> {
        let frames = self.shared.lock();
        let later = frames.iter().filter(|frame| frame.at >= since);
        later.filter_map(&mut pick).collect()
    }

    /// The first thing from `since` on for which `pick` gives something.
    pub fn first<T>(&self, since: Stamp, pick: impl FnMut(&Frame) -> Option<T>) -> Option<T> {
        let frames = self.shared.lock();
        let mut later = frames.iter().filter(|frame| frame.at >= since);
        later.find_map(pick)
    }

    /// Waits until [`Self::first`] finds something; panics with `what` if it does not.
    pub fn await_first<T>(
        &self,
        deadline: Duration,
        what: &str,
        since: Stamp,
        mut pick: impl FnMut(&Frame) -> Option<T>,
    ) -> T {
        wait::eventually_some(deadline, what, || self.first(since, &mut pick))
    }

    /// Whether frames were left out because `frames_max` was reached.
    pub fn is_full(&self) -> bool {
        self.shared.is_full.load(Ordering::Relaxed)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the capturing thread panicked");
        }
    }
}

impl Shared {
    fn record(&self, socket: &OwnedFd, names: &BTreeMap<usize, String>) {
        while !self.is_ending.load(Ordering::Relaxed) {
            let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::from(LOOK_EVERY_MS)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => panic!("capture: {error}"),
            }
            while let Some(frame) = receive(socket, names) {
                if self.keep(frame).is_break() {
                    return;
                }
            }
        }
    }

    fn keep(&self, frame: Frame) -> ControlFlow<()> {
        let mut frames = self.lock();
        if frames.len() >= self.frames_max {
            self.is_full.store(true, Ordering::Relaxed);
            return ControlFlow::Break(());
        }
        frames.push(frame);
        ControlFlow::Continue(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(program: &[sys::Instruction], index: Option<u32>) -> io::Result<OwnedFd> {
    let socket = sys::packet_socket()?;
    sys::attach_filter(socket.as_fd(), program)?;
    sys::set_receive_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    sys::listen(socket.as_fd(), index)?;
    Ok(socket)
}

fn interface_names() -> BTreeMap<usize, String> {
    let interfaces = if_nameindex().expect("the interfaces' names");
    let name_of = |interface: &nix::net::if_::Interface| -> Option<(usize, String)> {
        let index = usize::try_from(interface.index()).ok()?;
        Some((index, interface.name().to_string_lossy().into_owned()))
    };
    interfaces.iter().filter_map(name_of).collect()
}

/// The next frame that waits, if one does.
fn receive(socket: &OwnedFd, names: &BTreeMap<usize, String>) -> Option<Frame> {
    let mut buffer = [0_u8; FRAME_BYTES_MAX];
    let mut control = cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let descriptor = socket.as_raw_fd();
    let message =
        recvmsg::<LinkAddr>(descriptor, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT);
    let message = match message {
        Ok(message) => message,
        // ENETDOWN: an interface went down, which a cut link does.
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return None,
        Err(error) => panic!("capture: {error}"),
    };
    let at = sys::stamp_in(message.cmsgs().ok()?)?;
    let address = message.address?;
    let length = message.bytes;
    let interface = names.get(&address.ifindex()).cloned().unwrap_or_default();
    let is_outgoing = address.pkttype() == OUTGOING;
    Some(Frame { at, interface, is_outgoing, bytes: buffer.get(..length)?.to_vec() })
}
