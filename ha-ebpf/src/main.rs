//! The XDP program: reads a frame, lets `ha_common::check::judge` decide, and does what was decided.
//!
//! It owns no rule of the protocol. What is not shown to be VRRP for this host passes untouched;
//! what is for this host and bad is counted, by sender too, and dropped; what is good is stamped, counted, handed
//! to user space unless it says nothing new, and passed on for tcpdump and for the raw socket that
//! keeps the kernel from answering "protocol unreachable".
//!
//! Needs Linux 5.18: `bpf_xdp_load_bytes`, and frames of more than one buffer.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch), no_std, no_main)]
#![expect(clippy::inline_always, reason = "one flat program is what the BPF verifier judges best")]

mod machine;
mod object;
mod packet;
mod tables;

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::bpf_ktime_get_ns,
    macros::xdp,
    programs::XdpContext,
};
use ha_common::{
    abi::{AdvertHeader, Sender},
    check::{self, Accepted, Reason, Verdict},
};

use crate::{
    packet::Frame,
    tables::{Maps, Tally},
};

// "frags" lets a driver attach the program at any MTU.
#[xdp(frags)]
fn ha_xdp(context: XdpContext) -> u32 {
    let frame = Frame::new(context);
    match check::judge(&frame, &Maps, frame.ifindex()) {
        Verdict::NotVrrp(_) | Verdict::Stranger => XDP_PASS,
        Verdict::Drop(reason, sender) => refuse(frame.ifindex(), reason, &sender),
        Verdict::Accept(accepted) => accept(&frame, &accepted),
    }
}

#[inline(always)]
fn accept(frame: &Frame, accepted: &Accepted) -> u32 {
    let stamp_nanos = now_nanos();
    // Before all else: the engine decides by the stamp even where nothing below works.
    let is_absorbed = tables::stamp(accepted.slot, stamp_nanos, &accepted.content());
    let tally = Tally::new(frame.ifindex());
    tally.count(Reason::Accepted);
    if is_absorbed {
        tally.count(Reason::Absorbed);
        return XDP_PASS;
    }

    let datagram = &accepted.datagram;
    let header = AdvertHeader {
        stamp_nanos,
        slot: accepted.slot,
        ifindex: frame.ifindex(),
        source: datagram.source,
        destination: datagram.destination,
        message_len: u16::try_from(datagram.payload_len).unwrap_or(0),
        vlan: datagram.vlan,
        family: datagram.family.as_u8(),
        ttl: datagram.ttl,
        dialect: accepted.dialect,
        destination_kind: u8::try_from(accepted.destination_kind).unwrap_or(0),
        pad: [0; 8],
    };
    if !packet::submit(header, datagram.payload_len) {
        tally.count(Reason::RingFull);
    }
    XDP_PASS
}

#[inline(always)]
fn refuse(ifindex: u32, reason: Reason, sender: &Sender) -> u32 {
    Tally::new(ifindex).count(reason);
    tables::count_refused(ifindex, reason, sender);
    let is_passed = matches!(reason, Reason::UnknownVrid) && tables::is_unknown_vrid_passed();
    if is_passed { XDP_PASS } else { XDP_DROP }
}

#[inline(always)]
fn now_nanos() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Lets the host's compiler and clippy read the crate; nobody runs this.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
