//! What the engine is told about its virtual routers: names resolved to numbers, nothing to parse.

use core::time::Duration;

use crate::{AdvertInterval, Family, Priority, Version, Vrid};

/// Place of an instance in [`Config::instances`]. The kernel's slot has the same number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InstanceId(pub u32);

/// Place of a sync group in [`Config::groups`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GroupId(pub u32);

/// Number of a tracked thing (interface, script), below [`Config::trackers`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrackerId(pub u32);

/// Everything an engine runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// The virtual routers.
    pub instances: Vec<InstanceConfig>,
    /// Sync groups; an instance is in one at most (a second membership is ignored).
    pub groups: Vec<GroupConfig>,
    /// How many tracked things there are.
    pub trackers: u32,
}

/// One virtual router (keepalived `vrrp_instance`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceConfig {
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Protocol version.
    pub version: Version,
    /// Family of its advertisements.
    pub family: Family,
    /// Configured priority; trackers with a weight move the effective one.
    pub priority: Priority,
    /// Own advertisement interval.
    pub interval: AdvertInterval,
    /// Whether a lower priority Master is replaced (keepalived `preempt`, `nopreempt`).
    pub preempt: bool,
    /// Intervals without advertisement before the Master counts as down (`down_timer_adverts`, 3).
    pub down_adverts: u32,
    /// Stay silent towards a lower priority Master (`lower_prio_no_advert`).
    pub lower_prio_no_advert: bool,
    /// Send one more advertisement when yielding (`higher_prio_send_advert`).
    pub higher_prio_send_advert: bool,
    /// Rounds of gratuitous ARP or unsolicited NA.
    pub announce: AnnouncePlan,
    /// What the instance depends on.
    pub tracks: Vec<Track>,
}

/// Rounds of gratuitous ARP or unsolicited NA after becoming Master.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnnouncePlan {
    /// Announcements of each address in one round (`garp_master_repeat`, 5).
    pub repeat: u32,
    /// Time until the second round (`garp_master_delay`, 5 s); zero for no second round.
    pub delay: Duration,
    /// Announcements of each address after a lower priority advertisement (`garp_lower_prio_repeat`).
    pub lower_prio_repeat: u32,
    /// Time between later rounds (`garp_master_refresh`); zero for none.
    pub refresh: Duration,
    /// Announcements of each address in one of those (`garp_master_refresh_repeat`, 1).
    pub refresh_repeat: u32,
}

/// A dependency of an instance (keepalived `track_script`, `track_interface`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Track {
    /// What is watched.
    pub tracker: TrackerId,
    /// 0: failure means Fault. Positive: added while up. Negative: subtracted while down.
    pub weight: i16,
    /// Up counts as down and down as up.
    pub reverse: bool,
}

/// Instances that are Master, Backup or in Fault together (keepalived `vrrp_sync_group`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupConfig {
    /// The instances.
    pub members: Vec<InstanceId>,
}
