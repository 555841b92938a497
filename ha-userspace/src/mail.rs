//! Mails on transitions (`smtp_alert`): a thread of their own hands them to the server, one after the
//! other. Nobody else waits for it.

mod message;
mod post;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use ha_core::{Notify, Subject};
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, oneshot},
    time::timeout,
};
use tracing::warn;

pub(crate) use self::message::Letterhead;
use self::{
    message::{About, Letter},
    post::{Patience, Post},
};
use crate::{clock, plan::Plan, status::figures::Mails};

/// Mails that wait for those before them. Of more, the oldest are left out: what must be known is the
/// state that holds in the end.
const QUEUE_MAX: usize = 64;

/// Takes the mails.
#[derive(Debug, Default)]
pub(crate) struct Mailer {
    /// Opened with the first mail.
    letterbox: Option<Letterbox>,
    counts: Arc<Counts>,
}

/// The way to the thread. It ends when this is gone and what was in it is sent, or given up.
#[derive(Debug)]
struct Letterbox {
    letters: broadcast::Sender<Letter>,
    /// While it is there, a server that does not answer gets its time.
    hurry: mpsc::Sender<()>,
    /// Told when the thread has ended.
    is_empty: oneshot::Receiver<()>,
}

/// What became of mails since the start.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    /// Tries that failed, each of them.
    tries_failed: AtomicU64,
    /// Given up after the last try.
    failed: AtomicU64,
    /// Left out of a full queue.
    lost: AtomicU64,
    last_error: Mutex<Option<String>>,
    /// The last try has failed.
    is_failing: AtomicBool,
}

/// At the stop, for a server that has failed at the last try.
const LAST_HOPE: Duration = Duration::from_secs(1);

impl Counts {
    fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    fn set_last_error(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

impl Mailer {
    /// Queues the mail that `plan` has for one event, if it has one.
    pub(crate) fn tell(&mut self, plan: &Plan, Notify { subject, event, priority: _ }: Notify) {
        let (about, letterhead) = match subject {
            Subject::Instance(id) => {
                let Some(of) = plan.instance(id) else { return };
                (About::Instance(&of.name), &of.mail)
            }
            Subject::Group(id) => {
                let Some(of) = plan.group(id) else { return };
                (About::Group(&of.name), &of.mail)
            }
        };
        let Some(letterhead) = letterhead else { return };
        let Some(letter) = Letter::new(letterhead, about, event, clock::since_epoch()) else {
            return;
        };
        if self.letterbox.is_none() {
            match Letterbox::open(&self.counts) {
                Ok(letterbox) => self.letterbox = Some(letterbox),
                Err(error) => warn!("no mail is sent: {error}"),
            }
        }
        // The thread lives as long as the letterbox.
        let taken = self.letterbox.as_ref().is_some_and(|box_| box_.letters.send(letter).is_ok());
        if !taken {
            Counts::add(&self.counts.lost, 1);
        }
    }

    /// For `status.json`.
    pub(crate) fn status(&self) -> Value {
        let Counts { sent, tries_failed, failed, lost, last_error, .. } = &*self.counts;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let waiting = self.letterbox.as_ref().map_or(0, |letterbox| letterbox.letters.len());
        json!({
            "waiting": waiting,
            "sent": count(sent),
            "tries_failed": count(tries_failed),
            "failed": count(failed),
            "lost": count(lost),
            "last_error": *last_error.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// For the metrics.
    pub(crate) fn count(&self) -> Mails {
        let Counts { sent, failed, lost, .. } = &*self.counts;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Mails { sent: count(sent), failed: count(failed), lost: count(lost) }
    }

    /// Lets what is queued be sent, for at most `limit`; of a server that has failed not much is hoped.
    /// Each gets one more try.
    pub(crate) async fn drain(self, limit: Duration) {
        let Some(Letterbox { letters, hurry, is_empty }) = self.letterbox else { return };
        let is_failing = self.counts.is_failing.load(Ordering::Relaxed);
        let limit = if is_failing { limit.min(LAST_HOPE) } else { limit };
        let waiting = letters.len();
        drop((letters, hurry));
        // Its end is an error too: the sender is dropped with the thread.
        if timeout(limit, is_empty).await.is_err() {
            warn!(
                "the SMTP server has not taken all within {} s: {waiting} mails were left, of \
                   which some are lost",
                limit.as_secs()
            );
        }
    }
}

impl Letterbox {
    fn open(counts: &Arc<Counts>) -> std::io::Result<Self> {
        let (letters, incoming) = broadcast::channel(QUEUE_MAX);
        let (hurry, patience) = mpsc::channel();
        let (end, is_empty) = oneshot::channel::<()>();
        let post = Post::new(Arc::clone(counts), Patience::new(patience));
        // Nobody waits for its end without a limit: the server may never answer.
        thread::Builder::new().name("ha-mail".to_owned()).spawn(move || {
            post.serve(incoming);
            drop(end);
        })?;
        Ok(Self { letters, hurry, is_empty })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::{TcpListener, TcpStream},
    };

    use ha_core::{Event, InstanceId};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// A plan of instances `VI_0`, `VI_1`, ... with mails to a server at this port.
    fn plan(instances: u32, port: u16) -> Plan {
        let instance = |number: u32| {
            format!(
                "vrrp_instance VI_{number} {{\n interface eth0\n virtual_router_id {}\n \
                 virtual_ipaddress {{\n 192.0.2.{number}\n }}\n}}\n",
                number + 1
            )
        };
        let text = format!(
            "global_defs {{\n smtp_server 127.0.0.1 {port}\n smtp_connect_timeout 600\n smtp_alert\n \
             notification_email {{\n ops@example.net\n }}\n}}\n{}",
            (0..instances).map(instance).collect::<String>()
        );
        Plan::new(&ha_config::parse("x", &text).config, &[]).0
    }

    fn tell(mailer: &mut Mailer, plan: &Plan, number: u32) {
        let subject = Subject::Instance(InstanceId(number));
        mailer.tell(plan, Notify { subject, event: Event::Master, priority: 100 });
    }

    /// Takes one mail, and answers its recipient with `answer`; the line of its subject.
    fn take(stream: &TcpStream, answer: &str) -> Option<String> {
        let say = |line: &str| (&*stream).write_all(format!("{line}\r\n").as_bytes()).ok();
        say("220 here")?;
        let mut subject = None;
        let mut is_data = false;
        for line in BufReader::new(stream).lines() {
            let line = line.ok()?;
            match line.split(' ').next().unwrap_or_default() {
                "Subject:" => subject = Some(line),
                "." => say("250 taken").map(|()| is_data = false)?,
                _ if is_data => {}
                "DATA" => say("354 go on").map(|()| is_data = true)?,
                "RCPT" => say(answer)?,
                "QUIT" => {
                    say("221 bye")?;
                    break;
                }
                _ => say("250 yes")?,
            }
        }
        subject
    }

    #[tokio::test]
    async fn of_too_many_mails_the_oldest_are_left_out_and_counted() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let plan = plan(70, server.local_addr().unwrap().port());
        let mut mailer = Mailer::default();
        tell(&mut mailer, &plan, 0);
        let (first, _) = server.accept().unwrap();
        // It is under way; of the others, as many as the queue holds.
        (1..70).for_each(|number| tell(&mut mailer, &plan, number));
        let taken = thread::spawn(move || {
            let others = (0..QUEUE_MAX).map(|_| server.accept().unwrap().0);
            let streams = std::iter::once(first).chain(others);
            streams.map(|stream| take(&stream, "250 yes").unwrap()).collect::<Vec<_>>()
        });
        let counts = Arc::clone(&mailer.counts);
        mailer.drain(LONG).await;
        let expected = std::iter::once(0).chain(6..70).map(|number| {
            let host = crate::host::name();
            format!("Subject: [{host}] VRRP Instance VI_{number} - Entering MASTER state")
        });
        assert_eq!(taken.join().unwrap(), expected.collect::<Vec<_>>());
        assert_eq!(
            (counts.sent.load(Ordering::Relaxed), counts.lost.load(Ordering::Relaxed)),
            (65, 5)
        );
    }

    #[tokio::test]
    async fn a_refusal_for_good_is_not_tried_again() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let plan = plan(1, server.local_addr().unwrap().port());
        let mut mailer = Mailer::default();
        tell(&mut mailer, &plan, 0);
        let stream = server.accept().unwrap().0;
        // Nobody hurries it: only an answer that holds ends it before the first pause.
        assert_eq!(take(&stream, "550 nobody here"), None);
        while mailer.status()["failed"] == 0 {
            thread::yield_now();
        }
        let status = mailer.status();
        assert_eq!((&status["sent"], &status["tries_failed"]), (&json!(0), &json!(1)));
        assert!(status["last_error"].as_str().unwrap().contains("550"), "{status}");
        mailer.drain(LONG).await;
    }

    /// The next time it takes the connection and says nothing, for longer than the test waits.
    #[tokio::test]
    async fn a_server_that_has_failed_is_not_waited_for_at_the_stop() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let plan = plan(2, server.local_addr().unwrap().port());
        let mut mailer = Mailer::default();
        (0..2).for_each(|number| tell(&mut mailer, &plan, number));
        drop(server.accept().unwrap());
        let _silent = server.accept().unwrap();
        assert_eq!(mailer.status()["tries_failed"], 1);
        timeout(LONG, mailer.drain(LONG * 10)).await.expect("it ends soon");
    }
}
