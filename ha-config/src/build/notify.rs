//! `notify_*`: the same keywords in a group and in an instance.

use crate::{
    diagnostic::Sink,
    model::{Command, Notify},
    tree::Statement,
    value,
};

/// Whether `keyword` is one of these.
pub(super) fn read(
    notify: &mut Notify,
    sink: &mut Sink,
    keyword: &str,
    statement: &Statement,
) -> bool {
    let slot = match keyword {
        "notify_master" => &mut notify.master,
        "notify_backup" => &mut notify.backup,
        "notify_fault" => &mut notify.fault,
        "notify_stop" => &mut notify.stop,
        "notify" => &mut notify.any,
        _ => return false,
    };
    *slot = command(sink, statement);
    true
}

/// `COMMAND [user [group]]`: unlike in a `vrrp_script`, words after the first are no arguments.
fn command(sink: &mut Sink, statement: &Statement) -> Option<Command> {
    let (first, rest) = statement.values.split_first()?;
    let command = value::command(sink, first)?;
    Some(Command { user: value::user(rest.get(..2).unwrap_or(rest)), ..command })
}
