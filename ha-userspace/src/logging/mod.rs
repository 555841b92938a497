//! The log: where messages go, and that nobody has to wait for whoever reads them there.
//!
//! Each place is written to by a thread of its own, since it may stall, and the daemon must still
//! stop then. What is lost is counted, and said.

mod prefix;
mod syslog;

use std::{
    env, fs,
    io::{self, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::sys::stat::fstat;
use tracing::{Subscriber, warn};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        self,
        format::{DefaultFields, Format},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use self::{prefix::Prefix, syslog::Syslog};
pub(crate) use self::{prefix::add_to_ident, syslog::Facility};

/// Messages that wait to be written to one place; of more, the newest are lost, and counted.
const LOG_LINES_MAX: usize = 8_192;
/// The writing of the last messages is waited for as long: more than the writer's own limits.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What is logged, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// More than usual, unless `RUST_LOG` says what.
    pub(crate) detail: bool,
    pub(crate) standard_error: bool,
    /// It is a command that speaks to whoever has typed it, and not the daemon.
    pub(crate) is_command: bool,
    /// The socket of the local syslog, and the facility.
    pub(crate) syslog: Option<(PathBuf, Facility)>,
    pub(crate) file: Option<PathBuf>,
}

/// What standard error is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StandardError {
    Terminal {
        colours: bool,
    },
    /// systemd's journal: it takes a line for a message, with its severity before it.
    Journal,
    /// A file or a pipe.
    Plain,
}

impl StandardError {
    pub(crate) fn find() -> Self {
        if io::stderr().is_terminal() {
            let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
            // https://no-color.org
            let colours =
                !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb");
            return Self::Terminal { colours };
        }
        let Ok(status) = fstat(io::stderr()) else { return Self::Plain };
        // systemd.exec(5): as long as standard error is what it was, it is the journal's.
        let journal = env::var("JOURNAL_STREAM");
        let is_it = journal.is_ok_and(|it| it == format!("{}:{}", status.st_dev, status.st_ino));
        if is_it { Self::Journal } else { Self::Plain }
    }

    pub(crate) const fn has_colours(self) -> bool {
        matches!(self, Self::Terminal { colours: true })
    }
}

/// The log, as long as this lives. Dropping it writes what is queued, as far as it is taken.
pub(crate) struct Log {
    writers: Vec<WorkerGuard>,
    lost: Vec<ErrorCounter>,
}

impl Log {
    /// # Errors
    /// One sentence: the log file cannot be written to.
    pub(crate) fn set_up(settings: &Settings) -> Result<Self, String> {
        let mut log = Self { writers: Vec::new(), lost: Vec::new() };
        let mut troubles = Vec::new();
        let mut standard_error = settings.standard_error;
        let mut syslog = None;
        if let Some((socket, facility)) = &settings.syslog {
            let opened = Syslog::open(socket, *facility)
                .map_err(|error| format!("cannot make a socket for syslog: {error}"))?;
            if let Some(error) = opened.trouble() {
                standard_error = true;
                let socket = socket.display();
                troubles.push(format!(
                    "no syslog listens at {socket}: {error}; messages go to standard error too"
                ));
            }
            let format = Prefix::Syslog(*facility, process::id());
            syslog = Some(plain(log.queue(opened)).event_format(format).boxed());
        }
        let file = settings.file.as_deref().map(open).transpose()?;
        let file = file.map(|file| plain(log.queue(file)).with_ansi(false).boxed());
        let standard_error = standard_error
            .then(|| standard_error_layer(log.queue(io::stderr()), settings.is_command));
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|error| {
            // Without the variable there is nothing to say.
            if env::var_os(EnvFilter::DEFAULT_ENV).is_some() {
                troubles.push(format!("{} is not used: {error}", EnvFilter::DEFAULT_ENV));
            }
            // Of its own: what the libraries say in detail is for who debugs them.
            EnvFilter::new(if settings.detail { "info,ha_userspace=debug" } else { "info" })
        });
        let layers = [syslog, file, standard_error].into_iter().flatten().collect::<Vec<_>>();
        tracing_subscriber::registry().with(layers).with(filter).init();
        for trouble in troubles {
            warn!("{trouble}");
        }
        Ok(log)
    }

    /// A thread that writes what the others only queue.
    fn queue(&mut self, to: impl Write + Send + 'static) -> NonBlocking {
        let (queue, writer) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LOG_LINES_MAX)
            .thread_name("ha-log")
            .finish(to);
        self.writers.push(writer);
        self.lost.push(queue.error_counter());
        queue
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let lost: usize = self.lost.iter().map(ErrorCounter::dropped_lines).sum();
        if lost > 0 {
            warn!("{lost} messages are not in this log: it was not read in time");
        }
        // On a thread, because with a full queue it writes to standard output, where nobody may be
        // reading either.
        let writers = std::mem::take(&mut self.writers);
        let (done, is_done) = mpsc::channel();
        let flush = move || {
            drop(writers);
            // Nobody may be waiting any more.
            done.send(()).ok();
        };
        if thread::Builder::new().spawn(flush).is_ok() {
            is_done.recv_timeout(LAST_LINES).ok();
        }
    }
}

fn standard_error_layer<S>(queue: NonBlocking, is_command: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = plain(queue);
    match StandardError::find() {
        StandardError::Journal => layer.event_format(Prefix::Journal).boxed(),
        _ if is_command => layer.event_format(Prefix::Tool).with_ansi(false).boxed(),
        StandardError::Terminal { colours } => layer.with_ansi(colours).boxed(),
        StandardError::Plain => layer.with_ansi(false).boxed(),
    }
}

fn plain<S, W>(writer: W) -> fmt::Layer<S, DefaultFields, Format, W>
where
    W: for<'a> fmt::MakeWriter<'a> + 'static,
{
    fmt::layer()
        .with_target(false)
        // It would say so on standard error, and panic when that is what is gone.
        .log_internal_errors(false)
        .with_writer(writer)
}

/// Added to, so that logrotate's `copytruncate` works.
fn open(path: &Path) -> Result<fs::File, String> {
    let file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.map_err(|error| format!("cannot write the log {}: {error}", path.display()))
}
