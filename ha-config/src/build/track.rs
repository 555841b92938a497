//! `track_interface` and `track_script`: the same blocks in a group and in an instance.

use super::{Named, statement::entries, unique::Unique};
use crate::{
    diagnostic::{Severity, Sink},
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

/// By name.
pub(super) type List = Unique<String, Tracked>;

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

/// What `tracked` names; that there is no such script is reported.
pub(super) fn find_script(
    sink: &mut Sink,
    scripts: &Named<Option<Script>>,
    tracked: &Tracked,
) -> Option<TrackScript> {
    let name = &tracked.name;
    let Some(built) = scripts.find(&name.text) else {
        unknown(sink, name, "vrrp_script", scripts.iter().map(|one| one.name.text.as_str()));
        return None;
    };
    let usable = built.value.as_ref().filter(|_| !sink.has_error_in(built.range));
    let Some(script) = usable else {
        sink.error(name.span, format!("the `vrrp_script` `{}` has errors", name.text));
        return None;
    };
    Some(TrackScript {
        script: script.name.clone(),
        weight: tracked.weight.unwrap_or(script.weight),
        place: sink.place(name.span),
    })
}

/// A name is not compared with more: a suggestion may be missed, but not take seconds.
const COMPARED_MAX: usize = 1000;

/// Says that there is no `kind` called `name`.
pub(super) fn unknown<'a>(
    sink: &mut Sink,
    name: &Word,
    kind: &str,
    known: impl Iterator<Item = &'a str>,
) {
    let message = format!("there is no `{kind}` called `{}`", name.text);
    let known = known.take(COMPARED_MAX);
    let near =
        if sink.is_full(Severity::Error) { None } else { suggest::nearest(&name.text, known) };
    match near {
        Some(near) => sink.error_help(name.span, message, format!("did you mean `{near}`?")),
        None => sink.error(name.span, message),
    }
}

/// Adds the lines of `list` to `tracked`, each name once.
pub(super) fn read(sink: &mut Sink, list: &Statement, tracked: &mut List) {
    for entry in entries(sink, list) {
        let Ok(weight) = value::weight_option(sink, &entry.values) else { continue };
        let name = &entry.head;
        if tracked.insert(name.text.clone(), Tracked { name: name.clone(), weight }).is_err() {
            sink.warning(name.span, format!("`{}` is tracked twice: ignored", name.text));
        }
    }
}
