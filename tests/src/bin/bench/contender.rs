//! Who is measured.

use ha_tests::process::Program;

/// A router's program and how it is set up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Contender {
    /// The daemon that `HA_BINARY` names.
    Ours,
    /// keepalived as it is installed.
    Keepalived,
    /// keepalived with what its manual offers against lateness.
    Tuned,
    /// The daemon, which reads every advertisement and sets a timer anew for each: where it is compared
    /// with itself.
    Unabsorbed,
}

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Keepalived, Self::Tuned];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Keepalived => "keepalived",
            Self::Tuned => "keepalived, tuned",
            Self::Unabsorbed => "ours, --no-absorb",
        }
    }

    pub(crate) const fn program(self) -> Program {
        match self {
            Self::Ours | Self::Unabsorbed => Program::Daemon,
            Self::Keepalived | Self::Tuned => Program::Keepalived,
        }
    }

    /// More words on its command line.
    pub(crate) const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Ours | Self::Keepalived | Self::Tuned => &[],
            Self::Unabsorbed => &["--no-absorb"],
        }
    }

    /// What stands before the instances, which are the same for all.
    pub(crate) const fn globals(self) -> &'static str {
        match self {
            Self::Ours | Self::Unabsorbed | Self::Keepalived => "",
            Self::Tuned => {
                "global_defs {\n    vrrp_rt_priority 50\n    vrrp_rlimit_rttime 1000000\n    \
                 vrrp_no_swap\n}\n"
            }
        }
    }
}
