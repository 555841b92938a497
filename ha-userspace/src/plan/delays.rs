//! How long interfaces have to be up or down until that counts.

use std::{collections::BTreeMap, time::Duration};

use ha_config::{Config, Instance, InterfaceDelays};

use super::Plan;

impl Plan {
    /// Which interfaces have delays and are not there.
    pub(crate) fn delays_of_nobody(&self, is_there: impl Fn(&str) -> bool) -> Vec<String> {
        let missing = self.delays.keys().filter(|interface| !is_there(interface));
        let describe = |interface| {
            format!(
                "interface_up_down_delays: there is no interface {interface} here: its delays count \
                 once it is there; look whether the name is right"
            )
        };
        missing.map(describe).collect()
    }
}

/// Of one interface; zero is at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Delays {
    pub(crate) down: Duration,
    pub(crate) up: Duration,
}

/// By interface, limited to what the instances there can bear; says where.
pub(super) fn limited(config: &Config, warnings: &mut Vec<String>) -> BTreeMap<String, Delays> {
    if config.delays.is_empty() {
        return BTreeMap::new();
    }
    let mut limits: BTreeMap<&str, Duration> = BTreeMap::new();
    for instance in &config.instances {
        let limit = limits.entry(&instance.interface).or_insert(Duration::MAX);
        *limit = (*limit).min(longest_down(instance));
    }
    let limited = |InterfaceDelays { interface, down, up }: &InterfaceDelays| {
        let limit = limits.get(interface.as_str()).copied().unwrap_or(Duration::MAX);
        if *down > limit {
            warnings.push(format!(
                "interface_up_down_delays: {interface} counts as down after {} s, not {} s: a \
                 Backup on it would take over before that",
                limit.as_secs_f64(),
                down.as_secs_f64()
            ));
        }
        (interface.clone(), Delays { down: limit.min(*down), up: *up })
    };
    config.delays.iter().map(limited).collect()
}

/// keepalived.conf(5), `interface_up_down_delays`: a Backup that hears nothing any more must be in
/// Fault before it takes over. It was told of last up to an interval ago.
fn longest_down(instance: &Instance) -> Duration {
    let interval = instance.advert_interval.as_duration();
    let missed = u32::from(instance.down_timer_adverts).saturating_sub(1);
    (interval * missed).saturating_sub(interval / 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The delays of `eth1`, on which one instance runs, in milliseconds; and whether there is a warning.
    fn limits(instance: &str, delays: &str) -> ((u128, u128), bool) {
        let text = format!(
            "interface_up_down_delays {{\n eth1 {delays}\n}}\nvrrp_instance VI_1 {{\n interface eth1\n \
             virtual_router_id 1\n {instance}\n virtual_ipaddress {{\n 192.0.2.1\n }}\n}}\n"
        );
        let mut warnings = Vec::new();
        let delays = limited(&ha_config::parse("x", &text).config, &mut warnings);
        let Delays { down, up } = delays["eth1"];
        ((down.as_millis(), up.as_millis()), !warnings.is_empty())
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let text = "interface_up_down_delays {\n eth1 1\n eht2 1\n}\n";
        let (plan, _) = Plan::new(&ha_config::parse("x", text).config, &[]);
        let missing = plan.delays_of_nobody(|name| name == "eth1");
        let [missing] = missing.as_slice() else { panic!("{missing:?}") };
        assert!(missing.contains("no interface eht2 here"), "{missing}");
    }

    #[test]
    fn what_a_backup_can_bear_stays() {
        assert_eq!(limits("", "1.5"), ((1500, 1500), false));
        assert_eq!(limits("", "1.5 200"), ((1500, 200_000), false));
        assert_eq!(limits("down_timer_adverts 10", "8"), ((8000, 8000), false));
    }

    #[test]
    fn a_longer_one_is_cut() {
        // 2 s - 1 s / 256
        assert_eq!(limits("", "5 7"), ((1996, 7000), true));
        assert_eq!(limits("version 3\n advert_int 0.1", "1"), ((199, 1000), true));
        assert_eq!(limits("down_timer_adverts 1", "1"), ((0, 1000), true));
    }
}
