//! The one table of keywords: which block has them, what they take, what becomes of them.
//!
//! The parser, the checks of `build`, suggestions, `docs/keywords.md`, the command `explain` and what
//! shells complete for it come from it. What a supported keyword means is in `build`.

mod argument;
mod entry;
mod global;
mod instance;
mod page;
pub(crate) mod routing;
mod top;
mod track;

use Block::{
    Authentication, Bfd, Clock, GarpGroup, Global, Group, Instance, List, Process, Script, Skipped,
    Top, TrackFile, TrackGroup, Unit,
};
use argument::Argument::Flag;

pub(crate) use self::{
    argument::Argument,
    entry::{ADDRESS, DELAYS, Entry, ROUTE, RULE, STATIC_ADDRESS},
    page::{explain, names, page},
    routing::Routing,
};

/// A kind of block.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Block {
    /// Outside of every block.
    Top,
    Global,
    Script,
    Process,
    Unit,
    TrackFile,
    Clock,
    Bfd,
    TrackGroup,
    Group,
    Instance,
    Authentication,
    GarpGroup,
    /// Lines that are entries, not keywords.
    List,
    /// Read for its braces only.
    Skipped,
}

impl Block {
    /// The keyword that begins it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Top => "the top level",
            Global => "`global_defs`",
            Script => "`vrrp_script`",
            Process => "`vrrp_track_process`",
            Unit => "`vrrp_track_unit`",
            TrackFile => "`track_file`",
            Clock => "`vrrp_track_clock`",
            Bfd => "`bfd_instance`",
            TrackGroup => "`track_group`",
            Group => "`vrrp_sync_group`",
            Instance => "`vrrp_instance`",
            Authentication => "`authentication`",
            GarpGroup => "`garp_group`",
            List | Skipped => "a list",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Keyword {
    pub(crate) name: &'static str,
    /// Words after it, in their order.
    pub(crate) arguments: &'static [Argument],
    /// So many of them are needed.
    pub(crate) least: usize,
    /// The last argument may be repeated; else words too many are ignored, as keepalived does.
    pub(crate) repeats: bool,
    /// What is between its braces; `None`: it has none.
    pub(crate) body: Option<Block>,
    /// The lines of its body, if that is a list.
    pub(crate) entry: Option<&'static Entry>,
    /// What holds where it is not given; empty: nothing worth a word.
    pub(crate) default: &'static str,
    pub(crate) support: Support,
    /// In some versions keepalived applies it only to the instances that follow it in the file.
    pub(crate) acts_on_what_follows: bool,
    pub(crate) again: Again,
}

/// What becomes of a keyword that is there already, without a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Again {
    /// It counts, and the one before does not.
    Counts,
    /// Each of them counts.
    Adds,
    /// It is ignored.
    Ignored,
    /// It is ignored if the one before has this value.
    IgnoredAfter(&'static str),
}

/// What becomes of a keyword.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Support {
    /// It has its effect.
    Now,
    /// It is checked and in the model, but the daemon does nothing with it yet: a warning for each
    /// thing that is missing, not for each line.
    Inactive(&'static str),
    /// Not needed here, and why: a warning.
    WithoutEffect(&'static str),
    /// Not there, and what to use: a warning.
    Unsupported(&'static str),
    /// Running without it would split the virtual router, or is something else altogether: an
    /// error, with what to do.
    Refused(&'static str),
    /// keepalived's load balancer, which this is not: one warning per file.
    LoadBalancer,
}

/// Beginning of a row: all of `arguments` are needed.
const fn row(name: &'static str, arguments: &'static [Argument]) -> Keyword {
    Keyword {
        name,
        arguments,
        least: arguments.len(),
        repeats: false,
        body: None,
        entry: None,
        default: "",
        support: Support::Now,
        acts_on_what_follows: false,
        again: Again::Counts,
    }
}

/// `name [on|off]`.
const fn flag(name: &'static str) -> Keyword {
    row(name, &[Flag]).at_least(0).default("off")
}

/// `name { .. }`, where each line is an entry.
const fn list(name: &'static str, entry: &'static Entry) -> Keyword {
    let keyword = row(name, &[]).block(List);
    Keyword { entry: Some(entry), ..keyword }
}

impl Keyword {
    const fn at_least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    const fn repeats(self) -> Self {
        Self { repeats: true, ..self }
    }

    const fn block(self, body: Block) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn acts_on_what_follows(self) -> Self {
        Self { acts_on_what_follows: true, ..self }
    }

    const fn again(self, again: Again) -> Self {
        Self { again, ..self }
    }

    const fn support(self, support: Support) -> Self {
        Self { support, ..self }
    }

    const fn inactive(self, missing: &'static str) -> Self {
        self.support(Support::Inactive(missing))
    }

    const fn without_effect(self, why: &'static str) -> Self {
        self.support(Support::WithoutEffect(why))
    }

    const fn unsupported(self, instead: &'static str) -> Self {
        self.support(Support::Unsupported(instead))
    }

    const fn refused(self, why: &'static str) -> Self {
        self.support(Support::Refused(why))
    }

    const fn load_balancer(self) -> Self {
        self.support(Support::LoadBalancer)
    }

    /// More words are reported.
    pub(crate) fn most(&self) -> usize {
        let particles = self.arguments.iter().filter(|one| !one.particles().is_empty()).count();
        if self.repeats { usize::MAX } else { self.arguments.len() + particles }
    }

    /// What the word at `index` has to be.
    pub(crate) fn argument(&self, index: usize) -> Option<Argument> {
        let last = self.arguments.last().filter(|_| self.repeats);
        self.arguments.get(index).or(last).copied()
    }
}

/// Every block that has keywords, with them.
pub(crate) const TABLE: [(Block, &[Keyword]); 13] = [
    (Top, top::KEYWORDS),
    (Global, global::KEYWORDS),
    (Script, track::SCRIPT_KEYWORDS),
    (Process, track::PROCESS_KEYWORDS),
    (Unit, track::UNIT_KEYWORDS),
    (TrackFile, track::FILE_KEYWORDS),
    (Clock, track::CLOCK_KEYWORDS),
    (Bfd, track::BFD_KEYWORDS),
    (TrackGroup, top::TRACK_GROUP_KEYWORDS),
    (Group, instance::GROUP_KEYWORDS),
    (Instance, instance::KEYWORDS),
    (Authentication, instance::AUTHENTICATION_KEYWORDS),
    (GarpGroup, top::GARP_GROUP_KEYWORDS),
];

/// The keywords of `block`.
pub(crate) fn of(block: Block) -> &'static [Keyword] {
    TABLE.iter().find(|(kind, _)| *kind == block).map_or(&[], |(_, keywords)| *keywords)
}

pub(crate) fn find(block: Block, name: &str) -> Option<&'static Keyword> {
    of(block).iter().find(|keyword| keyword.name == name)
}

/// Whether what follows `name` somewhere is a command, the quotes and escapes of which are its own.
pub(crate) fn takes_command(name: &str) -> bool {
    let is_it =
        |keyword: &Keyword| keyword.name == name && keyword.argument(0) == Some(Argument::Command);
    TABLE.iter().any(|(_, keywords)| keywords.iter().any(is_it))
}

/// Whether `name` begins a list somewhere.
pub(crate) fn begins_list(name: &str) -> bool {
    let is_it = |keyword: &Keyword| keyword.name == name && keyword.body == Some(List);
    TABLE.iter().any(|(_, keywords)| keywords.iter().any(is_it))
}

/// Whether a line beginning with `name` and ending in `{` can only be at the top level, so that
/// an unclosed block must have ended before it.
pub(crate) fn begins_top_block(name: &str, inside: Block) -> bool {
    // A sync group or an instance has a `track_file {` of its own.
    name != "track_file"
        && find(inside, name).is_none()
        && find(Top, name).is_some_and(|keyword| keyword.body.is_some())
}

/// Reasons that several keywords share.
mod reason {
    pub(super) const NO_BFD: &str = "there are no BFD sessions";
    pub(super) const NO_SNMP: &str = "SNMP is not for this daemon: `--http` has the same \
        numbers for Prometheus, and alerts are made of them (docs/operate.md)";
    pub(super) const NO_DBUS: &str = "D-Bus is not for this daemon: `status --json`, \
        `history` and `announce` ask it, and notify FIFOs and scripts are told of transitions";
    pub(super) const NO_VMAC: &str = "there are no virtual MAC addresses: gratuitous ARP and \
        neighbour advertisements tell the network where the addresses are";
    pub(super) const SCHEDULING: &str =
        "the thread that decides has the kernel's SCHED_DEADLINE by itself: see --sched";
    pub(super) const ONE_PROCESS: &str = "there is one process, called ha-userspace";
    pub(super) const OWN_BUFFERS: &str =
        "the daemon sizes its buffers by itself and notices when one overflows";
    pub(super) const CARRIER: &str =
        "the carrier of every interface is asked for, each 10 to 100 ms";
    pub(super) const RUN_DIR: &str =
        "files are written to the run directory, one for each daemon: see --run-dir";
}

#[cfg(test)]
mod tests;
