//! Which virtual addresses are advertised: as many as leave in one piece.

use std::collections::BTreeMap;

use ha_common::proto::ADDRESSES_MAX;

use super::{InstancePlan, Plan};

impl Plan {
    /// Lists in advertisements what fits into one, the first addresses, as keepalived does; `mtu` is that
    /// of an interface in bytes, if it is there. The others stay virtual addresses that are not
    /// advertised. Says where there are some.
    ///
    /// For a plan that does not run yet: numbers are places.
    #[must_use]
    pub(crate) fn fit(&mut self, mtu: impl Fn(&str) -> Option<u32>) -> Vec<String> {
        let mut mtus: BTreeMap<String, Option<u32>> = BTreeMap::new();
        let mut warnings = Vec::new();
        for (plan, config) in self.instances.iter_mut().zip(&mut self.engine.instances) {
            let mtu = *mtus.entry(plan.interface.clone()).or_insert_with_key(|name| mtu(name));
            let room = mtu.map_or(ADDRESSES_MAX, |mtu| plan.room(mtu));
            if plan.template.addresses.len() > room {
                warnings.push(plan.overflow(room, mtu));
                plan.template.addresses.truncate(room);
                config.addresses.truncate(room);
            }
        }
        warnings
    }
}

impl InstancePlan {
    /// How many addresses it can advertise by an interface of this MTU in bytes.
    pub(crate) fn room(&self, mtu: u32) -> usize {
        self.template.room(self.family, mtu)
    }

    /// That only the first `room` addresses are advertised, `mtu` being known or not.
    pub(crate) fn overflow(&self, room: usize, mtu: Option<u32>) -> String {
        let Self { name, interface, template, .. } = self;
        let count = template.addresses.len();
        let advice = "the others are as in `virtual_ipaddress_excluded`";
        match mtu {
            Some(mtu) if room < ADDRESSES_MAX => format!(
                "{name}: the first {room} of {count} virtual addresses are advertised, as many as fit \
                 into the MTU {mtu} of {interface}; {advice}; the other router's MTU must be the same"
            ),
            Some(_) | None => format!(
                "{name}: the first {room} of {count} virtual addresses are advertised, which is all \
                 that an advertisement can list; {advice}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(count: usize) -> Plan {
        let addresses: Vec<String> = (1..=count).map(|n| format!("2001:db8::{n:x}\n")).collect();
        let addresses = addresses.concat();
        let text = format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n \
             {addresses} }}\n virtual_ipaddress_excluded {{\n 192.0.2.1\n }}\n}}\n"
        );
        let parsed = ha_config::parse("x", &text);
        assert_eq!(parsed.counts.errors, 0, "{:?}", parsed.diagnostics);
        Plan::new(&parsed.config, &[]).0
    }

    /// How many are advertised, and what is said.
    fn fitted(count: usize, mtu: Option<u32>) -> (usize, Vec<String>) {
        let mut plan = plan(count);
        let warnings = plan.fit(|name| mtu.filter(|_| name == "eth0"));
        let instance = plan.instances.get(0).unwrap();
        let (all, advertised) = (&instance.addresses, &instance.template.addresses);
        assert_eq!(all.len(), count + 1, "none is lost");
        assert!(all.iter().map(|one| one.address).zip(advertised).all(|(a, b)| a == *b));
        assert_eq!(&plan.engine.instances[0].addresses, advertised);
        (advertised.len(), warnings)
    }

    #[test]
    fn what_does_not_fit_is_excluded() {
        assert_eq!(fitted(89, Some(1500)), (89, vec![]));
        let (count, warnings) = fitted(100, Some(1500));
        assert_eq!(count, 89);
        let warning = "VI_1: the first 89 of 100 virtual addresses are advertised, as many as fit into \
                       the MTU 1500 of eth0; the others are as in `virtual_ipaddress_excluded`; the \
                       other router's MTU must be the same";
        assert_eq!(warnings, [warning]);
    }

    #[test]
    fn an_advertisement_counts_to_255() {
        assert_eq!(fitted(255, None), (255, vec![]));
        for mtu in [None, Some(9000)] {
            let (count, warnings) = fitted(300, mtu);
            assert_eq!(count, 255);
            let warning = "VI_1: the first 255 of 300 virtual addresses are advertised, which is all \
                           that an advertisement can list; the others are as in \
                           `virtual_ipaddress_excluded`";
            assert_eq!(warnings, [warning]);
        }
    }
}
