//! A daemon that finds what it would share with the whole host (`/dev/log`, `/tmp`) in a directory
//! of the test's own.

use std::{
    env, fs,
    os::unix::{fs::symlink, net::UnixDatagram},
    path::Path,
    process::Command,
};

use crate::{netns::Namespace, process::Process, tempdir::TempDir};

/// Where the daemon sees the directory.
pub const DIRECTORY: &str = "/mnt";

/// Datagrams that wait at the socket of [`Sandbox::listen`]: the kernel's default, and one beyond.
pub const QUEUE_MAX: usize = 11;

/// Lays the directory `$1` over `/mnt`, and what is in it over `/tmp` and `/dev`; then becomes the
/// program `$2` with the words behind, after it has done what `$0` says.
///
/// The program gets a place of its own first, because what is laid over may hide it.
const ENTER: &str = r#"
    prelude=$0; directory=$1; program=$2; shift 2
    mount --bind "$directory" /mnt
    mount --bind "$program" /mnt/program
    for device in null zero urandom; do mount --bind /dev/$device /mnt/dev/$device; done
    mount --rbind /mnt/dev /dev
    mount --bind /mnt/tmp /tmp
    eval "$prelude"
    exec /mnt/program "$@"
"#;

/// The directory, and the daemons that are started on it.
#[derive(Debug)]
pub struct Sandbox(TempDir);

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// With an empty `/tmp`, and no syslog.
    pub fn new() -> Self {
        let directory = TempDir::new("sandbox");
        for place in ["dev", "tmp", "run"] {
            fs::create_dir(directory.path().join(place)).expect("a fresh directory");
        }
        for file in ["program", "dev/null", "dev/zero", "dev/urandom"] {
            directory.write(file, "");
        }
        let log = directory.path().join("dev/log");
        symlink(Path::new(DIRECTORY).join("syslog"), log).expect("a fresh directory");
        Self(directory)
    }

    /// What the daemon sees as [`DIRECTORY`]. Its `/tmp` and `/dev` are in it, and `run`, where it
    /// writes its status.
    pub fn directory(&self) -> &TempDir {
        &self.0
    }

    /// Opens the syslog that the daemon finds at `/dev/log`. [`QUEUE_MAX`] messages wait there.
    pub fn listen(&self, namespace: &Namespace) -> UnixDatagram {
        namespace.set_sysctl("net/unix/max_dgram_qlen", &(QUEUE_MAX - 1).to_string());
        let path = self.0.path().join("syslog");
        let socket = namespace.run(|| UnixDatagram::bind(path)).expect("a fresh name");
        socket.set_nonblocking(true).expect("our own socket");
        socket
    }

    /// Starts the daemon in `namespace` with these words and `config`, after the lines of shell
    /// script in `prelude`. Its log has what it writes to its standard output and error.
    pub fn start(
        &self,
        namespace: &Namespace,
        config: &str,
        words: &[&str],
        prelude: &str,
    ) -> Process {
        self.0.write("keepalived.conf", config);
        let daemon = env::var_os("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", ENTER, prelude]).arg(self.0.path()).arg(daemon);
        command.args(["-f", "/mnt/keepalived.conf", "--run-dir", "/mnt/run"]).args(words);
        command.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM");
        Process::start(namespace, command, &self.0.path().join("output"), None)
    }
}

/// All messages that wait.
pub fn drain(syslog: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0_u8; 4096];
    let mut messages = Vec::new();
    while let Ok(length) = syslog.recv(&mut buffer) {
        let message = buffer.get(..length).unwrap_or_default();
        messages.push(String::from_utf8_lossy(message).into_owned());
    }
    messages
}
