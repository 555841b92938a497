//! `vrrp_track_unit`.

use super::{
    track::{weight, write_restarts},
    writer::{Writer, seconds},
};
use crate::model::Unit;

/// keepalived has no such block, so that 0 can be written as it is.
pub(super) fn write(writer: &mut Writer, unit: &Unit) {
    let Unit { name, unit, weight: by, terminate_delay, restarts, place: _ } = unit;
    writer.block("vrrp_track_unit", Some(name), |writer| {
        writer.line("unit", [unit]);
        writer.line("weight", weight(*by));
        writer.value("terminate_delay", seconds(*terminate_delay));
        write_restarts(writer, *restarts);
    });
}
