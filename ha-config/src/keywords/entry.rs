//! Lines of lists: what begins them, and which options may follow.

use core::time::Duration;

use super::{
    Argument,
    Argument::{
        Address, After, Integer, Interface, Label, Number, OneOf, Prefix, Rest, Seconds, Word,
    },
    Routing,
    Support::{self, Inactive, Now, Refused, Unsupported},
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
pub(crate) const TRACKED_CLOCK: Entry = tracked(&[Word("TRACK_CLOCK")], WEIGHT);
pub(crate) const TRACKED_FILE: Entry = tracked(&[Word("TRACK_FILE")], WIDE_WEIGHT);
pub(crate) const TRACKED_PROCESS: Entry = tracked(&[Word("TRACK_PROCESS")], WIDE_WEIGHT);
pub(crate) const TRACKED_UNIT: Entry = tracked(&[Word("TRACK_UNIT")], WIDE_WEIGHT);

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
        choice("label", &[Label]),
        without(NO_PEER, "peer", &[Prefix]),
        without(KERNEL_FLAG, "home", &[]),
        without(NO_DETECTION, "-nodad", &[]),
        without(KERNEL_FLAG, "mngtmpaddr", &[]),
        choice("noprefixroute", &[]),
        without(KERNEL_FLAG, "autojoin", &[]),
        choice("preferred_lft", &[LIFETIME]),
        choice("no_track", &[]),
        without(Inactive(NO_VMAC), "use_vmac", &[]),
        without(Unsupported("only static addresses have it"), "track_group", &[Word("GROUP")]),
    ],
};

const OF_HOST: Support =
    Refused("an address that needs it belongs into the host's network configuration");

pub(crate) const STATIC_ADDRESS: Entry = Entry {
    arguments: &[Prefix],
    least: 1,
    share_lines: false,
    options: &[
        choice("dev", &[Interface]),
        choice("brd", &[Word("ADDRESS|+|-")]),
        choice("broadcast", &[Word("ADDRESS|+|-")]),
        choice("scope", &[Word("SCOPE")]),
        choice("label", &[Label]),
        without(OF_HOST, "peer", &[Prefix]),
        without(OF_HOST, "home", &[]),
        without(NO_DETECTION, "-nodad", &[]),
        without(OF_HOST, "mngtmpaddr", &[]),
        choice("noprefixroute", &[]),
        without(OF_HOST, "autojoin", &[]),
        choice("preferred_lft", &[LIFETIME]),
        choice("no_track", &[]),
        choice("track_group", &[Word("GROUP")]),
    ],
};

const TABLE: Argument = Argument::Routing(Routing::Table);
const PROTOCOL: Argument = Argument::Routing(Routing::Protocol);
const TOS: Argument = Argument::Routing(Routing::Tos);
const MARK: Argument = Argument::Routing(Routing::Mark);
const UIDS: Argument = Argument::Routing(Routing::Uids);
const BYTE: Argument = Integer(0, 255);

const METRIC: Argument = After(&["lock"], &COUNT);
const HOP: Argument = After(&["inet", "inet6"], &Address);

const NO_KIND: Support = Refused("kinds are unicast, blackhole, unreachable, prohibit and throw");
const NO_MULTIPATH: Support = Refused("write each gateway as `nexthop via GATEWAY`");
const NO_VRF: Support = Refused("name the table of the VRF by `table`");
const NO_TCP: Support =
    Refused("of what connections do, only the metrics that are numbers are set");
const NO_REALMS: Support = Refused("there are no realms: `fwmark` tells packets apart, too");
const NO_ENCAP: Support = Refused("routes lead to a gateway or a link: use a tunnel interface");
const NO_EXPIRY: Support = Refused("a route is there as long as its Master");
const NO_ADD: Support = Refused("leave it out: a route comes before those that it could meet");
const NO_PORTS: Support = Refused(
    "packets are told by address, interface, mark, user and TOS: \
    a packet filter can mark them",
);
const NO_ACTION: Support = Refused(
    "what becomes of packets is a lookup, or blackhole, unreachable \
    or prohibit",
);

/// As keepalived 2.2.7 knows them, found by asking it (`keepalived -t`); `weight` is a hop's.
pub(crate) const ROUTE: Entry = Entry {
    // "to" may be left out; a route of several hops begins with its network all the same.
    arguments: &[Prefix],
    least: 0,
    share_lines: false,
    options: &[
        choice("unicast", &[]),
        choice("blackhole", &[]),
        choice("unreachable", &[]),
        choice("prohibit", &[]),
        choice("throw", &[]),
        choice("to", &[Prefix]),
        choice("src", &[Address]),
        choice("via", &[HOP]),
        choice("gw", &[Address]),
        choice("inet", &[]),
        choice("inet6", &[]),
        choice("dev", &[Interface]),
        choice("oif", &[Interface]),
        choice("table", &[TABLE]),
        choice("scope", &[Word("SCOPE")]),
        choice("protocol", &[PROTOCOL]),
        choice("metric", &[Integer(0, U32_MAX)]),
        choice("priority", &[Integer(0, U32_MAX)]),
        choice("preference", &[Integer(0, U32_MAX)]),
        choice("pref", &[OneOf(&["low", "medium", "high"])]),
        choice("tos", &[TOS]),
        choice("dsfield", &[TOS]),
        choice("mtu", &[METRIC]),
        choice("hoplimit", &[METRIC]),
        choice("advmss", &[METRIC]),
        choice("reordering", &[METRIC]),
        choice("window", &[METRIC]),
        choice("cwnd", &[METRIC]),
        choice("ssthresh", &[METRIC]),
        choice("initcwnd", &[METRIC]),
        choice("initrwnd", &[METRIC]),
        choice("quickack", &[Number(0, 1)]),
        choice("nexthop", &[]),
        choice("weight", &[Number(1, 256)]),
        choice("onlink", &[]),
        choice("append", &[]),
        choice("prepend", &[]),
        choice("no_track", &[]),
        choice("track_group", &[Word("GROUP")]),
        without(NO_KIND, "local", &[]),
        without(NO_KIND, "broadcast", &[]),
        without(NO_KIND, "anycast", &[]),
        without(NO_KIND, "multicast", &[]),
        without(NO_KIND, "nat", &[]),
        without(NO_MULTIPATH, "or", &[Address]),
        without(NO_VRF, "vrf", &[Interface]),
        without(NO_TCP, "rtt", &[After(&["lock"], &Word("TIME"))]),
        without(NO_TCP, "rttvar", &[After(&["lock"], &Word("TIME"))]),
        without(NO_TCP, "rto_min", &[After(&["lock"], &Word("TIME"))]),
        without(NO_TCP, "congctl", &[After(&["lock"], &Word("NAME"))]),
        without(NO_TCP, "features", &[OneOf(&["ecn"])]),
        without(NO_TCP, "fastopen_no_cookie", &[Word("BOOLEAN")]),
        without(NO_ENCAP, "ttl-propagate", &[OneOf(&["enabled", "disabled"])]),
        without(NO_REALMS, "realms", &[Word("REALM[/REALM]")]),
        without(NO_ENCAP, "encap", &[Rest("PARAMETERS")]),
        without(NO_ENCAP, "as", &[After(&["to"], &Address)]),
        without(NO_EXPIRY, "expires", &[COUNT]),
        without(NO_ADD, "add", &[]),
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
        choice("tos", &[TOS]),
        choice("dsfield", &[TOS]),
        choice("fwmark", &[MARK]),
        choice("preference", &[COUNT]),
        choice("priority", &[COUNT]),
        choice("order", &[COUNT]),
        choice("table", &[TABLE]),
        choice("lookup", &[TABLE]),
        choice("uidrange", &[UIDS]),
        choice("protocol", &[PROTOCOL]),
        choice("suppress_prefixlength", &[BYTE]),
        choice("sup_pl", &[BYTE]),
        choice("type", &[OneOf(&["blackhole", "unreachable", "prohibit"])]),
        choice("blackhole", &[]),
        choice("unreachable", &[]),
        choice("prohibit", &[]),
        choice("no_track", &[]),
        choice("track_group", &[Word("GROUP")]),
        without(NO_REALMS, "realms", &[Word("REALM[/REALM]")]),
        without(NO_VRF, "l3mdev", &[]),
        without(NO_PORTS, "ip_proto", &[Word("PROTOCOL")]),
        without(NO_PORTS, "ipproto", &[Word("PROTOCOL")]),
        without(NO_PORTS, "sport", &[Word("FIRST[-LAST]")]),
        without(NO_PORTS, "dport", &[Word("FIRST[-LAST]")]),
        without(NO_ACTION, "goto", &[COUNT]),
        without(NO_ACTION, "nop", &[]),
        without(NO_ACTION, "sup_group", &[Word("GROUP")]),
        without(NO_ACTION, "suppress_ifgroup", &[Word("GROUP")]),
    ],
};
