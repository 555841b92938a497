//! What has happened and why: kept in memory, and in a file on request, so that it survives a restart.
//! `docs/status.md` says what is in an entry.

mod file;

use std::{collections::VecDeque, io, mem, path::Path, process, sync::Arc};

use ha_core::{Cause, Instant};
use serde_json::{Map, Value, json};

use self::file::HistoryFile;
use crate::{clock, engine::Moved};

/// Entries that are kept; the oldest goes first.
const ENTRIES_MAX: usize = 1_024;
/// Of all of them together: memory that is locked.
const BYTES_MAX: usize = 256 << 10;

/// By this member an entry is known that is about a run of the daemon.
const RUN: &str = "run";
const STARTED: &str = "started";

/// The entries, each as a line of JSON.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Arc<str>>,
    bytes: usize,
    /// Entries that have gone to make room.
    forgotten: u64,
    file: Option<HistoryFile>,
    /// The run before this one has begun, and its end is missing.
    is_after_kill: bool,
}

/// What has happened once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry(Map<String, Value>);

impl Entry {
    pub(crate) fn set(&mut self, member: &str, value: Value) {
        self.0.insert(member.to_owned(), value);
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Entry {
    fn from(members: [(&str, Value); N]) -> Self {
        Self(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// All that is remembered at one moment.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) forgotten: u64,
    /// The oldest first.
    pub(crate) entries: Vec<Arc<str>>,
}

impl Remembered {
    /// The document of docs/status.md, in one line.
    pub(crate) fn text(&self) -> String {
        let Self { forgotten, entries } = self;
        format!("{{\"forgotten\":{forgotten},\"entries\":[{}]}}", entries.join(","))
    }
}

/// What a daemon has written to the file at `path`, in the form of the control socket's answer.
///
/// # Errors
/// One sentence: it is not there, or cannot be read.
pub(crate) fn of_file(path: &Path) -> Result<Value, String> {
    let failed = |error: io::Error| format!("the history file {}: {error}", path.display());
    // An empty history would say that nothing has happened.
    path.metadata().map_err(failed)?;
    let entries = file::read_both(path).map_err(failed)?;
    let entries = entries.iter().filter_map(|entry| serde_json::from_str(entry).ok());
    Ok(json!({ "forgotten": 0, "entries": entries.collect::<Vec<Value>>() }))
}

impl History {
    /// One that goes on with what is in the file at `path`, and is written to it.
    ///
    /// # Errors
    /// One sentence: the file cannot be read or written to.
    pub(crate) fn with_file(path: &Path) -> io::Result<Self> {
        let (file, lines) = HistoryFile::open(path)?;
        let last_run = lines.iter().rev().find_map(|line| run_in(line));
        let is_after_kill = last_run.is_some_and(|run| run == STARTED);
        let mut history = Self { file: Some(file), is_after_kill, ..Self::default() };
        for line in lines {
            history.keep(line.into());
        }
        Ok(history)
    }

    /// This run has begun at `at`.
    pub(crate) fn begin(&mut self, at: Instant) {
        let after_kill = mem::take(&mut self.is_after_kill);
        let entry = Entry::from([
            (RUN, json!(STARTED)),
            ("after_kill", json!(after_kill)),
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("pid", json!(process::id())),
        ]);
        self.add(at, entry);
    }

    /// This run ends in order; `error`: because it could not go on.
    pub(crate) fn end(&mut self, error: Option<&str>) {
        let (pid, reason) = (json!(process::id()), json!(error));
        self.add(
            clock::now(),
            Entry::from([(RUN, json!("ended")), ("pid", pid), ("reason", reason)]),
        );
    }

    /// Adds what happened at `at`.
    pub(crate) fn add(&mut self, at: Instant, mut entry: Entry) {
        let ago = clock::now().since(at);
        let unix_ms = clock::since_epoch().saturating_sub(ago).as_millis();
        entry.set("at_nanos", json!(at.as_nanos()));
        entry.set("unix_ms", json!(u64::try_from(unix_ms).unwrap_or(u64::MAX)));
        let line: Arc<str> = Value::Object(entry.0).to_string().into();
        if let Some(file) = &mut self.file {
            file.add(Arc::clone(&line));
        }
        self.keep(line);
    }

    pub(crate) fn remembered(&self) -> Remembered {
        let entries = self.entries.iter().map(Arc::clone).collect();
        Remembered { forgotten: self.forgotten, entries }
    }

    fn keep(&mut self, line: Arc<str>) {
        self.bytes += line.len();
        self.entries.push_back(line);
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.len();
            self.forgotten += 1;
        }
    }
}

/// What a line says of a run of the daemon, if it is about one.
fn run_in(line: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(line).ok()?;
    Some(entry.get(RUN)?.as_str()?.to_owned())
}

/// What made an instance change its state at `at`, and how long each step took, as members of an entry.
pub(crate) fn evidence(at: Instant, moved: &Moved) -> Entry {
    let micros = |then: Instant, since: Instant| {
        u64::try_from(then.since(since).as_micros()).unwrap_or(u64::MAX)
    };
    let master =
        moved.master.map(|(address, priority)| json!({ "address": address, "priority": priority }));
    Entry::from([
        ("from", json!(moved.transition.from.to_string())),
        ("to", json!(moved.transition.to.to_string())),
        ("cause", json!(name(moved.transition.cause))),
        ("priority", json!(moved.priority)),
        ("master", json!(master)),
        ("heard_before_us", json!(moved.heard.map(|heard| micros(at, heard)))),
        ("late_us", json!(deadline(moved).map(|deadline| micros(at, deadline)))),
        ("sent_after_us", json!(moved.done.sent.map(|sent| micros(sent, at)))),
        ("set_after_us", json!(moved.done.placed.map(|placed| micros(placed, at)))),
    ])
}

/// The deadline that a transition is of, if it is of one: that which fired, and not one before it that a
/// frame or the sync group has put off.
pub(crate) const fn deadline(moved: &Moved) -> Option<Instant> {
    match moved.transition.cause {
        Cause::MasterDown { .. } | Cause::MasterStopped | Cause::Preempt => moved.deadline,
        Cause::Ready
        | Cause::BetterMaster { .. }
        | Cause::Late { .. }
        | Cause::TrackerDown(_)
        | Cause::NoSource
        | Cause::AddressesFailed
        | Cause::AddressesRemoved
        | Cause::Demoted
        | Cause::Promoted
        | Cause::Group(_)
        | Cause::Shutdown
        | Cause::Reload => None,
    }
}

/// A cause for programs.
pub(crate) const fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Ready => "ready",
        Cause::MasterDown { .. } => "master_down",
        Cause::MasterStopped => "master_stopped",
        Cause::Preempt => "preempt",
        Cause::BetterMaster { .. } => "better_master",
        Cause::Late { .. } => "late",
        Cause::TrackerDown(_) => "tracker_down",
        Cause::NoSource => "no_source",
        Cause::AddressesFailed => "addresses_failed",
        Cause::AddressesRemoved => "addresses_removed",
        Cause::Demoted => "demoted",
        Cause::Promoted => "promoted",
        Cause::Group(_) => "group",
        Cause::Shutdown => "shutdown",
        Cause::Reload => "reload",
    }
}

#[cfg(test)]
mod tests {
    use ha_core::{InstanceId, State, TrackerId, Transition};

    use super::*;
    use crate::engine::Done;

    #[test]
    fn the_oldest_make_room() {
        let mut history = History::default();
        let at = Instant::from_nanos(1);
        for number in 0..ENTRIES_MAX + 3 {
            history.add(at, Entry::from([("number", json!(number))]));
        }
        let remembered = history.remembered();
        assert_eq!((remembered.entries.len(), remembered.forgotten), (ENTRIES_MAX, 3));
        let first: Value = serde_json::from_str(&remembered.entries[0]).unwrap();
        assert_eq!(first["number"], 3);
        assert_eq!(first["at_nanos"], 1);
        history.add(at, Entry::from([("reason", json!("x".repeat(BYTES_MAX - 1_000)))]));
        assert!(history.bytes <= BYTES_MAX && history.entries.len() < ENTRIES_MAX);
        history.add(at, Entry::from([("reason", json!("x".repeat(BYTES_MAX)))]));
        assert_eq!((history.bytes, history.entries.len()), (0, 0));
    }

    #[test]
    fn each_step_of_a_takeover_is_there() {
        let at = |micros: u64| Instant::from_nanos(micros * 1_000);
        let heard = Some(at(1_000));
        let cause = Cause::MasterDown { heard, deadline: at(5_000) };
        let (from, to, instance) = (State::Backup, State::Master, InstanceId(0));
        let moved = Moved {
            transition: Transition { instance, from, to, cause },
            priority: 100,
            weights: Vec::new(),
            is_demoted: false,
            words: Vec::new(),
            master: Some(("192.0.2.7".parse().unwrap(), 150)),
            heard,
            deadline: Some(at(5_000)),
            done: Done { sent: Some(at(5_090)), placed: Some(at(5_400)) },
        };
        let expected = json!({ "from": "BACKUP", "to": "MASTER", "cause": "master_down",
            "priority": 100, "master": { "address": "192.0.2.7", "priority": 150 },
            "heard_before_us": 4_040, "late_us": 40, "sent_after_us": 50, "set_after_us": 360 });
        assert_eq!(Value::Object(evidence(at(5_040), &moved).0), expected);
        // Nothing to send, and no deadline.
        let cause = Cause::TrackerDown(TrackerId(0));
        let transition = Transition { instance, from, to: State::Fault, cause };
        let moved = Moved { transition, done: Done::default(), ..moved };
        let evidence = evidence(at(5_040), &moved).0;
        for member in ["late_us", "sent_after_us", "set_after_us"] {
            assert_eq!(evidence[member], Value::Null, "{member}");
        }
    }
}
