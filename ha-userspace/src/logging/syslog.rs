//! The local syslog: a datagram socket that is never waited for.

use std::{
    io::{self, Write},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use tracing_subscriber::fmt::MakeWriter;

use super::prefix;

/// Severity of a warning (RFC 3164 §4.1.1).
const WARNING: u8 = 4;

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
#[derive(Debug)]
pub(super) struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    facility: Facility,
    lost: AtomicU64,
}

impl Syslog {
    pub(super) fn open(path: &Path, facility: Facility) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), facility, lost: AtomicU64::new(0) })
    }

    /// Why nobody listens there, if nobody does. That may come later.
    pub(super) fn trouble(&self) -> Option<io::Error> {
        UnixDatagram::unbound().and_then(|socket| socket.connect(&self.path)).err()
    }

    fn send(&self, message: &[u8]) {
        // First, so that it stands where the messages are missing.
        self.tell_lost();
        if self.socket.send_to(message, &self.path).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tell_lost(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        let header = prefix::header(self.facility, WARNING, process::id());
        let text = format!("{header}{lost} messages are not in this log: syslog did not take them");
        if self.socket.send_to(text.as_bytes(), &self.path).is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

/// One message, as `Prefix` writes it.
#[derive(Debug)]
pub(super) struct Message<'a>(&'a Syslog);

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Message<'a>;

    fn make_writer(&'a self) -> Message<'a> {
        Message(self)
    }
}

impl Write for Message<'_> {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        self.0.send(message);
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn facilities_have_keepalived_s_names() {
        let number = |text: &str| text.parse::<Facility>().map(|facility| facility.0).ok();
        // RFC 3164 §4.1.1, table 1.
        assert_eq!(["user", "daemon", "0", "local7"].map(number), [1, 3, 16, 23].map(Some));
        assert_eq!(["8", "local8", "", "local", "mail", "10"].map(number), [None; 6]);
    }

    #[test]
    fn a_full_socket_does_not_block_and_what_is_lost_is_said() {
        let path = env::temp_dir().join(format!("ha-syslog-{}", process::id()));
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let syslog = Syslog::open(&path, Facility::DAEMON).unwrap();
        assert!(syslog.trouble().is_none());
        // Many times what the kernel queues for a socket (net.unix.max_dgram_qlen); the test would
        // hang if one of them waited.
        let sent = 10_000_u64;
        for _ in 0..sent {
            syslog.make_writer().write_all(b"<30>x").unwrap();
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
        syslog.make_writer().write_all(b"<30>y").unwrap();
        let told = receive().unwrap();
        let lost = format!(": {} messages are not in this log", sent - taken);
        assert!(told.starts_with("<28>") && told.contains(&lost), "{told}");
        assert_eq!(receive().as_deref(), Some("<30>y"));
        fs::remove_file(&path).unwrap();
        assert!(syslog.trouble().is_some());
    }
}
