//! `vrrp_track_unit`.

use core::time::Duration;

use super::{
    restarts,
    statement::{Value, no_builder, supported},
};
use crate::{
    diagnostic::Sink,
    keywords::Block,
    model::{Unit, Weight},
    tree::{Statement, Word},
    value,
};

/// What systemd refuses (systemd.unit(5)).
const NAME_BYTES_MAX: usize = 255;
/// Those of systemd.unit(5).
const TYPES: [&str; 11] = [
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
];

/// `None`: without a unit there is nothing to look at.
pub(super) fn read(sink: &mut Sink, name: &Word, block: &Statement) -> Option<Unit> {
    let mut unit = None;
    let mut weight = Weight::default();
    let mut terminate_delay = Duration::ZERO;
    let mut restarts = restarts::Draft::default();
    for (keyword, statement) in supported(sink, Block::Unit, block.body()) {
        let Some(first) = Value::new(keyword, statement, 0) else {
            no_builder(sink, statement, keyword.name);
            continue;
        };
        match keyword.name {
            "unit" => unit = Some(first.word),
            "weight" => {
                let reverse = statement.values.get(1..).unwrap_or_default();
                let read = value::weight(sink, value::WIDE_WEIGHT_MAX, first.word, reverse);
                weight = read.unwrap_or(weight);
            }
            "terminate_delay" => terminate_delay = first.seconds(sink).unwrap_or_default(),
            other => {
                if !restarts.read(sink, other, &first) {
                    no_builder(sink, statement, other);
                }
            }
        }
    }
    let Some(unit) = unit else {
        sink.error(block.line_span(), format!("`{}` has no `unit`", name.text));
        return None;
    };
    check_name(sink, unit);
    Some(Unit {
        name: name.text.clone(),
        unit: unit.text.clone(),
        weight,
        terminate_delay,
        restarts: restarts.finish(sink),
        place: sink.place(name.span),
    })
}

/// Says what of a name no unit can have.
fn check_name(sink: &mut Sink, word: &Word) {
    let text = word.text.as_str();
    if text.is_empty() {
        sink.error(word.span, "the name of the unit is empty");
        return;
    }
    let is_known = |end: &str| TYPES.contains(&end);
    let Some((stem, _)) = text.rsplit_once('.').filter(|(_, end)| is_known(end)) else {
        let message = format!("`{text}` says no type of unit");
        sink.error_help(word.span, message, format!("did you mean `{text}.service`?"));
        return;
    };
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b":_.-\\@".contains(&byte);
    if stem.is_empty() || !text.bytes().all(is_right) || text.len() > NAME_BYTES_MAX {
        let help = "`systemd-escape` writes paths and other texts as names of units";
        sink.error_help(word.span, format!("no unit can be called `{text}`"), help);
    } else if stem.ends_with('@') {
        let help = "name one that is made from it: `getty@tty1.service`";
        sink.error_help(word.span, format!("`{text}` is a template, which never runs"), help);
    }
}
