//! Who answers for a virtual address: its Master and nobody else, by ARP, and no router announces
//! itself by IPv6 router advertisements. What neighbour discovery answers is in `ipv6.rs`.
//!
//! That somebody was silent is known when it has answered a later question on the same link.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::net::Ipv4Addr;

use ha_tests::{
    clock::Stamp,
    config::Dialect,
    decode,
    inject::Injector,
    pair::SEGMENTS,
    scene::{INTERFACE, Make, SOON, Scene},
};

const A: usize = 0;
const B: usize = 1;
/// A host without a router, that asks.
const CLIENT: usize = 2;
const ROUTERS: [(Make, u8); 3] = [(Make::Ours, 150), (Make::Ours, 100), (Make::Ours, 50)];
const ARP: [u8; 2] = [0x08, 0x06];
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
/// RFC 4861 §4.2.
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;

/// The two routers and their kernels, asked from the third host.
struct Questions {
    scene: Scene,
    injector: Injector,
}

impl Questions {
    fn new(dialect: Dialect) -> Option<Self> {
        let mut scene = Scene::new(dialect, &ROUTERS)?;
        for who in [A, B] {
            scene.namespace(who).set_sysctl("net/ipv6/conf/all/forwarding", "1");
            scene.start(who);
        }
        scene.await_master(A);
        let injector = Injector::new(scene.namespace(CLIENT), INTERFACE);
        Some(Self { scene, injector })
    }

    /// The address of host `who`, and its hardware address.
    fn host(&self, who: usize) -> (Ipv4Addr, [u8; 6]) {
        let [segment, _] = SEGMENTS;
        let number = 10 + u8::try_from(who).expect("a handful of hosts");
        (segment.host(number), self.scene.namespace(who).hardware_address(INTERFACE))
    }

    /// Asks everybody where `target` is (RFC 826).
    fn ask(&self, target: Ipv4Addr) {
        let (address, mac) = self.host(CLIENT);
        let own = [mac.as_slice(), &address.octets()].concat();
        let asked = [[0; 6].as_slice(), &target.octets()].concat();
        let ethernet = [[0xff; 6].as_slice(), &mac, &ARP].concat();
        let frame = [ethernet.as_slice(), &ETHERNET_IPV4, &REQUEST, &own, &asked].concat();
        self.injector.send(&frame);
    }

    /// Who has answered for `address` since `since`: the port, and the hardware address it gave.
    fn answers(&self, address: Ipv4Addr, since: Stamp) -> Vec<(usize, [u8; 6])> {
        self.scene.capture().collect(since, |frame| {
            let arp = decode::arp(frame)?;
            let is_it = !arp.is_request && arp.sender == address && !arp.is_gratuitous();
            is_it.then_some((self.scene.sender(frame)?, arp.sender_mac))
        })
    }

    /// Waits until `who` has answered for its own address: it has dealt with all that was asked
    /// before.
    fn await_own_answer(&self, who: usize) {
        let since = Stamp::now();
        let (address, mac) = self.host(who);
        self.ask(address);
        let own = self.scene.capture().await_first(SOON, "an answer", since, |frame| {
            let arp = decode::arp(frame).filter(|arp| !arp.is_request && arp.sender == address)?;
            Some((self.scene.sender(frame)?, arp.sender_mac))
        });
        assert_eq!(own, (who, mac));
    }

    /// All virtual addresses are `master`'s, who says so once for each question, with the
    /// interface's own hardware address: there is no `use_vmac` yet.
    fn assert_answered_by(&self, master: usize) {
        let [segment, _] = SEGMENTS;
        let (_, mac) = self.host(master);
        for address in segment.virtual_addresses {
            let since = Stamp::now();
            self.ask(address);
            for who in [A, B] {
                self.await_own_answer(who);
            }
            assert_eq!(self.answers(address, since), [(master, mac)], "{address}");
        }
    }
}

/// V-6.4.3-1, V-6.4.2-1: the Master answers for virtual addresses, a Backup does not, nor does who has
/// stopped (V-6.4.3-7); who takes over answers from then on.
#[test]
fn the_master_alone_answers_arp() {
    let Some(mut questions) = Questions::new(Dialect::V3Multicast) else {
        return;
    };
    questions.assert_answered_by(A);
    questions.scene.stop(A);
    questions.scene.await_master(B);
    questions.assert_answered_by(B);
}

/// V-6.4.2-3: a Backup announces no router, not even if asked; nor does a Master (V-6.4.3-4, which is
/// another daemon's business).
#[test]
fn nobody_sends_router_advertisements() {
    let Some(questions) = Questions::new(Dialect::V3MulticastIpv6) else {
        return;
    };
    let (_, mac) = questions.host(CLIENT);
    // From fe80::ff:fe00:10c to all routers, ff02::2. The sum by hand: fe80 + 00ff + fe00 + 010c +
    // ff02 + 0002 = 2_fd8f; length 8 and protocol 58: 0042; 8500: 3_82d1, folded 82d4, inverted 7d2b.
    let source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 1, 0x0c];
    let all_routers = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let ethernet = [[0x33, 0x33, 0, 0, 0, 2].as_slice(), &mac, &[0x86, 0xdd]].concat();
    let header = [0x60, 0, 0, 0, 0, 8, 58, 255];
    let message = [ROUTER_SOLICITATION, 0, 0x7d, 0x2b, 0, 0, 0, 0];
    let frame = [ethernet.as_slice(), &header, &source, &all_routers, &message].concat();
    questions.injector.send(&frame);
    for who in [A, B] {
        questions.await_own_answer(who);
    }
    let kinds = questions.scene.capture().collect(Stamp::default(), |frame| {
        let is_icmp = frame.bytes.get(12..14)? == [0x86, 0xdd] && *frame.bytes.get(20)? == 58;
        let kind = *frame.bytes.get(54)?;
        is_icmp.then_some((questions.scene.sender(frame)?, kind))
    });
    assert!(kinds.contains(&(CLIENT, ROUTER_SOLICITATION)), "nobody was asked: {kinds:?}");
    assert!(!kinds.iter().any(|(_, kind)| *kind == ROUTER_ADVERTISEMENT), "{kinds:?}");
}
