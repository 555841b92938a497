//! Where the log goes: syslog as keepalived's options ask for it, files, standard error, the journal.
//! Whoever reads it, or does not, must not be able to hold the daemon up.

use core::time::Duration;
use std::{fs, os::unix::fs::PermissionsExt as _};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Process, describe},
    require,
    sandbox::{QUEUE_MAX, Sandbox, drain},
    status::Status,
    wait,
};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
const NODE: Side = Side::A;

fn config() -> String {
    config::instance(Dialect::V3Multicast, NODE, 150, "")
}

fn start(pair: &Pair, sandbox: &Sandbox, words: &str, prelude: &str) -> Process {
    let words: Vec<&str> = words.split_whitespace().collect();
    sandbox.start(pair.node(NODE).namespace(), &config(), &words, prelude)
}

fn is_master(pair: &Pair) -> bool {
    pair.node(NODE).addresses_held() == [2, 0]
}

fn await_master(pair: &Pair, daemon: &Process) {
    assert!(wait::holds_within(SOON, || is_master(pair)), "no Master:\n{}", daemon.log());
}

fn stop(mut daemon: Process) -> String {
    let status = daemon.stop();
    assert!(status.success(), "{}:\n{}", describe(status), daemon.log());
    daemon.log()
}

/// The texts in a log file: each line is a time, a severity in five columns, and the text.
fn texts_in(file: &str) -> Vec<&str> {
    file.lines().filter_map(|line| line.split_once("Z ")?.1.get(6..)).collect()
}

/// Priority, process and text of a message as RFC 3164 §4.1 has it, without a host.
fn parse(message: &str) -> Option<(u32, i32, &str)> {
    let (priority, rest) = message.strip_prefix('<')?.split_once('>')?;
    // "Mmm dd hh:mm:ss "
    let (time, rest) = rest.split_at_checked(16)?;
    let colons = [time.get(9..10)?, time.get(12..13)?];
    let (pid, text) = rest.strip_prefix("ha-userspace[")?.split_once("]: ")?;
    (colons == [":", ":"]).then_some((priority.parse().ok()?, pid.parse().ok()?, text))
}

#[test]
fn keepalived_s_options_work_as_they_stand() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let syslog = sandbox.listen(pair.client());
    let daemon = start(&pair, &sandbox, "-D -d -S 0", "");
    let mut messages = Vec::new();
    let is_told = wait::holds_within(SOON, || {
        messages.extend(drain(&syslog));
        messages.iter().any(|message| message.contains("BACKUP -> MASTER"))
    });
    assert!(is_told, "no Master in {messages:#?}\n{}", daemon.log());
    await_master(&pair, &daemon);
    let pid = daemon.pid().as_raw();
    let output = stop(daemon);
    messages.extend(drain(&syslog));

    let mut of_dump = false;
    for message in &messages {
        let (priority, of, text) = parse(message).unwrap_or_else(|| panic!("{message}"));
        assert_eq!(of, pid, "{message}");
        // local0 is facility 16, a notice of a change severity 6 (RFC 3164 §4.1.1): 16 * 8 + 6.
        let expected = if text.contains("->") { 134..=134 } else { 132..=135 };
        assert!(expected.contains(&priority), "{message}");
        of_dump |= text.contains("198.51.100.14");
    }
    assert!(of_dump, "-d does not show the configuration: {messages:#?}");
    assert!(messages.iter().any(|message| message.contains("MASTER -> INIT")), "{messages:#?}");
    assert_eq!(output, "", "it writes elsewhere too");
}

#[test]
fn syslog_gets_every_message_that_a_file_gets() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let syslog = sandbox.listen(pair.client());
    let daemon = start(&pair, &sandbox, "-D -d -x -S local7 -g /mnt/file", "");
    let mut messages = Vec::new();
    let is_told = wait::holds_within(SOON, || {
        messages.extend(drain(&syslog));
        messages.iter().any(|message| message.contains("BACKUP -> MASTER"))
    });
    assert!(is_told, "no Master in {messages:#?}\n{}", daemon.log());
    stop(daemon);
    messages.extend(drain(&syslog));
    // local7 is facility 23, a warning severity 4.
    let warning = messages.iter().find(|message| message.contains("SNMP"));
    assert!(warning.is_some_and(|message| message.starts_with("<188>")), "{warning:?}");
    let file = sandbox.directory().read("file");
    let texts: Vec<&str> =
        messages.iter().filter_map(|message| parse(message)).map(|(_, _, text)| text).collect();
    assert_eq!(texts, texts_in(&file));
    // The dump alone is more than waits at the socket: the burst has waited for the reader.
    assert!(texts.len() > 3 * QUEUE_MAX, "{texts:#?}");
    let mode =
        fs::metadata(sandbox.directory().path().join("file")).expect("the file").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_syslog_that_nobody_reads_holds_nothing_up() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let syslog = sandbox.listen(pair.client());
    let mut daemon = start(&pair, &sandbox, "-D -d -S 0 -g /mnt/file", "");
    await_master(&pair, &daemon);
    let full = Stamp::now();
    let goes_on = wait::holds_within(SOON, || pair.heard(INTERFACE, full).len() > 10);
    assert!(goes_on, "no advertisements:\n{}", daemon.log());
    daemon.signal(Signal::SIGUSR1);
    let answers = || Status::parse(&sandbox.directory().read("run/status.json")).is_some();
    assert!(wait::holds_within(SOON, answers), "no status:\n{}", daemon.log());
    stop(daemon);
    let heard = pair.heard(INTERFACE, full);
    assert_eq!(heard.last().map(|one| one.advert.priority), Some(0), "no goodbye");
    assert_eq!(pair.node(NODE).addresses_held(), [0, 0]);
    let file = sandbox.directory().read("file");
    let said = texts_in(&file).len();
    // It was full indeed, and had not room for all.
    assert_eq!(drain(&syslog).len(), QUEUE_MAX);
    assert!(said > QUEUE_MAX, "{file}");
}

#[test]
fn a_syslog_that_comes_later_is_told_what_it_missed() {
    if !require::require_daemon() {
        return;
    }
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let mut daemon = start(&pair, &sandbox, "-D -S 0", "");
    await_master(&pair, &daemon);
    let is_said = || daemon.log().contains("no syslog listens at /dev/log");
    assert!(wait::holds_within(SOON, is_said), "{}", daemon.log());
    // Nothing is lost for who looks.
    let is_told = || daemon.log().contains("BACKUP -> MASTER");
    assert!(wait::holds_within(SOON, is_told), "{}", daemon.log());

    let syslog = sandbox.listen(pair.client());
    daemon.signal(Signal::SIGALRM);
    let mut messages = Vec::new();
    let comes = wait::holds_within(SOON, || {
        messages.extend(drain(&syslog));
        messages.iter().any(|message| message.contains("SIGALRM"))
    });
    assert!(comes, "{messages:#?}");
    let first = messages.first().and_then(|message| parse(message));
    let is_of_loss = |(_, _, text): (u32, i32, &str)| text.contains("messages are not in this log");
    assert!(first.is_some_and(is_of_loss), "{messages:#?}");
    stop(daemon);
}

/// What is said on standard error, and to the file, with these options.
fn said(words: &str, prelude: &str) -> (String, String) {
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let daemon = start(&pair, &sandbox, words, prelude);
    await_master(&pair, &daemon);
    (stop(daemon), sandbox.directory().read("file"))
}

const CHANGE: &str = "VI_1: BACKUP -> MASTER";

#[test]
fn a_file_instead_of_everything_else() {
    if !require::require_daemon() {
        return;
    }
    let (output, file) = said("-n -G -g /mnt/file", "");
    assert_eq!(output, "");
    assert!(file.contains(CHANGE), "{file}");
}

#[test]
fn standard_error_on_request_too() {
    if !require::require_daemon() {
        return;
    }
    let (output, file) = said("-l -G -g /mnt/file", "");
    assert!(output.contains(CHANGE), "{output}");
    assert!(file.contains(CHANGE), "{file}");
}

#[test]
fn rust_log_chooses_what_is_said() {
    if !require::require_daemon() {
        return;
    }
    let (output, _) = said("-D", "export RUST_LOG=error");
    assert_eq!(output, "");
    let (output, _) = said("", "export RUST_LOG=debug");
    // What libraries say too, which -D does not show.
    assert!(output.contains("DEBUG") && output.contains(CHANGE), "{output}");
    let (output, _) = said("-D", "");
    assert!(!output.contains("relocating"), "{output}");
    let (output, _) = said("", "export RUST_LOG=x=[");
    assert!(output.contains("RUST_LOG is not used") && output.contains(CHANGE), "{output}");
}

#[test]
fn the_journal_gets_severities() {
    if !require::require_daemon() {
        return;
    }
    // As systemd.exec(5) has it: device and inode of what standard error is.
    let is_journal = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)";
    let (output, _) = said("-D -d -x", is_journal);
    let severity = |line: &str| line.get(..3).map(str::to_owned);
    for line in output.lines() {
        let known = ["<4>", "<6>", "<7>"].iter().any(|known| line.starts_with(known));
        assert!(known, "{line}");
    }
    let of = |what: &str| output.lines().find(|line| line.contains(what)).and_then(severity);
    assert_eq!(of(CHANGE).as_deref(), Some("<6>"), "{output}");
    // What -x asks for is not to be had.
    assert_eq!(of("SNMP").as_deref(), Some("<4>"), "{output}");

    // Each thing that is wrong is a message, and the source lines are not.
    let (pair, sandbox) = (Pair::new(), Sandbox::new());
    let text = config().replace("priority 150", "priority 300\n    inteval 1");
    let namespace = pair.node(NODE).namespace();
    let mut daemon = sandbox.start(namespace, &text, &[], is_journal);
    assert!(!daemon.wait(SOON).success());
    let output = daemon.log();
    let severities: Vec<_> = output.lines().filter_map(severity).collect();
    assert_eq!(severities, ["<3>", "<3>", "<6>", "<3>"], "{output}");

    // Of somebody else's it is not to be taken for.
    let (output, _) = said("", "export JOURNAL_STREAM=1:1");
    assert!(!output.contains("<6>") && output.contains(CHANGE), "{output}");
}

/// Syslog and a file are told what is wrong with a configuration that is not run, at the start and at a
/// reload.
#[test]
fn what_is_wrong_with_a_configuration_is_in_every_log() {
    if !require::require_daemon() {
        return;
    }
    let broken = |keyword: &str| config().replace("priority 150", &format!("{keyword} 1"));
    for words in ["-g /mnt/file", "-l -S 0", "-S 0 -g /mnt/file"] {
        let (pair, sandbox) = (Pair::new(), Sandbox::new());
        let syslog = sandbox.listen(pair.client());
        let mut messages = String::new();
        let mut is_told = |what: &str| {
            messages.extend(drain(&syslog));
            let in_file = || sandbox.directory().read("file").contains(what);
            (!words.contains("-S") || messages.contains(what))
                && (!words.contains("-g") || in_file())
        };
        let split: Vec<&str> = words.split_whitespace().collect();
        let mut refused =
            sandbox.start(pair.node(NODE).namespace(), &broken("inteval"), &split, "");
        assert!(!refused.wait(SOON).success(), "{}", refused.log());
        assert!(is_told("inteval"), "{words}:\n{}", refused.log());

        let mut daemon = start(&pair, &sandbox, words, "");
        await_master(&pair, &daemon);
        sandbox.directory().write("keepalived.conf", &broken("prioritaet"));
        daemon.signal(Signal::SIGHUP);
        let is_refused = || is_told("the running configuration stays");
        assert!(wait::holds_within(SOON, is_refused), "{words}:\n{}", daemon.log());
        assert!(is_told("prioritaet"), "{words}:\n{}", daemon.log());
        stop(daemon);
    }
}
