//! The reference deployment's configuration files, and the same deployment at `VRRPv3`'s speed.

use core::fmt::Write as _;
use std::{env, fs, path::Path};

use crate::pair::Side;

/// The file of `side`, unchanged: `etc/reference-pair/node-a.conf` of this project, or of the
/// directory that `HA_REFERENCE_PAIR` names.
pub fn config(side: Side) -> String {
    let name = match side {
        Side::A => "node-a.conf",
        Side::B => "node-b.conf",
    };
    let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/reference-pair");
    let directory = env::var_os("HA_REFERENCE_PAIR").map_or_else(shipped, Into::into);
    let path = directory.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same deployment with `VRRPv3`, an advertisement every `advert_int` (seconds, as keepalived
/// reads them) and no authentication, which `VRRPv3` does not have.
pub fn as_version_3(config: &str, advert_int: &str) -> String {
    let mut text = String::new();
    let mut is_in_authentication = false;
    for line in config.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let indent = line.len() - line.trim_start().len();
        match words.as_slice() {
            ["authentication", ..] => is_in_authentication = true,
            ["}"] if is_in_authentication => is_in_authentication = false,
            _ if is_in_authentication => {}
            ["global_defs", "{"] => push(&mut text, &format!("{line}\n    vrrp_version 3")),
            ["advert_int", _] => push(&mut text, &format!("{:indent$}advert_int {advert_int}", "")),
            _ => push(&mut text, line),
        }
    }
    text
}

fn push(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_3_changes_three_things() {
        let before = "\
global_defs {
    router_id A
}
vrrp_instance V {
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 337639943
    }
    priority 100
}
";
        let after = "\
global_defs {
    vrrp_version 3
    router_id A
}
vrrp_instance V {
    advert_int 0.01
    priority 100
}
";
        assert_eq!(as_version_3(before, "0.01"), after);
    }
}
