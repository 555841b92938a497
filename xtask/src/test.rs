//! `test`: first what needs nothing, then what needs root, a kernel and a real peer.

use std::env;
use std::num::NonZero;
use std::thread;

use crate::build;
use crate::ebpf;
use crate::failure::{Failure, Outcome};
use crate::packages;
use crate::process;
use crate::run::DAEMON_VARIABLE;
use crate::unpacked;
use crate::workspace::Workspace;

const THREADS_VARIABLE: &str = "HA_TEST_THREADS";
const THREADS_MAX: u16 = 8;

#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Options {
    /// Run only the tests whose name contains this.
    filter: Option<String>,
    /// The tests that need root are not wanted, so leaving them out is no failure.
    unprivileged: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Outcome<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match *argument {
                "--unprivileged" => options.unprivileged = true,
                "--" => {}
                filter if !filter.starts_with('-') && options.filter.is_none() => {
                    options.filter = Some(filter.to_owned());
                }
                other => {
                    return Err(Failure::new(format!(
                        "`cargo xtask test` does not know `{other}`: \
                         it takes one FILTER and --unprivileged"
                    )));
                }
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let threads = kernel_test_threads(env::var(THREADS_VARIABLE).ok().as_deref())?;
    run_host_tests(workspace, options)?;
    if options.unprivileged {
        eprintln!("xtask: --unprivileged: the tests of package ha-tests were not run");
        return Ok(());
    }
    if !process::is_root() {
        return Err(Failure::new(
            "not run: the tests of package ha-tests (BPF programs in the kernel, network \
             namespaces, keepalived as peer), because they need root; \
             run `cargo xtask test` as root, or leave them out with --unprivileged",
        ));
    }
    run_kernel_tests(workspace, options, threads)
}

/// The workspace's default members: no privileges, no network, no clock.
fn run_host_tests(workspace: &Workspace, options: &Options) -> Outcome {
    let mut command = process::cargo(workspace);
    command.arg("test").args(&options.filter);
    process::run(&mut command, "testing on the host")
}

fn run_kernel_tests(workspace: &Workspace, options: &Options, threads: u16) -> Outcome {
    let purpose = "testing against the kernel and real peers";
    packages::ensure(&packages::TESTS, purpose)?;
    let chronyd = unpacked::program(workspace, unpacked::CHRONY, purpose)?;
    let built = build::build(workspace)?;
    let mut command = process::cargo(workspace);
    // Only the daemon has to be the one that is shipped: tests in its profile would be built four
    // times as long.
    command.args(["test", "--package", "ha-tests", "--"]);
    command.arg(format!("--test-threads={threads}")).args(&options.filter);
    command.env(DAEMON_VARIABLE, &built.daemon).env(ebpf::OBJECT_VARIABLE, &built.object);
    command.env(unpacked::CHRONY_VARIABLE, chronyd);
    process::run(&mut command, purpose)
}

/// Three for each processor unless asked: each test has namespaces of its own and mostly waits for
/// timers. More would be late for them.
fn kernel_test_threads(given: Option<&str>) -> Outcome<u16> {
    match given {
        None | Some("") => {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            Ok(u16::try_from(processors.saturating_mul(3)).unwrap_or(THREADS_MAX).min(THREADS_MAX))
        }
        Some(text) => text.parse().ok().filter(|threads| *threads > 0).ok_or_else(|| {
            Failure::new(format!("{THREADS_VARIABLE} is `{text}`: give it a number from 1 on"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_filter_and_one_option_are_taken() {
        let filter = Some("vrrp".to_owned());
        assert_eq!(Options::parse(&[]).unwrap(), Options::default());
        assert_eq!(
            Options::parse(&["--unprivileged", "vrrp"]).unwrap(),
            Options { filter, unprivileged: true }
        );
        assert!(Options::parse(&["a", "b"]).unwrap_err().to_string().contains("`b`"));
        assert!(Options::parse(&["--nocapture"]).is_err());
    }

    #[test]
    fn the_number_of_threads_is_given_or_from_three_to_eight() {
        assert!((3..=THREADS_MAX).contains(&kernel_test_threads(None).unwrap()));
        assert_eq!(kernel_test_threads(Some("4")).unwrap(), 4);
        assert!(kernel_test_threads(Some("0")).is_err());
        assert!(kernel_test_threads(Some("many")).is_err());
    }
}
