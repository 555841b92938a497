//! The local syslog: a datagram socket, which is not waited for without end.

use std::{
    io::{self, Write},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process,
    str::FromStr,
    time::Duration,
};

use super::prefix;

/// Severity of a warning (RFC 3164 §4.1.1).
const WARNING: u8 = 4;
/// A syslog that has taken nothing for as long stands still. Less than what the end of the daemon
/// waits for its last messages.
const BUSY_MAX: Duration = Duration::from_secs(1);

/// A facility by its number (RFC 3164 §4.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Facility(pub(super) u8);

impl Facility {
    const USER: Self = Self(1);
    const DAEMON: Self = Self(3);
    const LOCAL0: u8 = 16;
}

impl FromStr for Facility {
    type Err = String;

    /// As keepalived's `-S`.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("local").unwrap_or(text).as_bytes()) {
            ("user", _) => Ok(Self::USER),
            ("daemon", _) => Ok(Self::DAEMON),
            (_, [digit @ b'0'..=b'7']) => Ok(Self(Self::LOCAL0 + (digit - b'0'))),
            _ => Err("not one of 0-7, local0-local7, user and daemon".to_owned()),
        }
    }
}

/// A socket of our own, and the path of syslog's: looked up for each message, so that syslog may
/// be restarted.
///
/// It waits for a syslog that is busy, as a burst of messages is more than its socket holds; so it
/// belongs on a thread of its own. For one that takes nothing at all it waits once.
#[derive(Debug)]
pub(super) struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    facility: Facility,
    /// Messages since the last that was taken.
    lost: u64,
}

impl Syslog {
    pub(super) fn open(path: &Path, facility: Facility) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(BUSY_MAX))?;
        Ok(Self { socket, path: path.to_owned(), facility, lost: 0 })
    }

    /// Why nobody listens there, if nobody does. That may come later.
    pub(super) fn trouble(&self) -> Option<io::Error> {
        UnixDatagram::unbound().and_then(|socket| socket.connect(&self.path)).err()
    }

    /// After messages that were lost it first tells how many, where they are missing.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if self.lost > 0 {
            let (header, lost) = (prefix::header(self.facility, WARNING, process::id()), self.lost);
            let text =
                format!("{header}{lost} messages are not in this log: syslog did not take them");
            self.socket.send_to(text.as_bytes(), &self.path)?;
            self.lost = 0;
            self.socket.set_nonblocking(false)?;
        }
        self.socket.send_to(message, &self.path).map(drop)
    }
}

/// One write is one message, as `Prefix` makes it; what syslog does not take is counted.
impl Write for Syslog {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        match self.send(message) {
            Ok(()) => {}
            // Whoever writes tries again: the kernel ends the wait for its own reasons, too.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(_) => {
                self.lost += 1;
                // It is not waited for again before it takes something.
                self.socket.set_nonblocking(true)?;
            }
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, thread};

    use super::*;

    #[test]
    fn facilities_have_keepalived_s_names() {
        let number = |text: &str| text.parse::<Facility>().map(|facility| facility.0).ok();
        // RFC 3164 §4.1.1, table 1.
        assert_eq!(["user", "daemon", "0", "local7"].map(number), [1, 3, 16, 23].map(Some));
        assert_eq!(["8", "local8", "", "local", "mail", "10"].map(number), [None; 6]);
    }

    fn listen(name: &str) -> (PathBuf, UnixDatagram) {
        let path = env::temp_dir().join(format!("ha-syslog-{}-{name}", process::id()));
        let listener = UnixDatagram::bind(&path).unwrap();
        (path, listener)
    }

    #[test]
    fn a_burst_waits_for_who_reads_it() {
        let (path, listener) = listen("burst");
        listener.set_read_timeout(Some(BUSY_MAX * 10)).unwrap();
        let mut syslog = Syslog::open(&path, Facility::DAEMON).unwrap();
        let sent = 10_000_u32;
        let writer = thread::spawn(move || {
            for number in 0..sent {
                syslog.write_all(number.to_string().as_bytes()).unwrap();
            }
        });
        let mut buffer = [0; 256];
        for number in 0..sent {
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], number.to_string().as_bytes());
        }
        writer.join().unwrap();
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_socket_that_nobody_reads_costs_one_wait_and_what_is_lost_is_said() {
        let (path, listener) = listen("unread");
        listener.set_nonblocking(true).unwrap();
        let mut syslog = Syslog::open(&path, Facility::DAEMON).unwrap();
        assert!(syslog.trouble().is_none());
        // Many times what the kernel queues for a socket (net.unix.max_dgram_qlen): the test would
        // take hours if each of them waited.
        let sent = 10_000_u64;
        for _ in 0..sent {
            syslog.write_all(b"<30>x").unwrap();
        }
        let mut buffer = [0; 256];
        let mut receive = || {
            let length = listener.recv(&mut buffer).ok()?;
            Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
        };
        let mut taken = 0_u64;
        while receive().is_some() {
            taken += 1;
        }
        assert!(0 < taken && taken < sent, "{taken}");
        syslog.write_all(b"<30>y").unwrap();
        let told = receive().unwrap();
        let lost = format!(": {} messages are not in this log", sent - taken);
        assert!(told.starts_with("<28>") && told.contains(&lost), "{told}");
        assert_eq!(receive().as_deref(), Some("<30>y"));
        fs::remove_file(&path).unwrap();
        assert!(syslog.trouble().is_some());
    }
}
