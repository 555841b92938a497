//! What a reload is to each instance, by the two files: this, and not the engine, says who goes on.

use std::cmp::Ordering;

use ha_core::{Action, Config, InstanceId, Instant, Notify, Reload, State, Subject, Transition};

use crate::{
    checker::{Step, Violation},
    plan::{File, RouterPlan},
    router::{id, index},
    story::letter,
};

/// What becomes of an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// Nothing about it is different: it does not notice.
    Untouched,
    /// It goes on with other settings; if it `waits_alike`, with the same times, but for what its
    /// priority makes of them.
    InPlace { waits_alike: bool },
    /// It stops, and starts again, or for the first time.
    Anew,
    /// It is not in the file.
    Gone,
}

pub(crate) struct Reloading {
    pub(crate) reload: Reload,
    pub(crate) fates: Vec<Fate>,
}

impl Reloading {
    /// From one file to the next; `known` instances have had numbers so far.
    pub(crate) fn new(plan: &RouterPlan, [before, next]: [&File; 2], known: usize) -> Self {
        let all = 0..next.config.instances.len();
        let configs = |instance: usize| [before, next].map(|file| &file.config.instances[instance]);
        let is_other = all.clone().any(|instance| {
            let [before_config, next_config] = configs(instance);
            before_config != next_config || before.has(instance) != next.has(instance)
        });
        let mut reload = Reload { config: next.config.clone(), ..Reload::default() };
        reload.config.instances.truncate(known.max(all.end - usize::from(next.lacks_last)));
        if is_other {
            reload.new_trackers.clone_from(&plan.new_trackers);
            reload.restart.clone_from(&plan.restart);
            reload.restart.retain(|id| next.has(index(*id)));
        }
        let known = 0..reload.config.instances.len();
        reload.retired = known.filter(|one| !next.has(*one)).map(id).collect();
        let goes_on = |one: &usize| before.has(*one) && next.has(*one);
        let others = all.clone().filter(goes_on).filter(|one| {
            let [before, next] = configs(*one);
            before.addresses != next.addresses
        });
        reload.readdressed = others.map(id).collect();

        // Whoever is in another sync group, or of an owner's priority that it did not have before.
        let is_anew = |one: usize| {
            let [before_config, next_config] = configs(one);
            !goes_on(&one)
                || reload.restart.contains(&id(one))
                || before.members(one) != next.members(one)
                || before_config.priority.is_owner() != next_config.priority.is_owner()
        };
        let fate = |one: usize| {
            let [before_config, next_config] = configs(one);
            let is_same = before_config == next_config && reload.new_trackers.is_empty();
            match () {
                () if !next.has(one) => Fate::Gone,
                () if before.members(one).into_iter().any(is_anew) => Fate::Anew,
                () if is_same => Fate::Untouched,
                () => Fate::InPlace { waits_alike: before_config.interval == next_config.interval },
            }
        };
        let fates = all.map(fate).collect();
        Self { reload, fates }
    }
}

/// Who goes on keeps its state, and its timer as far as its settings are the same.
pub(crate) fn check(
    step: &Step<'_>,
    timers: &[Option<Instant>],
    priorities: &[u8],
) -> Result<(), Violation> {
    for (instance, fate) in step.fates.iter().enumerate() {
        let (before, after) = (step.before[instance], step.after[instance]);
        let (due_before, due) = (timers[instance], step.timers[instance]);
        let is_right = match fate {
            Fate::Untouched => {
                let is_told_of = |action: &Action| concerns(step.config, action, instance);
                before == after && due_before == due && !step.actions.iter().any(is_told_of)
            }
            Fate::InPlace { .. } if before != after => false,
            Fate::InPlace { .. } if before == State::Master => {
                // A shorter interval counts from now on, a longer one after the next advertisement.
                let interval = step.config.instances[instance].interval.as_duration();
                let next = step.local + interval;
                due == due_before.map(|due| due.min(next))
                    || due == Some(next) && is_late(step, instance)
            }
            Fate::InPlace { waits_alike } => {
                // V-6.1-2: the higher the priority, the shorter the skew time.
                let priority = priority_after(step, instance).unwrap_or(priorities[instance]);
                let is_running = before == State::Backup;
                let order =
                    if is_running { priorities[instance].cmp(&priority) } else { Ordering::Equal };
                !waits_alike || due.cmp(&due_before) == order
            }
            Fate::Anew => matches!(after, State::Init | State::Fault),
            Fate::Gone => after == State::Init,
        };
        if !is_right {
            let text = format!(
                "{} instance {instance}, {fate:?}: {before} due {due_before:?}, then {after} due \
                 {due:?}",
                letter(step.router)
            );
            return Err(Violation::new("reload", text));
        }
    }
    Ok(())
}

/// The effective priority, if it has changed.
fn priority_after(step: &Step<'_>, instance: usize) -> Option<u8> {
    step.actions.iter().rev().find_map(|action| match *action {
        Action::Priority { instance: other, to, .. } if index(other) == instance => Some(to),
        _ => None,
    })
}

/// It was too late to announce anything at once.
fn is_late(step: &Step<'_>, instance: usize) -> bool {
    let is_it = |id: InstanceId| index(id) == instance;
    let mut actions = step.actions.iter();
    actions.any(|action| matches!(action, Action::Late { instance, .. } if is_it(*instance)))
}

/// Whether an action is about the instance, or its sync group.
fn concerns(config: &Config, action: &Action, instance: usize) -> bool {
    let subject = match *action {
        Action::Advertise { instance, .. }
        | Action::Addresses { instance, .. }
        | Action::Announce { instance, .. }
        | Action::Transition(Transition { instance, .. })
        | Action::Priority { instance, .. }
        | Action::Rejected { instance, .. }
        | Action::Noticed { instance, .. }
        | Action::Restoring { instance, .. }
        | Action::Late { instance, .. } => Subject::Instance(instance),
        Action::Notify(Notify { subject, .. }) => subject,
    };
    match subject {
        Subject::Instance(other) => index(other) == instance,
        Subject::Group(group) => {
            let group = usize::try_from(group.0).ok().and_then(|group| config.groups.get(group));
            group.is_some_and(|group| group.members.contains(&id(instance)))
        }
    }
}
