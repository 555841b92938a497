//! Who is demoted, and the file that says so after a restart of the daemon.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use ha_core::InstanceId;
use tracing::warn;

use crate::{plan::Plan, status};

/// Names of instances and sync groups; `true`: only until the daemon ends.
#[derive(Debug)]
pub(crate) struct Demotions {
    path: PathBuf,
    names: BTreeMap<String, bool>,
}

impl Demotions {
    /// Those that the file at `path` names; none if there is no file.
    pub(crate) fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                warn!("nobody is demoted: cannot read {}: {error}", path.display());
            }
            String::new()
        });
        let names = text.lines().map(|name| (name.to_owned(), false)).collect();
        Self { path, names }
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
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        } else {
            status::replace(&self.path, 0o644, |file| file.write_all(text.as_bytes()))
        };
        written.map_err(|error| {
            let path = self.path.display();
            let text = format!("a restart will not know of it: cannot write {path}: {error}");
            io::Error::new(error.kind(), text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "vrrp_instance VI_1 {\n interface bond0\n virtual_router_id 1\n \
        virtual_ipaddress {\n 192.0.2.1\n }\n}\n\
        vrrp_instance VI_2 {\n interface bond0\n virtual_router_id 2\n \
        virtual_ipaddress {\n 192.0.2.2\n }\n}\n\
        vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n";

    #[test]
    fn they_outlive_a_restart_unless_asked_otherwise() {
        let (plan, _) = Plan::new(&ha_config::parse("x", TEXT).config, &[]);
        let path = std::env::temp_dir().join(format!("ha-demoted-{}", std::process::id()));
        let mut demotions = Demotions::read(path.clone());
        assert_eq!(demotions.of(&plan), []);
        demotions.add("G", false).unwrap();
        demotions.add("VI_2", true).unwrap();
        demotions.add("gone", false).unwrap();
        assert_eq!(demotions.of(&plan), [InstanceId(0), InstanceId(1)]);
        let mut demotions = Demotions::read(path.clone());
        assert_eq!(demotions.of(&plan), [InstanceId(0)]);
        demotions.remove(&plan, InstanceId(1)).unwrap();
        assert_eq!(Demotions::read(path.clone()).of(&plan), []);
        assert_eq!(fs::read_to_string(&path).unwrap(), "gone\n");
        fs::remove_file(path).unwrap();
    }
}
