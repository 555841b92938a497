//! The Internet checksum (RFC 1071), as VRRP uses it.

use crate::{frame::Datagram, proto::IP_PROTOCOL};

/// Folds a sum of 16-bit words into 16 bits, end-around carry included.
#[inline(always)]
#[must_use]
pub const fn fold(mut sum: u32) -> u16 {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "folded above")]
    {
        sum as u16
    }
}

/// Adds the 16-bit words of four bytes in network order.
#[inline(always)]
#[must_use]
pub const fn add_word(sum: u32, bytes: [u8; 4]) -> u32 {
    let word = u32::from_be_bytes(bytes);
    sum + (word >> 16) + (word & 0xffff)
}

/// Sum of the 16-bit words of `bytes`; an odd last byte counts as the high one.
///
/// At most [`crate::proto::MESSAGE_MAX`] bytes are meant: the sum cannot overflow below 128 KiB.
#[must_use]
pub fn sum(bytes: &[u8]) -> u32 {
    let mut sum = 0;
    for word in bytes.chunks(2) {
        let high = word.first().copied().unwrap_or(0);
        let low = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    sum
}

/// Sum of the pseudo-header: RFC 8200 §8.1 for IPv6, RFC 793's for IPv4 (keepalived's `VRRPv3`
/// dialect; RFC 9568 §5.2.8 has none for IPv4).
#[inline(always)]
#[must_use]
pub fn pseudo_header(datagram: &Datagram) -> u32 {
    let mut sum = u32::from(IP_PROTOCOL);
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "at most 65535")]
    {
        sum += datagram.payload_len as u32;
    }
    sum = add_address(sum, &datagram.source);
    add_address(sum, &datagram.destination)
}

/// An IPv4 address fills the first word; the zeros after it add nothing.
#[inline(always)]
fn add_address(mut sum: u32, address: &[u8; 16]) -> u32 {
    let (words, _) = address.as_chunks::<4>();
    for word in words {
        sum = add_word(sum, *word);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        // RFC 1071 §3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes)), 0xddf2);
        let words = add_word(add_word(0, [0x00, 0x01, 0xf2, 0x03]), [0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(fold(words), 0xddf2);
    }

    #[test]
    fn an_odd_byte_is_the_high_one() {
        assert_eq!(fold(sum(&[0x12])), 0x1200);
    }

    #[test]
    fn carries_fold_twice() {
        assert_eq!(fold(0x0001_ffff), 0x0001);
        assert_eq!(fold(0xffff_ffff), 0xffff);
    }
}
