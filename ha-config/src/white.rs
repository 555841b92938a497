//! White space as keepalived knows it: that of C, byte by byte. What else looks like it is a part of words.

/// Whether `c` ends a word.
pub(crate) const fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// `text` without white space at its end.
pub(crate) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_white)
}

/// `text` without white space at its beginning.
pub(crate) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_white)
}

/// `text` without white space around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_white)
}

/// The first character of `word` that nobody sees, or takes for a space; pasted text brings them.
pub(crate) fn unseen(word: &str) -> Option<char> {
    if word.is_ascii() {
        return None;
    }
    word.chars().find(|c| {
        let is_mark = matches!(
            c,
            '\u{ad}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}'
                | '\u{feff}'
        );
        is_mark || c.is_whitespace() && !is_white(*c)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascii_is_white() {
        assert_eq!(trim(" \t\x0b\x0c\r\u{a0}a\u{2003} \n"), "\u{a0}a\u{2003}");
        for (word, expected) in [
            ("a b\x0b", None),
            ("äöü€", None),
            ("a\u{a0}b", Some('\u{a0}')),
            ("\u{85}", Some('\u{85}')),
            ("a\u{200b}", Some('\u{200b}')),
            ("\u{feff}x", Some('\u{feff}')),
            ("\u{3000}", Some('\u{3000}')),
        ] {
            assert_eq!(unseen(word), expected, "{word:?}");
        }
    }
}
