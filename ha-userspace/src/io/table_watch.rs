//! Whether an nftables table of ours stays, as the kernel reports it.
//!
//! `nft flush ruleset`, with which a firewall's own configuration mostly begins, removes the tables of
//! everybody.

use std::{ffi::CStr, io};

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    netlink::{self, Message, NetlinkSocket},
    sys,
};

/// Of all changes on the host, ours are few. What does not fit is answered by setting the table again.
const RECEIVE_BYTES: usize = 1 << 20;
/// `NFNLGRP_NFTABLES`.
const GROUPS: u32 = 1 << (7 - 1);
/// `NFNL_SUBSYS_NFTABLES`: the high byte of what a message is.
const SUBSYSTEM: u16 = 10 << 8;
/// `struct nfgenmsg`: family, version, resource.
const HEADER_LEN: usize = 4;
/// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE` and `NFTA_RULE_TABLE`.
const TABLE: u16 = 1;

/// `NFT_MSG_*` (`linux/netfilter/nf_tables.h`).
mod what {
    pub(super) const NEW_TABLE: u16 = 0;
    pub(super) const DEL_TABLE: u16 = 2;
    pub(super) const DEL_CHAIN: u16 = 5;
    pub(super) const DEL_RULE: u16 = 8;
    pub(super) const DESTROY_TABLE: u16 = 26;
    pub(super) const DESTROY_CHAIN: u16 = 27;
    pub(super) const DESTROY_RULE: u16 = 28;
}

/// The subscription for one table of the family `inet`.
#[derive(Debug)]
pub(crate) struct TableWatch {
    socket: AsyncFd<NetlinkSocket>,
    buffer: Vec<u8>,
    table: String,
    is_lost: bool,
}

impl TableWatch {
    /// Hears of everything that happens to `table` from now on. Only inside a tokio runtime.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn open(table: &str) -> io::Result<Self> {
        let open = || {
            let socket = NetlinkSocket::open_family(NETLINK_NETFILTER, GROUPS, RECEIVE_BYTES)?;
            sys::register(socket)
        };
        let socket = open().map_err(|error| {
            sys::context(error, "cannot subscribe to nftables by netlink", "CAP_NET_ADMIN")
        })?;
        let buffer = vec![0; netlink::DATAGRAM_MAX];
        Ok(Self { socket, buffer, table: table.to_owned(), is_lost: false })
    }

    /// Waits until the table, or a part of it, has been removed, and says so from then on. Nothing is
    /// lost if it is dropped.
    pub(crate) async fn lost(&mut self) {
        while !self.is_lost {
            // What cannot be heard any more is as good as lost.
            self.is_lost = self.hear().await.unwrap_or(true);
        }
    }

    async fn hear(&mut self) -> io::Result<bool> {
        let Self { socket, buffer, table, is_lost } = self;
        let receive = |socket: &NetlinkSocket| socket.recv(buffer).map(<[u8]>::len);
        let len = socket.async_io(Interest::READABLE, receive).await?;
        let messages = netlink::messages(buffer.get(..len).unwrap_or_default());
        Ok(messages.fold(*is_lost, |is_lost, message| after(&message, table).unwrap_or(is_lost)))
    }
}

/// Whether something of `table` is missing after a message; `None` if it says nothing of that.
///
/// Who replaces a table removes it and makes it, in this order.
fn after(message: &Message<'_>, table: &str) -> Option<bool> {
    let is_lost = match message.kind.checked_sub(SUBSYSTEM)? {
        what::NEW_TABLE => false,
        what::DEL_TABLE
        | what::DEL_CHAIN
        | what::DEL_RULE
        | what::DESTROY_TABLE
        | what::DESTROY_CHAIN
        | what::DESTROY_RULE => true,
        _ => return None,
    };
    let (&[family, ..], rest) = message.payload.split_first_chunk::<HEADER_LEN>()?;
    let (_, name) = netlink::attributes(rest).find(|&(kind, _)| kind == TABLE)?;
    let is_ours = i32::from(family) == libc::NFPROTO_INET
        && CStr::from_bytes_until_nul(name).is_ok_and(|name| name.to_bytes() == table.as_bytes());
    is_ours.then_some(is_lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the table `ha_eth0`, family `inet`, as the kernel writes it.
    const PAYLOAD: &[u8] = &[
        1, 0, 0, 7, // struct nfgenmsg
        12, 0, 1, 0, b'h', b'a', b'_', b'e', b't', b'h', b'0', 0, // the name
        8, 0, 2, 0, 0, 0, 0, 0, // flags
    ];

    fn told(kind: u16, payload: &[u8]) -> Option<bool> {
        after(&Message { kind, flags: 0, sequence: 0, payload }, "ha_eth0")
    }

    #[test]
    fn a_table_is_lost_when_it_or_a_part_of_it_is_removed() {
        for (kind, expected) in [
            (0x0a00, Some(false)),
            (0x0a02, Some(true)),
            (0x0a05, Some(true)),
            (0x0a08, Some(true)),
            (0x0a1a, Some(true)),
            // A rule is added, a set is deleted, a generation ends, and another subsystem's.
            (0x0a06, None),
            (0x0a0b, None),
            (0x0a0f, None),
            (0x0102, None),
        ] {
            assert_eq!(told(kind, PAYLOAD), expected, "{kind:#x}");
        }
    }

    #[test]
    fn others_tables_are_not_ours_and_no_prefix_of_a_message_panics() {
        let mut others = PAYLOAD.to_vec();
        others[14] = b'1';
        assert_eq!(told(0x0a02, &others), None);
        let mut others = PAYLOAD.to_vec();
        others[0] = 2;
        assert_eq!(told(0x0a02, &others), None);
        for len in 0..16 {
            assert_eq!(told(0x0a02, &PAYLOAD[..len]), None);
        }
    }
}
