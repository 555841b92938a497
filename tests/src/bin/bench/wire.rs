//! What the two nodes have sent, and how long it was quiet.

use core::{net::Ipv4Addr, time::Duration};
use std::collections::BTreeMap;

use ha_tests::{
    capture::{Capture, Frame},
    clock::Stamp,
    decode,
    lan::Lan,
    pair::Side,
};

/// More than any measurement sees between two fresh captures.
const FRAMES_MAX: usize = 2_000_000;

/// What a node said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// An advertisement with a priority of the virtual router with this VRID.
    Advert(u8),
    /// A gratuitous ARP for this address.
    Announcement(Ipv4Addr),
}

/// Something said, by whom, when and on which segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) at: Stamp,
    pub(crate) from: Side,
    pub(crate) segment: usize,
    pub(crate) what: What,
}

impl Said {
    /// The virtual router that `side` advertised here.
    pub(crate) fn advert_of(&self, side: Side) -> Option<(usize, u8)> {
        match self.what {
            What::Advert(vrid) if self.from == side => Some((self.segment, vrid)),
            What::Advert(_) | What::Announcement(_) => None,
        }
    }

    pub(crate) fn is_announcement_of(&self, side: Side) -> bool {
        self.from == side && matches!(self.what, What::Announcement(_))
    }
}

/// Captures of what comes in by the nodes' ports of each segment.
#[derive(Debug)]
pub(crate) struct Wire {
    captures: Vec<(usize, Side, Capture)>,
}

impl Wire {
    pub(crate) fn start(lans: &[Lan]) -> Self {
        let captures = lans.iter().enumerate().flat_map(|(segment, lan)| {
            Side::BOTH.map(|side| {
                let capture = Capture::start_at_port(lan.switch(), port(side), FRAMES_MAX);
                (segment, side, capture)
            })
        });
        Self { captures: captures.collect() }
    }

    /// Everything since `since`, oldest first.
    pub(crate) fn said(&self, since: Stamp) -> Vec<Said> {
        let mut all = Vec::new();
        for (segment, side, capture) in &self.captures {
            assert!(!capture.is_full(), "more was said than a capture holds");
            all.extend(capture.collect(since, |frame| said_in(frame, *segment, *side)));
        }
        all.sort_by_key(|said| said.at);
        all
    }

    /// A frame with an advertisement of `side` on the first segment.
    pub(crate) fn advertisement(&self, side: Side) -> Option<Frame> {
        let (_, _, capture) = self.captures.iter().find(|(_, from, _)| *from == side)?;
        capture.first(Stamp::default(), |frame| decode::advert(frame).map(|_| frame.clone()))
    }
}

/// The name of a node's port at every switch.
pub(crate) const fn port(side: Side) -> &'static str {
    match side {
        Side::A => "node-a",
        Side::B => "node-b",
    }
}

fn said_in(frame: &Frame, segment: usize, from: Side) -> Option<Said> {
    let said = |what| Said { at: frame.at, from, segment, what };
    if let Some(arp) = decode::arp(frame) {
        return arp.is_gratuitous().then(|| said(What::Announcement(arp.sender)));
    }
    let advert = decode::advert(frame)?;
    (advert.priority > 0).then(|| said(What::Advert(advert.vrid)))
}

/// The longest time between two of the moments, which are in order, from `from` to `until`.
pub(crate) fn longest_gap(
    moments: impl IntoIterator<Item = Stamp>,
    from: Stamp,
    until: Stamp,
) -> Duration {
    let mut last = from;
    let mut longest = Duration::ZERO;
    for moment in moments.into_iter().filter(|one| (from..=until).contains(one)) {
        longest = longest.max(moment.since(last));
        last = moment;
    }
    longest.max(until.since(last))
}

/// The times for which somebody who said something at these moments was there: from the first to
/// `patience` after the last before a longer silence.
pub(crate) fn presence(
    moments: impl IntoIterator<Item = Stamp>,
    patience: Duration,
) -> Vec<(Stamp, Stamp)> {
    let mut spans: Vec<(Stamp, Stamp)> = Vec::new();
    for moment in moments {
        match spans.last_mut() {
            Some((_, end)) if moment <= *end => *end = moment + patience,
            _ => spans.push((moment, moment + patience)),
        }
    }
    spans
}

/// For how long two were there at once.
pub(crate) fn overlap(one: &[(Stamp, Stamp)], other: &[(Stamp, Stamp)]) -> Duration {
    let mut both = Duration::ZERO;
    for (from, until) in one {
        for (other_from, other_until) in other {
            both += (*until.min(other_until)).since(*from.max(other_from));
        }
    }
    both
}

/// When each virtual router was advertised by `side`.
pub(crate) fn adverts_by_router(said: &[Said], side: Side) -> BTreeMap<(usize, u8), Vec<Stamp>> {
    let mut moments: BTreeMap<_, Vec<Stamp>> = BTreeMap::new();
    for one in said {
        if let Some(router) = one.advert_of(side) {
            moments.entry(router).or_default().push(one.at);
        }
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Stamp {
        Stamp::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn a_gap_is_between_two_moments_or_the_ends() {
        let gap = |moments: &[u64]| {
            longest_gap(moments.iter().map(|one| at(*one)), at(100), at(200)).as_millis()
        };
        assert_eq!(gap(&[50, 110, 150, 190, 300]), 40);
        assert_eq!(gap(&[110, 120]), 80);
        assert_eq!(gap(&[]), 100);
    }

    #[test]
    fn two_masters_are_there_at_once() {
        let spans = |moments: &[u64]| {
            presence(moments.iter().map(|one| at(*one)), Duration::from_millis(30))
        };
        let one = spans(&[0, 10, 20, 100, 110]);
        assert_eq!(one, [(at(0), at(50)), (at(100), at(140))]);
        let other = spans(&[40, 60, 70]);
        assert_eq!(other, [(at(40), at(100))]);
        assert_eq!(overlap(&one, &other), Duration::from_millis(10));
    }
}
