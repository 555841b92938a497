//! Any bytes as an advertisement: decoding never panics, and what it took is written back as it was.

#![no_main]

use ha_common::frame::{Bytes, walk, walk_ah};
use ha_core::{
    Family, Version,
    wire::{Advertisement, Authentication, ChecksumScope, Template, ah::Key},
};
use libfuzzer_sys::fuzz_target;

const AUTH_PASS: u8 = 1;
const AUTH_AH: u8 = 2;

fuzz_target!(|input: &[u8]| {
    // A whole frame stands for its message, so that captured frames are good seeds.
    let message = match walk(&Bytes(input)).or_else(|_| walk_ah(&Bytes(input))) {
        Ok(datagram) => input.get(datagram.payload_offset..).unwrap_or_default(),
        Err(_) => input,
    };
    for version in [Version::V2, Version::V3] {
        for family in [Family::V4, Family::V6] {
            let decoded = Advertisement::decode(version, family, message);
            assert_eq!(decoded.is_ok(), is_valid(version, family, message), "{decoded:?}");
            if let Ok(decoded) = decoded {
                check(version, family, message, &decoded);
            }
        }
    }
});

/// RFC 9568 §5.2 and RFC 3768 §5.3: lengths, and what must not be zero.
fn is_valid(version: Version, family: Family, message: &[u8]) -> bool {
    let [version_type, vrid, _, count, byte_4, byte_5, _, _, ..] = *message else {
        return false;
    };
    let address_len = if family == Family::V4 { 4 } else { 16 };
    let (first, auth_len, has_interval) = match version {
        Version::V2 => (0x21, 8, byte_5 != 0),
        Version::V3 => (0x31, 0, (byte_4 & 0x0f, byte_5) != (0, 0)),
    };
    version_type == first
        && vrid != 0
        && count != 0
        && has_interval
        && message.len() == 8 + usize::from(count) * address_len + auth_len
}

fn check(version: Version, family: Family, message: &[u8], decoded: &Advertisement<'_>) {
    let authentication = match (version, message[4], message.last_chunk()) {
        (Version::V2, AUTH_PASS, Some(password)) => Authentication::Pass(*password),
        (Version::V2, AUTH_AH, _) => Authentication::Ah(Key::new(*b"not sent")),
        _ => Authentication::None,
    };
    let template = Template {
        version,
        vrid: decoded.vrid,
        interval: decoded.interval,
        addresses: decoded.addresses().collect(),
        authentication,
    };
    let encoded = template.encode(decoded.priority, ChecksumScope::Message);
    assert_eq!(sum(&encoded), 0xffff, "the checksum makes the sum all ones (RFC 1071)");
    assert_eq!(without_checksum(encoded.clone()), without_checksum(normal(version, message)));

    let again = Advertisement::decode(version, family, &encoded).expect("what we send, we take");
    let fields = |it: &Advertisement<'_>| (it.vrid, it.priority, it.interval);
    assert_eq!(fields(&again), fields(decoded));
    assert!(again.addresses().eq(decoded.addresses()));
}

/// The message as we would have sent it: nothing in reserved bits, no other authentication than by
/// password.
fn normal(version: Version, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    match version {
        Version::V2 if message[4] == AUTH_PASS => {}
        Version::V2 => {
            if message[4] != AUTH_AH {
                message[4] = 0;
            }
            let end = message.len();
            message[end - 8..].fill(0);
        }
        Version::V3 => message[4] &= 0x0f,
    }
    message
}

fn without_checksum(mut message: Vec<u8>) -> Vec<u8> {
    message[6..8].fill(0);
    message
}

/// One's complement sum, written down as RFC 1071 §1 says it.
fn sum(message: &[u8]) -> u16 {
    message.chunks(2).fold(0, |sum: u16, pair| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([pair[0], pair[1]]));
        sum + u16::from(carry)
    })
}
