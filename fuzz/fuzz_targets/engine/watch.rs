//! An engine under watch: what must hold after each step, whatever it was told. It knows the engine only
//! from outside: actions, states, deadlines.

use std::{fmt::Write as _, time::Duration};

use ha_core::{
    Action, Actions, Config, Engine, Input, InstanceId, Instant, Rejection, Reload, State,
    Transition,
    story::{KeptInput, Names, Told, Writer, play},
};

use crate::reload::Untouched;

/// Any actions that one instance may need in one step: a Master's release and return, told to all.
const ACTIONS_MAX_EACH: usize = 12;
/// Deadlines that one instance may have at one moment, one after the other.
const FIRED_MAX_EACH: usize = 8;

pub(crate) struct Watched {
    engine: Engine,
    config: Config,
    /// Numbers that nobody has.
    retired: Vec<InstanceId>,
    now: Instant,
    is_started: bool,
    instances: Vec<Seen>,
    actions: Actions,
    /// The steps so far, as a daemon would record them.
    record: Option<String>,
    writer: Writer,
}

/// An instance as its actions show it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    state: State,
    /// It was made anew, and tells nothing of what it begins with.
    is_new: bool,
    has_addresses: bool,
    priority: u8,
    adverts_sent: u64,
}

impl Seen {
    fn new(priority: u8) -> Self {
        let (state, has_addresses) = (State::Init, false);
        Self { state, is_new: false, has_addresses, priority, adverts_sent: 0 }
    }

    fn is_active(&self) -> bool {
        matches!(self.state, State::Backup | State::Master)
    }
}

impl Watched {
    pub(crate) fn new(config: Config, is_recorded: bool) -> Self {
        let instances = config.instances.iter().map(|it| Seen::new(it.priority.as_u8())).collect();
        let now = Instant::from_nanos(1_000_000_000);
        let writer = Writer::new(Names::default(), Instant::default());
        let record = is_recorded.then(|| format!("recorded\n{}", writer.config(&config)));
        let (engine, actions) = (Engine::new(config.clone()), Actions::default());
        let (is_started, retired) = (false, Vec::new());
        Self { engine, config, retired, now, is_started, instances, actions, record, writer }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn wait_for_deadline(&mut self, late: Duration) {
        if let Some(deadline) = self.engine.next_deadline() {
            self.now = self.now.max(deadline.at + late);
        }
    }

    /// All that is due. It comes to an end, and then nothing is due any more.
    pub(crate) fn fire(&mut self, stamp: Option<Instant>) {
        let limit = FIRED_MAX_EACH * (self.instances.len() + 1);
        let mut fired = 0;
        while let Some(deadline) = self.engine.next_deadline().filter(|due| due.at <= self.now) {
            let heard = deadline.takeover.and(stamp);
            self.handle(Input::Deadline { heard });
            fired += 1;
            assert!(fired <= limit, "{fired} deadlines at one moment, the last: {deadline:?}");
        }
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) {
        match input {
            Input::Start => self.is_started = true,
            Input::Shutdown => self.is_started = false,
            _ => {}
        }
        if let Some(record) = &mut self.record {
            let kept = KeptInput::from(input);
            writeln!(record, "{}", self.writer.input(self.now, &kept.as_input())).expect("memory");
        }
        self.actions.clear();
        self.engine.handle(self.now, input, &mut self.actions);
        let actions = self.actions.as_slice();
        let is_refused = actions.iter().any(|action| matches!(action, Action::Rejected { .. }));
        // An owner that ignores what others say still takes notice of a second one.
        let takes_notice = actions.iter().all(|action| match action {
            Action::Rejected { reason, .. } => *reason == Rejection::Owner,
            action => matches!(action, Action::Noticed { .. }),
        });
        assert!(!is_refused || actions.len() == 1 || takes_notice, "{input:?}: {actions:?}");
        self.check(&input);
    }

    /// Stops what cannot go on; whoever can does not notice.
    pub(crate) fn stop_for(&mut self, reload: &Reload) {
        if let Some(record) = &mut self.record {
            write!(record, "{}", self.writer.next(reload)).expect("memory");
            writeln!(record, "{}", self.writer.stop_for(self.now)).expect("memory");
        }
        let untouched = self.untouched(reload);
        self.actions.clear();
        self.engine.stop_for(reload, &mut self.actions);
        self.check(reload);
        untouched.check(&self.engine, self.actions.as_slice());
    }

    /// Goes on with another configuration.
    pub(crate) fn reload(&mut self, reload: &Reload) {
        if let Some(record) = &mut self.record {
            writeln!(record, "{}", self.writer.reload(self.now)).expect("memory");
        }
        let untouched = self.untouched(reload);
        // Something in between may have started them again.
        self.actions.clear();
        self.engine.stop_for(reload, &mut self.actions);
        self.check(reload);
        for seen in &mut self.instances {
            seen.is_new = seen.state == State::Init;
        }
        let known = self.instances.len();
        let new = reload.config.instances.iter().skip(known);
        let seen = |priority| Seen { is_new: true, ..Seen::new(priority) };
        self.instances.extend(new.map(|one| seen(one.priority.as_u8())));
        self.config = reload.config.clone();
        self.retired.clone_from(&reload.retired);
        self.actions.clear();
        self.engine.reload(self.now, reload.clone(), &mut self.actions);
        for (id, seen) in (0..).map(InstanceId).zip(&mut self.instances) {
            if seen.is_new {
                let instance = self.engine.instance(id).expect("configured");
                // Those of this step are counted when the actions are followed: an owner's, say.
                let is_its = |action: &&Action| matches!(action, Action::Advertise { instance, .. } if *instance == id);
                let sent = self.actions.as_slice().iter().filter(is_its).count();
                let sent = u64::try_from(sent).expect("few");
                seen.adverts_sent = instance.statistics().adverts_sent - sent;
                let mut actions = self.actions.as_slice().iter();
                let told = actions.find_map(|action| match *action {
                    Action::Priority { instance, from, .. } if instance == id => Some(from),
                    _ => None,
                });
                seen.priority = told.unwrap_or(instance.priority());
                seen.is_new = false;
            }
        }
        self.check(reload);
        untouched.check(&self.engine, self.actions.as_slice());
    }

    fn untouched(&self, reload: &Reload) -> Untouched {
        Untouched::new(&self.engine, &self.config, &self.retired, reload)
    }

    fn record_actions(&mut self, actions: &[Action]) {
        let Some(record) = &mut self.record else { return };
        for action in actions {
            writeln!(record, "{}", self.writer.action(self.now, action)).expect("memory");
        }
    }

    /// What must hold after each step.
    fn check(&mut self, input: &dyn std::fmt::Debug) {
        let before = self.instances.clone();
        let actions = std::mem::take(&mut self.actions);
        self.record_actions(actions.as_slice());
        let limit = ACTIONS_MAX_EACH * (before.len() + 1);
        assert!(actions.as_slice().len() <= limit, "{input:?}: {actions:?}");
        for action in actions.as_slice() {
            self.follow(action);
        }
        for (id, before) in (0..).map(InstanceId).zip(&before) {
            self.check_instance(id, before, actions.as_slice());
        }
        for group in &self.config.groups {
            let states: Vec<State> = group.members.iter().map(|id| self.seen(*id).state).collect();
            assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{input:?}: {states:?}");
        }
        let is_idle = self.instances.iter().all(|seen| !seen.is_active());
        let is_init = self.instances.iter().all(|seen| seen.state == State::Init);
        let deadline = self.engine.next_deadline();
        // The end of the start-up delay may be waited for in Init, and nothing else.
        assert!(deadline.is_none() || !is_idle || is_init, "{input:?}: {deadline:?}");
        assert!(self.is_started || is_init && deadline.is_none(), "{input:?}: {deadline:?}");
        self.actions = actions;
    }

    /// The record, played again, has the same decisions.
    pub(crate) fn check_record(&self) {
        let Some(record) = &self.record else { return };
        let played = play(record, &mut |told| {
            assert!(matches!(told, Told::Line(_) | Told::Decision(_)), "{told:?} in\n{record}");
        });
        assert_eq!(played, Ok(()), "{record}");
    }

    /// What an action says about its instance.
    fn follow(&mut self, action: &Action) {
        match *action {
            Action::Transition(Transition { instance, from, to, .. }) => {
                let seen = self.seen_mut(instance);
                assert_eq!(seen.state, from, "{action:?}");
                assert_ne!(from, to, "{action:?}");
                seen.state = to;
            }
            Action::Addresses { instance, present } => {
                self.seen_mut(instance).has_addresses = present;
            }
            Action::Priority { instance, from, to } => {
                let seen = self.seen_mut(instance);
                assert_eq!(seen.priority, from, "{action:?}");
                assert_ne!(from, to, "{action:?}");
                seen.priority = to;
            }
            Action::Advertise { instance, priority } => {
                let seen = self.seen_mut(instance);
                seen.adverts_sent += 1;
                assert!(priority == 0 || priority == seen.priority, "{action:?}");
            }
            Action::Announce { instance, repeat } => {
                assert!(repeat > 0, "{action:?}");
                assert!(self.seen(instance).has_addresses, "{action:?}: they are somebody else's");
            }
            Action::Notify(_)
            | Action::Rejected { .. }
            | Action::Noticed { .. }
            | Action::Restoring { .. }
            | Action::Late { .. } => {}
        }
    }

    fn check_instance(&self, id: InstanceId, before: &Seen, actions: &[Action]) {
        let seen = self.seen(id);
        let instance = self.engine.instance(id).expect("configured");
        assert_eq!(instance.state(), seen.state, "{id:?}: every change is told");
        assert_eq!(instance.priority(), seen.priority, "{id:?}: every change is told");
        assert_eq!(instance.statistics().adverts_sent, seen.adverts_sent, "{id:?}");
        // The addresses are where the Master is.
        assert_eq!(seen.has_addresses, seen.state == State::Master, "{id:?}: {actions:?}");
        // A Backup waits for something, a Master too; Init and Fault for nothing.
        assert_eq!(self.engine.deadline(id).is_some(), seen.is_active(), "{id:?}: {seen:?}");
        for action in actions {
            if let Action::Advertise { instance, priority } = *action
                && instance == id
            {
                let is_master = if priority == 0 { before.state } else { seen.state };
                let may = is_master == State::Master || before.state == State::Master;
                assert!(may, "{action:?} in {before:?}, then {seen:?}");
            }
        }
    }

    fn seen(&self, id: InstanceId) -> &Seen {
        self.instances.get(index(id)).expect("configured")
    }

    fn seen_mut(&mut self, id: InstanceId) -> &mut Seen {
        self.instances.get_mut(index(id)).expect("configured")
    }
}

fn index(id: InstanceId) -> usize {
    usize::try_from(id.0).expect("64 bits")
}
