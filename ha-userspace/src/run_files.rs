//! The files by which other programs find this daemon and see how it is: how they are called, and
//! those with its number.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process,
};

use ha_config::Identity;

use crate::status;

/// What of the status is asked for, by keepalived's signals. Ours is one for all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Data,
    Statistics,
    Json,
}

/// Whose names they have.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    /// Our own, in this directory.
    In(PathBuf),
    /// keepalived's.
    Keepalived,
}

/// The files of one daemon of several on a host.
#[derive(Clone, Debug)]
pub(crate) struct RunFiles {
    home: Home,
    identity: Identity,
}

impl RunFiles {
    pub(crate) const fn new(home: Home, identity: Identity) -> Self {
        Self { home, identity }
    }

    /// Where the status is written to.
    pub(crate) fn status(&self, asked: Asked) -> PathBuf {
        match (&self.home, asked) {
            (Home::In(_), _) => self.in_directory("status", "json"),
            // keepalived 2.2.7 has these names whatever it is called.
            (Home::Keepalived, Asked::Data) => "/tmp/keepalived.data".into(),
            (Home::Keepalived, Asked::Statistics) => "/tmp/keepalived.stats".into(),
            (Home::Keepalived, Asked::Json) => "/tmp/keepalived.json".into(),
        }
    }

    /// What gets the process's number without being asked for: as in keepalived, for a daemon that
    /// may be one of several.
    pub(crate) fn pid(&self) -> Vec<PathBuf> {
        if self.identity == Identity::default() {
            return Vec::new();
        }
        let names: &[&str] = match self.home {
            Home::In(_) => &["ha-userspace"],
            Home::Keepalived => &["keepalived", "vrrp"],
        };
        names.iter().map(|name| self.in_directory(name, "pid")).collect()
    }

    /// As keepalived 2.2.7 has it: a directory for each network namespace, and the instance's name
    /// behind the file's. It mounts that directory over its own as well; here nothing needs it.
    fn in_directory(&self, name: &str, extension: &str) -> PathBuf {
        let mut path = match &self.home {
            Home::In(directory) => directory.clone(),
            Home::Keepalived => "/run/keepalived".into(),
        };
        let Identity { net_namespace, instance } = &self.identity;
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

    fn files(home: Home, net_namespace: Option<&str>, instance: Option<&str>) -> RunFiles {
        let [net_namespace, instance] = [net_namespace, instance].map(|it| it.map(str::to_owned));
        RunFiles::new(home, Identity { net_namespace, instance })
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
            let keepalived_s = files(Home::Keepalived, namespace, instance);
            let theirs: Vec<PathBuf> = theirs.iter().flatten().map(PathBuf::from).collect();
            assert_eq!(keepalived_s.pid(), theirs);
            assert_eq!(keepalived_s.status(Asked::Data), PathBuf::from("/tmp/keepalived.data"));
            let own = files(Home::In("/d".into()), namespace, instance);
            assert_eq!(own.pid(), ours.iter().map(PathBuf::from).collect::<Vec<_>>());
            assert_eq!(own.status(Asked::Json), PathBuf::from(status));
        }
    }
}
