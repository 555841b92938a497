//! `ha-userspace`: the failover daemon and its command line.
//!
//! The only crate with I/O. Two threads: the engine thread sends, receives and decides
//! ([`engine`], over [`io`]); everything slow (scripts, signals, logs, status) runs on the main thread
//! ([`daemon`], [`control`], [`firewall`], [`scripts`], [`report`], [`status`]), or, where it may wait for a disk or a
//! server ([`mail`]), on one of its own. They share nothing but bounded channels.

mod check;
mod cli;
mod control;
mod daemon;
mod demotions;
mod firewall;
mod histogram;
mod history;
mod host;
mod logging;
mod mail;
mod plan;
mod privileges;
mod reading;
mod record;
mod release;
mod replay;
mod rival;

mod engine;
mod http;
mod io;

mod refused;
mod report;
mod routing_file;
mod run_files;
mod scripts;
mod service;
mod status;
mod top;
mod watch;

mod clock;
mod wall;

fn main() -> std::process::ExitCode {
    cli::main()
}
