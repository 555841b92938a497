//! Lines of `virtual_ipaddress` and `virtual_ipaddress_excluded`.

use core::net::{IpAddr, Ipv4Addr};

use ha_core::Family;

use super::{statement::entries, unique::Unique};
use crate::{
    diagnostic::{Sink, Span},
    keywords::{Argument, Entry, STATIC_ADDRESS, Support},
    model::{Address, Lifetime, Scope},
    tree::{Statement, Word},
    value,
};

/// A line, before the instance's interface is known.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) address: IpAddr,
    pub(super) span: Span,
    prefix_len: u8,
    broadcast: Option<Ipv4Addr>,
    interface: Option<String>,
    scope: Scope,
    label: Option<String>,
    prefix_route: bool,
    preferred: Lifetime,
    track: bool,
    /// Of a static address.
    pub(super) group: Option<Word>,
}

impl Draft {
    pub(super) fn finish(&self, sink: &Sink, interface: &str) -> Address {
        Address {
            address: self.address,
            prefix_len: self.prefix_len,
            broadcast: self.broadcast,
            interface: self.interface.clone().unwrap_or_else(|| interface.to_owned()),
            scope: self.scope,
            label: self.label.clone(),
            prefix_route: self.prefix_route,
            preferred: self.preferred,
            track: self.track,
            place: sink.place(self.span),
        }
    }
}

/// By address.
pub(super) type List = Unique<IpAddr, Draft>;

pub(super) const fn family(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// Adds the lines of `list`, whose options are those of `options`, to `drafts`, each address once.
pub(super) fn read(sink: &mut Sink, options: &Entry, list: &Statement, drafts: &mut List) {
    for line in entries(sink, list) {
        let Some(draft) = read_line(sink, options, line) else { continue };
        let (address, span) = (draft.address, draft.span);
        if !is_of_one_host(address) {
            sink.warning(span, format!("`{address}` is no address that a host can have"));
        }
        if let Err(first) = drafts.insert(address, draft) {
            let place = sink.place(first.span);
            sink.warning(span, format!("`{address}` is in {place} already: ignored"));
        }
    }
}

/// Whether it can be a host's, as far as can be told from the address alone.
pub(super) fn is_of_one_host(address: IpAddr) -> bool {
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_multicast() && !address.is_unspecified() && !is_broadcast
}

/// An interface's name, as far as it can be judged without asking the kernel.
pub(super) fn interface_name(sink: &mut Sink, word: &Word) -> Option<String> {
    name(sink, word, Argument::Interface)
}

fn name(sink: &mut Sink, word: &Word, argument: Argument) -> Option<String> {
    let valid = argument.accepts(&word.text);
    if !valid {
        value::bad(sink, word, &argument.expected());
    }
    valid.then(|| word.text.clone())
}

/// `None` when anything in the line is wrong.
fn read_line(sink: &mut Sink, options: &Entry, line: &Statement) -> Option<Draft> {
    let (address, prefix_len) = prefixed(sink, &line.head)?;
    let mut draft = Draft {
        address,
        span: line.head.span,
        prefix_len,
        broadcast: None,
        interface: None,
        scope: Scope::GLOBAL,
        label: None,
        prefix_route: true,
        preferred: Lifetime::default_of(address, prefix_len),
        track: true,
        group: None,
    };
    let mut words = line.values.iter();
    while let Some(option) = words.next() {
        match option.text.as_str() {
            "no_track" => draft.track = false,
            "noprefixroute" => draft.prefix_route = false,
            "brd" | "broadcast" | "dev" | "scope" | "label" | "preferred_lft" => {
                let given = value_of(sink, option, &mut words)?;
                draft.read_option(sink, option, given)?;
            }
            ";" => sink.warning(option.span, "a `;` by itself: ignored"),
            "track_group" if options == &STATIC_ADDRESS => {
                draft.group = Some(value_of(sink, option, &mut words)?.clone());
            }
            _ if is_without_effect(sink, options, option, &mut words)? => {}
            other => {
                let message = format!("unknown option `{other}` of an address");
                let is_address = prefix_parts(other).is_some();
                let help = if is_address {
                    "each address is on a line of its own"
                } else {
                    "options are brd, dev, scope, label, noprefixroute, preferred_lft and no_track"
                };
                sink.error_help(option.span, message, help);
                return None;
            }
        }
    }
    Some(draft)
}

fn value_of<'a>(
    sink: &mut Sink,
    option: &Word,
    words: &mut impl Iterator<Item = &'a Word>,
) -> Option<&'a Word> {
    let given = words.next();
    if given.is_none() {
        sink.error(option.span, format!("`{}` needs a value", option.text));
    }
    given
}

/// Whether `option` is one of keepalived's that is not supported; its arguments are read then. `None`
/// if it is one without which the address would not be what was asked for.
fn is_without_effect<'a>(
    sink: &mut Sink,
    options: &Entry,
    option: &Word,
    words: &mut impl Iterator<Item = &'a Word>,
) -> Option<bool> {
    let Some(choice) = options.option(&option.text) else { return Some(false) };
    let why = match choice.support {
        Support::Inactive(why) | Support::Unsupported(why) => why,
        Support::Refused(why) => {
            sink.error_help(option.span, format!("`{}` is not supported yet", option.text), why);
            return None;
        }
        Support::Now | Support::WithoutEffect(_) | Support::LoadBalancer => return Some(false),
    };
    let given = words.take(choice.arguments.len());
    for (word, argument) in given.zip(choice.arguments) {
        if !argument.accepts(&word.text) {
            value::bad(sink, word, &argument.expected());
        }
    }
    let message = format!("`{}` is not supported: ignored", option.text);
    sink.warning_help(option.span, message, why);
    Some(true)
}

impl Draft {
    fn read_option(&mut self, sink: &mut Sink, option: &Word, given: &Word) -> Option<()> {
        match (option.text.as_str(), self.address) {
            ("dev", _) => self.interface = Some(interface_name(sink, given)?),
            ("scope", _) => self.scope = scope(sink, given)?,
            ("label", IpAddr::V4(_)) => self.label = Some(name(sink, given, Argument::Label)?),
            ("brd" | "broadcast", IpAddr::V4(address)) => {
                self.broadcast = Some(broadcast(sink, given, address, self.prefix_len)?);
            }
            ("preferred_lft", IpAddr::V6(_)) => self.preferred = lifetime(sink, given)?,
            (name, address) => {
                let kind = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                sink.warning(option.span, format!("{kind} addresses have no `{name}`: ignored"));
            }
        }
        Some(())
    }
}

/// `forever`, or seconds.
fn lifetime(sink: &mut Sink, word: &Word) -> Option<Lifetime> {
    let seconds = || word.text.parse().ok().map(Lifetime::Seconds);
    let lifetime = if word.text == "forever" { Some(Lifetime::Forever) } else { seconds() };
    if lifetime.is_none() {
        value::bad(sink, word, "forever, or seconds from 0 to 4294967295");
    }
    lifetime
}

/// `address[/prefix]`; without a prefix the host's own.
pub(super) fn prefixed(sink: &mut Sink, word: &Word) -> Option<(IpAddr, u8)> {
    let Some((address, prefix)) = prefix_parts(&word.text) else {
        value::bad(sink, word, "an IP address");
        return None;
    };
    let most = match family(address) {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    let Some(prefix) = prefix else { return Some((address, most)) };
    match prefix.parse() {
        Ok(length) if length <= most => Some((address, length)),
        Ok(_) | Err(_) => {
            let message = format!("`/{prefix}` is not a prefix length from 0 to {most}");
            match (value::sign_at_end(prefix), mask_len(prefix)) {
                (Some(help), _) => sink.error_help(word.span, message, help),
                (None, Some(length)) => {
                    sink.error_help(word.span, message, format!("this mask is `/{length}`"));
                }
                (None, None) => sink.error(word.span, message),
            }
            None
        }
    }
}

/// The length of a prefix that is written as a mask.
fn mask_len(text: &str) -> Option<u32> {
    let bits = text.parse::<Ipv4Addr>().ok()?.to_bits();
    (bits.leading_ones() == bits.count_ones()).then_some(bits.count_ones())
}

fn prefix_parts(text: &str) -> Option<(IpAddr, Option<&str>)> {
    match text.split_once('/') {
        Some((address, prefix)) => Some((address.parse().ok()?, Some(prefix))),
        None => Some((text.parse().ok()?, None)),
    }
}

/// A name or a number.
pub(super) fn scope(sink: &mut Sink, word: &Word) -> Option<Scope> {
    Some(match word.text.as_str() {
        "global" => Scope::GLOBAL,
        "site" => Scope::SITE,
        "link" => Scope::LINK,
        "host" => Scope::HOST,
        "nowhere" => Scope::NOWHERE,
        other => {
            let Ok(number) = other.parse() else {
                value::bad(sink, word, "global, site, link, host, nowhere or 0 to 255");
                return None;
            };
            Scope(number)
        }
    })
}

/// An address, `+` for all host bits set or `-` for all clear.
fn broadcast(sink: &mut Sink, word: &Word, address: Ipv4Addr, prefix_len: u8) -> Option<Ipv4Addr> {
    let host_bits = u32::MAX.checked_shr(u32::from(prefix_len)).unwrap_or(0);
    match word.text.as_str() {
        "+" => Some(Ipv4Addr::from_bits(address.to_bits() | host_bits)),
        "-" => Some(Ipv4Addr::from_bits(address.to_bits() & !host_bits)),
        other => {
            let parsed = other.parse().ok();
            if parsed.is_none() {
                value::bad(sink, word, "an IPv4 address, `+` or `-`");
            }
            parsed
        }
    }
}
