//! What the keyword table says about a statement: known or not, at home here or not, how many
//! words, with a block or without.

use crate::{
    diagnostic::{Sink, Span},
    keywords::{self, Block, Keyword, Support},
    suggest,
    tree::{Item, Statement, Word},
};

/// The statements of a block that have an effect; the others are reported.
pub(super) fn supported<'a>(
    sink: &mut Sink,
    block: Block,
    items: &'a [Item],
) -> Vec<(&'static str, &'a Statement)> {
    let mut found: Vec<(&'static str, &Statement)> = Vec::new();
    let mut load_balancer_seen = false;
    for statement in statements(sink, items) {
        let Some(keyword) = known(sink, block, statement) else { continue };
        match keyword.support {
            Support::Now | Support::Unused(_) => {
                if check_shape(sink, keyword, statement) {
                    warn_if_unused(sink, keyword, statement);
                    warn_if_repeated(sink, &found, keyword, statement);
                    found.push((keyword.name, statement));
                }
            }
            Support::Later => sink.warning(
                statement.line_span(),
                format!(
                    "`{}` is known from keepalived but not supported yet: ignored",
                    keyword.name
                ),
            ),
            Support::Refused => sink.error_help(
                statement.line_span(),
                format!("`{}` is known from keepalived but not supported yet", keyword.name),
                "it cannot be ignored: the nodes would not hear each other",
            ),
            Support::LoadBalancer if load_balancer_seen => {}
            Support::LoadBalancer => {
                load_balancer_seen = true;
                sink.warning_help(
                    statement.line_span(),
                    format!("`{}` belongs to keepalived's load balancer: ignored", keyword.name),
                    "this is the only warning about load balancer blocks in this file",
                );
            }
        }
    }
    found
}

/// The lines of a list.
pub(super) fn entries<'a>(sink: &mut Sink, list: &'a Statement) -> Vec<&'a Statement> {
    let mut found = Vec::new();
    for entry in statements(sink, list.body()) {
        if is_stray_semicolon(sink, &entry.head) {
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
    lines.into_iter().flat_map(|line| core::iter::once(&line.head).chain(&line.values)).collect()
}

/// A keyword of the table that `build` forgot; a test holds that there is none.
pub(super) fn no_builder(sink: &mut Sink, statement: &Statement, name: &str) {
    sink.error(statement.line_span(), format!("`{name}` {NO_BUILDER}"));
}

pub(super) const NO_BUILDER: &str = "is in the table but has no meaning";

/// Directives are errors where they stand: without them the block around them is not what its
/// author wrote.
fn statements<'a>(sink: &mut Sink, items: &'a [Item]) -> Vec<&'a Statement> {
    let mut found = Vec::new();
    for item in items {
        match item {
            Item::Statement(statement) => found.push(statement),
            Item::Directive(directive, span) => {
                sink.error(*span, format!("{} is not supported yet", directive.name()));
            }
        }
    }
    found
}

fn known(sink: &mut Sink, block: Block, statement: &Statement) -> Option<&'static Keyword> {
    let word = &statement.head;
    if is_stray_semicolon(sink, word) {
        return None;
    }
    let keyword = keywords::find(block, &word.text);
    if keyword.is_none() {
        let message = format!("unknown keyword `{}` in {}", word.text, block.name());
        match suggestion(block, &word.text) {
            Some(help) => sink.error_help(word.span, message, help),
            None => sink.error(word.span, message),
        }
    }
    keyword
}

fn suggestion(block: Block, word: &str) -> Option<String> {
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
    let elsewhere = keywords::TABLE
        .iter()
        .flat_map(|(home, keywords)| keywords.iter().map(|keyword| (keyword.name, home.name())));
    let near = suggest::nearest(word, elsewhere.clone().map(|(name, _)| name))?;
    let (name, home) = elsewhere.into_iter().find(|(name, _)| *name == near)?;
    Some(format!("did you mean `{name}`, which belongs in {home}?"))
}

fn is_stray_semicolon(sink: &mut Sink, word: &Word) -> bool {
    let stray = word.text == ";";
    if stray {
        sink.warning(word.span, "a `;` by itself: ignored");
    }
    stray
}

/// Whether the statement can be used.
fn check_shape(sink: &mut Sink, keyword: &Keyword, statement: &Statement) -> bool {
    let name = keyword.name;
    let line = statement.line_span();
    let given = statement.values.len();
    let mut fits = true;
    if given < keyword.least {
        let values = if keyword.least == 1 { "a value" } else { "more values" };
        sink.error(line, format!("`{name}` needs {values}"));
        fits = false;
    }
    if let Some(extra) = statement.values.get(keyword.most) {
        report_extra(sink, name, extra, line);
    }
    match (keyword.body, &statement.body) {
        (Some(_), None) => {
            sink.error(line, format!("`{name}` needs a block: `{{ .. }}`"));
            fits = false;
        }
        (None, Some(_)) => {
            sink.error(line, format!("`{name}` has no block"));
            fits = false;
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    fits
}

fn report_extra(sink: &mut Sink, name: &str, extra: &Word, line: Span) {
    let span = extra.span.to(line);
    if extra.text == ";" {
        sink.warning(span, "a `;` by itself: ignored");
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

/// Unless the value asks for nothing anyway.
fn warn_if_unused(sink: &mut Sink, keyword: &Keyword, statement: &Statement) {
    let Support::Unused(missing) = keyword.support else { return };
    let value = statement.value(0).map_or("", |word| word.text.as_str());
    if !matches!(value, "0" | "off" | "false" | "no") {
        let message = format!("`{}` is read but has no effect yet", keyword.name);
        sink.warning_help(statement.line_span(), message, missing);
    }
}

fn warn_if_repeated(
    sink: &mut Sink,
    found: &[(&str, &Statement)],
    keyword: &Keyword,
    statement: &Statement,
) {
    // Blocks that are repeated add up.
    if keyword.body.is_some() {
        return;
    }
    if let Some((_, first)) = found.iter().find(|(name, _)| *name == keyword.name) {
        let line = first.head.span.line;
        sink.warning(
            statement.line_span(),
            format!("`{}` was given in line {line}: the last one counts", keyword.name),
        );
    }
}
