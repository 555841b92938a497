//! The members' Cargo.toml: the shared lints are inherited, and dependencies among our crates go only
//! along the arrows of ARCHITECTURE.md. Reads the part of TOML that manifests are written in.

use super::{Entry, Finding};

/// What each crate may use of ours, by folder. A new member is entered here, next to its arrow in
/// ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 8] = [
    ("fuzz", &["ha-common", "ha-config", "ha-core"]),
    ("ha-common", &[]),
    ("ha-config", &["ha-common", "ha-core"]),
    ("ha-core", &["ha-common"]),
    ("ha-ebpf", &["ha-common"]),
    ("ha-userspace", &["ha-common", "ha-config", "ha-core"]),
    ("tests", &["ha-common", "ha-config", "ha-core"]),
    ("xtask", &[]),
];

pub(super) fn check(entries: &[Entry]) -> Vec<Finding> {
    let Some(root) = entries.iter().find(|entry| entry.path == "Cargo.toml") else {
        return vec![Finding::new("Cargo.toml", 1, "the workspace's manifest is gone")];
    };
    let members = members(&root.text);
    let manifests: Vec<(&str, Vec<Setting<'_>>)> = entries
        .iter()
        .filter_map(|entry| Some((entry.path.strip_suffix("/Cargo.toml")?, settings(&entry.text))))
        .collect();
    let ours: Vec<&str> =
        manifests.iter().filter_map(|(_, settings)| package_name(settings)).collect();
    let mut findings = Vec::new();
    for (folder, settings) in &manifests {
        let path = format!("{folder}/Cargo.toml");
        let inherits = settings.iter().any(Setting::inherits_lints);
        if members.contains(folder) && !inherits {
            let message = "the shared lints are off: add `[lints]` with `workspace = true`";
            findings.push(Finding::new(&path, 1, message));
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == folder) else {
            let message = "no arrows known: say in xtask/src/tidy/manifests.rs what it may use";
            findings.push(Finding::new(&path, 1, message));
            continue;
        };
        for (line, name) in settings.iter().filter_map(Setting::dependency) {
            if ours.contains(&name) && !allowed.contains(&name) {
                let message = format!("{folder} must not use {name}: see ARCHITECTURE.md");
                findings.push(Finding::new(&path, line, message));
            }
        }
    }
    findings
}

/// One `key = value` with the table it stands in; a table's own header has an empty key.
#[derive(Debug)]
struct Setting<'text> {
    line: usize,
    table: &'text str,
    key: &'text str,
    value: &'text str,
}

impl<'text> Setting<'text> {
    fn inherits_lints(&self) -> bool {
        let dotted = self.key == "lints.workspace" && self.table.is_empty();
        (dotted || self.table == "lints" && self.key == "workspace") && self.value == "true"
    }

    /// The package that this line depends on, by its own name even if it is renamed.
    fn dependency(&self) -> Option<(usize, &'text str)> {
        // `[dependencies]`, `[target.'cfg(unix)'.dev-dependencies]`: one dependency a line.
        if !self.key.is_empty() && is_dependency_table(self.table) {
            let renamed =
                self.value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
            let name = self.key.split('.').next().unwrap_or_default();
            return Some((self.line, renamed.unwrap_or_else(|| name.trim_matches('"'))));
        }
        // `[dependencies.NAME]`: the table is the dependency.
        let (table, name) = self.table.rsplit_once('.')?;
        if !is_dependency_table(table) {
            return None;
        }
        match self.key {
            "" => Some((self.line, name.trim_matches('"'))),
            "package" => Some((self.line, self.value.trim_matches('"'))),
            _ => None,
        }
    }
}

fn is_dependency_table(table: &str) -> bool {
    let last = table.rsplit('.').next().unwrap_or_default();
    matches!(last, "dependencies" | "dev-dependencies" | "build-dependencies")
        && !table.starts_with("workspace")
}

fn settings(manifest: &str) -> Vec<Setting<'_>> {
    let mut table = "";
    let mut settings = Vec::new();
    for (line, text) in (1..).zip(manifest.lines()) {
        let text = text.trim();
        if let Some(header) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            table = header.0.trim_matches('[').trim();
            settings.push(Setting { line, table, key: "", value: "" });
        } else if let Some((key, value)) = text.split_once('=').filter(|_| !text.starts_with('#')) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            settings.push(Setting { line, table, key: key.trim(), value });
        }
    }
    settings
}

fn package_name<'text>(settings: &[Setting<'text>]) -> Option<&'text str> {
    let name =
        settings.iter().find(|setting| setting.table == "package" && setting.key == "name")?;
    Some(name.value.trim_matches('"'))
}

/// The quoted words of `members = [..]`, on one line or on many.
fn members(root: &str) -> Vec<&str> {
    let after = root.lines().position(|line| line.trim_start().starts_with("members"));
    let Some(start) = after else { return Vec::new() };
    let mut members = Vec::new();
    for line in root.lines().skip(start) {
        members.extend(line.split('"').skip(1).step_by(2));
        if line.contains(']') {
            break;
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, shown};
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = [\"ha-common\",\n  \"ha-core\", \"xtask\"]\n\
        default-members = [\"other\"]\n[workspace.dependencies]\nha-core = { path = \"ha-core\" }\n";
    const LINTS: &str = "[lints]\nworkspace = true\n";

    /// The findings when ha-core's manifest goes on like this.
    fn check_core(manifest: &str) -> String {
        let named = |name: &str, rest: &str| {
            let text = format!("[package]\nname = \"{name}\"\n{rest}");
            entry(&format!("{name}/Cargo.toml"), &text)
        };
        shown(&check(&[
            entry("Cargo.toml", ROOT),
            named("ha-common", LINTS),
            named("ha-config", LINTS),
            named("ha-core", manifest),
        ]))
    }

    #[test]
    fn members_are_read_over_several_lines() {
        assert_eq!(members(ROOT), ["ha-common", "ha-core", "xtask"]);
    }

    #[test]
    fn along_the_arrows_there_are_no_findings() {
        let manifest = format!(
            "{LINTS}[dependencies]\nha-common.workspace = true\nbytes = \"1\"\n\
             # ha-config = \"no\"\n[features]\nha-config = []\n"
        );
        assert_eq!(check_core(&manifest), "");
        assert_eq!(check_core("[dependencies]\n[lints]\nworkspace = true # ours\n"), "");
    }

    #[test]
    fn lints_must_be_inherited() {
        assert!(check_core("").starts_with("ha-core/Cargo.toml:1: the shared lints are off"));
        assert!(check_core("[lints]\nworkspace = false\n").contains("lints are off"));
        assert!(check_core("[package.metadata]\nworkspace = true\n").contains("lints are off"));
    }

    #[test]
    fn a_dependency_against_the_arrows_is_found_however_it_is_written() {
        let cases = [
            "[dependencies]\nha-config.workspace = true\n",
            "[dev-dependencies]\nha-config = { path = \"../ha-config\" }\n",
            "[build-dependencies]\nconf = { package = \"ha-config\", path = \"x\" }\n",
            "[target.'cfg(unix)'.dependencies]\nha-config = \"*\"\n",
            "[dependencies.ha-config]\nworkspace = true\n",
            "[dependencies.conf]\npackage = \"ha-config\"\n",
        ];
        for case in cases {
            let findings = check_core(&format!("{LINTS}{case}"));
            assert_eq!(findings.lines().count(), 1, "{case}: {findings}");
            assert!(findings.contains(": ha-core must not use ha-config"), "{case}: {findings}");
        }
    }

    #[test]
    fn a_crate_without_arrows_is_found() {
        let stranger = entry("ha-new/Cargo.toml", "[package]\nname = \"ha-new\"\n");
        let findings = shown(&check(&[entry("Cargo.toml", ROOT), stranger]));
        assert!(findings.starts_with("ha-new/Cargo.toml:1: no arrows known"), "{findings}");
        assert!(shown(&check(&[])).contains("manifest is gone"));
    }
}
