//! RFC 9568 §6.4 as a table: from which state, with which input, to which state, doing what.
//!
//! Only kinds of actions are named here; their numbers and moments are the scenarios'.

#![expect(clippy::expect_used, reason = "a test's own table; what is wrong with it shall stop it")]

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ha_core::{
    Action, Actions, AdvertInterval, Config, Engine, Input, InstanceConfig, InstanceId, Instant,
    Order, Priority, Received, State, Track, TrackerId, Verdict, Version, Vrid,
    wire::{Authentication, ChecksumScope, Template},
};

use Event::{
    AddressesFail, AddressesMissing, Advert, Deadline, Rejected, Shutdown, SourceFound, SourceGone,
    Start, TrackerDown, TrackerUp,
};
use State::{Backup, Fault, Init, Master};

const INSTANCE: InstanceId = InstanceId(0);
const TRACKER: TrackerId = TrackerId(0);

/// The column of RFC 9568 §6.4's events, and keepalived's.
#[derive(Clone, Copy, Debug)]
enum Event {
    Start,
    Deadline,
    /// Priority and last byte of the sender; the instance has 100 and 11.
    Advert(u8, u8),
    /// A frame with a higher priority and another VRID.
    Rejected,
    TrackerDown,
    TrackerUp,
    SourceGone,
    SourceFound,
    AddressesFail,
    /// Somebody else removed them.
    AddressesMissing,
    Shutdown,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// Statement, with RFC 5798's step numbers.
    id: &'static str,
    owner: bool,
    preempt: bool,
    from: State,
    event: Event,
    to: State,
    actions: &'static str,
}

const fn row(id: &'static str, from: State, event: Event, to: State, actions: &'static str) -> Row {
    Row { id, owner: false, preempt: true, from, event, to, actions }
}

const fn owner(mut row: Row) -> Row {
    row.owner = true;
    row
}

const fn nopreempt(mut row: Row) -> Row {
    row.preempt = false;
    row
}

const TAKEOVER: &str = "advertise present announce transition notify";
const RELEASE: &str = "advertise-0 absent transition notify";
const YIELD: &str = "absent transition notify";
const QUIET: &str = "transition notify";
const NOTHING: &str = "";

const TABLE: [Row; 50] = [
    // §6.4.1
    owner(row("V-6.4.1-1 {100-150}", Init, Start, Master, TAKEOVER)),
    row("V-6.4.1-2 {155-175}", Init, Start, Backup, QUIET),
    row("before the start nothing is heard", Init, Advert(200, 12), Init, NOTHING),
    row("nor is anything due", Init, Deadline, Init, NOTHING),
    row("a stop before the start", Init, Shutdown, Init, NOTHING),
    // §6.4.2
    row("V-6.4.2-6 {345-355}", Backup, Shutdown, Init, QUIET),
    row("V-6.4.2-7 {365-410}", Backup, Deadline, Master, TAKEOVER),
    row("V-6.4.2-8 {430}", Backup, Advert(0, 12), Backup, NOTHING),
    row("V-6.4.2-9 {445-460} higher", Backup, Advert(200, 10), Backup, NOTHING),
    row("V-6.4.2-9 equal, lower address", Backup, Advert(100, 10), Backup, NOTHING),
    row("V-6.4.2-9 equal, higher address", Backup, Advert(100, 12), Backup, NOTHING),
    nopreempt(row("V-6.4.2-9 lower, nopreempt", Backup, Advert(50, 12), Backup, NOTHING)),
    row("V-6.4.2-10 {470}", Backup, Advert(50, 12), Backup, NOTHING),
    row("V-7.1", Backup, Rejected, Backup, "rejected"),
    row("started already", Backup, Start, Backup, NOTHING),
    row("keepalived", Backup, TrackerDown, Fault, QUIET),
    row("keepalived", Backup, SourceGone, Fault, QUIET),
    row("keepalived", Backup, AddressesFail, Fault, QUIET),
    row("no news", Backup, TrackerUp, Backup, NOTHING),
    row("no news", Backup, SourceFound, Backup, NOTHING),
    // §6.4.3
    row("V-6.4.3-7 {655-670}", Master, Shutdown, Init, RELEASE),
    row("V-6.4.3-8 {680-690}", Master, Deadline, Master, "advertise"),
    row("V-6.4.3-9 {705-715}", Master, Advert(0, 12), Master, "advertise"),
    row("V-6.4.3-10 {725-765} higher", Master, Advert(101, 10), Backup, YIELD),
    row("V-6.4.3-10 equal, higher address", Master, Advert(100, 12), Backup, YIELD),
    nopreempt(row("§6.4.3 knows no Preempt_Mode", Master, Advert(101, 10), Backup, YIELD)),
    row("V-6.4.3-11 {775} lower", Master, Advert(99, 12), Master, "advertise announce notify"),
    row("V-6.4.3-11 equal, lower", Master, Advert(100, 10), Master, "advertise announce notify"),
    nopreempt(row("V-6.4.3-11", Master, Advert(99, 12), Master, "advertise announce notify")),
    owner(row("V-6.4.3-11", Master, Advert(254, 12), Master, "advertise announce notify")),
    owner(row("keepalived: two owners", Master, Advert(255, 12), Backup, YIELD)),
    owner(row(
        "keepalived: two owners",
        Master,
        Advert(255, 10),
        Master,
        "advertise announce notify",
    )),
    row("V-7.1", Master, Rejected, Master, "rejected"),
    row("started already", Master, Start, Master, NOTHING),
    row("keepalived", Master, TrackerDown, Fault, RELEASE),
    row("keepalived", Master, SourceGone, Fault, RELEASE),
    row("keepalived", Master, AddressesFail, Fault, RELEASE),
    row("removed by a stranger", Master, AddressesMissing, Master, "restoring present announce"),
    row("not ours to set", Backup, AddressesMissing, Backup, NOTHING),
    row("not ours to set", Fault, AddressesMissing, Fault, NOTHING),
    row("not ours to set", Init, AddressesMissing, Init, NOTHING),
    row("no news", Master, TrackerUp, Master, NOTHING),
    // keepalived's Fault
    row("keepalived hears nothing", Fault, Advert(200, 12), Fault, NOTHING),
    row("keepalived hears nothing", Fault, Advert(0, 12), Fault, NOTHING),
    row("not even what is wrong", Fault, Rejected, Fault, NOTHING),
    row("no timer", Fault, Deadline, Fault, NOTHING),
    row("as from Init", Fault, TrackerUp, Backup, QUIET),
    owner(row("as from Init", Fault, TrackerUp, Master, TAKEOVER)),
    row("one more cause", Fault, SourceGone, Fault, NOTHING),
    row("V-6.4.2-6 likewise", Fault, Shutdown, Init, QUIET),
];

#[test]
fn the_table_holds() {
    for row in TABLE {
        let (mut engine, now) = engine_in(&row);
        let (now, actions) = feed(&mut engine, now, row.event);
        assert_eq!(kinds(&actions), row.actions, "{}: {row:?}", row.id);
        let state = engine.instance(INSTANCE).expect("one instance").state();
        assert_eq!(state, row.to, "{}: {row:?}", row.id);
        // Whoever runs has a timer, whoever does not has none.
        let has_timer = matches!(state, Backup | Master);
        assert_eq!(engine.deadline(INSTANCE).is_some(), has_timer, "{}: {row:?}", row.id);
        assert_eq!(engine.next_deadline().is_some(), has_timer, "{}: {row:?}", row.id);
        assert!(
            engine.deadline(INSTANCE).is_none_or(|deadline| deadline > now),
            "{}: {row:?}",
            row.id
        );
    }
}

#[test]
fn an_input_for_nobody_changes_nothing() {
    for state in [Init, Backup, Master, Fault] {
        let (mut engine, now) = engine_in(&row("", state, Start, state, NOTHING));
        let before = format!("{engine:?}");
        let nobody = InstanceId(7);
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let received = Received { instance: nobody, at: now, source, message: &[] };
        let inputs = [
            Input::Source { instance: nobody, address: None },
            Input::AddressesUsable { instance: nobody, usable: false },
            Input::AddressesMissing { instance: nobody },
            Input::Order { instance: nobody, order: Order::Demote },
            Input::Order { instance: nobody, order: Order::Promote },
            Input::Order { instance: nobody, order: Order::Announce },
            Input::Order { instance: nobody, order: Order::Reset },
            Input::Tracker { tracker: TrackerId(9), verdict: Verdict::Down },
            Input::Advertisement(received),
            Input::Deadline { heard: None },
        ];
        for input in inputs {
            let mut actions = Actions::default();
            engine.handle(now, input, &mut actions);
            assert_eq!(kinds(&actions), NOTHING, "{state}: {input:?}");
            assert_eq!(format!("{engine:?}"), before, "{state}: {input:?}");
        }
    }
}

fn config(row: &Row) -> Config {
    let priority = if row.owner { Priority::OWNER } else { Priority::DEFAULT };
    Config {
        instances: vec![InstanceConfig {
            priority,
            preempt: row.preempt,
            tracks: vec![Track { tracker: TRACKER, weight: 0, reverse: false }],
            addresses: vec![sender(1)],
            ..InstanceConfig::new(Vrid::new(133).expect("not 0"))
        }],
        trackers: 1,
        ..Config::default()
    }
}

/// An engine led to the row's first state by the inputs of a daemon.
fn engine_in(row: &Row) -> (Engine, Instant) {
    let mut engine = Engine::new(config(row));
    let mut now = Instant::from_nanos(1_000_000_000);
    let events: &[Event] = match row.from {
        Init => &[SourceFound, TrackerUp],
        Backup => &[SourceFound, TrackerUp, Start],
        Master if row.owner => &[SourceFound, TrackerUp, Start],
        Master => &[SourceFound, TrackerUp, Start, Deadline],
        Fault => &[SourceFound, TrackerDown, Start],
    };
    for event in events {
        (now, _) = feed(&mut engine, now, *event);
    }
    assert_eq!(engine.instance(INSTANCE).map(ha_core::Instance::state), Some(row.from));
    (engine, now)
}

fn feed(engine: &mut Engine, now: Instant, event: Event) -> (Instant, Actions) {
    let mut actions = Actions::default();
    let mut now = now + Duration::from_millis(1);
    let (mut vrid, mut priority, mut source) = (133, 200, sender(12));
    let input = match event {
        Start => Input::Start,
        Shutdown => Input::Shutdown,
        Deadline => {
            now = engine.next_deadline().map_or(now, |deadline| deadline.at);
            Input::Deadline { heard: None }
        }
        TrackerDown => Input::Tracker { tracker: TRACKER, verdict: Verdict::Down },
        TrackerUp => Input::Tracker { tracker: TRACKER, verdict: Verdict::Up },
        SourceGone => Input::Source { instance: INSTANCE, address: None },
        SourceFound => Input::Source { instance: INSTANCE, address: Some(sender(11)) },
        AddressesFail => Input::AddressesUsable { instance: INSTANCE, usable: false },
        AddressesMissing => Input::AddressesMissing { instance: INSTANCE },
        Advert(..) | Rejected => {
            if let Advert(from, host) = event {
                (priority, source) = (from, sender(host));
            } else {
                vrid = 7;
            }
            let template = Template {
                version: Version::V3,
                vrid: Vrid::new(vrid).expect("not 0"),
                interval: AdvertInterval::DEFAULT,
                addresses: vec![sender(1)],
                authentication: Authentication::None,
            };
            let message = template.encode(priority, ChecksumScope::Message);
            let received = Received { instance: INSTANCE, at: now, source, message: &message };
            engine.handle(now, Input::Advertisement(received), &mut actions);
            return (now, actions);
        }
    };
    engine.handle(now, input, &mut actions);
    (now, actions)
}

fn sender(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn kinds(actions: &Actions) -> String {
    let kinds: Vec<_> = actions
        .as_slice()
        .iter()
        .filter_map(|action| {
            Some(match action {
                Action::Advertise { priority: 0, .. } => "advertise-0",
                Action::Advertise { .. } => "advertise",
                Action::Addresses { present: true, .. } => "present",
                Action::Addresses { present: false, .. } => "absent",
                Action::Announce { .. } => "announce",
                Action::Transition(_) => "transition",
                Action::Notify(_) => "notify",
                Action::Priority { .. } => "priority",
                Action::Rejected { .. } => "rejected",
                Action::Restoring { .. } => "restoring",
                Action::Late { .. } => "late",
                // Told of a sender the first time, whatever the state.
                Action::Noticed { .. } => return None,
            })
        })
        .collect();
    kinds.join(" ")
}
