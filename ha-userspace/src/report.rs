//! What the engine thread reports, for people (the log) and for scripts (notifications).

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use ha_common::check::Reason;
use ha_core::{
    Action, Cause, Event, GroupId, InstanceId, Instant, Notice, Notify, State, Subject, TrackerId,
    Transition,
};
use serde_json::json;
use tracing::{info, warn};

use crate::{
    clock,
    engine::{Message, Moved, PriorityChange, Report, Words},
    history::{self, History},
    io::refused::OfInterface,
    mail::Mailer,
    plan::{Plan, TrackerPlan},
    refused,
    scripts::{
        fifo::Fifos,
        news::{Kind, News, What},
        notify::Notifier,
    },
    status::{
        Standing, Told,
        figures::{Figures, Moves},
    },
};

/// Turns reports into log lines and notifications.
#[derive(Debug)]
pub(crate) struct Reporter {
    plan: Arc<Plan>,
    /// The plan of reports that are still to come.
    next: Option<Arc<Plan>>,
    generation: u32,
    notifier: Notifier,
    fifos: Fifos,
    /// Since when and why each instance is in its state.
    standings: BTreeMap<InstanceId, Standing>,
    /// Of each sync group: who moved last of itself, not with it.
    leads: BTreeMap<String, InstanceId>,
    masters: BTreeSet<InstanceId>,
    mailer: Mailer,
    moves: Moves,
    pub(crate) history: History,
}

impl Reporter {
    pub(crate) fn new(plan: Arc<Plan>, history: History) -> Self {
        let mut fifos = Fifos::default();
        fifos.run(&plan);
        let standings = plan.instances.numbered().map(|(number, _)| (InstanceId(number), begin()));
        Self {
            standings: standings.collect(),
            plan,
            next: None,
            generation: 0,
            notifier: Notifier::default(),
            fifos,
            leads: BTreeMap::new(),
            masters: BTreeSet::new(),
            mailer: Mailer::default(),
            moves: Moves::default(),
            history,
        }
    }

    /// The engine goes on with another plan: reports of its next generation are about that.
    pub(crate) fn expect(&mut self, plan: Arc<Plan>) {
        self.next = Some(plan);
    }

    /// The engine goes on with the plan that was expected, whether it has anything to say of it or not.
    pub(crate) fn settle(&mut self) {
        self.generation = self.generation.wrapping_add(u32::from(self.next.is_some()));
        if let Some(next) = self.next.take() {
            self.go_on_with(next);
        }
    }

    /// The end: what is still queued is told, for at most `child_wait_time`.
    pub(crate) async fn drain(self) {
        let limit = self.plan.lifecycle.child_wait_time;
        tokio::join!(self.notifier.drain(limit), self.fifos.drain(limit), self.mailer.drain(limit));
    }

    /// For `status.json`.
    pub(crate) fn tell_status(&self, told: &mut Told) {
        told.add_list("notifications", self.notifier.status());
        told.add_list("fifos", self.fifos.status().into_iter());
        told.add("mail", &self.mailer.status());
    }

    /// For the metrics.
    pub(crate) fn count(&self, figures: &mut Figures) {
        figures.moves.clone_from(&self.moves);
        self.notifier.count(figures);
        self.fifos.count(figures);
        figures.mails = self.mailer.count();
    }

    /// Since when and why each instance is in its state.
    pub(crate) fn standings(&self) -> BTreeMap<InstanceId, Standing> {
        self.standings.clone()
    }

    pub(crate) fn handle(&mut self, report: &Report) {
        if report.generation != self.generation {
            self.generation = report.generation;
            if let Some(next) = self.next.take() {
                self.go_on_with(next);
            }
        }
        match &report.message {
            Message::Note(text) => info!("{text}"),
            Message::Trouble(text) => warn!("{text}"),
            Message::Moved(moved) => self.handle_moved(report.at, moved),
            Message::Priority(change) => self.handle_priority(change),
            Message::Noticed { instance, source, notice, times } => {
                let line = noticed(self.name(*instance), *source, *notice, *times);
                match notice {
                    Notice::Checksum(_) => info!("{line}"),
                    Notice::Interval(_) | Notice::Addresses | Notice::SecondOwner => {
                        warn!("{line}");
                    }
                }
            }
            Message::Engine(action) => self.handle_action(action),
        }
    }

    /// What the kernel has refused.
    pub(crate) fn tell_refused(&self, all: &[OfInterface]) {
        for OfInterface { interface, reason, refused } in all {
            let is_fault = *reason != Reason::UnknownVrid;
            if !is_fault && !self.plan.logs_unknown_vrids {
                continue;
            }
            for line in refused::lines(interface, &refused::describe(*reason), refused) {
                if is_fault { warn!("{line}") } else { info!("{line}") }
            }
        }
    }

    fn handle_action(&mut self, action: &Action) {
        match *action {
            Action::Notify(notify) => {
                // Instances have said why in their transitions.
                if let Subject::Group(group) = notify.subject {
                    info!("sync group {}: {}", self.group_name(group), notify.event);
                }
                self.tell(notify);
                self.mailer.tell(&self.plan, notify);
            }
            Action::Late { instance, by } => {
                let (name, by) = (self.name(instance), seconds(by));
                warn!("{name}: this daemon was {by} late: it listens before it acts");
            }
            // Carried out, or counted, on the engine thread, or told with its reasons.
            Action::Rejected { .. }
            | Action::Noticed { .. }
            | Action::Restoring { .. }
            | Action::Advertise { .. }
            | Action::Addresses { .. }
            | Action::Announce { .. }
            | Action::Transition(_)
            | Action::Priority { .. } => {}
        }
    }

    fn handle_moved(&mut self, at: Instant, moved: &Moved) {
        let Transition { instance, from, to, cause } = moved.transition;
        *self.moves.counts.entry((to, history::name(cause))).or_default() += 1;
        if to == State::Master {
            let begin = history::deadline(moved).unwrap_or(at);
            if let Some(placed) = moved.done.placed {
                self.moves.takeovers.add(placed.since(begin));
            }
        }
        let why = self.why(at, cause, &moved.words);
        let name = self.name(instance);
        if to == State::Fault {
            warn!("{name}: {from} -> {to}: {why}");
        } else {
            info!("{name}: {from} -> {to}: {why}");
        }
        let mut entry = history::evidence(at, moved);
        let base = self.plan.base_priority(instance).unwrap_or(moved.priority);
        let weighing = self.weighing(base, moved.priority, &moved.weights, moved.is_demoted);
        entry.set("instance", json!(name));
        entry.set("group", json!(self.plan.group_of(instance).map(|group| group.name.as_str())));
        entry.set("reason", json!(why));
        let trackers = moved.words.iter().map(
            |(tracker, words)| json!({ "tracker": self.tracked(*tracker), "said": words.as_str() }),
        );
        entry.set("trackers", trackers.collect());
        entry.set("priority_reason", json!(format!("{}{weighing}", moved.priority)));
        self.history.add(at, entry);
        self.standings.insert(instance, Standing { since: at, why });
        if !matches!(cause, Cause::Group(_))
            && let Some(group) = self.plan.group_of(instance)
        {
            self.leads.insert(group.name.clone(), instance);
        }
        if to == State::Master {
            self.masters.insert(instance);
        } else {
            self.masters.remove(&instance);
        }
    }

    fn go_on_with(&mut self, plan: Arc<Plan>) {
        self.notifier.retain(&plan);
        // Who begins anew is told so.
        self.leads.clear();
        self.fifos.run(&plan);
        if plan.fifo_states_on_reload {
            self.fifos.tell_states();
        }
        for (number, _) in plan.instances.numbered() {
            self.standings.entry(InstanceId(number)).or_insert_with(begin);
        }
        self.plan = plan;
    }

    /// Tells scripts and FIFOs.
    fn tell(&mut self, Notify { subject, event, priority }: Notify) {
        let (kind, name, scripts, reason) = match subject {
            Subject::Instance(id) => {
                let Some(of) = self.plan.instance(id) else { return };
                let reason = if event == Event::LowerMaster {
                    "another router with less right to it is Master too"
                } else {
                    self.standings.get(&id).map_or("", |standing| standing.why.as_str())
                };
                (Kind::Instance, &of.name, &of.notify, reason)
            }
            Subject::Group(id) => {
                let Some(of) = self.plan.group(id) else { return };
                (Kind::Group, &of.name, &of.notify, self.why_group(&of.name))
            }
        };
        let is_left_out = event == Event::Deleted && !scripts.tells_deleted;
        let what = if is_left_out { What::LeftOut } else { What::Told(event) };
        let reason = reason.to_owned();
        let news = News { kind, name: name.clone(), what, priority, reason };
        self.fifos.tell(&news);
        self.notifier.notify(news, scripts);
    }

    fn tell_priority(&self, id: InstanceId, priority: u8) {
        let Some(of) = self.plan.instance(id).filter(|of| of.notify.priority_changes) else {
            return;
        };
        let what = What::Priority { is_master: self.masters.contains(&id) };
        let (kind, name, reason) = (Kind::Instance, of.name.clone(), String::new());
        self.fifos.tell(&News { kind, name, what, priority, reason });
    }

    /// That of its member which moved first; when it starts it is told before its members.
    fn why_group(&self, name: &str) -> &str {
        let standing = self.leads.get(name).and_then(|lead| self.standings.get(lead));
        standing.map_or("its members start", |standing| standing.why.as_str())
    }

    fn handle_priority(&self, change: &PriorityChange) {
        let PriorityChange { instance, from, to, base, is_demoted, ref weights } = *change;
        let name = self.name(instance);
        let weighing = self.weighing(base, to, weights, is_demoted);
        info!("{name}: priority {from} -> {to}{weighing}");
        self.tell_priority(instance, to);
    }

    /// `: 100, script chk -10`; nothing if it is not known.
    fn weighing(&self, base: u8, to: u8, weights: &[(TrackerId, i32)], is_demoted: bool) -> String {
        let weight = |&(tracker, by)| format!(", {} {by:+}", self.tracked(tracker));
        let added: String = weights.iter().map(weight).collect();
        if is_demoted && to != base {
            return format!(": demoted, else {base}{added}");
        }
        let sum = weights.iter().fold(i32::from(base), |sum, (_, by)| sum.saturating_add(*by));
        let bound = match sum.cmp(&i32::from(to)) {
            Ordering::Equal => String::new(),
            _ if weights.is_empty() => return String::new(),
            Ordering::Less => format!(", not below {to}"),
            Ordering::Greater => format!(", not above {to}"),
        };
        format!(": {base}{added}{bound}")
    }

    fn tracked(&self, tracker: TrackerId) -> String {
        self.plan.tracker(tracker).map_or_else(|| "something".to_owned(), ToString::to_string)
    }

    fn why(&self, at: Instant, cause: Cause, words: &[(TrackerId, Words)]) -> String {
        match cause {
            Cause::Ready => "everything it depends on is there".to_owned(),
            Cause::MasterDown { heard: Some(heard), .. } => {
                format!("no advertisement for {}", seconds(at.since(heard)))
            }
            Cause::MasterDown { heard: None, .. } => {
                "no advertisement since it began to listen".to_owned()
            }
            Cause::MasterStopped => "the Master said that it stops (priority 0)".to_owned(),
            Cause::Preempt => "the Master has a lower priority".to_owned(),
            Cause::BetterMaster { source, priority } => better(source, priority),
            Cause::Late { source } => {
                format!("this daemon was late, and {source} is Master meanwhile")
            }
            Cause::TrackerDown(tracker) => {
                let words = words.iter().find(|(one, _)| *one == tracker);
                let words =
                    words.map_or(String::new(), |(_, words)| format!(": {}", words.as_str()));
                format!("{}{words}", self.tracker_down(tracker))
            }
            Cause::NoSource => "there is no address to send from".to_owned(),
            Cause::AddressesFailed => "its virtual addresses could not be set".to_owned(),
            Cause::AddressesRemoved => {
                "somebody keeps removing its virtual addresses: find out who manages them too"
                    .to_owned()
            }
            Cause::Demoted => "an operator has demoted it".to_owned(),
            Cause::Promoted => {
                "an operator has promoted it, and the Master has a lower priority".to_owned()
            }
            Cause::Group(instance) => {
                format!("{} of the same sync group moved", self.name(instance))
            }
            Cause::Shutdown => "the daemon stops".to_owned(),
            Cause::Reload => "the configuration is another one".to_owned(),
        }
    }

    fn tracker_down(&self, tracker: TrackerId) -> String {
        match self.plan.tracker(tracker) {
            Some(TrackerPlan::Interface(name)) => format!("interface {name} is down"),
            Some(TrackerPlan::Script(script)) => format!("script {} failed", script.name),
            Some(TrackerPlan::Process(process)) => format!("process {} failed", process.name),
            Some(TrackerPlan::Unit(unit)) => format!("unit {} failed", unit.name),
            Some(TrackerPlan::Statics(name)) => {
                format!("something static of track_group {name} cannot be set")
            }
            Some(TrackerPlan::File(file)) => format!("file {} says so", file.name),
            Some(TrackerPlan::Clock(clock)) => format!("clock {} failed", clock.name),
            None => "something it depends on failed".to_owned(),
        }
    }

    fn name(&self, instance: InstanceId) -> &str {
        self.plan.instance(instance).map_or("?", |instance| instance.name.as_str())
    }

    fn group_name(&self, group: GroupId) -> &str {
        self.plan.group(group).map_or("?", |group| group.name.as_str())
    }
}

/// Of an instance that is in Init from now on: what it waits for is known to the engine thread.
fn begin() -> Standing {
    Standing { since: clock::now(), why: String::new() }
}

/// In the end, what a sender has shown so many times.
fn noticed(name: &str, source: IpAddr, notice: Notice, times: u64) -> String {
    match times {
        0 | 1 => format!("{name}: {source} {notice}"),
        _ => format!("{name}: {source} {notice}; such changes in the last 10 s: {times}"),
    }
}

fn better(source: IpAddr, priority: u8) -> String {
    format!("{source} is Master with priority {priority}")
}

fn seconds(duration: Duration) -> String {
    format!("{:.6} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "vrrp_script chk {\n script \"/bin/true\"\n}\n\
        vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n \
        virtual_ipaddress {\n 192.0.2.1\n }\n track_script {\n chk\n }\n}\n";

    #[test]
    fn causes_are_said_in_words() {
        let (plan, _) = Plan::new(&ha_config::parse("x", TEXT).config, &[]);
        let reporter = Reporter::new(Arc::new(plan), History::default());
        let at = Instant::from_nanos(5_000_000_000);
        let known = [(TrackerId(1), Words::new("exit code 1"))];
        let check = |cause, words: &str| assert_eq!(reporter.why(at, cause, &known), words);
        let heard = Some(Instant::from_nanos(1_390_625_000));
        check(Cause::MasterDown { heard, deadline: at }, "no advertisement for 3.609375 s");
        let never = Cause::MasterDown { heard: None, deadline: at };
        check(never, "no advertisement since it began to listen");
        let source = "192.0.2.7".parse().unwrap();
        check(Cause::BetterMaster { source, priority: 9 }, "192.0.2.7 is Master with priority 9");
        check(Cause::TrackerDown(TrackerId(0)), "interface eth0 is down");
        check(Cause::TrackerDown(TrackerId(1)), "script chk failed: exit code 1");
        check(Cause::TrackerDown(TrackerId(2)), "something it depends on failed");
        check(Cause::Group(InstanceId(0)), "VI_1 of the same sync group moved");
        check(Cause::Group(InstanceId(1)), "? of the same sync group moved");
    }

    #[test]
    fn what_is_noticed_again_and_again_is_a_line_with_a_count() {
        let source = "192.0.2.7".parse().unwrap();
        let line = |times| noticed("VI_1", source, Notice::Addresses, times);
        let words = "VI_1: 192.0.2.7 advertises other virtual addresses than ours";
        assert_eq!(line(1), words);
        assert_eq!(line(20), format!("{words}; such changes in the last 10 s: 20"));
    }

    #[test]
    fn a_priority_is_told_with_its_reasons() {
        let (plan, _) = Plan::new(&ha_config::parse("x", TEXT).config, &[]);
        let reporter = Reporter::new(Arc::new(plan), History::default());
        let (link, script) = (TrackerId(0), TrackerId(1));
        let check = |to, weights: &[(TrackerId, i32)], words: &str| {
            assert_eq!(reporter.weighing(100, to, weights, false), words);
        };
        check(90, &[(script, -10)], ": 100, script chk -10");
        check(95, &[(link, 5), (script, -10)], ": 100, interface eth0 +5, script chk -10");
        check(1, &[(script, -200)], ": 100, script chk -200, not below 1");
        check(254, &[(script, 200)], ": 100, script chk +200, not above 254");
        check(100, &[], ": 100");
        check(90, &[], "");
        let demoted = |weights: &[(TrackerId, i32)]| reporter.weighing(100, 1, weights, true);
        assert_eq!(demoted(&[]), ": demoted, else 100");
        assert_eq!(demoted(&[(script, -10)]), ": demoted, else 100, script chk -10");
    }
}
