//! docs/conformance.md says of each statement of the RFCs whether it holds, and which tests show it:
//! those tests must exist and name the statement, and no test may name one that is not on the page.
//!
//! It compares names only. Whether a test shows what it is said to show is for the reviewer.

use std::collections::BTreeSet;

use super::{Entry, Finding, SCENARIOS};

const PAGE: &str = "docs/conformance.md";
const TRANSITIONS: &str = "ha-core/tests/transitions.rs";
/// What a row has: id, statement, section, level, status, test, negative test.
const CELLS: usize = 7;
const LEVELS: [&str; 4] = ["MUST", "SHOULD", "MAY", "-"];

pub(super) fn check(entries: &[Entry]) -> Vec<Finding> {
    let Some(page) = entries.iter().find(|entry| entry.path == PAGE) else {
        let message = "the page that says which statements of the RFCs hold is gone";
        return vec![Finding::new(PAGE, 1, message)];
    };
    let mut findings = Vec::new();
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (line, text) in (1..).zip(page.text.lines()) {
        let is_head = text.starts_with("| Id |") || text.starts_with("|--");
        if is_head || !text.starts_with('|') {
            continue;
        }
        let complaints = match Row::parse(text) {
            Ok(row) => {
                let mut complaints = row.complaints(entries);
                if rows.iter().any(|other| other.id == row.id) {
                    complaints.push(format!("{} is on the page twice", row.id));
                }
                rows.push(row);
                complaints
            }
            Err(complaint) => vec![complaint],
        };
        findings.extend(complaints.into_iter().map(|text| Finding::new(PAGE, line, text)));
    }
    let known: BTreeSet<&str> = rows.iter().map(|row| row.id).collect();
    for entry in entries.iter().filter(|entry| is_code(entry)) {
        for (line, text) in (1..).zip(entry.text.lines()) {
            for id in ids(text).filter(|id| !is_known(&known, id)) {
                let message = format!("{id} is not on {PAGE}: correct it, or add its row");
                findings.push(Finding::new(&entry.path, line, message));
            }
        }
    }
    findings
}

/// Code and scenarios may name statements; this check's own examples are none.
fn is_code(entry: &Entry) -> bool {
    (entry.is_rust() || entry.path.starts_with(SCENARIOS)) && !entry.path.starts_with("xtask/")
}

/// `V-7.1` stands for all of its section.
fn is_known(known: &BTreeSet<&str>, id: &str) -> bool {
    let is_part = |other: &&str| other.strip_prefix(id).is_some_and(|rest| rest.starts_with('-'));
    known.contains(id) || known.iter().any(is_part)
}

#[derive(Debug)]
struct Row<'text> {
    id: &'text str,
    level: &'text str,
    status: &'text str,
    tests: Vec<&'text str>,
    negative_tests: Vec<&'text str>,
}

impl<'text> Row<'text> {
    fn parse(text: &'text str) -> Result<Self, String> {
        let inner = text.trim().trim_start_matches('|').trim_end_matches('|');
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        let &[id, statement, section, level, status, tests, negative_tests] = cells.as_slice()
        else {
            return Err(format!("a row has {CELLS} cells, this one has {}", cells.len()));
        };
        if ids(id).next() != Some(id) {
            return Err(format!("`{id}` is no statement's id, such as V-6.4.2-7"));
        }
        if statement.is_empty() || section.is_empty() {
            return Err(format!("{id} says neither what is stated nor where: fill its cells"));
        }
        Ok(Self {
            id,
            level,
            status,
            tests: named_tests(tests)?,
            negative_tests: named_tests(negative_tests)?,
        })
    }

    fn complaints(&self, entries: &[Entry]) -> Vec<String> {
        let Self { id, level, status, .. } = *self;
        let mut complaints = Vec::new();
        if !LEVELS.contains(&level) {
            complaints.push(format!("the level of {id} is none of {}", LEVELS.join(", ")));
        }
        let has_reason = |word: &str| status.strip_prefix(word).is_some_and(|why| why.len() > 1);
        if status == "yes" {
            if self.tests.is_empty() {
                complaints.push(format!("{id} is said to hold, but no test shows it"));
            }
            if level == "MUST" && self.negative_tests.is_empty() {
                complaints.push(format!("{id} is a MUST that holds: it needs a negative test too"));
            }
        } else if !has_reason("departs:") && !has_reason("not here:") {
            complaints.push(format!(
                "the status of {id} is none of `yes`, `departs: reason` and `not here: reason`"
            ));
        }
        for test in self.tests.iter().chain(&self.negative_tests) {
            match named_text(entries, test) {
                Ok(text) if ids(&text).any(|named| named == id) => {}
                Ok(_) => complaints.push(format!("`{test}` does not name {id}")),
                Err(complaint) => complaints.push(complaint),
            }
        }
        complaints
    }
}

/// The quoted names in a cell; `-` is none.
fn named_tests(cell: &str) -> Result<Vec<&str>, String> {
    if cell == "-" {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = cell.split('`').collect();
    let between = parts.iter().step_by(2);
    let is_list = parts.len() > 1 && parts.len() % 2 == 1;
    if !is_list || between.into_iter().any(|text| !matches!(text.trim(), "" | ",")) {
        return Err(format!("`{cell}` is neither `-` nor a list of tests in backticks"));
    }
    Ok(parts.into_iter().skip(1).step_by(2).collect())
}

/// The text of the scenario, the row or the function that a test's name leads to.
fn named_text(entries: &[Entry], test: &str) -> Result<String, String> {
    let file = |path: &str| {
        let found = entries.iter().find(|entry| entry.path == path);
        found.ok_or_else(|| format!("`{test}`: there is no file {path}"))
    };
    if let Some((path, name)) = test.split_once("::") {
        let item = function(&file(path)?.text, name)
            .ok_or_else(|| format!("{path} has no function `{name}`"))?;
        let is_beside_code = path.contains("/src/") && !path.starts_with("tests/");
        if is_beside_code && !item.contains("#[test]") {
            return Err(format!("`{test}` is no test"));
        }
        return Ok(item);
    }
    let Some((name, title)) = test.split_once(": ") else {
        return Err(format!(
            "`{test}` is none of `FILE.txt: title`, `transitions.rs: row` and `path.rs::function`"
        ));
    };
    if TRANSITIONS.ends_with(&format!("/{name}")) {
        let is_there = file(TRANSITIONS)?.text.contains(&format!("row(\"{title}\""));
        let missing = || format!("{TRANSITIONS} has no row \"{title}\"");
        return is_there.then(|| title.to_owned()).ok_or_else(missing);
    }
    let path = format!("{SCENARIOS}{name}");
    scenario(&file(&path)?.text, title).ok_or_else(|| format!("{path} has no scenario \"{title}\""))
}

/// A scenario from its title on.
fn scenario(text: &str, title: &str) -> Option<String> {
    let head = format!("--- {title}");
    let mut lines = text.lines().skip_while(|line| *line != head);
    let first = lines.next()?;
    let rest = lines.take_while(|line| !line.starts_with("--- "));
    Some([first].into_iter().chain(rest).collect::<Vec<_>>().join("\n"))
}

/// A function with the comments and attributes above it, as rustfmt writes it.
fn function(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let heads = [format!("fn {name}("), format!("fn {name}<")];
    let is_head = |line: &&str| heads.iter().any(|head| line.contains(head.as_str()));
    let at = lines.iter().position(is_head)?;
    let (above, below) = lines.split_at_checked(at)?;
    let is_of_it =
        |line: &&&str| line.trim_start().starts_with("//") || line.trim_start().starts_with("#[");
    let before = above.iter().rev().take_while(is_of_it).count();
    let head = below.first()?;
    let indent = head.len() - head.trim_start().len();
    let end = format!("{}}}", " ".repeat(indent));
    let inside = below.iter().take_while(|line| **line != end).count();
    let item = lines.get(at - before..at + inside)?;
    Some(item.join("\n"))
}

/// The statements' ids in a text: `V-6.4.2-10` of RFC 9568, `V2-7.1-1` of RFC 3768.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices('V').filter_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        let (_, rest) = text.split_at_checked(at)?;
        let number = rest.strip_prefix("V-").or_else(|| rest.strip_prefix("V2-"))?;
        let is_word = before.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
        (!is_word && number.starts_with(|c: char| c.is_ascii_digit())).then_some(rest)
    });
    starts.filter_map(|rest| {
        let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
        let begin = rest.find('-')? + 1;
        let number = rest.get(begin..)?;
        let end = number.find(|c| !is_part(c)).unwrap_or(number.len());
        let is_word = number.get(end..)?.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let id = rest.get(..begin + end)?.trim_end_matches(['.', '-']);
        (!is_word).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, shown};
    use super::*;

    const CODE: &str = "//! x\n\n/// V-7.1-1: by its comment.\n#[test]\nfn one() {\n    check();\n}\n\n\
        #[test]\nfn two() {\n    // V-7.1-1, V-5.2.2.\n}\n\nfn helper() {\n    // V-7.1-1.\n}\n";
    const SCENARIO: &str = "--- V-7.1-1: first\n0ms start\n\n--- second\n# V-7.1-2.\n0ms end\n";
    const TABLE: &str = "//! x\n    row(\"V-6.4.2-8 {430}\", Backup);\n";

    /// The findings with these rows on the page.
    fn check_rows(rows: &str) -> String {
        check_tree(rows, &[])
    }

    fn check_tree(rows: &str, more: &[Entry]) -> String {
        let head =
            "# Page\n\n| Id | Statement | Section | Level | Status | Test | Negative |\n|---|\n";
        let known = "| V-7.1-1 | s | §7.1 | - | yes | `ha-core/tests/a.rs::one` | - |\n\
            | V-7.1-2 | s | §7.1 | - | yes | `rejected.txt: second` | - |\n\
            | V-5.2.2 | s | §5.2.2 | - | yes | `ha-core/tests/a.rs::two` | - |\n\
            | V-6.4.2-8 | s | §6 | - | yes | `transitions.rs: V-6.4.2-8 {430}` | - |\n";
        let mut entries = vec![
            entry(PAGE, &format!("{head}{known}{rows}")),
            entry("ha-core/tests/a.rs", CODE),
            entry("ha-core/src/b.rs", CODE),
            entry("ha-core/tests/scenarios/rejected.txt", SCENARIO),
            entry(TRANSITIONS, TABLE),
        ];
        entries.extend(more.iter().map(|more| entry(&more.path, &more.text)));
        shown(&check(&entries))
    }

    fn has(rows: &str, expected: &str) {
        let findings = check_rows(rows);
        assert_eq!(findings, format!("{PAGE}:9: {expected}"), "{rows}");
    }

    #[test]
    fn a_page_that_agrees_with_the_tests_has_no_findings() {
        assert_eq!(check_rows(""), "");
        let rows = "| V-9 | s | §9 | SHOULD | not here: nobody does | - | - |\n\
            | V-3 | s | §3 | MUST | departs: as keepalived | - | - |\n\nProse with V-99-9.\n";
        assert_eq!(check_rows(rows), "");
    }

    #[test]
    fn a_missing_page_is_found() {
        assert!(shown(&check(&[])).starts_with("docs/conformance.md:1: the page"));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_found() {
        has("| V-9 | s | §9 | yes |\n", "a row has 7 cells, this one has 4");
        has("| v-9 | s | § | - | yes | - | - |\n", "`v-9` is no statement's id, such as V-6.4.2-7");
        has(
            "| V-9 | | §9 | - | yes | - | - |\n",
            "V-9 says neither what is stated nor where: fill its cells",
        );
        has(
            "| V-9 | s | §9 | - | yes | some test | - |\n",
            "`some test` is neither `-` nor a list of tests in backticks",
        );
    }

    #[test]
    fn an_id_twice_is_found() {
        has(
            "| V-7.1-1 | s | §7.1 | - | yes | `ha-core/tests/a.rs::one` | - |\n",
            "V-7.1-1 is on the page twice",
        );
    }

    #[test]
    fn an_unknown_level_or_status_is_found() {
        has(
            "| V-9 | s | §9 | must | not here: why | - | - |\n",
            "the level of V-9 is none of MUST, SHOULD, MAY, -",
        );
        let message =
            "the status of V-9 is none of `yes`, `departs: reason` and `not here: reason`";
        for status in ["no", "yes, mostly", "departs:", "not here", "not here: "] {
            has(&format!("| V-9 | s | §9 | - | {status} | - | - |\n"), message);
        }
    }

    #[test]
    fn what_is_said_to_hold_without_tests_is_found() {
        has("| V-9 | s | §9 | - | yes | - | - |\n", "V-9 is said to hold, but no test shows it");
        let findings = check_rows("| V-9 | s | §9 | MUST | yes | - | - |\n");
        assert!(findings.contains("V-9 is a MUST that holds: it needs a negative test"));
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        let cases = [
            ("ha-core/tests/c.rs::one", "`{}`: there is no file ha-core/tests/c.rs"),
            ("ha-core/tests/a.rs::on", "ha-core/tests/a.rs has no function `on`"),
            ("ha-core/src/b.rs::helper", "`{}` is no test"),
            ("none.txt: first", "`{}`: there is no file ha-core/tests/scenarios/none.txt"),
            (
                "rejected.txt: second one",
                "ha-core/tests/scenarios/rejected.txt has no scenario \"second one\"",
            ),
            ("transitions.rs: V-9", "ha-core/tests/transitions.rs has no row \"V-9\""),
            (
                "one",
                "`{}` is none of `FILE.txt: title`, `transitions.rs: row` and `path.rs::function`",
            ),
        ];
        for (test, message) in cases {
            let message = message.replace("{}", test);
            has(&format!("| V-9 | s | §9 | - | yes | `{test}` | - |\n"), &message);
            has(&format!("| V-9 | s | §9 | - | departs: why | - | `{test}` |\n"), &message);
        }
    }

    #[test]
    fn a_test_that_does_not_name_the_statement_is_found() {
        for test in [
            "ha-core/tests/a.rs::one",
            "ha-core/src/b.rs::two",
            "rejected.txt: V-7.1-1: first",
            "transitions.rs: V-6.4.2-8 {430}",
        ] {
            has(
                &format!("| V-9 | s | §9 | - | yes | `{test}` | - |\n"),
                &format!("`{test}` does not name V-9"),
            );
        }
    }

    #[test]
    fn a_statement_that_is_not_on_the_page_is_found_where_it_is_named() {
        let more = [
            entry("tests/tests/d.rs", "//! x\n// V-7.1, V-7.1-1, V-7.1-10.\n"),
            entry("ha-core/tests/scenarios/e.txt", "--- V2-7.1-1: title\n"),
            entry("xtask/src/f.rs", "//! V-99-9\n"),
        ];
        assert_eq!(
            check_tree("", &more),
            "tests/tests/d.rs:2: V-7.1-10 is not on docs/conformance.md: correct it, or add its row\n\
             ha-core/tests/scenarios/e.txt:1: V2-7.1-1 is not on docs/conformance.md: correct it, or \
             add its row"
        );
    }

    #[test]
    fn ids_are_found_between_other_words() {
        let found: Vec<&str> =
            ids("V-5.2.7. (V-6.4.2-10), V2-7.1-1: IPV-1 V-x V-3a RFC V-3 W-V-9").collect();
        assert_eq!(found, ["V-5.2.7", "V-6.4.2-10", "V2-7.1-1", "V-3"]);
    }
}
