//! What an operator wants.

use ha_core::{Input, Instance, InstanceId, Order, Refusal, State};

use super::Driver;
use crate::clock;

impl Driver {
    /// Carries an order out, and says what the instance's state is then, or why it was not, or not
    /// wholly, carried out.
    pub(super) fn order(&mut self, instance: InstanceId, order: Order) -> Result<State, Refusal> {
        let now = clock::now();
        let mut refusal = self.engine.refusal(now, instance, order);
        if order == Order::Reset {
            for member in self.plan.members_with(instance) {
                self.retries.hurry(now, member);
                self.removals.hurry(now, member);
            }
        }
        self.engine.handle(now, Input::Order { instance, order });
        self.apply(now);
        let state = self.engine.instance(instance).map_or(State::Init, Instance::state);
        if order == Order::Promote {
            // Of a Master there is nothing left to wish for.
            refusal = self.engine.refusal(now, instance, order);
            refusal = refusal.filter(|_| state != State::Master);
        }
        refusal.map_or(Ok(state), Err)
    }
}
