//! Who is demoted, and the file that says so after a restart of the daemon: in the state directory,
//! where there is one, so that it outlives a stop and the host.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use ha_core::InstanceId;
use tracing::warn;

use crate::{plan::Plan, run_files::RunFiles, status};

/// Names of instances and sync groups; `true`: only until the daemon ends.
#[derive(Debug)]
pub(crate) struct Demotions {
    path: PathBuf,
    /// Whether the file outlives a stop and the host.
    is_kept: bool,
    names: BTreeMap<String, bool>,
}

impl Demotions {
    /// Those of before this start. `state`: the directory that outlives the run directory, if there is
    /// one; what the run directory has, as without it, is taken over then.
    pub(crate) fn read(files: &RunFiles, state: Option<&Path>) -> Self {
        let path = files.demoted(state);
        let mut demotions = Self { names: lasting(&path), path, is_kept: state.is_some() };
        let other = files.demoted(None);
        if other == demotions.path {
            return demotions;
        }
        let names = lasting(&other);
        if names.is_empty() {
            return demotions;
        }
        demotions.names.extend(names);
        // Never without a file that says so, and never with two: a promotion forgets only one.
        if let Err(error) = demotions.write().and_then(|()| remove(&other)) {
            warn!("demotions of {} are not taken over for good: {error}", other.display());
        }
        demotions
    }

    /// How long a demotion lasts, for whoever ordered it.
    pub(crate) const fn term(&self, until_restart: bool) -> &'static str {
        match (until_restart, self.is_kept) {
            (true, _) => "until promote or the end of this daemon",
            (false, true) => "until promote, also over a restart of the host",
            (false, false) => {
                "until promote or a restart of the host; a service manager may forget it at a stop"
            }
        }
    }

    /// Names that nothing of `plan` has, and those that something has.
    pub(crate) fn tell(&self, plan: &Plan) {
        let (demoted, unknown): (Vec<&str>, Vec<&str>) =
            self.names.keys().map(String::as_str).partition(|name| plan.named(name).is_some());
        let path = self.path.display();
        if !demoted.is_empty() {
            let names = demoted.join(", ");
            warn!("demoted since before this start, until promote: {names} ({path})");
        }
        if !unknown.is_empty() {
            warn!("{path} names what is not configured: {}", unknown.join(", "));
        }
    }

    /// Those of `plan`.
    pub(crate) fn of(&self, plan: &Plan) -> Vec<InstanceId> {
        self.names.keys().filter_map(|name| plan.named(name)).collect()
    }

    /// # Errors
    /// One sentence: it is not written down.
    pub(crate) fn add(&mut self, name: &str, until_restart: bool) -> io::Result<()> {
        self.names.insert(name.to_owned(), until_restart);
        self.write()
    }

    /// The instance is demoted no more, by whatever name of its own or its group's.
    ///
    /// # Errors
    /// One sentence: it is not written down.
    pub(crate) fn remove(&mut self, plan: &Plan, instance: InstanceId) -> io::Result<()> {
        let members = plan.members_with(instance);
        let is_other = |name: &String| plan.named(name).is_none_or(|one| !members.contains(&one));
        self.names.retain(|name, _| is_other(name));
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let lasting = self.names.iter().filter(|(_, until_restart)| !**until_restart);
        let text: String = lasting.flat_map(|(name, _)| [name.as_str(), "\n"]).collect();
        let written = if text.is_empty() {
            remove(&self.path)
        } else {
            // With `net_namespace` it is in a directory of that name.
            let directory = self.path.parent().unwrap_or(&self.path);
            let write =
                || status::replace(&self.path, 0o644, |file| file.write_all(text.as_bytes()));
            fs::create_dir_all(directory).and_then(|()| write())
        };
        written.map_err(|error| {
            let path = self.path.display();
            let text = format!("a restart will not know of it: cannot write {path}: {error}");
            io::Error::new(error.kind(), text)
        })
    }
}

/// The names in the file at `path`; none if there is no file.
fn lasting(path: &Path) -> BTreeMap<String, bool> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            let path = path.display();
            warn!("who was demoted is not known, so that nobody is: cannot read {path}: {error}");
        }
        String::new()
    });
    text.lines().map(|name| (name.to_owned(), false)).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ha_config::Identity;

    use super::*;
    use crate::run_files::Home;

    const TEXT: &str = "vrrp_instance VI_1 {\n interface bond0\n virtual_router_id 1\n \
        virtual_ipaddress {\n 192.0.2.1\n }\n}\n\
        vrrp_instance VI_2 {\n interface bond0\n virtual_router_id 2\n \
        virtual_ipaddress {\n 192.0.2.2\n }\n}\n\
        vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n";

    #[test]
    fn they_outlive_a_restart_unless_asked_otherwise() {
        let (plan, _) = Plan::new(&ha_config::parse("x", TEXT).config, &[]);
        let directory = Scratch::new("lasting");
        let files = directory.files();
        let path = files.demoted(None);
        let mut demotions = Demotions::read(&files, None);
        assert_eq!(demotions.of(&plan), []);
        demotions.add("G", false).unwrap();
        demotions.add("VI_2", true).unwrap();
        demotions.add("gone", false).unwrap();
        assert_eq!(demotions.of(&plan), [InstanceId(0), InstanceId(1)]);
        let mut demotions = Demotions::read(&files, None);
        assert_eq!(demotions.of(&plan), [InstanceId(0)]);
        demotions.remove(&plan, InstanceId(1)).unwrap();
        assert_eq!(Demotions::read(&files, None).of(&plan), []);
        assert_eq!(fs::read_to_string(&path).unwrap(), "gone\n");
    }

    /// A package of before kept them in the run directory alone.
    #[test]
    fn those_of_the_run_directory_are_taken_over() {
        let (plan, _) = Plan::new(&ha_config::parse("x", TEXT).config, &[]);
        let directory = Scratch::new("former");
        let (files, state) = (directory.files(), directory.0.join("state"));
        fs::write(files.demoted(None), "VI_1\n").unwrap();
        let mut demotions = Demotions::read(&files, Some(&state));
        assert_eq!(demotions.of(&plan), [InstanceId(0)]);
        assert!(!files.demoted(None).exists());
        assert_eq!(Demotions::read(&files, Some(&state)).of(&plan), [InstanceId(0)]);
        demotions.remove(&plan, InstanceId(0)).unwrap();
        assert_eq!(Demotions::read(&files, Some(&state)).of(&plan), []);
    }

    /// A directory of this test, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("ha-demoted-{}-{name}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }

        fn files(&self) -> RunFiles {
            RunFiles::new(Home::In(self.0.clone()), Identity::default())
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
