//! What crosses the kernel boundary, and nothing else: this crate is compiled for the BPF target too.
//!
//! One decision is written once: [`check::judge`] says what becomes of a frame. The XDP program, the
//! packet-socket path and the host tests call it over their own [`frame::Packet`] and
//! [`check::Tables`].
#![no_std]
#![expect(clippy::inline_always, reason = "one flat program is what the BPF verifier judges best")]

pub mod abi;
pub mod absorb;
pub mod check;
pub mod checksum;
pub mod frame;
pub mod proto;
pub mod refused;
#[cfg(target_has_atomic = "64")]
pub mod slot;
