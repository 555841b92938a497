//! The benchmark behind `cargo xtask bench`: this project's daemon and keepalived, in the same run,
//! with the same configuration, on the same wire.
//!
//! `HA_BINARY=PATH bench [--section NAME] [--full] [--output DIRECTORY]`, as root. What a figure
//! says is read off the wire, with the kernel's timestamps, or off `/proc`; never from a log. Each
//! section is a file with one function, which gives a [`Section`]; what it is shown as is `report`'s.
//! `bench xdp` measures the XDP program alone, without a wire.
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark reports by printing, and ends where it cannot measure"
)]

mod contender;
mod duel;
mod figure;
mod flood;
mod frames;
mod plot;
mod process;
mod reload;
mod report;
mod scale;
mod stress;
mod stressor;
mod takeover;
mod timeline;
mod wire;
mod xdp;

use std::{env, path::PathBuf, process::ExitCode};

use ha_tests::{guardian, require};

use crate::figure::{Effort, Section};

type Measure = fn(Effort) -> Section;

const SECTIONS: [(&str, Measure); 6] = [
    ("takeover", takeover::measure),
    ("process", process::measure),
    ("reload", reload::measure),
    ("stress", stress::measure),
    ("flood", flood::measure),
    ("scale", scale::measure),
];

const USAGE: &str = "usage: bench [--section takeover|process|reload|stress|flood|scale]... [--full] \
                     [--output DIRECTORY]";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [first, rest @ ..] = words.as_slice() {
        match first.as_str() {
            stressor::WORD => return stressor::run(rest),
            xdp::WORD => return xdp::run(rest),
            _ => {}
        }
    }
    guardian::clean_up_on_signals();
    let options = match Options::parse(&words) {
        Ok(options) => options,
        Err(complaint) => {
            eprintln!("bench: {complaint}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if !require::require_daemon() || !require::require_keepalived() {
        return ExitCode::FAILURE;
    }
    let mut report = match report::Report::begin(&options.output, &options.shown) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("bench: cannot write to {}: {error}", options.output.display());
            return ExitCode::FAILURE;
        }
    };
    for (name, measure) in options.sections {
        eprintln!("bench: {name}");
        // After each: what was measured is kept, whatever becomes of the next one.
        if let Err(error) = report.add(name, &measure(options.effort)) {
            eprintln!("bench: cannot write to {}: {error}", options.output.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{}", report.path().display());
    ExitCode::SUCCESS
}

struct Options {
    sections: Vec<(&'static str, Measure)>,
    effort: Effort,
    output: PathBuf,
    /// The words, without the place for the output.
    shown: Vec<String>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let (mut sections, mut shown) = (Vec::new(), Vec::new());
        let (mut effort, mut output) = (Effort::Default, PathBuf::from("target/bench"));
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--full" => {
                    effort = Effort::Full;
                    shown.push(word.clone());
                }
                "--section" => {
                    let name = words.next().ok_or("--section needs a name")?;
                    let section = SECTIONS.into_iter().find(|(known, _)| known == name);
                    sections.push(section.ok_or(format!("there is no section `{name}`"))?);
                    shown.extend([word.clone(), name.clone()]);
                }
                "--output" => output = words.next().ok_or("--output needs a directory")?.into(),
                _ => return Err(format!("`{word}` is not a word of this program")),
            }
        }
        if sections.is_empty() {
            sections.extend(SECTIONS);
        }
        Ok(Self { sections, effort, output, shown })
    }
}
