//! What a verdict costs, by what is asked of tables and frame.

use std::cell::Cell;

use ha_common::{
    abi::{AddressKey, InstanceKey, InstanceRule, MODE_UNICAST, PeerKey, PeerRule},
    check::{Reason, Tables, Verdict, judge},
    frame::{Bytes, Digest, Packet},
    proto::AUTH_NONE,
};

use super::{DESTINATION, Host, IFINDEX, MESSAGE, OWN, VERSION_2, changed, host, version_2};

/// A host, and a frame, that count what is asked of them.
struct Counting<T> {
    of: T,
    asked: Cell<u32>,
}

impl<T> Counting<T> {
    fn new(of: T) -> Self {
        Self { of, asked: Cell::new(0) }
    }

    fn asked(&self) -> &T {
        self.asked.set(self.asked.get() + 1);
        &self.of
    }
}

impl Tables for Counting<Host> {
    fn address_kind(&self, key: &AddressKey) -> u32 {
        self.asked().address_kind(key)
    }

    fn instance(&self, key: &InstanceKey) -> Option<InstanceRule> {
        self.asked().instance(key)
    }

    fn peer(&self, key: &PeerKey) -> Option<PeerRule> {
        self.asked().peer(key)
    }
}

impl Packet for Counting<Bytes<'_>> {
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.of.load(offset)
    }

    fn digest(&self, offset: usize, len: usize) -> Option<Digest> {
        self.asked().digest(offset, len)
    }
}

/// What costs most comes last: look-ups in tables, and then the reading of the whole message.
#[test]
fn the_cheapest_checks_come_first() {
    let rule = InstanceRule { mode: MODE_UNICAST, ttl_min: 0, ..VERSION_2 };
    let good = changed(version_2(), |frame| frame[DESTINATION..MESSAGE].copy_from_slice(&OWN));
    let set = |at: usize, value: u8| changed(good.clone(), |frame| frame[at] = value);
    let broken = |at: usize| {
        let mut frame = good.clone();
        frame[at] ^= 1;
        frame
    };
    for (frame, reason, lookups, digests) in [
        (set(DESTINATION, 100), None, 1, 0),
        (set(MESSAGE + 1, 52), Some(Reason::UnknownVrid), 2, 0),
        (set(MESSAGE, 0x31), Some(Reason::Version), 2, 0),
        (set(MESSAGE + 3, 2), Some(Reason::Length), 2, 0),
        (set(MESSAGE + 4, AUTH_NONE), Some(Reason::AuthType), 2, 0),
        (set(MESSAGE + 19, 1), Some(Reason::Password), 2, 0),
        (set(MESSAGE + 5, 3), Some(Reason::Interval), 2, 0),
        (broken(24), Some(Reason::HeaderChecksum), 2, 0),
        (set(29, 2), Some(Reason::OwnSource), 3, 0),
        (set(29, 7), Some(Reason::NotPeer), 4, 0),
        (broken(MESSAGE + 2), Some(Reason::Checksum), 4, 1),
        (good.clone(), None, 4, 1),
    ] {
        let (tables, packet) = (Counting::new(host(rule)), Counting::new(Bytes(&frame)));
        let refused = match judge(&packet, &tables, IFINDEX) {
            Verdict::Drop(reason, _) => Some(reason),
            Verdict::NotVrrp(_) | Verdict::Stranger | Verdict::Accept(_) => None,
        };
        let cost = (tables.asked.get(), packet.asked.get());
        assert_eq!((refused, cost), (reason, (lookups, digests)), "{frame:02x?}");
    }
}
