//! The daemon with itself and with a real keepalived, in every dialect: who is Master, who takes
//! over, who hands back, and what is on the wire meanwhile.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test reports by panicking, in its helpers too"
)]

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    decode,
    pair::{Pair, Side},
    pcap,
    process::{Program, describe},
    require,
    tempdir::TempDir,
    tool, wait,
};

/// Several times what any dialect's timers take.
const SOON: Duration = Duration::from_secs(20);
/// Node A has the higher priority and so is Master whenever it can.
const PRIORITIES: [(Side, u8); 2] = [(Side::A, 150), (Side::B, 100)];
const INTERFACE: &str = "bond0";
/// ICMP destination unreachable, protocol unreachable.
const PROTOCOL_UNREACHABLE: (u8, u8) = (3, 2);

/// One scene of two routers on one segment.
struct Scene {
    dialect: Dialect,
    programs: [Program; 2],
    pair: Pair,
}

impl Scene {
    fn new(dialect: Dialect, programs: [Program; 2]) -> Option<Self> {
        let can_run = programs.iter().all(|program| match program {
            Program::Daemon => require::require_daemon(),
            Program::Keepalived => require::require_keepalived(),
        });
        if !can_run || !require::require_tools(&[("tshark", "tshark")]) {
            return None;
        }
        Some(Self { dialect, programs, pair: Pair::new() })
    }

    fn start(&mut self, side: Side) {
        let [a, b] = self.programs;
        let program = if side == Side::A { a } else { b };
        let (_, priority) = PRIORITIES.into_iter().find(|(one, _)| *one == side).expect("both");
        let config = config::instance(self.dialect, side, priority, "");
        self.pair.node_mut(side).start(program, &config, &[]);
        // Both log the state that they enter first, and listen from then on.
        let listens = wait::holds_within(SOON, || self.pair.node(side).log().contains("BACKUP"));
        assert!(listens, "{side:?} does not become Backup{}", self.pair.logs());
    }

    /// How many of the virtual addresses `side` has.
    fn held(&self, side: Side) -> usize {
        let namespace = self.pair.node(side).namespace();
        let holds = |address: &&String| namespace.has_address(INTERFACE, address);
        self.dialect.addresses().iter().filter(holds).count()
    }

    /// Waits until `side` has all addresses and the other has none.
    fn await_master(&self, side: Side) {
        let is_master = || self.held(side) == 2 && self.held(side.other()) == 0;
        let comes = wait::holds_within(SOON, is_master);
        assert!(comes, "{side:?} is not the one Master{}", self.pair.logs());
    }

    /// Waits until `side` has advertised on the wire since `since`.
    fn await_claim(&self, side: Side, since: Stamp) -> Stamp {
        let claim = wait::some_within(SOON, || self.pair.first_claim(INTERFACE, side, since));
        claim.unwrap_or_else(|| panic!("{side:?} does not advertise{}", self.pair.logs()))
    }

    /// Watches longer than a timer of the Backup runs that `master` stays the only one to speak.
    fn assert_quiet(&self, master: Side) {
        let since = Stamp::now();
        let quiet = Duration::from_secs(if self.dialect.is_version_2() { 4 } else { 1 });
        let stays = wait::holds_throughout(quiet, || {
            self.held(master) == 2 && self.held(master.other()) == 0
        });
        assert!(stays, "{master:?} did not stay Master{}", self.pair.logs());
        for heard in self.pair.heard(INTERFACE, since) {
            assert_eq!(heard.from, master, "who advertises{}", self.pair.logs());
        }
    }

    /// Priority 0 from `side` since `since`.
    fn has_said_goodbye(&self, side: Side, since: Stamp) -> bool {
        let heard = self.pair.heard(INTERFACE, since);
        heard.iter().any(|heard| heard.from == side && heard.advert.priority == 0)
    }

    /// A host whose daemon listens on a raw socket answers no advertisement with ICMP.
    fn assert_no_unreachable(&self, during: core::ops::Range<Stamp>) {
        let (_, _, capture) = self.pair.segment(INTERFACE);
        let answers = capture.collect(during.start, |frame| {
            let icmp = decode::icmp(frame)?;
            (frame.at < during.end && icmp == PROTOCOL_UNREACHABLE).then_some(frame.at)
        });
        assert!(answers.is_empty(), "protocol unreachable at {answers:?}");
    }

    /// What tshark has to say against the advertisements of the whole scene: nothing.
    fn assert_well_formed(&self) {
        let directory = TempDir::new("tshark");
        let file = directory.path().join("scene.pcap");
        let (_, _, capture) = self.pair.segment(INTERFACE);
        let frames = capture.frames();
        assert!(!capture.is_full());
        pcap::write(&file, &frames);
        let bad = "vrrp && (_ws.malformed || vrrp.checksum.status != 1 || ip.checksum.status == 0)";
        let file = file.to_str().expect("a path of our own making");
        let words = ["-r", file, "-o", "ip.check_checksum:TRUE", "-Y", bad];
        let complaints = tool::output_of("tshark", &words);
        assert_eq!(complaints.as_deref(), Ok(""), "tshark finds fault");
        let adverts = frames.iter().filter_map(decode::advert);
        for advert in adverts {
            // keepalived's unicast over IPv6 has the kernel's hop limit.
            let is_free = self.dialect.is_unicast() && self.dialect.is_ipv6();
            assert!(advert.ttl == 255 || is_free, "{advert:?}");
            assert_eq!(advert.vrid, 133);
            assert_eq!(advert.version, if self.dialect.is_version_2() { 2 } else { 3 });
            assert_eq!(advert.addresses, 2);
        }
    }
}

/// A is better. B is Master while A is away: gone with a goodbye, not yet back, or dead.
fn take_over_and_hand_back(dialect: Dialect, programs: [Program; 2]) {
    let Some(mut scene) = Scene::new(dialect, programs) else {
        return;
    };
    scene.start(Side::A);
    scene.await_master(Side::A);
    scene.start(Side::B);
    let both_run = Stamp::now();
    scene.await_claim(Side::A, both_run);
    scene.assert_quiet(Side::A);

    let stop = Stamp::now();
    let status = scene.pair.node_mut(Side::A).router().stop();
    assert!(status.success(), "{}{}", describe(status), scene.pair.logs());
    scene.await_master(Side::B);
    scene.await_claim(Side::B, stop);
    assert!(scene.has_said_goodbye(Side::A, stop), "no priority 0{}", scene.pair.logs());
    scene.assert_no_unreachable(both_run..stop);

    let back = Stamp::now();
    scene.start(Side::A);
    scene.await_master(Side::A);
    scene.await_claim(Side::A, back);
    scene.assert_quiet(Side::A);
    assert!(!scene.has_said_goodbye(Side::B, back), "a Backup says goodbye");

    let death = Stamp::now();
    scene.pair.node(Side::A).namespace().freeze_all();
    scene.pair.cut(Side::A, INTERFACE);
    scene.pair.node_mut(Side::A).kill();
    let takes_over = wait::holds_within(SOON, || scene.held(Side::B) == 2);
    assert!(takes_over, "B did not take over{}", scene.pair.logs());
    assert!(!scene.has_said_goodbye(Side::A, death), "the dead say goodbye");
    scene.assert_well_formed();
}

const OURS: [Program; 2] = [Program::Daemon, Program::Daemon];
const OUR_BACKUP: [Program; 2] = [Program::Keepalived, Program::Daemon];
const OUR_MASTER: [Program; 2] = [Program::Daemon, Program::Keepalived];

macro_rules! scenes {
    ($($name:ident: $dialect:ident, $programs:ident;)*) => {
        $(
            #[test]
            fn $name() {
                take_over_and_hand_back(Dialect::$dialect, $programs);
            }
        )*
    };
}

scenes! {
    v2_unicast_ours: V2Unicast, OURS;
    v2_unicast_ours_is_backup_to_keepalived: V2Unicast, OUR_BACKUP;
    v2_unicast_keepalived_is_backup_to_ours: V2Unicast, OUR_MASTER;
    v2_multicast_ours: V2Multicast, OURS;
    v2_multicast_ours_is_backup_to_keepalived: V2Multicast, OUR_BACKUP;
    v2_multicast_keepalived_is_backup_to_ours: V2Multicast, OUR_MASTER;
    v3_unicast_ours: V3Unicast, OURS;
    v3_unicast_ours_is_backup_to_keepalived: V3Unicast, OUR_BACKUP;
    v3_unicast_keepalived_is_backup_to_ours: V3Unicast, OUR_MASTER;
    v3_multicast_ours: V3Multicast, OURS;
    v3_multicast_ours_is_backup_to_keepalived: V3Multicast, OUR_BACKUP;
    v3_multicast_keepalived_is_backup_to_ours: V3Multicast, OUR_MASTER;
    v3_unicast_ipv6_ours: V3UnicastIpv6, OURS;
    v3_unicast_ipv6_ours_is_backup_to_keepalived: V3UnicastIpv6, OUR_BACKUP;
    v3_unicast_ipv6_keepalived_is_backup_to_ours: V3UnicastIpv6, OUR_MASTER;
    v3_multicast_ipv6_ours: V3MulticastIpv6, OURS;
    v3_multicast_ipv6_ours_is_backup_to_keepalived: V3MulticastIpv6, OUR_BACKUP;
    v3_multicast_ipv6_keepalived_is_backup_to_ours: V3MulticastIpv6, OUR_MASTER;
}
