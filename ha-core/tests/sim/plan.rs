//! What a run is made of, drawn from its seed before it starts: the routers and what befalls them.

use std::{net::Ipv4Addr, time::Duration};

use ha_core::{
    AdvertInterval, AnnouncePlan, Config, Family, GroupConfig, InstanceConfig, InstanceId, Instant,
    Priority, Track, TrackerId, Version, Vrid,
};

use crate::prng::Prng;

/// Fails an instance outright: an interface or a script without weight.
pub(crate) const VITAL: TrackerId = TrackerId(0);
/// Moves the priorities of all of a router's instances by [`WEIGHT`].
pub(crate) const WEIGHTED: TrackerId = TrackerId(1);
pub(crate) const WEIGHT: u8 = 60;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) routers: Vec<RouterPlan>,
    pub(crate) instances: usize,
    pub(crate) grouped: bool,
    /// Members of one router's group have priorities of their own: two groups may clash.
    pub(crate) is_uneven: bool,
    pub(crate) rounds: Vec<Round>,
    /// The longest interval that anybody sends in, and so what everybody's patience is made of.
    pub(crate) interval_max: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct RouterPlan {
    pub(crate) config: Config,
    pub(crate) address: Ipv4Addr,
    /// How late deadlines are handled in health.
    pub(crate) latency: Duration,
    /// Whether the daemon reads all records before it looks at its timers.
    pub(crate) reads_first: bool,
}

/// A time of disturbance, then a calm one.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) faults: Vec<Fault>,
    /// When all faults are over that are not to stay.
    pub(crate) calm: Instant,
    pub(crate) end: Instant,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) from: Instant,
    /// Some faults may last: what is left of the network is healthy all the same.
    pub(crate) until: Option<Instant>,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum FaultKind {
    /// So many frames of a hundred are lost.
    Loss(u64),
    /// Frames take up to so long.
    Delay(Duration),
    /// So many frames of a hundred come twice.
    Duplicates(u64),
    /// No frames between the router and the others, on one LAN or on all.
    Partition {
        router: usize,
        lan: Option<usize>,
    },
    /// No frames from one router to another, on all LANs.
    OneWay {
        from: usize,
        to: usize,
    },
    /// The daemon is stopped and started again, or killed and started again.
    Restart {
        router: usize,
        graceful: bool,
    },
    /// The daemon gets no CPU: the kernel still stamps and keeps.
    Sleep {
        router: usize,
    },
    /// The host gets no CPU: frames to it are lost.
    Freeze {
        router: usize,
    },
    /// The ring is full: frames are stamped, their content is lost.
    RingFull {
        router: usize,
    },
    VitalDown {
        router: usize,
    },
    WeightedDown {
        router: usize,
    },
    /// No link, and nobody tracks it: the router is alone.
    LinkDown {
        router: usize,
    },
    /// No address to send from.
    NoSource {
        router: usize,
        instance: usize,
    },
    /// The kernel refuses the virtual addresses.
    Refuses {
        router: usize,
        instance: usize,
    },
}

impl Plan {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut chance = Prng::new(seed);
        let instances = 1 + chance.index(2);
        let grouped = chance.percent(60);
        let is_uneven = grouped && chance.percent(25);
        let count = 2 + chance.index(2);
        let version = if chance.percent(25) { Version::V2 } else { Version::V3 };
        let base = match version {
            Version::V2 => 100,
            Version::V3 => chance.pick(&[1, 2, 10, 50, 100]),
        };
        let owner = chance.percent(15).then(|| chance.index(count));
        let habit = chance.index(3);
        let routers: Vec<_> = (0..count)
            .map(|router| {
                let preempt = [true, false, chance.percent(50)][habit];
                let is_owner = owner == Some(router);
                draw_router(
                    &mut chance,
                    router,
                    (instances, grouped, is_uneven),
                    (version, base),
                    preempt,
                    is_owner,
                )
            })
            .collect();
        let interval_max = routers
            .iter()
            .flat_map(|router| &router.config.instances)
            .map(|instance| instance.interval.as_duration())
            .max()
            .unwrap_or_default();
        let mut plan =
            Self { routers, instances, grouped, is_uneven, rounds: Vec::new(), interval_max };
        plan.draw_rounds(&mut chance);
        plan
    }

    /// How long the network may take to settle once nothing disturbs it.
    ///
    /// A late daemon listens for an interval and a skew time (2 intervals at most), then somebody's
    /// `Active_Down_Interval` ends (4 at most: 3, and a skew time of up to 1). Groups that clash
    /// need as long again for each time, and an interval of what they add.
    pub(crate) fn settling_time(&self) -> Duration {
        let intervals = if self.is_uneven { 6 + 8 * 5 } else { 6 };
        self.interval_max * intervals + Duration::from_millis(20)
    }

    /// How long two Masters that hear each other may take to find out: a late one listens for an
    /// interval, and the other's advertisement comes within another one.
    pub(crate) fn meeting_time(&self) -> Duration {
        self.interval_max * 2 + Duration::from_millis(5)
    }

    fn draw_rounds(&mut self, chance: &mut Prng) {
        let interval = self.interval_max;
        let mut start = Instant::default();
        for _ in 0..3 {
            let trouble = interval * u32::try_from(1 + chance.below(12)).expect("small");
            let mut calm = start + trouble;
            let faults = (0..chance.below(6))
                .map(|_| {
                    let kind = self.draw_fault(chance);
                    let from = start + random(chance, trouble);
                    let stays = kind.may_stay() && chance.percent(25);
                    let until = (!stays).then(|| from + random(chance, calm.since(from)));
                    Fault { from, until, kind }
                })
                .collect();
            // Frames that were sent during a delay are still on their way.
            calm = calm + interval * 2;
            let end = calm + self.settling_time() + interval * 6;
            self.rounds.push(Round { faults, calm, end });
            start = end;
        }
    }

    fn draw_fault(&self, chance: &mut Prng) -> FaultKind {
        let router = chance.index(self.routers.len());
        let instance = chance.index(self.instances);
        match chance.below(17) {
            0 => FaultKind::Loss(10 + chance.below(90)),
            1 => FaultKind::Delay(self.interval_max * 2),
            2 => FaultKind::Duplicates(50),
            3 => FaultKind::Partition { router, lan: Some(instance) },
            4 => FaultKind::Partition { router, lan: None },
            5 => FaultKind::OneWay {
                from: router,
                to: (router + 1 + chance.index(self.routers.len() - 1)) % self.routers.len(),
            },
            6 => FaultKind::Restart { router, graceful: true },
            7 => FaultKind::Restart { router, graceful: false },
            8..=10 => FaultKind::Sleep { router },
            11 => FaultKind::Freeze { router },
            12 => FaultKind::RingFull { router },
            13 => FaultKind::VitalDown { router },
            14 => FaultKind::WeightedDown { router },
            15 => FaultKind::LinkDown { router },
            _ if chance.percent(50) => FaultKind::NoSource { router, instance },
            _ => FaultKind::Refuses { router, instance },
        }
    }
}

impl FaultKind {
    /// Whether there is still exactly one right answer while it lasts.
    pub(crate) fn may_stay(self) -> bool {
        match self {
            Self::Partition { lan, .. } => lan.is_none(),
            Self::VitalDown { .. }
            | Self::WeightedDown { .. }
            | Self::LinkDown { .. }
            | Self::NoSource { .. } => true,
            Self::Loss(_)
            | Self::Delay(_)
            | Self::Duplicates(_)
            | Self::OneWay { .. }
            | Self::Restart { .. }
            | Self::Sleep { .. }
            | Self::Freeze { .. }
            | Self::RingFull { .. }
            // Nobody knows of it before the takeover: then the next one has to try.
            | Self::Refuses { .. } => false,
        }
    }
}

fn draw_router(
    chance: &mut Prng,
    router: usize,
    (instances, grouped, is_uneven): (usize, bool, bool),
    (version, base): (Version, u16),
    preempt: bool,
    is_owner: bool,
) -> RouterPlan {
    // A group's members should have one priority: one that wins here loses there, otherwise.
    let shared = chance.pick(&[1, 50, 99, 100, 100, 101, 150, 200, 254]);
    let configs = (0..instances).map(|instance| {
        let own = chance.pick(&[1, 50, 100, 100, 200, 254]);
        let priority = if is_owner {
            255
        } else if grouped && !is_uneven {
            shared
        } else {
            own
        };
        let factor = if version == Version::V3 && chance.percent(20) { 2 } else { 1 };
        InstanceConfig {
            vrid: Vrid::new(133 + u8::try_from(instance).expect("small")).expect("not 0"),
            version,
            family: Family::V4,
            priority: Priority::new(priority).expect("not 0"),
            interval: AdvertInterval::from_centis(base * factor).expect("in range"),
            preempt,
            down_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: chance.percent(10),
            announce: AnnouncePlan {
                repeat: 1,
                delay: Duration::from_millis(u64::from(base) * 50),
                lower_prio_repeat: 1,
                ..AnnouncePlan::default()
            },
            tracks: vec![
                Track { tracker: VITAL, weight: 0, reverse: false },
                Track { tracker: WEIGHTED, weight: -i16::from(WEIGHT), reverse: false },
            ],
            ..InstanceConfig::new(Vrid::new(133).expect("not 0"))
        }
    });
    let instances: Vec<_> = configs.collect();
    let members = (0..).map(InstanceId).take(instances.len()).collect();
    let groups = if grouped { vec![GroupConfig { members }] } else { Vec::new() };
    RouterPlan {
        config: Config { instances, groups, trackers: 2 },
        address: Ipv4Addr::new(192, 0, 2, 10 + u8::try_from(router).expect("small")),
        latency: Duration::from_nanos(chance.below(50_000)),
        reads_first: chance.percent(50),
    }
}

pub(crate) fn random(chance: &mut Prng, max: Duration) -> Duration {
    Duration::from_nanos(chance.below(u64::try_from(max.as_nanos()).expect("short")))
}
