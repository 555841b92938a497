//! What valid advertisements show that an operator should know, on its way to the log: the first of a
//! kind and sender at once, and then one in ten seconds, with a count. A few senders of an instance
//! are named; all others are one line.

use std::{collections::BTreeMap, mem, net::IpAddr};

use ha_core::{InstanceId, Instant, Notice};

use crate::refused::PAUSE;

/// Kinds and senders of an instance that are told of by themselves: a few neighbours with something to
/// say each.
const ENTRIES_MAX: usize = 16;

/// What waits to be told, of each instance.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    waiting: BTreeMap<InstanceId, Waiting>,
    /// Not after the first of those that are due.
    next: Option<Instant>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// Of kinds and senders for which there was no room, and when they are told of.
    others: u64,
    others_due: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    source: IpAddr,
    /// The last of its kind.
    notice: Notice,
    /// Since it was told.
    times: u64,
    due: Instant,
}

/// What is to be told of an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// `times`, since it was last told or now, a sender has shown something, in the end this.
    Notice { source: IpAddr, notice: Notice, times: u64 },
    /// So many, for which there was no room.
    Others(u64),
}

impl Notices {
    /// Takes one; gives it back if it is to be told at once.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        instance: InstanceId,
        source: IpAddr,
        notice: Notice,
    ) -> Option<Told> {
        let waiting = self.waiting.entry(instance).or_default();
        let due = now + PAUSE;
        let next = self.next.map_or(due, |next| next.min(due));
        let is_known = |one: &&mut Entry| one.source == source && is_same_kind(one.notice, notice);
        if let Some(entry) = waiting.entries.iter_mut().find(is_known) {
            entry.times += 1;
            entry.notice = notice;
            return None;
        }
        self.next = Some(next);
        if waiting.entries.len() >= ENTRIES_MAX {
            waiting.others += 1;
            waiting.others_due.get_or_insert(due);
            return None;
        }
        waiting.entries.push(Entry { source, notice, times: 0, due });
        Some(Told::Notice { source, notice, times: 1 })
    }

    /// What has been waiting for long enough; what has not come again is forgotten.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(InstanceId, Told)> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut all = Vec::new();
        self.waiting.retain(|instance, waiting| {
            waiting.take_due(now, |told| all.push((*instance, told)));
            !waiting.entries.is_empty() || waiting.others_due.is_some()
        });
        self.next = self.waiting.values().filter_map(Waiting::next).min();
        all
    }

    /// When [`Self::take_due`] is to be called next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.next
    }
}

impl Waiting {
    fn take_due(&mut self, now: Instant, mut tell: impl FnMut(Told)) {
        self.entries.retain_mut(|entry| {
            if entry.due > now {
                return true;
            }
            entry.due = now + PAUSE;
            let (source, notice) = (entry.source, entry.notice);
            let times = mem::take(&mut entry.times);
            if times > 0 {
                tell(Told::Notice { source, notice, times });
            }
            times > 0
        });
        if self.others_due.is_some_and(|due| due <= now) {
            self.others_due = None;
            tell(Told::Others(mem::take(&mut self.others)));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.due).chain(self.others_due).min()
    }
}

/// Whether they differ at most in what they say.
fn is_same_kind(one: Notice, other: Notice) -> bool {
    mem::discriminant(&one) == mem::discriminant(&other)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const INSTANCE: InstanceId = InstanceId(3);

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn sender(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn interval(millis: u64) -> Notice {
        Notice::Interval(Duration::from_millis(millis))
    }

    fn told(last: u8, notice: Notice, times: u64) -> Told {
        Told::Notice { source: sender(last), notice, times }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_once_in_ten_seconds_with_a_count() {
        let mut notices = Notices::default();
        let mut log = Vec::new();
        // One that says another interval a hundred times a second, for 25 seconds.
        for turn in 0..2_500 {
            let now = at(turn * 10);
            let said = interval(turn);
            log.extend(notices.add(now, INSTANCE, sender(1), said).map(|told| (turn, told)));
            log.extend(notices.take_due(now).into_iter().map(|(_, told)| (turn, told)));
        }
        assert_eq!(
            log,
            [
                (0, told(1, interval(0), 1)),
                (1000, told(1, interval(1000), 1000)),
                (2000, told(1, interval(2000), 1000)),
            ]
        );
        assert_eq!(notices.next_due(), Some(at(30_000)));
        assert_eq!(notices.take_due(at(30_000)), [(INSTANCE, told(1, interval(2499), 499))]);
        assert_eq!(notices.take_due(at(40_000)), [], "that was all");
        assert_eq!((notices.next_due(), notices.waiting.len()), (None, 0));
        let first = notices.add(at(40_001), INSTANCE, sender(1), interval(7));
        assert_eq!(first, Some(told(1, interval(7), 1)), "news again");
    }

    #[test]
    fn each_kind_sender_and_instance_is_told_of_by_itself() {
        let mut notices = Notices::default();
        let mut is_told = |instance, last, notice| {
            notices.add(at(0), InstanceId(instance), sender(last), notice).is_some()
        };
        assert!(is_told(1, 1, interval(10)));
        assert!(!is_told(1, 1, interval(20)));
        assert!(is_told(1, 1, Notice::Addresses));
        assert!(is_told(1, 2, interval(10)));
        assert!(is_told(2, 1, interval(10)));
    }

    #[test]
    fn made_up_senders_are_one_line_and_take_no_memory() {
        let mut notices = Notices::default();
        let mut first = 0;
        for turn in 0..1_000_u32 {
            let source = IpAddr::from(turn.to_be_bytes());
            let now = at(u64::from(turn));
            first += usize::from(notices.add(now, INSTANCE, source, Notice::Addresses).is_some());
        }
        assert_eq!(first, ENTRIES_MAX);
        assert_eq!(notices.waiting[&INSTANCE].entries.len(), ENTRIES_MAX);
        let all = notices.take_due(at(11_000));
        assert_eq!(all, [(INSTANCE, Told::Others(1_000 - 16))]);
        assert_eq!(notices.next_due(), None);
    }
}
