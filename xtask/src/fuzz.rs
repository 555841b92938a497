//! `fuzz [TARGET] [--seconds N]`: the targets in `fuzz`, each for a while, on inputs kept between runs.
//!
//! A plain cargo build: stable Rust instruments code for libFuzzer when told so, so that neither nightly
//! nor cargo-fuzz is needed. There is no address sanitizer: the code under test is safe Rust.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::packages::{self, Need};
use crate::process;
use crate::workspace::{self, Workspace};

pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";
/// In the order of the manifest.
const TARGETS: [&str; 6] = ["judge", "wire", "ah", "engine", "story", "config"];
const SECONDS: u32 = 30;

/// Code coverage and operands of comparisons, as cargo-fuzz asks for them.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];
/// libFuzzer is C++.
pub(crate) const COMPILER: Need = Need { program: "g++", package: "g++" };
/// What one input may take: thousands are tried in a second.
const TIMEOUT_SECONDS: u32 = 10;
/// 255 IPv6 addresses with all headers make 4150; longer stories take more time than they show.
const BYTES_MAX: u32 = 4200;
/// What the targets take of memory when all is well is a quarter of it.
const MEGABYTES_MAX: u32 = 1024;
/// What keepalived.conf has beside keywords.
const SIGNS: [&str; 9] = [
    "$X=",
    "${X}",
    "@^a ",
    "~SEQ(X,1,3)",
    "~LST({X,Y},{1,2})",
    "include /",
    "{ ",
    " }",
    "192.0.2.1/24",
];

#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Options {
    targets: Vec<&'static str>,
    seconds: u32,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Outcome<Self> {
        let mut options = Self { targets: TARGETS.to_vec(), seconds: SECONDS };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if *argument == "--seconds" {
                let number = rest.next().and_then(|text| text.parse().ok());
                options.seconds = number.filter(|seconds| *seconds > 0).ok_or_else(|| {
                    Failure::new("`cargo xtask fuzz --seconds N` takes a number from 1 on")
                })?;
            } else {
                let target = TARGETS.iter().find(|target| *target == argument);
                options.targets = vec![target.copied().ok_or_else(|| {
                    Failure::new(format!(
                        "`cargo xtask fuzz` does not know `{argument}`: it takes one of {} and \
                         --seconds N",
                        TARGETS.join(", ")
                    ))
                })?];
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    packages::ensure(&[COMPILER], "fuzzing")?;
    let programs = build(workspace)?;
    for target in &options.targets {
        fuzz(workspace, &programs, target, options.seconds)?;
    }
    Ok(())
}

/// Where the programs are.
fn build(workspace: &Workspace) -> Outcome<PathBuf> {
    let host = host(workspace)?;
    let target = workspace.fuzz_target();
    let mut command = process::cargo_for_other_compiler(workspace);
    command.args(["build", "--release", "--manifest-path", MANIFEST]);
    // With a target named, the flags are not for build scripts, which are linked without libFuzzer.
    command.args(["--target", &host, "--target-dir"]).arg(&target);
    command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    process::run(&mut command, "building the fuzz targets")?;
    Ok(target.join(host).join("release"))
}

fn host(workspace: &Workspace) -> Outcome<String> {
    let mut command = Command::new("rustc");
    command.current_dir(workspace.root()).arg("-vV");
    process::forget_compiler(&mut command);
    let version = process::capture(&mut command, "asking rustc for its host")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("rustc -vV names no host"))
}

fn fuzz(workspace: &Workspace, programs: &Path, target: &str, seconds: u32) -> Outcome {
    let folder = workspace.fuzz_target().join(target);
    let (corpus, seeds) = (folder.join("corpus"), folder.join("seeds"));
    workspace::create_dir(&corpus)?;
    write_seeds(workspace, target, &seeds)?;
    let log = folder.join("log");
    let output = File::create(&log)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", log.display())))?;

    let program = programs.join(target);
    let mut command = Command::new(&program);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={TIMEOUT_SECONDS}"));
    command.arg(format!("-max_len={BYTES_MAX}")).arg(format!("-rss_limit_mb={MEGABYTES_MAX}"));
    if target == "config" {
        let words = folder.join("words");
        write_words(workspace, &words)?;
        command.arg(format!("-dict={}", words.display()));
    }
    command.arg(format!("-artifact_prefix={}/", folder.display())).arg(&corpus).arg(&seeds);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let status = command.status().map_err(|error| process::not_started(&command, &error))?;
    let said = fs::read(&log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    if status.success() {
        println!("{target}: {}", said.lines().last().unwrap_or_default());
        return Ok(());
    }
    eprintln!("{}", what_happened(&said));
    Err(Failure::new(format!(
        "the fuzz target {target} failed ({status}); all of its output is in {}; \
         `{} FILE` repeats an input",
        log.display(),
        program.display()
    )))
}

/// Inputs of the right form to begin with: captured frames, scenarios, configurations.
fn write_seeds(workspace: &Workspace, target: &str, seeds: &Path) -> Outcome {
    let (folders, ending): (&[&str], _) = match target {
        "story" => (&["ha-core/tests/scenarios"], "txt"),
        "config" => (&["ha-config/tests/data/accepted", "ha-config/tests/data/rejected"], "conf"),
        _ => (&["tests/vectors"], "hex"),
    };
    workspace::create_dir(seeds)?;
    for folder in folders {
        let folder = workspace.root().join(folder);
        let cannot = |error| Failure::new(format!("cannot read {}: {error}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let path = entry.path();
            if path.extension().is_none_or(|found| found != ending) {
                continue;
            }
            let mut seed = workspace::read(&path)?;
            if ending == "hex" {
                seed = frame(&String::from_utf8_lossy(&seed)).ok_or_else(|| {
                    let path = path.display();
                    Failure::new(format!("{path} is not lines of hexadecimal bytes"))
                })?;
            }
            workspace::write(&seeds.join(entry.file_name()), &seed)?;
        }
    }
    Ok(())
}

/// Words that chance alone would not find, in libFuzzer's form: the keywords of keepalived's manual,
/// of which the list has a block and a keyword in each line.
fn write_words(workspace: &Workspace, words: &Path) -> Outcome {
    let list = workspace::read(&workspace.root().join("ha-config/tests/data/manual-keywords.txt"))?;
    workspace::write(words, dictionary(&String::from_utf8_lossy(&list)).as_bytes())
}

fn dictionary(list: &str) -> String {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let keywords = lines.filter_map(|line| line.split_whitespace().nth(1));
    keywords.chain(SIGNS).flat_map(|word| ["\"", word, "\"\n"]).collect()
}

/// The bytes of a vector: lines of hexadecimal numbers and of comment.
fn frame(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// Without the progress that libFuzzer reports.
fn what_happened(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let start =
        lines.iter().position(|line| line.contains("panicked at") || line.contains("ERROR"));
    lines.into_iter().skip(start.unwrap_or(0)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_and_a_time_are_taken() {
        let all = Options { targets: TARGETS.to_vec(), seconds: SECONDS };
        assert_eq!(Options::parse(&[]).unwrap(), all);
        let one = Options { targets: vec!["wire"], seconds: 5 };
        assert_eq!(Options::parse(&["wire", "--seconds", "5"]).unwrap(), one);
        assert_eq!(Options::parse(&["--seconds", "5", "wire"]).unwrap(), one);
        assert!(Options::parse(&["--seconds"]).is_err());
        assert!(Options::parse(&["--seconds", "0"]).is_err());
        assert!(Options::parse(&["wires"]).unwrap_err().to_string().contains("`wires`"));
    }

    #[test]
    fn every_target_of_the_manifest_is_run() {
        let manifest = include_str!("../../fuzz/Cargo.toml");
        let paths = manifest.lines().filter(|line| line.starts_with("path = \"fuzz_targets/"));
        assert_eq!(paths.count(), TARGETS.len());
        assert!(TARGETS.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))));
    }

    #[test]
    fn a_vector_is_read_without_its_notes() {
        assert_eq!(frame("# 00 how\n01 ff\n0a\n"), Some(vec![1, 255, 10]));
        assert_eq!(frame("01 0g\n"), None);
    }

    #[test]
    fn the_dictionary_has_the_keywords_of_the_list() {
        let words = dictionary("# a list\ntop instance\nglobal_defs router_id\n");
        assert!(words.starts_with("\"instance\"\n\"router_id\"\n\"$X=\"\n"), "{words}");
    }

    #[test]
    fn a_failure_is_shown_from_where_it_begins() {
        let said = "#1 INITED\n#2 NEW\nthread panicked at fuzz_targets/x.rs:1:1\nwhy\n";
        assert_eq!(what_happened(said), "thread panicked at fuzz_targets/x.rs:1:1\nwhy");
        assert_eq!(what_happened("no such file"), "no such file");
    }
}
