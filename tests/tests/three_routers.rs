//! Three routers of different makes on one segment: the best of those that are there is Master, and
//! the others wait.

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    config::Dialect,
    scene::{Make, SOON, Scene},
    wait,
};

/// From the best to the worst.
const FIRST: usize = 0;
const SECOND: usize = 1;
const THIRD: usize = 2;
/// Longer than any timer at a fifth of a second runs.
const QUIET: Duration = Duration::from_secs(1);

/// Who has advertised with a priority since `since`, in the order of their first words.
fn claimants(scene: &Scene, since: Stamp) -> Vec<usize> {
    let mut claimants = Vec::new();
    for heard in scene.heard(since) {
        if heard.advert.priority > 0 && !claimants.contains(&heard.from) {
            claimants.push(heard.from);
        }
    }
    claimants
}

/// `who` takes over after `since`, and is then the only one to speak. `dead` still have their
/// addresses, which nobody can reach.
fn await_takeover(scene: &Scene, who: usize, since: Stamp, dead: &[usize]) {
    let is_master = || {
        (FIRST..=THIRD)
            .filter(|one| !dead.contains(one))
            .all(|one| scene.held(one) == if one == who { 2 } else { 0 })
    };
    let comes = wait::holds_within(SOON, is_master);
    assert!(comes, "{who} is not the one Master{}", scene.logs());
    scene.await_claim(who, since);
    for address in scene.dialect().addresses() {
        scene.await_announcement(who, &address, since);
    }
    let quiet = Stamp::now();
    let stays = wait::holds_throughout(QUIET, is_master);
    assert!(stays, "{who} does not stay Master{}", scene.logs());
    assert_eq!(claimants(scene, quiet), [who], "{}", scene.logs());
}

/// V-6.4.2-7, V-6.4.2-9, V-6.4.2-10, V-6.4.3-10 with more than two: each silence is ended by the
/// best of those who hear it, and by nobody else. The priorities are far apart because the skew
/// times are to be, on a busy machine too.
fn play(dialect: Dialect, makes: [Make; 3]) {
    let [first, second, third] = makes;
    let routers = [(first, 250), (second, 220), (third, 20)];
    let Some(mut scene) = Scene::new(dialect, &routers) else {
        return;
    };
    // From the worst to the best: each preempts the one before.
    for who in [THIRD, SECOND, FIRST] {
        let start = Stamp::now();
        scene.start(who);
        await_takeover(&scene, who, start, &[]);
    }

    let death = Stamp::now();
    scene.die(FIRST);
    await_takeover(&scene, SECOND, death, &[FIRST]);
    let spoke = claimants(&scene, death);
    assert!(!spoke.contains(&THIRD), "the third took over: {spoke:?}{}", scene.logs());

    let death = Stamp::now();
    scene.die(SECOND);
    await_takeover(&scene, THIRD, death, &[FIRST, SECOND]);

    // All return: the second takes over from the third, and the first from the second.
    let back = Stamp::now();
    scene.revive(SECOND);
    scene.start(SECOND);
    await_takeover(&scene, SECOND, back, &[FIRST]);
    let back = Stamp::now();
    scene.revive(FIRST);
    scene.start(FIRST);
    await_takeover(&scene, FIRST, back, &[]);

    // With a goodbye it is the skew times that let the better come first.
    let stop = Stamp::now();
    scene.stop(FIRST);
    await_takeover(&scene, SECOND, stop, &[]);
    let spoke = claimants(&scene, stop);
    assert!(!spoke.contains(&THIRD), "the third took over: {spoke:?}{}", scene.logs());
    scene.assert_well_formed();
}

#[test]
fn keepalived_between_ours() {
    play(Dialect::V3Multicast, [Make::Ours, Make::Keepalived, Make::Ours]);
}

#[test]
fn keepalived_between_ours_over_ipv6() {
    play(Dialect::V3MulticastIpv6, [Make::Ours, Make::Keepalived, Make::Ours]);
}

#[test]
fn keepalived_between_ours_in_unicast() {
    play(Dialect::V3Unicast, [Make::Ours, Make::Keepalived, Make::Ours]);
}

#[test]
fn keepalived_before_ours_before_frr() {
    play(Dialect::V3Multicast, [Make::Keepalived, Make::Ours, Make::Frr]);
}

#[test]
fn frr_before_ours_before_keepalived_over_ipv6() {
    play(Dialect::V3MulticastIpv6, [Make::Frr, Make::Ours, Make::Keepalived]);
}
