//! Packets to the virtual addresses: who takes them, and what stays of the filter that refuses them.
//!
//! What is refused is dropped: a connection to a port where nobody listens is refused at once by a
//! host that takes packets, and times out with one that does not.
#![expect(clippy::expect_used, clippy::panic, reason = "a test reports by panicking")]

use core::{net::IpAddr, time::Duration};
use std::{
    env,
    io::ErrorKind,
    net::{SocketAddr, SocketAddrV6, TcpStream},
    process::Command,
};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    netns::Namespace,
    pair::{Pair, SEGMENTS, Side},
    prober::Prober,
    process::{Process, Program, Router, Start},
    require,
    tempdir::TempDir,
    wait,
};
use nix::{net::if_::if_nametoindex, sys::signal::Signal};

const SOON: Duration = Duration::from_secs(20);
/// Many times what an answer takes.
const NO_ANSWER: Duration = Duration::from_secs(1);
const INTERFACE: &str = "bond0";
const V4: &str = "198.51.100.13";
/// The discard port: nobody listens.
const PORT: u16 = 9;

fn can_run() -> bool {
    require::require_daemon() && require::require_tools(&[("nft", "nftables")])
}

fn multicast(side: Side, priority: u8, more: &str) -> String {
    config::instance(Dialect::V3Multicast, side, priority, more)
}

/// A pair of which A is Master, with `text`.
fn master(text: &str) -> Pair {
    let mut pair = Pair::new();
    start(&mut pair, text);
    pair
}

/// Starts A with `text` and waits until it is Master.
fn start(pair: &mut Pair, text: &str) {
    pair.node_mut(Side::A).start(Program::Daemon, text, &[]);
    await_master(pair);
}

fn await_master(pair: &mut Pair) {
    let runs = wait::holds_within(SOON, || pair.node(Side::A).log().contains("engine thread"));
    assert!(runs, "{}", pair.logs());
    let comes = wait::holds_within(SOON, || {
        pair.node_mut(Side::A).router().status().state("VI_1") == "MASTER"
    });
    assert!(comes, "{}", pair.logs());
}

/// Whether the host that has `address` takes a packet for it from the client.
fn is_accepted(pair: &Pair, address: &str) -> bool {
    let address: IpAddr = address.parse().expect("an address");
    let client = pair.client();
    let outcome = client.run(|| {
        let scope = if_nametoindex(INTERFACE).expect("the client's interface");
        let target = match address {
            IpAddr::V4(_) => SocketAddr::new(address, PORT),
            IpAddr::V6(address) => SocketAddrV6::new(address, PORT, 0, scope).into(),
        };
        TcpStream::connect_timeout(&target, NO_ANSWER)
    });
    match outcome.map_err(|error| error.kind()) {
        Ok(_) | Err(ErrorKind::ConnectionRefused) => true,
        Err(ErrorKind::TimedOut) => false,
        Err(other) => panic!("{address}: {other}"),
    }
}

/// Whether the client has asked for `address` and was told A's hardware address.
fn is_resolved(pair: &Pair, address: &str) -> bool {
    let entry = pair.client().ip(&format!("neigh show to {address} dev {INTERFACE}"));
    entry.contains("lladdr 02:00:00:00:01:0a")
}

fn forget_neighbours(pair: &Pair) {
    pair.client().ip(&format!("neigh flush dev {INTERFACE}"));
}

/// The tables of the filter, in a node's namespace.
fn tables(namespace: &Namespace) -> Vec<String> {
    let listed = namespace.output_of("nft", &["list", "tables"]).expect("nft runs");
    listed.lines().map(str::to_owned).collect()
}

/// V-6.4.3-6: with `no_accept` packets to the virtual addresses are not accepted, by ping or
/// otherwise; ARP is answered, and the interface's own address takes packets as ever.
#[test]
fn a_master_that_refuses_packets_still_answers_arp() {
    if !can_run() {
        return;
    }
    let pair = master(&multicast(Side::A, 150, "    no_accept\n"));
    forget_neighbours(&pair);
    let [segment, _] = SEGMENTS;
    for address in segment.virtual_addresses.map(|address| address.to_string()) {
        assert!(!is_accepted(&pair, &address), "{address} takes packets{}", pair.logs());
        assert!(is_resolved(&pair, &address), "no answer to ARP for {address}{}", pair.logs());
    }
    let own = segment.host(Side::A.number());
    assert!(is_accepted(&pair, &own.to_string()), "{own} takes no packets{}", pair.logs());
    let [first, second] = segment.virtual_addresses;
    let since = Stamp::now();
    let prober = Prober::start(pair.client(), &[first, second, own], SOON);
    let answers = wait::holds_within(SOON, || prober.replies_since(own, since) > 300);
    assert!(answers, "{own} does not answer ping{}", pair.logs());
    for address in segment.virtual_addresses {
        assert_eq!(prober.replies_since(address, since), 0, "{address} answers ping");
    }
}

/// V-6.1-5: `Accept_Mode` is False by default in the RFC and true in keepalived, which we follow;
/// V-6.4.3-6: with it packets are accepted.
#[test]
fn by_default_a_master_accepts_packets_and_there_is_no_filter() {
    if !can_run() {
        return;
    }
    let pair = master(&multicast(Side::A, 150, ""));
    assert!(is_accepted(&pair, V4), "{}", pair.logs());
    assert_eq!(tables(pair.node(Side::A).namespace()), [""; 0]);
}

/// V-6.4.3-6: the owner accepts packets, whatever the file says.
#[test]
fn an_owner_accepts_packets_in_spite_of_no_accept() {
    if !can_run() {
        return;
    }
    let pair = master(&multicast(Side::A, 255, "    no_accept\n"));
    assert!(is_accepted(&pair, V4), "{}", pair.logs());
}

/// Mostly asked for by mistake, and noticed when an address does not answer ping.
#[test]
fn strict_mode_says_once_that_the_addresses_take_no_packets() {
    if !can_run() {
        return;
    }
    let pair = master(&multicast(Side::A, 150, "    strict_mode\n"));
    assert!(!is_accepted(&pair, V4), "{}", pair.logs());
    let said = pair.node(Side::A).log().matches("`VI_1` will not answer ping").count();
    assert_eq!(said, 1, "{}", pair.logs());
}

/// V-6.1-6: solicitations and advertisements of neighbours are not dropped where packets are not
/// accepted; V-6.4.3-6 for IPv6, and for an address that is only valid on its link.
#[test]
fn without_accept_mode_neighbour_solicitations_are_answered() {
    if !can_run() {
        return;
    }
    let text = |more: &str| config::instance(Dialect::V3MulticastIpv6, Side::A, 150, more);
    let mut pair = Pair::new();
    pair.client().ip(&format!("addr add 2001:db8::20/64 dev {INTERFACE}"));
    pair.node(Side::A).namespace().ip(&format!("addr add 2001:db8::10/64 dev {INTERFACE}"));
    start(&mut pair, &text("    no_accept\n"));
    forget_neighbours(&pair);
    for address in Dialect::V3MulticastIpv6.addresses() {
        assert!(!is_accepted(&pair, &address), "{address} takes packets{}", pair.logs());
        assert!(is_resolved(&pair, &address), "no advertisement of {address}{}", pair.logs());
    }
    assert!(is_accepted(&pair, "2001:db8::10"), "{}", pair.logs());

    start(&mut pair, &text("    accept\n"));
    for address in Dialect::V3MulticastIpv6.addresses() {
        assert!(is_accepted(&pair, &address), "{address} takes no packets{}", pair.logs());
    }
}

/// V-6.4.2-5: a Backup does not accept packets to the virtual addresses, also not from a client
/// that sends them to it.
#[test]
fn a_backup_accepts_no_packets_to_the_addresses() {
    if !can_run() {
        return;
    }
    let mut pair = master(&multicast(Side::A, 150, ""));
    pair.node_mut(Side::B).start(Program::Daemon, &multicast(Side::B, 100, ""), &[]);
    let runs = wait::holds_within(SOON, || pair.node(Side::B).log().contains("engine thread"));
    assert!(runs, "{}", pair.logs());
    let send_to = |mac: &str| {
        pair.client().ip(&format!("neigh replace {V4} lladdr {mac} nud permanent dev {INTERFACE}"));
    };
    send_to("02:00:00:00:01:0b");
    assert!(!is_accepted(&pair, V4), "the Backup takes packets{}", pair.logs());
    send_to("02:00:00:00:01:0a");
    assert!(is_accepted(&pair, V4), "the Master takes none{}", pair.logs());
    assert_eq!(pair.node_mut(Side::B).router().status().state("VI_1"), "BACKUP");
}

#[test]
fn the_filter_goes_with_the_daemon_and_a_killed_one_s_is_replaced() {
    if !can_run() {
        return;
    }
    let table = ["table inet ha_bond0"];
    let mut pair = master(&multicast(Side::A, 150, "    no_accept\n"));
    // Somebody else's is not ours to touch.
    let own = pair.node(Side::A).namespace().output_of("nft", &["add", "table", "ip", "own"]);
    own.expect("nft runs");
    pair.node_mut(Side::A).router().process().kill();
    assert_eq!(tables(pair.node(Side::A).namespace()), [table[0], "table ip own"]);

    start(&mut pair, &multicast(Side::A, 150, "    no_accept\n"));
    assert_eq!(tables(pair.node(Side::A).namespace()), ["table ip own", table[0]]);
    let listed = pair.node(Side::A).namespace().output_of("nft", &["list", "ruleset"]);
    let listed = listed.expect("nft runs");
    assert_eq!(listed.matches("ip daddr").count(), 1, "{listed}");
    assert!(pair.node_mut(Side::A).router().stop().success(), "{}", pair.logs());
    assert_eq!(tables(pair.node(Side::A).namespace()), ["table ip own"], "{}", pair.logs());

    // A left-over must not silence addresses of a configuration that accepts.
    start(&mut pair, &multicast(Side::A, 150, "    no_accept\n"));
    pair.node_mut(Side::A).router().process().kill();
    start(&mut pair, &multicast(Side::A, 150, ""));
    assert_eq!(tables(pair.node(Side::A).namespace()), ["table ip own"], "{}", pair.logs());
    assert!(is_accepted(&pair, V4), "{}", pair.logs());
}

#[test]
fn a_killed_daemon_s_filter_is_released_with_the_addresses() {
    if !can_run() {
        return;
    }
    let pair = master(&multicast(Side::A, 150, "    no_accept\n"));
    pair.node(Side::A).namespace().kill_all();
    assert_eq!(tables(pair.node(Side::A).namespace()), ["table inet ha_bond0"]);
    let is_released = || pair.node(Side::A).release().0.success();
    assert!(wait::holds_within(SOON, is_released), "{}", pair.logs());
    assert_eq!(tables(pair.node(Side::A).namespace()), [""; 0], "{}", pair.logs());
    assert!(!pair.node(Side::A).namespace().has_address(INTERFACE, V4), "{}", pair.logs());
}

/// As a firewall's own configuration does when it is loaded again.
#[test]
fn a_filter_that_somebody_removes_is_set_again() {
    if !can_run() {
        return;
    }
    let pair = master(&multicast(Side::A, 150, "    no_accept\n"));
    let namespace = pair.node(Side::A).namespace();
    for (count, command) in [
        (1, "flush ruleset"),
        (2, "add table ip own; flush table inet ha_bond0"),
        (3, "delete table inet ha_bond0"),
    ] {
        namespace.output_of("nft", &[command]).expect("nft runs");
        let said = || pair.node(Side::A).log().matches("removed the nft table").count();
        let is_set = || {
            let listed = namespace.output_of("nft", &["list", "ruleset"]).expect("nft runs");
            said() == count && listed.matches("ip daddr").count() == 1
        };
        assert!(wait::holds_within(SOON, is_set), "{command}{}", pair.logs());
        assert!(!is_accepted(&pair, V4), "{command}: it takes packets{}", pair.logs());
    }
}

#[test]
fn two_daemons_have_a_filter_each() {
    if !can_run() {
        return;
    }
    let mut pair = master(&multicast(Side::A, 150, "    no_accept\n"));
    let elsewhere = multicast(Side::A, 150, "    no_accept\n")
        .replace(INTERFACE, "eth2")
        .replace("198.51.100", "192.0.2");
    let namespace = pair.node(Side::A).namespace();
    let start = Start { words: &[], etc: None };
    let mut second = Router::start_with(Program::Daemon, namespace, &elsewhere, &start);
    let comes = wait::holds_within(SOON, || namespace.has_address("eth2", "192.0.2.13"));
    assert!(comes, "{}", second.log());
    assert_eq!(tables(namespace), ["table inet ha_bond0", "table inet ha_eth2"]);
    assert!(second.stop().success(), "{}", second.log());
    assert_eq!(tables(namespace), ["table inet ha_bond0"]);
    assert!(!is_accepted(&pair, V4), "{}", pair.logs());
    drop(second);
    assert!(pair.node_mut(Side::A).router().stop().success(), "{}", pair.logs());
}

#[test]
fn a_reload_sets_and_removes_the_filter() {
    if !can_run() {
        return;
    }
    let mut pair = master(&multicast(Side::A, 150, ""));
    for (more, table) in [("    no_accept\n", Some("table inet ha_bond0")), ("", None)] {
        let file = "keepalived.conf";
        let router = pair.node_mut(Side::A).router();
        router.directory().write(file, &multicast(Side::A, 150, more));
        router.process().signal(Signal::SIGHUP);
        let table: Vec<&str> = table.into_iter().collect();
        let is_set = || tables(pair.node(Side::A).namespace()) == table;
        assert!(wait::holds_within(SOON, is_set), "not {table:?}{}", pair.logs());
        await_master(&mut pair);
        assert_eq!(is_accepted(&pair, V4), table.is_empty(), "{}", pair.logs());
    }
}

/// Starts the daemon on A with `text`, where there is no `nft`.
fn start_without_nft(pair: &Pair, directory: &TempDir, text: &str) -> Process {
    let config = directory.write("ha.conf", text);
    let mut command = Command::new(env::var_os("HA_BINARY").expect("required"));
    command.arg("--config").arg(config).arg("--run-dir").arg(directory.path());
    command.env("PATH", directory.path());
    let log = directory.path().join("log");
    Process::start(pair.node(Side::A).namespace(), command, &log, None)
}

/// Packets would be accepted in silence.
#[test]
fn without_nft_a_daemon_that_should_refuse_packets_does_not_start() {
    if !can_run() {
        return;
    }
    let (pair, directory) = (Pair::new(), TempDir::new("no-nft"));
    let refusing = multicast(Side::A, 150, "    no_accept\n");
    let mut daemon = start_without_nft(&pair, &directory, &refusing);
    let status = daemon.wait(SOON);
    assert!(!status.success(), "{}", daemon.log());
    let log = daemon.log();
    assert!(log.contains("VI_1") && log.contains("package nftables"), "{log}");
}

#[test]
fn without_nft_a_daemon_that_accepts_packets_runs_and_stays_so() {
    if !can_run() {
        return;
    }
    let (pair, directory) = (Pair::new(), TempDir::new("no-nft"));
    let mut daemon = start_without_nft(&pair, &directory, &multicast(Side::A, 150, ""));
    let holds = || pair.node(Side::A).namespace().has_address(INTERFACE, V4);
    assert!(wait::holds_within(SOON, holds), "{}", daemon.log());
    directory.write("ha.conf", &multicast(Side::A, 150, "    no_accept\n"));
    daemon.signal(Signal::SIGHUP);
    let stays = || daemon.log().contains("the running configuration stays: packets to");
    assert!(wait::holds_within(SOON, stays), "{}", daemon.log());
    assert!(is_accepted(&pair, V4), "{}", daemon.log());
    assert!(!daemon.log().contains("MASTER -> "), "it was interrupted: {}", daemon.log());
}
