//! What is told of frames that are not taken: for each reason a line a sender, once in ten seconds,
//! with a count. A few senders are named; all others are one line.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use ha_common::{
    abi::{Refused, Sender},
    check::Reason,
};
use ha_core::{InstanceId, Instant, Rejection};

/// The same is told once in this time.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);

/// What was not taken, and why.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Refusal {
    /// A frame that came in by an interface, before it was anybody's.
    Frame { ifindex: u32, reason: Reason },
    /// An advertisement for an instance, by the engine.
    Advertisement { instance: InstanceId, reason: Rejection },
}

/// Counts that wait to be told: at most as many as there are reasons and interfaces, or instances.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    waiting: BTreeMap<Refusal, Waiting>,
    /// Not after the first of those that are due.
    next: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    due: Instant,
    refused: Refused,
}

impl Refusals {
    /// Counts one. The first is due at once.
    pub(crate) fn count(&mut self, now: Instant, refusal: Refusal, sender: &Sender) {
        let first = || Waiting { due: now, refused: Refused::NONE };
        let waiting = self.waiting.entry(refusal).or_insert_with(first);
        waiting.refused.count(sender, 1);
        self.next = Some(self.next.map_or(waiting.due, |next| next.min(waiting.due)));
    }

    /// What is due, and will not be due again before [`PAUSE`] is over.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(Refusal, Refused)> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut all = Vec::new();
        self.waiting.retain(|refusal, waiting| {
            if waiting.due > now {
                return true;
            }
            let refused = std::mem::replace(&mut waiting.refused, Refused::NONE);
            waiting.due = now + PAUSE;
            let is_news = !refused.is_none();
            all.extend(is_news.then_some((*refusal, refused)));
            is_news
        });
        self.next = self.waiting.values().map(|waiting| waiting.due).min();
        all
    }

    /// All that waits, due or not.
    pub(crate) fn take_all(&mut self) -> Vec<(Refusal, Refused)> {
        let all = std::mem::take(self).waiting.into_iter();
        let news = all.filter(|(_, waiting)| !waiting.refused.is_none());
        news.map(|(refusal, waiting)| (refusal, waiting.refused)).collect()
    }

    /// When [`Self::take_due`] is to be called next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.next
    }
}

/// A line for each sender. `place` is an interface or an instance.
pub(crate) fn lines(place: &str, reason: &dyn Display, refused: &Refused) -> Vec<String> {
    let line = |frames: u64, sender: &str| {
        let word = if frames == 1 { "frame" } else { "frames" };
        format!("{place}: {frames} {word} from {sender} not taken in the last 10 s: {reason}")
    };
    let named = refused.senders().map(|(sender, frames)| match sender.vrid() {
        0 => line(frames, &sender.address().to_string()),
        vrid => line(frames, &format!("{} for VRID {vrid}", sender.address())),
    });
    let others = (refused.others > 0).then(|| line(refused.others, "other senders"));
    named.chain(others).collect()
}

/// What is wrong with a frame, and where it is not plain, what to look for.
pub(crate) const fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::Accepted | Reason::RingFull | Reason::Absorbed => "nothing",
        Reason::Length => "shorter or longer than it says",
        Reason::UnknownVrid => "no such virtual router here",
        Reason::Ttl => "its TTL or hop limit: it has come over a router",
        Reason::Version => "another VRRP version than ours",
        Reason::Type => "not an advertisement",
        Reason::Count => "it lists no address",
        Reason::Destination => "unicast where multicast is configured, or the reverse",
        Reason::OwnSource => {
            "sent from an address of this host: it comes back, or somebody else has the address"
        }
        Reason::NotPeer => "its sender is no unicast_peer",
        Reason::AuthType => "another authentication than our auth_type",
        Reason::Password => "a wrong password: compare auth_pass",
        Reason::Interval => {
            "an advertisement interval of 0, or with version 2 another one than ours: compare advert_int"
        }
        Reason::Checksum => "a wrong checksum",
        Reason::HeaderChecksum => "a wrong checksum of the IP header",
        Reason::AhHeader => "an Authentication Header that keepalived does not make",
        Reason::AhIcv => "a wrong Authentication Header: compare auth_pass",
        Reason::AhSequence => "a sequence number that was used already: it was sent again",
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const FRAME: Refusal = Refusal::Frame { ifindex: 3, reason: Reason::Password };
    const OTHER: Refusal = Refusal::Frame { ifindex: 3, reason: Reason::Ttl };

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn sender(last: u8) -> Sender {
        Sender::at(IpAddr::from([192, 0, 2, last]), 51)
    }

    #[test]
    fn the_same_is_due_at_once_and_then_once_in_ten_seconds() {
        let mut refusals = Refusals::default();
        let mut told = Vec::new();
        assert_eq!(refusals.next_due(), None);
        for second in 0..25 {
            refusals.count(at(second), FRAME, &sender(7));
            refusals.count(at(second), FRAME, &sender(7));
            if second == 5 {
                refusals.count(at(second), OTHER, &sender(7));
            }
            assert!(refusals.next_due().is_some_and(|next| next <= at(20 + 10)));
            for (refusal, refused) in refusals.take_due(at(second)) {
                told.push((second, refusal, refused.senders().next().map(|(_, frames)| frames)));
            }
        }
        let expected = [
            (0, FRAME, Some(2)),
            (5, OTHER, Some(1)),
            (10, FRAME, Some(20)),
            (20, FRAME, Some(20)),
        ];
        assert_eq!(told, expected);
        let left = refusals.take_all();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].1.senders().next(), Some((sender(7), 8)));
        assert_eq!(refusals.take_all(), []);
    }

    #[test]
    fn what_ends_is_forgotten() {
        let mut refusals = Refusals::default();
        refusals.count(at(0), FRAME, &sender(7));
        assert_eq!(refusals.take_due(at(0)).len(), 1);
        assert_eq!(refusals.next_due(), Some(at(10)));
        assert_eq!(refusals.take_due(at(10)), []);
        assert_eq!(refusals.next_due(), None);
        refusals.count(at(11), FRAME, &sender(7));
        assert_eq!(refusals.take_due(at(11)).len(), 1, "news again");
    }

    #[test]
    fn a_line_says_who_how_many_and_why() {
        let mut refused = Refused::NONE;
        refused.count(&sender(7), 1);
        refused.count(&Sender::at("fe80::7".parse().unwrap(), 0), 20);
        refused.others = 300;
        let why = describe(Reason::Password);
        assert_eq!(
            lines("bond0", &why, &refused),
            [
                "bond0: 1 frame from 192.0.2.7 for VRID 51 not taken in the last 10 s: \
                 a wrong password: compare auth_pass",
                "bond0: 20 frames from fe80::7 not taken in the last 10 s: \
                 a wrong password: compare auth_pass",
                "bond0: 300 frames from other senders not taken in the last 10 s: \
                 a wrong password: compare auth_pass",
            ]
        );
    }
}
