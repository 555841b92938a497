//! The effective configuration: a fixed point for every file of the other tests, with golden files
//! for the accepted ones.

#[cfg(test)]
#[path = "support/fixed_point.rs"]
mod fixed_point;
#[cfg(test)]
#[path = "support/golden.rs"]
mod golden;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use ha_config::{Diagnostic, Severity, effective, parse};

    use crate::{
        fixed_point,
        golden::{confs, expect, read, root},
    };

    /// What a complaint is about. A message may name lines and the first keyword of several; a help
    /// does not.
    fn subject(diagnostic: &Diagnostic) -> String {
        diagnostic.help.clone().unwrap_or_else(|| diagnostic.message.clone())
    }

    /// Nothing is said of the effective configuration that was not said of the file itself.
    fn check_sound(conf: &Path) -> String {
        let parsed = parse("", &read(conf));
        let again = fixed_point::check(&parsed.config, &conf.display().to_string());
        let said: BTreeSet<String> = parsed.diagnostics.iter().map(subject).collect();
        for diagnostic in &again.diagnostics {
            assert_eq!(diagnostic.severity, Severity::Warning, "{}", diagnostic.to_line());
            assert!(said.contains(&subject(diagnostic)), "{}", diagnostic.to_line());
        }
        effective(&parsed.config)
    }

    #[test]
    fn accepted() {
        for conf in confs("tests/data/accepted") {
            expect(&conf.with_extension("effective"), &check_sound(&conf));
        }
    }

    #[test]
    fn reference_pair() {
        for conf in confs("../etc/reference-pair") {
            let expected = root().join("tests/data").join(conf.file_name().unwrap());
            expect(&expected.with_extension("effective"), &check_sound(&conf));
        }
    }

    /// Of a file with errors, what is left of it.
    #[test]
    fn rejected() {
        for conf in confs("tests/data/rejected") {
            fixed_point::check(&parse("", &read(&conf)).config, &conf.display().to_string());
        }
    }
}
