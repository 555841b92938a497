//! `track_file` at the top level, which is `vrrp_track_file` too.

use super::statement::{Value, no_builder, supported};
use crate::{
    diagnostic::Sink,
    keywords::Block,
    model::{InitFile, TrackedFile, Weight},
    tree::{Statement, Word},
    value,
};

/// `None`: without a path there is nothing to look at.
pub(super) fn read(sink: &mut Sink, name: &Word, block: &Statement) -> Option<TrackedFile> {
    let mut path = None;
    let mut weight = Weight { value: 1, reverse: false };
    let mut init = None;
    for (keyword, statement) in supported(sink, Block::TrackFile, block.body()) {
        let first = Value::new(keyword, statement, 0);
        match (keyword.name, first) {
            ("file", Some(first)) => path = Some(read_path(sink, first.word)),
            ("weight", Some(first)) => {
                let reverse = statement.values.get(1..).unwrap_or_default();
                let given = value::weight(sink, value::WIDE_WEIGHT_MAX, first.word, reverse);
                weight = given.unwrap_or(weight);
            }
            ("init_file", _) => init = read_init(sink, statement),
            (other, _) => no_builder(sink, statement, other),
        }
    }
    if !block.body().iter().any(|statement| statement.head.text == "file") {
        sink.error(block.line_span(), format!("`{}` has no `file`", name.text));
    }
    let (name, place) = (name.text.clone(), sink.place(name.span));
    Some(TrackedFile { name, path: path?, weight, init, place })
}

fn read_path(sink: &mut Sink, word: &Word) -> String {
    if !word.text.starts_with('/') {
        let message = format!("`{}` depends on where the daemon is started", word.text);
        sink.warning_help(word.span, message, "give the path from `/` on");
    }
    word.text.clone()
}

fn read_init(sink: &mut Sink, statement: &Statement) -> Option<InitFile> {
    let (number, overwrite) = match statement.values.as_slice() {
        [] => (None, None),
        [only] if only.text == "overwrite" => (None, Some(only)),
        [number] => (Some(number), None),
        [number, overwrite, ..] => (Some(number), Some(overwrite)),
    };
    let value = match number {
        Some(word) => value::number(sink, word, i64::from(i32::MIN)..=i64::from(i32::MAX))?,
        None => 0,
    };
    if let Some(word) = overwrite.filter(|word| word.text != "overwrite") {
        value::bad(sink, word, "`overwrite`");
        return None;
    }
    Some(InitFile { value, overwrite: overwrite.is_some() })
}
