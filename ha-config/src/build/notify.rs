//! `notify_*`: the same keywords in a group and in an instance.

use crate::{
    diagnostic::Sink,
    model::{Command, Notify, SyncGroup},
    tree::Statement,
    value,
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    scripts: Notify,
    priority_changes: Option<bool>,
}

impl Draft {
    /// Whether `keyword` is one of these.
    pub(super) fn read(&mut self, sink: &mut Sink, keyword: &str, statement: &Statement) -> bool {
        let scripts = &mut self.scripts;
        let slot = match keyword {
            "notify_master" => &mut scripts.master,
            "notify_backup" => &mut scripts.backup,
            "notify_fault" => &mut scripts.fault,
            "notify_stop" => &mut scripts.stop,
            "notify_deleted" => {
                scripts.tells_deleted = true;
                if statement.values.is_empty() {
                    return true;
                }
                &mut scripts.deleted
            }
            "notify_master_rx_lower_pri" => &mut scripts.lower_master,
            "notify" => &mut scripts.any,
            "notify_priority_changes" => {
                self.priority_changes = value::flag(sink, statement);
                return true;
            }
            "notify_coalesce" => {
                scripts.coalesce = value::flag(sink, statement).unwrap_or_default();
                return true;
            }
            _ => return false,
        };
        *slot = command(sink, statement);
        true
    }

    /// Of a member of `group`, which says first what it does not say itself.
    pub(super) fn finish_in(&self, group: Option<&SyncGroup>, tells_priorities: bool) -> Notify {
        self.finish(group.map_or(tells_priorities, |group| group.notify.priority_changes))
    }

    /// `tells_priorities`: where nothing is said of it.
    pub(super) fn finish(&self, tells_priorities: bool) -> Notify {
        let priority_changes = self.priority_changes.unwrap_or(tells_priorities);
        Notify { priority_changes, ..self.scripts.clone() }
    }
}

/// `COMMAND [user [group]]`: unlike in a `vrrp_script`, words after the first are no arguments.
pub(super) fn command(sink: &mut Sink, statement: &Statement) -> Option<Command> {
    let (first, rest) = statement.values.split_first()?;
    let command = value::command(sink, first)?;
    Some(Command { user: value::user(rest.get(..2).unwrap_or(rest)), ..command })
}
