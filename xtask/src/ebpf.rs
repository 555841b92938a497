//! `ebpf build|disasm|verify`: the object for the kernel, and what it looks like from there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::packages::{self, Need};
use crate::process;
use crate::toolchain::{BPF_TARGET, Toolchain};
use crate::workspace::{self, Workspace};

pub(crate) const OBJECT_VARIABLE: &str = "HA_EBPF_OBJECT";
const XDP_OBJECT: &str = "ha-ebpf";
/// What tells of processes, beside the other one.
const PROCESS_OBJECT: &str = "ha-process";

pub(crate) fn run_build(workspace: &Workspace) -> Outcome {
    println!("{}", build_object(workspace)?.display());
    Ok(())
}

pub(crate) fn run_disasm(workspace: &Workspace) -> Outcome {
    let object = build_object(workspace)?;
    let mut command = Command::new(find_objdump()?);
    command.args(["--disassemble", "--source", "--no-show-raw-insn", "--demangle"]).arg(&object);
    process::run(&mut command, "disassembling the object")
}

/// Loading is left to aya, as in the daemon: bpftool's libbpf refuses the maps that aya declares.
pub(crate) fn run_verify(workspace: &Workspace) -> Outcome {
    if !process::is_root() {
        return Err(Failure::new("`ebpf verify` loads programs into the kernel: run it as root"));
    }
    let object = build_object(workspace)?;
    let mut command = process::cargo(workspace);
    command.args(["run", "--quiet", "--release", "-p", "ha-tests", "--bin", "verify-object", "--"]);
    command.arg(&object).arg(object.with_file_name(PROCESS_OBJECT));
    process::run(&mut command, "loading the objects into the kernel")
}

/// The path of the XDP object, beside which the other one is: the one named by `HA_EBPF_OBJECT`, else built from `ha-ebpf`.
pub(crate) fn build_object(workspace: &Workspace) -> Outcome<PathBuf> {
    if let Some(given) = env::var_os(OBJECT_VARIABLE).filter(|given| !given.is_empty()) {
        return given_object(Path::new(&given));
    }
    let toolchain = Toolchain::find(workspace)?;
    let target = workspace.ebpf_target();
    let mut command = toolchain.cargo(workspace, "build");
    command.args(["--release", "--package", "ha-ebpf", "--target-dir"]).arg(&target);
    process::run(&mut command, "building the eBPF objects")?;

    for name in [PROCESS_OBJECT, XDP_OBJECT] {
        let built = workspace::read(&target.join(BPF_TARGET).join("release").join(name))?;
        let object = target.join(name);
        // Written only when it differs: the daemon's build script watches this file's time.
        if fs::read(&object).ok().as_ref() != Some(&built) {
            workspace::write(&object, &built)?;
        }
    }
    Ok(target.join(XDP_OBJECT))
}

fn given_object(given: &Path) -> Outcome<PathBuf> {
    // Absolute, because what it is handed to runs in other folders.
    fs::canonicalize(given).ok().filter(|path| path.is_file()).ok_or_else(|| {
        Failure::new(format!(
            "{OBJECT_VARIABLE} names {}, which is not a file: correct it, or unset it to build one",
            given.display()
        ))
    })
}

/// Any llvm-objdump knows BPF; the versioned names are Debian's, newest first.
fn find_objdump() -> Outcome<PathBuf> {
    let versioned = (14..40).rev().map(|major| format!("llvm-objdump-{major}"));
    let find = || {
        versioned
            .clone()
            .chain(["llvm-objdump".to_owned()])
            .find_map(|name| process::find_program(&name))
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    packages::ensure(&[Need { program: "llvm-objdump", package: "llvm" }], "`ebpf disasm`")?;
    find().ok_or_else(|| {
        Failure::new("the package llvm brought no llvm-objdump: put one on PATH for `ebpf disasm`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_object_must_be_a_file_and_becomes_absolute() {
        let failure = given_object(Path::new("no/such/object")).unwrap_err().to_string();
        assert!(failure.contains("no/such/object"), "{failure}");
        assert!(given_object(Path::new(".")).is_err());
        assert!(given_object(Path::new("Cargo.toml")).unwrap().is_absolute());
    }
}
