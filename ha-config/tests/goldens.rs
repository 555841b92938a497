//! Files and what comes out of them: accepted ones with their model, rejected ones with their
//! exact diagnostics.
//!
//! `UPDATE_EXPECT=1 cargo test -p ha-config` rewrites the expectations; read the difference.
//!
//! The verdict of keepalived 2.2.7 (`keepalived -t`, in a namespace with bond0, eth0, eth1 and
//! eth2) was compared by hand for every accepted file: see `tests/data/README.md`.

#[cfg(test)]
mod tests {
    use std::{
        env, fs,
        path::{Path, PathBuf},
    };

    use ha_config::{Diagnostic, Parsed, parse};

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn parse_file(path: &Path) -> Parsed {
        let text = read(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        parse(name, &text)
    }

    /// The file next to `path` with another ending must be `actual`.
    fn expect(path: &Path, actual: &str) {
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(path, actual).unwrap();
        }
        let expected = if path.exists() { read(path) } else { String::new() };
        assert!(
            expected == actual,
            "{} differs; UPDATE_EXPECT=1 writes it. Now:\n{actual}",
            path.display()
        );
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

    fn confs(directory: &str) -> Vec<PathBuf> {
        let directory = root().join("tests/data").join(directory);
        let mut confs: Vec<PathBuf> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "conf"))
            .collect();
        confs.sort();
        assert!(!confs.is_empty(), "no files in {}", directory.display());
        confs
    }

    #[test]
    fn accepted() {
        for conf in confs("accepted") {
            check_accepted(&conf, &conf.with_extension("model"));
        }
    }

    #[test]
    fn rejected() {
        for conf in confs("rejected") {
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
