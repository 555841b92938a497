//! Time servers, asked by SNTP (RFC 4330). Each has a thread of its own: looking up a name takes as
//! long as the resolver likes, and nobody waits for it.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
    sync::mpsc::{self, SyncSender},
    thread,
    time::Duration,
};

use ha_config::NtpServer;
use rsntp::{Config, SntpClient};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::alarm::{Alarm, Line};

/// All servers together have so much time to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of a name's addresses only as many are asked, each for so long: less than [`PATIENCE`] together.
const ADDRESSES_MAX: usize = 2;
const PATIENCE_PER_ADDRESS: Duration = Duration::from_secs(2);

/// What a server says of the clock of this host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// What would have to be added to this host's time.
    pub(super) offset_s: f64,
    /// As much of it may be the way's, if one direction took all of the time.
    pub(super) doubt_s: f64,
    /// Servers between it and a clock.
    pub(super) stratum: u8,
}

/// Why there is no answer.
type Asked = Result<Answer, String>;

/// A server, and what became of the questions to it.
#[derive(Debug)]
pub(super) struct Server {
    name: String,
    /// To the thread, which ends when this is gone.
    questions: SyncSender<oneshot::Sender<Asked>>,
    waiting: Option<oneshot::Receiver<Asked>>,
    /// That of this look.
    heard: Option<Asked>,
    last_answer: Option<Answer>,
    last_error: Option<String>,
    answers: u64,
    failures: u64,
    silence: Alarm,
}

impl Server {
    /// # Errors
    /// There can be no more threads.
    pub(super) fn start(server: NtpServer) -> io::Result<Self> {
        let name = if server.host.contains(':') {
            format!("[{}]:{}", server.host, server.port)
        } else {
            format!("{}:{}", server.host, server.port)
        };
        // One question may wait for the end of the one before.
        let (questions, asked) = mpsc::sync_channel::<oneshot::Sender<Asked>>(1);
        thread::Builder::new().name("ha-ntp".to_owned()).spawn(move || {
            for answer in asked {
                if !answer.is_closed() {
                    // Nobody may be interested any more.
                    answer.send(query(&server)).ok();
                }
            }
        })?;
        Ok(Self {
            name,
            questions,
            waiting: None,
            heard: None,
            last_answer: None,
            last_error: None,
            answers: 0,
            failures: 0,
            silence: Alarm::default(),
        })
    }

    /// For `status.json`.
    pub(super) fn status(&self) -> Value {
        json!({
            "server": self.name,
            "offset_ms": self.last_answer.map(|answer| answer.offset_s * 1e3),
            "doubt_ms": self.last_answer.map(|answer| answer.doubt_s * 1e3),
            "stratum": self.last_answer.map(|answer| answer.stratum),
            "answers": self.answers,
            "failures": self.failures,
            "last_error": self.last_error,
        })
    }

    /// Its name and by how many seconds the clock is off, if it has ever answered.
    pub(super) fn offset(&self) -> Option<(String, f64)> {
        self.last_answer.map(|answer| (self.name.clone(), answer.offset_s))
    }

    fn ask(&mut self) {
        let (answer, waiting) = oneshot::channel();
        let is_asked = self.questions.try_send(answer).is_ok();
        self.waiting = is_asked.then_some(waiting);
        self.heard = None;
    }

    /// Until the answer is there; it may be called again.
    async fn wait(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            let gone = |_| Err("its thread has ended: please report this".to_owned());
            self.heard = Some(waiting.await.unwrap_or_else(gone));
            self.waiting = None;
        }
    }

    /// Ends the look: the answer, and what is to be said.
    fn conclude(&mut self) -> (Option<Answer>, Option<Line>) {
        let in_time = self.waiting.take().and_then(|mut waiting| waiting.try_recv().ok());
        let heard = self.heard.take().or(in_time).unwrap_or_else(|| {
            Err(format!("no answer within {} s, or its name is not found", PATIENCE.as_secs()))
        });
        let change = self.silence.hear(heard.is_err(), heard.is_ok());
        let name = &self.name;
        let line = match (&heard, change) {
            (Err(error), Some(true)) => Some(Line::warning(format!(
                "the time server {name} does not answer: {error}; what depends on it stays as it is"
            ))),
            (Ok(_), Some(false)) => Some(Line::info(format!("the time server {name} answers"))),
            (Err(_) | Ok(_), _) => None,
        };
        match heard {
            Ok(answer) => {
                self.answers = self.answers.saturating_add(1);
                self.last_answer = Some(answer);
                (Some(answer), line)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.last_error = Some(error);
                (None, line)
            }
        }
    }
}

/// Asks all of them at the same time; what they answer, and what is to be said.
pub(super) async fn ask_all(servers: &mut [Server]) -> (Vec<Answer>, Vec<Line>) {
    servers.iter_mut().for_each(Server::ask);
    let all = async {
        for server in &mut *servers {
            server.wait().await;
        }
    };
    // Too late is what is not there when they conclude.
    timeout(PATIENCE, all).await.ok();
    let (answers, lines): (Vec<_>, Vec<_>) = servers.iter_mut().map(Server::conclude).unzip();
    (answers.into_iter().flatten().collect(), lines.into_iter().flatten().collect())
}

/// What they say together: the middle one, which a single liar cannot move beyond the others. Of the
/// two middle ones that which is nearer to this host's time: nobody knows which of two is wrong.
pub(super) fn consensus(mut answers: Vec<Answer>) -> Option<Answer> {
    answers.sort_by(|one, other| one.offset_s.total_cmp(&other.offset_s));
    let upper = answers.get(answers.len() / 2)?;
    let lower = answers.get(answers.len().checked_sub(1)? / 2)?;
    Some(if lower.offset_s.abs() < upper.offset_s.abs() { *lower } else { *upper })
}

fn query(NtpServer { host, port }: &NtpServer) -> Asked {
    let addresses = (host.as_str(), *port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut failure = "its name has no address".to_owned();
    for address in addresses.take(ADDRESSES_MAX) {
        match query_address(address) {
            Ok(answer) => return Ok(answer),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn query_address(address: SocketAddr) -> Asked {
    let any: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let config = Config::default().bind_address(any).timeout(PATIENCE_PER_ADDRESS);
    let result = SntpClient::with_config(config)
        .synchronize(address)
        .map_err(|error| format!("{}: {error}", address.ip()))?;
    Ok(Answer {
        offset_s: result.clock_offset().as_secs_f64(),
        // A clock that was set meanwhile makes it negative.
        doubt_s: (result.round_trip_delay().as_secs_f64() / 2.0).max(0.0),
        stratum: result.stratum(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn answers(offsets_s: &[f64]) -> Vec<Answer> {
        let answer = |offset_s: &f64| Answer { offset_s: *offset_s, doubt_s: 0.0, stratum: 1 };
        offsets_s.iter().map(answer).collect()
    }

    fn agreed(offsets_s: &[f64]) -> Option<f64> {
        consensus(answers(offsets_s)).map(|answer| answer.offset_s)
    }

    #[test]
    fn one_liar_moves_nothing() {
        assert_eq!(agreed(&[]), None);
        assert_eq!(agreed(&[-3.0]), Some(-3.0));
        assert_eq!(agreed(&[0.1, 1e9, 0.2]), Some(0.2));
        assert_eq!(agreed(&[0.1, -1e9, 0.2]), Some(0.1));
        // Of two nobody knows which one it is.
        assert_eq!(agreed(&[5.0, 0.1]), Some(0.1));
        assert_eq!(agreed(&[-5.0, 0.1]), Some(0.1));
        assert_eq!(agreed(&[5.0, 6.0, 0.1, -1.0]), Some(0.1));
    }

    fn server_at(socket: &UdpSocket) -> Server {
        let port = socket.local_addr().unwrap().port();
        Server::start(NtpServer { host: "127.0.0.1".to_owned(), port }).unwrap()
    }

    /// The request (RFC 4330 §4) as its answer by a server of stratum 2 whose clock is wrong by
    /// so many seconds against the client's.
    fn reply(request: &[u8; 48], ahead_s: i64) -> [u8; 48] {
        let mut reply = [0; 48];
        // No warning, version 4, mode 4 (server).
        (reply[0], reply[1]) = (0x24, 2);
        let sent = &request[40..48];
        let seconds = i64::from(u32::from_be_bytes(sent[..4].try_into().unwrap())) + ahead_s;
        let seconds = u32::try_from(seconds).unwrap().to_be_bytes();
        // The originate, receive and transmit timestamps.
        reply[24..32].copy_from_slice(sent);
        for at in [32, 40] {
            reply[at..at + 4].copy_from_slice(&seconds);
            reply[at + 4..at + 8].copy_from_slice(&sent[4..]);
        }
        reply
    }

    #[tokio::test]
    async fn what_a_server_says_is_how_far_its_time_is_ahead() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut servers = [server_at(&socket)];
        for ahead_s in [3600, -7] {
            let socket = socket.try_clone().unwrap();
            let answering = thread::spawn(move || {
                let mut request = [0; 48];
                let (_, from) = socket.recv_from(&mut request).unwrap();
                socket.send_to(&reply(&request, ahead_s), from).unwrap();
            });
            let (heard, lines) = ask_all(&mut servers).await;
            answering.join().unwrap();
            let [answer] = heard.as_slice() else { panic!("{heard:?}") };
            // All of the way back counts, half of it as an error.
            let ahead_s: f64 = i32::try_from(ahead_s).unwrap().into();
            assert!((answer.offset_s - ahead_s).abs() <= answer.doubt_s + 1e-6, "{answer:?}");
            assert_eq!((answer.stratum, lines), (2, Vec::new()));
        }
        assert_eq!(servers[0].status()["answers"], 2);
    }

    #[tokio::test]
    async fn a_server_that_is_gone_is_told_of_once() {
        // The kernel says at once that nobody listens there.
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut servers = [server_at(&gone)];
        drop(gone);
        let mut told = Vec::new();
        for _ in 0..5 {
            let (answers, lines) = ask_all(&mut servers).await;
            assert_eq!(answers, Vec::new());
            told.extend(lines);
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].is_warning && told[0].text.contains("127.0.0.1"), "{told:?}");
        assert_eq!(servers[0].status()["failures"], 5);
    }
}
