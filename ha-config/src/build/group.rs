//! `vrrp_sync_group`.

use super::{
    Blocks, Built, global, inactive, notify,
    statement::{entry_words, supported},
    statics, track,
    unique::Unique,
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::Block,
    model::{Setting, SyncGroup},
    tree::{Statement, Word},
    value,
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) members: Unique<String, Word>,
    /// The first line of the `group` block.
    list: Option<Span>,
    notify: notify::Draft,
    pub(super) tracks: track::Lists,
    tracking_weight: bool,
    smtp_alert: Option<bool>,
    inactive: Vec<Setting>,
}

impl Draft {
    pub(super) fn read(sink: &mut Sink, block: &Statement) -> Self {
        let mut draft = Self::default();
        for (keyword, statement) in supported(sink, Block::Group, block.body()) {
            match keyword.name {
                "group" => draft.read_members(sink, statement),
                "smtp_alert" => draft.smtp_alert = value::flag(sink, statement),
                "sync_group_tracking_weight" => draft.tracking_weight = true,
                "global_tracking" => {
                    draft.tracking_weight = true;
                    sink.warning_help(
                        statement.line_span(),
                        "`global_tracking` is an old name of `sync_group_tracking_weight`",
                        "it is better to track in the group than in its members",
                    );
                }
                other => {
                    if !draft.notify.read(sink, other, statement)
                        && !draft.tracks.read(sink, other, statement)
                    {
                        inactive::keep(sink, keyword, statement, &mut draft.inactive);
                    }
                }
            }
        }
        match draft.members.as_slice() {
            [] => {
                let message = "a `vrrp_sync_group` needs a `group { .. }` with names";
                sink.error(block.line_span(), message);
            }
            [_] => {
                let message = "a `vrrp_sync_group` with one member has no effect on it";
                sink.warning(block.line_span(), message);
            }
            [_, _, ..] => {}
        }
        draft
    }

    fn read_members(&mut self, sink: &mut Sink, list: &Statement) {
        if let Some(first) = self.list {
            // keepalived takes the names of a second one for keywords.
            let message = format!("`group` was given in {}", sink.place(first));
            sink.error_help(list.line_span(), message, "put all names into one `group { .. }`");
        }
        self.list = Some(list.line_span());
        for word in entry_words(sink, list) {
            if self.members.insert(word.text.clone(), word.clone()).is_err() {
                sink.warning(word.span, format!("`{}` is in the group twice: ignored", word.text));
            }
        }
    }
}

/// Its members are those that are in the file; which of them are usable is not known yet. `global` has
/// what the group does not say.
pub(super) fn finish(
    sink: &mut Sink,
    built: &Built<Draft>,
    blocks: &Blocks,
    global: &global::Draft,
) -> SyncGroup {
    let draft = &built.value;
    let members = statics::find_members(sink, &draft.members, blocks);
    let script = |one| track::find_script(sink, &blocks.scripts, one);
    let track_scripts = draft.tracks.scripts.iter().filter_map(script).collect();
    let process = |one| track::find_process(sink, &blocks.processes, one);
    let track_processes = draft.tracks.processes.iter().filter_map(process).collect();
    let unit = |one| track::find_unit(sink, &blocks.units, one);
    let track_units = draft.tracks.units.iter().filter_map(unit).collect();
    let file = |one| track::find_file(sink, &blocks.files, one);
    let track_files = draft.tracks.files.iter().filter_map(file).collect();
    let clock = |one| track::find_clock(sink, &blocks.clocks, one);
    let track_clocks = draft.tracks.clocks.iter().filter_map(clock).collect();
    SyncGroup {
        name: built.name.text.clone(),
        members,
        notify: draft.notify.finish(global.notify_priority_changes),
        track_interfaces: draft.tracks.interfaces.iter().map(|one| one.interface(sink)).collect(),
        track_scripts,
        track_processes,
        track_units,
        track_files,
        track_clocks,
        tracking_weight: draft.tracking_weight,
        smtp_alert: draft.smtp_alert.unwrap_or(global.sends_mails()),
        inactive: draft.inactive.clone(),
        place: sink.place(built.name.span),
    }
}
