//! Debian packages: what a command needs is installed once, as root, with one line saying so.
//!
//! Nothing is started by an installation: a daemon on the machine that runs the tests would answer
//! the tests' own advertisements.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process;
use crate::workspace;

/// A program, by name or by its path where that is on no search path, and the package that brings it.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

pub(crate) const IPROUTE2: Need = Need { program: "ip", package: "iproute2" };
pub(crate) const BENCH: [Need; 3] = [
    Need { program: "keepalived", package: "keepalived" },
    Need { program: "chrt", package: "util-linux" },
    IPROUTE2,
];
pub(crate) const TESTS: [Need; 12] = [
    Need { program: "keepalived", package: "keepalived" },
    Need { program: "/usr/lib/frr/vrrpd", package: "frr" },
    Need { program: "tcpdump", package: "tcpdump" },
    Need { program: "tshark", package: "tshark" },
    Need { program: "bpftool", package: "bpftool" },
    Need { program: "nft", package: "nftables" },
    Need { program: "tmux", package: "tmux" },
    Need { program: "systemd-analyze", package: "systemd" },
    Need { program: "dbus-daemon", package: "dbus-daemon" },
    Need { program: "aiosmtpd", package: "python3-aiosmtpd" },
    Need { program: "promtool", package: "prometheus" },
    IPROUTE2,
];

/// The packages among them that bring a service of the same name.
const SERVICES: [&str; 3] = ["keepalived", "frr", "prometheus"];

/// Makes the programs available, or says which package brings the missing ones.
pub(crate) fn ensure(needs: &[Need], purpose: &str) -> Outcome {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|need| process::find_program(need.program).is_none())
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing, purpose)
}

/// Installs the packages, or fails with the command that would.
pub(crate) fn install(packages: &[&str], purpose: &str) -> Outcome {
    let list = packages.join(" ");
    if !can_install() {
        return Err(Failure::new(format!(
            "{purpose} needs the packages {list}, which can be installed here only by hand: \
             on Debian, `apt-get install -y --no-install-recommends {list}` as root"
        )));
    }
    eprintln!("xtask: installing {list} with apt-get: {purpose} needs them");
    let _quiet = NoServices::begin(Path::new("/usr/sbin/policy-rc.d"))?;
    if process::capture(&mut apt_install(packages), "installing packages").is_err() {
        // The lists may be missing or older than the archive: fetch them once and try again.
        process::capture(apt_get().arg("update"), "reading the package lists")?;
        process::capture(&mut apt_install(packages), &format!("installing {list}"))?;
    }
    for service in SERVICES.iter().filter(|service| packages.contains(service)) {
        keep_from_starting(service);
    }
    Ok(())
}

/// A peer of the tests would start at the next boot, keepalived even on the configuration that our
/// daemon is to run. Where there is no systemd there is nothing that starts it.
fn keep_from_starting(service: &str) {
    if process::find_program("systemctl").is_some() {
        let mut disable = Command::new("systemctl");
        disable.args(["--root=/", "disable", service]);
        if let Err(failure) = process::capture(&mut disable, "disabling the service") {
            eprintln!("xtask: {failure}; {service} starts at the next boot if it is configured");
        }
    }
}

/// Whether this is a Debian where we are root.
pub(crate) fn can_install() -> bool {
    process::is_root()
        && process::find_program("apt-get").is_some()
        && fs::read_to_string("/etc/os-release").is_ok_and(|text| is_debian(&text))
}

fn is_debian(os_release: &str) -> bool {
    os_release.lines().any(|line| {
        line.strip_prefix("ID=")
            .or_else(|| line.strip_prefix("ID_LIKE="))
            .is_some_and(|value| value.trim_matches('"').split(' ').any(|id| id == "debian"))
    })
}

fn apt_install(packages: &[&str]) -> Command {
    let mut command = apt_get();
    // --no-remove: never trade a package of this machine for one of ours.
    command.args(["install", "-y", "--no-install-recommends", "--no-remove"]).args(packages);
    command
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
    command
}

const POLICY: &str = "#!/bin/sh\n# Written by `cargo xtask` for the time of an installation: starts no service.\nexit 101\n";

/// While it lives, maintainer scripts may not start services (Debian policy 9.3.3: `policy-rc.d`).
struct NoServices<'path> {
    policy: &'path Path,
    before: Option<Vec<u8>>,
}

impl<'path> NoServices<'path> {
    fn begin(policy: &'path Path) -> Outcome<Self> {
        // One that we left behind when we were killed is not the administrator's.
        let before = fs::read(policy).ok().filter(|content| content != POLICY.as_bytes());
        workspace::write(policy, POLICY.as_bytes())?;
        let guard = Self { policy, before };
        guard.make_executable()?;
        Ok(guard)
    }

    fn make_executable(&self) -> Outcome {
        fs::set_permissions(self.policy, fs::Permissions::from_mode(0o755)).map_err(|error| {
            Failure::new(format!("cannot make {} executable: {error}", self.policy.display()))
        })
    }
}

impl Drop for NoServices<'_> {
    fn drop(&mut self) {
        let restored = match &self.before {
            Some(content) => fs::write(self.policy, content),
            None => fs::remove_file(self.policy),
        };
        if let Err(error) = restored {
            eprintln!(
                "xtask: remove {} by hand, it stops services: {error}",
                self.policy.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_children_are_recognised() {
        assert!(is_debian("NAME=\"Debian\"\nID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=x\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\n"));
        assert!(!is_debian("ID=notdebian\nNAME=debian\n"));
    }

    #[test]
    fn the_policy_is_put_back_as_it_was() {
        let folder = std::env::temp_dir().join(format!("xtask-policy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let policy = folder.join("policy-rc.d");

        drop(NoServices::begin(&policy).unwrap());
        assert!(!policy.exists());

        fs::write(&policy, "theirs").unwrap();
        let guard = NoServices::begin(&policy).unwrap();
        assert_eq!(fs::read_to_string(&policy).unwrap(), POLICY);
        drop(guard);
        assert_eq!(fs::read_to_string(&policy).unwrap(), "theirs");

        fs::write(&policy, POLICY).unwrap();
        drop(NoServices::begin(&policy).unwrap());
        assert!(!policy.exists(), "a leftover of ours is not kept");
        fs::remove_dir_all(&folder).unwrap();
    }
}
