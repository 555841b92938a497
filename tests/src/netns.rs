//! Named network namespaces that end with their owner, and work done inside them.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    panic,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{guardian, tool};

/// Where iproute2 keeps the names.
pub(crate) const DIRECTORY: &str = "/run/netns";

/// Quiet enough that a capture holds what the daemons do and little else: no duplicate address
/// detection, router solicitation or privacy addresses, and no reverse path filter that would hide
/// a forged source from the daemon's own checks.
const SYSCTLS: [(&str, &str); 8] = [
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/router_solicitations", "0"),
    ("net/ipv6/conf/default/use_tempaddr", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
];

/// A network namespace `ha-<pid>-<n>-<name>`, deleted on drop with the processes left in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    handle: File,
}

impl Namespace {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        guardian::watch();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ha-{}-{count}-{name}", process::id());
        tool::ip(&format!("netns add {name}"));
        let handle = File::open(format!("{DIRECTORY}/{name}")).expect("the namespace just made");
        let namespace = Self { name, handle };
        namespace.ip("link set lo up");
        for (sysctl, value) in SYSCTLS {
            namespace.set_sysctl(sysctl, value);
        }
        namespace
    }

    /// The name under which `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread inside the namespace. A socket made there stays in the namespace, a
    /// process spawned there lives in it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let result = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
                work()
            });
            inside.join()
        });
        // The panic of a check made inside is the test's own.
        result.unwrap_or_else(|cause| panic::resume_unwind(cause))
    }

    /// Runs `ip` with the words of `line` on this namespace; panics if it fails.
    pub fn ip(&self, line: &str) -> String {
        tool::ip(&format!("-n {} {line}", self.name))
    }

    /// Runs a program to its end inside the namespace and gives its output.
    pub fn output_of(&self, program: &str, words: &[&str]) -> Result<String, String> {
        self.run(|| tool::output_of(program, words))
    }

    /// Starts `command` inside the namespace.
    pub fn spawn(&self, command: &mut Command) -> io::Result<process::Child> {
        self.run(|| command.spawn())
    }

    /// Writes a sysctl of the namespace, named by its path below `/proc/sys`.
    pub fn set_sysctl(&self, name: &str, value: &str) {
        self.run(|| {
            fs::write(format!("/proc/sys/{name}"), value)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        });
    }

    /// [`Self::set_sysctl`], for what not every kernel has.
    pub fn set_sysctl_if_present(&self, name: &str, value: &str) {
        let is_present = self.run(|| fs::exists(format!("/proc/sys/{name}")).unwrap_or(false));
        if is_present {
            self.set_sysctl(name, value);
        }
    }

    /// The processes in the namespace.
    pub fn pids(&self) -> Vec<Pid> {
        let Ok(inode) = self.handle.metadata().map(|metadata| metadata.ino()) else {
            return Vec::new();
        };
        pids_in(inode)
    }

    /// Stops every process in the namespace where it is.
    pub fn freeze_all(&self) {
        signal_all(&self.pids(), Signal::SIGSTOP);
    }

    /// Ends every process in the namespace, none of which gets to say goodbye: they are all stopped
    /// first, so that no parent restarts a child and no child notices its parent's death.
    pub fn kill_all(&self) {
        self.freeze_all();
        signal_all(&self.pids(), Signal::SIGKILL);
    }

    /// The addresses on `interface`, as `ip` prints them: `198.51.100.13/32`.
    pub fn addresses(&self, interface: &str) -> Vec<String> {
        let Ok(text) = tool::output_of("ip", &["-n", &self.name, "-o", "addr", "show", interface])
        else {
            return Vec::new();
        };
        let address = |line: &str| -> Option<String> {
            let mut words = line.split_whitespace();
            words.find(|word| *word == "inet" || *word == "inet6")?;
            words.next().map(str::to_owned)
        };
        text.lines().filter_map(address).collect()
    }

    /// Whether `address` (without a prefix length) is on `interface`.
    pub fn has_address(&self, interface: &str, address: &str) -> bool {
        let is_it = |present: &String| present.split('/').next() == Some(address);
        self.addresses(interface).iter().any(is_it)
    }

    /// The hardware address of `interface`.
    pub fn hardware_address(&self, interface: &str) -> [u8; 6] {
        let text = self.run(|| {
            // /sys shows the namespace it was mounted in: ask netlink.
            tool::output_of("ip", &["-o", "link", "show", interface])
        });
        let text = text.unwrap_or_else(|error| panic!("{error}"));
        let mut words = text.split_whitespace();
        words.find(|word| *word == "link/ether").expect("an Ethernet interface");
        parse_hardware_address(words.next().unwrap_or_default()).expect("six bytes")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.kill_all();
        remove(&self.name);
    }
}

/// Deletes the namespace `name` and ends what runs in it.
pub(crate) fn remove(name: &str) {
    let path = format!("{DIRECTORY}/{name}");
    if let Ok(metadata) = fs::metadata(&path) {
        signal_all(&pids_in(metadata.ino()), Signal::SIGKILL);
    }
    if let Err(error) = tool::output_of("ip", &["netns", "del", name]) {
        eprintln!("{error}");
    }
}

fn signal_all(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // One that is gone already is what is wanted.
        kill(*pid, signal).ok();
    }
}

fn pids_in(inode: u64) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = Pid::this();
    let pid_inside = |entry: fs::DirEntry| -> Option<Pid> {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let metadata = fs::metadata(entry.path().join("ns/net")).ok()?;
        (metadata.ino() == inode).then_some(Pid::from_raw(pid))
    };
    entries.flatten().filter_map(pid_inside).filter(|pid| *pid != own).collect()
}

fn parse_hardware_address(text: &str) -> Option<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require::require_root;

    #[test]
    fn ends_with_its_owner() {
        if !require_root() {
            return;
        }
        let namespace = Namespace::new("ends");
        let path = format!("{DIRECTORY}/{}", namespace.name());
        let mut child = namespace.spawn(Command::new("sleep").arg("60")).unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        assert_eq!(namespace.pids(), [pid]);
        assert!(namespace.has_address("lo", "127.0.0.1"));
        drop(namespace);
        assert!(!fs::exists(&path).unwrap());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn reads_hardware_addresses() {
        assert_eq!(parse_hardware_address("02:00:5e:00:01:ff"), Some([2, 0, 0x5e, 0, 1, 255]));
        assert_eq!(parse_hardware_address("02:00"), None);
    }
}
