//! The files by which other programs find this daemon and see how it is: how they are called, and
//! those with its number.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
};

use ha_config::Identity;

use crate::status::{self, Form};

/// What of the status is asked for, by keepalived's signals. Ours is one for the first two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Data,
    Statistics,
    Json,
}

/// In whose form it is written.
pub(crate) const fn form(asked: Asked) -> Form {
    match asked {
        Asked::Data | Asked::Statistics => Form::Own,
        Asked::Json => Form::Keepalived,
    }
}

/// Whose names they have.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    /// Our own, in this directory.
    In(PathBuf),
    /// keepalived's.
    Keepalived,
}

impl Home {
    /// Where the files are, but for keepalived's own status.
    pub(crate) fn directory(&self) -> &Path {
        match self {
            Self::In(directory) => directory,
            Self::Keepalived => Path::new("/run/keepalived"),
        }
    }
}

/// The files of one daemon of several on a host.
#[derive(Clone, Debug)]
pub(crate) struct RunFiles {
    home: Home,
    identity: Identity,
}

const CONTROL: &str = "control";

/// Whether a file is called as a daemon's control socket.
pub(crate) fn is_control(path: &Path) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str());
    let is_named = |name: &str| name == CONTROL || name.starts_with("control_");
    name.is_some_and(is_named) && path.extension().is_some_and(|extension| extension == "sock")
}

/// A keyword with which one of these has files that the other has not, from start to end.
pub(crate) fn fixed_difference(one: &Identity, other: &Identity) -> Option<&'static str> {
    let differences = [
        ("net_namespace", one.net_namespace != other.net_namespace),
        ("instance", one.instance != other.instance),
        ("use_pid_dir", one.use_pid_dir != other.use_pid_dir),
    ];
    differences.into_iter().find(|(_, differs)| *differs).map(|(keyword, _)| keyword)
}

impl RunFiles {
    pub(crate) const fn new(home: Home, identity: Identity) -> Self {
        Self { home, identity }
    }

    /// Goes on with what a reload may change of it.
    pub(crate) fn follow(&mut self, identity: &Identity) {
        self.identity.clone_from(identity);
    }

    /// Where the status is written to.
    pub(crate) fn status(&self, asked: Asked) -> PathBuf {
        match (&self.home, asked) {
            (Home::In(_), Asked::Json) => self.in_directory("keepalived", "json"),
            (Home::In(_), Asked::Data | Asked::Statistics) => self.in_directory("status", "json"),
            // Only the first of keepalived 2.2.7's says which daemon it is of, and on request.
            (Home::Keepalived, Asked::Data) => {
                format!("/tmp/keepalived.{}data", self.names_in_data()).into()
            }
            (Home::Keepalived, Asked::Statistics) => "/tmp/keepalived.stats".into(),
            (Home::Keepalived, Asked::Json) => "/tmp/keepalived.json".into(),
        }
    }

    /// Where it is asked and told what to do.
    pub(crate) fn control(&self) -> PathBuf {
        self.in_directory(CONTROL, "sock")
    }

    /// What names the demoted, in the run directory or in `state`, which outlives it.
    pub(crate) fn demoted(&self, state: Option<&Path>) -> PathBuf {
        self.within(state.unwrap_or_else(|| self.home.directory()), "demoted", "list")
    }

    /// What names the routes and rules that may be set.
    pub(crate) fn routing(&self) -> PathBuf {
        self.in_directory("ha-routing", "conf")
    }

    /// What gets the process's number without an option: as in keepalived, for a daemon that may be
    /// one of several, or by `use_pid_dir`.
    pub(crate) fn pid(&self) -> Vec<PathBuf> {
        let Identity { net_namespace, instance, use_pid_dir, data_use_instance: _ } =
            &self.identity;
        if net_namespace.is_none() && instance.is_none() && !use_pid_dir {
            return Vec::new();
        }
        let names: &[&str] = match self.home {
            Home::In(_) => &["ha-userspace"],
            Home::Keepalived => &["keepalived", "vrrp"],
        };
        names.iter().map(|name| self.in_directory(name, "pid")).collect()
    }

    /// `NAMESPACE_INSTANCE.`, or what there is of it.
    fn names_in_data(&self) -> String {
        let Identity { net_namespace, instance, data_use_instance, .. } = &self.identity;
        let names: Vec<&str> = [net_namespace, instance]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|_| *data_use_instance)
            .collect();
        if names.is_empty() { String::new() } else { names.join("_") + "." }
    }

    /// As keepalived 2.2.7 has it: a directory for each network namespace, and the instance's name
    /// behind the file's. It mounts that directory over its own as well; here nothing needs it.
    fn in_directory(&self, name: &str, extension: &str) -> PathBuf {
        self.within(self.home.directory(), name, extension)
    }

    fn within(&self, directory: &Path, name: &str, extension: &str) -> PathBuf {
        let mut path = directory.to_owned();
        let Identity { net_namespace, instance, .. } = &self.identity;
        path.extend(net_namespace);
        path.push(match instance {
            Some(instance) => format!("{name}_{instance}.{extension}"),
            None => format!("{name}.{extension}"),
        });
        path
    }
}

/// Files with the process's number, removed at the end.
pub(crate) struct PidFiles(Vec<PathBuf>);

impl PidFiles {
    /// # Errors
    /// One sentence: which cannot be written, and why.
    pub(crate) fn write(paths: Vec<PathBuf>) -> io::Result<Self> {
        for path in &paths {
            let directory = path.parent().unwrap_or(path);
            let written = fs::create_dir_all(directory).and_then(|()| {
                status::replace(path, 0o644, |file| writeln!(file, "{}", process::id()))
            });
            written.map_err(|error| {
                let text = format!("cannot write the pid file {}: {error}", path.display());
                io::Error::new(error.kind(), text)
            })?;
        }
        Ok(Self(paths))
    }
}

impl Drop for PidFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            drop(fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(net_namespace: Option<&str>, instance: Option<&str>) -> Identity {
        let [net_namespace, instance] = [net_namespace, instance].map(|it| it.map(str::to_owned));
        Identity { net_namespace, instance, ..Identity::default() }
    }

    /// keepalived's as they were found after a start of 2.2.7.
    #[test]
    fn names_tell_daemons_apart() {
        for (namespace, instance, theirs, ours, status) in [
            (None, None, None, None, "/d/status.json"),
            (
                None,
                Some("one"),
                Some(["/run/keepalived/keepalived_one.pid", "/run/keepalived/vrrp_one.pid"]),
                Some("/d/ha-userspace_one.pid"),
                "/d/status_one.json",
            ),
            (
                Some("red"),
                None,
                Some(["/run/keepalived/red/keepalived.pid", "/run/keepalived/red/vrrp.pid"]),
                Some("/d/red/ha-userspace.pid"),
                "/d/red/status.json",
            ),
            (
                Some("red"),
                Some("one"),
                Some([
                    "/run/keepalived/red/keepalived_one.pid",
                    "/run/keepalived/red/vrrp_one.pid",
                ]),
                Some("/d/red/ha-userspace_one.pid"),
                "/d/red/status_one.json",
            ),
        ] {
            let identity = identity(namespace, instance);
            let control = RunFiles::new(Home::In("/d".into()), identity.clone()).control();
            assert!(is_control(&control), "{}", control.display());
            let keepalived_s = RunFiles::new(Home::Keepalived, identity.clone());
            let theirs: Vec<PathBuf> = theirs.iter().flatten().map(PathBuf::from).collect();
            assert_eq!(keepalived_s.pid(), theirs);
            assert_eq!(keepalived_s.status(Asked::Data), PathBuf::from("/tmp/keepalived.data"));
            let own = RunFiles::new(Home::In("/d".into()), identity);
            assert_eq!(own.pid(), ours.iter().map(PathBuf::from).collect::<Vec<_>>());
            assert_eq!(own.status(Asked::Data), PathBuf::from(status));
            let json = status.replace("status", "keepalived");
            assert_eq!(own.status(Asked::Json), PathBuf::from(json));
        }
    }

    /// As 2.2.7 has them after a start.
    #[test]
    fn a_daemon_that_has_no_name_has_a_pid_file_on_request() {
        let identity = Identity { use_pid_dir: true, ..Identity::default() };
        let keepalived_s = RunFiles::new(Home::Keepalived, identity.clone());
        let theirs = ["/run/keepalived/keepalived.pid", "/run/keepalived/vrrp.pid"];
        assert_eq!(keepalived_s.pid(), theirs.map(PathBuf::from));
        let own = RunFiles::new(Home::In("/d".into()), identity.clone());
        assert_eq!(own.pid(), [PathBuf::from("/d/ha-userspace.pid")]);
        assert_eq!(fixed_difference(&identity, &Identity::default()), Some("use_pid_dir"));
    }

    /// As 2.2.7 names them.
    #[test]
    fn the_state_s_file_carries_names_on_request() {
        for (namespace, instance, name) in [
            (None, None, "keepalived.data"),
            (None, Some("one"), "keepalived.one.data"),
            (Some("red"), None, "keepalived.red.data"),
            (Some("red"), Some("one"), "keepalived.red_one.data"),
        ] {
            let plain = identity(namespace, instance);
            let named = Identity { data_use_instance: true, ..plain.clone() };
            assert_eq!(fixed_difference(&plain, &named), None);
            let mut files = RunFiles::new(Home::Keepalived, plain);
            files.follow(&named);
            assert_eq!(files.status(Asked::Data), PathBuf::from("/tmp").join(name));
            let others = [Asked::Statistics, Asked::Json].map(|asked| files.status(asked));
            assert_eq!(
                others,
                ["/tmp/keepalived.stats", "/tmp/keepalived.json"].map(PathBuf::from)
            );
            let own = RunFiles::new(Home::In("/d".into()), named.clone());
            let plain = RunFiles::new(Home::In("/d".into()), identity(namespace, instance));
            assert_eq!(own.status(Asked::Data), plain.status(Asked::Data));
        }
    }
}
