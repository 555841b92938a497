//! Values in a story: times, intervals, bytes; and what of a message may not be kept.

use core::{fmt, net::IpAddr, str::FromStr, time::Duration};

use std::net::{Ipv4Addr, Ipv6Addr};

use ha_common::proto;

use crate::{AdvertInterval, Family, Instant, Order, Priority, Version, Vrid};

/// The address that an instance has if its story names none.
pub(super) fn usual_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 51, 100, 13).into(),
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x13).into(),
    }
}

/// The VRID that an instance has if its story names none.
pub(super) const USUAL_VRID: u8 = 133;

pub(super) fn wrong(what: &str, word: &str) -> String {
    format!("expected {what}, found `{word}`")
}

pub(super) fn parse<T: FromStr>(what: &str, word: &str) -> Result<T, String> {
    word.parse().ok().ok_or_else(|| wrong(what, word))
}

pub(super) fn order(word: &str) -> Result<Order, String> {
    let orders = [Order::Demote, Order::Promote, Order::Announce, Order::Reset];
    let order = orders.into_iter().find(|order| order_word(*order) == word);
    order.ok_or_else(|| wrong("demote, promote, announce or reset", word))
}

pub(super) const fn order_word(order: Order) -> &'static str {
    match order {
        Order::Demote => "demote",
        Order::Promote => "promote",
        Order::Announce => "announce",
        Order::Reset => "reset",
    }
}

pub(super) fn vrid(word: &str) -> Result<Vrid, String> {
    word.parse().ok().and_then(Vrid::new).ok_or_else(|| wrong("a VRID from 1 to 255", word))
}

pub(super) fn priority(word: &str) -> Result<Priority, String> {
    let priority = word.parse().ok().and_then(Priority::new);
    priority.ok_or_else(|| wrong("a priority from 1 to 255", word))
}

pub(super) fn version(word: &str) -> Result<Version, String> {
    match word {
        "2" => Ok(Version::V2),
        "3" => Ok(Version::V3),
        _ => Err(wrong("version 2 or 3", word)),
    }
}

pub(super) fn interval(word: &str) -> Result<AdvertInterval, String> {
    let of_nanos = |nanos: u64| {
        let centis = nanos / 10_000_000;
        match u8::try_from(centis / 100) {
            _ if !nanos.is_multiple_of(10_000_000) => None,
            // VRRPv2 has up to 255 s, VRRPv3 up to 40.95 s.
            Ok(secs) if centis.is_multiple_of(100) => AdvertInterval::from_secs(secs),
            _ => AdvertInterval::from_centis(u16::try_from(centis).ok()?),
        }
    };
    nanos(word).and_then(of_nanos).ok_or_else(|| wrong("an interval of VRRP", word))
}

pub(super) fn duration(word: &str) -> Result<Duration, String> {
    nanos(word).map(Duration::from_nanos).ok_or_else(|| wrong("a time like 1s or 609.375ms", word))
}

pub(super) fn instant(word: &str) -> Result<Instant, String> {
    duration(word).map(|since| Instant::default() + since)
}

/// `1s`, `609.375ms`, `78125ns`, exactly.
fn nanos(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let digits = match unit {
        "s" => 9,
        "ms" => 6,
        "us" => 3,
        "ns" => 0,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part = format!("{part:0<digits$}");
    if whole.is_empty() || part.len() > digits {
        return None;
    }
    format!("{whole}{part}").parse().ok()
}

/// A kernel's stamp.
pub(super) fn stamp(word: &str) -> Result<Instant, String> {
    instant(word.strip_prefix("stamp=").ok_or_else(|| wrong("stamp=TIME", word))?)
}

/// Addresses with commas between them.
pub(super) fn list(value: &str) -> Result<Vec<IpAddr>, String> {
    let words = value.split(',').filter(|word| !word.is_empty());
    words.map(|word| parse("an IP address", word)).collect()
}

/// Milliseconds, to the nanosecond.
pub(super) fn millis(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let text = format!("{}.{:06}", nanos / 1_000_000, nanos % 1_000_000);
    format!("{}ms", text.trim_end_matches('0').trim_end_matches('.'))
}

pub(super) fn hex(bytes: &[u8]) -> impl fmt::Display {
    fmt::from_fn(move |formatter| bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}")))
}

pub(super) fn bytes(word: &str) -> Result<Vec<u8>, String> {
    let (pairs, rest) = word.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    let bytes = pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty());
    bytes.ok_or_else(|| wrong("bytes as pairs of hexadecimal digits", word))
}

/// Blanks the password of a `VRRPv2` message: the engine does not judge it, and a record is read by
/// others than the configuration.
pub(super) fn blank_password(message: &mut [u8]) {
    let Some(&[version_type, _, _, count, ..]) = message.first_chunk::<{ proto::HEADER_LEN }>()
    else {
        return;
    };
    if version_type >> 4 != Version::V2.as_u8() {
        return;
    }
    let at_end = proto::HEADER_LEN + usize::from(count) * Family::V4.address_len();
    let is_whole = message.len() == at_end + proto::AUTH_DATA_LEN;
    // Where the length is wrong, it may be anywhere.
    let from = if is_whole { at_end } else { proto::HEADER_LEN };
    if let Some(password) = message.get_mut(from..) {
        password.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Advertisement, Authentication, ChecksumScope, Template};

    #[test]
    fn times_are_exact() {
        for (text, nanos, shown) in [
            ("1s", 1_000_000_000, "1000ms"),
            ("609.375ms", 609_375_000, "609.375ms"),
            ("5us", 5_000, "0.005ms"),
            ("78125ns", 78_125, "0.078125ms"),
            ("0ms", 0, "0ms"),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
            assert_eq!(millis(Duration::from_nanos(nanos)), shown);
            assert_eq!(duration(shown), Ok(Duration::from_nanos(nanos)), "{shown}");
        }
        for text in ["1", "s", "1.0000000001s", "-1s", "1 s", "1h", "99999999999999s"] {
            duration(text).unwrap_err();
        }
        for text in ["0s", "41s5", "40.96s", "256s", "5ms", "15ms"] {
            interval(text).unwrap_err();
        }
        assert_eq!(interval("255s"), Ok(AdvertInterval::from_secs(255).unwrap()));
    }

    #[test]
    fn bytes_are_pairs() {
        assert_eq!(bytes("00ffA9"), Ok(vec![0, 255, 0xa9]));
        assert_eq!(bytes(""), Ok(Vec::new()));
        assert_eq!(hex(&[0, 255, 0xa9]).to_string(), "00ffa9");
        for text in ["0", "0g", "0x", "é"] {
            bytes(text).unwrap_err();
        }
    }

    fn message(version: Version, password: Option<[u8; 8]>) -> Vec<u8> {
        let template = Template {
            version,
            vrid: Vrid::new(7).unwrap(),
            interval: AdvertInterval::DEFAULT,
            addresses: vec![usual_address(Family::V4), Ipv4Addr::new(192, 0, 2, 1).into()],
            authentication: password.map_or(Authentication::None, Authentication::Pass),
        };
        template.encode(100, ChecksumScope::Message)
    }

    fn has_password(message: &[u8]) -> bool {
        message.windows(3).any(|part| b"secret!!".windows(3).any(|secret| part == secret))
    }

    #[test]
    fn the_password_goes_and_what_the_engine_reads_stays() {
        let before = message(Version::V2, Some(*b"secret!!"));
        assert!(has_password(&before));
        let mut after = before.clone();
        blank_password(&mut after);
        // RFC 2338 §5.1: the last eight bytes.
        assert_eq!(after[..after.len() - 8], before[..before.len() - 8]);
        assert_eq!(after[after.len() - 8..], [0; 8]);
        let decode = |message: &[u8]| {
            let advertisement = Advertisement::decode(Version::V2, Family::V4, message).unwrap();
            let addresses: Vec<IpAddr> = advertisement.addresses().collect();
            (advertisement.vrid, advertisement.priority, advertisement.interval, addresses)
        };
        assert_eq!(decode(&after), decode(&before));
    }

    #[test]
    fn a_message_of_a_wrong_length_keeps_no_password_either() {
        let whole = message(Version::V2, Some(*b"secret!!"));
        for len in 0..whole.len() {
            for count in [0, 1, 2, 3, 255] {
                let mut cut = whole[..len].to_vec();
                if let Some(byte) = cut.get_mut(3) {
                    *byte = count;
                }
                let header = cut.get(..8).map(<[u8]>::to_vec);
                blank_password(&mut cut);
                assert!(!has_password(&cut) || len < 8, "{len} {count}: {cut:?}");
                assert_eq!(cut.get(..8).map(<[u8]>::to_vec), header);
            }
        }
        for count in [0, 1, 2, 3, 255] {
            let mut longer = [whole.as_slice(), b"secret!!"].concat();
            longer[3] = count;
            blank_password(&mut longer);
            assert!(!has_password(&longer), "{count}");
        }
    }

    #[test]
    fn version_3_is_left_alone() {
        let before = message(Version::V3, None);
        let mut after = before.clone();
        blank_password(&mut after);
        assert_eq!(after, before);
    }
}
