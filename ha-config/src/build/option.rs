//! Lines of options, as iproute2 has them: each option with its argument, checked by the table.

use core::net::IpAddr;

use ha_core::Family;

use super::{address, statement::entries};
use crate::{
    diagnostic::{Sink, Span},
    keywords::{Argument, Entry, Support},
    model::{Network, PROTOCOL},
    suggest,
    tree::{Statement, Word},
    value,
};

/// An option of a line.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Its name in the table; empty: a word that needs no name.
    pub(super) name: &'static str,
    /// The option itself.
    pub(super) word: &'a Word,
    /// What follows it, if anything does: it is what the table says.
    pub(super) value: &'a Word,
    argument: Option<Argument>,
    /// A word such as `lock` was before the value.
    pub(super) has_particle: bool,
}

impl Given<'_> {
    /// The value's text.
    pub(super) fn text(&self) -> &str {
        &self.value.text
    }

    /// The value as a number; the table has checked its range.
    pub(super) fn number<T: TryFrom<i64>>(&self) -> Option<T> {
        T::try_from(self.argument?.number(&self.value.text)?).ok()
    }
}

/// What the lines of `list` say, without those in which something is wrong.
pub(super) fn lines<'a>(
    sink: &mut Sink,
    entry: &'static Entry,
    list: &'a Statement,
) -> Vec<(&'a Statement, Vec<Given<'a>>)> {
    let lines = entries(sink, list);
    lines.into_iter().filter_map(|line| Some((line, options(sink, entry, line)?))).collect()
}

/// `None` when anything in the line is wrong.
fn options<'a>(
    sink: &mut Sink,
    entry: &'static Entry,
    line: &'a Statement,
) -> Option<Vec<Given<'a>>> {
    let mut words = core::iter::once(&line.head).chain(&line.values).peekable();
    let mut places = entry.arguments.iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        if word.text == ";" {
            sink.warning(word.span, "a `;` by itself: ignored");
            continue;
        }
        let Some(option) = entry.option(&word.text) else {
            let Some(argument) = places.next().copied() else {
                unknown(sink, entry, word);
                return None;
            };
            let argument = Some(argument);
            found.push(Given { name: "", word, value: word, argument, has_particle: false });
            continue;
        };
        if let Support::Refused(why) = option.support {
            sink.error_help(word.span, format!("`{}` is not supported yet", word.text), why);
            return None;
        }
        let argument = option.arguments.first().copied();
        let mut given =
            Given { name: option.name, word, value: word, argument, has_particle: false };
        if let Some(argument) = argument {
            let is_particle = |word: &&Word| argument.particles().contains(&word.text.as_str());
            given.has_particle = words.next_if(|word| is_particle(word)).is_some();
            let Some(value) = words.next() else {
                sink.error(word.span, format!("`{}` needs a value", word.text));
                return None;
            };
            given.value = value;
        }
        found.push(given);
    }
    let wrong = |given: &&Given<'_>| given.argument.is_some_and(|one| !one.accepts(given.text()));
    if let Some(Given { value, argument: Some(argument), .. }) = found.iter().find(wrong) {
        value::bad(sink, value, &argument.expected());
        return None;
    }
    Some(found)
}

fn unknown(sink: &mut Sink, entry: &Entry, word: &Word) {
    let message = format!("unknown option `{}`", word.text);
    let names = entry.options.iter().map(|option| option.name);
    match suggest::nearest(&word.text, names) {
        Some(near) => sink.error_help(word.span, message, format!("did you mean `{near}`?")),
        None => sink.error(word.span, message),
    }
}

/// Which addresses a line is about.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// All, of whatever family the line is.
    All,
    Network(Network),
}

/// `default`, or an address or network without bits beyond its prefix length.
pub(super) fn target(sink: &mut Sink, families: &mut Families, word: &Word) -> Option<Target> {
    if matches!(word.text.as_str(), "default" | "all" | "any") {
        return Some(Target::All);
    }
    let (address, prefix_len) = address::prefixed(sink, word)?;
    families.add(sink, word, address::family(address))?;
    let first = masked(address, prefix_len);
    if first != address {
        let message = format!("`{}` has bits beyond its prefix length", word.text);
        sink.error_help(word.span, message, format!("the network is {first}/{prefix_len}"));
        return None;
    }
    Some(Target::Network(Network { address, prefix_len }))
}

fn masked(address: IpAddr, prefix_len: u8) -> IpAddr {
    let len = u32::from(prefix_len);
    match address {
        IpAddr::V4(v4) => {
            let host_bits = u32::MAX.checked_shr(len).unwrap_or(0);
            IpAddr::from((v4.to_bits() & !host_bits).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let host_bits = u128::MAX.checked_shr(len).unwrap_or(0);
            IpAddr::from((v6.to_bits() & !host_bits).to_be_bytes())
        }
    }
}

/// The family of addresses in a line, which is IPv4 unless one of them or a word says otherwise.
pub(super) struct Families {
    family: Option<Family>,
}

impl Families {
    pub(super) const NONE: Self = Self { family: None };

    /// Takes in one more; that it is another one is an error.
    pub(super) fn add(&mut self, sink: &mut Sink, word: &Word, family: Family) -> Option<()> {
        if *self.family.get_or_insert(family) == family {
            return Some(());
        }
        let message = format!("`{}` is of another family than what is before it", word.text);
        sink.error_help(word.span, message, "IPv4 and IPv6 each need a line of their own");
        None
    }

    pub(super) fn family(&self) -> Family {
        self.family.unwrap_or(Family::V4)
    }
}

/// Who a route or a rule is marked as set by.
pub(super) fn protocol(sink: &mut Sink, given: Option<(u8, Span)>, is_tracked: bool) -> u8 {
    match given {
        Some((protocol, span)) if is_tracked && protocol != PROTOCOL => {
            // keepalived: "Route cannot be tracked if protocol is not RTPROT_KEEPALIVED(18),
            // resetting protocol".
            let message = "`protocol` of what is tracked: keepalived's (18) it is";
            sink.warning_help(span, message, "with `no_track` it is what is written");
            PROTOCOL
        }
        Some((protocol, _)) => protocol,
        None => PROTOCOL,
    }
}
