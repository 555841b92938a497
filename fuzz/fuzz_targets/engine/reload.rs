//! Who must not notice a reload, by the two configurations; asked before it, and looked at after.

use ha_core::{Action, Config, Engine, InstanceId, Instant, Notify, Reload, Statistics, Subject};

pub(crate) struct Untouched(Vec<(InstanceId, Seen)>);

#[derive(Debug, Eq, PartialEq)]
struct Seen {
    state: ha_core::State,
    priority: u8,
    deadline: Option<Instant>,
    statistics: Statistics,
    heard: Option<Instant>,
}

impl Untouched {
    pub(crate) fn new(
        engine: &Engine,
        before: &Config,
        retired: &[InstanceId],
        reload: &Reload,
    ) -> Self {
        let next = &reload.config;
        let goes_on = |id: InstanceId| {
            let (old, new) = (at(before, id), at(next, id));
            !retired.contains(&id)
                && !reload.retired.contains(&id)
                && !reload.restart.contains(&id)
                && members(before, id) == members(next, id)
                && old.priority.is_owner() == new.priority.is_owner()
        };
        // Where a tracker is another one, everybody may look at it.
        let all = (0..).map(InstanceId).take(before.instances.len());
        let all = all.filter(|_| reload.new_trackers.is_empty());
        // What a member tracks from now on may have failed already, and faults all of its group.
        let tracks_the_same = |id: InstanceId| at(before, id).tracks == at(next, id).tracks;
        let is_same = |id: &InstanceId| {
            members(before, *id).into_iter().all(|id| goes_on(id) && tracks_the_same(id))
                && at(before, *id) == at(next, *id)
                && !reload.readdressed.contains(id)
        };
        Self(all.filter(is_same).map(|id| (id, Seen::of(engine, id))).collect())
    }

    pub(crate) fn check(&self, engine: &Engine, actions: &[Action]) {
        for (id, seen) in &self.0 {
            assert_eq!(&Seen::of(engine, *id), seen, "{id:?} has noticed a reload: {actions:?}");
            let is_told = |action: &Action| {
                matches!(
                    *action,
                    Action::Advertise { instance, .. }
                    | Action::Addresses { instance, .. }
                    | Action::Announce { instance, .. }
                    | Action::Notify(Notify { subject: Subject::Instance(instance), .. })
                        if instance == *id
                )
            };
            assert!(!actions.iter().any(is_told), "{id:?} has noticed a reload: {actions:?}");
        }
    }
}

impl Seen {
    fn of(engine: &Engine, id: InstanceId) -> Self {
        let instance = engine.instance(id).expect("configured");
        Self {
            state: instance.state(),
            priority: instance.priority(),
            deadline: engine.deadline(id),
            statistics: *instance.statistics(),
            heard: instance.heard(),
        }
    }
}

fn at(config: &Config, id: InstanceId) -> &ha_core::InstanceConfig {
    let place = usize::try_from(id.0).expect("64 bits");
    config.instances.get(place).expect("as many as before, at least")
}

/// The members of an instance's sync group, or itself.
fn members(config: &Config, id: InstanceId) -> Vec<InstanceId> {
    let group = config.groups.iter().find(|group| group.members.contains(&id));
    group.map_or_else(|| vec![id], |group| group.members.clone())
}
