//! VRRP's numbers and field offsets (RFC 9568 §5, RFC 3768 §5).

/// IP protocol number of VRRP (RFC 9568 §5.1.1.4).
pub const IP_PROTOCOL: u8 = 112;
/// IP protocol number of the Authentication Header (RFC 4302 §2).
pub const IP_PROTOCOL_AH: u8 = 51;
/// The Authentication Header of keepalived's `auth_type AH`: HMAC-MD5-96 (RFC 4302 §2, RFC 2403).
pub const AH_LEN: usize = 24;
/// TTL or hop limit of every multicast advertisement (RFC 9568 §5.1.1.3, RFC 5082).
pub const TTL: u8 = 255;
/// 224.0.0.18 (RFC 9568 §5.1.1.2).
pub const GROUP_V4: [u8; 4] = [224, 0, 0, 18];
/// `ff02::12` (RFC 9568 §5.1.2.2).
pub const GROUP_V6: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12];

/// RFC 3768.
pub const VERSION_2: u8 = 2;
/// RFC 9568.
pub const VERSION_3: u8 = 3;
/// The only type there is (RFC 9568 §5.2.2).
pub const TYPE_ADVERTISEMENT: u8 = 1;

/// Fixed part of an advertisement, both versions.
pub const HEADER_LEN: usize = 8;
/// Authentication data of `VRRPv2`: always present, zero when unused (RFC 3768 §5.3.10).
pub const AUTH_DATA_LEN: usize = 8;
/// An advertisement counts its addresses in eight bits.
pub const ADDRESSES_MAX: usize = 255;
/// The longest legal advertisement: 255 IPv6 addresses.
pub const MESSAGE_MAX: usize = HEADER_LEN + ADDRESSES_MAX * 16;

/// Version in the high nibble, type in the low one.
pub const OFFSET_VERSION_TYPE: usize = 0;
/// Virtual router identifier.
pub const OFFSET_VRID: usize = 1;
/// Priority.
pub const OFFSET_PRIORITY: usize = 2;
/// Number of addresses.
pub const OFFSET_COUNT: usize = 3;
/// `VRRPv2`: authentication type.
pub const OFFSET_AUTH_TYPE: usize = 4;
/// `VRRPv2`: interval in seconds.
pub const OFFSET_INTERVAL_SECS: usize = 5;
/// `VRRPv3`: four reserved bits, then the interval in centiseconds.
pub const OFFSET_INTERVAL_CENTIS: usize = 4;
/// Checksum.
pub const OFFSET_CHECKSUM: usize = 6;

/// `VRRPv2` without authentication (RFC 3768 §5.3.6).
pub const AUTH_NONE: u8 = 0;
/// `VRRPv2` with a password in clear (RFC 2338 §5.3.6; keepalived `auth_type PASS`).
pub const AUTH_PASS: u8 = 1;
/// `VRRPv2` behind an IP Authentication Header (RFC 2338 §5.3.6; keepalived `auth_type AH`).
pub const AUTH_AH: u8 = 2;

/// The address family of a virtual router: the same VRID in two families is two virtual routers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Bytes of one address.
    #[inline(always)]
    #[must_use]
    pub const fn address_len(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// 4 or 6, as the map keys carry it.
    #[inline(always)]
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}
