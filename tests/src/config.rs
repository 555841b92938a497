//! Configurations for the routers of a scene: one text for our daemon and for keepalived.

use core::fmt::Write as _;

use crate::pair::{SEGMENTS, Side};

/// The password of every authentication here; keepalived takes its first eight bytes.
const PASSWORD: &str = "337639943";

/// How routers speak to each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// With a password.
    V2Unicast,
    /// Without authentication.
    V2Multicast,
    /// With a password.
    V2PassMulticast,
    /// With an authentication header (RFC 4302).
    V2AhUnicast,
    /// With an authentication header (RFC 4302).
    V2AhMulticast,
    V3Unicast,
    V3Multicast,
    V3UnicastIpv6,
    V3MulticastIpv6,
}

impl Dialect {
    pub const fn is_version_2(self) -> bool {
        matches!(
            self,
            Self::V2Unicast
                | Self::V2Multicast
                | Self::V2PassMulticast
                | Self::V2AhUnicast
                | Self::V2AhMulticast
        )
    }

    pub const fn is_behind_ah(self) -> bool {
        matches!(self, Self::V2AhUnicast | Self::V2AhMulticast)
    }

    pub const fn is_unicast(self) -> bool {
        matches!(self, Self::V2Unicast | Self::V2AhUnicast | Self::V3Unicast | Self::V3UnicastIpv6)
    }

    pub const fn is_ipv6(self) -> bool {
        matches!(self, Self::V3UnicastIpv6 | Self::V3MulticastIpv6)
    }

    /// `advert_int`: version 2 has whole seconds only, and a test should not take long.
    pub const fn advert_int(self) -> &'static str {
        if self.is_version_2() { "1" } else { "0.2" }
    }

    /// `auth_type`.
    const fn authentication(self) -> Option<&'static str> {
        match self {
            Self::V2Unicast | Self::V2PassMulticast => Some("PASS"),
            Self::V2AhUnicast | Self::V2AhMulticast => Some("AH"),
            Self::V2Multicast
            | Self::V3Unicast
            | Self::V3Multicast
            | Self::V3UnicastIpv6
            | Self::V3MulticastIpv6 => None,
        }
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

    /// What the host with this number sends from on the first segment.
    pub fn source(self, number: u8) -> String {
        if self.is_ipv6() {
            // What the kernel makes of the hardware address that the scene has given.
            format!("fe80::ff:fe00:1{number:02x}")
        } else {
            let [segment, _] = SEGMENTS;
            segment.host(number).to_string()
        }
    }
}

/// `VI_1` on the first segment, as `side` has it. `more` are further lines of the instance.
pub fn instance(dialect: Dialect, side: Side, priority: u8, more: &str) -> String {
    instance_of(dialect, side.number(), &[side.other().number()], priority, more)
}

/// `VI_1` on the first segment, as the host `own` has it among the hosts `others`, by number.
/// `more` are further lines of the instance.
pub fn instance_of(dialect: Dialect, own: u8, others: &[u8], priority: u8, more: &str) -> String {
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
    if let Some(kind) = dialect.authentication() {
        let lines = [format!("auth_type {kind}"), format!("auth_pass {PASSWORD}")];
        text += &block("authentication", &lines);
    }
    if dialect.is_unicast() {
        let peers: Vec<String> = others.iter().map(|number| dialect.source(*number)).collect();
        writeln!(text, "    unicast_src_ip {}", dialect.source(own)).expect("a String takes all");
        text += &block("unicast_peer", &peers);
    }
    text + &block("virtual_ipaddress", &dialect.addresses()) + "}\n"
}

fn block(name: &str, lines: &[String]) -> String {
    format!("    {name} {{\n        {}\n    }}\n", lines.join("\n        "))
}
