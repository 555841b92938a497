//! The events, in their order, and what must be seen of each.

mod service;

use core::time::Duration;
use std::{path::Path, process::Command};

use ha_tests::{
    clock::Stamp,
    pair::{Pair, SEGMENTS, Side},
    prober::Prober,
    process::{self, Process, Program},
    wait,
};

use crate::{act::Act, table, table::Row};

/// The demonstration ends within this, whatever happens: the client asks no longer.
const PROBE_FOR: Duration = Duration::from_mins(2);
/// Until an event has shown. Whether it was in time is judged by the wire, not by this.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);
/// Until a node that comes back has found itself well: the service check runs every two seconds.
const WELL_WITHIN: Duration = Duration::from_secs(10);

/// What is shown of a router's log after a failure.
const LOG_LINES: usize = 30;

/// Who plays the routers.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) program: Program,
    /// Further words of the daemon's command line.
    pub(crate) words: Vec<String>,
    /// How many programs do nothing but use the processors meanwhile.
    pub(crate) load: usize,
    /// What they play.
    pub(crate) acts: Vec<Act>,
}

type Outcome<T = ()> = Result<T, String>;

/// Plays the acts and prints their tables; the error is one sentence on what went wrong.
pub(crate) fn run(cast: &Cast) -> Outcome {
    let mut tables = Vec::new();
    for act in cast.acts.iter().copied() {
        println!("{}", act.title);
        let mut stage = Stage::new(cast, act);
        let result = stage.play();
        tables.push((act.title, stage.rows));
        if let Err(failure) = result {
            for side in Side::BOTH {
                let log = stage.pair.node(side).log();
                let lines: Vec<&str> = log.lines().collect();
                let start = lines.len().saturating_sub(LOG_LINES);
                let end = lines.get(start..).unwrap_or_default().join("\n");
                eprintln!("--- the end of {side:?}'s log\n{end}");
            }
            return Err(failure);
        }
    }
    for (title, rows) in &tables {
        table::print(title, rows);
    }
    println!("\nall as it should be");
    Ok(())
}

/// One act under way.
struct Stage<'a> {
    cast: &'a Cast,
    act: Act,
    prober: Prober,
    _load: Vec<Process>,
    pair: Pair,
    rows: Vec<Row>,
}

impl<'a> Stage<'a> {
    fn new(cast: &'a Cast, act: Act) -> Self {
        let pair = Pair::new();
        let prober = pair.probe(PROBE_FOR);
        let load = (0..cast.load).map(|_| keep_busy(&pair)).collect();
        Self { cast, act, prober, _load: load, pair, rows: Vec::new() }
    }

    fn play(&mut self) -> Outcome {
        if self.act.watches_service {
            return self.play_service();
        }
        let first = self.election()?;
        let second = self.carrier_loss(first)?;
        self.recovery(first)?;
        let third = self.death(second)?;
        self.restart(second)?;
        self.graceful_stop(third)
    }

    /// Both nodes start; one of them becomes Master of both instances.
    fn election(&mut self) -> Outcome<Side> {
        let start = Stamp::now();
        for side in Side::BOTH {
            self.start(side);
        }
        let master = wait::some_within(SHOWN_WITHIN, || self.pair.master());
        let Some(master) = master else {
            return Err("no node became Master of both instances".to_owned());
        };
        self.await_answers(start)?;
        // No bound: the programs load and run the service check first, before any timer runs. And
        // from the start nobody could answer, so silence says nothing.
        let row = self.row("start and election", None, start, master, start)?;
        self.tell(Row { silence: None, pause: None, ..row }, master);
        self.stays(master)?;
        Ok(master)
    }

    /// One link of the Master loses carrier: both instances leave it.
    fn carrier_loss(&mut self, old: Side) -> Outcome<Side> {
        let new = old.other();
        let before = Stamp::now();
        self.pair.cut(old, "eth2");
        self.moves_to(new)?;
        let from = self.pair.last_claim("eth2", old, Stamp::MAX).unwrap_or(before);
        let bound = Some(self.act.master_down());
        let row = self.row("carrier lost on eth2 of the Master", bound, from, new, before)?;
        self.tell(row, new);
        Ok(new)
    }

    /// The link comes back: its node becomes Backup, and does not preempt.
    fn recovery(&mut self, back: Side) -> Outcome {
        let master = back.other();
        let before = Stamp::now();
        let notified = self.pair.node(back).notified().len();
        self.pair.mend(back, "eth2");
        self.becomes_backup(back, notified, "when its link was back")?;
        self.stays(master)?;
        self.undisturbed("link back, no preemption", before, master)
    }

    /// The Master's host dies: no carrier, no goodbye, and its addresses stay on it.
    fn death(&mut self, old: Side) -> Outcome<Side> {
        let new = old.other();
        let before = Stamp::now();
        // Stopped first: a link that goes before would let it say goodbye on the other one. And not
        // yet ended: its kernel would answer for it meanwhile.
        self.pair.node(old).namespace().freeze_all();
        for segment in SEGMENTS {
            self.pair.cut(old, segment.interface);
        }
        self.pair.node_mut(old).kill();
        let from = SEGMENTS
            .iter()
            .filter_map(|segment| self.pair.last_claim(segment.interface, old, Stamp::MAX));
        let from = from.max().unwrap_or(before);
        let takes_over =
            wait::holds_within(SHOWN_WITHIN, || self.pair.node(new).addresses_held() == [2, 2]);
        if !takes_over {
            return Err(format!("{new:?} did not take over from the dead {old:?}"));
        }
        self.await_answers(Stamp::now())?;
        let bound = Some(self.act.master_down());
        let row = self.row("the Master's host dies", bound, from, new, before)?;
        self.tell(row, new);
        Ok(new)
    }

    /// The dead host's daemon is started again: what it left behind goes, before its links are back.
    fn restart(&mut self, back: Side) -> Outcome {
        let master = back.other();
        let before = Stamp::now();
        let left = self.pair.node(back).addresses_held();
        println!("  {back:?} was left with {left:?} of its addresses on bond0 and eth2");
        self.start(back);
        let is_clean =
            wait::holds_within(SHOWN_WITHIN, || self.pair.node(back).addresses_held() == [0, 0]);
        if !is_clean {
            return Err(format!("{back:?} started and kept the addresses that were left on it"));
        }
        let notified = self.pair.node(back).notified().len();
        for segment in SEGMENTS {
            self.pair.mend(back, segment.interface);
        }
        self.becomes_backup(back, notified, "after its restart")?;
        self.stays(master)?;
        self.undisturbed("restart, left-overs removed", before, master)
    }

    /// The Master is asked to stop: it says so (priority 0), and the other need not wait.
    fn graceful_stop(&mut self, old: Side) -> Outcome {
        let before = Stamp::now();
        let status = self.pair.node_mut(old).router().stop();
        if !status.success() {
            return Err(format!("{old:?} stopped with {}", process::describe(status)));
        }
        self.handed_over("the Master is stopped", old, before)
    }

    /// Since `before` the Master has said goodbye on both segments, and the other node is Master.
    fn handed_over(&mut self, event: &'static str, old: Side, before: Stamp) -> Outcome {
        let new = old.other();
        self.moves_to(new)?;
        let mut from = None;
        for segment in SEGMENTS {
            let heard = self.pair.heard(segment.interface, before);
            let goodbye = heard.iter().find(|heard| {
                heard.from == old && heard.advert.vrid == segment.vrid && heard.advert.priority == 0
            });
            let Some(goodbye) = goodbye else {
                let interface = segment.interface;
                return Err(format!("{old:?} gave up without priority 0 on {interface}"));
            };
            from = from.max(Some(goodbye.at));
        }
        let from = from.unwrap_or(before);
        let row = self.row(event, Some(self.act.skew()), from, new, before)?;
        self.tell(row, new);
        Ok(())
    }

    fn start(&mut self, side: Side) {
        let config = self.act.config(side);
        let words: Vec<&str> = self.cast.words.iter().map(String::as_str).collect();
        self.pair.node_mut(side).start(self.cast.program, &config, &words);
    }

    /// Waits until the scripts of `back`, which were told `notified` words before, are told of a
    /// Backup.
    fn becomes_backup(&self, back: Side, notified: usize, when: &str) -> Outcome {
        let is_backup = wait::holds_within(WELL_WITHIN, || {
            let words = self.pair.node(back).notified();
            words.iter().skip(notified).any(|word| word == "backup")
        });
        if is_backup { Ok(()) } else { Err(format!("{back:?} did not become Backup {when}")) }
    }

    /// Waits until `new` has all addresses, the other none, and the client its answers.
    fn moves_to(&self, new: Side) -> Outcome {
        let since = Stamp::now();
        if !wait::holds_within(SHOWN_WITHIN, || self.pair.master() == Some(new)) {
            return Err(format!("{new:?} did not become Master of both instances"));
        }
        self.await_answers(since)
    }

    fn await_answers(&self, since: Stamp) -> Outcome {
        if wait::holds_within(SHOWN_WITHIN, || self.prober.all_answer_since(since)) {
            return Ok(());
        }
        Err("the client had no answer from one of the four addresses".to_owned())
    }

    /// Watches for longer than any timer could run that nothing moves.
    fn stays(&self, master: Side) -> Outcome {
        let begin = Stamp::now();
        let is_heard = || {
            let mut interfaces = SEGMENTS.iter().map(|segment| segment.interface);
            interfaces.all(|interface| self.pair.first_claim(interface, master, begin).is_some())
        };
        // To a peer that was gone, the kernel asks by ARP only once a second.
        let is_settled = || self.pair.master() != Some(master) || is_heard();
        if !wait::holds_within(SHOWN_WITHIN, is_settled) {
            return Err(format!("{master:?} is Master and says nothing"));
        }
        let since = Stamp::now();
        if !wait::holds_throughout(self.act.quiet(), || self.pair.master() == Some(master)) {
            return Err(format!("{master:?} did not stay Master"));
        }
        for segment in SEGMENTS {
            let heard = self.pair.heard(segment.interface, since);
            if heard.iter().any(|heard| heard.from != master) {
                let other = master.other();
                return Err(format!("{other:?} advertised while {master:?} was Master"));
            }
        }
        Ok(())
    }

    /// The times of a failover to `new`: its first advertisements and announcements after `from`,
    /// and the client's silence since `before`.
    fn row(
        &self,
        event: &'static str,
        bound: Option<Duration>,
        from: Stamp,
        new: Side,
        before: Stamp,
    ) -> Outcome<Row> {
        let mut advert = Some(Duration::ZERO);
        let mut announcement = Duration::ZERO;
        for segment in SEGMENTS {
            let interface = segment.interface;
            let claim = self.pair.first_claim(interface, new, before);
            // To a peer that is gone, an advertisement may not get beyond ARP: unicast has nobody
            // to go to. The announcements are broadcast, and must be there.
            advert = advert.zip(claim).map(|(advert, claim)| advert.max(claim.since(from)));
            for address in segment.virtual_addresses {
                let seen = wait::some_within(SHOWN_WITHIN, || {
                    self.pair.first_announcement(interface, new, address, before)
                });
                let seen = seen.ok_or_else(|| format!("{new:?} never announced {address}"))?;
                announcement = announcement.max(seen.since(from));
            }
        }
        let row = Row {
            event,
            bound,
            advert,
            announcement: Some(announcement),
            silence: Some(self.prober.longest_silence(&(before..Stamp::now()))),
            pause: Some(self.prober.longest_pause(&(before..Stamp::now()))),
        };
        if self.cast.program != Program::Daemon {
            return Ok(row);
        }
        let latest = bound.map(|bound| bound + self.act.allowance());
        if latest.is_some_and(|latest| announcement > latest) {
            let took = table::millis(row.announcement);
            let bound = table::millis(row.bound);
            return Err(format!("{event}: {new:?} took {took} ms; the RFC's bound is {bound} ms"));
        }
        // A client that asked nothing heard nothing.
        let excused = row.pause.unwrap_or_default();
        if latest.is_some_and(|latest| row.silence > Some(latest + excused)) {
            let silence = table::millis(row.silence);
            return Err(format!("{event}: the client had no answer for {silence} ms"));
        }
        Ok(row)
    }

    /// An event that must not move anything: what the client noticed of it.
    fn undisturbed(&mut self, event: &'static str, before: Stamp, master: Side) -> Outcome {
        let interval = before..Stamp::now();
        let row = Row {
            event,
            bound: None,
            advert: None,
            announcement: None,
            silence: Some(self.prober.longest_silence(&interval)),
            pause: Some(self.prober.longest_pause(&interval)),
        };
        let is_disturbed =
            self.cast.program == Program::Daemon && row.silence > Some(self.act.allowance());
        let silence = table::millis(row.silence);
        self.tell(row, master);
        if is_disturbed {
            return Err(format!("{event}: the client had no answer for {silence} ms"));
        }
        Ok(())
    }

    fn tell(&mut self, row: Row, master: Side) {
        println!(
            "  {:<36} {master:?} is Master; first advertisement after {} ms, client silent {} ms",
            row.event,
            table::millis(row.advert),
            table::millis(row.silence),
        );
        self.rows.push(row);
    }
}

/// A program that uses a processor and does nothing, for as long as the scene lasts.
fn keep_busy(pair: &Pair) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do :; done"]);
    Process::start(pair.client(), command, Path::new("/dev/null"), None)
}
