//! Advertisements behind an Authentication Header: what is sent again, changed, sealed with another
//! key or not sealed at all changes nothing and is counted; and a dead Master's frames, sent again,
//! do not keep its Backup waiting.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking, in its helpers too"
)]

use core::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ha_core::wire::ah::{Key, Mode, Seal};
use ha_tests::{
    capture::Frame,
    clock::Stamp,
    config::Dialect,
    decode,
    forge::{self, Cover, Layout},
    inject::Injector,
    scene::{INTERFACE, Make, SOON, Scene},
    status::Status,
    vectors, wait,
};

/// The better router, the other, and a host without one.
const A: usize = 0;
const B: usize = 1;
const ATTACKER: usize = 2;
const INSTANCE: &str = "VI_1";
/// How often each forgery is sent.
const REPEAT: u64 = 5;
/// keepalived takes eight bytes of the configured password.
const KEY: Key = Key::new(*b"33763994");
const AH_LEN: usize = 24;
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);
/// Above every configured priority.
const HIGH: u8 = 254;
/// Sequence numbers that nobody gets to during a test.
const FAR: u32 = 100_000;

/// What a forged frame is counted as.
#[derive(Clone, Copy, Debug)]
enum Count {
    /// Refused before the engine, under this counter of the interface.
    Frame(&'static str),
    /// Not ours to judge: left to the kernel.
    Nothing,
}

struct Forgery {
    what: &'static str,
    count: Count,
    frame: Vec<u8>,
}

/// How the attacker's frames begin.
struct Attack {
    mode: Mode,
    own: Ipv4Addr,
    /// The last sequence number on the wire.
    last: u32,
    /// An advertisement from the victim's peer, for the victim, but not sealed yet.
    frame: Vec<u8>,
}

impl Attack {
    fn new(scene: &Scene, victim: usize) -> Self {
        let is_unicast = scene.dialect().is_unicast();
        let (vector, mode) = if is_unicast {
            ("v2-ah-unicast", Mode::Unicast)
        } else {
            ("v2-ah-multicast", Mode::Multicast)
        };
        let (own, peer) = (v4(scene.source(victim)), v4(scene.source(A + B - victim)));
        let hardware = |who| scene.namespace(who).hardware_address(INTERFACE);
        let frame =
            forge::changed(&vectors::load(vector).frame, Cover::Message, |frame, layout| {
                if is_unicast {
                    frame[..6].copy_from_slice(&hardware(victim));
                    write(frame, layout.destination(), own);
                }
                // The attacker's own: the switch must not learn the Master's hardware address from it.
                frame[6..12].copy_from_slice(&hardware(ATTACKER));
                write(frame, layout.source(), peer);
                // 0 would make a Backup take over, a high priority would make a Master step down.
                frame[layout.message + 2] = if victim == A { HIGH } else { 0 };
            });
        Self { mode, own, last: last_sequence(scene), frame }
    }

    /// With checksums that hold, and then sealed.
    fn sealed(
        &self,
        key: Key,
        sequence: u32,
        change: impl FnOnce(&mut Vec<u8>, Layout),
    ) -> Vec<u8> {
        let mut frame = forge::changed(&self.frame, Cover::Message, change);
        let layout = Layout::of(&frame);
        let header = frame[layout.ip..].first_chunk().expect("an IP header");
        let seal = Seal { key, mode: self.mode, sequence };
        let ah = seal.header(header, &frame[layout.message..layout.end]);
        frame[layout.message - AH_LEN..layout.message].copy_from_slice(&ah);
        frame
    }

    /// Without a fault.
    fn good(&self) -> Vec<u8> {
        self.sealed(KEY, self.last + FAR, |_, _| {})
    }

    /// By somebody who has the key.
    fn by_an_insider(
        &self,
        what: &'static str,
        count: Count,
        change: impl FnOnce(&mut Vec<u8>, Layout),
    ) -> Forgery {
        Forgery { what, count, frame: self.sealed(KEY, self.last + FAR, change) }
    }

    /// Changed after it was sealed.
    fn broken(
        &self,
        what: &'static str,
        count: Count,
        change: impl FnOnce(&mut Vec<u8>, Layout),
    ) -> Forgery {
        let mut frame = self.good();
        let layout = Layout::of(&frame);
        change(&mut frame, layout);
        Forgery { what, count, frame }
    }

    /// Without its Authentication Header.
    fn bare(&self, change: impl FnOnce(&mut Vec<u8>, Layout)) -> Vec<u8> {
        let mut frame = self.frame.clone();
        let layout = Layout::of(&frame);
        frame[layout.ip + 9] = 112;
        frame.drain(layout.message - AH_LEN..layout.message);
        frame[layout.ip + 3] -= u8::try_from(AH_LEN).expect("a small number");
        forge::changed(&frame, Cover::Message, change)
    }

    fn forgeries(&self) -> Vec<Forgery> {
        let mut forgeries = self.of_the_header();
        forgeries.extend(self.of_the_message());
        forgeries
    }

    fn of_the_header(&self) -> Vec<Forgery> {
        let replayed = |sequence| self.sealed(KEY, sequence, |_, _| {});
        let other_key = Key::new(*b"33763995");
        let icv = Count::Frame("ah-icv");
        let auth_type = Count::Frame("auth-type");
        vec![
            Forgery {
                what: "the last sequence number",
                count: Count::Frame("ah-sequence"),
                frame: replayed(self.last),
            },
            Forgery {
                what: "sequence number 0",
                count: Count::Frame("ah-sequence"),
                frame: replayed(0),
            },
            Forgery {
                what: "another key",
                count: icv,
                frame: self.sealed(other_key, self.last + FAR, |_, _| {}),
            },
            self.broken("another sequence number", icv, |frame, layout| {
                frame[layout.message - AH_LEN + 8] ^= 1;
            }),
            self.broken("another priority", icv, |frame, layout| {
                frame[layout.message + 2] ^= 1;
                layout.seal(frame, Cover::Message);
            }),
            self.broken("another identification", icv, |frame, layout| {
                frame[layout.ip + 4] ^= 1;
                layout.seal(frame, Cover::Message);
            }),
            self.broken("another SPI", Count::Frame("ah-header"), |frame, layout| {
                frame[layout.message - AH_LEN + 7] ^= 1;
            }),
            self.broken("a longer ICV", Count::Frame("ah-header"), |frame, layout| {
                frame[layout.message - AH_LEN + 1] = 5;
            }),
            Forgery { what: "no header", count: auth_type, frame: self.bare(|_, _| {}) },
            Forgery {
                what: "the key as a password",
                count: auth_type,
                frame: self.bare(|frame, layout| {
                    frame[layout.message + 4] = 1;
                    frame[layout.end - 8..layout.end].copy_from_slice(b"33763994");
                }),
            },
        ]
    }

    /// RFC 9568 §7.1 and RFC 3768 §7.1, as without the header.
    fn of_the_message(&self) -> Vec<Forgery> {
        let message = |frame: &mut [u8], layout: Layout, at: usize, value: u8| {
            frame[layout.message + at] = value;
        };
        let mut forgeries = vec![
            self.by_an_insider("wrong VRID", Count::Frame("unknown-vrid"), |frame, layout| {
                message(frame, layout, 1, 134);
            }),
            self.by_an_insider("version 3", Count::Frame("version"), |frame, layout| {
                message(frame, layout, 0, 0x31);
            }),
            self.by_an_insider("type 2", Count::Frame("type"), |frame, layout| {
                message(frame, layout, 0, 0x22);
            }),
            self.by_an_insider("no address", Count::Frame("count"), |frame, layout| {
                message(frame, layout, 3, 0);
            }),
            self.by_an_insider("a missing address", Count::Frame("length"), |frame, layout| {
                message(frame, layout, 3, 3);
            }),
            self.by_an_insider(
                "authentication PASS",
                Count::Frame("auth-type"),
                |frame, layout| {
                    message(frame, layout, 4, 1);
                },
            ),
            self.by_an_insider(
                "the victim's address",
                Count::Frame("own-source"),
                |frame, layout| {
                    write(frame, layout.source(), self.own);
                },
            ),
            self.by_an_insider("a fragment", Count::Nothing, |frame, layout| {
                frame[layout.ip + 6] = 0x20;
            }),
            self.broken("wrong checksum", Count::Frame("checksum"), |frame, layout| {
                frame[layout.message + 6] ^= 1;
            }),
            self.broken(
                "wrong header checksum",
                Count::Frame("header-checksum"),
                |frame, layout| {
                    frame[layout.ip + 10] ^= 1;
                },
            ),
        ];
        match self.mode {
            Mode::Multicast => forgeries.extend([
                self.by_an_insider("TTL 254", Count::Frame("ttl"), |frame, layout| {
                    frame[layout.ttl()] = 254;
                }),
                self.by_an_insider("to it alone", Count::Frame("destination"), |frame, layout| {
                    write(frame, layout.destination(), self.own);
                }),
            ]),
            Mode::Unicast => forgeries.push(self.by_an_insider(
                "not from a peer",
                Count::Frame("not-peer"),
                |frame, layout| write(frame, layout.source(), STRANGER),
            )),
        }
        forgeries
    }

    /// RFC 3768 §7.1: MUST discard; before the header is looked into, whose number is not used up.
    fn another_interval(&self) -> Forgery {
        self.by_an_insider("another interval", Count::Frame("interval"), |frame, layout| {
            frame[layout.message + 5] = 2;
        })
    }
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address} where AH is for IPv4"),
    }
}

fn write(frame: &mut [u8], (start, length): (usize, usize), address: Ipv4Addr) {
    frame[start..start + length].copy_from_slice(&address.octets());
}

fn last_sequence(scene: &Scene) -> u32 {
    let heard = scene.heard(Stamp::default());
    let by_routers = heard.iter().filter(|one| one.from != ATTACKER);
    by_routers.filter_map(|one| one.advert.ah_sequence).max().expect("an advertisement")
}

/// A is Master and B is its Backup; whoever is ours has been heard.
fn settled(dialect: Dialect, [a, b]: [Make; 2]) -> Option<Scene> {
    let mut scene = Scene::new(dialect, &[(a, 150), (b, 100), (Make::Ours, 1)])?;
    scene.start(A);
    scene.await_master(A);
    scene.start(B);
    if b == Make::Ours {
        wait::eventually(SOON, "the Backup to hear the Master", || {
            scene.status(B).master(INSTANCE).is_some()
        });
    } else {
        scene.await_claim(A, Stamp::now());
    }
    Some(scene)
}

/// What must stay as it is under an attack.
fn standing(status: &Status) -> (String, Option<String>, [u64; 4]) {
    let statistics =
        ["became_master", "released_master", "priority_zero_received", "saved_by_stamp"];
    (
        status.state(INSTANCE).to_owned(),
        status.master(INSTANCE).map(str::to_owned),
        statistics.map(|name| status.statistic(INSTANCE, name)),
    )
}

fn counted(status: &Status, count: Count) -> u64 {
    match count {
        Count::Frame(reason) => status.counter(INTERFACE, reason),
        Count::Nothing => 0,
    }
}

fn send(scene: &mut Scene, victim: usize, forgery: &Forgery, marker: &Forgery) {
    let Forgery { what, count, ref frame } = *forgery;
    let injector = Injector::new(scene.namespace(ATTACKER), INTERFACE);
    let before = scene.status(victim);
    for _ in 0..REPEAT {
        injector.send(frame);
    }
    // Of what is not counted, only a counted frame behind it shows that it has arrived.
    let (shown, times) =
        if matches!(count, Count::Nothing) { (marker.count, 1) } else { (count, REPEAT) };
    if matches!(count, Count::Nothing) {
        injector.send(&marker.frame);
    }
    let expected = counted(&before, shown) + times;
    let mut after = None;
    let is_counted = wait::holds_within(SOON, || {
        let status = scene.status(victim);
        let is_enough = counted(&status, shown) >= expected;
        after = Some(status);
        is_enough
    });
    let after = after.expect("a status");
    assert!(is_counted, "{what}: {} of {expected}{}", counted(&after, shown), scene.logs());
    assert_eq!(counted(&after, shown), expected, "{what}");
    assert_eq!(standing(&after), standing(&before), "{what}{}", scene.logs());
    assert!(scene.is_master(A), "{what}{}", scene.logs());
}

/// `victim` is attacked by a neighbour who hears everything.
fn attack(dialect: Dialect, makes: [Make; 2], victim: usize) {
    let Some(mut scene) = settled(dialect, makes) else { return };
    let attack = Attack::new(&scene, victim);
    let start = Stamp::now();
    let forgeries = attack.forgeries();
    for forgery in &forgeries {
        send(&mut scene, victim, forgery, &forgeries[0]);
    }
    // Once in ten seconds, whoever sends how much.
    let told = scene.logs().matches("a wrong Authentication Header").count();
    let most = 2 + Stamp::now().since(start).as_secs() / 10;
    let is_limited = u64::try_from(told).is_ok_and(|told| (1..=most).contains(&told));
    assert!(is_limited, "told {told} times{}", scene.logs());
    let words = scene.heard(start);
    let is_from_a = |from, priority| from == A && priority > 0;
    let all_from_master = words
        .iter()
        .filter(|one| one.from != ATTACKER)
        .all(|one| is_from_a(one.from, one.advert.priority));
    assert!(all_from_master, "{}", scene.logs());

    // The frame without a fault, priority and all: now the victim obeys. A Backup does not become
    // Master by it, as the Master answers.
    let statistic = if victim == A { "released_master" } else { "priority_zero_received" };
    let before = scene.status(victim).statistic(INSTANCE, statistic);
    let good = Attack::new(&scene, victim).good();
    Injector::new(scene.namespace(ATTACKER), INTERFACE).send(&good);
    let obeys =
        wait::holds_within(SOON, || scene.status(victim).statistic(INSTANCE, statistic) > before);
    assert!(obeys, "a good frame was not obeyed{}", scene.logs());
}

/// What has the key, but another interval, is refused, however often.
#[test]
fn another_interval_is_refused() {
    let Some(mut scene) = settled(Dialect::V2AhMulticast, [Make::Ours, Make::Ours]) else { return };
    let forgery = Attack::new(&scene, B).another_interval();
    send(&mut scene, B, &forgery, &forgery);
}

/// The advertisements that `who` has sent to others than the attacker, as they were.
fn recorded(scene: &Scene, who: usize) -> Vec<Frame> {
    let is_it = |frame: &Frame| {
        decode::advert(frame).is_some_and(|one| one.destination != scene.source(ATTACKER))
    };
    scene.sent_by(who).into_iter().filter(is_it).collect()
}

/// A is dead, and its frames are sent again and again: B takes over when its timer has run out.
fn outlive_a_recording(dialect: Dialect) {
    let Some(mut scene) = settled(dialect, [Make::Keepalived, Make::Ours]) else { return };
    let recording = recorded(&scene, A);
    let injector = Injector::new(scene.namespace(ATTACKER), INTERFACE);
    let before = scene.status(B).counter(INTERFACE, "ah-sequence");
    let death = Stamp::now();
    scene.die(A);
    let mut sent = 0;
    let mut frames = recording.iter().cycle();
    // Each reading of the addresses takes milliseconds: many replays an interval.
    let takes_over = wait::holds_within(SOON, || {
        injector.send(&frames.next().expect("a recorded advertisement").bytes);
        sent += 1;
        scene.held(B) == 2
    });
    assert!(takes_over, "B does not take over{}", scene.logs());
    let last = recording.last().expect("a recorded advertisement").at;
    let waited = scene.await_claim(B, death).since(last);
    // V-6.1-3: three intervals and the skew time of priority 100; a second more for A's last word,
    // which may not be in the recording, and for a busy machine.
    let limit = Duration::from_millis(3000 + 610 + 1000 + 1000);
    assert!(waited < limit, "after {waited:?}{}", scene.logs());
    wait::eventually(SOON, "the count of what was sent again", || {
        scene.status(B).counter(INTERFACE, "ah-sequence") == before + sent
    });
}

#[test]
fn a_dead_master_is_not_kept_alive_by_its_frames() {
    outlive_a_recording(Dialect::V2AhMulticast);
}

#[test]
fn a_dead_unicast_master_is_not_kept_alive_by_its_frames() {
    outlive_a_recording(Dialect::V2AhUnicast);
}

/// What a Master said when it stopped does not make its Backup take over when it is back.
#[test]
fn a_goodbye_counts_once() {
    let Some(mut scene) = settled(Dialect::V2AhMulticast, [Make::Keepalived, Make::Ours]) else {
        return;
    };
    scene.stop(A);
    scene.await_master(B);
    let recording = recorded(&scene, A);
    let is_goodbye =
        |frame: &&Frame| decode::advert(frame).is_some_and(|advert| advert.priority == 0);
    let goodbye = recording.iter().find(is_goodbye).expect("priority 0").bytes.clone();
    scene.start(A);
    scene.await_master(A);
    let count = Count::Frame("ah-sequence");
    let forgery = Forgery { what: "a goodbye of before", count, frame: goodbye };
    send(&mut scene, B, &forgery, &forgery);
}

/// V2-7.1-3: a header around what is for a virtual router without one is refused, too.
#[test]
fn a_header_where_none_belongs_is_refused() {
    let makes = [(Make::Ours, 150), (Make::Ours, 100), (Make::Ours, 1)];
    let Some(mut scene) = Scene::new(Dialect::V2AhMulticast, &makes) else { return };
    for who in [A, B] {
        let plain = "vrrp_instance PLAIN {\n interface bond0\n version 2\n virtual_router_id 134\n \
                     virtual_ipaddress {\n 198.51.100.34\n }\n}\n";
        let config = scene.config(who, "") + plain;
        scene.start_with(who, &config);
    }
    scene.await_master(A);
    wait::eventually(SOON, "the Backup to hear the Master", || {
        scene.status(B).master(INSTANCE).is_some()
    });
    let attack = Attack::new(&scene, B);
    let auth_type = Count::Frame("auth-type");
    let forgery = attack.by_an_insider("for another", auth_type, |frame, layout| {
        frame[layout.message + 1] = 134;
        frame[layout.message + 4] = 0;
    });
    send(&mut scene, B, &forgery, &forgery);
}

macro_rules! attacks {
    ($($name:ident: $dialect:ident, $makes:expr, $victim:ident;)*) => {
        $(
            #[test]
            fn $name() {
                attack(Dialect::$dialect, $makes, $victim);
            }
        )*
    };
}

attacks! {
    a_multicast_backup_to_keepalived: V2AhMulticast, [Make::Keepalived, Make::Ours], B;
    a_multicast_master_over_keepalived: V2AhMulticast, [Make::Ours, Make::Keepalived], A;
    a_unicast_backup_to_keepalived: V2AhUnicast, [Make::Keepalived, Make::Ours], B;
    a_unicast_master_over_keepalived: V2AhUnicast, [Make::Ours, Make::Keepalived], A;
}
