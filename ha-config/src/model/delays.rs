//! `interface_up_down_delays`.

use core::time::Duration;

/// How long an interface has to be in another state until that counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InterfaceDelays {
    /// The interface's name.
    pub interface: String,
    /// From its going down until it counts as down; 0 to 255 s.
    pub down: Duration,
    /// From its coming up until it counts as up; 0 to 255 s, default [`InterfaceDelays::down`].
    pub up: Duration,
}
