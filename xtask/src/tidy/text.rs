//! What can be said of a file without understanding it: its opening, its white space, its length, and
//! marks of unfinished work.

use super::source::blank_comments_and_strings;
use super::{Entry, Finding};

const LINES_MAX: usize = 500;
const TEST_LINES_MAX: usize = 800;

// Put together here, so that this file does not find itself.
const FIX_MARK: &str = concat!("FIX", "ME");
const UNFINISHED: &str = concat!("todo", "!");
const IGNORED: &str = concat!("#[", "ignore");

pub(super) fn check(entry: &Entry) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line: usize, message: &str| {
        findings.push(Finding::new(&entry.path, line, message));
    };
    for (number, line) in (1..).zip(entry.text.lines()) {
        if line.contains('\t') {
            found(number, "a tab: use spaces");
        }
        if line.ends_with([' ', '\t', '\r']) {
            found(number, "white space at the end of the line");
        }
        if line.contains(FIX_MARK) {
            found(number, &format!("{FIX_MARK}: fix it, or say in the issue tracker what is left"));
        }
    }
    if !entry.is_rust() {
        return findings;
    }
    if !entry.text.starts_with("//!") {
        found(1, "open with `//!`: what this module owns and what it must not do");
    }
    for (number, line) in (1..).zip(blank_comments_and_strings(&entry.text).lines()) {
        if line.contains(IGNORED) {
            found(number, "an ignored test protects nothing: make it run, or remove it");
        }
        if line.contains(UNFINISHED) {
            found(number, "unfinished code: write it, or return an error that says so");
        }
    }
    findings
}

/// `exceptions` are paths with reasons; one that is not needed any more is a finding too.
pub(super) fn check_lengths(entries: &[Entry], exceptions: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut needed = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_rust()) {
        let limit = if is_test(&entry.path) { TEST_LINES_MAX } else { LINES_MAX };
        let lines = entry.text.lines().count();
        if lines <= limit {
            continue;
        }
        needed.push(entry.path.as_str());
        if !exceptions.iter().any(|(path, _)| *path == entry.path) {
            findings.push(Finding::new(
                &entry.path,
                lines,
                format!("{lines} lines, more than {limit}: split it, or list it in tidy.rs with a reason"),
            ));
        }
    }
    for (path, _) in exceptions.iter().filter(|(path, _)| !needed.contains(path)) {
        let message = "listed in tidy.rs as a long file, which it is not: remove the entry";
        findings.push(Finding::new(path, 1, message));
    }
    findings
}

fn is_test(path: &str) -> bool {
    path.split('/').rev().skip(1).any(|folder| folder == "tests" || folder == "benches")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, shown};
    use super::*;

    fn check_rust(text: &str) -> String {
        shown(&check(&entry("a.rs", text)))
    }

    #[test]
    fn clean_text_has_no_findings() {
        assert_eq!(check_rust("//! Why.\n\nfn main() {}\n"), "");
        assert_eq!(shown(&check(&entry("a.md", "# Title\n"))), "");
    }

    #[test]
    fn a_module_opens_with_its_purpose() {
        assert!(check_rust("use std::fmt;\n").starts_with("a.rs:1: open with"));
        assert!(check_rust("// Not a module comment.\n").starts_with("a.rs:1: open with"));
    }

    #[test]
    fn white_space_is_found_in_every_kind_of_file() {
        for path in ["a.rs", "a.md", "a.toml"] {
            let findings = shown(&check(&entry(path, "//! x\na\tb\nend \n")));
            assert!(findings.contains(&format!("{path}:2: a tab")), "{findings}");
            assert!(findings.contains(&format!("{path}:3: white space")), "{findings}");
        }
    }

    #[test]
    fn marks_of_unfinished_work_are_found() {
        assert!(check_rust(&format!("//! x\n// {FIX_MARK}: y\n")).starts_with("a.rs:2:"));
        assert!(
            check_rust(&format!("//! x\nfn f() {{ {UNFINISHED}() }}\n")).starts_with("a.rs:2:")
        );
        assert!(check_rust(&format!("//! x\n\n{IGNORED} = \"slow\"]\n")).starts_with("a.rs:3:"));
        assert_eq!(check_rust(&format!("//! no {IGNORED}] and no {UNFINISHED} here\n")), "");
    }

    #[test]
    fn long_files_need_a_reason_and_reasons_need_long_files() {
        let long = "//\n".repeat(501);
        let lengths = |path: &str, exceptions: &[(&str, &str)]| {
            shown(&check_lengths(&[entry(path, &long)], exceptions))
        };
        assert!(lengths("a.rs", &[]).starts_with("a.rs:501: 501 lines"));
        assert_eq!(lengths("a.rs", &[("a.rs", "a table")]), "");
        assert_eq!(lengths("ha-core/tests/a.rs", &[]), "", "tests may be longer");
        assert_eq!(lengths("a.md", &[]), "", "prose may be longer");
        assert!(lengths("a.rs", &[("a.rs", "x"), ("b.rs", "x")]).starts_with("b.rs:1: listed"));
        let longer = entry("tests/src/a.rs", &"//\n".repeat(801));
        assert!(shown(&check_lengths(&[longer], &[])).contains("more than 800"));
    }
}
