//! The thread that hands mails to the server: it may wait as long as it likes.

use std::{
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use lettre::{SmtpTransport, Transport as _, transport::smtp::extension::ClientId};
use tokio::sync::broadcast::{self, error::RecvError};
use tracing::{debug, warn};

use super::{
    Counts,
    message::{Letter, Letterhead},
};

/// Between the tries of a mail. A server that is being restarted, or reached by the addresses that
/// are just moving, is there after the first; greylisting lets it through after the last (RFC 6647
/// §5: a minute and more).
const PAUSES: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(90)];

/// Ends early when whoever holds the other end is gone.
#[derive(Debug)]
pub(super) struct Patience(mpsc::Receiver<()>);

impl Patience {
    pub(super) fn new(other: mpsc::Receiver<()>) -> Self {
        Self(other)
    }

    /// Waits; whether there was time to.
    fn pause(&self, pause: Duration) -> bool {
        matches!(self.0.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
    }
}

/// Sends letter by letter, in their order.
#[derive(Debug)]
pub(super) struct Post {
    counts: Arc<Counts>,
    patience: Patience,
}

impl Post {
    pub(super) fn new(counts: Arc<Counts>, patience: Patience) -> Self {
        Self { counts, patience }
    }

    /// Ends when the queue is closed and empty.
    pub(super) fn serve(self, mut letters: broadcast::Receiver<Letter>) {
        loop {
            match letters.blocking_recv() {
                Ok(letter) => self.deliver(&letter),
                Err(RecvError::Lagged(left_out)) => {
                    Counts::add(&self.counts.lost, left_out);
                    warn!("the SMTP server is too slow: the oldest {left_out} mails are left out");
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn deliver(&self, letter: &Letter) {
        let mut pauses = PAUSES.iter();
        loop {
            let Err(error) = send(letter) else {
                Counts::add(&self.counts.sent, 1);
                self.counts.is_failing.store(false, Ordering::Relaxed);
                debug!("mail sent: {}", letter.subject);
                return;
            };
            Counts::add(&self.counts.tries_failed, 1);
            self.counts.set_last_error(error.text.clone());
            let was_failing = self.counts.is_failing.swap(true, Ordering::Relaxed);
            let (subject, text) = (&letter.subject, &error.text);
            let pause = pauses.next().filter(|_| !error.is_final);
            if pause.is_some() && !was_failing {
                warn!(
                    "mail not sent yet: {subject}: {text}: it is tried for two minutes, and the \
                     next ones wait"
                );
            }
            if let Some(pause) = pause
                && self.patience.pause(*pause)
            {
                debug!("not sent yet: {subject}: {text}");
                continue;
            }
            Counts::add(&self.counts.failed, 1);
            warn!("mail not sent: {subject}: {text}");
            return;
        }
    }
}

/// Why a try failed.
struct Refusal {
    text: String,
    /// Another try would end the same way.
    is_final: bool,
}

fn send(letter: &Letter) -> Result<(), Refusal> {
    let Letterhead { server, timeout, hello, .. } = &*letter.letterhead;
    let (host, port) = (&server.host, server.port);
    let transport = SmtpTransport::builder_dangerous(host)
        .port(port)
        .hello_name(ClientId::Domain(hello.clone()))
        .timeout(Some(*timeout))
        .build();
    let sent = transport.send(&letter.message()?);
    sent.map(drop).map_err(|error| Refusal {
        text: format!("{host} port {port}: {error}"),
        is_final: error.is_permanent(),
    })
}

impl From<lettre::error::Error> for Refusal {
    fn from(error: lettre::error::Error) -> Self {
        Self { text: error.to_string(), is_final: true }
    }
}
