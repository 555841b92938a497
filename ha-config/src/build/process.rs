//! `vrrp_track_process`.

use core::time::Duration;

use super::{
    restarts,
    statement::{Value, no_builder, supported},
};
use crate::{
    diagnostic::Sink,
    keywords::Block,
    model::{Process, ProcessMatch, Weight},
    tree::{Statement, Word},
    value::{self, Spanned},
};

/// The kernel keeps so many bytes of a name (`TASK_COMM_LEN` without its zero).
const NAME_BYTES: usize = 15;

#[derive(Default)]
struct Draft<'a> {
    command: Option<&'a Statement>,
    param_match: Option<ProcessMatch>,
    full_command: bool,
    weight: Weight,
    quorum: Option<u32>,
    quorum_max: Option<Spanned<u32>>,
    fork_delay: Duration,
    terminate_delay: Duration,
    restarts: restarts::Draft,
}

/// `None`: without a command there is nothing to look for.
pub(super) fn read(sink: &mut Sink, name: &Word, block: &Statement) -> Option<Process> {
    let mut draft = Draft::default();
    for (keyword, statement) in supported(sink, Block::Process, block.body()) {
        let Some(first) = Value::new(keyword, statement, 0) else {
            match keyword.name {
                "full_command" => draft.full_command = true,
                other => no_builder(sink, statement, other),
            }
            continue;
        };
        let span = first.word.span;
        match keyword.name {
            "process" => draft.command = Some(statement),
            "param_match" => draft.param_match = param_match(sink, first.word),
            "weight" => {
                let reverse = statement.values.get(1..).unwrap_or_default();
                let weight = value::weight(sink, value::WIDE_WEIGHT_MAX, first.word, reverse);
                draft.weight = weight.unwrap_or(draft.weight);
            }
            "quorum" => draft.quorum = first.number(sink),
            "quorum_max" => {
                draft.quorum_max = first.number(sink).map(|value| Spanned { value, span });
            }
            "fork_delay" => draft.fork_delay = first.seconds(sink).unwrap_or_default(),
            "terminate_delay" => draft.terminate_delay = first.seconds(sink).unwrap_or_default(),
            "delay" => {
                let delay = first.seconds(sink).unwrap_or_default();
                (draft.fork_delay, draft.terminate_delay) = (delay, delay);
            }
            // Its word too many was reported.
            "full_command" => draft.full_command = true,
            other => {
                if !draft.restarts.read(sink, other, &first) {
                    no_builder(sink, statement, other);
                }
            }
        }
    }
    draft.finish(sink, name, block)
}

fn param_match(sink: &mut Sink, word: &Word) -> Option<ProcessMatch> {
    match word.text.as_str() {
        "initial" => Some(ProcessMatch::Initial),
        "partial" => Some(ProcessMatch::Partial),
        _ => {
            value::bad(sink, word, "`initial` or `partial`");
            None
        }
    }
}

impl Draft<'_> {
    fn finish(self, sink: &mut Sink, name: &Word, block: &Statement) -> Option<Process> {
        let Some(statement) = self.command else {
            sink.error(block.line_span(), format!("`{}` has no `process`", name.text));
            return None;
        };
        let command = &statement.values;
        let matching = self.matching(command);
        if let (ProcessMatch::Name, Some(word)) = (matching, command.first()) {
            check_name(sink, word);
        }
        if let Some(empty) = command.first().filter(|word| word.text.is_empty()) {
            sink.error(empty.span, "the name of the process is empty");
        }
        let (quorum, quorum_max) = self.quorum(sink);
        Some(Process {
            name: name.text.clone(),
            command: command.iter().map(|word| word.text.clone()).collect(),
            matching,
            weight: self.weight,
            quorum,
            quorum_max,
            fork_delay: self.fork_delay,
            terminate_delay: self.terminate_delay,
            restarts: self.restarts.finish(sink),
            place: sink.place(name.span),
        })
    }

    /// keepalived: parameters, or how to compare them, mean the command line.
    fn matching(&self, command: &[Word]) -> ProcessMatch {
        let default = match command {
            [_] if !self.full_command => ProcessMatch::Name,
            _ => ProcessMatch::Command,
        };
        self.param_match.unwrap_or(default)
    }

    fn quorum(&self, sink: &mut Sink) -> (u32, Option<u32>) {
        match self.quorum_max {
            Some(Spanned { value: 0, .. }) if self.quorum.is_none() => (0, Some(0)),
            Some(most) if most.value < self.quorum.unwrap_or(1) => {
                // As keepalived 2.2.7 does.
                let message = "`quorum_max` is less than `quorum`: ignored";
                sink.warning_help(most.span, message, "no number of processes would be right");
                (self.quorum.unwrap_or(1), None)
            }
            most => (self.quorum.unwrap_or(1), most.map(|most| most.value)),
        }
    }
}

/// Says what of a name no process can have.
fn check_name(sink: &mut Sink, word: &Word) {
    let help = "`full_command` compares the command as it was typed";
    if word.text.contains('/') {
        sink.warning_help(word.span, "no process has a name with a `/` in it", help);
    } else if word.text.len() > NAME_BYTES {
        let message = format!("names of processes have {NAME_BYTES} bytes: the rest is ignored");
        sink.warning_help(word.span, message, help);
    }
}
