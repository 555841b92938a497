//! One engine in virtual time, and the world around it, as a story's steps have it.

use std::collections::VecDeque;

use core::time::Duration;

use crate::{
    Actions, Engine, Input, InstanceId, Instant,
    story::{
        KeptInput, Writer,
        read::{Setting, Step},
        value::millis,
    },
};

/// More deadlines at one moment are the same ones again and again.
const DEADLINES_AT_ONCE_MAX: u32 = 1_000_000;

/// An engine, its deadlines and the kernel's stamps.
#[derive(Default)]
pub(super) struct Run {
    pub(super) setting: Setting,
    /// What the engine goes on with.
    next: Option<Setting>,
    /// From the first step on.
    engine: Option<(Engine, Writer)>,
    actions: Actions,
    now: Instant,
    late: Duration,
    /// The kernel's slots.
    stamps: Vec<Option<Instant>>,
    sleep: Option<Sleep>,
    /// Since the last step, as lines.
    pub(super) decided: Vec<String>,
}

struct Sleep {
    until: Instant,
    reading_first: bool,
    inputs: VecDeque<KeptInput>,
}

impl Run {
    /// Takes a line of what is run; `false` if it is none.
    pub(super) fn configure(&mut self, words: &[&str]) -> Result<bool, String> {
        if words == ["next"] {
            self.begin();
            self.next = Some(self.setting.next());
            return Ok(true);
        }
        if let Some(next) = &mut self.next {
            return next.read(words);
        }
        let is_taken = self.setting.read(words)?;
        if is_taken && self.engine.is_some() {
            return Err("expected a step: what is run is said before the first one, or after \
                        `next`"
                .to_owned());
        }
        Ok(is_taken)
    }

    /// Nothing more is said of what is run.
    fn begin(&mut self) {
        if self.engine.is_none() {
            let Setting { names, config, .. } = &self.setting;
            let writer = Writer::new(names.clone(), Instant::default());
            self.stamps = vec![None; config.instances.len()];
            self.engine = Some((Engine::new(config.clone()), writer));
        }
    }

    /// Lets time run: deadlines fire when due, or too late, or after a sleep.
    pub(super) fn advance(&mut self, end: Instant) -> Result<(), String> {
        self.begin();
        if end < self.now {
            let now = millis(self.now.since(Instant::default()));
            return Err(format!("expected a time from {now} on: time does not run backwards"));
        }
        if let Some(sleep) = self.sleep.take_if(|sleep| sleep.until <= end) {
            self.wake(sleep)?;
        }
        if self.sleep.is_none() && !self.setting.is_recorded {
            let mut fired = 0;
            while let Some(due) = self.next_deadline().map(|deadline| deadline + self.late)
                && due <= end
            {
                fired = if due > self.now { 0 } else { fired + 1 };
                self.now = self.now.max(due);
                self.fire(fired)?;
            }
        }
        self.now = end;
        Ok(())
    }

    fn wake(&mut self, mut sleep: Sleep) -> Result<(), String> {
        self.now = sleep.until;
        if !sleep.reading_first {
            self.fire_due()?;
        }
        while let Some(input) = sleep.inputs.pop_front() {
            self.handle(&input);
            if !sleep.reading_first {
                self.fire_due()?;
            }
        }
        self.fire_due()
    }

    fn fire_due(&mut self) -> Result<(), String> {
        let mut fired = 0;
        while self.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            fired += 1;
            self.fire(fired)?;
        }
        Ok(())
    }

    /// `fired`: so often before, at this moment.
    fn fire(&mut self, fired: u32) -> Result<(), String> {
        if fired > DEADLINES_AT_ONCE_MAX {
            return Err("the engine wants the same deadlines again and again".to_owned());
        }
        let next = self.engine.as_ref().and_then(|(engine, _)| engine.next_deadline());
        let takeover = next.and_then(|deadline| deadline.takeover);
        let heard = takeover.and_then(|instance| *self.slot(instance)?);
        self.handle(&KeptInput::Other(Input::Deadline { heard }));
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        Some(self.engine.as_ref()?.0.next_deadline()?.at)
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Input(input) => self.feed(input),
            Step::Arrival(input) => {
                if let KeptInput::Advertisement { instance, at, .. }
                | KeptInput::Other(Input::Heard { instance, at, .. }) = input
                {
                    self.stamp(instance, at);
                }
                self.feed(input);
            }
            Step::Stamp(instance, at) => self.stamp(instance, at),
            Step::Late(by) => self.late = by,
            Step::Sleep { time, reading_first } => {
                let until = self.now + time;
                self.sleep = Some(Sleep { until, reading_first, inputs: VecDeque::new() });
            }
            Step::StopFor => {
                let reload = self.next()?.reload();
                if let Some((engine, _)) = &mut self.engine {
                    engine.stop_for(&reload, &mut self.actions);
                }
                self.note_decisions();
            }
            Step::Reload => self.reload()?,
            Step::Show(instance) => self.show(instance),
            Step::Lost(_) | Step::End => {}
        }
        Ok(())
    }

    fn next(&self) -> Result<&Setting, String> {
        let next = self.next.as_ref().filter(|_| self.sleep.is_none());
        let next = next.ok_or("expected `next` and what is run from then on, and nobody asleep")?;
        if next.config.instances.len() < self.setting.config.instances.len() {
            return Err("expected as many instances as before, at least".to_owned());
        }
        Ok(next)
    }

    fn reload(&mut self) -> Result<(), String> {
        let reload = self.next()?.reload();
        self.setting = self.next.take().unwrap_or_default();
        self.stamps.resize(reload.config.instances.len(), None);
        if let Some((engine, writer)) = &mut self.engine {
            *writer = writer.clone().renamed(self.setting.names.clone());
            engine.reload(self.now, reload, &mut self.actions);
        }
        self.note_decisions();
        Ok(())
    }

    fn slot(&mut self, instance: InstanceId) -> Option<&mut Option<Instant>> {
        self.stamps.get_mut(usize::try_from(instance.0).ok()?)
    }

    fn stamp(&mut self, instance: InstanceId, at: Instant) {
        if let Some(slot) = self.slot(instance) {
            *slot = (*slot).max(Some(at));
        }
    }

    fn feed(&mut self, input: KeptInput) {
        match &mut self.sleep {
            Some(sleep) => sleep.inputs.push_back(input),
            None => self.handle(&input),
        }
    }

    fn handle(&mut self, input: &KeptInput) {
        if let Some((engine, _)) = &mut self.engine {
            engine.handle(self.now, input.as_input(), &mut self.actions);
        }
        self.note_decisions();
    }

    fn note_decisions(&mut self) {
        let Some((_, writer)) = &self.engine else { return };
        for action in self.actions.as_slice() {
            self.decided.push(writer.action(self.now, action).to_string());
        }
        self.actions.clear();
    }

    fn show(&mut self, id: InstanceId) {
        let since_start = |at: Instant| millis(at.since(Instant::default()));
        let Some((engine, _)) = &self.engine else { return };
        let Some(instance) = engine.instance(id) else { return };
        let (state, priority) = (instance.state(), instance.priority());
        let due = engine.deadline(id).map_or_else(
            || ", no timer".to_owned(),
            |deadline| format!(", due {}", since_start(deadline)),
        );
        let master = instance.master().map_or_else(String::new, |(source, priority)| {
            format!(", master {source} priority {priority}")
        });
        let (now, name) = (since_start(self.now), self.setting.names.instance(id));
        self.decided.push(format!("{now} -> {name} is {state}, priority {priority}{due}{master}"));
    }
}
