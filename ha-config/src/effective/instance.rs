//! `vrrp_instance`.

use super::{
    Reversed, announce, notify,
    quote::{can_be_bare, is_odd},
    routing,
    track::{self, Tracks},
    transport,
    writer::{Writer, seconds},
};
use crate::model::{Address, Authentication, InitialState, Instance, Lifetime, Password, Scope};

#[expect(clippy::too_many_lines, reason = "a line for each field")]
pub(super) fn write(writer: &mut Writer, instance: &Instance, reversed: &Reversed<'_>) {
    let Instance {
        name,
        interface,
        // The addresses say it.
        family: _,
        version,
        vrid,
        state,
        priority,
        advert_interval,
        preempt,
        preempt_delay,
        authentication,
        transport,
        addresses,
        excluded,
        routes,
        rules,
        track_primary,
        track_interfaces,
        track_scripts,
        track_processes,
        track_units,
        track_files,
        track_clocks,
        notify,
        garp,
        down_timer_adverts,
        lower_prio_no_advert,
        higher_prio_send_advert,
        v3_checksum_as_v2,
        check_unicast_src,
        skip_check_adv_addr,
        owner_ignore_adverts,
        strict,
        accept,
        smtp_alert,
        inactive,
        place: _,
    } = instance;
    writer.block("vrrp_instance", Some(name), |writer| {
        writer.value(
            "state",
            match state {
                InitialState::Master => "MASTER",
                InitialState::Backup => "BACKUP",
            },
        );
        writer.value("interface", interface);
        writer.value("virtual_router_id", vrid);
        writer.value("priority", priority);
        writer.value("version", version.as_u8());
        writer.value("advert_int", seconds(advert_interval.as_duration()));
        writer.value("down_timer_adverts", down_timer_adverts);
        writer.flag("strict_mode", *strict);
        writer.line(if *preempt { "preempt" } else { "nopreempt" }, [""; 0]);
        // Elsewhere it is a mistake.
        if *preempt && *state == InitialState::Backup && !priority.is_owner() && !*strict {
            writer.value("preempt_delay", seconds(*preempt_delay));
        }
        writer.line(if *accept { "accept" } else { "no_accept" }, [""; 0]);
        write_authentication(writer, authentication);
        transport::write(writer, transport, *check_unicast_src);
        writer.newer_flag("skip_check_adv_addr", *skip_check_adv_addr);
        writer.flag("lower_prio_no_advert", *lower_prio_no_advert);
        writer.flag("higher_prio_send_advert", *higher_prio_send_advert);
        if *strict {
            // Whatever is written.
            writer.silent("owner_ignore_adverts", "on");
        } else {
            writer.newer_flag("owner_ignore_adverts", *owner_ignore_adverts);
        }
        writer.newer_flag("v3_checksum_as_v2", *v3_checksum_as_v2);
        announce::write_garp(writer, garp);
        writer.list("virtual_ipaddress", addresses, address);
        writer.list("virtual_ipaddress_excluded", excluded, address);
        writer.list("virtual_routes", routes, routing::route);
        writer.list("virtual_rules", rules, routing::rule);
        writer.presence("dont_track_primary", !*track_primary);
        let tracks = Tracks {
            interfaces: track_interfaces,
            scripts: track_scripts,
            processes: track_processes,
            units: track_units,
            files: track_files,
            clocks: track_clocks,
        };
        track::write(writer, &tracks, reversed);
        notify::write(writer, notify, true);
        writer.flag("smtp_alert", *smtp_alert);
        for setting in inactive {
            writer.setting(setting);
        }
        track::write_ours(writer, &tracks, reversed);
    });
}

fn write_authentication(writer: &mut Writer, authentication: &Authentication) {
    let (kind, password) = match authentication {
        Authentication::None => return writer.silent("authentication", "(none)"),
        Authentication::Pass(password) => ("PASS", password),
        Authentication::Ah(password) => ("AH", password),
    };
    writer.block("authentication", None, |writer| {
        writer.value("auth_type", kind);
        writer.value("auth_pass", password_text(*password));
    });
}

/// A text that begins with the bytes of `password`: eight bytes may end inside of a character, of
/// which any with the same beginning is as good.
fn password_text(password: Password) -> String {
    let bytes = password.as_bytes();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    let bytes = bytes.get(..length).unwrap_or_default();
    // The second byte of some characters is not below 0xa0, or not below 0x90 (Unicode, table 3-7).
    let ends: [&[u8]; 6] =
        [&[], &[0x80], &[0x80, 0x80], &[0xa0, 0x80], &[0x80, 0x80, 0x80], &[0x90, 0x80, 0x80]];
    let whole = ends.iter().find_map(|end| String::from_utf8([bytes, end].concat()).ok());
    let mut text = whole.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
    if length == password.as_bytes().len() && is_odd(&text) && !can_be_bare(&text) {
        // Past the eighth byte, where it does not count.
        text.push('\\');
    }
    text
}

/// Every option, and one line for it.
pub(super) fn address(line: &Address) -> Vec<String> {
    let Address { address, prefix_len, broadcast, interface, scope, label, .. } = line;
    let Address { prefix_route, preferred, track, .. } = *line;
    let mut words = vec![format!("{address}/{prefix_len}")];
    // keepalived knows none of IPv6 addresses.
    let has_scope = address.is_ipv4() || *scope != Scope::GLOBAL;
    let has_own_lifetime = preferred != Lifetime::default_of(*address, *prefix_len);
    let options = [
        ("brd", broadcast.map(|broadcast| broadcast.to_string())),
        ("dev", Some(interface.clone())),
        ("scope", has_scope.then(|| scope_text(*scope))),
        ("label", label.clone()),
        ("preferred_lft", has_own_lifetime.then(|| lifetime_text(preferred))),
    ];
    for (name, value) in options {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    }
    let flags = [("noprefixroute", !prefix_route), ("no_track", !track)];
    words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (*name).to_owned()));
    words
}

fn lifetime_text(lifetime: Lifetime) -> String {
    match lifetime {
        Lifetime::Forever => "forever".to_owned(),
        Lifetime::Seconds(seconds) => seconds.to_string(),
    }
}

pub(super) fn scope_text(scope: Scope) -> String {
    match scope {
        Scope::GLOBAL => "global".to_owned(),
        Scope::SITE => "site".to_owned(),
        Scope::LINK => "link".to_owned(),
        Scope::HOST => "host".to_owned(),
        Scope::NOWHERE => "nowhere".to_owned(),
        Scope(number) => number.to_string(),
    }
}
