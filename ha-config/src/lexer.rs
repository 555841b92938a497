//! A line to words: quotes and braces, as keepalived's manual describes them.
//!
//! Comments, definitions and the like are resolved before: see `source`.

use crate::{diagnostic::Span, sink::Sink, source::Line};

/// A word or a brace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// The same for all of a line.
    pub(crate) row: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A word, without its quotes.
    Word(Box<str>),
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Where, in all that is read, something is that comes before the word with this index.
pub(crate) fn before(index: usize) -> u32 {
    u32::try_from(index.saturating_mul(2)).unwrap_or(u32::MAX - 2)
}

/// Appends the words of `line`.
pub(crate) fn tokenize(line: &Line, row: u32, tokens: &mut Vec<Token>, sink: &mut Sink) {
    let mut cursor = Cursor { text: line.text(), at: 0 };
    loop {
        cursor.skip_whitespace();
        let start = cursor.at;
        let mut open_quote = None;
        let kind = match cursor.peek() {
            None => return,
            Some('{') => {
                cursor.next();
                Kind::Open
            }
            Some('}') => {
                cursor.next();
                Kind::Close
            }
            Some(_) => {
                let (word, quote) = cursor.word();
                open_quote = quote;
                Kind::Word(word.into())
            }
        };
        let at = before(tokens.len()).saturating_add(1);
        let span = line.span(start..cursor.at, at..at.saturating_add(1));
        if let Some(open) = open_quote {
            let help = "a quoted string ends in the line it begins in";
            sink.error_help(span, format!("unterminated quote {open}"), help);
        }
        tokens.push(Token { kind, span, row });
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    /// One word, and the quote that it lacks; quotes join what is between them with what touches
    /// them.
    fn word(&mut self) -> (String, Option<char>) {
        let mut word = String::new();
        let mut quote = None;
        while let Some(next) = self.peek() {
            if next == '\\' && quote.is_some() {
                self.next();
                match self.next() {
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
                (None, '{') if word.ends_with('$') => {
                    self.reference(&mut word);
                    continue;
                }
                (None, '{' | '}') => break,
                (None, other) if other.is_whitespace() => break,
                (None, other) => word.push(other),
            }
            self.next();
        }
        (word, quote)
    }

    /// `${NAME}`, which nobody defined, is part of the word: its braces are no blocks.
    fn reference(&mut self, word: &mut String) {
        let rest = self.text.get(self.at..).unwrap_or("");
        let length = match rest.find(|c: char| matches!(c, '}' | '$') || c.is_whitespace()) {
            Some(end) if rest.get(end..).is_some_and(|rest| rest.starts_with('}')) => {
                end.saturating_add(1)
            }
            _ => 1,
        };
        word.push_str(rest.get(..length).unwrap_or(""));
        self.at = self.at.saturating_add(length);
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at = self.at.saturating_add(next.len_utf8());
        Some(next)
    }

    fn skip_whitespace(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) -> usize {
        let mut sink = Sink::default();
        let mut tokens = Vec::new();
        tokenize(&Line::new(text, 0, 1, 0), 1, &mut tokens, &mut sink);
        let found: Vec<&str> = tokens
            .iter()
            .map(|token| match &token.kind {
                Kind::Word(word) => word,
                Kind::Open => "{",
                Kind::Close => "}",
            })
            .collect();
        assert_eq!(found, expected, "{text}");
        sink.into_sorted().0.len()
    }

    #[test]
    fn quotes_join_words() {
        // The two examples of keepalived.conf(5), "Quoted strings".
        check("abcd\" efg h jkl \"mnop", &["abcd efg h jkl mnop"]);
        check("abcd \"efg h jkl\" mnop", &["abcd", "efg h jkl", "mnop"]);
        check(r#""a \"b\" 'c' # { }" d"#, &["a \"b\" 'c' # { }", "d"]);
        check("''", &[""]);
        assert_eq!(check("a \"bc", &["a", "bc"]), 1);
    }

    #[test]
    fn braces_need_no_space() {
        check("a{b}c", &["a", "{", "b", "}", "c"]);
        check("a ${X}${Y}b }", &["a", "${X}${Y}b", "}"]);
        check("a ${X }", &["a", "${X", "}"]);
        check("pa$$word", &["pa$$word"]);
    }
}
