//! `global_defs`: the daemon's own settings and the defaults of instances.

use core::time::Duration;

use ha_core::Version;

use super::{
    garp,
    statement::{entry_words, no_builder, supported},
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::Block,
    model::{Global, SmtpServer},
    tree::{Statement, Word},
    value::{self, LONGEST},
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
    /// Where strict mode is asked for.
    pub(super) strict: Option<Span>,
}

impl Draft {
    /// `late`: instances are before it in the file.
    pub(super) fn read(&mut self, sink: &mut Sink, block: &Statement, late: bool) {
        for (keyword, statement) in supported(sink, Block::Global, block.body()) {
            if late && acts_on_what_follows(keyword) {
                sink.warning_help(
                    statement.line_span(),
                    format!("`{keyword}` also acts on the instances before it"),
                    "keepalived applies it to later instances only: put `global_defs` first",
                );
            }
            let first = statement.value(0);
            if let Some(name) = keyword.strip_prefix("vrrp_")
                && let Some(first) = first
                && self.garp.read(sink, name, first)
            {
                continue;
            }
            match (keyword, first) {
                ("notification_email", _) => {
                    let words = entry_words(sink, statement);
                    self.global.mail.to.extend(words.into_iter().map(|word| word.text.clone()));
                }
                ("enable_script_security", _) => self.global.script_security = true,
                ("vrrp_strict", _) => self.strict = Some(statement.line_span()),
                ("nftables", None) => {}
                ("nftables", Some(name)) => sink.warning_help(
                    name.span,
                    format!("the table is not called `{}`: ignored", name.text),
                    "each daemon has a table of its own, named after an interface: ha_eth0",
                ),
                ("nftables_counters", _) => self.global.firewall.counters = true,
                ("script_user", _) => self.global.script_user = value::user(&statement.values),
                (_, Some(first)) if self.read_value(sink, keyword, first, statement) => {}
                _ => self.read_flag(sink, keyword, statement),
            }
        }
    }

    /// Whether `keyword` is one of those that need a value.
    fn read_value(
        &mut self,
        sink: &mut Sink,
        keyword: &str,
        first: &Word,
        statement: &Statement,
    ) -> bool {
        let global = &mut self.global;
        match keyword {
            "router_id" => global.router_id = Some(first.text.clone()),
            "notification_email_from" => global.mail.from = Some(first.text.clone()),
            "smtp_helo_name" => global.mail.helo_name = Some(first.text.clone()),
            "smtp_server" => {
                let port = statement.value(1).map(|word| value::number(sink, word, 1..=65535));
                let port = port.unwrap_or(Some(25));
                global.mail.server = port.map(|port| SmtpServer { host: first.text.clone(), port });
            }
            "smtp_connect_timeout" => {
                let timeout = value::seconds(sink, first, Duration::ZERO..=LONGEST);
                global.mail.connect_timeout = timeout.unwrap_or(global.mail.connect_timeout);
            }
            "vrrp_startup_delay" => global.startup_delay = delay(sink, first),
            "vrrp_delay_after_boot" => global.delay_after_boot = delay(sink, first),
            "vrrp_garp_interval" => global.garp_interval = delay(sink, first),
            "vrrp_gna_interval" => global.gna_interval = delay(sink, first),
            "nftables_priority" => {
                let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
                let priority = value::number(sink, first, range);
                global.firewall.priority = priority.unwrap_or(global.firewall.priority);
            }
            "vrrp_version" => self.version = version(sink, first),
            "vrrp_down_timer_adverts" => {
                self.down_timer_adverts = value::number(sink, first, 1..=100);
            }
            _ => return false,
        }
        true
    }

    fn read_flag(&mut self, sink: &mut Sink, keyword: &str, statement: &Statement) {
        let flag = match keyword {
            "vrrp_lower_prio_no_advert" => &mut self.lower_prio_no_advert,
            "vrrp_higher_prio_send_advert" => &mut self.higher_prio_send_advert,
            "v3_checksum_as_v2" => &mut self.v3_checksum_as_v2,
            "vrrp_check_unicast_src" => &mut self.check_unicast_src,
            "vrrp_skip_check_adv_addr" => &mut self.skip_check_adv_addr,
            "vrrp_owner_ignore_adverts" => &mut self.owner_ignore_adverts,
            "vrrp_min_garp" => &mut self.garp.minimal,
            other => return no_builder(sink, statement, other),
        };
        *flag = value::flag(sink, statement).unwrap_or(*flag);
    }
}

/// Without one where it cannot be read.
fn delay(sink: &mut Sink, word: &Word) -> Duration {
    value::seconds(sink, word, Duration::ZERO..=LONGEST).unwrap_or_default()
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

/// Those of which keepalived takes the value that is known where an instance begins.
fn acts_on_what_follows(keyword: &str) -> bool {
    let is_of_instances =
        |name: &str| name.starts_with("vrrp_garp_") && name != "vrrp_garp_interval";
    is_of_instances(keyword)
        || matches!(
            keyword,
            "vrrp_min_garp"
                | "vrrp_down_timer_adverts"
                | "vrrp_skip_check_adv_addr"
                | "v3_checksum_as_v2"
        )
}
