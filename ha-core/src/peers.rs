//! What is known of each router that was heard: told to the operator once, never acted upon.

use core::{net::IpAddr, time::Duration};

use crate::{
    Family, InstanceConfig, Notice, Version,
    wire::{Advertisement, Dialect},
};

/// Senders that are remembered for each instance: those heard last.
const PEERS_MAX: usize = 16;
/// An advertisement can show so many things at once.
pub(crate) const NOTICES_MAX: usize = 4;

/// What an advertisement shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// What is new in it.
    pub(crate) notices: [Option<Notice>; NOTICES_MAX],
    /// Another sender was forgotten for this one.
    pub(crate) has_forgotten: bool,
}

/// The routers that an instance has heard valid advertisements of, the last one last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers(Vec<Peer>);

#[derive(Clone, Debug)]
struct Peer {
    source: IpAddr,
    dialect: Option<Dialect>,
    /// Its interval, if it is not ours.
    interval: Option<Duration>,
    /// The list of addresses that was compared last, as it came.
    list: Vec<u8>,
    has_other_addresses: bool,
    is_owner: bool,
}

impl Peers {
    /// What the router's checksums cover, where there are two ways and it was heard.
    pub(crate) fn dialect(&self, source: IpAddr) -> Option<Dialect> {
        self.0.iter().find(|peer| peer.source == source)?.dialect
    }

    /// Looks at a valid advertisement and says what is new.
    pub(crate) fn observe(
        &mut self,
        config: &InstanceConfig,
        source: IpAddr,
        advertisement: &Advertisement<'_>,
    ) -> Seen {
        let has_forgotten = self.make_last(source);
        let mut notices = [None; NOTICES_MAX];
        let [of_checksum, of_interval, of_addresses, of_owner] = &mut notices;
        let Some(peer) = self.0.last_mut() else { return Seen { notices, has_forgotten } };

        let has_dialects = config.version == Version::V3 && config.family == Family::V4;
        let dialect = has_dialects.then(|| advertisement.dialect());
        if core::mem::replace(&mut peer.dialect, dialect) != dialect {
            *of_checksum = dialect.map(Notice::Checksum);
        }

        // In VRRPv2 such a frame is refused.
        let theirs = advertisement.interval.as_duration();
        let is_other = config.version == Version::V3 && theirs != config.interval.as_duration();
        let interval = is_other.then_some(theirs);
        if core::mem::replace(&mut peer.interval, interval) != interval {
            *of_interval = interval.map(Notice::Interval);
        }

        let list = advertisement.address_bytes();
        // No valid advertisement lists none: an empty list is one that was not looked at yet.
        let is_new = peer.list.is_empty();
        if peer.list != list && (is_new || !config.skip_check_adv_addr) {
            peer.list.clear();
            peer.list.extend(list);
            let differs = !lists_the_same(&config.addresses, advertisement);
            if core::mem::replace(&mut peer.has_other_addresses, differs) != differs && differs {
                *of_addresses = Some(Notice::Addresses);
            }
        }

        let is_owner = advertisement.priority == u8::MAX && config.priority.is_owner();
        if core::mem::replace(&mut peer.is_owner, is_owner) != is_owner && is_owner {
            *of_owner = Some(Notice::SecondOwner);
        }
        Seen { notices, has_forgotten }
    }

    /// A router said again what it had said: there is nothing new, but it was heard.
    pub(crate) fn hear_again(&mut self, source: IpAddr) {
        if self.0.iter().any(|peer| peer.source == source) {
            self.make_last(source);
        }
    }

    /// Puts the sender last, new or known; says whether another one had to go for it.
    fn make_last(&mut self, source: IpAddr) -> bool {
        if let Some(place) = self.0.iter().position(|peer| peer.source == source) {
            if let Some(later) = self.0.get_mut(place..) {
                later.rotate_left(1);
            }
            return false;
        }
        let is_full = self.0.len() == PEERS_MAX;
        if is_full {
            self.0.remove(0);
        }
        self.0.push(Peer {
            source,
            dialect: None,
            interval: None,
            list: Vec::new(),
            has_other_addresses: false,
            is_owner: false,
        });
        is_full
    }
}

/// Whether the lists name the same addresses, in whatever order (V-5.2.9-3 only recommends one).
/// `own` is sorted.
fn lists_the_same(own: &[IpAddr], advertisement: &Advertisement<'_>) -> bool {
    let mut theirs: Vec<IpAddr> = advertisement.addresses().collect();
    theirs.sort_unstable();
    theirs == own
}
