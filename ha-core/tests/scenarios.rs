//! Scenarios: what happens to the engine, and what it must do, as text in virtual time.
//!
//! Each `scenarios/*.txt` holds scripts and the expected actions in one text, so that an operator can
//! read them. Expected lines are `TIME -> ACTION`; `UPDATE_EXPECT=1` rewrites them, and the diff is
//! to be reviewed against the RFC's arithmetic, never against what the engine printed before.
//!
//! `instance NAME key=value.. [nopreempt]` and `--- title` (a new engine) come before the steps:
//!
//! - `TIME start`, `TIME shutdown`, `TIME end`
//! - `TIME source NAME ADDRESS|none`, `TIME addresses NAME usable|unusable|missing`, `TIME track NAME up|down`
//! - `TIME advert NAME from ADDRESS priority N [interval=T] [vrid=N] [version=N] [byte=I:V] [cut=N]
//!   [lost] [stamp=T]`: `lost` means stamped by the kernel, but its record found the ring full;
//!   `stamp` is when it had come, if it is read later than that
//! - `TIME late T`: from now on every deadline is handled so much too late
//! - `TIME sleep T [reading-first]`: the daemon sleeps; the kernel stamps on. When it wakes it handles
//!   due deadlines before each record, or reads all records first
//! - `TIME show NAME`: the state in one line
#![expect(
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's own text and tables; what is wrong with them shall stop it"
)]

use std::{
    collections::VecDeque,
    env, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    time::Duration,
};

use ha_core::{
    Action, Actions, AdvertInterval, Cause, Config, Engine, Family, GroupConfig, Input,
    InstanceConfig, InstanceId, Instant, Priority, Received, Subject, Track, TrackerId, Version,
    Vrid,
    wire::{ChecksumScope, Template},
};

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_file_is_listed() {
            let mut files: Vec<String> = fs::read_dir(folder())
                .expect("the scenarios' directory")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
                .collect();
            files.sort();
            let mut listed = vec![$(format!("{}.txt", stringify!($name))),*];
            listed.sort();
            assert_eq!(files, listed);
        }
    };
}

scenarios! {
    announcements,
    backup,
    groups,
    late_backup,
    late_master,
    master,
    notices,
    preempt_delay,
    preemption,
    rejected,
    removed_addresses,
    start_and_stop,
    startup_delay,
    timers,
    tracking,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
}

/// Runs a file and compares it with itself, expected lines included.
fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let expected = fs::read_to_string(&path).expect("a scenario file");
    let actual = Script::run(name, &expected);
    if actual == expected {
        return;
    }
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, actual).expect("a writable scenario file");
        return;
    }
    panic!("{name}.txt: `-` is expected, `+` is what happened\n{}", diff(&expected, &actual));
}

/// The lines that differ, each run of them after one common line.
fn diff(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    // Longest common subsequence, from the ends.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut text = String::new();
    let (mut i, mut j, mut context) = (0, 0, None);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            context = Some(format!("{:5}   {}\n", i + 1, old[i]));
            i += 1;
            j += 1;
            continue;
        }
        text += &context.take().unwrap_or_default();
        if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            text += &format!("{:5} - {}\n", i + 1, old[i]);
            i += 1;
        } else {
            text += &format!("      + {}\n", new[j]);
            j += 1;
        }
    }
    text
}

/// A daemon in virtual time around one engine, and the text it writes.
#[derive(Default)]
struct Script {
    config: Config,
    instances: Vec<String>,
    groups: Vec<String>,
    trackers: Vec<String>,
    engine: Option<Engine>,
    actions: Actions,
    now: Instant,
    late: Duration,
    /// The kernel's slots.
    stamps: Vec<Option<Instant>>,
    sleep: Option<Sleep>,
    text: String,
    /// Comments and blank lines: they belong to the step after them.
    held: String,
}

struct Sleep {
    until: Instant,
    reading_first: bool,
    inputs: VecDeque<Owned>,
}

/// An [`Input`] that waits.
enum Owned {
    Plain(Input<'static>),
    Advertisement { instance: InstanceId, at: Instant, source: IpAddr, message: Vec<u8> },
}

impl Script {
    fn run(name: &str, text: &str) -> String {
        let mut script = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let result = script.line(line);
            assert!(result.is_some(), "{name}.txt:{number}: cannot read `{line}`");
        }
        script.text + &script.held
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => self.held += "\n",
            [first, ..] if first.starts_with('#') => self.held += &format!("{line}\n"),
            ["---", ..] => {
                let (text, held) = (&self.text, &self.held);
                let text = format!("{text}{held}{line}\n");
                *self = Self { text, ..Self::default() };
            }
            ["startup_delay", delay] => {
                self.config.startup_delay = duration(delay)?;
                self.write_held(line);
            }
            ["instance", name, rest @ ..] => {
                self.configure(name, rest)?;
                self.write_held(line);
            }
            [_, "->", ..] => {}
            [time, step @ ..] => {
                if self.engine.is_none() {
                    self.config.trackers = u32::try_from(self.trackers.len()).ok()?;
                    self.stamps = vec![None; self.instances.len()];
                    self.engine = Some(Engine::new(self.config.clone()));
                }
                let at = Instant::from_nanos(nanos(time)?);
                assert!(at >= self.now, "time runs backwards: {line}");
                self.run_until(at);
                self.write_held(line);
                self.step(step)?;
            }
        }
        Some(())
    }

    fn write_held(&mut self, line: &str) {
        let held = std::mem::take(&mut self.held);
        self.text += &format!("{held}{line}\n");
    }

    fn configure(&mut self, name: &str, words: &[&str]) -> Option<()> {
        let id = InstanceId(u32::try_from(self.instances.len()).ok()?);
        self.instances.push(name.to_owned());
        let mut config =
            InstanceConfig { addresses: Vec::new(), ..InstanceConfig::new(Vrid::new(133)?) };
        for word in words {
            self.configure_word(id, &mut config, word)?;
        }
        config.addresses.push(listed(config.family));
        self.config.instances.push(config);
        Some(())
    }

    fn configure_word(
        &mut self,
        id: InstanceId,
        config: &mut InstanceConfig,
        word: &str,
    ) -> Option<()> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "vrid" => config.vrid = Vrid::new(value.parse().ok()?)?,
            "version" if value == "2" => config.version = Version::V2,
            "version" if value == "3" => config.version = Version::V3,
            "ipv6" => config.family = Family::V6,
            "priority" => config.priority = Priority::new(value.parse().ok()?)?,
            "interval" => config.interval = interval(value)?,
            "nopreempt" => config.preempt = false,
            "preempt_delay" => config.preempt_delay = duration(value)?,
            "owner_ignore_adverts" => config.owner_ignore_adverts = true,
            "skip_check_adv_addr" => config.skip_check_adv_addr = true,
            "down_adverts" => config.down_adverts = value.parse().ok()?,
            "lower_prio_no_advert" => config.lower_prio_no_advert = true,
            "higher_prio_send_advert" => config.higher_prio_send_advert = true,
            "announce" => config.announce.repeat = value.parse().ok()?,
            "delay" => config.announce.delay = duration(value)?,
            "lower_prio_repeat" => config.announce.lower_prio_repeat = value.parse().ok()?,
            "lower_prio_delay" => config.announce.lower_prio_delay = duration(value)?,
            "refresh" => config.announce.refresh = duration(value)?,
            "group" => {
                let group = place(&mut self.groups, value);
                self.config.groups.resize(self.groups.len(), GroupConfig { members: Vec::new() });
                self.config.groups[group].members.push(id);
            }
            // track=NAME, track=NAME:WEIGHT, track=NAME:WEIGHT:reverse
            "track" => {
                let mut parts = value.split(':');
                let tracker = place(&mut self.trackers, parts.next()?);
                config.tracks.push(Track {
                    tracker: TrackerId(u32::try_from(tracker).ok()?),
                    weight: parts.next().map_or(Some(0), |weight| weight.parse().ok())?,
                    reverse: parts.next() == Some("reverse"),
                });
            }
            _ => return None,
        }
        Some(())
    }

    fn step(&mut self, words: &[&str]) -> Option<()> {
        match *words {
            ["start"] => self.feed(Owned::Plain(Input::Start)),
            ["shutdown"] => self.feed(Owned::Plain(Input::Shutdown)),
            ["end"] => {}
            ["source", name, address] => {
                let address = (address != "none").then(|| address.parse().expect("an address"));
                let instance = self.instance(name)?;
                self.feed(Owned::Plain(Input::Source { instance, address }));
            }
            ["addresses", name, word] => {
                let instance = self.instance(name)?;
                let input = match word {
                    "missing" => Input::AddressesMissing { instance },
                    _ => Input::AddressesUsable { instance, usable: word == "usable" },
                };
                self.feed(Owned::Plain(input));
            }
            ["track", name, word] => {
                let tracker = self.trackers.iter().position(|tracker| tracker == name)?;
                let tracker = TrackerId(u32::try_from(tracker).ok()?);
                self.feed(Owned::Plain(Input::Tracker { tracker, up: word == "up" }));
            }
            ["advert", name, "from", source, "priority", priority, ref rest @ ..] => {
                let instance = self.instance(name)?;
                self.receive(instance, source.parse().ok()?, priority.parse().ok()?, rest)?;
            }
            ["late", by] => self.late = duration(by)?,
            ["sleep", time, ref rest @ ..] => {
                let until = self.now + duration(time)?;
                let reading_first = rest == ["reading-first"];
                self.sleep = Some(Sleep { until, reading_first, inputs: VecDeque::new() });
            }
            ["show", name] => self.show(name)?,
            _ => return None,
        }
        Some(())
    }

    fn receive(
        &mut self,
        instance: InstanceId,
        source: IpAddr,
        priority: u8,
        words: &[&str],
    ) -> Option<()> {
        let config = &self.config.instances[usize::try_from(instance.0).ok()?];
        let mut template = Template {
            version: config.version,
            vrid: config.vrid,
            interval: config.interval,
            addresses: vec![listed(config.family)],
            password: None,
        };
        let (mut bytes, mut cut, mut at) = (Vec::new(), 0, self.now);
        let (mut lost, mut pseudo) = (false, false);
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "interval" => template.interval = interval(value)?,
                "vrid" => template.vrid = Vrid::new(value.parse().ok()?)?,
                "version" if value == "2" => template.version = Version::V2,
                "version" if value == "3" => template.version = Version::V3,
                "byte" => {
                    let (at, value) = value.split_once(':')?;
                    bytes.push((at.parse::<usize>().ok()?, value.parse::<u8>().ok()?));
                }
                "list" => template.addresses = vec![value.parse().ok()?],
                "pseudo" => pseudo = true,
                "cut" => cut = value.parse().ok()?,
                "stamp" => at = Instant::from_nanos(nanos(value)?),
                "lost" => lost = true,
                _ => return None,
            }
        }
        // The engine does not judge checksums: the frame's walker has.
        let destination = Ipv4Addr::from(ha_common::proto::GROUP_V4).into();
        let scope = if pseudo {
            ChecksumScope::PseudoHeader { source, destination }
        } else {
            ChecksumScope::Message
        };
        let mut message = template.encode(priority, scope);
        for (at, value) in bytes {
            message[at] = value;
        }
        message.truncate(message.len() - cut);
        let slot = &mut self.stamps[usize::try_from(instance.0).ok()?];
        *slot = (*slot).max(Some(at));
        if !lost {
            self.feed(Owned::Advertisement { instance, at, source, message });
        }
        Some(())
    }

    fn show(&mut self, name: &str) -> Option<()> {
        let id = self.instance(name)?;
        let engine = self.engine.as_ref()?;
        let instance = engine.instance(id)?;
        let (state, priority) = (instance.state(), instance.priority());
        let mut text = format!("{name} is {state}, priority {priority}");
        match engine.deadline(id) {
            Some(deadline) => text += &format!(", due {}", millis(deadline)),
            None => text += ", no timer",
        }
        if let Some((source, priority)) = instance.master() {
            text += &format!(", master {source} priority {priority}");
        }
        self.write(&text);
        Some(())
    }

    /// Lets time run: deadlines fire when due, or too late, or after a sleep.
    fn run_until(&mut self, end: Instant) {
        if self.sleep.as_ref().is_some_and(|sleep| sleep.until <= end) {
            let mut sleep = self.sleep.take().expect("asleep");
            self.now = sleep.until;
            if !sleep.reading_first {
                self.fire_due();
            }
            while let Some(input) = sleep.inputs.pop_front() {
                self.handle(&input);
                if !sleep.reading_first {
                    self.fire_due();
                }
            }
            self.fire_due();
        }
        if self.sleep.is_none() {
            while let Some(deadline) = self.engine().next_deadline()
                && deadline.at + self.late <= end
            {
                self.now = self.now.max(deadline.at + self.late);
                self.fire();
            }
        }
        self.now = end;
    }

    fn fire_due(&mut self) {
        let mut fired = 0;
        while let Some(deadline) = self.engine().next_deadline()
            && deadline.at <= self.now
        {
            fired += 1;
            assert!(fired < 1_000, "the same deadlines again and again at {}", millis(self.now));
            self.fire();
        }
    }

    fn fire(&mut self) {
        let takeover = self.engine().next_deadline().and_then(|deadline| deadline.takeover);
        let slot = takeover.and_then(|instance| usize::try_from(instance.0).ok());
        let heard = slot.and_then(|slot| self.stamps[slot]);
        self.handle(&Owned::Plain(Input::Deadline { heard }));
    }

    fn feed(&mut self, input: Owned) {
        match &mut self.sleep {
            Some(sleep) => sleep.inputs.push_back(input),
            None => self.handle(&input),
        }
    }

    fn handle(&mut self, input: &Owned) {
        let input = match input {
            Owned::Plain(input) => *input,
            &Owned::Advertisement { instance, at, source, ref message } => {
                Input::Advertisement(Received { instance, at, source, message })
            }
        };
        let mut actions = std::mem::take(&mut self.actions);
        self.engine.as_mut().expect("configured").handle(self.now, input, &mut actions);
        for action in actions.as_slice() {
            let text = self.describe(action);
            self.write(&text);
        }
        actions.clear();
        self.actions = actions;
    }

    fn write(&mut self, text: &str) {
        self.text += &format!("{} -> {text}\n", millis(self.now));
    }

    fn describe(&self, action: &Action) -> String {
        match *action {
            Action::Advertise { instance, priority } => {
                format!("advertise {} {priority}", self.name(instance))
            }
            Action::Addresses { instance, present } => {
                let wanted = if present { "present" } else { "absent" };
                format!("addresses {} {wanted}", self.name(instance))
            }
            Action::Announce { instance, repeat } => {
                format!("announce {} x{repeat}", self.name(instance))
            }
            Action::Transition(change) => {
                let (name, cause) = (self.name(change.instance), self.cause(change.cause));
                format!("{name} {} -> {} ({cause})", change.from, change.to)
            }
            Action::Notify(notify) => {
                let subject = match notify.subject {
                    Subject::Instance(instance) => format!("INSTANCE {}", self.name(instance)),
                    Subject::Group(group) => {
                        format!("GROUP {}", self.groups[usize::try_from(group.0).expect("small")])
                    }
                };
                format!("notify {subject} {} {}", notify.event, notify.priority)
            }
            Action::Priority { instance, from, to } => {
                format!("priority {} {from} -> {to}", self.name(instance))
            }
            Action::Rejected { instance, source, reason } => {
                format!("rejected {} from {source}: {reason}", self.name(instance))
            }
            Action::Noticed { instance, source, notice } => {
                format!("noticed {}: {source} {notice}", self.name(instance))
            }
            Action::Restoring { instance, times, wait } => {
                let (name, wait) = (self.name(instance), millis(Instant::default() + wait));
                format!("restoring {name}, {times} in a row, after {wait}")
            }
            Action::Late { instance, by } => {
                let by = millis(Instant::default() + by);
                format!("late {} by {by}, listens", self.name(instance))
            }
        }
    }

    fn cause(&self, cause: Cause) -> String {
        match cause {
            Cause::Ready => "ready".to_owned(),
            Cause::MasterDown { heard, deadline } => {
                let heard = heard.map_or_else(|| "nobody".to_owned(), millis);
                format!("heard {heard}, down at {}", millis(deadline))
            }
            Cause::MasterStopped => "the Master stopped".to_owned(),
            Cause::Preempt => "preempts".to_owned(),
            Cause::BetterMaster { source, priority } => {
                format!("better Master {source} priority {priority}")
            }
            Cause::Late { source } => format!("was late, {source} is Master"),
            Cause::TrackerDown(tracker) => {
                format!("{} is down", self.trackers[usize::try_from(tracker.0).expect("small")])
            }
            Cause::NoSource => "no source address".to_owned(),
            Cause::AddressesFailed => "addresses cannot be set".to_owned(),
            Cause::AddressesRemoved => "addresses were removed again and again".to_owned(),
            Cause::Group(instance) => format!("with {}", self.name(instance)),
            Cause::Shutdown => "shutdown".to_owned(),
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("configured")
    }

    fn instance(&self, name: &str) -> Option<InstanceId> {
        let place = self.instances.iter().position(|instance| instance == name)?;
        Some(InstanceId(u32::try_from(place).ok()?))
    }

    fn name(&self, instance: InstanceId) -> &str {
        &self.instances[usize::try_from(instance.0).expect("small")]
    }
}

/// The one virtual address.
fn listed(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 51, 100, 13).into(),
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x13).into(),
    }
}

/// The place of a name, appended if it is new.
fn place(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

fn interval(text: &str) -> Option<AdvertInterval> {
    let centis = nanos(text)? / 10_000_000;
    match u8::try_from(centis / 100) {
        // VRRPv2 has up to 255 s, VRRPv3 up to 40.95 s.
        Ok(secs) if centis % 100 == 0 => AdvertInterval::from_secs(secs),
        _ => AdvertInterval::from_centis(u16::try_from(centis).ok()?),
    }
}

fn duration(text: &str) -> Option<Duration> {
    nanos(text).map(Duration::from_nanos)
}

/// `1s`, `609.375ms`, `78125ns`, exactly.
fn nanos(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let digits = match unit {
        "s" => 9,
        "ms" => 6,
        "us" => 3,
        "ns" => 0,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part = format!("{part:0<digits$}");
    if part.len() > digits {
        return None;
    }
    format!("{whole}{part}").parse().ok()
}

/// Milliseconds, to the nanosecond.
fn millis(at: Instant) -> String {
    let nanos = at.as_nanos();
    let text = format!("{}.{:06}", nanos / 1_000_000, nanos % 1_000_000);
    format!("{}ms", text.trim_end_matches('0').trim_end_matches('.'))
}
