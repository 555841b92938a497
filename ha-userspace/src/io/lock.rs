//! One daemon an interface.

use std::{fmt, io};

/// Held as long as this daemon runs on the interface; the kernel releases it with the process.
#[derive(Debug)]
pub(crate) struct InterfaceLock {}

impl InterfaceLock {
    pub(crate) fn take(_interface: &str) -> Result<Self, LockError> {
        Err(LockError::Io(io::ErrorKind::Unsupported.into()))
    }
}

/// Why the lock was not had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another daemon has it.
    Taken { interface: String, pid: Option<i32> },
    /// It cannot be asked for.
    Io(io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { interface, .. } => write!(formatter, "{interface} is taken"),
            Self::Io(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for LockError {}
