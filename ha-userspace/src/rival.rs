//! Whether a keepalived that runs here speaks for one of our virtual routers: two programs on one host
//! would both answer for its addresses, and neither hears the other.
//!
//! Where it runs is seen in `/proc`, what it runs is read from its own configuration: if that was changed
//! and not read again, the answer is about what it will run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ha_config::Config;

use crate::{host::ThisHost, plan::Plan};

const NAME: &str = "keepalived\n";
/// keepalived(8): without `--use-file`.
const DEFAULT_FILE: &str = "/etc/keepalived/keepalived.conf";
/// More than any configuration has.
const BYTES_MAX: usize = 16 << 20;

/// Looks for a keepalived of this network namespace; gives back what is to be said of those of which it
/// is not known.
///
/// # Errors
/// One sentence: it has a virtual router of the plan's.
pub(crate) fn check(plan: &Plan) -> io::Result<Vec<String>> {
    let mut unknown = Vec::new();
    for pid in keepaliveds() {
        let Some(file) = configuration_of(pid) else { continue };
        match read(pid, &file) {
            Ok(config) => {
                if let Some(clash) = clash(plan, &config) {
                    return Err(io::Error::other(format!(
                        "keepalived (pid {pid}) has {clash} by its {}: stop it first, or take that \
                         out there",
                        file.display()
                    )));
                }
            }
            Err(error) => unknown.push(format!(
                "keepalived (pid {pid}) runs here too, with {}, which cannot be read ({error}): it \
                 must have none of these virtual routers",
                file.display()
            )),
        }
    }
    Ok(unknown)
}

/// Those in this network namespace. Of its processes the first is the parent of the others, and has the
/// same command line.
fn keepaliveds() -> Vec<u32> {
    let own = fs::read_link("/proc/self/ns/net").ok();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == NAME)
            && fs::read_link(format!("/proc/{pid}/ns/net")).ok() == own
    };
    numbers.filter(is_it).collect()
}

/// `None` if it has ended meanwhile.
fn configuration_of(pid: u32) -> Option<PathBuf> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|words| !words.is_empty())?;
    let words: Vec<String> = words
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(named_in(&words).unwrap_or_else(|| DEFAULT_FILE.into()))
}

/// The file that `-f FILE`, `-fFILE`, `--use-file FILE` or `--use-file=FILE` names.
fn named_in(words: &[String]) -> Option<PathBuf> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "-f" || word == "--use-file" {
            return words.next().map(PathBuf::from);
        }
        let named = word.strip_prefix("--use-file=").or_else(|| word.strip_prefix("-f"));
        if let Some(named) = named {
            return Some(named.into());
        }
    }
    None
}

/// Its configuration, as that process sees files.
fn read(pid: u32, file: &Path) -> Result<Config, String> {
    let Ok(inside) = file.strip_prefix("/") else {
        return Err("its path is not absolute".to_owned());
    };
    let seen = Path::new("/proc").join(pid.to_string()).join("root").join(inside);
    let host = ThisHost::new(&seen, None);
    let name = seen.to_string_lossy();
    let text = ha_config::Host::read(&host, &name, BYTES_MAX)?;
    Ok(ha_config::parse_with(&name, &text, &host).config)
}

/// What both have, in words.
fn clash(plan: &Plan, config: &Config) -> Option<String> {
    let ours = plan.instances.iter();
    let both = ours.flat_map(|own| config.instances.iter().map(move |its| (own, its)));
    let mut same = both.filter(|(own, its)| {
        own.interface == its.interface && own.vrid == its.vrid.as_u8() && own.family == its.family
    });
    let (own, _) = same.next()?;
    Some(format!("virtual router {} on {}", own.vrid, own.interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str) -> Option<PathBuf> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        named_in(&words)
    }

    #[test]
    fn its_configuration_is_named_in_each_of_its_ways() {
        for line in ["-f /x", "-f/x", "--use-file /x", "-n --use-file=/x -l"] {
            assert_eq!(named(&format!("keepalived {line}")), Some("/x".into()), "{line}");
        }
        assert_eq!(named("keepalived -n -l"), None);
    }

    #[test]
    fn the_same_router_on_the_same_interface_is_a_clash() {
        let text = |interface: &str, vrid: u8| {
            format!(
                "vrrp_instance A {{\n interface {interface}\n virtual_router_id {vrid}\n \
                 virtual_ipaddress {{\n 192.0.2.1\n }}\n}}\n"
            )
        };
        let config = |interface, vrid| ha_config::parse("x", &text(interface, vrid)).config;
        let (plan, _) = Plan::new(&config("eth0", 7), &[]);
        let said = clash(&plan, &config("eth0", 7)).unwrap();
        assert_eq!(said, "virtual router 7 on eth0");
        assert_eq!(clash(&plan, &config("eth0", 8)), None);
        assert_eq!(clash(&plan, &config("eth1", 7)), None);
    }
}
