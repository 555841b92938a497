//! What is wrong with a configuration, where, and how it is shown.
//!
//! Passwords are masked wherever a line of the file is shown: diagnostics end in logs.

use core::fmt::Write as _;

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

/// A piece of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
    /// Line of its first byte, from 1.
    pub line: u32,
    /// Column of its first byte, from 1, in characters.
    pub column: u32,
}

impl Span {
    /// The first place of the file.
    pub(crate) const START: Self = Self { start: 0, end: 0, line: 1, column: 1 };

    /// From here to the end of `last`.
    pub(crate) const fn to(self, last: Self) -> Self {
        Self { end: last.end, ..self }
    }

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.start < self.end
    }
}

/// One complaint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the file that was parsed.
    pub file: String,
    /// What it is about.
    pub span: Span,
    /// What is wrong; one line, without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// One line for a log: `file:line:column: error: message`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Span { line, column, .. } = self.span;
        let severity = self.severity.as_str();
        format!("{}:{line}:{column}: {severity}: {}", self.file, self.message)
    }

    /// Several lines for a person: message, place, the line itself with carets, help.
    ///
    /// `text` is what was parsed; the result ends in a line feed.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let number = self.span.line.to_string();
        let margin = " ".repeat(number.len());
        let source = format!("{number} | {}", source_line(text, self.span));
        let source = source.trim_end();
        let carets = "^".repeat(caret_count(text, self.span));
        let indent = " ".repeat(to_usize(self.span.column).saturating_sub(1));
        let mut out = String::new();
        // Writing to a String cannot fail.
        let written = write!(
            out,
            "{severity}: {message}\n\
             {margin}--> {file}:{number}:{column}\n\
             {margin} |\n\
             {source}\n\
             {margin} | {indent}{carets}\n",
            severity = self.severity.as_str(),
            message = self.message,
            file = self.file,
            column = self.span.column,
        )
        .and_then(|()| match &self.help {
            Some(help) => writeln!(out, "{margin} = help: {help}"),
            None => Ok(()),
        });
        debug_assert!(written.is_ok(), "a String takes everything");
        out
    }
}

/// All of `diagnostics` as [`Diagnostic::render`] shows them, an empty line between two.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], text: &str) -> String {
    let rendered: Vec<String> =
        diagnostics.iter().map(|diagnostic| diagnostic.render(text)).collect();
    rendered.join("\n")
}

/// The line that `span` starts in, fit for a terminal and without passwords.
fn source_line(text: &str, span: Span) -> String {
    let line = text.lines().nth(to_usize(span.line).saturating_sub(1)).unwrap_or("");
    let shown: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    mask_password(&shown)
}

/// Replaces what follows `auth_pass`, or a word that may be a mistyped `auth_pass`.
fn mask_password(line: &str) -> String {
    // Only ASCII changes its case here, so offsets stay valid.
    let lower = line.to_ascii_lowercase();
    let Some(found) = ["pas", "auth_p"].iter().filter_map(|part| lower.find(part)).min() else {
        return line.to_owned();
    };
    let (before, rest) = line.split_at(found);
    let word_end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (word, secret) = rest.split_at(word_end);
    let masked: String = secret
        .chars()
        .map(|c| if c.is_whitespace() || matches!(c, '{' | '}') { c } else { '*' })
        .collect();
    format!("{before}{word}{masked}")
}

/// As many as the span has characters in its first line; at least one.
fn caret_count(text: &str, span: Span) -> usize {
    let inside = text.get(span.start..span.end).unwrap_or("");
    inside.lines().next().map_or(1, |line| line.chars().count().max(1))
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Collects complaints while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    diagnostics: Vec<Diagnostic>,
}

impl Sink {
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Error, span, message.into(), None);
    }

    pub(crate) fn error_help(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, span, message.into(), Some(help.into()));
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Warning, span, message.into(), None);
    }

    pub(crate) fn warning_help(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Warning, span, message.into(), Some(help.into()));
    }

    fn push(&mut self, severity: Severity, span: Span, message: String, help: Option<String>) {
        // The file is filled in at the end.
        let file = String::new();
        self.diagnostics.push(Diagnostic { severity, file, span, message, help });
    }

    /// Whether something inside `range` is an error.
    pub(crate) fn has_error_in(&self, range: Span) -> bool {
        self.diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error && range.contains(found.span))
    }

    /// Whether there is an error at all.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// In the order of the file.
    pub(crate) fn into_sorted(mut self, file: &str) -> Vec<Diagnostic> {
        for diagnostic in &mut self.diagnostics {
            file.clone_into(&mut diagnostic.file);
        }
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        self.diagnostics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(mask_password("  auth_pass s3cr3t # x"), "  auth_pass ****** * *");
        assert_eq!(mask_password("a { auth_pas s } "), "a { auth_pas * } ");
        assert_eq!(mask_password("auth_psas s"), "auth_psas *");
        assert_eq!(mask_password("priority 1"), "priority 1");
        assert_eq!(mask_password("{ auth_pass é }"), "{ auth_pass * }");
        assert_eq!(mask_password("auth_type PASS"), "auth_type PASS");
    }

    #[test]
    fn carets_are_under_the_span() {
        let text = "a\n\tpriörity 300\n";
        let span = Span { start: 13, end: 16, line: 2, column: 11 };
        let found = Diagnostic {
            severity: Severity::Error,
            file: "f".to_owned(),
            span,
            message: "too big".to_owned(),
            help: Some("smaller".to_owned()),
        };
        let expected = "error: too big\n --> f:2:11\n  |\n2 |  priörity 300\n  |           ^^^\n  = help: smaller\n";
        assert_eq!(found.render(text), expected);
        assert_eq!(found.to_line(), "f:2:11: error: too big");
    }
}
