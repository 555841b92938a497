//! From a story's text to the engine's own types.

use core::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ha_common::proto;

use crate::{
    Config, GroupConfig, Input, InstanceConfig, InstanceId, Instant, Reload, Track, TrackerId,
    Verdict,
    story::{
        KeptInput, Names,
        value::{
            USUAL_VRID, bytes, duration, instant, interval, list, order, parse, stamp,
            usual_address, version, vrid, wrong,
        },
        word,
    },
    wire::{Authentication, ChecksumScope, Template},
};

/// What an engine of the story runs, as far as it is read.
#[derive(Debug, Default)]
pub(super) struct Setting {
    pub(super) names: Names,
    pub(super) config: Config,
    /// Deadlines are steps.
    pub(super) is_recorded: bool,
    /// `Some`: what a running engine goes on with, but for its configuration.
    next: Option<Reload>,
}

/// What happens.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The engine is given this.
    Input(KeptInput),
    /// The kernel stamps a frame, and the engine is given it.
    Arrival(KeptInput),
    /// The kernel stamps a frame that nobody will read.
    Stamp(InstanceId, Instant),
    Late(Duration),
    Sleep {
        time: Duration,
        reading_first: bool,
    },
    StopFor,
    Reload,
    Show(InstanceId),
    Lost(u64),
    End,
}

impl Setting {
    /// What the engine goes on with, before any of it is read.
    pub(super) fn next(&self) -> Self {
        let is_recorded = self.is_recorded;
        Self { is_recorded, next: Some(Reload::default()), ..Self::default() }
    }

    /// What the engine has to be told to go on with this.
    pub(super) fn reload(&self) -> Reload {
        Reload { config: self.config.clone(), ..self.next.clone().unwrap_or_default() }
    }

    /// Takes a line of what is run; `false` if it is none.
    pub(super) fn read(&mut self, words: &[&str]) -> Result<bool, String> {
        match words {
            ["recorded"] if self.next.is_none() => self.is_recorded = true,
            ["startup_delay", delay] => self.config.startup_delay = duration(delay)?,
            ["tracker", name] => {
                self.names.trackers.place(name);
            }
            ["instance", name, words @ ..] => self.read_instance(name, words)?,
            ["group", name, members @ ..] => {
                let members: Result<Vec<_>, _> =
                    members.iter().map(|name| self.instance(name)).collect();
                self.add_members(name, &members?);
            }
            ["known", name, word] if self.next.is_some() => {
                let known = (self.tracker(name)?, verdict(word)?);
                self.next.get_or_insert_default().known.push(known);
            }
            [word, names @ ..] => return self.read_reload(word, names),
            [] => return Ok(false),
        }
        self.config.trackers = self.names.trackers.count();
        Ok(true)
    }

    /// Who does not simply go on; `false` if the line is something else.
    fn read_reload(&mut self, word: &str, names: &[&str]) -> Result<bool, String> {
        let instances: Result<Vec<_>, _> = names.iter().map(|name| self.instance(name)).collect();
        let trackers: Result<Vec<_>, _> = names.iter().map(|name| self.tracker(name)).collect();
        let Some(next) = &mut self.next else { return Ok(false) };
        match word {
            "retired" => next.retired = instances?,
            "restart" => next.restart = instances?,
            "readdressed" => next.readdressed = instances?,
            "new_trackers" => next.new_trackers = trackers?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn read_instance(&mut self, name: &str, words: &[&str]) -> Result<(), String> {
        let id = self.names.instances.count();
        if self.names.instances.place(name) != id {
            return Err(wrong("a new instance's name", name));
        }
        let mut config = InstanceConfig::new(vrid(&USUAL_VRID.to_string())?);
        let mut addresses = None;
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "addresses" => addresses = Some(list(value)?),
                "group" => self.add_members(value, &[InstanceId(id)]),
                "track" => config.tracks.push(self.read_track(value)?),
                _ => word::read(&mut config, key, value)?,
            }
        }
        config.addresses = addresses.unwrap_or_else(|| vec![usual_address(config.family)]);
        self.config.instances.push(config);
        Ok(())
    }

    /// `NAME`, `NAME:WEIGHT`, `NAME:WEIGHT:reverse`.
    fn read_track(&mut self, value: &str) -> Result<Track, String> {
        let parts: Vec<&str> = value.split(':').collect();
        let (name, weight, reverse) = match *parts.as_slice() {
            [name] => (name, 0, false),
            [name, weight] => (name, parse("a weight", weight)?, false),
            [name, weight, "reverse"] => (name, parse("a weight", weight)?, true),
            _ => return Err(wrong("track=NAME[:WEIGHT[:reverse]]", value)),
        };
        let known = self.names.trackers.find(name);
        let tracker = known.unwrap_or_else(|| self.names.trackers.place(name));
        Ok(Track { tracker: TrackerId(tracker), weight, reverse })
    }

    fn add_members(&mut self, group: &str, members: &[InstanceId]) {
        let place = self.names.groups.place(group);
        let groups = &mut self.config.groups;
        let count = usize::try_from(self.names.groups.count()).unwrap_or(usize::MAX);
        groups.resize_with(count, || GroupConfig { members: Vec::new() });
        if let Some(group) = usize::try_from(place).ok().and_then(|place| groups.get_mut(place)) {
            group.members.extend(members);
        }
    }

    /// What happens at `now`.
    pub(super) fn read_step(&self, now: Instant, words: &[&str]) -> Result<Step, String> {
        let input = |input| Ok(Step::Input(KeptInput::Other(input)));
        match *words {
            ["start"] => input(Input::Start),
            ["shutdown"] => input(Input::Shutdown),
            ["end"] => Ok(Step::End),
            ["source", name, address] => {
                let instance = self.instance(name)?;
                let address = match address {
                    "none" => None,
                    _ => Some(parse("an IP address or `none`", address)?),
                };
                input(Input::Source { instance, address })
            }
            ["addresses", name, word] => {
                let instance = self.instance(name)?;
                match word {
                    "usable" => input(Input::AddressesUsable { instance, usable: true }),
                    "unusable" => input(Input::AddressesUsable { instance, usable: false }),
                    "missing" => input(Input::AddressesMissing { instance }),
                    _ => Err(wrong("usable, unusable or missing", word)),
                }
            }
            ["order", name, word] => {
                input(Input::Order { instance: self.instance(name)?, order: order(word)? })
            }
            ["track", name, word] => {
                input(Input::Tracker { tracker: self.tracker(name)?, verdict: verdict(word)? })
            }
            ["frame", name, "from", source, at, hex] => {
                self.read_frame(name, source, at, hex).map(Step::Arrival)
            }
            ["heard", name, count, at] => {
                let count = count.strip_prefix('x').ok_or_else(|| wrong("xCOUNT", count))?;
                let (instance, count) = (self.instance(name)?, parse("a number", count)?);
                let input = Input::Heard { instance, at: stamp(at)?, count };
                Ok(Step::Arrival(KeptInput::Other(input)))
            }
            ["advert", name, "from", source, "priority", priority, ref rest @ ..] => {
                let (instance, source) = (self.instance(name)?, parse("an address", source)?);
                let priority = parse("a priority", priority)?;
                self.read_advert(now, &Claim { instance, source, priority }, rest)
            }
            ["stop_for"] => Ok(Step::StopFor),
            ["reload"] => Ok(Step::Reload),
            ["show", name] => Ok(Step::Show(self.instance(name)?)),
            _ if self.is_recorded => read_recorded_step(words),
            _ => read_played_step(words),
        }
    }

    fn read_frame(
        &self,
        name: &str,
        source: &str,
        at: &str,
        hex: &str,
    ) -> Result<KeptInput, String> {
        let hex = hex.strip_prefix("hex=").ok_or_else(|| wrong("hex=BYTES", hex))?;
        Ok(KeptInput::Advertisement {
            instance: self.instance(name)?,
            at: stamp(at)?,
            source: parse("an IP address", source)?,
            message: bytes(hex)?,
        })
    }

    fn read_advert(&self, now: Instant, claim: &Claim, words: &[&str]) -> Result<Step, String> {
        let Claim { instance, source, priority } = *claim;
        let config = usize::try_from(instance.0).ok().and_then(|id| self.config.instances.get(id));
        let config = config.ok_or("the instance is not in this story")?;
        let mut template = Template {
            version: config.version,
            vrid: config.vrid,
            interval: config.interval,
            addresses: vec![usual_address(config.family)],
            authentication: Authentication::None,
        };
        let (mut changes, mut cut, mut at) = (Vec::new(), 0, now);
        let (mut is_lost, mut scope) = (false, ChecksumScope::Message);
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "interval" => template.interval = interval(value)?,
                "vrid" => template.vrid = vrid(value)?,
                "version" => template.version = version(value)?,
                "list" => template.addresses = list(value)?,
                "byte" => {
                    let (at, to) =
                        value.split_once(':').ok_or_else(|| wrong("INDEX:VALUE", value))?;
                    changes.push((parse::<usize>("an index", at)?, parse("a byte", to)?));
                }
                "pseudo" => {
                    let destination = Ipv4Addr::from(proto::GROUP_V4).into();
                    scope = ChecksumScope::PseudoHeader { source, destination };
                }
                "cut" => cut = parse("a number of bytes", value)?,
                "stamp" => at = instant(value)?,
                "lost" => is_lost = true,
                _ => return Err(wrong("a word about an advertisement", word)),
            }
        }
        if is_lost {
            return Ok(Step::Stamp(instance, at));
        }
        // The engine does not judge checksums: the frame's walker has.
        let mut message = template.encode(priority, scope);
        for (index, to) in changes {
            *message.get_mut(index).ok_or("the message has no such byte")? = to;
        }
        message.truncate(message.len().saturating_sub(cut));
        Ok(Step::Arrival(KeptInput::Advertisement { instance, at, source, message }))
    }

    fn instance(&self, name: &str) -> Result<InstanceId, String> {
        let id = self.names.instances.find(name).map(InstanceId);
        id.ok_or_else(|| wrong("an instance of this story", name))
    }

    fn tracker(&self, name: &str) -> Result<TrackerId, String> {
        let id = self.names.trackers.find(name).map(TrackerId);
        id.ok_or_else(|| wrong("a tracker of this story", name))
    }
}

/// What is said first of an advertisement.
struct Claim {
    instance: InstanceId,
    source: IpAddr,
    priority: u8,
}

/// Steps of a recorded story alone.
fn read_recorded_step(words: &[&str]) -> Result<Step, String> {
    let due = |heard| Ok(Step::Input(KeptInput::Other(Input::Deadline { heard })));
    match *words {
        ["due"] => due(None),
        ["due", stamp] => {
            let heard = stamp.strip_prefix("heard=").ok_or_else(|| wrong("heard=TIME", stamp))?;
            due(Some(instant(heard)?))
        }
        ["lost", count] => Ok(Step::Lost(parse("a number", count)?)),
        _ => Err(wrong("a step of a recorded story", &words.join(" "))),
    }
}

/// Steps of a story in virtual time alone.
fn read_played_step(words: &[&str]) -> Result<Step, String> {
    match *words {
        ["late", by] => Ok(Step::Late(duration(by)?)),
        ["sleep", time] => Ok(Step::Sleep { time: duration(time)?, reading_first: false }),
        ["sleep", time, "reading-first"] => {
            Ok(Step::Sleep { time: duration(time)?, reading_first: true })
        }
        _ => Err(wrong("a step of a story that is not `recorded`", &words.join(" "))),
    }
}

fn verdict(word: &str) -> Result<Verdict, String> {
    match word {
        "up" => Ok(Verdict::Up),
        "down" => Ok(Verdict::Down),
        _ => parse("up, down or a number", word).map(Verdict::Value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdvertInterval, AnnouncePlan, Version, story::Writer};
    use crate::{Family, story::value::priority};

    const ORIGIN: Instant = Instant::from_nanos(86_400_000_000_001);

    fn read(text: &str) -> Setting {
        let mut setting = Setting::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(setting.read(&words), Ok(true), "{line}");
        }
        setting
    }

    /// Nothing in it is the default.
    fn unusual() -> InstanceConfig {
        InstanceConfig {
            vrid: vrid("7").unwrap(),
            version: Version::V2,
            family: Family::V6,
            priority: priority("254").unwrap(),
            interval: AdvertInterval::from_secs(255).unwrap(),
            addresses: list("fe80::1,2001:db8::1").unwrap(),
            preempt: false,
            preempt_delay: Duration::from_nanos(1),
            owner_ignore_adverts: true,
            skip_check_adv_addr: true,
            down_adverts: 4,
            lower_prio_no_advert: true,
            higher_prio_send_advert: true,
            announce: AnnouncePlan {
                repeat: 1,
                delay: Duration::ZERO,
                lower_prio_repeat: 2,
                lower_prio_delay: Duration::from_millis(1),
                refresh: Duration::from_secs(1_000_000),
                refresh_repeat: 3,
            },
            tracks: [(2, 0, false), (0, -253, false), (1, 253, true), (9, 0, true)]
                .map(|(tracker, weight, reverse)| Track {
                    tracker: TrackerId(tracker),
                    weight,
                    reverse,
                })
                .to_vec(),
        }
    }

    fn config() -> Config {
        let usual = InstanceConfig::new(vrid("255").unwrap());
        let interval = AdvertInterval::from_centis(4095).unwrap();
        let members = |numbers: &[u32]| GroupConfig {
            members: numbers.iter().copied().map(InstanceId).collect(),
        };
        Config {
            instances: vec![unusual(), usual.clone(), InstanceConfig { interval, ..usual }],
            groups: vec![members(&[]), members(&[2, 0]), members(&[1, 8])],
            trackers: 3,
            startup_delay: Duration::from_millis(1),
        }
    }

    fn names() -> Names {
        let instances = ["VI 1", "VI 1", "VI_2"].map(Some);
        Names::new(instances, ["#1", "", "VG"].map(Some), ["eth0", "a:b"].map(Some))
    }

    #[test]
    fn what_is_next_is_the_same_when_it_is_written_and_read_again() {
        let ids = |numbers: &[u32]| numbers.iter().copied().map(InstanceId).collect();
        let whole = Reload {
            config: config(),
            retired: ids(&[1]),
            restart: ids(&[2, 0]),
            readdressed: ids(&[0, 7]),
            new_trackers: [2, 0, 9].map(TrackerId).to_vec(),
            known: vec![(TrackerId(2), Verdict::Value(-3)), (TrackerId(9), Verdict::Down)],
        };
        for reload in [whole.clone(), Reload { retired: Vec::new(), ..whole }, Reload::default()] {
            for names in [names(), Names::default(), Names::new([Some("a"), None], [], [None])] {
                let written = Writer::new(names, ORIGIN).next(&reload).to_string();
                let lines = written.strip_prefix("next\n").unwrap();
                let mut setting = Setting::default().next();
                for line in lines.lines() {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    assert_eq!(setting.read(&words), Ok(true), "{line}");
                }
                assert_eq!(setting.reload(), reload, "{written}");
            }
        }
    }

    #[test]
    fn a_config_is_the_same_when_it_is_written_and_read_again() {
        for names in [names(), Names::default()] {
            let written = Writer::new(names, ORIGIN).config(&config()).to_string();
            assert_eq!(read(&written).config, config(), "{written}");
        }
        let written = Writer::default().config(&Config::default()).to_string();
        assert_eq!(written, "");
    }

    #[test]
    fn defaults_are_not_written() {
        let instance = InstanceConfig::new(vrid("1").unwrap());
        let config = Config { instances: vec![instance], ..Config::default() };
        let written = Writer::default().config(&config).to_string();
        assert_eq!(written, "instance #0 vrid=1 addresses=\n");
    }

    #[test]
    fn inputs_are_the_same_when_they_are_written_and_read_again() {
        let setting = read("recorded\ntracker a\ninstance VI_1\ninstance VI_2 ipv6\n");
        let writer = Writer::new(setting.names.clone(), ORIGIN);
        let (instance, tracker) = (InstanceId(1), TrackerId(0));
        let after = |nanos| ORIGIN + Duration::from_nanos(nanos);
        let message = &[0x31, 7, 0, 1, 0, 100, 0xff, 0, 192, 0, 2, 1][..];
        let source = "fe80::2".parse().unwrap();
        let received = |instance, message| {
            Input::Advertisement(crate::Received { instance, at: after(3), source, message })
        };
        let inputs = [
            Input::Start,
            received(instance, message),
            received(InstanceId(7), &[]),
            Input::Heard { instance, at: after(7), count: u32::MAX },
            Input::Deadline { heard: None },
            Input::Deadline { heard: Some(after(65_535)) },
            Input::Tracker { tracker, verdict: Verdict::Up },
            Input::Tracker { tracker: TrackerId(5), verdict: Verdict::Down },
            Input::Tracker { tracker, verdict: Verdict::Value(-3) },
            Input::Source { instance, address: None },
            Input::Source { instance, address: Some("192.0.2.1".parse().unwrap()) },
            Input::AddressesUsable { instance, usable: true },
            Input::AddressesUsable { instance, usable: false },
            Input::AddressesMissing { instance },
            Input::Order { instance, order: crate::Order::Demote },
            Input::Order { instance, order: crate::Order::Promote },
            Input::Order { instance, order: crate::Order::Announce },
            Input::Order { instance, order: crate::Order::Reset },
            Input::Shutdown,
        ];
        for input in inputs {
            let written = writer.input(after(5_000_000), &input).to_string();
            let words: Vec<&str> = written.split_whitespace().collect();
            assert_eq!(words[0], "5ms");
            let step = setting.read_step(Instant::from_nanos(5_000_000), &words[1..]);
            let Ok(Step::Input(kept) | Step::Arrival(kept)) = step else {
                panic!("{written}: {step:?}")
            };
            let again = Writer::new(setting.names.clone(), Instant::default());
            let again = again.input(Instant::from_nanos(5_000_000), &kept.as_input()).to_string();
            assert_eq!(again, written);
            // Times are since the origin; everything else is the same.
            if let Input::Advertisement(received) = input {
                let at = Instant::from_nanos(3);
                let expected = Input::Advertisement(crate::Received { at, ..received });
                assert_eq!(kept, KeptInput::from(expected));
            } else if let Input::Heard { instance, at, count } = input {
                let at = Instant::default() + at.since(ORIGIN);
                assert_eq!(kept.as_input(), Input::Heard { instance, at, count });
            } else if let Input::Deadline { heard } = input {
                let heard = heard.map(|heard| Instant::default() + heard.since(ORIGIN));
                assert_eq!(kept.as_input(), Input::Deadline { heard });
            } else {
                assert_eq!(kept.as_input(), input);
            }
        }
    }
}
