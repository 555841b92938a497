//! What becomes of a frame: passed as a stranger's, dropped for a reason, or accepted.
//!
//! RFC 9568 §7.1's checks and keepalived's, cheap ones first. A frame that is not VRRP for this
//! host is never dropped: the host may be a router or a bridge, or run something else.

use crate::{
    abi::{
        ADDRESS_GROUP, ADDRESS_LOCAL, AddressKey, Content, DIALECT_PLAIN, DIALECT_PSEUDO_HEADER,
        InstanceKey, InstanceRule, MODE_UNICAST, PeerKey, PeerRule, Sender,
    },
    checksum,
    frame::{self, Datagram, Digest, Packet, Skip},
    proto::{self, Family},
};

/// What the checks know of this host: BPF maps in the kernel, ordinary maps elsewhere.
pub trait Tables {
    /// One of `abi::ADDRESS_*`.
    fn address_kind(&self, key: &AddressKey) -> u32;
    /// What frames for a virtual router must look like, if it is ours.
    fn instance(&self, key: &InstanceKey) -> Option<InstanceRule>;
    /// What frames of a peer must look like, if it is one.
    fn peer(&self, key: &PeerKey) -> Option<PeerRule>;
}

/// What was counted: why a frame for us was dropped, or that it was not.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// All checks held.
    Accepted,
    /// Accepted and counted as such, but the ring was full: the engine learns of it by the stamp
    /// alone.
    RingFull,
    /// Accepted and counted as such, but it said nothing new: the engine was not woken.
    Absorbed,
    /// Shorter than its fixed part, or than its address count says, or longer.
    Length,
    /// No virtual router of this interface, family and VRID here.
    UnknownVrid,
    /// TTL or hop limit outside what is accepted (V-5.1.1-3).
    Ttl,
    /// Not the configured version.
    Version,
    /// Not an advertisement (V-5.2.2).
    Type,
    /// No address at all (V-5.2.5).
    Count,
    /// Multicast to a unicast instance, or the reverse.
    Destination,
    /// Sent from one of our own addresses: a reflection, or a clone of this host.
    OwnSource,
    /// Not from a configured unicast peer.
    NotPeer,
    /// Another `VRRPv2` authentication type than configured, or an Authentication Header where none
    /// belongs, or none where one does.
    AuthType,
    /// Wrong `VRRPv2` password.
    Password,
    /// In `VRRPv2` another interval than the configured one (V2-7.1-2); in `VRRPv3`, whose Backups
    /// learn it, none at all (V-5.2.7).
    Interval,
    /// The message's checksum does not hold, in either dialect.
    Checksum,
    /// The IPv4 header's checksum does not hold.
    HeaderChecksum,
    /// An Authentication Header that keepalived's `auth_type AH` does not make.
    AhHeader,
    /// The integrity check value of the Authentication Header does not hold: a wrong key, or a
    /// changed byte.
    AhIcv,
    /// The sequence number of the Authentication Header is not above the last one: sent again.
    AhSequence,
}

impl Reason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 20] = [
        Self::Accepted,
        Self::RingFull,
        Self::Absorbed,
        Self::Length,
        Self::UnknownVrid,
        Self::Ttl,
        Self::Version,
        Self::Type,
        Self::Count,
        Self::Destination,
        Self::OwnSource,
        Self::NotPeer,
        Self::AuthType,
        Self::Password,
        Self::Interval,
        Self::Checksum,
        Self::HeaderChecksum,
        Self::AhHeader,
        Self::AhIcv,
        Self::AhSequence,
    ];

    /// Its place in [`crate::abi::Counters`].
    #[expect(clippy::as_conversions, reason = "a field-less enum's index")]
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in counters and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::RingFull => "ring-full",
            Self::Absorbed => "absorbed",
            Self::Length => "length",
            Self::UnknownVrid => "unknown-vrid",
            Self::Ttl => "ttl",
            Self::Version => "version",
            Self::Type => "type",
            Self::Count => "count",
            Self::Destination => "destination",
            Self::OwnSource => "own-source",
            Self::NotPeer => "not-peer",
            Self::AuthType => "auth-type",
            Self::Password => "password",
            Self::Interval => "interval",
            Self::Checksum => "checksum",
            Self::HeaderChecksum => "header-checksum",
            Self::AhHeader => "ah-header",
            Self::AhIcv => "ah-icv",
            Self::AhSequence => "ah-sequence",
        }
    }
}

const _: () = {
    assert!(Reason::ALL.len() <= crate::abi::COUNTERS_LEN);
    let mut index = 0;
    while index < Reason::ALL.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler only")]
        {
            assert!(Reason::ALL[index].index() == index);
        }
        index += 1;
    }
};

/// An advertisement that passed every check the configuration allows to make without state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The instance's slot.
    pub slot: u32,
    /// Where the message is.
    pub datagram: Datagram,
    /// `abi::DIALECT_*` of the checksum.
    pub dialect: u8,
    /// `abi::ADDRESS_LOCAL` or `abi::ADDRESS_GROUP`.
    pub destination_kind: u32,
    /// The message's first bytes.
    pub header: [u8; proto::HEADER_LEN],
    /// [`crate::absorb::hash`] of the message.
    pub hash: u64,
}

impl Accepted {
    /// What it says, for [`crate::absorb::judge`].
    #[inline(always)]
    #[must_use]
    pub fn content(&self) -> Content {
        Content::new(self.datagram.source, self.header, self.hash)
    }

    /// Whose it is, for whoever refuses it for a reason of its own.
    #[must_use]
    pub fn sender(&self) -> Sender {
        let [_, vrid, ..] = self.header;
        Sender::of(&self.datagram, vrid)
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Not VRRP: passes untouched, uncounted.
    NotVrrp(Skip),
    /// VRRP, but not addressed to this host, or of a VLAN that is none of ours: passes untouched.
    Stranger,
    /// For us and bad, and whose it is.
    Drop(Reason, Sender),
    /// For us and good.
    Accept(Accepted),
}

/// Judges a frame that came in by the interface `ifindex`.
#[inline(always)]
pub fn judge<P: Packet, T: Tables>(packet: &P, tables: &T, ifindex: u32) -> Verdict {
    match frame::walk(packet) {
        Ok(datagram) => judge_datagram(packet, tables, ifindex, datagram, false),
        Err(skip) => Verdict::NotVrrp(skip),
    }
}

/// Judges a frame whose message is behind an Authentication Header, by the same rules. The header
/// itself is not judged: `ha_core::wire::ah` has to open what is accepted here.
pub fn judge_ah<P: Packet, T: Tables>(packet: &P, tables: &T, ifindex: u32) -> Verdict {
    match frame::walk_ah(packet) {
        Ok(datagram) => judge_datagram(packet, tables, ifindex, datagram, true),
        Err(skip) => Verdict::NotVrrp(skip),
    }
}

#[inline(always)]
fn judge_datagram<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    ifindex: u32,
    datagram: Datagram,
    is_behind_ah: bool,
) -> Verdict {
    let destination = AddressKey::new(ifindex, datagram.family, datagram.destination);
    let destination_kind = tables.address_kind(&destination);
    if destination_kind != ADDRESS_LOCAL && destination_kind != ADDRESS_GROUP {
        return Verdict::Stranger;
    }
    // A tagged frame belongs to a VLAN interface, where somebody else may wait for it.
    let refuse_unless_tagged = |reason, vrid| match datagram.vlan {
        0 => Verdict::Drop(reason, Sender::of(&datagram, vrid)),
        _ => Verdict::Stranger,
    };
    let Some(header) = packet.load::<{ proto::HEADER_LEN }>(datagram.payload_offset) else {
        return refuse_unless_tagged(Reason::Length, 0);
    };
    let [_, vrid, ..] = header;
    let key = InstanceKey { ifindex, vlan: datagram.vlan, family: datagram.family.as_u8(), vrid };
    let Some(rule) = tables.instance(&key) else {
        return refuse_unless_tagged(Reason::UnknownVrid, vrid);
    };
    // What the message says of its authentication is not what proves it.
    if is_behind_ah != (rule.auth_type == proto::AUTH_AH) {
        return Verdict::Drop(Reason::AuthType, Sender::of(&datagram, vrid));
    }
    match check(packet, tables, ifindex, &datagram, destination_kind, &header, &rule) {
        Ok((dialect, hash)) => {
            let slot = rule.slot;
            Verdict::Accept(Accepted { slot, datagram, dialect, destination_kind, header, hash })
        }
        Err(reason) => Verdict::Drop(reason, Sender::of(&datagram, vrid)),
    }
}

#[inline(always)]
fn check<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    ifindex: u32,
    datagram: &Datagram,
    destination_kind: u32,
    header: &[u8; proto::HEADER_LEN],
    rule: &InstanceRule,
) -> Result<(u8, u64), Reason> {
    let [version_type, _, _, count, auth_type, byte_5, ..] = *header;
    if datagram.ttl < rule.ttl_min {
        return Err(Reason::Ttl);
    }
    if version_type >> 4 != rule.version {
        return Err(Reason::Version);
    }
    if version_type & 0x0f != proto::TYPE_ADVERTISEMENT {
        return Err(Reason::Type);
    }
    if count == 0 {
        return Err(Reason::Count);
    }
    let addresses_end = proto::HEADER_LEN + usize::from(count) * datagram.family.address_len();
    let is_version_2 = rule.version == proto::VERSION_2;
    let auth_len = if is_version_2 { proto::AUTH_DATA_LEN } else { 0 };
    if datagram.payload_len != addresses_end + auth_len {
        return Err(Reason::Length);
    }
    let is_unicast = rule.mode == MODE_UNICAST;
    if is_unicast != (destination_kind == ADDRESS_LOCAL) {
        return Err(Reason::Destination);
    }
    if is_version_2 {
        if auth_type != rule.auth_type {
            return Err(Reason::AuthType);
        }
        if auth_type == proto::AUTH_PASS {
            let sent = packet
                .load::<{ proto::AUTH_DATA_LEN }>(datagram.payload_offset + addresses_end)
                .ok_or(Reason::Length)?;
            // Compared as one number: the time it takes says nothing about the first difference.
            if u64::from_ne_bytes(sent) != u64::from_ne_bytes(rule.password) {
                return Err(Reason::Password);
            }
        }
    }
    // RFC 3768 §7.1: MUST. After the password, which says more about the sender.
    let interval = u16::from_be_bytes([auth_type, byte_5]);
    let is_interval_good =
        if is_version_2 { byte_5 == rule.interval_secs } else { interval & 0x0fff != 0 };
    if !is_interval_good {
        return Err(Reason::Interval);
    }
    if !frame::is_header_intact(packet, datagram) {
        return Err(Reason::HeaderChecksum);
    }
    // Not before: what the source is looked up in costs more than all the checks above.
    let source = AddressKey::new(ifindex, datagram.family, datagram.source);
    if tables.address_kind(&source) == ADDRESS_LOCAL {
        return Err(Reason::OwnSource);
    }
    if is_unicast {
        let key = PeerKey { slot: rule.slot, address: datagram.source };
        let peer = tables.peer(&key).ok_or(Reason::NotPeer)?;
        if datagram.ttl < peer.ttl_min || datagram.ttl > peer.ttl_max {
            return Err(Reason::Ttl);
        }
    }
    let digest = packet.digest(datagram.payload_offset, datagram.payload_len);
    let Digest { sum, hash } = digest.ok_or(Reason::Length)?;
    Ok((check_sum(sum, datagram, is_version_2)?, hash))
}

/// The dialect in which the message's checksum holds (V-5.2.8).
#[inline(always)]
fn check_sum(sum: u32, datagram: &Datagram, is_version_2: bool) -> Result<u8, Reason> {
    if checksum::fold(sum) == 0xffff && (is_version_2 || matches!(datagram.family, Family::V4)) {
        return Ok(DIALECT_PLAIN);
    }
    if !is_version_2 && checksum::fold(sum + checksum::pseudo_header(datagram)) == 0xffff {
        return Ok(DIALECT_PSEUDO_HEADER);
    }
    Err(Reason::Checksum)
}
