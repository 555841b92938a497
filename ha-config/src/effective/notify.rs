//! `notify_*`: the same keywords in a group and in an instance; FIFOs; what is run at the start and at
//! the stop.

use super::{
    script::user,
    writer::{Writer, seconds},
};
use crate::model::{Command, Fifo, Hook, Notify};

/// Of an instance; of a group, what instances alone are told of is left out.
pub(super) fn write(writer: &mut Writer, notify: &Notify, is_instance: bool) {
    let Notify {
        master,
        backup,
        fault,
        stop,
        tells_deleted,
        deleted,
        lower_master,
        any,
        priority_changes,
        coalesce,
    } = notify;
    command(writer, "notify_master", master.as_ref());
    command(writer, "notify_backup", backup.as_ref());
    command(writer, "notify_fault", fault.as_ref());
    command(writer, "notify_stop", stop.as_ref());
    if is_instance {
        match deleted {
            None => writer.presence("notify_deleted", *tells_deleted),
            Some(_) => command(writer, "notify_deleted", deleted.as_ref()),
        }
        command(writer, "notify_master_rx_lower_pri", lower_master.as_ref());
    }
    command(writer, "notify", any.as_ref());
    writer.flag("notify_priority_changes", *priority_changes);
    writer.newer_flag("notify_coalesce", *coalesce);
}

/// `keyword NAME [user [group]]` and its script.
pub(super) fn write_fifo(writer: &mut Writer, keyword: &str, fifo: Option<&Fifo>) {
    let Some(Fifo { path, user: owner, script, place: _ }) = fifo else { return };
    let owner = owner.iter().flat_map(user);
    writer.line(keyword, core::iter::once(path.clone()).chain(owner));
    command(writer, &format!("{keyword}_script"), script.as_ref());
}

/// `keyword` and `keyword_timeout`.
pub(super) fn write_hook(writer: &mut Writer, keyword: &str, hook: &Hook) {
    let Hook { command: run, timeout } = hook;
    command(writer, keyword, run.as_ref());
    writer.value(&format!("{keyword}_timeout"), seconds(*timeout));
}

fn command(writer: &mut Writer, keyword: &str, command: Option<&Command>) {
    let Some(Command { argv, user: run_as, place: _ }) = command else { return };
    let run_as = run_as.iter().flat_map(user);
    writer.command(keyword, argv, run_as);
}
