//! Going into a network namespace by its name.

use std::{fs::File, io, path::Path};

use nix::sched::{CloneFlags, setns};

/// Where iproute2 keeps the names (ip-netns(8)).
const NAMES: &str = "/run/netns";

/// Takes the calling thread, and the threads and processes that it starts from then on, there.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn enter(name: &str) -> io::Result<()> {
    let failed = |error: io::Error| {
        let text =
            format!("cannot run in the network namespace {name}: {error}; `ip netns` lists them");
        io::Error::new(error.kind(), text)
    };
    if name.contains('/') {
        return Err(failed(io::Error::other("a name has no slash in it")));
    }
    let namespace = File::open(Path::new(NAMES).join(name)).map_err(failed)?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| failed(errno.into()))
}
