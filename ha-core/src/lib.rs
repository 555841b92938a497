//! The VRRP engine: protocol state machines without I/O, without a clock, without chance.
//!
//! It must never read a clock, log, allocate per unchanged advertisement or iterate in an order
//! that is not fixed: the same inputs give the same actions, byte for byte.

mod types;

pub use ha_common::proto::Family;

pub use self::types::{AdvertInterval, Instant, Priority, Version, Vrid};
