//! Frames made from captured ones: changed on purpose, and sealed again so that nothing else is
//! wrong with them.
//!
//! It works on well-formed frames and shares no code with the readers that are tested with it.
#![expect(clippy::indexing_slicing, reason = "a frame that is not well-formed fails the test")]

/// Offset of the first tag or of the ethertype.
const ETHERTYPE: usize = 12;
const TAG_LEN: usize = 4;
const VRRP: u8 = 112;
const AH: u8 = 51;
/// As keepalived makes it.
const AH_LEN: usize = 24;

/// What the checksum of a message covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cover {
    /// The message alone.
    Message,
    /// Addresses, length and protocol too.
    PseudoHeader,
}

/// Where the parts of a well-formed frame are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// The IP header.
    pub ip: usize,
    /// The VRRP message.
    pub message: usize,
    /// The end of the message; padding may follow.
    pub end: usize,
    /// The end of the IP header: the message, or an Authentication Header before it.
    header_end: usize,
    is_ipv6: bool,
}

impl Layout {
    /// Of a frame of VRRP, tagged or not.
    pub fn of(frame: &[u8]) -> Self {
        let mut ip = ETHERTYPE + 2;
        while matches!(frame[ip - 2..ip], [0x81, 0x00] | [0x88, 0xa8]) {
            ip += TAG_LEN;
        }
        let number = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
        if frame[ip - 2..ip] == [0x86, 0xdd] {
            let message = ip + 40;
            let end = message + number(ip + 4);
            return Self { ip, message, end, header_end: message, is_ipv6: true };
        }
        let header_end = ip + usize::from(frame[ip] & 0x0f) * 4;
        let message = if frame[ip + 9] == AH { header_end + AH_LEN } else { header_end };
        Self { ip, message, end: ip + number(ip + 2), header_end, is_ipv6: false }
    }

    /// Where the TTL or the hop limit is.
    pub const fn ttl(&self) -> usize {
        if self.is_ipv6 { self.ip + 7 } else { self.ip + 8 }
    }

    /// The sender's address: where it is and how long.
    pub const fn source(&self) -> (usize, usize) {
        if self.is_ipv6 { (self.ip + 8, 16) } else { (self.ip + 12, 4) }
    }

    /// The receiver's address: where it is and how long.
    pub const fn destination(&self) -> (usize, usize) {
        if self.is_ipv6 { (self.ip + 24, 16) } else { (self.ip + 16, 4) }
    }

    /// Writes both checksums of `frame`, whose parts are still where they were. What an
    /// Authentication Header seals stays as it is.
    pub fn seal(&self, frame: &mut [u8], cover: Cover) {
        if !self.is_ipv6 {
            let at = self.ip + 10;
            frame[at..at + 2].fill(0);
            let sum = complement(add(0, &frame[self.ip..self.header_end]));
            frame[at..at + 2].copy_from_slice(&sum);
        }
        let at = self.message + 6;
        frame[at..at + 2].fill(0);
        let mut sum = add(0, &frame[self.message..self.end]);
        if cover == Cover::PseudoHeader {
            let (source, len) = self.source();
            sum = add(sum, &frame[source..source + 2 * len]);
            sum += u64::from(VRRP) + u64::try_from(self.end - self.message).expect("a length");
        }
        frame[at..at + 2].copy_from_slice(&complement(sum));
    }
}

/// Changes the frame, then writes the IP header's length and the checksums anew.
#[must_use]
pub fn changed(frame: &[u8], cover: Cover, change: impl FnOnce(&mut Vec<u8>, Layout)) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let layout = Layout::of(&frame);
    frame.truncate(layout.end);
    change(&mut frame, layout);
    let counted_from = if layout.is_ipv6 { layout.ip + 40 } else { layout.ip };
    let length = u16::try_from(frame.len() - counted_from).expect("a length").to_be_bytes();
    let at = if layout.is_ipv6 { layout.ip + 4 } else { layout.ip + 2 };
    frame[at..at + 2].copy_from_slice(&length);
    Layout::of(&frame).seal(&mut frame, cover);
    frame
}

/// Puts a VLAN tag before what stands at the ethertype's place.
#[must_use]
pub fn tagged(frame: &[u8], protocol: u16, control: u16) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let tag = [protocol.to_be_bytes(), control.to_be_bytes()].concat();
    frame.splice(ETHERTYPE..ETHERTYPE, tag);
    frame
}

/// RFC 1071 §1: the sum of 16-bit words.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(2).fold(sum, |sum, word| {
        sum + (u64::from(word[0]) << 8) + u64::from(word.get(1).copied().unwrap_or(0))
    })
}

fn complement(mut sum: u64) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!u16::try_from(sum).expect("folded")).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    /// keepalived wrote the checksums of the captured frames; sealing must write the same.
    #[test]
    fn sealing_a_captured_frame_changes_nothing() {
        for vector in vectors::all() {
            if vector.name == "v3-ipv4-unicast-old" {
                continue;
            }
            let is_plain = vector.name.starts_with("v2") || vector.name.ends_with("as-v2");
            let cover = if is_plain { Cover::Message } else { Cover::PseudoHeader };
            assert_eq!(changed(&vector.frame, cover, |_, _| {}), vector.frame, "{}", vector.name);
        }
    }
}
