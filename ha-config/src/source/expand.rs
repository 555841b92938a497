//! `$NAME` and `${NAME}`: what stands for them.

use std::rc::Rc;

use super::{DEPTH_MAX, LINE_BYTES_MAX, Reader, line::Line, text};
use crate::{
    diagnostic::Severity,
    suggest,
    white::{is_white, trim},
};

/// What `$NAME=` gave.
#[derive(Debug)]
pub(super) struct Definition {
    /// One at least.
    pub(super) lines: Vec<String>,
}

/// Lines of a definition that are still to be read, and its name.
type Rest = Option<(String, Vec<String>)>;

/// What became of a reference at the beginning of a line.
pub(super) enum Head {
    /// It is none.
    Unchanged,
    Line(Line),
    /// It has several lines, and its name.
    Lines(String, Vec<String>),
    /// Reported.
    Wrong,
}

/// What a reference stands for.
enum Value {
    Text(String, Rest),
    /// For itself: nobody defined it.
    Itself,
    /// Reported.
    Wrong,
}

/// What is around a reference.
#[derive(Clone, Copy)]
struct Context<'a> {
    /// What follows the text that is being expanded.
    after: &'a str,
    /// Whether `$NAME` may be followed by anything.
    loose: bool,
    depth: usize,
    /// For complaints.
    used: &'a Line,
}

impl Reader<'_> {
    /// Replaces a reference at the beginning of `line`, once: what it stands for may be a condition
    /// or a definition.
    pub(super) fn expand_head(&mut self, line: &Line) -> Head {
        let text = line.text();
        let Some(reference) = text::reference(text, 0).filter(|found| found.range.start == 0)
        else {
            return Head::Unchanged;
        };
        let Some(definition) = self.definitions.get(reference.name).map(Rc::clone) else {
            return Head::Unchanged;
        };
        let after = text.get(reference.range.end..).unwrap_or("");
        if reference.is_bare && after.starts_with(|c: char| !is_white(c)) {
            return Head::Unchanged;
        }
        let name = reference.name.to_owned();
        self.work(line, line.text().len());
        if !self.check_cycle(line, &name) {
            return Head::Wrong;
        }
        match definition.lines.as_slice() {
            [value] => {
                if value.len().saturating_add(text.len()) > LINE_BYTES_MAX {
                    self.too_long(line);
                    return Head::Wrong;
                }
                let end = reference.range.end;
                let mut expanded = line.emptied();
                expanded.push_for(value, line, reference.range);
                expanded.push_part(line, end..text.len());
                Head::Line(expanded)
            }
            lines if trim(after).is_empty() => Head::Lines(name, lines.to_vec()),
            _ => {
                self.several_lines(line, &name);
                Head::Wrong
            }
        }
    }

    /// Replaces every reference in `line`; the second: the lines after the first of the definition
    /// at its end. `loose`: `$NAME` may be followed by anything.
    pub(super) fn expand(&mut self, line: &Line, loose: bool) -> Option<(Line, Rest)> {
        let text = line.text();
        if !text.contains('$') {
            return Some((line.clone(), None));
        }
        let mut expanded = line.emptied();
        let mut rest = None;
        let mut from: usize = 0;
        while let Some(reference) = text::reference(text, from) {
            let after = text.get(reference.range.end..).unwrap_or("");
            let context = Context { after, loose, depth: 0, used: line };
            expanded.push_part(line, from..reference.range.start);
            from = reference.range.end;
            match self.value(&reference, context) {
                Value::Text(value, lines) => {
                    expanded.push_for(&value, line, reference.range);
                    rest = rest.or(lines);
                }
                Value::Itself => {
                    self.note_undefined(line, &reference);
                    expanded.push_part(line, reference.range);
                }
                Value::Wrong => return None,
            }
            if expanded.text().len() > LINE_BYTES_MAX {
                self.too_long(line);
                return None;
            }
        }
        expanded.push_part(line, from..text.len());
        Some((expanded, rest))
    }

    fn value(&mut self, reference: &text::Reference<'_>, context: Context<'_>) -> Value {
        let is_cut = context.after.starts_with(|c: char| !is_white(c));
        if reference.is_bare && is_cut && !context.loose {
            return Value::Itself;
        }
        let (name, used) = (reference.name, context.used);
        let Some(definition) = self.definitions.get(name).map(Rc::clone) else {
            return self.predefined(reference, used);
        };
        let [first, more @ ..] = definition.lines.as_slice() else { return Value::Itself };
        self.work(used, first.len());
        if self.is_full || !self.check_cycle(used, name) {
            return Value::Wrong;
        }
        if context.depth >= DEPTH_MAX {
            let message =
                format!("`${name}` is defined by itself, or by more than {DEPTH_MAX} others");
            self.sink.error(self.span(used, 0..used.text().len()), message);
            return Value::Wrong;
        }
        if !more.is_empty() && !trim(context.after).is_empty() {
            self.several_lines(used, name);
            return Value::Wrong;
        }
        let rest = (!more.is_empty()).then(|| (name.to_owned(), more.to_vec()));
        match self.nested(first, context) {
            // Of two definitions with several lines only one can be at the end.
            Some((value, inner)) => Value::Text(value, rest.or(inner)),
            None => Value::Wrong,
        }
    }

    /// `text`, the value of a definition, with every reference replaced.
    fn nested(&mut self, text: &str, context: Context<'_>) -> Option<(String, Rest)> {
        let mut out = String::new();
        let mut rest = None;
        let mut from: usize = 0;
        while let Some(reference) = text::reference(text, from) {
            out.push_str(text.get(from..reference.range.start).unwrap_or(""));
            from = reference.range.end;
            let own = text.get(from..).unwrap_or("");
            let after = if own.is_empty() { context.after } else { own };
            let depth = context.depth.saturating_add(1);
            match self.value(&reference, Context { after, depth, ..context }) {
                Value::Text(value, lines) => {
                    out.push_str(&value);
                    rest = rest.or(lines);
                }
                Value::Itself => out.push_str(text.get(reference.range).unwrap_or("")),
                Value::Wrong => return None,
            }
            if out.len() > LINE_BYTES_MAX {
                self.too_long(context.used);
                return None;
            }
        }
        out.push_str(text.get(from..).unwrap_or(""));
        Some((out, rest))
    }

    /// What keepalived defines by itself.
    fn predefined(&mut self, reference: &text::Reference<'_>, used: &Line) -> Value {
        let value = match reference.name {
            "_PWD" => self.open.last().map(|file| file.directory.clone()).unwrap_or_default(),
            "_INSTANCE" => self.host.config_id().to_owned(),
            "_HASH" => "#".to_owned(),
            "_BANG" => "!".to_owned(),
            "_RANDOM" => match self.random(reference.arguments, used) {
                Some(number) => number,
                None => return Value::Wrong,
            },
            "_ENV" => {
                let name = reference.arguments;
                let value = self.host.variable(name);
                if value.is_none() {
                    let span = self.span(used, 0..used.text().len());
                    let message = format!("the environment has no `{name}`: it stands for nothing");
                    self.sink.warning(span, message);
                }
                // A line is a line, and what has a NUL is none.
                value.unwrap_or_default().replace(['\n', '\r', '\0'], " ")
            }
            _ => return Value::Itself,
        };
        Value::Text(value, None)
    }

    /// A number of `[MIN [MAX]]`.
    fn random(&mut self, arguments: &str, used: &Line) -> Option<String> {
        let bounds: Option<Vec<u32>> =
            arguments.split_whitespace().map(|word| word.parse().ok()).collect();
        let (least, most) = match bounds.as_deref() {
            Some([]) => (0, 32767),
            Some([least]) => (*least, 32767),
            Some([least, most]) => (*least, *most),
            Some(_) | None => (1, 0),
        };
        let Some(count) = most.checked_sub(least).map(|count| u64::from(count).saturating_add(1))
        else {
            let span = self.span(used, 0..used.text().len());
            let message = "`${_RANDOM MIN MAX}` takes two numbers, the smaller one first";
            self.sink.error(span, message);
            return None;
        };
        // splitmix64 (Vigna 2015): any seed is good.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Some(u64::from(least).saturating_add(mixed.checked_rem(count)?).to_string())
    }

    /// One that is nearly a definition was meant to be one; others are the business of scripts.
    fn note_undefined(&mut self, line: &Line, reference: &text::Reference<'_>) {
        let name = reference.name;
        let is_cut = self.definitions.contains_key(name);
        let names = self.definitions.keys().map(String::as_str);
        let help = if is_cut {
            Some(format!("write `${{{name}}}`, or white space after it"))
        } else if self.sink.is_full(Severity::Warning) || self.definitions.len() > 1000 {
            None
        } else {
            suggest::nearest(name, names).map(|near| format!("did you mean `{near}`?"))
        };
        let span = self.span(line, reference.range.clone());
        let before = line.text().get(..reference.range.start).unwrap_or("");
        let is_word = before.is_empty() || before.ends_with(is_white);
        // A command in quotes may have variables of a shell.
        let is_command = line.text().contains(['"', '\'']);
        if let Some(help) = help {
            let message = format!("`${name}` stands for itself here");
            self.sink.warning_help(span, message, help);
        } else if !is_command && (!reference.is_bare || is_word) {
            // Without the name: it may be a password.
            let message = "nothing defines this `$` word: it stands for itself";
            self.sink.warning_help(span, message, "define it before: `$NAME=value`");
        }
    }

    /// Whether `name` is not one of the definitions whose lines are being read.
    fn check_cycle(&mut self, line: &Line, name: &str) -> bool {
        let is_active = self.active.iter().any(|active| active == name);
        if is_active {
            self.cycle(line, name);
        }
        !is_active
    }

    fn cycle(&mut self, line: &Line, name: &str) {
        let span = self.span(line, 0..line.text().len());
        self.sink.error(span, format!("`${name}` is defined by itself"));
    }

    fn several_lines(&mut self, line: &Line, name: &str) {
        let span = self.span(line, 0..line.text().len());
        let message = format!("`${name}` has several lines: nothing can follow it");
        self.sink.error_help(span, message, "put what follows it into a line of its own");
    }

    fn too_long(&mut self, line: &Line) {
        let span = self.span(line, 0..line.text().len());
        let message = format!("definitions make a line of more than {LINE_BYTES_MAX} bytes");
        self.sink.error(span, message);
    }
}
