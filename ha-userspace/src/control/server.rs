//! The server's end of the control socket: who may connect, how many, how much and for how long.
//!
//! Threads that wait for whoever is at the other end: nothing else in the daemon waits for them.

use std::{
    fs,
    io::{self, BufWriter, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{
            fs::{MetadataExt as _, PermissionsExt as _, chown},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket,
        sockopt::PeerCredentials,
    },
    unistd::Group,
};
use tracing::warn;

use super::{
    Answer, Asker, Questions,
    line::OneLine,
    protocol::{REQUEST_BYTES_MAX, Request, VERSION, done, refusal},
};
use crate::clock;

/// Connections at a time.
pub(super) const CONNECTIONS_MAX: usize = 16;
/// Of these, who is not root gets so many at most: root is never kept out by readers.
const READERS_MAX: usize = 12;
/// For a whole request, from the end of the one before.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// For each part of an answer that the other end has to take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Before it is said that only root may do that.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);
/// After an error in accepting: most are of want, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the socket is made.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) path: PathBuf,
    /// Whose members may read, beside root.
    pub(crate) group: Option<String>,
}

/// The socket, while the daemon runs.
#[derive(Debug)]
pub(crate) struct ControlServer {
    path: PathBuf,
    /// Device and number of the socket's file.
    file: (u64, u64),
}

impl ControlServer {
    /// Makes the socket and begins to serve.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn start(opening: &Opening, questions: Questions) -> io::Result<Self> {
        let path = opening.path.clone();
        let opened = open(opening).and_then(|listener| Ok((listener, file(&path)?)));
        let (listener, file) = opened.map_err(|error| {
            io::Error::new(error.kind(), format!("no control socket {}: {error}", path.display()))
        })?;
        let server = Self { path, file };
        let serve = move || accept_all(&listener, &questions);
        thread::Builder::new().name("ha-control".to_owned()).spawn(serve)?;
        Ok(server)
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        // Not that of a successor.
        if file(&self.path).is_ok_and(|file| file == self.file) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Which file is at `path`, by device and number.
fn file(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The listening socket. It listens only when its permissions are set: before that nobody connects.
fn open(opening: &Opening) -> io::Result<UnixListener> {
    let Opening { path, group } = opening;
    let group = group.as_deref().map(group_id).transpose()?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::other(
            "another daemon answers there: give this one another --run-dir, or `instance` in its \
             configuration",
        ));
    }
    // Of one that was killed.
    drop(fs::remove_file(path));
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if group.is_some() {
        chown(path, None, group)?;
    }
    listen(&socket, Backlog::new(i32::try_from(CONNECTIONS_MAX).unwrap_or(1))?)?;
    Ok(UnixListener::from(socket))
}

fn group_id(name: &str) -> io::Result<u32> {
    match Group::from_name(name)? {
        Some(group) => Ok(group.gid.as_raw()),
        None => Err(io::Error::other(format!(
            "there is no group `{name}` on this host: make it (groupadd), or leave --control-group out"
        ))),
    }
}

/// Who is connected.
#[derive(Debug, Default)]
struct Present {
    roots: usize,
    readers: usize,
}

impl Present {
    const fn of(&mut self, is_root: bool) -> &mut usize {
        if is_root { &mut self.roots } else { &mut self.readers }
    }
}

/// A place among the connections, given back when it is dropped.
struct Place {
    present: Arc<Mutex<Present>>,
    is_root: bool,
}

impl Place {
    fn take(present: &Arc<Mutex<Present>>, is_root: bool) -> Option<Self> {
        let mut count = present.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = count.roots + count.readers >= CONNECTIONS_MAX;
        if is_full || !is_root && count.readers >= READERS_MAX {
            return None;
        }
        *count.of(is_root) += 1;
        Some(Self { present: Arc::clone(present), is_root })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut count = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        *count.of(self.is_root) -= 1;
    }
}

fn accept_all(listener: &UnixListener, questions: &Questions) {
    let present = Arc::default();
    loop {
        match listener.accept() {
            Ok((stream, _)) => accept(stream, &present, questions),
            Err(error) => {
                warn!("the control socket takes nobody for now: {error}");
                thread::park_timeout(ACCEPT_PAUSE);
            }
        }
    }
}

fn accept(mut stream: UnixStream, present: &Arc<Mutex<Present>>, questions: &Questions) {
    // Who cannot be told apart is nobody.
    let Ok(credentials) = getsockopt(&stream, PeerCredentials) else { return };
    let asker = Asker { uid: credentials.uid(), pid: credentials.pid() };
    let limited = stream
        .set_write_timeout(Some(ANSWER_WITHIN))
        .and_then(|()| stream.set_read_timeout(Some(REQUEST_WITHIN)));
    if limited.is_err() {
        return;
    }
    let Some(place) = Place::take(present, asker.uid == 0) else {
        // It fits the socket's buffer, so that it is not waited for; if not, nobody misses it.
        drop(stream.write_all(refusal("too many are connected: try again").as_bytes()));
        return;
    };
    let questions = questions.clone();
    let serve = move || {
        let _place = place;
        // Whoever has gone, or takes too long, is not told.
        drop(serve_one(&mut stream, asker, &questions));
    };
    let started = thread::Builder::new().name("ha-control-one".to_owned()).spawn(serve);
    if let Err(error) = started {
        warn!("the control socket serves nobody for now: {error}");
    }
}

/// Answers one request after the other, until there is none in time.
fn serve_one(stream: &mut UnixStream, asker: Asker, questions: &Questions) -> io::Result<()> {
    let mut waiting = Vec::new();
    loop {
        let line = match next_line(stream, &mut waiting)? {
            Line::Whole(line) => line,
            Line::End => return Ok(()),
            Line::TooLong => {
                let text = format!("a request has {REQUEST_BYTES_MAX} bytes at most");
                return stream.write_all(refusal(&text).as_bytes());
            }
        };
        match Request::parse(&line) {
            Ok(request) => answer(stream, asker, request, questions)?,
            Err(sentence) => stream.write_all(refusal(&sentence).as_bytes())?,
        }
    }
}

enum Line {
    Whole(Vec<u8>),
    End,
    TooLong,
}

/// The next line; what came behind it is left in `waiting`.
fn next_line(stream: &mut UnixStream, waiting: &mut Vec<u8>) -> io::Result<Line> {
    let until = clock::now() + REQUEST_WITHIN;
    let mut buffer = [0; 512];
    loop {
        if let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let rest = waiting.split_off(end + 1);
            return Ok(Line::Whole(std::mem::replace(waiting, rest)));
        }
        if waiting.len() >= REQUEST_BYTES_MAX {
            return Ok(Line::TooLong);
        }
        let left = until.since(clock::now());
        if left.is_zero() {
            return Ok(Line::End);
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(Line::End);
        }
        waiting.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

fn answer(
    stream: &mut UnixStream,
    asker: Asker,
    request: Request,
    questions: &Questions,
) -> io::Result<()> {
    if request.is_change() && asker.uid != 0 {
        warn!("control: {}, {asker}: refused: only root may do that", request.words());
        // One line of the log each second from each connection is the most there is.
        thread::park_timeout(REFUSAL_PAUSE);
        return stream.write_all(refusal("only root may do that").as_bytes());
    }
    match questions.ask(request, asker) {
        Answer::Status(status) => {
            let mut to = BufWriter::new(stream);
            write!(to, "{{\"version\":{VERSION},\"status\":")?;
            let mut line = OneLine::new(to);
            status.render(&mut line)?;
            let mut to = line.into_inner();
            to.write_all(b"}\n")?;
            to.flush()
        }
        Answer::History(history) => {
            writeln!(stream, "{{\"version\":{VERSION},\"history\":{}}}", history.text())
        }
        Answer::Done(sentence) => stream.write_all(done(&sentence).as_bytes()),
        Answer::Refused(sentence) => stream.write_all(refusal(&sentence).as_bytes()),
    }
}

/// What is at `path`, for whoever looks for daemons.
pub(super) fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_s_socket_stays() {
        let directory = std::env::temp_dir().join(format!("ha-control-{}", std::process::id()));
        let opening = Opening { path: directory.join("control.sock"), group: None };
        let start = || ControlServer::start(&opening, Questions::new().0).unwrap();
        let before = start();
        fs::remove_file(&opening.path).unwrap();
        let after = start();
        drop(before);
        assert!(opening.path.exists(), "the successor cannot be asked");
        drop(after);
        assert!(!opening.path.exists(), "the socket is left");
        fs::remove_dir_all(&directory).unwrap();
    }
}
