//! Whether nobody but root can change what is run as root.
//!
//! Each element of the path is opened by itself and judged as what was opened, links included. It is
//! done again at each run, right before it: a name that nobody but root can change means the same
//! file a moment later, so that the script can be run by its name, which it may ask for (`$0`).

use std::{
    collections::{BTreeSet, VecDeque},
    env,
    ffi::{OsStr, OsString},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use ha_config::{Command, Place};
use ha_core::TrackerId;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat, readlinkat},
    sys::stat::{FileStat, Mode, fstat},
    unistd::{AccessFlags, access, geteuid},
};

use crate::{
    plan::Plan,
    privileges,
    scripts::launch::{self, Rights},
};

/// As many as the kernel follows (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// Why it is not safe to run it as root.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It cannot be looked at; so it cannot be run either, and the kernel says why.
    NotThere(Errno),
    /// One sentence: which element of the path, and what to do.
    Unsafe(String),
}

/// A script that cannot be run as things are.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Hindered {
    /// One sentence: where it is named, and which element of its path has to be changed how.
    pub(crate) note: String,
    /// An instance tracks it without a weight, and so is in FAULT for as long.
    pub(crate) is_needed: bool,
}

/// Who would run what in vain: what is refused at each run is told before the first one.
pub(crate) fn hindered(plan: &Plan) -> BTreeSet<Hindered> {
    let tracks = plan.engine.instances.iter().flat_map(|instance| &instance.tracks);
    let needed = tracks.filter(|track| track.weight == 0 && !track.reverse);
    let needed: BTreeSet<TrackerId> = needed.map(|track| track.tracker).collect();
    let checks = plan.trackers.numbered();
    let checks = checks.filter_map(|(number, tracker)| Some((number, tracker.command()?)));
    let checks = checks.filter_map(|(number, check)| {
        let (place, obstacle) = (&check.place, obstacle(check)?);
        let is_needed = needed.contains(&TrackerId(number));
        let consequence = if is_needed {
            "what tracks it is in FAULT"
        } else {
            "what tracks it has a lower priority"
        };
        Some(Hindered { note: note_of_check(place, &obstacle, consequence), is_needed })
    });
    let others = plan.commands_that_tell().filter_map(hindered_of);
    checks.chain(others).collect()
}

/// The same of a command that no instance depends on.
fn hindered_of(command: &Command) -> Option<Hindered> {
    let (place, obstacle) = (&command.place, obstacle(command)?);
    let note = format!("{place}: {obstacle}: nothing is run, as with keepalived");
    Some(Hindered { note, is_needed: false })
}

/// The same of a check that nothing of a plan tracks.
pub(crate) fn hindered_check(command: &Command) -> Option<Hindered> {
    let consequence = "what tracks it is in FAULT or has a lower priority";
    let note = note_of_check(&command.place, &obstacle(command)?, consequence);
    Some(Hindered { note, is_needed: false })
}

fn note_of_check(place: &Place, obstacle: &str, consequence: &str) -> String {
    format!(
        "{place}: {obstacle}: this check fails, and {consequence}; keepalived goes on without the \
         check"
    )
}

/// The same for a plan that is about to run here.
pub(crate) fn notes_of_run(plan: &Plan) -> BTreeSet<String> {
    let mut notes: BTreeSet<String> = hindered(plan).into_iter().map(|it| it.note).collect();
    if plan.commands().any(|command| launch::is_root(command.user.as_ref()) == Ok(true)) {
        notes.extend(privileges::note_of_root_scripts());
    }
    notes
}

/// Why `command` cannot be run, if it cannot, as far as can be seen from here.
fn obstacle(command: &Command) -> Option<String> {
    let who = match launch::rights(command.user.as_ref()) {
        Ok(who) => who,
        Err(error) => return Some(format!("this script will not be run: {error}")),
    };
    let path = find(OsStr::new(command.argv.first()?));
    let safe = if who.is_root() { check(&path) } else { Ok(()) };
    if let Err(Fault::Unsafe(why)) = safe {
        return Some(format!("this script will not be run as root: {why}"));
    }
    match walk(&path, &|found, element| may_run(found, element, &who)) {
        Ok(()) => None,
        // Who checks sees less than who would run it.
        Err(Fault::NotThere(Errno::EACCES)) if !geteuid().is_root() => None,
        Err(Fault::NotThere(Errno::ENOENT | Errno::ENOTDIR)) => {
            Some(format!("there is no {}", path.display()))
        }
        Err(Fault::NotThere(errno)) => {
            Some(format!("cannot look at {}: {}", path.display(), errno.desc()))
        }
        Err(Fault::Unsafe(why)) => Some(why),
    }
}

/// Whether `who` can go through an element of a path, or run it.
fn may_run(found: &FileStat, path: &Path, who: &Rights) -> Result<(), String> {
    let (path, mode) = (path.display(), found.st_mode & 0o7777);
    if is(found, libc::S_IFLNK) {
        return Ok(());
    }
    let is_directory = is(found, libc::S_IFDIR);
    if !is_directory && !is(found, libc::S_IFREG) {
        return Err(format!("{path} is no program, but a special file"));
    }
    if who.may_execute(found.st_uid, found.st_gid, mode, is_directory) {
        return Ok(());
    }
    let user = who.name();
    Err(if is_directory {
        format!(
            "{path} cannot be entered by {user} (mode {mode:04o}): `chmod a+x {path}`, or run the \
             script as another user"
        )
    } else {
        format!("{path} cannot be executed by {user} (mode {mode:04o}): `chmod a+x {path}`")
    })
}

/// Where the program called `name` is: without a slash, in a directory of `PATH`.
pub(crate) fn find(name: &OsStr) -> PathBuf {
    if Path::new(name).components().count() > 1 {
        return name.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|directory| directory.join(name));
    places.find(|place| access(place, AccessFlags::X_OK).is_ok()).unwrap_or_else(|| name.into())
}

/// Judges each element of `path`.
///
/// # Errors
/// The first one that somebody else can change, or what the kernel says of it.
pub(crate) fn check(path: &Path) -> Result<(), Fault> {
    walk(path, &judge)
}

/// What is said of an element of a path, if it is not in order.
type Judge<'a> = &'a dyn Fn(&FileStat, &Path) -> Result<(), String>;

fn walk(path: &Path, judge: Judge<'_>) -> Result<(), Fault> {
    let root = || open(None, OsStr::new("/"));
    let mut rest: VecDeque<OsString> = elements(path);
    let start = if path.is_absolute() { root()? } else { open(None, OsStr::new("."))? };
    // Where the walk is: each directory, and what it is called.
    let mut walk = vec![start];
    let mut shown = if path.is_absolute() { PathBuf::from("/") } else { PathBuf::new() };
    let mut links = 0_usize;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            walk.truncate(walk.len().saturating_sub(1).max(1));
            shown.pop();
            continue;
        }
        let here = walk.last().map(|(file, _)| file);
        let (file, found) = open(here, &name)?;
        shown.push(&name);
        judge(&found, &shown).map_err(Fault::Unsafe)?;
        if is(&found, libc::S_IFLNK) {
            links = links.saturating_add(1);
            if links > LINKS_MAX {
                return Err(Fault::NotThere(Errno::ELOOP));
            }
            let target = match here {
                Some(here) => readlinkat(here, name.as_os_str()),
                None => readlinkat(AT_FDCWD, name.as_os_str()),
            };
            let target = PathBuf::from(target.map_err(Fault::NotThere)?);
            shown.pop();
            if target.is_absolute() {
                walk = vec![root()?];
                shown = PathBuf::from("/");
            }
            for name in elements(&target).into_iter().rev() {
                rest.push_front(name);
            }
        } else {
            walk.push((file, found));
        }
    }
    Ok(())
}

fn elements(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

/// What is there itself, link or not.
fn open(here: Option<&OwnedFd>, name: &OsStr) -> Result<(OwnedFd, FileStat), Fault> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match here {
        Some(here) => openat(here, name, flags, Mode::empty()),
        None => openat(AT_FDCWD, name, flags, Mode::empty()),
    };
    let file = opened.map_err(Fault::NotThere)?;
    let found = fstat(&file).map_err(Fault::NotThere)?;
    Ok((file, found))
}

fn is(found: &FileStat, kind: u32) -> bool {
    found.st_mode & libc::S_IFMT == kind
}

fn judge(found: &FileStat, path: &Path) -> Result<(), String> {
    let path = path.display();
    let (mode, uid, gid) = (found.st_mode & 0o7777, found.st_uid, found.st_gid);
    if uid != 0 {
        return Err(format!(
            "{path} belongs to user {uid}, who can change it: `chown root {path}`, or run the \
             script as another user"
        ));
    }
    // In a sticky directory, as /tmp is, nobody can replace what is root's; a link has no mode.
    let is_kept = is(found, libc::S_IFDIR) && mode & libc::S_ISVTX != 0;
    if is_kept || is(found, libc::S_IFLNK) {
        return Ok(());
    }
    let (who, sign) = if mode & libc::S_IWOTH != 0 {
        ("everybody".to_owned(), "o-w")
    } else if mode & libc::S_IWGRP != 0 && gid != 0 {
        (format!("group {gid}"), "g-w")
    } else {
        return Ok(());
    };
    Err(format!(
        "{path} can be changed by {who} (mode {mode:04o}): `chmod {sign} {path}`, or run the script \
         as another user"
    ))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions, set_permissions},
        os::unix::fs::{PermissionsExt as _, chown, symlink},
        process,
    };

    use super::*;

    /// `directory/script`, of root.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let place = Self(env::temp_dir().join(format!("ha-security-{}-{name}", process::id())));
            fs::create_dir_all(place.directory()).unwrap();
            fs::write(place.script(), "#!/bin/sh\n").unwrap();
            place.set(&place.0, 0o755);
            place.set(&place.directory(), 0o755);
            place.set(&place.script(), 0o755);
            place
        }

        fn directory(&self) -> PathBuf {
            self.0.join("directory")
        }

        fn script(&self) -> PathBuf {
            self.directory().join("script")
        }

        #[expect(clippy::unused_self, reason = "it is of this place")]
        fn set(&self, path: &Path, mode: u32) {
            set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn why(path: &Path) -> String {
        match check(path) {
            Err(Fault::Unsafe(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_element_and_its_mode_are_named() {
        if !geteuid().is_root() {
            return;
        }
        let place = Place::new("modes");
        assert_eq!(check(&place.script()), Ok(()));
        place.set(&place.script(), 0o757);
        let expected =
            format!("{} can be changed by everybody (mode 0757)", place.script().display());
        assert!(why(&place.script()).starts_with(&expected), "{}", why(&place.script()));
        place.set(&place.script(), 0o755);
        place.set(&place.directory(), 0o777);
        let expected =
            format!("{} can be changed by everybody (mode 0777)", place.directory().display());
        assert!(why(&place.script()).starts_with(&expected));
        // Nobody can replace what is root's there.
        place.set(&place.directory(), 0o1777);
        assert_eq!(check(&place.script()), Ok(()));
        chown(place.script(), Some(1), None).unwrap();
        assert!(why(&place.script()).contains("belongs to user 1"));
        chown(place.script(), Some(0), Some(1)).unwrap();
        place.set(&place.script(), 0o775);
        assert!(why(&place.script()).contains("group 1 (mode 0775): `chmod g-w"));
        chown(place.script(), Some(0), Some(0)).unwrap();
        assert_eq!(check(&place.script()), Ok(()), "root's own group");
    }

    #[test]
    fn links_are_judged_with_what_they_lead_to() {
        if !geteuid().is_root() {
            return;
        }
        let place = Place::new("links");
        let link = place.0.join("link");
        for target in ["directory/script", "../../tmp/none/../none"] {
            symlink(target, &link).unwrap();
            assert_eq!(check(&link).is_ok(), target == "directory/script", "{target}");
            fs::remove_file(&link).unwrap();
        }
        symlink(place.directory(), &link).unwrap();
        assert_eq!(check(&link.join("script")), Ok(()));
        place.set(&place.directory(), 0o757);
        assert!(why(&link.join("script")).contains("directory can be changed"));
        fs::remove_file(&link).unwrap();
        symlink(&link, &link).unwrap();
        assert_eq!(check(&link), Err(Fault::NotThere(Errno::ELOOP)));
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert!(find(OsStr::new("sh")).is_absolute());
        assert_eq!(find(OsStr::new("/nonexistent")), Path::new("/nonexistent"));
        assert_eq!(find(OsStr::new("no-such-program")), Path::new("no-such-program"));
    }
}
