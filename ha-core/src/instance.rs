//! One virtual router: what it remembers, and the arithmetic of RFC 9568 §6.1.

use core::{net::IpAddr, time::Duration};

use crate::{
    Cause, Event, InstanceConfig, Instant, Rejection, State, TrackerId, Verdict, Version,
    config::{Effect, Track},
    expect::Said,
    peers::Peers,
    restore::Removals,
    wire::Dialect,
};

/// Counts of one virtual router since the engine was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Valid advertisements, absorbed ones included.
    pub adverts_received: u64,
    /// Valid advertisements that said nothing new, and were not read.
    pub adverts_absorbed: u64,
    /// Advertisements asked for, those with priority 0 included.
    pub adverts_sent: u64,
    /// Times it became Master.
    pub became_master: u64,
    /// Times it stopped being Master.
    pub released_master: u64,
    /// Advertisements with priority 0 received.
    pub priority_zero_received: u64,
    /// Advertisements with priority 0 asked for.
    pub priority_zero_sent: u64,
    /// Frames that passed the stateless checks and were refused here, by [`Rejection::kind`].
    pub rejected: [u32; Rejection::NAMES.len()],
    /// Takeovers put off because the kernel had stamped a frame that was not read yet.
    pub saved_by_stamp: u64,
    /// Times it was late and listened before it acted.
    pub late: u64,
    /// Routers whose ways were forgotten for those heard later.
    pub peers_forgotten: u64,
    /// Times somebody else removed its virtual addresses.
    pub addresses_removed: u64,
}

/// Whether an instance may run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Condition {
    /// Something it depends on has not been looked at yet.
    Unknown,
    /// Everything it depends on is there.
    Ready,
    /// Something it depends on has failed.
    Faulty(Cause),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Unknown,
    Missing,
    Known(IpAddr),
}

/// Why a Backup would take over at its deadline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Prospect {
    /// No advertisement that counts.
    Silence,
    /// The Master said priority 0.
    Stop,
    /// Only advertisements of a lower priority.
    Lower,
}

/// Which announcements a Master sends next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Round {
    /// Those after `garp_master_delay`.
    Second,
    /// Those `garp_lower_prio_delay` after an advertisement of lower priority.
    LowerPrio,
    /// Those every `garp_master_refresh`.
    Refresh,
}

/// A virtual router's state, open to be read.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct Instance {
    pub(crate) config: InstanceConfig,
    /// Place in the engine's groups: an instance of no sync group has a group of its own.
    pub(crate) group: usize,
    pub(crate) state: State,
    pub(crate) priority: u8,
    pub(crate) source: Source,
    pub(crate) addresses_usable: bool,
    /// Everything it depends on was there when that was looked at last.
    pub(crate) is_ready: bool,
    /// `Active_Adver_Interval`: the Master's, learned in `VRRPv3`; the own one while Master.
    pub(crate) master_interval: Duration,
    pub(crate) master: Option<(IpAddr, u8)>,
    /// The last advertisement that counted, by the kernel's stamp.
    pub(crate) heard: Option<Instant>,
    /// Stamp of the last frame whose content was seen, whether it counted or not.
    pub(crate) seen: Option<Instant>,
    /// The deadline before it was moved for a stamp whose content has not been seen.
    pub(crate) held_back: Option<Instant>,
    pub(crate) prospect: Prospect,
    /// Its own `Active_Down_Timer` has fired; it waits for the other members of its group.
    pub(crate) wants_master: bool,
    /// Its deadline when it last wanted to take over.
    pub(crate) took_over_at: Option<Instant>,
    /// It was late and listens before it acts.
    pub(crate) listening: bool,
    /// When it last answered another Master.
    pub(crate) answered: Option<Instant>,
    /// When its scripts were last told of another Master that has to yield.
    pub(crate) told_of_lower: Option<Instant>,
    pub(crate) next_round: Round,
    /// `preempt_delay`: until then a Master of lower priority counts as Master.
    pub(crate) tolerates_until: Option<Instant>,
    /// What was said last that counted for a Backup.
    pub(crate) said: Option<Said>,
    /// By an operator.
    pub(crate) is_demoted: bool,
    pub(crate) removals: Removals,
    pub(crate) peers: Peers,
    pub(crate) statistics: Statistics,
}

impl Instance {
    pub(crate) fn new(mut config: InstanceConfig, group: usize) -> Self {
        config.addresses.sort_unstable();
        Self {
            group,
            state: State::Init,
            priority: config.priority.as_u8(),
            source: Source::Unknown,
            addresses_usable: true,
            is_ready: false,
            master_interval: config.interval.as_duration(),
            master: None,
            heard: None,
            seen: None,
            held_back: None,
            prospect: Prospect::Silence,
            wants_master: false,
            took_over_at: None,
            listening: false,
            answered: None,
            told_of_lower: None,
            next_round: Round::Second,
            tolerates_until: None,
            said: None,
            is_demoted: false,
            removals: Removals::default(),
            peers: Peers::default(),
            statistics: Statistics::default(),
            config,
        }
    }

    /// Where its state machine is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Effective priority: the configured one, moved by weighted trackers; 1 while it is demoted.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// The priority that weights are added to.
    #[must_use]
    pub fn base_priority(&self) -> u8 {
        self.config.priority.as_u8()
    }

    /// The address it sends from, as far as it was told.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        match self.source {
            Source::Known(address) => Some(address),
            Source::Unknown | Source::Missing => None,
        }
    }

    /// The Master it heard last, and that Master's priority.
    #[must_use]
    pub fn master(&self) -> Option<(IpAddr, u8)> {
        self.master
    }

    /// The advertisement interval of the Master, learned in `VRRPv3`; the own one while Master.
    #[must_use]
    pub fn master_interval(&self) -> Duration {
        self.master_interval
    }

    /// When the last advertisement that counted came, by the kernel's stamp.
    #[must_use]
    pub fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// The deadline at which it last took over, or wanted to: `Active_Down_Timer`'s.
    #[must_use]
    pub fn took_over_at(&self) -> Option<Instant> {
        self.took_over_at
    }

    /// Whether it was late and listens before it acts again.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.listening
    }

    /// What the Master's checksums cover, in `VRRPv3` over IPv4.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        let (source, _) = self.master?;
        self.peers.dialect(source)
    }

    /// Counts since the engine was made, or since they were cleared.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.config.priority.is_owner()
    }

    /// `Skew_Time` (V-6.1-2): in `VRRPv2` a fraction of a second, in `VRRPv3` of the interval.
    pub(crate) fn skew_time(&self) -> Duration {
        let scale = match self.config.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.master_interval,
        };
        scale * (256 - u32::from(self.priority)) / 256
    }

    /// The skew time of the best Backup there can be, by this Master's interval.
    pub(crate) fn shortest_skew_time(&self) -> Duration {
        match self.config.version {
            Version::V2 => Duration::from_secs(1) / 256,
            Version::V3 => self.config.interval.as_duration() / 256,
        }
    }

    /// `Active_Down_Interval` (V-6.1-3).
    pub(crate) fn master_down_interval(&self) -> Duration {
        self.master_interval * self.config.down_adverts + self.skew_time()
    }

    /// How long a Backup that was late listens before it takes over: a living Master advertises in
    /// that time.
    pub(crate) fn listening_time(&self) -> Duration {
        self.master_interval + self.skew_time()
    }

    /// How long after a Master's deadline to advertise the most impatient Backup still waits.
    ///
    /// The last advertisement went out one interval before that deadline, and a Backup's skew
    /// time may be next to nothing. One interval at least, although Backups with
    /// `down_timer_adverts 1` wait less: every timer fires a little late.
    pub(crate) fn patience(&self) -> Duration {
        self.config.interval.as_duration() * self.config.down_adverts.saturating_sub(1).max(1)
    }

    /// Whether a Backup accepts an advertisement of this priority as its Master's (V-6.4.2-9).
    /// The owner preempts always (V-6.1-4).
    pub(crate) fn yields_to(&self, priority: u8) -> bool {
        priority >= self.priority || !self.config.preempt && !self.is_owner()
    }

    /// Whether a router of this priority had reason to take a silent Master's place and to keep it
    /// for now: one that a Backup would not preempt at once.
    pub(crate) fn may_be_replaced_by(&self, priority: u8) -> bool {
        self.yields_to(priority) || !self.config.preempt_delay.is_zero() && !self.is_owner()
    }

    /// Whether a lower priority Master still counts as Master: `preempt_delay` runs from its first
    /// advertisement.
    pub(crate) fn tolerates(&mut self, heard: Instant) -> bool {
        let delay = self.config.preempt_delay;
        if delay.is_zero() || self.is_owner() {
            return false;
        }
        heard < *self.tolerates_until.get_or_insert(heard + delay)
    }

    /// Whether this Master's last advertisement was about one interval ago: it is no newcomer.
    pub(crate) fn is_steady(&self, source: IpAddr, heard: Instant) -> bool {
        let is_known = self.master.is_some_and(|(master, _)| master == source);
        let gap = self.heard.map(|before| heard.since(before));
        let range = self.master_interval / 2..=self.master_interval * 2;
        is_known && gap.is_some_and(|gap| range.contains(&gap))
    }

    /// Whether a Master gives way to another one (V-6.4.3-10).
    pub(crate) fn loses_to(&self, priority: u8, source: IpAddr) -> bool {
        match self.source {
            Source::Known(own) => {
                priority > self.priority || priority == self.priority && source > own
            }
            Source::Unknown | Source::Missing => priority >= self.priority,
        }
    }

    pub(crate) fn condition(&self, trackers: &[Option<Verdict>]) -> Condition {
        if self.source == Source::Missing {
            return Condition::Faulty(Cause::NoSource);
        }
        if !self.addresses_usable {
            return Condition::Faulty(Cause::AddressesFailed);
        }
        let mut is_known = self.source != Source::Unknown;
        for &track in &self.config.tracks {
            match effect(track, trackers) {
                Some(Effect::Weight(_)) => {}
                Some(Effect::Fault) => return Condition::Faulty(Cause::TrackerDown(track.tracker)),
                None => is_known &= track.weight != 0,
            }
        }
        if is_known { Condition::Ready } else { Condition::Unknown }
    }

    /// What it depends on and nobody has looked at yet.
    pub(crate) fn unknown_tracker(&self, trackers: &[Option<Verdict>]) -> Option<TrackerId> {
        let mut needed = self.config.tracks.iter().filter(|track| track.weight == 0);
        needed.find(|track| effect(**track, trackers).is_none()).map(|track| track.tracker)
    }

    /// The configured priority moved by the weights of what is tracked, within 1 to 254; 1 while it is
    /// demoted.
    pub(crate) fn weighted_priority(&self, trackers: &[Option<Verdict>]) -> u8 {
        let base = self.config.priority.as_u8();
        if self.is_demoted && !self.is_owner() {
            return 1;
        }
        let weights = self.weights(trackers).map(|(_, weight)| weight);
        let sum = weights.fold(i32::from(base), i32::saturating_add);
        if self.is_owner() { base } else { u8::try_from(sum.clamp(1, 254)).unwrap_or(base) }
    }

    /// What moves the priority, and by how much.
    pub(crate) fn weights(
        &self,
        trackers: &[Option<Verdict>],
    ) -> impl Iterator<Item = (TrackerId, i32)> {
        let tracks = if self.is_owner() { &[] } else { self.config.tracks.as_slice() };
        tracks.iter().filter_map(|&track| match effect(track, trackers)? {
            Effect::Weight(weight) if weight != 0 => Some((track.tracker, weight)),
            Effect::Weight(_) | Effect::Fault => None,
        })
    }
}

fn effect(track: Track, trackers: &[Option<Verdict>]) -> Option<Effect> {
    let index = usize::try_from(track.tracker.0).ok()?;
    let verdict = trackers.get(index).copied().flatten()?;
    Some(track.effect(verdict))
}

impl State {
    pub(crate) fn event(self) -> Option<Event> {
        match self {
            Self::Init => None,
            Self::Backup => Some(Event::Backup),
            Self::Master => Some(Event::Master),
            Self::Fault => Some(Event::Fault),
        }
    }
}
