//! A link layer segment: a bridge in a namespace of its own, with a port for each interface.
//!
//! The switch side of every cable is here, so that a link can be cut as a cable is (the host loses
//! carrier) and a host can be cut off as a switch does it (carrier stays, frames go nowhere). A
//! capture here sees every frame once, with the port by which it came.

use core::time::Duration;
use std::os::fd::{AsFd as _, OwnedFd};

use crate::{netns::Namespace, sys, wait};

/// At once; a second where the kernel is in no hurry.
const FORWARDING_WITHIN: Duration = Duration::from_secs(5);

/// One bridge. Not learning from multicast and without spanning tree: a frame passes at once.
#[derive(Debug)]
pub struct Lan {
    control: OwnedFd,
    switch: Namespace,
}

impl Lan {
    pub fn new(name: &str) -> Self {
        let switch = Namespace::new(name);
        // The bridge itself takes no part: it has no addresses, not even a link-local one.
        switch.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        // A switch forwards what it does not understand: no firewall looks into its frames.
        for sysctl in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
            // Not there where the kernel cannot do it anyway.
            switch.set_sysctl_if_present(&format!("net/bridge/{sysctl}"), "0");
        }
        switch.ip("link add bridge type bridge stp_state 0 mcast_snooping 0 forward_delay 0");
        switch.ip("link set bridge up");
        let control = switch.run(|| sys::control_socket().expect("a socket"));
        Self { control, switch }
    }

    /// The switch's namespace, for captures.
    pub fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// Plugs a new interface `interface` of `host` into the port `port`, sets its hardware address
    /// to `02:00:00:00:LL:HH` from `mac_tail` and takes it up.
    pub fn connect(&self, port: &str, host: &Namespace, interface: &str, mac_tail: [u8; 2]) {
        let [lan, node] = mac_tail;
        let mac = format!("02:00:00:00:{lan:02x}:{node:02x}");
        let target = host.name();
        // An index that the other end cannot have by chance: the kernel takes equal ones for a
        // device that is nobody's other end, and tells of its carrier up to a second later.
        let index = 1000 + u32::from(node);
        self.switch.ip(&format!(
            "link add name {port} index {index} type veth peer name {interface} address {mac} \
             netns {target}"
        ));
        self.switch.ip(&format!("link set dev {port} master bridge up"));
        host.ip(&format!("link set {interface} up"));
        self.await_forwarding(port);
    }

    /// Pulls the cable: the host loses carrier.
    pub fn cut(&self, port: &str) {
        sys::set_up(self.control.as_fd(), port, false).expect("take a port down");
    }

    /// Plugs the cable in again.
    pub fn mend(&self, port: &str) {
        sys::set_up(self.control.as_fd(), port, true).expect("take a port up");
        self.await_forwarding(port);
    }

    /// Takes the port out of the bridge: the host keeps carrier, and reaches nobody.
    pub fn isolate(&self, port: &str) {
        self.switch.ip(&format!("link set dev {port} nomaster"));
    }

    /// Puts the port back into the bridge.
    pub fn rejoin(&self, port: &str) {
        self.switch.ip(&format!("link set dev {port} master bridge"));
        self.await_forwarding(port);
    }

    /// A port that is up need not pass frames yet.
    fn await_forwarding(&self, port: &str) {
        wait::eventually(FORWARDING_WITHIN, "a port that forwards", || {
            self.switch.ip(&format!("-d link show dev {port}")).contains("state forwarding")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{require::require_root, wait::eventually};

    #[test]
    fn a_cut_link_loses_carrier() {
        if !require_root() {
            return;
        }
        let lan = Lan::new("lan");
        let host = Namespace::new("host");
        lan.connect("h", &host, "bond0", [1, 1]);
        assert_eq!(host.hardware_address("bond0"), [2, 0, 0, 0, 1, 1]);
        let has_carrier = || !host.ip("link show bond0").contains("NO-CARRIER");
        eventually(Duration::from_secs(2), "carrier", has_carrier);
        lan.cut("h");
        eventually(Duration::from_secs(2), "no carrier", || !has_carrier());
        lan.mend("h");
        eventually(Duration::from_secs(2), "carrier again", has_carrier);
        lan.isolate("h");
        assert!(has_carrier());
        lan.rejoin("h");
    }
}
