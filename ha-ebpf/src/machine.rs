//! Atomic instructions of the BPF machine: Rust's description of the target has none.
//!
//! Those that give the old value back are full barriers (the kernel's `Documentation/bpf`,
//! "Atomic operations", and its memory model); [`increment`] and [`clear`] order nothing.

/// Adds one.
///
/// # Safety
/// `number` is valid, aligned, and otherwise accessed atomically only.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) unsafe fn increment(number: *mut u64) {
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({number} + 0) += {one}",
            number = in(reg) number,
            one = in(reg) 1_u64,
            options(nostack),
        );
    }
}

/// Clears the bits of `mask`.
///
/// # Safety
/// As [`increment`]'s.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) unsafe fn clear(number: *mut u64, mask: u64) {
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({number} + 0) &= {kept}",
            number = in(reg) number,
            kept = in(reg) !mask,
            options(nostack),
        );
    }
}

/// Reads: after everything before it, and before everything after it.
///
/// # Safety
/// As [`increment`]'s.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) unsafe fn load(number: *mut u64) -> u64 {
    let mut value = 0_u64;
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        core::arch::asm!(
            "{value} = atomic_fetch_add((u64 *)({number} + 0), {value})",
            number = in(reg) number,
            value = inout(reg) value,
            options(nostack),
        );
    }
    value
}

/// Writes `new` if the number is `old`; says whether it was.
///
/// # Safety
/// As [`increment`]'s.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) unsafe fn compare_exchange(number: *mut u64, old: u64, new: u64) -> bool {
    let found: u64;
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({number} + 0, r0, {new})",
            number = in(reg) number,
            new = in(reg) new,
            inout("r0") old => found,
            options(nostack),
        );
    }
    found == old
}

/// Where the host's compiler and clippy read the crate, these stand in.
#[cfg(not(target_arch = "bpf"))]
mod host {
    /// # Safety
    /// `number` is valid and aligned.
    pub(crate) unsafe fn increment(number: *mut u64) {
        // SAFETY: the caller vouches for the pointer.
        unsafe { number.write(number.read() + 1) };
    }

    /// # Safety
    /// `number` is valid and aligned.
    pub(crate) unsafe fn clear(number: *mut u64, mask: u64) {
        // SAFETY: the caller vouches for the pointer.
        unsafe { number.write(number.read() & !mask) };
    }

    /// # Safety
    /// `number` is valid and aligned.
    pub(crate) unsafe fn load(number: *mut u64) -> u64 {
        // SAFETY: the caller vouches for the pointer.
        unsafe { number.read() }
    }

    /// # Safety
    /// `number` is valid and aligned.
    pub(crate) unsafe fn compare_exchange(number: *mut u64, old: u64, new: u64) -> bool {
        // SAFETY: the caller vouches for the pointer.
        unsafe {
            let is_old = number.read() == old;
            if is_old {
                number.write(new);
            }
            is_old
        }
    }
}

#[cfg(not(target_arch = "bpf"))]
pub(crate) use self::host::{clear, compare_exchange, increment, load};
