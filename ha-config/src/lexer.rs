//! A line to words: quotes and braces, as keepalived 2.2.7 reads them.
//!
//! It does so in two ways, whatever its manual says of both kinds of quotes. In the line of a command, both
//! kinds join what is between them with what touches them, and a backslash is an escape. Elsewhere,
//! only `"` is a quote, and each of them begins or ends a word.
//!
//! Comments, definitions and the like are resolved before: see `source`.

use crate::{
    diagnostic::Span,
    escape::escape,
    keywords,
    sink::Sink,
    source::Line,
    white::{is_white, unseen},
};

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

/// What is said of a `\` that was meant to join two lines.
pub(crate) const LONE_BACKSLASH: &str = "a `\\` continues a line only in a `$NAME=` definition";

/// Where, in all that is read, something is that comes before the word with this index.
pub(crate) fn before(index: usize) -> u32 {
    u32::try_from(index.saturating_mul(2)).unwrap_or(u32::MAX - 2)
}

/// Lines to words, one line after the other.
#[derive(Debug, Default)]
pub(crate) struct Lexer {
    tokens: Vec<Token>,
    /// The word that began the last line or followed a brace.
    head: Option<usize>,
    /// Such words before the braces that are open.
    open: Vec<Option<usize>>,
}

impl Lexer {
    /// Appends the words of `line`.
    pub(crate) fn read(&mut self, line: &Line, row: u32, sink: &mut Sink) {
        let has_escapes = line.text().contains(['"', '\'', '\\']);
        let mut cursor = Cursor { text: line.text(), at: 0 };
        let mut is_head = true;
        let mut is_command = false;
        let mut end_before = None;
        loop {
            cursor.skip_whitespace();
            let start = cursor.at;
            let mut unclosed = None;
            let mut hidden = None;
            let kind = match cursor.peek() {
                None => return,
                Some('{') => {
                    cursor.next();
                    self.open.push(self.head.take());
                    Kind::Open
                }
                Some('}') => {
                    cursor.next();
                    self.open.pop();
                    self.head = None;
                    Kind::Close
                }
                Some(_) => {
                    let is_quoted = cursor.peek() == Some('"');
                    let (word, quote) =
                        if is_command { cursor.joined_word() } else { cursor.word() };
                    unclosed = quote;
                    if is_head {
                        self.head = Some(self.tokens.len());
                        is_command = has_escapes && self.is_command(&word);
                    }
                    let touches = end_before == Some(start) && word != ";";
                    if !is_command && (touches || !is_quoted && word.starts_with('\'')) {
                        let at = before(self.tokens.len()).saturating_add(1);
                        let span = line.span(start..cursor.at, at..at.saturating_add(1));
                        note_quotes(sink, span, touches);
                    }
                    end_before = Some(cursor.at);
                    hidden = unseen(&word);
                    if !is_command && !is_quoted && word == "\\" {
                        let at = before(self.tokens.len()).saturating_add(1);
                        let span = line.span(start..cursor.at, at..at.saturating_add(1));
                        sink.error_help(span, LONE_BACKSLASH, "write the line in one piece");
                    }
                    Kind::Word(word.into())
                }
            };
            is_head = !matches!(kind, Kind::Word(_));
            is_command &= !is_head;
            let at = before(self.tokens.len()).saturating_add(1);
            let span = line.span(start..cursor.at, at..at.saturating_add(1));
            if let Some(quote) = unclosed {
                let help = "a quoted string ends in the line it begins in";
                sink.error_help(span, format!("unterminated quote {quote}"), help);
            }
            if let Some(hidden) = hidden {
                note_unseen(sink, span, hidden);
            }
            self.tokens.push(Token { kind, span, row });
        }
    }

    /// What was read.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(crate) fn into_tokens(self) -> Vec<Token> {
        self.tokens
    }

    /// Whether a line that `head` begins here has a command in it, and is not an entry of a list.
    fn is_command(&self, head: &str) -> bool {
        let block = self.open.last().copied().flatten().and_then(|index| self.tokens.get(index));
        let is_in_list = block.is_some_and(
            |token| matches!(&token.kind, Kind::Word(word) if keywords::begins_list(word)),
        );
        !is_in_list && keywords::takes_command(head)
    }
}

/// Tells of quotes that are not what keepalived's manual says. It names no word: it may be a password.
fn note_quotes(sink: &mut Sink, span: Span, touches: bool) {
    let message = if touches {
        "a `\"` inside a word begins or ends a word, as in keepalived 2.2"
    } else {
        "this `'` is a part of the word, as in keepalived 2.2"
    };
    sink.warning_help(
        span,
        message,
        "put one pair of `\"` around all of the word, and no `\"` in it",
    );
}

/// Tells of a character that nobody sees. Like [`note_quotes`] it does not repeat the word.
fn note_unseen(sink: &mut Sink, span: Span, hidden: char) {
    let message = format!(
        "an invisible character (U+{:04X}) is a part of this word, as in keepalived",
        u32::from(hidden)
    );
    let help = "pasted text brings such characters: remove it, or write a space in its place";
    sink.warning_help(span, message, help);
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    /// One word, and the quote that it lacks: all between two `"`, or up to one of them.
    fn word(&mut self) -> (String, Option<char>) {
        let mut word = String::new();
        if self.peek() == Some('"') {
            self.next();
            while let Some(next) = self.next() {
                if next == '"' {
                    return (word, None);
                }
                word.push(next);
            }
            return (word, Some('"'));
        }
        while let Some(next) = self.peek() {
            match next {
                '{' if word.ends_with('$') && self.reference(&mut word) => continue,
                '{' | '}' | '"' => break,
                other if is_white(other) => break,
                other => word.push(other),
            }
            self.next();
        }
        (word, None)
    }

    /// The same in the line of a command: quotes join what is between them with what touches them.
    fn joined_word(&mut self) -> (String, Option<char>) {
        let mut word = String::new();
        let mut quote = None;
        while let Some(next) = self.peek() {
            match (quote, next) {
                (_, '\\') => {
                    self.next();
                    let mut chars = self.text.get(self.at..).unwrap_or("").chars();
                    word.push(escape(&mut chars));
                    self.at = self.text.len().saturating_sub(chars.as_str().len());
                    continue;
                }
                (Some(open), _) if open == next => quote = None,
                (Some(_), _) => word.push(next),
                (None, '"' | '\'') => quote = Some(next),
                (None, '{') if word.ends_with('$') && self.reference(&mut word) => continue,
                (None, '{' | '}') => break,
                (None, other) if is_white(other) => break,
                (None, other) => word.push(other),
            }
            self.next();
        }
        (word, quote)
    }

    /// `${NAME}`, which nobody defined, is part of the word: its braces are no blocks. Says whether it is
    /// one, with its end.
    fn reference(&mut self, word: &mut String) -> bool {
        let rest = self.text.get(self.at..).unwrap_or("");
        let ends = |c: char| matches!(c, '}' | '$' | '"') || is_white(c);
        let end = rest.find(ends).map(|end| end.saturating_add(1));
        let Some(whole) = end.and_then(|end| rest.get(..end)).filter(|text| text.ends_with('}'))
        else {
            return false;
        };
        word.push_str(whole);
        self.at = self.at.saturating_add(whole.len());
        true
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at = self.at.saturating_add(next.len_utf8());
        Some(next)
    }

    fn skip_whitespace(&mut self) {
        while self.peek().is_some_and(is_white) {
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

    /// The words of `text`, and how many complaints there are.
    fn check(text: &str, expected: &[&str]) -> usize {
        let mut sink = Sink::default();
        let mut lexer = Lexer::default();
        lexer.read(&Line::new(text, 0, 1, 0), 1, &mut sink);
        let found: Vec<&str> = lexer
            .tokens()
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

    /// What keepalived 2.2.7 makes of `auth_pass` and `router_id`.
    #[test]
    fn quotes_are_double_and_end_words() {
        for (text, expected, complaints) in [
            ("x abcd \"efg h jkl\" mnop", &["x", "abcd", "efg h jkl", "mnop"][..], 0),
            ("x ab\"cd\"ef", &["x", "ab", "cd", "ef"], 2),
            ("x \"ab\"cd", &["x", "ab", "cd"], 1),
            ("x 'ab cd'", &["x", "'ab", "cd'"], 1),
            ("x it's \"a'b\" \"'\"", &["x", "it's", "a'b", "'"], 0),
            ("x \"a\\x41\" a\\\\b # \"\"", &["x", "a\\x41", "a\\\\b", "#", ""], 0),
            ("x \"ab\\\"cd\"", &["x", "ab\\", "cd", ""], 3),
            ("x \"{ # }\" \"abc\";", &["x", "{ # }", "abc", ";"], 0),
            ("x \"bc", &["x", "bc"], 1),
        ] {
            assert_eq!(check(text, expected), complaints, "{text}");
        }
    }

    /// What keepalived 2.2.7 makes of `script` and `notify`, before it takes it for a command.
    #[test]
    fn a_command_s_quotes_join() {
        for (text, word) in [
            ("/x one\" two\"' \"3\"'x", "one two \"3\"x"),
            (r#"/x "a \"b\" 'c' # { }""#, "a \"b\" 'c' # { }"),
            (r#"/x "\x41\101\q\t|""#, "AAq\t|"),
            (r"/x a\ b\\\x41", r"a b\A"),
            ("/x ''", ""),
        ] {
            for keyword in ["script", "notify_master", "startup_script"] {
                check(&format!("{keyword} {text}"), &[keyword, "/x", word]);
            }
        }
        assert_eq!(check("notify a \"bc", &["notify", "a", "bc"]), 1);
        check("a { script 'b c' }", &["a", "{", "script", "b c", "}"]);
        // An instance may be called so.
        check("group { script 'b }", &["group", "{", "script", "'b", "}"]);
    }

    #[test]
    fn braces_need_no_space() {
        check("a{b}c", &["a", "{", "b", "}", "c"]);
        check("a ${X}${Y}b }", &["a", "${X}${Y}b", "}"]);
        // As in keepalived 2.2.7: without its end it is a brace like others.
        check("a ${X }", &["a", "$", "{", "X", "}"]);
        check("pa$$word", &["pa$$word"]);
    }
}
