//! How the real program walks headers: tags, options, fragments, frames that end anywhere, and every byte
//! changed.

use ha_common::{abi::COUNTERS_LEN, check::Reason};
use ha_tests::{
    forge::{Cover, Layout, changed, tagged},
    program::{Program, require_object},
    rules::{
        PEER_V6, SLOT, STRANGER_V4, V2, V3, V3_UNICAST, V6, VLAN, VLAN_SLOT, cover_of,
        is_behind_ah, receive_at, tables_for,
    },
    vectors,
};

use super::{AD, Expect, OF_USER_SPACE, Q, accepted, check, judged};

/// How frames of the same content may differ below IP.
#[test]
fn tags_options_and_padding() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for name in [V2, V3, V3_UNICAST, V6] {
        program.fill(tables_for(name));
        let frame = &vectors::load(name).frame;
        let cover = cover_of(name);
        let mut check = |what: &str, frame: &[u8], expect: &Expect| {
            check(&mut program, &format!("{name}, {what}"), frame, expect);
        };
        let here = accepted(frame, SLOT, 0, cover);
        let on_vlan = accepted(frame, VLAN_SLOT, VLAN, cover);
        check("padded with zeros", &[frame.as_slice(), &[0; 10]].concat(), &here);
        check("padded with noise", &[frame.as_slice(), &[0xa5; 31]].concat(), &here);
        // The priority bits and "drop eligible" are not a part of the VLAN's number.
        for tag in [Q, AD] {
            check("priority tag", &tagged(frame, tag, 0xe000), &here);
            check("VLAN", &tagged(frame, tag, VLAN | 0xf000), &on_vlan);
            check("VLAN of others", &tagged(frame, tag, VLAN + 1), &Expect::Stranger);
        }
        let tags = |outer, inner| tagged(&tagged(frame, Q, inner), AD, outer);
        check("priority tag in a VLAN", &tags(VLAN, 0), &on_vlan);
        check("VLAN in a priority tag", &tags(0, VLAN), &on_vlan);
        check("VLAN in a VLAN", &tags(VLAN, VLAN + 1), &Expect::Stranger);
        check("our VLAN in another", &tags(VLAN + 1, VLAN), &Expect::Stranger);
        check("three tags", &tagged(&tags(0, 0), Q, 0), &Expect::Stranger);
    }
    for words in 1..=10 {
        program.fill(tables_for(V3));
        let frame = changed(&vectors::load(V3).frame, Cover::Message, |frame, layout| {
            // RFC 791 §3.1: option 1 is "no operation".
            frame.splice(layout.message..layout.message, vec![1; 4 * words]);
            frame[layout.ip] += u8::try_from(words).expect("a small number");
        });
        let expect = accepted(&frame, SLOT, 0, Cover::Message);
        check(&mut program, "options", &frame, &expect);
    }
}

/// Frames that concern others, or the kernel first.
#[test]
fn strangers_pass_untouched() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    let v3 = vectors::load(V3).frame;
    let v6 = vectors::load(V6).frame;
    let edit =
        |frame: &[u8], change: fn(&mut Vec<u8>, Layout)| changed(frame, Cover::Message, change);
    let frames: Vec<(&str, Vec<u8>)> = vec![
        ("TCP", edit(&v3, |frame, layout| frame[layout.ip + 9] = 6)),
        ("TCP over IPv6", edit(&v6, |frame, layout| frame[layout.ip + 6] = 6)),
        ("ARP", edit(&v3, |frame, layout| frame[layout.ip - 1] = 6)),
        ("another host's", edit(&v3, |frame, layout| receive_at(frame, layout, &STRANGER_V4))),
        ("another group's", edit(&v3, |frame, layout| receive_at(frame, layout, &[224, 0, 0, 1]))),
        ("another host's, IPv6", edit(&v6, |frame, layout| receive_at(frame, layout, &PEER_V6))),
        ("first fragment", edit(&v3, |frame, layout| frame[layout.ip + 6] = 0x20)),
        ("last fragment", edit(&v3, |frame, layout| frame[layout.ip + 7] = 2)),
        ("far fragment", edit(&v3, |frame, layout| frame[layout.ip + 6] = 0x10)),
        ("IPv5", edit(&v3, |frame, layout| frame[layout.ip] = 0x55)),
        ("IPv4 called IPv6", {
            let mut frame = v3.clone();
            frame[12..14].copy_from_slice(&[0x86, 0xdd]);
            frame
        }),
        // RFC 8200 §4.3: a hop-by-hop header between IP and VRRP.
        (
            "extension header",
            edit(&v6, |frame, layout| {
                frame[layout.ip + 6] = 0;
                let header = [112, 0, 1, 4, 0, 0, 0, 0];
                frame.splice(layout.message..layout.message, header);
            }),
        ),
        ("Ethernet header only", v3[..14].to_vec()),
        ("half an IP header", v3[..24].to_vec()),
        ("our VLAN, no message", tagged(&v3[..34], Q, VLAN)),
    ];
    for (name, frame) in frames {
        program.fill(tables_for(V3));
        check(&mut program, name, &frame, &Expect::Stranger);
    }
    // "Don't fragment" is no fragment (RFC 791 §3.1).
    let frame = edit(&v3, |frame, layout| frame[layout.ip + 6] = 0x40);
    check(&mut program, "DF", &frame, &accepted(&frame, SLOT, 0, Cover::Message));
}

/// A frame that ends anywhere: never accepted before it is whole, and never read beyond its end.
#[test]
fn truncation_at_every_length() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for vector in vectors::all() {
        let tables = tables_for(&vector.name);
        program.fill(tables.clone());
        let layout = Layout::of(&vector.frame);
        for frame in [vector.frame.clone(), tagged(&vector.frame, Q, VLAN)] {
            // The kernel runs XDP programs on whole Ethernet headers only.
            for len in 14..frame.len() {
                let expect = judged(&tables, &frame[..len]);
                assert!(!matches!(expect, Expect::Accept(_)), "{}: {len} bytes", vector.name);
                let is_tagged = frame.len() != vector.frame.len();
                if !is_tagged && len >= layout.message && !is_behind_ah(&vector.name) {
                    assert!(matches!(expect, Expect::Drop(Reason::Length)), "{len}: {expect:?}");
                }
                check(&mut program, &vector.name, &frame[..len], &expect);
            }
        }
    }
}

/// Every byte of every captured frame, changed in every bit and in all: as it is, and with
/// checksums that fit the change, so that the checks behind them are reached too.
#[test]
fn mutants_are_judged_as_on_the_host() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    let mut tried = [0_u32; COUNTERS_LEN];
    for vector in vectors::all() {
        let tables = tables_for(&vector.name);
        program.fill(tables.clone());
        let frames = [vector.frame.clone(), tagged(&vector.frame, Q, VLAN)];
        for frame in frames {
            let layout = Layout::of(&frame);
            for at in 0..frame.len() {
                for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                    let mut mutant = frame.clone();
                    mutant[at] ^= mask;
                    let mut sealed = mutant.clone();
                    layout.seal(&mut sealed, cover_of(&vector.name));
                    for mutant in [mutant, sealed] {
                        let expect = judged(&tables, &mutant);
                        if let Expect::Drop(reason) = expect {
                            tried[reason.index()] += 1;
                        }
                        check(&mut program, &vector.name, &mutant, &expect);
                    }
                }
            }
        }
    }
    // Unless the mutants come to every check, their agreement says little.
    for reason in Reason::ALL.into_iter().skip(3) {
        let is_rare = matches!(reason, Reason::OwnSource | Reason::Destination)
            || OF_USER_SPACE.contains(&reason);
        assert!(is_rare || tried[reason.index()] > 0, "no mutant for {reason:?}");
    }
}
