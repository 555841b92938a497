//! What the daemon may do: asked once, so that a missing capability is named before anything starts.

use std::{fs, io};

/// Capabilities without which nothing works, by their bit (capabilities(7)), and what for.
const NEEDED: [(u32, &str, &str); 2] = [
    (12, "CAP_NET_ADMIN", "set addresses and attach XDP"),
    (13, "CAP_NET_RAW", "send advertisements and gratuitous ARP"),
];

/// Says which capability is missing.
///
/// # Errors
/// One sentence: what is missing, what it is for, and how to get it.
pub(crate) fn check() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    // A kernel that does not tell is asked by trying.
    let Some(effective) = effective(&status) else { return Ok(()) };
    match missing(effective) {
        None => Ok(()),
        Some((name, purpose)) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{name} is missing, needed to {purpose}: run as root or grant it"),
        )),
    }
}

fn effective(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn missing(effective: u64) -> Option<(&'static str, &'static str)> {
    NEEDED
        .into_iter()
        .find(|(bit, _, _)| effective & (1 << bit) == 0)
        .map(|(_, name, purpose)| (name, purpose))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_one_is_named() {
        let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffefff\n";
        let effective = effective(status).unwrap();
        assert_eq!(missing(effective).unwrap().0, "CAP_NET_ADMIN");
        assert_eq!(missing(effective | 1 << 12), None);
        assert_eq!(missing(1 << 12).unwrap().0, "CAP_NET_RAW");
    }
}
