//! `release`: takes from this host what a run that was killed has left on it, where no other run follows
//! that would. It is what systemd calls after each end of the daemon.

use std::{io, sync::Arc};

use tokio::runtime;
use tracing::{
    info,
    subscriber::{self, NoSubscriber},
    warn,
};

use crate::{
    check::Source,
    cli::Options,
    daemon::{self, Locks},
    engine::driver::leftovers,
    firewall,
    io::{
        changes::{ChangeSocket, Outcome},
        links::Links,
        namespace,
    },
    plan::Plan,
    privileges, reading,
    routing_file::RoutingFile,
    run_files::RunFiles,
};

/// Removes what is known to be of a run that has ended: nothing if all is well.
///
/// # Errors
/// One sentence for the operator: a daemon still runs, or what could not be removed.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    privileges::check()?;
    // What there is to say of the file, the daemon has said at its start.
    let source = Source { with_carets: false, dump: false, ..options.source.clone() };
    let quiet = Options { source, ..options.clone() };
    let read = subscriber::with_default(NoSubscriber::default(), || reading::read(&quiet));
    let plan = read.unwrap_or_else(|_| {
        warn!(
            "{} cannot be run, `ha-userspace check` says why: only what is marked as this daemon's is found",
            options.source.path.display()
        );
        Plan::new(&ha_config::parse("", "").config, &[]).0
    });
    if let Some(name) = options.namespace.as_ref().or(plan.identity.net_namespace.as_ref()) {
        namespace::enter(name)?;
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(release(options, &Arc::new(plan)))
}

async fn release(options: &Options, plan: &Arc<Plan>) -> io::Result<()> {
    // Held to the end: no daemon starts meanwhile.
    let _locks = daemon::lock_interfaces(plan, &Locks::new())?;
    let files = RunFiles::new(options.home.clone(), plan.identity.clone());
    let routing = RoutingFile::new(files.routing());
    let leftovers = leftovers::of_killed(plan, &Links::open().await?, &routing.read())?;
    let results = ChangeSocket::open()?.apply(&leftovers);
    let mut released = Ok(());
    for (change, result) in leftovers.iter().zip(results) {
        match result {
            Ok(Outcome::Done) => info!("removed {change}, left over"),
            Ok(Outcome::AsItWas) => {}
            Err(error) => {
                warn!("{error}");
                released = Err(io::Error::other("something is left on this host"));
            }
        }
    }
    firewall::remove_left_overs(plan).await;
    released
}
