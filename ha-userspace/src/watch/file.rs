//! `track_file`: a number in a file, which the weight is multiplied with.
//!
//! What the kernel tells of the file is only ever a reason to read it again, so nothing depends on
//! how many events there were, in which order, or whether some were lost.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ha_config::{InitFile, TrackedFile};
use ha_core::{TrackerId, Verdict};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::timeout,
};
use tracing::{info, warn};

use crate::{
    engine::{Command, Words},
    io::file_events::FileEvents,
};

/// More of a file is not looked at: a number is shorter.
const BYTES_MAX: u64 = 128;
/// A file whose directory cannot be watched is read as often. One that can be is read again after
/// as long, for what inotify does not see: another host's write on a shared file system, another
/// target of a link on the way.
const UNWATCHED: Duration = Duration::from_secs(1);
const WATCHED: Duration = Duration::from_secs(10);
/// What happens at once is read once.
const SETTLE: Duration = Duration::from_millis(1);

/// The number that the file has, or will have as soon as it is watched.
pub(super) fn look(file: &TrackedFile) -> i32 {
    let path = Path::new(&file.path);
    let is_written = |init: &InitFile| init.overwrite || !path.exists();
    match file.init.filter(is_written) {
        Some(init) => init.value,
        None => read(path).unwrap_or(0),
    }
}

pub(super) fn words(value: i32) -> Words {
    Words::new(&format!("its value is {value}"))
}

/// Tells the number in `file` whenever it changes; ends when nobody listens.
pub(super) async fn watch(
    file: TrackedFile,
    tracker: TrackerId,
    commands: mpsc::Sender<Command>,
    tell: watch::Sender<Option<i32>>,
) {
    let TrackedFile { name, path, init, .. } = file;
    let path = PathBuf::from(path);
    if let Some(init) = init {
        let (at, name) = (path.clone(), name.clone());
        let written = spawn_blocking(move || initialise(&at, init)).await;
        if let Ok(Err(error)) = written {
            warn!("file {name}: cannot write {}: {error}", path.display());
        }
    }
    let mut known = None;
    let mut trouble = None;
    loop {
        // Before reading: what changes meanwhile is an event then.
        let events = FileEvents::open(&path);
        let at = path.clone();
        let read =
            spawn_blocking(move || read(&at)).await.unwrap_or_else(|gone| Err(gone.to_string()));
        let value = match read {
            Ok(value) => {
                trouble = None;
                value
            }
            // What makes no sense changes nothing.
            Err(error) => {
                if trouble.as_ref() != Some(&error) {
                    let stays = known.unwrap_or(0);
                    warn!("file {name}: {} {error}: its value stays {stays}", path.display());
                    trouble = Some(error);
                }
                known.unwrap_or(0)
            }
        };
        if known != Some(value) {
            if known.is_some() {
                info!("file {name}: its value is {value}");
            }
            known = Some(value);
            tell.send_replace(known);
            let (verdict, words) = (Verdict::Value(value), words(value));
            if commands.send(Command::Tracker { tracker, verdict, words }).await.is_err() {
                return;
            }
        }
        match events {
            Ok(events) => {
                if timeout(WATCHED, events.next()).await.is_ok() {
                    pause(SETTLE).await;
                }
            }
            Err(_) => pause(UNWATCHED).await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a second look at a file may be late")]
async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// `init_file [VALUE] [overwrite]`.
fn initialise(path: &Path, InitFile { value, overwrite }: InitFile) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // The daemon may be root: it must not be led to another file.
    options.write(true).mode(0o644).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    if overwrite {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    match options.open(path) {
        Ok(mut file) => writeln!(file, "{value}"),
        Err(error) if !overwrite && error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The number at the beginning of the file. As for keepalived, no file and no text are 0.
fn read(path: &Path) -> Result<i32, String> {
    let mut options = OpenOptions::new();
    // Not to be held up by a pipe without a writer.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(format!("cannot be read ({error})")),
    };
    read_text(&file)
        .map_err(|error| format!("cannot be read ({error})"))
        .and_then(|text| value(&text))
}

fn read_text(file: &File) -> io::Result<String> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As strtol(3) of base 0 reads it: space, a sign, `0x` for hexadecimal, `0` for octal; what follows
/// is not looked at.
fn value(text: &str) -> Result<i32, String> {
    let text = text.trim_start();
    if text.is_empty() {
        return Ok(0);
    }
    let (is_negative, digits) = match text.split_at_checked(1) {
        Some(("-", rest)) => (true, rest),
        Some(("+", rest)) => (false, rest),
        Some(_) | None => (false, text),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = match hexadecimal {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_hexdigit()) => (16, rest),
        None if digits.starts_with('0') => (8, digits),
        Some(_) | None => (10, digits),
    };
    let end = digits.find(|letter: char| !letter.is_digit(radix)).unwrap_or(digits.len());
    let number = digits.get(..end).unwrap_or_default();
    if number.is_empty() {
        return Err("does not begin with a number".to_owned());
    }
    let too_large = || "has a number of more than 32 bits".to_owned();
    let number = i64::from_str_radix(number, radix).ok().ok_or_else(too_large)?;
    i32::try_from(if is_negative { -number } else { number }).ok().ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read off the wire of keepalived 2.2.7, as far as it takes them.
    #[test]
    fn numbers_are_read_as_keepalived_reads_them() {
        let known = [
            ("5\n", 5),
            ("7", 7),
            ("", 0),
            ("\n", 0),
            (" 9 rest\n", 9),
            ("0x10\n", 16),
            ("-127\n", -127),
            ("010", 8),
            ("0", 0),
            ("0x", 0),
        ];
        for (text, number) in known {
            assert_eq!(value(text), Ok(number), "{text:?}");
        }
        for text in ["garbage", "-", "99999999999999", "2147483648", "99999999999999999999999"] {
            assert!(value(text).is_err(), "{text}");
        }
    }
}
