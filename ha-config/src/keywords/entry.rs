//! Lines of lists: what begins them, and which options may follow.

use core::time::Duration;

use super::{
    Argument,
    Argument::{Address, After, Integer, Interface, Number, OneOf, Prefix, Rest, Seconds, Word},
    Support::{self, Inactive, Now, Unsupported},
    argument::{COUNT, U32_MAX},
    reason::NO_VMAC,
};

/// A line of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// Words without a name before them, in this order.
    pub(crate) arguments: &'static [Argument],
    /// So many of them are needed.
    pub(crate) least: usize,
    /// More entries may follow in the line.
    pub(crate) share_lines: bool,
    pub(crate) options: &'static [Choice],
}

/// An option of a line: its name, then its arguments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [Argument],
    /// So many of them are needed.
    pub(crate) least: usize,
    pub(crate) support: Support,
}

impl Entry {
    pub(crate) fn option(&self, name: &str) -> Option<&'static Choice> {
        self.options.iter().find(|option| option.name == name)
    }
}

/// Those that are not needed in brackets.
pub(super) fn usage(arguments: &[Argument], least: usize) -> String {
    let usage = |(index, argument): (usize, &Argument)| {
        let usage = argument.usage();
        if index < least { usage } else { format!("[{usage}]") }
    };
    let words: Vec<String> = arguments.iter().enumerate().map(usage).collect();
    words.join(" ")
}

impl Choice {
    /// `name ARGUMENT`.
    pub(crate) fn usage(&self) -> String {
        format!("{} {}", self.name, usage(self.arguments, self.least)).trim_end().to_owned()
    }
}

const fn names(arguments: &'static [Argument]) -> Entry {
    Entry { arguments, least: 1, share_lines: true, options: &[] }
}

const fn choice(name: &'static str, arguments: &'static [Argument]) -> Choice {
    Choice { name, arguments, least: arguments.len(), support: Now }
}

const fn without(support: Support, name: &'static str, arguments: &'static [Argument]) -> Choice {
    Choice { name, arguments, least: arguments.len(), support }
}

pub(crate) const MAIL_ADDRESSES: Entry = names(&[Word("MAIL_ADDRESS")]);
pub(crate) const INSTANCES: Entry = names(&[Word("INSTANCE")]);
pub(crate) const INTERFACES: Entry = names(&[Interface]);

pub(crate) const POLLED: Entry = Entry {
    arguments: &[Interface, OneOf(&["MII", "ETHTOOL", "IOCTL", "mii", "ethtool", "ioctl"])],
    least: 1,
    share_lines: false,
    options: &[],
};

const DEBOUNCE: Argument = Seconds(Duration::ZERO, Duration::from_secs(255));
pub(crate) const DELAYS: Entry = Entry {
    arguments: &[Interface, DEBOUNCE, DEBOUNCE],
    least: 2,
    share_lines: false,
    options: &[],
};

/// `NAME [weight N [reverse|noreverse]]`.
const fn tracked(name: &'static [Argument], options: &'static [Choice]) -> Entry {
    Entry { arguments: name, least: 1, share_lines: false, options }
}

// The manual has both spellings of the second.
pub(super) const REVERSE: Argument = OneOf(&["reverse", "noreverse", "no_reverse"]);
const WEIGHT: &[Choice] = &[Choice { least: 1, ..choice("weight", &[Number(-253, 253), REVERSE]) }];
const WIDE_WEIGHT: &[Choice] =
    &[Choice { least: 1, ..choice("weight", &[Number(-254, 254), REVERSE]) }];
pub(crate) const TRACKED_INTERFACE: Entry = tracked(&[Interface], WEIGHT);
pub(crate) const TRACKED_SCRIPT: Entry = tracked(&[Word("SCRIPT")], WEIGHT);
pub(crate) const TRACKED_BFD: Entry = tracked(&[Word("BFD_INSTANCE")], WEIGHT);
pub(crate) const TRACKED_FILE: Entry = tracked(&[Word("TRACK_FILE")], WIDE_WEIGHT);
pub(crate) const TRACKED_PROCESS: Entry = tracked(&[Word("TRACK_PROCESS")], WIDE_WEIGHT);

const TTL: Argument = Number(0, 255);
pub(crate) const PEER: Entry = Entry {
    arguments: &[Address],
    least: 1,
    share_lines: false,
    options: &[choice("min_ttl", &[TTL]), choice("max_ttl", &[TTL])],
};

const LIFETIME: Argument = Word("SECONDS|forever");
const KERNEL_FLAG: Support = Unsupported("the address is set without this flag");
const NO_DETECTION: Support = Unsupported("looking for duplicates would put a takeover off");
const OWN_LIFETIME: Support =
    Unsupported("it is 0 for IPv6 addresses with the prefix length 128, else forever");
const ALWAYS_TRACKED: Support = Unsupported("an address that somebody removes is put back");
const NO_PEER: Support = Unsupported("the address is set without a peer");

pub(crate) const ADDRESS: Entry = Entry {
    arguments: &[Prefix],
    least: 1,
    share_lines: false,
    options: &[
        choice("dev", &[Interface]),
        choice("brd", &[Word("ADDRESS|+|-")]),
        choice("broadcast", &[Word("ADDRESS|+|-")]),
        choice("scope", &[Word("SCOPE")]),
        choice("label", &[Interface]),
        without(NO_PEER, "peer", &[Prefix]),
        without(KERNEL_FLAG, "home", &[]),
        without(NO_DETECTION, "-nodad", &[]),
        without(KERNEL_FLAG, "mngtmpaddr", &[]),
        without(KERNEL_FLAG, "noprefixroute", &[]),
        without(KERNEL_FLAG, "autojoin", &[]),
        without(OWN_LIFETIME, "preferred_lft", &[LIFETIME]),
        without(ALWAYS_TRACKED, "no_track", &[]),
        without(Inactive(NO_VMAC), "use_vmac", &[]),
        without(Unsupported("only static addresses have it"), "track_group", &[Word("GROUP")]),
    ],
};

pub(crate) const STATIC_ADDRESS: Entry = Entry {
    arguments: &[Prefix],
    least: 1,
    share_lines: false,
    options: &[
        choice("dev", &[Interface]),
        choice("brd", &[Word("ADDRESS|+|-")]),
        choice("broadcast", &[Word("ADDRESS|+|-")]),
        choice("scope", &[Word("SCOPE")]),
        choice("label", &[Interface]),
        choice("peer", &[Prefix]),
        choice("home", &[]),
        choice("-nodad", &[]),
        choice("mngtmpaddr", &[]),
        choice("noprefixroute", &[]),
        choice("autojoin", &[]),
        choice("preferred_lft", &[LIFETIME]),
        choice("no_track", &[]),
        choice("track_group", &[Word("GROUP")]),
    ],
};

const TABLE: Argument = Word("TABLE");
const PROTOCOL: Argument = Word("PROTOCOL");
const BYTE: Argument = Integer(0, 255);

const METRIC: Argument = After(&["lock"], &COUNT);
const HOP: Argument = After(&["inet", "inet6"], &Address);

/// As keepalived 2.2.7 knows them, found by asking it (`keepalived -t`); `weight` is a hop's.
pub(crate) const ROUTE: Entry = Entry {
    // "to" may be left out; a route of several hops begins with its network all the same.
    arguments: &[Prefix],
    least: 0,
    share_lines: false,
    options: &[
        choice("unicast", &[]),
        choice("local", &[]),
        choice("broadcast", &[]),
        choice("anycast", &[]),
        choice("multicast", &[]),
        choice("blackhole", &[]),
        choice("unreachable", &[]),
        choice("prohibit", &[]),
        choice("throw", &[]),
        choice("nat", &[]),
        choice("to", &[Prefix]),
        choice("src", &[Address]),
        choice("via", &[HOP]),
        choice("gw", &[Address]),
        choice("or", &[Address]),
        choice("inet", &[]),
        choice("inet6", &[]),
        choice("dev", &[Interface]),
        choice("oif", &[Interface]),
        choice("table", &[TABLE]),
        choice("vrf", &[Interface]),
        choice("scope", &[Word("SCOPE")]),
        choice("protocol", &[PROTOCOL]),
        choice("metric", &[Integer(0, U32_MAX)]),
        choice("priority", &[Integer(0, U32_MAX)]),
        choice("preference", &[Integer(0, U32_MAX)]),
        choice("pref", &[OneOf(&["low", "medium", "high"])]),
        choice("tos", &[Word("TOS")]),
        choice("dsfield", &[Word("TOS")]),
        choice("mtu", &[METRIC]),
        choice("hoplimit", &[METRIC]),
        choice("advmss", &[METRIC]),
        choice("rtt", &[After(&["lock"], &Word("TIME"))]),
        choice("rttvar", &[After(&["lock"], &Word("TIME"))]),
        choice("rto_min", &[After(&["lock"], &Word("TIME"))]),
        choice("reordering", &[METRIC]),
        choice("window", &[METRIC]),
        choice("cwnd", &[METRIC]),
        choice("ssthresh", &[METRIC]),
        choice("initcwnd", &[METRIC]),
        choice("initrwnd", &[METRIC]),
        choice("quickack", &[Word("BOOLEAN")]),
        choice("congctl", &[After(&["lock"], &Word("NAME"))]),
        choice("features", &[OneOf(&["ecn"])]),
        choice("fastopen_no_cookie", &[Word("BOOLEAN")]),
        choice("ttl-propagate", &[OneOf(&["enabled", "disabled"])]),
        choice("realms", &[Word("REALM[/REALM]")]),
        choice("encap", &[Rest("PARAMETERS")]),
        choice("nexthop", &[]),
        choice("weight", &[Number(1, 256)]),
        choice("onlink", &[]),
        choice("append", &[]),
        choice("prepend", &[]),
        choice("expires", &[COUNT]),
        choice("as", &[After(&["to"], &Address)]),
        choice("add", &[]),
        choice("no_track", &[]),
        choice("track_group", &[Word("GROUP")]),
    ],
};

/// The same; `ip_proto` is only in its manual, it knows `ipproto`.
pub(crate) const RULE: Entry = Entry {
    arguments: &[],
    least: 0,
    share_lines: false,
    options: &[
        choice("not", &[]),
        choice("inet", &[]),
        choice("inet6", &[]),
        choice("from", &[Prefix]),
        choice("to", &[Prefix]),
        choice("iif", &[Interface]),
        choice("dev", &[Interface]),
        choice("oif", &[Interface]),
        choice("tos", &[Word("TOS")]),
        choice("dsfield", &[Word("TOS")]),
        choice("fwmark", &[Word("MARK[/MASK]")]),
        choice("preference", &[COUNT]),
        choice("priority", &[COUNT]),
        choice("order", &[COUNT]),
        choice("table", &[TABLE]),
        choice("lookup", &[TABLE]),
        choice("goto", &[COUNT]),
        choice("realms", &[Word("REALM[/REALM]")]),
        choice("uidrange", &[Word("FIRST-LAST")]),
        choice("l3mdev", &[]),
        choice("protocol", &[PROTOCOL]),
        choice("ip_proto", &[PROTOCOL]),
        choice("ipproto", &[PROTOCOL]),
        choice("sport", &[Word("FIRST[-LAST]")]),
        choice("dport", &[Word("FIRST[-LAST]")]),
        choice("suppress_prefixlength", &[BYTE]),
        choice("sup_pl", &[BYTE]),
        choice("sup_group", &[Word("GROUP")]),
        choice("type", &[OneOf(&["blackhole", "unreachable", "prohibit", "nop"])]),
        choice("suppress_ifgroup", &[Word("GROUP")]),
        choice("blackhole", &[]),
        choice("unreachable", &[]),
        choice("prohibit", &[]),
        choice("nop", &[]),
        choice("no_track", &[]),
        choice("track_group", &[Word("GROUP")]),
    ],
};
