//! Embeds the XDP program that `HA_EBPF_OBJECT` names; without it the daemon has none, and says so.
//!
//! `cargo xtask build` sets the variable. Plain `cargo build` needs no BPF tools.

use std::{env, error::Error, fs, path::Path};

const VARIABLE: &str = "HA_EBPF_OBJECT";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let embedded = Path::new(&env::var("OUT_DIR")?).join("ha-ebpf");
    // An empty variable is none, as for xtask.
    let object = match env::var(VARIABLE).ok().filter(|path| !path.is_empty()) {
        Some(path) => {
            println!("cargo::rerun-if-changed={path}");
            fs::read(&path).map_err(|error| format!("{VARIABLE} names {path}: {error}"))?
        }
        None => Vec::new(),
    };
    fs::write(embedded, object)?;
    Ok(())
}
