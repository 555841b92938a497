//! `build`: the eBPF object, then the daemon that carries it.

use std::path::PathBuf;
use std::process::Command;

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
    command.env(ebpf::OBJECT_VARIABLE, &object).env(COMMIT_VARIABLE, commit(workspace));
    process::run(&mut command, "building the daemon")?;
    Ok(Built { object, daemon: workspace.daemon() })
}

/// What `--version` says of the sources; nothing where they are in no repository.
const COMMIT_VARIABLE: &str = "HA_COMMIT";

fn commit(workspace: &Workspace) -> String {
    let mut describe = Command::new("git");
    describe.current_dir(workspace.root()).args(["describe", "--always", "--dirty", "--abbrev=12"]);
    process::capture(&mut describe, "asking git").unwrap_or_default().trim().to_owned()
}
