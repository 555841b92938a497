//! What all our BPF objects have in common: programs that are loaded, maps that are taken out, and
//! what is said if the kernel does not want them.

use std::io;

use aya::{Ebpf, maps::Map, programs::ProgramError};

/// As often as libbpf tries.
const ATTEMPTS: usize = 5;

/// Has the kernel check and take a program, which `attempt` gives it.
///
/// # Errors
/// One sentence for the operator: the kernel does not take `what`, and why not.
pub(super) fn load(
    what: &str,
    attempt: impl FnMut() -> Result<(), ProgramError>,
) -> io::Result<()> {
    let is_interrupted = |error: &ProgramError| {
        matches!(error, ProgramError::LoadError { io_error, .. }
            if io_error.kind() == io::ErrorKind::WouldBlock)
    };
    until_not_interrupted(attempt, is_interrupted).map_err(|error| refused(what, &error))
}

/// The verifier gives up with EAGAIN when a signal is pending (`do_check` in Linux's
/// `kernel/bpf/verifier.c`): one that comes while the daemon starts must not cost it its program.
fn until_not_interrupted<E>(
    mut attempt: impl FnMut() -> Result<(), E>,
    is_interrupted: impl Fn(&E) -> bool,
) -> Result<(), E> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(error) if is_interrupted(&error) => {}
            result => return result,
        }
    }
    attempt()
}

/// Takes a map out of an object.
///
/// # Errors
/// It has no such map, or not any more.
pub(super) fn take(ebpf: &mut Ebpf, name: &str) -> io::Result<Map> {
    ebpf.take_map(name).ok_or_else(|| io::Error::other(format!("the BPF object has no map {name}")))
}

/// The kernel does not take `what`, and the first line of why not.
pub(super) fn refused(what: &str, error: &(dyn std::error::Error + 'static)) -> io::Error {
    let text = chain(error);
    let first_line = text.lines().next().unwrap_or_default();
    io::Error::other(format!("the kernel does not take {what}: {first_line}"))
}

/// The error and its sources in one sentence.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::{PermissionDenied, WouldBlock};

    use super::*;

    /// Attempts that fail like this one after the other, and then succeed; how many were made.
    fn attempts(failures: &[io::ErrorKind]) -> (Result<(), io::ErrorKind>, usize) {
        let mut made = 0;
        let attempt = || {
            made += 1;
            failures.get(made - 1).map_or(Ok(()), |kind| Err(*kind))
        };
        (until_not_interrupted(attempt, |kind| *kind == WouldBlock), made)
    }

    #[test]
    fn a_load_that_a_signal_interrupts_is_tried_again_a_few_times() {
        assert_eq!(attempts(&[]), (Ok(()), 1));
        assert_eq!(attempts(&[WouldBlock; 4]), (Ok(()), 5));
        assert_eq!(attempts(&[WouldBlock; 9]), (Err(WouldBlock), 5));
        assert_eq!(attempts(&[PermissionDenied]), (Err(PermissionDenied), 1));
        let failures = [WouldBlock, PermissionDenied];
        assert_eq!(attempts(&failures), (Err(PermissionDenied), 2));
    }
}
