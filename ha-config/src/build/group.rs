//! `vrrp_sync_group`.

use super::{
    Built, inactive, instance, notify,
    statement::{entry_words, supported},
    track,
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::Block,
    model::{Notify, Setting, SyncGroup},
    tree::{Statement, Word},
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) members: Vec<Word>,
    /// The first line of the `group` block.
    list: Option<Span>,
    notify: Notify,
    interfaces: Vec<track::Tracked>,
    pub(super) scripts: Vec<track::Tracked>,
    tracking_weight: bool,
    inactive: Vec<Setting>,
}

impl Draft {
    pub(super) fn read(sink: &mut Sink, block: &Statement) -> Self {
        let mut draft = Self::default();
        for (keyword, statement) in supported(sink, Block::Group, block.body()) {
            match keyword.name {
                "group" => draft.read_members(sink, statement),
                "track_interface" => track::read(sink, statement, &mut draft.interfaces),
                "track_script" => track::read(sink, statement, &mut draft.scripts),
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
                    if !notify::read(&mut draft.notify, sink, other, statement) {
                        inactive::keep(sink, keyword, statement, &mut draft.inactive);
                    }
                }
            }
        }
        if draft.members.is_empty() {
            sink.error(block.line_span(), "a `vrrp_sync_group` needs a `group { .. }` with names");
        } else if draft.members.len() == 1 {
            sink.warning(
                block.line_span(),
                "a `vrrp_sync_group` with one member has no effect on it",
            );
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
            if self.members.iter().any(|other| other.text == word.text) {
                sink.warning(word.span, format!("`{}` is in the group twice: ignored", word.text));
            } else {
                self.members.push(word.clone());
            }
        }
    }

    /// Its members are those that are in the file; which of them are usable is not known yet.
    pub(super) fn finish(
        &self,
        sink: &mut Sink,
        built: &Built<Self>,
        scripts: &track::Scripts<'_>,
        instances: &[Built<instance::Draft>],
    ) -> SyncGroup {
        let names = instances.iter().map(|instance| instance.name.text.as_str());
        let mut members = Vec::new();
        for member in &self.members {
            if names.clone().any(|name| name == member.text) {
                members.push(member.text.clone());
            } else {
                track::unknown(sink, member, "vrrp_instance", names.clone());
            }
        }
        SyncGroup {
            name: built.name.text.clone(),
            members,
            notify: self.notify.clone(),
            track_interfaces: self.interfaces.iter().map(|one| one.interface(sink)).collect(),
            track_scripts: self.scripts.iter().filter_map(|one| scripts.find(sink, one)).collect(),
            tracking_weight: self.tracking_weight,
            inactive: self.inactive.clone(),
            place: sink.place(built.name.span),
        }
    }
}
