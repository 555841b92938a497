//! `run`: the daemon with the given arguments; without any, two of them in namespaces of this machine.

use std::process::Command;

use crate::build;
use crate::ebpf;
use crate::failure::{Failure, Outcome};
use crate::packages;
use crate::process;
use crate::workspace::Workspace;

/// Names the daemon to whatever starts it: the demonstration and the tests.
pub(crate) const DAEMON_VARIABLE: &str = "HA_BINARY";

pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    match arguments {
        [] | ["--"] => run_reference_pair(workspace),
        ["--", arguments @ ..] | arguments => run_daemon(workspace, arguments),
    }
}

fn run_daemon(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    let built = build::build(workspace)?;
    // Started where the command was typed, so that relative paths among the arguments hold.
    Err(process::replace_by(Command::new(built.daemon).args(arguments)))
}

fn run_reference_pair(workspace: &Workspace) -> Outcome {
    if !process::is_root() {
        return Err(Failure::new(
            "the reference pair lives in network namespaces, which only root can make: \
             run `cargo xtask run` as root",
        ));
    }
    packages::ensure(&[packages::IPROUTE2], "the reference pair")?;
    let built = build::build(workspace)?;
    let mut command = process::cargo(workspace);
    command.args(["run", "--quiet", "--release", "-p", "ha-tests", "--bin", "reference-pair"]);
    command.env(DAEMON_VARIABLE, &built.daemon).env(ebpf::OBJECT_VARIABLE, &built.object);
    Err(process::replace_by(&mut command))
}
