//! Netlink messages: building, sending, walking.
