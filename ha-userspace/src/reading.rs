//! The configuration as it is to be run: read at the start, and beside everything else at a reload.

use std::{future, io, path::Path, pin::Pin, thread, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};
use tracing::warn;

use crate::{cli::Options, control::Question, io::sys, plan::Plan, scripts::security};

/// A reading of a file for as long is worth a word: the disk may be gone.
const SLOW_READING: Duration = Duration::from_secs(5);

/// A configuration that is being read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// It, or why it cannot be run.
    answer: oneshot::Receiver<Result<Plan, String>>,
    slow: Pin<Box<Sleep>>,
    /// Who has ordered it, if it was no signal.
    pub(crate) asked: Option<Question>,
}

/// Reads a configuration beside everything else: its file may be slow, and so may who reads the
/// standard error, where its faults are shown.
pub(crate) fn start(options: &Options) -> io::Result<Reading> {
    let (send, answer) = oneshot::channel();
    let options = options.clone();
    // Nobody waits for its end: a stop must not.
    thread::Builder::new().name("ha-reload".to_owned()).spawn(move || {
        // Nobody may be interested any more.
        send.send(read(&options).map(fit)).ok();
    })?;
    #[expect(clippy::disallowed_methods, reason = "a hint to the operator may be late")]
    let slow = Box::pin(sleep(SLOW_READING));
    Ok(Reading { answer, slow, asked: None })
}

/// What the reading gives, or why it cannot be run; never, where nothing is read.
pub(crate) async fn answer(reading: &mut Option<Reading>, path: &Path) -> Result<Plan, String> {
    let Some(Reading { answer, slow, .. }) = reading else { return future::pending().await };
    let is_news = !slow.is_elapsed();
    let answered = tokio::select! {
        answered = &mut *answer => answered,
        () = slow.as_mut(), if is_news => {
            warn!(
                "{} is still being read, and another reload waits for it: look at its disk",
                path.display()
            );
            answer.await
        }
    };
    let failed = |_| Err("reading the configuration failed: please report this".to_owned());
    answered.unwrap_or_else(failed)
}

/// Has it advertise what fits into the MTU of its interfaces, in the network namespace it runs in; says what
/// is wrong with these.
pub(crate) fn fit(mut plan: Plan) -> Plan {
    let warnings = plan.fit(sys::mtu);
    let delays = plan.delays_of_nobody(|interface| sys::mtu(interface).is_some());
    for warning in warnings.into_iter().chain(delays) {
        warn!("{warning}");
    }
    plan
}

/// Reads what is to be run.
pub(crate) fn read(options: &Options) -> Result<Plan, String> {
    let Options { source, interfaces, namespace, .. } = options;
    let (mut plan, warnings) = Plan::new(&source.load()?, interfaces);
    for warning in warnings.into_iter().chain(security::notes_of_run(&plan)) {
        warn!("{warning}");
    }
    if let Some(namespace) = namespace {
        let configured = plan.identity.net_namespace.replace(namespace.clone());
        if let Some(other) = configured.filter(|configured| configured != namespace) {
            warn!("`net_namespace {other}` does not count: --namespace {namespace} does");
        }
    }
    if plan.instances.is_empty() {
        let name = source.path.display();
        let on = if interfaces.is_empty() { "" } else { " on the interfaces of --iface" };
        return Err(format!("{name}: no vrrp_instance to run{on}"));
    }
    Ok(plan)
}
