//! The interfaces of this host and their addresses, as the kernel reports them.
//!
//! One netlink socket carries both the dumps and the notifications, so that they come in the order
//! in which they happened. Nothing here polls, and nothing here changes anything.

use std::{collections::BTreeSet, io, net::IpAddr};

use rtnetlink::{
    packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN},
    packet_route::{RouteNetlinkMessage, address::AddressMessage, link::LinkMessage},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    netlink::{self, NetlinkSocket},
    sys,
};

pub(crate) use super::link_table::{Address, Kind, Link, Table};

/// Room for the notifications of some thousand virtual addresses at once, at 1 to 2 KiB each.
const RECEIVE_BYTES: usize = 8 << 20;
/// Datagrams read before changes are handed out.
const DATAGRAMS_AT_ONCE: usize = 256;
/// Datagrams thrown away before a new dump; more than the queue can hold.
const DATAGRAMS_DISCARDED_MAX: usize = 64 << 10;
/// Dumps in a row that changes may spoil before the last one is taken as it is.
const DUMPS_MAX: u32 = 5;

/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR`, and `RTNLGRP_IPV6_NETCONF`.
const GROUPS: u32 = 0x1 | 0x10 | 0x100 | 1 << (libc::RTNLGRP_IPV6_NETCONF - 1);

/// What is different in the table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct News {
    /// Anything may be: the table was read anew.
    pub(crate) is_of_all: bool,
    /// Interfaces that appeared, vanished, or changed their name, state, MAC address, MTU, IPv6
    /// forwarding or addresses.
    pub(crate) indexes: BTreeSet<u32>,
    /// Their names, also those they had before.
    pub(crate) names: BTreeSet<String>,
    /// Addresses that came, went or changed, and all of an interface that did.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

impl News {
    /// Anything may be different.
    pub(crate) fn of_all() -> Self {
        Self { is_of_all: true, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.is_of_all && self.indexes.is_empty()
    }

    /// Whether it may be about the interface of this index.
    pub(crate) fn is_of(&self, index: u32) -> bool {
        self.is_of_all || self.indexes.contains(&index)
    }

    pub(crate) fn add_link(&mut self, link: &Link) {
        self.indexes.insert(link.index);
        self.names.insert(link.name.clone());
        self.addresses.extend(link.addresses.iter().map(|own| own.address));
    }

    pub(super) fn add_address(&mut self, link: &Link, address: IpAddr) {
        self.indexes.insert(link.index);
        self.names.insert(link.name.clone());
        self.addresses.insert(address);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.is_of_all |= other.is_of_all;
        self.indexes.extend(other.indexes);
        self.names.extend(other.names);
        self.addresses.extend(other.addresses);
    }
}

/// The table, and the subscription that keeps it up to date.
#[derive(Debug)]
pub(crate) struct Links {
    socket: AsyncFd<NetlinkSocket>,
    buffer: Vec<u8>,
    table: Table,
    /// Found and not handed out.
    pending: News,
    /// The table cannot be trusted, and no dump is under way.
    is_stale: bool,
    dump: Option<Dump>,
    dump_sequence: u32,
}

impl Links {
    /// Subscribes and reads the table. Must be called inside the engine thread's runtime.
    pub(crate) async fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(GROUPS, RECEIVE_BYTES).and_then(sys::register).map_err(
            |error| {
                sys::context(error, "cannot subscribe to interfaces by netlink", "CAP_NET_ADMIN")
            },
        )?;
        let mut links = Self {
            socket,
            buffer: vec![0; netlink::DATAGRAM_MAX],
            table: Table::default(),
            pending: News::default(),
            is_stale: true,
            dump: None,
            dump_sequence: 0,
        };
        // The first news is that there is a table at all.
        links.changed().await?;
        Ok(links)
    }

    /// Waits for news. Can be dropped and called again without losing anything.
    pub(crate) async fn changed(&mut self) -> io::Result<News> {
        loop {
            if !self.pending.is_empty() {
                return Ok(std::mem::take(&mut self.pending));
            }
            if self.is_stale {
                self.start_dump(0)?;
            }
            drop(self.socket.readable().await?);
            self.receive()?;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.table.iter()
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Link> {
        self.table.by_name(name)
    }

    pub(crate) fn by_index(&self, index: u32) -> Option<&Link> {
        self.table.by_index(index)
    }

    /// Whether VLAN interfaces are on top of this one: tagged frames come in by it then.
    pub(crate) fn carries_vlans(&self, index: u32) -> bool {
        self.iter().any(|link| link.kind == Kind::Vlan && link.lower == index)
    }

    fn start_dump(&mut self, attempt: u32) -> io::Result<()> {
        // What is queued is older than the dump, and what undid it may be what was lost.
        for _ in 0..DATAGRAMS_DISCARDED_MAX {
            match self.socket.get_ref().recv(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {}
            }
        }
        self.is_stale = true;
        self.dump = None;
        self.request(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        self.dump = Some(Dump { attempt, ..Dump::default() });
        self.is_stale = false;
        Ok(())
    }

    fn request(&mut self, message: RouteNetlinkMessage) -> io::Result<()> {
        // 0 is what notifications carry.
        self.dump_sequence = self.dump_sequence.wrapping_add(1).max(1);
        netlink::request_dump(self.socket.get_ref(), self.dump_sequence, message)
    }

    /// Reads what is there, within bounds.
    fn receive(&mut self) -> io::Result<()> {
        for _ in 0..DATAGRAMS_AT_ONCE {
            let mut buffer = std::mem::take(&mut self.buffer);
            let result = self
                .socket
                .try_io(Interest::READABLE, |socket| socket.recv(&mut buffer).map(<[u8]>::len));
            let handled = match result {
                Ok(len) => self.handle_datagram(buffer.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.buffer = buffer;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.is_stale = true;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            self.buffer = buffer;
            handled?;
            if self.is_stale {
                return Ok(());
            }
        }
        Ok(())
    }

    fn handle_datagram(&mut self, datagram: &[u8]) -> io::Result<()> {
        for message in netlink::messages(datagram) {
            let is_answer = self.dump.is_some() && message.sequence == self.dump_sequence;
            if let Some(dump) = self.dump.as_mut().filter(|_| is_answer) {
                dump.is_interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            }
            match message.kind {
                NLMSG_DONE if is_answer => {
                    message.verdict().inspect_err(|_| self.is_stale = true)?;
                    self.end_of_dump()?;
                }
                NLMSG_ERROR if is_answer => {
                    self.is_stale = true;
                    message.verdict()?;
                }
                NLMSG_OVERRUN => self.is_stale = true,
                _ => {
                    if let Some(dump) = &mut self.dump {
                        // Notifications too: they are part of the same order of events.
                        dump.table.handle(&message, &mut News::default());
                    } else {
                        self.table.handle(&message, &mut self.pending);
                    }
                }
            }
        }
        Ok(())
    }

    fn end_of_dump(&mut self) -> io::Result<()> {
        match self.dump.take() {
            Some(dump) if dump.is_interrupted && dump.attempt < DUMPS_MAX => {
                self.start_dump(dump.attempt + 1)
            }
            Some(dump) if !dump.has_links => {
                self.is_stale = true;
                self.request(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
                self.dump = Some(Dump { has_links: true, ..dump });
                self.is_stale = false;
                Ok(())
            }
            Some(dump) => {
                self.table = dump.table;
                self.pending = News::of_all();
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// A table that is being read.
#[derive(Debug, Default)]
struct Dump {
    table: Table,
    /// The interfaces are complete, the addresses are coming.
    has_links: bool,
    /// Something changed while the kernel was at it.
    is_interrupted: bool,
    attempt: u32,
}
