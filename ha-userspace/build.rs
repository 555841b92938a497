//! Embeds the XDP program that `HA_EBPF_OBJECT` names, and what tells of processes, which is beside it;
//! without them the daemon has none, and says so. What `--version` says of the build is put together here.
//!
//! `cargo xtask build` sets the variable. Plain `cargo build` needs no BPF tools.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use md5::{Digest as _, Md5};

const VARIABLE: &str = "HA_EBPF_OBJECT";
const PROCESS: &str = "ha-process";
/// Set by `cargo xtask build`; a build from a tarball has none.
const COMMIT: &str = "HA_COMMIT";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let out = env::var("OUT_DIR")?;
    // An empty variable is none, as for xtask.
    let named = env::var(VARIABLE).ok().filter(|path| !path.is_empty());
    let objects = named.map(|path| [path.clone().into(), Path::new(&path).with_file_name(PROCESS)]);
    let mut hash = Md5::new();
    for (place, name) in ["ha-ebpf", PROCESS].into_iter().enumerate() {
        let path = objects.as_ref().and_then(|objects| objects.get(place));
        let content = path.map_or(Ok(Vec::new()), read)?;
        hash.update(&content);
        fs::write(Path::new(&out).join(name), content)?;
    }
    let mut object = "none: packet sockets only".to_owned();
    if objects.is_some() {
        "md5 ".clone_into(&mut object);
        for byte in hash.finalize() {
            write!(object, "{byte:02x}")?;
        }
    }
    println!("cargo::rustc-env=HA_BUILD_OBJECT={object}");
    println!("cargo::rerun-if-env-changed={COMMIT}");
    let commit = env::var(COMMIT).ok().filter(|commit| !commit.is_empty());
    println!("cargo::rustc-env=HA_BUILD_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    let rustc = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    println!("cargo::rustc-env=HA_BUILD_RUSTC={}", String::from_utf8(rustc.stdout)?.trim());
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(path).map_err(|error| format!("{VARIABLE} leads to {}: {error}", path.display()))
}
