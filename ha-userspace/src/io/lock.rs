//! One daemon an interface: two would answer each other's advertisements, and take each other's
//! addresses off.
//!
//! The lock is an abstract socket name: it belongs to the network namespace, as the interface
//! does, and the kernel releases it with the process, however that ends.

use std::{
    fmt, fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen,
        socket, sockopt,
    },
};

const NAME_PREFIX: &str = "ha-userspace/";

/// Held as long as this daemon runs on the interface.
#[derive(Debug)]
pub(crate) struct InterfaceLock {
    /// Never accepts: connecting tells who holds the lock.
    _socket: OwnedFd,
}

impl InterfaceLock {
    pub(crate) fn take(interface: &str) -> Result<Self, LockError> {
        let failed =
            |error: Errno| LockError::Io { interface: interface.to_owned(), error: error.into() };
        let name = UnixAddr::new_abstract(format!("{NAME_PREFIX}{interface}").as_bytes())
            .map_err(failed)?;
        let fd = unix_socket().map_err(failed)?;
        match bind(fd.as_raw_fd(), &name) {
            Ok(()) => {}
            Err(Errno::EADDRINUSE) => {
                return Err(LockError::Taken {
                    interface: interface.to_owned(),
                    pid: holder(&name).ok(),
                });
            }
            Err(error) => return Err(failed(error)),
        }
        Backlog::new(1).and_then(|backlog| listen(&fd, backlog)).map_err(failed)?;
        Ok(Self { _socket: fd })
    }
}

/// Whether another daemon of ours runs in this network namespace: holds the lock of an interface
/// that is none of `ours`.
pub(crate) fn is_anyone_else_here(ours: &[&str]) -> io::Result<bool> {
    Ok(held()?.iter().any(|interface| !ours.contains(&interface.as_str())))
}

/// The interfaces whose locks are held in this network namespace.
pub(crate) fn held() -> io::Result<Vec<String>> {
    Ok(locked_in(&fs::read_to_string("/proc/net/unix")?))
}

/// An abstract name is shown behind an `@`, as the last word of its line (`proc(5)`).
fn locked_in(sockets: &str) -> Vec<String> {
    let names = sockets.lines().filter_map(|line| line.rsplit(' ').next());
    let interfaces = names.filter_map(|name| name.strip_prefix('@')?.strip_prefix(NAME_PREFIX));
    interfaces.map(str::to_owned).collect()
}

/// Why the lock was not had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another daemon has it.
    Taken { interface: String, pid: Option<i32> },
    /// It cannot be asked for.
    Io { interface: String, error: io::Error },
}

impl fmt::Display for LockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { interface, pid: Some(pid) } => write!(
                formatter,
                "another ha-userspace already runs on {interface} (pid {pid}); stop it first"
            ),
            Self::Taken { interface, pid: None } => {
                write!(formatter, "another ha-userspace already runs on {interface}; stop it first")
            }
            Self::Io { interface, error } => {
                write!(formatter, "cannot reserve {interface} for this process: {error}")
            }
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Taken { .. } => None,
            Self::Io { error, .. } => Some(error),
        }
    }
}

/// The process that listens on `name`. Without waiting: with a full backlog nobody knows.
fn holder(name: &UnixAddr) -> Result<i32, Errno> {
    let fd = unix_socket()?;
    connect(fd.as_raw_fd(), name)?;
    Ok(getsockopt(&fd, sockopt::PeerCredentials)?.pid())
}

fn unix_socket() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let interface = format!("test-{}", std::process::id());
        let first = InterfaceLock::take(&interface).unwrap();
        for _ in 0..8 {
            let error = InterfaceLock::take(&interface).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("already runs on"), "{text}");
        }
        drop(first);
        InterfaceLock::take(&interface).unwrap();
    }

    #[test]
    fn the_first_process_is_named() {
        let interface = format!("pid-{}", std::process::id());
        let _first = InterfaceLock::take(&interface).unwrap();
        let text = InterfaceLock::take(&interface).unwrap_err().to_string();
        assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    }

    #[test]
    fn locks_are_told_from_other_sockets() {
        let sockets = "Num RefCount Protocol Flags Type St Inode Path\n\
            ffff: 00000002 00000000 00010000 0001 01 1234 @ha-userspace/bond0\n\
            ffff: 00000002 00000000 00010000 0001 01 1235 /run/systemd/notify\n";
        assert_eq!(locked_in(sockets), ["bond0"]);
    }
}
