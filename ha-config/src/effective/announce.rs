//! `garp_*` of an instance, and `garp_group`.

use super::writer::{Writer, seconds};
use crate::model::{Garp, Pacing};

pub(super) fn write_garp(writer: &mut Writer, garp: &Garp) {
    let Garp {
        master_delay,
        master_repeat,
        master_refresh,
        master_refresh_repeat,
        lower_prio_delay,
        lower_prio_repeat,
    } = garp;
    writer.value("garp_master_delay", seconds(*master_delay));
    writer.value("garp_master_repeat", master_repeat);
    writer.value("garp_master_refresh", seconds(*master_refresh));
    writer.value("garp_master_refresh_repeat", master_refresh_repeat);
    writer.value("garp_lower_prio_delay", seconds(*lower_prio_delay));
    writer.value("garp_lower_prio_repeat", lower_prio_repeat);
}

pub(super) fn write_pacing(writer: &mut Writer, pacing: &Pacing) {
    let Pacing { interfaces, garp_interval, gna_interval } = pacing;
    writer.block("garp_group", None, |writer| {
        writer.value("garp_interval", seconds(*garp_interval));
        writer.value("gna_interval", seconds(*gna_interval));
        writer.list("interfaces", interfaces, |interface| vec![interface.clone()]);
    });
}
