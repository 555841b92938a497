//! The table behind [`super::links`]: what netlink messages make of it, and what is looked up in it.
//!
//! Pure: it reads messages that somebody else has received.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ha_core::Family;

use super::{
    addresses::PROTOCOL_MARK,
    links::News,
    netlink::{self, Message},
};

const LINK_HEADER_LEN: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_CONF: u16 = 2;
const IFLA_INFO_KIND: u16 = 1;
/// Of `struct netconfmsg`, the family alone, with its padding.
const NETCONF_HEADER_LEN: usize = 4;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
/// `IFF_UP | IFF_RUNNING | IFF_LOWER_UP`: administratively up, operational, with carrier.
const FLAGS_UP: u32 = 0x1 | 0x40 | 0x1_0000;

const IFA_F_SECONDARY: u32 = 0x01;
/// `IFA_F_DADFAILED | IFA_F_TENTATIVE`: the kernel does not send from such an address.
const UNUSABLE: u32 = 0x08 | 0x40;

/// An interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Administratively up, and with carrier.
    pub(crate) is_up: bool,
    /// `None` where the interface has no Ethernet address.
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: u32,
    pub(crate) kind: Kind,
    /// The interface it is on top of, by index; 0 if there is none.
    pub(crate) lower: u32,
    /// It forwards IPv6 (sysctl `forwarding`).
    pub(crate) is_router: bool,
    /// In the kernel's order.
    pub(crate) addresses: Vec<Address>,
}

/// What matters of how an interface gets its frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Kind {
    /// By itself.
    #[default]
    Single,
    /// From several members (bond, team): their drivers see the frames first.
    Aggregate,
    /// From another interface's tagged frames.
    Vlan,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_field_names, reason = "there is no better name for the address itself")]
pub(crate) struct Address {
    pub(crate) address: IpAddr,
    pub(crate) prefix_len: u8,
    /// `RT_SCOPE_*`.
    pub(crate) scope: u8,
    /// `IFA_F_*`.
    pub(crate) flags: u32,
    /// `IFA_PROTO`: who set it; 0 if nobody said.
    pub(crate) protocol: u8,
}

impl Address {
    fn is_usable(&self) -> bool {
        self.flags & UNUSABLE == 0
    }
}

/// Interfaces by index.
#[derive(Debug, Default)]
pub(crate) struct Table {
    links: BTreeMap<u32, Link>,
    /// Their indexes by name.
    names: BTreeMap<String, u32>,
}

impl Table {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Link> {
        self.by_index(*self.names.get(name)?)
    }

    pub(crate) fn by_index(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// Takes in a message, and adds what it changes to the news. `None` if it changes nothing.
    pub(crate) fn handle(&mut self, message: &Message<'_>, news: &mut News) -> Option<()> {
        match message.kind {
            libc::RTM_NEWLINK => self.handle_new_link(message.payload, news),
            libc::RTM_DELLINK => {
                let (index, _, _) = parse_link_header(message.payload)?;
                news.add_link(&self.remove(index)?);
                Some(())
            }
            libc::RTM_NEWADDR => {
                let (index, new) = netlink::parse_address(message.payload)?;
                let link = self.links.get_mut(&index)?;
                match link.addresses.iter_mut().find(|old| is_same(old, &new)) {
                    Some(old) if *old == new => return None,
                    Some(old) => *old = new,
                    None => link.addresses.push(new),
                }
                news.add_address(link, new.address);
                Some(())
            }
            libc::RTM_DELADDR => {
                let (index, gone) = netlink::parse_address(message.payload)?;
                let link = self.links.get_mut(&index)?;
                let before = link.addresses.len();
                link.addresses.retain(|old| !is_same(old, &gone));
                (link.addresses.len() != before).then(|| news.add_address(link, gone.address))
            }
            libc::RTM_NEWNETCONF => {
                let (index, is_router) = parse_netconf(message.payload)?;
                let link = self.links.get_mut(&index)?;
                let before = core::mem::replace(&mut link.is_router, is_router);
                (before != is_router).then(|| news.add_link(link))
            }
            _ => None,
        }
    }

    /// An interface, in the place of the one that had its index.
    pub(crate) fn insert(&mut self, link: Link) {
        self.remove(link.index);
        self.names.insert(link.name.clone(), link.index);
        self.links.insert(link.index, link);
    }

    fn remove(&mut self, index: u32) -> Option<Link> {
        let link = self.links.remove(&index)?;
        // Another one may have taken its name.
        if self.names.get(&link.name) == Some(&index) {
            self.names.remove(&link.name);
        }
        Some(link)
    }

    fn handle_new_link(&mut self, payload: &[u8], news: &mut News) -> Option<()> {
        let (index, flags, rest) = parse_link_header(payload)?;
        let old = self.links.get(&index);
        let mut link = old.cloned().unwrap_or_default();
        link.index = index;
        link.is_up = flags & FLAGS_UP == FLAGS_UP;
        for (kind, value) in netlink::attributes(rest) {
            match kind {
                IFLA_ADDRESS => link.mac = value.try_into().ok(),
                IFLA_IFNAME => {
                    let name = value.strip_suffix(&[0]).unwrap_or(value);
                    link.name = String::from_utf8_lossy(name).into_owned();
                }
                IFLA_MTU => link.mtu = netlink::parse_u32(value)?,
                IFLA_LINK => link.lower = netlink::parse_u32(value)?,
                IFLA_LINKINFO => link.kind = parse_kind(value),
                IFLA_AF_SPEC => link.is_router = parse_forwarding(value).unwrap_or(link.is_router),
                _ => {}
            }
        }
        if old == Some(&link) {
            return None;
        }
        if let Some(old) = old {
            // By its former name it was known, too.
            news.add_link(old);
        }
        news.add_link(&link);
        self.insert(link);
        Some(())
    }

    /// The address to send from: the configured one if the host has it and it is usable, else the
    /// interface's primary IPv4 or link-local IPv6 address that is none of `excluded`.
    pub(crate) fn source_for(
        &self,
        ifindex: u32,
        family: Family,
        configured: Option<IpAddr>,
        excluded: &BTreeSet<IpAddr>,
    ) -> Option<IpAddr> {
        if let Some(configured) = configured {
            return self.has_usable(ifindex, family, configured).then_some(configured);
        }
        let is_source = |address: &&Address| {
            let is_ours = address.protocol == PROTOCOL_MARK || excluded.contains(&address.address);
            let is_primary = match (family, address.address) {
                (Family::V4, IpAddr::V4(_)) => address.flags & IFA_F_SECONDARY == 0,
                (Family::V6, IpAddr::V6(v6)) => v6.is_unicast_link_local(),
                (Family::V4, IpAddr::V6(_)) | (Family::V6, IpAddr::V4(_)) => false,
            };
            is_primary && !is_ours && address.is_usable()
        };
        self.links.get(&ifindex)?.addresses.iter().find(is_source).map(|address| address.address)
    }

    fn has_usable(&self, ifindex: u32, family: Family, wanted: IpAddr) -> bool {
        let (is_family, is_link_local) = match wanted {
            IpAddr::V4(_) => (family == Family::V4, false),
            IpAddr::V6(v6) => (family == Family::V6, v6.is_unicast_link_local()),
        };
        // A link-local address means something on its own link only.
        let mut links = self.links.values().filter(|link| !is_link_local || link.index == ifindex);
        is_family
            && links.any(|link| {
                link.addresses.iter().any(|own| own.address == wanted && own.is_usable())
            })
    }
}

/// Index, flags, and attributes; `None` for what is not about the interface itself, such as a
/// bridge's port, whose removal looks like the interface's but for the family.
fn parse_link_header(payload: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (header, rest) = payload.split_first_chunk::<LINK_HEADER_LEN>()?;
    let [family, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
    (family == 0).then_some((
        u32::from_ne_bytes([i0, i1, i2, i3]),
        u32::from_ne_bytes([f0, f1, f2, f3]),
        rest,
    ))
}

/// From `IFLA_LINKINFO`: the name of the interface's driver in the kernel.
fn parse_kind(info: &[u8]) -> Kind {
    let name = netlink::attributes(info).find(|(kind, _)| *kind == IFLA_INFO_KIND);
    match name.map(|(_, value)| value.strip_suffix(&[0]).unwrap_or(value)) {
        Some(b"bond" | b"team") => Kind::Aggregate,
        Some(b"vlan") => Kind::Vlan,
        Some(_) | None => Kind::Single,
    }
}

/// From `IFLA_AF_SPEC`: the first of IPv6's settings, `DEVCONF_FORWARDING`.
fn parse_forwarding(families: &[u8]) -> Option<bool> {
    let inet6 = u16::try_from(libc::AF_INET6).ok()?;
    let (_, inet6) = netlink::attributes(families).find(|(family, _)| *family == inet6)?;
    let (_, settings) = netlink::attributes(inet6).find(|(kind, _)| *kind == IFLA_INET6_CONF)?;
    Some(netlink::parse_u32(settings.get(..4)?)? != 0)
}

/// From `RTM_NEWNETCONF`: whose IPv6 `forwarding` it tells, and what it is now.
fn parse_netconf(payload: &[u8]) -> Option<(u32, bool)> {
    let (&[family, ..], rest) = payload.split_first_chunk::<NETCONF_HEADER_LEN>()?;
    let find = |wanted| {
        let (_, value) = netlink::attributes(rest).find(|(kind, _)| *kind == wanted)?;
        netlink::parse_u32(value)
    };
    (i32::from(family) == libc::AF_INET6).then_some(())?;
    Some((find(NETCONFA_IFINDEX)?, find(NETCONFA_FORWARDING)? != 0))
}

fn is_same(one: &Address, other: &Address) -> bool {
    one.address == other.address && one.prefix_len == other.prefix_len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, flags: u32, protocol: u8) -> Address {
        Address { address: text.parse().unwrap(), prefix_len: 24, scope: 0, flags, protocol }
    }

    fn table(addresses: &[Address]) -> Table {
        let mut table = Table::default();
        let other = [address("192.0.2.1", 0, 0), address("fe80::1", 0, 0)];
        for (index, addresses) in [(1, &other[..]), (2, addresses)] {
            table.insert(Link { index, addresses: addresses.to_vec(), ..Link::default() });
        }
        table
    }

    /// V-5.1.1-1, V-7.2-1.
    #[test]
    fn primary_ipv4_is_the_first_that_is_not_secondary_nor_virtual() {
        let table = table(&[
            address("2001:db8::1", 0, 0),
            address("198.51.100.1", IFA_F_SECONDARY, 0),
            address("198.51.100.2", 0, 0),
            address("198.51.100.3", 0, PROTOCOL_MARK),
            address("198.51.100.4", 0, 0),
        ]);
        let virtual_addresses = BTreeSet::from(["198.51.100.2".parse().unwrap()]);
        let source = table.source_for(2, Family::V4, None, &virtual_addresses);
        assert_eq!(source, "198.51.100.4".parse().ok());
        assert_eq!(table.source_for(3, Family::V4, None, &BTreeSet::new()), None);
    }

    /// V-5.1.2-1, V-7.2-1.
    #[test]
    fn ipv6_needs_a_link_local_address_that_passed_duplicate_detection() {
        let mut addresses = vec![
            address("2001:db8::1", 0, 0),
            address("fe80::1", 0x40, 0),
            address("fe80::2", 0x08, 0),
        ];
        assert_eq!(table(&addresses).source_for(2, Family::V6, None, &BTreeSet::new()), None);
        addresses.push(address("fe80::3", 0x80, 0));
        let source = table(&addresses).source_for(2, Family::V6, None, &BTreeSet::new());
        assert_eq!(source, "fe80::3".parse().ok());
    }

    #[test]
    fn a_configured_address_may_be_anywhere_but_must_be_there() {
        let table = table(&[address("2001:db8::1", 0x40, 0)]);
        let source = |family, text: &str| {
            table.source_for(2, family, text.parse().ok(), &BTreeSet::new()).is_some()
        };
        assert!(source(Family::V4, "192.0.2.1"));
        assert!(!source(Family::V6, "192.0.2.1"), "wrong family");
        assert!(!source(Family::V4, "192.0.2.2"), "absent");
        assert!(!source(Family::V6, "2001:db8::1"), "tentative");
        assert!(!source(Family::V6, "fe80::1"), "another link's");
    }

    /// `RTM_NEWLINK` of eth0, index 7, MTU 1500.
    fn new_link(flags: u32) -> Vec<u8> {
        let mut payload = vec![0, 0, 1, 0];
        payload.extend(7_u32.to_ne_bytes());
        payload.extend(flags.to_ne_bytes());
        payload.extend([0; 4]);
        for (kind, value) in [
            (IFLA_IFNAME, &b"eth0\0\0\0\0"[..5]),
            (IFLA_MTU, &1500_u32.to_ne_bytes()),
            (IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
        ] {
            let len = u16::try_from(4 + value.len()).unwrap();
            payload.extend(len.to_ne_bytes());
            payload.extend(kind.to_ne_bytes());
            payload.extend(value);
            payload.resize(payload.len().next_multiple_of(4), 0);
        }
        payload
    }

    /// Whether there is news, which is of that interface.
    fn handle(table: &mut Table, kind: u16, payload: &[u8]) -> bool {
        let mut news = News::default();
        let handled = table.handle(&Message { kind, flags: 0, sequence: 0, payload }, &mut news);
        assert_eq!(handled.is_some(), !news.is_empty());
        let of_eth0 = handled.is_some().then_some(7);
        assert_eq!(news.indexes, of_eth0.into_iter().collect());
        assert_eq!(news.names, of_eth0.map(|_| "eth0".to_owned()).into_iter().collect());
        handled.is_some()
    }

    #[test]
    fn follows_a_link() {
        let mut table = Table::default();
        let up = new_link(FLAGS_UP);
        assert!(handle(&mut table, libc::RTM_NEWLINK, &up));
        let link = table.by_name("eth0").unwrap().clone();
        assert_eq!(Some(&link), table.by_index(7));
        assert_eq!((link.name.as_str(), link.mtu, link.is_up), ("eth0", 1500, true));
        assert_eq!(link.mac, Some([2, 0, 0, 0, 0, 1]));
        assert!(!handle(&mut table, libc::RTM_NEWLINK, &up), "nothing new");

        // Carrier lost, before the kernel has made up its mind about the operational state.
        let no_carrier = new_link(0x1 | 0x40);
        assert!(handle(&mut table, libc::RTM_NEWLINK, &no_carrier));
        assert!(!table.by_index(7).unwrap().is_up);

        let mut bridge_port = up.clone();
        bridge_port[0] = 7;
        assert!(!handle(&mut table, libc::RTM_DELLINK, &bridge_port));
        assert!(handle(&mut table, libc::RTM_DELLINK, &up));
        assert_eq!((table.by_index(7), table.by_name("eth0")), (None, None));
    }

    /// As the kernel writes it: `struct netconfmsg`, `NETCONFA_IFINDEX`, `NETCONFA_FORWARDING`.
    #[test]
    fn follows_forwarding() {
        let message = |family: i32, index: i32| {
            let mut payload = vec![u8::try_from(family).unwrap(), 0, 0, 0];
            for (kind, value) in [(NETCONFA_IFINDEX, index), (NETCONFA_FORWARDING, 1)] {
                payload.extend(8_u16.to_ne_bytes());
                payload.extend(kind.to_ne_bytes());
                payload.extend(value.to_ne_bytes());
            }
            payload
        };
        let mut table = Table::default();
        handle(&mut table, libc::RTM_NEWLINK, &new_link(FLAGS_UP));
        let kind = libc::RTM_NEWNETCONF;
        assert!(!handle(&mut table, kind, &message(libc::AF_INET, 7)));
        // -1 and -2 are "all" and "default".
        assert!(!handle(&mut table, kind, &message(libc::AF_INET6, -1)));
        assert!(!table.by_index(7).unwrap().is_router);
        let ours = message(libc::AF_INET6, 7);
        assert!(handle(&mut table, kind, &ours));
        assert!(table.by_index(7).unwrap().is_router);
        assert!(!handle(&mut table, kind, &ours), "nothing new");
        for len in 0..ours.len() {
            assert_eq!(parse_netconf(&ours[..len]), None, "{len}");
        }
    }
}
