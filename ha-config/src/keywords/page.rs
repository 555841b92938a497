//! The table as text: `docs/keywords.md` and what `explain` answers.

use std::collections::BTreeSet;

use super::{
    Block, Entry, Keyword, Support, TABLE,
    entry::{self, Choice},
};
use crate::suggest;

/// What is known of `name` in every block that has it; else the nearest name that there is.
pub(crate) fn explain(name: &str) -> Result<String, Option<&'static str>> {
    let mut lines = Vec::new();
    for (block, keywords) in TABLE {
        for keyword in keywords.iter().filter(|keyword| keyword.name == name) {
            describe(&mut lines, block, keyword);
        }
    }
    if lines.is_empty() {
        describe_option(&mut lines, name);
        let word = LANGUAGE.iter().filter(|(word, _)| *word == name);
        lines.extend(word.map(|(word, meaning)| format!("{word}: {meaning}\n")));
    }
    if !lines.is_empty() {
        return Ok(lines.concat());
    }
    let containing = || names().into_iter().filter(|known| known.contains(name));
    let shortest = || containing().min_by_key(|known| known.len()).filter(|_| !name.is_empty());
    Err(suggest::nearest(name, names()).or_else(shortest))
}

/// Words that begin a line and are no keywords of a block.
const LANGUAGE: [(&str, &str); 7] = [
    (
        "include",
        "a file, or those that a pattern names, is read here; what is not there is a warning",
    ),
    ("includer", "`include`, but a file that cannot be read is an error"),
    ("includem", "`include`, but a name that is no file is an error"),
    ("includew", "`include`, but a pattern that matches nothing is an error"),
    ("includeb", "`include`, but braces of which an alternative is no file are an error"),
    ("includea", "`include` with all that the others make an error"),
    ("real_server", "of the load balancer's `virtual_server`: ignored with it"),
];

/// The same of the options that lines of lists have.
fn describe_option(lines: &mut Vec<String>, name: &str) {
    for (block, keywords) in TABLE {
        for keyword in keywords {
            let options = keyword.entry.map_or(&[][..], |entry| entry.options);
            for option in options.iter().filter(|option| option.name == name) {
                let is_plain = option.support == Support::Now;
                let support = if is_plain { keyword.support } else { option.support };
                let (block, list) = (block.name().replace('`', ""), keyword.name);
                let usage = option.usage();
                lines.push(format!(
                    "{usage} (option of {list}, in {block})\n  {}\n",
                    truth(support)
                ));
            }
        }
    }
}

/// All names in the table.
pub(crate) fn names() -> BTreeSet<&'static str> {
    TABLE.iter().flat_map(|(_, keywords)| *keywords).map(|keyword| keyword.name).collect()
}

fn describe(lines: &mut Vec<String>, block: Block, keyword: &Keyword) {
    lines.push(format!("{} (in {})\n", usage(keyword), block.name().replace('`', "")));
    if !keyword.default.is_empty() {
        lines.push(format!("  default: {}\n", keyword.default));
    }
    lines.push(format!("  {}\n", truth(keyword.support)));
    for option in keyword.entry.map_or(&[][..], |entry| entry.options) {
        let is_plain = option.support == Support::Now;
        let support = if is_plain { keyword.support } else { option.support };
        lines.push(format!("  option {}: {}\n", option.usage(), truth(support)));
    }
}

/// `name ARGUMENT [ARGUMENT] { ENTRY .. }`.
fn usage(keyword: &Keyword) -> String {
    format!("{} {}", keyword.name, arguments(keyword)).trim_end().to_owned()
}

fn arguments(keyword: &Keyword) -> String {
    let mut words = vec![entry::usage(keyword.arguments, keyword.least)];
    if keyword.repeats {
        words.push("..".to_owned());
    }
    match (keyword.body, keyword.entry) {
        (None, _) => {}
        (Some(_), Some(entry)) => {
            words.push("{".to_owned());
            words.push(entry::usage(entry.arguments, entry.least));
            if !entry.options.is_empty() {
                words.push("[OPTION..]".to_owned());
            }
            words.push("}".to_owned());
        }
        (Some(_), None) => words.push("{ .. }".to_owned()),
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn truth(support: Support) -> String {
    match support {
        Support::Now => "supported".to_owned(),
        Support::Inactive(missing) => format!("checked, not active yet: {missing}"),
        Support::WithoutEffect(why) => format!("accepted without effect: {why}"),
        Support::Unsupported(instead) => format!("not supported, ignored: {instead}"),
        Support::Refused(why) => format!("not supported, an error: {why}"),
        Support::LoadBalancer => "the load balancer's, ignored".to_owned(),
    }
}

/// `docs/keywords.md`.
pub(crate) fn page() -> String {
    let mut lines = vec![HEAD.to_owned()];
    lines.push("\n## Files that are read into this one\n\n| keyword | |\n|---|---|\n".to_owned());
    for (word, meaning) in LANGUAGE.iter().filter(|(word, _)| word.starts_with("include")) {
        lines.push(format!("| `{word} FILE` | {meaning} |\n"));
    }
    let mut entries: Vec<(Vec<&str>, &Entry)> = Vec::new();
    for (block, keywords) in TABLE {
        let title = capitalised(block.name());
        let head = "| keyword | arguments | default | |\n|---|---|---|---|";
        lines.push(format!("\n## {title}\n\n{head}\n"));
        for keyword in keywords {
            lines.push(line(keyword));
            let Some(entry) = keyword.entry.filter(|entry| !entry.options.is_empty()) else {
                continue;
            };
            match entries.iter_mut().find(|(_, other)| *other == entry) {
                Some((names, _)) if names.contains(&keyword.name) => {}
                Some((names, _)) => names.push(keyword.name),
                None => entries.push((vec![keyword.name], entry)),
            }
        }
    }
    for (names, entry) in entries {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        lines.push(format!("\n## Options in {}\n\n", names.join(", ")));
        let is_plain = |option: &&Choice| option.support == Support::Now;
        let plain = entry.options.iter().filter(is_plain);
        let plain: Vec<String> = plain.map(|option| format!("`{}`", option.usage())).collect();
        lines.push(format!("With the support of the keyword: {}.\n", plain.join(", ")));
        if plain.len() < entry.options.len() {
            lines.push("\n| option | |\n|---|---|\n".to_owned());
        }
        for option in entry.options.iter().filter(|option| !is_plain(option)) {
            let (usage, truth) = (cell(&option.usage()), cell(&truth(option.support)));
            lines.push(format!("| `{usage}` | {truth} |\n"));
        }
    }
    lines.concat()
}

fn line(keyword: &Keyword) -> String {
    let arguments = match cell(&arguments(keyword)) {
        none if none.is_empty() => none,
        some => format!("`{some}`"),
    };
    let (default, truth) = (cell(keyword.default), cell(&truth(keyword.support)));
    format!("| `{}` | {arguments} | {default} | {truth} |\n", keyword.name)
}

fn capitalised(name: &str) -> String {
    name.replacen("the top", "The top", 1)
}

/// A bar ends a cell of a table, also between backquotes.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const HEAD: &str = "\
# Keywords of keepalived.conf, and what becomes of them here

Every keyword of the VRRP half of keepalived.conf(5), as of keepalived 2.2.7 and newer. `ha-userspace explain KEYWORD` prints a row of it.
This page is written from the table that reads the file: `UPDATE_EXPECT=1 cargo test -p ha-config` does it, and a test fails when it differs.

- **supported**: it has its effect.
- **checked, not active yet**: arguments and names are checked as if it were supported; a start and `check` say once what is missing.
- **accepted without effect**: it is not needed here, and `check` says why.
- **not supported**: a warning that says what to use; or an error, where running without it would make two Masters of a pair.
- **the load balancer's**: not a part of this daemon; said once per file.
";
