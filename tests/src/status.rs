//! The daemon's `status.json`, as much as tests ask of it.

use serde_json::Value;

/// One reading of the status.
#[derive(Clone, Debug)]
pub struct Status(Value);

impl Status {
    /// `None` if `text` is not whole.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// `BACKUP`, `MASTER`, ...
    pub fn state(&self, instance: &str) -> &str {
        self.instance(instance).and_then(|one| one.get("state")?.as_str()).unwrap_or("unknown")
    }

    /// The address of the Master that `instance` has heard last.
    pub fn master(&self, instance: &str) -> Option<&str> {
        self.instance(instance)?.get("master")?.get("address")?.as_str()
    }

    /// One of the instance's statistics; panics if there is none of that name.
    pub fn statistic(&self, instance: &str, name: &str) -> u64 {
        let value = self.instance(instance).and_then(|one| one.get("statistics")?.get(name));
        let value = value.and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no statistic {name} of {instance} in {}", self.0))
    }

    /// The last run of the check script `name` that failed.
    pub fn last_failure(&self, name: &str) -> Option<Value> {
        let script = named(self.0.get("told")?.get("scripts")?, name)?;
        script.get("last_failure").filter(|failure| !failure.is_null()).cloned()
    }

    /// How the last notify script of `name` ended.
    pub fn last_notification(&self, name: &str) -> Option<&Value> {
        named(self.0.get("told")?.get("notifications")?, name)?.pointer("/last/run")
    }

    /// What is known of the host's clock, at this JSON pointer (RFC 6901).
    pub fn clock(&self, pointer: &str) -> Value {
        self.told(&format!("/clock{pointer}"))
    }

    /// What is told beside instances and interfaces, at this JSON pointer (RFC 6901).
    pub fn told(&self, pointer: &str) -> Value {
        self.0.pointer(&format!("/told{pointer}")).cloned().unwrap_or_default()
    }

    /// The number at this JSON pointer (RFC 6901); panics if there is none.
    pub fn number(&self, pointer: &str) -> u64 {
        let value = self.0.pointer(pointer).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number {pointer} in {}", self.0))
    }

    /// What is known of the notification FIFOs.
    pub fn fifos(&self) -> impl Iterator<Item = &Value> {
        self.0.pointer("/told/fifos").and_then(Value::as_array).into_iter().flatten()
    }

    /// What is known of the first of them, at this JSON pointer (RFC 6901).
    pub fn fifo(&self, pointer: &str) -> Value {
        self.fifos().next().and_then(|fifo| fifo.pointer(pointer)).cloned().unwrap_or_default()
    }

    /// How many frames on `interface` ended for `reason`; panics if there is no such reason.
    pub fn counter(&self, interface: &str, reason: &str) -> u64 {
        let value = self.interface(interface).and_then(|one| one.get("counters")?.get(reason));
        let value = value.and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no counter {reason} of {interface} in {}", self.0))
    }

    /// How frames are judged on `interface`: `native`, `generic`, or another word without XDP.
    pub fn xdp(&self, interface: &str) -> &str {
        self.interface(interface).and_then(|one| one.get("xdp")?.as_str()).unwrap_or("unknown")
    }

    /// How many mails ended so: `sent`, `failed`, `lost`, ...
    pub fn mails(&self, word: &str) -> u64 {
        let value = self.0.get("told").and_then(|told| told.get("mail")?.get(word)?.as_u64());
        value.unwrap_or_else(|| panic!("no {word} of mails in {}", self.0))
    }

    fn instance(&self, name: &str) -> Option<&Value> {
        named(self.0.get("instances")?, name)
    }

    fn interface(&self, name: &str) -> Option<&Value> {
        named(self.0.get("interfaces")?, name)
    }
}

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(name))
}
