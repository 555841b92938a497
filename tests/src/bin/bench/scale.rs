//! What many virtual routers cost, and how long all of them take to move.

use core::{net::Ipv4Addr, time::Duration};
use std::collections::BTreeMap;

use ha_tests::{clock, clock::Stamp, pair::Side, wait};
use nix::sys::signal::Signal;

use crate::{
    contender::Contender,
    duel::{Duel, Plan, signal_all, virtual_address},
    figure::{Effort, Figure, Section, millis, number},
    wire::{Said, What, adverts_by_router},
};

const WATCHED: Duration = Duration::from_secs(3);
const READY_WITHIN: Duration = Duration::from_secs(10);
/// keepalived takes 16 s with 1000 instances.
const FAILED_OVER_WITHIN: Duration = Duration::from_mins(3);

/// Instances, and their interval in milliseconds.
const DEFAULT: [(usize, u64); 4] = [(1, 100), (250, 100), (1000, 100), (1000, 1000)];
const FULL: [(usize, u64); 13] = [
    (1, 10),
    (100, 10),
    (250, 10),
    (1, 100),
    (100, 100),
    (250, 100),
    (1000, 100),
    (4000, 100),
    (1, 1000),
    (100, 1000),
    (250, 1000),
    (1000, 1000),
    (4000, 1000),
];

pub(crate) fn measure(effort: Effort) -> Section {
    let (mut figures, mut notes) = (Vec::new(), Vec::new());
    let mut alone = BTreeMap::new();
    for (instances, interval) in effort.choose(&DEFAULT[..], &FULL[..]) {
        let figure = |what, unit| {
            Figure::new(format!("{instances} instances at {interval} ms: {what}"), unit)
        };
        let mut growth = [
            figure("time until both nodes are ready", "s"),
            figure("time to settle", "s"),
            figure("CPU of the Master", "% of a core"),
            figure("CPU of the Backup", "% of a core"),
            figure("memory of the Master", "MiB"),
            figure("from the first address to the last", "ms"),
        ];
        let mut further = figure("memory of each further instance", "KiB");
        let mut overheads = figure("takeover overhead of each address", "ms");
        let contenders = effort.choose(&Contender::ALL[..2], &Contender::ALL[..]);
        for contender in contenders {
            let interval = Duration::from_millis(*interval);
            let plan = Plan { contender: *contender, instances: *instances, interval };
            // A contender that cannot do it has no figure.
            let Some((samples, each)) = grow(plan, &mut notes) else { continue };
            let known = growth.iter_mut().zip(samples).filter(|(_, sample)| !sample.is_nan());
            for (figure, sample) in known {
                figure.add(*contender, sample);
            }
            // Beside what the first measurement, of one instance, has shown.
            let [.., memory, _] = samples;
            let (of_one, more) = (alone.entry(*contender).or_insert(memory), instances - 1);
            if more > 0 {
                further.add(*contender, (memory - *of_one) * 1024.0 / number(more));
            }
            for overhead in each {
                overheads.add(*contender, overhead);
            }
        }
        figures.extend(growth);
        figures.push(overheads);
        if *instances > 1 {
            figures.push(further);
        }
    }
    Section {
        title: "Scale",
        method: "Ready: from starting both daemons to the Backup state of every instance of both, with \
                 XDP attached; of ours only, as nothing on the wire shows it. Time to settle: from starting both daemons to the Master's advertisement of every \
                 instance and the Backup's silence. CPU: the daemons' time on a processor in three \
                 seconds. Memory: the resident size of all processes. Then the Master is stopped: \
                 the time between the first gratuitous ARP for an address and the first for the \
                 last of them, and for each address the time since the last advertisement of its \
                 instance beyond three intervals and the skew time.",
        figures,
        pictures: Vec::new(),
        notes,
    }
}

/// One sample for each figure in their order, and the overhead of each address; `None` if it does
/// not settle, or does not fail over.
fn grow(plan: Plan, notes: &mut Vec<String>) -> Option<([f64; 6], Vec<f64>)> {
    let mut duel = Duel::prepare(plan);
    let started = clock::monotonic();
    duel.launch_both();
    let ready = is_ready(&mut duel).then(|| clock::monotonic().saturating_sub(started));
    if !duel.settles(notes) {
        return None;
    }
    let settled = clock::monotonic().saturating_sub(started);
    let [master, backup] = Side::BOTH.map(|side| load(&duel, side));
    let memory = f64::from(duel.resident_kib(Side::A)) / 1024.0;

    // What was captured so far would be looked through again and again. Two intervals: each
    // instance's last advertisement must be in what is looked at.
    duel.capture_anew();
    wait::through(2 * plan.interval);
    let victims = duel.pids(Side::A);
    signal_all(&victims, Signal::SIGSTOP);
    let announced = wait::some_within(FAILED_OVER_WITHIN, || {
        let said = duel.wire().said(Stamp::default());
        let announced = first_announcements(&said);
        (announced.len() >= plan.instances).then_some((said, announced))
    });
    signal_all(&victims, Signal::SIGCONT);
    let Some((said, announced)) = announced else {
        notes.push(format!("{plan}: node B did not take all over."));
        return None;
    };
    let (first, last) = (announced.values().min()?, announced.values().max()?);
    let ready = ready.map_or(f64::NAN, |ready| ready.as_secs_f64());
    let samples =
        [ready, settled.as_secs_f64(), master, backup, memory, millis(last.since(*first))];
    Some((samples, overheads(&said, &announced, plan.master_down())))
}

/// Waits until our daemons on both nodes have said of each instance that it is Backup; `false` for
/// keepalived.
fn is_ready(duel: &mut Duel) -> bool {
    let Plan { contender, instances, .. } = duel.plan();
    let mut all_said =
        |side| duel.router(side).log().matches("INIT -> BACKUP").count() == instances;
    contender == Contender::Ours
        && wait::holds_within(READY_WITHIN, || Side::BOTH.into_iter().all(&mut all_said))
}

/// In percent of a core.
fn load(duel: &Duel, side: Side) -> f64 {
    let (before, from) = (duel.processor_time(side), clock::monotonic());
    wait::through(WATCHED);
    let spent = duel.processor_time(side).saturating_sub(before);
    100.0 * spent.as_secs_f64() / clock::monotonic().saturating_sub(from).as_secs_f64()
}

/// When node B first announced each address, by segment.
fn first_announcements(said: &[Said]) -> BTreeMap<(usize, Ipv4Addr), Stamp> {
    let mut first = BTreeMap::new();
    for one in said.iter().filter(|one| one.from == Side::B) {
        if let What::Announcement(address) = one.what {
            first.entry((one.segment, address)).or_insert(one.at);
        }
    }
    first
}

/// How long after its instance's last advertisement by node A each address was announced, in
/// milliseconds beyond `master_down`.
fn overheads(
    said: &[Said],
    announced: &BTreeMap<(usize, Ipv4Addr), Stamp>,
    master_down: Duration,
) -> Vec<f64> {
    let of_router = |((segment, vrid), adverts): ((usize, u8), Vec<Stamp>)| {
        let announced = announced.get(&(segment, virtual_address(segment, vrid)))?;
        Some(millis(announced.since(*adverts.last()?)) - millis(master_down))
    };
    adverts_by_router(said, Side::A).into_iter().filter_map(of_router).collect()
}
