//! The client's end of the control socket: finds the daemon, asks, prints.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    history_table,
    protocol::{Request, parse_answer},
    server::is_socket,
    table,
};
use crate::{cli::print, run_files};

/// The daemon reads a configuration in this time, or it is stuck.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// Ten thousand instances need less.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
const WATCH_PAUSE: Duration = Duration::from_secs(1);
/// Clears a terminal and goes to its first line (ECMA-48 §8.3.21, §8.3.39).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A running daemon, from outside.
#[derive(Debug)]
pub(crate) struct Client(PathBuf);

impl Client {
    /// The daemon behind `socket`, else the only one whose files are in `directory` or, one for each
    /// network namespace, below it.
    ///
    /// # Errors
    /// One sentence: there is none, or there are several.
    pub(crate) fn find(socket: Option<PathBuf>, directory: &Path) -> Result<Self, String> {
        if let Some(path) = socket {
            return Ok(Self(path));
        }
        let directory_name = directory.display();
        let sockets = sockets_in(directory).map_err(|error| {
            format!(
                "{directory_name}: {error}: is the daemon running? --run-dir or --socket say where"
            )
        })?;
        match sockets.as_slice() {
            [] => Err(format!(
                "no daemon in {directory_name}: is it running? --run-dir or --socket say where"
            )),
            [one] => Ok(Self(one.clone())),
            several => {
                let names = several.iter().map(|path| path.display().to_string());
                let names = names.collect::<Vec<_>>().join(", ");
                Err(format!("several daemons run: choose one by --socket: {names}"))
            }
        }
    }

    /// Prints how things are: all of it, or of one instance or sync group.
    ///
    /// # Errors
    /// One sentence.
    pub(crate) fn status(
        &self,
        name: Option<&str>,
        form: Form,
        watches: bool,
    ) -> Result<(), String> {
        let is_screen = watches && form == Form::Table && io::stdout().is_terminal();
        loop {
            let status = self.ask_status()?;
            let text = match form {
                Form::Table => table::status(&status, name)?,
                Form::Json => format!("{status}\n"),
            };
            print(&if is_screen { format!("{CLEAR}{text}") } else { text })?;
            if !watches {
                return Ok(());
            }
            thread::park_timeout(WATCH_PAUSE);
        }
    }

    /// How things are: the document of docs/status.md.
    ///
    /// # Errors
    /// One sentence.
    pub(crate) fn ask_status(&self) -> Result<Value, String> {
        self.ask(&Request::Status, "status")
    }

    /// What has happened.
    ///
    /// # Errors
    /// One sentence.
    pub(crate) fn history(&self) -> Result<Value, String> {
        self.ask(&Request::History, "history").map_err(|error| {
            format!(
                "{error}; `history --file FILE` reads what a daemon wrote with `--history FILE`"
            )
        })
    }

    /// Has the daemon do something, and prints what came of it.
    ///
    /// # Errors
    /// One sentence: why not.
    pub(crate) fn order(&self, request: &Request) -> Result<(), String> {
        let done = self.ask(request, "done")?;
        print(&format!("{}\n", done.as_str().unwrap_or_default()))
    }

    /// What is in the answer's member `name`.
    fn ask(&self, request: &Request, name: &str) -> Result<Value, String> {
        let path = self.0.display();
        let failed = |error: io::Error| {
            if error.kind() == io::ErrorKind::PermissionDenied {
                format!(
                    "{path}: only root may ask, and members of the group that the daemon was given \
                     with --control-group"
                )
            } else if error.kind() == io::ErrorKind::WouldBlock {
                format!("{path}: the daemon does not answer")
            } else {
                format!("{path}: {error}: is the daemon running?")
            }
        };
        let answer = exchange(&self.0, request).map_err(failed)?;
        if answer.is_empty() {
            return Err(format!("{path}: the daemon has ended the connection"));
        }
        parse_answer(&answer, name)
    }
}

fn exchange(path: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let mut answer = Vec::new();
    // One that is sent away at once is told why, and may not be listened to any more.
    let sent = stream.write_all(request.line().as_bytes());
    stream.shutdown(std::net::Shutdown::Write).ok();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    if answer.is_empty() {
        sent?;
    }
    Ok(answer)
}

/// Prints what has happened to `name`, an instance or a sync group, or to all.
///
/// # Errors
/// One sentence.
pub(crate) fn print_history(
    mut history: Value,
    name: Option<&str>,
    form: Form,
) -> Result<(), String> {
    match form {
        Form::Table => print(&history_table::history(&history, name)),
        Form::Json => {
            if let Some(entries) = history.get_mut("entries").and_then(Value::as_array_mut) {
                entries.retain(|entry| history_table::is_about(entry, name));
            }
            print(&format!("{history}\n"))
        }
    }
}

/// Sockets of daemons in `directory`, and in its directories.
fn sockets_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut sockets = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if run_files::is_control(&path) && is_socket(&path) {
            sockets.push(path);
        } else if path.is_dir() {
            // What may not be read is not one's own.
            let within = fs::read_dir(&path).into_iter().flatten().flatten();
            let within = within.map(|entry| entry.path());
            sockets.extend(within.filter(|path| run_files::is_control(path) && is_socket(path)));
        }
    }
    sockets.sort_unstable();
    Ok(sockets)
}
