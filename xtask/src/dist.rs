//! `dist`: the packages, target/dist/*.deb and *.rpm; with `--check` installed, looked at and removed in a
//! Debian of their own below target/dist.

mod boot;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build;
use crate::failure::{Failure, Outcome};
use crate::packages::{self, Need};
use crate::process;
use crate::workspace::{self, Workspace};

/// Pinned, so that every machine makes the same packages.
const CARGO_DEB: (&str, &str) = ("cargo-deb", "3.8.0");
const CARGO_GENERATE_RPM: (&str, &str) = ("cargo-generate-rpm", "0.21.1");
const MMDEBSTRAP: Need = Need { program: "mmdebstrap", package: "mmdebstrap" };
/// Shells whose completion scripts are packaged, and how they look for them.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "ha-userspace"), ("zsh", "_ha-userspace"), ("fish", "ha-userspace.fish")];
const REFERENCE: &str = "etc/reference-pair/node-a.conf";
/// What the packaged configuration has beside the reference deployment.
const PROCESS: &str = "! Instead of a cron job that looks after a service: it is missed at once, and a Master whose service
! was started more than five times in ten minutes gives the addresses away. Name your own.
vrrp_track_process service {
    process nginx
    max_restarts 5
    restart_window 600
}

";
const TRACK_PROCESS: &str = "    track_process {
        service
    }
";

/// What is done in the scratch Debian, which sees the packages as /packages, before its systemd is
/// started.
const INSTALL: &str = r"
set -eu
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
dpkg --install /packages/ha_*.deb
ha-userspace --version
ha-userspace completions bash >/dev/null
# All of it is a comment: there is nothing to run.
if ha-userspace check /etc/ha/ha.conf; then exit 1; fi
man --warnings ha-userspace >/dev/null
getent group ha
systemd-analyze verify /lib/systemd/system/ha.service
systemd-analyze security --offline=true /lib/systemd/system/ha.service | tail -n 1
logrotate --debug /etc/logrotate.d/ha 2>&1 | grep -q /var/log/ha.log
lintian --allow-root --fail-on error /packages/ha_*.deb
";
/// And after that.
const REMOVE: &str = r"
set -eu
gone() { if test -e $1; then echo $1 is left; exit 1; fi; }
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
dpkg --purge ha
gone /usr/sbin/ha-userspace
gone /etc/ha
gone /var/lib/ha
rpm --query --package --list /packages/ha-*.rpm | grep -x /usr/sbin/ha-userspace
rpm --install --nodeps --noscripts --root /rpm /packages/ha-*.rpm
/rpm/usr/sbin/ha-userspace --version >/dev/null
rpm --erase --noscripts --root /rpm ha
gone /rpm/usr/sbin/ha-userspace
";
/// Packages that the check needs in it.
const SCRATCH: &str = "lintian,systemd,man-db,logrotate,rpm";

pub(crate) fn run(workspace: &Workspace, options: &[&str]) -> Outcome {
    let is_checked = match options {
        [] => false,
        ["--check"] => true,
        other => {
            return Err(Failure::new(format!(
                "`cargo xtask dist` takes --check, not `{}`",
                other.join(" ")
            )));
        }
    };
    let folder = workspace.root().join("target/dist");
    let daemon = build::build(workspace)?.daemon;
    stage(workspace, &daemon, &folder.join("stage"))?;
    forget_packages(&folder)?;
    let deb = tool(workspace, CARGO_DEB)?;
    let mut command = subcommand(workspace, &deb);
    command.args(["deb", "--no-build", "--package", "ha-userspace", "--output"]).arg(&folder);
    process::run(&mut command, "making the .deb")?;
    let rpm = tool(workspace, CARGO_GENERATE_RPM)?;
    let mut command = subcommand(workspace, &rpm);
    command.args(["generate-rpm", "--package", "ha-userspace", "--output"]).arg(&folder);
    process::run(&mut command, "making the .rpm")?;
    for package in packages_in(&folder)? {
        println!("{}", package.display());
    }
    if is_checked { check(&folder) } else { Ok(()) }
}

/// Makes what is packaged and not in the repository.
fn stage(workspace: &Workspace, daemon: &Path, stage: &Path) -> Outcome {
    let manual = stage.join("man");
    workspace::create_dir(&manual)?;
    let mut write = Command::new(daemon);
    process::capture(write.arg("man").arg(&manual), "writing the manual")?;
    for (shell, file) in COMPLETIONS {
        let mut print = Command::new(daemon);
        let script = process::capture(print.args(["completions", shell]), "writing completions")?;
        workspace::write(&stage.join(file), script.as_bytes())?;
    }
    let reference = workspace::read(&workspace.root().join(REFERENCE))?;
    let reference = with_process(&String::from_utf8_lossy(&reference))?;
    workspace::write(&stage.join("ha.conf"), commented(&reference).as_bytes())
}

/// The reference deployment with what replaces a cron job that looks after a service.
fn with_process(configuration: &str) -> Outcome<String> {
    let group = "vrrp_sync_group VG_1 {\n";
    let Some((before, behind)) = configuration.split_once(group) else {
        return Err(Failure::new(format!("{REFERENCE} has no VG_1 to track a process")));
    };
    Ok(format!("{before}{PROCESS}{group}{TRACK_PROCESS}{behind}"))
}

/// The reference deployment for whoever begins from it: nothing of it is run.
fn commented(configuration: &str) -> String {
    let head = "# The configuration of ha-userspace, in the language of keepalived.conf(5): take the marks\n\
        # off what you need. `ha-userspace check` says what is understood of it.\n#\n";
    let line = |line: &str| if line.is_empty() { "#\n".to_owned() } else { format!("#{line}\n") };
    configuration.lines().fold(head.to_owned(), |text, next| text + &line(next))
}

/// A cargo subcommand among our tools, of the version that is pinned.
fn tool(workspace: &Workspace, (name, version): (&str, &str)) -> Outcome<PathBuf> {
    let tools = workspace.tools();
    let path = tools.join("bin").join(name);
    let stamp = tools.join(format!("{name}.stamp"));
    if path.exists() && fs::read_to_string(&stamp).is_ok_and(|known| known == version) {
        return Ok(path);
    }
    eprintln!("xtask: building {name} {version}, once");
    let mut install = process::cargo(workspace);
    install.env_remove("CARGO_TARGET_DIR");
    install.args(["install", name, "--version", version, "--locked", "--quiet", "--force"]);
    process::run(install.arg("--root").arg(&tools), &format!("building {name}"))?;
    workspace::write(&stamp, version.as_bytes())?;
    Ok(path)
}

fn subcommand(workspace: &Workspace, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace.root());
    process::forget_cargo_run(&mut command);
    command
}

fn forget_packages(folder: &Path) -> Outcome {
    for package in packages_in(folder)? {
        fs::remove_file(&package).map_err(|error| {
            Failure::new(format!("cannot remove {}: {error}", package.display()))
        })?;
    }
    Ok(())
}

fn packages_in(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let is_package =
        |path: &PathBuf| path.extension().is_some_and(|kind| kind == "deb" || kind == "rpm");
    let mut packages: Vec<_> = paths.filter(is_package).collect();
    packages.sort();
    Ok(packages)
}

/// Installs and removes them in a Debian that is made for it once.
fn check(folder: &Path) -> Outcome {
    if !process::is_root() {
        return Err(Failure::new("not checked: a scratch Debian needs root; run it as root"));
    }
    packages::ensure(&[MMDEBSTRAP], "checking the packages")?;
    let root = folder.join("root");
    let complete = root.join("complete");
    if !complete.exists() {
        eprintln!("xtask: making a Debian in {}, once", root.display());
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--mode=root", "--variant=apt", "--include", SCRATCH, "bookworm"]);
        process::run(make.arg(&root), "making a scratch Debian")?;
        workspace::write(&complete, b"")?;
    }
    let shared = root.join("packages");
    workspace::create_dir(&shared)?;
    forget_packages(&shared)?;
    for package in packages_in(folder)? {
        let name = package.file_name().unwrap_or_default();
        let content = workspace::read(&package)?;
        workspace::write(&shared.join(name), &content)?;
    }
    let inside = |script: &str, what: &str| {
        let mut command = Command::new("chroot");
        process::run(command.arg(&root).args(["/bin/sh", "-ec", script]), what)
    };
    inside(INSTALL, "installing the package")?;
    boot::check(&root)?;
    inside(REMOVE, "removing the package")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_looks_after_a_service() {
        let reference = include_str!("../../etc/reference-pair/node-a.conf");
        let text = with_process(reference).unwrap();
        assert!(
            text.contains(&format!("{PROCESS}vrrp_sync_group VG_1 {{\n{TRACK_PROCESS}")),
            "{text}"
        );
        assert!(with_process("vrrp_instance VI_1 {\n}\n").is_err());
    }

    #[test]
    fn every_line_of_the_default_configuration_is_a_comment() {
        let text = commented("vrrp_instance VI_1 {\n\n}\n");
        assert!(text.ends_with("#vrrp_instance VI_1 {\n#\n#}\n"), "{text}");
        assert!(text.lines().all(|line| line.starts_with('#')));
    }
}
