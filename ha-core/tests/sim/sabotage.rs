//! What is broken on purpose, to see that the checker notices which is there for it.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use ha_core::{
    Action, Actions, Config, Engine, Input, InstanceId, Instant, Reload, State, Verdict,
};

use crate::{checker::Kind, cue::Cue, plan::VITAL, router::id};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sabotage {
    None,
    /// The host does not remove addresses.
    KeepsAddresses,
    /// The daemon does not look after addresses that somebody removed.
    LeavesHoles,
    /// The first router does not hear anybody.
    Deaf,
    /// Nobody ever takes over.
    Meek,
    /// Nobody preempts, although configured to.
    Lazy,
    /// Nobody waits for `preempt_delay`.
    Hasty,
    /// The daemon does not read the kernel's stamps.
    Unstamped,
    /// Who wakes up does not know what came meanwhile.
    Dreams,
    /// The daemon does not tell the engine how late it is.
    Punctual,
    /// Nobody hears that a Master stops.
    Unstopped,
    /// Nobody knows the own address.
    Unknown,
    /// Nobody answers frames.
    Mute,
    /// Everybody waits for one advertisement more.
    Patient,
    /// Nobody waits for the start-up delay.
    Eager,
    /// Whoever hears an advertisement sends two.
    Chatty,
    /// Whoever hears an advertisement sends one.
    Echoes,
    /// An instance in Fault advertises.
    TalksInFault,
    /// An instance in Fault has a timer.
    KeepsTimer,
    /// The engine does not know of its sync group.
    Apart,
    /// A reload makes a new engine, which begins as the one before did.
    Forgetful,
    /// A reload starts every instance anew.
    Thorough,
    /// A timer that is over stays over.
    StuckTimer,
    /// The engine is not told of what was absorbed before it is told of other news.
    Careless,
    /// Who has absorbed a frame counts one more.
    Generous,
    /// Chance that does not come from the seed.
    Moody,
}

impl Sabotage {
    pub(crate) fn stops_timers(self, router: usize) -> bool {
        self == Self::StuckTimer && router == 0
    }

    /// Whether what the kernel absorbs is still known in spite of it.
    pub(crate) fn reads_slots(self) -> bool {
        !matches!(self, Self::Unstamped | Self::Dreams)
    }

    pub(crate) fn is_deaf(self, router: usize, priority: u8) -> bool {
        self == Self::Deaf && router == 0 || self == Self::Unstopped && priority == 0
    }

    pub(crate) fn address(self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) if self == Self::Unknown => (!address).into(),
            IpAddr::V6(address) if self == Self::Unknown => (!address).into(),
            IpAddr::V4(_) | IpAddr::V6(_) => address,
        }
    }

    pub(crate) fn miscounts(self, input: &mut Input<'_>) {
        if let Input::Heard { count, .. } = input
            && self == Self::Generous
        {
            *count += 1;
        }
    }

    pub(crate) fn swallows(self, cue: &Cue<'_>) -> bool {
        self == Self::LeavesHoles && matches!(cue, Cue::Input(Input::AddressesMissing { .. }))
    }

    pub(crate) fn configure(self, mut config: Config) -> Config {
        if self == Self::Apart {
            config.groups.clear();
        }
        if self == Self::Eager {
            config.startup_delay = Duration::ZERO;
        }
        for instance in &mut config.instances {
            match self {
                Self::Patient => instance.down_adverts += 1,
                Self::Lazy => instance.preempt = false,
                Self::Hasty => instance.preempt_delay = Duration::ZERO,
                _ => {}
            }
        }
        config
    }

    pub(crate) fn reload(
        self,
        engine: &mut Engine,
        now: Instant,
        mut reload: Reload,
        actions: &mut Actions,
    ) {
        if self == Self::Forgetful {
            let sources: Vec<_> = (0..)
                .map(InstanceId)
                .map_while(|id| Some((id, engine.instance(id)?.source())))
                .collect();
            *engine = Engine::new(reload.config);
            engine.handle(now, Input::Tracker { tracker: VITAL, verdict: Verdict::Up }, actions);
            for (instance, address) in sources {
                engine.handle(now, Input::Source { instance, address }, actions);
            }
            engine.handle(now, Input::Start, actions);
            actions.clear();
            return;
        }
        if self == Self::Thorough {
            reload.restart = (0..).take(reload.config.instances.len()).map(InstanceId).collect();
        }
        engine.reload(now, reload, actions);
    }

    pub(crate) fn spoil(self, kind: Kind, states: &[State], actions: &mut Vec<Action>) {
        static MOOD: AtomicU64 = AtomicU64::new(0);
        let advertise = Action::Advertise { instance: id(0), priority: 100 };
        let is_frame = matches!(kind, Kind::Frame(_));
        let is_master = states[0] == State::Master;
        match self {
            Self::Chatty if is_frame => actions.extend([advertise, advertise]),
            Self::Echoes if is_frame && is_master && actions.is_empty() => actions.push(advertise),
            Self::Mute if is_frame => {
                actions.retain(|action| !matches!(action, Action::Advertise { .. }));
            }
            Self::TalksInFault if states[0] == State::Fault => actions.push(advertise),
            Self::Moody if MOOD.fetch_add(1, Ordering::Relaxed) % 100 == 99 => {
                actions.push(Action::Announce { instance: id(0), repeat: 1 });
            }
            _ => {}
        }
    }
}
