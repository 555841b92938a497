//! `cargo xtask`: build, run and check everything. Each command is a file of its own; this one only
//! picks it. Printing is this crate's trade, so the lints against it are off here and nowhere else.

#![expect(clippy::print_stdout, reason = "results are for whoever typed the command")]
#![expect(clippy::print_stderr, reason = "progress and errors, kept apart from results")]

mod bench;
mod build;
mod ci;
mod dist;
mod ebpf;
mod failure;
mod fuzz;
mod packages;
mod process;
mod run;
mod sim;
mod test;
mod tidy;
mod toolchain;
mod unpacked;
mod workspace;

use std::env;
use std::process::ExitCode;

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

const USAGE: &str = "\
cargo xtask COMMAND

  build                 the eBPF object, then the release daemon with the object inside
  run                   a reference pair in network namespaces on this machine (root)
  run [--] ARGS         build, then start the daemon with ARGS on this host
  test [FILTER]         every test; those of the real kernel and peers need root
       --unprivileged   only the tests that need no root
  fuzz [TARGET]         judge, wire, ah, engine or story; each of them
       --seconds N      for so long (30)
  sim                   simulated networks with faults, 20,000 of them
       --count N        so many
       --seed N         from this seed on; alone: the story of this one
       --log            its whole log instead
  bench                 this daemon and keepalived, measured on the wire, to target/bench/report.md (root)
       --section NAME   only takeover, reload, stress, flood or scale
       --full           all of it, an hour; without it about ten minutes
  bench xdp             what the XDP program costs for a frame, by kind, beside its budget (root)
       --strict         fail where a budget is exceeded
  dist                  the packages, target/dist/*.deb and *.rpm
       --check          install and remove them in a scratch Debian, and ask lintian (root)
  ci                    formatting, lints, tidy, licences, fuzzing, then every test
  tidy                  the rules that no compiler checks
  ebpf build            the eBPF object, target/ebpf/ha-ebpf
  ebpf disasm           its instructions
  ebpf verify           load it into this kernel and show what it costs (root)
  help                  this text

environment
  HA_EBPF_OBJECT=PATH   take this eBPF object instead of building one
  HA_TEST_THREADS=N     how many kernel tests run side by side (two for each processor)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Outcome {
    let workspace = Workspace::locate()?;
    match arguments {
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["build"] | ["build", "--release"] => build::run(&workspace),
        ["run", arguments @ ..] => run::run(&workspace, arguments),
        ["test", options @ ..] => test::run(&workspace, &test::Options::parse(options)?),
        ["fuzz", options @ ..] => fuzz::run(&workspace, &fuzz::Options::parse(options)?),
        ["sim", options @ ..] => sim::run(&workspace, &sim::Options::parse(options)?),
        ["bench", arguments @ ..] => bench::run(&workspace, arguments),
        ["dist", options @ ..] => dist::run(&workspace, options),
        ["ci"] => ci::run(&workspace),
        ["tidy"] => tidy::run(&workspace),
        ["ebpf", "build"] => ebpf::run_build(&workspace),
        ["ebpf", "disasm"] => ebpf::run_disasm(&workspace),
        ["ebpf", "verify"] => ebpf::run_verify(&workspace),
        other => Err(Failure::new(format!(
            "`cargo xtask {}` is not a command; `cargo xtask help` lists them",
            other.join(" ")
        ))),
    }
}
