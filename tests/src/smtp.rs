//! A real SMTP server (aiosmtpd) on a host of a scene.

use core::{net::SocketAddr, time::Duration};
use std::{fs, net::TcpStream, process::Command};

use crate::{netns::Namespace, process::Process, require, tempdir::TempDir, wait};

const SOON: Duration = Duration::from_secs(20);

/// Takes every mail.
#[derive(Debug)]
pub struct SmtpServer {
    // Ended first: it writes into the directory.
    _process: Process,
    directory: TempDir,
}

/// Whether there is one to start; see [`require`].
pub fn require_smtp_server() -> bool {
    require::require_tools(&[("aiosmtpd", "python3-aiosmtpd")])
}

impl SmtpServer {
    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// It does not.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Self {
        Self::start_with(namespace, address, &[])
    }

    /// [`Self::start`], of a server that takes no mail, and never will.
    ///
    /// # Panics
    /// It does not listen.
    pub fn start_refusing(namespace: &Namespace, address: SocketAddr) -> Self {
        // No mail is as short as a byte.
        Self::start_with(namespace, address, &["-s", "1"])
    }

    fn start_with(namespace: &Namespace, address: SocketAddr, words: &[&str]) -> Self {
        let directory = TempDir::new("smtp");
        let mut command = Command::new("aiosmtpd");
        // Mails become files of a maildir.
        command.args(["-n", "-l", &address.to_string()]).args(words);
        command.args(["-c", "aiosmtpd.handlers.Mailbox"]);
        command.arg(directory.path().join("box"));
        let process = Process::start(namespace, command, &directory.path().join("log"), None);
        let listens = || {
            namespace.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
        };
        assert!(wait::holds_within(SOON, listens), "no mail server: {}", process.log());
        Self { _process: process, directory }
    }

    /// The mails that it has got, in no order.
    pub fn mails(&self) -> Vec<String> {
        let files = fs::read_dir(self.directory.path().join("box/new")).into_iter().flatten();
        files.flatten().map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
    }
}
