//! Sections to files: `NAME.json` with every sample, `NAME.svg`, and `report.md`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    thread,
};

use ha_tests::tool;
use serde_json::{Value, json};

use crate::{
    contender::Contender,
    figure::{Figure, Section, Summary},
    plot,
};

/// The report of a run, rewritten after each section.
pub(crate) struct Report {
    directory: PathBuf,
    text: String,
}

impl Report {
    /// `words`: the command line, as far as it decides what is measured.
    pub(crate) fn begin(directory: &Path, words: &[String]) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned(), text: heading(words) })
    }

    pub(crate) fn add(&mut self, name: &str, section: &Section) -> io::Result<()> {
        let write = |ending: &str, text: &str| {
            fs::write(self.directory.join(format!("{name}.{ending}")), text)
        };
        write("json", &format!("{}\n", json_of(section)))?;
        write("svg", &plot::svg(section))?;
        for (name, picture) in &section.pictures {
            fs::write(self.directory.join(format!("{name}.svg")), picture)?;
        }
        self.text += &markdown(name, section);
        fs::write(self.path(), &self.text)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("report.md")
    }
}

fn heading(words: &[String]) -> String {
    let command = words.iter().fold("cargo xtask bench".to_owned(), |all, word| all + " " + word);
    let kernel = read("/proc/sys/kernel/osrelease");
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    // It tells its version on the standard error output.
    let keepalived = tool::output_of("sh", &["-c", "keepalived --version 2>&1 | head -n 1"]);
    let ours =
        env::var("HA_BINARY").ok().and_then(|path| tool::output_of(&path, &["--version"]).ok());
    format!(
        "# Benchmark\n\n`{command}`\n\nLinux {kernel}, {processors} processors, load {load} before the \
         run; {} against {}. Each figure is the 50th and the 99th percentile and the largest of its samples; \
         the ratio is keepalived's 50th percentile to ours. \"Tuned\" is keepalived with \
         `vrrp_rt_priority 50`, `vrrp_rlimit_rttime 1000000` and `vrrp_no_swap`. All samples are in \
         the JSON files beside this one.\n",
        ours.unwrap_or_default().trim(),
        keepalived.unwrap_or_default().trim(),
    )
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn json_of(section: &Section) -> Value {
    let figure = |figure: &Figure| {
        let contender = |(contender, samples): (&Contender, &Vec<f64>)| {
            let summary = Summary::of(samples);
            let part = |pick: fn(&Summary) -> f64| summary.as_ref().map(pick);
            let value = json!({
                "p50": part(|all| all.p50), "p99": part(|all| all.p99), "max": part(|all| all.max),
                "ratio": figure.ratio(*contender), "samples": samples,
            });
            (contender.name().to_owned(), value)
        };
        let contenders: serde_json::Map<String, Value> =
            figure.samples.iter().map(contender).collect();
        json!({ "figure": figure.what, "unit": figure.unit, "contenders": contenders })
    };
    let figures: Vec<Value> = section.figures.iter().map(figure).collect();
    json!({ "title": section.title, "method": section.method, "figures": figures, "notes": section.notes })
}

fn markdown(name: &str, section: &Section) -> String {
    let Section { title, method, figures, pictures, notes } = section;
    let names = Contender::ALL.map(|contender| format!("{}: p50 / p99 / max", contender.name()));
    let head = format!("| figure | samples | {} | ratio | ratio, tuned |", names.join(" | "));
    let rows: Vec<String> = figures.iter().map(row).collect();
    let notes: Vec<String> = notes.iter().map(|note| format!("- {note}")).collect();
    let pictures: Vec<String> = pictures
        .iter()
        .map(|(picture, _)| format!("![{title}: {picture}]({picture}.svg)"))
        .collect();
    let parts = [
        format!("\n## {title}"),
        (*method).to_owned(),
        format!("{head}\n|---|--:|--:|--:|--:|--:|--:|\n{}", rows.join("\n")),
        format!("![{title}]({name}.svg)"),
        pictures.join("\n\n"),
        notes.join("\n"),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n").trim_end().to_owned() + "\n"
}

fn row(figure: &Figure) -> String {
    let or_dash = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_owned());
    let count = figure.summary(Contender::Ours).map(|all| all.count.to_string());
    let unit = if figure.unit.is_empty() { "" } else { ", " };
    let mut cells = vec![format!("{}{unit}{}", figure.what, figure.unit), or_dash(count)];
    cells.extend(Contender::ALL.map(|contender| or_dash(figure.summary(contender).map(three))));
    let rivals = [Contender::Keepalived, Contender::Tuned];
    cells.extend(rivals.map(|rival| or_dash(figure.ratio(rival).map(short))));
    format!("| {} |", cells.join(" | "))
}

/// One number for one sample.
fn three(all: Summary) -> String {
    if all.count == 1 {
        return short(all.max);
    }
    format!("{} / {} / {}", short(all.p50), short(all.p99), short(all.max))
}

/// About three digits that count; whole numbers as they are.
fn short(number: f64) -> String {
    let decimals = match number.abs() {
        whole if whole.fract() == 0.0 => 0,
        tiny if tiny < 0.1 => 3,
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_exact_as_they_are_read() {
        let numbers = [0.0, 0.0123, -0.123, 12.34, 1234.5].map(short);
        assert_eq!(numbers, ["0", "0.012", "-0.12", "12.3", "1234"]);
    }

    #[test]
    fn a_section_is_a_table_with_a_ratio() {
        let mut figure = Figure::new("f", "ms");
        figure.add(Contender::Ours, 0.5);
        figure.add(Contender::Keepalived, 5.0);
        let section = Section {
            title: "T",
            method: "M.",
            figures: vec![figure],
            pictures: Vec::new(),
            notes: Vec::new(),
        };
        let text = markdown("t", &section);
        assert!(text.contains("| f, ms | 1 | 0.50 | 5 | - | 10 | - |"), "{text}");
        let value = json_of(&section);
        let ours = value.pointer("/figures/0/contenders/ours/samples/0");
        assert_eq!(ours.and_then(Value::as_f64), Some(0.5));
    }
}
