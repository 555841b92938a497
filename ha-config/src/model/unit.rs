//! Units of systemd that are watched.

use core::time::Duration;

use super::{RestartLimit, Weight};
use crate::diagnostic::Place;

/// `vrrp_track_unit NAME`: a unit of the host's systemd that has to be active.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unit {
    /// The block's name.
    pub name: String,
    /// `unit`: its full name, with its type (`nginx.service`).
    pub unit: String,
    /// `weight`; default 0. Where it is tracked it may be overridden: see [`TrackUnit::weight`], which
    /// is the one to use. -254 to 254.
    pub weight: Weight,
    /// `terminate_delay`: that it is not active counts after this time; default 0.
    pub terminate_delay: Duration,
    /// `max_restarts`, `restart_window`. `None`: starts are not counted.
    pub restarts: Option<RestartLimit>,
    /// The line of the block's head.
    pub place: Place,
}

impl Unit {
    /// Whether both look at the same unit under the same name: what is known of one is known of the
    /// other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.unit == other.unit
    }
}

/// One line of `track_unit`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackUnit {
    /// A name in [`super::Config::units`].
    pub unit: String,
    /// `weight N [reverse]`; default is the unit's own weight. -254 to 254.
    pub weight: Weight,
    /// The line of the file.
    pub place: Place,
}
