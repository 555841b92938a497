//! The kernel's process connector: every fork, exec, change of name and exit of the host, by netlink.
//!
//! It is there for the initial network, user and process namespace only, and needs `CAP_NET_ADMIN`
//! (the kernel's `drivers/connector/cn_proc.c`).

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, NetlinkAddr, recvfrom, send},
};
use tokio::io::unix::AsyncFd;

use super::sys;
use crate::watch::Event;

/// 4 MiB: 30,000 events of the 100 to 130 bytes that each takes in the queue, with its overhead.
const QUEUE_BYTES: usize = 4 << 20;
/// Longer than any message of it, headers included.
const MESSAGE_BYTES_MAX: usize = 256;
/// The kernel answers at once, or in this namespace never.
const ANSWER_MS: u16 = 500;

/// `CN_IDX_PROC`, which is the multicast group too (`linux/connector.h`).
const GROUP: u32 = 1;
/// `CN_VAL_PROC`.
const VALUE: u32 = 1;
/// `PROC_CN_MCAST_LISTEN` (`linux/cn_proc.h`).
const LISTEN: u32 = 1;
/// `struct nlmsghdr`.
const NETLINK_HEADER_LEN: usize = 16;
/// That and `struct cn_msg`.
const HEADERS_LEN: usize = NETLINK_HEADER_LEN + 20;
/// What and when, before what depends on the kind (`struct proc_event`).
const EVENT_HEADER_LEN: usize = 16;

/// `PROC_EVENT_*` (`linux/cn_proc.h`).
mod what {
    pub(super) const NONE: u32 = 0;
    pub(super) const FORK: u32 = 1;
    pub(super) const EXEC: u32 = 2;
    pub(super) const COMM: u32 = 0x200;
    pub(super) const EXIT: u32 = 0x8000_0000;
}

/// A socket that hears of all processes.
#[derive(Debug)]
pub(crate) struct Connector {
    socket: AsyncFd<OwnedFd>,
}

impl Connector {
    /// Listens. Only inside a tokio runtime.
    ///
    /// # Errors
    /// One sentence for the operator: there is none here, or it is not permitted.
    pub(crate) fn open() -> io::Result<Self> {
        let failed = |error: io::Error| {
            let what = "the kernel's process connector is not to be had";
            if error.kind() == ErrorKind::ConnectionRefused {
                let text = format!("{what} in this network namespace");
                return io::Error::new(error.kind(), text);
            }
            sys::context(error, what, "CAP_NET_ADMIN")
        };
        let socket = sys::socket(libc::AF_NETLINK, libc::SOCK_DGRAM, libc::NETLINK_CONNECTOR)
            .map_err(failed)?;
        sys::set_receive_bytes(&socket, QUEUE_BYTES).map_err(failed)?;
        nix::sys::socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP))
            .map_err(|errno| failed(errno.into()))?;
        send(socket.as_raw_fd(), &request(), MsgFlags::empty())
            .map_err(|errno| failed(errno.into()))?;
        await_answer(&socket).map_err(failed)?;
        Ok(Self { socket: sys::register(socket)? })
    }

    /// What has happened since, at most `limit` events.
    ///
    /// # Errors
    /// Some are missing, and why.
    pub(crate) async fn events(&mut self, limit: usize) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.is_empty() {
            let mut guard = self.socket.readable().await?;
            for _ in 0..limit {
                match receive(guard.get_inner()) {
                    Ok(heard) => events.extend(heard.and_then(Heard::event)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        guard.clear_ready();
                        break;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                        return Err(io::Error::other(
                            "more has happened than the kernel's process connector has room for",
                        ));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(events)
    }
}

/// `struct nlmsghdr`, `struct cn_msg`, and what is wanted.
fn request() -> Vec<u8> {
    let len = u32::try_from(HEADERS_LEN + size_of_val(&LISTEN)).unwrap_or(0);
    let done = u16::try_from(libc::NLMSG_DONE).unwrap_or(0);
    let data_len = u16::try_from(size_of_val(&LISTEN)).unwrap_or(0);
    let mut bytes = Vec::new();
    bytes.extend(len.to_ne_bytes());
    bytes.extend(done.to_ne_bytes());
    // Flags, sequence, sender.
    bytes.extend([0; 10]);
    bytes.extend(GROUP.to_ne_bytes());
    bytes.extend(VALUE.to_ne_bytes());
    // Sequence, acknowledgement.
    bytes.extend([0; 8]);
    bytes.extend(data_len.to_ne_bytes());
    // Flags.
    bytes.extend([0; 2]);
    bytes.extend(LISTEN.to_ne_bytes());
    bytes
}

/// Until the kernel says that it has begun.
fn await_answer(socket: &OwnedFd) -> io::Result<()> {
    loop {
        let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, PollTimeout::from(ANSWER_MS))? == 0 {
            return Err(io::Error::other(
                "it does not answer, as outside of the initial user and process namespaces",
            ));
        }
        match receive(socket) {
            Ok(Some(Heard { what: what::NONE, error, .. })) if error != 0 => {
                return Err(io::Error::from_raw_os_error(i32::try_from(error).unwrap_or(0)));
            }
            Ok(Some(Heard { what: what::NONE, .. })) => return Ok(()),
            // Others listen already, and so this socket hears what they hear.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// A message; `None` if it is not the kernel's.
fn receive(socket: &OwnedFd) -> io::Result<Option<Heard>> {
    let mut bytes = [0; MESSAGE_BYTES_MAX];
    let (len, from) = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut bytes)?;
    let is_kernel = from.is_some_and(|from| from.pid() == 0);
    Ok(bytes.get(..len).filter(|_| is_kernel).and_then(Heard::decode))
}

/// A message as far as it is of use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Heard {
    what: u32,
    /// Of an answer.
    error: u32,
    /// The first four numbers that depend on the kind.
    numbers: [u32; 4],
}

impl Heard {
    fn decode(message: &[u8]) -> Option<Self> {
        let number = |offset: usize| -> Option<u32> {
            Some(u32::from_ne_bytes(*message.get(offset..)?.first_chunk()?))
        };
        if number(NETLINK_HEADER_LEN)? != GROUP || number(NETLINK_HEADER_LEN + 4)? != VALUE {
            return None;
        }
        let data = HEADERS_LEN + EVENT_HEADER_LEN;
        let first = number(data)?;
        let more = [4, 8, 12].map(|offset| number(data + offset).unwrap_or(0));
        let numbers = [first, more[0], more[1], more[2]];
        Some(Self { what: number(HEADERS_LEN)?, error: first, numbers })
    }

    /// `None`: it is of a thread that comes, or nothing that counts.
    fn event(self) -> Option<Event> {
        let [first, second, third, fourth] = self.numbers;
        match self.what {
            // Parent and its process, child and its process.
            what::FORK => {
                (third == fourth).then_some(Event::Fork { parent: second, child: fourth })
            }
            // Thread and its process.
            what::EXEC => Some(Event::Exec { pid: second }),
            what::COMM => (first == second).then_some(Event::Exec { pid: second }),
            what::EXIT => Some(Event::ThreadExit { pid: second }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of Linux 6.18, as a socket got them: an answer, then `sh -c true` from its fork on.
    const HEARD: [&str; 4] = [
        "4c000000030000000000000000000000010000000100000000000000010000002800000000000000000000006c153dcbd01d0000000000000000000000000000000000000000000000000000",
        "4c00000003000000010000000000000001000000010000000100000000000000280000000100000000000000a6db3dcbd01d0000bf280000bf280000e8280000e82800000000000000000000",
        "4c0000000300000002000000000000000100000001000000020000000000000028000000020000000000000060377bcbd01d0000e8280000e828000000000000000000000000000000000000",
        "4c0000000300000003000000000000000100000001000000030000000000000028000000000000800000000018f384cbd01d0000e8280000e82800000000000011000000bf280000bf280000",
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    #[test]
    fn what_the_kernel_says() {
        let heard = HEARD.map(|hex| Heard::decode(&bytes(hex)).unwrap());
        assert_eq!((heard[0].what, heard[0].error), (what::NONE, 0));
        let child = 0x28e8;
        assert_eq!(
            heard.map(Heard::event),
            [
                None,
                Some(Event::Fork { parent: 0x28bf, child }),
                Some(Event::Exec { pid: child }),
                Some(Event::ThreadExit { pid: child }),
            ]
        );
    }

    #[test]
    fn threads_are_no_processes() {
        let thread = |what, numbers| Heard { what, error: 0, numbers }.event();
        assert_eq!(thread(what::FORK, [7, 7, 8, 7]), None);
        assert_eq!(thread(what::COMM, [8, 7, 0, 0]), None);
        assert_eq!(thread(what::COMM, [7, 7, 0, 0]), Some(Event::Exec { pid: 7 }));
        assert_eq!(thread(what::EXIT, [8, 7, 0, 0]), Some(Event::ThreadExit { pid: 7 }));
    }

    #[test]
    fn what_is_cut_off_or_another_s_is_nothing() {
        let whole = bytes(HEARD[1]);
        for len in 0..HEADERS_LEN + EVENT_HEADER_LEN + 4 {
            assert_eq!(Heard::decode(&whole[..len]), None, "{len}");
        }
        let mut other = whole;
        other[NETLINK_HEADER_LEN] = 2;
        assert_eq!(Heard::decode(&other), None);
    }
}
