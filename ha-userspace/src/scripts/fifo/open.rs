//! Making, checking and opening a FIFO, and noticing that it is not there any more.

use std::{
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::PathBuf,
    time::Duration,
};

use ha_config::ScriptUser;
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::{Mode, fstat},
    unistd::{Gid, Uid, fchown, geteuid, mkfifo, read},
};
use tokio::{
    net::unix::pipe,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    io::{file_events::FileEvents, sys},
    scripts::launch::Identity,
};

/// Between two looks whether it is still there: its directory may be one in which much happens.
const LOOK_MIN: Duration = Duration::from_secs(1);
/// For what inotify does not see, as a directory further up that is moved.
const LOOK_MAX: Duration = Duration::from_mins(1);
/// More than a pipe holds (`fs.pipe-max-size`, unless an administrator has raised that).
const PIPE_BYTES_MAX: usize = 1 << 20;

/// An open FIFO; removed at its end if it was made here.
#[derive(Debug)]
pub(super) struct Opened {
    _made: Option<Made>,
    node: Node,
    // After `_made`: as long as it is open, no other file gets its number.
    pub(super) pipe: pipe::Sender,
}

/// Which file is meant by a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    path: PathBuf,
    inode: (u64, u64),
}

/// A FIFO that was made here.
#[derive(Debug)]
struct Made(Node);

impl Drop for Made {
    fn drop(&mut self) {
        // Another one of this name is not ours to remove.
        if self.0.is_there() {
            drop(fs::remove_file(&self.0.path));
        }
    }
}

impl Node {
    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) == self.inode)
    }

    /// Ends when another file is there, or none.
    pub(super) async fn gone(self) {
        let mut looks = interval(LOOK_MIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            // Before looking: what changes meanwhile is an event then.
            let events = FileEvents::open(&self.path);
            let node = self.clone();
            if !spawn_blocking(move || node.is_there()).await.unwrap_or(true) {
                return;
            }
            if let Ok(events) = events {
                timeout(LOOK_MAX, events.next()).await.ok();
            }
        }
    }
}

impl Opened {
    /// Opens the FIFO at `path`, and makes it if it is not there, for `owner` alone.
    ///
    /// # Errors
    /// One sentence: what is there instead, whose it is, or what the kernel says.
    pub(super) fn new(path: &str, owner: Option<&ScriptUser>) -> Result<Self, String> {
        let (uid, gid) = match owner {
            None => (geteuid(), None),
            Some(owner) => {
                let identity = Identity::of(&owner.user, owner.group.as_deref())?;
                (identity.uid, Some(identity.gid))
            }
        };
        let is_made = match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(error) => return Err(format!("it cannot be made: {error}")),
        };
        // Open for reading, too: without a reader, writing would be an error, and opening as well.
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file = open(path, flags, Mode::empty()).map_err(|error| {
            if error == Errno::ELOOP {
                "it is a symbolic link, which is not followed: remove it".to_owned()
            } else {
                format!("it cannot be opened: {error}")
            }
        })?;
        let inode = check_owner(&file, uid, gid, is_made)?;
        let node = Node { path: path.into(), inode };
        let made = is_made.then(|| Made(node.clone()));
        let pipe = pipe::Sender::from_owned_fd(file).map_err(|error| error.to_string())?;
        Ok(Self { _made: made, node, pipe })
    }

    pub(super) fn node(&self) -> Node {
        self.node.clone()
    }

    /// Takes what readers have not read, and says how many lines that is.
    pub(super) fn take_unread(&self) -> u64 {
        let mut bytes = vec![0; PIPE_BYTES_MAX];
        let count = read(self.pipe.as_fd(), &mut bytes).unwrap_or(0);
        bytes.truncate(count);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').count();
        u64::try_from(lines).unwrap_or(u64::MAX)
    }

    /// Keeps it open for writing only: from then on the kernel knows whether somebody else reads it, and
    /// where nobody does, writing fails.
    pub(super) fn stop_reading(&mut self) {
        let path = format!("/proc/self/fd/{}", self.pipe.as_raw_fd());
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = open(path.as_str(), flags, Mode::empty()).map_err(io::Error::from);
        // Without it, a reader that is not there is waited for.
        if let Ok(pipe) = file.and_then(pipe::Sender::from_owned_fd) {
            self.pipe = pipe;
        }
    }

    /// Until readers have read all of it, or there are none; looks each `pause`.
    pub(super) async fn await_empty(&self, pause: Duration) {
        let mut looks = interval(pause);
        // What cannot be asked is not waited for.
        while sys::unread_bytes(self.pipe.as_fd()).is_ok_and(|count| count > 0) && self.is_read() {
            looks.tick().await;
        }
    }

    fn is_read(&self) -> bool {
        let mut asked = [PollFd::new(self.pipe.as_fd(), PollFlags::empty())];
        poll(&mut asked, PollTimeout::ZERO).is_ok_and(|errors| errors == 0)
    }
}

/// Checks what was opened, and gives it to its owner; says which file it is.
fn check_owner(
    file: &OwnedFd,
    uid: Uid,
    gid: Option<Gid>,
    is_made: bool,
) -> Result<(u64, u64), String> {
    let fault = |error: Errno| error.to_string();
    let found = fstat(file).map_err(fault)?;
    if found.st_mode & libc::S_IFMT != libc::S_IFIFO {
        return Err("what is there is no FIFO: remove it".to_owned());
    }
    let is_ours = found.st_uid == geteuid().as_raw();
    if !is_ours && found.st_uid != uid.as_raw() {
        let owner = found.st_uid;
        return Err(format!("it belongs to user {owner}, who could read and write it: remove it"));
    }
    if !is_made && found.st_mode & 0o022 != 0 {
        let mode = found.st_mode & 0o7777;
        return Err(format!("others can write to it (mode {mode:04o}): remove it"));
    }
    if is_ours && gid.is_some() {
        fchown(file, Some(uid), gid).map_err(fault)?;
    }
    Ok((found.st_dev, found.st_ino))
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        fs::{File, Permissions, set_permissions},
        io::Write as _,
        os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink},
        process,
    };

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// A path of this test alone, at which `make` has made something.
    fn there(name: &str, make: impl FnOnce(&str)) -> String {
        let path = env::temp_dir().join(format!("ha-fifo-{}-{name}", process::id()));
        let path = path.into_os_string().into_string().unwrap();
        make(&path);
        path
    }

    #[tokio::test]
    async fn it_is_made_for_its_owner_and_removed() {
        let path = there("made", |_| {});
        let opened = Opened::new(&path, None).unwrap();
        let made = fs::symlink_metadata(&path).unwrap();
        assert!(made.file_type().is_fifo());
        assert_eq!(made.mode() & 0o7777, 0o600);
        drop(opened);
        assert!(fs::symlink_metadata(&path).is_err());
    }

    #[tokio::test]
    async fn it_is_noticed_that_another_one_is_there() {
        let path = there("replaced", |_| {});
        let mut opened = Opened::new(&path, None).unwrap();
        opened.pipe.write_all(b"one\ntwo\n").await.unwrap();
        let gone = tokio::spawn(opened.node().gone());
        fs::remove_file(&path).unwrap();
        mkfifo(path.as_str(), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        timeout(Duration::from_secs(20), gone).await.unwrap().unwrap();
        assert_eq!(opened.take_unread(), 2);
        drop(opened);
        fs::remove_file(&path).expect("it is not the one that was made");
    }

    #[tokio::test]
    async fn what_was_there_stays() {
        let path = there("stays", |path| mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap());
        drop(Opened::new(&path, None).unwrap());
        fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_fifo_of_ours_is_not_touched() {
        let check = |name, words: &str, make: &dyn Fn(&str)| {
            let path = there(name, make);
            let error = Opened::new(&path, None).unwrap_err();
            assert!(error.contains(words), "{error}");
            fs::remove_file(&path).unwrap();
        };
        check("file", "no FIFO", &|path| {
            File::create(path).unwrap().write_all(b"untouched").unwrap();
        });
        check("link", "symbolic link", &|path| symlink("/dev/null", path).unwrap());
        check("open", "mode 0622", &|path| {
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
            set_permissions(path, Permissions::from_mode(0o622)).unwrap();
        });
        let error = Opened::new("/nonexistent/fifo", None).unwrap_err();
        assert!(error.contains("cannot be made"), "{error}");
    }
}
