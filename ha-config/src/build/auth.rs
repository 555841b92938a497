//! `authentication`.

use ha_core::Version;

use super::statement::{no_builder, supported};
use crate::{
    diagnostic::{Sink, Span},
    keywords::Block,
    model::{Authentication, Password},
    tree::Statement,
    value,
};

/// `auth_type`.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pass,
    Ah,
}

#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Where the block is.
    span: Option<Span>,
    /// Whether an error is in it: what is missing then may be what could not be read.
    has_errors: bool,
    kind: Option<Kind>,
    password: Option<Password>,
}

impl Draft {
    pub(super) fn read(&mut self, sink: &mut Sink, block: &Statement) {
        self.span = Some(block.line_span());
        for (keyword, statement) in supported(sink, Block::Authentication, block.body()) {
            let Some(first) = statement.value(0) else { continue };
            match (keyword.name, first.text.as_str()) {
                ("auth_type", "PASS") => self.kind = Some(Kind::Pass),
                ("auth_type", "AH") => self.kind = Some(Kind::Ah),
                ("auth_type", other) => {
                    let message = format!("`{other}` is not PASS or AH");
                    match value::sign_at_end(other) {
                        Some(help) => sink.error_help(first.span, message, help),
                        None => sink.error(first.span, message),
                    }
                }
                ("auth_pass", password) => {
                    self.password = Password::new(password.as_bytes());
                    if self.password.is_none() {
                        sink.error(first.span, "the password is empty");
                    } else if password.len() > PASSWORD_LEN {
                        let message = "only the first 8 bytes of the password count";
                        let help = "shorten it to 8 characters; keepalived cuts it in the same way";
                        sink.warning_help(first.span, message, help);
                    }
                }
                (other, _) => no_builder(sink, statement, other),
            }
        }
        self.has_errors |= sink.has_error_in(block.span);
    }

    /// What the packets of `version` carry.
    pub(super) fn finish(&self, sink: &mut Sink, version: Version) -> Authentication {
        let Some(span) = self.span else { return Authentication::None };
        match (version, self.kind, self.password) {
            (Version::V3, _, _) => {
                sink.warning(span, "VRRP version 3 has no authentication: ignored");
                Authentication::None
            }
            (Version::V2, Some(Kind::Pass), Some(password)) => Authentication::Pass(password),
            (Version::V2, Some(Kind::Ah), Some(password)) => Authentication::Ah(password),
            (Version::V2, _, _) if self.has_errors => Authentication::None,
            (Version::V2, Some(_), None) => {
                sink.warning(span, "`auth_type` without `auth_pass`: no authentication");
                Authentication::None
            }
            (Version::V2, None, _) => {
                let help = "keepalived authenticates with `auth_type PASS` or `auth_type AH` only";
                sink.warning_help(span, "no `auth_type`: no authentication", help);
                Authentication::None
            }
        }
    }
}

/// Bytes in the packet (RFC 2338 §5.3.10).
const PASSWORD_LEN: usize = 8;
