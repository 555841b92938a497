//! What the program says of itself: which build it is, and its manual.
#![cfg(test)]

use std::{env, fs, process::Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ha-userspace");

fn stdout(words: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_says_how_it_was_built() {
    let version = stdout(&["--version"]);
    let begins = |begin: &str| version.lines().any(|line| line.starts_with(begin));
    assert!(begins(&format!("ha-userspace {}", env!("CARGO_PKG_VERSION"))), "{version}");
    for line in ["commit ", "rustc 1.", "eBPF object ", "features: ", "kernel: "] {
        assert!(begins(line), "no {line} in {version}");
    }
    // keepalived's letter has it in one line, as scripts may read it.
    assert_eq!(stdout(&["-v"]).lines().count(), 1);
}

#[test]
fn every_command_has_a_page() {
    let directory = env::temp_dir().join(format!("ha-manual-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    stdout(&["man", &directory.display().to_string()]);
    let page = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let (main, check) = (page("ha-userspace.8"), page("ha-userspace-check.8"));
    let count = fs::read_dir(&directory).unwrap().count();
    fs::remove_dir_all(&directory).unwrap();
    assert!(main.contains("run\\-dir") && main.contains("keepalived"), "{main}");
    assert!(check.contains("effective"), "{check}");
    assert!(count > 4, "{count} pages");
}
