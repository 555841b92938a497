//! Who is counted: the processes that some tracker means, and how many each has. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ha_core::TrackerId;

use super::{pattern::Pattern, sight::Sight};

/// Processes that are counted: far more than a host has, and as many as the kernel's table.
const KNOWN_MAX: usize = 65_536;

/// Why a number is another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// A process that is counted has made a copy of itself.
    Fork,
    /// A process became another one: by `exec`, or by taking another name.
    Exec,
    /// It ended.
    Exit,
}

/// What happened to the number of one tracker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Change {
    pub(super) tracker: TrackerId,
    pub(super) cause: Cause,
    pub(super) pid: u32,
    /// One more, begun by somebody who is not counted himself; a worker of a service is no start.
    pub(super) is_start: bool,
}

/// The processes that are counted.
#[derive(Debug, Default)]
pub(super) struct Census {
    patterns: BTreeMap<TrackerId, Pattern>,
    known: BTreeMap<u32, BTreeSet<TrackerId>>,
    counts: BTreeMap<TrackerId, u32>,
}

impl Census {
    /// Counts by these patterns from now on; a number that is asked for another one begins at zero.
    pub(super) fn look_for(&mut self, patterns: BTreeMap<TrackerId, Pattern>) {
        let Self { patterns: before, known, counts } = self;
        let stays = |tracker: &TrackerId| before.get(tracker) == patterns.get(tracker);
        for trackers in known.values_mut() {
            trackers.retain(stays);
        }
        counts.retain(|tracker, _| stays(tracker));
        known.retain(|_, trackers| !trackers.is_empty());
        self.patterns = patterns;
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.values()
    }

    /// Bytes of command lines that decide.
    pub(super) fn command_line_bytes(&self) -> usize {
        self.patterns().map(Pattern::command_line_bytes).max().unwrap_or(0)
    }

    pub(super) fn count(&self, tracker: TrackerId) -> u32 {
        self.counts.get(&tracker).copied().unwrap_or(0)
    }

    pub(super) fn knows(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.known.keys().copied()
    }

    /// Whether some tracker means it.
    pub(super) fn is_meant(&self, sight: &Sight) -> bool {
        self.patterns().any(|pattern| pattern.matches(&sight.name, &sight.command_line))
    }

    /// `child` is a copy of `parent`.
    pub(super) fn fork(&mut self, parent: u32, child: u32, changes: &mut Vec<Change>) {
        if let Some(trackers) = self.known.get(&parent) {
            self.set(child, trackers.clone(), Cause::Fork, changes);
        }
    }

    /// A process is gone.
    pub(super) fn exit(&mut self, pid: u32, changes: &mut Vec<Change>) {
        self.set(pid, BTreeSet::new(), Cause::Exit, changes);
    }

    /// A process is, or has become, what is seen.
    pub(super) fn see(&mut self, sight: &Sight, changes: &mut Vec<Change>) {
        let Sight { pid, parent, name, command_line } = sight;
        let meant = self.patterns.iter().filter(|(_, one)| one.matches(name, command_line));
        let meant = meant.map(|(tracker, _)| *tracker).collect();
        // Only where a fork was missed is there a difference between the two.
        let is_copy = !self.known.contains_key(pid) && self.known.get(parent) == Some(&meant);
        let cause = if is_copy { Cause::Fork } else { Cause::Exec };
        self.set(*pid, meant, cause, changes);
    }

    /// Those in `there` are all that there are.
    pub(super) fn keep(&mut self, there: &BTreeSet<u32>, changes: &mut Vec<Change>) {
        let gone: Vec<u32> = self.pids().filter(|pid| !there.contains(pid)).collect();
        for pid in gone {
            self.exit(pid, changes);
        }
    }

    fn set(
        &mut self,
        pid: u32,
        trackers: BTreeSet<TrackerId>,
        cause: Cause,
        changes: &mut Vec<Change>,
    ) {
        let before = self.known.remove(&pid).unwrap_or_default();
        for &tracker in before.difference(&trackers) {
            if let Some(count) = self.counts.get_mut(&tracker) {
                *count = count.saturating_sub(1);
            }
            changes.push(Change { tracker, cause, pid, is_start: false });
        }
        // The kernel's table has no more room either.
        let has_room = self.known.len() < KNOWN_MAX;
        if trackers.is_empty() || !has_room {
            return;
        }
        for &tracker in trackers.difference(&before) {
            let count = self.counts.entry(tracker).or_default();
            *count = count.saturating_add(1);
            changes.push(Change { tracker, cause, pid, is_start: cause == Cause::Exec });
        }
        self.known.insert(pid, trackers);
    }
}

#[cfg(test)]
mod tests {
    use ha_config::ProcessMatch;

    use super::{super::pattern::tests::process, *};

    const WEB: TrackerId = TrackerId(1);
    const ANY: TrackerId = TrackerId(2);

    fn census() -> Census {
        let web = Pattern::new(&process(&["nginx"], ProcessMatch::Name));
        let any = Pattern::new(&process(&["/bin/nginx"], ProcessMatch::Partial));
        let mut census = Census::default();
        census.look_for(BTreeMap::from([(WEB, web), (ANY, any)]));
        census
    }

    fn sight(pid: u32, parent: u32, name: &str, command_line: &str) -> Sight {
        let (name, command_line) = (name.as_bytes().to_vec(), command_line.as_bytes().to_vec());
        Sight { pid, parent, name, command_line }
    }

    fn told(census: &mut Census, what: impl FnOnce(&mut Census, &mut Vec<Change>)) -> Vec<String> {
        let mut changes = Vec::new();
        what(census, &mut changes);
        let told = |one: &Change| {
            let start = if one.is_start { " start" } else { "" };
            format!("{} {:?} {}{start}", one.tracker.0, one.cause, one.pid)
        };
        changes.iter().map(told).collect()
    }

    #[test]
    fn a_service_starts_and_its_workers_are_counted_but_are_no_starts() {
        let mut census = census();
        let master = sight(10, 1, "nginx", "nginx: master\0");
        assert_eq!(told(&mut census, |it, out| it.see(&master, out)), ["1 Exec 10 start"]);
        assert_eq!(told(&mut census, |it, out| it.fork(10, 11, out)), ["1 Fork 11"]);
        assert_eq!(told(&mut census, |it, out| it.see(&master, out)), [""; 0], "nothing new");
        assert_eq!(census.count(WEB), 2);
        // The worker becomes a helper, the master ends.
        let helper = sight(11, 10, "sh", "sh\0");
        assert_eq!(told(&mut census, |it, out| it.see(&helper, out)), ["1 Exec 11"]);
        assert_eq!(told(&mut census, |it, out| it.exit(10, out)), ["1 Exit 10"]);
        assert_eq!(told(&mut census, |it, out| it.exit(10, out)), [""; 0]);
        assert_eq!((census.count(WEB), census.pids().count()), (0, 0));
    }

    #[test]
    fn strangers_children_are_strangers() {
        let mut census = census();
        assert_eq!(told(&mut census, |it, out| it.fork(7, 8, out)), [""; 0]);
        assert!(!census.knows(8));
    }

    #[test]
    fn a_copy_that_is_found_later_is_no_start_either() {
        let mut census = census();
        let sight = |pid, parent| sight(pid, parent, "nginx", "/bin/nginx\0-g\0");
        let found = told(&mut census, |it, out| it.see(&sight(10, 1), out));
        assert_eq!(found, ["1 Exec 10 start", "2 Exec 10 start"]);
        let found = told(&mut census, |it, out| it.see(&sight(11, 10), out));
        assert_eq!(found, ["1 Fork 11", "2 Fork 11"]);
        let gone = told(&mut census, |it, out| it.keep(&BTreeSet::from([11]), out));
        assert_eq!(gone, ["1 Exit 10", "2 Exit 10"]);
    }

    #[test]
    fn what_is_looked_for_as_before_keeps_its_count() {
        let mut census = census();
        census.see(&sight(10, 1, "nginx", "/bin/nginx\0"), &mut Vec::new());
        let web = Pattern::new(&process(&["nginx"], ProcessMatch::Name));
        let other = Pattern::new(&process(&["apache2"], ProcessMatch::Name));
        census.look_for(BTreeMap::from([(WEB, web), (ANY, other)]));
        assert_eq!((census.count(WEB), census.count(ANY)), (1, 0));
        assert_eq!(census.command_line_bytes(), 0);
        census.look_for(BTreeMap::new());
        assert!(!census.knows(10));
    }
}
