//! `status.json`: how things are, for people and for programs. `docs/status.md` says what is in it.
//!
//! The same document is written to a file, when a signal asks for it, and to the control socket.

pub(crate) mod figures;
mod instance;
mod keepalived;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    iter, mem,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use ha_config::Identity;
use ha_core::{InstanceId, Instant};
use serde_json::{Value, json};
use tracing::warn;

use self::{figures::Figures, instance::interface};
use crate::{engine::Snapshot, host, plan::Plan};

/// Status that waits while another is being written; more is refused.
const WAITING_MAX: usize = 1;
/// Of the members of `told`.
const INDENT: &str = "    ";

/// Writes the status on a thread of its own: a disk that stalls must not hold up anything else.
pub(crate) struct StatusWriter(SyncSender<(PathBuf, Form, Arc<Status>)>);

/// Whose document is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// That of `docs/status.md`.
    Own,
    /// What keepalived dumps as JSON.
    Keepalived,
}

/// How the daemon is at one moment.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) snapshot: Snapshot,
    /// What runs then.
    pub(crate) plan: Arc<Plan>,
    pub(crate) standings: BTreeMap<InstanceId, Standing>,
    pub(crate) told: Told,
    pub(crate) figures: Figures,
    /// By the wall clock at the snapshot's moment: for people.
    pub(crate) since_epoch: Duration,
}

/// Since when and why an instance is in its state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) since: Instant,
    pub(crate) why: String,
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
        let (send, waiting) = mpsc::sync_channel::<(PathBuf, Form, Arc<Status>)>(WAITING_MAX);
        thread::Builder::new().name("ha-status".to_owned()).spawn(move || {
            for (path, form, status) in waiting {
                if let Err(error) = write(&path, form, &status) {
                    warn!("cannot write {}: {error}", path.display());
                }
            }
        })?;
        Ok(Self(send))
    }

    /// Has it written to `path`, unless others wait.
    pub(crate) fn write(&self, path: PathBuf, form: Form, status: Arc<Status>) {
        if let Err(TrySendError::Full((path, ..)) | TrySendError::Disconnected((path, ..))) =
            self.0.try_send((path, form, status))
        {
            warn!("not written to {}: the status before is still being written", path.display());
        }
    }
}

fn write(path: &Path, form: Form, status: &Status) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    replace(path, 0o600, |file| match form {
        Form::Own => status.render(file),
        Form::Keepalived => status.render_as_keepalived(file),
    })
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

impl Status {
    /// One instance after the other: memory that is locked is not given back, and all of them
    /// together would need some kilobytes each.
    ///
    /// # Errors
    /// Those of `to`.
    pub(crate) fn render(&self, to: &mut impl Write) -> io::Result<()> {
        let snapshot = &self.snapshot;
        let Identity { net_namespace, instance, .. } = &self.plan.identity;
        let daemon = json!({ "version": env!("CARGO_PKG_VERSION"), "pid": process::id(),
            "host": host::name(), "net_namespace": net_namespace, "instance": instance });
        writeln!(to, "{{\n  \"version\": 1,\n  \"at_nanos\": {},", snapshot.at.as_nanos())?;
        writeln!(to, "  \"unix_ms\": {},", self.since_epoch.as_millis())?;
        writeln!(to, "  \"daemon\": {},", indented(&daemon, "  "))?;
        writeln!(to, "  \"scheduling\": {},", json!(snapshot.scheduling))?;
        writeln!(to, "  \"reports_lost\": {},", snapshot.reports_lost)?;
        writeln!(to, "  \"adverts_unsent\": {},", snapshot.adverts_unsent)?;
        writeln!(to, "  \"records_outdated\": {},", snapshot.records_outdated)?;
        let instances = snapshot.instances.iter();
        let groups = self.groups();
        let instances = instances.map(|one| self.instance(one, groups.get(&one.id).copied()));
        render_list(to, "instances", instances)?;
        render_list(to, "interfaces", snapshot.interfaces.iter().map(interface))?;
        writeln!(to, "  \"told\": {{{}\n  }}\n}}", self.told.0)
    }

    /// The document as text.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        // A Vec takes all.
        self.render(&mut text).ok();
        String::from_utf8(text).unwrap_or_default()
    }

    /// Names of sync groups by their members.
    fn groups(&self) -> BTreeMap<InstanceId, &str> {
        let groups = self.plan.groups.iter().zip(&self.plan.engine.groups);
        let members = groups.flat_map(|(group, members)| {
            members.members.iter().map(|member| (*member, group.name.as_str()))
        });
        members.collect()
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use ha_core::{TrackerId, wire::Dialect};

    use super::*;
    use crate::{
        engine::{InstanceSnapshot, InterfaceSnapshot, RoutingRemoved},
        histogram::Histogram,
    };

    const TEXT: &str = "vrrp_script chk {\n script \"/bin/true\"\n}\n\
        vrrp_instance VI_1 {\n interface bond0\n virtual_router_id 1\n priority 110\n \
        virtual_ipaddress {\n 192.0.2.1\n }\n track_script {\n chk weight -10\n }\n}\n";

    /// One instance on one interface.
    pub(crate) fn status() -> Status {
        let (plan, _) = Plan::new(&ha_config::parse("x", TEXT).config, &[]);
        let snapshot = Snapshot {
            at: Instant::from_nanos(7_000_000_000),
            scheduling: "SCHED_OTHER".to_owned(),
            instances: vec![InstanceSnapshot {
                id: InstanceId(0),
                name: "VI_1".to_owned(),
                state: ha_core::State::Master,
                awaited: None,
                priority: 100,
                weights: vec![(TrackerId(1), -10)],
                is_demoted: false,
                source: None,
                master: None,
                master_interval: Duration::from_secs(1),
                dialect: None,
                is_listening: false,
                heard_ago: None,
                sent_ago: None,
                statistics: ha_core::Statistics::default(),
                removed: RoutingRemoved::default(),
            }],
            interfaces: vec![InterfaceSnapshot {
                name: "bond0".to_owned(),
                index: 2,
                is_up: true,
                xdp: "native",
                counters: vec![("accepted", 1)],
            }],
            reports_lost: 0,
            adverts_unsent: 0,
            records_outdated: 0,
            wake_ups: Histogram::default(),
        };
        Status {
            snapshot,
            plan: Arc::new(plan),
            standings: BTreeMap::new(),
            told: Told::default(),
            figures: Figures::default(),
            since_epoch: Duration::from_millis(1_700_000_000_500),
        }
    }

    #[test]
    fn the_shape_is_the_documented_one() {
        let mut status = status();
        let instance = &mut status.snapshot.instances[0];
        instance.master = Some(("192.0.2.7".parse().unwrap(), 9));
        instance.dialect = Some(Dialect::PseudoHeader);
        instance.heard_ago = Some(Duration::from_micros(12_500));
        instance.sent_ago = Some(Duration::from_millis(250));
        let interfaces = &mut status.snapshot.interfaces;
        let second = InterfaceSnapshot { name: "bo\"nd\n1".to_owned(), ..interfaces[0].clone() };
        interfaces.push(second);
        let since = Instant::from_nanos(5_000_000_000);
        let standing = Standing { since, why: "nobody came".to_owned() };
        status.standings.insert(InstanceId(0), standing);
        let mut text = Vec::new();
        let told = &mut status.told;
        told.add_list("scripts", [json!({ "name": "chk" }), json!({ "name": "b" })].into_iter());
        told.add_list("notifications", iter::empty());
        told.add("fifos", &json!([]));
        status.render(&mut text).unwrap();
        let read: Value = serde_json::from_slice(&text).unwrap();
        let told = json!({ "scripts": [{ "name": "chk" }, { "name": "b" }], "notifications": [],
            "fifos": [] });
        assert_eq!(read["told"], told);
        assert_eq!(read["at_nanos"], 7_000_000_000_u64);
        assert_eq!(read["unix_ms"], 1_700_000_000_500_u64);
        assert_eq!(read["daemon"]["instance"], Value::Null);
        assert_eq!(read["scheduling"], "SCHED_OTHER");
        assert_eq!(read["interfaces"][1]["name"], "bo\"nd\n1");
        assert_eq!(read["version"], 1);
        let instance = &read["instances"][0];
        assert_eq!(instance["source"], Value::Null);
        let master = json!({ "address": "192.0.2.7", "priority": 9, "checksum": "pseudo-header" });
        assert_eq!(instance["master"], master);
        assert_eq!(instance["heard_ago_ms"], 12.5);
        assert_eq!(instance["sent_ago_ms"], 250.0);
        assert_eq!(instance["statistics"]["adverts_sent"], 0);
        assert_eq!(instance["since_unix_ms"], 1_699_999_998_500_u64);
        assert_eq!(instance["reason"], "nobody came");
        assert_eq!(instance["base_priority"], 110);
        assert_eq!(instance["weights"], json!([{ "tracker": "script chk", "weight": -10 }]));
        assert_eq!(instance["addresses"], json!(["192.0.2.1/32"]));
        assert_eq!(instance["deadline_path"], "kernel");
        let interface = json!({ "name": "bond0", "index": 2, "is_up": true, "xdp": "native",
            "counters": { "accepted": 1 } });
        assert_eq!(read["interfaces"][0], interface);
    }

    #[test]
    fn the_file_is_private_and_a_link_is_not_followed() {
        let directory = std::env::temp_dir().join(format!("ha-status-{}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let victim = directory.join("victim");
        fs::write(&victim, "untouched").unwrap();
        let path = directory.join("status.json");
        symlink(&victim, &path).unwrap();
        write(&path, Form::Own, &status()).unwrap();
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
        let status = Arc::new(status());
        writer.write("/first".into(), Form::Own, Arc::clone(&status));
        // Neither waits, though nothing is taken.
        writer.write("/second".into(), Form::Own, Arc::clone(&status));
        writer.write("/third".into(), Form::Own, status);
        let paths: Vec<PathBuf> = waiting.try_iter().map(|(path, ..)| path).collect();
        assert_eq!(paths, [Path::new("/first")]);
    }
}
