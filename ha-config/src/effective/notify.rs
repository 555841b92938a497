//! `notify_*`: the same keywords in a group and in an instance.

use super::{quote, script::user, writer::Writer};
use crate::model::{Command, Notify};

pub(super) fn write(writer: &mut Writer, notify: &Notify) {
    let Notify { master, backup, fault, stop, any } = notify;
    let events = [
        ("notify_master", master),
        ("notify_backup", backup),
        ("notify_fault", fault),
        ("notify_stop", stop),
        ("notify", any),
    ];
    for (keyword, command) in events {
        let Some(Command { argv, user: run_as, place: _ }) = command else { continue };
        let run_as = run_as.iter().flat_map(user);
        writer.line(keyword, core::iter::once(quote::command(argv)).chain(run_as));
    }
}
