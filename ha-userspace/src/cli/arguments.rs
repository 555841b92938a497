//! What may be said on the command line: our options, and every one of keepalived(8) 2.2.7.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::lookup;
use crate::{check::Format, logging::Facility};

/// Failover by VRRP, configured by keepalived.conf.
#[derive(Debug, Parser)]
#[command(args_override_self = true,
    version,
    long_version = lookup::VERSION,
    // keepalived's letter for it is a small one.
    disable_version_flag = true,
    // As getopt_long(3), by which keepalived reads its own.
    infer_long_args = true,
    after_help = "Signals: TERM, INT and QUIT stop (priority 0, addresses removed), HUP reads the \
    configuration again, USR1 and USR2 write status.json to the run directory, \
    RTMIN+2 keepalived.json, in keepalived's form.\n\
    Log: to standard error, or where -S, -g and -l say; RUST_LOG chooses what (error, warn, info, \
    debug)."
)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the command line")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Work>,
    /// Run only the instances on this interface; may be repeated [default: all interfaces]
    #[arg(long = "iface", value_name = "IF", global = true)]
    pub(super) interfaces: Vec<String>,
    /// Configuration [default: /etc/ha/ha.conf, else /etc/keepalived/keepalived.conf]
    #[arg(short = 'f', long, visible_alias = "use-file", value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Whose lines count of those that begin with @ [default: the host's name up to its first dot]
    #[arg(short = 'i', long, value_name = "ID", global = true)]
    pub(super) config_id: Option<String>,
    /// A file that is to be included and is not there is an error, unless the configuration says
    /// otherwise (`include_check`)
    #[arg(short = 'e', long, global = true)]
    pub(super) all_config: bool,
    /// Run what is sound of a configuration with errors, instead of nothing of it
    #[arg(long, global = true)]
    pub(super) keep_going: bool,
    /// Where status.json is written; with `net_namespace` in a directory of that name there, with
    /// `instance` to `status_INSTANCE.json`, and with either a pid file beside it
    #[arg(long, value_name = "DIR", default_value = "/run/ha", global = true)]
    pub(super) run_dir: PathBuf,
    /// Where demotions are written to, so that they outlive a stop and a restart of the host [default:
    /// what systemd makes for `StateDirectory=` (`STATE_DIRECTORY`), which is /var/lib/ha with the unit of
    /// the package; else the run directory, which outlives neither]
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The group whose members may ask by the control socket, beside root: it is `control.sock` in the
    /// run directory
    #[arg(long, value_name = "GROUP")]
    pub(super) control_group: Option<String>,
    /// Write the status to where keepalived writes its own instead: in a form of our own USR1 to
    /// /tmp/keepalived.data and USR2 to /tmp/keepalived.stats, in its own RTMIN+2 to
    /// /tmp/keepalived.json. What is written with `net_namespace` or `instance` goes to /run/keepalived
    #[arg(long, global = true)]
    pub(super) keepalived_paths: bool,
    /// How frames are judged: auto takes native, else generic XDP, else packet sockets
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) xdp: XdpChoice,
    /// What becomes of frames for virtual routers that are not configured here
    #[arg(long, value_enum, default_value = "drop")]
    pub(super) xdp_unknown_vrid: UnknownVrid,
    /// Have every advertisement wake the engine, also those that say what the last one said
    #[arg(long)]
    pub(super) no_absorb: bool,
    /// How `vrrp_track_process` hears of processes that come and go: auto takes ebpf, else
    /// connector (the kernel's, for the initial namespaces only), else scan (once a second)
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) process_events: ProcessEvents,
    /// How the engine thread is scheduled: auto takes deadline, else fifo, else other
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) sched: Scheduling,
    /// Record what the engine is given and what it decides, for the command replay; a record that is
    /// there already is renamed to FILE.old
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Tell the status by HTTP, to be read only: / is a page, /status the JSON, /metrics for
    /// Prometheus, /healthz; without an address on the loopback interface alone. Whoever can connect
    /// can read it
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = parse_http)]
    pub(super) http: Option<SocketAddr>,
    /// Write what happens to this file too, and go on with what is in it; a file that is full is
    /// renamed to FILE.old
    #[arg(long, value_name = "FILE")]
    pub(super) history: Option<PathBuf>,
    /// Check the configuration and end, as the command check does; what is wrong is added to a
    /// file, if one is named, instead of written to standard error
    #[arg(short = 't', long, value_name = "LOG_FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, without a value, with one")]
    pub(super) config_test: Option<Option<PathBuf>>,
    /// Print the number of the signal that asks for this, and end
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) signum: Option<SignalFor>,
    /// Say which version this is
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: (),
    #[command(flatten)]
    pub(super) log: LogArguments,
    #[command(flatten)]
    pub(super) process: ProcessArguments,
    #[command(flatten)]
    pub(super) without_effect: WithoutEffect,
}

#[derive(Debug, Subcommand)]
pub(super) enum Work {
    /// Ask the running daemon how things are
    Status {
        /// Say all of this instance, or of the members of this sync group
        name: Option<String>,
        /// Print all of it as JSON in one line: docs/status.md has its fields
        #[arg(long, conflicts_with = "name")]
        json: bool,
        /// Ask again each second
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        daemon: DaemonArguments,
    },
    /// Show on this terminal how things are, twice a second, until q is pressed
    Top {
        #[command(flatten)]
        daemon: DaemonArguments,
    },
    /// Ask the running daemon what has happened, and why
    History {
        /// To this instance, or to the members of this sync group
        name: Option<String>,
        /// Print it as JSON in one line: docs/status.md has its fields
        #[arg(long)]
        json: bool,
        /// Read what the daemon has written to its --history FILE, also where no daemon runs
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        daemon: DaemonArguments,
    },
    /// Have a Master and its sync group give mastership away, and until promote take it only if nobody
    /// else is there: their priority is 1. It lasts over a stop and a restart of the host if the daemon
    /// has a state directory (--state-dir; the unit of the package has), else only as long as the run
    /// directory; the answer says which
    Demote {
        #[command(flatten)]
        subject: Subject,
        /// Only until the daemon ends
        #[arg(long)]
        until_restart: bool,
    },
    /// End a demotion, and take over at once from a Master of lower priority, whatever `nopreempt` and
    /// `preempt_delay` say
    Promote {
        #[command(flatten)]
        subject: Subject,
    },
    /// Announce the virtual addresses once more, by gratuitous ARP and neighbour advertisements
    Announce {
        #[command(flatten)]
        subject: Subject,
    },
    /// Try at once what waits after addresses could not be set, and count removed ones, and starts of
    /// tracked processes and units, anew
    Reset {
        #[command(flatten)]
        subject: Subject,
    },
    /// Have the daemon read its configuration again, and say what came of it
    Reload {
        #[command(flatten)]
        daemon: DaemonArguments,
    },
    /// Say everything that is wrong with a configuration; exit 0 if there are at most warnings,
    /// 4 if there are errors, 5 if a check cannot be run here without which an instance is in FAULT, 1 if
    /// it cannot be read
    Check {
        /// The file [default: the one that would be run]
        file: Option<PathBuf>,
        /// How it is said: text goes to standard error, with the lines of the file; json is one
        /// object in one line on standard output, lines and columns from 1, columns in characters
        /// (docs/check.md has its fields)
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
        /// Print what is run of it, with every default, as keepalived.conf to standard output:
        /// passwords (`auth_pass`) too, as it is a file to run. Nothing if there are errors, unless
        /// --keep-going is given
        #[arg(long, conflicts_with = "format")]
        effective: bool,
    },
    /// Say what a keyword of keepalived.conf takes, its default, and what becomes of it here; exit 1
    /// if there is none of this name
    Explain {
        /// The keyword
        keyword: String,
    },
    /// Print the script by which a shell completes this command line, and the keywords of explain
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Remove from this host what a run that was killed has left on it: addresses, routes, rules, and
    /// the packet filter; with the options of that run. Exit 0 if nothing is left, 1 if something is,
    /// or if a daemon runs here
    Release,
    /// Write the manual pages to a directory
    #[command(hide = true)]
    Man {
        /// The directory
        directory: PathBuf,
    },
    /// Run a record (--record) again and show what is decided; exit 0 if that is what the record
    /// says, 4 if it is not or a line cannot be read, 1 if the file cannot be read
    Replay {
        /// The record, or a scenario of the tests
        file: PathBuf,
        /// Show only what is decided
        #[arg(long)]
        decisions: bool,
    },
}

/// Whom an order is about.
#[derive(Args, Debug)]
pub(super) struct Subject {
    /// An instance, or a sync group; an instance's sync group moves with it
    #[arg(value_name = "INSTANCE|GROUP")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) daemon: DaemonArguments,
}

/// Which daemon is asked.
#[derive(Args, Debug)]
pub(super) struct DaemonArguments {
    /// The daemon's control socket [default: the only one in the run directory]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// What is logged, and where.
#[derive(Args, Debug)]
#[command(next_help_heading = "Log")]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of keepalived's command line")]
pub(super) struct LogArguments {
    /// Log more: each run of a script too
    #[arg(short = 'D', long)]
    pub(super) log_detail: bool,
    /// Log the configuration that is run, with every default, at the start and when it is read again
    #[arg(short = 'd', long)]
    pub(super) dump_conf: bool,
    /// Log to the local syslog with this facility instead of to standard error: 0-7, local0-local7,
    /// user or daemon
    #[arg(short = 'S', long, value_name = "FACILITY")]
    pub(super) log_facility: Option<Facility>,
    /// The socket of the local syslog
    #[arg(long, value_name = "SOCKET", default_value = "/dev/log")]
    pub(super) syslog_socket: PathBuf,
    /// Log to standard error in any case
    #[arg(short = 'l', long)]
    pub(super) log_console: bool,
    /// Add the log to this file too
    #[arg(short = 'g', long, value_name = "FILE")]
    pub(super) log_file: Option<PathBuf>,
    /// Not to syslog, and with -g not to standard error either, unless -l is given
    #[arg(short = 'G', long)]
    pub(super) no_syslog: bool,
}

/// What keepalived lets one say about its process.
#[derive(Args, Debug)]
#[command(next_help_heading = "Process")]
pub(super) struct ProcessArguments {
    /// Write the process's number to this file
    #[arg(short = 'p', long = "pid", value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,
    /// The same, as keepalived for its VRRP process
    #[arg(short = 'r', long = "vrrp_pid", value_name = "FILE")]
    pub(super) vrrp_pid_file: Option<PathBuf>,
    /// Run in this network namespace, as `ip netns` names it, whatever `net_namespace` says
    #[arg(short = 's', long, value_name = "NAME", global = true)]
    pub(super) namespace: Option<String>,
    /// The file mode creation mask; octal with a leading 0, hexadecimal with 0x, else
    /// decimal
    #[arg(short = 'u', long, value_name = "MASK", value_parser = parse_umask)]
    pub(super) umask: Option<u32>,
    /// Let the process dump core
    #[arg(short = 'm', long)]
    pub(super) core_dump: bool,
}

/// keepalived's options that ask for what is so anyway, or is not to be had here; of the latter
/// the start says so.
#[derive(Args, Debug)]
#[command(next_help_heading = "Of keepalived, without effect here")]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of keepalived's command line")]
pub(super) struct WithoutEffect {
    /// It is always so: it stays in the foreground, and systemd or another supervisor sees to the rest
    #[arg(short = 'n', long)]
    dont_fork: bool,
    /// It is always so: VRRP is all there is
    #[arg(short = 'P', long)]
    pub(super) vrrp: bool,
    /// It is always so: there is no BFD
    #[arg(short = 'B', long = "no_bfd")]
    no_bfd: bool,
    /// It is always so: a stop removes the virtual addresses
    #[arg(short = 'X', long)]
    release_vips: bool,
    /// It is always so: IPVS is not touched
    #[arg(short = 'I', long)]
    dont_release_ipvs: bool,
    /// It is always so: there is one process
    #[arg(short = 'R', long)]
    dont_respawn: bool,
    /// It is always so: each message is written at once
    #[arg(long)]
    flush_log_file: bool,
    /// It is always so
    #[arg(long)]
    no_mem_check: bool,
    /// Only the health checkers: refused, as there are none
    #[arg(short = 'C', long)]
    pub(super) check: bool,
    /// The genhash tool: refused, as it is not part of this program
    #[arg(short = 'T', long)]
    pub(super) genhash: bool,
    /// All subsystems: VRRP is all there is
    #[arg(long)]
    pub(super) all: bool,
    /// Leave the virtual addresses at a stop: they are removed always
    #[arg(short = 'V', long)]
    pub(super) dont_release_vrrp: bool,
    /// There is no checker process
    #[arg(short = 'c', long = "checkers_pid", value_name = "FILE")]
    pub(super) checkers_pid_file: Option<PathBuf>,
    /// There is no BFD process
    #[arg(short = 'b', long = "bfd_pid", value_name = "FILE")]
    pub(super) bfd_pid_file: Option<PathBuf>,
    /// Changes of addresses are not logged
    #[arg(short = 'a', long)]
    pub(super) address_monitoring: bool,
    /// There is no SNMP: --http has metrics
    #[arg(short = 'x', long)]
    pub(super) snmp: bool,
    /// There is no SNMP: --http has metrics
    #[arg(short = 'A', long, value_name = "SOCKET")]
    pub(super) snmp_agent_socket: Option<String>,
    /// The same as -m: the pattern is the whole host's, and is left as it is
    #[arg(short = 'M', long, value_name = "PATTERN", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, without a value, with one")]
    pub(super) core_dump_pattern: Option<Option<String>>,
    /// perf(1) is started beside the daemon, not by it
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, without a value, with one")]
    pub(super) perf: Option<Option<String>>,
    /// The variable `RUST_LOG` says what is debugged
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, without a value, with one")]
    pub(super) debug: Option<Option<String>>,
}

/// What keepalived names by `--signum`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum SignalFor {
    Stop,
    Reload,
    Data,
    Stats,
    StatsClear,
    Json,
    Tdata,
}

/// How frames are judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum XdpChoice {
    /// Native, else generic, else packet sockets.
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the network stack, or not at all.
    Generic,
    /// By packet sockets.
    Off,
}

/// Where it is known from that a process has come or gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ProcessEvents {
    /// The first of the others that can be had.
    Auto,
    /// From BPF programs at the kernel's tracepoints.
    Ebpf,
    /// From the kernel's process connector.
    Connector,
    /// From a look at all of them, once a second.
    Scan,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum UnknownVrid {
    Drop,
    Pass,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Scheduling {
    Auto,
    Deadline,
    Fifo,
    Other,
}

fn parse_http(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let address = text.parse().ok();
    address.ok_or_else(|| "not PORT, ADDRESS:PORT or [ADDRESS]:PORT".to_owned())
}

fn parse_umask(text: &str) -> Result<u32, String> {
    // As keepalived, by strtol(3).
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        (None, _) => (text, 10),
    };
    let parsed = u32::from_str_radix(digits, radix);
    parsed.ok().filter(|mask| *mask <= 0o777).ok_or_else(|| "not a mask from 0 to 0777".to_owned())
}
