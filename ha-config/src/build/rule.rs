//! Lines of `virtual_rules` and `static_rules`.

use ha_core::Family;

use super::option::{self, Families, Given, Target};
use crate::{
    diagnostic::{Sink, Span},
    keywords::{RULE, routing},
    model::{Mark, Network, Rule, RuleAction},
    tree::{Statement, Word},
};

/// A line, before it has a preference.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    line: Span,
    family: Family,
    preference: Option<u32>,
    invert: bool,
    from: Option<Network>,
    to: Option<Network>,
    iif: Option<String>,
    oif: Option<String>,
    tos: u8,
    mark: Option<Mark>,
    uids: Option<(u32, u32)>,
    suppress_prefix_len: Option<u8>,
    action: Option<RuleAction>,
    protocol: Option<(u8, Span)>,
    track: bool,
    pub(super) group: Option<Word>,
}

/// The rules of `list`.
pub(super) fn read(sink: &mut Sink, list: &Statement) -> Vec<Draft> {
    let mut rules = Vec::new();
    for (line, options) in option::lines(sink, &RULE, list) {
        let mut draft = Draft::new(line.line_span());
        let mut families = Families::NONE;
        let mut read = |given: &Given<'_>| draft.read(sink, &mut families, given);
        if options.iter().try_for_each(&mut read).is_none() {
            continue;
        }
        draft.family = families.family();
        if draft.action.is_none() {
            let message = "a rule needs `table`, or `blackhole`, `unreachable` or `prohibit`";
            sink.error(draft.line, message);
            continue;
        }
        rules.push(draft);
    }
    rules
}

impl Draft {
    const fn new(line: Span) -> Self {
        Self {
            line,
            family: Family::V4,
            preference: None,
            invert: false,
            from: None,
            to: None,
            iif: None,
            oif: None,
            tos: 0,
            mark: None,
            uids: None,
            suppress_prefix_len: None,
            action: None,
            protocol: None,
            track: true,
            group: None,
        }
    }

    fn read(&mut self, sink: &mut Sink, families: &mut Families, given: &Given<'_>) -> Option<()> {
        match given.name {
            "not" => self.invert = true,
            "inet" => families.add(sink, given.word, Family::V4)?,
            "inet6" => families.add(sink, given.word, Family::V6)?,
            "from" | "to" => {
                let target = option::target(sink, families, given.value)?;
                let end = if given.name == "from" { &mut self.from } else { &mut self.to };
                // All addresses are what holds without it.
                *end = match target {
                    Target::Network(network) if network.prefix_len > 0 => Some(network),
                    Target::Network(_) | Target::All => None,
                };
            }
            "iif" | "dev" => self.iif = Some(given.text().to_owned()),
            "oif" => self.oif = Some(given.text().to_owned()),
            "tos" | "dsfield" => self.tos = routing::tos(given.text())?,
            "fwmark" => self.mark = Some(routing::mark(given.text())?),
            "preference" | "priority" | "order" => self.preference = Some(given.number()?),
            "uidrange" => self.uids = Some(routing::uids(given.text())?),
            "protocol" => {
                self.protocol = Some((routing::protocol(given.text())?, given.word.span));
            }
            "suppress_prefixlength" | "sup_pl" => self.suppress_prefix_len = Some(given.number()?),
            "no_track" => self.track = false,
            "track_group" => self.group = Some(given.value.clone()),
            _ => self.read_action(sink, given)?,
        }
        Some(())
    }

    fn read_action(&mut self, sink: &mut Sink, given: &Given<'_>) -> Option<()> {
        let action = match given.text() {
            "blackhole" => RuleAction::Blackhole,
            "unreachable" => RuleAction::Unreachable,
            "prohibit" => RuleAction::Prohibit,
            table if matches!(given.name, "table" | "lookup") => {
                RuleAction::Lookup(routing::table(table)?)
            }
            other => {
                let message = format!("`{other}` {}", super::statement::NO_BUILDER);
                sink.error(given.word.span, message);
                return None;
            }
        };
        if self.action.replace(action).is_some_and(|other| other != action) {
            sink.error(given.word.span, "a rule has one table, or is one of the other kinds");
            return None;
        }
        Some(())
    }
}

/// What rules get that have no preference: as keepalived counts them down for each family.
pub(super) struct Preferences {
    v4: u32,
    v6: u32,
}

impl Preferences {
    pub(super) const fn new() -> Self {
        Self { v4: FIRST, v6: FIRST }
    }

    pub(super) fn finish(&mut self, sink: &mut Sink, draft: &Draft) -> Rule {
        let preference = draft.preference.unwrap_or_else(|| self.next(sink, draft));
        Rule {
            family: draft.family,
            preference,
            invert: draft.invert,
            from: draft.from,
            to: draft.to,
            iif: draft.iif.clone(),
            oif: draft.oif.clone(),
            tos: draft.tos,
            mark: draft.mark,
            uids: draft.uids,
            suppress_prefix_len: draft.suppress_prefix_len,
            // Reading has seen to that.
            action: draft.action.unwrap_or(RuleAction::Prohibit),
            protocol: option::protocol(sink, draft.protocol, draft.track),
            track: draft.track,
            place: sink.place(draft.line),
        }
    }

    fn next(&mut self, sink: &mut Sink, draft: &Draft) -> u32 {
        let next = match draft.family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        let preference = *next;
        *next = next.saturating_sub(1);
        let message = format!("the rule has no `preference`: {preference}, as keepalived counts");
        sink.warning_help(draft.line, message, "lower ones are asked first: choose one");
        preference
    }
}

const FIRST: u32 = 16384;
