//! The process's memory: as little as it needs, and that in RAM.

use nix::{
    errno::Errno,
    sys::{
        mman::{MlockAllFlags, mlockall},
        resource::{Resource, getrlimit, setrlimit},
    },
};

/// Blocks from this size on are mapped by themselves, and given back to the kernel when they are free.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES: i32 = 128 << 10;

/// Has large blocks given back. Unless it is told so, the C library keeps those of sizes that were
/// freed before.
pub(crate) fn give_back_large() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's locks, as every allocation does.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
    }
}

/// Gives free memory back to the kernel. Only before [`lock`]: locked pages are not taken back.
pub(crate) fn trim() {
    // Other C libraries have no such function; they keep less.
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's locks, as every allocation does.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets as much memory be locked as there is, where that may be asked for; says whether it may.
pub(crate) fn lift_limit() -> bool {
    let limit = libc::RLIM_INFINITY;
    setrlimit(Resource::RLIMIT_MEMLOCK, limit, limit).is_ok()
}

/// Keeps the process's memory in RAM; says what to do if it cannot.
pub(crate) fn lock() -> Option<String> {
    let limit = libc::RLIM_INFINITY;
    let old = getrlimit(Resource::RLIMIT_MEMLOCK).ok();
    let locked = match old {
        Some((soft, hard)) if soft != limit => {
            // Within a finite limit the lock may be had, and then every allocation beyond it
            // fails. A limit of zero lets only those lock who are exempt from it.
            let result = setrlimit(Resource::RLIMIT_MEMLOCK, 0, hard).and_then(|()| lock_all());
            setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard).and(result)
        }
        _ => lock_all(),
    };
    locked.err().map(|error| {
        format!("cannot keep memory in RAM: {}; run as root or with CAP_IPC_LOCK", error.desc())
    })
}

fn lock_all() -> Result<(), Errno> {
    // Pages are locked when first used: reserving all of every thread's stack would be waste.
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault)
}
