//! Whom the real program names as senders of what it refuses, and how many it names.

use core::net::{IpAddr, Ipv4Addr};

use ha_common::{
    abi::{SENDERS_MAX, Sender},
    check::Reason,
};
use ha_tests::{
    forge::changed,
    program::{DROP, IFINDEX, Program, frames, require_object},
    rules::{PEER_V4, PEER_V6, V3, V6, cover_of, send_from, tables_for},
    vectors,
};

/// A captured frame that has come over a router, from another address if one is given.
fn from_afar(name: &str, source: Option<&[u8]>) -> Vec<u8> {
    changed(&vectors::load(name).frame, cover_of(name), |frame, layout| {
        frame[layout.ttl()] = 1;
        if let Some(source) = source {
            send_from(frame, layout, source);
        }
    })
}

/// One system call runs on one CPU, but the next may run on another one: counts of all of them.
fn taken(program: &mut Program, reason: Reason) -> (Vec<(Sender, u64)>, u64) {
    let (mut senders, mut others) = (Vec::<(Sender, u64)>::new(), 0);
    for (ifindex, of, refused) in program.take_refused() {
        assert_eq!((ifindex, of), (IFINDEX, reason));
        others += refused.others;
        for (sender, frames) in refused.senders() {
            match senders.iter_mut().find(|(known, _)| *known == sender) {
                Some((_, count)) => *count += frames,
                None => senders.push((sender, frames)),
            }
        }
    }
    (senders, others)
}

#[test]
fn a_sender_is_named_with_its_count() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    for (name, address) in [(V3, IpAddr::from(PEER_V4)), (V6, IpAddr::from(PEER_V6))] {
        program.fill(tables_for(name));
        let frame = from_afar(name, None);
        let (action, _) = program.run_repeated(&frame, 1000);
        let vrid = frame[ha_tests::forge::Layout::of(&frame).message + 1];
        let counted = frames(&program.count_all(), Reason::Ttl);
        let expected = vec![(Sender::at(address, vrid), counted)];
        assert_eq!((action, taken(&mut program, Reason::Ttl)), (DROP, (expected, 0)), "{name}");
        assert_eq!(program.take_refused(), [], "what is taken is gone");
    }
}

#[test]
fn a_frame_without_a_whole_header_has_a_sender_too() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    program.fill(tables_for(V3));
    let frame = changed(&vectors::load(V3).frame, cover_of(V3), |frame, layout| {
        frame.truncate(layout.message + 8);
    });
    program.run(&frame[..frame.len() - 1]);
    let expected = vec![(Sender::at(IpAddr::from(PEER_V4), 0), 1)];
    assert_eq!(taken(&mut program, Reason::Length), (expected, 0));
}

/// However many addresses a flood is made up from, it takes the places there are, and who had one
/// before keeps it.
#[test]
fn a_flood_of_made_up_senders_takes_the_places_there_are() {
    let Some(object) = require_object() else { return };
    let mut program = Program::load(&object, false);
    program.fill(tables_for(V3));
    let known = from_afar(V3, None);
    let made_up: Vec<Vec<u8>> = (0..=u16::MAX)
        .step_by(64)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            from_afar(V3, Some(&Ipv4Addr::new(203, 0, high, low).octets()))
        })
        .collect();
    for frame in &made_up {
        program.run_repeated(&known, 2);
        program.run_repeated(frame, 1);
    }
    let (senders, others) = taken(&mut program, Reason::Ttl);
    let named: u64 = senders.iter().map(|(_, frames)| frames).sum();
    assert_eq!(named + others, frames(&program.count_all(), Reason::Ttl));
    let cpus = aya::util::nr_cpus().expect("the number of CPUs");
    assert!(senders.len() <= SENDERS_MAX * cpus, "{senders:?}");
    let of_known = senders.iter().find(|(one, _)| one.address() == IpAddr::from(PEER_V4));
    // Where it was first on each CPU it ran on, which is sure of one.
    assert!(of_known.is_some_and(|(_, frames)| *frames >= 2), "{senders:?}");
    assert!(others > 0);
}
