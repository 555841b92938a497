//! Any text as a record from the field: played or refused, never a panic; and played again with the
//! decisions that it got, it gets the same ones.

#![no_main]

use ha_core::story::{Told, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // `--- title` begins another story.
    for story in text.split("---") {
        let (title, steps) = story.split_once('\n').unwrap_or((story, ""));
        check(if title.starts_with(' ') { steps } else { story });
    }
});

fn check(story: &str) {
    // Otherwise the engine runs for as long as the text says: for centuries, if it likes.
    let mut told = "recorded\n".to_owned();
    let story = told.clone() + story;
    let played = play(&story, &mut |what| match what {
        Told::Line(line) if line != "recorded" => told.extend([line, "\n"]),
        Told::Decision(line) => told.extend([line, "\n"]),
        Told::Line(_) | Told::Difference(_) | Told::Lost { .. } => {}
    });
    if played.is_ok() {
        let again = play(&told, &mut |what| {
            assert!(!matches!(what, Told::Difference(_)), "{what:?} in\n{told}");
        });
        assert_eq!(again, Ok(()), "{told}");
    }
}
