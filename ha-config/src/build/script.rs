//! `vrrp_script`.

use core::time::Duration;

use super::statement::{Value, no_builder, supported};
use crate::{
    diagnostic::{Place, Sink},
    keywords::Block,
    model::{Command, Script, Weight},
    tree::{Statement, Word},
    value,
};

/// `None`: without a command there is no script.
pub(super) fn read(sink: &mut Sink, name: &Word, block: &Statement) -> Option<Script> {
    let mut command = None;
    let mut user = None;
    let mut interval = None;
    let mut timeout = None;
    let mut script = Script {
        name: name.text.clone(),
        command: Command { argv: Vec::new(), user: None, place: Place::line(0) },
        interval: Duration::from_secs(1),
        timeout: Duration::ZERO,
        weight: Weight::default(),
        rise: 1,
        fall: 1,
        init_fail: false,
        place: sink.place(name.span),
    };
    let mut given = false;
    for (keyword, statement) in supported(sink, Block::Script, block.body()) {
        let Some(first) = Value::new(keyword, statement, 0) else {
            match keyword.name {
                "init_fail" => script.init_fail = true,
                other => no_builder(sink, statement, other),
            }
            continue;
        };
        match keyword.name {
            "script" => {
                given = true;
                command = read_command(sink, statement);
            }
            "user" => user = value::user(&statement.values),
            "interval" => interval = first.whole_seconds(sink),
            "timeout" => timeout = first.whole_seconds(sink),
            "weight" => {
                let reverse = statement.values.get(1..).unwrap_or_default();
                let weight = value::weight(sink, value::WEIGHT_MAX, first.word, reverse);
                script.weight = weight.unwrap_or(script.weight);
            }
            "rise" => script.rise = first.number(sink).unwrap_or(1),
            "fall" => script.fall = first.number(sink).unwrap_or(1),
            // Its word too many was reported.
            "init_fail" => script.init_fail = true,
            other => no_builder(sink, statement, other),
        }
    }
    if !given {
        sink.error(block.line_span(), format!("`{}` has no `script`", name.text));
    }
    script.command = Command { user, ..command? };
    script.interval = interval.unwrap_or(script.interval);
    script.timeout = timeout.unwrap_or(script.interval);
    Some(script)
}

fn read_command(sink: &mut Sink, statement: &Statement) -> Option<Command> {
    let (first, rest) = statement.values.split_first()?;
    let mut command = value::command(sink, first)?;
    if command.argv == ["<"] {
        sink.error(first.span, "there is no file after the `<`");
        return None;
    }
    if let Some(argv) = opening(&command.argv) {
        command.argv = argv;
    }
    if let [from, ..] = rest {
        // keepalived 2.2.7 runs `script "/path " a b` without a and b, and says nothing.
        sink.warning_help(
            from.span.to(statement.line_span()),
            "these words are arguments of the script; keepalived 2.2 does not pass them",
            "put the command and its arguments into one pair of quotes",
        );
        command.argv.extend(rest.iter().map(|word| word.text.clone()));
    }
    Some(command)
}

/// `</path` succeeds when the file can be opened. keepalived (2.2.7) has a shell do it, as whom the
/// script runs: a directory can be opened, a FIFO that nobody writes to takes until the timeout.
fn opening(argv: &[String]) -> Option<Vec<String>> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let path = match words.as_slice() {
        ["<", path] => path,
        [word] => word.strip_prefix('<').filter(|path| !path.is_empty())?,
        _ => return None,
    };
    Some(["/bin/sh", "-c", "<\"$0\"", path].map(str::to_owned).to_vec())
}
