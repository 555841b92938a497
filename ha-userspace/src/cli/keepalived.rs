//! What keepalived's options mean here, where that is not what they mean there.

use super::arguments::{SignalFor, WithoutEffect};

impl SignalFor {
    /// The number of the signal, as keepalived has it.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Stop => libc::SIGTERM,
            Self::Reload => libc::SIGHUP,
            Self::Data => libc::SIGUSR1,
            Self::Stats => libc::SIGUSR2,
            Self::StatsClear => libc::SIGRTMAX() - 1,
            Self::Json => libc::SIGRTMIN() + 2,
            Self::Tdata => libc::SIGRTMAX(),
        }
    }
}

/// Why the daemon cannot be started as asked.
pub(super) fn refusal(options: &WithoutEffect) -> Option<&'static str> {
    if options.genhash {
        return Some("genhash is a tool of keepalived's own: it is not part of this program");
    }
    (options.check && !options.vrrp)
        .then_some("-C asks for the health checkers only, and there are none: leave it out")
}

/// What somebody may expect of these options and does not get, a line for each.
pub(super) fn notes(options: &WithoutEffect) -> Vec<String> {
    let WithoutEffect {
        all,
        dont_release_vrrp,
        checkers_pid_file,
        bfd_pid_file,
        address_monitoring,
        snmp,
        snmp_agent_socket,
        core_dump_pattern,
        perf,
        debug,
        // These say what is so anyway, or have been refused.
        ..
    } = options;
    let notes = [
        (*all, "--all: there is nothing but VRRP to run"),
        (*dont_release_vrrp, "-V: virtual addresses are removed at a stop all the same"),
        (checkers_pid_file.is_some(), "-c: there is no checker process to write the number of"),
        (bfd_pid_file.is_some(), "-b: there is no BFD process to write the number of"),
        (*address_monitoring, "-a: changes of addresses are not logged"),
        (*snmp || snmp_agent_socket.is_some(), "-x, -A: there is no SNMP: --http has metrics"),
        (
            core_dump_pattern.is_some(),
            "-M: core dumps are allowed, but their pattern is the whole host's and stays as it is",
        ),
        (perf.is_some(), "--perf: start perf(1) beside the daemon"),
        (debug.is_some(), "--debug: RUST_LOG says what is debugged"),
    ];
    let said = notes.into_iter().filter(|(is_asked, _)| *is_asked);
    said.map(|(_, note)| format!("without effect here: {note}")).collect()
}
