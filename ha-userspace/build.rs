//! Embeds the XDP program that `HA_EBPF_OBJECT` names, and what tells of processes, which is beside it;
//! without them the daemon has none, and says so.
//!
//! `cargo xtask build` sets the variable. Plain `cargo build` needs no BPF tools.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

const VARIABLE: &str = "HA_EBPF_OBJECT";
const PROCESS: &str = "ha-process";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let out = env::var("OUT_DIR")?;
    // An empty variable is none, as for xtask.
    let named = env::var(VARIABLE).ok().filter(|path| !path.is_empty());
    let objects = named.map(|path| [path.clone().into(), Path::new(&path).with_file_name(PROCESS)]);
    for (place, name) in ["ha-ebpf", PROCESS].into_iter().enumerate() {
        let path = objects.as_ref().and_then(|objects| objects.get(place));
        fs::write(Path::new(&out).join(name), path.map_or(Ok(Vec::new()), read)?)?;
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(path).map_err(|error| format!("{VARIABLE} leads to {}: {error}", path.display()))
}
