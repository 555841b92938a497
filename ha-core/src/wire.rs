//! The advertisement, version 2 and 3 (RFC 3768 §5, RFC 9568 §5): bytes to fields and back.
//!
//! Decoding cannot panic, whatever the bytes. Checksum and password are judged where the frame's
//! addresses are known (`ha_common::check`); what is decoded here has passed there.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ha_common::{checksum, proto};

use crate::{AdvertInterval, Family, Version, Vrid};

pub mod ah;

/// A received advertisement, borrowed from its message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advertisement<'a> {
    /// Virtual router.
    pub vrid: Vrid,
    /// 0: the Master stops; otherwise 1 to 255.
    pub priority: u8,
    /// The Master's interval.
    pub interval: AdvertInterval,
    family: Family,
    message: &'a [u8],
    addresses: &'a [u8],
}

impl<'a> Advertisement<'a> {
    /// Reads a message of the version and family that its virtual router is configured with.
    ///
    /// # Errors
    /// Says which of RFC 9568 §7.1's checks failed first.
    pub fn decode(
        version: Version,
        family: Family,
        message: &'a [u8],
    ) -> Result<Self, DecodeError> {
        let (header, rest) =
            message.split_first_chunk::<{ proto::HEADER_LEN }>().ok_or(DecodeError::Length)?;
        let [version_type, vrid, priority, count, byte_4, byte_5, _, _] = *header;
        if version_type >> 4 != version.as_u8() {
            return Err(DecodeError::Version);
        }
        if version_type & 0x0f != proto::TYPE_ADVERTISEMENT {
            return Err(DecodeError::Type);
        }
        if count == 0 {
            return Err(DecodeError::Count);
        }
        let addresses_len = usize::from(count) * family.address_len();
        let auth_len = match version {
            Version::V2 => proto::AUTH_DATA_LEN,
            Version::V3 => 0,
        };
        if rest.len() != addresses_len + auth_len {
            return Err(DecodeError::Length);
        }
        let interval = match version {
            Version::V2 => AdvertInterval::from_secs(byte_5),
            // The four reserved bits are ignored (V-5.2.6).
            Version::V3 => {
                AdvertInterval::from_centis(u16::from_be_bytes([byte_4, byte_5]) & 0x0fff)
            }
        };
        Ok(Self {
            vrid: Vrid::new(vrid).ok_or(DecodeError::Vrid)?,
            priority,
            interval: interval.ok_or(DecodeError::Interval)?,
            family,
            message,
            addresses: rest.get(..addresses_len).ok_or(DecodeError::Length)?,
        })
    }

    /// What the checksum covers, if it is valid in one of the two ways.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::of(self.message)
    }

    /// The list of addresses as it came.
    pub(crate) fn address_bytes(&self) -> &'a [u8] {
        self.addresses
    }

    /// The addresses it lists, in its order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.chunks_exact(self.family.address_len()).filter_map(|bytes| {
            let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
            let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
            v4.or(v6).ok()
        })
    }
}

/// Why a message is not an advertisement for its virtual router.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DecodeError {
    /// Shorter or longer than its address count says.
    Length,
    /// Another version than configured.
    Version,
    /// Another type than 1.
    Type,
    /// VRID 0.
    Vrid,
    /// No address.
    Count,
    /// An interval of zero.
    Interval,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Length => "length does not match the address count",
            Self::Version => "another version than configured",
            Self::Type => "not an advertisement",
            Self::Vrid => "virtual router identifier 0",
            Self::Count => "no address listed",
            Self::Interval => "advertisement interval 0",
        })
    }
}

impl core::error::Error for DecodeError {}

/// The two ways in which checksums of `VRRPv3` over IPv4 are computed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Dialect {
    /// Over the message alone (RFC 9568 §5.2.8; V-5.2.8-2).
    Message,
    /// Over a pseudo-header too (RFC 5798's wording; keepalived's and FRR's default).
    PseudoHeader,
}

impl Dialect {
    /// That of a message whose checksum is valid in one of them.
    fn of(message: &[u8]) -> Self {
        let is_whole = checksum::fold(checksum::sum(message)) == u16::MAX;
        if is_whole { Self::Message } else { Self::PseudoHeader }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Message => "over the message alone (v3_checksum_as_v2, RFC 9568)",
            Self::PseudoHeader => "with a pseudo-header (keepalived's default)",
        })
    }
}

/// What the checksum of a sent advertisement covers (RFC 9568 §5.2.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChecksumScope {
    /// The message: `VRRPv2`, and RFC 9568 for IPv4 (keepalived `v3_checksum_as_v2`).
    Message,
    /// A pseudo-header too: IPv6, and keepalived's default for `VRRPv3` over IPv4.
    PseudoHeader {
        /// The sender's address.
        source: IpAddr,
        /// The group, or the unicast peer.
        destination: IpAddr,
    },
}

/// The advertisement a virtual router sends; only priority and checksum scope vary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    /// Protocol version.
    pub version: Version,
    /// Virtual router.
    pub vrid: Vrid,
    /// Own interval.
    pub interval: AdvertInterval,
    /// Advertised addresses, all of one family, at most 255: the others are left out.
    pub addresses: Vec<IpAddr>,
    /// How receivers know that it is ours; `VRRPv2` only.
    pub authentication: Authentication,
}

/// How a `VRRPv2` advertisement is authenticated (RFC 2338 §5.3.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Authentication {
    /// Not at all.
    None,
    /// By a password in clear, zero padded.
    Pass([u8; 8]),
    /// By an IP Authentication Header around it.
    Ah(ah::Key),
}

impl Authentication {
    /// The number on the wire.
    #[must_use]
    pub const fn auth_type(self) -> u8 {
        match self {
            Self::None => proto::AUTH_NONE,
            Self::Pass(_) => proto::AUTH_PASS,
            Self::Ah(_) => proto::AUTH_AH,
        }
    }

    /// The password, where there is one. A key is never sent.
    #[must_use]
    pub const fn data(self) -> [u8; proto::AUTH_DATA_LEN] {
        match self {
            Self::Pass(password) => password,
            Self::None | Self::Ah(_) => [0; proto::AUTH_DATA_LEN],
        }
    }
}

impl Template {
    /// How many addresses of `family` an advertisement can list that leaves in one piece by an interface
    /// of this MTU in bytes: 1 to 255.
    ///
    /// It is keepalived's number, as 2.2.7 shows it when it is run, because routers that list
    /// different addresses disagree: it leaves room for an Ethernet header, which the MTU does not count.
    #[must_use]
    pub fn room(&self, family: Family, mtu: u32) -> usize {
        const ETHERNET_HEADER_LEN: usize = 14;
        let ip_header_len = match family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        let auth_data_len = match self.version {
            Version::V2 => proto::AUTH_DATA_LEN,
            Version::V3 => 0,
        };
        let ah_len = match self.authentication {
            Authentication::Ah(_) => proto::AH_LEN,
            Authentication::None | Authentication::Pass(_) => 0,
        };
        let rest = ETHERNET_HEADER_LEN + ip_header_len + ah_len + proto::HEADER_LEN + auth_data_len;
        let mtu = usize::try_from(mtu).unwrap_or(usize::MAX);
        (mtu.saturating_sub(rest) / family.address_len()).clamp(1, proto::ADDRESSES_MAX)
    }

    /// The message to send. `priority` 0 says that the Master stops.
    #[must_use]
    pub fn encode(&self, priority: u8, scope: ChecksumScope) -> Vec<u8> {
        let count = u8::try_from(self.addresses.len()).unwrap_or(u8::MAX);
        let (byte_4, byte_5) = match self.version {
            Version::V2 => (self.authentication.auth_type(), self.interval.to_secs()),
            Version::V3 => self.interval.to_centis().to_be_bytes().into(),
        };
        let version_type = self.version.as_u8() << 4 | proto::TYPE_ADVERTISEMENT;
        let mut message =
            vec![version_type, self.vrid.as_u8(), priority, count, byte_4, byte_5, 0, 0];
        for address in self.addresses.iter().take(usize::from(count)) {
            match address {
                IpAddr::V4(address) => message.extend(address.octets()),
                IpAddr::V6(address) => message.extend(address.octets()),
            }
        }
        if self.version == Version::V2 {
            message.extend(self.authentication.data());
        }
        let sum = checksum::sum(&message) + pseudo_header_sum(scope, message.len());
        let checksum = (!checksum::fold(sum)).to_be_bytes();
        if let Some(field) = message.get_mut(proto::OFFSET_CHECKSUM..proto::HEADER_LEN) {
            field.copy_from_slice(&checksum);
        }
        message
    }
}

fn pseudo_header_sum(scope: ChecksumScope, message_len: usize) -> u32 {
    match scope {
        ChecksumScope::Message => 0,
        ChecksumScope::PseudoHeader { source, destination } => {
            let message_len = u32::try_from(message_len).unwrap_or(u32::MAX >> 8);
            u32::from(proto::IP_PROTOCOL)
                + message_len
                + address_sum(source)
                + address_sum(destination)
        }
    }
}

fn address_sum(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => checksum::sum(&address.octets()),
        IpAddr::V6(address) => checksum::sum(&address.octets()),
    }
}
