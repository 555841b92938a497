//! Of the status: an instance, and an interface.

use std::time::Duration;

use ha_core::{
    Awaited, Family, InstanceId, Instant, Rejection, Statistics,
    wire::{Authentication, Dialect},
};
use serde_json::{Value, json};

use super::Status;
use crate::{
    engine::{InstanceSnapshot, InterfaceSnapshot},
    plan::InstancePlan,
};

impl Status {
    pub(super) fn instance(&self, instance: &InstanceSnapshot, group: Option<&str>) -> Value {
        let mut value = of_engine(instance);
        let Some(members) = value.as_object_mut() else { return value };
        members.insert("group".to_owned(), json!(group));
        let standing = self.standings.get(&instance.id);
        let since = standing.map(|standing| standing.since);
        members.insert("since_nanos".to_owned(), json!(since.map(Instant::as_nanos)));
        let since = since.map(|since| self.unix_ms(since));
        members.insert("since_unix_ms".to_owned(), json!(since));
        let why = standing.map(|standing| standing.why.clone()).filter(|why| !why.is_empty());
        let why = instance.awaited.map(|awaited| self.awaited(instance.id, awaited)).or(why);
        members.insert("reason".to_owned(), json!(why));
        let weights = instance.weights.iter().map(|(tracker, weight)| {
            let tracker = self.plan.tracker(*tracker).map(ToString::to_string);
            json!({ "tracker": tracker, "weight": weight })
        });
        members.insert("weights".to_owned(), weights.collect());
        if let Some(plan) = self.plan.instance(instance.id) {
            let base = self.plan.base_priority(instance.id);
            members.insert("base_priority".to_owned(), json!(base));
            members.insert("deadline_path".to_owned(), json!(self.deadline_path(plan)));
            members.extend(of_plan(plan));
        }
        value
    }

    /// What an instance in Init, or another member of its sync group, waits for.
    fn awaited(&self, id: InstanceId, awaited: Awaited) -> String {
        let of = |of: InstanceId, what: String| match self.plan.instance(of) {
            Some(other) if of != id => {
                format!("{} of the same sync group is waiting for {what}", other.name)
            }
            Some(_) | None => format!("waiting for {what}"),
        };
        match awaited {
            Awaited::Start => "waiting for the start-up delay to end".to_owned(),
            Awaited::Source(member) => of(member, "an address to send from".to_owned()),
            Awaited::Tracker(member, tracker) => {
                let tracker = self.plan.tracker(tracker).map(ToString::to_string);
                let tracker = tracker.as_deref().unwrap_or("something");
                of(member, format!("the first verdict of {tracker}"))
            }
        }
    }

    /// What stamps the frames that deadlines are counted from: the kernel, before anything else
    /// sees them, or this daemon, when it reads them.
    fn deadline_path(&self, plan: &InstancePlan) -> &'static str {
        // What is behind an Authentication Header comes by a packet socket.
        let is_sealed = matches!(plan.template.authentication, Authentication::Ah(_));
        let mut interfaces = self.snapshot.interfaces.iter();
        let interface = interfaces.find(|interface| interface.name == plan.interface);
        let is_stamped = interface.is_some_and(|interface| interface.xdp != "off");
        if is_stamped && !is_sealed { "kernel" } else { "user" }
    }

    /// A moment by the wall clock, as that is now.
    fn unix_ms(&self, at: Instant) -> u64 {
        let ago: Duration = self.snapshot.at.since(at);
        u64::try_from(self.since_epoch.saturating_sub(ago).as_millis()).unwrap_or(u64::MAX)
    }
}

fn of_plan(plan: &InstancePlan) -> [(String, Value); 7] {
    let family = match plan.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let addresses = plan.addresses.iter();
    let addresses = addresses.map(|one| format!("{}/{}", one.address, one.prefix_len));
    let peers: Vec<_> = plan.peers.iter().map(|peer| peer.address).collect();
    [
        ("interface", json!(plan.interface)),
        ("vrid", json!(plan.vrid)),
        ("vrrp_version", json!(plan.version)),
        ("family", json!(family)),
        ("is_owner", json!(plan.is_owner)),
        ("addresses", addresses.collect()),
        ("peers", json!(peers)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

fn of_engine(instance: &InstanceSnapshot) -> Value {
    let statistics = &instance.statistics;
    let master = instance.master.map(|(address, priority)| {
        let checksum = instance.dialect.map(|dialect| match dialect {
            Dialect::Message => "message",
            Dialect::PseudoHeader => "pseudo-header",
        });
        json!({ "address": address, "priority": priority, "checksum": checksum })
    });
    json!({
        "name": instance.name,
        "state": instance.state.to_string(),
        "priority": instance.priority,
        "is_demoted": instance.is_demoted,
        "source": instance.source,
        "master": master,
        "is_listening": instance.is_listening,
        "heard_ago_ms": instance.heard_ago.map(|ago| ago.as_secs_f64() * 1e3),
        "sent_ago_ms": instance.sent_ago.map(|ago| ago.as_secs_f64() * 1e3),
        "statistics": {
            "adverts_received": statistics.adverts_received,
            "adverts_absorbed": statistics.adverts_absorbed,
            "adverts_sent": statistics.adverts_sent,
            "became_master": statistics.became_master,
            "released_master": statistics.released_master,
            "priority_zero_received": statistics.priority_zero_received,
            "priority_zero_sent": statistics.priority_zero_sent,
            "rejected": statistics.rejected.iter().copied().map(u64::from).sum::<u64>(),
            "rejected_by": rejected_by(statistics),
            "saved_by_stamp": statistics.saved_by_stamp,
            "late": statistics.late,
            "peers_forgotten": statistics.peers_forgotten,
            "addresses_removed": statistics.addresses_removed,
            "routes_removed": instance.removed.routes,
            "rules_removed": instance.removed.rules,
        },
    })
}

/// Reasons with their counts, those that there have been.
fn rejected_by(statistics: &Statistics) -> serde_json::Map<String, Value> {
    let counts = Rejection::NAMES.into_iter().zip(statistics.rejected);
    let some = counts.filter(|(_, count)| *count > 0);
    some.map(|(name, count)| (name.to_owned(), json!(count))).collect()
}

pub(super) fn interface(interface: &InterfaceSnapshot) -> Value {
    let counters =
        interface.counters.iter().map(|(name, count)| ((*name).to_owned(), json!(count)));
    let counters: serde_json::Map<String, Value> = counters.collect();
    json!({
        "name": interface.name,
        "index": interface.index,
        "is_up": interface.is_up,
        "xdp": interface.xdp,
        "counters": counters,
    })
}
