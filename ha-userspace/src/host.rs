//! What a configuration may ask of this host: the files that it includes, the environment, names.

use std::{
    env,
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use glob::MatchOptions;
use ha_config::Host;
use nix::unistd::gethostname;

use crate::clock;

/// Files that one pattern may match; more are left out, and `include` of so many is refused anyway.
const MATCHES_MAX: usize = 4_096;

/// The host that this process runs on.
#[derive(Debug)]
pub(crate) struct ThisHost {
    /// Absolute.
    directory: String,
    config_id: String,
    needs_all_files: bool,
}

impl ThisHost {
    /// For the configuration at `path`. Without a `config_id`, `@id` lines are compared with the
    /// host's name up to its first dot, as keepalived does.
    pub(crate) fn new(path: &Path, config_id: Option<&str>) -> Self {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        let config_id = config_id.map_or_else(short_host_name, str::to_owned);
        let directory = directory.to_string_lossy().into_owned();
        Self { directory, config_id, needs_all_files: false }
    }

    /// `needed`: what is to be included has to be there (`--all-config`).
    pub(crate) fn with_all_files(self, needed: bool) -> Self {
        Self { needs_all_files: needed, ..self }
    }
}

impl Host for ThisHost {
    fn glob(&self, pattern: &str) -> Vec<String> {
        // As glob(7), and so keepalived: a wildcard is no name that begins with a dot.
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        let Ok(paths) = glob::glob_with(pattern, options) else { return Vec::new() };
        // A directory that cannot be read has nothing that could be included.
        let paths = paths.filter_map(Result::ok).take(MATCHES_MAX);
        paths.map(|path: PathBuf| path.to_string_lossy().into_owned()).collect()
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<String, String> {
        let describe = |error: std::io::Error| error.to_string();
        // Opening a pipe would wait for its other end.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = file.map_err(describe)?;
        if !file.metadata().map_err(describe)?.is_file() {
            return Err("it is not a file".to_owned());
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(describe)?;
        if bytes.len() > bytes_max {
            return Err(format!("it is larger than the {bytes_max} bytes that are left"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    fn directory(&self) -> &str {
        &self.directory
    }

    fn config_id(&self) -> &str {
        &self.config_id
    }

    fn needs_all_files(&self) -> bool {
        self.needs_all_files
    }

    fn seed(&self) -> u64 {
        clock::now().as_nanos()
    }
}

/// The host's name.
pub(crate) fn name() -> String {
    gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

fn short_host_name() -> String {
    name().split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn included_files_are_found_and_read_beside_the_configuration() {
        let directory = env::temp_dir().join(format!("ha-host-{}", std::process::id()));
        fs::create_dir_all(directory.join("conf.d")).unwrap();
        let instance = |vrid: u8| {
            format!(
                "vrrp_instance VI_{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n \
                 virtual_ipaddress {{\n 192.0.2.{vrid}\n }}\n}}\n"
            )
        };
        fs::write(directory.join("conf.d/b.conf"), instance(2)).unwrap();
        fs::write(directory.join("conf.d/a.conf"), instance(1)).unwrap();
        fs::write(directory.join("conf.d/other"), "nonsense {").unwrap();
        // An editor's, of the time in which the other is open.
        fs::write(directory.join("conf.d/.a.conf"), instance(9)).unwrap();
        let main = directory.join("main.conf");
        let host = ThisHost::new(&main, Some("here"));
        let text = format!(
            "include conf.d/*.conf\n@here $NAME=VI_3\n@there $NAME=VI_4\n{}",
            instance(3).replace("VI_3", "$NAME")
        );
        let parsed = ha_config::parse_with("main.conf", &text, &host);
        let names: Vec<_> = parsed.config.instances.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["VI_1", "VI_2", "VI_3"], "{:?}", parsed.diagnostics);
        assert_eq!(host.read(directory.to_str().unwrap(), 9).unwrap_err(), "it is not a file");
        let a = directory.join("conf.d/a.conf");
        assert!(host.read(a.to_str().unwrap(), 9).unwrap_err().starts_with("it is larger"));
        let is_directory =
            |name: &str| !host.glob(&format!("{}/{name}/", directory.display())).is_empty();
        assert_eq!(
            ["conf.d", "main.conf", "conf.d/a.conf"].map(is_directory),
            [true, false, false]
        );
        fs::remove_dir_all(&directory).unwrap();
    }
}
