//! The fence around the pure crates: no clock, no I/O, no threads, no unsafe code. The compiler keeps
//! dependencies out; the standard library has to be kept out here.

use super::source::{blank_comments_and_strings, named_paths};
use super::{Entry, Finding};

const PURE_CRATES: [&str; 3] = ["ha-common", "ha-config", "ha-core"];

/// The loader's marker trait for the map records is unsafe to implement.
const UNSAFE_ALLOWED: [&str; 1] = ["ha-common/src/abi.rs"];

const FORBIDDEN: [(&str, &str); 12] = [
    ("libc", "a pure crate makes no system calls"),
    ("nix", "a pure crate makes no system calls"),
    ("std::fs", "a pure crate reads no files: take the text as an argument"),
    ("std::net::TcpListener", "a pure crate has no sockets: return an action"),
    ("std::net::TcpStream", "a pure crate has no sockets: return an action"),
    ("std::net::ToSocketAddrs", "a pure crate asks no resolver"),
    ("std::net::UdpSocket", "a pure crate has no sockets: return an action"),
    ("std::os", "a pure crate knows no file descriptors"),
    ("std::thread", "a pure crate starts no threads"),
    ("std::time::Instant", "a pure crate has no clock: take `now` as an argument"),
    ("std::time::SystemTime", "a pure crate has no clock: take `now` as an argument"),
    ("tokio", "a pure crate has no runtime"),
];

/// Imported whole, what is used of them could not be seen here.
const BY_NAME_ONLY: [&str; 3] = ["std", "std::net", "std::time"];

pub(super) fn check(entry: &Entry) -> Vec<Finding> {
    let Some((krate, inside)) = entry.path.split_once('/') else {
        return Vec::new();
    };
    if !PURE_CRATES.contains(&krate) {
        return Vec::new();
    }
    let unsafe_allowed = UNSAFE_ALLOWED.contains(&entry.path.as_str());
    // A crate's integration tests may read their golden files.
    let is_library = inside.starts_with("src/");
    let mut findings = Vec::new();
    for named in named_paths(&blank_comments_and_strings(&entry.text)) {
        let path = named.segments.join("::");
        if path == "unsafe" && !unsafe_allowed {
            let message = format!("unsafe code in the pure crate {krate}: find a safe way");
            findings.push(Finding::new(&entry.path, named.line, message));
        }
        if is_library && let Some(message) = forbidden(&path) {
            findings.push(Finding::new(&entry.path, named.line, message));
        }
    }
    findings
}

fn forbidden(path: &str) -> Option<String> {
    let whole = path.strip_suffix("::*").or_else(|| path.strip_suffix("::self")).unwrap_or(path);
    if BY_NAME_ONLY.contains(&whole) && whole != "std" || path == "std::*" {
        return Some(format!("`{path}` hides what is used: import the types by name"));
    }
    FORBIDDEN.iter().find_map(|(module, reason)| {
        let inside = whole == *module
            || whole.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"));
        // A local variable may well be called `nix`; a crate is known by what is taken from it.
        let is_bare_crate = whole == *module && !module.contains("::") && path == whole;
        (inside && !is_bare_crate).then(|| format!("`{path}`: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, shown};
    use super::*;

    fn check_core(code: &str) -> String {
        shown(&check(&entry("ha-core/src/engine.rs", code)))
    }

    #[test]
    fn pure_code_has_no_findings() {
        let code = "//! `std::fs` is not for us.\n\
            #![forbid(unsafe_code)]\n\
            use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};\n\
            use std::time::Duration;\n\
            const WHY: &str = \"unsafe std::thread tokio::spawn\";\n\
            fn f(nix: u8) -> u8 { nix }\n";
        assert_eq!(check_core(code), "");
    }

    #[test]
    fn the_outside_world_is_found_however_it_is_named() {
        let cases = [
            "use std::time::Instant;",
            "use std::time::{Duration, Instant};",
            "use std::{fmt, time::SystemTime};",
            "use std::time;",
            "use std::time::*;",
            "use std::net::{self, IpAddr};",
            "use std::net::UdpSocket;",
            "use std::fs;",
            "use std::fs::File;",
            "use std::{fs};",
            "use std::*;",
            "use tokio::sync::mpsc;",
            "fn f() { std::thread::yield_now() }",
            "fn f() -> u32 { libc::getpid() }",
            "fn f() { nix::unistd::getpid(); }",
            "use std::os::fd::OwnedFd;",
        ];
        for case in cases {
            let findings = check_core(&format!("//! x\n{case}\n"));
            assert_eq!(findings.lines().count(), 1, "{case}: {findings}");
            assert!(findings.starts_with("ha-core/src/engine.rs:2: `"), "{case}: {findings}");
        }
    }

    #[test]
    fn impure_crates_and_tests_may_look_outside() {
        let code = "use std::fs;\n";
        assert_eq!(shown(&check(&entry("ha-userspace/src/a.rs", code))), "");
        assert_eq!(shown(&check(&entry("ha-config/tests/golden.rs", code))), "");
        assert_eq!(shown(&check(&entry("build.rs", code))), "");
    }

    #[test]
    fn unsafe_code_is_found_except_where_it_is_allowed() {
        let code = "unsafe impl Pod for Record {}\n";
        assert_eq!(shown(&check(&entry("ha-common/src/abi.rs", code))), "");
        assert_eq!(shown(&check(&entry("ha-userspace/src/a.rs", code))), "");
        for path in ["ha-common/src/frame.rs", "ha-core/tests/wire.rs", "ha-config/src/lib.rs"] {
            let findings = shown(&check(&entry(path, code)));
            assert!(findings.starts_with(&format!("{path}:1: unsafe code")), "{findings}");
        }
    }
}
