//! Sends frames as they are, out of an interface of a namespace: for what no router would send.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::net::if_::if_nametoindex;

use crate::{netns::Namespace, sys};

/// An interface through which frames are sent.
#[derive(Debug)]
pub struct Injector {
    socket: OwnedFd,
    ifindex: u32,
}

impl Injector {
    pub fn new(namespace: &Namespace, interface: &str) -> Self {
        namespace.run(|| Self {
            socket: sys::packet_socket().expect("a packet socket"),
            ifindex: if_nametoindex(interface).expect("the interface"),
        })
    }

    /// Sends `frame`, from the Ethernet header on, unless the kernel has no room for it now: for
    /// more frames than an interface takes. Whether it was sent.
    pub fn send_if_room(&self, frame: &[u8]) -> bool {
        sys::send_frame(self.socket.as_fd(), self.ifindex, frame).is_ok()
    }

    /// Sends `frame`, from the Ethernet header on.
    pub fn send(&self, frame: &[u8]) {
        sys::send_frame(self.socket.as_fd(), self.ifindex, frame).expect("send a frame");
    }
}
