//! The program that becomes a script, run as the daemon runs it.
#![cfg(test)]
#![expect(clippy::print_stderr, reason = "a test that was not run says why")]

use std::{
    env,
    fs::{self, File},
    os::{
        fd::AsRawFd as _,
        unix::{fs::PermissionsExt as _, process::CommandExt as _},
    },
    process::{self, Command, Output},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    unistd::geteuid,
};

/// Launches `script` by a shell, for `parent`.
fn launch(parent: u32, user: &str, group: &str, script: &str) -> Output {
    launcher(parent, user, group, script).output().unwrap()
}

fn launcher(parent: u32, user: &str, group: &str, script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ha-userspace"));
    command.args(["launch-script", &parent.to_string(), user, group, "/bin/sh", "-c", script]);
    command.process_group(0);
    command
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn it_becomes_the_script() {
    let output = launch(process::id(), "", "", "echo $1; exit 7");
    assert_eq!(output.status.code(), Some(7));
}

/// The signals of a mask of `/proc/PID/status`. Real-time signals are left out: the C library ignores
/// two of its own.
fn signals(status: &str, name: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    u64::from_str_radix(mask.unwrap(), 16).unwrap() & 0x7fff_ffff
}

#[test]
fn signals_mean_what_a_script_expects() {
    // Signal 13 (signal(7)).
    const PIPE: u64 = 1 << 12;
    // This test's own process ignores SIGPIPE, as the daemon does. It may have been started with
    // others ignored (`nohup`), for which the daemon has handlers.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let status = stdout(&launch(process::id(), "", "", "cat /proc/self/status"));
    assert_ne!(signals(&own, "SigIgn") & PIPE, 0, "{own}");
    assert_eq!(signals(&status, "SigIgn"), signals(&own, "SigIgn") & !PIPE, "{status}");
    assert_eq!(signals(&status, "SigBlk"), 0, "{status}");
}

#[test]
fn the_service_manager_is_the_daemon_s_alone() {
    let script = "env | grep -c -e NOTIFY_SOCKET -e WATCHDOG";
    let mut command = launcher(process::id(), "", "", script);
    let variables = [("NOTIFY_SOCKET", "/x"), ("WATCHDOG_USEC", "9"), ("WATCHDOG_PID", "9")];
    let output = command.envs(variables).output().unwrap();
    assert_eq!(output.stdout, b"0\n");
}

#[test]
fn it_takes_on_another_user() {
    if !geteuid().is_root() {
        eprintln!("not run: only root can become another user");
        return;
    }
    let id = "echo $(id -u) $(id -g) $(id -G)";
    assert_eq!(stdout(&launch(process::id(), "4000", "4001", id)), "4000 4001 4001\n");
}

#[test]
fn what_is_wrong_is_said_in_its_output() {
    let check = |user: &str, program: &str, exit_code, words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ha-userspace"))
            .args(["launch-script", &process::id().to_string(), user, "", program])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(words), "{text}");
    };
    check("", "/nonexistent", 127, "cannot run /nonexistent: ");
    check("", "/", 126, "cannot run /: ");
    check("no-such-user", "/bin/true", 126, "there is no user no-such-user");
}

#[test]
fn what_others_can_change_is_not_run_as_root() {
    if !geteuid().is_root() {
        eprintln!("not run: only root runs as root");
        return;
    }
    let script = env::temp_dir().join(format!("ha-launch-{}", process::id()));
    fs::write(&script, "#!/bin/sh\nid -u\n").unwrap();
    let run = |user: &str, mode| {
        fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
        Command::new(env!("CARGO_BIN_EXE_ha-userspace"))
            .args(["launch-script", &process::id().to_string(), user, ""])
            .arg(&script)
            .output()
            .unwrap()
    };
    assert_eq!(stdout(&run("root", 0o755)), "0\n");
    for user in ["root", ""] {
        let refused = run(user, 0o757);
        assert_eq!(refused.status.code(), Some(126), "{refused:?}");
        let text = String::from_utf8(refused.stderr).unwrap();
        let path = script.display();
        let why = format!("not run as root: {path} can be changed by everybody (mode 0757)");
        assert!(text.starts_with(&why), "{text}");
    }
    // It can harm nobody but that user.
    assert_eq!(stdout(&run("daemon", 0o757)), "1\n");
    fs::remove_file(&script).unwrap();
}

#[test]
fn it_does_not_outlive_the_daemon() {
    // Process 1 stands for whoever inherits the children of a daemon that died.
    let output = launch(1, "", "", "echo ran");
    assert_eq!(output.status.code(), Some(126));
    assert_eq!(output.stdout, b"");
}

#[test]
fn inherited_descriptors_are_closed() {
    let file = File::open("/dev/null").unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let script = format!("test ! -e /proc/self/fd/{}", file.as_raw_fd());
    let output = launch(process::id(), "", "", &script);
    assert!(output.status.success(), "{output:?}");
}
