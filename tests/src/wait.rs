//! Waiting for a condition, with a deadline; the harness's substitute for sleeping.

use core::time::Duration;
use std::env;

use crate::clock;

/// Between two looks at a condition: short against an advertisement interval, long against a look.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Waits until `condition` holds, and panics with `what` if it does not within `deadline`.
pub fn eventually(deadline: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(deadline, condition), "not within {deadline:?}: {what}");
}

/// Waits until `look` sees something, and panics with `what` if it does not within `deadline`.
pub fn eventually_some<T>(deadline: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    match some_within(deadline, look) {
        Some(seen) => seen,
        None => panic!("not within {deadline:?}: {what}"),
    }
}

/// Whether `condition` comes to hold within `deadline`.
pub fn holds_within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    some_within(deadline, || condition().then_some(())).is_some()
}

/// Whether `condition` holds at every look during `duration`: for what must not happen.
pub fn holds_throughout(duration: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = clock::monotonic() + duration;
    loop {
        if !condition() {
            return false;
        }
        if clock::monotonic() >= end {
            return true;
        }
        clock::pause(POLL_EVERY);
    }
}

/// Lets `window` pass, for what is measured over all of it: no look disturbs it. A test has a condition.
pub fn through(window: Duration) {
    clock::pause(window);
}

/// What `look` sees within `deadline`.
pub fn some_within<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = clock::monotonic() + deadline * patience();
    loop {
        // Read before the look: a look that took long is still the last one.
        let now = clock::monotonic();
        if let Some(seen) = look() {
            return Some(seen);
        }
        if now >= end {
            return None;
        }
        clock::pause(POLL_EVERY);
    }
}

/// `HA_TESTS_PATIENCE=N` multiplies every deadline, for machines that are slow or shared.
fn patience() -> u32 {
    env::var("HA_TESTS_PATIENCE").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}
