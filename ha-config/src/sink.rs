//! Collects complaints while files are read, and knows these files.

use core::ops::Range;
use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use crate::diagnostic::{Counts, Diagnostic, Place, Severity, Span, mask_glued, mask_password};

/// More of a severity are counted only: nobody reads them, and noise must not fill the memory.
const COMPLAINTS_MAX: u32 = 1000;
/// Longer lines are shown in part.
const EXCERPT_CHARS_MAX: usize = 300;
/// So much of it is before the place in question.
const EXCERPT_CHARS_BEFORE: usize = 100;
/// Of longer messages the middle is left out: they quote words of any length.
const MESSAGE_CHARS_MAX: usize = 300;

#[derive(Debug, Default)]
pub(crate) struct Sink {
    files: Vec<File>,
    complaints: Vec<Complaint>,
    /// The places and messages of these: a sequence repeats what is wrong in its line, which is said
    /// once.
    said: BTreeSet<(u32, u32, u32, String)>,
    /// Where the errors are, also those that are not kept.
    errors: BTreeSet<u32>,
    /// Also those beyond [`COMPLAINTS_MAX`].
    counts: Counts,
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

    pub(crate) fn error(&mut self, span: Span, message: impl AsRef<str>) {
        self.push(Severity::Error, span, message.as_ref(), None);
    }

    pub(crate) fn error_help(
        &mut self,
        span: Span,
        message: impl AsRef<str>,
        help: impl AsRef<str>,
    ) {
        self.push(Severity::Error, span, message.as_ref(), Some(help.as_ref()));
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl AsRef<str>) {
        self.push(Severity::Warning, span, message.as_ref(), None);
    }

    pub(crate) fn warning_help(
        &mut self,
        span: Span,
        message: impl AsRef<str>,
        help: impl AsRef<str>,
    ) {
        self.push(Severity::Warning, span, message.as_ref(), Some(help.as_ref()));
    }

    pub(crate) fn push(
        &mut self,
        severity: Severity,
        span: Span,
        message: &str,
        help: Option<&str>,
    ) {
        if severity == Severity::Error {
            self.errors.insert(span.at);
        }
        let count = self.counts.of_mut(severity);
        if *count < COMPLAINTS_MAX {
            let message = readable(message);
            if !self.said.insert((span.file, span.start, span.end, message.clone())) {
                return;
            }
            let help = help.map(readable);
            self.complaints.push(Complaint { severity, span, message, help });
        }
        *count = count.saturating_add(1);
    }

    /// Whether what is said now is counted only, so that no help need be looked for.
    pub(crate) const fn is_full(&self, severity: Severity) -> bool {
        self.counts.of(severity) >= COMPLAINTS_MAX
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

    /// How far from the beginning of its line `span` begins, in bytes.
    pub(crate) fn indent(&self, span: Span) -> usize {
        let text = self.file(span).map_or("", |file| &*file.text);
        let before = text.get(..to_usize(span.start)).unwrap_or("");
        before.len().saturating_sub(before.rfind('\n').map_or(0, |end| end.saturating_add(1)))
    }

    /// In the order in which everything was read, and how many there are in all.
    pub(crate) fn into_sorted(mut self) -> (Vec<Diagnostic>, Counts) {
        let mut complaints = core::mem::take(&mut self.complaints);
        complaints.sort_by_key(|complaint| complaint.span.at);
        let sorted = complaints.into_iter().map(|complaint| self.finish(complaint)).collect();
        (sorted, self.counts)
    }

    fn finish(&self, complaint: Complaint) -> Diagnostic {
        let Complaint { severity, span, message, help } = complaint;
        let file = self.file(span);
        let text = file.map_or("", |file| &*file.text);
        let Excerpt { column, width, skipped, shown } =
            excerpt(text, to_usize(span.start)..to_usize(span.end));
        Diagnostic {
            severity,
            file: file.map_or_else(|| "".into(), |file| Arc::clone(&file.name)),
            line: span.line,
            column: to_u32(column),
            width: to_u32(width),
            excerpt: shown,
            skipped: to_u32(skipped),
            message,
            help,
        }
    }

    fn file(&self, span: Span) -> Option<&File> {
        self.files.get(to_usize(span.file))
    }
}

#[derive(Debug, Eq, PartialEq)]
struct Excerpt {
    column: usize,
    width: usize,
    skipped: usize,
    shown: String,
}

/// The line of `text` that `range` begins in, as a [`Diagnostic`] has it.
fn excerpt(text: &str, range: Range<usize>) -> Excerpt {
    let before = text.get(..range.start).unwrap_or("");
    let begin = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let line = first_line(text.get(begin..).unwrap_or(""));
    let before = without_mark(before.get(begin..).unwrap_or("")).chars().count();
    let width = first_line(text.get(range).unwrap_or("")).chars().count().max(1);

    let skipped = before.saturating_sub(EXCERPT_CHARS_BEFORE);
    let end = skipped.saturating_add(EXCERPT_CHARS_MAX);
    // From its beginning, since that says whether a password follows.
    let mut characters = line.chars();
    let known: String = characters.by_ref().take(end).map(printable).collect();
    let mut shown: Vec<char> = mask_password(&known).chars().skip(skipped).collect();
    if let Some(first) = shown.first_mut().filter(|_| skipped > 0) {
        *first = '…';
    }
    if let Some(last) = shown.last_mut().filter(|_| characters.next().is_some()) {
        *last = '…';
    }
    let shown = shown.into_iter().collect();
    Excerpt { column: before.saturating_add(1), width, skipped, shown }
}

fn first_line(text: &str) -> &str {
    without_mark(text.lines().next().unwrap_or(""))
}

/// A byte order mark is no part of a line.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// A message that quotes the file, fit to be shown.
fn readable(message: &str) -> String {
    let message = mask_glued(message);
    if message.chars().nth(MESSAGE_CHARS_MAX).is_none() {
        return message.chars().map(printable).collect();
    }
    let half = MESSAGE_CHARS_MAX / 2;
    let first = message.chars().take(half);
    let mut last: Vec<char> = message.chars().rev().take(half - 1).collect();
    last.reverse();
    first.chain(['…']).chain(last).map(printable).collect()
}

/// Nothing of a file may steer a terminal, or end a line of the log.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
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

    #[track_caller]
    fn check(text: &str, range: Range<usize>, shown: &str, column: usize, width: usize) {
        let expected = Excerpt { column, width, skipped: 0, shown: shown.to_owned() };
        assert_eq!(excerpt(text, range), expected);
    }

    #[test]
    fn columns_are_characters_of_the_line() {
        let text = "\u{feff}a\n\tpriörity 300\r\n";
        let at = text.find('3').unwrap();
        check(text, at..at + 3, " priörity 300", 11, 3);
        check(text, 3..4, "a", 1, 1);
        check("", 0..0, "", 1, 1);
        check("a \u{1b}[1m\u{9b}1m b\rc", 2..3, "a \u{fffd}[1m\u{fffd}1m b\u{fffd}c", 3, 1);
    }

    #[test]
    fn of_a_long_line_the_part_in_question_is_shown() {
        let text = format!("{}here{}", "é".repeat(500), "z".repeat(500));
        let at = text.find("here").unwrap();
        let Excerpt { column, width, skipped, shown } = excerpt(&text, at..at + 4);
        assert_eq!((column, width, skipped), (501, 4, 400));
        assert_eq!(shown, format!("…{}here{}…", "é".repeat(99), "z".repeat(195)));
        let secret = format!("auth_pass {}", "s".repeat(1000));
        let shown = excerpt(&secret, 900..901).shown;
        assert_eq!(shown, format!("…{}", "*".repeat(209)));
    }

    #[test]
    fn long_words_are_cut_in_messages() {
        let same = "é".repeat(300);
        assert_eq!(readable(&same), same);
        let long = format!("unknown `{}` here\n", "é".repeat(60_000));
        let expected = format!("unknown `{}…{}` here\u{fffd}", "é".repeat(141), "é".repeat(142));
        assert_eq!(readable(&long), expected);
    }

    #[test]
    fn what_is_not_kept_counts() {
        let mut sink = Sink::default();
        for at in 0..2000 {
            let here = Span { at, until: at + 1, start: at, ..Span::START };
            sink.warning(here, "w");
            // The same again, as a sequence has it.
            sink.warning(Span { at: at + 1, ..here }, if at < 9 { "w" } else { "v" });
        }
        // Warnings, be they ever so many, hide no error.
        sink.error(Span { at: 7, until: 8, ..Span::START }, "e\n\u{1b}");
        assert!(sink.has_error_in(Span { at: 5, until: 8, ..Span::START }));
        assert!(!sink.has_error_in(Span { at: 5, until: 7, ..Span::START }));
        let (sorted, counts) = sink.into_sorted();
        assert_eq!(counts, Counts { errors: 1, warnings: 3991 });
        assert_eq!(sorted.len(), 1001);
        let error = sorted.iter().find(|one| one.severity == Severity::Error).unwrap();
        assert_eq!(error.message, "e\u{fffd}\u{fffd}");
    }
}
