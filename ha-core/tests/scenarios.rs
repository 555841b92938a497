//! Scenarios: what happens to the engine, and what it must do, as text in virtual time.
//!
//! Each `scenarios/*.txt` holds scripts and the expected decisions in one text, in the form of
//! `ha_core::story`, so that an operator can read them. `UPDATE_EXPECT=1` rewrites the decisions, and
//! the diff is to be reviewed against the RFC's arithmetic, never against what the engine printed before.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test's own files; what is wrong with them shall stop it"
)]

use std::{env, fs, path::Path};

use ha_core::story::{Told, play};

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_file_is_listed() {
            let mut files: Vec<String> = fs::read_dir(folder())
                .expect("the scenarios' directory")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
                .collect();
            files.sort();
            let mut listed = vec![$(format!("{}.txt", stringify!($name))),*];
            listed.sort();
            assert_eq!(files, listed);
        }
    };
}

scenarios! {
    absorbed,
    announcements,
    backup,
    groups,
    late_backup,
    late_master,
    master,
    notices,
    orders,
    preempt_delay,
    preemption,
    recorded,
    rejected,
    reload,
    removed_addresses,
    start_and_stop,
    startup_delay,
    timers,
    tracking,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
}

/// Runs a file and compares it with itself, expected lines included.
fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let expected = fs::read_to_string(&path).expect("a scenario file");
    let (mut actual, mut differences) = (String::new(), Vec::new());
    let played = play(&expected, &mut |told| match told {
        Told::Line(line) | Told::Decision(line) => actual.extend([line, "\n"]),
        Told::Difference(difference) => differences.push(format!("{name}.txt:{difference}")),
        Told::Lost { line, count } => panic!("{name}.txt:{line}: {count} inputs are missing"),
    });
    played.unwrap_or_else(|fault| panic!("{name}.txt:{}: {}", fault.line, fault.text));
    if actual == expected {
        return;
    }
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, actual).expect("a writable scenario file");
        return;
    }
    if differences.is_empty() {
        differences.push("comments and blank lines stand before a step, or at the end".to_owned());
    }
    panic!("{name}.txt: `-` is expected, `+` is what happened\n{}", differences.concat());
}
