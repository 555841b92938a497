//! The system calls that `nix` does not wrap, and what all sockets here have in common.
//!
//! Each function is safe to call with any arguments: the kernel judges them.

use std::{
    fmt, io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd},
    ptr,
};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{Interest, unix::AsyncFd};

/// Frames in one `sendmmsg`.
pub(crate) const FRAMES_MAX: usize = 64;

/// `BPF_LD | BPF_B | BPF_ABS`.
const LOAD_BYTE: u16 = 0x30;
/// `BPF_LDX | BPF_B | BPF_MSH`.
const LOAD_HEADER_LEN: u16 = 0xb1;
/// `BPF_LD | BPF_B | BPF_IND`.
const LOAD_BYTE_BEHIND: u16 = 0x50;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;

/// A socket that is non-blocking and does not survive `exec`.
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::socket(domain, kind, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets a socket option whose value is the bytes of `value`.
pub(crate) fn set_option<T: Copy>(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the kernel reads `len_of::<T>()` bytes at `value`, which are a `T`.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, ptr::from_ref(value).cast(), len_of::<T>())
    };
    check(result)
}

/// Reads a socket option that is a plain structure of integers.
pub(crate) fn option<T: Copy>(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    mut value: T,
) -> io::Result<T> {
    let mut len = len_of::<T>();
    // SAFETY: the kernel writes at most `len` bytes, which are those of a `T`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_mut(&mut value).cast(),
            &raw mut len,
        )
    };
    check(result)?;
    Ok(value)
}

/// Binds to a socket address of any family.
pub(crate) fn bind<T: Copy>(fd: BorrowedFd<'_>, address: &T) -> io::Result<()> {
    // SAFETY: the kernel reads `len_of::<T>()` bytes at `address`, which are a `T`.
    let result =
        unsafe { libc::bind(fd.as_raw_fd(), ptr::from_ref(address).cast(), len_of::<T>()) };
    check(result)
}

/// Attaches a classic BPF program: only frames it returns a length for are queued.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, program: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_ptr().cast_mut(),
    };
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// A filter instruction: the accumulator is the byte at `offset`.
pub(crate) const fn load_byte(offset: u32) -> libc::sock_filter {
    libc::sock_filter { code: LOAD_BYTE, jt: 0, jf: 0, k: offset }
}

/// A filter instruction: the index is the length of the IPv4 header at `offset`.
pub(crate) const fn load_header_len(offset: u32) -> libc::sock_filter {
    libc::sock_filter { code: LOAD_HEADER_LEN, jt: 0, jf: 0, k: offset }
}

/// A filter instruction: the accumulator is the byte at `offset` and the index together.
pub(crate) const fn load_byte_behind(offset: u32) -> libc::sock_filter {
    libc::sock_filter { code: LOAD_BYTE_BEHIND, jt: 0, jf: 0, k: offset }
}

/// A filter instruction: skip `then` or `otherwise` instructions.
pub(crate) const fn jump_if_equal(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter { code: JUMP_EQUAL, jt: then, jf: otherwise, k: value }
}

/// A filter instruction: queue at most `len` bytes; 0 queues nothing.
pub(crate) const fn accept(len: u32) -> libc::sock_filter {
    libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: len }
}

/// Sizes the receive queue, beyond the system's limit where the process may.
pub(crate) fn set_receive_bytes(fd: &impl AsFd, bytes: usize) -> io::Result<()> {
    setsockopt(fd, sockopt::RcvBufForce, &bytes)
        .or_else(|_| setsockopt(fd, sockopt::RcvBuf, &bytes))?;
    Ok(())
}

/// Sizes the send queue, beyond the system's limit where the process may.
pub(crate) fn set_send_bytes(fd: &impl AsFd, bytes: usize) -> io::Result<()> {
    setsockopt(fd, sockopt::SndBufForce, &bytes)
        .or_else(|_| setsockopt(fd, sockopt::SndBuf, &bytes))?;
    Ok(())
}

/// Puts what is sent in front of other traffic, on this host's queues.
pub(crate) fn set_urgent(fd: &impl AsFd) -> io::Result<()> {
    // 7 is `TC_PRIO_CONTROL`; without CAP_NET_ADMIN 6 is the highest.
    setsockopt(fd, sockopt::Priority, &7).or_else(|_| setsockopt(fd, sockopt::Priority, &6))?;
    Ok(())
}

/// Where a frame leaves: `sockaddr_ll` of `protocol` (in host order) and an interface.
pub(crate) fn link_address(ifindex: u32, protocol: u16) -> io::Result<libc::sockaddr_ll> {
    Ok(libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
        sll_protocol: protocol.to_be(),
        sll_ifindex: i32::try_from(ifindex).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    })
}

/// Sends the first [`FRAMES_MAX`] of `frames` in one system call; says how many were sent.
///
/// An error is that of the first frame; that of a later one comes with the call that starts there.
pub(crate) fn send_frames(
    fd: BorrowedFd<'_>,
    frames: &[(libc::sockaddr_ll, &[u8])],
) -> io::Result<usize> {
    let mut addresses: Vec<_> = frames.iter().take(FRAMES_MAX).map(|(to, _)| *to).collect();
    let mut parts: Vec<_> = frames
        .iter()
        .take(FRAMES_MAX)
        .map(|(_, frame)| libc::iovec {
            iov_base: frame.as_ptr().cast_mut().cast(),
            iov_len: frame.len(),
        })
        .collect();
    let mut headers: Vec<_> = addresses
        .iter_mut()
        .zip(&mut parts)
        .map(|(address, part)| {
            // SAFETY: all zeros is a valid value of this plain structure.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = len_of::<libc::sockaddr_ll>();
            header.msg_hdr.msg_iov = ptr::from_mut(part);
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    let count = u32::try_from(headers.len()).map_err(io::Error::other)?;
    // SAFETY: `count` headers point to one address and one part each, and each part to its frame,
    // which the kernel only reads; all of them outlive the call.
    let sent =
        unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_negative| io::Error::last_os_error())
}

/// Sends `count` messages: `send` tries those from a place on and says how many it sent, an error
/// being that of the first; `fail` is told of each that could not be sent, and the next is tried.
pub(crate) fn send_each(
    count: usize,
    mut send: impl FnMut(usize) -> io::Result<usize>,
    mut fail: impl FnMut(usize, io::Error),
) {
    let mut done = 0;
    while done < count {
        match send(done) {
            // Nothing sent and no error cannot be; it must not become an endless loop.
            Ok(some) => done += some.max(1),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                fail(done, error);
                done += 1;
            }
        }
    }
}

/// How much of what was written to a pipe nobody has read yet.
pub(crate) fn unread_bytes(fd: BorrowedFd<'_>) -> io::Result<i32> {
    let mut count = 0;
    // SAFETY: the kernel writes one `int` to `count`.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, ptr::from_mut(&mut count)) })?;
    Ok(count)
}

/// The MTU of an interface in bytes; `None` if it is not there.
///
/// By a question to the kernel, since `/sys` may show another network namespace's interfaces.
pub(crate) fn mtu(interface: &str) -> Option<u32> {
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // A longer name is nobody's; the last byte stays zero.
    let (_, name) = request.ifr_name.split_last_mut()?;
    for (to, from) in name.get_mut(..interface.len())?.iter_mut().zip(interface.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // Questions about interfaces may be asked by any socket.
    let fd = socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0).ok()?;
    // SAFETY: the kernel reads the name and writes the union, both inside the structure.
    let result =
        unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFMTU, ptr::from_mut(&mut request)) };
    check(result).ok()?;
    // SAFETY: it has written this part of the union; any bits are a valid number.
    u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
}

/// Registers a descriptor for reading with the runtime, inside which this must be called.
pub(crate) fn register<T: AsFd + AsRawFd>(inner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `AsFd` vouches that the descriptor is open for as long as `inner` lives, which
    // `AsyncFd` owns. All types registered here own one descriptor and never exchange it.
    unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) }.map_err(Into::into)
}

/// The error, with what could not be done; where it is for want of a capability, which.
pub(crate) fn context(
    error: impl Into<io::Error>,
    what: impl fmt::Display,
    capability: &str,
) -> io::Error {
    let error = error.into();
    let kind = error.kind();
    // EACCES has other reasons, such as IPv6 being disabled on the interface.
    if error.raw_os_error() == Some(libc::EPERM) {
        io::Error::new(kind, format!("{what}: {error}; run as root or with {capability}"))
    } else {
        io::Error::new(kind, format!("{what}: {error}"))
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn len_of<T>() -> libc::socklen_t {
    // Nothing passed here is longer than a few hundred bytes.
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mtu_is_that_of_an_interface_that_is_there() {
        assert!(mtu("lo").is_some_and(|mtu| mtu >= 1_500));
        assert_eq!(mtu("no-such-if"), None);
        assert_eq!(mtu("a-name-that-is-too-long"), None);
        assert_eq!(mtu(""), None);
    }

    #[test]
    fn one_that_fails_does_not_keep_the_others() {
        // Two leave together, the third is refused, and what comes behind it is interrupted once.
        let mut answers = vec![
            Ok(2),
            Err(io::Error::from(io::ErrorKind::NetworkUnreachable)),
            Err(io::Error::from(io::ErrorKind::Interrupted)),
            Ok(3),
        ]
        .into_iter();
        let (mut tried, mut failed) = (Vec::new(), Vec::new());
        let send = |from| {
            tried.push(from);
            answers.next().unwrap()
        };
        send_each(6, send, |at, error| failed.push((at, error.kind())));
        assert_eq!(tried, [0, 2, 3, 3]);
        assert_eq!(failed, [(2, io::ErrorKind::NetworkUnreachable)]);
    }
}
