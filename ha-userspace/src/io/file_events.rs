//! What the kernel tells of a file (inotify(7)).

use std::{io, os::fd::OwnedFd, path::Path};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use super::sys;

/// A write counts when the writer closes the file: until then it may be half done.
const OF_FILE: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DELETE_SELF);
const OF_DIRECTORY: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DELETE_SELF);

/// Waits for the first change of a file since [`FileEvents::open`], and for no other.
#[derive(Debug)]
pub(crate) struct FileEvents(AsyncFd<OwnedFd>);

impl FileEvents {
    /// The file need not be there, its directory must be.
    ///
    /// # Errors
    /// The directory cannot be watched.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(path.parent().unwrap_or(Path::new("/")), OF_DIRECTORY)?;
        // It follows links; that the file is not there is what the directory is watched for.
        inotify.add_watch(path, OF_FILE).ok();
        sys::register(inotify.into()).map(Self)
    }

    /// Ends when the file may have another content, or be another one.
    pub(crate) async fn next(&self) {
        // An error is a reason to look, too.
        drop(self.0.readable().await);
    }
}
