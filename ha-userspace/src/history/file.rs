//! The history on disk: lines of JSON, written by a thread of its own, because a disk may stall.

use std::{
    convert::Infallible,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tracing::warn;

/// A file of this size is renamed to `FILE.old`, and the one before it is gone.
const BYTES_MAX: u64 = 1 << 20;
/// A line that is being written when that size is reached.
const SLACK_BYTES: u64 = 64 << 10;
/// Lines that wait for the disk; more is not written.
const WAITING_MAX: usize = 1_024;

/// The writing of the last ones is waited for as long.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Debug)]
pub(super) struct HistoryFile {
    /// `None` at the end.
    lines: Option<SyncSender<Arc<str>>>,
    /// Ends when all is written.
    is_over: Receiver<Infallible>,
    lost: u64,
}

impl HistoryFile {
    /// Opens the file at `path`, and gives back what is in it and in the one before it.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<String>)> {
        let failed = |error: io::Error| {
            let what = if error.kind() == io::ErrorKind::NotFound {
                "its directory is not there: make it".to_owned()
            } else {
                error.to_string()
            };
            io::Error::new(error.kind(), format!("the history file {}: {what}", path.display()))
        };
        let before = read_both(path).map_err(failed)?;
        let mut writer = Writer::open(path).map_err(failed)?;
        let (lines, waiting) = mpsc::sync_channel::<Arc<str>>(WAITING_MAX);
        let (running, is_over) = mpsc::channel();
        thread::Builder::new().name("ha-history".to_owned()).spawn(move || {
            let _running = running;
            let mut is_told = false;
            for line in waiting {
                match writer.write(&line) {
                    Ok(()) => is_told = false,
                    Err(error) if !is_told => {
                        warn!(
                            "cannot write to the history file {}: {error}",
                            writer.path.display()
                        );
                        is_told = true;
                    }
                    Err(_) => {}
                }
            }
        })?;
        Ok((Self { lines: Some(lines), is_over, lost: 0 }, before))
    }

    /// Has a line written, unless too many wait.
    pub(super) fn add(&mut self, line: Arc<str>) {
        let Some(lines) = &self.lines else { return };
        if lines.try_send(line).is_err() {
            self.lost += 1;
            // At the first and then ever more seldom.
            if self.lost.is_power_of_two() {
                warn!("{} entries are missing in the history file: its disk is slow", self.lost);
            }
        }
    }
}

/// The last lines are waited for, but a disk that stalls does not hold up the end.
impl Drop for HistoryFile {
    fn drop(&mut self) {
        self.lines = None;
        // Nobody sends: it is the end of the thread, or of the patience.
        self.is_over.recv_timeout(LAST_LINES).ok();
    }
}

struct Writer {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The last line may not be whole: the disk was full.
    is_cut: bool,
}

impl Writer {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        let mut writer = Self { path: path.to_owned(), file, bytes, is_cut: false };
        // A line that a power failure has cut must not spoil the next one.
        writer.put(b"\n")?;
        Ok(writer)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.bytes >= BYTES_MAX {
            fs::rename(&self.path, old(&self.path))?;
            *self = Self::open(&self.path)?;
        }
        // Else what follows a piece of a line would be lost with it.
        let begin = if self.is_cut { "\n" } else { "" };
        self.put(format!("{begin}{line}\n").as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.is_cut = true;
        self.file.write_all(bytes)?;
        self.is_cut = false;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// The entries in the file at `path`, behind those in the one before it.
pub(super) fn read_both(path: &Path) -> io::Result<Vec<String>> {
    let mut entries = read(&old(path))?;
    entries.extend(read(path)?);
    Ok(entries)
}

/// The entries in a file, if there is one. Of what is none, as a line that a power failure has cut, the
/// log says how many lines there are.
fn read(path: &Path) -> io::Result<Vec<String>> {
    let (entries, others) = entries_in(path)?;
    if others > 0 {
        warn!(
            "the history file {}: left out what is no entry, as the last one before a power \
             failure or on a full disk: {others} of its lines",
            path.display()
        );
    }
    Ok(entries)
}

/// The entries, and how many lines are none.
fn entries_in(path: &Path) -> io::Result<(Vec<String>, usize)> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + SLACK_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let is_entry =
        |line: &&str| serde_json::from_str(line).is_ok_and(|entry: Value| entry.is_object());
    // Each start has left an empty one.
    let lines = text.lines().filter(|line| !line.is_empty());
    let (entries, others): (Vec<&str>, Vec<&str>) = lines.partition(is_entry);
    Ok((entries.into_iter().map(str::to_owned).collect(), others.len()))
}

fn old(path: &Path) -> PathBuf {
    let mut old = OsString::from(path);
    old.push(".old");
    old.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_again_also_behind_what_is_cut_and_what_was_renamed() {
        let directory = std::env::temp_dir().join(format!("ha-history-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("history");
        fs::write(&path, "{\"a\":1}\n7\n{\"cut").unwrap();
        let mut writer = Writer::open(&path).unwrap();
        writer.write("{\"b\":2}").unwrap();
        let whole = ["{\"a\":1}", "{\"b\":2}"].map(str::to_owned);
        assert_eq!(entries_in(&path).unwrap(), (whole.to_vec(), 2));
        writer.bytes = BYTES_MAX;
        writer.write("{\"c\":3}").unwrap();
        assert_eq!(read(&path).unwrap(), ["{\"c\":3}"]);
        let (_, all) = HistoryFile::open(&path).unwrap();
        assert_eq!(all, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
        assert!(HistoryFile::open(&directory).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_follows_a_full_disk_is_a_line_of_its_own() {
        let path = std::env::temp_dir().join(format!("ha-history-full-{}", std::process::id()));
        let mut writer = Writer::open(&path).unwrap();
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        std::mem::swap(&mut writer.file, &mut full);
        writer.write("{\"lost\":1}").unwrap_err();
        std::mem::swap(&mut writer.file, &mut full);
        // As much as there was room for.
        writer.file.write_all(b"{\"lo").unwrap();
        writer.write("{\"a\":1}").unwrap();
        writer.write("{\"b\":2}").unwrap();
        let whole = ["{\"a\":1}", "{\"b\":2}"].map(str::to_owned);
        assert_eq!(entries_in(&path).unwrap(), (whole.to_vec(), 1));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_disk_that_stalls_holds_nobody_up() {
        let (lines, _waiting) = mpsc::sync_channel(1);
        let (_, is_over) = mpsc::channel();
        let mut file = HistoryFile { lines: Some(lines), is_over, lost: 0 };
        file.add("1".into());
        file.add("2".into());
        file.add("3".into());
        assert_eq!(file.lost, 2);
    }
}
