//! What is there as long as the daemon runs: set at the start, put back when it is lost, changed by a
//! reload, removed at the end.

use std::{collections::BTreeSet, time::Duration};

use ha_core::Instant;

use super::{Effects, Surroundings, wanted, wanted::StaticLine};
use crate::{
    engine::Message,
    io::{
        addresses::STATIC_MARK,
        changes::Change,
        links::{self, Links},
        routing_watch::Key,
    },
};

/// Between one look and the next: whoever removes it again and again must not keep us busy.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// While something cannot be set the pauses double, up to this one.
const PAUSE_LAST: Duration = Duration::from_mins(1);

/// What is set, and when it is looked at again.
#[derive(Debug, Default)]
pub(super) struct Statics {
    /// As it was set.
    set: BTreeSet<Change>,
    /// What is in the way of the rest, as the operator was told.
    told: BTreeSet<String>,
    looked: Option<Instant>,
    due: Option<Instant>,
    pause: Duration,
}

impl Statics {
    /// Whether somebody who gives it up has to leave it there; `key` is what removes it.
    pub(super) fn has(&self, key: &Change) -> bool {
        self.set.iter().any(|change| change.removal() == *key)
    }

    /// What the kernel is to be asked for: not again what was set once and is not tracked, nor an
    /// address that is there.
    fn is_to_be_set(&self, line: &StaticLine, links: &Links) -> bool {
        let was_set = self.set.contains(&line.change);
        if was_set && !line.is_tracked {
            return false;
        }
        let Change::Address(wanted) = &line.change else { return true };
        let mut of_link = links.iter().filter(|link| link.index == wanted.ifindex);
        let is_there = of_link.any(|link| {
            let is_it = |own: &links::Address| {
                (own.address, own.prefix_len) == (wanted.address, wanted.prefix_len)
                    // One of a run before this one is ours as soon as it is set again.
                    && (was_set || own.protocol != STATIC_MARK)
            };
            link.addresses.iter().any(is_it)
        });
        !is_there
    }
}

impl Effects {
    /// Something may be missing.
    pub(crate) fn doubt_statics(&mut self, now: Instant) {
        let statics = &mut self.statics;
        let earliest = statics.looked.map_or(now, |looked| now.max(looked + PAUSE_FIRST));
        statics.due = Some(statics.due.map_or(earliest, |due| due.min(earliest)));
        statics.pause = Duration::ZERO;
    }

    /// A route or a rule among those that are `lost` is static.
    pub(crate) fn has_lost_static(&self, lost: &BTreeSet<Key>) -> bool {
        let is_lost = |change: &Change| Key::of(change).is_some_and(|key| lost.contains(&key));
        self.statics.set.iter().any(is_lost)
    }

    /// When it has to be looked at next.
    pub(crate) fn next_statics(&self) -> Option<Instant> {
        self.statics.due
    }

    /// Sets what is missing and removes what is not wanted any more; gives back the
    /// names of the track groups of which something cannot be set.
    pub(crate) fn mend_statics(&mut self, around: Surroundings<'_>) -> BTreeSet<String> {
        let now = around.now;
        let (lines, lacking) = wanted::statics(around.links, &around.plan.statics);
        let wanted: BTreeSet<&Change> = lines.iter().map(|line| &line.change).collect();
        self.drop_statics(now, |change| !wanted.contains(change));
        let mut groups = BTreeSet::new();
        let mut troubles = BTreeSet::new();
        let mut fail = |group: &Option<String>, text: String| {
            groups.extend(group.clone());
            troubles.insert(text);
        };
        for lack in &lacking {
            fail(&lack.track_group, lack.text.clone());
        }
        let asked: Vec<&StaticLine> =
            lines.iter().filter(|line| self.statics.is_to_be_set(line, around.links)).collect();
        let changes: Vec<Change> = asked.iter().map(|line| line.change.clone()).collect();
        let mut has_failed = false;
        for (line, result) in asked.iter().zip(self.changes.apply(&changes)) {
            match result {
                Ok(_) => {
                    self.statics.set.insert(line.change.clone());
                }
                Err(error) => {
                    has_failed = true;
                    self.statics.set.remove(&line.change);
                    fail(&line.track_group, format!("what is static: {error}"));
                }
            }
        }
        for text in troubles.difference(&self.statics.told).cloned().collect::<Vec<_>>() {
            self.report(now, Message::Trouble(text));
        }
        let statics = &mut self.statics;
        statics.told = troubles;
        statics.looked = Some(now);
        statics.due = has_failed.then(|| {
            statics.pause = (statics.pause * 2).clamp(PAUSE_FIRST, PAUSE_LAST);
            now + statics.pause
        });
        groups
    }

    /// Removes it all.
    pub(crate) fn remove_statics(&mut self, now: Instant) {
        self.drop_statics(now, |_| true);
    }

    fn drop_statics(&mut self, now: Instant, is_dropped: impl Fn(&Change) -> bool) {
        let gone: Vec<Change> = self.statics.set.extract_if(.., |one| is_dropped(one)).collect();
        if gone.is_empty() {
            return;
        }
        let of_instances = self.outlets.iter().flat_map(|outlet| outlet.set.iter().flatten());
        let held: BTreeSet<Change> = of_instances.map(|one| one.change.removal()).collect();
        let removals = gone.iter().rev().map(Change::removal);
        let removals: Vec<Change> = removals.filter(|removal| !held.contains(removal)).collect();
        for error in self.changes.apply(&removals).into_iter().filter_map(Result::err) {
            self.report(now, Message::Trouble(format!("what is static: {error}")));
        }
    }
}
