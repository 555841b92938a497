//! The harness of the tests that need a real kernel: namespaces, links, captures, peers, probes.
//!
//! It owns how a scene is built and taken down; what a scene must show is said in `tests/*.rs` and
//! in the programs of `src/bin`. Every namespace, process, thread and file that is made here ends
//! with its owner, and with the process when that is killed (see `guardian`). Nothing here touches
//! the network namespace it is started in.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    reason = "a test harness reports by panicking and by printing"
)]

pub mod alone;
pub mod budget;
pub mod capture;
pub mod clock;
pub mod config;
pub mod decode;
pub mod forge;
pub mod frr;
pub mod grammar;
pub mod guardian;
pub mod inject;
pub mod lan;
pub mod netns;
pub mod pair;
pub mod pcap;
pub mod prober;
pub mod process;
pub mod program;
pub mod reference;
pub mod require;
pub mod routing;
pub mod rules;
pub mod sandbox;
pub mod scene;
pub mod service;
pub mod smtp;
pub mod status;
mod sys;
pub mod systemd;
pub mod tempdir;
pub mod tool;
pub mod tshark;
pub mod vectors;
pub mod verdict;
pub mod wait;
