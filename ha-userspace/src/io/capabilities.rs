//! The calling thread's capabilities, as the kernel has them (capget(2)): sets of bits.

use std::io;

/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits, in two words.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: i32,
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up what is not in `kept`, by its bit (capabilities(7)), for good: for this thread, and those
/// that it starts from now on.
pub(crate) fn keep(kept: u64) -> io::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut words = [Word::default(); 2];
    // SAFETY: the kernel writes two words, as the version in the header says.
    let read = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    for (word, shift) in words.iter_mut().zip([0, 32]) {
        let kept = u32::try_from((kept >> shift) & u64::from(u32::MAX)).unwrap_or(0);
        word.permitted &= kept;
        word.effective &= kept;
        word.inheritable &= kept;
    }
    // SAFETY: the kernel reads two words, as the version in the header says.
    let written = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
