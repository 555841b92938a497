//! What `/proc` shows of a process (proc(5)).

use std::{
    fs::{self, File},
    io::{self, Read as _},
};

/// More than any `/proc/PID/stat` has.
const STAT_BYTES_MAX: u64 = 4096;
/// The first thread ends (`linux/sched.h`).
const PF_EXITING: u32 = 4;

/// A process that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sight {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// At most 15 bytes.
    pub(super) name: Vec<u8>,
    /// Its words, each with a zero behind it, as far as they were asked for.
    pub(super) command_line: Vec<u8>,
}

impl Sight {
    /// `None` if it does not run (any more). Of its command line `command_line_bytes` are read.
    pub(super) fn of(pid: u32, command_line_bytes: usize) -> Option<Self> {
        let stat = read(&format!("/proc/{pid}/stat"), STAT_BYTES_MAX)?;
        let Stat { name, parent, runs } = Stat::decode(&stat)?;
        let mut command_line = Vec::new();
        if command_line_bytes > 0 {
            let limit = u64::try_from(command_line_bytes).unwrap_or(u64::MAX);
            command_line = read(&format!("/proc/{pid}/cmdline"), limit)?;
            // A process that has written over its own need not have left one.
            if command_line.len() < command_line_bytes && command_line.last() != Some(&0) {
                command_line.push(0);
            }
        }
        runs.then(|| Self { pid, parent, name: name.to_vec(), command_line })
    }
}

/// The numbers of all processes.
///
/// # Errors
/// `/proc` cannot be read.
pub(super) fn pids() -> io::Result<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

fn read(path: &str, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

struct Stat<'a> {
    name: &'a [u8],
    parent: u32,
    runs: bool,
}

impl<'a> Stat<'a> {
    fn decode(stat: &'a [u8]) -> Option<Self> {
        let open = stat.iter().position(|byte| *byte == b'(')?;
        // A name may have anything in it, this too.
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let name = stat.get(open.checked_add(1)?..close)?;
        let rest = str::from_utf8(stat.get(close.checked_add(1)?..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let flags: u32 = fields.nth(4)?.parse().ok()?;
        let threads: u32 = fields.nth(10)?.parse().ok()?;
        // Its end may have been told already, although it is still to be seen.
        let is_exiting = flags & PF_EXITING != 0;
        let runs = match state {
            // A zombie whose other threads go on is none: its first thread alone has ended.
            "Z" => threads > 1,
            "X" | "x" => false,
            _ => threads > 1 || !is_exiting,
        };
        Some(Self { name, parent, runs })
    }
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    fn decode(stat: &str) -> Option<(String, u32, bool)> {
        let Stat { name, parent, runs } = Stat::decode(stat.as_bytes())?;
        Some((String::from_utf8(name.to_vec()).unwrap(), parent, runs))
    }

    /// A line of Linux 6.18, with other names, states and numbers of threads.
    #[test]
    fn a_line_of_stat() {
        let line = |name: &str, state: &str, threads: u32| {
            format!(
                "4242 ({name}) {state} 17 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 {threads} 0 \
                 90210 8388608 512 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0"
            )
        };
        let found = |name: &str, runs| Some((name.to_owned(), 17, runs));
        assert_eq!(decode(&line("nginx", "S", 1)), found("nginx", true));
        assert_eq!(decode(&line("a) R 1 (b", "R", 4)), found("a) R 1 (b", true));
        assert_eq!(decode(&line("nginx", "Z", 1)), found("nginx", false));
        assert_eq!(decode(&line("nginx", "Z", 3)), found("nginx", true));
        assert_eq!(decode(&line("nginx", "X", 1)), found("nginx", false));
        for broken in ["", "4242", "4242 (x", "4242 (x) S", ")("] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn this_process_is_seen_and_one_that_cannot_be_is_not() {
        let own = Sight::of(process::id(), 1 << 16).unwrap();
        let first = std::env::args().next().unwrap();
        assert!(own.command_line.starts_with(format!("{first}\0").as_bytes()));
        assert!(pids().unwrap().any(|pid| pid == process::id()));
        assert_eq!(Sight::of(u32::MAX, 0), None);
    }
}
