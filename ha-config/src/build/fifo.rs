//! `notify_fifo` and `vrrp_notify_fifo`, each with its script.

use super::notify;
use crate::{
    diagnostic::{Sink, Span},
    model::{Command, Fifo},
    tree::Statement,
    value,
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    fifo: Option<(Span, Fifo)>,
    script: Option<(Span, Command)>,
}

impl Draft {
    /// `NAME [user [group]]`.
    pub(super) fn read(&mut self, sink: &mut Sink, statement: &Statement) {
        let Some((name, whose)) = statement.values.split_first() else { return };
        if name.text.is_empty() || name.text.contains('\0') {
            return value::bad(sink, name, "the path of a FIFO");
        }
        let (user, place) = (value::user(whose), sink.place(name.span));
        let fifo = Fifo { path: name.text.clone(), user, script: None, place };
        self.fifo = Some((name.span, fifo));
    }

    pub(super) fn read_script(&mut self, sink: &mut Sink, statement: &Statement) {
        let command = notify::command(sink, statement);
        self.script = command.map(|command| (statement.line_span(), command));
    }

    fn finish(&self, sink: &mut Sink) -> Option<Fifo> {
        let script = self.script.as_ref().map(|(_, command)| command.clone());
        if let (None, Some((line, _))) = (&self.fifo, &self.script) {
            sink.warning_help(
                *line,
                "a script without its FIFO is not run",
                "name the FIFO with the keyword without `_script`",
            );
        }
        let (_, fifo) = self.fifo.as_ref()?;
        Some(Fifo { script, ..fifo.clone() })
    }
}

/// Two FIFOs with two readers: each line is read by one of them.
pub(super) fn finish(sink: &mut Sink, all: &Draft, vrrp: &Draft) -> [Option<Fifo>; 2] {
    let found = [all.finish(sink), vrrp.finish(sink)];
    let [Some(one), Some(other)] = &found else { return found };
    if one.path == other.path
        && let Some((span, _)) = vrrp.fifo
    {
        let message = format!("`{}` is the `notify_fifo` already", other.path);
        sink.error_help(span, message, "keepalived.conf(5): the names must all be different");
        let [one, _] = found;
        return [one, None];
    }
    found
}
