//! The history for people.

use serde_json::Value;

use super::table::{list, number, text};
use crate::wall;

/// The cause of who moves because another member of its sync group did.
const GROUP: &str = "group";

/// What has happened to `name`, an instance or a sync group, or to all: the oldest first.
pub(super) fn history(history: &Value, name: Option<&str>) -> String {
    let mut out = match number(history, "forgotten") {
        0 => String::new(),
        forgotten => format!("({forgotten} older entries were forgotten)\n"),
    };
    let entries = list(history, "entries");
    let mut is_empty = out.is_empty();
    for entry in entries.iter().filter(|entry| is_about(entry, name)) {
        // Who asks about one member of a group is not to ask again about the one that moved it.
        let mover = entries.iter().find(|other| has_moved(other, entry));
        out += &one(entry, mover.filter(|mover| !is_about(mover, name)));
        is_empty &= is_of_run(entry);
    }
    if is_empty {
        let about = name.map_or(String::new(), |name| format!(" to {name}"));
        out.extend(["nothing has happened", &about, "\n"]);
    }
    out
}

pub(super) fn is_about(entry: &Value, name: Option<&str>) -> bool {
    is_of_run(entry)
        || name.is_none_or(|name| {
            ["instance", "group"].iter().any(|member| text(entry, member) == name)
        })
}

/// Whether it is about the daemon, and so about everybody.
fn is_of_run(entry: &Value) -> bool {
    entry.get("run").is_some_and(Value::is_string)
}

/// Whether `other` is why all of the sync group moved, and `entry` with it.
fn has_moved(other: &Value, entry: &Value) -> bool {
    let is_same = |member: &str| {
        let value = entry.get(member).filter(|value| !value.is_null());
        value.is_some() && value == other.get(member)
    };
    text(entry, "cause") == GROUP
        && text(other, "cause") != GROUP
        && is_same("group")
        && is_same("at_nanos")
}

fn one(entry: &Value, mover: Option<&Value>) -> String {
    let when = wall::full(number(entry, "unix_ms"));
    let name = text(entry, "instance");
    if is_of_run(entry) {
        let after_kill = entry.get("after_kill").and_then(Value::as_bool) == Some(true);
        let after = if after_kill { ", after the last run was killed" } else { "" };
        let why = entry.get("reason").and_then(Value::as_str);
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        let (run, pid) = (text(entry, "run"), number(entry, "pid"));
        return format!("{when}  the daemon {run}, process {pid}{after}{why}\n");
    }
    if let Some(order) = entry.get("order").and_then(Value::as_str) {
        let (uid, result) = (number(entry, "uid"), text(entry, "result"));
        let is_until_restart = entry.get("until_restart").and_then(Value::as_bool) == Some(true);
        let option = if is_until_restart { " --until-restart" } else { "" };
        let name = name.escape_debug();
        let is_refused = entry.get("is_done").and_then(Value::as_bool) == Some(false);
        let refused = if is_refused { ", refused" } else { "" };
        return format!(
            "{when}  {name}: {order}{option}, ordered by uid {uid}{refused}\n    {result}\n"
        );
    }
    let mut out = format!(
        "{when}  {name}: {} -> {}, priority {}\n    {}{}\n",
        text(entry, "from"),
        text(entry, "to"),
        text(entry, "priority_reason"),
        text(entry, "reason"),
        mover.map_or(String::new(), |mover| format!(": {}", text(mover, "reason"))),
    );
    if let Some(master) = entry.get("master").filter(|master| !master.is_null()) {
        let (address, priority) = (text(master, "address"), number(master, "priority"));
        let before = micros(entry, "heard_before_us");
        let before = before.map_or(String::new(), |time| format!(", heard {time} before"));
        line(&mut out, &format!("last Master: {address} with priority {priority}{before}"));
    }
    let reason = text(mover.unwrap_or(entry), "reason");
    for tracker in list(entry, "trackers") {
        // That which the reason is about has been said.
        let said = text(tracker, "said");
        if !reason.contains(said) {
            line(&mut out, &format!("{}: {said}", text(tracker, "tracker")));
        }
    }
    let late = micros(mover.unwrap_or(entry), "late_us");
    let late = late.map(|time| format!("decided {time} after the deadline"));
    let done = done(entry);
    let after = if late.is_some() { "that" } else { "the decision" };
    let done = (!done.is_empty()).then(|| format!("{} after {after}", done.join(" and ")));
    let steps: Vec<String> = late.into_iter().chain(done).collect();
    if !steps.is_empty() {
        line(&mut out, &steps.join(", "));
    }
    out
}

/// What was sent and set, and how long that took.
fn done(entry: &Value) -> Vec<String> {
    let sent = micros(entry, "sent_after_us").map(|time| format!("advertised {time}"));
    let verb = if text(entry, "to") == "MASTER" { "set" } else { "removed" };
    let placed = micros(entry, "set_after_us").map(|time| format!("addresses {verb} {time}"));
    sent.into_iter().chain(placed).collect()
}

fn line(out: &mut String, words: &str) {
    out.extend(["    ", words, "\n"]);
}

fn micros(entry: &Value, member: &str) -> Option<String> {
    let us = entry.get(member).and_then(Value::as_u64)?;
    Some(format!("{}.{:03} ms", us / 1_000, us % 1_000))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_why_it_switched_at_that_time() {
        let entries = json!({ "forgotten": 2, "entries": [
            { "unix_ms": 1_700_050_000_123_u64, "instance": "VI_1", "group": "G", "from": "BACKUP",
              "to": "MASTER", "priority": 100, "priority_reason": "100", "reason": "nobody came",
              "master": { "address": "192.0.2.7", "priority": 150 }, "heard_before_us": 3_609_040,
              "late_us": 40, "sent_after_us": 50, "set_after_us": 1_360 },
            { "unix_ms": 1_700_050_000_124_u64, "at_nanos": 7, "instance": "VI_3", "group": "H",
              "cause": "group", "reason": "VI_4 of the same sync group moved", "sent_after_us": 50,
              "set_after_us": 60 },
            { "unix_ms": 1_700_050_000_124_u64, "at_nanos": 7, "instance": "VI_4", "group": "H",
              "cause": "master_down", "reason": "silence", "late_us": 9, "sent_after_us": 50,
              "set_after_us": 60 },
            { "unix_ms": 1_700_050_000_125_u64, "instance": "VI_5", "from": "MASTER", "to": "FAULT",
              "cause": "tracker_down", "reason": "process web failed: none", "trackers": [
              { "tracker": "process web", "said": "none" },
              { "tracker": "script chk", "said": "exit code 1" }], "late_us": null, "sent_after_us": null,
              "set_after_us": 70 },
            { "unix_ms": 1_700_050_000_126_u64, "instance": "VI_6", "from": "INIT", "to": "BACKUP",
              "cause": "ready", "reason": "all is there", "late_us": null, "sent_after_us": null,
              "set_after_us": null },
            { "unix_ms": 1_700_050_001_000_u64, "instance": "VI_2", "order": "demote", "uid": 0,
              "result": "done" },
            { "unix_ms": 1_700_050_001_000_u64, "instance": "VI_9", "order": "reset", "uid": 0,
              "is_done": false, "result": "there is none" },
        ] });
        let all = history(&entries, None);
        assert!(all.starts_with("(2 older entries were forgotten)\n2023-11-15 "), "{all}");
        for words in [
            "40.123  VI_1: BACKUP -> MASTER, priority 100\n    nobody came\n",
            "    last Master: 192.0.2.7 with priority 150, heard 3609.040 ms before\n",
            "    decided 0.040 ms after the deadline, advertised 0.050 ms and addresses set 1.360 ms after that",
            "    process web failed: none\n    script chk: exit code 1\n    addresses removed 0.070 ms after the decision\n",
            "    all is there\n2023",
            "VI_2: demote, ordered by uid 0\n    done\n",
            "VI_9: reset, ordered by uid 0, refused\n    there is none\n",
        ] {
            assert!(all.contains(words), "no `{words}` in:\n{all}");
        }
        let group = history(&entries, Some("G"));
        assert!(group.contains("VI_1") && !group.contains("VI_2"), "{group}");
        let member = history(&entries, Some("VI_3"));
        let why = "    VI_4 of the same sync group moved: silence\n    decided 0.009 ms after the deadline";
        assert!(member.contains(why) && !member.contains("VI_4: "), "{member}");
        let whole = history(&entries, Some("H"));
        assert!(whole.contains("VI_4 of the same sync group moved\n"), "{whole}");
        let runs = json!({ "forgotten": 0, "entries": [
            { "unix_ms": 1, "run": "started", "pid": 7, "after_kill": true },
            { "unix_ms": 2, "run": "ended", "pid": 7, "reason": null },
            { "unix_ms": 3, "run": "started", "pid": 8, "after_kill": false },
            { "unix_ms": 4, "run": "ended", "pid": 8, "reason": "why" },
        ] });
        let runs = history(&runs, Some("VI_1"));
        for words in [
            "  the daemon started, process 7, after the last run was killed\n",
            "  the daemon ended, process 7\n",
            "  the daemon started, process 8\n",
            "  the daemon ended, process 8: why\nnothing has happened to VI_1\n",
        ] {
            assert!(runs.contains(words), "no `{words}` in:\n{runs}");
        }
        let none = json!({ "forgotten": 0, "entries": [] });
        assert_eq!(history(&none, Some("VI_1")), "nothing has happened to VI_1\n");
    }
}
