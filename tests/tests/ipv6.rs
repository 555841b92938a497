//! What is particular to `VRRPv3` over IPv6, on the wire and in the kernel: sources, groups, hop
//! limits, neighbour discovery, duplicate address detection, and the two families side by side.

use core::{net::Ipv6Addr, time::Duration};
use std::net::UdpSocket;

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    decode::{self, NeighbourAdvertisement},
    forge::{self, Cover, Layout},
    inject::Injector,
    netns::Namespace,
    pair::Side,
    scene::{INTERFACE, Make, SOON, Scene},
    vectors, wait,
};

const A: usize = 0;
const B: usize = 1;
/// Longer than any timer at a fifth of a second runs.
const QUIET: Duration = Duration::from_secs(1);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x133);
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x13);
const VIRTUAL: [Ipv6Addr; 2] = [LINK_LOCAL, GLOBAL];
/// RFC 4291 §2.7.1, of both virtual addresses.
const SOLICITED_NODE: [&str; 2] = ["ff02::1:ff00:133", "ff02::1:ff00:13"];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// One of ours, Master on a host with these settings of the kernel's.
fn master_of_ours(dialect: Dialect, sysctls: &[(&str, &str)]) -> Option<(Scene, Stamp)> {
    let mut scene = Scene::new(dialect, &[(Make::Ours, 150), (Make::Ours, 100)])?;
    set(scene.namespace(A), sysctls);
    let start = Stamp::now();
    scene.start(A);
    scene.await_master(A);
    scene.await_claim(A, start);
    Some((scene, start))
}

/// Sets what is below `net/ipv6/conf/<interface>`.
fn set(namespace: &Namespace, sysctls: &[(&str, &str)]) {
    for (name, value) in sysctls {
        namespace.set_sysctl(&format!("net/ipv6/conf/{INTERFACE}/{name}"), value);
    }
}

fn neighbour_advertisements(scene: &Scene, who: usize) -> Vec<NeighbourAdvertisement> {
    scene.sent_by(who).iter().filter_map(decode::neighbour_advertisement).collect()
}

/// V-5.1.2-1, V-5.2-0, V-5.2.9-1, V-5.2.9-2; tshark knows V-5.2.8-3, the checksum.
#[test]
fn an_advertisement_is_what_rfc_9568_says() {
    let Some((scene, start)) = master_of_ours(Dialect::V3MulticastIpv6, &[]) else {
        return;
    };
    let adverts = scene.heard(start);
    for heard in &adverts {
        let advert = &heard.advert;
        // From the hardware address 02:00:00:00:01:0a, by RFC 4291 appendix A.
        assert_eq!(advert.source.to_string(), "fe80::ff:fe00:10a");
        assert_eq!(advert.destination.to_string(), "ff02::12");
        // RFC 2464 §7.
        assert_eq!(advert.destination_mac, [0x33, 0x33, 0, 0, 0, 0x12]);
        assert_eq!(advert.ttl, 255);
        // Version and type, VRID, priority, count; reserved bits and 20 centiseconds.
        assert_eq!(advert.payload[..6], [0x31, 133, 150, 2, 0, 20]);
        let addresses = VIRTUAL.map(|address| address.octets()).concat();
        assert_eq!(advert.payload[8..], addresses);
    }
    assert!(!adverts.is_empty());
    scene.assert_well_formed();
}

/// V-5.1.2-1, V-5.2.8-3, negative: what did not come from this link, or is not whole, is nobody's
/// word, not even of priority 255.
#[test]
fn an_advertisement_with_a_fault_is_not_heeded() {
    let Some((scene, _)) = master_of_ours(Dialect::V3MulticastIpv6, &[]) else {
        return;
    };
    let injector = Injector::new(scene.namespace(B), INTERFACE);
    let captured = vectors::load("v3-ipv6-multicast").frame;
    let forged = |cover, hop_limit: u8| {
        forge::changed(&captured, cover, |frame, layout: Layout| {
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 1, 11]);
            // From fe80::ff:fe00:10b, router B, which does not run.
            let (source, len) = layout.source();
            let own: Ipv6Addr = Dialect::V3MulticastIpv6.source(11).parse().expect("an address");
            frame[source..source + len].copy_from_slice(&own.octets());
            frame[layout.ttl()] = hop_limit;
            frame[layout.message + 2] = 255;
            frame[layout.message + 5] = 20;
        })
    };
    let sent = Stamp::now();
    let bad = [
        ("a hop limit of 254", forged(Cover::PseudoHeader, 254)),
        ("a checksum without pseudo-header", forged(Cover::Message, 255)),
    ];
    for (what, frame) in &bad {
        injector.send(frame);
        // The one after it has been dealt with when the next advertisement is out.
        let next = scene.await_claim(A, Stamp::now());
        scene.await_claim(A, next + Duration::from_nanos(1));
        assert!(scene.is_master(A), "{what}{}", scene.logs());
    }
    let claims = scene.heard(sent).into_iter().filter(|heard| heard.from == B).count();
    assert_eq!(claims, bad.len(), "what was sent is not there");
    // Without a fault, it is obeyed: the test can tell.
    injector.send(&forged(Cover::PseudoHeader, 255));
    assert!(wait::holds_within(SOON, || scene.held(A) == 0), "{}", scene.logs());
}

/// V-6.4.2-7, RFC 4861 §4.4 and §7.2.6: not solicited, overriding, with the hardware address; the
/// router flag is as the kernel's answers have it, because hosts take back what it took away.
fn announce(forwarding: &str) {
    let sysctls = [("forwarding", forwarding)];
    let Some((mut scene, start)) = master_of_ours(Dialect::V3MulticastIpv6, &sysctls) else {
        return;
    };
    let claim = scene.await_claim(A, start);
    let mac = scene.namespace(A).hardware_address(INTERFACE);
    for address in VIRTUAL {
        let announced = scene.await_announcement(A, &address.to_string(), start);
        assert!(claim <= announced, "{address} is announced before it is claimed");
        let sent = neighbour_advertisements(&scene, A);
        let about = sent.iter().filter(|one| one.target == address && !one.is_solicited);
        let about: Vec<_> = about.collect();
        // keepalived's default: five at once.
        assert_eq!(about.len(), 5, "{address}: {sent:?}");
        for one in about {
            assert_eq!(one.is_router, forwarding == "1");
            assert!(one.is_override);
            assert_eq!(one.source, address);
            assert_eq!(one.destination, ALL_NODES);
            assert_eq!(one.destination_mac, [0x33, 0x33, 0, 0, 0, 1]);
            assert_eq!(one.hop_limit, 255);
            assert_eq!(one.source_mac, mac);
            assert_eq!(one.target_mac, Some(mac));
        }
    }
    scene.assert_well_formed();

    // V-6.4.2-7, V-6.4.3-2: a member of the solicited-node groups while it is Master.
    let memberships = |scene: &Scene| {
        let text = scene.namespace(A).ip(&format!("-6 maddr show dev {INTERFACE}"));
        let is_in = |group: &&str| text.split_whitespace().any(|word| word == *group);
        SOLICITED_NODE.iter().filter(|group| is_in(group)).count()
    };
    assert_eq!(memberships(&scene), 2);
    scene.stop(A);
    assert_eq!(memberships(&scene), 0);
}

#[test]
fn a_host_that_forwards_announces_a_router() {
    announce("1");
}

#[test]
fn a_host_that_does_not_forward_announces_none() {
    announce("0");
}

/// V-6.4.2-7: the flag follows the host, and nothing else happens there that would make us look.
#[test]
fn a_host_that_has_become_a_router_announces_one() {
    let routers = [(Make::Ours, 150), (Make::Ours, 100)];
    let Some(mut scene) = Scene::new(Dialect::V3MulticastIpv6, &routers) else {
        return;
    };
    for who in [A, B] {
        set(scene.namespace(who), &[("forwarding", "0")]);
        scene.start(who);
    }
    scene.await_master(A);
    scene.namespace(B).set_sysctl(&format!("net/ipv6/conf/{INTERFACE}/forwarding"), "1");
    let start = Stamp::now();
    scene.stop(A);
    scene.await_announcement(B, &GLOBAL.to_string(), start);
    let sent = neighbour_advertisements(&scene, B);
    assert!(sent.iter().any(|one| one.is_router && !one.is_solicited), "{sent:?}");
    assert!(sent.iter().all(|one| one.is_router), "{sent:?}");
}

/// V-6.4.3-3, V-6.4.2-2: the Master answers who asks for a virtual address, and nobody else does.
#[test]
fn the_master_alone_answers_solicitations() {
    let routers = [(Make::Ours, 150), (Make::Ours, 100), (Make::Ours, 50)];
    let Some(mut scene) = Scene::new(Dialect::V3MulticastIpv6, &routers) else {
        return;
    };
    for who in [A, B] {
        set(scene.namespace(who), &[("forwarding", "1")]);
        scene.start(who);
    }
    scene.await_master(A);
    // The third host has no router, and asks.
    let client = scene.namespace(2);
    client.ip(&format!("addr add 2001:db8::20/64 dev {INTERFACE} nodad"));
    // What the Master has announced must not be known already.
    client.ip(&format!("-6 neigh flush dev {INTERFACE}"));
    client.run(|| {
        let socket = UdpSocket::bind("[2001:db8::20]:0").expect("a socket");
        socket.send_to(b"?", (GLOBAL, 9)).expect("a datagram for the discard port");
    });
    let answer = |who: usize| {
        let is_it = |one: &NeighbourAdvertisement| one.is_solicited && one.target == GLOBAL;
        neighbour_advertisements(&scene, who).into_iter().find(is_it)
    };
    let answered = wait::some_within(SOON, || answer(A));
    assert!(answered.is_some(), "no answer{}", scene.logs());
    let mac = scene.namespace(A).hardware_address(INTERFACE);
    assert!(answered.is_some_and(|one| one.is_router && one.target_mac == Some(mac)));
    assert_eq!(answer(B), None, "a Backup answers");
}

/// V-8.2.2-3: where the kernel looks for duplicates, it does not for virtual addresses, which could
/// not be used meanwhile.
#[test]
fn virtual_addresses_are_usable_at_once() {
    let sysctls = [("accept_dad", "1"), ("dad_transmits", "1")];
    let Some((scene, _)) = master_of_ours(Dialect::V3MulticastIpv6, &sysctls) else {
        return;
    };
    let namespace = scene.namespace(A);
    let shown = namespace.ip(&format!("-6 -o addr show dev {INTERFACE}"));
    let lines: Vec<&str> =
        shown.lines().filter(|line| line.contains("::133/") || line.contains("::13/")).collect();
    assert_eq!(lines.len(), 2, "{shown}");
    for line in lines {
        assert!(line.contains("nodad") && !line.contains("tentative"), "{line}");
    }
    // The kernel does look, for an address of which it was not told not to.
    namespace.ip(&format!("addr add 2001:db8::99/64 dev {INTERFACE}"));
    let looked_for = |address: Ipv6Addr| {
        let solicitations = scene.sent_by(A);
        let mut solicitations = solicitations.iter().filter_map(decode::neighbour_solicitation);
        solicitations.any(|(target, is_detection)| is_detection && target == address)
    };
    let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99);
    wait::eventually(SOON, "the search for a duplicate", || looked_for(other));
    for address in VIRTUAL {
        assert!(!looked_for(address), "{address}");
    }
}

/// Takes the link down and up, so that the kernel looks for a duplicate of the link-local address.
fn look_for_duplicates_again(namespace: &Namespace) {
    // A second each.
    set(namespace, &[("accept_dad", "1"), ("dad_transmits", "2")]);
    namespace.ip(&format!("link set {INTERFACE} down"));
    namespace.ip(&format!("link set {INTERFACE} up"));
}

fn is_shown(namespace: &Namespace, flag: &str) -> bool {
    namespace.ip(&format!("-6 -o addr show dev {INTERFACE} scope link")).contains(flag)
}

/// V-8.2.2-2: nothing is sent, nor a timer run, before there is an address to send from.
#[test]
fn waits_for_a_source_that_is_tentative() {
    let routers = [(Make::Ours, 150)];
    let Some(mut scene) = Scene::new(Dialect::V3MulticastIpv6, &routers) else {
        return;
    };
    look_for_duplicates_again(scene.namespace(A));
    let config = scene.config(A, "");
    scene.launch(A, &config);
    let mut last_tentative = Stamp::default();
    wait::eventually(SOON, "the kernel to have looked for a duplicate", || {
        let (now, listens) = (Stamp::now(), scene.is_listening(A));
        let is_tentative = is_shown(scene.namespace(A), "tentative");
        if is_tentative {
            assert!(!listens, "{}", scene.logs());
            last_tentative = now;
        }
        !is_tentative
    });
    assert_ne!(last_tentative, Stamp::default(), "it never was tentative");
    scene.await_master(A);
    let claim = scene.await_claim(A, Stamp::default());
    // V-6.1-3 at 0.2 s and priority 150: from when the address was there, and not from the start.
    let master_down = Duration::from_millis(200) * (3 * 256 + 106) / 256;
    let waited = claim.since(last_tentative);
    assert!(waited >= master_down * 99 / 100, "after {waited:?}{}", scene.logs());
}

/// The same, where somebody else has the address: until it is gone.
#[test]
fn does_not_send_from_an_address_that_is_somebody_else_s() {
    let routers = [(Make::Ours, 150), (Make::Ours, 100)];
    let Some(mut scene) = Scene::new(Dialect::V3MulticastIpv6, &routers) else {
        return;
    };
    let source = scene.source(A);
    scene.namespace(B).ip(&format!("addr add {source}/64 dev {INTERFACE} nodad"));
    look_for_duplicates_again(scene.namespace(A));
    wait::eventually(SOON, "a duplicate", || is_shown(scene.namespace(A), "dadfailed"));
    let config = scene.config(A, "");
    scene.launch(A, &config);
    let told = wait::holds_within(SOON, || scene.logs().contains("engine thread"));
    assert!(told, "{}", scene.logs());
    let waits = wait::holds_throughout(QUIET, || scene.held(A) == 0 && !scene.is_listening(A));
    assert!(waits, "{}", scene.logs());
    assert!(scene.heard(Stamp::default()).is_empty(), "{}", scene.logs());
    scene.namespace(B).ip(&format!("addr del {source}/64 dev {INTERFACE}"));
    scene.namespace(A).ip(&format!("addr del {source}/64 dev {INTERFACE}"));
    scene.namespace(A).ip(&format!("addr add {source}/64 dev {INTERFACE}"));
    scene.await_master(A);
}

/// V-3: the virtual router 133 of either family, each with a Master of its own.
struct Families {
    scene: Scene,
}

impl Families {
    /// A is better at IPv4, where its check matters, and B at IPv6.
    fn start(makes: [Make; 2]) -> Option<Self> {
        let [a, b] = makes;
        let mut scene = Scene::new(Dialect::V3Multicast, &[(a, 150), (b, 100)])?;
        for who in [A, B] {
            Self::start_router(&mut scene, who);
        }
        Some(Self { scene })
    }

    fn start_router(scene: &mut Scene, who: usize) {
        let priority = if who == A { 100 } else { 150 };
        let ipv6 = config::instance(Dialect::V3MulticastIpv6, Side::A, priority, "");
        let text = scene.config(who, "") + &ipv6.replace("VI_1", "VI_6");
        scene.start_with(who, &text);
    }

    fn master(&self, dialect: Dialect) -> Option<usize> {
        let holds = |who: usize| {
            let namespace = self.scene.namespace(who);
            dialect.addresses().iter().all(|address| namespace.has_address(INTERFACE, address))
        };
        match (holds(A), holds(B)) {
            (true, false) => Some(A),
            (false, true) => Some(B),
            (true, true) | (false, false) => None,
        }
    }

    /// Waits until `ipv4` and `ipv6` are the Masters, and looks that they stay it and alone speak.
    fn await_masters(&self, ipv4: usize, ipv6: usize) {
        let is_so = || {
            self.master(Dialect::V3Multicast) == Some(ipv4)
                && self.master(Dialect::V3MulticastIpv6) == Some(ipv6)
        };
        let comes = wait::holds_within(SOON, is_so);
        assert!(comes, "not {ipv4} and {ipv6}{}", self.scene.logs());
        let since = Stamp::now();
        assert!(wait::holds_throughout(QUIET, is_so), "{}", self.scene.logs());
        let heard = self.scene.heard(since);
        for is_ipv6 in [false, true] {
            let master = if is_ipv6 { ipv6 } else { ipv4 };
            let about = heard.iter().filter(|one| one.advert.source.is_ipv6() == is_ipv6);
            let about: Vec<_> = about.map(|one| (one.from, one.advert.vrid)).collect();
            let is_all = !about.is_empty() && about.iter().all(|one| *one == (master, 133));
            assert!(is_all, "{about:?}{}", self.scene.logs());
        }
    }

    /// Nobody but `who` has said anything about IPv6 since `since`.
    fn assert_ipv6_untouched(&self, who: usize, since: Stamp) {
        let heard = self.scene.heard(since);
        let mut about_ipv6 = heard.iter().filter(|heard| heard.advert.source.is_ipv6());
        let is_untouched = about_ipv6.all(|one| one.from == who && one.advert.priority > 0);
        assert!(is_untouched, "{}", self.scene.logs());
    }
}

/// V-3: neither notices what becomes of the other.
fn fail_over_independently(makes: [Make; 2]) {
    let Some(mut families) = Families::start(makes) else {
        return;
    };
    families.await_masters(A, B);
    // A's IPv4 becomes worse, and good again: nothing happens to IPv6.
    let since = Stamp::now();
    families.scene.set_healthy(A, false);
    families.await_masters(B, B);
    families.scene.set_healthy(A, true);
    families.await_masters(A, B);
    families.assert_ipv6_untouched(B, since);
    // Each is taken over when its Master goes, and taken back when it returns.
    families.scene.stop(A);
    families.await_masters(B, B);
    families.assert_ipv6_untouched(B, since);
    Families::start_router(&mut families.scene, A);
    families.await_masters(A, B);
    families.scene.stop(B);
    families.await_masters(A, A);
    families.scene.assert_well_formed();
}

#[test]
fn ipv4_and_ipv6_fail_over_independently() {
    fail_over_independently([Make::Ours, Make::Ours]);
}

#[test]
fn ipv4_and_ipv6_fail_over_independently_of_keepalived() {
    fail_over_independently([Make::Ours, Make::Keepalived]);
}
