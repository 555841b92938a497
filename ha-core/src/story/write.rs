//! From the engine's own types to a story's text. What is taken apart here is taken apart whole, so
//! that a new field cannot be forgotten.

use core::{fmt, net::IpAddr, time::Duration};

use crate::{
    Action, AdvertInterval, AnnouncePlan, Cause, Config, Family, GroupConfig, GroupId, Input,
    InstanceConfig, InstanceId, Instant, Notify, Received, Reload, Subject, Track, TrackerId,
    Transition, Verdict, Version,
    story::{
        Names,
        value::{blank_password, hex, millis, order_word},
    },
};

/// An [`Input`] that is kept, without passwords.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeptInput {
    /// [`Input::Advertisement`].
    Advertisement {
        /// Whose.
        instance: InstanceId,
        /// When the frame reached the host.
        at: Instant,
        /// Sender.
        source: IpAddr,
        /// The VRRP message.
        message: Vec<u8>,
    },
    /// Every other input: it borrows nothing.
    Other(Input<'static>),
}

impl From<Input<'_>> for KeptInput {
    fn from(input: Input<'_>) -> Self {
        Self::Other(match input {
            Input::Advertisement(Received { instance, at, source, message }) => {
                let mut message = message.to_vec();
                blank_password(&mut message);
                return Self::Advertisement { instance, at, source, message };
            }
            Input::Start => Input::Start,
            Input::Heard { instance, at, count } => Input::Heard { instance, at, count },
            Input::Deadline { heard } => Input::Deadline { heard },
            Input::Tracker { tracker, verdict } => Input::Tracker { tracker, verdict },
            Input::Source { instance, address } => Input::Source { instance, address },
            Input::AddressesUsable { instance, usable } => {
                Input::AddressesUsable { instance, usable }
            }
            Input::AddressesMissing { instance } => Input::AddressesMissing { instance },
            Input::Order { instance, order } => Input::Order { instance, order },
            Input::Shutdown => Input::Shutdown,
        })
    }
}

impl KeptInput {
    /// The input.
    #[must_use]
    pub fn as_input(&self) -> Input<'_> {
        match self {
            &Self::Advertisement { instance, at, source, ref message } => {
                Input::Advertisement(Received { instance, at, source, message })
            }
            Self::Other(input) => *input,
        }
    }
}

/// Writes a story, a line at a time, with times since `origin`.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    names: Names,
    origin: Instant,
}

impl Writer {
    /// Nothing of the story may be before `origin`.
    #[must_use]
    pub fn new(names: Names, origin: Instant) -> Self {
        Self { names, origin }
    }

    /// The same story, by the names of what it goes on with.
    #[must_use]
    pub fn renamed(self, names: Names) -> Self {
        Self { names, ..self }
    }

    /// What the engine runs, as lines.
    #[must_use]
    pub fn config(&self, config: &Config) -> impl fmt::Display {
        fmt::from_fn(move |out| {
            let Config { instances, groups, trackers, startup_delay } = config;
            if !startup_delay.is_zero() {
                writeln!(out, "startup_delay {}", millis(*startup_delay))?;
            }
            for tracker in (0..*trackers).map(TrackerId) {
                writeln!(out, "tracker {}", self.names.tracker(tracker))?;
            }
            for (id, instance) in (0..).map(InstanceId).zip(instances) {
                write!(out, "instance {}", self.names.instance(id))?;
                self.instance(instance, out)?;
                writeln!(out)?;
            }
            for (id, GroupConfig { members }) in (0..).map(GroupId).zip(groups) {
                write!(out, "group {}", self.names.group(id))?;
                for member in members {
                    write!(out, " {}", self.names.instance(*member))?;
                }
                writeln!(out)?;
            }
            Ok(())
        })
    }

    /// What a running engine goes on with, as lines. The names are those from then on.
    #[must_use]
    pub fn next(&self, reload: &Reload) -> impl fmt::Display {
        fmt::from_fn(move |out| {
            let Reload { config, retired, restart, readdressed, new_trackers, known } = reload;
            write!(out, "next\n{}", self.config(config))?;
            for (word, ids) in
                [("retired", retired), ("restart", restart), ("readdressed", readdressed)]
            {
                list(out, word, ids.iter().map(|id| self.names.instance(*id)))?;
            }
            list(out, "new_trackers", new_trackers.iter().map(|id| self.names.tracker(*id)))?;
            for (id, known) in known {
                writeln!(out, "known {} {}", self.names.tracker(*id), verdict(*known))?;
            }
            Ok(())
        })
    }

    /// All words of an instance after its name, each with a space before it.
    fn instance(&self, config: &InstanceConfig, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = InstanceConfig::new(config.vrid);
        let InstanceConfig {
            vrid,
            version,
            family,
            priority,
            interval,
            addresses,
            preempt,
            preempt_delay,
            owner_ignore_adverts,
            skip_check_adv_addr,
            down_adverts,
            lower_prio_no_advert,
            higher_prio_send_advert,
            announce,
            tracks,
        } = config;
        write!(out, " vrid={vrid}")?;
        match version {
            Version::V2 => write!(out, " version=2")?,
            Version::V3 => {}
        }
        match family {
            Family::V4 => {}
            Family::V6 => write!(out, " ipv6")?,
        }
        word(out, "priority", priority, priority != &usual.priority)?;
        let times = millis(AdvertInterval::as_duration(*interval));
        word(out, "interval", &times, interval != &usual.interval)?;
        let listed: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        word(out, "addresses", &listed.join(","), true)?;
        flag(out, "nopreempt", !preempt)?;
        time(out, "preempt_delay", *preempt_delay, usual.preempt_delay)?;
        flag(out, "owner_ignore_adverts", *owner_ignore_adverts)?;
        flag(out, "skip_check_adv_addr", *skip_check_adv_addr)?;
        word(out, "down_adverts", down_adverts, down_adverts != &usual.down_adverts)?;
        flag(out, "lower_prio_no_advert", *lower_prio_no_advert)?;
        flag(out, "higher_prio_send_advert", *higher_prio_send_advert)?;
        announce_plan(out, announce, &usual.announce)?;
        for &Track { tracker, weight, reverse } in tracks {
            write!(out, " track={}", self.names.tracker(tracker))?;
            match (weight, reverse) {
                (0, false) => {}
                (_, false) => write!(out, ":{weight}")?,
                (_, true) => write!(out, ":{weight}:reverse")?,
            }
        }
        Ok(())
    }

    /// A step: what happened at `now`.
    #[must_use]
    pub fn input(&self, now: Instant, input: &Input<'_>) -> impl fmt::Display {
        let names = &self.names;
        fmt::from_fn(move |out| {
            write!(out, "{} ", self.millis(now))?;
            match *input {
                Input::Start => write!(out, "start"),
                Input::Advertisement(Received { instance, at, source, message }) => {
                    let (name, stamp, bytes) =
                        (names.instance(instance), self.millis(at), hex(message));
                    write!(out, "frame {name} from {source} stamp={stamp} hex={bytes}")
                }
                Input::Heard { instance, at, count } => {
                    let (name, stamp) = (names.instance(instance), self.millis(at));
                    write!(out, "heard {name} x{count} stamp={stamp}")
                }
                Input::Deadline { heard: Some(heard) } => {
                    write!(out, "due heard={}", self.millis(heard))
                }
                Input::Deadline { heard: None } => write!(out, "due"),
                Input::Tracker { tracker, verdict } => {
                    write!(out, "track {} {}", names.tracker(tracker), self::verdict(verdict))
                }
                Input::Source { instance, address: Some(address) } => {
                    write!(out, "source {} {address}", names.instance(instance))
                }
                Input::Source { instance, address: None } => {
                    write!(out, "source {} none", names.instance(instance))
                }
                Input::AddressesUsable { instance, usable } => {
                    let word = if usable { "usable" } else { "unusable" };
                    write!(out, "addresses {} {word}", names.instance(instance))
                }
                Input::AddressesMissing { instance } => {
                    write!(out, "addresses {} missing", names.instance(instance))
                }
                Input::Order { instance, order } => {
                    write!(out, "order {} {}", names.instance(instance), order_word(order))
                }
                Input::Shutdown => write!(out, "shutdown"),
            }
        })
    }

    /// A step: [`crate::Engine::stop_for`] what is next.
    #[must_use]
    pub fn stop_for(&self, now: Instant) -> impl fmt::Display {
        fmt::from_fn(move |out| write!(out, "{} stop_for", self.millis(now)))
    }

    /// A step: [`crate::Engine::reload`] with what is next.
    #[must_use]
    pub fn reload(&self, now: Instant) -> impl fmt::Display {
        fmt::from_fn(move |out| write!(out, "{} reload", self.millis(now)))
    }

    /// A step that says how many inputs are missing.
    #[must_use]
    pub fn lost(&self, now: Instant, count: u64) -> impl fmt::Display {
        fmt::from_fn(move |out| write!(out, "{} lost {count}", self.millis(now)))
    }

    /// What was decided at `now`.
    #[must_use]
    pub fn action(&self, now: Instant, action: &Action) -> impl fmt::Display {
        fmt::from_fn(move |out| {
            write!(out, "{} -> ", self.millis(now))?;
            self.describe(action, out)
        })
    }

    fn describe(&self, action: &Action, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = &self.names;
        match *action {
            Action::Advertise { instance, priority } => {
                write!(out, "advertise {} {priority}", names.instance(instance))
            }
            Action::Addresses { instance, present } => {
                let wanted = if present { "present" } else { "absent" };
                write!(out, "addresses {} {wanted}", names.instance(instance))
            }
            Action::Announce { instance, repeat } => {
                write!(out, "announce {} x{repeat}", names.instance(instance))
            }
            Action::Transition(Transition { instance, from, to, cause }) => {
                write!(out, "{} {from} -> {to} (", names.instance(instance))?;
                self.cause(cause, out)?;
                write!(out, ")")
            }
            Action::Notify(Notify { subject, event, priority }) => {
                match subject {
                    Subject::Instance(instance) => {
                        write!(out, "notify INSTANCE {}", names.instance(instance))?;
                    }
                    Subject::Group(group) => write!(out, "notify GROUP {}", names.group(group))?,
                }
                write!(out, " {event} {priority}")
            }
            Action::Priority { instance, from, to } => {
                write!(out, "priority {} {from} -> {to}", names.instance(instance))
            }
            Action::Rejected { instance, source, reason } => {
                write!(out, "rejected {} from {source}: {reason}", names.instance(instance))
            }
            Action::Noticed { instance, source, notice } => {
                write!(out, "noticed {}: {source} {notice}", names.instance(instance))
            }
            Action::Restoring { instance, times, wait } => {
                let (name, wait) = (names.instance(instance), millis(wait));
                write!(out, "restoring {name}, {times} in a row, after {wait}")
            }
            Action::Late { instance, by } => {
                write!(out, "late {} by {}, listens", names.instance(instance), millis(by))
            }
        }
    }

    fn cause(&self, cause: Cause, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match cause {
            Cause::Ready => write!(out, "ready"),
            Cause::MasterDown { heard, deadline } => {
                let heard = heard.map_or_else(|| "nobody".to_owned(), |heard| self.millis(heard));
                write!(out, "heard {heard}, down at {}", self.millis(deadline))
            }
            Cause::MasterStopped => write!(out, "the Master stopped"),
            Cause::Preempt => write!(out, "preempts"),
            Cause::BetterMaster { source, priority } => {
                write!(out, "better Master {source} priority {priority}")
            }
            Cause::Late { source } => write!(out, "was late, {source} is Master"),
            Cause::TrackerDown(tracker) => write!(out, "{} is down", self.names.tracker(tracker)),
            Cause::NoSource => write!(out, "no source address"),
            Cause::AddressesFailed => write!(out, "addresses cannot be set"),
            Cause::AddressesRemoved => write!(out, "addresses were removed again and again"),
            Cause::Demoted => write!(out, "demoted"),
            Cause::Promoted => write!(out, "promoted"),
            Cause::Group(instance) => write!(out, "with {}", self.names.instance(instance)),
            Cause::Shutdown => write!(out, "shutdown"),
            Cause::Reload => write!(out, "another configuration"),
        }
    }

    fn millis(&self, at: Instant) -> String {
        millis(at.since(self.origin))
    }
}

fn verdict(verdict: Verdict) -> impl fmt::Display {
    fmt::from_fn(move |out| match verdict {
        Verdict::Up => write!(out, "up"),
        Verdict::Down => write!(out, "down"),
        Verdict::Value(value) => write!(out, "{value}"),
    })
}

/// A line, unless there is nothing to list.
fn list(
    out: &mut fmt::Formatter<'_>,
    word: &str,
    names: impl ExactSizeIterator<Item = impl fmt::Display>,
) -> fmt::Result {
    if names.len() == 0 {
        return Ok(());
    }
    write!(out, "{word}")?;
    for name in names {
        write!(out, " {name}")?;
    }
    writeln!(out)
}

fn announce_plan(
    out: &mut fmt::Formatter<'_>,
    plan: &AnnouncePlan,
    usual: &AnnouncePlan,
) -> fmt::Result {
    let AnnouncePlan {
        repeat,
        delay,
        lower_prio_repeat,
        lower_prio_delay,
        refresh,
        refresh_repeat,
    } = plan;
    word(out, "announce", repeat, repeat != &usual.repeat)?;
    time(out, "delay", *delay, usual.delay)?;
    let is_usual = lower_prio_repeat == &usual.lower_prio_repeat;
    word(out, "lower_prio_repeat", lower_prio_repeat, !is_usual)?;
    time(out, "lower_prio_delay", *lower_prio_delay, usual.lower_prio_delay)?;
    time(out, "refresh", *refresh, usual.refresh)?;
    word(out, "refresh_repeat", refresh_repeat, refresh_repeat != &usual.refresh_repeat)
}

fn word(
    out: &mut fmt::Formatter<'_>,
    key: &str,
    value: &impl fmt::Display,
    is_written: bool,
) -> fmt::Result {
    if is_written { write!(out, " {key}={value}") } else { Ok(()) }
}

fn time(out: &mut fmt::Formatter<'_>, key: &str, value: Duration, usual: Duration) -> fmt::Result {
    word(out, key, &millis(value), value != usual)
}

fn flag(out: &mut fmt::Formatter<'_>, key: &str, is_set: bool) -> fmt::Result {
    if is_set { write!(out, " {key}") } else { Ok(()) }
}
