//! The shell's part of absorbing: what an engine has to be told of its slots before it is told
//! anything else, and when a slot may be opened.
//!
//! Pure, so that the simulation runs what the daemon runs: each function gives the next input that
//! the engine is to be given, until there is none.

use core::time::Duration;

use ha_common::{abi::Content, slot::SharedSlot};

use crate::{Engine, Input, InstanceId, Instant, engine::index};

/// What an engine was told of its slots, and what those absorb.
#[derive(Clone, Debug, Default)]
pub struct Absorption {
    /// By instance.
    told: Vec<Told>,
    is_on: bool,
    /// Backups whose deadline comes in so long have to be looked at.
    look_ahead: Option<Duration>,
    /// Those that were found, and not looked at yet.
    waiting: Vec<InstanceId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Of this generation.
    count: u32,
    nanos: u64,
    /// What the slot absorbs, unless the kernel has closed it since.
    published: Option<Content>,
}

impl Absorption {
    /// Nothing was told yet, and all slots are closed. Unless it is on, they stay so.
    #[must_use]
    pub fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// What was absorbed for an instance and is not told yet: to be told before a frame of it is
    /// handled, and for all instances before anything else.
    pub fn unread(&mut self, slots: &[SharedSlot], id: InstanceId) -> Option<Input<'static>> {
        let slot = slots.get(index(id))?;
        let told = self.told(id)?;
        // The stamp after the count: at the very moment it may be missing, but not the frame.
        let total = slot.state().count();
        let nanos = slot.absorbed_nanos();
        let count = total.wrapping_sub(told.count);
        if count == 0 && nanos <= told.nanos {
            return None;
        }
        told.count = total;
        told.nanos = told.nanos.max(nanos);
        Some(Input::Heard { instance: id, at: Instant::from_nanos(told.nanos), count })
    }

    /// What is due at `now`. Before a takeover the slot is read last.
    pub fn due(
        &mut self,
        engine: &Engine,
        slots: &[SharedSlot],
        now: Instant,
    ) -> Option<Input<'static>> {
        let deadline = engine.next_deadline().filter(|deadline| deadline.at <= now)?;
        let Some(id) = deadline.takeover else { return Some(Input::Deadline { heard: None }) };
        if let Some(input) = self.unread(slots, id) {
            // So may others be alive whose deadlines come soon: they shall not wake anybody. Not
            // for a silent one, whose takeover would wait for it.
            let interval = engine.instance(id).map(|instance| instance.master_interval);
            self.look_ahead = self.look_ahead.max(interval);
            return Some(input);
        }
        let heard = slots.get(index(id)).map(SharedSlot::heard_nanos).filter(|nanos| *nanos != 0);
        Some(Input::Deadline { heard: heard.map(Instant::from_nanos) })
    }

    /// What those have heard whose deadlines come soon, when what was due is done.
    ///
    /// A Backup that was looked at waits for two more intervals, so that it is enough to wake up
    /// once in an interval, however many there are (with `down_timer_adverts` of 2 or more).
    pub fn ahead(
        &mut self,
        engine: &Engine,
        slots: &[SharedSlot],
        now: Instant,
    ) -> Option<Input<'static>> {
        if let Some(time) = self.look_ahead.take() {
            self.waiting.clear();
            engine.takeovers_until(now + time, &mut self.waiting);
        }
        while let Some(id) = self.waiting.pop() {
            if let Some(input) = self.unread(slots, id) {
                return Some(input);
            }
        }
        None
    }

    /// Lets slots absorb what their instances expect now, after everything else in a turn.
    pub fn publish(&mut self, engine: &mut Engine, slots: &[SharedSlot]) -> Option<Input<'static>> {
        while let Some(id) = engine.next_touched() {
            let Some(slot) = slots.get(index(id)) else { continue };
            let wanted = engine.expectation(id).filter(|_| self.is_on);
            let Some(told) = self.told(id) else { continue };
            let published = told.published.filter(|_| slot.state().is_open());
            if published == wanted.map(|wanted| wanted.content) {
                continue;
            }
            told.published = None;
            slot.close();
            // It may change what is expected: the instance is touched by it.
            if let Some(input) = self.unread(slots, id) {
                return Some(input);
            }
            if let (Some(wanted), Some(told)) = (wanted, self.told(id)) {
                told.count = 0;
                let is_open = slot.open(&wanted.content, wanted.seen.as_nanos());
                told.published = Some(wanted.content).filter(|_| is_open);
            }
        }
        None
    }

    fn told(&mut self, id: InstanceId) -> Option<&mut Told> {
        let place = index(id);
        if place >= self.told.len() {
            self.told.resize(place.checked_add(1)?, Told::default());
        }
        self.told.get_mut(place)
    }
}
