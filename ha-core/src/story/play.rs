//! Runs a story: an engine in time that the text gives, and what it decides, beside what the text
//! says that it decides.

use core::fmt;

use crate::story::{Fault, read::Step, run::Run, value::instant};

/// What the run of a story shows, in the order of its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told<'a> {
    /// A line of the story that is no decision.
    Line(&'a str),
    /// A decision of the engine, as a line.
    Decision(&'a str),
    /// The story has other decisions, if it has any at all.
    Difference(&'a Difference<'a>),
    /// Inputs are missing from here on, and decisions may differ.
    Lost {
        /// The line that says so.
        line: usize,
        /// How many.
        count: u64,
    },
}

/// Where the engine decides otherwise than the story says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference<'a> {
    /// The first line that differs; the step's, if none but what is missing does.
    pub line: usize,
    /// The step before.
    pub after: &'a str,
    /// What the story says, from the first line that differs to the last.
    pub expected: Vec<&'a str>,
    /// What the engine decided instead.
    pub decided: Vec<&'a str>,
}

/// `LINE: after the step`, then what is missing (`-`) and what is there instead (`+`).
impl fmt::Display for Difference<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: after `{}`", self.line, self.after)?;
        for line in &self.expected {
            writeln!(out, "  - {line}")?;
        }
        for line in &self.decided {
            writeln!(out, "  + {line}")?;
        }
        Ok(())
    }
}

/// Runs a story.
///
/// # Errors
/// The first line that cannot be read ends it.
pub fn play(text: &str, tell: &mut dyn FnMut(Told<'_>)) -> Result<(), Fault> {
    let has_decisions = text.lines().any(|line| is_decision(&words(line)));
    let mut player = Player { tell, has_decisions, place: Place::default(), run: Run::default() };
    for (number, line) in (1..).zip(text.lines()) {
        player.read(number, line).map_err(|text| Fault { line: number, text })?;
    }
    player.finish_step();
    player.tell_held();
    Ok(())
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn is_decision(words: &[&str]) -> bool {
    matches!(words, [first, "->", ..] if !first.starts_with('#') && *first != "---")
}

/// The reader of a story, and who listens.
struct Player<'t, 'f> {
    tell: &'f mut dyn FnMut(Told<'_>),
    /// Otherwise there is nothing to compare with.
    has_decisions: bool,
    place: Place<'t>,
    run: Run,
}

/// Where in the text it is.
#[derive(Default)]
struct Place<'t> {
    /// Comments and blank lines: they belong to the step after them.
    held: Vec<&'t str>,
    /// The last step.
    step: &'t str,
    /// The number of its line.
    number: usize,
    /// Decisions that the story says to follow it, with the numbers of their lines.
    expected: Vec<(usize, &'t str)>,
}

impl<'t> Player<'t, '_> {
    fn read(&mut self, number: usize, line: &'t str) -> Result<(), String> {
        let words = words(line);
        match words.as_slice() {
            [] => self.place.held.push(line),
            [first, ..] if first.starts_with('#') => self.place.held.push(line),
            ["---", ..] => {
                self.finish_step();
                self.tell_held();
                (self.tell)(Told::Line(line));
                self.run = Run::default();
            }
            words if is_decision(words) => self.place.expected.push((number, line)),
            words if self.run.configure(words)? => {
                self.tell_held();
                (self.tell)(Told::Line(line));
            }
            [time, step @ ..] => {
                let at = instant(time)?;
                let decided = self.run.decided.len();
                let result = self.run.advance(at);
                self.tell_decided(decided);
                result?;
                self.finish_step();
                self.tell_held();
                (self.tell)(Told::Line(line));
                (self.place.step, self.place.number) = (line, number);
                let step = self.run.setting.read_step(at, step)?;
                if let Step::Lost(count) = step {
                    (self.tell)(Told::Lost { line: number, count });
                }
                self.run.step(step)?;
                self.tell_decided(0);
            }
        }
        Ok(())
    }

    fn tell_held(&mut self) {
        for line in self.place.held.drain(..) {
            (self.tell)(Told::Line(line));
        }
    }

    /// Tells of the decisions from `from` on; they stay until the step is finished.
    fn tell_decided(&mut self, from: usize) {
        for decision in self.run.decided.iter().skip(from) {
            (self.tell)(Told::Decision(decision));
        }
    }

    /// Nothing more is decided before the next step: compares.
    fn finish_step(&mut self) {
        let decided = std::mem::take(&mut self.run.decided);
        let expected = std::mem::take(&mut self.place.expected);
        let is_same = |((_, expected), decided): &(&(usize, &str), &String)| expected == decided;
        let first = expected.iter().zip(&decided).take_while(is_same).count();
        if !self.has_decisions || first == expected.len() && first == decided.len() {
            return;
        }
        let (expected, decided) = (expected.iter().skip(first), decided.iter().skip(first));
        let pairs = expected.clone().rev().zip(decided.clone().rev());
        let last = pairs.take_while(is_same).count();
        let line = expected.clone().next().map_or(self.place.number, |(number, _)| *number);
        let (expected_len, decided_len) = (expected.len() - last, decided.len() - last);
        let difference = Difference {
            line,
            after: self.place.step,
            expected: expected.take(expected_len).map(|(_, line)| *line).collect(),
            decided: decided.take(decided_len).map(String::as_str).collect(),
        };
        (self.tell)(Told::Difference(&difference));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told besides lines and decisions.
    fn run(text: &str) -> (String, Vec<String>) {
        let (mut out, mut told_of) = (String::new(), Vec::new());
        play(text, &mut |told| match told {
            Told::Line(line) | Told::Decision(line) => out.extend([line, "\n"]),
            Told::Difference(difference) => told_of.push(difference.to_string()),
            Told::Lost { line, count } => told_of.push(format!("{line}: {count} lost")),
        })
        .unwrap();
        (out, told_of)
    }

    // RFC 9568 §6.1: Skew_Time 156/256 of a second, 3.609375 s in all; from the stamp of a frame that
    // was never read, whoever sent it.
    const RECORD: &str = "# of a Backup
recorded
instance VI_1
0ms source VI_1 198.51.100.11
0ms start
0ms -> VI_1 INIT -> BACKUP (ready)
0ms -> notify INSTANCE VI_1 BACKUP 100
3609.4ms due heard=10ms
3619.5ms due heard=10ms
3619.5ms -> advertise VI_1 100
3619.5ms -> addresses VI_1 present
3619.5ms -> announce VI_1 x5
3619.5ms -> VI_1 BACKUP -> MASTER (heard nobody, down at 3619.375ms)
3619.5ms -> notify INSTANCE VI_1 MASTER 100
# stopped
9s end
";

    #[test]
    fn a_record_has_its_deadlines_when_it_says_so() {
        assert_eq!(run(RECORD), (RECORD.to_owned(), Vec::new()));
    }

    #[test]
    fn a_record_without_decisions_gets_them_and_differs_from_nothing() {
        let lines = RECORD.lines().filter(|line| !line.contains("->"));
        let inputs: String = lines.flat_map(|line| [line, "\n"]).collect();
        assert_eq!(run(&inputs), (RECORD.to_owned(), Vec::new()));
    }

    #[test]
    fn what_is_decided_otherwise_is_shown_with_its_place() {
        let other = RECORD.replace("announce VI_1 x5", "announce VI_1 x4");
        let (out, told) = run(&other);
        assert_eq!(out, RECORD);
        let changed = "12: after `3619.5ms due heard=10ms`\n  - 3619.5ms -> announce VI_1 x4\n  \
                       + 3619.5ms -> announce VI_1 x5\n";
        assert_eq!(told, [changed]);

        let fewer = RECORD.replace("3619.5ms -> notify INSTANCE VI_1 MASTER 100\n", "");
        let missing = "9: after `3619.5ms due heard=10ms`\n  \
                       + 3619.5ms -> notify INSTANCE VI_1 MASTER 100\n";
        assert_eq!(run(&fewer), (RECORD.to_owned(), vec![missing.to_owned()]));
        let more = RECORD.replace("9s end\n", "9s end\n9s -> announce VI_1 x5\n");
        let surplus = "17: after `9s end`\n  - 9s -> announce VI_1 x5\n";
        assert_eq!(run(&more), (RECORD.to_owned(), vec![surplus.to_owned()]));
    }

    #[test]
    fn missing_inputs_are_told_of() {
        let lost = RECORD.replace("9s end", "9s lost 3");
        assert_eq!(run(&lost), (lost, vec!["16: 3 lost".to_owned()]));
    }

    const NO_NEXT: &str =
        "expected a step: what is run is said before the first one, or after `next`";

    #[test]
    fn a_reload_may_be_the_first_step() {
        let text = "instance VI_1\nnext\ninstance VI_2\n1s reload\n1s show VI_2\n";
        let shown = "1000ms -> VI_2 is INIT, priority 100, no timer\n";
        assert_eq!(run(text), (format!("{text}{shown}"), Vec::new()));
    }

    #[test]
    fn what_comes_next_may_not_be_less() {
        for (lines, expected) in [
            ("next\n9s reload", "expected as many instances as before, at least"),
            ("next\nrecorded", "expected a time like 1s or 609.375ms, found `recorded`"),
            ("next\nretired VI_2", "expected an instance of this story, found `VI_2`"),
        ] {
            let fault = play(&RECORD.replace("9s end", lines), &mut |_| {}).unwrap_err();
            assert_eq!(fault, Fault { line: 17, text: expected.to_owned() }, "{lines}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error_with_its_number() {
        for (line, expected) in [
            ("9 end", "expected a time like 1s or 609.375ms, found `9`"),
            ("1s end", "expected a time from 3619.5ms on: time does not run backwards"),
            ("9s late 1s", "expected a step of a recorded story, found `late 1s`"),
            ("9s due 1s", "expected heard=TIME, found `1s`"),
            ("9s track eth0 up", "expected a tracker of this story, found `eth0`"),
            ("9s show VI_2", "expected an instance of this story, found `VI_2`"),
            ("9s source VI_1 here", "expected an IP address or `none`, found `here`"),
            ("9s addresses VI_1 gone", "expected usable, unusable or missing, found `gone`"),
            (
                "9s frame VI_1 from 192.0.2.1 stamp=9s hex=3",
                "expected bytes as pairs of hexadecimal digits, found `3`",
            ),
            ("9s advert #9 from 192.0.2.1 priority 1", "the instance is not in this story"),
            ("9s advert VI_1 from 192.0.2.1 priority 1 byte=99:1", "the message has no such byte"),
            ("instance VI_2", NO_NEXT),
            ("instance VI_1", "expected a new instance's name, found `VI_1`"),
            ("tracker eth0", NO_NEXT),
            ("restart VI_1", "expected a time like 1s or 609.375ms, found `restart`"),
            ("9s reload", "expected `next` and what is run from then on, and nobody asleep"),
            ("9s stop_for", "expected `next` and what is run from then on, and nobody asleep"),
        ] {
            let fault = play(&RECORD.replace("9s end", line), &mut |_| {}).unwrap_err();
            assert_eq!(fault, Fault { line: 16, text: expected.to_owned() }, "{line}");
        }
        let played = "instance VI_1 colour=red\n";
        let fault = play(played, &mut |_| {}).unwrap_err();
        assert_eq!(fault.text, "expected a word about an instance, found `colour`");
        let fault = play("instance VI_1\n0s due\n", &mut |_| {}).unwrap_err();
        let expected = "expected a step of a story that is not `recorded`, found `due`";
        assert_eq!(fault, Fault { line: 2, text: expected.to_owned() });
    }
}
