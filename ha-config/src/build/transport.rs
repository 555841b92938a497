//! Where an instance's advertisements go: `unicast_*` and `mcast_src_ip`.

use core::net::IpAddr;

use ha_core::Family;

use super::{
    address::{family, is_of_one_host},
    statement::{Value, entries},
    unique::Unique,
};
use crate::{
    diagnostic::{Sink, Span},
    model::{Peer, Transport},
    tree::{Statement, Word},
    value::{self, Spanned},
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) unicast_source: Option<Spanned<IpAddr>>,
    multicast_source: Option<Spanned<IpAddr>>,
    /// The first line of the last `unicast_peer` block.
    block: Option<Span>,
    /// All of every `unicast_peer` block.
    ranges: Vec<Span>,
    peers: Unique<IpAddr, Spanned<Peer>>,
    ttl: Option<Spanned<u8>>,
    /// Where it is said that there is no multicast for want of peers.
    pub(super) unicast_only: Option<Span>,
}

impl Draft {
    /// Whether `keyword` is one of these.
    pub(super) fn read(&mut self, sink: &mut Sink, keyword: &str, value: Value<'_>) -> bool {
        match keyword {
            "unicast_src_ip" => self.unicast_source = source(sink, value.word),
            "mcast_src_ip" => self.multicast_source = source(sink, value.word),
            "unicast_ttl" => {
                let span = value.word.span;
                self.ttl = value.number(sink).map(|value| Spanned { value, span });
            }
            _ => return false,
        }
        true
    }

    pub(super) fn read_peers(&mut self, sink: &mut Sink, list: &Statement) {
        self.block = Some(list.line_span());
        self.ranges.push(list.span);
        for entry in entries(sink, list) {
            let Some(peer) = read_peer(sink, entry) else { continue };
            let span = entry.head.span;
            if !is_of_one_host(peer.address) {
                sink.warning(span, format!("`{}` is not the address of one peer", peer.address));
            }
            if self.peers.insert(peer.address, Spanned { value: peer, span }).is_err() {
                sink.warning(span, format!("`{}` is a peer already: ignored", peer.address));
            }
        }
    }

    pub(super) fn finish(&self, sink: &mut Sink, wanted: Family) -> Transport {
        let mut peers = Vec::new();
        for Spanned { value: peer, span } in &self.peers {
            let own = self.unicast_source.is_some_and(|source| source.value == peer.address);
            if own {
                let message = format!("the peer `{}` is the own `unicast_src_ip`", peer.address);
                sink.warning_help(*span, message, "ignored: a node is no peer of itself");
            } else if check_family(sink, peer.address, *span, wanted) {
                peers.push(*peer);
            }
        }
        if peers.is_empty() {
            self.finish_multicast(sink, wanted)
        } else {
            if let Some(unused) = self.multicast_source {
                sink.warning(unused.span, "`mcast_src_ip` with `unicast_peer`: ignored");
            }
            let source = self
                .unicast_source
                .filter(|source| check_family(sink, source.value, source.span, wanted));
            let source = source.map(|source| source.value);
            Transport::Unicast { source, peers, ttl: self.ttl.map_or(u8::MAX, |ttl| ttl.value) }
        }
    }

    fn finish_multicast(&self, sink: &mut Sink, wanted: Family) -> Transport {
        if let Some(block) = self.block {
            // keepalived would fall back to multicast, which the author of this block did not want.
            if !self.ranges.iter().any(|range| sink.has_error_in(*range)) {
                sink.error(block, "`unicast_peer` has no usable peer");
            }
        } else if let Some(span) = self.unicast_only {
            // A fault for keepalived, of which it would never come out.
            sink.error(span, "`unicast_fault_no_peer`, but there is no `unicast_peer`");
        } else if let Some(source) = self.unicast_source {
            sink.warning_help(
                source.span,
                "`unicast_src_ip` without `unicast_peer`: advertisements go to the multicast group",
                "write `mcast_src_ip` if that is meant",
            );
        }
        if let Some(ttl) = self.ttl {
            sink.warning(ttl.span, "`unicast_ttl` without `unicast_peer`: ignored");
        }
        let source = self
            .multicast_source
            .or(self.unicast_source)
            .filter(|source| check_family(sink, source.value, source.span, wanted));
        Transport::Multicast { source: source.map(|source| source.value) }
    }

    /// Whether a peer has limits, which only make sense when sources are checked.
    pub(super) fn has_ttl_limits(&self) -> bool {
        self.peers.iter().any(|peer| peer.value.min_ttl.or(peer.value.max_ttl).is_some())
    }
}

fn source(sink: &mut Sink, word: &Word) -> Option<Spanned<IpAddr>> {
    let value = value::address(sink, word)?;
    Some(Spanned { value, span: word.span })
}

fn check_family(sink: &mut Sink, address: IpAddr, span: Span, wanted: Family) -> bool {
    let fits = family(address) == wanted;
    if !fits {
        let wanted = match wanted {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        sink.error(span, format!("`{address}` is of the wrong family: the instance is {wanted}"));
    }
    fits
}

/// `address [min_ttl N] [max_ttl N]`.
fn read_peer(sink: &mut Sink, entry: &Statement) -> Option<Peer> {
    let address = value::address(sink, &entry.head)?;
    let mut peer = Peer { address, min_ttl: None, max_ttl: None };
    let mut words = entry.values.iter();
    while let Some(option) = words.next() {
        let slot = match option.text.as_str() {
            "min_ttl" => &mut peer.min_ttl,
            "max_ttl" => &mut peer.max_ttl,
            other => {
                let message = format!("unknown option `{other}` of a peer");
                let help = "each peer is on a line of its own; options are min_ttl and max_ttl";
                sink.error_help(option.span, message, help);
                return None;
            }
        };
        let Some(given) = words.next() else {
            sink.error(option.span, format!("`{}` needs a value", option.text));
            return None;
        };
        *slot = Some(value::number(sink, given, 0..=255)?);
    }
    if let (Some(least), Some(most)) = (peer.min_ttl, peer.max_ttl)
        && least > most
    {
        sink.error(entry.line_span(), "`min_ttl` is greater than `max_ttl`");
        return None;
    }
    Some(peer)
}
