//! `ntp_server`, and `vrrp_track_clock`.

use core::net::Ipv6Addr;

use super::statement::{Value, no_builder, supported};
use crate::{
    diagnostic::Sink,
    keywords::{Block, Keyword},
    model::{Clock, NtpServer, Weight},
    tree::{Statement, Word},
    value,
};

/// Each is asked at every look, by a thread of its own.
const SERVERS_MAX: usize = 4;
const NTP_PORT: u16 = 123;

/// Adds a line `ntp_server` to `servers`.
pub(super) fn read_server(
    sink: &mut Sink,
    keyword: &'static Keyword,
    statement: &Statement,
    servers: &mut Vec<NtpServer>,
) {
    let Some(host) = statement.value(0) else { return };
    let port = Value::new(keyword, statement, 1).map(|port| port.number(sink));
    let Some(port) = port.unwrap_or(Some(NTP_PORT)) else { return };
    if host.text.is_empty() {
        sink.error(host.span, "the name of the server is empty");
        return;
    }
    if !is_host(&host.text) {
        let message = format!("`{}` is no name or address", host.text);
        sink.error_help(host.span, message, "a port is a word of its own: `ntp_server HOST PORT`");
        return;
    }
    let server = NtpServer { host: host.text.clone(), port };
    if servers.contains(&server) {
        sink.warning(host.span, format!("`{}` is asked already: ignored", host.text));
    } else if servers.len() == SERVERS_MAX {
        let message = format!("more than {SERVERS_MAX} servers are asked");
        sink.error_help(host.span, message, "three tell which one is wrong");
    } else {
        servers.push(server);
    }
}

/// As far as it can be judged without asking for it: only addresses have colons.
fn is_host(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _interface)| address);
    !text.contains(':') || address.parse::<Ipv6Addr>().is_ok()
}

/// Reads `vrrp_track_clock`; `None`: it asks for nothing.
pub(super) fn read(sink: &mut Sink, name: &Word, block: &Statement) -> Option<Clock> {
    let mut clock = Clock {
        name: name.text.clone(),
        max_offset: None,
        max_error: None,
        require_sync: false,
        weight: Weight::default(),
        rise: 2,
        fall: 2,
        place: sink.place(name.span),
    };
    for (keyword, statement) in supported(sink, Block::Clock, block.body()) {
        let first = Value::new(keyword, statement, 0);
        match (keyword.name, first) {
            ("require_sync", _) => clock.require_sync = true,
            ("max_offset", Some(first)) => clock.max_offset = first.seconds(sink),
            ("max_error", Some(first)) => clock.max_error = first.seconds(sink),
            ("rise", Some(first)) => clock.rise = first.number(sink).unwrap_or(clock.rise),
            ("fall", Some(first)) => clock.fall = first.number(sink).unwrap_or(clock.fall),
            ("weight", Some(first)) => {
                let reverse = statement.values.get(1..).unwrap_or_default();
                let weight = value::weight(sink, value::WEIGHT_MAX, first.word, reverse);
                clock.weight = weight.unwrap_or(clock.weight);
            }
            (other, _) => no_builder(sink, statement, other),
        }
    }
    let asks = ["max_offset", "max_error", "require_sync"];
    if !block.body().iter().any(|statement| asks.contains(&statement.head.text.as_str())) {
        let message = format!("`{}` asks for nothing", name.text);
        let help = "`require_sync`, `max_error SECONDS` or `max_offset SECONDS`";
        sink.error_help(block.line_span(), message, help);
        return None;
    }
    Some(clock)
}
