//! The status as keepalived 2.2.7 dumps it as JSON: its names and types, for what reads that.
//!
//! Some of what it counts for each instance is refused here before there is an instance: these counts are
//! an interface's. They are given where the interface has no other instance.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use ha_config::{Address, Lifetime, route_text, rule_text, scope_text};
use ha_core::{InstanceConfig, Rejection, State, wire::Authentication, wire::DecodeError};
use serde_json::{Map, Value, json};

use super::Status;
use crate::{
    engine::InstanceSnapshot,
    plan::{InstancePlan, TrackerPlan},
};

impl Status {
    /// keepalived's document, of `json_version` 1.
    ///
    /// # Errors
    /// Those of `to`.
    pub(super) fn render_as_keepalived(&self, to: &mut impl Write) -> io::Result<()> {
        let mut sharing: BTreeMap<&str, u32> = BTreeMap::new();
        for plan in self.plan.instances.iter() {
            *sharing.entry(plan.interface.as_str()).or_default() += 1;
        }
        let mut separator = "[";
        for instance in &self.snapshot.instances {
            let Some(plan) = self.plan.instance(instance.id) else { continue };
            let Ok(place) = usize::try_from(instance.id.0) else { continue };
            let Some(config) = self.plan.engine.instances.get(place) else { continue };
            let is_alone = sharing.get(plan.interface.as_str()) == Some(&1);
            let stats = self.stats(instance, plan, is_alone);
            let data = Value::Object(self.data(instance, plan, config));
            write!(to, "{separator}{}", json!({ "data": data, "stats": stats }))?;
            separator = ",";
        }
        if separator == "[" {
            to.write_all(separator.as_bytes())?;
        }
        to.write_all(b"]\n")
    }

    fn data(
        &self,
        instance: &InstanceSnapshot,
        plan: &InstancePlan,
        config: &InstanceConfig,
    ) -> Map<String, Value> {
        let is_master = instance.state == State::Master;
        let announce = &config.announce;
        let tracked = config.tracks.iter().filter_map(|track| self.plan.tracker(track.tracker));
        let mut interfaces = tracked.filter_map(TrackerPlan::interface);
        let since = self.standings.get(&instance.id).map(|standing| standing.since);
        let ago = since.map(|since| self.snapshot.at.since(since));
        let moved = ago.map_or(Duration::ZERO, |ago| self.since_epoch.saturating_sub(ago));
        let state = match instance.state {
            State::Init => 0,
            State::Backup => 1,
            State::Master => 2,
            State::Fault => 3,
        };
        let mut data = object(json!({
            "iname": plan.name,
            "dont_track_primary": flag(!interfaces.any(|name| name == plan.interface)),
            "skip_check_adv_addr": flag(config.skip_check_adv_addr),
            "strict_mode": flag(plan.is_strict),
            "vmac_ifname": "",
            "ifp_ifname": plan.interface,
            "master_priority": instance.master.map_or(0, |(_, priority)| priority),
            "last_transition": moved.as_secs_f64(),
            "garp_delay": announce.delay.as_secs(),
            "garp_refresh": announce.refresh.as_secs(),
            "garp_rep": announce.repeat,
            "garp_refresh_rep": announce.refresh_repeat,
            "garp_lower_prio_delay": announce.lower_prio_delay.as_secs(),
            "garp_lower_prio_rep": announce.lower_prio_repeat,
            "lower_prio_no_advert": flag(config.lower_prio_no_advert),
            "higher_prio_send_advert": flag(config.higher_prio_send_advert),
            "vrid": plan.vrid,
            "base_priority": config.priority.as_u8(),
            "effective_priority": instance.priority,
            "vipset": is_master,
            "promote_secondaries": false,
            "adver_int": seconds(config.interval.as_duration()),
            "master_adver_int": seconds(instance.master_interval),
            "accept": flag(plan.accepts),
            "nopreempt": !config.preempt,
            "preempt_delay": seconds(config.preempt_delay),
            "state": state,
            "wantstate": state,
            "version": plan.version,
            "smtp_alert": plan.mail.is_some(),
            "notify_deleted": plan.notify.tells_deleted,
        }));
        data.extend(scripts(plan));
        data.extend(self.lists(instance, plan, config));
        let kind = match plan.template.authentication {
            Authentication::None => 0,
            Authentication::Pass(_) => 1,
            Authentication::Ah(_) => 2,
        };
        data.insert("auth_type".to_owned(), json!(kind));
        if kind != 0 {
            // As later versions have it: a password is nobody's who reads this.
            data.insert("auth_data".to_owned(), json!("********"));
        }
        data
    }

    /// Those that are not empty.
    fn lists(
        &self,
        instance: &InstanceSnapshot,
        plan: &InstancePlan,
        config: &InstanceConfig,
    ) -> impl Iterator<Item = (String, Value)> {
        let (advertised, excluded) = plan
            .addresses
            .split_at_checked(plan.template.addresses.len())
            .unwrap_or((&plan.addresses, &[]));
        let set = if instance.state == State::Master { " set" } else { "" };
        let address = |one: &Address| format!("{}{set}", address_text(one));
        let script = |tracker: &TrackerPlan| Some(quoted(&tracker.script()?.command.argv));
        let tracked = || config.tracks.iter().filter_map(|track| self.plan.tracker(track.tracker));
        let interfaces = tracked().filter_map(TrackerPlan::interface);
        let others = interfaces.filter(|name| *name != plan.interface).map(str::to_owned);
        let lists: [(&str, Vec<String>); 6] = [
            ("vips", advertised.iter().map(address).collect()),
            ("evips", excluded.iter().map(address).collect()),
            ("vroutes", plan.routes.iter().map(route_text).collect()),
            ("vrules", plan.rules.iter().map(rule_text).collect()),
            ("track_ifp", others.collect()),
            ("track_script", tracked().filter_map(script).collect()),
        ];
        let some = lists.into_iter().filter(|(_, list)| !list.is_empty());
        some.map(|(name, list)| (name.to_owned(), json!(list)))
    }

    fn stats(&self, instance: &InstanceSnapshot, plan: &InstancePlan, is_alone: bool) -> Value {
        let statistics = &instance.statistics;
        let mut interfaces = self.snapshot.interfaces.iter();
        let interface = interfaces.find(|one| one.name == plan.interface).filter(|_| is_alone);
        let dropped = |names: &[&str]| -> u64 {
            let counters = interface.into_iter().flat_map(|one| &one.counters);
            counters.filter(|(name, _)| names.contains(name)).map(|(_, count)| count).sum()
        };
        let refused = |reason: Rejection| {
            u64::from(statistics.rejected.get(reason.kind()).copied().unwrap_or_default())
        };
        json!({
            "advert_rcvd": statistics.adverts_received,
            "advert_sent": statistics.adverts_sent,
            "become_master": statistics.became_master,
            "release_master": statistics.released_master,
            "packet_len_err": dropped(&["length"])
                + refused(Rejection::Malformed(DecodeError::Length)),
            "advert_interval_err": refused(Rejection::Interval)
                + refused(Rejection::Malformed(DecodeError::Interval)),
            "ip_ttl_err": dropped(&["ttl"]),
            "invalid_type_rcvd": dropped(&["type"])
                + refused(Rejection::Malformed(DecodeError::Type)),
            // Noticed, and no reason to refuse one.
            "addr_list_err": dropped(&["count"])
                + refused(Rejection::Malformed(DecodeError::Count)),
            "invalid_authtype": 0,
            "authtype_mismatch": dropped(&["auth-type"]),
            "auth_failure": dropped(&["password", "ah-header", "ah-icv", "ah-sequence"]),
            "pri_zero_rcvd": statistics.priority_zero_received,
            "pri_zero_sent": statistics.priority_zero_sent,
        })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

fn scripts(plan: &InstancePlan) -> impl Iterator<Item = (String, Value)> + '_ {
    let notify = &plan.notify;
    let scripts = [
        ("script_backup", &notify.backup),
        ("script_master", &notify.master),
        ("script_fault", &notify.fault),
        ("script_stop", &notify.stop),
        ("script_deleted", &notify.deleted),
        ("script_master_rx_lower_pri", &notify.lower_master),
        ("script", &notify.any),
    ];
    scripts.into_iter().filter_map(|(name, command)| {
        Some((name.to_owned(), json!(quoted(&command.as_ref()?.argv))))
    })
}

fn quoted(argv: &[String]) -> String {
    argv.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

fn address_text(one: &Address) -> String {
    let Address { address, prefix_len, broadcast, interface, scope, label, .. } = one;
    let is_host = *prefix_len == if address.is_ipv4() { 32 } else { 128 };
    let prefix = if is_host { String::new() } else { format!("/{prefix_len}") };
    let broadcast = broadcast.map_or_else(String::new, |it| format!(" brd {it}"));
    let scope = scope_text(*scope);
    let label = label.as_ref().map_or_else(String::new, |it| format!(" label {it}"));
    let preferred = match one.preferred {
        Lifetime::Forever if address.is_ipv4() => String::new(),
        Lifetime::Forever => " preferred_lft forever".to_owned(),
        Lifetime::Seconds(seconds) => format!(" preferred_lft {seconds}"),
    };
    format!("{address}{prefix}{broadcast} dev {interface} scope {scope}{label}{preferred}")
}

const fn flag(is_so: bool) -> u8 {
    if is_so { 1 } else { 0 }
}

/// A whole number where it is one, as there.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        json!(duration.as_secs())
    } else {
        json!(duration.as_secs_f64())
    }
}
