//! How addresses are announced: how often, and how fast at most.

use core::time::Duration;

/// When and how often addresses are announced, by gratuitous ARP or unsolicited neighbour
/// advertisement.
///
/// `vrrp_min_garp` makes the defaults one announcement and no second round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Garp {
    /// `garp_master_delay`: from becoming Master to the second round; zero: no second round.
    /// Default 5 s.
    pub master_delay: Duration,
    /// `garp_master_repeat`: announcements per address in each of the two rounds; default 5.
    pub master_repeat: u32,
    /// `garp_master_refresh`: between rounds while Master; zero, the default: none.
    pub master_refresh: Duration,
    /// `garp_master_refresh_repeat`: announcements per address in such a round; default 1.
    pub master_refresh_repeat: u32,
    /// `garp_lower_prio_delay`: from an advertisement of lower priority to the second round; zero:
    /// no second round. Default `vrrp_garp_lower_prio_delay`, then `vrrp_garp_master_delay`.
    pub lower_prio_delay: Duration,
    /// `garp_lower_prio_repeat`: announcements per address in each of those rounds; zero: none.
    /// Default `vrrp_garp_lower_prio_repeat`, then `vrrp_garp_master_repeat`.
    pub lower_prio_repeat: u32,
}

impl Default for Garp {
    fn default() -> Self {
        Self {
            master_delay: Duration::from_secs(5),
            master_repeat: 5,
            master_refresh: Duration::ZERO,
            master_refresh_repeat: 1,
            lower_prio_delay: Duration::from_secs(5),
            lower_prio_repeat: 5,
        }
    }
}

/// `garp_group`: interfaces on which announcements are sent one after another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pacing {
    /// `interface` or `interfaces`; never empty, and none is in two groups.
    pub interfaces: Vec<String>,
    /// `garp_interval`: least time between two gratuitous ARP on all of them together; zero: none.
    pub garp_interval: Duration,
    /// `gna_interval`: least time between two unsolicited neighbour advertisements on all of them
    /// together; zero: none.
    pub gna_interval: Duration,
}
