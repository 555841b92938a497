//! What frames are judged by, in ordinary memory: the packet-socket path reads it, the XDP program
//! gets a copy in its maps.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ha_common::{
    abi::{
        ADDRESS_GROUP, ADDRESS_LOCAL, ADDRESS_NONE, AddressKey, InstanceKey, InstanceRule,
        MODE_MULTICAST, MODE_UNICAST, PeerKey, PeerRule, octets,
    },
    check,
    proto::{self, Family},
};

use ha_config::MulticastGroups;

use crate::plan::InstancePlan;

/// Rules of all instances that are on an interface, and the addresses that frames may come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tables {
    pub(crate) addresses: BTreeMap<AddressKey, u32>,
    pub(crate) instances: BTreeMap<InstanceKey, InstanceRule>,
    pub(crate) peers: BTreeMap<PeerKey, PeerRule>,
}

/// Entries of tables that may be otherwise than before.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Keys {
    pub(crate) addresses: BTreeSet<AddressKey>,
    pub(crate) instances: BTreeSet<InstanceKey>,
    pub(crate) peers: BTreeSet<PeerKey>,
}

impl Tables {
    /// No instance yet, but the groups: they are VRRP's, whoever uses them.
    pub(crate) fn new(groups: &MulticastGroups) -> Self {
        let mut tables = Self::default();
        for group in [Family::V4, Family::V6].map(|family| groups.of(family)) {
            tables.addresses.insert(address_key(0, group), ADDRESS_GROUP);
        }
        tables
    }

    /// One of this host's own addresses. Virtual addresses are not among them: another router
    /// that owns one of them may send from it.
    pub(crate) fn add_local(&mut self, ifindex: u32, address: IpAddr) {
        self.addresses.insert(address_key(ifindex, address), ADDRESS_LOCAL);
    }

    /// An address is this host's own, or is not any more.
    pub(crate) fn set_local(
        &mut self,
        ifindex: u32,
        address: IpAddr,
        is_local: bool,
        keys: &mut Keys,
    ) {
        let key = address_key(ifindex, address);
        let before = if is_local {
            self.addresses.insert(key, ADDRESS_LOCAL)
        } else {
            self.addresses.remove(&key)
        };
        if before.is_some() != is_local {
            keys.addresses.insert(key);
        }
    }

    /// No instance is on the interface `ifindex` any more.
    pub(crate) fn remove_interface(&mut self, ifindex: u32, keys: &mut Keys) {
        let all = InstanceKey { ifindex, vlan: 0, family: 0, vrid: 0 }..=InstanceKey {
            ifindex,
            vlan: u16::MAX,
            family: u8::MAX,
            vrid: u8::MAX,
        };
        for (key, rule) in self.instances.extract_if(all, |_, _| true) {
            keys.instances.insert(key);
            let all = PeerKey { slot: rule.slot, address: [0; 16] }..=PeerKey {
                slot: rule.slot,
                address: [u8::MAX; 16],
            };
            keys.peers.extend(self.peers.extract_if(all, |_, _| true).map(|(key, _)| key));
        }
    }

    /// An instance that is on the interface `ifindex`.
    pub(crate) fn add_instance(
        &mut self,
        slot: u32,
        ifindex: u32,
        plan: &InstancePlan,
        keys: &mut Keys,
    ) {
        let is_unicast = !plan.peers.is_empty();
        let authentication = plan.template.authentication;
        let rule = InstanceRule {
            slot,
            version: plan.version,
            mode: if is_unicast { MODE_UNICAST } else { MODE_MULTICAST },
            auth_type: authentication.auth_type(),
            // Peers may be behind routers; what is asked of their TTL stands in their own rules.
            ttl_min: if is_unicast { 0 } else { proto::TTL },
            password: authentication.data(),
            interval_secs: plan.template.interval.to_secs(),
            pad: [0; 3],
        };
        let family = plan.family.as_u8();
        let key = InstanceKey { ifindex, vlan: 0, family, vrid: plan.vrid };
        self.instances.insert(key, rule);
        keys.instances.insert(key);
        for peer in &plan.peers {
            let rule = PeerRule {
                ttl_min: peer.min_ttl.unwrap_or(0),
                ttl_max: peer.max_ttl.unwrap_or(u8::MAX),
                pad: [0; 2],
            };
            let key = PeerKey { slot, address: octets(peer.address) };
            self.peers.insert(key, rule);
            keys.peers.insert(key);
        }
    }
}

impl check::Tables for Tables {
    fn address_kind(&self, key: &AddressKey) -> u32 {
        self.addresses.get(key).copied().unwrap_or(ADDRESS_NONE)
    }

    fn instance(&self, key: &InstanceKey) -> Option<InstanceRule> {
        self.instances.get(key).copied()
    }

    fn peer(&self, key: &PeerKey) -> Option<PeerRule> {
        self.peers.get(key).copied()
    }
}

/// The address behind the kernel's 16 bytes.
pub(crate) fn address(family: Family, octets: [u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = octets;
    match family {
        Family::V4 => IpAddr::from([a, b, c, d]),
        Family::V6 => IpAddr::from(octets),
    }
}

fn address_key(ifindex: u32, address: IpAddr) -> AddressKey {
    let family = match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    AddressKey::new(ifindex, family, octets(address))
}
