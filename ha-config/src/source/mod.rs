//! Files to words: everything that keepalived.conf(5) calls advanced. Included files, conditions,
//! definitions and sequences are resolved here; what comes out are the words of plain lines, each
//! of which knows where it is from.
//!
//! Knows no keyword but `include` and `include_check`. Whatever a file says, the work and what is
//! kept of it have a limit.

mod expand;
mod host;
mod include;
mod line;
mod sequence;
mod text;

use core::ops::Range;
use std::{collections::BTreeMap, rc::Rc};

pub use self::host::Host;
pub(crate) use self::host::Nowhere;
pub(crate) use self::line::Line;
use self::{expand::Definition, include::Checks, sequence::Unfinished};
use crate::{
    diagnostic::Span,
    lexer::{self, Lexer, Token},
    sink::Sink,
    white::{is_white, trim, trim_end, trim_start},
};

/// All files together, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// keepalived's samples have lines of a few hundred bytes.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Definitions that use definitions, and conditions and sequences before each other.
const DEPTH_MAX: usize = 32;

/// What a few lines could otherwise make without end.
struct Limits {
    words: usize,
    /// Bytes that substitutions make, each with [`STEP_BYTES`] in addition.
    work: usize,
}

/// The largest example of the manual makes 65,024 instances: 1.8 million words by 2.3 million
/// substitutions and lines.
const LIMITS: Limits = Limits { words: 2 << 20, work: 256 << 20 };
const STEP_BYTES: usize = 64;

/// The words of the file `name`, which has `text`, and of the files that it includes.
pub(crate) fn read(name: &str, text: &str, host: &dyn Host, sink: &mut Sink) -> Vec<Token> {
    read_limited(name, text, host, sink, LIMITS)
}

fn read_limited(
    name: &str,
    text: &str,
    host: &dyn Host,
    sink: &mut Sink,
    limits: Limits,
) -> Vec<Token> {
    let mut reader = Reader {
        host,
        sink,
        lexer: Lexer::default(),
        row: 0,
        definitions: BTreeMap::new(),
        active: Vec::new(),
        open: Vec::new(),
        files: 0,
        bytes_left: BYTES_MAX,
        limits,
        is_full: false,
        random: host.seed(),
    };
    let directory = host.directory().to_owned();
    let own_name = name.rsplit('/').next().unwrap_or(name);
    let path = include::join(&directory, own_name);
    reader.file(name, text, path, directory);
    reader.lexer.into_tokens()
}

struct Reader<'a> {
    host: &'a dyn Host,
    sink: &'a mut Sink,
    lexer: Lexer,
    /// Lines that had words, counted.
    row: u32,
    definitions: BTreeMap<String, Rc<Definition>>,
    /// Definitions of several lines that are being read.
    active: Vec<String>,
    /// Files that are being read, the innermost last.
    open: Vec<File>,
    /// How many were read.
    files: usize,
    bytes_left: usize,
    /// What is left of the work, and how many words there may be.
    limits: Limits,
    /// A limit was reached and reported.
    is_full: bool,
    /// State of the generator behind `${_RANDOM}`.
    random: u64,
}

struct File {
    path: String,
    directory: String,
    checks: Checks,
}

impl Reader<'_> {
    /// `directory`: where it is, for what it includes.
    fn file(&mut self, name: &str, text: &str, path: String, directory: String) {
        let text: Rc<str> = text.into();
        let number = self.sink.add_file(name, Rc::clone(&text));
        self.files = self.files.saturating_add(1);
        let first = Checks::of_host(self.host);
        let checks = self.open.last().map_or(first, |file| file.checks);
        self.open.push(File { path, directory, checks });
        if text.len() > self.bytes_left {
            let start = Line::new("", number, 1, 0);
            self.limit(&start, format!("the configuration is larger than {BYTES_MAX} bytes"));
        } else {
            self.bytes_left = self.bytes_left.saturating_sub(text.len());
            self.lines(&text, number);
        }
        self.open.pop();
    }

    fn lines(&mut self, text: &str, file: u32) {
        let mut number: u32 = 0;
        let mut offset: usize = 0;
        let mut gathered: Option<Gathered> = None;
        for raw in text.split_inclusive('\n') {
            if self.is_full {
                return;
            }
            number = number.saturating_add(1);
            let mut content = trim_end(raw);
            let mut start = offset;
            offset = offset.saturating_add(raw.len());
            if start == 0
                && let Some(rest) = content.strip_prefix('\u{feff}')
            {
                start = content.len().saturating_sub(rest.len());
                content = rest;
            }
            if gathered.is_none() && trim_start(content).is_empty() {
                continue;
            }
            if content.len() > LINE_BYTES_MAX || content.contains('\0') {
                let line = Line::new(content.get(..1).unwrap_or(""), file, number, start);
                self.unreadable(content, &line);
                continue;
            }
            let continued = content
                .strip_suffix('\\')
                .filter(|before| gathered.is_some() || !is_part_of_word(before));
            let line = self.uncommented(continued.unwrap_or(content), file, number, start);
            if let Some(open) = &mut gathered {
                open.lines.push(trim(line.text()).to_owned());
                if continued.is_none()
                    && let Some(whole) = gathered.take()
                {
                    self.gathered(whole);
                }
            } else if continued.is_some() && begins_definition(line.text()) {
                gathered = Some(Gathered { head: line, lines: Vec::new() });
            } else {
                if continued.is_some() && text::outline(content).comment.is_none() {
                    let end = content.len().saturating_sub(1);
                    let mark = Line::new("\\", file, number, start.saturating_add(end));
                    let span = self.span(&mark, 0..1);
                    let help = "write the line in one piece";
                    self.sink.error_help(span, lexer::LONE_BACKSLASH, help);
                }
                self.line(line, 0);
            }
        }
        if let Some(whole) = gathered {
            self.gathered(whole);
        }
    }

    fn unreadable(&mut self, content: &str, line: &Line) {
        let span = self.span(line, 0..1);
        if content.len() > LINE_BYTES_MAX {
            let message = format!("a line of more than {LINE_BYTES_MAX} bytes: ignored");
            self.sink.error(span, message);
        } else {
            let message = "a line with a NUL character: nothing of it is read";
            let help = "remove the character; keepalived reads what is before it";
            self.sink.error_help(span, message, help);
        }
    }

    /// Without its comment and the white space around it.
    fn uncommented(&mut self, content: &str, file: u32, number: u32, offset: usize) -> Line {
        let indent = content.len().saturating_sub(trim_start(content).len());
        let text::Outline { comment, is_open } = text::outline(content);
        let code = content.get(indent..comment.unwrap_or(content.len())).unwrap_or("");
        if let Some(comment) = comment
            && code.ends_with(|c: char| !is_white(c) && !matches!(c, '{' | '}'))
            // A pasted `[user@host ~]# command` is complained of as a keyword.
            && !code.starts_with('[')
        {
            let mark = Line::new("#", file, number, offset.saturating_add(comment));
            let span = self.span(&mark, 0..1);
            let message = "a comment begins inside a word: the rest of the line is ignored";
            let help = "put the word into quotes if this character belongs to it";
            self.sink.warning_help(span, message, help);
        }
        // Of an odd number of quotes it is told where the words are; in a command, a backslash counts there too.
        if is_open && !text::is_command(code) && code.matches('"').count() % 2 == 0 {
            let mark = Line::new(trim_end(code), file, number, offset.saturating_add(indent));
            let span = self.span(&mark, 0..mark.text().len());
            let message = "unterminated quote \": the one after a `\\` ends no string";
            let help =
                "leave the quotes out if the `\\` belongs to the word, else leave out the `\\`";
            self.sink.error_help(span, message, help);
        }
        Line::new(trim_end(code), file, number, offset.saturating_add(indent))
    }

    /// A line without a comment; `depth` definitions and sequences led to it.
    fn line(&mut self, mut line: Line, depth: usize) {
        if depth > DEPTH_MAX {
            self.limit(
                &line,
                format!("more than {DEPTH_MAX} definitions or sequences inside each other"),
            );
        }
        for _ in 0..DEPTH_MAX {
            if self.is_full || trim_start(line.text()).is_empty() {
                return;
            }
            let indent = line.text().len().saturating_sub(trim_start(line.text()).len());
            if indent > 0 {
                line = line.after(indent);
            }
            let text = line.text();
            if let Some((id, is_other, start)) = text::condition(text) {
                if id.is_empty() && !is_other || (id == self.host.config_id()) == is_other {
                    return;
                }
                line = line.after(start);
            } else if let Some((name, start)) = text::definition(text) {
                let value = trim(text.get(start..).unwrap_or("")).to_owned();
                let name = name.to_owned();
                self.define(name, vec![value]);
                return;
            } else if let Some(head) = sequence::head(text) {
                self.sequence(&line, head, depth);
                return;
            } else if text.starts_with('$') {
                match self.expand_head(&line) {
                    expand::Head::Unchanged => break,
                    expand::Head::Line(expanded) => line = expanded,
                    expand::Head::Lines(name, lines) => {
                        self.body(&line, name, &lines, depth);
                        return;
                    }
                    expand::Head::Wrong => return,
                }
            } else {
                break;
            }
        }
        self.plain(&line, depth);
    }

    /// Neither condition nor definition nor sequence.
    fn plain(&mut self, line: &Line, depth: usize) {
        let Some((expanded, rest)) = self.expand(line, false) else { return };
        if expanded.text().len() > LINE_BYTES_MAX {
            let message = format!("definitions make a line of more than {LINE_BYTES_MAX} bytes");
            let span = self.span(line, 0..line.text().len());
            self.sink.error(span, message);
            return;
        }
        self.words(&expanded);
        if let Some((name, lines)) = rest {
            self.body(line, name, &lines, depth);
        }
    }

    /// The words of a line, up to an `include` at its beginning or after a brace.
    fn words(&mut self, line: &Line) {
        if self.is_full {
            return;
        }
        let words_max = self.limits.words;
        if self.lexer.tokens().len() >= words_max {
            self.limit(line, format!("the configuration has more than {words_max} words"));
            return;
        }
        let include = include::find(line.text());
        let mut code = line.emptied();
        code.push_part(line, 0..include.unwrap_or(line.text().len()));
        let before = self.lexer.tokens().len();
        self.row = self.row.saturating_add(1);
        self.lexer.read(&code, self.row, self.sink);
        self.note_include_check(before);
        if let Some(start) = include {
            self.include(&line.after(start));
        }
    }

    /// The lines of the definition `name`, in the place of `used`.
    fn body(&mut self, used: &Line, name: String, lines: &[String], depth: usize) {
        self.active.push(name);
        for text in lines {
            self.work(used, text.len());
            self.line(used.replaced_by(text), depth.saturating_add(1));
        }
        self.active.pop();
    }

    fn sequence(&mut self, line: &Line, head: Result<sequence::Head, Unfinished>, depth: usize) {
        let span = self.span(line, 0..line.text().len());
        let Ok(head) = head else {
            self.sink.error(span, "a sequence has its values in parentheses: `~SEQ(..)`");
            return;
        };
        let mut arguments = line.emptied();
        arguments.push_part(line, head.arguments.clone());
        let Some((arguments, _)) = self.expand(&arguments, true) else { return };
        let sequence = match head.read(arguments.text()) {
            Ok(sequence) => sequence,
            Err(wrong) => {
                self.sink.error(span, format!("this sequence cannot be read: {wrong}"));
                return;
            }
        };
        let rest = line.after(head.end);
        if include::find(rest.text()).is_some() {
            let message =
                "each file is read with its own value here; keepalived reads all with the last one";
            let help = "to keep both the same, write the `include` lines one by one";
            self.sink.warning_help(span, message, help);
        }
        for round in sequence.rounds() {
            if self.is_full {
                return;
            }
            for (name, value) in round {
                self.define(name.to_owned(), vec![value]);
            }
            self.work(line, rest.text().len());
            self.line(rest.clone(), depth.saturating_add(1));
        }
    }

    fn define(&mut self, name: String, lines: Vec<String>) {
        self.definitions.insert(name, Rc::new(Definition { lines }));
    }

    fn gathered(&mut self, whole: Gathered) {
        let mut line = whole.head;
        while let Some((id, is_other, start)) = text::condition(line.text()) {
            if id.is_empty() && !is_other || (id == self.host.config_id()) == is_other {
                return;
            }
            let rest = line.after(start);
            line = rest.after(rest.text().len().saturating_sub(trim_start(rest.text()).len()));
        }
        if let Some((name, start)) = text::definition(line.text()) {
            let first = trim(line.text().get(start..).unwrap_or("")).to_owned();
            let mut lines = vec![first];
            lines.extend(whole.lines.into_iter().filter(|line| !line.is_empty()));
            self.define(name.to_owned(), lines);
        }
    }

    /// Counts a step that makes `bytes`.
    fn work(&mut self, line: &Line, bytes: usize) {
        match self.limits.work.checked_sub(bytes.saturating_add(STEP_BYTES)) {
            Some(left) => self.limits.work = left,
            None => self.limit(line, "definitions and sequences make too much of it".to_owned()),
        }
    }

    /// Ends the reading.
    fn limit(&mut self, line: &Line, message: String) {
        if !self.is_full {
            self.is_full = true;
            let span = self.span(line, 0..line.text().len());
            self.sink.error_help(span, message, "nothing is read from here on");
        }
    }

    /// The span of a complaint about a line, which comes before its words.
    fn span(&self, line: &Line, range: Range<usize>) -> Span {
        let at = lexer::before(self.lexer.tokens().len());
        line.span(range, at..at.saturating_add(1))
    }
}

/// A definition of several lines, before its end.
struct Gathered {
    /// With what is before its value.
    head: Line,
    lines: Vec<String>,
}

/// Whether a `\` after `before`, at the end of a line, belongs to its last word, as in keepalived. It
/// continues a definition; after white space, or in a command, it is one that was meant to go on.
fn is_part_of_word(before: &str) -> bool {
    let text = trim_start(before);
    let is_apart = text.is_empty() || text.ends_with(is_white);
    !is_apart && !begins_definition(text) && !text::is_command(text)
}

/// Whether `text` is a definition, perhaps after conditions.
fn begins_definition(text: &str) -> bool {
    let mut text = text;
    while let Some((_, _, start)) = text::condition(text) {
        text = trim_start(text.get(start..).unwrap_or(""));
    }
    text::definition(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Limits = Limits { words: 1000, work: 1000 * STEP_BYTES };

    /// What is said of a text that asks for more than [`FEW`].
    #[track_caller]
    fn check(text: &str, complaint: &str) {
        let mut sink = Sink::default();
        let tokens = read_limited("f", text, &Nowhere, &mut sink, FEW);
        let (found, _) = sink.into_sorted();
        let last = found.iter().rfind(|one| one.help.is_some()).unwrap();
        assert!(last.message.contains(complaint), "{}", last.message);
        assert_eq!(last.help.as_deref(), Some("nothing is read from here on"));
        assert!(tokens.len() <= 1002);
    }

    /// Each level is twice the one before.
    fn doubled(first: &str, level: &str) -> String {
        let levels = (1..30)
            .map(|n| level.replace("NEW", &format!("A{n}")).replace("OLD", &format!("A{}", n - 1)));
        format!("$A0={first}\n{}", levels.collect::<String>())
    }

    #[test]
    fn a_few_lines_cannot_stand_for_hours() {
        let nothing = doubled("", "$NEW=${OLD}${OLD}\n");
        check(&format!("{nothing}x${{A29}}\n"), "too much of it");
        let lines = doubled("x", "$NEW= \\\n$OLD \\\n$OLD\n");
        check(&format!("{lines}$A29\n"), "too much of it");
        check("~SEQ(i,1,4000000000) ~SEQ(j,1,4000000000) x${i}\n", "too much of it");
        check("~SEQ(i,1,4000000000)\n", "too much of it");
        check(&"x\n".repeat(2000), "more than 1000 words");
        check(&format!("{}x\n", "~SEQ(i,1,2) ".repeat(40)), "inside each other");
        check(&" ".repeat(BYTES_MAX + 1), "larger than 67108864 bytes");
    }
}
