//! Announcements that wait their turn, because a switch cannot take them all at once (keepalived's
//! `garp_group`, `vrrp_garp_interval`, `vrrp_gna_interval`).
//!
//! It decides when; how one is sent is `io::announce`'s. Where no interval is configured nothing
//! waits, and nothing comes here.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use ha_core::{InstanceId, Instant};

use crate::{
    io::announce::Target,
    plan::{PacingPlan, Plan},
};

/// All lanes.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    lanes: Vec<Lane>,
    by_interface: BTreeMap<String, Lanes>,
}

/// Places in [`Pacer::lanes`]; `None`: not paced.
#[derive(Clone, Copy, Debug, Default)]
struct Lanes {
    arp: Option<usize>,
    neighbour: Option<usize>,
}

/// What shares one interval: a family's announcements on an interface, or on several together.
#[derive(Debug)]
struct Lane {
    interval: Duration,
    /// Each address once: more announcements of it are more repetitions, so that its length is
    /// bounded by the configuration.
    queue: VecDeque<Waiting>,
    /// When the next may be sent.
    free_at: Instant,
}

#[derive(Debug)]
struct Waiting {
    instance: InstanceId,
    target: Target,
    left: u32,
}

impl Pacer {
    pub(crate) fn new(plan: &Plan) -> Self {
        let addresses = plan.instances.iter().flat_map(|instance| &instance.addresses);
        Self::of(&plan.pacing, addresses.map(|address| address.interface.as_str()))
    }

    fn of<'a>(pacing: &PacingPlan, interfaces: impl Iterator<Item = &'a str>) -> Self {
        let mut pacer = Self::default();
        for group in &pacing.groups {
            let lanes = pacer.add_lanes(group.garp_interval, group.gna_interval);
            for interface in &group.interfaces {
                pacer.by_interface.insert(interface.clone(), lanes);
            }
        }
        for interface in interfaces {
            if !pacer.by_interface.contains_key(interface) {
                let lanes = pacer.add_lanes(pacing.garp_interval, pacing.gna_interval);
                pacer.by_interface.insert(interface.to_owned(), lanes);
            }
        }
        pacer
    }

    fn add_lanes(&mut self, garp: Duration, gna: Duration) -> Lanes {
        let mut add = |interval: Duration| {
            (!interval.is_zero()).then(|| {
                let free_at = Instant::default();
                self.lanes.push(Lane { interval, queue: VecDeque::new(), free_at });
                self.lanes.len() - 1
            })
        };
        Lanes { arp: add(garp), neighbour: add(gna) }
    }

    /// Takes the announcement if it has to wait its turn; says whether it did.
    pub(crate) fn take(
        &mut self,
        interface: &str,
        instance: InstanceId,
        target: Target,
        repeat: u32,
    ) -> bool {
        let lanes = self.by_interface.get(interface).copied().unwrap_or_default();
        let lane = match target.address {
            IpAddr::V4(_) => lanes.arp,
            IpAddr::V6(_) => lanes.neighbour,
        };
        let Some(lane) = lane.and_then(|lane| self.lanes.get_mut(lane)) else { return false };
        let is_it = |waiting: &&mut Waiting| {
            waiting.instance == instance && waiting.target.address == target.address
        };
        match lane.queue.iter_mut().find(is_it) {
            Some(waiting) => {
                waiting.target = target;
                waiting.left = waiting.left.max(repeat);
            }
            None => lane.queue.push_back(Waiting { instance, target, left: repeat }),
        }
        true
    }

    /// The addresses are not the instance's any more: what waits must not be said.
    pub(crate) fn forget(&mut self, instance: InstanceId) {
        for lane in &mut self.lanes {
            lane.queue.retain(|waiting| waiting.instance != instance);
        }
    }

    /// What may be sent now: every address once before any is announced twice.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Target> {
        self.lanes.iter_mut().filter_map(|lane| lane.due(now)).collect()
    }

    /// When something may be sent next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let waiting = self.lanes.iter().filter(|lane| !lane.queue.is_empty());
        waiting.map(|lane| lane.free_at).min()
    }
}

impl Lane {
    fn due(&mut self, now: Instant) -> Option<Target> {
        if now < self.free_at {
            return None;
        }
        let mut first = self.queue.pop_front()?;
        // From now, not from when it was due: late ones do not make up for it in a burst.
        self.free_at = now + self.interval;
        let target = first.target;
        first.left = first.left.saturating_sub(1);
        if first.left > 0 {
            self.queue.push_back(first);
        }
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use ha_config::Pacing;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn target(last: u8) -> Target {
        let address = IpAddr::from([192, 0, 2, last]);
        Target { ifindex: 2, mac: [2, 0, 0, 0, 0, 1], address, is_router: false }
    }

    /// A group of some interfaces with 10 ms, and 5 ms for each of the others.
    fn pacer(together: &[&str], others: &[&'static str]) -> Pacer {
        let interfaces = together.iter().map(|&name| name.to_owned()).collect();
        let gna_interval = Duration::ZERO;
        let groups = vec![Pacing { interfaces, garp_interval: 10 * MS, gna_interval }];
        let plan = PacingPlan { groups, garp_interval: 5 * MS, gna_interval };
        Pacer::of(&plan, others.iter().copied())
    }

    /// Drains it at the moments it asks for: milliseconds, and the last byte of the address.
    fn sent(pacer: &mut Pacer) -> Vec<(u64, u8)> {
        let mut all = Vec::new();
        while let Some(at) = pacer.next() {
            let at = at.max(Instant::from_nanos(1_000_000_000));
            for target in pacer.due(at) {
                let IpAddr::V4(address) = target.address else { panic!("IPv4") };
                all.push((at.as_nanos() / 1_000_000 - 1000, address.octets()[3]));
            }
        }
        all
    }

    #[test]
    fn one_interval_between_two_and_each_address_once_before_any_twice() {
        let mut pacer = pacer(&["eth0", "eth1"], &[]);
        for (interface, last) in [("eth0", 1), ("eth1", 2), ("eth0", 3)] {
            assert!(pacer.take(interface, InstanceId(0), target(last), 2));
        }
        let expected = [(0, 1), (10, 2), (20, 3), (30, 1), (40, 2), (50, 3)];
        assert_eq!(sent(&mut pacer), expected);
        assert_eq!(pacer.next(), None);
    }

    #[test]
    fn interfaces_in_no_group_have_the_global_interval_each_for_itself() {
        let mut pacer = pacer(&["eth9"], &["eth0", "eth1"]);
        for interface in ["eth0", "eth1"] {
            assert!(pacer.take(interface, InstanceId(0), target(1), 2));
        }
        assert_eq!(sent(&mut pacer), [(0, 1), (0, 1), (5, 1), (5, 1)]);
        let v6 = Target { address: "2001:db8::1".parse().unwrap(), ..target(1) };
        assert!(!pacer.take("eth0", InstanceId(0), v6, 1), "no interval for those");
        assert!(!pacer.take("eth5", InstanceId(0), target(1), 1), "nobody knows it");
    }

    #[test]
    fn more_of_the_same_is_not_more_work() {
        let mut pacer = pacer(&["eth0"], &[]);
        for repeat in [1, 3, 2] {
            assert!(pacer.take("eth0", InstanceId(0), target(1), repeat));
        }
        assert_eq!(sent(&mut pacer), [(0, 1), (10, 1), (20, 1)]);
    }

    #[test]
    fn who_yields_says_nothing_more() {
        let mut pacer = pacer(&["eth0"], &[]);
        assert!(pacer.take("eth0", InstanceId(0), target(1), 2));
        assert!(pacer.take("eth0", InstanceId(1), target(2), 1));
        pacer.forget(InstanceId(0));
        assert_eq!(sent(&mut pacer), [(0, 2)]);
    }

    #[test]
    fn late_ones_do_not_make_up_for_it() {
        let mut pacer = pacer(&["eth0"], &[]);
        assert!(pacer.take("eth0", InstanceId(0), target(1), 3));
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        assert_eq!(pacer.due(at(100)).len(), 1);
        assert_eq!(pacer.due(at(195)).len(), 1);
        assert_eq!(pacer.due(at(204)).len(), 0);
        assert_eq!(pacer.due(at(205)).len(), 1);
    }
}
