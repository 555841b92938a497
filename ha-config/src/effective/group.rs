//! `vrrp_sync_group`.

use super::{Reversed, notify, track, writer::Writer};
use crate::model::SyncGroup;

pub(super) fn write(writer: &mut Writer, group: &SyncGroup, reversed: &Reversed<'_>) {
    let SyncGroup {
        name,
        members,
        notify,
        track_interfaces,
        track_scripts,
        track_processes,
        track_files,
        track_clocks,
        tracking_weight,
        smtp_alert,
        inactive,
        place: _,
    } = group;
    writer.block("vrrp_sync_group", Some(name), |writer| {
        writer.list("group", members, |member| vec![member.clone()]);
        writer.presence("sync_group_tracking_weight", *tracking_weight);
        track::write(
            writer,
            track_interfaces,
            track_scripts,
            track_processes,
            track_files,
            track_clocks,
            reversed,
        );
        notify::write(writer, notify, false);
        writer.flag("smtp_alert", *smtp_alert);
        for setting in inactive {
            writer.setting(setting);
        }
    });
}
