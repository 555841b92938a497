//! What instances with an Authentication Header have to remember: the key, and the sequence number
//! that all nodes of the virtual router share.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use ha_common::check::Reason;
use ha_core::{
    InstanceId,
    wire::{
        Authentication,
        ah::{self, AhError, Key, Mode, Seal, Sequence},
    },
};

use crate::plan::{InstancePlan, Plan};

/// The security associations (RFC 4301 §4.1) of all instances that have one.
#[derive(Debug)]
pub(crate) struct Associations {
    by_instance: BTreeMap<InstanceId, Association>,
}

#[derive(Debug)]
struct Association {
    key: Key,
    mode: Mode,
    /// Moved by what is heard and by what is sent; both are done by the engine thread.
    sequence: Cell<Sequence>,
}

impl Associations {
    /// For a start at the time `unix`, since 1970-01-01.
    pub(crate) fn new(plan: &Plan, unix: Duration) -> Self {
        let with = |(number, plan)| Some((InstanceId(number), Association::new(plan, unix)?));
        let by_instance = plan.instances.numbered().filter_map(with).collect();
        Self { by_instance }
    }

    /// Goes on with another plan; sequence numbers never go back, whatever the key is.
    pub(crate) fn reload(&mut self, plan: &Plan, unix: Duration) {
        let before = std::mem::replace(self, Self::new(plan, unix));
        for (id, old) in before.by_instance {
            if let Some(new) = self.by_instance.get(&id) {
                new.sequence.set(old.sequence.get());
            }
        }
    }

    /// The message in an IP packet, if whoever sent it has the key, and sends it for the first time.
    pub(crate) fn open<'a>(
        &self,
        instance: InstanceId,
        packet: &'a [u8],
    ) -> Result<&'a [u8], Reason> {
        self.by_instance.get(&instance).ok_or(Reason::AuthType)?.open(packet)
    }

    /// What the next advertisement is sealed with, to however many peers it is sent.
    pub(crate) fn seal(&self, instance: InstanceId) -> Option<Seal> {
        let Association { key, mode, sequence: shared } = self.by_instance.get(&instance)?;
        let mut sequence = shared.get();
        let number = sequence.advance();
        shared.set(sequence);
        Some(Seal { key: *key, mode: *mode, sequence: number })
    }
}

impl Association {
    fn new(plan: &InstancePlan, unix: Duration) -> Option<Self> {
        let Authentication::Ah(key) = plan.template.authentication else { return None };
        let mode = if plan.peers.is_empty() { Mode::Multicast } else { Mode::Unicast };
        Some(Self { key, mode, sequence: Cell::new(Sequence::starting_at(unix)) })
    }

    fn open<'a>(&self, packet: &'a [u8]) -> Result<&'a [u8], Reason> {
        let opened = ah::open(&self.key, self.mode, packet).map_err(|error| match error {
            AhError::Protocol | AhError::Length | AhError::Spi => Reason::AhHeader,
            AhError::Icv => Reason::AhIcv,
        })?;
        let mut sequence = self.sequence.get();
        let is_new = sequence.accept(opened.sequence);
        self.sequence.set(sequence);
        if is_new { Ok(opened.message) } else { Err(Reason::AhSequence) }
    }
}
