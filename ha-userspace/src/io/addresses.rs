//! Virtual addresses: put on interfaces and taken off again, many in one system call.
//!
//! Whatever is set here is in the [`Ledger`] before the kernel is asked, so that every exit path
//! can take it off. Nothing here decides which addresses are wanted.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rtnetlink::{
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLMSG_ERROR},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::{
            AddressAttribute, AddressHeaderFlags, AddressMessage, AddressProtocol, CacheInfo,
        },
    },
};

use super::{
    netlink::{self, NetlinkSocket},
    sys,
};
use crate::clock;

/// `IFA_PROTO` of every address set here: what tells ours from the administrator's.
///
/// A kernel before 5.18 ignores the attribute; there, leftovers cannot be told.
pub(crate) const PROTOCOL_MARK: u8 = 112;

/// Messages in one system call: about 12 KiB, well below the send queue's limit.
const BATCH_MAX: usize = 128;
/// Room for a batch's acknowledgements, of which each occupies less than 1 KiB, or for a dump.
const RECEIVE_BYTES: usize = 1 << 20;
/// How long the kernel may take to answer: it does so within the system call.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// `IFNAMSIZ`, with the closing zero.
const LABEL_MAX: usize = 15;
const LIFETIME_INFINITE: u32 = u32::MAX;

/// One address to be there, or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AddressChange {
    pub(crate) present: bool,
    pub(crate) ifindex: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix_len: u8,
    pub(crate) broadcast: Option<Ipv4Addr>,
    /// `RT_SCOPE_*`.
    pub(crate) scope: u8,
    pub(crate) label: Option<String>,
}

impl AddressChange {
    fn removal(&(ifindex, address, prefix_len): &Key) -> Self {
        Self {
            present: false,
            ifindex,
            address,
            prefix_len,
            broadcast: None,
            scope: 0,
            label: None,
        }
    }

    pub(crate) fn key(&self) -> Key {
        (self.ifindex, self.address, self.prefix_len)
    }

    fn append_to(&self, buffer: &mut Vec<u8>, sequence: u32) -> io::Result<()> {
        if self.label.as_ref().is_some_and(|label| label.len() > LABEL_MAX) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the label of {} is longer than {LABEL_MAX} bytes", self.address),
            ));
        }
        let message = self.message();
        if self.present {
            let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
            netlink::append(buffer, flags, sequence, RouteNetlinkMessage::NewAddress(message))
        } else {
            netlink::append(buffer, NLM_F_ACK, sequence, RouteNetlinkMessage::DelAddress(message))
        }
    }

    fn message(&self) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = self.ifindex;
        message.header.prefix_len = self.prefix_len;
        message.header.family = match self.address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        let attributes = &mut message.attributes;
        attributes.push(AddressAttribute::Local(self.address));
        attributes.push(AddressAttribute::Address(self.address));
        // A removal names the address and nothing else: whoever changed the rest is not obeyed.
        if !self.present {
            return message;
        }
        message.header.scope = self.scope.into();
        attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL_MARK)));
        attributes.extend(self.broadcast.map(AddressAttribute::Broadcast));
        attributes.extend(self.label.clone().map(AddressAttribute::Label));
        if self.address.is_ipv6() {
            // It moves with its state: detection of duplicates would delay it by a second.
            message.header.flags = AddressHeaderFlags::Nodad;
            // Not chosen as the source of this host's own connections, as keepalived has it.
            let mut lifetime = CacheInfo::default();
            lifetime.ifa_valid = LIFETIME_INFINITE;
            lifetime.ifa_preferred = if self.prefix_len == 128 { 0 } else { LIFETIME_INFINITE };
            attributes.push(AddressAttribute::CacheInfo(lifetime));
        }
        message
    }
}

/// Interface, address, prefix length: what the kernel tells addresses apart by.
pub(crate) type Key = (u32, IpAddr, u8);

/// The socket that changes addresses, and the [`Ledger`] of what it has set.
#[derive(Debug)]
pub(crate) struct AddressSocket {
    requests: Requests,
    ledger: Ledger,
}

impl AddressSocket {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { requests: Requests::open()?, ledger: Ledger::default() })
    }

    /// What is present because of this socket; to be kept by whoever cleans up.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Makes all `changes` and waits, at most a second a batch, for the kernel's answers: one
    /// result for each change, in order. What is already as wanted is a success.
    pub(crate) fn apply(&mut self, changes: &[AddressChange]) -> Vec<io::Result<()>> {
        let known: Vec<bool> = {
            let mut present = self.ledger.lock();
            let wanted = |change: &AddressChange| {
                let is_known = present.contains(&change.key());
                if change.present {
                    present.insert(change.key());
                }
                is_known
            };
            changes.iter().map(wanted).collect()
        };
        let results = self.requests.apply(changes);
        let mut present = self.ledger.lock();
        for ((change, result), is_known) in changes.iter().zip(&results).zip(known) {
            let is_gone = match result {
                Ok(()) => !change.present,
                // Refused, so not there; but an answer that never came says nothing.
                Err(error) => {
                    change.present && !is_known && error.kind() != io::ErrorKind::TimedOut
                }
            };
            if is_gone {
                present.remove(&change.key());
            } else if change.present {
                // A removal of the same before it has taken it out.
                present.insert(change.key());
            }
        }
        results
    }
}

/// What an [`AddressSocket`] has set and not removed: shared with every exit path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<BTreeSet<Key>>>);

impl Ledger {
    /// Removes everything that is present, over a socket of its own. For exit paths, a panic of
    /// the engine thread included; harmless when repeated. The engine thread must have ended, or
    /// be in its panic.
    pub(crate) fn remove_all(&self) -> io::Result<()> {
        // Copied: the lock is never held over anything that can block or panic.
        let changes: Vec<_> = self.lock().iter().map(AddressChange::removal).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let results = Requests::open()?.apply(&changes);
        let mut outcome = Ok(());
        for (change, result) in changes.iter().zip(results) {
            match result {
                Ok(()) => {
                    self.lock().remove(&change.key());
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Key>> {
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
            sys::context(error, "cannot open a netlink socket for addresses", "CAP_NET_ADMIN")
        })?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; netlink::DATAGRAM_MAX] })
    }

    fn apply(&mut self, changes: &[AddressChange]) -> Vec<io::Result<()>> {
        let mut results = Vec::with_capacity(changes.len());
        for batch in changes.chunks(BATCH_MAX) {
            let answers = self.apply_batch(batch);
            let verdict = |(change, answer)| verdict(change, answer);
            results.extend(batch.iter().zip(answers).map(verdict));
        }
        results
    }

    fn apply_batch(&mut self, batch: &[AddressChange]) -> Vec<io::Result<()>> {
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

/// What the kernel's answer means for what was wanted.
fn verdict(change: &AddressChange, answer: io::Result<()>) -> io::Result<()> {
    let Err(error) = answer else { return Ok(()) };
    let is_as_wanted = match error.raw_os_error() {
        Some(libc::EEXIST) => change.present,
        // Not there, or the interface is not.
        Some(libc::EADDRNOTAVAIL | libc::ENODEV) => !change.present,
        _ => false,
    };
    if is_as_wanted {
        return Ok(());
    }
    let AddressChange { address, prefix_len, ifindex, .. } = change;
    let verb = if change.present { "add" } else { "remove" };
    let preposition = if change.present { "to" } else { "from" };
    let what =
        format_args!("cannot {verb} {address}/{prefix_len} {preposition} interface {ifindex}");
    Err(sys::context(error, what, "CAP_NET_ADMIN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(present: bool, address: &str, prefix_len: u8) -> AddressChange {
        let key = (3, address.parse().unwrap(), prefix_len);
        AddressChange { present, ..AddressChange::removal(&key) }
    }

    fn bytes(change: &AddressChange) -> Vec<u8> {
        let mut buffer = Vec::new();
        change.append_to(&mut buffer, 9).unwrap();
        buffer
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_ipv4_request_byte_for_byte() {
        let mut add = change(true, "198.51.100.7", 24);
        add.broadcast = Some(Ipv4Addr::new(198, 51, 100, 255));
        add.scope = 253;
        add.label = Some("eth0:1".to_owned());
        #[rustfmt::skip]
        let expected = [
            68, 0, 0, 0, 20, 0, 5, 5, 9, 0, 0, 0, 0, 0, 0, 0, // RTM_NEWADDR
            2, 24, 0, 253, 3, 0, 0, 0,
            8, 0, 2, 0, 198, 51, 100, 7,
            8, 0, 1, 0, 198, 51, 100, 7,
            5, 0, 11, 0, 112, 0, 0, 0,
            8, 0, 4, 0, 198, 51, 100, 255,
            11, 0, 3, 0, b'e', b't', b'h', b'0', b':', b'1', 0, 0,
        ];
        assert_eq!(bytes(&add), expected);
        let removal = bytes(&AddressChange { present: false, ..add });
        assert_eq!(removal.len(), 40);
        assert_eq!(removal[4..8], [21, 0, 5, 0]);
    }

    /// V-8.2.2-3: `IFA_F_NODAD`.
    #[cfg(target_endian = "little")]
    #[test]
    fn ipv6_skips_duplicate_detection_and_a_host_address_is_deprecated() {
        let cache_info = |bytes: &[u8]| bytes[bytes.len() - 20..].to_vec();
        let host = bytes(&change(true, "2001:db8::7", 128));
        assert_eq!(host[16..20], [10, 128, 2, 0]);
        let expected = [[20, 0, 6, 0], [0; 4], [0xff; 4], [0; 4], [0; 4]].concat();
        assert_eq!(cache_info(&host), expected);
        let network = cache_info(&bytes(&change(true, "2001:db8::7", 64)));
        assert_eq!(network[4..12], [0xff; 8]);
    }

    #[test]
    fn a_label_too_long_is_refused_here() {
        let mut add = change(true, "198.51.100.7", 24);
        add.label = Some("x".repeat(16));
        assert!(add.append_to(&mut Vec::new(), 1).is_err());
    }

    #[test]
    fn what_is_as_wanted_is_a_success() {
        let error = |code| Err(io::Error::from_raw_os_error(code));
        let add = change(true, "198.51.100.7", 24);
        let remove = change(false, "198.51.100.7", 24);
        assert!(verdict(&add, error(libc::EEXIST)).is_ok());
        assert!(verdict(&add, error(libc::ENODEV)).is_err());
        assert!(verdict(&remove, error(libc::ENODEV)).is_ok());
        assert!(verdict(&remove, error(libc::EADDRNOTAVAIL)).is_ok());
        let text = verdict(&remove, error(libc::EPERM)).unwrap_err().to_string();
        assert!(text.contains("198.51.100.7/24 from interface 3"), "{text}");
        assert!(text.contains("CAP_NET_ADMIN"), "{text}");
    }
}
