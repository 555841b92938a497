//! What a run is made of, drawn from its seed before it starts: routers, and what befalls them when.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use ha_core::{
    AdvertInterval, AnnouncePlan, Config, Family, GroupConfig, InstanceConfig, InstanceId, Instant,
    Priority, Track, TrackerId, Version, Vrid,
};

use crate::{
    bounds,
    clock::Clock,
    fault::{Fault, FaultKind},
    prng::Prng,
    router::{id, index},
};

/// Fails an instance outright: an interface or a script without weight.
pub(crate) const VITAL: TrackerId = TrackerId(0);
/// Moves the priorities of all of a router's instances by [`WEIGHT`].
pub(crate) const WEIGHTED: TrackerId = TrackerId(1);
pub(crate) const WEIGHT: u8 = 60;

const ROUTERS_MAX: usize = 5;
const ROUNDS: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) routers: Vec<RouterPlan>,
    pub(crate) instances: usize,
    /// Sync groups, the same on all routers.
    pub(crate) groups: Vec<Vec<usize>>,
    /// A router's group may win with one member and lose with another: two groups may clash.
    pub(crate) is_uneven: bool,
    pub(crate) rounds: Vec<Round>,
}

/// What a router's daemon reads.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Of all instances, also of the one that is not in it.
    pub(crate) config: Config,
    /// The last instance is not in it.
    pub(crate) lacks_last: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct RouterPlan {
    /// What it starts with, and what a reload brings; the next reload brings the first one back.
    pub(crate) files: [File; 2],
    /// Instances that a reload starts anew, as for another interface.
    pub(crate) restart: Vec<InstanceId>,
    /// Trackers that are others after a reload, as for another script.
    pub(crate) new_trackers: Vec<TrackerId>,
    /// Where each instance's advertisements come from.
    pub(crate) sources: Vec<IpAddr>,
    /// How late deadlines are handled in health.
    pub(crate) latency: Duration,
    /// Whether the daemon reads all records before it looks at its timers.
    pub(crate) reads_first: bool,
    /// Whether the kernel keeps advertisements back that say nothing new.
    pub(crate) absorbs: bool,
    pub(crate) clock: Clock,
}

/// A time of disturbance, then a calm one.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) faults: Vec<Fault>,
    /// When all faults are over that are not to stay.
    pub(crate) calm: Instant,
    pub(crate) end: Instant,
}

/// What all routers of a network have in common.
struct Network {
    version: Version,
    /// The interval, in centiseconds.
    base: u16,
    down_adverts: u32,
    families: Vec<Family>,
    groups: Vec<Vec<usize>>,
    is_uneven: bool,
    preempt: Habit,
    /// All clocks run alike: who waits for the same time does so to the nanosecond.
    is_in_time: bool,
}

/// How a network's routers preempt.
#[derive(Clone, Copy)]
enum Habit {
    Always,
    Never,
    Delayed,
    Mixed,
}

impl Plan {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut chance = Prng::new(seed);
        let network = Network::draw(&mut chance);
        // Small networks are the likely ones, in life and for the simulation's speed.
        let count = 2 + chance.index(ROUTERS_MAX - 1).min(chance.index(ROUTERS_MAX - 1));
        let owner = chance.percent(15).then(|| chance.index(count));
        let routers = (0..count)
            .map(|router| network.draw_router(&mut chance, router, owner == Some(router)))
            .collect();
        let Network { families, groups, is_uneven, .. } = network;
        let instances = families.len();
        let mut plan = Self { seed, routers, instances, groups, is_uneven, rounds: Vec::new() };
        plan.draw_rounds(&mut chance);
        plan
    }

    /// The group of an instance, itself included.
    pub(crate) fn group_of(&self, instance: usize) -> impl Iterator<Item = usize> {
        let group = self.groups.iter().find(|group| group.contains(&instance));
        let others = group.into_iter().flatten().copied().filter(move |other| *other != instance);
        others.chain([instance])
    }

    /// All instances of all configurations.
    pub(crate) fn all_instances(&self) -> impl Iterator<Item = &InstanceConfig> {
        self.all_configs().flat_map(|config| &config.instances)
    }

    pub(crate) fn all_configs(&self) -> impl Iterator<Item = &Config> {
        self.routers.iter().flat_map(|router| &router.files).map(|file| &file.config)
    }

    fn draw_rounds(&mut self, chance: &mut Prng) {
        let interval = bounds::interval_max(self);
        let mut start = Instant::default();
        for _ in 0..ROUNDS {
            let trouble = interval * u32::try_from(1 + chance.below(12)).expect("small");
            let mut calm = start + trouble;
            let mut faults = Vec::new();
            for _ in 0..chance.below(6) {
                let kind = FaultKind::draw(self, chance);
                // A script that flaps does so more than once.
                let times = if kind.may_flap() && chance.percent(30) { 4 } else { 1 };
                for _ in 0..times {
                    let from = start + random(chance, trouble);
                    let stays = times == 1 && kind.may_stay(self) && chance.percent(25);
                    let until = (!stays).then(|| from + random(chance, calm.since(from)));
                    faults.push(Fault { from, until, kind });
                }
            }
            // Frames that were sent during a delay are still on their way.
            calm = calm + interval * 2;
            let end = calm + bounds::settling_time(self) + interval * 6;
            self.rounds.push(Round { faults, calm, end });
            start = end;
        }
    }
}

impl File {
    pub(crate) fn has(&self, instance: usize) -> bool {
        instance < self.config.instances.len() - usize::from(self.lacks_last)
    }

    /// The members of an instance's sync group, or itself.
    pub(crate) fn members(&self, instance: usize) -> Vec<usize> {
        let mut groups = self.config.groups.iter();
        let group = groups.find(|group| group.members.contains(&id(instance)));
        group.map_or_else(
            || vec![instance],
            |group| group.members.iter().map(|id| index(*id)).collect(),
        )
    }
}

impl Network {
    fn draw(chance: &mut Prng) -> Self {
        let version = if chance.percent(25) { Version::V2 } else { Version::V3 };
        let base = match version {
            Version::V2 => 100,
            Version::V3 => chance.pick(&[1, 2, 10, 50, 100]),
        };
        let count = chance.pick(&[1, 1, 2, 2, 3]);
        let families: Vec<_> = (0..count)
            .map(|_| match version {
                Version::V3 if chance.percent(40) => Family::V6,
                Version::V2 | Version::V3 => Family::V4,
            })
            .collect();
        // Three instances: all together, or two and one by itself.
        let grouped = chance.percent(60).then(|| if chance.percent(50) { count } else { 2 });
        let groups: Vec<_> =
            grouped.map(|size| (0..size.min(count)).collect()).into_iter().collect();
        let is_uneven = groups.iter().any(|group: &Vec<_>| group.len() > 1) && chance.percent(30);
        Self {
            version,
            base,
            is_in_time: chance.percent(30),
            down_adverts: chance.pick(&[3, 3, 3, 3, 3, 3, 2, 4]),
            families,
            is_uneven,
            groups,
            preempt: chance.pick(&[Habit::Always, Habit::Never, Habit::Delayed, Habit::Mixed]),
        }
    }

    fn draw_router(&self, chance: &mut Prng, router: usize, is_owner: bool) -> RouterPlan {
        let number = u8::try_from(router).expect("small");
        // Where the two families order the routers differently, equal priorities clash.
        let other = if self.is_uneven { 100 - number } else { number };
        let sources = self.families.iter().map(|family| match family {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 10 + number).into(),
            Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 10 + u16::from(other)).into(),
        });
        let (count, trackers) = (self.families.len(), [VITAL, WEIGHTED]);
        RouterPlan {
            sources: sources.collect(),
            files: self.draw_files(chance, is_owner),
            restart: (0..count).filter(|_| chance.percent(10)).map(id).collect(),
            new_trackers: trackers.into_iter().filter(|_| chance.percent(10)).collect(),
            latency: Duration::from_nanos(chance.below(bounds::LATENCY_MAX_NANOS)),
            reads_first: chance.percent(50),
            absorbs: chance.percent(75),
            clock: Clock::draw(chance, self.is_in_time),
        }
    }

    /// What a reload brings is the same in part, and may have other addresses, groups and instances.
    fn draw_files(&self, chance: &mut Prng, is_owner: bool) -> [File; 2] {
        let first = self.draw_config(chance, is_owner);
        let stays_owner = is_owner && chance.percent(70);
        let mut second = self.draw_config(chance, stays_owner);
        let count = self.families.len();
        for instance in 0..count {
            // Members stay the same together, for the sake of their one priority.
            let group = self.groups.iter().find(|group| group.contains(&instance));
            if group.is_none_or(|group| group[0] == instance) && chance.percent(50) {
                for &same in group.unwrap_or(&vec![instance]) {
                    second.instances[same] = first.instances[same].clone();
                }
            }
            if chance.percent(20) {
                let config = &mut second.instances[instance];
                config.addresses.push(further_address(config.family));
            }
        }
        if chance.percent(10) {
            second.groups.clear();
        }
        let mut files = [first, second].map(|config| File { config, lacks_last: false });
        let is_member = self.groups.iter().any(|group| group.contains(&(count - 1)));
        if count > 1 && chance.percent(if is_member { 10 } else { 30 }) {
            let file = &mut files[chance.index(2)];
            file.lacks_last = true;
            for group in &mut file.config.groups {
                group.members.retain(|member| index(*member) != count - 1);
            }
        }
        files
    }

    fn draw_config(&self, chance: &mut Prng, is_owner: bool) -> Config {
        let interval = Duration::from_millis(u64::from(self.base) * 10);
        let (preempt, delay) = match self.preempt {
            Habit::Always => (true, false),
            Habit::Never => (false, false),
            Habit::Delayed => (true, true),
            Habit::Mixed => (chance.percent(60), chance.percent(50)),
        };
        let preempt_delay =
            if preempt && delay { random(chance, interval * 10) } else { Duration::ZERO };
        // A group's members should have one priority: one that wins here loses there, otherwise.
        let shared = chance.pick(&[1, 50, 99, 100, 100, 101, 150, 200, 254]);
        let ignores = chance.percent(50);
        let instances = (0..self.families.len())
            .map(|instance| {
                let own = chance.pick(&[1, 50, 100, 100, 200, 254]);
                let is_member = self.groups.iter().any(|group| group.contains(&instance));
                let priority = match (is_owner, is_member && !self.is_uneven) {
                    (true, _) => 255,
                    (false, true) => shared,
                    (false, false) => own,
                };
                InstanceConfig {
                    priority: Priority::new(priority).expect("not 0"),
                    preempt,
                    preempt_delay,
                    owner_ignore_adverts: is_owner && ignores,
                    ..self.draw_instance(chance, instance)
                }
            })
            .collect();
        let groups = self
            .groups
            .iter()
            .map(|group| GroupConfig { members: group.iter().map(|member| id(*member)).collect() });
        let delays = chance.percent(20);
        Config {
            instances,
            groups: groups.collect(),
            trackers: 2,
            startup_delay: if delays { random(chance, interval * 6) } else { Duration::ZERO },
        }
    }

    fn draw_instance(&self, chance: &mut Prng, instance: usize) -> InstanceConfig {
        let family = self.families[instance];
        // IPv4 and IPv6 with one VRID are two virtual routers (V-3).
        let before = self.families[..instance].iter().filter(|other| **other == family).count();
        let vrid = 133 + u8::try_from(before).expect("small");
        let factor = if self.version == Version::V3 && chance.percent(20) { 2 } else { 1 };
        let base = Duration::from_millis(u64::from(self.base) * 10);
        InstanceConfig {
            version: self.version,
            family,
            interval: AdvertInterval::from_centis(self.base * factor).expect("in range"),
            addresses: virtual_addresses(family),
            down_adverts: self.down_adverts,
            lower_prio_no_advert: chance.percent(10),
            higher_prio_send_advert: chance.percent(10),
            announce: AnnouncePlan {
                repeat: 1,
                delay: base * 5,
                lower_prio_repeat: 1,
                lower_prio_delay: base * 5,
                refresh: if chance.percent(20) { base * 3 } else { Duration::ZERO },
                refresh_repeat: 1,
            },
            tracks: vec![
                Track { tracker: VITAL, weight: 0, reverse: false },
                Track { tracker: WEIGHTED, weight: -i32::from(WEIGHT), reverse: false },
            ],
            ..InstanceConfig::new(Vrid::new(vrid).expect("not 0"))
        }
    }
}

fn virtual_addresses(family: Family) -> Vec<IpAddr> {
    match family {
        Family::V4 => vec![Ipv4Addr::new(198, 51, 100, 1).into()],
        // The first one is link-local (V-5.2.9-1).
        Family::V6 => vec![
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ],
    }
}

/// One more, which a router has after a reload or before.
fn further_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 51, 100, 2).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).into(),
    }
}

pub(crate) fn random(chance: &mut Prng, max: Duration) -> Duration {
    Duration::from_nanos(chance.below(u64::try_from(max.as_nanos()).expect("short")))
}
