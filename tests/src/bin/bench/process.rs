//! How long after the death of a process the router that tracks it gives its mastership up.

use core::time::Duration;
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Child, Command},
};

use ha_tests::{
    clock::Stamp,
    config::{self, Dialect},
    pair::{Pair, Side},
    process::{Program, Router, Start},
    tempdir::TempDir,
    wait,
};

use crate::{
    contender::Contender,
    figure::{Effort, Figure, Section, millis},
};

const SEGMENT: &str = "bond0";
/// A start with three intervals and a script's first runs; a death and the script's next run.
const WITHIN: Duration = Duration::from_secs(20);
const SCRIPT_EVERY: Duration = Duration::from_secs(1);
/// How the router knows of the process.
#[derive(Clone, Copy, Debug)]
enum Means {
    Tracked,
    Script,
}

/// The means, and how many deaths by default and in full.
const TRIALS: [(Means, usize, usize); 2] = [(Means::Tracked, 10, 300), (Means::Script, 4, 20)];

pub(crate) fn measure(effort: Effort) -> Section {
    let mut notes = Vec::new();
    let figures = TRIALS.map(|(means, default, full)| {
        let what = match means {
            Means::Tracked => "vrrp_track_process",
            Means::Script => "vrrp_script, once a second",
        };
        let mut figure = Figure::new(what, "ms");
        for contender in Contender::ALL {
            eprintln!("bench:   {}, {what}", contender.name());
            let deaths = effort.choose(default, full);
            for delay in delays(contender, means, deaths, &mut notes) {
                figure.add(contender, millis(delay));
            }
        }
        figure
    });
    Section {
        title: "Death of a process",
        method: "Milliseconds from the SIGKILL of a tracked process to the advertisement with \
                 priority 0 of the Master that tracks it, at 100 ms.",
        figures: figures.into(),
        pictures: Vec::new(),
        notes,
    }
}

/// One for each of so many deaths, spread over a script's interval.
fn delays(
    contender: Contender,
    means: Means,
    deaths: usize,
    notes: &mut Vec<String>,
) -> Vec<Duration> {
    let service = Service::new();
    let pair = Pair::new();
    let _router = start(contender, &pair, &service.config(contender, means));
    let deaths = u32::try_from(deaths).expect("a few hundred");
    let mut delays = Vec::new();
    for death in 0..deaths {
        let delay = service.dies(&pair, SCRIPT_EVERY * death / deaths);
        let Some(delay) = delay else {
            notes.push(format!("{}, {means:?}: no Master, or no end of it.", contender.name()));
            break;
        };
        delays.push(delay);
    }
    delays
}

fn start(contender: Contender, pair: &Pair, config: &str) -> Router {
    let words: &[&str] = match contender.program() {
        Program::Daemon => &["--iface", SEGMENT],
        Program::Keepalived => &[],
    };
    let (namespace, start) = (pair.node(Side::A).namespace(), Start { words, etc: None });
    Router::start_told_of_processes(contender.program(), namespace, config, &start)
}

/// A program under a name that no other process of the host has, and a script that looks for it.
#[derive(Debug)]
struct Service {
    name: String,
    directory: TempDir,
}

impl Service {
    fn new() -> Self {
        let name = format!("hab{}", std::process::id());
        let directory = TempDir::new("service");
        symlink("/bin/sleep", directory.path().join(&name)).expect("a directory of our own");
        let text = format!("#!/bin/sh\nexec grep -qsx {name} /proc/[0-9]*/comm\n");
        let script = directory.write("look.sh", &text);
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("our own file");
        Self { name, directory }
    }

    fn config(&self, contender: Contender, means: Means) -> String {
        let (block, word) = match means {
            Means::Tracked => {
                (format!("vrrp_track_process svc {{\n    process {}\n}}\n", self.name), "process")
            }
            Means::Script => (
                format!(
                    "vrrp_script svc {{\n    script {}/look.sh\n    interval {}\n    user root\n}}\n",
                    self.directory.path().display(),
                    SCRIPT_EVERY.as_secs(),
                ),
                "script",
            ),
        };
        let track = format!("    track_{word} {{\n        svc\n    }}\n");
        let instance = config::instance(Dialect::V3Multicast, Side::A, 100, &track);
        contender.globals().to_owned() + &block + &instance
    }

    /// Starts it, and kills it once the router is Master and has been for `since_master`. How long
    /// that router went on; `None` if it never began, or never ended.
    fn dies(&self, pair: &Pair, since_master: Duration) -> Option<Duration> {
        let mut process = self.start();
        let since = Stamp::now();
        let began = || pair.heard(SEGMENT, since).iter().any(|heard| heard.advert.priority > 0);
        let is_master = wait::holds_within(WITHIN, began);
        wait::through(since_master);
        let killed = Stamp::now();
        process.kill().expect("a child of ours");
        process.wait().expect("a child of ours");
        let is_end = |heard: &ha_tests::pair::Heard| heard.advert.priority == 0;
        let ended = wait::some_within(WITHIN, || {
            let heard = pair.heard(SEGMENT, killed);
            heard.iter().find(|heard| is_end(heard)).map(|heard| heard.at)
        });
        is_master.then_some(ended?.since(killed))
    }

    /// Runs for longer than any measurement.
    fn start(&self) -> Child {
        let mut command = Command::new(self.directory.path().join(&self.name));
        command.arg("600").spawn().expect("a program of our own")
    }
}
