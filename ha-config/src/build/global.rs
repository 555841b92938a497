//! `global_defs`: the daemon's own settings and the defaults of instances.

use core::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};

use ha_core::Version;

use super::{
    address, clock, fifo, garp, inactive, notify,
    statement::{Given, Value, entry_words, supported_after},
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::{Block, Keyword},
    model::{Global, SmtpServer},
    tree::{Statement, Word},
    value,
};

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the file")]
pub(super) struct Draft {
    pub(super) global: Global,
    pub(super) version: Option<Version>,
    pub(super) garp: garp::Draft,
    pub(super) down_timer_adverts: Option<u8>,
    pub(super) lower_prio_no_advert: bool,
    pub(super) higher_prio_send_advert: bool,
    pub(super) v3_checksum_as_v2: bool,
    pub(super) check_unicast_src: bool,
    pub(super) skip_check_adv_addr: bool,
    pub(super) owner_ignore_adverts: bool,
    pub(super) notify_priority_changes: bool,
    pub(super) data_use_instance: bool,
    fifo: fifo::Draft,
    vrrp_fifo: fifo::Draft,
    smtp_alert: bool,
    smtp_alert_vrrp: Option<bool>,
    /// Where strict mode is asked for.
    pub(super) strict: Option<Span>,
}

impl Draft {
    /// Whether instances and groups send mails that say nothing about it.
    pub(super) fn sends_mails(&self) -> bool {
        self.smtp_alert_vrrp.unwrap_or(self.smtp_alert)
    }

    /// `late`: instances are before it in the file; `given`: what was in such blocks before.
    pub(super) fn read<'a>(
        &mut self,
        sink: &mut Sink,
        block: &'a Statement,
        late: bool,
        given: &mut Given<'a>,
    ) {
        for (keyword, statement) in supported_after(sink, Block::Global, block.body(), given) {
            if late && keyword.acts_on_what_follows {
                sink.warning_help(
                    statement.line_span(),
                    format!("`{}` also acts on the instances before it", keyword.name),
                    "not in every version of keepalived: put `global_defs` first",
                );
            }
            let first = Value::new(keyword, statement, 0);
            if let Some(name) = keyword.name.strip_prefix("vrrp_")
                && let Some(first) = first
                && self.garp.read(sink, name, first)
            {
                continue;
            }
            match (keyword.name, first) {
                ("notification_email", _) => {
                    let words = entry_words(sink, statement);
                    for word in words.iter().filter(|word| word.text.starts_with('<')) {
                        let message = "each word is an address: what is before it too";
                        sink.warning_help(word.span, message, "write the address alone");
                    }
                    self.global.mail.to.extend(words.into_iter().map(|word| word.text.clone()));
                }
                ("set_supplementary_groups", _) => self.global.supplementary_groups = true,
                ("fifo_write_vrrp_states_on_reload", _) => self.global.fifo_states_on_reload = true,
                ("log_unknown_vrids", _) => self.global.log_unknown_vrids = true,
                ("no_email_faults", _) => self.global.mail.no_faults = true,
                ("smtp_alert_vrrp", _) => self.smtp_alert_vrrp = value::flag(sink, statement),
                ("vrrp_strict", _) => self.strict = Some(statement.line_span()),
                ("ntp_server", _) => {
                    clock::read_server(sink, keyword, statement, &mut self.global.clock.servers);
                }
                // The second has its effect where files are included.
                ("nftables", None) | ("include_check", _) => {}
                ("enable_script_security", _) => self.global.script_security = true,
                ("nftables", Some(name)) => sink.warning_help(
                    name.word.span,
                    format!("the table is not called `{}`: ignored", name.word.text),
                    "each daemon has a table of its own, named after an interface: ha_eth0",
                ),
                ("nftables_counters", _) => self.global.firewall.counters = true,
                ("script_user", _) => self.global.script_user = value::user(&statement.values),
                (_, Some(_)) if self.read_command(sink, keyword.name, statement) => {}
                (_, Some(first)) if self.read_value(sink, keyword, first, statement) => {}
                _ => self.read_flag(sink, keyword, statement),
            }
        }
    }

    /// `child_wait_time`, which is outside of the block.
    pub(super) fn read_wait(&mut self, sink: &mut Sink, keyword: &Keyword, statement: &Statement) {
        if let Some(wait) = Value::new(keyword, statement, 0).and_then(|first| first.seconds(sink))
        {
            self.global.lifecycle.child_wait_time = wait;
        }
    }

    /// Whether `keyword` is one of those that name a program or a FIFO.
    fn read_command(&mut self, sink: &mut Sink, keyword: &str, statement: &Statement) -> bool {
        let lifecycle = &mut self.global.lifecycle;
        match keyword {
            "startup_script" => lifecycle.startup.command = notify::command(sink, statement),
            "shutdown_script" => lifecycle.shutdown.command = notify::command(sink, statement),
            "notify_fifo" => self.fifo.read(sink, statement),
            "notify_fifo_script" => self.fifo.read_script(sink, statement),
            "vrrp_notify_fifo" => self.vrrp_fifo.read(sink, statement),
            "vrrp_notify_fifo_script" => self.vrrp_fifo.read_script(sink, statement),
            _ => return false,
        }
        true
    }

    /// Whether `keyword` is one of those that need a value.
    fn read_value(
        &mut self,
        sink: &mut Sink,
        keyword: &'static Keyword,
        first: Value<'_>,
        statement: &Statement,
    ) -> bool {
        let global = &mut self.global;
        let text = || Some(first.word.text.clone());
        match keyword.name {
            "router_id" => global.router_id = text(),
            "notification_email_from" => global.mail.from = text(),
            "default_interface" => {
                global.default_interface = address::interface_name(sink, first.word);
            }
            "smtp_helo_name" => global.mail.helo_name = text(),
            "smtp_server" => {
                let port = Value::new(keyword, statement, 1).map(|port| port.number(sink));
                let host = first.word.text.clone();
                global.mail.server = port.unwrap_or(Some(25)).map(|port| SmtpServer { host, port });
            }
            "smtp_connect_timeout" => {
                if let Some(timeout) = first.whole_seconds(sink) {
                    let least = Duration::from_secs(1);
                    global.mail.connect_timeout = first.positive(sink, timeout, least);
                }
            }
            "clock_interval" => {
                let interval = first.seconds(sink);
                global.clock.interval = interval.unwrap_or(global.clock.interval);
            }
            "startup_script_timeout" => {
                let hook = &mut global.lifecycle.startup;
                hook.timeout = first.seconds(sink).unwrap_or(hook.timeout);
            }
            "shutdown_script_timeout" => {
                let hook = &mut global.lifecycle.shutdown;
                hook.timeout = first.seconds(sink).unwrap_or(hook.timeout);
            }
            "vrrp_startup_delay" => global.startup_delay = delay(sink, first),
            "vrrp_delay_after_boot" => global.delay_after_boot = delay(sink, first),
            "vrrp_garp_interval" => global.garp_interval = pace(sink, first),
            "vrrp_gna_interval" => global.gna_interval = pace(sink, first),
            "vrrp_mcast_group4" => {
                let group =
                    group(sink, first.word, "an IPv4 multicast address", Ipv4Addr::is_multicast);
                global.multicast.v4 = group.unwrap_or(global.multicast.v4);
            }
            "vrrp_mcast_group6" => {
                let group =
                    group(sink, first.word, "an IPv6 multicast address", Ipv6Addr::is_multicast);
                global.multicast.v6 = group.unwrap_or(global.multicast.v6);
            }
            "nftables_priority" => {
                global.firewall.priority = first.number(sink).unwrap_or(global.firewall.priority);
            }
            "vrrp_version" => self.version = version(sink, first.word),
            "vrrp_down_timer_adverts" => self.down_timer_adverts = first.number(sink),
            _ => return false,
        }
        true
    }

    fn read_flag(&mut self, sink: &mut Sink, keyword: &'static Keyword, statement: &Statement) {
        let flag = match keyword.name {
            "vrrp_lower_prio_no_advert" => &mut self.lower_prio_no_advert,
            "vrrp_higher_prio_send_advert" => &mut self.higher_prio_send_advert,
            "v3_checksum_as_v2" => &mut self.v3_checksum_as_v2,
            "vrrp_check_unicast_src" => &mut self.check_unicast_src,
            "vrrp_skip_check_adv_addr" => &mut self.skip_check_adv_addr,
            "vrrp_owner_ignore_adverts" => &mut self.owner_ignore_adverts,
            "data_use_instance" => &mut self.data_use_instance,
            "vrrp_notify_priority_changes" => &mut self.notify_priority_changes,
            "smtp_alert" => &mut self.smtp_alert,
            "vrrp_min_garp" => &mut self.garp.minimal,
            _ => return inactive::keep(sink, keyword, statement, &mut self.global.inactive),
        };
        // keepalived (2.2.7) takes `vrrp_check_unicast_src off` for the same without `off`.
        let is_given = keyword.arguments.is_empty().then_some(true);
        *flag = is_given.or_else(|| value::flag(sink, statement)).unwrap_or(*flag);
    }

    pub(super) fn finish(mut self, sink: &mut Sink) -> Global {
        [self.global.fifo, self.global.vrrp_fifo] = fifo::finish(sink, &self.fifo, &self.vrrp_fifo);
        self.global
    }
}

/// Without one where it cannot be read.
fn delay(sink: &mut Sink, value: Value<'_>) -> Duration {
    value.seconds(sink).unwrap_or_default()
}

/// The same of an interval of announcements.
fn pace(sink: &mut Sink, value: Value<'_>) -> Duration {
    let interval = delay(sink, value);
    if interval.is_zero() && !sink.has_error_in(value.word.span) {
        let message = "no interval at all, as without the line";
        sink.warning_help(value.word.span, message, "keepalived wants one greater than 0");
    }
    interval
}

/// A multicast group's address; `expected` says of which family.
fn group<T: FromStr>(
    sink: &mut Sink,
    word: &Word,
    expected: &str,
    is_multicast: impl FnOnce(&T) -> bool,
) -> Option<T> {
    let group = word.text.parse().ok().filter(is_multicast);
    if group.is_none() {
        value::bad(sink, word, expected);
    }
    group
}

/// `2` or `3`.
pub(super) fn version(sink: &mut Sink, word: &Word) -> Option<Version> {
    match word.text.as_str() {
        "2" => Some(Version::V2),
        "3" => Some(Version::V3),
        _ => {
            value::bad(sink, word, "2 or 3");
            None
        }
    }
}
