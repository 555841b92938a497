//! `status.json`: how things are, for people and for tests.
//!
//! ```json
//! { "version": 1, "at_nanos": 1, "scheduling": "SCHED_DEADLINE …", "reports_lost": 0,
//!   "instances": [{ "name": "VI_1", "state": "MASTER", "priority": 100, "source": "198.51.100.10",
//!     "master": { "address": "198.51.100.11", "priority": 100, "checksum": null },
//!     "is_listening": false, "heard_ago_ms": 12.5,
//!     "statistics": { "adverts_received": 1, … } }],
//!   "interfaces": [{ "name": "bond0", "index": 2, "is_up": true, "xdp": "native",
//!     "counters": { "accepted": 1, … } }],
//!   "told": {
//!     "notifications": [{ "type": "INSTANCE", "name": "VI_1", "waiting": 0, "runs": 2, "failed": 0,
//!       "lost": 0, "coalesced": 0, "last": { "state": "MASTER", "command": "/etc/ha/notify.sh",
//!         "run": { "exit_code": 0, "signal": null, "error": null, "duration_ms": 3.5,
//!           "output": "" } } }],
//!     "fifos": [{ "path": "/run/ha.fifo", "waiting": 0, "lost": 0, "error": null }],
//!     "mail": { "waiting": 0, "sent": 1, "tries_failed": 0, "failed": 0, "lost": 0,
//!       "last_error": null },
//!     "scripts": [{ "name": "chk", "is_up": true, "last_failure": { "exit_code": 1, … } }],
//!     "clock": { "lines_left_out": 0, "offset_ms": -1.5,
//!       "kernel": { "is_synchronised": true, "max_error_ms": 12.5, "estimated_error_ms": 0.5 },
//!       "servers": [{ "server": "192.0.2.123:123", "offset_ms": -1.5, "doubt_ms": 0.25,
//!         "stratum": 2, "answers": 9, "failures": 0, "last_error": null }],
//!       "tracked": [{ "name": "clk", "is_up": true, "reason": "it is good enough" }] } } }
//! ```
//! `notifications` has who has scripts and was told something; `output` is the end of it. `scripts` are
//! those that are tracked; `is_up` is `null` before the first verdict, `last_failure` as `run` above. `clock` is the host's wall clock: see
//! `docs/time.md`.
//! `source`, `master` and `heard_ago_ms` are `null` while there is none. `checksum` is `message` or
//! `pseudo-header` for `VRRPv3` over IPv4. `is_listening`: it was late, and listens before it acts.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    iter, mem,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
};

use ha_core::wire::Dialect;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracing::warn;

use crate::engine::{InstanceSnapshot, InterfaceSnapshot, Snapshot};

/// Status that waits while another is being written; more is refused.
const WAITING_MAX: usize = 1;
/// Questions that wait for the main thread.
const QUESTIONS_MAX: usize = 16;
/// Of the members of `told`.
const INDENT: &str = "    ";

/// Writes the status on a thread of its own: a disk that stalls must not hold up anything else.
pub(crate) struct StatusWriter(SyncSender<(PathBuf, Status)>);

/// How things are at one moment.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) snapshot: Snapshot,
    /// Who was told of it.
    pub(crate) told: Told,
}

impl Status {
    /// The document as text.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        // A Vec takes all.
        render(&mut text, self).ok();
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Asks the main thread how things are, from any other one.
#[derive(Clone, Debug)]
pub(crate) struct Asker(tokio::sync::mpsc::Sender<Question>);

/// Who wants to know.
pub(crate) type Question = oneshot::Sender<Arc<Status>>;

impl Asker {
    /// What is asked arrives at the receiver; beyond [`QUESTIONS_MAX`] who asks waits.
    pub(crate) fn new() -> (Self, tokio::sync::mpsc::Receiver<Question>) {
        let (send, questions) = tokio::sync::mpsc::channel(QUESTIONS_MAX);
        (Self(send), questions)
    }

    /// `None`: the daemon ends, or its engine thread does not answer.
    pub(crate) async fn ask(&self) -> Option<Arc<Status>> {
        let (question, answer) = oneshot::channel();
        self.0.send(question).await.ok()?;
        answer.await.ok()
    }
}

/// Who was told of it, as text: as a tree of values it would need some kilobytes for each script.
#[derive(Debug, Default)]
pub(crate) struct Told(String);

impl Told {
    /// Adds a member.
    pub(crate) fn add(&mut self, name: &str, value: &Value) {
        self.begin(name);
        self.0.push_str(&indented(value, INDENT));
    }

    /// Adds a member that is a list.
    pub(crate) fn add_list(&mut self, name: &str, values: impl Iterator<Item = Value>) {
        self.begin(name);
        self.0.extend(list(values, INDENT));
    }

    fn begin(&mut self, name: &str) {
        let separator = if self.0.is_empty() { "" } else { "," };
        self.0.extend([separator, "\n", INDENT, &json!(name).to_string(), ": "]);
    }
}

impl StatusWriter {
    /// Ends when this is dropped, and is not waited for.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start() -> io::Result<Self> {
        let (send, waiting) = mpsc::sync_channel::<(PathBuf, Status)>(WAITING_MAX);
        thread::Builder::new().name("ha-status".to_owned()).spawn(move || {
            for (path, status) in waiting {
                if let Err(error) = write(&path, &status) {
                    warn!("cannot write {}: {error}", path.display());
                }
            }
        })?;
        Ok(Self(send))
    }

    /// Has it written to `path`, unless others wait.
    pub(crate) fn write(&self, path: PathBuf, status: Status) {
        if let Err(TrySendError::Full((path, _)) | TrySendError::Disconnected((path, _))) =
            self.0.try_send((path, status))
        {
            warn!("not written to {}: the status before is still being written", path.display());
        }
    }
}

fn write(path: &Path, status: &Status) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    replace(path, 0o600, |file| render(file, status))
}

/// Replaces the file at `path` in one step, with these permissions less the umask. A symbolic link
/// there is replaced, not followed.
///
/// # Errors
/// The directory is not there, or cannot be written to; or `write`'s.
pub(crate) fn replace(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut temporary = OsString::from(path);
    temporary.push(".new");
    // A daemon that was killed while writing leaves it behind.
    drop(fs::remove_file(&temporary));
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.flush()?;
    fs::rename(&temporary, path)
}

/// One instance after the other: memory that is locked is not given back, and all of them together
/// would need some kilobytes each.
fn render(to: &mut impl Write, Status { snapshot, told }: &Status) -> io::Result<()> {
    writeln!(to, "{{\n  \"version\": 1,\n  \"at_nanos\": {},", snapshot.at.as_nanos())?;
    writeln!(to, "  \"scheduling\": {},", json!(snapshot.scheduling))?;
    writeln!(to, "  \"reports_lost\": {},", snapshot.reports_lost)?;
    render_list(to, "instances", snapshot.instances.iter().map(instance))?;
    render_list(to, "interfaces", snapshot.interfaces.iter().map(interface))?;
    writeln!(to, "  \"told\": {{{}\n  }}\n}}", told.0)
}

fn render_list(
    to: &mut impl Write,
    name: &str,
    values: impl Iterator<Item = Value>,
) -> io::Result<()> {
    write!(to, "  \"{name}\": ")?;
    for part in list(values, "  ") {
        to.write_all(part.as_bytes())?;
    }
    writeln!(to, ",")
}

/// The parts of a list's text, behind `indent`.
fn list(values: impl Iterator<Item = Value>, indent: &str) -> impl Iterator<Item = String> {
    let within = format!("{indent}  ");
    let end = format!("\n{indent}]");
    let mut separator = "";
    let parts = values.map(move |value| {
        let begin = mem::replace(&mut separator, ",");
        format!("{begin}\n{within}{}", indented(&value, &within))
    });
    iter::once("[".to_owned()).chain(parts).chain([end])
}

/// `value` as it stands behind `indent`; in strings there are no line feeds.
fn indented(value: &Value, indent: &str) -> String {
    format!("{value:#}").replace('\n', &format!("\n{indent}"))
}

fn instance(instance: &InstanceSnapshot) -> Value {
    let statistics = &instance.statistics;
    let master = instance.master.map(|(address, priority)| {
        let checksum = instance.dialect.map(|dialect| match dialect {
            Dialect::Message => "message",
            Dialect::PseudoHeader => "pseudo-header",
        });
        json!({ "address": address, "priority": priority, "checksum": checksum })
    });
    json!({
        "name": instance.name,
        "state": instance.state.to_string(),
        "priority": instance.priority,
        "source": instance.source,
        "master": master,
        "is_listening": instance.is_listening,
        "heard_ago_ms": instance.heard_ago.map(|ago| ago.as_secs_f64() * 1e3),
        "statistics": {
            "adverts_received": statistics.adverts_received,
            "adverts_absorbed": statistics.adverts_absorbed,
            "adverts_sent": statistics.adverts_sent,
            "became_master": statistics.became_master,
            "released_master": statistics.released_master,
            "priority_zero_received": statistics.priority_zero_received,
            "priority_zero_sent": statistics.priority_zero_sent,
            "rejected": statistics.rejected,
            "saved_by_stamp": statistics.saved_by_stamp,
            "late": statistics.late,
            "peers_forgotten": statistics.peers_forgotten,
            "addresses_removed": statistics.addresses_removed,
        },
    })
}

fn interface(interface: &InterfaceSnapshot) -> Value {
    let counters =
        interface.counters.iter().map(|(name, count)| ((*name).to_owned(), json!(count)));
    let counters: serde_json::Map<String, Value> = counters.collect();
    json!({
        "name": interface.name,
        "index": interface.index,
        "is_up": interface.is_up,
        "xdp": interface.xdp,
        "counters": counters,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            at: ha_core::Instant::from_nanos(7),
            scheduling: "SCHED_OTHER".to_owned(),
            instances: vec![InstanceSnapshot {
                name: "VI_1".to_owned(),
                state: ha_core::State::Master,
                priority: 100,
                source: None,
                master: None,
                dialect: None,
                is_listening: false,
                heard_ago: None,
                statistics: ha_core::Statistics::default(),
            }],
            interfaces: Vec::new(),
            reports_lost: 0,
        }
    }

    #[test]
    fn the_shape_is_the_documented_one() {
        let mut snapshot = snapshot();
        let instance = &mut snapshot.instances[0];
        instance.master = Some(("192.0.2.7".parse().unwrap(), 9));
        instance.dialect = Some(Dialect::PseudoHeader);
        instance.heard_ago = Some(std::time::Duration::from_micros(12_500));
        snapshot.interfaces = vec![InterfaceSnapshot {
            name: "bond0".to_owned(),
            index: 2,
            is_up: true,
            xdp: "native",
            counters: vec![("accepted", 1)],
        }];
        let second =
            InterfaceSnapshot { name: "bo\"nd\n1".to_owned(), ..snapshot.interfaces[0].clone() };
        snapshot.interfaces.push(second);
        let mut text = Vec::new();
        let mut told = Told::default();
        told.add_list("scripts", [json!({ "name": "chk" }), json!({ "name": "b" })].into_iter());
        told.add_list("notifications", iter::empty());
        told.add("fifos", &json!([]));
        render(&mut text, &Status { snapshot, told }).unwrap();
        let read: Value = serde_json::from_slice(&text).unwrap();
        let told = json!({ "scripts": [{ "name": "chk" }, { "name": "b" }], "notifications": [],
            "fifos": [] });
        assert_eq!(read["told"], told);
        assert_eq!(read["at_nanos"], 7);
        assert_eq!(read["scheduling"], "SCHED_OTHER");
        assert_eq!(read["interfaces"][1]["name"], "bo\"nd\n1");
        assert_eq!(read["version"], 1);
        assert_eq!(read["instances"][0]["source"], Value::Null);
        let master = json!({ "address": "192.0.2.7", "priority": 9, "checksum": "pseudo-header" });
        assert_eq!(read["instances"][0]["master"], master);
        assert_eq!(read["instances"][0]["heard_ago_ms"], 12.5);
        assert_eq!(read["instances"][0]["statistics"]["adverts_sent"], 0);
        let interface = json!({ "name": "bond0", "index": 2, "is_up": true, "xdp": "native",
            "counters": { "accepted": 1 } });
        assert_eq!(read["interfaces"][0], interface);
    }

    #[test]
    fn the_file_is_private_and_a_link_is_not_followed() {
        let directory = std::env::temp_dir().join(format!("ha-status-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let victim = directory.join("victim");
        fs::write(&victim, "untouched").unwrap();
        let path = directory.join("status.json");
        symlink(&victim, &path).unwrap();
        write(&path, &Status { snapshot: snapshot(), told: Told::default() }).unwrap();
        let read: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read["instances"][0]["state"], "MASTER");
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_disk_that_stalls_holds_nobody_up() {
        let (send, waiting) = mpsc::sync_channel(WAITING_MAX);
        let writer = StatusWriter(send);
        let status = || Status { snapshot: snapshot(), told: Told::default() };
        writer.write("/first".into(), status());
        // Neither waits, though nothing is taken.
        writer.write("/second".into(), status());
        writer.write("/third".into(), status());
        let paths: Vec<PathBuf> = waiting.try_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [Path::new("/first")]);
    }
}
