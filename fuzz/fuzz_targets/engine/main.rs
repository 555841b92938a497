//! Any sequence of inputs, with time that moves on: the engine never panics, and what must hold after
//! every step holds (`watch`), reloads included. Who ought to be Master is the simulator's question, not asked here.

#![no_main]

mod reload;
mod watch;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use ha_core::{
    AdvertInterval, AnnouncePlan, Config, Family, GroupConfig, Input, InstanceConfig, InstanceId,
    Order, Priority, Received, Reload, Track, TrackerId, Verdict, Version, Vrid,
    wire::{Authentication, ChecksumScope, Template},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

use crate::watch::Watched;

const INSTANCES_MAX: usize = 5;
const TRACKERS: u32 = 3;

#[derive(Arbitrary, Debug)]
struct Case {
    instances: Vec<Router>,
    startup_delay_ms: u8,
    /// Everything is there, and the engine was started.
    is_ready: bool,
    /// What happens is written down and played again: that takes longer.
    is_recorded: bool,
    steps: Vec<Step>,
}

/// One instance, in few bits: everything else is of no interest to the state machine.
#[derive(Arbitrary, Debug)]
struct Router {
    is_version_2: bool,
    is_ipv6: bool,
    priority: u8,
    interval: u8,
    preempt: bool,
    preempt_delay_ms: u16,
    down_adverts: u8,
    /// One bit for each remaining switch.
    switches: u8,
    /// 0: none.
    group: u8,
    announce: [u8; 6],
    tracks: [(u8, i8, bool); 2],
}

#[derive(Arbitrary, Debug)]
enum Step {
    Start,
    Shutdown,
    /// Time passes; nothing is fired yet.
    Wait(u16),
    /// The next deadline is reached, and so many microseconds more.
    Due(u16),
    /// All that is due fires; the kernel's stamp is so many milliseconds old, if there is one.
    Fire(Option<u8>),
    /// A valid advertisement, heard so many milliseconds ago.
    Advertisement {
        to: u8,
        host: u8,
        priority: u8,
        interval: u8,
        address: u8,
        ago_ms: u8,
    },
    /// Any message at all.
    Message {
        to: u8,
        host: u8,
        bytes: Vec<u8>,
    },
    /// So many advertisements were absorbed, the last so many milliseconds ago.
    Heard {
        of: u8,
        ago_ms: u8,
        count: u32,
    },
    Tracker {
        tracker: u8,
        up: bool,
    },
    Source {
        of: u8,
        host: Option<u8>,
    },
    Usable {
        of: u8,
        usable: bool,
    },
    Missing {
        of: u8,
    },
    /// An operator's.
    Order {
        of: u8,
        order: u8,
    },
    Reload(Change),
}

/// What another configuration changes; one bit for each instance or tracker.
#[derive(Arbitrary, Debug)]
struct Change {
    /// An instance that is another one, or one more.
    other: Option<(u8, Router)>,
    retired: u8,
    restart: u8,
    readdressed: u8,
    new_trackers: u8,
    /// Which of them are known, and which of these are up.
    known: (u8, u8),
    /// Something may happen between the two halves of a reload.
    between: Option<Box<Step>>,
}

/// What the engine runs.
struct Running {
    config: Config,
    /// The group of each instance, by the fuzzer's number; 0: none.
    groups: Vec<u8>,
}

fuzz_target!(|case: Case| {
    let config = config(&case);
    let mut watched = Watched::new(config.clone(), case.is_recorded);
    if case.is_ready {
        prepare(&mut watched, &config);
    }
    let groups = case.instances.iter().take(INSTANCES_MAX).map(|router| router.group % 4).collect();
    let mut running = Running { config, groups };
    for step in &case.steps {
        match step {
            Step::Reload(change) => reload(&mut watched, &mut running, change),
            _ => take(&mut watched, &running.config, step),
        }
    }
    watched.fire(None);
    watched.check_record();
});

fn prepare(watched: &mut Watched, config: &Config) {
    for tracker in (0..TRACKERS).map(TrackerId) {
        watched.handle(Input::Tracker { tracker, verdict: Verdict::Up });
    }
    for (instance, own) in (0..).map(InstanceId).zip(&config.instances) {
        watched.handle(Input::Source { instance, address: Some(sender(own.family, 100)) });
    }
    watched.handle(Input::Start);
}

fn take(watched: &mut Watched, config: &Config, step: &Step) {
    // One more than there are: what does not exist must change nothing.
    let count = u8::try_from(config.instances.len() + 1).expect("few");
    let id = |number: &u8| InstanceId((number % count).into());
    let family = |id: InstanceId| {
        let instance = usize::try_from(id.0).ok().and_then(|id| config.instances.get(id));
        instance.map_or(Family::V4, |instance| instance.family)
    };
    let now = watched.now();
    match step {
        Step::Start => watched.handle(Input::Start),
        Step::Shutdown => watched.handle(Input::Shutdown),
        Step::Wait(wait) => watched.wait(Duration::from_millis((*wait).into())),
        Step::Due(late) => watched.wait_for_deadline(Duration::from_micros((*late).into())),
        Step::Fire(stamp) => {
            watched.fire(stamp.map(|ms| now - Duration::from_millis(ms.into())));
        }
        Step::Advertisement { to, host, priority, interval, address, ago_ms } => {
            let instance = id(to);
            let Some(own) = config.instances.get(usize::from(to % count)) else { return };
            let template = Template {
                version: own.version,
                vrid: own.vrid,
                interval: AdvertInterval::from_centis((*interval).into()).unwrap_or(own.interval),
                addresses: vec![sender(own.family, *address)],
                authentication: Authentication::None,
            };
            let message = template.encode(*priority, ChecksumScope::Message);
            let (at, source) =
                (now - Duration::from_millis((*ago_ms).into()), sender(own.family, *host));
            watched.handle(Input::Advertisement(Received {
                instance,
                at,
                source,
                message: &message,
            }));
        }
        Step::Message { to, host, bytes } => {
            let (instance, source) = (id(to), sender(family(id(to)), *host));
            let received = Received { instance, at: now, source, message: bytes };
            watched.handle(Input::Advertisement(received));
        }
        Step::Heard { of, ago_ms, count } => {
            let at = now - Duration::from_millis((*ago_ms).into());
            watched.handle(Input::Heard { instance: id(of), at, count: *count });
        }
        Step::Tracker { tracker, up } => {
            let tracker = TrackerId(u32::from(*tracker) % (TRACKERS + 1));
            watched.handle(Input::Tracker { tracker, verdict: Verdict::from(*up) });
        }
        Step::Source { of, host } => {
            let instance = id(of);
            let address = host.map(|host| sender(family(instance), host));
            watched.handle(Input::Source { instance, address });
        }
        Step::Usable { of, usable } => {
            let (instance, usable) = (id(of), *usable);
            watched.handle(Input::AddressesUsable { instance, usable });
        }
        Step::Missing { of } => {
            watched.handle(Input::AddressesMissing { instance: id(of) });
        }
        Step::Order { of, order } => {
            let orders = [Order::Demote, Order::Promote, Order::Announce, Order::Reset];
            let order = orders[usize::from(*order) % orders.len()];
            watched.handle(Input::Order { instance: id(of), order });
        }
        // One in the midst of another is none.
        Step::Reload(_) => {}
    }
}

fn reload(watched: &mut Watched, running: &mut Running, change: &Change) {
    let mut config = running.config.clone();
    let mut restart: Vec<InstanceId> = instances_in(change.restart, INSTANCES_MAX);
    if let Some((place, router)) = &change.other {
        let place = usize::from(*place) % (config.instances.len() + 1);
        let other = instance(u32::try_from(place).expect("few"), router);
        match config.instances.get_mut(place) {
            Some(one) => {
                // It cannot go on as another protocol's.
                if (one.version, one.family) != (other.version, other.family) {
                    restart.push(InstanceId(u32::try_from(place).expect("few")));
                }
                *one = other;
                running.groups[place] = router.group % 4;
            }
            None if place < INSTANCES_MAX => {
                config.instances.push(other);
                running.groups.push(router.group % 4);
            }
            None => {}
        }
    }
    let count = config.instances.len();
    let retired = instances_in(change.retired, count);
    config.groups = groups(&running.groups, &retired);
    restart.retain(|id| !retired.contains(id));
    let new_trackers = trackers_in(change.new_trackers);
    let (known, up) = (trackers_in(change.known.0), trackers_in(change.known.1));
    let known = new_trackers.iter().filter(|tracker| known.contains(tracker));
    let known = known.map(|tracker| (*tracker, Verdict::from(up.contains(tracker))));
    let reload = Reload {
        config: config.clone(),
        restart,
        readdressed: instances_in(change.readdressed, count)
            .into_iter()
            .filter(|id| !retired.contains(id))
            .collect(),
        retired,
        known: known.collect(),
        new_trackers,
    };
    watched.stop_for(&reload);
    if let Some(step) = &change.between {
        take(watched, &running.config, step);
    }
    watched.reload(&reload);
    running.config = config;
}

/// Those whose bit is set.
fn trackers_in(bits: u8) -> Vec<TrackerId> {
    (0..TRACKERS).filter(|number| bits >> number & 1 == 1).map(TrackerId).collect()
}

/// Those of so many whose bit is set.
fn instances_in(bits: u8, count: usize) -> Vec<InstanceId> {
    let all = (0..).take(count);
    all.filter(|number| bits >> number & 1 == 1).map(InstanceId).collect()
}

/// A group may be empty.
fn groups(group_of: &[u8], retired: &[InstanceId]) -> Vec<GroupConfig> {
    let members_of = |group: u8| {
        let members = (0..).map(InstanceId).zip(group_of);
        let members = members.filter(|(id, of)| **of == group && !retired.contains(id));
        GroupConfig { members: members.map(|(id, _)| id).collect() }
    };
    [1, 2, 3].map(members_of).to_vec()
}

fn config(case: &Case) -> Config {
    let routers = || (0..).zip(case.instances.iter().take(INSTANCES_MAX));
    let group_of: Vec<u8> = routers().map(|(_, router): (u32, _)| router.group % 4).collect();
    Config {
        instances: routers().map(|(id, router)| instance(id, router)).collect(),
        groups: groups(&group_of, &[]),
        trackers: TRACKERS,
        startup_delay: Duration::from_millis(case.startup_delay_ms.into()),
    }
}

fn instance(id: u32, router: &Router) -> InstanceConfig {
    let family = if router.is_ipv6 { Family::V6 } else { Family::V4 };
    // There is no version 2 over IPv6.
    let version = if router.is_version_2 && !router.is_ipv6 { Version::V2 } else { Version::V3 };
    let interval = match version {
        Version::V2 => AdvertInterval::from_secs(router.interval % 4),
        Version::V3 => AdvertInterval::from_centis(router.interval.into()),
    };
    let [repeat, delay, lower_prio_repeat, lower_prio_delay, refresh, refresh_repeat] =
        router.announce;
    let seconds = |byte: u8| Duration::from_secs((byte % 8).into());
    let is_on = |switch: u8| router.switches >> switch & 1 == 1;
    let tracks = router.tracks.iter().map(|&(tracker, weight, reverse)| Track {
        tracker: TrackerId(u32::from(tracker) % (TRACKERS + 1)),
        weight: weight.into(),
        reverse,
    });
    InstanceConfig {
        version,
        family,
        priority: Priority::new(router.priority).unwrap_or(Priority::DEFAULT),
        interval: interval.unwrap_or(AdvertInterval::DEFAULT),
        addresses: vec![sender(family, 1)],
        preempt: router.preempt,
        preempt_delay: Duration::from_millis(router.preempt_delay_ms.into()),
        owner_ignore_adverts: is_on(0),
        skip_check_adv_addr: is_on(1),
        down_adverts: u32::from(router.down_adverts % 5) + 1,
        lower_prio_no_advert: is_on(2),
        higher_prio_send_advert: is_on(3),
        announce: AnnouncePlan {
            repeat: repeat.into(),
            delay: seconds(delay),
            lower_prio_repeat: lower_prio_repeat.into(),
            lower_prio_delay: seconds(lower_prio_delay),
            refresh: seconds(refresh),
            refresh_repeat: refresh_repeat.into(),
        },
        tracks: tracks.take(usize::from(router.switches >> 6)).collect(),
        ..InstanceConfig::new(vrid(id))
    }
}

fn vrid(id: u32) -> Vrid {
    u8::try_from(id + 1).ok().and_then(Vrid::new).expect("1 to 5")
}

fn sender(family: Family, host: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, host).into(),
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into()).into(),
    }
}
