//! `strict_mode`: what the protocol demands is put over what the file says, each time with a word.
//!
//! What is changed, and what is only complained of, is as in keepalived 2.2.7.

use core::{net::IpAddr, time::Duration};
use std::collections::BTreeMap;

use ha_core::{Priority, Version};

use super::{Named, global, instance};
use crate::{
    diagnostic::{Sink, Span},
    model::{Authentication, InitialState, Instance, Transport},
};

/// Where each keyword of an instance was given last.
pub(super) type Lines = BTreeMap<&'static str, Span>;

/// keepalived's, and the RFC's: three advertisements missed.
const DOWN_TIMER_ADVERTS: u8 = 3;

/// The owner of the addresses, and only the owner, starts as Master (RFC 9568 §6.4.1).
pub(super) fn state(
    sink: &mut Sink,
    lines: &Lines,
    state: InitialState,
    priority: Priority,
) -> InitialState {
    match state {
        InitialState::Master if !priority.is_owner() => {
            let message = "strict mode: `state MASTER` needs priority 255: BACKUP";
            complain(sink, lines, "state", message);
            InitialState::Backup
        }
        InitialState::Master | InitialState::Backup => state,
    }
}

/// Changes what strict mode does not allow.
pub(super) fn enforce(sink: &mut Sink, lines: &Lines, instance: &mut Instance) {
    if instance.authentication != Authentication::None {
        instance.authentication = Authentication::None;
        complain(sink, lines, "authentication", "strict mode has no authentication: ignored");
    }
    if matches!(instance.transport, Transport::Unicast { .. }) {
        let message = "strict mode has no unicast: it is used all the same, as keepalived does";
        complain(sink, lines, "unicast_peer", message);
    }
    if instance.accept && instance.version == Version::V2 && !instance.priority.is_owner() {
        instance.accept = false;
        complain(sink, lines, "accept", "strict mode: version 2 has no `accept`: ignored");
    }
    if !instance.preempt_delay.is_zero() {
        instance.preempt_delay = Duration::ZERO;
        complain(sink, lines, "preempt_delay", "strict mode has no `preempt_delay`: ignored");
    }
    if instance.down_timer_adverts != DOWN_TIMER_ADVERTS {
        instance.down_timer_adverts = DOWN_TIMER_ADVERTS;
        let message = "strict mode: a Master is down after 3 missed advertisements: ignored";
        complain(sink, lines, "down_timer_adverts", message);
    }
    // RFC 5798 §6.4.3, as keepalived reads it: what has a lower priority is not answered.
    let no_answer = "strict mode: a lower priority is not answered: ignored";
    if instance.garp.lower_prio_repeat != 0 {
        instance.garp.lower_prio_repeat = 0;
        complain(sink, lines, "garp_lower_prio_repeat", no_answer);
    }
    if !instance.garp.lower_prio_delay.is_zero() {
        instance.garp.lower_prio_delay = Duration::ZERO;
        complain(sink, lines, "garp_lower_prio_delay", no_answer);
    }
    if !instance.lower_prio_no_advert {
        instance.lower_prio_no_advert = true;
        complain(sink, lines, "lower_prio_no_advert", no_answer);
    }
    if instance.higher_prio_send_advert {
        instance.higher_prio_send_advert = false;
        let message = "strict mode: a higher priority is not answered: ignored";
        complain(sink, lines, "higher_prio_send_advert", message);
    }
    instance.owner_ignore_adverts = true;
    complain_of_first_address(sink, lines, instance);
}

/// RFC 9568 §5.2.9: it is the link-local address of the virtual router.
fn complain_of_first_address(sink: &mut Sink, lines: &Lines, instance: &Instance) {
    let first = instance.addresses.first().map(|first| first.address);
    if let Some(IpAddr::V6(first)) = first
        && !first.is_unicast_link_local()
    {
        let message = "strict mode: the first IPv6 address must be link-local";
        complain(sink, lines, "virtual_ipaddress", message);
    }
}

/// Nothing is said of what the instance did not ask for itself: defaults of `global_defs` are for
/// those that are not strict.
fn complain(sink: &mut Sink, lines: &Lines, keyword: &str, message: &str) {
    if let Some(line) = lines.get(keyword) {
        sink.warning(*line, message);
    }
}

/// Strict mode is mostly asked for by mistake, and noticed when an address does not answer.
pub(super) fn warn_of_silence(
    sink: &mut Sink,
    global: &global::Draft,
    instances: &[(Span, Instance)],
    drafts: &Named<instance::Draft>,
) {
    let mut names = Vec::new();
    let mut place = None;
    for (_, instance) in instances {
        let draft = drafts.find(&instance.name);
        let Some(draft) = draft.map(|draft| &draft.value) else { continue };
        if instance.strict && !instance.accept && !draft.refuses_packets() {
            names.push(format!("`{}`", instance.name));
            place = place.or(draft.lines.get("strict_mode").copied()).or(global.strict);
        }
    }
    if let Some(place) = place {
        let message = format!(
            "the virtual addresses of {} will not answer ping or accept connections",
            names.join(", ")
        );
        let help = "strict mode is for routers: leave it out, or use version 3 and `accept`";
        sink.warning_help(place, message, help);
    }
}
