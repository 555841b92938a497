//! What the keyword table says about a statement: known or not, at home here or not, how many
//! words, with a block or without.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diagnostic::{Severity, Sink, Span},
    keywords::{self, Again, Argument, Block, Keyword, Support},
    suggest,
    tree::{Statement, Word},
    value,
};

/// The statements of a block that are in the model; the others are reported.
pub(super) fn supported<'a>(
    sink: &mut Sink,
    block: Block,
    statements: &'a [Statement],
) -> Vec<(&'static Keyword, &'a Statement)> {
    supported_after(sink, block, statements, &mut Given::new())
}

/// Where each keyword was given first.
pub(super) type Given<'a> = BTreeMap<&'static str, &'a Statement>;

/// The same of a block that may be there several times, and goes on where the one before has ended.
pub(super) fn supported_after<'a>(
    sink: &mut Sink,
    block: Block,
    statements: &'a [Statement],
    given: &mut Given<'a>,
) -> Vec<(&'static Keyword, &'a Statement)> {
    let mut found: Vec<(&'static Keyword, &Statement)> = Vec::new();
    let missing = missing(block, statements);
    for statement in statements {
        let Some(keyword) = known(sink, block, statement) else { continue };
        match keyword.support {
            Support::Now | Support::Inactive(_) => {
                if check_shape(sink, keyword, statement, &missing)
                    && counts(sink, given, keyword, statement)
                {
                    found.push((keyword, statement));
                }
            }
            Support::WithoutEffect(why) => remark(sink, keyword, statement, "has no effect", why),
            Support::Unsupported(instead) => {
                remark(sink, keyword, statement, "is not supported: ignored", instead);
            }
            Support::Refused(why) => {
                if !asks_for_nothing(keyword, statement) {
                    let message = format!("`{}` is not supported yet", keyword.name);
                    sink.error_help(statement.line_span(), message, why);
                }
            }
            // Told of once per file, by `inactive`.
            Support::LoadBalancer => {}
        }
    }
    found
}

/// A word, and what the table says that it is.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) word: &'a Word,
    argument: Option<Argument>,
}

impl<'a> Value<'a> {
    pub(super) fn new(keyword: &Keyword, statement: &'a Statement, index: usize) -> Option<Self> {
        let argument = keyword.argument(index);
        statement.value(index).map(|word| Self { word, argument })
    }

    /// A whole number in the table's range.
    pub(super) fn number<T: TryFrom<i64>>(self, sink: &mut Sink) -> Option<T> {
        match self.argument {
            Some(Argument::Number(least, most) | Argument::Integer(least, most)) => {
                value::number(sink, self.word, least..=most)
            }
            _ => self.no_builder(sink),
        }
    }

    /// A time in the table's range.
    pub(super) fn seconds(self, sink: &mut Sink) -> Option<Duration> {
        match self.argument {
            Some(Argument::Seconds(least, most)) => value::seconds(sink, self.word, least..=most),
            _ => self.no_builder(sink),
        }
    }

    /// The same; a fraction counts, which keepalived 2.2 does not take: it ignores the line.
    pub(super) fn whole_seconds(self, sink: &mut Sink) -> Option<Duration> {
        let time = self.seconds(sink)?;
        if self.word.text.contains('.') {
            let message = format!("`{}` is no whole number of seconds", self.word.text);
            let help = "it counts here; keepalived 2.2 ignores the line";
            sink.warning_help(self.word.span, message, help);
        }
        Some(time)
    }

    /// `number`, what is read of this value, but not 0, of which keepalived makes 1.
    pub(super) fn positive<T: Default + PartialEq>(self, sink: &mut Sink, number: T, one: T) -> T {
        if number != T::default() {
            return number;
        }
        sink.warning(self.word.span, "it has to be greater than 0: 1, as keepalived takes it");
        one
    }

    fn no_builder<T>(self, sink: &mut Sink) -> Option<T> {
        sink.error(self.word.span, format!("this value {NO_BUILDER}"));
        None
    }
}

/// The lines of a list.
pub(super) fn entries<'a>(sink: &mut Sink, list: &'a Statement) -> Vec<&'a Statement> {
    let mut found = Vec::new();
    for entry in list.body() {
        if is_after_semicolon(sink, entry) {
            continue;
        }
        if entry.body.is_some() {
            sink.error(
                entry.line_span(),
                format!("a block inside `{}`, which is a list", list.head.text),
            );
        } else {
            found.push(entry);
        }
    }
    found
}

/// All words of a list whose entries are single words, several of which may share a line.
pub(super) fn entry_words<'a>(sink: &mut Sink, list: &'a Statement) -> Vec<&'a Word> {
    let lines = entries(sink, list);
    let words = lines.into_iter().flat_map(|line| core::iter::once(&line.head).chain(&line.values));
    words.filter(|word| !is_stray_semicolon(sink, word)).collect()
}

/// A keyword of the table that `build` forgot; a test holds that there is none.
pub(super) fn no_builder(sink: &mut Sink, statement: &Statement, name: &str) {
    sink.error(statement.line_span(), format!("`{name}` {NO_BUILDER}"));
}

pub(super) const NO_BUILDER: &str = "is in the table but has no meaning";

fn known(sink: &mut Sink, block: Block, statement: &Statement) -> Option<&'static Keyword> {
    let word = &statement.head;
    if is_after_semicolon(sink, statement) {
        return None;
    }
    let keyword = keywords::find(block, &word.text);
    if keyword.is_none() {
        let message = format!("unknown keyword `{}` in {}", shown(&word.text), block.name());
        let help = if sink.is_full(Severity::Error) { None } else { suggestion(block, &word.text) };
        match help {
            Some(help) => sink.error_help(word.span, message, help),
            None => sink.error(word.span, message),
        }
    }
    keyword
}

/// A word without what may be a password: the value of a definition that is none.
fn shown(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => format!("{name}=.."),
        Some(_) | None => word.to_owned(),
    }
}

fn suggestion(block: Block, word: &str) -> Option<String> {
    // What is no near miss of a keyword, but is found in real files.
    let help = match word {
        "include" => Some("a file follows: `include FILE`"),
        "real_server" => Some("`real_server` belongs in `virtual_server`, of the load balancer"),
        _ if word.starts_with('$') => Some(
            "a definition is `$NAME=value`: no white space before `=`, letters, digits and `_`",
        ),
        _ if ["//", "/*", "--", "<!--", ";"].iter().any(|sign| word.starts_with(sign)) => {
            Some(COMMENT)
        }
        _ if ["<<<<<<<", "=======", ">>>>>>>"].contains(&word) => {
            Some("two versions of the file were merged, and not to the end: choose one of them")
        }
        _ if word.starts_with('[') || word.contains('@') => {
            Some("a shell prompt was pasted, it seems: remove the line")
        }
        _ => None,
    };
    if help.is_some() {
        return help.map(str::to_owned);
    }
    // Another block's keyword, exactly, is likelier than a slip of the keyboard.
    let homes: Vec<&str> = keywords::TABLE
        .iter()
        .filter(|(home, _)| keywords::find(*home, word).is_some())
        .map(|(home, _)| home.name())
        .collect();
    if !homes.is_empty() {
        return Some(format!("`{word}` belongs in {}", homes.join(" or ")));
    }
    let names = keywords::of(block).iter().map(|keyword| keyword.name);
    if let Some(near) = suggest::nearest(word, names) {
        return Some(format!("did you mean `{near}`?"));
    }
    // Something was added to it, or the end is another one.
    let begins = |name: &&str| name.len() >= BEGINNING_LEN && word.starts_with(*name);
    let names = keywords::of(block).iter().map(|keyword| keyword.name);
    if let Some(longest) = names.filter(begins).max_by_key(|name| name.len()) {
        return Some(format!("did you mean `{longest}`?"));
    }
    let elsewhere = keywords::TABLE
        .iter()
        .flat_map(|(home, keywords)| keywords.iter().map(|keyword| (keyword.name, home.name())));
    let near = suggest::nearest(word, elsewhere.clone().map(|(name, _)| name))?;
    let (name, home) = elsewhere.into_iter().find(|(name, _)| *name == near)?;
    Some(format!("did you mean `{name}`, which belongs in {home}?"))
}

/// So much of a keyword at the beginning of a word is no chance.
const BEGINNING_LEN: usize = 6;

/// Whether the line begins with a `;`, and so with nothing that counts.
fn is_after_semicolon(sink: &mut Sink, statement: &Statement) -> bool {
    if statement.values.is_empty() && statement.body.is_none() {
        return is_stray_semicolon(sink, &statement.head);
    }
    let is_it = statement.head.text == ";";
    if is_it {
        let message = "a line that begins with `;` is ignored";
        sink.warning_help(statement.line_span(), message, COMMENT);
    }
    is_it
}

const COMMENT: &str = "a comment begins with `#` or `!`";

fn is_stray_semicolon(sink: &mut Sink, word: &Word) -> bool {
    let stray = word.text == ";";
    if stray {
        sink.warning(word.span, "a `;` by itself: ignored");
    }
    stray
}

/// What an instance is nothing without.
const NEEDED: [&str; 3] = ["interface", "virtual_router_id", "virtual_ipaddress"];

/// What authentication is nothing without.
const NEEDED_TO_AUTHENTICATE: [&str; 2] = ["auth_type", "auth_pass"];

/// What a block is nothing without, and no line of it begins with.
fn missing(block: Block, statements: &[Statement]) -> Vec<&'static str> {
    let needed: &[&str] = if block == Block::Instance {
        &NEEDED
    } else if block == Block::Authentication {
        &NEEDED_TO_AUTHENTICATE
    } else {
        &[]
    };
    let is_given = |name: &str| statements.iter().any(|one| one.head.text == name);
    needed.iter().copied().filter(|name| !is_given(name)).collect()
}

/// What of it is there in a way that does not count, of which the line itself is told: not to be
/// missed as well.
pub(super) fn unread(statements: &[Statement]) -> BTreeSet<&'static str> {
    let is_unread = |name: &str, one: &Statement| {
        let Some(keyword) = keywords::find(Block::Instance, &one.head.text) else {
            return suggest::nearest(&one.head.text, [name]).is_some();
        };
        let is_read = matches!(keyword.support, Support::Now | Support::Inactive(_));
        let is_misshaped = keyword.name == name && !misfits(keyword, one).is_empty();
        is_misshaped || is_read && one.values.iter().any(|word| word.text == name)
    };
    let is_unread = |name: &&str| statements.iter().any(|one| is_unread(name, one));
    NEEDED.into_iter().filter(is_unread).collect()
}

/// Whether the statement can be used. What is `missing` elsewhere may be in its line.
fn check_shape(
    sink: &mut Sink,
    keyword: &Keyword,
    statement: &Statement,
    missing: &[&str],
) -> bool {
    let ignored = |word: &&Word| missing.contains(&word.text.as_str());
    if let Some(first) = statement.values.iter().find(ignored) {
        let message = format!(
            "`{}` does not count here: of a line only the first keyword does, `{}`",
            first.text, keyword.name
        );
        let help = "each keyword begins a line of its own";
        sink.error_help(first.span.to(statement.line_span()), message, help);
        return misfits(keyword, statement).is_empty();
    }
    if let Some(extra) = statement.values.get(keyword.most()) {
        report_extra(sink, keyword, extra, statement.line_span());
    }
    let misfits = misfits(keyword, statement);
    for misfit in &misfits {
        sink.error(statement.line_span(), misfit);
    }
    misfits.is_empty()
}

/// What keeps the statement from being used, words aside.
fn misfits(keyword: &Keyword, statement: &Statement) -> Vec<String> {
    let name = keyword.name;
    let mut found = Vec::new();
    if statement.values.len() < keyword.least {
        let values = if keyword.least == 1 { "a value" } else { "more values" };
        found.push(format!("`{name}` needs {values}"));
    }
    match (keyword.body, &statement.body) {
        (Some(_), None) => found.push(format!("`{name}` needs a block: `{{ .. }}`")),
        (None, Some(_)) => found.push(format!("`{name}` has no block")),
        (Some(_), Some(_)) | (None, None) => {}
    }
    found
}

/// The words that are not what the table says.
pub(super) fn wrong_values<'a>(
    keyword: &Keyword,
    statement: &'a Statement,
) -> Vec<(&'a Word, Argument)> {
    let mut found = Vec::new();
    let mut words = statement.values.iter().peekable();
    let mut index = 0_usize;
    while let (Some(argument), Some(word)) = (keyword.argument(index), words.next()) {
        if argument.particles().contains(&word.text.as_str()) && words.peek().is_some() {
            continue;
        }
        if !argument.accepts(&word.text) {
            found.push((word, argument));
        }
        index = index.saturating_add(1);
    }
    found
}

/// Says of a statement without effect why it has none; a mistake in it is no error for that reason.
fn remark(sink: &mut Sink, keyword: &Keyword, statement: &Statement, what: &str, why: &str) {
    let message = format!("`{}` {what}", keyword.name);
    if let Some(misfit) = misfits(keyword, statement).first() {
        sink.warning_help(statement.line_span(), misfit, format!("{message}; {why}"));
    } else if let Some((word, argument)) = wrong_values(keyword, statement).first() {
        let misfit = format!("`{}` is not {}", word.text, argument.expected());
        sink.warning_help(word.span, misfit, format!("{message}; {why}"));
    } else if !asks_for_nothing(keyword, statement) {
        sink.warning_help(statement.line_span(), message, why);
    }
}

/// Whether what is written is what holds without it.
pub(super) fn asks_for_nothing(keyword: &Keyword, statement: &Statement) -> bool {
    let Some(value) = statement.value(0) else { return false };
    let default = || keyword.default.split(" or ").any(|default| default == value.text);
    matches!(value.text.as_str(), "0" | "off" | "false" | "no") || default()
}

fn report_extra(sink: &mut Sink, keyword: &Keyword, extra: &Word, line: Span) {
    let name = keyword.name;
    let span = extra.span.to(line);
    if extra.text == ";" {
        sink.warning(span, "a `;` by itself: ignored");
        return;
    }
    if matches!(keyword.body, Some(Block::Group | Block::Instance)) {
        // keepalived ignores the whole block.
        let help = "a name with a space in it is written in quotes";
        sink.error_help(span, format!("`{name}` has one name"), help);
        return;
    }
    // Not quoted: it may be a part of a password.
    let message = format!("`{name}` takes no more words: ignored, as keepalived does");
    let is_keyword =
        keywords::TABLE.iter().any(|(block, _)| keywords::find(*block, &extra.text).is_some());
    if is_keyword {
        sink.warning_help(span, message, "a keyword begins a line");
    } else {
        sink.warning(span, message);
    }
}

/// Whether a statement counts that may be there already, of which it warns.
fn counts<'a>(
    sink: &mut Sink,
    given: &mut Given<'a>,
    keyword: &Keyword,
    statement: &'a Statement,
) -> bool {
    // Blocks that are repeated add up.
    if keyword.body.is_some() {
        return true;
    }
    let first = *given.entry(keyword.name).or_insert(statement);
    if core::ptr::eq(first, statement) {
        return true;
    }
    let is_ignored = match keyword.again {
        Again::Adds => return true,
        Again::Counts => false,
        Again::Ignored => true,
        Again::IgnoredAfter(value) => first.value(0).is_some_and(|word| word.text == value),
    };
    let place = sink.place(first.head.span);
    let which = if is_ignored { "that one" } else { "the last one" };
    let message = format!("`{}` was given in {place}: {which} counts", keyword.name);
    sink.warning(statement.line_span(), message);
    !is_ignored
}
