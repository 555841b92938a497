//! What happened in a run: every word of it to compare, and the short of it to read.

use std::{fmt, time::Duration};

use ha_core::{Action, Cause, Config, Family, InstanceConfig, Instant, Transition};

use crate::plan::{File, Plan, RouterPlan};

/// A run's log, line by line; empty if nobody wants to read it.
#[derive(Debug, Default)]
pub(crate) struct Story {
    is_told: bool,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    at: Instant,
    rank: Rank,
    text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:>16} {}", self.at.as_nanos(), self.text)
    }
}

/// What a line means to a reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rank {
    /// It is what the story is about.
    News,
    /// An advertisement as there are so many: they are counted.
    Usual,
    /// It follows from the rest.
    Detail,
}

impl Story {
    pub(crate) fn new(is_told: bool) -> Self {
        Self { is_told, lines: Vec::new() }
    }

    pub(crate) fn note(&mut self, at: Instant, rank: Rank, text: impl FnOnce() -> String) {
        if self.is_told {
            let text = text();
            self.lines.push(Line { at, rank, text });
        }
    }

    /// Everything, to the nanosecond.
    pub(crate) fn log(&self) -> String {
        self.lines.iter().map(Line::to_string).collect()
    }

    /// What routers did up to a moment, to the nanosecond.
    pub(crate) fn decisions(&self, end: Instant) -> Vec<String> {
        let until = self.lines.iter().filter(|line| line.at <= end);
        let decisions = until.filter(|line| line.rank != Rank::Detail);
        decisions.map(Line::to_string).collect()
    }
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut usual = 0;
        for line in self.lines.iter().filter(|line| line.rank != Rank::Detail) {
            if line.rank == Rank::Usual {
                usual += 1;
                continue;
            }
            match std::mem::take(&mut usual) {
                0 => {}
                1 => writeln!(formatter, "{:>16} 1 advertisement", "…")?,
                count => writeln!(formatter, "{:>16} {count} advertisements", "…")?,
            }
            writeln!(formatter, "{} {}", Seconds(line.at), line.text)?;
        }
        Ok(())
    }
}

/// What an action means to a reader.
pub(crate) fn describe(router: usize, config: &Config, action: &Action) -> String {
    let who = letter(router);
    let name = |instance: ha_core::InstanceId| {
        let instance = crate::router::index(instance);
        config.instances.get(instance).map_or_else(String::new, |config| name(instance, config))
    };
    match *action {
        Action::Advertise { instance, priority: 0 } => {
            format!("{who} {} says stop", name(instance))
        }
        Action::Advertise { instance, priority } => {
            format!("{who} {} advertises {priority}", name(instance))
        }
        Action::Addresses { instance, present } => {
            let verb = if present { "sets" } else { "removes" };
            format!("{who} {} {verb} addresses", name(instance))
        }
        Action::Announce { instance, .. } => format!("{who} {} announces", name(instance)),
        Action::Transition(Transition { instance, from, to, cause }) => {
            format!("{who} {} {from} -> {to}: {}", name(instance), reason(cause))
        }
        Action::Priority { instance, from, to } => {
            format!("{who} {} priority {from} -> {to}", name(instance))
        }
        Action::Late { instance, by } => {
            format!("{who} {} is late by {by:?} and listens", name(instance))
        }
        ref other => format!("{who} {other:?}"),
    }
}

fn reason(cause: Cause) -> String {
    match cause {
        Cause::MasterDown { heard: Some(heard), deadline } => {
            format!("silence for {:?}", deadline.since(heard))
        }
        Cause::MasterDown { heard: None, .. } => "silence".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A router's name.
pub(crate) fn letter(router: usize) -> char {
    char::from(b'A' + u8::try_from(router).expect("a few routers"))
}

/// An instance's name: its LAN and its virtual router.
pub(crate) fn name(instance: usize, config: &InstanceConfig) -> String {
    let family = match config.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    format!("{instance}:{family}/{}", config.vrid)
}

struct Seconds(Instant);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_nanos() / 1000;
        write!(formatter, "{:>5}.{:06} s", micros / 1_000_000, micros % 1_000_000)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "seed {}: {} routers", self.seed, self.routers.len())?;
        for group in &self.groups {
            let clash = if self.is_uneven { ", members of which win and lose apart" } else { "" };
            write!(formatter, ", sync group {group:?}{clash}")?;
        }
        writeln!(formatter)?;
        for (number, router) in self.routers.iter().enumerate() {
            let RouterPlan {
                files,
                restart,
                new_trackers,
                latency,
                reads_first,
                absorbs,
                clock,
                ..
            } = router;
            let order = if *reads_first { "reads first" } else { "timers first" };
            let absorbs = if *absorbs { ", absorbs" } else { "" };
            writeln!(
                formatter,
                "  {} clock {clock}, late by {latency:?}, {order}{absorbs}",
                letter(number)
            )?;
            for (file, when) in files.iter().zip(["at first", "reloaded"]) {
                writeln!(formatter, "    {when}: {}", Summary(file))?;
            }
            if !restart.is_empty() || !new_trackers.is_empty() {
                writeln!(formatter, "    a reload starts {restart:?} anew, and {new_trackers:?}")?;
            }
        }
        for (number, round) in self.rounds.iter().enumerate() {
            let faults = round.faults.len();
            let (calm, end) = (Seconds(round.calm), Seconds(round.end));
            writeln!(formatter, "  round {number}: {faults} faults, calm {calm}, over {end}")?;
        }
        Ok(())
    }
}

/// A configuration in one line.
struct Summary<'a>(&'a File);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let File { config, lacks_last } = self.0;
        let Some(first) = config.instances.first() else { return Ok(()) };
        match (first.preempt, first.preempt_delay) {
            (false, _) => write!(formatter, "nopreempt")?,
            (true, Duration::ZERO) => write!(formatter, "preempt")?,
            (true, delay) => write!(formatter, "preempt after {delay:?}")?,
        }
        if !config.startup_delay.is_zero() {
            write!(formatter, ", starts after {:?}", config.startup_delay)?;
        }
        for group in &config.groups {
            write!(formatter, ", sync group of {}", group.members.len())?;
        }
        if *lacks_last {
            write!(formatter, ", without the last one")?;
        }
        for (number, config) in config.instances.iter().enumerate() {
            let version = config.version.as_u8();
            let interval = config.interval.as_duration();
            write!(formatter, "; {} v{version} ", name(number, config))?;
            write!(formatter, "priority {} every {interval:?}", config.priority)?;
            for (is_set, word) in [
                (config.down_adverts == 2, "down_timer_adverts 2"),
                (config.down_adverts == 4, "down_timer_adverts 4"),
                (config.lower_prio_no_advert, "lower_prio_no_advert"),
                (config.higher_prio_send_advert, "higher_prio_send_advert"),
                (config.owner_ignore_adverts, "owner_ignore_adverts"),
            ] {
                if is_set {
                    write!(formatter, " {word}")?;
                }
            }
        }
        Ok(())
    }
}
