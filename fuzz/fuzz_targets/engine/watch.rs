//! An engine under watch: what must hold after each step, whatever it was told. It knows the engine only
//! from outside: actions, states, deadlines.

use std::{fmt::Write as _, time::Duration};

use ha_core::{
    Action, Actions, Config, Engine, GroupConfig, Input, InstanceId, Instant, State, Transition,
    story::{KeptInput, Names, Told, Writer, play},
};

/// Any actions that one instance may need in one step: a Master's release and return, told to all.
const ACTIONS_MAX_EACH: usize = 12;
/// Deadlines that one instance may have at one moment, one after the other.
const FIRED_MAX_EACH: usize = 8;

pub(crate) struct Watched {
    engine: Engine,
    groups: Vec<GroupConfig>,
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
    has_addresses: bool,
    priority: u8,
    adverts_sent: u64,
}

impl Seen {
    fn is_active(&self) -> bool {
        matches!(self.state, State::Backup | State::Master)
    }
}

impl Watched {
    pub(crate) fn new(config: Config, is_recorded: bool) -> Self {
        let seen =
            |priority| Seen { state: State::Init, has_addresses: false, priority, adverts_sent: 0 };
        let instances = config.instances.iter().map(|it| seen(it.priority.as_u8())).collect();
        let groups = config.groups.clone();
        let now = Instant::from_nanos(1_000_000_000);
        let writer = Writer::new(Names::default(), Instant::default());
        let record = is_recorded.then(|| format!("recorded\n{}", writer.config(&config)));
        let (engine, actions) = (Engine::new(config), Actions::default());
        Self { engine, groups, now, is_started: false, instances, actions, record, writer }
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
        let before = self.instances.clone();
        self.actions.clear();
        self.engine.handle(self.now, input, &mut self.actions);
        let actions = std::mem::take(&mut self.actions);
        if let Some(record) = &mut self.record {
            let kept = KeptInput::from(input);
            writeln!(record, "{}", self.writer.input(self.now, &kept.as_input())).expect("memory");
            for action in actions.as_slice() {
                writeln!(record, "{}", self.writer.action(self.now, action)).expect("memory");
            }
        }
        let limit = ACTIONS_MAX_EACH * (before.len() + 1);
        assert!(actions.as_slice().len() <= limit, "{input:?}: {actions:?}");
        let is_refused =
            actions.as_slice().iter().any(|action| matches!(action, Action::Rejected { .. }));
        assert!(!is_refused || actions.as_slice().len() == 1, "{input:?}: {actions:?}");
        for action in actions.as_slice() {
            self.follow(action);
        }
        for (id, before) in (0..).map(InstanceId).zip(&before) {
            self.check_instance(id, before, actions.as_slice());
        }
        for group in &self.groups {
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
