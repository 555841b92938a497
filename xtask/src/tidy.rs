//! `tidy`: the rules that no compiler checks. Every finding is reported at once, with file and line.
//!
//! The checks are functions from text to findings; only this file reads the tree.

mod commands;
mod conformance;
mod manifests;
mod paths;
mod purity;
mod source;
mod text;

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// Files longer than the limit that are better whole, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Hidden folders that are ours; all others are tools' business.
const HIDDEN_FOLDERS: [&str; 3] = [".cargo", ".ci", ".github"];

/// Texts that are checked, and the only folder whose other texts are.
const EXTENSIONS: [&str; 3] = ["rs", "md", "toml"];
const SCENARIOS: &str = "ha-core/tests/scenarios/";

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// One file: its path from the root with `/`, and its text.
#[derive(Debug)]
struct Entry {
    path: String,
    text: String,
}

impl Entry {
    fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }
}

pub(crate) fn run(workspace: &Workspace) -> Outcome {
    let mut tree = Tree::default();
    tree.read_folder(workspace.root(), "")?;
    let findings = check(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err(Failure::new("tidy has 1 finding, listed above")),
        count => Err(Failure::new(format!("tidy has {count} findings, listed above"))),
    }
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in &tree.entries {
        findings.extend(text::check(entry));
        if entry.is_rust() {
            findings.extend(purity::check(entry));
        }
    }
    findings.extend(text::check_lengths(&tree.entries, &LONG_FILES));
    findings.extend(manifests::check(&tree.entries));
    findings.extend(paths::check(tree));
    findings.extend(conformance::check(&tree.entries));
    findings.extend(commands::check(tree));
    findings.sort();
    findings
}

/// The texts that are checked, and every path of the tree.
#[derive(Debug, Default)]
struct Tree {
    entries: Vec<Entry>,
    paths: Vec<String>,
}

impl Tree {
    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Outcome {
        let cannot = |error: std::io::Error| {
            Failure::new(format!("cannot read {}: {error}", folder.display()))
        };
        for child in fs::read_dir(folder).map_err(cannot)? {
            let child = child.map_err(cannot)?;
            let name = child.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if child.file_type().map_err(cannot)?.is_dir() {
                let hidden = name.starts_with('.') && !HIDDEN_FOLDERS.contains(&name.as_str());
                if name != "target" && !hidden {
                    self.read_folder(&child.path(), &format!("{path}/"))?;
                    self.paths.push(path);
                }
                continue;
            }
            let has = |extension: &&str| path.ends_with(&format!(".{extension}"));
            if EXTENSIONS.iter().any(has) || path.starts_with(SCENARIOS) {
                let text = fs::read_to_string(child.path())
                    .map_err(|error| Failure::new(format!("cannot read {path}: {error}")))?;
                self.entries.push(Entry { path: path.clone(), text });
            }
            self.paths.push(path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn entry(path: &str, text: &str) -> Entry {
        Entry { path: path.to_owned(), text: text.to_owned() }
    }

    /// The findings as `path:line: message`, a line each.
    pub(super) fn shown(findings: &[Finding]) -> String {
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn a_finding_names_file_and_line() {
        assert_eq!(Finding::new("a/b.rs", 7, "why").to_string(), "a/b.rs:7: why");
    }

    #[test]
    fn every_kind_of_check_takes_part() {
        let tree = Tree {
            entries: vec![
                entry("ARCHITECTURE.md", "see `ha-core/gone.rs`\n"),
                entry("Cargo.toml", "[workspace]\nmembers = [\"ha-core\"]\n"),
                entry("ha-core/Cargo.toml", "[package]\nname = \"ha-core\"\n"),
                entry("ha-core/src/lib.rs", "use std::fs;\n"),
                entry("docs/conformance.md", "| V-9 |\n"),
            ],
            paths: vec!["ha-core".to_owned()],
        };
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(
            paths,
            [
                "ARCHITECTURE.md",
                "docs/conformance.md",
                "docs/design.md",
                "ha-core/Cargo.toml",
                "ha-core/src/lib.rs",
                "ha-core/src/lib.rs",
                "tests/commands.md"
            ]
        );
    }
}
