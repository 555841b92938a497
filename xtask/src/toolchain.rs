//! Finds, or on Debian sets up, a compiler and a linker for the BPF target.
//!
//! Searched in this order: a rustup nightly that can build `core` itself, then Debian's packages, which
//! bring a prebuilt `core`. The linker reads the compiler's bitcode, so both must be of one LLVM major;
//! that number is always read from the compiler.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::packages;
use crate::process;
use crate::workspace::{self, Workspace};

/// Pinned, so that every machine links with the same code.
const BPF_LINKER_VERSION: &str = "0.13.0";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

#[derive(Debug)]
pub(crate) enum Compiler {
    /// A rustup toolchain with the sources of `core`, by its name.
    Nightly(String),
    /// Debian's, with a prebuilt `core`.
    Debian,
}

#[derive(Debug)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

impl Toolchain {
    pub(crate) fn find(workspace: &Workspace) -> Outcome<Self> {
        if let Some(nightly) = Self::find_nightly(workspace) {
            return Ok(nightly);
        }
        if !has_debian_core() {
            if !packages::can_install() {
                return Err(Failure::new(nothing_found(&usable_nightlies())));
            }
            // A Debian without its security archive, or something like Debian, has not got them.
            packages::install(&DEBIAN_PACKAGES, "building the eBPF object").map_err(|failure| {
                Failure::new(format!("{failure}\n{}", nothing_found(&usable_nightlies())))
            })?;
        }
        let llvm_major = llvm_major_of(Command::new(DEBIAN_RUSTC).arg("-vV"))?;
        let linker = match find_linker(workspace, llvm_major) {
            Some(linker) => linker,
            None => build_linker(workspace, llvm_major)?,
        };
        Ok(Self { compiler: Compiler::Debian, linker })
    }

    /// A nightly that builds `core` itself, with a linker of its LLVM; nothing is installed for it.
    pub(crate) fn find_nightly(workspace: &Workspace) -> Option<Self> {
        usable_nightlies().into_iter().find_map(|(name, llvm_major)| {
            let linker = find_linker(workspace, llvm_major)?;
            Some(Self { compiler: Compiler::Nightly(name), linker })
        })
    }

    pub(crate) fn has_clippy(&self) -> bool {
        match &self.compiler {
            Compiler::Nightly(name) => rustup(&["run", name, "cargo-clippy", "--version"]).is_ok(),
            Compiler::Debian => false,
        }
    }

    /// A cargo command line up to and including its subcommand, set up for the BPF target.
    pub(crate) fn cargo(&self, workspace: &Workspace, subcommand: &str) -> Command {
        let mut command = match &self.compiler {
            Compiler::Nightly(name) => {
                // Not `cargo +name`: the first cargo on PATH may be a toolchain's own, without rustup.
                let mut command = Command::new("rustup");
                command.current_dir(workspace.root());
                process::forget_cargo_run(&mut command);
                process::forget_compiler(&mut command);
                command.args(["run", name, "cargo", subcommand, "-Z", "build-std=core"]);
                command
            }
            Compiler::Debian => {
                let mut command = process::cargo_for_other_compiler(workspace);
                // aya-ebpf uses unstable features, which a stable compiler only has when told so.
                command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg(subcommand);
                command
            }
        };
        let flags = [
            "-Cdebuginfo=2".to_owned(),
            // The kernel checks map and function types against BTF; bpf-linker leaves it out unasked.
            "-Clink-arg=--btf".to_owned(),
            format!("-Clinker={}", self.linker.display()),
        ];
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command.args(["--target", BPF_TARGET]);
        command
    }
}

/// Rustup's nightlies that have the sources of `core`, with their LLVM major.
fn usable_nightlies() -> Vec<(String, u32)> {
    if process::find_program("rustup").is_none() {
        return Vec::new();
    }
    let listed = rustup(&["toolchain", "list"]).unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| name.starts_with("nightly"))
        .filter(|name| {
            rustup(&["run", name, "rustc", "--print", "sysroot"]).is_ok_and(|sysroot| {
                let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
                library.join("core/Cargo.toml").is_file()
            })
        })
        .filter_map(|name| {
            let version = rustup(&["run", name, "rustc", "-vV"]).ok()?;
            Some((name.to_owned(), parse_llvm_major(&version)?))
        })
        .collect()
}

fn rustup(arguments: &[&str]) -> Outcome<String> {
    let mut command = Command::new("rustup");
    process::forget_compiler(&mut command);
    process::capture(command.args(arguments), "asking rustup")
}

fn has_debian_core() -> bool {
    if !Path::new(DEBIAN_RUSTC).is_file() {
        return false;
    }
    let mut command = Command::new(DEBIAN_RUSTC);
    process::forget_compiler(&mut command);
    process::capture(command.args(["--print", "sysroot"]), "asking rustc").is_ok_and(|sysroot| {
        Path::new(sysroot.trim()).join("lib/rustlib").join(BPF_TARGET).is_dir()
    })
}

fn llvm_major_of(rustc: &mut Command) -> Outcome<u32> {
    process::forget_compiler(rustc);
    let version = process::capture(rustc, "asking rustc for its version")?;
    parse_llvm_major(&version).ok_or_else(|| {
        Failure::new(format!("rustc -vV names no LLVM version:\n{}", version.trim_end()))
    })
}

fn parse_llvm_major(rustc_version: &str) -> Option<u32> {
    let version = rustc_version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.trim().parse().ok()
}

/// A bpf-linker of this LLVM major: ours, else the one on PATH.
fn find_linker(workspace: &Workspace, llvm_major: u32) -> Option<PathBuf> {
    let ours = workspace.tools().join("bin/bpf-linker");
    let stamp = fs::read_to_string(linker_stamp(workspace)).unwrap_or_default();
    if stamp == stamp_text(llvm_major) && runs(&ours) {
        return Some(ours);
    }
    let theirs = process::find_program("bpf-linker")?;
    // A linker with LLVM inside does not say which; it is tried, and the build says if it is too old.
    let fits = linked_llvm_major(&theirs).is_none_or(|major| major == llvm_major);
    (fits && runs(&theirs)).then_some(theirs)
}

/// The LLVM library that a program is linked to.
fn linked_llvm_major(program: &Path) -> Option<u32> {
    let libraries = process::capture(Command::new("ldd").arg(program), "reading libraries").ok()?;
    parse_linked_llvm_major(&libraries)
}

fn parse_linked_llvm_major(ldd: &str) -> Option<u32> {
    ldd.split_whitespace().find_map(llvm_library_major)
}

/// The major in the names that LLVM's library has had: `libLLVM-14.so.1`, `libLLVM.so.22.1`.
fn llvm_library_major(file_name: &str) -> Option<u32> {
    let rest =
        file_name.strip_prefix("libLLVM-").or_else(|| file_name.strip_prefix("libLLVM.so."))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn runs(linker: &Path) -> bool {
    process::capture(Command::new(linker).arg("--version"), "trying bpf-linker").is_ok()
}

fn linker_stamp(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("bpf-linker.stamp")
}

fn stamp_text(llvm_major: u32) -> String {
    format!("bpf-linker {BPF_LINKER_VERSION} llvm-{llvm_major}\n")
}

/// Builds the pinned bpf-linker against the LLVM library that came with the compiler.
fn build_linker(workspace: &Workspace, llvm_major: u32) -> Outcome<PathBuf> {
    let tools = workspace.tools();
    let prefix = tools.join(format!("llvm-{llvm_major}"));
    // llvm-sys looks for `lib/libLLVM.so` below LLVM_PREFIX; that name is in Debian's -dev package only,
    // which is half a gigabyte.
    workspace::create_dir(&prefix.join("lib"))?;
    let library = find_llvm_library(llvm_major)?;
    let link = prefix.join("lib/libLLVM.so");
    if fs::read_link(&link).ok().as_deref() != Some(library.as_path()) {
        if link.is_symlink() {
            fs::remove_file(&link).map_err(|error| cannot_link(&link, &error))?;
        }
        symlink(&library, &link).map_err(|error| cannot_link(&link, &error))?;
    }
    eprintln!("xtask: building bpf-linker {BPF_LINKER_VERSION} for LLVM {llvm_major}, once");
    let mut install = process::cargo(workspace);
    // A shared target directory would keep a linker's objects for nothing.
    install.env_remove("CARGO_TARGET_DIR").env("LLVM_PREFIX", &prefix);
    install.args(["install", "bpf-linker", "--locked", "--quiet", "--force"]);
    install.args(["--version", BPF_LINKER_VERSION, "--no-default-features"]);
    install.args(["--features", &format!("llvm-{llvm_major}")]).arg("--root").arg(&tools);
    process::run(&mut install, "building bpf-linker")?;
    workspace::write(&linker_stamp(workspace), stamp_text(llvm_major).as_bytes())?;
    Ok(tools.join("bin/bpf-linker"))
}

fn cannot_link(link: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot make the link {}: {error}", link.display()))
}

fn find_llvm_library(llvm_major: u32) -> Outcome<PathBuf> {
    let folders =
        fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = folders
        .filter(|folder| folder.to_string_lossy().ends_with("-linux-gnu"))
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            llvm_library_major(&name) == Some(llvm_major)
        })
        .collect();
    found.sort();
    found.pop().ok_or_else(|| {
        Failure::new(format!(
            "no libLLVM of LLVM {llvm_major} below /usr/lib, although {DEBIAN_RUSTC} uses it: \
             `apt-get install --reinstall rustc-web libllvm{llvm_major}`"
        ))
    })
}

fn nothing_found(nightlies: &[(String, u32)]) -> String {
    let nightly = match nightlies.first() {
        Some((name, llvm_major)) => format!(
            "the toolchain {name} is there, but no bpf-linker of its LLVM {llvm_major}: \
             `cargo install bpf-linker --version {BPF_LINKER_VERSION} --locked \
             --no-default-features --features llvm-{llvm_major}` or `cargo binstall bpf-linker`"
        ),
        None => "`rustup toolchain install nightly --component rust-src` and \
                 `cargo binstall bpf-linker`"
            .to_owned(),
    };
    format!(
        "no compiler for the BPF target on this machine; either of these brings one:\n  \
         anywhere: {nightly}\n  \
         Debian, as root: `apt-get install -y --no-install-recommends {}`, then this command again\n\
         or name a built object: HA_EBPF_OBJECT=PATH",
        DEBIAN_PACKAGES.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_major_is_read_from_rustc() {
        assert_eq!(parse_llvm_major("rustc 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(parse_llvm_major("rustc 1.96.0\n"), None);
    }

    #[test]
    fn the_llvm_major_is_read_from_the_linked_libraries() {
        let ldd = "\tlinux-vdso.so.1\n\tlibLLVM.so.22.1 => /lib/libLLVM.so.22.1 (0x1)\n";
        assert_eq!(parse_linked_llvm_major(ldd), Some(22));
        assert_eq!(parse_linked_llvm_major("\tlibLLVM-14.so.1 => /lib/x (0x1)\n"), Some(14));
        assert_eq!(parse_linked_llvm_major("\tlibc.so.6 => /lib/libc.so.6 (0x1)\n"), None);
    }

    #[test]
    fn the_message_names_what_is_missing() {
        assert!(nothing_found(&[]).contains("--component rust-src"));
        let partly = nothing_found(&[("nightly-x".to_owned(), 23)]);
        assert!(partly.contains("features llvm-23") && partly.contains("rustc-web"), "{partly}");
    }
}
