//! What is told of frames that were not taken.

use ha_common::{abi::Refused, check::Reason};
use ha_core::Instant;

use super::Driver;
use crate::{
    engine::Message,
    refused::{self, Refusal},
};

impl Driver {
    /// Tells what is due.
    pub(super) fn tell_refused(&mut self, now: Instant) {
        let due = self.effects.refusals.take_due(now);
        self.tell(now, due);
    }

    /// Tells all that nobody was told of.
    pub(super) fn tell_last_refused(&mut self, now: Instant) {
        let all = self.effects.refusals.take_all();
        self.tell(now, all);
    }

    fn tell(&mut self, now: Instant, all: Vec<(Refusal, Refused)>) {
        for (refusal, refused) in all {
            let lines = match refusal {
                Refusal::Frame { ifindex, reason } => {
                    let mut ports = self.ports.iter();
                    let port = ports.find(|(_, port)| port.ifindex == ifindex);
                    let name = port.map_or("?", |(name, _)| name);
                    refused::lines(name, &refused::describe(reason), &refused)
                }
                Refusal::Advertisement { instance, reason } => {
                    let plan = self.plan.instance(instance);
                    let name = plan.map_or("?", |plan| plan.name.as_str());
                    refused::lines(name, &reason, &refused)
                }
            };
            let is_fault = !matches!(refusal, Refusal::Frame { reason: Reason::UnknownVrid, .. });
            let message = if is_fault { Message::Trouble } else { Message::Note };
            for line in lines {
                self.effects.report(now, message(line));
            }
        }
    }
}
