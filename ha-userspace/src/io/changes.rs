//! Addresses, routes and rules: set and removed, many in one system call.
//!
//! Whatever is set here is in the [`Ledger`] before the kernel is asked, so that every exit path
//! can remove it. Nothing here decides what is wanted.

use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rtnetlink::packet_core::NLMSG_ERROR;

use super::{
    addresses::AddressChange,
    netlink::{self, NetlinkSocket},
    routes::RouteChange,
    rules::RuleChange,
    schedule, sys,
};
use crate::clock;

/// Messages in one system call: about 12 KiB, well below the send queue's limit.
const BATCH_MAX: usize = 128;
/// So many changes are worth no other scheduling: see [`schedule::aside`].
const FEW: usize = 4;
/// Room for a batch's acknowledgements, of which each occupies less than 1 KiB, or for a dump.
const RECEIVE_BYTES: usize = 1 << 20;
/// How long the kernel may take to answer: it does so within the system call.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// Something to be there, or not.
///
/// In the order in which they are set: an address may be a route's source, and a rule leads to the
/// routes of a table. They are removed in the opposite order.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Change {
    Address(AddressChange),
    Route(RouteChange),
    Rule(RuleChange),
}

impl Change {
    /// Whether it is to be there.
    pub(crate) fn is_present(&self) -> bool {
        match self {
            Self::Address(change) => change.present,
            Self::Route(change) => change.present,
            Self::Rule(change) => change.present,
        }
    }

    /// The change that undoes it, which also is what it is known by.
    pub(crate) fn removal(&self) -> Self {
        match self {
            Self::Address(change) => Self::Address(change.removal()),
            Self::Route(change) => Self::Route(RouteChange { present: false, ..change.clone() }),
            Self::Rule(change) => Self::Rule(RuleChange { present: false, ..change.clone() }),
        }
    }

    fn append_to(&self, buffer: &mut Vec<u8>, sequence: u32) -> io::Result<()> {
        match self {
            Self::Address(change) => change.append_to(buffer, sequence),
            Self::Route(change) => change.append_to(buffer, sequence),
            Self::Rule(change) => change.append_to(buffer, sequence),
        }
    }

    /// What the kernel's answer means for what was wanted.
    fn verdict(&self, answer: io::Result<()>) -> io::Result<Outcome> {
        let Err(error) = answer else { return Ok(Outcome::Done) };
        let code = error.raw_os_error();
        let is_as_wanted = if self.is_present() {
            code == Some(libc::EEXIST)
        } else {
            // It is not there, or what it was on is not. ENETDOWN and ENETUNREACH: of a route whose
            // interface is down, which took the route with it.
            match self {
                Self::Address(_) => matches!(code, Some(libc::EADDRNOTAVAIL | libc::ENODEV)),
                Self::Route(_) => matches!(
                    code,
                    Some(libc::ESRCH | libc::ENODEV | libc::ENETDOWN | libc::ENETUNREACH)
                ),
                Self::Rule(_) => code == Some(libc::ENOENT),
            }
        };
        if is_as_wanted {
            return Ok(Outcome::AsItWas);
        }
        let verb = if self.is_present() { "set" } else { "remove" };
        Err(sys::context(error, format_args!("cannot {verb} {self}"), "CAP_NET_ADMIN"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(change) => change.fmt(formatter),
            Self::Route(change) => change.fmt(formatter),
            Self::Rule(change) => change.fmt(formatter),
        }
    }
}

/// A change that was made, or was not needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Done,
    /// It was as wanted already.
    AsItWas,
}

/// The socket that makes changes, and the [`Ledger`] of what it has set.
#[derive(Debug)]
pub(crate) struct ChangeSocket {
    requests: Requests,
    ledger: Ledger,
    trouble: Option<io::Error>,
}

impl ChangeSocket {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { requests: Requests::open()?, ledger: Ledger::default(), trouble: None })
    }

    /// What has gone wrong beside the changes, in one sentence.
    pub(crate) fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// What is present because of this socket; to be kept by whoever cleans up.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Makes all `changes`, and waits at most a second a batch for the kernel's answers: one
    /// result for each change, in order. What is already as wanted is a success.
    pub(crate) fn apply(&mut self, changes: &[Change]) -> Vec<io::Result<Outcome>> {
        let known: Vec<bool> = {
            let mut present = self.ledger.lock();
            let wanted = |change: &Change| {
                let is_known = present.contains(&change.removal());
                if change.is_present() {
                    present.insert(change.removal());
                }
                is_known
            };
            changes.iter().map(wanted).collect()
        };
        let results = if changes.len() > FEW {
            let (results, back) = schedule::aside(|| self.requests.apply(changes));
            self.trouble = back.err().or(self.trouble.take());
            results
        } else {
            self.requests.apply(changes)
        };
        let mut present = self.ledger.lock();
        for ((change, result), is_known) in changes.iter().zip(&results).zip(known) {
            let is_gone = match result {
                Ok(_) => !change.is_present(),
                // Refused, so not there; but an answer that never came says nothing.
                Err(error) => {
                    change.is_present() && !is_known && error.kind() != io::ErrorKind::TimedOut
                }
            };
            if is_gone {
                present.remove(&change.removal());
            } else if change.is_present() {
                // A removal of the same before it has taken it out.
                present.insert(change.removal());
            }
        }
        results
    }
}

/// What a [`ChangeSocket`] has set and not removed: shared with every exit path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<BTreeSet<Change>>>);

impl Ledger {
    /// Removes everything that is present, over a socket of its own. For exit paths, a panic of
    /// the engine thread included; harmless when repeated. The engine thread must have ended, or
    /// be in its panic.
    pub(crate) fn remove_all(&self) -> io::Result<()> {
        // Copied: the lock is never held over anything that can block or panic.
        let changes: Vec<_> = self.lock().iter().rev().cloned().collect();
        if changes.is_empty() {
            return Ok(());
        }
        let results = Requests::open()?.apply(&changes);
        let mut outcome = Ok(());
        for (change, result) in changes.iter().zip(results) {
            match result {
                Ok(_) => {
                    self.lock().remove(change);
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Change>> {
        // A panic elsewhere is when the content is needed most.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket, and the numbers of its requests.
#[derive(Debug)]
struct Requests {
    socket: NetlinkSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(0, RECEIVE_BYTES).map_err(|error| {
            sys::context(error, "cannot open a netlink socket", "CAP_NET_ADMIN")
        })?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; netlink::DATAGRAM_MAX] })
    }

    fn apply(&mut self, changes: &[Change]) -> Vec<io::Result<Outcome>> {
        let mut results = Vec::with_capacity(changes.len());
        for batch in changes.chunks(BATCH_MAX) {
            let answers = self.apply_batch(batch);
            let verdict = |(change, answer): (&Change, _)| change.verdict(answer);
            results.extend(batch.iter().zip(answers).map(verdict));
        }
        results
    }

    fn apply_batch(&mut self, batch: &[Change]) -> Vec<io::Result<()>> {
        let first = self.sequence.wrapping_add(1);
        let mut messages = Vec::with_capacity(batch.len() * 100);
        let mut answers = Vec::with_capacity(batch.len());
        for change in batch {
            self.sequence = self.sequence.wrapping_add(1);
            // Until the kernel says otherwise; what cannot be asked has its answer already.
            let unanswered = io::Error::from(io::ErrorKind::TimedOut);
            let appended = change.append_to(&mut messages, self.sequence);
            answers.push(Err(appended.err().unwrap_or(unanswered)));
        }
        if messages.is_empty() {
            return answers;
        }
        if let Err(error) = self.socket.send(&messages) {
            let code = error.raw_os_error().unwrap_or(libc::EIO);
            return batch.iter().map(|_| Err(io::Error::from_raw_os_error(code))).collect();
        }
        self.collect_answers(first, &mut answers);
        answers
    }

    fn collect_answers(&mut self, first: u32, answers: &mut [io::Result<()>]) {
        let is_unanswered = |answer: &io::Result<()>| {
            answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        let mut missing = answers.iter().filter(|answer| is_unanswered(answer)).count();
        let deadline = clock::now() + ANSWER_TIME_MAX;
        while missing > 0 {
            let Ok(datagram) = self.socket.recv_until(&mut self.buffer, deadline) else {
                // The missing ones stay "timed out", which is what is known of them.
                return;
            };
            for message in netlink::messages(datagram) {
                let place = usize::try_from(message.sequence.wrapping_sub(first)).ok();
                let answer = place.and_then(|place| answers.get_mut(place));
                if let Some(answer) = answer.filter(|_| message.kind == NLMSG_ERROR) {
                    *answer = message.verdict();
                    missing = missing.saturating_sub(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(present: bool) -> Change {
        Change::Address(AddressChange {
            present,
            ifindex: 3,
            address: "198.51.100.7".parse().unwrap(),
            prefix_len: 24,
            broadcast: None,
            scope: 0,
            label: None,
            prefix_route: true,
            preferred: 0,
            mark: 112,
        })
    }

    #[test]
    fn what_is_as_wanted_is_a_success() {
        let error = |code| Err(io::Error::from_raw_os_error(code));
        let (add, remove) = (address(true), address(false));
        assert_eq!(add.verdict(error(libc::EEXIST)).unwrap(), Outcome::AsItWas);
        assert!(add.verdict(error(libc::ENODEV)).is_err());
        assert!(remove.verdict(error(libc::ENODEV)).is_ok());
        assert!(remove.verdict(error(libc::EADDRNOTAVAIL)).is_ok());
        assert_eq!(remove.verdict(Ok(())).unwrap(), Outcome::Done);
        let text = remove.verdict(error(libc::EPERM)).unwrap_err().to_string();
        assert!(text.contains("remove 198.51.100.7/24 on interface 3"), "{text}");
        assert!(text.contains("CAP_NET_ADMIN"), "{text}");
    }
}
