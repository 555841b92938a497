//! The VRRP engine: protocol state machines without I/O, without a clock, without chance.
//!
//! It must never read a clock, log, or iterate in an order that is not fixed: the same inputs give
//! the same actions, byte for byte. [`Engine::handle`] takes what happened and when;
//! [`Engine::next_deadline`] says when it wants to be called again.

mod types;
pub mod wire;

mod config;
mod io;

mod engine;
mod instance;
mod peers;

mod backup;
mod clash;
mod expect;
mod group;
mod master;
mod order;
mod reload;
mod restore;

mod timers;

mod absorption;

pub mod story;

pub use ha_common::proto::Family;

pub use self::{
    absorption::Absorption,
    config::{
        AnnouncePlan, Config, Effect, GroupConfig, GroupId, InstanceConfig, InstanceId, Track,
        TrackerId, Verdict,
    },
    engine::{Deadline, Engine},
    expect::Expectation,
    instance::{Instance, Statistics},
    io::{
        Action, Actions, Cause, Event, Input, Notice, Notify, Received, Rejection, State, Subject,
        Transition,
    },
    order::{Awaited, Order, Refusal},
    reload::Reload,
    restore::{REMOVAL_QUIET, removal_wait},
    types::{AdvertInterval, Instant, Priority, Version, Vrid},
};
