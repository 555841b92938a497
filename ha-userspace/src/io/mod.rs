//! Everything that touches the kernel for the engine: sockets, timer, scheduling, maps.
//!
//! Nothing here decides anything about the protocol, forks, logs, or waits without a bound. All but
//! [`adjtimex`], [`carrier`], [`lock`], [`refused`] and the clean-up of [`changes`] is used on the
//! engine thread.

pub(crate) mod addresses;
pub(crate) mod adjtimex;
pub(crate) mod advert_socket;
pub(crate) mod announce;
pub(crate) mod capabilities;
pub(crate) mod carrier;
pub(crate) mod changes;
pub(crate) mod connector;
pub(crate) mod file_events;
pub(crate) mod links;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod namespace;
pub(crate) mod neighbours;
pub(crate) mod packet_socket;
pub(crate) mod refused;
pub(crate) mod routes;
pub(crate) mod routing_watch;
pub(crate) mod rules;
pub(crate) mod schedule;
pub(crate) mod slots;
pub(crate) mod table_watch;
pub(crate) mod tables;
pub(crate) mod timer;
pub(crate) mod tracepoints;
pub(crate) mod xdp;

mod btf;
mod link_table;
pub(crate) mod netlink;
mod object;
pub(crate) mod sys;
