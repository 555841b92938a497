//! Where an instance's advertisements go.

use super::writer::Writer;
use crate::model::{Peer, Transport};

/// With whether sources are checked, which is about unicast only.
pub(super) fn write(writer: &mut Writer, transport: &Transport, check_unicast_src: bool) {
    const FIRST: &str = "the interface's first address";
    match transport {
        Transport::Multicast { source } => {
            writer.optional("mcast_src_ip", *source, FIRST);
            // keepalived takes it for a wish to have peers.
            writer.presence("check_unicast_src", check_unicast_src);
        }
        Transport::Unicast { source, peers, ttl } => {
            writer.optional("unicast_src_ip", *source, FIRST);
            writer.list("unicast_peer", peers, peer);
            writer.value("unicast_ttl", ttl);
            writer.presence("check_unicast_src", check_unicast_src);
        }
    }
}

fn peer(peer: &Peer) -> Vec<String> {
    let Peer { address, min_ttl, max_ttl } = peer;
    let mut words = vec![address.to_string()];
    for (name, limit) in [("min_ttl", min_ttl), ("max_ttl", max_ttl)] {
        if let Some(limit) = limit {
            words.extend([name.to_owned(), limit.to_string()]);
        }
    }
    words
}
