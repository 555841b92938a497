//! Who sends what is refused: of each reason, a few senders with their counts, and all others in one.
//!
//! The XDP program counts in its maps, the packet-socket path and the engine's refusals in ordinary
//! memory. A flood from made-up addresses takes no more room, and no more time, than one sender.

use core::net::IpAddr;

use crate::{
    abi::{self, Place, Refused, SENDERS_MAX, Sender},
    frame::Datagram,
    proto::Family,
};

impl Sender {
    /// The sender of a datagram for the virtual router `vrid`; 0 where that could not be read.
    #[inline(always)]
    #[must_use]
    pub fn of(datagram: &Datagram, vrid: u8) -> Self {
        Self::new(datagram.family, datagram.source, vrid)
    }

    /// A sender whose address is not in a datagram any more.
    #[must_use]
    pub fn at(source: IpAddr, vrid: u8) -> Self {
        let family = if source.is_ipv4() { Family::V4 } else { Family::V6 };
        Self::new(family, abi::octets(source), vrid)
    }

    #[inline(always)]
    fn new(family: Family, source: [u8; 16], vrid: u8) -> Self {
        let router = u64::from(family.as_u8()) << 8 | u64::from(vrid);
        Self { source: abi::words(source), router }
    }

    /// The virtual router it speaks for; 0 for unknown.
    #[must_use]
    pub const fn vrid(&self) -> u8 {
        let [vrid, ..] = self.router.to_le_bytes();
        vrid
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        let [first, second] = self.source.map(u64::to_ne_bytes);
        let [_, family, ..] = self.router.to_le_bytes();
        if family == Family::V4.as_u8() {
            let [a, b, c, d, ..] = first;
            return IpAddr::from([a, b, c, d]);
        }
        let mut octets = [0; 16];
        for (octet, byte) in octets.iter_mut().zip(first.into_iter().chain(second)) {
            *octet = byte;
        }
        IpAddr::from(octets)
    }
}

impl Refused {
    /// None yet.
    pub const NONE: Self = {
        let sender = Sender { source: [0; 2], router: 0 };
        Self { others: 0, places: [Place { sender, frames: 0 }; SENDERS_MAX] }
    };

    /// Counts frames of a sender: by itself if there is a place for it, else among the others.
    #[inline(always)]
    pub fn count(&mut self, sender: &Sender, frames: u64) {
        for place in &mut self.places {
            // Places are taken from the first one on.
            if place.frames == 0 {
                place.sender = *sender;
            }
            if place.sender == *sender {
                place.frames += frames;
                return;
            }
        }
        self.others += frames;
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.others == 0 && self.senders().next().is_none()
    }

    /// The senders that have places, and how many frames each sent.
    pub fn senders(&self) -> impl Iterator<Item = (Sender, u64)> + '_ {
        let taken = self.places.iter().filter(|place| place.frames > 0);
        taken.map(|place| (place.sender, place.frames))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(last: u8) -> Sender {
        Sender::at(IpAddr::from([192, 0, 2, last]), 51)
    }

    #[test]
    fn a_sender_is_what_was_read() {
        for text in ["192.0.2.7", "fe80::7", "::192.0.2.7"] {
            let address: IpAddr = text.parse().unwrap();
            let sender = Sender::at(address, 51);
            assert_eq!((sender.address(), sender.vrid()), (address, 51));
        }
        let mapped = Sender::at("c000:207::".parse().unwrap(), 51);
        assert!(mapped != sender(7), "the same bytes in the other family");
    }

    #[test]
    fn who_has_a_place_keeps_it_and_all_others_are_one() {
        let mut refused = Refused::NONE;
        assert!(refused.is_none());
        for last in 0..=255 {
            refused.count(&sender(last), 3);
            refused.count(&sender(0), 2);
        }
        let places = u64::try_from(SENDERS_MAX).unwrap();
        let mut senders = refused.senders();
        assert_eq!(senders.next(), Some((sender(0), 3 + 2 * 256)));
        assert!(senders.by_ref().all(|(_, frames)| frames == 3));
        assert_eq!(refused.others, 3 * (256 - places));
        assert_eq!(refused.senders().count(), SENDERS_MAX);
    }

    #[test]
    fn the_same_address_for_another_virtual_router_is_another_sender() {
        let mut refused = Refused::NONE;
        refused.count(&sender(1), 3);
        refused.count(&Sender::at(IpAddr::from([192, 0, 2, 1]), 52), 4);
        let counts: [u64; 2] = core::array::from_fn(|at| refused.senders().nth(at).unwrap().1);
        assert_eq!(counts, [3, 4]);
    }
}
