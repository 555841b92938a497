//! A Debian package that must not be installed, because it would take the place of something on the
//! machine: it is unpacked among the tools, and run from there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::packages::Need;
use crate::process;
use crate::workspace::{self, Workspace};

/// Would remove whatever sets the machine's clock; the tests' own one never does.
pub(crate) const CHRONY: Need = Need { program: "chronyd", package: "chrony" };
/// Names it to the tests.
pub(crate) const CHRONY_VARIABLE: &str = "HA_CHRONYD";

/// The program: the machine's, else one that is unpacked now.
pub(crate) fn program(workspace: &Workspace, need: Need, purpose: &str) -> Outcome<PathBuf> {
    let Need { program, package } = need;
    if let Some(installed) = process::find_program(program) {
        return Ok(installed);
    }
    let folder = workspace.tools().join(package);
    let path = folder.join("usr/sbin").join(program);
    if path.exists() {
        return Ok(path);
    }
    if process::find_program("apt-get").is_none() {
        return Err(Failure::new(format!(
            "{purpose} needs the program {program}: install {package}"
        )));
    }
    eprintln!("xtask: unpacking {package} to {}: {purpose} needs it", folder.display());
    let fresh = workspace.tools().join(format!("{package}.new"));
    if fresh.exists() {
        // Of one that was interrupted.
        fs::remove_dir_all(&fresh)
            .map_err(|error| Failure::new(format!("cannot remove {}: {error}", fresh.display())))?;
    }
    workspace::create_dir(&fresh)?;
    let mut download = Command::new("apt-get");
    download.args(["-q", "download", package]).current_dir(&fresh);
    if process::capture(&mut download, "downloading a package").is_err() {
        // The lists may be missing or older than the archive.
        process::capture(Command::new("apt-get").args(["-q", "update"]), "reading package lists")?;
        process::capture(&mut download, &format!("downloading {package}"))?;
    }
    let mut unpack = Command::new("sh");
    unpack.args(["-c", "dpkg-deb -x ./*.deb . && rm ./*.deb"]).current_dir(&fresh);
    process::capture(&mut unpack, &format!("unpacking {package}"))?;
    fs::rename(&fresh, &folder).map_err(|error| {
        Failure::new(format!("cannot rename {} to {package}: {error}", fresh.display()))
    })?;
    if path.exists() {
        return Ok(path);
    }
    Err(Failure::new(format!("the package {package} has no {}", path.display())))
}
