//! More virtual addresses than an advertisement has room for at the interface's MTU: who advertises which
//! of them, among ours and beside keepalived.

use core::time::Duration;

use ha_tests::{
    clock::Stamp,
    config::Dialect,
    require,
    scene::{INTERFACE, Make, SOON, Scene},
    tshark, wait,
};

const A: usize = 0;
const B: usize = 1;

/// How many there are, with the two that the scene knows.
const COUNT: usize = 100;

/// So many addresses, the scene's first.
fn addresses(dialect: Dialect) -> Vec<String> {
    let more = (1..=COUNT - 2).map(|number| {
        if dialect.is_ipv6() {
            format!("2001:db8::1:{number:x}")
        } else {
            format!("203.0.113.{number}")
        }
    });
    dialect.addresses().into_iter().chain(more).collect()
}

/// Starts all routers with all addresses, the better one last, on interfaces of this MTU.
fn start(scene: &mut Scene, mtu: u32) -> Stamp {
    let dialect = scene.dialect();
    let few = dialect.addresses().join("\n        ");
    let many = addresses(dialect).join("\n        ");
    let begin = Stamp::now();
    for who in [B, A] {
        scene.namespace(who).ip(&format!("link set {INTERFACE} mtu {mtu}"));
        let config = scene.config(who, "");
        assert!(config.contains(&few), "{config}");
        scene.start_with(who, &config.replace(&few, &many));
    }
    begin
}

/// What `who` lists, in whole advertisements since `since`; nothing of it was fragmented.
fn listed(scene: &Scene, who: usize, since: Stamp) -> Vec<u8> {
    scene.await_claim(who, since);
    let fragments = "ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr";
    assert_eq!(tshark::count(&scene.sent_by(who), fragments), 0, "{}", scene.logs());
    let heard = scene.heard(since);
    let claims = heard.iter().filter(|one| one.from == who && one.advert.priority > 0);
    let mut counts: Vec<u8> = claims.filter_map(|one| one.advert.payload.get(3).copied()).collect();
    counts.dedup();
    counts
}

/// The better router is the one Master, lists what fits, and has all addresses; nobody finds the other's
/// list a different one.
fn agree(dialect: Dialect, makes: [Make; 2], mtu: u32, room: u8) {
    let [better, worse] = makes;
    let Some(mut scene) = Scene::new(dialect, &[(better, 150), (worse, 100)]) else { return };
    start(&mut scene, mtu);
    scene.await_master(A);
    let claim = scene.await_claim(A, Stamp::now());
    // The other one has heard that, whoever of both was the first to be Master.
    let since = scene.await_claim(A, claim + Duration::from_nanos(1));
    assert_eq!(listed(&scene, A, since), [room], "{}", scene.logs());
    scene.await_claim(A, since + Duration::from_nanos(1));
    let heard = scene.heard(since);
    assert!(heard.iter().all(|one| one.from == A), "two Masters{}", scene.logs());
    for address in addresses(dialect) {
        assert!(scene.namespace(A).has_address(INTERFACE, &address), "{address}");
    }
    let logs = scene.logs();
    assert!(!logs.contains("advertises other virtual addresses"), "{logs}");
    // keepalived's word for it.
    assert!(!logs.contains("unexpected ip number"), "{logs}");
    if makes.contains(&Make::Ours) {
        let told = format!("the first {room} of {COUNT} virtual addresses are advertised");
        assert!(logs.contains(&told), "{logs}");
        assert!(logs.contains(&format!("MTU {mtu} of {INTERFACE}")), "{logs}");
    }
    // The other one takes over all of them, and lists the same.
    let since = Stamp::now();
    scene.stop(A);
    scene.await_master(B);
    assert_eq!(listed(&scene, B, since), [room], "{}", scene.logs());
}

#[test]
fn two_of_ours_advertise_what_fits() {
    agree(Dialect::V3MulticastIpv6, [Make::Ours; 2], 1500, 89);
}

#[test]
fn beside_keepalived_both_list_the_same() {
    let (ours, theirs) = (Make::Ours, Make::Keepalived);
    for makes in [[ours, theirs], [theirs, ours]] {
        agree(Dialect::V3MulticastIpv6, makes, 1500, 89);
        agree(Dialect::V2AhMulticast, makes, 128, 13);
    }
}

#[test]
fn beside_keepalived_at_a_small_mtu_of_ipv4() {
    agree(Dialect::V2PassMulticast, [Make::Ours, Make::Keepalived], 128, 19);
    agree(Dialect::V3Multicast, [Make::Ours, Make::Keepalived], 128, 21);
}

/// It is logged, and counted.
#[test]
fn what_the_kernel_does_not_take_is_counted() {
    if !require::require_tools(&[("nft", "nftables")]) {
        return;
    }
    let Some(mut scene) = Scene::new(Dialect::V3Unicast, &[(Make::Ours, 150), (Make::Ours, 100)])
    else {
        return;
    };
    scene.start(A);
    scene.await_master(A);
    assert_eq!(scene.status(A).number("/adverts_unsent"), 0, "{}", scene.logs());
    let peer = scene.source(B);
    // What an administrator's packet filter drops on its way out is refused to whoever sends it.
    let ruleset = format!(
        "add table ip own; add chain ip own out {{ type filter hook output priority 0; }}; \
         add rule ip own out ip daddr {peer} drop"
    );
    let set = scene.namespace(A).output_of("nft", &[&ruleset]);
    set.unwrap_or_else(|error| panic!("{error}"));
    let counts = wait::holds_within(SOON, || scene.status(A).number("/adverts_unsent") > 1);
    assert!(counts, "{}", scene.logs());
    let told = format!("VI_1: cannot send an advertisement to {peer}");
    assert!(wait::holds_within(SOON, || scene.logs().contains(&told)), "{}", scene.logs());
}

/// One that becomes smaller counts at once: a Master that is not heard would not be the only one.
#[test]
fn an_mtu_that_shrinks_shortens_the_list() {
    let Some(mut scene) =
        Scene::new(Dialect::V3MulticastIpv6, &[(Make::Ours, 150), (Make::Ours, 100)])
    else {
        return;
    };
    start(&mut scene, 1500);
    scene.await_master(A);
    scene.namespace(A).ip(&format!("link set {INTERFACE} mtu 1280"));
    let lists = |count: u8| {
        let since = Stamp::now();
        wait::holds_within(SOON, || listed(&scene, A, since).contains(&count))
    };
    assert!(lists(76), "{}", scene.logs());
    let told = "the first 76 of 89 virtual addresses are advertised";
    assert!(wait::holds_within(SOON, || scene.logs().contains(told)), "{}", scene.logs());
    assert!(scene.is_master(A), "{}", scene.logs());
    // It is the same list again when there is room for it.
    scene.namespace(A).ip(&format!("link set {INTERFACE} mtu 1500"));
    assert!(lists(89), "{}", scene.logs());
    assert!(scene.is_master(A), "{}", scene.logs());
    assert!(!scene.logs().contains("cannot send"), "{}", scene.logs());
}
