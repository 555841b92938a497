//! How routers show each other that they belong together.

use core::fmt;

/// `authentication`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Authentication {
    /// The default.
    #[default]
    None,
    /// `auth_type PASS`: version 2's clear-text password (RFC 2338 §5.3.6).
    Pass(Password),
    /// `auth_type AH`: an IP Authentication Header around version 2's packet, with the password as
    /// its key (RFC 2338 §5.3.6).
    Ah(Password),
}

/// `auth_pass`: 1 to 8 bytes, padded with zeros as on the wire.
///
/// Its `Debug` hides it, so that it reaches no log.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Password([u8; 8]);

impl Password {
    /// From its first eight bytes; `None` when there is none.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = *from;
        }
        Some(Self(bytes))
    }

    /// The authentication data of the packet.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("********")
    }
}
