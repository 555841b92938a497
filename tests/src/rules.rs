//! What the XDP program is told of node B of the reference pair, so that it has something to judge a
//! captured frame by; and frames of other addresses.
#![expect(clippy::indexing_slicing, reason = "a frame that is not well-formed fails the test")]

use ha_common::{
    abi::{
        ADDRESS_GROUP, ADDRESS_LOCAL, AddressKey, Content, INSTANCES_MAX, InstanceKey,
        InstanceRule, MODE_MULTICAST, MODE_UNICAST, PeerKey, PeerRule,
    },
    proto::{AUTH_AH, AUTH_NONE, AUTH_PASS, Family},
};

use crate::{
    forge::{Cover, Layout},
    program::{IFINDEX, Tables},
    vectors,
};

pub const OWN_V4: [u8; 4] = [198, 51, 100, 11];
pub const PEER_V4: [u8; 4] = [198, 51, 100, 10];
pub const STRANGER_V4: [u8; 4] = [198, 51, 100, 99];
pub const GROUP_V4: [u8; 4] = [224, 0, 0, 18];
pub const OWN_V6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 1, 0x0b];
pub const PEER_V6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 1, 0x0a];
pub const GROUP_V6: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12];
pub const VLAN: u16 = 100;
pub const SLOT: u32 = 7;
pub const VLAN_SLOT: u32 = 8;
/// The last slot there is.
pub const OTHER_INTERFACE_SLOT: u32 = INSTANCES_MAX - 1;
/// keepalived takes eight bytes of the configured "337639943".
pub const PASSWORD: [u8; 8] = *b"33763994";

pub const V2: &str = "v2-noauth-multicast";
pub const V2_PASS: &str = "v2-pass-unicast";
pub const V3: &str = "v3-ipv4-multicast";
pub const V3_UNICAST: &str = "v3-ipv4-unicast";
pub const V6: &str = "v3-ipv6-multicast";
pub const V6_UNICAST: &str = "v3-ipv6-unicast";

/// Node B of the reference pair, with the virtual router that the vector `name` is for.
pub fn tables_for(name: &str) -> Tables {
    let frame = vectors::load(name).frame;
    let layout = Layout::of(&frame);
    let family = family_of(&frame);
    let is_unicast = name.contains("unicast");
    let rule = InstanceRule {
        slot: SLOT,
        version: if name.starts_with("v2") { 2 } else { 3 },
        mode: if is_unicast { MODE_UNICAST } else { MODE_MULTICAST },
        auth_type: match name {
            _ if name.contains("pass") => AUTH_PASS,
            _ if is_behind_ah(name) => AUTH_AH,
            _ => AUTH_NONE,
        },
        ttl_min: if is_unicast { 0 } else { 255 },
        password: if name.contains("pass") { PASSWORD } else { [0; 8] },
        interval_secs: 1,
        pad: [0; 3],
    };
    let key = InstanceKey {
        ifindex: IFINDEX,
        vlan: 0,
        family: family.as_u8(),
        vrid: frame[layout.message + 1],
    };
    let mut tables = Tables::default();
    for (family, address, kind) in [
        (Family::V4, wide(&OWN_V4), ADDRESS_LOCAL),
        (Family::V6, OWN_V6, ADDRESS_LOCAL),
        (Family::V4, wide(&GROUP_V4), ADDRESS_GROUP),
        (Family::V6, GROUP_V6, ADDRESS_GROUP),
    ] {
        tables.addresses.insert(AddressKey::new(IFINDEX, family, address), kind);
    }
    let on_vlan = InstanceKey { vlan: VLAN, ..key };
    let elsewhere = InstanceKey { ifindex: IFINDEX + 1, ..key };
    for (key, slot) in [(key, SLOT), (on_vlan, VLAN_SLOT), (elsewhere, OTHER_INTERFACE_SLOT)] {
        tables.instances.insert(key, InstanceRule { slot, ..rule });
        for address in [wide(&PEER_V4), PEER_V6] {
            tables.peers.insert(PeerKey { slot, address }, any_ttl());
        }
    }
    tables
}

pub const fn any_ttl() -> PeerRule {
    PeerRule { ttl_min: 0, ttl_max: 255, pad: [0; 2] }
}

pub fn family_of(frame: &[u8]) -> Family {
    let layout = Layout::of(frame);
    if frame[layout.ip] >> 4 == 6 { Family::V6 } else { Family::V4 }
}

pub fn wide(address: &[u8]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..address.len()].copy_from_slice(address);
    wide
}

/// Whether XDP leaves it alone: what is sealed is opened in user space.
pub fn is_behind_ah(name: &str) -> bool {
    name.starts_with("v2-ah")
}

/// What keepalived's checksum covers.
pub fn cover_of(name: &str) -> Cover {
    let is_plain = name.starts_with("v2") || name.ends_with("as-v2");
    if is_plain { Cover::Message } else { Cover::PseudoHeader }
}

/// What a well-formed frame says.
pub fn said(frame: &[u8]) -> Content {
    let layout = Layout::of(frame);
    let (at, len) = layout.source();
    let message = &frame[layout.message..layout.end];
    Content::of(wide(&frame[at..at + len]), message).expect("a whole header")
}

pub fn receive_at(frame: &mut [u8], layout: Layout, address: &[u8]) {
    let (at, len) = layout.destination();
    frame[at..at + len].copy_from_slice(address);
}

pub fn send_from(frame: &mut [u8], layout: Layout, address: &[u8]) {
    let (at, len) = layout.source();
    frame[at..at + len].copy_from_slice(address);
}
