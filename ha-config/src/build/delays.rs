//! `interface_up_down_delays`.

use super::{address, statement::entries, unique::Unique};
use crate::{
    diagnostic::Sink,
    keywords::{Argument, DELAYS},
    model::InterfaceDelays,
    tree::{Statement, Word},
    value,
};

/// By interface.
pub(super) type List = Unique<String, InterfaceDelays>;

/// Adds the lines of `list`; the first one of an interface counts.
pub(super) fn read(sink: &mut Sink, list: &Statement, delays: &mut List) {
    for line in entries(sink, list) {
        let Some(interface) = address::interface_name(sink, &line.head) else { continue };
        if let Some(extra) = line.value(DELAYS.arguments.len() - 1) {
            sink.error(extra.span, "an interface has two delays at most: down and up");
            continue;
        }
        let Some(first) = line.value(0) else {
            sink.error(line.line_span(), format!("`{interface}` needs a delay in seconds"));
            continue;
        };
        let Some(down) = delay(sink, first) else { continue };
        let up = match line.value(1) {
            Some(word) => delay(sink, word),
            None => Some(down),
        };
        let Some(up) = up else { continue };
        let name = interface.clone();
        if delays.insert(name, InterfaceDelays { interface, down, up }).is_err() {
            let message = format!("`{}` has its delays already: ignored", line.head.text);
            sink.warning(line.head.span, message);
        }
    }
}

fn delay(sink: &mut Sink, word: &Word) -> Option<core::time::Duration> {
    match DELAYS.arguments.last() {
        Some(Argument::Seconds(least, most)) => value::seconds(sink, word, *least..=*most),
        _ => None,
    }
}
