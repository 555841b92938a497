//! Text to words: comments, quotes and braces, as keepalived's manual describes them.
//!
//! Knows no keyword but `include`; lines that only a preprocessor could understand come out as
//! [`Kind::Directive`], so that it can be added here without touching what follows.

use std::collections::BTreeSet;

use crate::diagnostic::{Sink, Span};

/// A piece of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A word, without its quotes.
    Word(String),
    /// `{`
    Open,
    /// `}`
    Close,
    /// A line for the preprocessor, to its end.
    Directive(Directive),
}

/// What the preprocessor would do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Directive {
    /// `include FILE` and its variants.
    Include,
    /// `$NAME=value`.
    Definition,
    /// `@ID text`.
    Conditional,
    /// `~SEQ(..)`, `~LST(..)`.
    Sequence,
}

impl Directive {
    /// What the manual calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Include => "`include`",
            Self::Definition => "a `$NAME=value` definition",
            Self::Conditional => "a conditional `@` line",
            Self::Sequence => "a `~SEQ`/`~LST` line",
        }
    }
}

/// The tokens of `text`, in order.
pub(crate) fn tokenize(text: &str, sink: &mut Sink) -> Vec<Token> {
    let mut lexer = Lexer { rest: text, offset: 0, sink, defined: BTreeSet::new() };
    let mut tokens = Vec::new();
    let mut number: u32 = 0;
    let mut continued = false;
    for line in text.split_inclusive('\n') {
        number = number.saturating_add(1);
        let content = line.trim_end_matches(['\n', '\r']);
        if continued {
            // The rest of a definition that was reported where it began.
            continued = content.ends_with('\\');
        } else {
            lexer.rest = content;
            let before = tokens.len();
            lexer.line(number, &mut tokens);
            continued = content.ends_with('\\')
                && tokens
                    .iter()
                    .skip(before)
                    .any(|token| token.kind == Kind::Directive(Directive::Definition));
        }
        lexer.offset = lexer.offset.saturating_add(line.len());
    }
    tokens
}

struct Lexer<'a> {
    /// The line that is being read.
    rest: &'a str,
    /// Where that line begins in the file.
    offset: usize,
    sink: &'a mut Sink,
    /// Names that were defined with `$NAME=`.
    defined: BTreeSet<String>,
}

impl Lexer<'_> {
    fn line(&mut self, number: u32, tokens: &mut Vec<Token>) {
        let line = self.rest;
        let mut chars = Cursor::new(line, self.offset, number);
        chars.skip_whitespace();
        if let Some(directive) = directive(chars.rest()) {
            if let Some(name) = defined_name(chars.rest()) {
                self.defined.insert(name.to_owned());
            }
            let start = chars.here();
            chars.skip_all();
            tokens.push(Token { kind: Kind::Directive(directive), span: start.to(chars.here()) });
            return;
        }
        loop {
            chars.skip_whitespace();
            let start = chars.here();
            let kind = match chars.peek() {
                None | Some('#' | '!') => return,
                Some('{') => {
                    chars.next();
                    Kind::Open
                }
                Some('}') => {
                    chars.next();
                    Kind::Close
                }
                Some(_) => Kind::Word(self.word(&mut chars, start)),
            };
            tokens.push(Token { kind, span: start.to(chars.here()) });
        }
    }

    /// One word; quotes join what is between them with what touches them.
    fn word(&mut self, chars: &mut Cursor<'_>, start: Span) -> String {
        let mut word = String::new();
        let mut quote = None;
        while let Some(next) = chars.peek() {
            if next == '\\' && quote.is_some() {
                chars.next();
                match chars.next() {
                    Some(escaped @ ('"' | '\'')) => word.push(escaped),
                    // Other escapes are left to where a command is split: keepalived 2.2.7 keeps
                    // `router_id "a\x41"` as it is.
                    Some(other) => word.extend(['\\', other]),
                    None => word.push('\\'),
                }
                continue;
            }
            match (quote, next) {
                (Some(open), _) if open == next => quote = None,
                (Some(_), _) => word.push(next),
                (None, '"' | '\'') => quote = Some(next),
                (None, '#' | '!') => {
                    self.glued_comment(chars);
                    chars.skip_all();
                    break;
                }
                (None, '{') if word.ends_with('$') => {
                    push_reference(chars, &mut word);
                    continue;
                }
                (None, '{' | '}') => break,
                (None, other) if other.is_whitespace() => break,
                (None, other) => word.push(other),
            }
            chars.next();
        }
        let span = start.to(chars.here());
        if let Some(open) = quote {
            let help = "a quoted string ends in the line it begins in";
            self.sink.error_help(span, format!("unterminated quote {open}"), help);
        }
        self.check_references(&word, span);
        word
    }

    fn glued_comment(&mut self, chars: &Cursor<'_>) {
        let here = chars.here();
        let message = "a comment begins inside a word: the rest of the line is ignored";
        let help = "put the word into quotes if this character belongs to it";
        self.sink.warning_help(Span { end: here.end.saturating_add(1), ..here }, message, help);
    }

    /// Undefined names stay as they are written, which is what keepalived does.
    fn check_references(&mut self, word: &str, span: Span) {
        let mut parts = word.split('$');
        parts.next();
        for part in parts {
            let name = part.strip_prefix('{').unwrap_or(part);
            let end = name.find(|c| !is_name_char(c)).unwrap_or(name.len());
            let name = name.get(..end).unwrap_or("");
            let predefined = part.starts_with("{_");
            if predefined || self.defined.contains(name) {
                self.sink.error(span, format!("`${name}`: definitions are not supported yet"));
            }
        }
    }
}

/// `${NAME}` is part of the word, its braces are no blocks.
fn push_reference(chars: &mut Cursor<'_>, word: &mut String) {
    let length = match chars.rest().find(|c: char| c == '}' || c.is_whitespace()) {
        Some(end) if chars.rest().get(end..).is_some_and(|rest| rest.starts_with('}')) => {
            end.saturating_add(1)
        }
        _ => 1,
    };
    for c in chars.rest().get(..length).unwrap_or("").chars() {
        word.push(c);
        chars.next();
    }
}

/// What kind of preprocessor line this is, if it is one.
fn directive(line: &str) -> Option<Directive> {
    let first = line.split(char::is_whitespace).next().unwrap_or("");
    match first {
        "include" | "includer" | "includem" | "includew" | "includeb" | "includea" => {
            Some(Directive::Include)
        }
        _ if line.starts_with('@') => Some(Directive::Conditional),
        _ if line.starts_with("~SEQ") || line.starts_with("~LST") => Some(Directive::Sequence),
        _ => defined_name(line).map(|_| Directive::Definition),
    }
}

/// NAME of `$NAME=`.
fn defined_name(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('$')?.split_once('=')?;
    let valid = !name.is_empty() && name.chars().all(is_name_char);
    valid.then_some(name)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Walks over one line and knows where it is.
struct Cursor<'a> {
    rest: &'a str,
    here: Span,
}

impl<'a> Cursor<'a> {
    const fn new(line: &'a str, offset: usize, number: u32) -> Self {
        Self { rest: line, here: Span { start: offset, end: offset, line: number, column: 1 } }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.here.start = self.here.start.saturating_add(next.len_utf8());
        self.here.end = self.here.start;
        self.here.column = self.here.column.saturating_add(1);
        Some(next)
    }

    fn skip_whitespace(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn skip_all(&mut self) {
        while self.next().is_some() {}
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    const fn rest(&self) -> &'a str {
        self.rest
    }

    const fn here(&self) -> Span {
        self.here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) -> usize {
        let mut sink = Sink::default();
        let tokens = tokenize(text, &mut sink);
        let found: Vec<String> = tokens
            .into_iter()
            .map(|token| match token.kind {
                Kind::Word(word) => word,
                Kind::Open => "{".to_owned(),
                Kind::Close => "}".to_owned(),
                Kind::Directive(directive) => format!("{directive:?}"),
            })
            .collect();
        assert_eq!(found, expected, "{text}");
        sink.into_sorted("").len()
    }

    #[test]
    fn quotes_join_words() {
        // The two examples of keepalived.conf(5), "Quoted strings".
        check("abcd\" efg h jkl \"mnop", &["abcd efg h jkl mnop"]);
        check("abcd \"efg h jkl\" mnop", &["abcd", "efg h jkl", "mnop"]);
        check(r#""a \"b\" 'c' # { }" d"#, &["a \"b\" 'c' # { }", "d"]);
        check("''", &[""]);
        assert_eq!(check("\"abc\nd", &["abc", "d"]), 1);
    }

    #[test]
    fn braces_need_no_space() {
        check("a{b}c", &["a", "{", "b", "}", "c"]);
        check("a ${X}${Y}b }", &["a", "${X}${Y}b", "}"]);
        check("a ${X }", &["a", "${X", "}"]);
    }

    #[test]
    fn comments_begin_anywhere() {
        assert_eq!(check("a # b\n! c\nd ! e", &["a", "d"]), 0);
        assert_eq!(check("auth_pass a!b", &["auth_pass", "a"]), 1);
    }

    #[test]
    fn directives_are_lines() {
        check(
            "include a*.conf # x\n@n1 b {\n~SEQ(a,1,2) x",
            &["Include", "Conditional", "Sequence"],
        );
        assert_eq!(
            check("$A=x \\\n y {\nz $A $B ${B}", &["Definition", "z", "$A", "$B", "${B}"]),
            1
        );
        assert_eq!(check("x ${_INSTANCE} pa$$word", &["x", "${_INSTANCE}", "pa$$word"]), 1);
    }
}
