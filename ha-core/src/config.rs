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

/// How a tracked thing is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is well.
    Up,
    /// It is not.
    Down,
    /// What a file says (keepalived `track_file`): a number that the weight is multiplied with. Without
    /// a weight all but 0 is a failure, and a product of -254 or less is one.
    Value(i32),
}

impl From<bool> for Verdict {
    fn from(is_up: bool) -> Self {
        if is_up { Self::Up } else { Self::Down }
    }
}

/// What the verdict on a tracked thing means for an instance that depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It must be in Fault.
    Fault,
    /// Its priority is moved by so much.
    Weight(i32),
}

/// A dependency of an instance (keepalived `track_script`, `track_interface`, `track_file`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Track {
    /// What is watched.
    pub tracker: TrackerId,
    /// 0: failure means Fault. Positive: added while up. Negative: subtracted while down.
    pub weight: i32,
    /// What would be added is subtracted, and what would be subtracted added. With weight 0 up counts
    /// as down and down as up.
    pub reverse: bool,
}

impl Track {
    /// From here on what a file says leads to Fault (keepalived.conf(5), `track_file`).
    const FAULT: i32 = -254;

    /// What `verdict` means here.
    #[must_use]
    pub fn effect(self, verdict: Verdict) -> Effect {
        if self.weight == 0 {
            let is_up = match verdict {
                Verdict::Up => true,
                Verdict::Down => false,
                Verdict::Value(value) => value == 0,
            };
            return if is_up == self.reverse { Effect::Fault } else { Effect::Weight(0) };
        }
        let moved = match verdict {
            Verdict::Up => self.weight.max(0),
            Verdict::Down => self.weight.min(0),
            Verdict::Value(value) => value.saturating_mul(self.weight),
        };
        let moved = if self.reverse { moved.saturating_neg() } else { moved };
        match verdict {
            Verdict::Value(_) if moved <= Self::FAULT => Effect::Fault,
            Verdict::Up | Verdict::Down | Verdict::Value(_) => Effect::Weight(moved),
        }
    }
}

/// Instances that are Master, Backup or in Fault together (keepalived `vrrp_sync_group`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupConfig {
    /// The instances.
    pub members: Vec<InstanceId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(weight: i32, verdict: Verdict) -> Effect {
        Track { tracker: TrackerId(0), weight, reverse: false }.effect(verdict)
    }

    fn reversed(weight: i32, verdict: Verdict) -> Effect {
        Track { tracker: TrackerId(0), weight, reverse: true }.effect(verdict)
    }

    #[test]
    fn a_positive_weight_is_added_while_up_and_a_negative_one_while_down() {
        assert_eq!(effect(7, Verdict::Up), Effect::Weight(7));
        assert_eq!(effect(7, Verdict::Down), Effect::Weight(0));
        assert_eq!(effect(-7, Verdict::Up), Effect::Weight(0));
        assert_eq!(effect(-7, Verdict::Down), Effect::Weight(-7));
        // As keepalived 2.2.7 runs it.
        assert_eq!(reversed(7, Verdict::Up), Effect::Weight(-7));
        assert_eq!(reversed(7, Verdict::Down), Effect::Weight(0));
        assert_eq!(reversed(-7, Verdict::Up), Effect::Weight(0));
        assert_eq!(reversed(-7, Verdict::Down), Effect::Weight(7));
    }

    #[test]
    fn without_weight_a_failure_is_a_fault() {
        assert_eq!(effect(0, Verdict::Down), Effect::Fault);
        assert_eq!(effect(0, Verdict::Value(3)), Effect::Fault);
        assert_eq!(effect(0, Verdict::Value(0)), Effect::Weight(0));
        assert_eq!(reversed(0, Verdict::Up), Effect::Fault);
        assert_eq!(reversed(0, Verdict::Value(0)), Effect::Fault);
    }

    #[test]
    fn what_a_file_says_is_multiplied_with_the_weight() {
        assert_eq!(effect(-2, Verdict::Value(10)), Effect::Weight(-20));
        assert_eq!(reversed(-2, Verdict::Value(10)), Effect::Weight(20));
        assert_eq!(effect(1, Verdict::Value(-253)), Effect::Weight(-253));
        assert_eq!(effect(1, Verdict::Value(-254)), Effect::Fault);
        assert_eq!(effect(i32::MAX, Verdict::Value(i32::MIN)), Effect::Fault);
        assert_eq!(effect(i32::MIN, Verdict::Value(-1)), Effect::Weight(i32::MAX));
    }
}
