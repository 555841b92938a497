//! `bench [--section NAME]... [--full]`: this daemon and keepalived in the same run, on this machine.
//! `bench xdp [--strict]`: what the XDP program costs for a frame, beside its budget.

use std::process::Command;

use crate::build;
use crate::ebpf;
use crate::failure::{Failure, Outcome};
use crate::packages;
use crate::process;
use crate::run::DAEMON_VARIABLE;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    if !process::is_root() {
        return Err(Failure::new(
            "the benchmark lives in network namespaces and the kernel's test runs, which only root can make: \
             run `cargo xtask bench` as root",
        ));
    }
    if let ["xdp", ..] = arguments {
        let object = ebpf::build_object(workspace)?;
        let mut command = bench(workspace, arguments);
        return Err(process::replace_by(command.env(ebpf::OBJECT_VARIABLE, object)));
    }
    packages::ensure(&packages::BENCH, "the benchmark")?;
    let built = build::build(workspace)?;
    let mut command = bench(workspace, arguments);
    command.arg("--output").arg(workspace.target().join("bench"));
    command.env(DAEMON_VARIABLE, &built.daemon);
    Err(process::replace_by(&mut command))
}

fn bench(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = process::cargo(workspace);
    command.args(["run", "--quiet", "--release", "-p", "ha-tests", "--bin", "bench", "--"]);
    command.args(arguments);
    command
}
