//! Sync groups that clash: each wins with one member and loses with another.
//!
//! They take over together, yield together, and would do so for ever: nobody is Master. So a group
//! that had to yield as soon as it was Master, twice in a row, waits a part of an interval before it
//! takes over the next time. How long depends on its address, so that one comes first before long.
//! Nothing is added for a group that did not clash, or that has heard a Master who stays.

use core::{net::IpAddr, time::Duration};

use crate::{Engine, Instance, InstanceId, Instant, timers::Timer};

/// What a group remembers of its clashes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clash {
    took_over: Option<Instant>,
    /// How often in a row it yielded as soon as it was Master.
    pub(crate) count: u32,
    /// When it takes over, if it waits although all members want to.
    waits_until: Option<Instant>,
}

impl Engine {
    /// The group has taken over.
    pub(crate) fn note_takeover(&mut self, now: Instant, lead: InstanceId) {
        if let Some(group) = self.group_of_mut(lead) {
            group.clash.took_over = Some(now);
            group.clash.waits_until = None;
        }
    }

    /// The group yields to a better Master than `lead`.
    pub(crate) fn note_yield(&mut self, since: Instant, lead: InstanceId) {
        let interval = self.own_interval(lead);
        if let Some(group) = self.group_of_mut(lead) {
            let clash = &mut group.clash;
            let is_short = clash.took_over.is_some_and(|start| since.since(start) < interval);
            clash.count = if is_short { clash.count.saturating_add(1) } else { 0 };
        }
    }

    /// A member has heard a Master: again and in time, if `is_steady`.
    pub(crate) fn note_master(&mut self, id: InstanceId, is_steady: bool) {
        if let Some(group) = self.group_of_mut(id) {
            group.clash.waits_until = None;
            if is_steady {
                group.clash.count = 0;
            }
        }
    }

    /// Whether the group, all members of which want to be Master, waits all the same.
    pub(crate) fn waits_for_others(&mut self, now: Instant, lead: InstanceId) -> bool {
        let wait = self.scatter(lead);
        let Some(group) = self.group_of_mut(lead) else {
            return false;
        };
        let until = *group.clash.waits_until.get_or_insert(now + wait);
        if until > now {
            self.set_timer(lead, Timer::Protocol, Some(until));
        }
        until > now
    }

    fn scatter(&self, lead: InstanceId) -> Duration {
        let source = self.instance(lead).and_then(Instance::source);
        match (self.group_of(lead), source) {
            (Some(group), Some(source)) if group.members.len() > 1 && group.clash.count > 1 => {
                self.own_interval(lead) * u32::from(spread(source, group.clash.count)) / 256
            }
            (Some(_) | None, _) => Duration::ZERO,
        }
    }

    fn own_interval(&self, id: InstanceId) -> Duration {
        self.instance(id).map_or(Duration::ZERO, |entry| entry.config.interval.as_duration())
    }
}

/// A number that differs between addresses, and from round to round (FNV-1a).
fn spread(address: IpAddr, round: u32) -> u8 {
    let bits = match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    };
    let bytes = bits.to_be_bytes().into_iter().chain(round.to_be_bytes());
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [high, low, ..] = hash.to_be_bytes();
    high ^ low
}
