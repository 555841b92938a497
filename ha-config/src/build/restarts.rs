//! `max_restarts` and `restart_window`, of a process and of a unit.

use core::time::Duration;

use super::statement::Value;
use crate::{diagnostic::Sink, model::RestartLimit, value::Spanned};

const WINDOW: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(super) struct Draft {
    max: Option<u32>,
    window: Option<Spanned<Duration>>,
}

impl Draft {
    /// `false`: it is another keyword.
    pub(super) fn read(&mut self, sink: &mut Sink, keyword: &str, first: &Value<'_>) -> bool {
        let span = first.word.span;
        match keyword {
            "max_restarts" => self.max = first.number(sink),
            "restart_window" => {
                self.window = first.seconds(sink).map(|value| Spanned { value, span });
            }
            _ => return false,
        }
        true
    }

    pub(super) fn finish(&self, sink: &mut Sink) -> Option<RestartLimit> {
        let Some(max) = self.max else {
            if let Some(window) = self.window {
                let help = "`max_restarts N` says how many starts are too many";
                sink.warning_help(window.span, "`restart_window` without `max_restarts`", help);
            }
            return None;
        };
        Some(RestartLimit { max, window: self.window.map_or(WINDOW, |window| window.value) })
    }
}
