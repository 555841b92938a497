//! Whom programs run as that name no user of their own.

use std::sync::{Arc, LazyLock};

use ha_config::{Command, Fifo, Global, Hook, Lifecycle, Notify, ScriptUser};

/// Of whoever tells no script: one for thousands of instances, each of which would have a kilobyte.
static NOTHING: LazyLock<Arc<Notify>> = LazyLock::new(Arc::default);

/// `script_user` and `set_supplementary_groups`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults<'a> {
    user: Option<&'a ScriptUser>,
    /// Of every user, all groups.
    supplementary_groups: bool,
}

impl<'a> Defaults<'a> {
    pub(super) fn new(global: &'a Global) -> Self {
        let supplementary_groups = global.supplementary_groups;
        Self { user: global.script_user.as_ref(), supplementary_groups }
    }

    pub(super) fn command(&self, command: &Command) -> Command {
        let user = command.user.as_ref().or(self.user).cloned();
        let user = if self.supplementary_groups { Some(with_all_groups(user)) } else { user };
        Command { user, ..command.clone() }
    }

    pub(super) fn notify(&self, notify: &Notify) -> Arc<Notify> {
        if *notify == **NOTHING {
            return Arc::clone(&NOTHING);
        }
        let of = |command: &Option<Command>| self.optional(command.as_ref());
        Arc::new(Notify {
            master: of(&notify.master),
            backup: of(&notify.backup),
            fault: of(&notify.fault),
            stop: of(&notify.stop),
            tells_deleted: notify.tells_deleted,
            deleted: of(&notify.deleted),
            lower_master: of(&notify.lower_master),
            any: of(&notify.any),
            priority_changes: notify.priority_changes,
            coalesce: notify.coalesce,
        })
    }

    /// `notify_fifo` and `vrrp_notify_fifo`, as far as they are there.
    pub(super) fn fifos(&self, global: &Global) -> Vec<Fifo> {
        let fifos = global.fifo.iter().chain(&global.vrrp_fifo);
        fifos
            .map(|fifo| Fifo { script: self.optional(fifo.script.as_ref()), ..fifo.clone() })
            .collect()
    }

    pub(super) fn lifecycle(&self, lifecycle: &Lifecycle) -> Lifecycle {
        let of =
            |hook: &Hook| Hook { command: self.optional(hook.command.as_ref()), ..hook.clone() };
        let child_wait_time = lifecycle.child_wait_time;
        Lifecycle {
            startup: of(&lifecycle.startup),
            shutdown: of(&lifecycle.shutdown),
            child_wait_time,
        }
    }

    fn optional(&self, command: Option<&Command>) -> Option<Command> {
        command.map(|command| self.command(command))
    }
}

/// All scripts of an instance or a group.
pub(super) fn of_notify(notify: &Notify) -> impl Iterator<Item = &Command> {
    let Notify {
        master,
        backup,
        fault,
        stop,
        tells_deleted: _,
        deleted,
        lower_master,
        any,
        priority_changes: _,
        coalesce: _,
    } = notify;
    [master, backup, fault, stop, deleted, lower_master, any].into_iter().flatten()
}

/// `:` before the group asks for them; an empty name is the default user's.
fn with_all_groups(user: Option<ScriptUser>) -> ScriptUser {
    let ScriptUser { user, group } =
        user.unwrap_or(ScriptUser { user: String::new(), group: None });
    let group = group.unwrap_or_default();
    let group = if group.starts_with(':') { group } else { format!(":{group}") };
    ScriptUser { user, group: Some(group) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_groups_are_asked_for_by_a_colon() {
        let all = |user: &str, group: Option<&str>| {
            let group = group.map(str::to_owned);
            let user = with_all_groups(Some(ScriptUser { user: user.to_owned(), group }));
            (user.user, user.group.unwrap())
        };
        assert_eq!(all("nobody", None), ("nobody".to_owned(), ":".to_owned()));
        assert_eq!(all("nobody", Some("adm")).1, ":adm");
        assert_eq!(all("nobody", Some(":adm")).1, ":adm");
        assert_eq!(with_all_groups(None).user, "", "the default user");
    }
}
