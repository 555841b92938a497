//! The configuration, resolved for this host: numbers for the engine, and for each number what the
//! daemon has to do in its name.

use std::net::IpAddr;

use ha_config::model::{Address, Notify, Peer, Script};
use ha_core::{Family, wire::Template};

/// Everything the daemon runs. An index into a list here is the engine's number for that thing.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What the engine is made of.
    pub(crate) engine: ha_core::Config,
    /// By `InstanceId`.
    pub(crate) instances: Vec<InstancePlan>,
    /// By `GroupId`.
    pub(crate) groups: Vec<GroupPlan>,
    /// By `TrackerId`.
    pub(crate) trackers: Vec<TrackerPlan>,
}

/// A virtual router, as the outside world sees it.
#[derive(Clone, Debug)]
pub(crate) struct InstancePlan {
    pub(crate) name: String,
    /// The interface it speaks on.
    pub(crate) interface: String,
    pub(crate) family: Family,
    pub(crate) vrid: u8,
    /// 2 or 3.
    pub(crate) version: u8,
    /// The advertisement that it sends.
    pub(crate) template: Template,
    /// `VRRPv3` over IPv4: the checksum covers a pseudo-header, as keepalived's does by default.
    pub(crate) pseudo_header: bool,
    /// Configured address to send from; `None`: the interface's primary (IPv6: link-local) one.
    pub(crate) source: Option<IpAddr>,
    /// Unicast peers; empty for multicast.
    pub(crate) peers: Vec<Peer>,
    /// TTL or hop limit of what is sent.
    pub(crate) ttl: u8,
    /// All virtual addresses, advertised or not.
    pub(crate) addresses: Vec<Address>,
    pub(crate) notify: Notify,
}

/// A sync group, as the operator's scripts see it.
#[derive(Clone, Debug)]
pub(crate) struct GroupPlan {
    pub(crate) name: String,
    pub(crate) notify: Notify,
}

/// What a tracker number stands for.
#[derive(Clone, Debug)]
pub(crate) enum TrackerPlan {
    /// Up while the interface is there, up and has carrier.
    Interface(String),
    /// Up while the script succeeds.
    Script(Script),
}
