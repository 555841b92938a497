//! One router on a segment, whose priority is read off the wire.

use core::time::Duration;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::{
    clock::Stamp,
    netns::Namespace,
    pair::{Heard, Pair, Side},
    process::{Program, Router},
    wait,
};

/// For a machine that does other things meanwhile.
const SOON: Duration = Duration::from_secs(20);
/// Longer than it takes to notice anything.
const QUIET: Duration = Duration::from_secs(2);

/// Node A of a pair whose node B is never started.
#[derive(Debug)]
pub struct Alone(Pair);

impl Alone {
    /// Runs `program` with this configuration and these words on its command line.
    #[must_use]
    pub fn start(program: Program, config: &str, words: &[&str]) -> Self {
        let mut pair = Pair::new();
        pair.node_mut(Side::A).start(program, config, words);
        Self(pair)
    }

    /// [`Self::start`] by another program, which becomes it: `wrapper` is that one's command line.
    #[must_use]
    pub fn start_under(wrapper: &[&str], program: Program, config: &str, words: &[&str]) -> Self {
        let mut pair = Pair::new();
        pair.node_mut(Side::A).start_under(wrapper, program, config, words);
        Self(pair)
    }

    /// The router itself.
    pub fn router(&mut self) -> &mut Router {
        self.0.node_mut(Side::A).router()
    }

    /// The directory that it sees as `/etc/keepalived`.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        self.0.node(Side::A).etc()
    }

    /// What `notify.sh` was told so far, in order.
    #[must_use]
    pub fn notified(&self) -> Vec<String> {
        self.0.node(Side::A).notified()
    }

    /// Pulls the cable of `interface`.
    pub fn cut(&self, interface: &str) {
        self.0.cut(Side::A, interface);
    }

    /// Plugs it in again.
    pub fn mend(&self, interface: &str) {
        self.0.mend(Side::A, interface);
    }

    /// Where it runs.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        self.0.node(Side::A).namespace()
    }

    /// A host on the same segments.
    #[must_use]
    pub fn client(&self) -> &Namespace {
        self.0.client()
    }

    /// Has our daemon read this configuration, and waits until it has.
    ///
    /// # Panics
    /// It does not.
    pub fn reload(&mut self, config: &str) {
        let router = self.router();
        let read = router.log().matches("read again").count();
        router.directory().write("keepalived.conf", config);
        router.process().signal(Signal::SIGHUP);
        let again = || router.log().matches("read again").count() > read;
        let done = wait::holds_within(SOON, again);
        assert!(done, "not read again{}", self.log());
    }

    /// What it has advertised since.
    #[must_use]
    pub fn heard(&self, since: Stamp) -> Vec<Heard> {
        self.0.heard("bond0", since)
    }

    /// Waits for an advertisement of this priority as the last one.
    ///
    /// # Panics
    /// There is none for long.
    pub fn await_priority(&self, priority: u8) {
        self.await_priority_since(Stamp::now(), priority);
    }

    /// Waits for an advertisement of this priority as the last one since `since`: of before what
    /// makes it stop, for its goodbye (priority 0), which it says once.
    ///
    /// # Panics
    /// There is none for long.
    pub fn await_priority_since(&self, since: Stamp, priority: u8) {
        let last = || self.heard(since).last().map(|heard| heard.advert.priority);
        let heard = wait::holds_within(SOON, || last() == Some(priority));
        let last = last();
        assert!(heard, "the priority is {last:?} and not {priority}{}", self.log());
    }

    /// All that is advertised for a while has this priority.
    ///
    /// # Panics
    /// It has another one.
    pub fn assert_priority_stays(&self, priority: u8) {
        let since = Stamp::now();
        let stays = wait::holds_throughout(QUIET, || {
            self.heard(since).iter().all(|heard| heard.advert.priority == priority)
        });
        assert!(stays, "the priority does not stay {priority}{}", self.log());
    }

    /// What the router has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.0.logs()
    }
}
