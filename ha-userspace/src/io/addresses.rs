//! An address on an interface, as the kernel is asked for it.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr},
};

use rtnetlink::{
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::{
            AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
            CacheInfo,
        },
    },
};

use super::netlink;

/// `IFA_PROTO` of every virtual address: what tells ours from the administrator's.
///
/// A kernel before 5.18 ignores the attribute; there, leftovers cannot be told.
pub(crate) const PROTOCOL_MARK: u8 = 112;
/// The same of what is static: the host may send from it, as from any address of its own.
pub(crate) const STATIC_MARK: u8 = ha_config::PROTOCOL;

/// `IFNAMSIZ`, with the closing zero.
const LABEL_MAX: usize = 15;
pub(crate) const LIFETIME_INFINITE: u32 = u32::MAX;

/// One address to be there, or not.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct AddressChange {
    pub(crate) present: bool,
    pub(crate) ifindex: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix_len: u8,
    pub(crate) broadcast: Option<Ipv4Addr>,
    /// `RT_SCOPE_*`.
    pub(crate) scope: u8,
    pub(crate) label: Option<String>,
    pub(crate) prefix_route: bool,
    /// In seconds, of an IPv6 address.
    pub(crate) preferred: u32,
    /// [`PROTOCOL_MARK`] or [`STATIC_MARK`]; nothing in a removal.
    pub(crate) mark: u8,
}

impl AddressChange {
    /// Names the address and nothing else: whoever changed the rest is not obeyed.
    pub(crate) fn removal(&self) -> Self {
        let Self { ifindex, address, prefix_len, .. } = *self;
        Self {
            present: false,
            ifindex,
            address,
            prefix_len,
            broadcast: None,
            scope: 0,
            label: None,
            prefix_route: true,
            preferred: 0,
            mark: 0,
        }
    }

    pub(super) fn append_to(&self, buffer: &mut Vec<u8>, sequence: u32) -> io::Result<()> {
        if self.label.as_ref().is_some_and(|label| label.len() > LABEL_MAX) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the label of {} is longer than {LABEL_MAX} bytes", self.address),
            ));
        }
        let message = self.message();
        if self.present {
            let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
            netlink::append(buffer, flags, sequence, RouteNetlinkMessage::NewAddress(message))
        } else {
            netlink::append(buffer, NLM_F_ACK, sequence, RouteNetlinkMessage::DelAddress(message))
        }
    }

    fn message(&self) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = self.ifindex;
        message.header.prefix_len = self.prefix_len;
        message.header.family = match self.address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        let attributes = &mut message.attributes;
        attributes.push(AddressAttribute::Local(self.address));
        attributes.push(AddressAttribute::Address(self.address));
        if !self.present {
            return message;
        }
        message.header.scope = self.scope.into();
        attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(self.mark)));
        attributes.extend(self.broadcast.map(AddressAttribute::Broadcast));
        attributes.extend(self.label.clone().map(AddressAttribute::Label));
        let mut flags = AddressFlags::empty();
        if self.address.is_ipv6() {
            // It moves with its state: detection of duplicates would delay it by a second.
            message.header.flags = AddressHeaderFlags::Nodad;
            flags |= AddressFlags::Nodad;
            let mut lifetime = CacheInfo::default();
            lifetime.ifa_valid = LIFETIME_INFINITE;
            lifetime.ifa_preferred = self.preferred;
            attributes.push(AddressAttribute::CacheInfo(lifetime));
        }
        if !self.prefix_route {
            // They count in the place of the header's, which has no room for this one.
            attributes.push(AddressAttribute::Flags(flags | AddressFlags::Noprefixroute));
        }
        message
    }
}

impl fmt::Display for AddressChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{} on interface {}", self.address, self.prefix_len, self.ifindex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(present: bool, address: &str, prefix_len: u8) -> AddressChange {
        AddressChange {
            present,
            ifindex: 3,
            address: address.parse().unwrap(),
            prefix_len,
            broadcast: None,
            scope: 0,
            label: None,
            prefix_route: true,
            preferred: LIFETIME_INFINITE,
            mark: PROTOCOL_MARK,
        }
    }

    fn bytes(change: &AddressChange) -> Vec<u8> {
        let mut buffer = Vec::new();
        change.append_to(&mut buffer, 9).unwrap();
        buffer
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_ipv4_request_byte_for_byte() {
        let mut add = change(true, "198.51.100.7", 24);
        add.broadcast = Some(Ipv4Addr::new(198, 51, 100, 255));
        add.scope = 253;
        add.label = Some("eth0:1".to_owned());
        #[rustfmt::skip]
        let expected = [
            68, 0, 0, 0, 20, 0, 5, 5, 9, 0, 0, 0, 0, 0, 0, 0, // RTM_NEWADDR
            2, 24, 0, 253, 3, 0, 0, 0,
            8, 0, 2, 0, 198, 51, 100, 7,
            8, 0, 1, 0, 198, 51, 100, 7,
            5, 0, 11, 0, 112, 0, 0, 0,
            8, 0, 4, 0, 198, 51, 100, 255,
            11, 0, 3, 0, b'e', b't', b'h', b'0', b':', b'1', 0, 0,
        ];
        assert_eq!(bytes(&add), expected);
        let removal = bytes(&AddressChange { present: false, ..add });
        assert_eq!(removal.len(), 40);
        assert_eq!(removal[4..8], [21, 0, 5, 0]);
    }

    /// V-8.2.2-3: `IFA_F_NODAD`.
    #[cfg(target_endian = "little")]
    #[test]
    fn ipv6_skips_duplicate_detection_and_a_host_address_is_deprecated() {
        let cache_info = |bytes: &[u8]| bytes[bytes.len() - 20..].to_vec();
        let host = AddressChange { preferred: 0, ..change(true, "2001:db8::7", 128) };
        let host = bytes(&host);
        assert_eq!(host[16..20], [10, 128, 2, 0]);
        let expected = [[20, 0, 6, 0], [0; 4], [0xff; 4], [0; 4], [0; 4]].concat();
        assert_eq!(cache_info(&host), expected);
        let network = cache_info(&bytes(&change(true, "2001:db8::7", 64)));
        assert_eq!(network[4..12], [0xff; 8]);
    }

    /// `IFA_FLAGS` (8) with `IFA_F_NOPREFIXROUTE` (0x200) and, of an IPv6 address, `IFA_F_NODAD`.
    #[cfg(target_endian = "little")]
    #[test]
    fn an_address_without_its_network_s_route() {
        for (address, low) in [("198.51.100.7", 0), ("2001:db8::7", 2)] {
            let bytes = bytes(&AddressChange { prefix_route: false, ..change(true, address, 24) });
            assert_eq!(bytes[bytes.len() - 8..], [8, 0, 8, 0, low, 2, 0, 0]);
        }
    }

    #[test]
    fn a_label_too_long_is_refused_here() {
        let mut add = change(true, "198.51.100.7", 24);
        add.label = Some("x".repeat(16));
        assert!(add.append_to(&mut Vec::new(), 1).is_err());
    }
}
