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

/// The same deployment without its cron job, which restarted the service and counted: the processes
/// called `process` are watched. None for a second is a failure, and so are more than `max_restarts`
/// starts in ten minutes.
pub fn with_process(config: &str, process: &str, max_restarts: u32) -> String {
    let block = format!(
        "vrrp_track_process service {{\n    process {process}\n    terminate_delay 1\n    max_restarts {max_restarts}\n    \
         restart_window 600\n}}\n\n"
    );
    let track = "    track_process {\n        service\n    }\n    notify_master ";
    let with_block = config.replacen("vrrp_sync_group ", &(block + "vrrp_sync_group "), 1);
    with_block.replacen("    notify_master ", track, 1)
}

fn push(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_watched_for_both_instances() {
        let before = "\
vrrp_sync_group VG_1 {
    group {
        VI_1
    }
    notify_master \"/bin/true\"
}
";
        let after = "\
vrrp_track_process service {
    process web
    terminate_delay 1
    max_restarts 5
    restart_window 600
}

vrrp_sync_group VG_1 {
    group {
        VI_1
    }
    track_process {
        service
    }
    notify_master \"/bin/true\"
}
";
        assert_eq!(with_process(before, "web", 5), after);
    }

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
