//! `garp_group`: announcements that are sent one after another.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{
    address,
    statement::{Value, entry_words, no_builder, supported},
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::Block,
    model::Pacing,
    tree::{Statement, Word},
};

#[derive(Debug)]
pub(super) struct Draft {
    /// The line that begins the block.
    head: Span,
    garp_interval: Option<Duration>,
    gna_interval: Option<Duration>,
    interfaces: Vec<Word>,
}

impl Draft {
    pub(super) fn read(sink: &mut Sink, block: &Statement) -> Self {
        let head = block.line_span();
        let mut draft =
            Self { head, garp_interval: None, gna_interval: None, interfaces: Vec::new() };
        for (keyword, statement) in supported(sink, Block::GarpGroup, block.body()) {
            match (keyword.name, Value::new(keyword, statement, 0)) {
                ("garp_interval", Some(value)) => draft.garp_interval = value.seconds(sink),
                ("gna_interval", Some(value)) => draft.gna_interval = value.seconds(sink),
                ("interface", Some(value)) => draft.interfaces.push(value.word.clone()),
                ("interfaces", _) => {
                    draft.interfaces.extend(entry_words(sink, statement).into_iter().cloned());
                }
                (other, _) => no_builder(sink, statement, other),
            }
        }
        draft
    }
}

/// An interface stays in the first group that names it.
pub(super) fn finish(sink: &mut Sink, drafts: &[Draft]) -> Vec<Pacing> {
    let mut homes = BTreeMap::new();
    let mut groups = Vec::new();
    for draft in drafts {
        let mut interfaces = Vec::new();
        for word in &draft.interfaces {
            let Some(name) = address::interface_name(sink, word) else { continue };
            match homes.get(&name) {
                None => {
                    homes.insert(name.clone(), sink.place(word.span));
                    interfaces.push(name);
                }
                Some(place) => {
                    let message = format!("`{name}` is in the group of {place}: ignored");
                    sink.warning(word.span, message);
                }
            }
        }
        if interfaces.is_empty() {
            sink.warning(draft.head, "a `garp_group` without an interface has no effect");
            continue;
        }
        groups.push(Pacing {
            interfaces,
            garp_interval: draft.garp_interval.unwrap_or_default(),
            gna_interval: draft.gna_interval.unwrap_or_default(),
        });
    }
    groups
}
