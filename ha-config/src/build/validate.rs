//! What can only be judged when every block is known.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use ha_common::abi::{INSTANCES_MAX, PEERS_MAX};

use super::{Blocks, Built, Named, global, group, instance, track};
use crate::{
    diagnostic::{Sink, Span},
    model::{Clock, Instance, Script, SyncGroup, Transport},
};

/// The instances that the kernel's tables have room for; the first one beyond is reported.
pub(super) fn runnable<'a>(
    sink: &mut Sink,
    instances: &'a Named<instance::Draft>,
) -> &'a [Built<instance::Draft>] {
    let most = usize::try_from(INSTANCES_MAX).unwrap_or(usize::MAX);
    let Some((runnable, beyond)) = instances.as_slice().split_at_checked(most) else {
        return instances.as_slice();
    };
    if let Some(first) = beyond.first() {
        let count = instances.as_slice().len();
        let message = format!("{count} instances are more than the {INSTANCES_MAX} that can run");
        let help = "this one and those after it need another host: the kernel's tables are full";
        sink.error_help(first.name.span, message, help);
    }
    runnable
}

/// What all instances track together, each counting what its group tracks: four for each of the
/// instances that can run. Each costs memory and a look when the instance's priority changes.
const TRACKED_MAX: usize = 65_536;

/// Leaves out the instances with which it would be more; the first of them is reported.
pub(super) fn few_tracked(
    sink: &mut Sink,
    instances: &mut Vec<(Span, Instance)>,
    homes: &BTreeMap<&str, &SyncGroup>,
    blocks: &Blocks,
) {
    let tracked = |one: &Instance| {
        let own = blocks.instances.find(&one.name).map(|draft| draft.value.tracks.count());
        let group = homes.get(one.name.as_str()).and_then(|home| blocks.groups.find(&home.name));
        let its_group_s = group.map(|draft| draft.value.tracks.count());
        own.into_iter().chain(its_group_s).fold(0, usize::saturating_add)
    };
    if let Some(first) = leave_out_beyond(TRACKED_MAX, instances, blocks, tracked) {
        let message = format!("the instances up to this one track more than {TRACKED_MAX} things");
        let help = "what a group tracks counts for each member; it and those after it do not run";
        sink.error_help(first, message, help);
    }
}

/// Leaves out the instances whose peers the kernel's tables have no room for; the first of them is
/// reported.
pub(super) fn few_peers(sink: &mut Sink, instances: &mut Vec<(Span, Instance)>, blocks: &Blocks) {
    let most = usize::try_from(PEERS_MAX).unwrap_or(usize::MAX);
    let peers = |one: &Instance| match &one.transport {
        Transport::Unicast { peers, .. } => peers.len(),
        Transport::Multicast { .. } => 0,
    };
    if let Some(first) = leave_out_beyond(most, instances, blocks, peers) {
        let message =
            format!("the instances up to this one have more than {PEERS_MAX} `unicast_peer`s");
        let help = "it and those after it need another host: the kernel's tables are full";
        sink.error_help(first, message, help);
    }
}

/// Leaves out the first instance with which there would be more than `most` of what `count` counts,
/// and all after it; says where its name is.
fn leave_out_beyond(
    most: usize,
    instances: &mut Vec<(Span, Instance)>,
    blocks: &Blocks,
    count: impl Fn(&Instance) -> usize,
) -> Option<Span> {
    let mut sum = 0_usize;
    let fits = |(_, one): &&(Span, Instance)| {
        sum = sum.saturating_add(count(one));
        sum <= most
    };
    let fitting = instances.iter().take_while(fits).count();
    let first = instances.get(fitting).and_then(|(_, one)| blocks.instances.find(&one.name));
    instances.truncate(fitting);
    Some(first?.name.span)
}

/// An instance stays in the first group that names it.
pub(super) fn one_group_each(
    sink: &mut Sink,
    drafts: &Named<group::Draft>,
    groups: &mut [SyncGroup],
) {
    let mut homes: BTreeMap<&str, &str> = BTreeMap::new();
    for (draft, group) in drafts.iter().zip(groups) {
        let mut elsewhere = BTreeSet::new();
        for member in &draft.value.members {
            let Some(home) = homes.get(member.text.as_str()) else {
                homes.insert(&member.text, &draft.name.text);
                continue;
            };
            let message = format!("`{}` is in the group `{home}` already", member.text);
            sink.error(member.span, message);
            elsewhere.insert(&member.text);
        }
        group.members.retain(|name| !elsewhere.contains(name));
    }
}

/// Says of instances that cannot both run, or not without taking something from each other.
pub(super) fn in_each_other_s_way(
    sink: &mut Sink,
    instances: &[(Span, Instance)],
    drafts: &Named<instance::Draft>,
) {
    unique_routers(sink, instances, drafts);
    shared_addresses(sink, instances, drafts);
}

/// Two instances with the same interface, family and VRID are one virtual router on the wire.
fn unique_routers(
    sink: &mut Sink,
    instances: &[(Span, Instance)],
    drafts: &Named<instance::Draft>,
) {
    let mut routers = BTreeMap::new();
    for (_, instance) in instances {
        let key = (&instance.interface, instance.family, instance.vrid);
        let Some(first) = routers.get(&key) else {
            routers.insert(key, &instance.name);
            continue;
        };
        let draft = drafts.find(&instance.name);
        if let Some(vrid) = draft.and_then(|draft| draft.value.vrid) {
            let message = format!(
                "`{first}` has the VRID {} on `{}` already",
                instance.vrid, instance.interface
            );
            let help = "the same VRID needs another interface or another address family";
            sink.error_help(vrid.span, message, help);
        }
    }
}

/// Of two instances with the same address, each removes it from the host that the other is Master on.
fn shared_addresses(
    sink: &mut Sink,
    instances: &[(Span, Instance)],
    drafts: &Named<instance::Draft>,
) {
    let mut owners: BTreeMap<(&str, IpAddr), &str> = BTreeMap::new();
    for (range, instance) in instances {
        // It does not run, and may be a copy of the other.
        if sink.has_error_in(*range) {
            continue;
        }
        for one in instance.addresses.iter().chain(&instance.excluded) {
            let first = *owners.entry((&one.interface, one.address)).or_insert(&instance.name);
            let draft = drafts.find(&instance.name).filter(|_| first != instance.name);
            if let Some(span) = draft.and_then(|draft| draft.value.address_span(one.address)) {
                let (address, interface) = (one.address, &one.interface);
                let message = format!("`{first}` has the address `{address}` on `{interface}` too");
                let help = "whichever of the two leaves Master removes it: leave it in one of them";
                sink.warning_help(span, message, help);
            }
        }
    }
}

/// A file without a virtual router is no configuration; other errors may be the reason, though.
pub(super) fn something_to_run(sink: &mut Sink, blocks: &Blocks) {
    if blocks.instances.as_slice().is_empty() && !sink.has_errors() {
        let message = "there is no `vrrp_instance` in the file: no virtual router would run";
        let help = "what has static addresses or a load balancer only is keepalived's to run";
        sink.error_help(Span::START, message, help);
    }
}

/// Says once that there is something better than the script that most have.
pub(super) fn looks_for_processes(sink: &mut Sink, scripts: &Named<Option<Script>>) {
    let looked_for = |built: &Built<Option<Script>>| {
        let process = process_looked_for(&built.value.as_ref()?.command.argv)?;
        Some((built.name.clone(), process.to_owned()))
    };
    let Some((name, process)) = scripts.iter().find_map(looked_for) else { return };
    let message = format!("the script `{}` only looks whether `{process}` runs", name.text);
    let help = "`vrrp_track_process`, tracked by `track_process`, knows at once when it does not";
    sink.warning_help(name.span, message, help);
}

/// The process that `killall -0`, `pidof` or `pgrep` is asked for.
fn process_looked_for(argv: &[String]) -> Option<&str> {
    let (program, arguments) = argv.split_first()?;
    let is_look = match program.rsplit('/').next()? {
        "killall" => arguments.first().is_some_and(|argument| argument == "-0"),
        "pidof" | "pgrep" => true,
        _ => false,
    };
    let last = arguments.last().filter(|argument| !argument.starts_with('-'))?;
    is_look.then_some(last)
}

/// keepalived does not run scripts that nobody tracks, and neither do we. In a file with errors, what tracks them may be
/// what could not be read.
pub(super) fn unused_trackers(sink: &mut Sink, blocks: &Blocks) {
    if sink.has_errors() {
        return;
    }
    let groups = blocks.groups.iter().map(|group| &group.value.tracks);
    let instances = blocks.instances.iter().map(|instance| &instance.value.tracks);
    let all = groups.chain(instances);
    warn_unused(sink, "script", "run", &blocks.scripts, all.clone().map(|one| &one.scripts));
    warn_unused(
        sink,
        "process",
        "looked for",
        &blocks.processes,
        all.clone().map(|one| &one.processes),
    );
    warn_unused(sink, "unit", "looked at", &blocks.units, all.clone().map(|one| &one.units));
    warn_unused(sink, "file", "looked at", &blocks.files, all.clone().map(|one| &one.files));
    warn_unused(sink, "clock", "judged", &blocks.clocks, all.map(|one| &one.clocks));
}

/// Without a server nobody knows of an offset.
pub(super) fn offsets_of_nobody(sink: &mut Sink, blocks: &Blocks, global: &global::Draft) {
    let asks = |built: &&Built<Option<Clock>>| {
        built.value.as_ref().is_some_and(|clock| clock.max_offset.is_some())
    };
    let first = blocks.clocks.iter().find(asks);
    if let (Some(first), []) = (first, global.global.clock.servers.as_slice()) {
        let message = format!("the `max_offset` of `{}` has no effect", first.name.text);
        let help = "`ntp_server HOST` in `global_defs` says who is asked for the time";
        sink.warning_help(first.name.span, message, help);
    }
}

fn warn_unused<'a, T>(
    sink: &mut Sink,
    what: &str,
    done: &str,
    blocks: &Named<T>,
    lists: impl Iterator<Item = &'a track::List>,
) {
    let tracked = lists.flatten().map(|one| one.name.text.as_str());
    let tracked: BTreeSet<&str> = tracked.collect();
    for Built { name, .. } in blocks {
        if !tracked.contains(name.text.as_str()) {
            let name_text = &name.text;
            let message = format!("the {what} `{name_text}` is tracked nowhere: it is not {done}");
            sink.warning(name.span, message);
        }
    }
}
