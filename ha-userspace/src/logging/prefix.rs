//! Messages as one line behind their priority: as sd-daemon(3) has it for the journal, and as
//! RFC 3164 has it for syslog.

use std::{fmt, sync::OnceLock};

use ha_config::Identity;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::Facility;
use crate::{clock, wall};

const TAG: &str = "ha-userspace";
/// What is behind it, if there may be several daemons on the host.
static NAMES: OnceLock<String> = OnceLock::new();

/// Has the names of this daemon behind its tag from now on, as keepalived has them.
pub(crate) fn add_to_ident(identity: &Identity) {
    let names = [&identity.net_namespace, &identity.instance];
    let names = names.into_iter().flatten().flat_map(|name| ["_", name]).collect();
    // Only the first counts: a reload changes none of them.
    NAMES.set(names).ok();
}

/// What a message begins with.
pub(super) enum Prefix {
    /// Its priority, for syslog: the facility, and the number of the process.
    Syslog(Facility, u32),
    /// Its priority, for the journal.
    Journal,
    /// What it is, for whoever has typed a command: they know when it was.
    Tool,
}

impl<S, N> FormatEvent<S, N> for Prefix
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let severity = severity(level);
        match self {
            Self::Syslog(facility, pid) => writer.write_str(&header(*facility, severity, *pid))?,
            Self::Journal => write!(writer, "<{severity}>")?,
            Self::Tool if level == Level::ERROR => writer.write_str("error: ")?,
            Self::Tool if level == Level::WARN => writer.write_str("warning: ")?,
            Self::Tool => {}
        }
        context.field_format().format_fields(writer.by_ref(), event)?;
        match self {
            // It takes a datagram for a message.
            Self::Syslog(..) => Ok(()),
            Self::Journal | Self::Tool => writeln!(writer),
        }
    }
}

/// What RFC 3164 §4.1 has before a message, without the host, as syslog(3) sends it.
pub(super) fn header(facility: Facility, severity: u8, pid: u32) -> String {
    let priority = u32::from(facility.0) * 8 + u32::from(severity);
    let time = wall::stamp(clock::since_epoch().as_secs());
    let names = NAMES.get().map_or("", String::as_str);
    format!("<{priority}>{time} {TAG}{names}[{pid}]: ")
}

/// RFC 3164 §4.1.1.
fn severity(level: Level) -> u8 {
    if level == Level::ERROR {
        3
    } else if level == Level::WARN {
        4
    } else if level == Level::INFO {
        6
    } else {
        7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_rfc_3164() {
        // Facility 16 (local0), severity 6: 134.
        let header = header(Facility(16), 6, 7);
        let rest = header.strip_prefix("<134>").unwrap();
        let (time, tag) = rest.split_at(15);
        assert_eq!(tag, " ha-userspace[7]: ");
        assert_eq!((&time[3..4], &time[6..7], &time[9..10]), (" ", " ", ":"));
    }
}
