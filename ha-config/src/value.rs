//! Words to numbers, times, addresses and commands; what is wrong with them is said here.

use core::{net::IpAddr, ops::RangeInclusive, time::Duration};

use crate::{
    diagnostic::{Sink, Span},
    escape::escape,
    model::{Command, InitialState, ScriptUser, Weight},
    tree::{Statement, Word},
    white::is_white,
};

/// keepalived's own limit for most times.
pub(crate) const LONGEST: Duration = Duration::from_secs(4294);

/// What some editors make of quotes.
pub(crate) const CURLY_QUOTES: [char; 5] =
    ['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}'];

/// A whole number in `range`.
pub(crate) fn number<T: TryFrom<i64>>(
    sink: &mut Sink,
    word: &Word,
    range: RangeInclusive<i64>,
) -> Option<T> {
    let number = word.text.parse().ok().filter(|number| range.contains(number));
    let value = number.and_then(|number| T::try_from(number).ok());
    if value.is_none() {
        bad(sink, word, &format!("a whole number from {} to {}", range.start(), range.end()));
    }
    value
}

/// Seconds with up to six decimals.
pub(crate) fn seconds(
    sink: &mut Sink,
    word: &Word,
    range: RangeInclusive<Duration>,
) -> Option<Duration> {
    let value = decimal(&word.text).filter(|value| range.contains(value));
    if value.is_none() {
        let (least, most) = (range.start().as_secs_f64(), range.end().as_secs_f64());
        bad(sink, word, &format!("seconds from {least} to {most}"));
    }
    value
}

/// `1`, `1.5`, `.5`; digits beyond microseconds are cut off.
pub(crate) fn decimal(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 20 || !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let secs = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Duration::from_secs(secs).checked_add(Duration::from_micros(micros.parse().ok()?))
}

/// A flag: on without a value.
pub(crate) fn flag(sink: &mut Sink, statement: &Statement) -> Option<bool> {
    let Some(word) = statement.value(0) else { return Some(true) };
    match word.text.as_str() {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => {
            bad(sink, word, "on, off, true, false, yes or no");
            None
        }
    }
}

pub(crate) fn address(sink: &mut Sink, word: &Word) -> Option<IpAddr> {
    let address = word.text.parse().ok();
    if address.is_none() {
        bad(sink, word, "an IP address");
    }
    address
}

/// What an instance wants to start as.
pub(crate) fn state(sink: &mut Sink, word: &Word) -> InitialState {
    match word.text.as_str() {
        "MASTER" => InitialState::Master,
        "BACKUP" => InitialState::Backup,
        other => {
            let message = format!("`{other}` is no state: BACKUP, as keepalived takes it");
            let help = sign_at_end(other).unwrap_or("states are MASTER and BACKUP");
            sink.warning_help(word.span, message, help);
            InitialState::Backup
        }
    }
}

/// `expected` is what it should have been.
pub(crate) fn bad(sink: &mut Sink, word: &Word, expected: &str) {
    let message = format!("`{}` is not {expected}", word.text);
    if word.text.contains(CURLY_QUOTES) {
        sink.error_help(word.span, message, "quotes are straight: `\"` or `'`");
    } else if let Some(help) = sign_at_end(&word.text) {
        sink.error_help(word.span, message, help);
    } else if let (true, Some((device, _))) =
        (expected.starts_with("an interface name"), word.text.split_once(':'))
    {
        let label = &word.text;
        let help = format!(
            "this is a label, not an interface: write `{device}`, and `label {label}` after the address"
        );
        sink.error_help(word.span, message, help);
    } else {
        sink.error(word.span, message);
    }
}

/// What to do about a sign that ends a statement in other languages.
pub(crate) fn sign_at_end(text: &str) -> Option<&'static str> {
    match text.chars().next_back()? {
        ';' | ',' => Some("remove the sign at its end"),
        '\\' => Some("remove the `\\`: only a `$NAME=` definition goes on in the next line"),
        _ => None,
    }
}

/// `user [group]`.
pub(crate) fn user(words: &[Word]) -> Option<ScriptUser> {
    let mut words = words.iter().map(|word| word.text.clone());
    Some(ScriptUser { user: words.next()?, group: words.next() })
}

/// A value is wrong, and that was said.
pub(crate) struct Reported;

/// Weights of scripts and interfaces are from minus this to this.
pub(crate) const WEIGHT_MAX: i64 = 253;
/// Those of processes, and what the number in a file is multiplied with.
pub(crate) const WIDE_WEIGHT_MAX: i64 = 254;

/// `[weight N [reverse|noreverse]]`.
pub(crate) fn weight_option(
    sink: &mut Sink,
    most: i64,
    words: &[Word],
) -> Result<Option<Weight>, Reported> {
    match words {
        [] => Ok(None),
        [stray] if stray.text == ";" => {
            sink.warning(stray.span, "a `;` by itself: ignored");
            Ok(None)
        }
        [name, value, reverse @ ..] if name.text == "weight" => {
            weight(sink, most, value, reverse).map(Some).ok_or(Reported)
        }
        [name] if name.text == "weight" => {
            sink.error(name.span, "`weight` needs a number");
            Err(Reported)
        }
        [other, ..] => {
            sink.error_help(
                other.span,
                format!("`{}` is not `weight`", other.text),
                "each line is one name, `weight NUMBER` may follow",
            );
            Err(Reported)
        }
    }
}

/// `N [reverse|noreverse]`.
pub(crate) fn weight(sink: &mut Sink, most: i64, value: &Word, reverse: &[Word]) -> Option<Weight> {
    let value = number(sink, value, -most..=most)?;
    let reverse = match reverse {
        [] => false,
        [word] if word.text == "reverse" => true,
        // The manual has both spellings of the second.
        [word] if matches!(word.text.as_str(), "noreverse" | "no_reverse") => false,
        [word, ..] => {
            bad(sink, word, "`reverse` or `noreverse`");
            return None;
        }
    };
    Some(Weight { value, reverse })
}

/// The words of a command: its line is split once more, because quotes joined it. Escapes count once
/// more too, as keepalived (2.2.7) has it.
pub(crate) fn command(sink: &mut Sink, word: &Word) -> Option<Command> {
    let argv = match split(&word.text) {
        Ok(argv) => argv,
        Err(quote) => {
            sink.error_help(
                word.span,
                format!("unterminated quote {quote} inside the command"),
                "put the argument that has it into the other kind of quotes",
            );
            return None;
        }
    };
    match argv.first() {
        Some(program) if !program.is_empty() => {
            warn_of_slips(sink, word, program, argv.get(1..).unwrap_or_default());
            Some(Command { argv, user: None, place: sink.place(word.span) })
        }
        Some(_) | None => {
            sink.error(word.span, "the command is empty");
            None
        }
    }
}

/// Signs that belong to the program's name, or to the last of its `arguments`, as it is written, and hardly
/// as it is meant.
fn warn_of_slips(sink: &mut Sink, word: &Word, program: &str, arguments: &[String]) {
    if program.contains(CURLY_QUOTES) {
        let message = "curly quotes are a part of the program's name";
        sink.warning_help(word.span, message, "quotes are straight: `\"` or `'`");
    } else if program.ends_with([';', ',']) {
        let message = "the sign at its end is a part of the program's name";
        sink.warning_help(word.span, message, "remove the sign at its end");
    } else if arguments.last().is_some_and(|last| last.len() > 1 && last.ends_with(';')) {
        let message = "the `;` at its end is a part of the last argument: no shell reads it";
        sink.warning_help(word.span, message, "remove the sign at its end");
    }
}

/// Splits at white space outside of quotes; `Err` is the quote that is not closed.
fn split(text: &str) -> Result<Vec<String>, char> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match (quote, next) {
            (_, '\\') => word.get_or_insert_default().push(escape(&mut chars)),
            (Some(open), _) if open == next => quote = None,
            (None, '"' | '\'') => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            (None, _) if is_white(next) => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(next),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => Err(open),
        None => Ok(words),
    }
}

/// A value and where it was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        assert_eq!(decimal("1"), Some(Duration::from_secs(1)));
        assert_eq!(decimal("0.92"), Some(Duration::from_millis(920)));
        assert_eq!(decimal(".5"), Some(Duration::from_millis(500)));
        assert_eq!(decimal("2."), Some(Duration::from_secs(2)));
        assert_eq!(decimal("0.0000019"), Some(Duration::from_micros(1)));
        for wrong in ["", ".", "-1", "1e3", "1s", "+1", "1.2.3", "99999999999999999999", "٣"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn commands_are_split_as_keepalived_does() {
        // The expected words are what keepalived 2.2.7 prints with --dump-conf.
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        };
        check("/s.sh backup 'x y'  z", &["/s.sh", "backup", "x y", "z"]);
        check("/s.sh a \"b c\"", &["/s.sh", "a", "b c"]);
        check("/s.sh  d\"e f\"g \\x41 \\101 \\q", &["/s.sh", "de fg", "A", "A", "q"]);
        check("/s.sh a#b", &["/s.sh", "a#b"]);
        check(" '' ", &[""]);
        assert_eq!(split("/s.sh it's"), Err('\''));
        for nul in ["\\x00", "\\0", "\\c@"] {
            assert!(!split(nul).unwrap().concat().contains('\0'), "{nul}");
        }
    }
}
