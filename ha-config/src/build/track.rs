//! `track_interface` and `track_script`: the same blocks in a group and in an instance.

use super::{Built, statement::entries};
use crate::{
    diagnostic::Sink,
    model::{Script, TrackInterface, TrackScript, Weight},
    suggest,
    tree::{Statement, Word},
    value,
};

/// A line: a script, before it is looked up, or an interface.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) name: Word,
    /// `None`: the script's own, or 0.
    weight: Option<Weight>,
}

impl Tracked {
    /// As an interface.
    pub(super) fn interface(&self, sink: &Sink) -> TrackInterface {
        TrackInterface {
            interface: self.name.text.clone(),
            weight: self.weight.unwrap_or_default(),
            place: sink.place(self.name.span),
        }
    }
}

/// All scripts of the file, and those that can be run.
pub(super) struct Scripts<'a> {
    pub(super) built: &'a [Built<Option<Script>>],
    pub(super) usable: &'a [Script],
}

impl Scripts<'_> {
    /// What `tracked` names; that there is no such script is reported.
    pub(super) fn find(&self, sink: &mut Sink, tracked: &Tracked) -> Option<TrackScript> {
        let name = &tracked.name;
        if let Some(script) = self.usable.iter().find(|script| script.name == name.text) {
            return Some(TrackScript {
                script: script.name.clone(),
                weight: tracked.weight.unwrap_or(script.weight),
                place: sink.place(name.span),
            });
        }
        let names = self.built.iter().map(|script| script.name.text.as_str());
        if names.clone().any(|known| known == name.text) {
            sink.error(name.span, format!("the `vrrp_script` `{}` has errors", name.text));
        } else {
            unknown(sink, name, "vrrp_script", names);
        }
        None
    }
}

/// Says that there is no `kind` called `name`.
pub(super) fn unknown<'a>(
    sink: &mut Sink,
    name: &Word,
    kind: &str,
    known: impl Iterator<Item = &'a str>,
) {
    let message = format!("there is no `{kind}` called `{}`", name.text);
    match suggest::nearest(&name.text, known) {
        Some(near) => sink.error_help(name.span, message, format!("did you mean `{near}`?")),
        None => sink.error(name.span, message),
    }
}

/// Adds the lines of `list` to `tracked`, each name once.
pub(super) fn read(sink: &mut Sink, list: &Statement, tracked: &mut Vec<Tracked>) {
    for entry in entries(sink, list) {
        let Ok(weight) = value::weight_option(sink, &entry.values) else { continue };
        let name = &entry.head;
        if tracked.iter().any(|other| other.name.text == name.text) {
            sink.warning(name.span, format!("`{}` is tracked twice: ignored", name.text));
            continue;
        }
        tracked.push(Tracked { name: name.clone(), weight });
    }
}
