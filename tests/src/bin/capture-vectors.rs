//! Captures the vectors of `tests/vectors` from a real keepalived, and has tshark judge them.
//!
//! `cargo run -p ha-tests --bin capture-vectors [DIRECTORY]`, as root. Each frame is the first of its kind that
//! keepalived sends on a bridge of its own, so what differs from run to run is at most the
//! identification field of the IP header.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for developers, which reports by printing and by panicking"
)]

use core::time::Duration;
use std::{env, path::PathBuf, thread};

use ha_tests::{
    capture::{Capture, Frame},
    clock::Stamp,
    decode,
    lan::Lan,
    netns::Namespace,
    pcap,
    process::{Program, Router},
    require,
    tempdir::TempDir,
    tool,
    vectors::{self, Vector},
};

/// keepalived is Master after three intervals and skew time; a loaded machine may need longer.
const MASTER_WITHIN: Duration = Duration::from_secs(20);

/// What is to be captured and how keepalived is brought to send it.
struct Case {
    name: &'static str,
    what: &'static str,
    globals: &'static str,
    instance: String,
    /// Whether the advertisement wanted is the one that a stopping Master sends.
    is_stop: bool,
    /// Whether tshark 4.0 calls the checksum right: it knows RFC 5798's only.
    is_good_for_tshark: bool,
}

fn main() {
    if !require::require_keepalived()
        || !require::require_tools(&[("tshark", "tshark"), ("capinfos", "wireshark-common")])
    {
        return;
    }
    let directory = env::args_os().nth(1).map_or_else(vectors::directory, PathBuf::from);
    let version = keepalived_version();
    let captured: Vec<(Case, Frame)> = thread::scope(|scope| {
        let start = |case| scope.spawn(move || capture(case));
        let running: Vec<_> = cases().into_iter().map(start).collect();
        running.into_iter().map(|case| case.join().expect("a frame")).collect()
    });
    let mut vectors = Vec::new();
    for (case, frame) in captured {
        let verdict = judge(&case, &frame);
        println!("{:24} {:3} bytes  {verdict}", case.name, frame.bytes.len());
        vectors.push(Vector {
            name: case.name.to_owned(),
            notes: notes(&case, &version, &verdict),
            frame: frame.bytes,
        });
    }
    let plain = vectors.iter().find(|vector| vector.name == "v3-ipv4-multicast");
    vectors.push(without_pseudo_header(plain.expect("it is among the cases")));
    for vector in vectors {
        let path = directory.join(format!("{}.hex", vector.name));
        std::fs::write(&path, vector.to_text()).expect("write the vector");
    }
}

/// RFC 9568's checksum over IPv4, which this keepalived cannot send: `v3_checksum_as_v2` came with
/// 2.3. The frame is a captured one, with the checksum of RFC 9568 §5.2.8 written over the other.
fn without_pseudo_header(captured: &Vector) -> Vector {
    const MESSAGE: usize = 34;
    let mut frame = captured.frame.clone();
    let message = frame.get_mut(MESSAGE..).expect("a message after 14 + 20 bytes of headers");
    if let Some(checksum) = message.get_mut(6..8) {
        checksum.fill(0);
    }
    let word = |pair: &[u8]| pair.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    if let Some(checksum) = message.get_mut(6..8) {
        checksum.copy_from_slice(&[high, low]);
    }
    let notes = [
        "VRRPv3 over IPv4, to the group; checksum without a pseudo header (RFC 9568 §5.2.8).",
        "",
        "Not captured: v3-ipv4-multicast with the other checksum, written by `capture-vectors`,",
        "because keepalived has `v3_checksum_as_v2` from 2.3 on only.",
    ];
    Vector {
        name: "v3-ipv4-multicast-as-v2".to_owned(),
        notes: notes.map(str::to_owned).to_vec(),
        frame,
    }
}

/// One Master and one silent neighbour; the frame is taken at the switch.
fn capture(case: Case) -> (Case, Frame) {
    let lan = Lan::new("lan");
    let node = Namespace::new("a");
    let neighbour = Namespace::new("b");
    for (port, host, interface, tail) in
        [("a1", &node, "bond0", [1, 10]), ("b1", &neighbour, "bond0", [1, 11])]
    {
        lan.connect(port, host, interface, tail);
        let [_, number] = tail;
        host.ip(&format!("addr add 198.51.100.{number}/24 dev {interface}"));
    }
    let capture = Capture::start(lan.switch(), 1000);
    let start = Stamp::now();
    let is_wanted = |frame: &Frame, is_stop: bool| {
        let advert =
            decode::advert(frame).filter(|_| frame.interface == "a1" && !frame.is_outgoing);
        advert.filter(|advert| (advert.priority == 0) == is_stop).map(|_| frame.clone())
    };
    let mut keepalived = Router::start(Program::Keepalived, &node, &config(&case));
    let first = ha_tests::wait::some_within(MASTER_WITHIN, || {
        capture.first(start, |frame| is_wanted(frame, false))
    });
    let Some(first) = first else {
        panic!("{}: no advertisement; keepalived says:\n{}", case.name, keepalived.log());
    };
    if !case.is_stop {
        return (case, first);
    }
    keepalived.stop();
    let stop = capture.await_first(MASTER_WITHIN, case.name, start, |frame| is_wanted(frame, true));
    (case, stop)
}

/// tshark's word on the frame; panics if it has another complaint than the known one.
fn judge(case: &Case, frame: &Frame) -> String {
    let directory = TempDir::new("judge");
    let file = directory.path().join("frame.pcap");
    pcap::write(&file, core::slice::from_ref(frame));
    let file = file.to_str().expect("a path of our own making");
    let words = [
        "-r",
        file,
        "-T",
        "fields",
        "-E",
        "separator=|",
        "-e",
        "vrrp.checksum.status",
        "-e",
        "_ws.malformed",
        "-e",
        "_ws.expert.message",
        "-e",
        "ip.checksum.status",
        // Off by default, as network cards fill it in late.
        "-o",
        "ip.check_checksum:TRUE",
    ];
    let output = tool::output_of("tshark", &words).unwrap_or_else(|error| panic!("{error}"));
    let fields: Vec<&str> = output.trim_end().split('|').collect();
    let [checksum, malformed, complaint, ip_checksum] = fields.as_slice() else {
        panic!("{}: tshark says {output}", case.name);
    };
    assert!(malformed.is_empty(), "{}: malformed", case.name);
    assert!(matches!(*ip_checksum, "" | "1"), "{}: bad IP checksum", case.name);
    assert_eq!(
        *checksum == "1",
        case.is_good_for_tshark,
        "{}: tshark's verdict on the checksum has changed: {output}",
        case.name
    );
    if case.is_good_for_tshark {
        assert!(complaint.is_empty(), "{}: tshark complains: {complaint}", case.name);
        "tshark: checksum good, no complaint".to_owned()
    } else {
        format!("tshark, as it must by RFC 5798: {complaint}")
    }
}

fn notes(case: &Case, version: &str, verdict: &str) -> Vec<String> {
    let mut notes = vec![
        case.what.to_owned(),
        String::new(),
        format!("Sent by {version}, captured on veth by `capture-vectors`."),
        verdict.to_owned(),
        "Configuration:".to_owned(),
    ];
    notes.extend(config(case).lines().map(|line| format!("    {line}")));
    notes
}

fn keepalived_version() -> String {
    let output = std::process::Command::new("keepalived").arg("--version").output();
    let output = output.expect("keepalived was found before");
    // It prints its version where errors go.
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn config(case: &Case) -> String {
    format!(
        "global_defs {{\n    router_id LVS_DEVEL1\n{}}}\n\nvrrp_instance VI_1 {{\n{}}}\n",
        case.globals, case.instance
    )
}

const V2: &str = "    vrrp_version 2\n";
const V3: &str = "    vrrp_version 3\n";

const PASS: &str = "    authentication {
        auth_type PASS
        auth_pass 337639943
    }
";
const AH: &str = "    authentication {
        auth_type AH
        auth_pass 337639943
    }
";
const UNICAST: &str = "    unicast_src_ip 198.51.100.10
    unicast_peer {
        198.51.100.11
    }
";
const ADDRESSES: &str = "    virtual_ipaddress {
        198.51.100.13
        198.51.100.14
    }
";
/// The neighbour's link-local address comes from its hardware address.
const UNICAST_6: &str = "    unicast_src_ip fe80::ff:fe00:10a
    unicast_peer {
        fe80::ff:fe00:10b
    }
";
const ADDRESSES_6: &str = "    virtual_ipaddress {
        fe80::133
        2001:db8::13
    }
";

fn instance(vrid: u8, interval: &str, parts: &[&str]) -> String {
    let head = format!(
        "    state BACKUP
    interface bond0
    virtual_router_id {vrid}
    priority 100
    advert_int {interval}
"
    );
    head + &parts.concat()
}

impl Case {
    fn new(
        name: &'static str,
        what: &'static str,
        globals: &'static str,
        instance: String,
    ) -> Self {
        Self { name, what, globals, instance, is_stop: false, is_good_for_tshark: true }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = version_2();
    cases.extend(version_3_over_ipv4());
    cases.extend(version_3_over_ipv6());
    cases
}

fn version_2() -> Vec<Case> {
    vec![
        Case::new(
            "v2-pass-unicast",
            "VRRPv2, PASS, to a unicast peer: the reference pair's VI_1.",
            V2,
            instance(133, "1", &[PASS, UNICAST, ADDRESSES]),
        ),
        Case::new(
            "v2-pass-multicast",
            "VRRPv2, PASS, to the group.",
            V2,
            instance(133, "1", &[PASS, ADDRESSES]),
        ),
        Case::new(
            "v2-noauth-multicast",
            "VRRPv2 without authentication, to the group.",
            V2,
            instance(233, "1", &[ADDRESSES]),
        ),
        Case {
            is_stop: true,
            ..Case::new(
                "v2-pass-unicast-stop",
                "VRRPv2, PASS, to a unicast peer: the Master stops (priority 0).",
                V2,
                instance(133, "1", &[PASS, UNICAST, ADDRESSES]),
            )
        },
        Case::new(
            "v2-ah-multicast",
            "VRRPv2 behind an Authentication Header, to the group.",
            V2,
            instance(133, "1", &[AH, ADDRESSES]),
        ),
        Case::new(
            "v2-ah-unicast",
            "VRRPv2 behind an Authentication Header, to a unicast peer.",
            V2,
            instance(133, "1", &[AH, UNICAST, ADDRESSES]),
        ),
        Case {
            is_stop: true,
            ..Case::new(
                "v2-ah-unicast-stop",
                "VRRPv2 behind an Authentication Header: the Master stops (priority 0), with the \
                 second sequence number.",
                V2,
                instance(133, "1", &[AH, UNICAST, ADDRESSES]),
            )
        },
    ]
}

fn version_3_over_ipv4() -> Vec<Case> {
    vec![
        Case::new(
            "v3-ipv4-multicast",
            "VRRPv3 over IPv4, to the group; checksum with a pseudo header, keepalived's default.",
            V3,
            instance(133, "1", &[ADDRESSES]),
        ),
        Case::new(
            "v3-ipv4-multicast-10ms",
            "VRRPv3 over IPv4, to the group, at the shortest interval there is.",
            V3,
            instance(233, "0.01", &[ADDRESSES]),
        ),
        Case::new(
            "v3-ipv4-unicast",
            "VRRPv3 over IPv4, to a unicast peer; the pseudo header has the peer's address.",
            V3,
            instance(133, "1", &[UNICAST, ADDRESSES]),
        ),
        Case {
            is_good_for_tshark: false,
            ..Case::new(
                "v3-ipv4-unicast-old",
                "VRRPv3 over IPv4, to a unicast peer, as keepalived 1.3.6 and before: the pseudo \
                 header has the group's address.",
                V3,
                instance(133, "1", &[UNICAST, "    old_unicast_checksum\n", ADDRESSES]),
            )
        },
        Case {
            is_stop: true,
            ..Case::new(
                "v3-ipv4-multicast-stop",
                "VRRPv3 over IPv4, to the group: the Master stops (priority 0).",
                V3,
                instance(133, "1", &[ADDRESSES]),
            )
        },
    ]
}

fn version_3_over_ipv6() -> Vec<Case> {
    vec![
        Case::new(
            "v3-ipv6-multicast",
            "VRRPv3 over IPv6, to the group.",
            V3,
            instance(133, "1", &[ADDRESSES_6]),
        ),
        Case::new(
            "v3-ipv6-unicast",
            "VRRPv3 over IPv6, to a unicast peer; the hop limit is the kernel's default, not 255.",
            V3,
            instance(133, "1", &[UNICAST_6, ADDRESSES_6]),
        ),
    ]
}
