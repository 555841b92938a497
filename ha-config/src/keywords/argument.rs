//! What a word after a keyword may be: how it is checked, and how it is called.

use core::{net::IpAddr, time::Duration};

use ha_core::Family;

use super::Routing;
use crate::value::{CURLY_QUOTES, LONGEST, decimal};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Argument {
    /// A whole number from one to the other.
    Number(i64, i64),
    /// The same, also hexadecimal after `0x` or octal after `0`.
    Integer(i64, i64),
    /// Decimal seconds from one to the other.
    Seconds(Duration, Duration),
    /// Decimal milliseconds.
    Millis(Duration, Duration),
    /// On or off.
    Flag,
    OneOf(&'static [&'static str]),
    /// An IP address.
    Address,
    /// A multicast address of the family.
    Group(Family),
    /// An address with a prefix length, if wanted.
    Prefix,
    Interface,
    /// What an address is called, which may look like an interface: `eth0:1`.
    Label,
    /// A part of a file's name.
    FileName,
    /// After one of these words, if wanted.
    After(&'static [&'static str], &'static Self),
    /// Every word that follows, called so.
    Rest(&'static str),
    /// What is run, with its arguments.
    Command,
    /// Any word, which is called so.
    Word(&'static str),
    /// Of a route or a rule.
    Routing(Routing),
}

use Argument::{
    Address, After, Command, FileName, Flag, Group, Integer, Interface, Label, Millis, Number,
    OneOf, Prefix, Rest, Seconds, Word,
};

/// Any time that keepalived takes.
pub(crate) const TIME: Argument = Seconds(Duration::ZERO, LONGEST);
/// Any number that is not negative.
pub(crate) const COUNT: Argument = Number(0, U32_MAX);
pub(crate) const U32_MAX: i64 = 0xffff_ffff;

impl Argument {
    /// Whether `text` is one.
    pub(crate) fn accepts(self, text: &str) -> bool {
        let within = |number: i64, least, most| (least..=most).contains(&number);
        match self {
            Number(least, most) => text.parse().is_ok_and(|number| within(number, least, most)),
            Integer(least, most) => integer(text).is_some_and(|number| within(number, least, most)),
            Seconds(least, most) => {
                decimal(text).is_some_and(|time| (least..=most).contains(&time))
            }
            // A thousandth of what the same number of seconds would be.
            Millis(least, most) => {
                decimal(text).is_some_and(|time| (least..=most).contains(&(time / 1000)))
            }
            Flag => matches!(text, "on" | "true" | "yes" | "off" | "false" | "no"),
            OneOf(words) => words.contains(&text),
            Address => text.parse::<IpAddr>().is_ok(),
            Group(family) => is_group(text, family),
            Prefix => is_prefix(text),
            Interface => is_label(text) && !text.contains(':'),
            Label => is_label(text),
            FileName => is_file_name(text),
            After(_, argument) => argument.accepts(text),
            Command | Word(_) | Rest(_) => true,
            Self::Routing(word) => word.accepts(text),
        }
    }

    /// The number that `text` is, as this argument writes it.
    pub(crate) fn number(self, text: &str) -> Option<i64> {
        if let After(_, argument) = self {
            return argument.number(text);
        }
        if matches!(self, Integer(..)) { integer(text) } else { text.parse().ok() }
    }

    /// Words that may stand before it.
    pub(crate) const fn particles(self) -> &'static [&'static str] {
        match self {
            After(words, _) => words,
            Number(..)
            | Integer(..)
            | Seconds(..)
            | Millis(..)
            | Flag
            | OneOf(_)
            | Address
            | Group(_)
            | Prefix
            | Interface
            | Label
            | FileName
            | Command
            | Word(_)
            | Rest(_)
            | Self::Routing(_) => &[],
        }
    }

    /// After "is not".
    pub(crate) fn expected(self) -> String {
        match self {
            Number(least, most) | Integer(least, most) => {
                format!("a whole number from {least} to {most}")
            }
            After(_, argument) => argument.expected(),
            Seconds(least, most) => {
                format!("seconds from {} to {}", least.as_secs_f64(), most.as_secs_f64())
            }
            Millis(least, most) => format!(
                "milliseconds from {} to {}",
                least.as_secs_f64() * 1000.0,
                most.as_secs_f64() * 1000.0
            ),
            Flag => "on, off, true, false, yes or no".to_owned(),
            OneOf(words) => match words.split_last() {
                Some((last, [])) => (*last).to_owned(),
                Some((last, others)) => format!("{} or {last}", others.join(", ")),
                None => "anything".to_owned(),
            },
            Address => "an IP address".to_owned(),
            Group(Family::V4) => "an IPv4 multicast address".to_owned(),
            Group(Family::V6) => "an IPv6 multicast address".to_owned(),
            Prefix => "an IP address or network".to_owned(),
            Interface => "an interface name of 1 to 15 characters".to_owned(),
            Label => "a label of 1 to 15 characters".to_owned(),
            FileName => format!("a name of 1 to {FILE_NAME_MAX} letters, digits and `_.-`"),
            Command => "a command".to_owned(),
            Word(name) | Rest(name) => name.to_owned(),
            Self::Routing(word) => word.expected().to_owned(),
        }
    }

    /// As the manual would write it.
    pub(crate) fn usage(self) -> String {
        match self {
            Number(_, U32_MAX) => "N".to_owned(),
            Integer(least, most) | Number(least, most) => format!("{least}..{most}"),
            Seconds(least, most) => {
                format!("SECONDS:{}..{}", least.as_secs_f64(), most.as_secs_f64())
            }
            Millis(least, most) => format!(
                "MILLISECONDS:{}..{}",
                least.as_secs_f64() * 1000.0,
                most.as_secs_f64() * 1000.0
            ),
            After(words, argument) => format!("[{}] {}", words.join("|"), argument.usage()),
            Rest(name) => format!("{name}.."),
            Flag => "on|off".to_owned(),
            OneOf(words) => words.join("|"),
            Address => "ADDRESS".to_owned(),
            Group(_) => "GROUP".to_owned(),
            Prefix => "ADDRESS[/LENGTH]".to_owned(),
            Interface => "INTERFACE".to_owned(),
            Label => "LABEL".to_owned(),
            FileName => "NAME".to_owned(),
            Command => "COMMAND".to_owned(),
            Word(name) => name.to_owned(),
            Self::Routing(word) => word.usage().to_owned(),
        }
    }
}

/// What is made of it stays far below `NAME_MAX`.
const FILE_NAME_MAX: usize = 64;

/// Neither a way to another directory nor what a log would take for the end of something.
fn is_file_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=FILE_NAME_MAX).contains(&text.len())
        && text.bytes().all(is_plain)
        && !matches!(text, "." | "..")
}

/// As far as it can be judged without asking the kernel.
fn is_label(text: &str) -> bool {
    // The kernel takes the signs, but nobody calls an interface so.
    let is_slip = text.ends_with([';', ',']) || text.contains(CURLY_QUOTES);
    // `IFNAMSIZ` without its NUL.
    let fits = (1..=15).contains(&text.len());
    fits && !is_slip && !text.contains(|c: char| c.is_whitespace() || c == '/')
}

fn is_group(text: &str, family: Family) -> bool {
    text.parse().is_ok_and(|address: IpAddr| {
        address.is_multicast() && address.is_ipv4() == (family == Family::V4)
    })
}

fn is_prefix(text: &str) -> bool {
    if matches!(text, "default" | "all" | "any") {
        return true;
    }
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// With C's notation of its base.
pub(super) fn integer(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => i64::from_str_radix(digits, 8).ok(),
        Some(_) | None => text.parse().ok(),
    }
}
