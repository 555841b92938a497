//! What a change on the host costs, and that what is looked at again is as if all were.

use std::{collections::BTreeMap, fmt::Write as _};

use super::*;
use crate::io::netlink;

/// Addresses and indexes that the host may have, of which each change takes one.
const ADDRESSES: [&str; 8] = [
    "192.0.2.1",
    "192.0.2.2",
    "198.51.100.1",
    // Virtual ones: one of a Backup, one of an owner, one that is somebody's source too.
    "203.0.113.1",
    "203.0.113.2",
    "203.0.113.3",
    "fe80::1",
    "fe80::2",
];
const NAMES: [&str; 4] = ["eth0", "eth1", "eth2", "foreign"];

fn plan() -> Plan {
    let mut text = String::new();
    let mut add = |name: &str, interface: &str, more: &str| {
        write!(
            text,
            "vrrp_instance {name} {{\n interface {interface}\n virtual_router_id 7\n {more}\n}}\n"
        )
        .unwrap();
    };
    add("multicast", "eth0", "virtual_ipaddress {\n 203.0.113.1\n }");
    add("owner", "eth1", "priority 255\n virtual_ipaddress {\n 203.0.113.2\n }");
    add("ipv6", "eth0", "native_ipv6\n virtual_ipaddress {\n fe80::7\n }");
    let from = "unicast_src_ip 203.0.113.3\n unicast_peer {\n 192.0.2.77\n 192.0.2.78\n }\n";
    add("unicast", "eth2", &format!("{from} virtual_ipaddress {{\n 203.0.113.3\n }}"));
    plan_of(&text)
}

fn plan_of(text: &str) -> Plan {
    let parsed = ha_config::parse("x", text);
    let errors = |one: &&ha_config::Diagnostic| one.severity == ha_config::Severity::Error;
    assert_eq!(parsed.diagnostics.iter().find(errors), None);
    Plan::new(&parsed.config, &[]).0
}

/// What the kernel would say, and what is made of it.
#[derive(Default)]
struct Scene {
    links: Table,
    news: News,
}

impl Scene {
    fn tell(&mut self, kind: u16, payload: &[u8]) {
        let message = netlink::Message { kind, flags: 0, sequence: 0, payload };
        self.links.handle(&message, &mut self.news);
    }

    fn link(&mut self, kind: u16, index: u32, name: &str) {
        let mut payload = vec![0; 4];
        payload.extend(index.to_ne_bytes());
        payload.extend([0; 8]);
        // IFLA_IFNAME.
        payload.extend(attribute(3, &[name.as_bytes(), &[0]].concat()));
        self.tell(kind, &payload);
    }

    fn address(&mut self, kind: u16, index: u32, address: &str, flags: u8) {
        let octets = match address.parse().unwrap() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let family = if octets.len() == 4 { libc::AF_INET } else { libc::AF_INET6 };
        let mut payload = vec![u8::try_from(family).unwrap(), 24, flags, 0];
        payload.extend(index.to_ne_bytes());
        // IFA_ADDRESS, IFA_LOCAL.
        payload.extend(attribute(1, &octets));
        payload.extend(attribute(2, &octets));
        assert!(netlink::parse_address(&payload).is_some());
        self.tell(kind, &payload);
    }

    /// An interface that somebody speaks on is open as soon as it is there.
    fn with_view<T>(&self, plan: &Plan, look: impl FnOnce(View<'_>) -> T) -> T {
        let places = Places::of(plan);
        let spoken_on = places.interfaces_in(&News::of_all());
        let open = |name: &str| {
            let link = self.links.by_name(name);
            link.filter(|link| spoken_on.contains(&link.name)).map(|link| link.index)
        };
        look(View { plan, places: &places, links: &self.links, open: &open })
    }

    fn look(&self, plan: &Plan) -> Host {
        self.with_view(plan, Host::look)
    }

    /// Looks at what there is news of.
    fn look_again(&mut self, plan: &Plan, host: &mut Host) -> Keys {
        let news = std::mem::take(&mut self.news);
        self.with_view(plan, |view| host.look_again(view, &news))
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + value.len()).unwrap();
    let mut attribute = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// Does to a copy what the keys say.
fn follow<K: Copy + Ord, V: Copy>(
    copy: &mut BTreeMap<K, V>,
    tables: &BTreeMap<K, V>,
    keys: &BTreeSet<K>,
) {
    for key in keys {
        match tables.get(key) {
            Some(value) => copy.insert(*key, *value),
            None => copy.remove(key),
        };
    }
}

#[test]
fn what_is_looked_at_again_is_as_if_all_were() {
    let plan = plan();
    let mut scene = Scene::default();
    let mut host = scene.look(&plan);
    let mut written = host.tables.clone();
    // A generator of Marsaglia's (xorshift): the same changes in every run.
    let mut random: u64 = 0x2545_f491_4f6c_dd1d;
    let mut choose = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(below).unwrap()).unwrap()
    };
    let mut most = 0;
    for step in 0..20_000 {
        for _ in 0..=choose(2) {
            let index = u32::try_from(choose(5)).unwrap() + 1;
            let (name, address) = (NAMES[choose(4)], ADDRESSES[choose(8)]);
            match choose(8) {
                0 => scene.link(libc::RTM_DELLINK, index, name),
                // The kernel gives no two interfaces one name.
                1 | 2 if scene.links.by_name(name).is_none() => {
                    scene.link(libc::RTM_NEWLINK, index, name);
                }
                3 => scene.address(libc::RTM_DELADDR, index, address, 0),
                // Tentative, secondary, or as it should be.
                _ => scene.address(libc::RTM_NEWADDR, index, address, [0x40, 1, 0, 0][choose(4)]),
            }
        }
        let keys = scene.look_again(&plan, &mut host);
        assert_eq!(host, scene.look(&plan), "step {step}");
        follow(&mut written.addresses, &host.tables.addresses, &keys.addresses);
        follow(&mut written.instances, &host.tables.instances, &keys.instances);
        follow(&mut written.peers, &host.tables.peers, &keys.peers);
        assert_eq!(written, host.tables, "step {step}");
        most = most.max(host.seats.iter().filter(|seat| seat.source.is_some()).count());
    }
    assert_eq!(most, 4, "each instance has had a source");
}

/// A thousand instances on ten interfaces: news of one of them are about its hundred, news of others
/// about nobody.
#[test]
fn a_change_costs_what_it_is_about() {
    let mut text = String::new();
    let mut scene = Scene::default();
    for segment in 0..10 {
        for vrid in 1..=100 {
            write!(
                text,
                "vrrp_instance V{segment}_{vrid} {{\n interface eth{segment}\n \
                 virtual_router_id {vrid}\n virtual_ipaddress {{\n 203.0.113.{vrid}\n }}\n}}\n"
            )
            .unwrap();
        }
        scene.link(libc::RTM_NEWLINK, segment + 1, &format!("eth{segment}"));
        scene.address(libc::RTM_NEWADDR, segment + 1, &format!("192.0.2.{}", segment + 1), 0);
    }
    scene.link(libc::RTM_NEWLINK, 99, "foreign");
    let plan = plan_of(&text);
    let places = Places::of(&plan);
    let mut host = scene.look(&plan);
    scene.news = News::default();
    let mut cost = |scene: &mut Scene| {
        let concerned = places.instances_in(&scene.news).len();
        let trackers = places.trackers_in(&scene.news).len();
        let ports = places.interfaces_in(&scene.news).len();
        let keys = scene.look_again(&plan, &mut host);
        assert!(keys.peers.is_empty());
        [concerned, trackers, ports, keys.instances.len(), keys.addresses.len()]
    };

    scene.address(libc::RTM_NEWADDR, 99, "198.51.100.1", 0);
    assert_eq!(cost(&mut scene), [0; 5], "an interface that nobody speaks on");
    scene.link(libc::RTM_NEWLINK, 98, "another");
    scene.link(libc::RTM_DELLINK, 99, "foreign");
    assert_eq!(cost(&mut scene), [0; 5], "one that comes, and one that goes");
    scene.address(libc::RTM_NEWADDR, 3, "198.51.100.1", 0);
    assert_eq!(cost(&mut scene), [100, 1, 1, 100, 1]);
    scene.link(libc::RTM_DELLINK, 3, "eth2");
    assert_eq!(cost(&mut scene), [100, 1, 1, 100, 2]);
}

/// The ring may hold what came before a reload moved an instance; its number is the same.
#[test]
fn an_advertisement_counts_only_where_its_instance_is_now() {
    let instance = |interface: &str| {
        plan_of(&format!(
            "vrrp_instance V {{\n interface {interface}\n virtual_router_id 7\n \
             virtual_ipaddress {{\n 203.0.113.1\n }}\n}}\n"
        ))
    };
    let mut scene = Scene::default();
    scene.link(libc::RTM_NEWLINK, 1, "eth0");
    scene.link(libc::RTM_NEWLINK, 2, "eth1");
    let before = instance("eth0");
    let (after, _) = instance("eth1").after(&before);
    let heard = |host: &Host| {
        let source = IpAddr::from([192, 0, 2, 1]);
        [1, 2].map(|ifindex| {
            let (instance, at) = (InstanceId(0), Instant::from_nanos(1));
            let advert = Advert { instance, ifindex, at, source, message: &[] };
            host.is_where_it_was_heard(&advert)
        })
    };
    assert_eq!(heard(&scene.look(&before)), [true, false]);
    assert_eq!(heard(&scene.look(&after)), [false, true]);
    scene.link(libc::RTM_DELLINK, 2, "eth1");
    assert_eq!(heard(&scene.look(&after)), [false, false]);
    assert_eq!(heard(&Host::default()), [false, false]);
}
