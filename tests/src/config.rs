//! Configurations for the nodes of a [`crate::pair::Pair`]: one text for either program.

use core::fmt::Write as _;

use crate::pair::{SEGMENTS, Side};

/// How two routers speak to each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    V2Unicast,
    V2Multicast,
    V3Unicast,
    V3Multicast,
    V3UnicastIpv6,
    V3MulticastIpv6,
}

impl Dialect {
    pub const fn is_version_2(self) -> bool {
        matches!(self, Self::V2Unicast | Self::V2Multicast)
    }

    pub const fn is_unicast(self) -> bool {
        matches!(self, Self::V2Unicast | Self::V3Unicast | Self::V3UnicastIpv6)
    }

    pub const fn is_ipv6(self) -> bool {
        matches!(self, Self::V3UnicastIpv6 | Self::V3MulticastIpv6)
    }

    /// `advert_int`: version 2 has whole seconds only, and a test should not take long.
    pub const fn advert_int(self) -> &'static str {
        if self.is_version_2() { "1" } else { "0.2" }
    }

    /// The virtual addresses of [`instance`] on the first segment.
    pub fn addresses(self) -> [String; 2] {
        if self.is_ipv6() {
            // The first must be link-local (RFC 9568 §5.2.9).
            ["fe80::133".to_owned(), "2001:db8::13".to_owned()]
        } else {
            let [segment, _] = SEGMENTS;
            segment.virtual_addresses.map(|address| address.to_string())
        }
    }
}

/// `VI_1` on the first segment, as `side` has it. `more` are further lines of the instance.
pub fn instance(dialect: Dialect, side: Side, priority: u8, more: &str) -> String {
    let [segment, _] = SEGMENTS;
    let mut text = format!(
        "vrrp_instance VI_1 {{
    state BACKUP
    interface {}
    virtual_router_id {}
    version {}
    priority {priority}
    advert_int {}
{more}",
        segment.interface,
        segment.vrid,
        if dialect.is_version_2() { 2 } else { 3 },
        dialect.advert_int(),
    );
    if dialect == Dialect::V2Unicast {
        text += "    authentication {
        auth_type PASS
        auth_pass 337639943
    }
";
    }
    if dialect.is_unicast() {
        let address = |side: Side| {
            if dialect.is_ipv6() {
                // What the kernel makes of the hardware address that the pair has given.
                format!("fe80::ff:fe00:1{:02x}", side.number())
            } else {
                segment.host(side.number()).to_string()
            }
        };
        let (own, other) = (address(side), address(side.other()));
        write!(text, "    unicast_src_ip {own}\n    unicast_peer {{\n        {other}\n    }}\n")
            .expect("a String takes all");
    }
    let [first, second] = dialect.addresses();
    text + &format!("    virtual_ipaddress {{\n        {first}\n        {second}\n    }}\n}}\n")
}
