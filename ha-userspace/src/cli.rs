//! The command line: what it says, and to whom it is passed on.

mod arguments;
mod getopt;
mod keepalived;
mod lookup;

use std::{
    env,
    fmt::Display,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser as _;
use ha_core::Order;
use nix::sys::{
    resource::{RLIM_INFINITY, Resource, setrlimit},
    stat::{Mode, umask},
};
use tracing::{error, warn};

use self::arguments::{
    Arguments, DaemonArguments, LogArguments, Scheduling, Subject, UnknownVrid, Work,
};
pub(crate) use self::{
    arguments::{ProcessEvents, XdpChoice},
    lookup::print,
};
use crate::{
    check::{self, Effective, Format, Source},
    control::{Client, Form, print_history, protocol::Request},
    daemon, history,
    host::ThisHost,
    io::schedule::Policy,
    logging::{self, Log, StandardError},
    privileges, release, replay,
    run_files::Home,
    scripts::launch,
    top,
};

const OWN_FILE: &str = "/etc/ha/ha.conf";
const KEEPALIVED_FILE: &str = "/etc/keepalived/keepalived.conf";

/// What the daemon runs with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Interfaces to run on; empty for all that the configuration names.
    pub(crate) interfaces: Vec<String>,
    pub(crate) source: Source,
    /// The network namespace to run in, whatever the configuration says.
    pub(crate) namespace: Option<String>,
    pub(crate) home: Home,
    /// For what is to outlive a stop and the host; `None`: nothing does.
    pub(crate) state_directory: Option<PathBuf>,
    /// Whose members may ask by the control socket.
    pub(crate) control_group: Option<String>,
    pub(crate) xdp: XdpChoice,
    pub(crate) process_events: ProcessEvents,
    pub(crate) pass_unknown_vrids: bool,
    /// Whether advertisements that say nothing new wake nobody.
    pub(crate) absorbs: bool,
    pub(crate) scheduling: Policy,
    /// Files that get the process's number; none: as the configuration says.
    pub(crate) pid_files: Vec<PathBuf>,
    /// Where what happens is written to, beside memory.
    pub(crate) history: Option<PathBuf>,
    /// Where the engine's inputs are recorded, if they are.
    pub(crate) record: Option<PathBuf>,
    /// Where the status is to be had by HTTP, if it is.
    pub(crate) http: Option<SocketAddr>,
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    // The daemon runs its own program for each script: that one has no command line for people.
    if let Some(exit_code) = launch::main() {
        return exit_code;
    }
    let arguments = Arguments::parse_from(getopt::as_clap_reads_it(env::args_os()));
    if let Some(signal) = arguments.signum {
        return if print(&format!("{}\n", signal.number())).is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let runs = arguments.command.is_none() && arguments.config_test.is_none();
    let settings = if runs {
        log_settings(&arguments.log)
    } else {
        // The commands speak to whoever has typed them.
        logging::Settings { standard_error: true, is_command: true, ..Default::default() }
    };
    // Ended by the return from here, after everything that logs.
    let set_up = || Log::set_up(&settings);
    // Its threads outlive this: of a daemon they need no more than the others.
    let log = if runs { privileges::do_without(set_up) } else { Ok(set_up()) };
    let _log = match log.map_err(|error| error.to_string()).flatten() {
        Ok(log) => log,
        Err(error) => {
            // Nobody may be reading, and there is nobody else to tell.
            writeln!(io::stderr(), "error: {error}").ok();
            return ExitCode::FAILURE;
        }
    };
    run(&arguments, &settings)
}

fn run(arguments: &Arguments, settings: &logging::Settings) -> ExitCode {
    let file = |named: &Option<PathBuf>| {
        named.clone().or_else(|| arguments.config.clone()).unwrap_or_else(default_file)
    };
    let host = |path: &Path| {
        let host = ThisHost::new(path, arguments.config_id.as_deref());
        host.with_all_files(arguments.all_config)
    };
    match (&arguments.command, &arguments.config_test) {
        (Some(Work::Check { file: named, format, effective }), log_file) => {
            let log_file = log_file.as_ref().and_then(Option::as_deref);
            let printed = match (effective, arguments.keep_going) {
                (false, _) => Effective::No,
                (true, false) => Effective::OfSound,
                (true, true) => Effective::OfAny,
            };
            let path = file(named);
            check::run(&path, &host(&path), log_file, *format, printed)
        }
        (Some(Work::Explain { keyword }), _) => {
            exit_code(lookup::explain(keyword).and_then(|text| print(&text)))
        }
        (Some(Work::Completions { shell }), _) => exit_code(print(&lookup::completions(*shell))),
        (Some(Work::Status { name, json, watch, daemon }), _) => {
            let form = if *json { Form::Json } else { Form::Table };
            let client = client(arguments, daemon);
            exit_code(client.and_then(|client| client.status(name.as_deref(), form, *watch)))
        }
        (Some(Work::Top { daemon }), _) => {
            let client = client(arguments, daemon);
            exit_code(client.and_then(|client| top::run(|| client.ask_status())))
        }
        (Some(Work::Demote { subject, until_restart }), _) => {
            order(arguments, Order::Demote, subject, *until_restart)
        }
        (Some(Work::Promote { subject }), _) => order(arguments, Order::Promote, subject, false),
        (Some(Work::Announce { subject }), _) => order(arguments, Order::Announce, subject, false),
        (Some(Work::Reset { subject }), _) => order(arguments, Order::Reset, subject, false),
        (Some(Work::Reload { daemon }), _) => {
            let client = client(arguments, daemon);
            exit_code(client.and_then(|client| client.order(&Request::Reload)))
        }
        (Some(Work::History { name, json, file, daemon }), _) => {
            let form = if *json { Form::Json } else { Form::Table };
            let history = match file {
                Some(file) => history::of_file(file),
                None => client(arguments, daemon).and_then(|client| client.history()),
            };
            exit_code(history.and_then(|history| print_history(history, name.as_deref(), form)))
        }
        (Some(Work::Replay { file, decisions }), _) => replay::run(file, *decisions),
        (Some(Work::Man { directory }), _) => exit_code(lookup::write_manual(directory)),
        (Some(Work::Release), _) => {
            exit_code(release::run(&options(arguments, settings, file(&None))))
        }
        (None, Some(log_file)) => {
            let path = file(&None);
            let log_file = log_file.as_deref();
            check::run(&path, &host(&path), log_file, Format::Text, Effective::No)
        }
        (None, None) => exit_code(run_daemon(arguments, settings, file(&None))),
    }
}

fn order(arguments: &Arguments, order: Order, subject: &Subject, until_restart: bool) -> ExitCode {
    let request = Request::Order { order, name: subject.name.clone(), until_restart };
    let client = client(arguments, &subject.daemon);
    exit_code(client.and_then(|client| client.order(&request)))
}

fn client(arguments: &Arguments, daemon: &DaemonArguments) -> Result<Client, String> {
    Client::find(daemon.socket.clone(), home(arguments).directory())
}

fn exit_code(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_daemon(
    arguments: &Arguments,
    settings: &logging::Settings,
    config: PathBuf,
) -> io::Result<()> {
    if let Some(refusal) = keepalived::refusal(&arguments.without_effect) {
        return Err(io::Error::other(refusal));
    }
    for note in keepalived::notes(&arguments.without_effect) {
        warn!("{note}");
    }
    let process = &arguments.process;
    if let Some(mask) = process.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    if process.core_dump || arguments.without_effect.core_dump_pattern.is_some() {
        setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY)?;
    }
    daemon::run(&options(arguments, settings, config))
}

fn options(arguments: &Arguments, settings: &logging::Settings, config: PathBuf) -> Options {
    let process = &arguments.process;
    let pid_files = process.pid_file.iter().chain(&process.vrrp_pid_file);
    Options {
        interfaces: arguments.interfaces.clone(),
        source: Source {
            path: config,
            config_id: arguments.config_id.clone(),
            all_config: arguments.all_config,
            keep_going: arguments.keep_going,
            dump: arguments.log.dump_conf,
            with_carets: shows_carets(settings, StandardError::find()),
        },
        namespace: process.namespace.clone(),
        home: home(arguments),
        state_directory: arguments.state_dir.clone().or_else(state_directory),
        control_group: arguments.control_group.clone(),
        xdp: arguments.xdp,
        process_events: arguments.process_events,
        pass_unknown_vrids: arguments.xdp_unknown_vrid == UnknownVrid::Pass,
        absorbs: !arguments.no_absorb,
        scheduling: match arguments.sched {
            Scheduling::Auto => Policy::Auto,
            Scheduling::Deadline => Policy::Deadline,
            Scheduling::Fifo => Policy::Fifo,
            Scheduling::Other => Policy::Other,
        },
        pid_files: pid_files.cloned().collect(),
        history: arguments.history.clone(),
        record: arguments.record.clone(),
        http: arguments.http,
    }
}

fn home(arguments: &Arguments) -> Home {
    if arguments.keepalived_paths { Home::Keepalived } else { Home::In(arguments.run_dir.clone()) }
}

/// What systemd says of `StateDirectory=` (`systemd.exec(5)`): paths with colons between them.
fn state_directory() -> Option<PathBuf> {
    let directories = env::var_os("STATE_DIRECTORY")?;
    env::split_paths(&directories).next().filter(|it| it.is_absolute())
}

/// Lines of the file are for whoever sees standard error. Anywhere else a line is a message, with a
/// severity of its own, and what is wrong must be there too.
fn shows_carets(settings: &logging::Settings, standard_error: StandardError) -> bool {
    let is_only = settings.syslog.is_none() && settings.file.is_none();
    settings.standard_error && is_only && standard_error != StandardError::Journal
}

/// Standard error is what syslog is to keepalived, unless syslog is asked for by its facility.
fn log_settings(arguments: &LogArguments) -> logging::Settings {
    let facility = arguments.log_facility.filter(|_| !arguments.no_syslog);
    let is_elsewhere = facility.is_some() || arguments.no_syslog && arguments.log_file.is_some();
    logging::Settings {
        detail: arguments.log_detail,
        standard_error: arguments.log_console || !is_elsewhere,
        is_command: false,
        syslog: facility.map(|facility| (arguments.syslog_socket.clone(), facility)),
        file: arguments.log_file.clone(),
    }
}

fn default_file() -> PathBuf {
    let own = Path::new(OWN_FILE);
    if own.exists() { own.to_owned() } else { PathBuf::from(KEEPALIVED_FILE) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Arguments {
        let words = format!("ha-userspace {line}");
        let words = words.split_whitespace().map(OsString::from);
        Arguments::try_parse_from(getopt::as_clap_reads_it(words)).unwrap()
    }

    fn refused(line: &str) -> clap::Error {
        let words = format!("ha-userspace {line}");
        Arguments::try_parse_from(words.split_whitespace()).unwrap_err()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    /// Every option of the synopsis of keepalived(8) 2.2.7, in both of its forms.
    #[test]
    fn keepalived_s_options_are_taken() {
        let short = "-f /x -P -B -l -D -S 0 -g /l -G -X -V -I -R -n -d -p /a -r /b -c /c -a -b /d \
                     -s ns -i id -e -x -A s -u 022 -m -M";
        let long = "--use-file=/x --vrrp --no_bfd --all --log-console --log-detail \
                    --log-facility=local7 --log-file=/l --flush-log-file --no-syslog \
                    --release-vips --dont-release-vrrp --dont-release-ipvs --dont-respawn \
                    --dont-fork --dump-conf --pid=/a --vrrp_pid=/b --checkers_pid=/c \
                    --address-monitoring --bfd_pid=/d --namespace=ns --all-config --config-id id \
                    --snmp --snmp-agent-socket=s --umask=022 --core-dump \
                    --core-dump-pattern=core --perf=all --debug=DvEcvNR --no-mem-check";
        for line in [short, long] {
            let arguments = parse(line);
            let options = options(&arguments, &logging::Settings::default(), "/x".into());
            assert_eq!(options.pid_files, [Path::new("/a"), Path::new("/b")]);
            assert_eq!(arguments.process.umask, Some(0o022));
            assert_eq!(arguments.process.namespace.as_deref(), Some("ns"));
            assert_eq!(keepalived::refusal(&arguments.without_effect), None);
            assert!(options.source.all_config);
        }
        // As getopt(3) reads them: together, glued, shortened.
        assert!(parse("-nlD -S7 --log-fac 0 --use-f /x").log.log_detail);
    }

    #[test]
    fn what_has_no_effect_is_said_and_what_cannot_be_is_refused() {
        let notes = |line: &str| keepalived::notes(&parse(line).without_effect);
        assert!(notes("-n -P -B -X -I -R --flush-log-file --no-mem-check").is_empty());
        for line in ["--all", "-V", "-c /c", "-b /b", "-a", "-x", "-A s", "-M", "--perf", "--debug"]
        {
            assert_eq!(notes(line).len(), 1, "{line}");
        }
        let refusal = |line: &str| keepalived::refusal(&parse(line).without_effect);
        assert!(refusal("-C").is_some() && refusal("-T").is_some());
        // Both of its subsystems: one of them is here.
        assert_eq!(refusal("-P -C"), None);
    }

    #[test]
    fn a_signal_s_number_is_keepalived_s() {
        // As `keepalived --signum=…` of 2.2.7 answers here; the last by its manual.
        let known = [
            ("STOP", 15),
            ("RELOAD", 1),
            ("DATA", 10),
            ("STATS", 12),
            ("STATS_CLEAR", 63),
            ("JSON", 36),
            ("TDATA", 64),
        ];
        for (name, number) in known {
            let signal = parse(&format!("--signum={name}")).signum.unwrap();
            assert_eq!(signal.number(), number, "{name}");
        }
        refused("--signum=stop");
        refused("--signum=");
    }

    #[test]
    fn masks_are_read_as_keepalived_reads_them() {
        // Seen in /proc/PID/status of 2.2.7.
        for (text, mask) in [("22", 0o026), ("022", 0o022), ("0x12", 0o022), ("0", 0)] {
            assert_eq!(parse(&format!("-u {text}")).process.umask, Some(mask), "{text}");
        }
        refused("-u 999");
        refused("-u 1777");
        refused("-u 08");
    }

    #[test]
    fn the_log_goes_where_it_is_sent() {
        let places = |line: &str| {
            let settings = log_settings(&parse(line).log);
            (settings.standard_error, settings.syslog.is_some(), settings.file.is_some())
        };
        assert_eq!(places("-D -d"), (true, false, false));
        assert_eq!(places("-D -d -S 0"), (false, true, false));
        assert_eq!(places("-l -S 0"), (true, true, false));
        assert_eq!(places("-g /l"), (true, false, true));
        assert_eq!(places("-G"), (true, false, false));
        assert_eq!(places("-G -S 0"), (true, false, false));
        assert_eq!(places("-G -g /l"), (false, false, true));
        assert_eq!(places("-G -g /l -l"), (true, false, true));
    }

    #[test]
    fn carets_are_shown_where_nothing_else_is_written_to() {
        let shows = |line: &str, it| shows_carets(&log_settings(&parse(line).log), it);
        assert!(shows("-D", StandardError::Plain));
        assert!(shows("-G", StandardError::Terminal { colours: true }));
        assert!(!shows("-D", StandardError::Journal));
        for line in ["-S 0", "-l -S 0", "-g /l", "-l -g /l", "-G -g /l"] {
            assert!(!shows(line, StandardError::Plain), "{line}");
        }
    }

    #[test]
    fn a_config_test_s_file_is_where_it_writes_to() {
        let arguments = parse("--config-test=/tmp/log -f /x");
        assert_eq!(arguments.config_test, Some(Some("/tmp/log".into())));
        assert_eq!(arguments.config, Some("/x".into()));
        assert_eq!(parse("-t -f /x").config_test, Some(None));
        // Glued, as getopt(3) takes it.
        assert_eq!(parse("-nt/tmp/log -f/x").config_test, Some(Some("/tmp/log".into())));
        assert_eq!(parse("-nt/tmp/log -f/x -S0 -iNAME").config, Some("/x".into()));
        // A configuration where no value belongs must not be taken for the file to write to.
        refused("-t /etc/keepalived/keepalived.conf");
    }

    #[test]
    fn the_version_has_keepalived_s_letter() {
        assert_eq!(refused("-v").kind(), clap::error::ErrorKind::DisplayVersion);
    }
}
