//! `vrrp_track_process`.

use super::{
    track::{weight, write_restarts},
    writer::{Writer, seconds},
};
use crate::model::{Process, ProcessMatch};

pub(super) fn write(writer: &mut Writer, process: &Process) {
    let Process {
        name,
        command,
        matching,
        weight: by,
        quorum,
        quorum_max,
        fork_delay,
        terminate_delay,
        restarts,
        place: _,
    } = process;
    writer.block("vrrp_track_process", Some(name), |writer| {
        writer.line("process", command);
        let param_match = match matching {
            ProcessMatch::Name | ProcessMatch::Command => None,
            ProcessMatch::Partial => Some("partial"),
            ProcessMatch::Initial => Some("initial"),
        };
        writer.optional("param_match", param_match, "exactly");
        writer.presence("full_command", *matching != ProcessMatch::Name);
        writer.line("weight", weight(*by));
        if *quorum == 0 {
            writer.silent("quorum", "0");
        } else {
            writer.value("quorum", quorum);
        }
        writer.optional("quorum_max", *quorum_max, "no limit");
        for (name, delay) in [("fork_delay", fork_delay), ("terminate_delay", terminate_delay)] {
            // keepalived 2.2.7 refuses 0.
            if delay.is_zero() {
                writer.silent(name, "0");
            } else {
                writer.value(name, seconds(*delay));
            }
        }
        write_restarts(writer, *restarts);
    });
}
