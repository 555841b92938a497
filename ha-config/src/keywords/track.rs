//! Keywords of what is tracked: scripts, processes, units, files, the clock and BFD sessions.

use core::time::Duration;

use super::{
    Argument,
    Argument::{Address, Command, Millis, Number, OneOf, Seconds, Word},
    Keyword,
    entry::REVERSE,
    reason::NO_BFD,
    row,
};
use crate::value::LONGEST;

const SPAN: Argument = Seconds(Duration::from_millis(1), LONGEST);
const TIMES: Argument = Number(1, 0x7fff_ffff);

pub(super) const SCRIPT_KEYWORDS: &[Keyword] = &[
    row("script", &[Command]).repeats(),
    row("interval", &[SPAN]).default("1"),
    row("timeout", &[SPAN]).default("interval"),
    row("weight", &[Number(-253, 253), REVERSE]).at_least(1).default("0"),
    row("rise", &[TIMES]).default("1"),
    row("fall", &[TIMES]).default("1"),
    row("user", &[Word("USER"), Word("GROUP")]).at_least(1).default("script_user"),
    row("init_fail", &[]),
];

const HOUR: Duration = Duration::from_hours(1);
const WINDOW: Argument = Seconds(Duration::from_secs(1), Duration::from_hours(24));
const DELAY: Argument = Seconds(Duration::ZERO, HOUR);

pub(super) const PROCESS_KEYWORDS: &[Keyword] = &[
    row("process", &[Word("NAME"), Word("PARAMETER")]).at_least(1).repeats(),
    row("param_match", &[OneOf(&["initial", "partial"])]),
    row("weight", &[Number(-254, 254), REVERSE]).at_least(1).default("0"),
    row("quorum", &[Number(1, 65535)]).default("1"),
    row("quorum_max", &[Number(0, 65535)]).default("no limit"),
    row("fork_delay", &[DELAY]).default("0"),
    row("terminate_delay", &[DELAY]).default("0"),
    row("delay", &[DELAY]).default("0"),
    row("full_command", &[]),
    row("max_restarts", &[Number(1, 1000)]).default("no limit"),
    row("restart_window", &[WINDOW]).default("600"),
];

pub(super) const UNIT_KEYWORDS: &[Keyword] = &[
    row("unit", &[Word("UNIT")]),
    row("weight", &[Number(-254, 254), REVERSE]).at_least(1).default("0"),
    row("terminate_delay", &[DELAY]).default("0"),
    row("max_restarts", &[Number(1, 1000)]).default("no limit"),
    row("restart_window", &[WINDOW]).default("600"),
];

pub(super) const FILE_KEYWORDS: &[Keyword] = &[
    row("file", &[Word("PATH")]),
    row("weight", &[Number(-254, 254), REVERSE]).at_least(1).default("1"),
    row("init_file", &[Number(-0x8000_0000, 0x7fff_ffff), OneOf(&["overwrite"])]).at_least(0),
];

const OFFSET: Argument = Seconds(Duration::from_millis(1), Duration::from_hours(24));
/// From 16 s on, the kernel takes its clock for not set.
const ERROR: Argument = Seconds(Duration::from_millis(1), Duration::from_secs(16));

pub(super) const CLOCK_KEYWORDS: &[Keyword] = &[
    row("max_offset", &[OFFSET]),
    row("max_error", &[ERROR]),
    row("require_sync", &[]),
    row("weight", &[Number(-253, 253), REVERSE]).at_least(1).default("0"),
    row("rise", &[TIMES]).default("2"),
    row("fall", &[TIMES]).default("2"),
];

const INTERVAL: Argument = Millis(Duration::from_micros(1), LONGEST);
const HOPS: Argument = Number(1, 255);

pub(super) const BFD_KEYWORDS: &[Keyword] = &[
    row("neighbor_ip", &[Address]).inactive(NO_BFD),
    row("neighbour_ip", &[Address]).inactive(NO_BFD),
    row("source_ip", &[Address]).inactive(NO_BFD),
    row("min_rx", &[INTERVAL]).default("10").inactive(NO_BFD),
    row("min_tx", &[INTERVAL]).default("10").inactive(NO_BFD),
    row("idle_tx", &[INTERVAL]).default("1000").inactive(NO_BFD),
    row("multiplier", &[Number(1, 255)]).default("5").inactive(NO_BFD),
    row("passive", &[]).inactive(NO_BFD),
    row("ttl", &[HOPS]).default("255").inactive(NO_BFD),
    row("hoplimit", &[HOPS]).default("64").inactive(NO_BFD),
    row("max_hops", &[Number(0, 255)]).default("0").inactive(NO_BFD),
    row("multihop", &[]).inactive(NO_BFD),
    row("weight", &[Number(-253, 253), REVERSE]).at_least(1).default("0").inactive(NO_BFD),
    row("vrrp", &[]).inactive(NO_BFD),
    row("checker", &[]).inactive(NO_BFD),
];
