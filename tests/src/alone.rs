//! One router on a segment, whose priority is read off the wire.

use core::time::Duration;

use crate::{
    clock::Stamp,
    pair::{Pair, Side},
    process::Program,
    wait,
};

/// For a machine that does other things meanwhile.
const SOON: Duration = Duration::from_secs(20);

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

    /// Waits for an advertisement of this priority as the last one.
    ///
    /// # Panics
    /// There is none for long.
    pub fn await_priority(&self, priority: u8) {
        let since = Stamp::now();
        let last = || self.0.heard("bond0", since).last().map(|heard| heard.advert.priority);
        let heard = wait::holds_within(SOON, || last() == Some(priority));
        let last = last();
        assert!(heard, "the priority is {last:?} and not {priority}{}", self.0.logs());
    }

    /// What the router has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.0.logs()
    }
}
