//! `bench [--section NAME]... [--full]`: this daemon and keepalived in the same run, on this machine.

use crate::build;
use crate::failure::{Failure, Outcome};
use crate::packages;
use crate::process;
use crate::run::DAEMON_VARIABLE;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    if !process::is_root() {
        return Err(Failure::new(
            "the benchmark lives in network namespaces, which only root can make: \
             run `cargo xtask bench` as root",
        ));
    }
    packages::ensure(&packages::BENCH, "the benchmark")?;
    let built = build::build(workspace)?;
    let mut command = process::cargo(workspace);
    command.args(["run", "--quiet", "--release", "-p", "ha-tests", "--bin", "bench", "--"]);
    command.args(arguments).arg("--output").arg(workspace.target().join("bench"));
    command.env(DAEMON_VARIABLE, &built.daemon);
    Err(process::replace_by(&mut command))
}
