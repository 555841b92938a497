//! `build`: the eBPF object, then the daemon that carries it.

use std::path::PathBuf;

use crate::ebpf;
use crate::failure::Outcome;
use crate::process;
use crate::workspace::Workspace;

/// What the tests and the demonstration run.
pub(crate) struct Built {
    pub(crate) object: PathBuf,
    pub(crate) daemon: PathBuf,
}

pub(crate) fn run(workspace: &Workspace) -> Outcome {
    println!("{}", build(workspace)?.daemon.display());
    Ok(())
}

/// Always the release profile: a debug daemon would be measured and shipped by mistake.
pub(crate) fn build(workspace: &Workspace) -> Outcome<Built> {
    let object = ebpf::build_object(workspace)?;
    let mut command = process::cargo(workspace);
    command.args(["build", "--release", "--package", "ha-userspace"]);
    command.env(ebpf::OBJECT_VARIABLE, &object);
    process::run(&mut command, "building the daemon")?;
    Ok(Built { object, daemon: workspace.daemon() })
}
