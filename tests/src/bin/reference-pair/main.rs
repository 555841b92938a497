//! The demonstration: the reference pair fails over in every way it can, on this machine.
//!
//! `HA_BINARY=PATH reference-pair [--keepalived] [--xdp MODE] [--act reference|fast|service]
//! [--load N]`, as root. Two nodes and a client live in namespaces of their own; the nodes run the
//! reference files unchanged, and then the same deployment with VRRPv3 at 10 ms. In the last act the
//! service behind the addresses is killed, and then restarted again and again. Times are the kernel's, of
//! frames at the switch and of answers at the client. With `--keepalived` (or `HA_DEMO_PEER=keepalived`) both nodes run keepalived, for
//! comparison.
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a demonstration prints what it shows"
)]

mod act;
mod play;
mod table;

use std::{env, panic, process::ExitCode};

use ha_tests::{guardian, process::Program, require};

use crate::{act::Act, play::Cast};

/// Busy programs beside the routers; more than this shows nothing more.
const LOAD_MAX: usize = 64;

fn main() -> ExitCode {
    guardian::clean_up_on_signals();
    let cast = match cast_from(env::args().skip(1)) {
        Ok(cast) => cast,
        Err(complaint) => {
            eprintln!("reference-pair: {complaint}");
            eprintln!(
                "usage: reference-pair [--keepalived] [--xdp auto|native|generic|off] \
                 [--act reference|fast|service] [--load N]"
            );
            return ExitCode::from(2);
        }
    };
    // The harness panics with one message; the trace of where it did says nothing to a spectator.
    panic::set_hook(Box::new(|_| ()));
    let result = panic::catch_unwind(|| {
        let can_run = match cast.program {
            Program::Daemon => require::require_daemon(),
            Program::Keepalived => require::require_keepalived(),
        };
        if can_run { play::run(&cast) } else { Ok(()) }
    });
    let result = result.unwrap_or_else(|cause| Err(message_of(&*cause)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nreference-pair: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Who plays the routers, from the command line and the environment.
fn cast_from(mut words: impl Iterator<Item = String>) -> Result<Cast, String> {
    let is_keepalived = env::var("HA_DEMO_PEER").is_ok_and(|peer| peer == "keepalived");
    let mut cast = Cast {
        program: if is_keepalived { Program::Keepalived } else { Program::Daemon },
        words: Vec::new(),
        acts: vec![Act::REFERENCE, Act::FAST, Act::SERVICE],
        load: 0,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--keepalived" => cast.program = Program::Keepalived,
            "--xdp" => {
                let mode = words.next().ok_or("--xdp needs a mode")?;
                cast.words.extend([word, mode]);
            }
            "--act" => {
                cast.acts = match words.next().as_deref() {
                    Some("reference") => vec![Act::REFERENCE],
                    Some("fast") => vec![Act::FAST],
                    Some("service") => vec![Act::SERVICE],
                    _ => return Err("--act is reference, fast or service".to_owned()),
                };
            }
            "--load" => {
                let count = words.next().and_then(|word| word.parse().ok());
                let count = count.filter(|count| (1..=LOAD_MAX).contains(count));
                cast.load = count.ok_or(format!("--load is a number from 1 to {LOAD_MAX}"))?;
            }
            _ => return Err(format!("`{word}` is not a word of this program")),
        }
    }
    if cast.program == Program::Keepalived {
        // It does not count restarts.
        cast.acts.retain(|act| !act.watches_service);
    }
    Ok(cast)
}

fn message_of(cause: &(dyn core::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
