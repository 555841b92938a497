//! What happened to whom, in the words of keepalived's scripts and FIFOs.

use std::fmt;

use ha_core::Event;

/// Whom a notification is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Group,
    Instance,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Group => "GROUP",
            Self::Instance => "INSTANCE",
        })
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// A reload has left the instance out, and `notify_deleted` is not given: keepalived calls it
    /// FAULT then.
    LeftOut,
    Told(Event),
    /// Another effective priority; whether of a Master. FIFOs alone are told.
    Priority {
        is_master: bool,
    },
}

impl What {
    /// Whether it is a state that holds until the next one.
    pub(crate) fn is_state(self) -> bool {
        match self {
            Self::Told(Event::LowerMaster) | Self::Priority { .. } => false,
            Self::LeftOut | Self::Told(_) => true,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut => Event::Fault.fmt(formatter),
            Self::Told(event) => event.fmt(formatter),
            Self::Priority { is_master: true } => formatter.pad("MASTER_PRIORITY"),
            Self::Priority { is_master: false } => formatter.pad("BACKUP_PRIORITY"),
        }
    }
}

/// One notification.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) what: What,
    /// The effective one; 0 for a group.
    pub(crate) priority: u8,
    /// In words, as in the log.
    pub(crate) reason: String,
}

impl News {
    /// What keepalived appends to the arguments of `notify`.
    pub(crate) fn arguments(&self) -> [String; 4] {
        let Self { kind, name, what, priority, reason: _ } = self;
        [kind.to_string(), name.clone(), what.to_string(), priority.to_string()]
    }

    /// The line that FIFOs get.
    pub(crate) fn line(&self) -> String {
        let Self { kind, name, what, priority, reason: _ } = self;
        format!("{kind} \"{name}\" {what} {priority}\n")
    }

    /// The same for scripts in variables, and what has no place among keepalived's arguments.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        let [kind, name, state, priority] = self.arguments();
        [
            ("HA_TYPE", kind),
            ("HA_NAME", name),
            ("HA_STATE", state),
            ("HA_PRIORITY", priority),
            ("HA_REASON", self.reason.clone()),
        ]
    }
}
