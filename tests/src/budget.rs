//! What the XDP program may cost: the figures of `docs/benchmarks/xdp-budget.txt`.
//!
//! A line is a name, `=` and a whole number; `#` begins a comment.

use std::{collections::BTreeMap, fs, path::PathBuf};

/// Figures by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Budget(BTreeMap<String, u32>);

impl Budget {
    /// The one in the repository.
    pub fn load() -> Self {
        let path = Self::path();
        let text = fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        Self::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Where it is.
    pub fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks/xdp-budget.txt")
    }

    /// A figure, if there is one of this name.
    pub fn of(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut figures = BTreeMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, figure) = line.split_once('=').ok_or(format!("`{line}` has no `=`"))?;
            let figure = figure.trim().parse();
            let figure = figure.map_err(|error| format!("`{line}`: {error}"))?;
            if figures.insert(name.trim().to_owned(), figure).is_some() {
                return Err(format!("`{}` is there twice", name.trim()));
            }
        }
        Ok(Self(figures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_a_number() {
        let budget = Budget::parse("# why\n\nwrong TTL = 80 # ns\nverified=7\n").unwrap();
        assert_eq!((budget.of("wrong TTL"), budget.of("verified")), (Some(80), Some(7)));
        assert_eq!(budget.of("# why"), None);
        assert!(Budget::parse("wrong TTL").unwrap_err().contains("wrong TTL"));
        assert!(Budget::parse("a = -1").is_err() && Budget::parse("a = ").is_err());
        assert!(Budget::parse("a = 1\na = 2").unwrap_err().contains("twice"));
    }
}
