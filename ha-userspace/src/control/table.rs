//! The status and the history for people, in 80 columns.

use std::fmt;

use serde_json::Value;

use crate::wall;

const COLUMNS: usize = 80;
/// Of what is said of one instance, behind its name.
const INDENT: &str = "             ";
/// So many instances are told of at length without being asked for.
const AT_LENGTH_MAX: usize = 4;
/// So many of what is tracked are told of.
const TRACKED_MAX: usize = 16;
/// Counters of frames that nothing is wrong with.
pub(crate) const GOOD: [&str; 2] = ["accepted", "absorbed"];

/// The table of `status`: a line for each instance, and all of those that `name` is about, or of all
/// where there are few.
///
/// # Errors
/// One sentence: nothing is called `name`.
pub(super) fn status(status: &Value, name: Option<&str>) -> Result<String, String> {
    let all = list(status, "instances");
    let chosen: Vec<&Value> =
        all.iter().filter(|one| name.is_none_or(|name| is_of(one, name))).collect();
    if let Some(name) = name.filter(|_| chosen.is_empty()) {
        let names = all.iter().map(|one| text(one, "name")).take(16).collect::<Vec<_>>();
        return Err(format!("nothing is called `{name}` there: it has {}", names.join(", ")));
    }
    let mut out = String::new();
    let daemon = status.get("daemon").unwrap_or(&Value::Null);
    line(&mut out, format_args!("{}", head(status, daemon)));
    line(
        &mut out,
        format_args!(
            "{:<17} {:<6} {:<15} {:>4} {:<15} {:>8} {:>8}",
            "INSTANCE", "STATE", "SINCE", "PRIO", "MASTER", "HEARD", "SENT"
        ),
    );
    let now = number(status, "unix_ms");
    for one in &chosen {
        line(&mut out, format_args!("{}", row(one, now)));
    }
    if name.is_some() || chosen.len() <= AT_LENGTH_MAX {
        for one in &chosen {
            at_length(&mut out, status, one);
        }
    } else {
        line(&mut out, format_args!("\n`ha-userspace status NAME` says more of one of them."));
    }
    if name.is_none() {
        tracked(&mut out, status.get("told").unwrap_or(&Value::Null));
    }
    Ok(out)
}

fn head(status: &Value, daemon: &Value) -> String {
    let named = |what: &str, member: &str| match daemon.get(member).and_then(Value::as_str) {
        Some(name) => format!(", {what} {name}"),
        None => String::new(),
    };
    format!(
        "ha-userspace {}, process {}{}{}; {}",
        text(daemon, "version"),
        daemon.get("pid").and_then(Value::as_u64).unwrap_or(0),
        named("instance", "instance"),
        named("network namespace", "net_namespace"),
        text(status, "scheduling"),
    )
}

fn row(one: &Value, now_unix_ms: u64) -> String {
    let state = text(one, "state");
    let since = one.get("since_unix_ms").and_then(Value::as_u64);
    let since = since.map_or("-".to_owned(), |since| wall::short(since, now_unix_ms));
    let master = match one.get("master").filter(|master| !master.is_null()) {
        _ if state == "MASTER" => "this router".to_owned(),
        Some(master) if state == "BACKUP" => text(master, "address").to_owned(),
        Some(_) | None => "-".to_owned(),
    };
    format!(
        "{:<17} {:<6} {:<15} {:>4} {:<15} {:>8} {:>8}",
        cut(text(one, "name"), 17),
        state,
        since,
        number(one, "priority"),
        cut(&master, 15),
        ago(one, "heard_ago_ms"),
        ago(one, "sent_ago_ms"),
    )
}

fn at_length(out: &mut String, status: &Value, one: &Value) {
    let interface = text(one, "interface");
    line(
        out,
        format_args!(
            "\n{} on {interface}, virtual router {}, VRRPv{} over {}",
            text(one, "name"),
            number(one, "vrid"),
            number(one, "vrrp_version"),
            text(one, "family"),
        ),
    );
    entry(out, "why", text(one, "reason"));
    entry(out, "priority", &priority(one));
    entry(out, "master", &master(one));
    let peers = list(one, "peers").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    entry(
        out,
        "peers",
        &if peers.is_empty() { "by multicast".to_owned() } else { peers.join(" ") },
    );
    let addresses = list(one, "addresses").iter().filter_map(Value::as_str);
    entry(out, "addresses", &addresses.collect::<Vec<_>>().join(" "));
    let link = list(status, "interfaces").iter().find(|link| text(link, "name") == interface);
    let Some(link) = link else {
        entry(out, "interface", "not on this host");
        return;
    };
    let is_up = link.get("is_up").and_then(Value::as_bool).unwrap_or(false);
    let path = text(one, "deadline_path");
    let up = if is_up { "up" } else { "down" };
    let xdp = text(link, "xdp");
    entry(out, "interface", &format!("{up}, XDP {xdp}, deadlines by the stamps of the {path}"));
    entry(out, "drops", &drops(link));
}

/// What a kind is called, where it is in the status, and what is told of each.
type Kind = (&'static str, &'static str, fn(&Value) -> String);

const TRACKED: [Kind; 4] = [
    ("script", "scripts", |_| String::new()),
    ("process", "processes", |one| format!("{} of them{}", number(one, "count"), starts(one))),
    ("unit", "units", |one| format!("{}{}", text(one, "state"), starts(one))),
    ("file", "files", |one| {
        one.get("value").and_then(Value::as_i64).map_or("-".to_owned(), |it| it.to_string())
    }),
];

/// What is tracked beside interfaces, if anything is.
fn tracked(out: &mut String, told: &Value) {
    let all = TRACKED.iter().flat_map(|(kind, member, words)| {
        list(told, member).iter().map(move |one| (*kind, one, words(one)))
    });
    for (place, (kind, one, words)) in all.enumerate() {
        match place {
            0 => line(out, format_args!("\n{:<33} {:<6} NOW", "TRACKED", "STATE")),
            TRACKED_MAX => {
                line(out, format_args!("`ha-userspace status --json` has the others."));
                return;
            }
            _ => {}
        }
        let state = match one.get("is_up").map(Value::as_bool) {
            Some(Some(true)) => "up",
            Some(Some(false)) => "down",
            Some(None) | None => "-",
        };
        let name = format!("{kind} {}", text(one, "name"));
        line(out, format_args!("{:<33} {state:<6} {}", cut(&name, 33), cut(&words, 39)));
    }
}

/// How often it was started, where that is counted.
fn starts(one: &Value) -> String {
    let Some(starts) = one.get("starts").filter(|starts| !starts.is_null()) else {
        return String::new();
    };
    let window = starts.get("restart_window_s").and_then(Value::as_f64).unwrap_or(0.0);
    format!(
        ", {} of {} starts in {window} s",
        number(starts, "within_window"),
        number(starts, "max_restarts")
    )
}

fn priority(one: &Value) -> String {
    let (now, base) = (number(one, "priority"), number(one, "base_priority"));
    let weights = list(one, "weights").iter().map(|weight| {
        let by = weight.get("weight").and_then(Value::as_i64).unwrap_or(0);
        format!(", {} {by:+}", text(weight, "tracker"))
    });
    let weights: String = weights.collect();
    if one.get("is_demoted").and_then(Value::as_bool) == Some(true) {
        format!("{now}: demoted, else {base}{weights}")
    } else if now == base && weights.is_empty() {
        now.to_string()
    } else {
        format!("{now}: {base}{weights}")
    }
}

fn master(one: &Value) -> String {
    match one.get("master").filter(|master| !master.is_null()) {
        Some(master) => {
            let (address, priority) = (text(master, "address"), number(master, "priority"));
            format!("heard last: {address} with priority {priority}")
        }
        None => "none was heard".to_owned(),
    }
}

fn drops(link: &Value) -> String {
    let counters = link.get("counters").and_then(Value::as_object);
    let counters = counters.into_iter().flatten().filter_map(|(reason, count)| {
        let count = count.as_u64().filter(|count| *count > 0)?;
        (!GOOD.contains(&reason.as_str())).then(|| format!("{reason} {count}"))
    });
    let drops = counters.collect::<Vec<_>>();
    if drops.is_empty() { "none".to_owned() } else { drops.join(", ") }
}

/// A name and what is to be said of it, in as many lines as it needs.
fn entry(out: &mut String, name: &str, words: &str) {
    let mut begin = format!("  {name:<11}");
    let mut column = begin.len();
    for word in words.split(' ') {
        if column + word.chars().count() >= COLUMNS && column > INDENT.len() {
            out.extend([begin.trim_end(), "\n"]);
            INDENT.clone_into(&mut begin);
            column = begin.len();
        }
        begin.extend([word, " "]);
        column += word.chars().count() + 1;
    }
    out.extend([begin.trim_end(), "\n"]);
}

fn line(out: &mut String, words: fmt::Arguments<'_>) {
    out.extend([words.to_string().trim_end(), "\n"]);
}

fn ago(one: &Value, member: &str) -> String {
    let ms = one.get(member).and_then(Value::as_f64);
    ms.map_or("-".to_owned(), |ms| match ms {
        ..10_000.0 => format!("{ms:.0} ms"),
        10_000.0..600_000.0 => format!("{:.0} s", ms / 1e3),
        _ => format!("{:.0} min", ms / 6e4),
    })
}

/// At most so many characters of `text`.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

fn is_of(one: &Value, name: &str) -> bool {
    text(one, "name") == name || text(one, "group") == name
}

/// What is in the member, if it is a list.
pub(crate) fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("-")
}

pub(super) fn number(value: &Value, member: &str) -> u64 {
    value.get(member).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example() -> Value {
        let address = |number| json!(format!("2001:db8::{number}/128"));
        json!({
            "version": 1, "unix_ms": 1_700_000_060_000_u64, "scheduling": "SCHED_OTHER",
            "daemon": { "version": "0.1.0", "pid": 7, "net_namespace": null, "instance": "a" },
            "instances": [{
                "name": "an instance of a long name", "state": "BACKUP", "priority": 90,
                "base_priority": 100, "weights": [{ "tracker": "script chk", "weight": -10 }],
                "since_unix_ms": 1_700_000_000_000_u64, "reason": "nobody came",
                "interface": "bond0", "vrid": 133, "vrrp_version": 3, "family": "IPv6",
                "master": { "address": "fe80::aaaa:bbbb:cccc:dddd", "priority": 100 },
                "heard_ago_ms": 12.6, "sent_ago_ms": null, "group": "G", "peers": [],
                "addresses": (1..9).map(address).collect::<Vec<_>>(),
                "deadline_path": "kernel",
            }],
            "interfaces": [{ "name": "bond0", "is_up": true, "xdp": "native",
                "counters": { "accepted": 5, "absorbed": 9, "ttl": 2, "checksum": 0 } }],
            "told": {
                "scripts": [{ "name": "chk", "is_up": null }],
                "processes": [{ "name": "web", "is_up": false, "count": 3, "starts": {
                    "within_window": 6, "max_restarts": 5, "restart_window_s": 600.0 } }],
                "units": [{ "name": "svc", "is_up": true, "state": "active", "starts": null }],
                "files": [{ "name": "a file of a name that is a bit long", "value": -7 }],
            },
        })
    }

    #[test]
    fn a_person_can_read_it_in_eighty_columns() {
        let table = status(&example(), None).unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= COLUMNS), "{table}");
        assert!(table.starts_with("ha-userspace 0.1.0, process 7, instance a; SCHED_OTHER\n"));
        for words in [
            "an instance of a… BACKUP ",
            " 90 fe80::aaaa:bbb…    13 ms        -\n",
            "  why        nobody came\n",
            "  priority   90: 100, script chk -10\n",
            "fe80::aaaa:bbbb:cccc:dddd with priority 100\n",
            "  peers      by multicast\n",
            "  interface  up, XDP native, deadlines by the stamps of the kernel\n",
            "  drops      ttl 2\n",
            "             2001:db8::",
            "\nscript chk                        -\n",
            "\nprocess web                       down   3 of them, 6 of 5 starts in 600 s\n",
            "\nunit svc                          up     active\n",
            "\nfile a file of a name that is a … -      -7\n",
        ] {
            assert!(table.contains(words), "no `{words}` in:\n{table}");
        }
    }

    #[test]
    fn it_can_be_asked_of_one_or_of_a_group() {
        let one = status(&example(), Some("G")).unwrap();
        assert!(one.contains("  why        nobody came\n") && !one.contains("TRACKED"), "{one}");
        let refused = status(&example(), Some("VI_9")).unwrap_err();
        assert!(refused.contains("an instance of a long name"), "{refused}");
        let mut many = example();
        let one = many["instances"][0].clone();
        many["instances"] = Value::Array(vec![one; 5]);
        let table = status(&many, None).unwrap();
        assert!(!table.contains("why") && table.contains("status NAME"), "{table}");
    }
}
