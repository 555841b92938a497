//! Which processes a `vrrp_track_process` means. Pure.
//!
//! What is compared with what was found by asking keepalived 2.2.7, where its manual leaves it open.

use ha_config::{Process, ProcessMatch};

/// Bytes of a name that the kernel keeps (`TASK_COMM_LEN` without its zero).
pub(super) const NAME_BYTES: usize = 15;

/// The words of a command, in the form in which `/proc/PID/cmdline` has them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern {
    matching: ProcessMatch,
    /// Each word with a zero behind it.
    words: Vec<u8>,
    /// Bytes of the first word, without its zero.
    name_len: usize,
    is_alone: bool,
}

impl Pattern {
    pub(super) fn new(process: &Process) -> Self {
        let mut words = Vec::new();
        for word in &process.command {
            words.extend_from_slice(word.as_bytes());
            words.push(0);
        }
        Self {
            matching: process.matching,
            words,
            name_len: process.command.first().map_or(0, String::len),
            is_alone: process.command.len() == 1,
        }
    }

    /// Whether a process is meant that is called `name` and was started by `command_line`.
    pub(super) fn matches(&self, name: &[u8], command_line: &[u8]) -> bool {
        match self.matching {
            ProcessMatch::Name => Some(name) == self.name(),
            // Any parameters, as there is nothing to compare them with.
            ProcessMatch::Command | ProcessMatch::Partial | ProcessMatch::Initial
                if self.is_alone =>
            {
                command_line.starts_with(&self.words)
            }
            ProcessMatch::Command => command_line == self.words,
            ProcessMatch::Partial => command_line.starts_with(&self.words),
            ProcessMatch::Initial => {
                let unfinished = self.words.strip_suffix(&[0]).unwrap_or_default();
                command_line.starts_with(unfinished)
            }
        }
    }

    /// What the kernel calls the processes, if that is what is compared.
    pub(super) fn name(&self) -> Option<&[u8]> {
        let is_name = self.matching == ProcessMatch::Name;
        self.words.get(..self.name_len.min(NAME_BYTES)).filter(|_| is_name)
    }

    /// The command itself, as typed, if command lines are compared.
    pub(super) fn command(&self) -> Option<&[u8]> {
        let is_command = self.matching != ProcessMatch::Name;
        self.words.get(..self.name_len).filter(|_| is_command)
    }

    /// Bytes of a command line that decide; 0 if it is not looked at.
    pub(super) fn command_line_bytes(&self) -> usize {
        // One more shows that there is more.
        if self.command().is_some() { self.words.len().saturating_add(1) } else { 0 }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use core::time::Duration;

    use ha_config::{Place, Weight};

    use super::*;

    /// A process of one that is enough, without delays.
    pub(in crate::watch::process) fn process(command: &[&str], matching: ProcessMatch) -> Process {
        Process {
            name: "web".to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            matching,
            weight: Weight::default(),
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
            restarts: None,
            place: Place::line(1),
        }
    }

    const RUNNING: [(&str, &str); 5] = [
        ("sleep", "sleep\x001000\0"),
        ("sleep", "/tmp/sleep\x001000\0"),
        ("sleep", "sleep\x001000\x0020\0"),
        ("averyveryverylo", "./averyveryverylongname\x001000\0"),
        ("sh", "sh\0-c\0sleep 77; true\0"),
    ];

    /// Which of [`RUNNING`] are meant.
    #[track_caller]
    fn check(command: &[&str], matching: ProcessMatch, expected: &[usize]) {
        let pattern = Pattern::new(&process(command, matching));
        let meant: Vec<usize> = (0..RUNNING.len())
            .filter(|place| {
                let (name, line) = RUNNING[*place];
                pattern.matches(name.as_bytes(), line.as_bytes())
            })
            .collect();
        assert_eq!(meant, expected, "{command:?}");
    }

    /// The numbers are keepalived 2.2.7's "Current processes" with these processes running.
    #[test]
    fn as_keepalived_counts() {
        use ProcessMatch::{Command, Initial, Name, Partial};
        check(&["sleep"], Name, &[0, 1, 2]);
        check(&["/tmp/sleep"], Name, &[]);
        check(&["/tmp/sleep"], Command, &[1]);
        check(&["sleep", "1000"], Command, &[0]);
        check(&["/tmp/sleep", "1000"], Command, &[1]);
        check(&["sleep"], Initial, &[0, 2]);
        check(&["sleep"], Partial, &[0, 2]);
        check(&["slee"], Initial, &[]);
        check(&["sleep", "10"], Initial, &[0, 2]);
        check(&["sleep", "1000", "2"], Initial, &[2]);
        check(&["sleep", "1000"], Partial, &[0, 2]);
        check(&["sleep", "10"], Partial, &[]);
        check(&["sh", "-c", "sleep 77; true"], Command, &[4]);
        check(&["averyveryverylo"], Name, &[3]);
    }

    /// keepalived finds nothing then.
    #[test]
    fn of_a_long_name_the_first_bytes_count() {
        check(&["averyveryverylongname"], ProcessMatch::Name, &[3]);
    }

    #[test]
    fn what_decides_is_all_that_is_read() {
        let pattern = Pattern::new(&process(&["sleep", "1000"], ProcessMatch::Command));
        assert_eq!(pattern.command_line_bytes(), 12);
        assert_eq!(pattern.command(), Some(&b"sleep"[..]));
        assert_eq!(pattern.name(), None);
        let pattern = Pattern::new(&process(&["sleep"], ProcessMatch::Name));
        assert_eq!(pattern.command_line_bytes(), 0);
        assert_eq!(pattern.name(), Some(&b"sleep"[..]));
    }
}
