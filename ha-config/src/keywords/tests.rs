//! The table against the manual, and the parser against the table; what keywords mean is tested
//! elsewhere.

use core::time::Duration;

use ha_core::Family;

use super::*;
use crate::{Severity, diagnostic::Diagnostic};

#[test]
fn a_part_of_a_name_is_enough_to_be_told_of_it() {
    assert_eq!(crate::explain("vmac"), Err(Some("use_vmac")));
    assert_eq!(crate::explain("nothing_like_it"), Err(None));
}

#[test]
fn no_keyword_is_twice_in_a_block() {
    for (block, keywords) in TABLE {
        for (index, keyword) in keywords.iter().enumerate() {
            let first = keywords.iter().position(|other| other.name == keyword.name);
            assert_eq!(first, Some(index), "{} in {block:?}", keyword.name);
        }
    }
}

/// The list is the manual's, not ours.
#[test]
fn the_manual_s_keywords_are_in_the_table() {
    let list = include_str!("../../tests/data/manual-keywords.txt");
    let mut seen = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (home, name) = line.split_once(' ').unwrap();
        let home = home.replace("top", "the top level");
        let (block, _) =
            TABLE.iter().find(|(block, _)| block.name().replace('`', "") == home).unwrap();
        assert!(find(*block, name).is_some(), "{name} in {home}");
        seen += 1;
    }
    assert!(seen > 250, "{seen}");
}

/// Ranges that the manual states, or that keepalived 2.2.7 names when they are left.
#[test]
fn ranges_are_the_manual_s() {
    let check = |block: Block, line: &str, least: i64, most: i64| {
        for (value, fits) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            let (found, text) = complaints(block, &line.replace('N', &value.to_string()));
            let told = found.iter().any(is_misfit);
            assert_eq!(told, !fits, "{found:?} in\n{text}");
        }
    };
    check(Global, "startup_script_timeout N", 1, 1000);
    check(Global, "vrrp_garp_extra_if all N", 0, 86400);
    check(Global, "vrrp_down_timer_adverts N", 1, 100);
    check(Global, "max_auto_priority N", -1, 99);
    check(Global, "min_auto_priority_delay N", 1, 10_000_000);
    check(Global, "vrrp_priority N", -20, 19);
    check(Global, "vrrp_rt_priority N", 1, 99);
    check(Global, "smtp_server x N", 1, 65535);
    check(Top, "interface_up_down_delays {\n eth0 1 N\n}", 0, 255);
    check(Script, "weight N reverse", -253, 253);
    check(Process, "weight N", -254, 254);
    check(Process, "quorum N", 1, 65535);
    check(Unit, "weight N", -254, 254);
    check(TrackFile, "weight N", -254, 254);
    check(Clock, "weight N", -253, 253);
    check(Bfd, "weight N", -253, 253);
    check(Group, "track_bfd {\n B weight N\n}", -253, 253);
    check(Instance, "track_file {\n F weight N\n}", -254, 254);
    check(Instance, "virtual_router_id N", 1, 255);
    check(Instance, "priority N", 1, 255);
    check(Instance, "unicast_ttl N", 0, 255);
    check(Instance, "unicast_peer {\n 192.0.2.9 min_ttl N\n}", 0, 255);
    check(Instance, "preempt_delay N", 0, 1000);
    check(Instance, "down_timer_adverts N", 1, 100);
    check(Instance, "debug N", 0, 4);
}

/// What is complained of in the lines `of` puts into a file, and the file.
fn complaints(block: Block, statement: &str) -> (Vec<Diagnostic>, String) {
    let (before, after) = around(block, statement);
    // What is referred to comes last, so that the statement is the first of its kind.
    let text = format!("{before}{statement}\n{after}{REFERENCES}");
    let first = u32::try_from(before.lines().count() + 1).unwrap();
    let last = first + u32::try_from(statement.lines().count() - 1).unwrap();
    let parsed = crate::parse("f", &text);
    let in_lines = parsed.diagnostics.into_iter().filter(|one| (first..=last).contains(&one.line));
    (in_lines.collect(), text)
}

const REFERENCES: &str = "
vrrp_instance SOUND {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }\n}
vrrp_script S {\n script /bin/true\n}
vrrp_track_process P {\n process p\n}
vrrp_track_unit U {\n unit u.service\n}
track_file F {\n file /f\n}
vrrp_track_clock C {\n require_sync\n}
bfd_instance B {\n neighbor_ip 192.0.2.8\n}
track_group T {\n group {\n SOUND\n }\n}
";

/// A block that is in order, without `line`.
fn around(block: Block, line: &str) -> (&'static str, &'static str) {
    match block {
        Group if line.starts_with("group ") => ("vrrp_sync_group X {\n", "}\n"),
        Top => ("", ""),
        Global => ("global_defs {\n", "}\n"),
        Script => ("vrrp_script X {\n script /bin/true\n", "}\n"),
        Process => ("vrrp_track_process X {\n process x\n", "}\n"),
        Unit => ("vrrp_track_unit X {\n unit x.service\n", "}\n"),
        TrackFile => ("track_file X {\n file /x\n", "}\n"),
        Clock => ("vrrp_track_clock X {\n require_sync\n", "}\n"),
        Bfd => ("bfd_instance X {\n neighbor_ip 192.0.2.7\n", "}\n"),
        TrackGroup => ("track_group X {\n group {\n SOUND\n }\n", "}\n"),
        Group => ("vrrp_sync_group X {\n group {\n SOUND\n }\n", "}\n"),
        Instance => (INSTANCE, "}\n"),
        Authentication => (
            "vrrp_instance X {\n interface eth1\n virtual_router_id 2\n virtual_ipaddress {\n \
             192.0.2.2\n }\n authentication {\n auth_type PASS\n auth_pass x\n",
            "}\n}\n",
        ),
        GarpGroup => ("garp_group {\n interface eth9\n", "}\n"),
        List | Skipped => panic!("no block of the table"),
    }
}

const INSTANCE: &str = "vrrp_instance X {\n interface eth1\n virtual_router_id 2\n \
                        virtual_ipaddress {\n 192.0.2.2\n }\n unicast_peer {\n 192.0.2.8\n }\n";

/// What has to be inside of a block of the top level.
fn body(block: Block) -> &'static str {
    match block {
        Script => "script /bin/true",
        Process => "process x",
        Unit => "unit x.service",
        TrackFile => "file /x",
        Clock => "require_sync",
        Bfd => "neighbor_ip 192.0.2.7",
        TrackGroup | Group => "group {\n SOUND\n }",
        Instance => "interface eth1\n virtual_router_id 2\n virtual_ipaddress {\n 192.0.2.2\n }",
        Authentication => "auth_type PASS\n auth_pass x",
        GarpGroup => "interface eth9",
        Top | Global | List | Skipped => "",
    }
}

/// The ends of the range, or all there is.
fn inside(argument: Argument) -> Vec<String> {
    let millis = |time: Duration| (time.as_secs_f64() * 1000.0).to_string();
    match argument {
        Argument::Number(least, most) | Argument::Integer(least, most) => {
            vec![least.to_string(), most.to_string()]
        }
        Argument::Seconds(least, most) => {
            vec![least.as_secs_f64().to_string(), most.as_secs_f64().to_string()]
        }
        Argument::Millis(least, most) => vec![millis(least), millis(most)],
        Flag => ["on", "off", "true", "false", "yes", "no"].map(String::from).to_vec(),
        Argument::OneOf(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Argument::Address => vec!["192.0.2.9".to_owned()],
        Argument::Group(Family::V4) => vec!["233.252.0.18".to_owned()],
        Argument::Group(Family::V6) => vec!["ff02::1:18".to_owned()],
        Argument::Prefix => vec!["192.0.2.9".to_owned(), "192.0.2.0/24".to_owned()],
        Argument::Label => vec!["eth0:1".to_owned(), "x".repeat(15)],
        Argument::Interface => vec!["eth0".to_owned(), "x".repeat(15)],
        Argument::After(words, argument) => {
            let mut inside = inside(*argument);
            let after = inside.first().map(|last| format!("{} {last}", words[0]));
            inside.extend(after);
            inside
        }
        Argument::FileName => vec!["_".to_owned(), "x-1.y".repeat(12) + "long"],
        Argument::Command => vec!["x".to_owned()],
        Argument::Word(name) | Argument::Rest(name) => vec![word(name).to_owned()],
        Argument::Routing(word) => routing(word).0.map(String::from).to_vec(),
    }
}

/// A word that is right where the manual says `name`.
fn word(name: &str) -> &'static str {
    match name {
        "MASTER|BACKUP" => "MASTER",
        "PASS|AH" => "PASS",
        "SCOPE" => "link",
        "ADDRESS|+|-" => "+",
        "INSTANCE" => "SOUND",
        "SCRIPT" => "S",
        "TRACK_PROCESS" => "P",
        "TRACK_UNIT" => "U",
        "UNIT" => "x.service",
        "TRACK_FILE" => "F",
        "TRACK_CLOCK" => "C",
        "BFD_INSTANCE" => "B",
        "GROUP" => "T",
        _ => "x",
    }
}

/// Just outside of the range, and something else altogether.
fn outside(argument: Argument) -> Vec<String> {
    let beyond = |time: Duration, unit: f64| (time.as_secs_f64() * unit + 0.001).to_string();
    match argument {
        Argument::Number(least, most) | Argument::Integer(least, most) => {
            vec![(least - 1).to_string(), (most + 1).to_string(), "x".to_owned()]
        }
        Argument::Seconds(least, most) => {
            let below = if least.is_zero() { "-1" } else { "0" };
            vec![below.to_owned(), beyond(most, 1.0), "1s".to_owned()]
        }
        Argument::Millis(least, most) => {
            let below = if least.is_zero() { "-1" } else { "0" };
            vec![below.to_owned(), beyond(most, 1000.0), "1s".to_owned()]
        }
        Flag => vec!["maybe".to_owned(), "1".to_owned()],
        Argument::OneOf(_) => vec!["other".to_owned()],
        Argument::Address => vec!["192.0.2.256".to_owned()],
        Argument::Group(Family::V4) => vec!["192.0.2.9".to_owned(), "ff02::12".to_owned()],
        Argument::Group(Family::V6) => vec!["fe80::12".to_owned(), "224.0.0.18".to_owned()],
        Argument::Prefix => vec!["192.0.2.0/33".to_owned(), "192.0.2.256".to_owned()],
        Argument::Label => vec!["x".repeat(16), "a/b".to_owned()],
        Argument::Interface => vec!["x".repeat(16), "a/b".to_owned(), "eth0:1".to_owned()],
        Argument::After(_, argument) => outside(*argument),
        Argument::FileName => [".", "..", "a/b", "a~"].map(String::from).to_vec(),
        Argument::Command | Argument::Word(_) | Argument::Rest(_) => Vec::new(),
        Argument::Routing(word) => routing(word).1.map(String::from).to_vec(),
    }
}

/// Right words, and wrong ones.
fn routing(word: Routing) -> ([&'static str; 2], [&'static str; 2]) {
    match word {
        Routing::Table => (["main", "4294967295"], ["0", "4294967296"]),
        Routing::Protocol => (["keepalived", "255"], ["0", "256"]),
        Routing::Tos => (["0x10", "252"], ["0x11", "256"]),
        Routing::Mark => (["7", "0x10/0xf0"], ["x", "1/"]),
        Routing::Uids => (["0-0", "1000-1999"], ["1000", "2-1"]),
    }
}

/// Lists of arguments in which one after the other is at its limits; those before it are there.
fn lines(
    arguments: &[Argument],
    least: usize,
    values: fn(Argument) -> Vec<String>,
) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        for value in values(*argument) {
            let count = least.max(index + 1);
            let mut words: Vec<String> =
                arguments[..count].iter().map(|argument| inside(*argument).remove(0)).collect();
            words[index] = value;
            lines.push(words);
        }
    }
    lines
}

/// The keyword with `words`, and its block if it has one.
fn statement(keyword: &Keyword, words: &[String]) -> String {
    let mut line = keyword.name.to_owned();
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    match (keyword.body, keyword.entry) {
        (None, _) => line,
        (Some(_), Some(entry)) => line + &format!(" {{\n{}\n}}", entry_line(entry, &[])),
        (Some(block), None) => line + &format!(" {{\n{}\n}}", body(block)),
    }
}

fn entry_line(entry: &Entry, more: &[String]) -> String {
    // A rule has nothing but options, and needs none.
    let own = entry.arguments.iter().take(entry.least.max(1));
    let own = own.map(|argument| inside(*argument).remove(0));
    let words: Vec<String> = own.chain(more.iter().cloned()).collect();
    let words = words.join(" ");
    // What these lines are nothing without, where it does not stand in the way.
    let option = more.first().map_or("", String::as_str);
    match option {
        "weight" if *entry == ROUTE => words.replace(option, "nexthop dev eth0 weight"),
        "pref" | "inet6" if *entry == ROUTE => {
            words.replace("192.0.2.9", "default") + " inet6 dev eth0"
        }
        "table" | "lookup" | "type" | "blackhole" | "unreachable" | "prohibit"
            if *entry == RULE =>
        {
            words
        }
        _ if *entry == ROUTE => words + " dev eth0",
        _ if *entry == RULE => words + " table 9",
        _ => words,
    }
}

fn fewest(keyword: &Keyword) -> Vec<String> {
    keyword.arguments[..keyword.least].iter().map(|argument| inside(*argument).remove(0)).collect()
}

fn check_accepted(support: Support, block: Block, line: &str) {
    let (found, text) = complaints(block, line);
    let wrong = |one: &&Diagnostic| {
        let refused =
            matches!(support, Support::Refused(_)) && one.message.ends_with("is not supported yet");
        one.severity == Severity::Error && !refused
            || ["` is not ", "needs", "unknown", "no more words", "missing", "neither"]
                .iter()
                .any(|word| one.message.contains(word) && !one.message.contains("supported"))
    };
    let wrong: Vec<_> = found.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?} in\n{text}");
}

#[test]
fn what_the_table_allows_is_accepted() {
    for (block, keywords) in TABLE {
        for keyword in keywords {
            check_accepted(keyword.support, block, &statement(keyword, &fewest(keyword)));
            for words in lines(keyword.arguments, keyword.least, inside) {
                check_accepted(keyword.support, block, &statement(keyword, &words));
            }
            let Some(entry) = keyword.entry else { continue };
            for option in entry.options {
                let mut more = lines(option.arguments, option.least, inside);
                if more.is_empty() {
                    more.push(Vec::new());
                }
                for mut words in more {
                    words.insert(0, option.name.to_owned());
                    let line = format!("{} {{\n{}\n}}", keyword.name, entry_line(entry, &words));
                    check_accepted(option.support, block, &line);
                }
            }
        }
    }
}

fn is_misfit(one: &Diagnostic) -> bool {
    one.message.contains("` is not ") && !one.message.contains("is not supported")
}

/// As an error where it matters, as a warning where the keyword has no effect.
fn check_rejected(support: Support, block: Block, line: &str) {
    let (found, text) = complaints(block, line);
    let least = match support {
        Support::Now | Support::Inactive(_) => Severity::Error,
        Support::WithoutEffect(_) | Support::Unsupported(_) => Severity::Warning,
        Support::Refused(_) | Support::LoadBalancer => return,
    };
    let told = found
        .iter()
        .any(|one| one.severity == least && (is_misfit(one) || one.message.contains("needs")));
    assert!(told, "{found:?} in\n{text}");
}

#[test]
fn what_the_table_does_not_allow_is_rejected() {
    let mut rejected = 0;
    for (block, keywords) in TABLE {
        for keyword in keywords {
            if keyword.least > 0 {
                check_rejected(keyword.support, block, &statement(keyword, &[]));
            }
            for words in lines(keyword.arguments, keyword.least, outside) {
                check_rejected(keyword.support, block, &statement(keyword, &words));
                rejected += 1;
            }
            let Some(entry) = keyword.entry else { continue };
            let checked = |support| matches!(support, Support::Now | Support::Inactive(_));
            let is_refused = |support| matches!(support, Support::Refused(_));
            for option in entry.options.iter().filter(|_| checked(keyword.support)) {
                if is_refused(option.support) {
                    continue;
                }
                for mut words in lines(option.arguments, option.least, outside) {
                    words.insert(0, option.name.to_owned());
                    let line = format!("{} {{\n{}\n}}", keyword.name, entry_line(entry, &words));
                    check_rejected(keyword.support, block, &line);
                    rejected += 1;
                }
            }
        }
    }
    assert!(rejected > 400, "{rejected}");
}

#[test]
fn words_too_many_are_told() {
    for (block, keywords) in TABLE {
        for keyword in keywords.iter().filter(|keyword| !keyword.repeats) {
            if !matches!(keyword.support, Support::Now | Support::Inactive(_)) {
                continue;
            }
            let mut words =
                lines(keyword.arguments, keyword.most(), inside).pop().unwrap_or_default();
            words.push("stray".to_owned());
            let (found, text) = complaints(block, &statement(keyword, &words));
            let is_told = |one: &Diagnostic| {
                ["takes no more words", "has one name"]
                    .iter()
                    .any(|what| one.message.contains(what))
            };
            let told = found.iter().any(is_told);
            assert!(told, "{found:?} in\n{text}");
        }
    }
}

#[test]
fn nothing_is_ignored_in_silence() {
    for (block, keywords) in TABLE {
        if matches!(block, Process | Unit | TrackFile | Clock | Bfd | TrackGroup) {
            // Told of in the line of the block.
            continue;
        }
        for keyword in keywords.iter().filter(|keyword| keyword.support != Support::Now) {
            let (found, text) = complaints(block, &with_effect(keyword));
            let name = format!("`{}`", keyword.name);
            let told = found.iter().any(|one| one.message.contains(&name));
            assert!(told, "{found:?} in\n{text}");
        }
    }
}

/// The keyword with a value that asks for something.
fn with_effect(keyword: &Keyword) -> String {
    let mut words = fewest(keyword);
    if let (Some(argument), Some(word)) = (keyword.arguments.first(), words.first_mut()) {
        *word = inside(*argument).into_iter().next_back().unwrap();
    }
    statement(keyword, &words).replace(" no", " on").replace("192.0.2.9", "224.0.0.99")
}
