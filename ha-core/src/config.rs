//! What the engine is told about its virtual routers: names resolved to numbers, nothing to parse.

use core::{net::IpAddr, time::Duration};

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
    /// How long all instances stay in Init after the start (`vrrp_startup_delay`,
    /// `vrrp_delay_after_boot`).
    pub startup_delay: Duration,
}

/// One virtual router (keepalived `vrrp_instance`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the file")]
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
    /// The addresses that it advertises, in any order: another Master's list is compared with them.
    pub addresses: Vec<IpAddr>,
    /// Whether a lower priority Master is replaced (keepalived `preempt`, `nopreempt`).
    pub preempt: bool,
    /// How long after its first advertisement a lower priority Master still counts as Master
    /// (`preempt_delay`); zero: not at all.
    pub preempt_delay: Duration,
    /// Priority 255 hears nobody (RFC 9568 §7.1; keepalived `owner_ignore_adverts`).
    pub owner_ignore_adverts: bool,
    /// Compare a Master's address list with ours only when it is new (`skip_check_adv_addr`).
    pub skip_check_adv_addr: bool,
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

impl InstanceConfig {
    /// A virtual router with keepalived's defaults, that advertises nothing by version 3 over IPv4.
    #[must_use]
    pub fn new(vrid: Vrid) -> Self {
        Self {
            vrid,
            version: Version::V3,
            family: Family::V4,
            priority: Priority::DEFAULT,
            interval: AdvertInterval::DEFAULT,
            addresses: Vec::new(),
            preempt: true,
            preempt_delay: Duration::ZERO,
            owner_ignore_adverts: false,
            skip_check_adv_addr: false,
            down_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            announce: AnnouncePlan::default(),
            tracks: Vec::new(),
        }
    }
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
    /// Time from there to one more such round (`garp_lower_prio_delay`, 5 s); zero for none.
    pub lower_prio_delay: Duration,
    /// Time between later rounds (`garp_master_refresh`); zero for none.
    pub refresh: Duration,
    /// Announcements of each address in one of those (`garp_master_refresh_repeat`, 1).
    pub refresh_repeat: u32,
}

impl Default for AnnouncePlan {
    fn default() -> Self {
        Self {
            repeat: 5,
            delay: Duration::from_secs(5),
            lower_prio_repeat: 5,
            lower_prio_delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
            refresh_repeat: 1,
        }
    }
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
