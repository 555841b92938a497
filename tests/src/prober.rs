//! A client that asks every millisecond whether the addresses answer, and knows for how long they
//! did not.
//!
//! It uses ICMP echo through the kernel's own ARP, so that what it sees is what a client sees: an
//! address that has moved answers again when the client has learned where to.

use core::{net::Ipv4Addr, ops::Range, time::Duration};
use std::{
    collections::BTreeMap,
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
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recvmsg, sendto,
            setsockopt, socket,
            sockopt::{ReceiveTimestampns, SndBufForce},
        },
        time::TimeSpec,
    },
};

use crate::{clock, clock::Stamp, netns::Namespace, sys};

/// Time between two rounds of requests.
pub const EVERY: Duration = Duration::from_millis(1);
/// Requests that wait for ARP count against the socket: room for all that the kernel keeps for a
/// handful of silent addresses, so that those do not silence the others.
const SEND_BUFFER_BYTES: usize = 8 << 20;
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// Our echo requests' identifier; the namespace has no other client.
const IDENTIFIER: u16 = 0x4841;

/// A running client; it ends on drop.
#[derive(Debug)]
pub struct Prober {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    record: Mutex<Record>,
    is_ending: AtomicBool,
}

#[derive(Debug, Default)]
struct Record {
    rounds: Vec<Stamp>,
    replies: BTreeMap<Ipv4Addr, Vec<Stamp>>,
}

impl Prober {
    /// Asks `targets` from `namespace`, [`EVERY`] so often, for at most `duration_max`.
    pub fn start(namespace: &Namespace, targets: &[Ipv4Addr], duration_max: Duration) -> Self {
        let socket = namespace.run(|| open().expect("a raw ICMP socket"));
        let record = Record {
            rounds: Vec::new(),
            replies: targets.iter().map(|target| (*target, Vec::new())).collect(),
        };
        let shared =
            Arc::new(Shared { record: Mutex::new(record), is_ending: AtomicBool::new(false) });
        let for_thread = Arc::clone(&shared);
        let targets = targets.to_vec();
        let thread = thread::spawn(move || for_thread.ask(&socket, &targets, duration_max));
        Self { shared, thread: Some(thread) }
    }

    /// How many answers `target` gave from `since` on.
    pub fn replies_since(&self, target: Ipv4Addr, since: Stamp) -> usize {
        let record = self.shared.lock();
        let replies = record.replies.get(&target).map(Vec::as_slice).unwrap_or_default();
        replies.len() - replies.partition_point(|at| *at < since)
    }

    /// Whether every target has answered since `since`.
    pub fn all_answer_since(&self, since: Stamp) -> bool {
        let record = self.shared.lock();
        record.replies.values().all(|replies| replies.last().is_some_and(|last| *last >= since))
    }

    /// The longest time in `interval` during which one of the targets gave no answer, by the
    /// kernel's timestamps of the answers. Its resolution is [`EVERY`].
    pub fn longest_silence(&self, interval: &Range<Stamp>) -> Duration {
        let record = self.shared.lock();
        let gaps = record.replies.values().map(|replies| longest_gap(replies, interval));
        gaps.max().unwrap_or_default()
    }

    /// The longest time in `interval` during which the client itself asked nothing, because it was
    /// not scheduled: silence up to that long says nothing about the routers.
    pub fn longest_pause(&self, interval: &Range<Stamp>) -> Duration {
        longest_gap(&self.shared.lock().rounds, interval)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the probing thread panicked");
        }
    }
}

impl Shared {
    fn ask(&self, socket: &OwnedFd, targets: &[Ipv4Addr], duration_max: Duration) {
        // Without it the client's own lateness is in the figures; `longest_pause` tells.
        sys::prefer_this_thread().ok();
        let end = clock::monotonic() + duration_max;
        let mut sequence = 0_u16;
        let mut next_round = clock::monotonic();
        while !self.is_ending.load(Ordering::Relaxed) {
            let now = clock::monotonic();
            if now >= end {
                return;
            }
            if now < next_round {
                self.await_replies(socket, next_round.saturating_sub(now));
                continue;
            }
            // Rounds that were missed are not made up for: a burst would be answered as one.
            next_round = now.max(next_round + EVERY);
            sequence = sequence.wrapping_add(1);
            self.lock().rounds.push(Stamp::now());
            for target in targets {
                request(socket, *target, sequence);
            }
        }
    }

    fn await_replies(&self, socket: &OwnedFd, timeout: Duration) {
        let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut ready, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(0) | Err(Errno::EINTR) => return,
            Ok(_) => {}
            Err(error) => panic!("prober: {error}"),
        }
        while let Some((from, at)) = receive(socket) {
            if let Some(replies) = self.lock().replies.get_mut(&from) {
                replies.push(at);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open() -> std::io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    setsockopt(&socket, SndBufForce, &SEND_BUFFER_BYTES)?;
    sys::set_receive_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
    Ok(socket)
}

fn request(socket: &OwnedFd, target: Ipv4Addr, sequence: u16) {
    let [identifier_high, identifier_low] = IDENTIFIER.to_be_bytes();
    let [sequence_high, sequence_low] = sequence.to_be_bytes();
    // Echo request, RFC 792; all but the type and these two fields is zero.
    let sum = 0x0800_u32 + u32::from(IDENTIFIER) + u32::from(sequence);
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, sum_high, sum_low] = (!((folded & 0xffff) + (folded >> 16))).to_be_bytes();
    let message =
        [8, 0, sum_high, sum_low, identifier_high, identifier_low, sequence_high, sequence_low];
    let [a, b, c, d] = target.octets();
    let address = SockaddrIn::new(a, b, c, d, 0);
    // A host that cannot be reached is what is being looked for, not an error.
    sendto(socket.as_raw_fd(), &message, &address, MsgFlags::MSG_DONTWAIT).ok();
}

/// The next echo reply that waits: from whom, and when it came.
fn receive(socket: &OwnedFd) -> Option<(Ipv4Addr, Stamp)> {
    loop {
        let mut buffer = [0_u8; 128];
        let mut control = cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let descriptor = socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let message = match recvmsg::<SockaddrIn>(descriptor, &mut parts, Some(&mut control), flags)
        {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            // An error that an earlier request has met: go on with the answers.
            Err(Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ECONNREFUSED) => continue,
            Err(error) => panic!("prober: {error}"),
        };
        let at = sys::stamp_in(message.cmsgs().ok()?)?;
        let from = message.address?.ip();
        let header_bytes = usize::from(buffer.first()? & 0x0f) * 4;
        let is_reply = buffer.get(header_bytes) == Some(&0)
            && buffer.get(header_bytes + 4..header_bytes + 6) == Some(&IDENTIFIER.to_be_bytes());
        if is_reply {
            return Some((from, at));
        }
    }
}

/// The longest step in the sequence of the interval's start, `moments` inside it, and its end. The
/// last moment before the start stands in for the start: silence began there.
fn longest_gap(moments: &[Stamp], interval: &Range<Stamp>) -> Duration {
    let before = moments.partition_point(|at| *at < interval.start);
    let mut previous = before.checked_sub(1).and_then(|last| moments.get(last)).copied();
    let mut longest = Duration::ZERO;
    let inside = moments.iter().skip(before).take_while(|at| **at < interval.end);
    for at in inside.copied().chain([interval.end]) {
        longest = longest.max(at.since(previous.unwrap_or(interval.start)));
        previous = Some(at);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lan::Lan, require::require_root, wait::eventually};

    #[test]
    fn gaps_reach_over_the_interval_s_edges() {
        let at = |millis| Stamp::from_epoch(Duration::from_millis(millis));
        let moments = [at(10), at(11), at(15), at(16)];
        let longest = |from, to| longest_gap(&moments, &(at(from)..at(to))).as_millis();
        assert_eq!(longest(11, 16), 4);
        assert_eq!(longest(15, 16), 4);
        assert_eq!(longest(16, 40), 24);
        assert_eq!(longest(0, 12), 10);
        assert_eq!(longest_gap(&[], &(at(3)..at(9))).as_millis(), 6);
    }

    #[test]
    fn measures_a_silence() {
        if !require_root() {
            return;
        }
        let lan = Lan::new("lan");
        let client = Namespace::new("client");
        let server = Namespace::new("server");
        lan.connect("c", &client, "eth0", [1, 1]);
        lan.connect("s", &server, "eth0", [1, 2]);
        client.ip("addr add 192.0.2.20/24 dev eth0");
        server.ip("addr add 192.0.2.10/24 dev eth0");
        let target = Ipv4Addr::new(192, 0, 2, 10);
        let start = Stamp::now();
        let prober = Prober::start(&client, &[target], Duration::from_secs(20));
        let deadline = Duration::from_secs(5);
        eventually(deadline, "answers", || prober.replies_since(target, start) > 100);
        lan.isolate("s");
        // Only now: what takes the port out is a program, and slow.
        let cut = Stamp::now();
        let hold = Duration::from_millis(200);
        eventually(deadline, "time", || Stamp::now().since(cut) > hold);
        let mended = Stamp::now();
        lan.rejoin("s");
        eventually(deadline, "answers", || prober.replies_since(target, mended) > 10);
        let silence = prober.longest_silence(&(cut..Stamp::now()));
        assert!(silence >= hold, "{silence:?}");
    }
}
