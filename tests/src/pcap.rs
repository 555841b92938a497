//! Writes frames as a pcap file, for tshark and for whoever looks into a failure.

use std::{fs, path::Path};

use crate::capture::Frame;

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// With timestamps in nanoseconds.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;

/// Writes `frames` to `path`; panics if it cannot.
pub fn write(path: &Path, frames: &[Frame]) {
    let mut file = Vec::new();
    file.extend(MAGIC_NANOSECONDS.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(4_u16.to_le_bytes());
    for word in [0, 0, 0xffff, ETHERNET] {
        file.extend(u32::to_le_bytes(word));
    }
    for frame in frames {
        let nanos = frame.at.as_nanos();
        let length = u64::try_from(frame.bytes.len()).unwrap_or(u64::MAX);
        for word in [nanos / 1_000_000_000, nanos % 1_000_000_000, length, length] {
            let word = u32::try_from(word).expect("seconds and lengths fit for 80 years");
            file.extend(word.to_le_bytes());
        }
        file.extend(&frame.bytes);
    }
    fs::write(path, file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
