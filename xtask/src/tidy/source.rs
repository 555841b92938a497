//! Just enough of Rust's grammar to tell code from comments and strings, and to list the paths that the
//! code names. It does not expand macros.

/// The same text with the inside of comments, strings and character literals blank: lines keep their
/// numbers.
pub(super) fn blank_comments_and_strings(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let blank = blank_length(rest, after_word);
        if blank == 0 {
            code.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let (hidden, visible) = rest.split_at_checked(blank).unwrap_or((rest, ""));
        code.extend(hidden.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = visible;
    }
    code
}

/// The bytes of the comment or literal that starts here; none if code does.
fn blank_length(text: &str, after_word: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_length(text);
    }
    if let Some(inside) = text.strip_prefix('"') {
        return 1 + string_length(inside);
    }
    if !after_word && let Some(after_r) = text.strip_prefix('r') {
        let hashes = after_r.chars().take_while(|c| *c == '#').count();
        if let Some(inside) = after_r.get(hashes..).and_then(|rest| rest.strip_prefix('"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return 2 + hashes + length;
        }
    }
    if let Some(inside) = text.strip_prefix('\'') {
        return character_length(inside).map_or(0, |length| 1 + length);
    }
    0
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// From inside a string to behind its closing quote.
fn string_length(inside: &str) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    inside.len()
}

/// From inside a character literal to behind its closing quote; none for a lifetime.
fn character_length(inside: &str) -> Option<usize> {
    let mut characters = inside.char_indices();
    let (_, first) = characters.next()?;
    if first != '\\' {
        let (at, closing) = characters.next()?;
        return (closing == '\'').then_some(at + 1);
    }
    characters.next()?;
    characters.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

/// A path that the code names, such as `std::time::Instant`, and its line.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct NamedPath {
    pub(super) line: usize,
    pub(super) segments: Vec<String>,
}

/// Every path in code whose comments and strings are blank. The trees of `use` are opened:
/// `use std::{fs, time::*}` names `std::fs` and `std::time::*`.
pub(super) fn named_paths(code: &str) -> Vec<NamedPath> {
    let mut named = Vec::new();
    // The path before each open brace, empty for a brace that is not of a `use` tree.
    let mut prefixes: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut path_line = 1;
    let mut joined = false;
    for (line, token) in tokens(code) {
        if token == "::" {
            joined = true;
            continue;
        }
        let is_segment = token == "*" && joined || token.starts_with(is_word);
        if !(joined || token == "{" && path.is_empty()) || !(is_segment || token == "{") {
            flush(&mut named, &mut path, path_line, &prefixes);
        }
        match token {
            "{" => prefixes.push(with_prefix(&prefixes, std::mem::take(&mut path), joined)),
            "}" => drop(prefixes.pop()),
            _ if is_segment => {
                path_line = line;
                path.push(token.to_owned());
            }
            _ => {}
        }
        joined = false;
    }
    flush(&mut named, &mut path, path_line, &prefixes);
    named
}

fn flush(
    named: &mut Vec<NamedPath>,
    path: &mut Vec<String>,
    line: usize,
    prefixes: &[Vec<String>],
) {
    if !path.is_empty() {
        let segments = with_prefix(prefixes, std::mem::take(path), true);
        named.push(NamedPath { line, segments });
    }
}

fn with_prefix(prefixes: &[Vec<String>], path: Vec<String>, in_tree: bool) -> Vec<String> {
    if !in_tree {
        return Vec::new();
    }
    let mut whole = prefixes.last().cloned().unwrap_or_default();
    whole.extend(path);
    whole
}

/// Words, `::` and single characters, with their lines.
fn tokens(code: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(code.lines()).flat_map(|(number, line)| {
        let mut rest = line;
        std::iter::from_fn(move || {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at_checked(length)?;
            rest = after;
            Some((number, token))
        })
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        // `_` stands for a blank.
        let cases = [
            ("a//b", "a___"),
            ("a/*b/*c*/d*/e", "a___________e"),
            (r#"f("x//\"y")//z"#, "f(________)___"),
            (r##"r#"a"b"#c"##, "________c"),
            (r#"r"\"c"#, "____c"),
            (r#"('"','\'','x')"#, "(___,____,___)"),
            ("f<'a>(x:&'a str)", "f<'a>(x:&'a str)"),
            ("\"a\nb\"c", "__\n__c"),
            ("for\"x\"", "for___"),
            ("\"open", "_____"),
            ("/*open é", "________"),
        ];
        for (text, code) in cases {
            let code = code.replace('_', " ");
            assert_eq!(blank_comments_and_strings(text), code, "{text}");
        }
    }

    #[test]
    fn paths_are_named_with_their_trees_open() {
        let check = |code: &str, expected: &[(usize, &str)]| {
            let named = named_paths(code);
            let shown: Vec<(usize, String)> =
                named.iter().map(|path| (path.line, path.segments.join("::"))).collect();
            let shown: Vec<(usize, &str)> =
                shown.iter().map(|(line, path)| (*line, path.as_str())).collect();
            assert_eq!(shown, expected, "{code}");
        };
        check("use a::b;", &[(1, "use"), (1, "a::b")]);
        check(
            "use a::{b, c::{d,\n e}};\nf",
            &[(1, "use"), (1, "a::b"), (1, "a::c::d"), (2, "a::c::e"), (3, "f")],
        );
        check("use a::*;", &[(1, "use"), (1, "a::*")]);
        check(
            "use a::{self, b as c};",
            &[(1, "use"), (1, "a::self"), (1, "a::b"), (1, "a::as"), (1, "a::c")],
        );
        check("fn f() { a::b(c) }", &[(1, "fn"), (1, "f"), (1, "a::b"), (1, "c")]);
        check("x { y: a::b } z", &[(1, "x"), (1, "y"), (1, "a::b"), (1, "z")]);
    }
}
