//! What a reload does to the instances that it does not change.

use core::time::Duration;

use ha_tests::{clock::Stamp, pair::Side, wait};
use nix::sys::signal::Signal;

use crate::{
    contender::Contender,
    duel::{Duel, Plan, SEGMENT_INSTANCES, virtual_address},
    figure::{Effort, Figure, Section, millis, number},
    wire::{adverts_by_router, longest_gap},
};

const RELOADS: usize = 10;
const INTERVAL: Duration = Duration::from_millis(100);
/// After a reload: long enough for what it makes late, and for a takeover.
const WATCHED: Duration = Duration::from_secs(2);
/// The one that changes: the last.
const CHANGING: u8 = 250;

pub(crate) fn measure(_: Effort) -> Section {
    let mut gaps = Figure::new("longest gap of any instance", "ms");
    let mut notes = Vec::new();
    let mut takeovers = Figure::new("instances taken over by the Backup", "");
    for contender in Contender::ALL {
        let plan = Plan { contender, instances: SEGMENT_INSTANCES, interval: INTERVAL };
        let Some(mut duel) = Duel::start(plan, &mut notes) else { continue };
        // Before it was Master there was nothing of A: that is no gap.
        wait::through(2 * INTERVAL);
        for round in 0..RELOADS {
            let (gap, taken) = reload(&mut duel, round);
            gaps.add(contender, millis(gap));
            takeovers.add(contender, number(taken));
            if !duel.settles(&mut notes) {
                break;
            }
        }
    }
    Section {
        title: "Reload",
        method: "250 instances at 100 ms. The longest time between two advertisements of the same instance, which the \
                 reload does not change, around each of ten reloads: nothing changed, an \
                 address added and removed, an instance added and removed, twice. Takeovers are \
                 instances that the Backup advertised meanwhile.",
        figures: vec![gaps, takeovers],
        pictures: Vec::new(),
        notes,
    }
}

/// The longest gap of those that do not change, and how many of them B took over.
fn reload(duel: &mut Duel, round: usize) -> (Duration, usize) {
    let config = config(duel.plan(), round);
    duel.router(Side::A).directory().write("keepalived.conf", &config);
    // So much of before that each instance was heard.
    let from = Stamp::now() - 2 * INTERVAL;
    duel.router(Side::A).process().signal(Signal::SIGHUP);
    wait::through(WATCHED);
    let until = Stamp::now() - INTERVAL;
    let said = duel.wire().said(from);
    let mut longest = Duration::ZERO;
    for moments in adverts_by_router(&said, Side::A).into_iter().filter_map(unchanged) {
        longest = longest.max(longest_gap(moments, from, until));
    }
    let taken = adverts_by_router(&said, Side::B).into_iter().filter_map(unchanged).count();
    (longest, taken)
}

fn unchanged(((_, vrid), moments): ((usize, u8), Vec<Stamp>)) -> Option<Vec<Stamp>> {
    (vrid < CHANGING).then_some(moments)
}

/// Nothing, an address, an instance more or less than before.
fn config(plan: Plan, round: usize) -> String {
    let text = plan.config(Side::A);
    match round % 5 {
        1 => {
            let last = virtual_address(0, CHANGING);
            let more = virtual_address(0, CHANGING + 1);
            text.replace(&format!("{last}\n"), &format!("{last}\n        {more}\n"))
        }
        3 => text + &plan.instance(Side::A, 0, CHANGING + 2),
        _ => text,
    }
}
