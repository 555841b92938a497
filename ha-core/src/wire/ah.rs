//! The Authentication Header around an advertisement (RFC 2338 §5.3.6, keepalived `auth_type AH`):
//! IPv4 header, 24 bytes of AH with HMAC-MD5-96, `VRRPv2` message.
//!
//! RFC 2338 leaves the details to the documents about AH (RFC 4302, RFC 2403); where these leave a
//! choice, it is keepalived 2.2.7's, as its frames in `tests/vectors` show. Nothing here can panic,
//! whatever the bytes.

use core::{fmt, time::Duration};

use ha_common::proto;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

const IPV4_MIN_LEN: usize = 20;
/// "More fragments" and the 13-bit offset.
const FRAGMENT_MASK: u16 = 0x3fff;
/// RFC 4302 §2.2: length in words of four bytes, minus two.
const PAYLOAD_LEN: u8 = 4;
/// The part of the header before the integrity check value.
const FIXED_LEN: usize = 12;
/// RFC 2403 §2: the first 96 bits of HMAC-MD5.
const ICV_LEN: usize = proto::AH_LEN - FIXED_LEN;
/// 2020-01-01, in seconds of Unix time.
const EPOCH_SECS: u64 = 1_577_836_800;
/// Where a sequence may start: a clock that is decades fast must not use the numbers up.
const START_MAX: u32 = 3 << 30;

/// What all nodes of a virtual router know: keepalived's `auth_pass`, padded with zeros.
///
/// Its `Debug` hides it, so that it reaches no log.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key([u8; 8]);

impl Key {
    /// From the eight bytes that keepalived takes of a password.
    #[must_use]
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    fn mac(self) -> Hmac<Md5> {
        // RFC 2104 §2: a key shorter than a block is padded with zeros; all of keepalived's are.
        let mut block = [0; 64];
        if let Some(first) = block.first_chunk_mut() {
            *first = self.0;
        }
        Hmac::new(&block.into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("********")
    }
}

/// Whether the integrity check value covers the TTL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// It does: nobody forwards what is sent to the group.
    Multicast,
    /// It does not: peers may be behind routers (RFC 4302 §3.3.3.1.1.1: mutable).
    Unicast,
}

/// What is behind a header that is good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opened<'a> {
    /// Good once only: [`Sequence::accept`] has the last word.
    pub sequence: u32,
    /// The VRRP message.
    pub message: &'a [u8],
}

/// Why a packet is not an advertisement of somebody who has the key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum AhError {
    /// Not an IPv4 packet of protocol 51 with an advertisement behind it, or a fragment.
    Protocol,
    /// A header that is cut short, or of another length than HMAC-MD5-96 makes it.
    Length,
    /// The security parameters index is not the sender's address.
    Spi,
    /// The integrity check value does not hold: a wrong key, or a byte was changed.
    Icv,
}

impl fmt::Display for AhError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Protocol => "not an advertisement behind an Authentication Header",
            Self::Length => {
                "the Authentication Header has another length than HMAC-MD5-96 makes it"
            }
            Self::Spi => "the security parameters index is not the sender's address",
            Self::Icv => "the integrity check value does not hold: a wrong key, or a changed byte",
        })
    }
}

impl core::error::Error for AhError {}

/// Takes an IPv4 packet apart, from its header to the end that its length says, and checks all of
/// it that the sender has sealed. What the message says is not judged here, nor the sequence.
///
/// # Errors
/// Says what is wrong; the integrity check value is compared last, and in constant time.
pub fn open<'a>(key: &Key, mode: Mode, packet: &'a [u8]) -> Result<Opened<'a>, AhError> {
    let (fixed, _) = packet.split_first_chunk::<IPV4_MIN_LEN>().ok_or(AhError::Protocol)?;
    let [version_ihl, _, len_high, len_low, _, _, frag_high, frag_low, _, protocol, ..] = *fixed;
    let [.., s0, s1, s2, s3, _, _, _, _] = *fixed;
    let header_len = usize::from(version_ihl & 0x0f) * 4;
    let is_fragment = u16::from_be_bytes([frag_high, frag_low]) & FRAGMENT_MASK != 0;
    if version_ihl >> 4 != 4
        || header_len < IPV4_MIN_LEN
        || protocol != proto::IP_PROTOCOL_AH
        || is_fragment
    {
        return Err(AhError::Protocol);
    }
    let total_len = usize::from(u16::from_be_bytes([len_high, len_low]));
    let whole = packet.get(..total_len).ok_or(AhError::Length)?;
    let (header, rest) = whole.split_at_checked(header_len).ok_or(AhError::Length)?;
    let (ah, message) = rest.split_first_chunk::<{ proto::AH_LEN }>().ok_or(AhError::Length)?;
    let (ah_fixed, icv) = ah.split_first_chunk::<FIXED_LEN>().ok_or(AhError::Length)?;
    // The reserved field is whatever it is, but sealed (RFC 4302 §2.3).
    let [next_header, payload_len, _, _, p0, p1, p2, p3, q0, q1, q2, q3] = *ah_fixed;
    if next_header != proto::IP_PROTOCOL {
        return Err(AhError::Protocol);
    }
    if payload_len != PAYLOAD_LEN {
        return Err(AhError::Length);
    }
    if [p0, p1, p2, p3] != [s0, s1, s2, s3] {
        return Err(AhError::Spi);
    }
    let mac = sealed(*key, mode, header, ah_fixed, message);
    mac.verify_truncated_left(icv).map_err(|_difference| AhError::Icv)?;
    Ok(Opened { sequence: u32::from_be_bytes([q0, q1, q2, q3]), message })
}

/// What one advertisement is sealed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seal {
    /// The virtual router's.
    pub key: Key,
    /// How it is sent.
    pub mode: Mode,
    /// From [`Sequence::advance`].
    pub sequence: u32,
}

impl Seal {
    /// The Authentication Header between `ip_header` and `message`.
    ///
    /// The IP header is the one that is sent: its identification and its length are sealed too.
    /// The kernel may still fill in the checksum.
    #[must_use]
    pub fn header(&self, ip_header: &[u8; IPV4_MIN_LEN], message: &[u8]) -> [u8; proto::AH_LEN] {
        let [.., s0, s1, s2, s3, _, _, _, _] = *ip_header;
        let [q0, q1, q2, q3] = self.sequence.to_be_bytes();
        let fixed = [proto::IP_PROTOCOL, PAYLOAD_LEN, 0, 0, s0, s1, s2, s3, q0, q1, q2, q3];
        let mac = sealed(self.key, self.mode, ip_header, &fixed, message);
        let digest: [u8; 16] = mac.finalize().into_bytes().into();
        let mut header = [0; proto::AH_LEN];
        for (to, from) in header.iter_mut().zip(fixed.iter().chain(&digest)) {
            *to = *from;
        }
        header
    }
}

/// HMAC over what does not change on the way (RFC 4302 §3.3.3): TOS, flags, checksum and, as the
/// case may be, the TTL count as zero, and so does the integrity check value itself.
fn sealed(
    key: Key,
    mode: Mode,
    ip_header: &[u8],
    ah_fixed: &[u8; FIXED_LEN],
    message: &[u8],
) -> Hmac<Md5> {
    let mut mac = key.mac();
    if let Some((fixed, options)) = ip_header.split_first_chunk::<IPV4_MIN_LEN>() {
        let mut fixed = *fixed;
        let [_, tos, _, _, _, _, flags, fragment, ttl, _, sum_high, sum_low, ..] = &mut fixed;
        for changing in [tos, flags, fragment, sum_high, sum_low] {
            *changing = 0;
        }
        if mode == Mode::Unicast {
            *ttl = 0;
        }
        mac.update(&fixed);
        // keepalived sends none and seals those of others as they are.
        mac.update(options);
    }
    mac.update(ah_fixed);
    mac.update(&[0; ICV_LEN]);
    mac.update(message);
    mac
}

/// The last sequence number of a virtual router, whoever sent it.
///
/// As keepalived 2.2.7 has it: all nodes of a virtual router count together. A node takes over the
/// number of every packet that it accepts and sends the next one, so that whoever becomes Master
/// goes on where the last Master was, and a packet counts only if its number is above the last,
/// whoever it comes from. A node that has just started knows of no number and accepts any: it is
/// never locked out by its own past, because it goes on from the first number that it hears; and if
/// it does not hear the others, who refuse its low numbers, one of them becomes Master, is heard,
/// and is answered with a number that they accept.
///
/// What keepalived does not do: a node begins to send at a number made of the time of its start,
/// which is above all that were sent before, if clocks are right to some minutes. Otherwise the
/// numbers of a virtual router begin at 1 whenever all its nodes were down, and what somebody has
/// recorded before would count again until they are past it. What remains is the time from a start
/// to the first packet heard. A wrong clock is harmless: then it is as with keepalived.
///
/// After the last number there is none: it is sent again and refused, by keepalived as by us, until
/// all nodes are started anew. That takes 48 years from the highest start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sequence {
    last: u32,
    start: u32,
}

impl Sequence {
    /// For a node that starts at the time `unix`, since 1970-01-01.
    #[must_use]
    pub fn starting_at(unix: Duration) -> Self {
        let age = unix.saturating_sub(Duration::from_secs(EPOCH_SECS));
        // Half seconds: version 2 has one advertisement a second, and an answer now and then.
        let start = u32::try_from(age.as_millis() / 500).ok();
        Self { last: 0, start: start.filter(|start| *start <= START_MAX).unwrap_or(1) }
    }

    /// Whether a packet with this number is new; the number counts as used from then on.
    #[must_use]
    pub fn accept(&mut self, sequence: u32) -> bool {
        let is_new = sequence > self.last;
        self.last = sequence.max(self.last);
        is_new
    }

    /// The number of the next advertisement.
    #[must_use]
    pub fn advance(&mut self) -> u32 {
        self.last = self.last.saturating_add(1).max(self.start);
        self.last
    }
}
