//! The daemon with FRR's vrrpd, over IPv4 and IPv6: who is Master, which addresses are where, what
//! is on the wire, and in which order.
//!
//! FRR advertises from the virtual router's hardware address, which we do not, and each must take
//! the other as it is.

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    config::Dialect,
    scene::{INTERFACE, Make, SOON, Scene},
    wait,
};

/// The better router, Master whenever it can be, and the other.
const A: usize = 0;
const B: usize = 1;
/// Longer than any timer at a fifth of a second runs.
const QUIET: Duration = Duration::from_secs(1);

/// `who` becomes the one Master, advertises first, and then announces each address (V-6.4.2-7).
fn await_takeover(scene: &Scene, who: usize, since: Stamp) {
    scene.await_master(who);
    let claim = scene.await_claim(who, since);
    for address in scene.dialect().addresses() {
        let announced = scene.await_announcement(who, &address, since);
        // FRR's interface has just come up, and its first advertisement over IPv6 finds no source.
        let is_free = scene.make(who) == Make::Frr && scene.dialect().is_ipv6();
        assert!(is_free || claim <= announced, "{address} is announced first{}", scene.logs());
    }
}

/// `master` stays the one Master, and nobody else speaks.
fn assert_quiet(scene: &Scene, master: usize) {
    let since = Stamp::now();
    let stays = wait::holds_throughout(QUIET, || scene.is_master(master));
    assert!(stays, "{master} did not stay Master{}", scene.logs());
    for heard in scene.heard(since) {
        assert_eq!(heard.from, master, "who advertises{}", scene.logs());
        assert_eq!(heard.advert.priority, scene.priorities(master).0);
    }
}

fn says_goodbye(scene: &Scene, who: usize, since: Stamp) -> bool {
    let heard = scene.heard(since);
    heard.iter().any(|one| one.from == who && one.advert.priority == 0)
}

/// V-7.3: FRR's are the virtual router's; ours are the interface's (no `use_vmac`).
fn assert_hardware_addresses(scene: &Scene) {
    let family = if scene.dialect().is_ipv6() { 2 } else { 1 };
    for heard in scene.heard(Stamp::default()) {
        let expected = match scene.make(heard.from) {
            Make::Frr => [0, 0, 0x5e, 0, family, 133],
            Make::Ours | Make::Keepalived => {
                scene.namespace(heard.from).hardware_address(INTERFACE)
            }
        };
        assert_eq!(heard.advert.source_mac, expected, "router {}", heard.from);
        let source = heard.advert.source.to_string();
        assert!(!scene.dialect().addresses().contains(&source), "{source} is virtual");
        assert_eq!(heard.advert.ttl, 255);
        assert_eq!(heard.advert.version, 3);
        assert_eq!(heard.advert.addresses, 2);
    }
}

/// A stops, comes back and preempts, and dies; B takes over both times.
fn play(dialect: Dialect, makes: [Make; 2]) {
    let [a, b] = makes;
    let Some(mut scene) = Scene::new(dialect, &[(a, 150), (b, 100)]) else {
        return;
    };
    let start = Stamp::now();
    scene.start(A);
    await_takeover(&scene, A, start);
    scene.start(B);
    assert_quiet(&scene, A);

    let stop = Stamp::now();
    scene.stop(A);
    await_takeover(&scene, B, stop);
    assert!(says_goodbye(&scene, A, stop), "no priority 0{}", scene.logs());
    assert_quiet(&scene, B);

    let back = Stamp::now();
    scene.start(A);
    await_takeover(&scene, A, back);
    assert_quiet(&scene, A);
    assert!(!says_goodbye(&scene, B, back), "B says goodbye{}", scene.logs());

    let death = Stamp::now();
    scene.die(A);
    let takes_over = wait::holds_within(SOON, || scene.held(B) == 2);
    assert!(takes_over, "B did not take over{}", scene.logs());
    scene.await_claim(B, death);
    assert!(!says_goodbye(&scene, A, death), "the dead say goodbye");

    let again = Stamp::now();
    scene.revive(A);
    scene.start(A);
    await_takeover(&scene, A, again);
    assert_quiet(&scene, A);
    let stop = Stamp::now();
    scene.stop(B);
    assert!(!says_goodbye(&scene, B, stop), "a Backup says goodbye{}", scene.logs());
    assert_quiet(&scene, A);
    scene.assert_well_formed();
    assert_hardware_addresses(&scene);
}

#[test]
fn ipv4_ours_is_backup_to_frr() {
    play(Dialect::V3Multicast, [Make::Frr, Make::Ours]);
}

#[test]
fn ipv4_frr_is_backup_to_ours() {
    play(Dialect::V3Multicast, [Make::Ours, Make::Frr]);
}

#[test]
fn ipv6_ours_is_backup_to_frr() {
    play(Dialect::V3MulticastIpv6, [Make::Frr, Make::Ours]);
}

#[test]
fn ipv6_frr_is_backup_to_ours() {
    play(Dialect::V3MulticastIpv6, [Make::Ours, Make::Frr]);
}
