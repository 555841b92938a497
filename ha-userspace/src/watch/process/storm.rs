//! A test: ten thousand short processes beside the one that counts, by the kernel's connector and by
//! looks. The connector is not to be had in the namespaces of `tests/tests/storms.rs`, which does
//! the same with BPF.

use std::{
    env, fs,
    os::unix::fs::symlink,
    process::{self, Child},
    time::Duration,
};

use ha_config::ProcessMatch;
use ha_core::Verdict;
use tokio::task::spawn_blocking;

use super::{pattern::tests::process, *};
use crate::io::connector::Connector;

const COUNT: u32 = 10_000;
/// More events, of three each, than the connector's queue has room for.
const TOO_MANY: u32 = 15_000;
/// A machine that does other things starts a hundred in a second.
const LONG: Duration = Duration::from_mins(3);

/// Processes of a name that nobody else has.
struct Service {
    directory: std::path::PathBuf,
    name: String,
}

impl Service {
    fn new(letter: char) -> Self {
        let name = format!("ha{letter}{}", process::id());
        let directory = env::temp_dir().join(format!("{name}-storm"));
        fs::create_dir(&directory).unwrap();
        symlink("/bin/sleep", directory.join(&name)).unwrap();
        Self { directory, name }
    }

    fn run(&self) -> Child {
        process::Command::new(self.directory.join(&self.name)).arg("600").spawn().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn storm(count: u32) {
    for _ in 0..count {
        assert!(process::Command::new("/bin/true").status().unwrap().success());
    }
}

async fn next(heard: &mut mpsc::Receiver<Command>) -> Verdict {
    let command = tokio::time::timeout(LONG, heard.recv()).await.unwrap().unwrap();
    let Command::Tracker { verdict, .. } = command else { panic!("{command:?}") };
    verdict
}

async fn the_right_one_counts(choice: ProcessEvents, letter: char) {
    let service = Service::new(letter);
    let tracked = process(&[&service.name], ProcessMatch::Name);
    let (commands, mut heard) = mpsc::channel(16);
    let (wanted, is_wanted) = watch::channel(Wanted::from([(TrackerId(0), tracked)]));
    let (_resets, reset) = mpsc::channel(1);
    let watching =
        tokio::spawn(
            async move { attend(Desk::default(), is_wanted, reset, &commands, choice).await },
        );
    let (up, down) = (Verdict::from(true), Verdict::from(false));
    let end = |mut one: Child| {
        one.kill().unwrap();
        one.wait().unwrap();
    };
    assert_eq!(next(&mut heard).await, down);
    let one = service.run();
    assert_eq!(next(&mut heard).await, up);
    let during = spawn_blocking(|| storm(COUNT));
    end(one);
    assert_eq!(next(&mut heard).await, down);
    let one = service.run();
    assert_eq!(next(&mut heard).await, up);
    during.await.unwrap();
    if choice != ProcessEvents::Scan {
        // Nobody else has a turn meanwhile: what is told of its end is lost.
        storm(TOO_MANY);
    }
    end(one);
    assert_eq!(next(&mut heard).await, down);
    drop(wanted);
    watching.await.unwrap();
    assert!(heard.recv().await.is_none(), "nothing else was thought");
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test says why it shows nothing")]
async fn by_the_connector() {
    if let Err(error) = Connector::open() {
        eprintln!("skipped: {error}");
        return;
    }
    the_right_one_counts(ProcessEvents::Connector, 'x').await;
}

#[tokio::test]
async fn by_looks() {
    the_right_one_counts(ProcessEvents::Scan, 'y').await;
}
