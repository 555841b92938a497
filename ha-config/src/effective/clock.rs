//! What is asked of the wall clock: `vrrp_track_clock`, and the lines of `global_defs`.

use super::{
    track::weight,
    writer::{Writer, seconds},
};
use crate::model::{Clock, ClockLook, NtpServer};

/// keepalived knows none of it: nothing is written where nothing is asked for.
pub(super) fn write_look(writer: &mut Writer, look: &ClockLook) {
    let ClockLook { servers, interval } = look;
    for NtpServer { host, port } in servers {
        writer.line("ntp_server", [host.clone(), port.to_string()]);
    }
    let interval_text = seconds(*interval);
    if *interval == ClockLook::default().interval {
        writer.silent("clock_interval", &interval_text);
    } else {
        writer.value("clock_interval", interval_text);
    }
}

pub(super) fn write(writer: &mut Writer, clock: &Clock) {
    let Clock { name, max_offset, max_error, require_sync, weight: by, rise, fall, place: _ } =
        clock;
    writer.block("vrrp_track_clock", Some(name), |writer| {
        writer.optional("max_offset", max_offset.map(seconds), "servers are not asked for it");
        writer.optional("max_error", max_error.map(seconds), "any");
        writer.presence("require_sync", *require_sync);
        writer.line("weight", weight(*by));
        writer.value("rise", rise);
        writer.value("fall", fall);
    });
}
