//! `ci`: the ladder, cheapest rung first. One line per rung; the first red one ends it and shows why.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{Failure, Outcome};
use crate::fuzz;
use crate::packages;
use crate::process;
use crate::toolchain::Toolchain;
use crate::workspace::{self, Workspace};

const CLIPPY_HOST: [&str; 8] =
    ["clippy", "--workspace", "--exclude", "ha-ebpf", "--all-targets", "--", "-D", "warnings"];

/// The fuzz targets are a workspace of their own.
const FORMAT_FUZZ: [&str; 4] = ["fmt", "--manifest-path", fuzz::MANIFEST, "--check"];

pub(crate) fn run(workspace: &Workspace) -> Outcome {
    // Asked before anything is built: `cargo test` may replace the file that we were started from.
    let myself = env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find xtask's own program: {error}")))?;
    let logs = workspace.target().join("ci");
    workspace::create_dir(&logs)?;

    packages::ensure(&[fuzz::COMPILER], "fuzzing")?;
    stage(&logs, "format", process::cargo(workspace).args(["fmt", "--all", "--check"]))?;
    stage(&logs, "format fuzz", process::cargo(workspace).args(FORMAT_FUZZ))?;
    stage(&logs, "tidy", again(workspace, &myself).arg("tidy"))?;
    stage(&logs, "clippy", process::cargo(workspace).args(CLIPPY_HOST))?;
    stage(&logs, "clippy fuzz", &mut clippy_fuzz(workspace))?;
    let (name, mut clippy_ebpf) = clippy_ebpf(workspace);
    stage(&logs, name, &mut clippy_ebpf)?;
    if process::find_program("cargo-deny").is_some() {
        stage(&logs, "deny", process::cargo(workspace).args(["deny", "check"]))?;
    } else {
        println!(
            "{:<16} not run: cargo-deny is not here (`cargo install cargo-deny --locked`)",
            "deny"
        );
    }
    stage(&logs, "fuzz", again(workspace, &myself).arg("fuzz"))?;
    stage(&logs, "test", again(workspace, &myself).arg("test"))
}

fn again(workspace: &Workspace, myself: &PathBuf) -> Command {
    let mut command = Command::new(myself);
    command.current_dir(workspace.root());
    command
}

fn clippy_fuzz(workspace: &Workspace) -> Command {
    let mut command = process::cargo(workspace);
    command.args(["clippy", "--manifest-path", fuzz::MANIFEST, "--target-dir"]);
    command.arg(workspace.fuzz_target()).args(["--all-targets", "--", "-D", "warnings"]);
    command
}

/// For the BPF target where the toolchain has clippy. Debian's has none: there the program is checked
/// as one for the host, which sees every line of it except those for the BPF target only.
fn clippy_ebpf(workspace: &Workspace) -> (&'static str, Command) {
    let nightly = Toolchain::find_nightly(workspace).filter(Toolchain::has_clippy);
    let (name, mut command) = if let Some(nightly) = nightly {
        let mut command = nightly.cargo(workspace, "clippy");
        command.arg("--target-dir").arg(workspace.ebpf_target());
        ("clippy ebpf", command)
    } else {
        let mut command = process::cargo(workspace);
        // Without std there is nothing to unwind with; on the host that is not the default.
        command.arg("clippy").env("CARGO_PROFILE_DEV_PANIC", "abort");
        ("clippy ebpf@host", command)
    };
    command.args(["--package", "ha-ebpf", "--", "-D", "warnings"]);
    (name, command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a stage took is shown, nothing depends on it"
)]
fn stage(logs: &Path, name: &str, command: &mut Command) -> Outcome {
    print!("{name:<16} ");
    // The name of a running stage is seen before its result; a closed pipe is no reason to stop.
    drop(io::stdout().flush());
    let path = logs.join(format!("{}.log", name.replace([' ', '@'], "-")));
    let started = Instant::now();
    let green = run_logged(&path, command)?;
    let took = started.elapsed().as_secs_f64();
    if green {
        println!("ok {took:>8.1} s");
        return Ok(());
    }
    println!("RED {took:>7.1} s");
    let log = fs::read(&path).unwrap_or_default();
    eprint!("{}", String::from_utf8_lossy(&log));
    Err(Failure::new(format!(
        "stage `{name}` is red; its output is above and in {}",
        path.display()
    )))
}

/// Both streams go to one file, in the order in which they were written.
fn run_logged(path: &Path, command: &mut Command) -> Outcome<bool> {
    let cannot = |error: io::Error| {
        Failure::new(format!("cannot write the stage's log {}: {error}", path.display()))
    };
    let log = File::create(path).map_err(cannot)?;
    let copy = log.try_clone().map_err(cannot)?;
    command.stdin(Stdio::null()).stdout(log).stderr(copy);
    let status = command.status().map_err(|error| process::not_started(command, &error))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_red_stage_fails_and_its_output_is_kept() {
        let logs = env::temp_dir().join(format!("xtask-ci-{}", std::process::id()));
        fs::create_dir_all(&logs).unwrap();
        let script = "echo out; echo err >&2; exit 1";
        let failure = stage(&logs, "a stage", Command::new("sh").args(["-c", script]));
        assert!(failure.unwrap_err().to_string().starts_with("stage `a stage` is red"));
        assert_eq!(fs::read_to_string(logs.join("a-stage.log")).unwrap(), "out\nerr\n");
        stage(&logs, "good", &mut Command::new("true")).unwrap();
        fs::remove_dir_all(&logs).unwrap();
    }
}
