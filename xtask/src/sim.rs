//! `sim [--seed N [--log]] [--count N]`: one simulated network's story, or many networks one after another.
//!
//! The simulator is a test of `ha-core` and is started as one; optimized, because it is all arithmetic.

use std::process::Command;
use std::time::Instant;

use crate::failure::{Failure, Outcome};
use crate::process;
use crate::workspace::Workspace;

const TEST: [&str; 6] = ["test", "--quiet", "--release", "--package=ha-core", "--test=sim", "--"];
/// What `cargo test` runs, so that a plain `cargo xtask sim` is the same.
const COUNT: u64 = 20_000;

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Options {
    /// Tells what happens in the run of a seed, or everything to the last frame.
    Story { seed: u64, log: bool },
    /// So many runs from a seed on.
    Runs { first: u64, count: u64 },
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Outcome<Self> {
        let (mut seed, mut count, mut log) = (None, None, false);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let option = match *argument {
                "--seed" => &mut seed,
                "--count" => &mut count,
                "--log" => {
                    log = true;
                    continue;
                }
                other => {
                    return Err(Failure::new(format!(
                        "`cargo xtask sim` does not know `{other}`: it takes --seed N, --log \
                         and --count N"
                    )));
                }
            };
            let number = rest.next().and_then(|text| text.parse().ok());
            *option = Some(number.ok_or_else(|| {
                Failure::new(format!("`cargo xtask sim {argument} N` takes a number"))
            })?);
        }
        Ok(match (seed, count) {
            (Some(seed), None) => Self::Story { seed, log },
            (first, count) => {
                Self::Runs { first: first.unwrap_or(0), count: count.unwrap_or(COUNT) }
            }
        })
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    // Built before it is measured.
    let mut build = process::cargo(workspace);
    process::run(
        build.args(TEST).args(["--list"]).stdout(std::process::Stdio::null()),
        "building",
    )?;
    match *options {
        Options::Story { seed, log } => {
            let mut test = test(workspace, "one_seed_tells_its_story");
            test.env("HA_SIM_SEED", seed.to_string());
            if log {
                test.env("HA_SIM_LOG", "1");
            }
            process::run(&mut test, "simulating")
        }
        Options::Runs { first, count } => {
            let mut test = test(workspace, "many_seeds_hold");
            test.env("HA_SIM_SEED", first.to_string()).env("HA_SIM_COUNT", count.to_string());
            measured(count, || process::run(&mut test, "simulating"))
        }
    }
}

fn test(workspace: &Workspace, name: &str) -> Command {
    let mut command = process::cargo(workspace);
    command.args(TEST).args(["--exact", "--nocapture", name]);
    // What broke is in the story; where the simulator says so does not matter.
    command.env("RUST_BACKTRACE", "0");
    command
}

#[expect(clippy::disallowed_methods, reason = "how long it took is shown, nothing depends on it")]
fn measured(count: u64, simulate: impl FnOnce() -> Outcome) -> Outcome {
    let started = Instant::now();
    simulate()?;
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    println!("{} runs in a second", count.saturating_mul(1000) / millis);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_alone_is_a_story_and_everything_else_a_number_of_runs() {
        assert_eq!(
            Options::parse(&["--seed", "7"]).unwrap(),
            Options::Story { seed: 7, log: false }
        );
        let log = Options::parse(&["--log", "--seed", "7"]).unwrap();
        assert_eq!(log, Options::Story { seed: 7, log: true });
        let runs = |first, count| Options::Runs { first, count };
        assert_eq!(Options::parse(&[]).unwrap(), runs(0, COUNT));
        assert_eq!(Options::parse(&["--count", "5"]).unwrap(), runs(0, 5));
        assert_eq!(Options::parse(&["--seed", "7", "--count", "5"]).unwrap(), runs(7, 5));
        assert!(Options::parse(&["--seed"]).is_err());
        assert!(Options::parse(&["--count", "many"]).is_err());
        assert!(Options::parse(&["7"]).unwrap_err().to_string().contains("`7`"));
    }
}
