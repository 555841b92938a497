//! What the daemon may do: what it lacks is named before anything starts, and what it needs no more is
//! given up then.

use std::{fs, io, thread};

use crate::io::{capabilities, memory};

/// Capabilities without which nothing works, by their bit (capabilities(7)), and what for.
const NEEDED: [(u32, &str, &str); 2] = [
    (12, "CAP_NET_ADMIN", "set addresses and attach XDP"),
    (13, "CAP_NET_RAW", "send advertisements and gratuitous ARP"),
];

/// All that is kept, by bit: what for is in docs/security.md.
const KEPT: [u32; 10] =
    [CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID, NET_ADMIN, NET_RAW, SYS_NICE, PERFMON, BPF];
const CHOWN: u32 = 0;
const DAC_OVERRIDE: u32 = 1;
const KILL: u32 = 5;
const SETGID: u32 = 6;
const SETUID: u32 = 7;
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;
const IPC_LOCK: u32 = 14;
const SYS_ADMIN: u32 = 21;
const SYS_NICE: u32 = 23;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// Says which capability is missing.
///
/// # Errors
/// One sentence: what is missing, what it is for, and how to get it.
pub(crate) fn check() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    // A kernel that does not tell is asked by trying.
    let Some(effective) = set(&status, "CapEff:") else { return Ok(()) };
    match missing(effective) {
        None => Ok(()),
        Some((name, purpose)) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{name} is missing, needed to {purpose}: run as root or grant it"),
        )),
    }
}

/// Gives up for good, for this thread and those that it starts from now on, what the daemon needs only
/// to begin.
///
/// # Errors
/// One sentence: the kernel refuses.
pub(crate) fn give_up() -> io::Result<()> {
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap");
    let last = last.ok().and_then(|last| last.trim().parse().ok()).unwrap_or(BPF);
    capabilities::keep(kept(memory::lift_limit(), last)).map_err(|error| {
        io::Error::other(format!("cannot give up what this daemon needs no more: {error}"))
    })
}

/// Has `work` done by a thread that has given up the same: what it starts goes on after it.
pub(crate) fn do_without<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let work = move || give_up().map(|()| work());
        scope.spawn(work).join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    })
}

/// What an operator should know of scripts that run as root, if there are any.
pub(crate) fn note_of_root_scripts() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    is_narrow(set(&status, "CapBnd:")?).then(|| {
        "scripts that run as root have no more capabilities than this service, of which \
         CAP_SYS_ADMIN is none (CapabilityBoundingSet of its unit): one that mounts, or loads \
         modules, fails"
            .to_owned()
    })
}

/// Whether root is less than it is used to be.
const fn is_narrow(bounding: u64) -> bool {
    bounding & (1 << SYS_ADMIN) == 0
}

fn kept(is_memory_free: bool, last: u32) -> u64 {
    let mut kept = KEPT.into_iter().fold(0, |set, bit| set | 1 << bit);
    if !is_memory_free {
        // Else each allocation beyond the limit would fail: all that there will be is locked.
        kept |= 1 << IPC_LOCK;
    }
    if last < BPF {
        // Before Linux 5.8 BPF was a part of it.
        kept |= 1 << SYS_ADMIN;
    }
    kept
}

/// The set of capabilities in a line of `/proc/PID/status`.
fn set(status: &str, line: &str) -> Option<u64> {
    let hex = status.lines().find_map(|one| one.strip_prefix(line))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn missing(effective: u64) -> Option<(&'static str, &'static str)> {
    NEEDED
        .into_iter()
        .find(|(bit, _, _)| effective & (1 << bit) == 0)
        .map(|(_, name, purpose)| (name, purpose))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_one_is_named() {
        let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffefff\n";
        let effective = set(status, "CapEff:").unwrap();
        assert_eq!(missing(effective).unwrap().0, "CAP_NET_ADMIN");
        assert_eq!(missing(effective | 1 << 12), None);
        assert_eq!(missing(1 << 12).unwrap().0, "CAP_NET_RAW");
    }

    #[test]
    fn what_is_kept_depends_on_the_kernel_and_on_the_limit() {
        // capsh(1) shows them: chown, dac_override, kill, setgid, setuid, net_admin, net_raw,
        // sys_nice; perfmon, bpf.
        let usual = 0xc0_0080_30e3;
        assert_eq!(kept(true, 40), usual);
        assert_eq!(kept(false, 40), usual | 0x4000);
        assert_eq!(kept(true, 37), usual | 0x20_0000);
    }

    #[test]
    fn root_without_sys_admin_is_narrow() {
        assert!(is_narrow(0xc0_0080_30e3));
        // As in a container that may do nearly all.
        assert!(!is_narrow(0x1ff_feff_ffff));
    }

    #[test]
    fn a_thread_has_given_up_and_the_test_has_not() {
        let of_thread = |status: io::Result<String>| set(&status.unwrap(), "CapEff:").unwrap();
        let read = || fs::read_to_string("/proc/thread-self/status");
        let before = of_thread(read());
        let within = of_thread(do_without(read).unwrap());
        assert_eq!(within & !kept(false, 0), 0);
        assert_eq!(of_thread(read()), before);
    }
}
