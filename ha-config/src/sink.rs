//! Collects complaints while files are read, and knows these files.

use core::ops::Range;
use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use crate::diagnostic::{Diagnostic, Place, Severity, Span, mask_password};

/// More are counted only: nobody reads them, and noise must not fill the memory.
const COMPLAINTS_MAX: usize = 1000;
/// Longer lines are shown in part.
const EXCERPT_CHARS_MAX: usize = 300;

#[derive(Debug, Default)]
pub(crate) struct Sink {
    files: Vec<File>,
    complaints: Vec<Complaint>,
    /// Where the errors are, also those that are not kept.
    errors: BTreeSet<u32>,
    /// Errors and warnings beyond [`COMPLAINTS_MAX`].
    left_out: [u32; 2],
}

#[derive(Debug)]
struct File {
    name: Arc<str>,
    text: Rc<str>,
}

#[derive(Debug)]
struct Complaint {
    severity: Severity,
    span: Span,
    message: String,
    help: Option<String>,
}

impl Sink {
    /// The number of the file in spans.
    pub(crate) fn add_file(&mut self, name: &str, text: Rc<str>) -> u32 {
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(File { name: name.into(), text });
        number
    }

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

    pub(crate) fn push(
        &mut self,
        severity: Severity,
        span: Span,
        message: String,
        help: Option<String>,
    ) {
        let [errors, warnings] = &mut self.left_out;
        let left_out = match severity {
            Severity::Error => {
                self.errors.insert(span.at);
                errors
            }
            Severity::Warning => warnings,
        };
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(Complaint { severity, span, message, help });
        } else {
            *left_out = left_out.saturating_add(1);
        }
    }

    /// Whether what is said now is counted only, so that no help need be looked for.
    pub(crate) const fn is_full(&self) -> bool {
        self.complaints.len() >= COMPLAINTS_MAX
    }

    /// Whether something inside `range` is an error.
    pub(crate) fn has_error_in(&self, range: Span) -> bool {
        self.errors.range(range.at..range.until).next().is_some()
    }

    /// Whether there is an error at all.
    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Where `span` is, for later complaints and for other lines' complaints.
    pub(crate) fn place(&self, span: Span) -> Place {
        let included = (span.file != 0).then(|| self.file(span)).flatten();
        Place { file: included.map(|file| Arc::clone(&file.name)), line: span.line }
    }

    /// In the order in which everything was read.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        let mut complaints = core::mem::take(&mut self.complaints);
        complaints.sort_by_key(|complaint| complaint.span.at);
        let mut sorted: Vec<Diagnostic> =
            complaints.into_iter().map(|complaint| self.finish(complaint)).collect();
        let [errors, warnings] = self.left_out;
        if errors > 0 || warnings > 0 {
            let severity = if errors > 0 { Severity::Error } else { Severity::Warning };
            let message = format!("{errors} more errors and {warnings} more warnings");
            let help = Some("they are not shown: correct the first ones".to_owned());
            sorted.push(self.finish(Complaint { severity, span: Span::START, message, help }));
        }
        sorted
    }

    fn finish(&self, complaint: Complaint) -> Diagnostic {
        let Complaint { severity, span, message, help } = complaint;
        let file = self.file(span);
        let text = file.map_or("", |file| &*file.text);
        let (excerpt, columns) = excerpt(text, to_usize(span.start)..to_usize(span.end));
        Diagnostic {
            severity,
            file: file.map_or_else(|| "".into(), |file| Arc::clone(&file.name)),
            line: span.line,
            column: to_u32(columns.start),
            width: to_u32(columns.len().max(1)),
            excerpt: mask_password(&excerpt),
            message,
            help,
        }
    }

    fn file(&self, span: Span) -> Option<&File> {
        self.files.get(to_usize(span.file))
    }
}

/// The line of `text` that `range` begins in, and the columns of the range in it, from 1.
fn excerpt(text: &str, range: Range<usize>) -> (String, Range<usize>) {
    let before = text.get(..range.start).unwrap_or("");
    let begin = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let line = text.get(begin..).unwrap_or("").lines().next().unwrap_or("");
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let column = text
        .get(begin..range.start)
        .map_or(0, |before| before.strip_prefix('\u{feff}').unwrap_or(before).chars().count());
    let inside = text.get(range).unwrap_or("").lines().next().unwrap_or("");
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = line.chars().take(EXCERPT_CHARS_MAX).map(printable).collect();
    if line.chars().nth(EXCERPT_CHARS_MAX).is_some() {
        shown.push('…');
    }
    let column = column.min(EXCERPT_CHARS_MAX);
    let width = inside.chars().count().min(EXCERPT_CHARS_MAX.saturating_sub(column));
    let first = column.saturating_add(1);
    (shown, first..first.saturating_add(width))
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_of_the_line() {
        let text = "\u{feff}a\n\tpriörity 300\r\n";
        let at = text.find('3').unwrap();
        assert_eq!(excerpt(text, at..at + 3), (" priörity 300".to_owned(), 11..14));
        assert_eq!(excerpt(text, 3..4), ("a".to_owned(), 1..2));
        assert_eq!(excerpt("", 0..0), (String::new(), 1..1));
        let long = "x".repeat(2000);
        let (shown, columns) = excerpt(&long, 1990..2000);
        assert_eq!((shown.chars().count(), columns), (301, 301..301));
    }

    #[test]
    fn what_is_not_kept_counts() {
        let mut sink = Sink::default();
        for at in 0..2000 {
            sink.warning(Span { at, until: at + 1, ..Span::START }, "w");
        }
        sink.error(Span { at: 7, until: 8, ..Span::START }, "e");
        assert!(sink.has_error_in(Span { at: 5, until: 8, ..Span::START }));
        assert!(!sink.has_error_in(Span { at: 5, until: 7, ..Span::START }));
        let sorted = sink.into_sorted();
        assert_eq!(sorted.len(), 1001);
        let last = sorted.last().unwrap();
        assert_eq!(last.message, "1 more errors and 1000 more warnings");
        assert_eq!(last.severity, Severity::Error);
    }
}
