//! Raw lines: where their comment begins, what they define, which references they hold.

use core::ops::Range;

use crate::{keywords::takes_command, white::is_white};

/// A raw line, by its quotes: `"`, which a backslash before it makes an ordinary character here, though not
/// where the line is split into words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Outline {
    /// Where its comment begins, if it has one.
    pub(super) comment: Option<usize>,
    /// A quoted string has no end.
    pub(super) is_open: bool,
}

/// Finds the comment of `line`. Quotes protect what is in them. A backslash does not: keepalived takes it
/// away, reads the file once more, and finds the comment then.
pub(super) fn outline(line: &str) -> Outline {
    let mut is_open = false;
    let mut backslash = None;
    for (at, c) in line.char_indices() {
        let escape = backslash.take();
        match c {
            '#' | '!' if !is_open => {
                return Outline { comment: Some(escape.unwrap_or(at)), is_open };
            }
            _ if escape.is_some() => {}
            '\\' => backslash = Some(at),
            '"' => is_open = !is_open,
            _ => {}
        }
    }
    Outline { comment: None, is_open }
}

/// Whether a command is in `line`, after conditions and sequences.
pub(super) fn is_command(line: &str) -> bool {
    let mut words = line.split(is_white).filter(|word| !word.is_empty());
    words.find(|word| !word.starts_with(['@', '~'])).is_some_and(takes_command)
}

/// `$NAME=` at the beginning of `line`: the name, and where the value begins.
pub(super) fn definition(line: &str) -> Option<(&str, usize)> {
    let (name, _) = line.strip_prefix('$')?.split_once('=')?;
    is_name(name).then(|| (name, name.len().saturating_add(2)))
}

/// The condition of `@id text` or `@^id text`: the id, whether it must be another one, and where
/// the text begins.
pub(super) fn condition(line: &str) -> Option<(&str, bool, usize)> {
    let rest = line.strip_prefix('@')?;
    let end = rest.find(is_white).unwrap_or(rest.len());
    let word = rest.get(..end)?;
    let text = end.saturating_add('@'.len_utf8());
    Some(match word.strip_prefix('^') {
        Some(id) => (id, true, text),
        None => (word, false, text),
    })
}

/// A reference to a definition.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Reference<'a> {
    /// All of it, in the text.
    pub(super) range: Range<usize>,
    pub(super) name: &'a str,
    /// The words after the name, of `${_RANDOM 1 6}` and its like.
    pub(super) arguments: &'a str,
    /// `$NAME`, which must be followed by white space.
    pub(super) is_bare: bool,
}

/// The first reference at or after `from`.
pub(super) fn reference(text: &str, from: usize) -> Option<Reference<'_>> {
    let mut from = from;
    loop {
        let start = from.saturating_add(text.get(from..)?.find('$')?);
        if let Some(found) = reference_at(text, start) {
            return Some(found);
        }
        from = start.saturating_add(1);
    }
}

fn reference_at(text: &str, start: usize) -> Option<Reference<'_>> {
    let after = start.saturating_add(1);
    let rest = text.get(after..)?;
    let Some(inside) = rest.strip_prefix('{') else {
        let end = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| is_name(name))?;
        let range = start..after.saturating_add(end);
        return Some(Reference { range, name, arguments: "", is_bare: true });
    };
    // One that has no end is no reference; looking for it must not cost the rest of a long line.
    let end = inside.find(|c: char| !is_name_char(c) && !matches!(c, ' ' | '\t'))?;
    let inside =
        inside.get(..end).filter(|_| inside.get(end..).is_some_and(|c| c.starts_with('}')))?;
    let (name, arguments) = inside.split_once([' ', '\t']).unwrap_or((inside, ""));
    let takes_arguments = matches!(name, "_RANDOM" | "_ENV");
    if !is_name(name) || inside.len() > name.len() && !takes_arguments {
        return None;
    }
    let range = start..after.saturating_add(end).saturating_add(2);
    Some(Reference { range, name, arguments: arguments.trim(), is_bare: false })
}

pub(super) fn is_name(name: &str) -> bool {
    name.chars().all(is_name_char) && name.starts_with(|c: char| !c.is_ascii_digit())
}

const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_begin_outside_of_quotes() {
        for (line, comment, is_open) in [
            ("a # b", Some(2), false),
            ("a#b", Some(1), false),
            ("\"a#b\" ! c", Some(6), false),
            ("\"a\\\"#b\" it's", None, false),
            (r#""a\" # b"#, None, true),
            (r#""a\\" # b"#, Some(6), false),
            (r#"a\"b # c"#, Some(5), false),
            (r"a\#b", Some(1), false),
            (r"a\\#b", Some(3), false),
            ("it's # x", Some(5), false),
            (" notify 'a # b'", Some(11), false),
            ("\"a", None, true),
            ("a # \"", Some(2), false),
        ] {
            assert_eq!(outline(line), Outline { comment, is_open }, "{line}");
        }
    }

    #[test]
    fn names_begin_with_no_digit() {
        assert_eq!(definition("$A_1=x"), Some(("A_1", 5)));
        assert_eq!(definition("$A="), Some(("A", 3)));
        for other in ["$A =x", "$1A=x", "$=x", "A=x", "$A-B=x", "$a$b=x"] {
            assert_eq!(definition(other), None, "{other}");
        }
    }

    #[test]
    fn conditions() {
        assert_eq!(condition("@a b"), Some(("a", false, 2)));
        assert_eq!(condition("@^a\tb"), Some(("a", true, 3)));
        assert_eq!(condition("@"), Some(("", false, 1)));
        assert_eq!(condition("a@b"), None);
    }

    #[test]
    fn references() {
        let check = |text: &str, expected: &[&str]| {
            let mut from = 0;
            let mut found = Vec::new();
            while let Some(one) = reference(text, from) {
                found.push(format!("{}({})", one.name, one.arguments));
                from = one.range.end;
            }
            assert_eq!(found, expected, "{text}");
        };
        check("a$B ${C}d$E", &["B()", "C()", "E()"]);
        check("pa$$word $1 ${} ${1} $ ${a", &["word()"]);
        check("${_RANDOM 1  6} ${_ENV HOME} ${A 1} ${ A}", &["_RANDOM(1  6)", "_ENV(HOME)"]);
        check("${a${b}}", &["b()"]);
    }
}
