//! The command line: our options, and keepalived's where they mean something here.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use tracing::{error, warn};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::{check, daemon, io::schedule::Policy, replay, scripts::launch};

const OWN_FILE: &str = "/etc/ha/ha.conf";
const KEEPALIVED_FILE: &str = "/etc/keepalived/keepalived.conf";
/// Messages that wait to be written; of more, the newest are lost, and counted.
const LOG_LINES_MAX: usize = 8_192;
/// The writing of the last messages is waited for as long: more than the writer's own limits.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Failover by VRRP, configured by keepalived.conf.
#[derive(Debug, Parser)]
#[command(
    version,
    // keepalived's letter for it is a small one.
    disable_version_flag = true,
    after_help = "Signals: TERM, INT and QUIT stop (priority 0, addresses removed), HUP reads the \
    configuration again, USR1, USR2 and RTMIN+2 write status.json to the run directory.\n\
    Log: to standard error; RUST_LOG chooses what (error, warn, info, debug)."
)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of keepalived's command line")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Work>,
    /// Run only the instances on this interface; may be repeated [default: all interfaces]
    #[arg(long = "iface", value_name = "IF")]
    interfaces: Vec<String>,
    /// Configuration [default: /etc/ha/ha.conf, else /etc/keepalived/keepalived.conf]
    #[arg(short = 'f', long, visible_alias = "use-file", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where status.json is written
    #[arg(long, value_name = "DIR", default_value = "/run/ha")]
    run_dir: PathBuf,
    /// How frames are judged: auto takes native, else generic XDP, else packet sockets
    #[arg(long, value_enum, default_value = "auto")]
    xdp: XdpChoice,
    /// What becomes of frames for virtual routers that are not configured here
    #[arg(long, value_enum, default_value = "drop")]
    xdp_unknown_vrid: UnknownVrid,
    /// How the engine thread is scheduled: auto takes deadline, else fifo, else other
    #[arg(long, value_enum, default_value = "auto")]
    sched: Scheduling,
    /// Record what the engine is given and what it decides, for the command replay; a record that is
    /// there already is renamed to FILE.old
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Check the configuration and end, as the command check does; what is wrong is added to a
    /// file, if one is named, instead of written to standard error
    #[arg(short = 't', long, value_name = "LOG_FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, without a value, with one")]
    config_test: Option<Option<PathBuf>>,
    /// Log more: each run of a script too
    #[arg(short = 'D', long)]
    log_detail: bool,
    /// keepalived's: write the process's number to this file
    #[arg(short = 'p', long = "pid", value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// keepalived's: the same, for its VRRP process
    #[arg(short = 'r', long = "vrrp_pid", value_name = "FILE")]
    vrrp_pid_file: Option<PathBuf>,
    /// keepalived's, without effect: there is no checker process
    #[arg(short = 'c', long = "checkers_pid", value_name = "FILE")]
    checkers_pid_file: Option<PathBuf>,
    /// keepalived's, without effect: it always stays in the foreground
    #[arg(short = 'n', long)]
    dont_fork: bool,
    /// keepalived's, without effect: it always logs to standard error
    #[arg(short = 'l', long)]
    log_console: bool,
    /// keepalived's, without effect yet: `check` shows what is wrong with a configuration
    #[arg(short = 'd', long)]
    dump_conf: bool,
    /// keepalived's, without effect yet: it logs to standard error
    #[arg(short = 'S', long, value_name = "FACILITY")]
    log_facility: Option<String>,
    /// keepalived's, without effect: VRRP is all there is
    #[arg(short = 'P', long)]
    vrrp: bool,
    /// Say which version this is
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: (),
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Say everything that is wrong with a configuration; exit 0 if there are at most warnings,
    /// 4 if there are errors, 1 if it cannot be read
    Check {
        /// The file [default: the one that would be run]
        file: Option<PathBuf>,
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

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum UnknownVrid {
    Drop,
    Pass,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Scheduling {
    Auto,
    Deadline,
    Fifo,
    Other,
}

/// What the daemon runs with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Interfaces to run on; empty for all that the configuration names.
    pub(crate) interfaces: Vec<String>,
    pub(crate) config: PathBuf,
    pub(crate) run_dir: PathBuf,
    pub(crate) xdp: XdpChoice,
    pub(crate) pass_unknown_vrids: bool,
    pub(crate) scheduling: Policy,
    /// Files that get the process's number.
    pub(crate) pid_files: Vec<PathBuf>,
    /// Where the engine's inputs are recorded, if they are.
    pub(crate) record: Option<PathBuf>,
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    // The daemon runs its own program for each script: that one has no command line for people.
    if let Some(exit_code) = launch::main() {
        return exit_code;
    }
    let arguments = Arguments::parse();
    // Ended by the return from here, after everything that logs.
    let _log = Log::set_up(arguments.log_detail);
    let file = |named: Option<PathBuf>| {
        named.or_else(|| arguments.config.clone()).unwrap_or_else(default_file)
    };
    match (&arguments.command, &arguments.config_test) {
        (Some(Work::Check { file: named }), log_file) => {
            check::run(&file(named.clone()), log_file.as_ref().and_then(Option::as_deref))
        }
        (Some(Work::Replay { file, decisions }), _) => replay::run(file, *decisions),
        (None, Some(log_file)) => check::run(&file(None), log_file.as_deref()),
        (None, None) => match daemon::run(&options(&arguments, file(None))) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                error!("{error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn options(arguments: &Arguments, config: PathBuf) -> Options {
    let pid_files = arguments.pid_file.iter().chain(&arguments.vrrp_pid_file);
    Options {
        interfaces: arguments.interfaces.clone(),
        config,
        run_dir: arguments.run_dir.clone(),
        xdp: arguments.xdp,
        pass_unknown_vrids: arguments.xdp_unknown_vrid == UnknownVrid::Pass,
        scheduling: match arguments.sched {
            Scheduling::Auto => Policy::Auto,
            Scheduling::Deadline => Policy::Deadline,
            Scheduling::Fifo => Policy::Fifo,
            Scheduling::Other => Policy::Other,
        },
        pid_files: pid_files.cloned().collect(),
        record: arguments.record.clone(),
    }
}

fn default_file() -> PathBuf {
    let own = Path::new(OWN_FILE);
    if own.exists() { own.to_owned() } else { PathBuf::from(KEEPALIVED_FILE) }
}

/// The log's way to standard error: a thread of its own, since whoever reads there may stall, and
/// the daemon must still stop then. Dropping it writes what is queued, as far as it is taken.
struct Log {
    /// `None` once it is dropped.
    writer: Option<WorkerGuard>,
    lost: ErrorCounter,
}

impl Log {
    fn set_up(detail: bool) -> Self {
        let default = if detail { "debug" } else { "info" };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let (queue, writer) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LOG_LINES_MAX)
            .thread_name("ha-log")
            .finish(io::stderr());
        let lost = queue.error_counter();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_target(false)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(queue)
            // It would say so on standard error, and panic when that is what is gone.
            .log_internal_errors(false)
            .init();
        Self { writer: Some(writer), lost }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let lost = self.lost.dropped_lines();
        if lost > 0 {
            warn!("{lost} messages are not in this log: it was not read in time");
        }
        // On a thread, because with a full queue it writes to standard output, where nobody may be
        // reading either.
        let writer = self.writer.take();
        let (done, is_done) = mpsc::channel();
        let flush = move || {
            drop(writer);
            // Nobody may be waiting any more.
            done.send(()).ok();
        };
        if thread::Builder::new().spawn(flush).is_ok() {
            is_done.recv_timeout(LAST_LINES).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn keepalived_s_options_are_taken() {
        let line =
            "ha-userspace -n -l -D -d -S 0 -P -f /x -p /run/a.pid -r /run/b.pid -c /run/c.pid";
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let options = options(&arguments, "/x".into());
        assert_eq!(options.pid_files, [Path::new("/run/a.pid"), Path::new("/run/b.pid")]);
    }

    #[test]
    fn a_config_test_s_file_is_where_it_writes_to() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let arguments = parse("ha-userspace --config-test=/tmp/log -f /x").unwrap();
        assert_eq!(arguments.config_test, Some(Some("/tmp/log".into())));
        assert_eq!(arguments.config, Some("/x".into()));
        assert_eq!(parse("ha-userspace -t -f /x").unwrap().config_test, Some(None));
        // A configuration where no value belongs must not be taken for the file to write to.
        parse("ha-userspace -t /etc/keepalived/keepalived.conf").unwrap_err();
    }

    #[test]
    fn the_version_has_keepalived_s_letter() {
        let error = Arguments::try_parse_from(["ha-userspace", "-v"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayVersion);
    }
}
