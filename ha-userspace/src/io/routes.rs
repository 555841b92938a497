//! A route, as the kernel is asked for it.

use std::{fmt, io, net::IpAddr};

use rtnetlink::{
    packet_core::{DefaultNla, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        route::{
            RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
        },
    },
};

use super::netlink;

/// `RTAX_LOCK`: the mask of the metrics that are not to be changed.
const METRIC_LOCK: u16 = 1;

/// One route to be there, or not; numbers are those of `linux/rtnetlink.h`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct RouteChange {
    pub(crate) present: bool,
    pub(crate) destination: IpAddr,
    pub(crate) prefix_len: u8,
    pub(crate) table: u32,
    /// `RTPROT_*`.
    pub(crate) protocol: u8,
    /// `RT_SCOPE_*`.
    pub(crate) scope: u8,
    /// `RTN_*`.
    pub(crate) kind: u8,
    pub(crate) tos: u8,
    /// `RTA_PRIORITY`.
    pub(crate) metric: Option<u32>,
    pub(crate) source: Option<IpAddr>,
    /// None for a route that leads nowhere.
    pub(crate) hops: Vec<NextHop>,
    /// `RTAX_*` and values.
    pub(crate) path: Vec<(u8, u32)>,
    /// Bits by `RTAX_*`.
    pub(crate) locks: u32,
    /// `ICMPV6_ROUTER_PREF_*`, for IPv6 only.
    pub(crate) preference: Option<u8>,
    /// After those that match it, not before them.
    pub(crate) append: bool,
}

/// A way that packets may go.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct NextHop {
    pub(crate) gateway: Option<IpAddr>,
    /// `None`: the kernel finds it by the gateway.
    pub(crate) ifindex: Option<u32>,
    pub(crate) onlink: bool,
    /// Its share, from 0: one less than the operator's.
    pub(crate) more_weight: u8,
}

impl RouteChange {
    pub(super) fn append_to(&self, buffer: &mut Vec<u8>, sequence: u32) -> io::Result<()> {
        // A removal names it whole, so that only what was set is removed, and nobody else's.
        let message = self.message();
        if self.present {
            // Neither instead of another nor only if there is none: the administrator's route to
            // the same destination stays where it is, and counts again afterwards.
            let place = if self.append { NLM_F_APPEND } else { 0 };
            let flags = NLM_F_ACK | NLM_F_CREATE | place;
            netlink::append(buffer, flags, sequence, RouteNetlinkMessage::NewRoute(message))
        } else {
            netlink::append(buffer, NLM_F_ACK, sequence, RouteNetlinkMessage::DelRoute(message))
        }
    }

    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        let header = &mut message.header;
        header.address_family = match self.destination {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        header.destination_prefix_length = self.prefix_len;
        header.tos = self.tos;
        header.protocol = self.protocol.into();
        header.scope = self.scope.into();
        header.kind = self.kind.into();
        let attributes = &mut message.attributes;
        attributes.push(RouteAttribute::Destination(self.destination.into()));
        attributes.push(RouteAttribute::Table(self.table));
        attributes.extend(self.metric.map(RouteAttribute::Priority));
        attributes.extend(self.source.map(|source| RouteAttribute::PrefSource(source.into())));
        attributes.extend(self.preference.map(|one| RouteAttribute::Preference(one.into())));
        if let [hop] = self.hops.as_slice() {
            attributes.extend(hop.gateway.map(|one| RouteAttribute::Gateway(one.into())));
            attributes.extend(hop.ifindex.map(RouteAttribute::Oif));
            if hop.onlink {
                header.flags = RouteFlags::Onlink;
            }
        } else if !self.hops.is_empty() {
            let hops = self.hops.iter().map(NextHop::message).collect();
            attributes.push(RouteAttribute::MultiPath(hops));
        }
        if !self.path.is_empty() {
            attributes.push(RouteAttribute::Metrics(self.metrics()));
        }
        message
    }

    fn metrics(&self) -> Vec<RouteMetric> {
        let metric = |kind: u16, value: u32| {
            RouteMetric::Other(DefaultNla::new(kind, value.to_ne_bytes().to_vec()))
        };
        let lock = (self.locks != 0).then(|| metric(METRIC_LOCK, self.locks));
        let path = self.path.iter().map(|(kind, value)| metric(u16::from(*kind), *value));
        lock.into_iter().chain(path).collect()
    }
}

impl NextHop {
    fn message(&self) -> RouteNextHop {
        let mut hop = RouteNextHop::default();
        hop.hops = self.more_weight;
        hop.interface_index = self.ifindex.unwrap_or(0);
        if self.onlink {
            hop.flags = RouteNextHopFlags::Onlink;
        }
        hop.attributes.extend(self.gateway.map(|one| RouteAttribute::Gateway(one.into())));
        hop
    }
}

impl fmt::Display for RouteChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, prefix_len, table, .. } = self;
        write!(formatter, "the route to {destination}/{prefix_len} in table {table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> RouteChange {
        RouteChange {
            present: true,
            destination: "198.51.100.0".parse().unwrap(),
            prefix_len: 24,
            table: 1000,
            protocol: 18,
            scope: 0,
            kind: 1,
            tos: 0x10,
            metric: Some(7),
            source: None,
            hops: vec![NextHop {
                gateway: Some("192.0.2.1".parse().unwrap()),
                ifindex: Some(3),
                onlink: true,
                more_weight: 0,
            }],
            path: vec![(2, 1400)],
            locks: 1 << 2,
            preference: None,
            append: false,
        }
    }

    fn bytes(route: &RouteChange) -> Vec<u8> {
        let mut buffer = Vec::new();
        route.append_to(&mut buffer, 9).unwrap();
        buffer
    }

    /// As rtnetlink(7) and `linux/rtnetlink.h` have it.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_route_byte_for_byte() {
        let add = route();
        #[rustfmt::skip]
        let expected = [
            88, 0, 0, 0, 24, 0, 5, 4, 9, 0, 0, 0, 0, 0, 0, 0, // RTM_NEWROUTE, CREATE
            2, 24, 0, 0x10, 0, 18, 0, 1, 4, 0, 0, 0, // RTNH_F_ONLINK
            8, 0, 1, 0, 198, 51, 100, 0, // RTA_DST
            8, 0, 15, 0, 0xe8, 3, 0, 0, // RTA_TABLE
            8, 0, 6, 0, 7, 0, 0, 0, // RTA_PRIORITY
            8, 0, 5, 0, 192, 0, 2, 1, // RTA_GATEWAY
            8, 0, 4, 0, 3, 0, 0, 0, // RTA_OIF
            20, 0, 8, 0, 8, 0, 1, 0, 4, 0, 0, 0, 8, 0, 2, 0, 0x78, 5, 0, 0, // RTA_METRICS
        ];
        assert_eq!(bytes(&add), expected);
        let removal = bytes(&RouteChange { present: false, ..add });
        assert_eq!(removal[4..8], [25, 0, 5, 0]);
        assert_eq!(removal[16..], expected[16..]);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn hops_byte_for_byte() {
        let mut add = RouteChange { append: true, path: Vec::new(), locks: 0, ..route() };
        add.hops.push(NextHop { gateway: None, ifindex: Some(4), onlink: false, more_weight: 255 });
        let bytes = bytes(&add);
        assert_eq!(bytes[6..8], [5, 12], "CREATE and APPEND");
        #[rustfmt::skip]
        let expected = [
            28, 0, 9, 0, // RTA_MULTIPATH
            16, 0, 4, 0, 3, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, 1,
            8, 0, 0, 255, 4, 0, 0, 0,
        ];
        assert_eq!(bytes[bytes.len() - 28..], expected);
    }
}
