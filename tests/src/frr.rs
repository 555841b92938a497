//! FRR's vrrpd with its zebra, as a router of a scene.
//!
//! FRR wants what is virtual on a macvlan interface of the virtual router's hardware address, made
//! beforehand, and takes that interface down while it is not Master: its addresses are on the host
//! all the time and count while the interface is up.

use core::{fmt::Write as _, time::Duration};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::{netns::Namespace, process::Process, tempdir::TempDir, tool, wait};

/// Where Debian's package `frr` has its daemons.
const PROGRAMS: &str = "/usr/lib/frr";
/// zebra reads the host's interfaces first.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// The names of the macvlan interfaces.
const MACVLANS: [&str; 2] = ["vrrp4", "vrrp6"];

/// What vrrpd is to do.
#[derive(Clone, Debug)]
pub struct VirtualRouter<'a> {
    pub interface: &'a str,
    pub vrid: u8,
    pub priority: u8,
    pub interval_ms: u32,
    /// Of one family.
    pub addresses: &'a [String],
}

/// Both daemons. Killed and reaped on drop.
#[derive(Debug)]
pub struct Frr {
    vrrpd: Process,
    zebra: Process,
    directory: TempDir,
}

impl VirtualRouter<'_> {
    fn is_ipv6(&self) -> bool {
        self.addresses.iter().any(|address| address.contains(':'))
    }

    /// RFC 9568 §7.3.
    fn hardware_address(&self) -> String {
        format!("00:00:5e:00:{:02x}:{:02x}", if self.is_ipv6() { 2 } else { 1 }, self.vrid)
    }

    fn config(&self) -> String {
        let mut text = format!("interface {}\n", self.interface);
        let family = if self.is_ipv6() { "ipv6" } else { "ip" };
        let mut lines = vec![
            "version 3".to_owned(),
            format!("priority {}", self.priority),
            format!("advertisement-interval {}", self.interval_ms),
        ];
        lines.extend(self.addresses.iter().map(|address| format!("{family} {address}")));
        for line in lines {
            writeln!(text, " vrrp {} {line}", self.vrid).expect("a String takes all");
        }
        text
    }

    /// Makes the macvlan interface anew, and its addresses.
    fn prepare(&self, namespace: &Namespace) {
        forget(namespace);
        let [v4, v6] = MACVLANS;
        let name = if self.is_ipv6() { v6 } else { v4 };
        let interface = self.interface;
        namespace.ip(&format!("link add {name} link {interface} type macvlan mode bridge"));
        // RFC 9568 §7.4: no address is derived from the virtual hardware address.
        namespace
            .ip(&format!("link set {name} addrgenmode none address {}", self.hardware_address()));
        for address in self.addresses {
            let address = if self.is_ipv6() {
                format!("{address}/64 nodad")
            } else {
                format!("{address}/32")
            };
            namespace.ip(&format!("addr add {address} dev {name}"));
        }
        if self.is_ipv6() {
            // FRR sends from the kernel's first, which is the last that was added: not a virtual one.
            let [.., tail] = namespace.hardware_address(interface);
            namespace.ip(&format!("addr add fe80::2:{tail:x}/64 nodad dev {name}"));
        }
        namespace.ip(&format!("link set {name} up"));
    }
}

impl Frr {
    /// Starts both in `namespace`, in a fresh directory for all that they write.
    pub fn start(namespace: &Namespace, router: &VirtualRouter<'_>) -> Self {
        router.prepare(namespace);
        let directory = TempDir::new("frr");
        // They become the user `frr` before they open their sockets.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777))
            .expect("our own directory");
        let start = |program: &str, config: &Path| {
            let log = directory.path().join(format!("{program}.log"));
            Process::start(namespace, command(program, config, directory.path()), &log, None)
        };
        let nothing = directory.write("zebra.conf", "");
        let zebra = start("zebra", &nothing);
        let socket = directory.path().join("zserv");
        wait::eventually(READY_WITHIN, "zebra's socket", || socket.exists());
        let config = directory.write("vrrpd.conf", &router.config());
        let vrrpd = start("vrrpd", &config);
        Self { vrrpd, zebra, directory }
    }

    /// What vrrpd says of itself.
    pub fn show(&self) -> Result<String, String> {
        let directory = self.directory.path().display().to_string();
        tool::output_of("vtysh", &["--vty_socket", &directory, "-c", "show vrrp"])
    }

    /// Asks vrrpd to stop, which makes a Master send priority 0, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let status = self.vrrpd.stop();
        self.zebra.stop();
        status
    }

    pub fn log(&self) -> String {
        format!("{}{}", self.zebra.log(), self.vrrpd.log())
    }
}

/// Whether `address` is on the host and its macvlan interface is up.
pub fn has_address(namespace: &Namespace, address: &str) -> bool {
    MACVLANS.into_iter().any(|name| {
        let link = namespace.output_of("ip", &["link", "show", name]);
        link.is_ok_and(|link| link.contains("LOWER_UP")) && namespace.has_address(name, address)
    })
}

/// Takes away what was made for an [`Frr`] in `namespace`, if anything was.
pub fn forget(namespace: &Namespace) {
    for name in MACVLANS {
        if namespace.output_of("ip", &["link", "show", name]).is_ok() {
            namespace.ip(&format!("link del {name}"));
        }
    }
}

/// Where `program` of the package is.
pub fn program(program: &str) -> PathBuf {
    Path::new(PROGRAMS).join(program)
}

fn command(name: &str, config: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.arg("--config_file").arg(config);
    command.arg("--pid_file").arg(directory.join(format!("{name}.pid")));
    command.arg("--socket").arg(directory.join("zserv"));
    command.arg("--vty_socket").arg(directory);
    // No telnet; the log to where we read.
    command.args(["--vty_port", "0", "--log", "stdout"]);
    command
}
