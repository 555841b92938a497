//! Files and what comes out of them: accepted ones with their model, rejected ones with their
//! exact diagnostics.
//!
//! `UPDATE_EXPECT=1 cargo test -p ha-config` rewrites the expectations; read the difference.
//!
//! The verdict of keepalived 2.2.7 (`keepalived -t`, in a namespace with bond0, eth0, eth1 and
//! eth2) was compared by hand for every accepted file: see `tests/data/README.md`.

#[cfg(test)]
#[path = "support/golden.rs"]
mod golden;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ha_config::{Diagnostic, Parsed, parse};

    use crate::golden::{confs, expect, read, root};

    fn parse_file(path: &Path) -> Parsed {
        let text = read(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        parse(name, &text)
    }

    /// Each with the text that it is about.
    fn list(diagnostics: &[Diagnostic]) -> String {
        let one = |found: &Diagnostic| {
            let marked = found.marked();
            let text: String =
                found.excerpt.chars().skip(marked.start).take(marked.len()).collect();
            let help = found.help.iter().map(|help| format!("\n  help: {help}"));
            let help: String = help.collect();
            format!("{}\n  at: {text}", found.to_line()).trim_end().to_owned() + &help + "\n"
        };
        diagnostics.iter().map(one).collect()
    }

    /// No errors; the model, after the warnings.
    fn check_accepted(conf: &Path, expected: &Path) {
        let parsed = parse_file(conf);
        let warnings = list(&parsed.diagnostics);
        assert_eq!(parsed.counts.errors, 0, "{warnings}");
        expect(expected, &format!("{warnings}\n{:#?}\n", parsed.config));
    }

    /// Errors; what is left is told by name.
    fn check_rejected(conf: &Path, expected: &Path) {
        let parsed = parse_file(conf);
        assert_ne!(parsed.counts.errors, 0, "{} has no error", conf.display());
        let config = &parsed.config;
        let names = |names: Vec<&str>| names.join(" ");
        let left = format!(
            "\nleft: scripts [{}] groups [{}] instances [{}]\n",
            names(config.scripts.iter().map(|one| one.name.as_str()).collect()),
            names(config.groups.iter().map(|one| one.name.as_str()).collect()),
            names(config.instances.iter().map(|one| one.name.as_str()).collect()),
        );
        expect(expected, &(list(&parsed.diagnostics) + &left));
    }

    #[test]
    fn accepted() {
        for conf in confs("tests/data/accepted") {
            check_accepted(&conf, &conf.with_extension("model"));
        }
    }

    #[test]
    fn rejected() {
        for conf in confs("tests/data/rejected") {
            check_rejected(&conf, &conf.with_extension("txt"));
        }
    }

    #[test]
    fn keywords_page() {
        expect(&root().join("../docs/keywords.md"), &ha_config::keywords_page());
    }

    #[test]
    fn reference_pair() {
        for node in ["node-a", "node-b"] {
            let conf = root().join("../etc/reference-pair").join(node).with_extension("conf");
            let expected = root().join("tests/data").join(node).with_extension("model");
            check_accepted(&conf, &expected);
        }
    }
}
