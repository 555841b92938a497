//! Words of routes and rules that iproute2 has names for.

use crate::model::{MAIN_TABLE, Mark};

/// A kind of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Routing {
    Table,
    Protocol,
    Tos,
    Mark,
    Uids,
}

impl Routing {
    pub(crate) fn accepts(self, text: &str) -> bool {
        match self {
            Self::Table => table(text).is_some(),
            Self::Protocol => protocol(text).is_some(),
            Self::Tos => tos(text).is_some(),
            Self::Mark => mark(text).is_some(),
            Self::Uids => uids(text).is_some(),
        }
    }

    /// After "is not".
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Table => "a table: main, local, default or a whole number from 1 to 4294967295",
            Self::Protocol => "a routing protocol: its name in the kernel, or 1 to 255",
            Self::Tos => "a multiple of 4 from 0 to 252",
            Self::Mark => "a mark, such as 7 or 0x10/0xf0",
            Self::Uids => "a range of user numbers, such as 1000-1999",
        }
    }

    /// As the manual would write it.
    pub(crate) const fn usage(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::Protocol => "PROTOCOL",
            Self::Tos => "TOS",
            Self::Mark => "MARK[/MASK]",
            Self::Uids => "FIRST-LAST",
        }
    }
}

/// `RT_TABLE_*` (linux/rtnetlink.h); other names are known to each host's iproute2 only.
pub(crate) fn table(text: &str) -> Option<u32> {
    match text {
        "main" => Some(MAIN_TABLE),
        "local" => Some(255),
        "default" => Some(253),
        _ => unsigned(text).filter(|number| *number != 0),
    }
}

/// `RTPROT_*` (linux/rtnetlink.h).
pub(crate) fn protocol(text: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 21] = [
        ("redirect", 1),
        ("kernel", 2),
        ("boot", 3),
        ("static", 4),
        ("gated", 8),
        ("ra", 9),
        ("mrt", 10),
        ("zebra", 11),
        ("bird", 12),
        ("dnrouted", 13),
        ("xorp", 14),
        ("ntk", 15),
        ("dhcp", 16),
        ("mrouted", 17),
        ("keepalived", 18),
        ("babel", 42),
        ("bgp", 186),
        ("isis", 187),
        ("ospf", 188),
        ("rip", 189),
        ("eigrp", 192),
    ];
    let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    let number = || unsigned(text).and_then(|number| u8::try_from(number).ok());
    named.or_else(number).filter(|number| *number != 0)
}

/// The two lowest bits belong to congestion notification (RFC 3168): the kernel refuses them.
pub(crate) fn tos(text: &str) -> Option<u8> {
    let number = unsigned(text).and_then(|number| u8::try_from(number).ok());
    number.filter(|number| number % 4 == 0)
}

pub(crate) fn mark(text: &str) -> Option<Mark> {
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (value, unsigned(mask)?),
        None => (text, u32::MAX),
    };
    Some(Mark { value: unsigned(value)?, mask })
}

pub(crate) fn uids(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-')?;
    let range = (first.parse().ok()?, last.parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

fn unsigned(text: &str) -> Option<u32> {
    u32::try_from(super::argument::integer(text)?).ok()
}
