//! How the engine thread is scheduled.
//!
//! Deadline tasks run before every real-time task and are not throttled as those are: a runaway
//! `SCHED_FIFO` process on this host then cannot make the daemon late.
//!
//! What is reserved is what a Backup or Master of a thousand instances needs all the time. Becoming Master
//! of all of them takes some 30 ms of work at once, six reservations: the thread may take what no other
//! deadline task has reserved, up to 95 % of a processor. `docs/benchmarks/README.md` has the figures.

use std::{fmt, io, ptr};

/// CPU time in each period; so little that four daemons fit on two processors.
const RUNTIME_NS: u64 = 2_000_000;
/// A wake-up is served within this.
const DEADLINE_NS: u64 = 5_000_000;
const PERIOD_NS: u64 = 5_000_000;
/// Above keepalived's default of 50 there is no need to be.
const FIFO_PRIORITY: u32 = 50;
/// Before every other real-time task, as deadline tasks are.
const ASIDE_PRIORITY: u32 = 99;
/// `SCHED_DEADLINE`, which libc does not name.
const DEADLINE: u32 = 6;
/// `SCHED_FLAG_RESET_ON_FORK`: threads and processes started from here are scheduled normally.
const RESET_ON_FORK: u64 = 1;
/// `SCHED_FLAG_RECLAIM`: runtime runs down at the rate of what all deadline tasks have reserved, so
/// that a task alone is hardly ever throttled (Linux 4.13, `scheduler/sched-deadline.rst` §2.2).
const RECLAIM: u64 = 2;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Policy {
    /// `SCHED_DEADLINE`, or fail.
    Deadline,
    /// `SCHED_FIFO`, or fail.
    Fifo,
    /// The normal policy.
    Other,
    /// The best that can be had.
    #[default]
    Auto,
}

impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Deadline => "SCHED_DEADLINE, 2 ms in every 5 ms",
            Self::Fifo => "SCHED_FIFO, priority 50",
            Self::Other => "SCHED_OTHER",
            Self::Auto => "the best scheduling policy",
        })
    }
}

/// What was got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// In words, for the status.
    pub(crate) description: String,
    /// What is worse than it could be, and what to do about it.
    pub(crate) warning: Option<String>,
}

/// Schedules the calling thread. A policy that is demanded and refused is an error.
pub(crate) fn apply(policy: Policy) -> io::Result<Outcome> {
    let got = |policy: Policy, warning| Outcome { description: policy.to_string(), warning };
    match policy {
        Policy::Deadline | Policy::Fifo => match set(policy) {
            Ok(()) => Ok(got(policy, None)),
            Err(error) => Err(io::Error::new(error.kind(), refusal(policy, &error))),
        },
        // Nothing to do: it may have been started with a policy of the operator's choice.
        Policy::Other => Ok(got(Policy::Other, None)),
        Policy::Auto => {
            let Err(deadline) = set(Policy::Deadline) else {
                return Ok(got(Policy::Deadline, None));
            };
            let warning = refusal(Policy::Deadline, &deadline);
            Ok(match set(Policy::Fifo) {
                Ok(()) => got(Policy::Fifo, Some(format!("{warning}; using SCHED_FIFO"))),
                Err(_) => got(
                    Policy::Other,
                    Some(format!(
                        "{warning}; under load this host may be late and lose mastership"
                    )),
                ),
            })
        }
    }
}

/// `struct sched_attr`, first version (`SCHED_ATTR_SIZE_VER0`).
#[derive(Default)]
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

const ATTR_SIZE: u32 = 48;
const _: () = assert!(size_of::<SchedAttr>() == 48);

/// Does `work` as `SCHED_FIFO` if this thread is a deadline task.
///
/// A deadline task that yields gives the rest of its period away, and the kernel yields once for each
/// change of an address while anybody on this host is slow to read of such changes: five milliseconds
/// for each of them.
///
/// # Errors
/// One sentence: the work is done, but the thread is not a deadline task any more.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> (T, io::Result<()>) {
    // SAFETY: it reads nothing of ours; pid 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    if u32::try_from(policy & !libc::SCHED_RESET_ON_FORK) != Ok(DEADLINE)
        || set_attr(&fifo(ASIDE_PRIORITY)).is_err()
    {
        return (work(), Ok(()));
    }
    let done = work();
    let back = set(Policy::Deadline).map_err(|error| {
        let kind = error.kind();
        // At the priority at which it may stay.
        let fifo = set(Policy::Fifo).err();
        let instead = fifo.map_or_else(|| "using SCHED_FIFO".to_owned(), |error| error.to_string());
        io::Error::new(kind, format!("{}; {instead}", refusal(Policy::Deadline, &error)))
    });
    (done, back)
}

fn fifo(priority: u32) -> SchedAttr {
    SchedAttr { size: ATTR_SIZE, flags: RESET_ON_FORK, policy: 1, priority, ..SchedAttr::default() }
}

fn set(policy: Policy) -> io::Result<()> {
    match policy {
        Policy::Deadline => set_attr(&SchedAttr {
            size: ATTR_SIZE,
            policy: DEADLINE,
            runtime_ns: RUNTIME_NS,
            deadline_ns: DEADLINE_NS,
            period_ns: PERIOD_NS,
            flags: RESET_ON_FORK | RECLAIM,
            ..SchedAttr::default()
        }),
        Policy::Fifo => set_attr(&fifo(FIFO_PRIORITY)),
        Policy::Other | Policy::Auto => Ok(()),
    }
}

fn set_attr(attr: &SchedAttr) -> io::Result<()> {
    // SAFETY: the kernel reads `attr.size` bytes at `attr`, which is as long (asserted above); pid
    // 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(attr), 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn refusal(policy: Policy, error: &io::Error) -> String {
    let remedy = match (policy, error.raw_os_error()) {
        (Policy::Deadline, Some(libc::EPERM)) => {
            "run as root or with CAP_SYS_NICE, and without a CPU affinity"
        }
        (Policy::Deadline, Some(libc::EBUSY)) => {
            "other deadline tasks have reserved the CPUs' time"
        }
        (_, Some(libc::EPERM)) => {
            "run as root or with CAP_SYS_NICE, and in a control group with real-time runtime"
        }
        _ => "the kernel does not support it here",
    };
    format!("cannot have {policy}: {error}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_capability() {
        let text = refusal(Policy::Deadline, &io::Error::from_raw_os_error(libc::EPERM));
        assert!(text.contains("SCHED_DEADLINE") && text.contains("CAP_SYS_NICE"), "{text}");
    }

    #[test]
    fn the_normal_policy_is_always_had() {
        assert_eq!(apply(Policy::Other).unwrap().description, "SCHED_OTHER");
        // Of a thread of its own, which ends with the test.
        let auto = std::thread::spawn(|| apply(Policy::Auto)).join().unwrap();
        assert!(auto.is_ok());
    }
}
