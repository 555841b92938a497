//! The process group of a run: what is signalled, and when no longer.

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// A process group. A run that is given up (reload, stop) must not go on unseen: dropped, it is
/// killed.
#[derive(Debug)]
pub(super) struct Group(pub(super) Option<Pid>);

impl Group {
    pub(super) fn new(leader: u32) -> Option<Self> {
        i32::try_from(leader).ok().map(|id| Self(Some(Pid::from_raw(id))))
    }

    /// Its number may soon be another's.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            killpg(group, signal).ok();
        }
    }

    pub(super) fn has_members(&self) -> bool {
        self.0.is_some_and(|group| killpg(group, None).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
