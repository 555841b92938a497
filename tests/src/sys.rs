//! The system calls that nix does not wrap. The only unsafe code of this package.

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    slice,
};

use ha_common::{abi::INSTANCES_MAX, slot::SharedSlot};
use libc::c_int;
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
        SockaddrLike as _, socket,
    },
};

use crate::clock::Stamp;

/// The error of the machine's clock that its kernel cannot exclude, in microseconds.
pub(crate) fn clock_error_us() -> i64 {
    // SAFETY: a `timex` is integers, for which zeros are valid; no modes change nothing.
    let mut timex: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes into `timex`, which is one.
    let result = unsafe { libc::adjtimex(&raw mut timex) };
    assert!(result >= 0, "adjtimex: {}", io::Error::last_os_error());
    timex.maxerror
}

/// `ETH_P_ALL` as the kernel wants it: in network byte order.
const EVERY_PROTOCOL: u16 = 3_u16.to_be();

/// A packet socket that takes every frame of the namespace; nothing arrives before [`listen`].
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    // Made without a protocol: with one it would take frames before the filter is in place.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Packet, SockType::Raw, flags, None::<SockProtocol>)?)
}

/// Starts taking frames: of all interfaces, or of the one with this index.
pub(crate) fn listen(socket: BorrowedFd<'_>, ifindex: Option<u32>) -> io::Result<()> {
    let address = link_address(ifindex.unwrap_or(0), EVERY_PROTOCOL)?;
    let length = length_of::<libc::sockaddr_ll>()?;
    // SAFETY: `address` is a whole sockaddr_ll that outlives the call, and `length` is its size.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    Errno::result(result)?;
    Ok(())
}

/// Sends `frame` out of the interface with this index, as it is.
pub(crate) fn send_frame(socket: BorrowedFd<'_>, ifindex: u32, frame: &[u8]) -> io::Result<()> {
    let raw = link_address(ifindex, 0)?;
    let length = length_of::<libc::sockaddr_ll>()?;
    // SAFETY: `raw` is a whole sockaddr_ll with its family set, and `length` is its size.
    let address =
        unsafe { nix::sys::socket::LinkAddr::from_raw((&raw const raw).cast(), Some(length)) };
    let address = address.ok_or(Errno::EINVAL)?;
    nix::sys::socket::sendto(socket.as_raw_fd(), frame, &address, MsgFlags::empty())?;
    Ok(())
}

/// One instruction of a classic BPF program: code, jump if true, jump if false, constant.
pub(crate) type Instruction = (u16, u8, u8, u32);

/// Lets the kernel drop what `program` gives 0 for, before it costs a wake-up.
pub(crate) fn attach_filter(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let mut code: Vec<libc::sock_filter> =
        program.iter().map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k }).collect();
    let program = libc::sock_fprog {
        len: u16::try_from(code.len()).map_err(io::Error::other)?,
        filter: code.as_mut_ptr(),
    };
    let length = length_of::<libc::sock_fprog>()?;
    // SAFETY: `program` points to `code`, whose length it states; both outlive the call, and the
    // kernel copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// Receive buffer beyond the administrator's limit: a burst must not be lost while we are late.
pub(crate) fn set_receive_buffer(socket: &OwnedFd, bytes: usize) -> io::Result<()> {
    nix::sys::socket::setsockopt(&socket.as_fd(), nix::sys::socket::sockopt::RcvBufForce, &bytes)?;
    Ok(())
}

/// A socket through which the interfaces of its namespace are asked and told.
pub(crate) fn control_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Inet, SockType::Datagram, flags, None::<SockProtocol>)?)
}

/// Takes the interface `name` up or down, without the milliseconds that a program would take.
pub(crate) fn set_up(control: BorrowedFd<'_>, name: &str, is_up: bool) -> io::Result<()> {
    let mut request = interface_request(name)?;
    // SAFETY: `request` is a whole ifreq with a name that ends, which the kernel fills.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
    Errno::result(result)?;
    let up = libc::c_short::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    // SAFETY: the kernel has filled in the flags; of the union only these are looked at.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = if is_up { flags | up } else { flags & !up };
    // SAFETY: as above; the kernel only reads it.
    let result =
        unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    Errno::result(result)?;
    Ok(())
}

/// Puts the calling thread under `SCHED_FIFO` at the lowest real-time priority: before ordinary
/// work, after every daemon. Refused where the limits do not allow it; the caller decides.
pub(crate) fn prefer_this_thread() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: 0 is the calling thread, and `parameters` outlives the call.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    Errno::result(result)?;
    Ok(())
}

/// The kernel's timestamp among a message's control messages (`SO_TIMESTAMPNS`).
pub(crate) fn stamp_in(controls: impl Iterator<Item = ControlMessageOwned>) -> Option<Stamp> {
    for control in controls {
        if let ControlMessageOwned::ScmTimestampns(at) = control {
            return Some(Stamp::from_epoch(at.into()));
        }
    }
    None
}

fn link_address(ifindex: u32, protocol: u16) -> io::Result<libc::sockaddr_ll> {
    // SAFETY: sockaddr_ll is plain numbers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = protocol;
    address.sll_ifindex = c_int::try_from(ifindex).map_err(io::Error::other)?;
    Ok(address)
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Errno::ENAMETOOLONG.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    Ok(request)
}

fn length_of<T>() -> io::Result<libc::socklen_t> {
    libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)
}

/// The XDP program's slots, as the daemon has them: mapped, and used by two sides at once.
#[derive(Debug)]
pub struct Slots(NonNull<SharedSlot>);

// SAFETY: the mapping belongs to no thread, and is accessed atomically.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

impl Slots {
    #[expect(clippy::as_conversions, reason = "there is no const conversion")]
    const LEN: usize = INSTANCES_MAX as usize;
    const BYTES: usize = Self::LEN * size_of::<SharedSlot>();

    pub(crate) fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of the kernel's choosing replaces nothing.
        let memory = unsafe {
            libc::mmap(ptr::null_mut(), Self::BYTES, access, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(memory.cast()).map(Self).ok_or_else(|| io::Error::other("mapped at zero"))
    }

    /// The slot of an instance.
    pub fn slot(&self, index: u32) -> &SharedSlot {
        // SAFETY: mapped for as long as this lives; atomics may change under a shared reference.
        let slots = unsafe { slice::from_raw_parts(self.0.as_ptr(), Self::LEN) };
        let index = usize::try_from(index).expect("a small number");
        slots.get(index).expect("a slot")
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and nobody borrows it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), Self::BYTES) };
    }
}
