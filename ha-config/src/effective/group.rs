//! `vrrp_sync_group`.

use super::{
    Reversed, notify,
    track::{self, Tracks},
    writer::Writer,
};
use crate::model::SyncGroup;

pub(super) fn write(writer: &mut Writer, group: &SyncGroup, reversed: &Reversed<'_>) {
    let SyncGroup {
        name,
        members,
        notify,
        track_interfaces,
        track_scripts,
        track_processes,
        track_units,
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
        let tracks = Tracks {
            interfaces: track_interfaces,
            scripts: track_scripts,
            processes: track_processes,
            units: track_units,
            files: track_files,
            clocks: track_clocks,
        };
        track::write(writer, &tracks, reversed);
        notify::write(writer, notify, false);
        writer.flag("smtp_alert", *smtp_alert);
        for setting in inactive {
            writer.setting(setting);
        }
        track::write_ours(writer, &tracks, reversed);
    });
}
