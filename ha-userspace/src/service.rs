//! Words to the service manager that has started the daemon (`sd_notify(3)`): that it runs, what it does,
//! that it lives. Where no manager wants to hear them, nothing is said and nothing costs anything.

use std::{
    env, future, io,
    os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr, unix::net::UnixDatagram},
    pin::Pin,
    process,
    time::Duration,
};

use ha_core::Instant;
use tokio::time::{Sleep, sleep};
use tracing::{info, warn};

use crate::{clock, engine::Census};

/// By which the manager is found.
pub(crate) const VARIABLES: [&str; 3] = [SOCKET, WATCHDOG_USEC, WATCHDOG_PID];
const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// How long the main thread waits for a manager that does not read.
const PATIENCE: Duration = Duration::from_secs(1);
/// From a change to the look at how things are now: one look for all that changes together.
const SETTLING: Duration = Duration::from_millis(200);
/// How long a start may take beside the delay that is configured: systemd's own default.
const START_MAX: Duration = Duration::from_secs(90);

/// The service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Manager {
    socket: Option<Socket>,
    is_ready: bool,
    status: String,
    due: Option<Pin<Box<Sleep>>>,
}

impl Manager {
    /// The one that the environment names. To be called before the network namespace is another one,
    /// as an abstract address is of the namespace where its socket was made.
    pub(crate) fn find() -> Self {
        let socket = env::var(SOCKET).ok().filter(|address| !address.is_empty());
        let socket = socket.and_then(|address| match Socket::new(&address, Some(PATIENCE)) {
            Ok(socket) => Some(socket),
            Err(error) => {
                warn!("the service manager is told nothing: {SOCKET}={address}: {error}");
                None
            }
        });
        Self { socket, is_ready: false, status: String::new(), due: None }
    }

    /// What the engine thread is to feed, if it is asked for.
    pub(crate) fn watchdog(&self) -> Option<Watchdog> {
        let socket = self.socket.as_ref()?;
        let variable = |name| env::var(name).ok();
        let every = watchdog_interval(variable(WATCHDOG_USEC), variable(WATCHDOG_PID))?;
        match Socket::of(&socket.address, None) {
            Ok(socket) => Some(Watchdog { socket, every, next: clock::now() }),
            Err(error) => {
                warn!("the service manager's watchdog is not fed: {error}");
                None
            }
        }
    }

    /// The start takes longer, because of a delay that is configured.
    pub(crate) fn tell_delay(&self, delay: Duration) {
        if !delay.is_zero() {
            let usec = (delay + START_MAX).as_micros();
            self.tell(&format!("EXTEND_TIMEOUT_USEC={usec}"));
        }
    }

    /// Something may be different: [`Self::due`] says when to look.
    pub(crate) fn expect_news(&mut self) {
        if self.socket.is_some() && self.due.is_none() {
            #[expect(clippy::disallowed_methods, reason = "words for people may be late")]
            let due = sleep(SETTLING);
            self.due = Some(Box::pin(due));
        }
    }

    /// Waits until it is to be told how things are; nothing is lost if it is not waited for to the end.
    pub(crate) async fn due(&mut self) {
        match &mut self.due {
            Some(due) => due.await,
            None => future::pending().await,
        }
        self.due = None;
    }

    /// How things are. It is ready when no instance is in Init any more.
    pub(crate) fn tell_census(&mut self, census: &Census) {
        let mut words = Vec::new();
        if census.init == 0 && !self.is_ready {
            self.is_ready = true;
            words.push("READY=1".to_owned());
        }
        let status = describe(census);
        if status != self.status {
            words.push(format!("STATUS={status}"));
            self.status = status;
        }
        if !words.is_empty() {
            self.tell(&words.join("\n"));
        }
        if !self.is_ready {
            self.expect_news();
        }
    }

    /// Before the start is over, nobody may take the end of a reload for it.
    pub(crate) fn tell_reloading(&self) {
        if self.is_ready {
            let usec = clock::now().as_nanos() / 1_000;
            self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
        }
    }

    /// It goes on, with another configuration or with the one before.
    pub(crate) fn tell_reloaded(&mut self) {
        if self.is_ready {
            self.tell("READY=1");
        }
        self.expect_news();
    }

    pub(crate) fn tell_stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, words: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(words)
        {
            info!("the service manager does not hear {words:?}: {error}");
        }
    }
}

/// What the engine thread tells the manager, so that one that is stuck is ended.
#[derive(Debug)]
pub(crate) struct Watchdog {
    socket: Socket,
    every: Duration,
    next: Instant,
}

impl Watchdog {
    /// When it is to be fed next.
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Feeds it if it is time. It never waits: what the manager has no room for is said again soon.
    pub(crate) fn feed(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        let is_fed = self.socket.send("WATCHDOG=1").is_ok();
        self.next = now + if is_fed { self.every } else { self.every / 8 };
    }
}

/// A socket of which each message goes to one address: also if the manager opens it anew meanwhile.
#[derive(Debug)]
struct Socket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Socket {
    /// `address` as in `NOTIFY_SOCKET`: a path, or with a first `@` an abstract name.
    fn new(address: &str, patience: Option<Duration>) -> io::Result<Self> {
        let address = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if address.starts_with('/') => SocketAddr::from_pathname(address)?,
            None => return Err(io::Error::other("neither a path from / nor a name behind @")),
        };
        Self::of(&address, patience)
    }

    /// Without patience it never waits.
    fn of(address: &SocketAddr, patience: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        match patience {
            Some(_) => socket.set_write_timeout(patience)?,
            None => socket.set_nonblocking(true)?,
        }
        Ok(Self { socket, address: address.clone() })
    }

    fn send(&self, words: &str) -> io::Result<()> {
        self.socket.send_to_addr(words.as_bytes(), &self.address).map(drop)
    }
}

/// Half of what the manager waits for; nothing if it asks nobody, or another process.
fn watchdog_interval(usec: Option<String>, pid: Option<String>) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(process::id()));
    let usec: u64 = usec?.parse().ok()?;
    (is_ours && usec > 1).then(|| Duration::from_micros(usec) / 2)
}

/// `2 instances: 1 Master, 1 Backup`.
fn describe(census: &Census) -> String {
    let Census { init, backup, master, fault } = *census;
    let states = [(master, "Master"), (backup, "Backup"), (fault, "Fault"), (init, "Init")];
    let counts: Vec<String> = states
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let all = init + backup + master + fault;
    let noun = if all == 1 { "instance" } else { "instances" };
    format!("{all} {noun}: {}", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_the_manager_waits_for() {
        let interval = |usec: &str, pid: Option<u32>| {
            watchdog_interval(Some(usec.to_owned()), pid.map(|pid| pid.to_string()))
        };
        let ours = process::id();
        assert_eq!(interval("3000000", None), Some(Duration::from_millis(1_500)));
        assert_eq!(interval("3000000", Some(ours)), Some(Duration::from_millis(1_500)));
        assert_eq!(interval("3000000", Some(ours + 1)), None);
        assert_eq!(interval("0", None), None);
        assert_eq!(interval("soon", None), None);
        assert_eq!(watchdog_interval(None, None), None);
    }

    #[test]
    fn the_states_are_counted_in_words() {
        let census = Census { init: 0, backup: 1, master: 2, fault: 0 };
        assert_eq!(describe(&census), "3 instances: 2 Master, 1 Backup");
        let census = Census { fault: 1, ..Census::default() };
        assert_eq!(describe(&census), "1 instance: 1 Fault");
    }

    #[test]
    fn an_abstract_name_is_reached_and_a_full_queue_is_not_waited_for() {
        let name = format!("ha-service-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let socket = Socket::new(&format!("@{name}"), None).unwrap();
        let every = Duration::from_secs(8);
        let begin = Instant::from_nanos(0);
        let mut watchdog = Watchdog { socket, every, next: begin };
        watchdog.feed(begin);
        assert_eq!(watchdog.next(), begin + every);
        let mut buffer = [0; 64];
        let len = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"WATCHDOG=1");
        // Before it is due, nothing.
        watchdog.feed(begin + Duration::from_secs(7));
        manager.set_nonblocking(true).unwrap();
        assert!(manager.recv(&mut buffer).is_err());
        while watchdog.socket.send("x").is_ok() {}
        watchdog.feed(begin + every);
        assert_eq!(watchdog.next(), begin + every + every / 8);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert!(Socket::new("run/notify", None).is_err());
        assert!(Socket::new(&"/x".repeat(80), None).is_err());
    }
}
