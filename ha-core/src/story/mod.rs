//! Stories: what happens to an engine, and what it decides, as text that people read.
//!
//! One form for three users: scenarios (tests in virtual time), records (what a daemon's engine was
//! given, and when), and the replay of both. Nothing here touches a file; the text comes and goes as
//! strings.
//!
//! A line that begins with `#` is a comment. `--- title` begins a new engine at time 0. Then comes
//! what it runs:
//!
//! - `recorded`: deadlines are given by `due` lines; without it they fire by themselves, in time
//! - `startup_delay T`
//! - `tracker NAME`, where the order of trackers matters
//! - `instance NAME [key=value..] [flag..]`: `vrid version ipv6 priority interval addresses=A,B..
//!   nopreempt preempt_delay owner_ignore_adverts skip_check_adv_addr down_adverts
//!   lower_prio_no_advert higher_prio_send_advert announce delay lower_prio_repeat lower_prio_delay
//!   refresh refresh_repeat group=NAME track=NAME[:WEIGHT[:reverse]]`. What is not said is
//!   keepalived's default, VRID 133, and one address ending in 13
//! - `group NAME MEMBER..`, where the order of members matters
//!
//! After that, `next` begins what a running engine goes on with ([`crate::Reload`]): the
//! same lines again, for all that it runs from then on; `retired NAME..`, `restart NAME..`,
//! `readdressed NAME..`, `new_trackers NAME..`, `known NAME up|down|NUMBER`. The step `reload` applies it.
//!
//! Then what happens, each at a `TIME` (`1s`, `609.375ms`, `5us`, `78125ns`):
//!
//! - `start`, `shutdown`, `end` (nothing)
//! - `source NAME ADDRESS|none`, `addresses NAME usable|unusable|missing`, `track NAME up|down|NUMBER`
//! - `frame NAME from ADDRESS stamp=T hex=BYTES`: a VRRP message as it was received
//! - `heard NAME xN stamp=T`: so many frames, the last of them at that time, that nobody has read,
//!   because they said what the one before had said
//! - `advert NAME from ADDRESS priority N [interval=T] [vrid=N] [version=N] [list=ADDRESS] [pseudo]
//!   [byte=I:V] [cut=N] [lost] [stamp=T]`: one that is made; `pseudo` is a checksum over a
//!   pseudo-header too, `lost` means stamped by the kernel, but its record found the ring full;
//!   `stamp` is when it had come, if it is read later than that
//! - `stop_for`, what cannot go on with what is `next` stops; `reload`, the engine goes on with it
//! - `show NAME`: the state in one line
//!
//! Only where `recorded`: `due [heard=T]`, a deadline, and the kernel's stamp where it was asked for;
//! `lost N`, so many inputs are missing here.
//!
//! Only where not: `late T`, from now on every deadline is handled so much too late; `sleep T
//! [reading-first]`, the daemon sleeps while the kernel stamps on: when it wakes it handles due
//! deadlines before each record, or reads all records first.
//!
//! `TIME -> ACTION` is what was decided, in milliseconds.
//!
//! Names are words. `#N` is what has no name, by its number.

mod names;
mod value;
mod word;

mod play;
mod read;
mod run;
mod write;

pub use self::{
    names::Names,
    play::{Difference, Told, play},
    write::{KeptInput, Writer},
};

/// What is wrong with a story's text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What was expected there.
    pub text: String,
}
