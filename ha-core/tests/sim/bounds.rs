//! How long things may take: the RFCs' arithmetic, and what the simulation itself adds.
//!
//! Nothing here asks the engine.

use std::time::Duration;

use ha_core::{InstanceConfig, Version};

use crate::plan::Plan;

/// Frames on a healthy LAN take 20 to 220 µs.
pub(crate) const WAY_MIN: Duration = Duration::from_micros(20);
pub(crate) const WAY_SPREAD: Duration = Duration::from_micros(200);
/// A healthy daemon handles a deadline so late at most.
pub(crate) const LATENCY_MAX_NANOS: u64 = 50_000;
/// Somebody's addresses that were removed are set again at once, then after 10 ms, 20 ms and so on
/// (documentation of `vrrp_restore`); the eleventh time in a row leads to Fault.
pub(crate) const RESTORE_FIRST: Duration = Duration::from_millis(10);
pub(crate) const RESTORES_MAX: u32 = 10;
/// Removals further apart are not in a row.
pub(crate) const RESTORE_QUIET: Duration = Duration::from_mins(1);

/// An advertisement's way from a daemon's deadline into another daemon.
pub(crate) fn way() -> Duration {
    WAY_MIN + WAY_SPREAD + Duration::from_nanos(LATENCY_MAX_NANOS)
}

/// The longest interval that anybody sends in, and so what everybody's patience is made of.
pub(crate) fn interval_max(plan: &Plan) -> Duration {
    let intervals = plan.all_instances().map(|instance| instance.interval.as_duration());
    intervals.max().unwrap_or_default()
}

pub(crate) fn interval_min(plan: &Plan) -> Duration {
    let intervals = plan.all_instances().map(|instance| instance.interval.as_duration());
    intervals.min().unwrap_or_default()
}

/// How long the network may take to settle once nothing disturbs it.
///
/// A late daemon listens for an interval and a skew time (2 intervals at most), then somebody's
/// `Active_Down_Interval` ends (4 at most: 3, and a skew time of up to 1). `preempt_delay` runs
/// from the first advertisement of a worse Master, whose last one in that time is waited for as any
/// other. Groups that clash need as long again for each time, and an interval of what they add.
pub(crate) fn settling_time(plan: &Plan) -> Duration {
    let interval = interval_max(plan);
    let down = interval * (adverts_max(plan) + 1);
    let delay = plan.all_instances().map(|instance| instance.preempt_delay).max();
    let delay = delay.filter(|delay| !delay.is_zero()).map_or(Duration::ZERO, |delay| delay + down);
    let start = plan.all_configs().map(|config| config.startup_delay).max().unwrap_or_default();
    let clashes = if plan.is_uneven { (down + interval) * 8 } else { Duration::ZERO };
    slow(start + interval * 2 + down + delay + clashes) + Duration::from_millis(20)
}

/// How long two Masters that hear each other may take to send anything: both may be late, and
/// listen for an interval before they send in another one.
pub(crate) fn silent_time(plan: &Plan) -> Duration {
    slow(interval_max(plan) * 2) + way()
}

/// How long after a Master's stop there is another one: a skew time, that of priority 0 at most.
pub(crate) fn succession_time(plan: &Plan) -> Duration {
    slow(interval_max(plan)) + way() * 2
}

/// By a clock that is slow by 1 %, anything takes longer.
pub(crate) fn slow(time: Duration) -> Duration {
    time * 100 / 99
}

/// `Skew_Time`: RFC 9568 §6.1 in parts of the Master's interval, RFC 3768 §6.1 in parts of a second.
pub(crate) fn skew_time(version: Version, interval: Duration, priority: u8) -> Duration {
    let scale = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    scale * (256 - u32::from(priority)) / 256
}

/// `Active_Down_Interval`, with the Master's interval: 3 times that (`down_timer_adverts`), and the
/// skew time.
pub(crate) fn down_time(config: &InstanceConfig, interval: Duration, priority: u8) -> Duration {
    interval * config.down_adverts + skew_time(config.version, interval, priority)
}

fn adverts_max(plan: &Plan) -> u32 {
    plan.all_instances().map(|instance| instance.down_adverts).max().unwrap_or_default()
}
