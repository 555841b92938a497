//! Starting other programs: in a known environment, and with an error that names what failed.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// What `cargo run` sets for xtask itself: handed on, build scripts that watch the environment would
/// differ from those of a plain `cargo build`, and everything would be built twice.
const SET_BY_CARGO_RUN: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// What chooses another compiler, other flags or another target than the one asked for.
const CHOOSES_COMPILER: [&str; 11] = [
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// The cargo that started xtask, for the crates of the host.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace.root());
    forget_cargo_run(&mut command);
    command
}

/// The same cargo without any choice of compiler that xtask inherited.
pub(crate) fn cargo_for_other_compiler(workspace: &Workspace) -> Command {
    let mut command = cargo(workspace);
    forget_compiler(&mut command);
    command
}

pub(crate) fn forget_cargo_run(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if SET_BY_CARGO_RUN.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}

pub(crate) fn forget_compiler(command: &mut Command) {
    for name in CHOOSES_COMPILER {
        command.env_remove(name);
    }
}

/// Runs to the end with our stdin closed; what it prints goes where ours goes.
pub(crate) fn run(command: &mut Command, doing: &str) -> Outcome {
    let status =
        command.stdin(Stdio::null()).status().map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{doing} failed ({status}): {}", shown(command))))
}

/// Runs to the end and returns standard output; standard error is part of the failure.
pub(crate) fn capture(command: &mut Command, doing: &str) -> Outcome<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "{doing} failed ({}): {}\n{}{}",
        output.status,
        shown(command),
        stdout,
        stderr.trim_end()
    )))
}

/// Becomes that program: signals and the exit code are then its own. Returns only on failure.
pub(crate) fn replace_by(command: &mut Command) -> Failure {
    let error = command.exec();
    not_started(command, &error)
}

/// Looks where the shell would, and in the sbin folders that a plain user's PATH leaves out. An
/// absolute path is looked at as it is.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].into_iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| is_program(candidate))
}

pub(crate) fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| effective_uid(&status) == Some(0))
}

fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot start `{}`: {error}", shown(command)))
}

fn shown(command: &Command) -> String {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .map(std::borrow::Cow::into_owned)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_is_the_second_number() {
        assert_eq!(effective_uid("Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t1\t1\t1\t1\n"), Some(0));
        assert_eq!(effective_uid("Uid:\t0\t1000\t0\t0\n"), Some(1000));
        assert_eq!(effective_uid("Name:\tx\n"), None);
    }

    #[test]
    fn a_failed_program_is_named_with_what_it_said() {
        let failure = capture(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), "trying");
        let sentence = failure.unwrap_err().to_string();
        assert!(sentence.starts_with("trying failed (exit status: 3): sh -c"), "{sentence}");
        assert!(sentence.ends_with("why"), "{sentence}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let failure = run(&mut Command::new("/nowhere/tool"), "trying").unwrap_err();
        assert!(failure.to_string().starts_with("cannot start `/nowhere/tool`"), "{failure}");
        assert_eq!(find_program("no-such-program-anywhere"), None);
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("/bin/sh"), Some("/bin/sh".into()));
    }
}
