//! A policy rule, as the kernel is asked for it.

use std::{fmt, io, net::IpAddr};

use rtnetlink::{
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        rule::{RuleAttribute, RuleFlags, RuleMessage, RuleUidRange},
    },
};

use super::netlink;

/// One rule to be there, or not; numbers are those of `linux/fib_rules.h`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct RuleChange {
    pub(crate) present: bool,
    pub(crate) is_ipv6: bool,
    /// `FRA_PRIORITY`.
    pub(crate) preference: u32,
    /// `FIB_RULE_INVERT`.
    pub(crate) invert: bool,
    pub(crate) from: Option<(IpAddr, u8)>,
    pub(crate) to: Option<(IpAddr, u8)>,
    pub(crate) iif: Option<String>,
    pub(crate) oif: Option<String>,
    pub(crate) tos: u8,
    /// Value and mask.
    pub(crate) mark: Option<(u32, u32)>,
    /// First and last.
    pub(crate) uids: Option<(u32, u32)>,
    pub(crate) suppress_prefix_len: Option<u8>,
    /// `FR_ACT_*`.
    pub(crate) action: u8,
    /// 0 where the action is no lookup.
    pub(crate) table: u32,
    /// `RTPROT_*`.
    pub(crate) protocol: u8,
}

impl RuleChange {
    pub(super) fn append_to(&self, buffer: &mut Vec<u8>, sequence: u32) -> io::Result<()> {
        let message = self.message();
        if self.present {
            // Without EXCL the kernel would have the same rule twice.
            let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
            netlink::append(buffer, flags, sequence, RouteNetlinkMessage::NewRule(message))
        } else {
            netlink::append(buffer, NLM_F_ACK, sequence, RouteNetlinkMessage::DelRule(message))
        }
    }

    fn message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        let header = &mut message.header;
        header.family = if self.is_ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        header.src_len = self.from.map_or(0, |(_, prefix_len)| prefix_len);
        header.dst_len = self.to.map_or(0, |(_, prefix_len)| prefix_len);
        header.tos = self.tos;
        header.action = self.action.into();
        if self.invert {
            header.flags = RuleFlags::Invert;
        }
        let attributes = &mut message.attributes;
        attributes.push(RuleAttribute::Priority(self.preference));
        attributes.push(RuleAttribute::Protocol(self.protocol.into()));
        attributes.extend(self.from.map(|(address, _)| RuleAttribute::Source(address)));
        attributes.extend(self.to.map(|(address, _)| RuleAttribute::Destination(address)));
        attributes.extend(self.iif.clone().map(RuleAttribute::Iifname));
        attributes.extend(self.oif.clone().map(RuleAttribute::Oifname));
        attributes.extend(
            self.mark.into_iter().flat_map(|(value, mask)| {
                [RuleAttribute::FwMark(value), RuleAttribute::FwMask(mask)]
            }),
        );
        let uids = self.uids.map(|(start, end)| RuleUidRange { start, end });
        attributes.extend(uids.map(RuleAttribute::UidRange));
        let suppressed = self.suppress_prefix_len.map(u32::from);
        attributes.extend(suppressed.map(RuleAttribute::SuppressPrefixLen));
        if self.table != 0 {
            attributes.push(RuleAttribute::Table(self.table));
        }
        message
    }
}

impl fmt::Display for RuleChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.is_ipv6 { 6 } else { 4 };
        write!(formatter, "the IPv{version} rule with preference {}", self.preference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `linux/fib_rules.h` has it.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_rule_byte_for_byte() {
        let add = RuleChange {
            present: true,
            is_ipv6: false,
            preference: 39,
            invert: true,
            from: Some(("198.51.100.0".parse().unwrap(), 24)),
            to: None,
            iif: Some("eth0".to_owned()),
            oif: None,
            tos: 0x10,
            mark: Some((24, 12)),
            uids: Some((100, 200)),
            suppress_prefix_len: Some(1),
            action: 1,
            table: 1000,
            protocol: 18,
        };
        #[rustfmt::skip]
        let expected = [
            108, 0, 0, 0, 32, 0, 5, 6, 9, 0, 0, 0, 0, 0, 0, 0, // RTM_NEWRULE, CREATE and EXCL
            2, 0, 24, 0x10, 0, 0, 0, 1, 2, 0, 0, 0, // FIB_RULE_INVERT
            8, 0, 6, 0, 39, 0, 0, 0, // FRA_PRIORITY
            5, 0, 21, 0, 18, 0, 0, 0, // FRA_PROTOCOL
            8, 0, 2, 0, 198, 51, 100, 0, // FRA_SRC
            9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0, // FRA_IIFNAME
            8, 0, 10, 0, 24, 0, 0, 0, // FRA_FWMARK
            8, 0, 16, 0, 12, 0, 0, 0, // FRA_FWMASK
            12, 0, 20, 0, 100, 0, 0, 0, 200, 0, 0, 0, // FRA_UID_RANGE
            8, 0, 14, 0, 1, 0, 0, 0, // FRA_SUPPRESS_PREFIXLEN
            8, 0, 15, 0, 0xe8, 3, 0, 0, // FRA_TABLE
        ];
        let mut buffer = Vec::new();
        add.append_to(&mut buffer, 9).unwrap();
        assert_eq!(buffer, expected);
        let mut removal = Vec::new();
        RuleChange { present: false, ..add }.append_to(&mut removal, 9).unwrap();
        assert_eq!(removal[4..8], [33, 0, 5, 0]);
    }
}
