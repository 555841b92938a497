//! What a configuration would meet on this host: scripts that cannot be run, interfaces that are not
//! there. It says so before a start does, and changes nothing.

use std::collections::BTreeSet;

use ha_config::{Command, Config, Parsed};
use nix::net::if_::if_nametoindex;

use crate::{
    io::sys,
    plan::Plan,
    scripts::security::{self, Hindered},
};

/// What only a start would say.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// By these an instance is in FAULT until they are mended.
    pub(super) faults: Vec<String>,
    pub(super) others: Vec<String>,
}

impl Notes {
    fn add(&mut self, hindered: Hindered) {
        let Hindered { note, is_needed } = hindered;
        if is_needed { self.faults.push(note) } else { self.others.push(note) }
    }
}

/// What a start would say of `parsed` on this host.
pub(super) fn notes(parsed: &Parsed) -> Notes {
    let (mut plan, told) = Plan::new(&parsed.config, &[]);
    let mut notes = Notes::default();
    for hindered in security::hindered(&plan) {
        notes.add(hindered);
    }
    // Of a file that is not run as it is, it says nothing more than what its scripts are; those too
    // whose instances have errors.
    if parsed.counts.errors > 0 {
        let is_planned = |name: &str| plan.trackers.iter().any(|tracker| tracker.name() == name);
        let others = parsed.config.scripts.iter().filter(|script| !is_planned(&script.name));
        let default = parsed.config.global.script_user.as_ref();
        let others = others.map(|script| {
            let user = script.command.user.as_ref().or(default).cloned();
            Command { user, ..script.command.clone() }
        });
        for hindered in others.filter_map(|it| security::hindered_check(&it)) {
            notes.add(hindered);
        }
        return notes;
    }
    notes.others.extend(told);
    // Those of another namespace are not to be seen from here.
    let is_here = parsed.config.identity.net_namespace.is_none();
    notes.others.extend(plan.fit(|interface| is_here.then(|| sys::mtu(interface)).flatten()));
    if is_here {
        notes.others.extend(missing_interfaces(&parsed.config));
        notes.others.extend(plan.delays_of_nobody(|name| if_nametoindex(name).is_ok()));
    }
    notes
}

/// The interfaces that the file names and this host has not; they may come later, or be another host's.
fn missing_interfaces(config: &Config) -> Vec<String> {
    let instances = || config.instances.iter();
    let own: BTreeSet<&str> = instances().map(|one| &*one.interface).collect();
    let addresses = instances().flat_map(|one| one.addresses.iter().chain(&one.excluded));
    let tracked = instances().map(|one| &one.track_interfaces);
    let tracked = tracked.chain(config.groups.iter().map(|group| &group.track_interfaces));
    let others = addresses.map(|one| &*one.interface);
    let others: BTreeSet<&str> =
        others.chain(tracked.flatten().map(|one| &*one.interface)).collect();
    let is_missing = |name: &&&str| if_nametoindex(**name).is_err();
    let note = |name: &&str| {
        format!("there is no interface {name} here: its instances are in FAULT until it is there")
    };
    let note_other = |name: &&str| {
        format!("there is no interface {name} here, which an address or a `track_interface` names")
    };
    let missing_others = others.difference(&own).filter(is_missing);
    own.iter().filter(is_missing).map(note).chain(missing_others.map(note_other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n \
                         virtual_ipaddress {\n 192.0.2.1\n }\n}\n";

    #[test]
    fn what_is_not_on_this_host_is_noted() {
        let text = SOUND.replace("eth0", "no-such-if");
        let parsed = ha_config::parse("f", &text);
        let note =
            "there is no interface no-such-if here: its instances are in FAULT until it is there";
        assert!(notes(&parsed).others.contains(&note.to_owned()), "{:?}", notes(&parsed));
        let tracks = "interface lo\n track_interface {\n no-such-if\n }\n";
        let text = SOUND.replace("interface eth0\n", tracks);
        let found = notes(&ha_config::parse("f", &text)).others.join("\n");
        let note =
            "there is no interface no-such-if here, which an address or a `track_interface` names";
        assert!(found.contains(note), "{found}");
        let tracked = "vrrp_script s {\n script \"/nonexistent/x y\"\n user root\n}\n";
        let tracks = "interface eth0\n track_script {\n s\n }\n notify /nonexistent/notify\n";
        let text = format!("{tracked}{}", SOUND.replace("interface eth0\n", tracks));
        let Notes { faults, others } = notes(&ha_config::parse("f", &text));
        let fault =
            "line 2: there is no /nonexistent/x: this check fails, and what tracks it is in";
        assert!(faults.len() == 1 && faults[0].contains(fault), "{faults:?}");
        let others = others.join("\n");
        assert!(others.contains("there is no /nonexistent/notify: nothing is run"), "{others}");
        // A mistake elsewhere hides neither.
        let broken = format!("{text}vrrp_instance VI_2 {{\n interface eth1\n}}\n");
        let both = notes(&ha_config::parse("f", &broken));
        assert_eq!(
            (both.faults, both.others.join("\n").contains("/nonexistent/notify")),
            (faults, true)
        );
        let alone = format!("{tracked}vrrp_instance VI_2 {{\n interface eth1\n}}\n");
        let alone = notes(&ha_config::parse("f", &alone)).others.join("\n");
        assert!(alone.contains("there is no /nonexistent/x: this check fails"), "{alone}");
    }
}
