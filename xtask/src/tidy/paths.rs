//! ARCHITECTURE.md and docs/design.md lead readers to files: each one they name must be there.

use std::path::Path;

use super::{Finding, Tree};

const PAGES: [&str; 2] = ["ARCHITECTURE.md", "docs/design.md"];
const EXTENSIONS: [&str; 5] = ["md", "rs", "sh", "toml", "yml"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    PAGES.iter().flat_map(|page| check_page(tree, page)).collect()
}

fn check_page(tree: &Tree, path: &str) -> Vec<Finding> {
    let Some(page) = tree.entries.iter().find(|entry| entry.path == path) else {
        return vec![Finding::new(path, 1, "the page is gone that leads readers to files")];
    };
    let mut findings = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(page.text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let quoted = line.split('`').skip(1).step_by(2);
        for named in quoted.filter(|named| !fenced && looks_like_path(named)) {
            if !exists(tree, named.trim_end_matches('/')) {
                let message = format!("`{named}` is not in the tree: correct the page");
                findings.push(Finding::new(path, number, message));
            }
        }
    }
    findings
}

/// `ha-core/src/wire`, `docs/`, `frame.rs`; not `I/O`, `10.0.0.1/24`, `/proc/net`, `cargo xtask`,
/// nor what is built below `target/`.
fn looks_like_path(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !text.chars().all(allowed) || text.starts_with('/') || text.starts_with("target/") {
        return false;
    }
    let extension = Path::new(text).extension().and_then(|extension| extension.to_str());
    if extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
        return true;
    }
    let first = text.split('/').next().unwrap_or_default();
    let is_folder = first.starts_with(|c: char| c.is_ascii_lowercase() || c == '.');
    text.contains('/') && is_folder
}

/// A name without a folder may be anywhere, as in "see `frame.rs`".
fn exists(tree: &Tree, path: &str) -> bool {
    let anywhere = format!("/{path}");
    tree.paths
        .iter()
        .any(|known| known == path || !path.contains('/') && known.ends_with(&anywhere))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, shown};
    use super::*;

    fn check_text(text: &str) -> String {
        let paths = ["ha-core", "ha-core/src", "ha-core/src/wire.rs", "docs", ".ci", ".ci/run"];
        shown(&check(&Tree {
            entries: PAGES.map(|page| entry(page, if page == PAGES[0] { text } else { "" })).into(),
            paths: paths.map(str::to_owned).to_vec(),
        }))
    }

    #[test]
    fn what_is_there_or_is_no_path_has_no_findings() {
        let page = "`ha-core/src/wire.rs`, `docs/`, `wire.rs`, `.ci/run`, `ha-core/src/`\n\
            `I/O`, `10.0.0.1/24`, `/proc/net/dev`, `a / b`, `x::y`, `target/ebpf/ha-ebpf`, plain/text\n\
            ```\n`ha-core/old.rs`\n```\n";
        assert_eq!(check_text(page), "");
    }

    #[test]
    fn what_is_gone_is_found_with_its_line() {
        for path in ["ha-core/src/gone.rs", "gone.rs", "old/", "ha-core/gone", ".ci/gone"] {
            let findings = check_text(&format!("# Page\n\nSee `{path}`.\n"));
            assert_eq!(findings.lines().count(), 1, "{path}: {findings}");
            assert!(findings.starts_with(&format!("ARCHITECTURE.md:3: `{path}`")), "{findings}");
        }
        assert!(shown(&check(&Tree::default())).contains("is gone"));
    }
}
