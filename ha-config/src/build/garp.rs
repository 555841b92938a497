//! `garp_*`: the same keywords in `global_defs` (with `vrrp_` before them) and in an instance.

use core::time::Duration;

use super::statement::Value;
use crate::{diagnostic::Sink, model::Garp};

/// What was given; the rest comes from the level above.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    master_delay: Option<Duration>,
    master_repeat: Option<u32>,
    master_refresh: Option<Duration>,
    master_refresh_repeat: Option<u32>,
    lower_prio_delay: Option<Duration>,
    lower_prio_repeat: Option<u32>,
    /// `vrrp_min_garp`, of which an instance has none.
    pub(super) minimal: bool,
}

impl Draft {
    /// Whether `keyword` is one of these.
    pub(super) fn read(&mut self, sink: &mut Sink, keyword: &str, value: Value<'_>) -> bool {
        match keyword {
            "garp_master_delay" => self.master_delay = value.whole_seconds(sink),
            "garp_master_repeat" => self.master_repeat = repeat(sink, value),
            "garp_master_refresh" => self.master_refresh = value.whole_seconds(sink),
            "garp_master_refresh_repeat" => self.master_refresh_repeat = repeat(sink, value),
            "garp_lower_prio_delay" => self.lower_prio_delay = value.whole_seconds(sink),
            "garp_lower_prio_repeat" => self.lower_prio_repeat = value.number(sink),
            _ => return false,
        }
        true
    }

    /// With the defaults of `global`, and keepalived's below them.
    ///
    /// What an instance says about becoming Master is no default of what it does about a lower
    /// priority: what `global_defs` says is (as keepalived's `--dump-conf` shows).
    pub(super) fn finish(&self, global: &Self) -> Garp {
        let default = if global.minimal { minimal() } else { Garp::default() };
        let master_delay = global.master_delay.unwrap_or(default.master_delay);
        let master_repeat = global.master_repeat.unwrap_or(default.master_repeat);
        let refresh = self.master_refresh.or(global.master_refresh);
        let refresh_repeat = self.master_refresh_repeat.or(global.master_refresh_repeat);
        let lower_prio_delay = self.lower_prio_delay.or(global.lower_prio_delay);
        let lower_prio_repeat = self.lower_prio_repeat.or(global.lower_prio_repeat);
        Garp {
            master_delay: self.master_delay.unwrap_or(master_delay),
            master_repeat: self.master_repeat.unwrap_or(master_repeat),
            master_refresh: refresh.unwrap_or(default.master_refresh),
            master_refresh_repeat: refresh_repeat.unwrap_or(default.master_refresh_repeat),
            lower_prio_delay: lower_prio_delay.unwrap_or(master_delay),
            lower_prio_repeat: lower_prio_repeat.unwrap_or(master_repeat),
        }
    }
}

/// A Master that announces nothing would be one whom nobody finds.
fn repeat(sink: &mut Sink, value: Value<'_>) -> Option<u32> {
    let times = value.number(sink)?;
    Some(value.positive(sink, times, 1))
}

/// keepalived's `master_refresh_repeat` is 0 then, which makes a refresh that was asked for one of
/// nothing; here it stays at 1.
fn minimal() -> Garp {
    Garp { master_delay: Duration::ZERO, master_repeat: 1, ..Garp::default() }
}
