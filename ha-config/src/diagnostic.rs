//! What is wrong with a configuration, and where. How a person is shown it is not decided here.
//!
//! Passwords are masked wherever a line of the file is kept: diagnostics end in logs.

use core::{fmt, ops::Range};
use std::sync::Arc;

pub(crate) use crate::sink::Sink;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file means something else than it says, or than its author may think.
    Warning,
    /// The script, group or instance around it is not used.
    Error,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// How many complaints there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Of [`Severity::Error`].
    pub errors: u32,
    /// Of [`Severity::Warning`].
    pub warnings: u32,
}

impl Counts {
    /// How many are `severity`.
    #[must_use]
    pub const fn of(self, severity: Severity) -> u32 {
        match severity {
            Severity::Warning => self.warnings,
            Severity::Error => self.errors,
        }
    }

    pub(crate) const fn of_mut(&mut self, severity: Severity) -> &mut u32 {
        match severity {
            Severity::Warning => &mut self.warnings,
            Severity::Error => &mut self.errors,
        }
    }
}

/// A piece of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    /// Which of the files that were read, in their order.
    pub(crate) file: u32,
    /// Line of its first byte, from 1.
    pub(crate) line: u32,
    /// Offset of its first byte in the file.
    pub(crate) start: u32,
    /// Offset after its last byte.
    pub(crate) end: u32,
    /// Where it begins in all that was read: offsets say nothing of the order when files include
    /// others and lines are used many times.
    pub(crate) at: u32,
    /// Where it ends there.
    pub(crate) until: u32,
}

impl Span {
    /// The first place of the main file.
    pub(crate) const START: Self = Self { file: 0, line: 1, start: 0, end: 0, at: 0, until: 1 };

    /// From here to the end of `last`.
    pub(crate) const fn to(self, last: Self) -> Self {
        let end = if last.file == self.file && last.end > self.start { last.end } else { self.end };
        Self { end, until: last.until, ..self }
    }
}

/// A line of a file, for complaints that come later.
#[derive(Clone, Eq, PartialEq)]
pub struct Place {
    /// The file, unless it is the main one.
    pub file: Option<Arc<str>>,
    /// From 1.
    pub line: u32,
}

impl Place {
    /// A line of the main file.
    #[must_use]
    pub const fn line(line: u32) -> Self {
        Self { file: None, line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}", self.line)?;
        match &self.file {
            Some(file) => write!(formatter, " of {file}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(formatter, "{file}:{}", self.line),
            None => write!(formatter, "{}", self.line),
        }
    }
}

/// One complaint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file that it is about.
    pub file: Arc<str>,
    /// Its line, from 1. For what a definition stands for: the line where it is used.
    pub line: u32,
    /// Its first column, from 1, in characters.
    pub column: u32,
    /// How many characters of the line it is about; at least one.
    pub width: u32,
    /// The line without passwords and control characters: one character for each of the file's.
    /// Of a long line only what is around the place, with an ellipsis for what is cut off.
    pub excerpt: String,
    /// How many characters of the line are left out before the excerpt.
    pub skipped: u32,
    /// What is wrong; one line, without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// One line for a log: `file:line:column: error: message`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { file, line, column, message, .. } = self;
        let severity = self.severity.as_str();
        format!("{file}:{line}:{column}: {severity}: {message}")
    }

    /// Which characters of the excerpt it is about: an end may be behind the last one.
    #[must_use]
    pub fn marked(&self) -> Range<usize> {
        let start = to_usize(self.column.saturating_sub(self.skipped)).saturating_sub(1);
        start..start.saturating_add(to_usize(self.width))
    }
}

/// The keyword that a secret follows.
const PASSWORD: &str = "auth_pass";

/// What a message says, without a secret that is glued to a keyword which it quotes.
pub(crate) fn mask_glued(message: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    // Of an even number one is inside of what is quoted, and nobody knows which.
    let is_clear = message.split('`').count() % 2 == 1;
    for (index, part) in message.split('`').enumerate() {
        let name_len = if index % 2 == 1 { keyword_len(part) } else { part.len() };
        match part.split_at_checked(name_len) {
            Some((name, secret)) if !secret.is_empty() => {
                parts.push(format!("{name}****"));
                if !is_clear {
                    parts.push(String::new());
                    break;
                }
            }
            _ => parts.push(part.to_owned()),
        }
    }
    parts.join("`")
}

/// How much of a quoted word is the keyword, if a secret may be glued to it; else all of it.
fn keyword_len(word: &str) -> usize {
    let lower = word.to_ascii_lowercase();
    if lower.starts_with(PASSWORD) {
        let is_equals = lower.get(PASSWORD.len()..).is_some_and(|rest| rest.starts_with('='));
        return PASSWORD.len().saturating_add(usize::from(is_equals));
    }
    let name_end = |c: char| !c.is_ascii_alphabetic() && c != '_';
    let end = lower.find(name_end).unwrap_or(lower.len());
    let Some((name, rest)) = lower.split_at_checked(end).filter(|(name, _)| !name.is_empty())
    else {
        return word.len();
    };
    if rest.starts_with('=') {
        end.saturating_add(1)
    } else if name.starts_with("auth") && name.contains("pas") {
        end
    } else {
        word.len()
    }
}

/// Replaces what follows `auth_pass`, or a word that may be a mistyped `auth_pass`.
pub(crate) fn mask_password(line: &str) -> String {
    // Only ASCII changes its case here, so offsets stay valid.
    let lower = line.to_ascii_lowercase();
    let Some(found) = ["pas", "auth_p"].iter().filter_map(|part| lower.find(part)).min() else {
        return mask_definition(line);
    };
    let (before, rest) = line.split_at(found);
    // A secret may be glued to the keyword: `auth_pass=secret`, `auth_passsecret`.
    let name_end = |c: char| !c.is_ascii_alphabetic() && c != '_';
    let word_end = rest.find(name_end).unwrap_or(rest.len());
    let is_whole = lower.get(found..).is_some_and(|rest| rest.starts_with(PASSWORD));
    let word_end = if is_whole { PASSWORD.len() } else { word_end };
    let (word, secret) = rest.split_at(word_end);
    let masked: String = secret
        .chars()
        .map(|c| if c.is_whitespace() || matches!(c, '{' | '}') { c } else { '*' })
        .collect();
    format!("{before}{word}{masked}")
}

/// What is not called a password may be one all the same: after `$NAME=`, or `word=` at the
/// beginning of a line, which may be a mistyped keyword.
fn mask_definition(line: &str) -> String {
    let is_name = |name: &str| {
        let name = name.trim_start_matches([' ', '\t']);
        let is_part = |c: char| c.is_ascii_alphabetic() || c == '_';
        name.starts_with('$') || !name.is_empty() && name.chars().all(is_part)
    };
    match line.split_once('=') {
        Some((name, value)) if is_name(name) => {
            let masked: String =
                value.chars().map(|c| if c.is_whitespace() { c } else { '*' }).collect();
            format!("{name}={masked}")
        }
        Some(_) | None => line.to_owned(),
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(mask_password("  auth_pass s3cr3t # x"), "  auth_pass ****** * *");
        assert_eq!(mask_password("a { auth_pas s } "), "a { auth_pas * } ");
        assert_eq!(mask_password("auth_pass=s3cr"), "auth_pass*****");
        assert_eq!(mask_password("auth_passs3cr x"), "auth_pass**** *");
        assert_eq!(mask_password("auth_pas=s3"), "auth_pas***");
        let unknown = |word: &str| mask_glued(&format!("unknown keyword `{word}` in x"));
        for (word, shown) in [
            ("auth_pass=s3cr", "auth_pass=****"),
            ("auth_passs3cr", "auth_pass****"),
            ("auth_pass", "auth_pass"),
            ("auth_pas=s3cr", "auth_pas=****"),
            ("auth_pas:s3cr", "auth_pas****"),
            ("atuh_psas=s3 cr", "atuh_psas=****"),
            ("track_pass1", "track_pass1"),
            ("/x/pas=1", "/x/pas=1"),
        ] {
            assert_eq!(unknown(word), format!("unknown keyword `{shown}` in x"));
        }
        assert_eq!(unknown("auth_pass=s3`cr"), "unknown keyword `auth_pass=****`");
        assert_eq!(mask_password("\tatuh_psas=s3"), "\tatuh_psas=**");
        assert_eq!(mask_password("script \"x=y\""), "script \"x=y\"");
        assert_eq!(mask_password("auth_psas s"), "auth_psas *");
        assert_eq!(mask_password(" $KEY=s3 t"), " $KEY=** *");
        assert_eq!(mask_password("priority 1"), "priority 1");
        assert_eq!(mask_password("{ auth_pass é }"), "{ auth_pass * }");
        assert_eq!(mask_password("auth_type PASS"), "auth_type PASS");
    }
}
