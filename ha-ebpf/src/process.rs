//! The programs at the kernel's tracepoints: they tell of processes that come and go, as far as
//! somebody wants to know.
//!
//! Of the thousands of processes that a host may start in a second, those nobody looks for cost a
//! look into a table or two, and no wake-up.
//!
//! Where the kernel's structures have their fields is read from its BTF by the daemon, as this compiler
//! has no relocations for it.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![expect(clippy::needless_pass_by_value, reason = "the context is handed over by a macro")]
#![expect(clippy::inline_always, reason = "flat programs are what the BPF verifier judges best")]

mod object;

use aya_ebpf::{
    Global,
    bindings::BPF_F_NO_PREALLOC,
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_probe_read_kernel,
        bpf_probe_read_kernel_str_bytes, bpf_probe_read_user_str_bytes,
        generated::bpf_get_current_task,
    },
    macros::{map, raw_tracepoint},
    maps::{HashMap, PerCpuArray, RingBuf},
    programs::RawTracePointContext,
};
use ha_common::abi::process::{
    CHANGED, Command, ENDED, Event, FORKED, NAMES_MAX, Name, RING_BYTES, WATCHED_MAX,
};

/// The new task is a thread of its parent's process (`linux/sched.h`).
const CLONE_THREAD: u64 = 0x0001_0000;

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static WATCHED: HashMap<u32, u32> = HashMap::with_max_entries(WATCHED_MAX, BPF_F_NO_PREALLOC);
#[map]
static NAMES: HashMap<Name, u32> = HashMap::with_max_entries(NAMES_MAX, BPF_F_NO_PREALLOC);
#[map]
static COMMANDS: HashMap<Command, u32> = HashMap::with_max_entries(NAMES_MAX, BPF_F_NO_PREALLOC);
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

#[unsafe(no_mangle)]
static TASK_PID: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TASK_TGID: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TASK_SIGNAL: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TASK_MM: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static SIGNAL_LIVE: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static MM_ARG_START: Global<u32> = Global::new(0);

/// `task_newtask(task, clone_flags)`, in the parent.
#[raw_tracepoint(tracepoint = "task_newtask")]
fn ha_newtask(context: RawTracePointContext) -> i32 {
    let parent = current();
    if context.arg::<u64>(1) & CLONE_THREAD == 0
        && is_watched(parent)
        && let Some(child) = field::<u32>(context.arg(0), &TASK_TGID)
    {
        watch(child);
        tell(FORKED, child, parent);
    }
    0
}

/// `sched_process_exec`, in the process that runs the new program.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn ha_exec(_context: RawTracePointContext) -> i32 {
    let pid = current();
    if !is_watched(pid) {
        if !has_wanted_name() && !has_wanted_command() {
            return 0;
        }
        watch(pid);
    }
    tell(CHANGED, pid, 0);
    0
}

/// `task_rename(task, name)`: of a thread too, whose name is no process's.
#[raw_tracepoint(tracepoint = "task_rename")]
fn ha_rename(context: RawTracePointContext) -> i32 {
    let task = context.arg(0);
    let (Some(thread), Some(pid)) = (field::<u32>(task, &TASK_PID), field::<u32>(task, &TASK_TGID))
    else {
        return 0;
    };
    if thread != pid {
        return 0;
    }
    let mut name: Name = [0; 16];
    // SAFETY: the helper checks the address.
    let is_read = unsafe { bpf_probe_read_kernel_str_bytes(context.arg(1), &mut name) }.is_ok();
    // SAFETY: the value is not looked at.
    let is_wanted = is_read && unsafe { NAMES.get(name) }.is_some();
    if !is_watched(pid) {
        if !is_wanted {
            return 0;
        }
        watch(pid);
    }
    tell(CHANGED, pid, 0);
    0
}

/// `sched_process_exit`, in each thread that ends.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn ha_exit(_context: RawTracePointContext) -> i32 {
    let pid = current();
    if is_watched(pid) && is_last_thread() {
        // What is not there was not watched.
        WATCHED.remove(pid).ok();
        tell(ENDED, pid, 0);
    }
    0
}

/// Here, because it may have copies, and end, before the daemon hears of it; whom the daemon does not
/// mean it releases.
#[inline(always)]
fn watch(pid: u32) {
    if WATCHED.insert(pid, 1, 0).is_err() {
        lose();
    }
}

/// The number of the process that runs.
#[inline(always)]
fn current() -> u32 {
    u32::try_from(bpf_get_current_pid_tgid() >> 32).unwrap_or(0)
}

#[inline(always)]
fn current_task() -> *const u8 {
    // SAFETY: the helper has no preconditions.
    let address = unsafe { bpf_get_current_task() };
    core::ptr::with_exposed_provenance(usize::try_from(address).unwrap_or(0))
}

#[inline(always)]
fn is_watched(pid: u32) -> bool {
    // SAFETY: the value is not looked at.
    unsafe { WATCHED.get(pid) }.is_some()
}

#[inline(always)]
fn has_wanted_name() -> bool {
    // SAFETY: the value is not looked at.
    bpf_get_current_comm().is_ok_and(|name| unsafe { NAMES.get(name) }.is_some())
}

/// Whether the command line begins with a word that is looked for.
#[inline(always)]
fn has_wanted_command() -> bool {
    let Some(memory) = field::<usize>(current_task(), &TASK_MM) else {
        return false;
    };
    let memory = core::ptr::with_exposed_provenance(memory);
    let Some(start) = field::<usize>(memory, &MM_ARG_START) else {
        return false;
    };
    let mut command: Command = [0; 64];
    let start = core::ptr::with_exposed_provenance(start);
    // SAFETY: the helper checks the address.
    match unsafe { bpf_probe_read_user_str_bytes(start, &mut command) } {
        // SAFETY: the value is not looked at.
        Ok(_text) => unsafe { COMMANDS.get(command) }.is_some(),
        // It is not in memory: the daemon may find it.
        Err(_fault) => true,
    }
}

/// Whether no thread of the process is left, but this one that ends.
#[inline(always)]
fn is_last_thread() -> bool {
    let Some(signal) = field::<usize>(current_task(), &TASK_SIGNAL) else {
        return true;
    };
    let signal = core::ptr::with_exposed_provenance(signal);
    field::<u32>(signal, &SIGNAL_LIVE).is_none_or(|live| live == 0)
}

/// The field of a kernel structure.
#[inline(always)]
fn field<T>(structure: *const u8, offset: &Global<u32>) -> Option<T> {
    let offset = usize::try_from(offset.load()).unwrap_or(0);
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(structure.wrapping_add(offset).cast()) }.ok()
}

#[inline(always)]
fn tell(kind: u32, pid: u32, other: u32) {
    let event = Event { kind, pid, other, pad: 0 };
    if EVENTS.output::<Event>(event, 0).is_err() {
        lose();
    }
}

/// Counts an event that the daemon does not hear of.
#[inline(always)]
fn lose() {
    if let Some(lost) = LOST.get_ptr_mut(0) {
        // SAFETY: this CPU's own number; one more that is counted as one only is noticed as well.
        unsafe { lost.write(lost.read().wrapping_add(1)) };
    }
}

/// Lets the host's compiler and clippy read the crate; nobody runs this.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
