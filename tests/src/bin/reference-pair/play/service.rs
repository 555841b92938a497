//! The service behind the addresses dies on the Master, and then is restarted again and again on its
//! successor: each time the other node takes over.

use ha_tests::{
    clock::Stamp,
    pair::{SEGMENTS, Side},
    service::{Running, Service},
    wait,
};

use super::{Outcome, SHOWN_WITHIN, Stage};
use crate::act::{Act, MAX_RESTARTS};

/// A node's service, and its supervisor, who is us.
struct Supervised {
    service: Service,
    running: Running,
}

impl Supervised {
    fn start(side: Side) -> Self {
        let service = Service::called("/bin/sleep", Act::service_name(side).to_owned());
        let running = run(&service);
        Self { service, running }
    }

    fn restart(&mut self) {
        self.running.kill();
        self.running = run(&self.service);
    }
}

/// For longer than the demonstration.
fn run(service: &Service) -> Running {
    service.start(&["600"])
}

impl Stage<'_> {
    pub(super) fn play_service(&mut self) -> Outcome {
        let [mut a, mut b] = Side::BOTH.map(Supervised::start);
        let first = self.election()?;
        let (on_first, on_second) = match first {
            Side::A => (&mut a, &mut b),
            Side::B => (&mut b, &mut a),
        };
        let second = self.service_killed(first, &mut on_first.running)?;
        self.service_started(first, on_first)?;
        self.service_restarted(second, on_second)
    }

    /// One process is killed, and the Master, which cannot serve any more, says goodbye.
    fn service_killed(&mut self, old: Side, running: &mut Running) -> Outcome<Side> {
        let before = Stamp::now();
        println!("  on {old:?}, which is Master, the service is killed (kill -9)");
        running.kill();
        self.handed_over("the Master's service is killed", old, before)?;
        Ok(old.other())
    }

    /// The service is there again: its node becomes Backup, and does not preempt.
    fn service_started(&mut self, back: Side, supervised: &mut Supervised) -> Outcome {
        let before = Stamp::now();
        let notified = self.pair.node(back).notified().len();
        println!("  on {back:?} the service is started again");
        supervised.running = run(&supervised.service);
        self.becomes_backup(back, notified, "when its service was back")?;
        self.stays(back.other())?;
        self.undisturbed("service back, no preemption", before, back.other())
    }

    /// It is there almost all the time, and useless: its node gives up, and the first one is back.
    fn service_restarted(&mut self, old: Side, supervised: &mut Supervised) -> Outcome {
        println!("  on {old:?} the service is killed and started again, and again");
        let before = Stamp::now();
        for _ in 0..=MAX_RESTARTS {
            supervised.restart();
            // As slowly as a supervisor would do it: the daemon has its turn in between.
            let since = Stamp::now();
            let goes_on = || {
                let heard =
                    SEGMENTS.map(|segment| !self.pair.heard(segment.interface, since).is_empty());
                heard == [true, true]
            };
            if !wait::holds_within(SHOWN_WITHIN, goes_on) {
                return Err(format!("{old:?} is Master and says nothing"));
            }
        }
        self.handed_over("restarted again and again", old, before)?;
        let log = self.pair.node(old).log();
        let reason = log.lines().find_map(|line| line.split_once("process service fails: started"));
        let Some((_, reason)) = reason else {
            return Err(format!("{old:?} does not say that its service was started too often"));
        };
        println!("  {old:?} says: process service fails: started{reason}");
        Ok(())
    }
}
