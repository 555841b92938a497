//! Lines and blocks, each of them known to the keyword table.

use core::{fmt::Display, time::Duration};

use super::quote::{self, quote, quote_escaped};
use crate::{
    keywords::{self, Block},
    model::Setting,
};

/// A text that grows line by line.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    /// The blocks that are open, the innermost last.
    open: Vec<Block>,
}

impl Writer {
    /// A comment.
    pub(super) fn remark(&mut self, text: &str) {
        self.push(&format!("# {text}"));
    }

    /// `keyword value`, the value being one word, whatever is in it.
    pub(super) fn value(&mut self, keyword: &str, value: impl Display) {
        self.line(keyword, [value.to_string()]);
    }

    /// A keyword with any number of words.
    pub(super) fn line<T: AsRef<str>>(
        &mut self,
        keyword: &str,
        values: impl IntoIterator<Item = T>,
    ) {
        self.check(keyword);
        let words = words(core::iter::once(keyword.to_owned()), values);
        self.push(&words);
    }

    /// `keyword COMMAND` with any number of words, the command being of `argv`.
    pub(super) fn command(
        &mut self,
        keyword: &str,
        argv: &[String],
        more: impl IntoIterator<Item = String>,
    ) {
        self.check(keyword);
        let words = core::iter::once(quote::command(argv)).chain(more);
        let words: Vec<String> = words.map(|word| quote_escaped(&word)).collect();
        self.push(&format!("{keyword} {}", words.join(" ")));
    }

    /// `keyword on` or `keyword off`.
    pub(super) fn flag(&mut self, keyword: &str, on: bool) {
        self.value(keyword, if on { "on" } else { "off" });
    }

    /// The same of a keyword that keepalived 2.2.7 does not know, or not in this place: what it
    /// would complain of is not written where it holds anyway.
    pub(super) fn newer_flag(&mut self, keyword: &str, on: bool) {
        if on {
            self.flag(keyword, on);
        } else {
            self.silent(keyword, "off");
        }
    }

    /// A time that keepalived 2.2.7 does not take if it is zero, which it is anyway then.
    pub(super) fn nonzero(&mut self, keyword: &str, time: Duration) {
        let time_text = seconds(time);
        if time.is_zero() {
            self.silent(keyword, &time_text);
        } else {
            self.value(keyword, time_text);
        }
    }

    /// A keyword that is either there or not.
    pub(super) fn presence(&mut self, keyword: &str, is_there: bool) {
        if is_there {
            self.line(keyword, [""; 0]);
        } else {
            self.silent(keyword, "off");
        }
    }

    /// A word, or what holds without it.
    pub(super) fn optional(&mut self, keyword: &str, value: Option<impl Display>, without: &str) {
        match value {
            Some(value) => self.value(keyword, value),
            None => self.silent(keyword, &format!("({without})")),
        }
    }

    /// What holds although it is not written.
    pub(super) fn silent(&mut self, keyword: &str, value: &str) {
        self.check(keyword);
        self.push(&format!("# {keyword} {value}"));
    }

    /// `keyword name { .. }`.
    pub(super) fn block(
        &mut self,
        keyword: &str,
        name: Option<&str>,
        body: impl FnOnce(&mut Self),
    ) {
        self.check(keyword);
        self.braces(keyword, name, body);
    }

    /// `keyword { .. }` with a line for each entry; nothing at all without entries.
    pub(super) fn list<T>(
        &mut self,
        keyword: &str,
        entries: &[T],
        words: impl Fn(&T) -> Vec<String>,
    ) {
        if !entries.is_empty() {
            self.block(keyword, None, |writer| {
                for entry in entries {
                    writer.entry(words(entry));
                }
            });
        }
    }

    /// What is not active yet, in the words of the file.
    pub(super) fn setting(&mut self, setting: &Setting) {
        let Setting { keyword, values, body, place: _ } = setting;
        match keywords::find(self.block_kind(), keyword) {
            Some(found) if found.body.is_some() => {
                self.braces(keyword, values, |writer| {
                    for inner in body {
                        writer.setting(inner);
                    }
                });
            }
            Some(_) => self.line(keyword, values),
            None => self.entry(core::iter::once(keyword).chain(values)),
        }
    }

    pub(super) fn into_text(self) -> String {
        if self.text.contains(quote::DOLLAR) {
            return format!("{}\n{}", quote::DOLLAR_IS, self.text);
        }
        self.text
    }

    /// A line of a list.
    fn entry<T: AsRef<str>>(&mut self, entry: impl IntoIterator<Item = T>) {
        debug_assert_eq!(self.block_kind(), Block::List, "entries are in lists");
        let words = words(core::iter::empty(), entry);
        self.push(&words);
    }

    fn braces<T: AsRef<str>>(
        &mut self,
        keyword: &str,
        values: impl IntoIterator<Item = T>,
        body: impl FnOnce(&mut Self),
    ) {
        let kind = keywords::find(self.block_kind(), keyword).and_then(|keyword| keyword.body);
        let head = words(core::iter::once(keyword.to_owned()), values);
        if self.open.is_empty() {
            self.text.push('\n');
        }
        self.push(&format!("{head} {{"));
        self.open.push(kind.unwrap_or(Block::Skipped));
        body(self);
        self.open.pop();
        self.push("}");
    }

    /// The table knows everything that is written.
    fn check(&self, keyword: &str) {
        let block = self.block_kind();
        debug_assert!(
            keywords::find(block, keyword).is_some(),
            "`{keyword}` is not in the table of {}",
            block.name()
        );
    }

    fn block_kind(&self) -> Block {
        self.open.last().copied().unwrap_or(Block::Top)
    }

    fn push(&mut self, line: &str) {
        let indent = self.open.len().saturating_mul(4);
        self.text.extend(core::iter::repeat_n(' ', indent));
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Seconds with as many decimals as are needed, at most six: there are no more in the model.
pub(super) fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    let text = format!("{whole}.{:06}", time.subsec_micros());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn words<T: AsRef<str>>(
    first: impl Iterator<Item = String>,
    more: impl IntoIterator<Item = T>,
) -> String {
    let words: Vec<String> =
        first.chain(more.into_iter().map(|word| quote(word.as_ref()))).collect();
    words.join(" ")
}
