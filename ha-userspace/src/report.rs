//! What the engine thread reports, for people (the log) and for scripts (notifications).

use std::{net::IpAddr, sync::Arc, time::Duration};

use ha_core::{
    Action, Cause, GroupId, InstanceId, Instant, Notice, State, Subject, TrackerId, Transition,
};
use tracing::{info, warn};

use crate::{
    engine::{Message, Report},
    plan::{Plan, TrackerPlan},
    scripts::notify::Notifier,
};

/// Turns reports into log lines and notifications.
#[derive(Debug)]
pub(crate) struct Reporter {
    plan: Arc<Plan>,
    /// The plan of reports that are still to come.
    next: Option<Arc<Plan>>,
    generation: u32,
    notifier: Notifier,
}

impl Reporter {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, next: None, generation: 0, notifier: Notifier::default() }
    }

    /// The engine goes on with another plan: reports of its next generation are about that.
    pub(crate) fn expect(&mut self, plan: Arc<Plan>) {
        self.next = Some(plan);
    }

    /// For the end: what is still queued is the notifier's to finish.
    pub(crate) fn into_notifier(self) -> Notifier {
        self.notifier
    }

    pub(crate) fn handle(&mut self, report: &Report) {
        if report.generation != self.generation {
            self.generation = report.generation;
            if let Some(next) = self.next.take() {
                self.notifier.retain(&next);
                self.plan = next;
            }
        }
        match &report.message {
            Message::Note(text) => info!("{text}"),
            Message::Trouble(text) => warn!("{text}"),
            Message::Engine(action) => self.handle_action(report.at, action),
        }
    }

    fn handle_action(&mut self, at: Instant, action: &Action) {
        match *action {
            Action::Transition(Transition { instance, from, to, cause }) => {
                let why = self.why(at, cause);
                let name = self.name(instance);
                if to == State::Fault {
                    warn!("{name}: {from} -> {to}: {why}");
                } else {
                    info!("{name}: {from} -> {to}: {why}");
                }
            }
            Action::Notify(notify) => {
                // Instances have said why in their transitions.
                if let Subject::Group(group) = notify.subject {
                    info!("sync group {}: {}", self.group_name(group), notify.event);
                }
                self.notifier.notify(&self.plan, notify);
            }
            Action::Priority { instance, from, to } => {
                info!("{}: priority {from} -> {to}", self.name(instance));
            }
            Action::Rejected { instance, source, reason } => {
                warn!("{}: advertisement from {source} refused: {reason}", self.name(instance));
            }
            Action::Noticed { instance, source, notice: notice @ Notice::Checksum(_) } => {
                info!("{}: {source} {notice}", self.name(instance));
            }
            Action::Noticed { instance, source, notice } => {
                warn!("{}: {source} {notice}", self.name(instance));
            }
            Action::Restoring { instance, times, wait } => {
                let (name, wait) = (self.name(instance), seconds(wait));
                warn!(
                    "{name}: somebody removed a virtual address, for the {times}. time in a row: \
                     it is set again and announced after {wait}"
                );
            }
            Action::Late { instance, by } => {
                let (name, by) = (self.name(instance), seconds(by));
                warn!("{name}: this daemon was {by} late: it listens before it acts");
            }
            // Carried out on the engine thread.
            Action::Advertise { .. } | Action::Addresses { .. } | Action::Announce { .. } => {}
        }
    }

    fn why(&self, at: Instant, cause: Cause) -> String {
        match cause {
            Cause::Ready => "everything it depends on is there".to_owned(),
            Cause::MasterDown { heard: Some(heard), .. } => {
                format!("no advertisement for {}", seconds(at.since(heard)))
            }
            Cause::MasterDown { heard: None, .. } => "no advertisement since the start".to_owned(),
            Cause::MasterStopped => "the Master said that it stops (priority 0)".to_owned(),
            Cause::Preempt => "the Master has a lower priority".to_owned(),
            Cause::BetterMaster { source, priority } => better(source, priority),
            Cause::Late { source } => {
                format!("this daemon was late, and {source} is Master meanwhile")
            }
            Cause::TrackerDown(tracker) => self.tracker_down(tracker),
            Cause::NoSource => "there is no address to send from".to_owned(),
            Cause::AddressesFailed => "its virtual addresses could not be set".to_owned(),
            Cause::AddressesRemoved => {
                "somebody keeps removing its virtual addresses: find out who manages them too"
                    .to_owned()
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
        let reporter = Reporter::new(Arc::new(plan));
        let at = Instant::from_nanos(5_000_000_000);
        let check = |cause, words: &str| assert_eq!(reporter.why(at, cause), words);
        let heard = Some(Instant::from_nanos(1_390_625_000));
        check(Cause::MasterDown { heard, deadline: at }, "no advertisement for 3.609375 s");
        let never = Cause::MasterDown { heard: None, deadline: at };
        check(never, "no advertisement since the start");
        let source = "192.0.2.7".parse().unwrap();
        check(Cause::BetterMaster { source, priority: 9 }, "192.0.2.7 is Master with priority 9");
        check(Cause::TrackerDown(TrackerId(0)), "interface eth0 is down");
        check(Cause::TrackerDown(TrackerId(1)), "script chk failed");
        check(Cause::TrackerDown(TrackerId(2)), "something it depends on failed");
        check(Cause::Group(InstanceId(0)), "VI_1 of the same sync group moved");
        check(Cause::Group(InstanceId(1)), "? of the same sync group moved");
    }
}
