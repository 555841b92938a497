//! Statements without a type of their own: what they say is checked by the table alone, and what is
//! missing for them is said once for each thing, not for each line.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    statement::{asks_for_nothing, entries, entry_words, no_builder, supported, wrong_values},
    track,
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::{self, Argument, Block, Entry, Keyword, Support},
    model::Setting,
    suggest,
    tree::{Statement, Word},
    value,
};

/// Checks a statement that is not active yet and adds it to `kept`.
pub(super) fn keep(
    sink: &mut Sink,
    keyword: &'static Keyword,
    statement: &Statement,
    kept: &mut Vec<Setting>,
) {
    if !matches!(keyword.support, Support::Inactive(_)) {
        return no_builder(sink, statement, keyword.name);
    }
    for (word, argument) in wrong_values(keyword, statement) {
        value::bad(sink, word, &argument.expected());
    }
    let mut setting = setting(sink, statement);
    match (keyword.body, keyword.entry) {
        (_, Some(entry)) => keep_lines(sink, entry, statement, &mut setting.body),
        (Some(block), None) => {
            for (keyword, statement) in supported(sink, block, statement.body()) {
                keep(sink, keyword, statement, &mut setting.body);
            }
            require(sink, block, statement, &setting.body);
        }
        (None, None) => {}
    }
    kept.push(setting);
}

fn setting(sink: &Sink, statement: &Statement) -> Setting {
    Setting {
        keyword: statement.head.text.clone(),
        values: statement.values.iter().map(|word| word.text.clone()).collect(),
        body: Vec::new(),
        place: sink.place(statement.head.span),
    }
}

/// What a block is nothing without.
fn require(sink: &mut Sink, block: Block, statement: &Statement, body: &[Setting]) {
    let needed: &[&str] = match block {
        Block::Bfd => &["neighbor_ip", "neighbour_ip"],
        Block::Top
        | Block::Global
        | Block::Script
        | Block::Process
        | Block::Unit
        | Block::TrackFile
        | Block::TrackGroup
        | Block::Clock
        | Block::Group
        | Block::Instance
        | Block::Authentication
        | Block::GarpGroup
        | Block::List
        | Block::Skipped => return,
    };
    let given = body.iter().any(|inner| needed.contains(&inner.keyword.as_str()));
    if let (false, Some(name), Some(first)) = (given, statement.value(0), needed.first()) {
        sink.error(statement.line_span(), format!("`{}` has no `{first}`", name.text));
    }
}

fn keep_lines(sink: &mut Sink, entry: &Entry, list: &Statement, kept: &mut Vec<Setting>) {
    if entry.share_lines {
        for word in entry_words(sink, list) {
            check_word(sink, entry.arguments.first().copied(), word);
            let place = sink.place(word.span);
            let (keyword, values, body) = (word.text.clone(), Vec::new(), Vec::new());
            kept.push(Setting { keyword, values, body, place });
        }
        return;
    }
    for line in entries(sink, list) {
        check_line(sink, entry, line);
        kept.push(setting(sink, line));
    }
}

fn check_word(sink: &mut Sink, argument: Option<Argument>, word: &Word) {
    if let Some(argument) = argument.filter(|argument| !argument.accepts(&word.text)) {
        value::bad(sink, word, &argument.expected());
    }
}

/// What `entry` says about a line: words in their places, options with their arguments.
fn check_line(sink: &mut Sink, entry: &Entry, line: &Statement) {
    let mut words = core::iter::once(&line.head).chain(&line.values).peekable();
    let mut places = entry.arguments.iter();
    while let Some(word) = words.next() {
        let needed = places.len() > entry.arguments.len() - entry.least;
        if let Some(option) = entry.option(&word.text).filter(|_| !needed) {
            for (index, argument) in option.arguments.iter().enumerate() {
                if matches!(argument, Argument::Rest(_)) {
                    return;
                }
                // A word before the argument only counts if the argument follows.
                let particle = |word: &&Word| argument.particles().contains(&word.text.as_str());
                words.next_if(|word| particle(word));
                let Some(given) = words.next() else {
                    if index >= option.least {
                        return;
                    }
                    sink.error(word.span, format!("`{}` needs a value", word.text));
                    return;
                };
                check_word(sink, Some(*argument), given);
            }
        } else if word.text == ";" {
            sink.warning(word.span, "a `;` by itself: ignored");
        } else if let Some(argument) = places.next() {
            check_word(sink, Some(*argument), word);
        } else {
            let message = format!("unknown option `{}`", word.text);
            let names = entry.options.iter().map(|option| option.name);
            match suggest::nearest(&word.text, names) {
                Some(near) => {
                    sink.error_help(word.span, message, format!("did you mean `{near}`?"));
                }
                None => sink.error(word.span, message),
            }
            return;
        }
    }
    if places.len() > entry.arguments.len() - entry.least {
        sink.error(line.line_span(), "more words are needed here");
    }
}

/// Where something that is missing is asked for first, and how often.
struct Asked {
    keyword: &'static str,
    first: Span,
    lines: usize,
}

/// Says what is asked for in vain: each thing once.
pub(super) fn report(sink: &mut Sink, statements: &[Statement]) {
    let mut asked = BTreeMap::new();
    collect(&mut asked, Block::Top, statements);
    for (missing, Asked { keyword, first, lines }) in asked {
        let others = match lines {
            1 => String::new(),
            2 => ", nor is what 1 other line asks for".to_owned(),
            many => format!(", nor is what {} other lines ask for", many - 1),
        };
        if let Some(missing) = missing {
            let message = format!("`{keyword}` is checked but not active yet{others}");
            sink.warning_help(first, message, missing);
        } else {
            let message = format!("`{keyword}` belongs to keepalived's load balancer: ignored");
            let help = "this is the only warning about the load balancer in this file";
            sink.warning_help(first, message, help);
        }
    }
}

/// By what is missing; `None` is the load balancer.
fn collect(
    asked: &mut BTreeMap<Option<&'static str>, Asked>,
    block: Block,
    statements: &[Statement],
) {
    for statement in statements {
        let Some(keyword) = keywords::find(block, &statement.head.text) else { continue };
        let missing = match keyword.support {
            Support::Inactive(missing) => Some(missing),
            Support::LoadBalancer => None,
            Support::Now => {
                if let Some(body) = keyword.body {
                    collect(asked, body, statement.body());
                }
                continue;
            }
            Support::WithoutEffect(_) | Support::Unsupported(_) | Support::Refused(_) => continue,
        };
        if !asks_for_nothing(keyword, statement) {
            let first = statement.line_span();
            let new = Asked { keyword: keyword.name, first, lines: 0 };
            let entry = asked.entry(missing).or_insert(new);
            entry.lines = entry.lines.saturating_add(1);
        }
    }
}

/// The blocks of the top level: what they are, and their names.
type Names<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Names of things that are not active yet are looked up all the same.
pub(super) fn check_names(sink: &mut Sink, statements: &[Statement]) {
    check_unique(sink, statements);
    let mut names = Names::new();
    for block in statements {
        if let Some(name) = block.value(0) {
            names.entry(&block.head.text).or_default().insert(&name.text);
        }
    }
    for block in statements {
        match block.head.text.as_str() {
            "vrrp_instance" | "vrrp_sync_group" => {
                for list in block.body() {
                    let kinds: &[&str] = match list.head.text.as_str() {
                        "track_bfd" => &["bfd_instance"],
                        _ => continue,
                    };
                    for line in list.body() {
                        look_up(sink, &names, kinds, &line.head);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The names of blocks that are active are checked where these are read.
fn check_unique(sink: &mut Sink, top: &[Statement]) {
    let mut seen = BTreeMap::new();
    for block in top {
        let kind = block.head.text.as_str();
        if kind != "bfd_instance" {
            continue;
        }
        let Some(name) = block.value(0) else { continue };
        let line = *seen.entry((kind, &name.text)).or_insert(name.span.line);
        if line != name.span.line {
            let message = format!("`{}` is there already, in line {line}", name.text);
            sink.error_help(name.span, message, "the first one counts");
        }
    }
}

fn look_up(sink: &mut Sink, names: &Names<'_>, kinds: &[&str], name: &Word) {
    let known = kinds.iter().filter_map(|kind| names.get(kind));
    if !known.clone().any(|known| known.contains(name.text.as_str())) {
        let known = known.flatten().copied();
        track::unknown(sink, name, kinds.first().copied().unwrap_or_default(), known);
    }
}
