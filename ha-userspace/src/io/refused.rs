//! What the XDP program has refused, by reason and sender: taken out of its map once in ten seconds, by
//! the main thread.

use std::{cmp::Reverse, collections::BTreeMap, future, io, time::Duration};

use aya::maps::{Map, MapData, PerCpuHashMap};
use ha_common::{
    abi::{Refused, RefusedKey},
    check::Reason,
};
use nix::net::if_::if_indextoname;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::refused::PAUSE;

/// How often it is looked for news, which is told at once.
const LOOK: Duration = Duration::from_secs(1);
/// Looks until the same is told again.
const LOOKS: u64 = PAUSE.as_secs() / LOOK.as_secs();

/// The program's map, and what was told of it.
pub(crate) struct RefusedFrames {
    map: PerCpuHashMap<MapData, RefusedKey, Refused>,
    look: Interval,
    looks: u64,
    /// What was taken out in the last [`LOOKS`] looks, and in which one.
    told: BTreeMap<RefusedKey, u64>,
}

/// Frames that came in by an interface and were refused for one reason.
#[derive(Debug)]
pub(crate) struct OfInterface {
    pub(crate) interface: String,
    pub(crate) reason: Reason,
    pub(crate) refused: Refused,
}

impl RefusedFrames {
    /// Only inside a tokio runtime.
    pub(crate) fn new(map: Map) -> io::Result<Self> {
        let map = PerCpuHashMap::try_from(map).map_err(io::Error::other)?;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { map, look, looks: 0, told: BTreeMap::new() })
    }

    /// Waits for what is to be told. Can be dropped and called again.
    pub(crate) async fn due(&mut self) -> Vec<OfInterface> {
        loop {
            self.look.tick().await;
            self.looks += 1;
            self.told.retain(|_, told| self.looks - *told < LOOKS);
            let due = self.take();
            if !due.is_empty() {
                return due;
            }
        }
    }

    /// All that there is, due or not.
    pub(crate) fn take_all(&mut self) -> Vec<OfInterface> {
        self.told.clear();
        self.take()
    }

    fn take(&mut self) -> Vec<OfInterface> {
        let keys = self.map.keys().filter_map(Result::ok);
        let due: Vec<_> = keys.filter(|key| !self.told.contains_key(key)).collect();
        let mut all = Vec::new();
        for key in due {
            // What comes between these two is in the counters alone.
            let Ok(values) = self.map.get(&key, 0) else { continue };
            if self.map.remove(&key).is_err() {
                continue;
            }
            self.told.insert(key, self.looks);
            let reason =
                Reason::ALL.into_iter().find(|one| u32::try_from(one.index()) == Ok(key.reason));
            let refused = merged(values.iter());
            if let Some(reason) = reason.filter(|_| !refused.is_none()) {
                all.push(OfInterface { interface: name_of(key.ifindex), reason, refused });
            }
        }
        all
    }
}

/// What waits for ever where there is no XDP.
pub(crate) async fn due(frames: &mut Option<RefusedFrames>) -> Vec<OfInterface> {
    match frames {
        Some(frames) => frames.due().await,
        None => future::pending().await,
    }
}

/// Of all CPUs: the places go to those who sent most.
fn merged<'a>(values: impl Iterator<Item = &'a Refused>) -> Refused {
    let mut merged = Refused::NONE;
    let mut senders = BTreeMap::new();
    for value in values {
        merged.others += value.others;
        for (sender, frames) in value.senders() {
            *senders.entry(sender).or_insert(0) += frames;
        }
    }
    let mut senders: Vec<_> = senders.into_iter().collect();
    senders.sort_by_key(|(_, frames)| Reverse(*frames));
    for (sender, frames) in senders {
        merged.count(&sender, frames);
    }
    merged
}

/// It may be gone.
fn name_of(ifindex: u32) -> String {
    let name = if_indextoname(ifindex).ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| format!("interface {ifindex}"))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ha_common::abi::{SENDERS_MAX, Sender};

    use super::*;

    #[test]
    fn who_sent_most_on_all_cpus_is_named() {
        let sender = |last: u8| Sender::at(IpAddr::from([192, 0, 2, last]), 51);
        let cpus: [Refused; 4] = std::array::from_fn(|cpu| {
            let mut refused = Refused::NONE;
            for last in 1..=20 {
                refused.count(&sender(u8::try_from(cpu * 20).unwrap() + last), 1);
            }
            refused
        });
        let mut with_much = Refused::NONE;
        with_much.count(&sender(200), 2);
        with_much.count(&sender(61), 2);
        let merged = merged(cpus.iter().chain([&with_much]));
        let named: Vec<_> = merged.senders().collect();
        assert_eq!(named[..2], [(sender(61), 3), (sender(200), 2)]);
        assert_eq!(named.len(), SENDERS_MAX);
        let all: u64 = named.iter().map(|(_, frames)| frames).sum();
        assert_eq!(all + merged.others, 4 * 20 + 4);
    }
}
