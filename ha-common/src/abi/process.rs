//! What the programs at the kernel's tracepoints and the daemon share of processes.

use core::mem::size_of;

/// Names of the maps, globals and programs, as both sides spell them.
pub mod names {
    /// Ring buffer of [`super::Event`].
    pub const EVENTS: &str = "EVENTS";
    /// Numbers of the processes whose forks and ends are told.
    pub const WATCHED: &str = "WATCHED";
    /// [`super::Name`] of processes that are told when they begin to have it.
    pub const NAMES: &str = "NAMES";
    /// [`super::Command`] of processes that are told when they begin with it.
    pub const COMMANDS: &str = "COMMANDS";
    /// Events for which there was no room, one number for each CPU.
    pub const LOST: &str = "LOST";
    /// Programs, and the tracepoints that they are for.
    pub const PROGRAMS: [(&str, &str); 4] = [
        ("ha_newtask", "task_newtask"),
        ("ha_exec", "sched_process_exec"),
        ("ha_rename", "task_rename"),
        ("ha_exit", "sched_process_exit"),
    ];
    /// Globals, with the structure and the field whose offset in this kernel each one has.
    pub const OFFSETS: [(&str, &str, &str); 6] = [
        ("TASK_PID", "task_struct", "pid"),
        ("TASK_TGID", "task_struct", "tgid"),
        ("TASK_SIGNAL", "task_struct", "signal"),
        ("TASK_MM", "task_struct", "mm"),
        ("SIGNAL_LIVE", "signal_struct", "live"),
        ("MM_ARG_START", "mm_struct", "arg_start"),
    ];
}

/// Processes that can be watched: far more than a host has.
pub const WATCHED_MAX: u32 = 65_536;
/// Names and commands that can be looked for, each.
pub const NAMES_MAX: u32 = 4_096;
/// 256 KiB: 10,000 events of 16 bytes, with 8 bytes before each.
pub const RING_BYTES: u32 = 256 << 10;

/// What a process is called, as the kernel keeps it: at most 15 bytes, the others zero
/// (`TASK_COMM_LEN`).
pub type Name = [u8; 16];
/// The beginning of the first word of a command line: at most 63 bytes, the others zero.
pub type Command = [u8; 64];

/// [`Event::kind`]: `other` has made a copy of itself, which is `pid`, and watched.
pub const FORKED: u32 = 1;
/// [`Event::kind`]: `pid` runs another program or has another name.
pub const CHANGED: u32 = 2;
/// [`Event::kind`]: the last thread of `pid` ends.
pub const ENDED: u32 = 3;

/// What has happened to a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Event {
    /// One of those above.
    pub kind: u32,
    /// Number of a process, in the initial namespace.
    pub pid: u32,
    /// Of its parent, or zero.
    pub other: u32,
    /// Zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<Event>() == 16);

/// `text` as a key: its beginning, with at least one zero behind it.
#[must_use]
pub fn key<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    for (to, from) in key.iter_mut().take(N.saturating_sub(1)).zip(text) {
        *to = *from;
    }
    key
}
