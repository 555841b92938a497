//! `virtual_routes` and `virtual_rules`.

use super::{route, rule};
use crate::{
    diagnostic::Sink,
    model::{Route, Rule},
    tree::{Statement, Word},
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) routes: Vec<Route>,
    rules: Vec<rule::Draft>,
}

impl Draft {
    /// Whether `keyword` is one of them.
    pub(super) fn read(&mut self, sink: &mut Sink, keyword: &str, statement: &Statement) -> bool {
        match keyword {
            "virtual_routes" => {
                for (route, group) in route::read(sink, statement) {
                    ignore_group(sink, group.as_ref());
                    self.routes.push(route);
                }
            }
            "virtual_rules" => {
                for rule in rule::read(sink, statement) {
                    ignore_group(sink, rule.group.as_ref());
                    self.rules.push(rule);
                }
            }
            _ => return false,
        }
        true
    }

    pub(super) fn finish_rules(
        &self,
        sink: &mut Sink,
        preferences: &mut rule::Preferences,
    ) -> Vec<Rule> {
        self.rules.iter().map(|rule| preferences.finish(sink, rule)).collect()
    }
}

/// What is virtual comes and goes with one instance anyway.
fn ignore_group(sink: &mut Sink, group: Option<&Word>) {
    if let Some(group) = group {
        sink.warning(group.span, "`track_group` is for what is static: ignored");
    }
}
