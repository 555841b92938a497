//! Every command that a document shows has a row in `tests/commands.md`, which says what runs it, or
//! why nothing does; and every row is of a command that is shown.
//!
//! It compares words only. `tests/tests/documents.rs` runs those that are to be run as they stand.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Finding, Tree};

const LIST: &str = "tests/commands.md";
/// What a line or a quoted piece of text begins with that is a command.
const PROGRAMS: [&str; 23] = [
    "apt",
    "apt-get",
    "cargo",
    "cat",
    "chronyc",
    "cp",
    "echo",
    "editor",
    "ethtool",
    "ha-userspace",
    "install",
    "ip",
    "journalctl",
    "kill",
    "man",
    "mkdir",
    "nft",
    "promtool",
    "rm",
    "source",
    "systemctl",
    "target/release/ha-userspace",
    "tcpdump",
];
/// Pages of the language of keepalived.conf, and of the RFCs: what looks like a command there is none.
const OTHERS: [&str; 2] = ["docs/keywords.md", "docs/conformance.md"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(list) = tree.entries.iter().find(|entry| entry.path == LIST) else {
        return vec![Finding::new(LIST, 1, "the list that says what runs each command is gone")];
    };
    let mut findings = Vec::new();
    let mut rows = BTreeMap::new();
    for (line, text) in (1..).zip(list.text.lines()) {
        let Some((command, how)) = row(text) else { continue };
        if let Some(complaint) = complaint(tree, how) {
            findings.push(Finding::new(LIST, line, complaint));
        }
        if rows.insert(command, line).is_some() {
            findings.push(Finding::new(LIST, line, format!("`{command}` is there twice")));
        }
    }
    let mut shown = BTreeSet::new();
    for entry in tree.entries.iter().filter(|entry| is_document(entry)) {
        for (line, command) in commands(&entry.text) {
            if !rows.contains_key(command) {
                let message = format!("`{command}` has no row in {LIST}: run it, or say why not");
                findings.push(Finding::new(&entry.path, line, message));
            }
            shown.insert(command);
        }
    }
    for (command, line) in rows {
        if !shown.contains(command) {
            let message = format!("no document shows `{command}`: remove the row");
            findings.push(Finding::new(LIST, line, message));
        }
    }
    findings
}

/// What is wrong with what a row says.
fn complaint(tree: &Tree, how: &str) -> Option<String> {
    if how == "run" {
        return None;
    }
    match how.strip_prefix("not:") {
        Some(reason) if reason.trim().is_empty() => Some("say why it is not run".to_owned()),
        Some(_) => None,
        None if tree.paths.iter().any(|path| path == how) => None,
        None => Some(format!("`{how}` is neither `run`, nor `not: REASON`, nor a file")),
    }
}

/// The command and what is said of it; `None`: the line is no row.
fn row(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")
}

fn is_document(entry: &Entry) -> bool {
    let path = entry.path.as_str();
    let is_page = path.starts_with("docs/") && entry.has_extension("md");
    (is_page || ["README.md", "CONTRIBUTING.md"].contains(&path)) && !OTHERS.contains(&path)
}

/// The commands of a document with their lines: those of its blocks, and those quoted in its text.
fn commands(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_block = false;
    let mut is_other = false;
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(language) = text.strip_prefix("```") {
            is_other = !is_block && !matches!(language, "" | "sh");
            is_block = !is_block;
        } else if is_block && !is_other {
            let command = text.split_once("  #").map_or(text, |(command, _)| command).trim_end();
            found.extend(is_command(command).then_some((line, command)));
        } else if !is_block {
            let quoted = text.split('`').skip(1).step_by(2);
            found.extend(quoted.filter(|it| is_command(it)).map(|it| (line, it)));
        }
    }
    found
}

/// A program and at least one word for it.
fn is_command(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(program, _)| PROGRAMS.contains(&program))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, shown};
    use super::*;

    fn findings(list: &str, page: &str) -> String {
        let entries = vec![entry(LIST, list), entry("docs/operate.md", page)];
        shown(&check(&Tree { entries, paths: vec!["tests/tests/top.rs".to_owned()] }))
    }

    #[test]
    fn a_command_is_in_a_block_or_quoted() {
        let page = "`ha-userspace top`, `ha-userspace` and `top`\n```\nsystemctl start ha  # now\nx\n\
                    ```\n```keepalived\necho 3\n```\n";
        assert_eq!(commands(page), [(1, "ha-userspace top"), (3, "systemctl start ha")]);
    }

    #[test]
    fn each_has_a_row_and_each_row_a_command() {
        let page = "`ha-userspace top`, `ip link`\n";
        let top = "| `ha-userspace top` | tests/tests/top.rs |\n";
        assert_eq!(findings(&format!("{top}| `ip link` | not: the host's |\n"), page), "");
        assert_eq!(
            findings(top, page),
            "docs/operate.md:1: `ip link` has no row in tests/commands.md: run it, or say why not"
        );
        let more = format!("{top}{top}| `ip link` | not: |\n| `ip rule` | tests/gone.rs |\n");
        assert_eq!(
            findings(&more, page),
            "tests/commands.md:2: `ha-userspace top` is there twice\n\
             tests/commands.md:3: say why it is not run\n\
             tests/commands.md:4: `tests/gone.rs` is neither `run`, nor `not: REASON`, nor a file\n\
             tests/commands.md:4: no document shows `ip rule`: remove the row"
        );
    }
}
