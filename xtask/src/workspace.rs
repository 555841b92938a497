//! Where things are: the checkout, what cargo builds, and the tools kept between runs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub(crate) fn locate() -> Outcome<Self> {
        // Cargo says at run time where the package is; the path of compile time serves a copied binary.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().map(Path::to_path_buf).unwrap_or_default();
        if !root.join("Cargo.toml").is_file() {
            return Err(Failure::new(format!(
                "no Cargo.toml in {}: start xtask as `cargo xtask` inside the checkout",
                root.display()
            )));
        }
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |given| root.join(given));
        Ok(Self { root, target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds: `CARGO_TARGET_DIR` is honoured.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The eBPF build has a target directory of its own, so that it never waits for a build of the
    /// host's crates nor spoils their cache.
    pub(crate) fn ebpf_target(&self) -> PathBuf {
        self.target.join("ebpf")
    }

    /// The same for the fuzz targets; what they have found out is kept there too.
    pub(crate) fn fuzz_target(&self) -> PathBuf {
        self.target.join("fuzz")
    }

    /// Tools belong to the checkout, not to the build: another `CARGO_TARGET_DIR` does not rebuild them.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("target/tools")
    }

    pub(crate) fn daemon(&self) -> PathBuf {
        self.target.join("release/ha-userspace")
    }
}

pub(crate) fn create_dir(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|error| {
        Failure::new(format!("cannot create the folder {}: {error}", path.display()))
    })
}

pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

pub(crate) fn write(path: &Path, content: &[u8]) -> Outcome {
    fs::write(path, content)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}
