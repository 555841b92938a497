//! What tshark, which shares no code with us, makes of frames.

use crate::{capture::Frame, pcap, tempdir::TempDir, tool};

/// Off by itself: the checksum of IP headers. On by itself: that two hosts announce one address,
/// which is what virtual addresses do when they move.
const PREFERENCES: [&str; 4] =
    ["-o", "ip.check_checksum:TRUE", "-o", "arp.detect_duplicate_ips:FALSE"];

/// A frame that cannot be read, of which an expert warns, or with a checksum that is not good
/// (0: bad, 1: good, 2: not looked at). VRRP over IPv4 and `ICMPv6` must have been looked at.
const FAULTS: &str = "_ws.malformed || _ws.expert.severity >= 0x600000 || ip.checksum.status == 0 \
    || igmp.checksum.status == 0 || (vrrp && vrrp.checksum.status != 1) \
    || (icmpv6 && icmpv6.checksum.status != 1)";

/// It takes `VRRPv3`'s checksum over IPv4 for RFC 5798's, unless told that it is RFC 9568's.
const RFC_9568: [&str; 2] = ["-o", "vrrp.v3_checksum_as_in_v2:TRUE"];

/// What it has to say against `frames`: one line for each, or nothing.
pub fn complaints(frames: &[Frame]) -> String {
    run(frames, &["-Y", FAULTS])
}

/// [`complaints`], where `VRRPv3`'s checksum over IPv4 is to have no pseudo-header.
pub fn complaints_by_rfc_9568(frames: &[Frame]) -> String {
    run(frames, &[RFC_9568.as_slice(), &["-Y", FAULTS]].concat())
}

/// How many of `frames` it recognises as `protocol`.
pub fn count(frames: &[Frame], protocol: &str) -> usize {
    run(frames, &["-Y", protocol]).lines().count()
}

fn run(frames: &[Frame], words: &[&str]) -> String {
    let directory = TempDir::new("tshark");
    let file = directory.path().join("frames.pcap");
    pcap::write(&file, frames);
    let file = file.to_str().expect("a path of our own making");
    let words = [["-r", file].as_slice(), &PREFERENCES, words].concat();
    tool::output_of("tshark", &words).unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
mod tests {
    use core::slice;

    use super::*;
    use crate::{clock::Stamp, require, vectors};

    fn frame(bytes: Vec<u8>) -> Frame {
        Frame { at: Stamp::default(), interface: String::new(), is_outgoing: false, bytes }
    }

    /// RFC 826 and RFC 5227 §3: 192.0.2.1 announces itself.
    fn gratuitous_arp() -> Vec<u8> {
        let mac = [2, 0, 0, 0, 1, 10];
        let address = [192, 0, 2, 1];
        let parts: [&[u8]; 7] =
            [&[0xff; 6], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &mac, &address, &[0; 6], &address];
        parts.concat()
    }

    #[test]
    fn good_frames_pass_and_each_fault_is_found() {
        if !require::require_tools(&[("tshark", "tshark")]) {
            return;
        }
        let v4 = vectors::load("v3-ipv4-multicast").frame;
        let v6 = vectors::load("v3-ipv6-multicast").frame;
        let good = [v4.clone(), v6.clone(), gratuitous_arp()].map(frame);
        assert_eq!(complaints(&good), "");
        assert_eq!(count(&good, "vrrp"), 2);
        assert_eq!(count(&good, "arp.isgratuitous == 1"), 1);

        let plain = frame(vectors::load("v3-ipv4-multicast-as-v2").frame);
        assert_eq!(complaints_by_rfc_9568(slice::from_ref(&plain)), "");
        assert_eq!(complaints(&[plain]).lines().count(), 1);
        assert_eq!(complaints_by_rfc_9568(&good).lines().count(), 1, "the one over IPv4");

        let changed = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1;
            frame(bytes)
        };
        let mut short = gratuitous_arp();
        short.truncate(40);
        let bad = [
            ("IP header's checksum", changed(&v4, 18)),
            ("checksum of VRRP over IPv4", changed(&v4, 40)),
            ("checksum of VRRP over IPv6", changed(&v6, 60)),
            ("shortened ARP", frame(short)),
        ];
        for (what, frame) in bad {
            assert_eq!(complaints(&[frame]).lines().count(), 1, "{what}");
        }
    }
}
