//! The control socket: how people and programs ask the running daemon, and tell it what to do.
//!
//! Threads of its own read requests and write answers ([`server`]); they hand each request to the main
//! thread as a [`Question`], over a bounded channel, and never speak to the engine thread. HTTP asks the
//! same way.

mod client;
mod history_table;
mod line;
pub(crate) mod protocol;
mod server;
mod table;

use std::{fmt, sync::Arc};

use tokio::sync::{mpsc, oneshot};

pub(crate) use self::protocol::Request;
pub(crate) use self::{
    client::{Client, Form, print_history},
    server::{ControlServer, Opening},
    table::{GOOD, list},
};
use crate::{history::Remembered, status::Status};

/// Questions that wait for the main thread; who has more waits.
const QUESTIONS_MAX: usize = server::CONNECTIONS_MAX;

/// Who is at the other end of a connection, by the kernel's word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Asker {
    pub(crate) uid: u32,
    pub(crate) pid: i32,
}

/// As the log names who has ordered something.
impl fmt::Display for Asker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ordered by uid {}, process {}", self.uid, self.pid)
    }
}

/// A request on its way to the main thread.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) request: Request,
    /// Whose request it is; `None`: HTTP's, by which nothing is changed.
    pub(crate) asker: Option<Asker>,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What the main thread says to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Status(Arc<Status>),
    History(Remembered),
    /// What came of an order.
    Done(String),
    /// Why not, in one sentence.
    Refused(String),
}

/// Asks the main thread. For threads that may wait.
#[derive(Clone, Debug)]
pub(crate) struct Questions(mpsc::Sender<Question>);

impl Questions {
    /// The way to the main thread, and its end there.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Question>) {
        let (send, receive) = mpsc::channel(QUESTIONS_MAX);
        (Self(send), receive)
    }

    /// Waits for the main thread's answer. Not for a thread that runs a runtime of tokio.
    pub(crate) fn ask(&self, request: Request, asker: Asker) -> Answer {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.blocking_send(Question { request, asker: Some(asker), answer });
        let answered = sent.ok().and_then(|()| answered.blocking_recv().ok());
        answered.unwrap_or_else(|| Answer::Refused("the daemon is about to end".to_owned()))
    }

    /// The same for threads that run a runtime. `None`: the daemon ends.
    pub(crate) async fn wonder(&self, request: Request) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Question { request, asker: None, answer }).await.ok()?;
        answered.await.ok()
    }
}
