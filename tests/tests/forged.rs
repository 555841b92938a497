//! Forged advertisements change nothing and are counted for what is wrong with them; the same frame
//! without a fault does what it says, which shows that the forgeries would have.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking, in its helpers too"
)]

use core::{net::Ipv4Addr, time::Duration};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    forge::{self, Cover, Layout},
    inject::Injector,
    pair::{Pair, SEGMENTS, Side},
    process::Program,
    require,
    status::Status,
    vectors, wait,
};

const SOON: Duration = Duration::from_secs(20);
const INTERFACE: &str = "bond0";
const INSTANCE: &str = "VI_1";
/// How often each forgery is sent.
const REPEAT: u64 = 5;
/// A neighbour who is no peer.
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);
/// Above every configured priority.
const HIGH: u8 = 254;

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

/// Who is attacked and how the attacker's frames begin.
struct Attack {
    dialect: Dialect,
    victim: Side,
    /// 0 would make a Backup take over, a high priority would make a Master step down.
    priority: u8,
    cover: Cover,
    /// A captured advertisement, readdressed to the victim and with the priority: without a fault.
    good: Vec<u8>,
}

impl Attack {
    fn new(dialect: Dialect, victim: Side) -> Self {
        let (vector, cover) = if dialect.is_version_2() {
            ("v2-pass-unicast", Cover::Message)
        } else {
            ("v3-ipv4-multicast", Cover::PseudoHeader)
        };
        let priority = if victim == Side::A { HIGH } else { 0 };
        let [segment, _] = SEGMENTS;
        let good = forge::changed(&vectors::load(vector).frame, cover, |frame, layout| {
            if dialect.is_unicast() {
                frame[..6].copy_from_slice(&[2, 0, 0, 0, 1, victim.number()]);
                write(frame, layout.destination(), segment.host(victim.number()));
            } else {
                // keepalived's interval, as the victim has it: a fifth of a second.
                frame[layout.message + 5] = 20;
            }
            // The attacker's own: the switch must not learn the Master's hardware address from it.
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 1, 20]);
            write(frame, layout.source(), segment.host(victim.other().number()));
            frame[layout.message + 2] = priority;
        });
        Self { dialect, victim, priority, cover, good }
    }

    fn forgeries(&self) -> Vec<Forgery> {
        let mut forgeries = self.in_any_dialect();
        if self.dialect.is_version_2() {
            forgeries.extend(self.in_version_2_unicast());
        } else {
            forgeries.extend(self.in_version_3_multicast());
        }
        forgeries
    }

    fn in_any_dialect(&self) -> Vec<Forgery> {
        let [segment, _] = SEGMENTS;
        let own = segment.host(self.victim.number());
        let version = self.good[Layout::of(&self.good).message] & 0xf0;
        vec![
            self.sealed("wrong VRID", Count::Frame("unknown-vrid"), |frame, layout| {
                frame[layout.message + 1] = 134;
            }),
            self.sealed("type 2", Count::Frame("type"), |frame, layout| {
                frame[layout.message] = version | 2;
            }),
            self.sealed("no address", Count::Frame("count"), |frame, layout| {
                frame[layout.message + 3] = 0;
            }),
            self.sealed(
                "more addresses than there are",
                Count::Frame("length"),
                |frame, layout| {
                    frame[layout.message + 3] = 3;
                },
            ),
            self.sealed("four bytes short", Count::Frame("length"), |frame, layout| {
                frame.truncate(layout.end - 4);
            }),
            self.sealed(
                "from the victim's own address",
                Count::Frame("own-source"),
                |frame, layout| {
                    write(frame, layout.source(), own);
                },
            ),
            self.broken("wrong message checksum", Count::Frame("checksum"), |frame, layout| {
                frame[layout.message + 6] ^= 0x01;
            }),
            self.broken(
                "wrong header checksum",
                Count::Frame("header-checksum"),
                |frame, layout| {
                    frame[layout.ip + 10] ^= 0x01;
                },
            ),
            // Reassembled by the kernel, where it ever is whole, and then nobody's.
            self.sealed("a fragment", Count::Nothing, |frame, layout| {
                frame[layout.ip + 6] = 0x20;
            }),
        ]
    }

    fn in_version_2_unicast(&self) -> Vec<Forgery> {
        vec![
            self.sealed("version 3", Count::Frame("version"), |frame, layout| {
                frame[layout.message] = 0x31;
            }),
            self.sealed("wrong password", Count::Frame("password"), |frame, layout| {
                frame[layout.end - 1] ^= 0x01;
            }),
            self.sealed("no password", Count::Frame("auth-type"), |frame, layout| {
                frame[layout.message + 4] = 0;
                frame[layout.end - 8..].fill(0);
            }),
            self.sealed("not from a peer", Count::Frame("not-peer"), |frame, layout| {
                write(frame, layout.source(), STRANGER);
            }),
            // RFC 3768 §7.1: MUST discard.
            self.sealed("another interval", Count::Frame("interval"), |frame, layout| {
                frame[layout.message + 5] = 2;
            }),
        ]
    }

    fn in_version_3_multicast(&self) -> Vec<Forgery> {
        let [segment, _] = SEGMENTS;
        let unicast = segment.host(self.victim.number());
        vec![
            self.sealed("version 2", Count::Frame("version"), |frame, layout| {
                frame[layout.message] = 0x21;
            }),
            // RFC 9568 §5.1.1.3: it came over a router.
            self.sealed("TTL 254", Count::Frame("ttl"), |frame, layout| {
                frame[layout.ttl()] = 254;
            }),
            // V-5.2.7: erratum 8301.
            self.sealed("interval 0", Count::Frame("interval"), |frame, layout| {
                frame[layout.message + 4..layout.message + 6].fill(0);
            }),
            self.sealed("to the victim alone", Count::Frame("destination"), |frame, layout| {
                frame[..6].copy_from_slice(&[2, 0, 0, 0, 1, self.victim.number()]);
                write(frame, layout.destination(), unicast);
            }),
        ]
    }

    /// With checksums that hold.
    fn sealed(
        &self,
        what: &'static str,
        count: Count,
        change: impl FnOnce(&mut Vec<u8>, Layout),
    ) -> Forgery {
        Forgery { what, count, frame: forge::changed(&self.good, self.cover, change) }
    }

    /// Changed after the checksums were written.
    fn broken(
        &self,
        what: &'static str,
        count: Count,
        change: impl FnOnce(&mut Vec<u8>, Layout),
    ) -> Forgery {
        let mut frame = self.good.clone();
        let layout = Layout::of(&frame);
        change(&mut frame, layout);
        Forgery { what, count, frame }
    }
}

fn write(frame: &mut [u8], (start, length): (usize, usize), address: Ipv4Addr) {
    frame[start..start + length].copy_from_slice(&address.octets());
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

/// A is Master and B is Backup, both judging frames by `mode`; `victim` is attacked.
fn attack(dialect: Dialect, victim: Side, mode: &str) {
    if !require::require_daemon() {
        return;
    }
    let mut pair = Pair::new();
    for (side, priority) in [(Side::A, 150), (Side::B, 100)] {
        let text = config::instance(dialect, side, priority, "");
        pair.node_mut(side).start(Program::Daemon, &text, &["--xdp", mode]);
    }
    let holds = |pair: &Pair, side: Side| pair.node(side).addresses_held() == [2, 0];
    let settled = wait::holds_within(SOON, || holds(&pair, Side::A) && !holds(&pair, Side::B));
    assert!(settled, "A is not the one Master{}", pair.logs());
    // Before its first advertisement from the Master, a Backup has none to lose.
    wait::eventually(SOON, "the Backup to hear the Master", || {
        pair.node_mut(Side::B).router().status().master(INSTANCE).is_some()
    });

    let attack = Attack::new(dialect, victim);
    let injector = Injector::new(pair.client(), INTERFACE);
    let start = Stamp::now();
    // Of what is not counted, only a counted frame behind it shows that it has arrived.
    let marker = attack.forgeries().into_iter().find(|one| matches!(one.count, Count::Frame(_)));
    let marker = marker.expect("some forgery is counted");
    for forgery in attack.forgeries() {
        let before = pair.node_mut(victim).router().status();
        for _ in 0..REPEAT {
            injector.send(&forgery.frame);
        }
        let mut repeat = REPEAT;
        if matches!(forgery.count, Count::Nothing) {
            repeat = 0;
            injector.send(&marker.frame);
            let expected = counted(&before, marker.count) + 1;
            wait::eventually(SOON, "the frame behind it", || {
                counted(&pair.node_mut(victim).router().status(), marker.count) == expected
            });
        }
        let expected = counted(&before, forgery.count) + repeat;
        let what = forgery.what;
        let mut last = 0;
        let is_counted = wait::holds_within(SOON, || {
            last = counted(&pair.node_mut(victim).router().status(), forgery.count);
            last >= expected
        });
        assert!(is_counted, "{what}: {last} of {expected}{}", pair.logs());
        let after = pair.node_mut(victim).router().status();
        assert_eq!(counted(&after, forgery.count), expected, "{what}");
        assert_eq!(standing(&after), standing(&before), "{what}{}", pair.logs());
        assert!(holds(&pair, Side::A) && !holds(&pair, Side::B), "{what}{}", pair.logs());
    }
    let claims = pair.heard(INTERFACE, start);
    let all_from_master = claims.iter().all(|one| one.from == Side::A && one.advert.priority > 0);
    assert!(all_from_master, "{}", pair.logs());

    // The frame without a fault, priority and all: now the victim obeys.
    let statistic = if victim == Side::A { "released_master" } else { "became_master" };
    let before = pair.node_mut(victim).router().status().statistic(INSTANCE, statistic);
    let obeys = wait::holds_within(SOON, || {
        injector.send(&attack.good);
        let status = pair.node_mut(victim).router().status();
        status.statistic(INSTANCE, statistic) > before
    });
    let priority = attack.priority;
    assert!(obeys, "a good frame with priority {priority} was not obeyed{}", pair.logs());
}

macro_rules! attacks {
    ($($name:ident: $dialect:ident, $victim:ident, $mode:literal;)*) => {
        $(
            #[test]
            fn $name() {
                attack(Dialect::$dialect, Side::$victim, $mode);
            }
        )*
    };
}

attacks! {
    v2_unicast_backup_without_xdp: V2Unicast, B, "off";
    v2_unicast_backup_with_native_xdp: V2Unicast, B, "native";
    v2_unicast_backup_with_generic_xdp: V2Unicast, B, "generic";
    v2_unicast_master_without_xdp: V2Unicast, A, "off";
    v2_unicast_master_with_native_xdp: V2Unicast, A, "native";
    v3_multicast_backup_without_xdp: V3Multicast, B, "off";
    v3_multicast_backup_with_native_xdp: V3Multicast, B, "native";
    v3_multicast_backup_with_generic_xdp: V3Multicast, B, "generic";
    v3_multicast_master_without_xdp: V3Multicast, A, "off";
    v3_multicast_master_with_native_xdp: V3Multicast, A, "native";
}
