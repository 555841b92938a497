//! Which addresses the kernel has confirmed.

use std::net::IpAddr;

/// Addresses by interface, in order. Most instances have one or two, for which a tree would be large.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Vec<(u32, IpAddr)>);

impl Seen {
    pub(super) fn insert(&mut self, address: (u32, IpAddr)) {
        if let Err(place) = self.0.binary_search(&address) {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, address);
        }
    }

    /// Says whether it was there.
    pub(super) fn remove(&mut self, address: (u32, IpAddr)) -> bool {
        let place = self.0.binary_search(&address);
        place.is_ok_and(|place| self.0.remove(place) == address)
    }
}
