//! How fast addresses are announced, as the configuration has it.

use std::time::Duration;

use ha_config::{Config, Pacing};

/// How fast addresses are announced.
#[derive(Clone, Debug)]
pub(crate) struct PacingPlan {
    /// Interfaces that share an interval.
    pub(crate) groups: Vec<Pacing>,
    /// Of each other interface; zero: none.
    pub(crate) garp_interval: Duration,
    /// The same for unsolicited neighbour advertisements.
    pub(crate) gna_interval: Duration,
}

impl PacingPlan {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            groups: config.pacing.clone(),
            garp_interval: config.global.garp_interval,
            gna_interval: config.global.gna_interval,
        }
    }
}
