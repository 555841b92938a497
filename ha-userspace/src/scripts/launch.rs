//! Between the daemon and a script: this program, run once more, becomes the script.
//!
//! The daemon never forks. A fork copies its page tables and makes each page that the engine
//! thread writes to next a fault: with 64 MiB locked, a `SCHED_FIFO` thread with a timer of 1 ms was
//! 3.5 ms late at the 99th percentile, against 0.08 ms with `posix_spawn`, which shares the memory
//! until `exec`. What `posix_spawn` cannot do (another user, a signal when the daemon dies) is done
//! here, after the `exec` and before the next one. Looking up users may block on a name service,
//! too: here it blocks nobody else.

use std::{
    env,
    ffi::{CString, OsString},
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{self, Command, ExitCode},
};

use ha_config::ScriptUser;
use nix::{
    sys::{prctl, signal::Signal},
    unistd::{
        Gid, Group, Pid, Uid, User, getegid, geteuid, getgrouplist, getgroups, getppid, setgid,
        setgroups, setuid,
    },
};

use crate::{
    scripts::security::{self, Fault},
    service,
};

/// The first argument by which this program knows what it is to be.
const WORD: &str = "launch-script";
/// This program, also after its file was replaced or removed.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// keepalived's default user for scripts, where it exists.
const DEFAULT_USER: &str = "keepalived_script";
/// As a shell's: the program cannot be run.
const EXIT_NOT_RUN: u8 = 126;
/// As a shell's: there is no such program.
const EXIT_NOT_FOUND: u8 = 127;

/// The arguments to run a script with, the program among them.
pub(crate) fn arguments(user: Option<&ScriptUser>) -> [String; 5] {
    let (user, group) =
        user.map_or(("", ""), |user| (user.user.as_str(), user.group.as_deref().unwrap_or("")));
    [OWN_PROGRAM, WORD, &process::id().to_string(), user, group].map(str::to_owned)
}

/// Becomes a script if that is what this process was started for; returns only if it is not, or
/// cannot.
pub(crate) fn main() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().as_deref() != Some(WORD.as_ref()) {
        return None;
    }
    let (error, exit_code) = become_script(arguments);
    // Into the script's output, which the daemon reads; if it is gone, so is who could be told.
    writeln!(io::stderr(), "{error}").ok();
    Some(ExitCode::from(exit_code))
}

/// Returns only when it fails.
fn become_script(mut arguments: impl Iterator<Item = OsString>) -> (String, u8) {
    let mut word = || arguments.next().and_then(|word| word.into_string().ok());
    let (Some(parent), Some(user), Some(group)) = (word(), word(), word()) else {
        return (format!("{WORD} is the daemon's way to run scripts, not a command"), EXIT_NOT_RUN);
    };
    let user = Some(user).filter(|user| !user.is_empty());
    let group = Some(group).filter(|group| !group.is_empty());
    let Some(program) = arguments.next() else {
        return ("no program is named".to_owned(), EXIT_NOT_RUN);
    };
    let program = security::find(&program);
    let prepared = identity(user.as_deref(), group.as_deref())
        .and_then(|identity| check(identity.as_ref(), &program).map(|()| identity))
        .and_then(|identity| identity.map_or(Ok(()), |identity| identity.take_on()))
        .and_then(|()| die_with(&parent));
    if let Err(error) = prepared {
        return (error, EXIT_NOT_RUN);
    }
    close_inherited();
    // It also unblocks all signals and gives SIGPIPE its default meaning back.
    let mut script = Command::new(&program);
    script.args(arguments);
    // They are of the daemon's own service: another one that the script starts must not answer for it.
    for variable in service::VARIABLES {
        script.env_remove(variable);
    }
    let error = script.exec();
    let exit_code =
        if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_RUN };
    (format!("cannot run {}: {error}", program.display()), exit_code)
}

/// What runs as root is what root put there.
fn check(identity: Option<&Identity>, program: &Path) -> Result<(), String> {
    if !identity.map_or(geteuid(), |identity| identity.uid).is_root() {
        return Ok(());
    }
    match security::check(program) {
        Err(Fault::Unsafe(why)) => Err(format!("not run as root: {why}")),
        // The kernel says what is wrong with it.
        Ok(()) | Err(Fault::NotThere(_)) => Ok(()),
    }
}

/// Whether what names `user` runs as root.
///
/// # Errors
/// There is no such user or group.
pub(crate) fn is_root(user: Option<&ScriptUser>) -> Result<bool, String> {
    rights(user).map(|rights| rights.is_root())
}

/// As whom a script would run, as far as modes of files ask for it.
#[derive(Debug)]
pub(crate) struct Rights {
    uid: Uid,
    groups: Vec<Gid>,
}

impl Rights {
    pub(crate) const fn is_root(&self) -> bool {
        self.uid.is_root()
    }

    /// For people: the name, if there is one.
    pub(crate) fn name(&self) -> String {
        let user = User::from_uid(self.uid).ok().flatten();
        user.map_or_else(|| format!("user {}", self.uid), |user| user.name)
    }

    /// What `path_resolution(7)` and `execve(2)` ask for: root enters every directory, and runs what
    /// anybody can.
    pub(crate) fn may_execute(&self, uid: u32, gid: u32, mode: u32, is_directory: bool) -> bool {
        let bits = if self.uid.is_root() && is_directory {
            1
        } else if self.uid.is_root() {
            mode | mode >> 3 | mode >> 6
        } else if self.uid.as_raw() == uid {
            mode >> 6
        } else if self.groups.iter().any(|group| group.as_raw() == gid) {
            mode >> 3
        } else {
            mode
        };
        bits & 1 != 0
    }
}

/// As whom a script of `user` runs.
///
/// # Errors
/// There is no such user or group.
pub(crate) fn rights(user: Option<&ScriptUser>) -> Result<Rights, String> {
    let name = user.map(|user| user.user.as_str()).filter(|name| !name.is_empty());
    let identity = identity(name, user.and_then(|user| user.group.as_deref()))?;
    Ok(if let Some(Identity { uid, gid, mut groups }) = identity {
        groups.push(gid);
        Rights { uid, groups }
    } else {
        let mut groups = getgroups().unwrap_or_default();
        groups.push(getegid());
        Rights { uid: geteuid(), groups }
    })
}

fn identity(user: Option<&str>, group: Option<&str>) -> Result<Option<Identity>, String> {
    match user {
        Some(user) => Identity::of(user, group).map(Some),
        None => default_identity(group),
    }
}

/// Whom to run as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// Supplementary groups: none but with keepalived's `:GROUP`.
    groups: Vec<Gid>,
}

impl Identity {
    /// `user` and `group` are names or numbers; a `:` before the group asks for the user's
    /// supplementary groups, too.
    pub(crate) fn of(user: &str, group: Option<&str>) -> Result<Self, String> {
        let known = match user.parse().map(Uid::from_raw) {
            Ok(uid) => User::from_uid(uid),
            Err(_) => User::from_name(user),
        };
        let known = known.map_err(|error| format!("cannot look up the user {user}: {error}"))?;
        let uid = known.as_ref().map(|known| known.uid);
        let uid = uid.or_else(|| user.parse().ok().map(Uid::from_raw));
        let uid = uid.ok_or_else(|| format!("there is no user {user}"))?;
        let (wants_groups, group) = match group.map(|group| (group.strip_prefix(':'), group)) {
            None => (false, None),
            Some((Some(""), _)) => (true, None),
            Some((Some(group), _)) => (true, Some(group)),
            Some((None, group)) => (false, Some(group)),
        };
        let gid = match (group, &known) {
            (Some(group), _) => find_group(group)?,
            (None, Some(known)) => known.gid,
            (None, None) => return Err(format!("user {user} has no group: name one after it")),
        };
        let groups = match known.filter(|_| wants_groups) {
            Some(known) => supplementary_groups(&known.name, gid)?,
            None => Vec::new(),
        };
        Ok(Self { uid, gid, groups })
    }

    fn take_on(&self) -> Result<(), String> {
        if !geteuid().is_root() && self.uid == geteuid() && self.gid == getegid() {
            return Ok(());
        }
        setgroups(&self.groups)
            .and_then(|()| setgid(self.gid))
            .and_then(|()| setuid(self.uid))
            .map_err(|error| format!("cannot become user {}: {error}", self.uid))
    }
}

/// keepalived's: that user if there is one, else whoever runs the daemon.
fn default_identity(group: Option<&str>) -> Result<Option<Identity>, String> {
    match User::from_name(DEFAULT_USER) {
        Ok(Some(_)) if geteuid().is_root() => Identity::of(DEFAULT_USER, group).map(Some),
        Ok(_) => Ok(None),
        // Not as root because a name service has failed.
        Err(error) => Err(format!("cannot look up the user {DEFAULT_USER}: {error}")),
    }
}

fn find_group(group: &str) -> Result<Gid, String> {
    if let Ok(gid) = group.parse() {
        return Ok(Gid::from_raw(gid));
    }
    match Group::from_name(group) {
        Ok(Some(known)) => Ok(known.gid),
        Ok(None) => Err(format!("there is no group {group}")),
        Err(error) => Err(format!("cannot look up the group {group}: {error}")),
    }
}

fn supplementary_groups(user: &str, gid: Gid) -> Result<Vec<Gid>, String> {
    let name = CString::new(user).map_err(|error| format!("user {user}: {error}"))?;
    getgrouplist(&name, gid).map_err(|error| format!("cannot look up groups of {user}: {error}"))
}

/// Without the daemon nobody would end a script that hangs. After the change of user, which
/// forgets this.
fn die_with(parent: &str) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGTERM)
        .map_err(|error| format!("cannot be tied to the daemon: {error}"))?;
    // It may have died before.
    let parent = parent.parse().map(Pid::from_raw).ok();
    if parent == Some(getppid()) { Ok(()) } else { Err("the daemon is gone".to_owned()) }
}

/// What the daemon was itself given by whoever started it is not the script's.
fn close_inherited() {
    let flags = i32::try_from(libc::CLOSE_RANGE_CLOEXEC).unwrap_or(0);
    // SAFETY: nothing is closed before the `exec`, after which nobody here uses a descriptor. Where
    // the kernel does not know the call, nothing happens.
    unsafe { libc::close_range(3, u32::MAX, flags) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(user: &str, group: Option<&str>) -> (u32, u32, Vec<u32>) {
        let identity = Identity::of(user, group).unwrap();
        let groups = identity.groups.iter().map(|gid| gid.as_raw()).collect();
        (identity.uid.as_raw(), identity.gid.as_raw(), groups)
    }

    #[test]
    fn users_are_names_or_numbers() {
        assert_eq!(raw("root", None), (0, 0, vec![]));
        assert_eq!(raw("0", None), (0, 0, vec![]));
        assert_eq!(raw("root", Some("7")), (0, 7, vec![]));
        assert_eq!(raw("4000000000", Some("7")), (4_000_000_000, 7, vec![]));
    }

    #[test]
    fn modes_are_read_as_the_kernel_reads_them() {
        let of = |uid, groups: &[u32]| {
            let groups = groups.iter().copied().map(Gid::from_raw).collect();
            Rights { uid: Uid::from_raw(uid), groups }
        };
        let (root, one) = (of(0, &[0]), of(1, &[2, 3]));
        for (who, uid, gid, mode, is_directory, may) in [
            (&root, 5, 5, 0o644, false, false),
            (&root, 5, 5, 0o654, false, true),
            (&root, 5, 5, 0o600, true, true),
            (&one, 1, 3, 0o655, false, false),
            (&one, 5, 3, 0o654, false, true),
            (&one, 5, 3, 0o645, false, false),
            (&one, 5, 5, 0o645, true, true),
            (&one, 0, 0, 0o750, true, false),
        ] {
            assert_eq!(who.may_execute(uid, gid, mode, is_directory), may, "{who:?} {mode:o}");
        }
    }

    #[test]
    fn a_colon_asks_for_supplementary_groups() {
        let (_, gid, groups) = raw("root", Some(":root"));
        assert_eq!(gid, 0);
        assert!(groups.contains(&0), "{groups:?}");
        assert_eq!(raw("root", Some(":")).1, 0);
    }

    #[test]
    fn who_is_not_there_is_named() {
        let error = |user, group| Identity::of(user, group).unwrap_err();
        assert_eq!(error("no-such-user", None), "there is no user no-such-user");
        assert_eq!(error("root", Some("no-such-group")), "there is no group no-such-group");
        assert!(error("4000000000", None).contains("name one"));
    }
}
