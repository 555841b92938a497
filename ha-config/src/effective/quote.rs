//! Words in such quotes that reading them gives the same words: what is a comment, a brace, a
//! definition, an `include` or a condition elsewhere is none in quotes.
//!
//! Written as keepalived 2.2.7 reads it too, which has no escapes and knows double quotes only, but for
//! the line of a command: see `lexer`.

use crate::white::is_white;

/// `text` as one word of the file. It has neither a line feed nor a `"`, as no word of a file has.
pub(super) fn quote(text: &str) -> String {
    if is_odd(text) && can_be_bare(text) {
        return text.to_owned();
    }
    quoted(text, |c, is_reference| if is_reference { DOLLAR.to_owned() } else { c.to_string() })
}

/// Whether a `"` after `text` would not end it, because of the `\` before: keepalived (2.2.7) pairs these
/// when it looks for comments, though nowhere else.
pub(super) fn is_odd(text: &str) -> bool {
    let rest = text.trim_end_matches('\\');
    text.len().saturating_sub(rest.len()) % 2 == 1
}

/// Whether `text` is one word without quotes.
pub(super) fn can_be_bare(text: &str) -> bool {
    let is_special = |c: char| is_white(c) || matches!(c, '{' | '}' | '"' | '#' | '!');
    let is_definition = text.starts_with('$') && text.contains('=');
    // A line that ends in a `\` by itself is one that was meant to go on.
    !matches!(text, "" | "\\")
        && !text.contains(is_special)
        && !text.contains("$_")
        && !text.starts_with(['@', '~'])
        && !is_definition
        && !text.starts_with("include")
}

/// What stands for a `$` that begins no reference: what keepalived defines by itself has a name that
/// begins with `_`, and nothing else is defined here.
pub(super) const DOLLAR: &str = "${DOLLAR}";
/// The line that makes it so.
pub(super) const DOLLAR_IS: &str = "$DOLLAR=$";

/// `text` as one word of the line of a command.
pub(super) fn quote_escaped(text: &str) -> String {
    quoted(text, |c, is_reference| match c {
        '"' | '\\' => format!("\\{c}"),
        _ if is_reference || c.is_control() => format!("\\x{:02x}", u32::from(c)),
        _ => c.to_string(),
    })
}

/// In double quotes, if it needs them; `written` is told of each character, and whether it is a `$` that
/// would begin a reference.
fn quoted(text: &str, written: impl Fn(char, bool) -> String) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut chars = text.chars().peekable();
    let mut quoted = String::from('"');
    while let Some(c) = chars.next() {
        let is_reference = c == '$' && matches!(chars.peek(), Some('_' | '{'));
        quoted.push_str(&written(c, is_reference));
    }
    quoted.push('"');
    quoted
}

/// The words of a command as the one word that is split again when it is read.
pub(super) fn command(argv: &[String]) -> String {
    let arguments: Vec<String> = argv.iter().map(|argument| quote_argument(argument)).collect();
    arguments.join(" ")
}

fn quote_argument(text: &str) -> String {
    let is_special =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\');
    if text.is_empty() {
        return "''".to_owned();
    }
    if !text.contains(is_special) {
        return text.to_owned();
    }
    let preferred = if text.contains('\'') { '"' } else { '\'' };
    let mut quoted = String::new();
    let mut open = None;
    for c in text.chars() {
        let wanted = match c {
            '"' => '\'',
            '\'' => '"',
            _ => open.unwrap_or(preferred),
        };
        if open != Some(wanted) {
            quoted.extend(open);
            quoted.push(wanted);
            open = Some(wanted);
        }
        if c == '\\' || c.is_control() {
            quoted.extend(format!("\\x{:02x}", u32::from(c)).chars());
        } else {
            quoted.push(c);
        }
    }
    quoted.extend(open);
    quoted
}

/// Whether a word needs no quotes, wherever in a line it is.
fn is_plain(text: &str) -> bool {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:,=+%@".contains(c);
    !text.is_empty()
        && text.chars().all(is_harmless)
        && !text.starts_with('@')
        && !text.starts_with("include")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    /// What is read of `word`, as the last and as a middle word of a line and as an entry of a list.
    fn read(word: &str) -> [String; 3] {
        let quoted = quote(word);
        let text = format!(
            "{DOLLAR_IS}\nglobal_defs {{\n router_id {quoted}\n script_user {quoted} x\n \
             notification_email {{\n {quoted}\n }}\n}}\n"
        );
        let global = parse("", &text).config.global;
        [global.router_id.unwrap(), global.script_user.unwrap().user, global.mail.to.concat()]
    }

    #[test]
    fn words_are_read_as_they_were() {
        for word in [
            "",
            "a",
            "a b",
            " ",
            "#",
            "a!b",
            "{",
            "}",
            "a{b}",
            "'",
            "it's",
            "'it",
            "\\\\",
            "a\\",
            "ä\\\\\\",
            "'\\",
            "$\\",
            "$A\\",
            "$A=\\\\",
            "\\'",
            "\\x41",
            "a\\ b",
            "$",
            "$A",
            "$A=b",
            "${A}",
            "$_HASH",
            "${_HASH}",
            "${_ENV HOME}",
            "x${_BANG}y",
            "~SEQ(a,1,2)",
            "~LST(a,b)",
            "@x",
            "@",
            "include",
            "include /x",
            "includea",
            "ä",
            "\u{a0}",
            "\t",
            "\u{1}",
            "a,b=c%d",
        ] {
            assert_eq!(read(word), [word; 3], "{}", quote(word));
        }
    }

    #[test]
    fn plain_words_stay_plain() {
        for word in ["VI_1", "192.0.2.1/24", "2001:db8::1", "eth0.10", "a@b.example", "-nodad"] {
            assert_eq!(quote(word), word);
        }
        assert_eq!(quote_escaped("/bin/echo it's"), "\"/bin/echo it's\"");
        assert_eq!(quote_escaped("say \"it\""), r#""say \"it\"""#);
    }

    #[test]
    fn commands_are_split_as_they_were() {
        for argument in [
            "", "a", "a b", "it's", "\"q\"", "'\"", "\\", "\\n", "\n", "\r", "\u{7f}", "\u{85}",
            "#", "$_HASH", "${_HASH}", "{}", "ä", "\u{2028}", " a ", "a\\'b",
        ] {
            let argv = ["/bin/echo", argument, "z"].map(str::to_owned);
            let text = format!(
                "vrrp_script s {{\n script {}\n}}\nvrrp_instance V {{\n interface eth0\n \
                 virtual_router_id 1\n virtual_ipaddress {{\n 192.0.2.1\n }}\n}}\n",
                quote_escaped(&command(&argv))
            );
            let config = parse("", &text).config;
            assert_eq!(config.scripts[0].command.argv, argv, "{text}");
        }
    }
}
