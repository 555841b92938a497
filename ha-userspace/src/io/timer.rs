//! The engine thread's only timer: an absolute timerfd, precise to tens of microseconds.
//!
//! `tokio::time` must not be used on that thread: its wheel has ticks of a millisecond.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use ha_core::Instant;
use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::io::unix::AsyncFd;

use super::sys;

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A one-shot timer on `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<Fd>,
    /// What the kernel's timer is set to.
    armed: Option<Instant>,
}

impl Timer {
    /// Must be called inside the engine thread's runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let fd = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Self { fd: sys::register(Fd(fd))?, armed: None })
    }

    /// Arms the timer for `at`, or disarms it; a time in the past fires at once.
    pub(crate) fn set(&mut self, at: Option<Instant>) -> io::Result<()> {
        if at == self.armed {
            return Ok(());
        }
        let timer = &self.fd.get_ref().0;
        match at {
            Some(at) => {
                // Zero would disarm it.
                let nanos = at.as_nanos().max(1);
                let secs = i64::try_from(nanos / NANOS_PER_SEC).map_err(io::Error::other)?;
                let nanos = i64::try_from(nanos % NANOS_PER_SEC).map_err(io::Error::other)?;
                let expiration = Expiration::OneShot(TimeSpec::new(secs, nanos));
                timer.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => timer.unset()?,
        }
        self.armed = at;
        Ok(())
    }

    /// Waits until the timer fires, and says when it was to. Can be dropped and called again without losing anything.
    pub(crate) async fn expired(&mut self) -> io::Result<Instant> {
        loop {
            let mut ready = self.fd.readable().await?;
            // Arming anew takes an unread expiry back; then this reads nothing and waits on.
            match ready.try_io(|fd| fd.get_ref().0.wait().map_err(io::Error::from)) {
                Ok(result) => {
                    result?;
                    // A timer that fires was set.
                    return Ok(self.armed.take().unwrap_or_default());
                }
                Err(_would_block) => {}
            }
        }
    }
}

/// The timer's descriptor, as tokio wants to see it.
#[derive(Debug)]
struct Fd(TimerFd);

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(future)
    }

    #[test]
    fn fires_at_its_time_and_once() {
        run(async {
            let mut timer = Timer::new().unwrap();
            let at = clock::now() + Duration::from_millis(5);
            timer.set(Some(at)).unwrap();
            timer.expired().await.unwrap();
            assert!(clock::now() >= at);
            assert!(is_pending(&mut timer).await);
            // The same time again, now past.
            timer.set(Some(at)).unwrap();
            timer.expired().await.unwrap();
        });
    }

    #[test]
    fn past_and_zero_fire_at_once() {
        run(async {
            let mut timer = Timer::new().unwrap();
            timer.set(Some(Instant::from_nanos(0))).unwrap();
            timer.expired().await.unwrap();
        });
    }

    #[test]
    fn an_unread_expiry_is_taken_back() {
        run(async {
            let mut timer = Timer::new().unwrap();
            timer.set(Some(Instant::from_nanos(1))).unwrap();
            assert!(!is_pending_without_reading(&timer).await);
            timer.set(None).unwrap();
            assert!(is_pending(&mut timer).await);
        });
    }

    async fn is_pending(timer: &mut Timer) -> bool {
        tokio::select! {
            biased;
            result = timer.expired() => { result.unwrap(); false }
            () = turn() => true,
        }
    }

    async fn is_pending_without_reading(timer: &Timer) -> bool {
        tokio::select! {
            biased;
            ready = timer.fd.readable() => { drop(ready.unwrap()); false }
            () = turn() => true,
        }
    }

    /// Lets the runtime look at its descriptors.
    async fn turn() {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
}
