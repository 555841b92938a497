//! The one instruction of the BPF machine that Rust's description of the target lacks.

/// Adds one, atomically.
///
/// # Safety
/// `number` is valid, aligned, and otherwise read by atomic loads only.
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

/// Stands in where the host's compiler and clippy read the crate.
///
/// # Safety
/// `number` is valid and aligned.
#[cfg(not(target_arch = "bpf"))]
pub(crate) unsafe fn increment(number: *mut u64) {
    // SAFETY: the caller vouches for the pointer.
    unsafe { number.write(number.read() + 1) };
}
