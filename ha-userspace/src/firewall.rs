//! The packet filter of virtual addresses that take no packets: `no_accept`, strict mode.
//!
//! A packet to a virtual address is input only while the address is on this host, so one table that
//! never changes does for Master and Backup: it is set before the first address can be, and nothing
//! of it is on the way of a failover. Set by `nft`, from the main thread only.

use std::{collections::BTreeSet, fmt::Write as _, future, io, net::IpAddr, time::Duration};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    clock,
    engine::retry::Backoff,
    io::{lock, table_watch::TableWatch},
    plan::Plan,
    scripts::child::{self, End, Run},
};

/// Begins the name of each of our tables; the name of an interface follows.
const PREFIX: &str = "ha_";
/// `nft` takes milliseconds; where it takes longer, something is wrong.
const LIMIT: Duration = Duration::from_secs(5);
/// A table that has stayed for so long is set again at once when it is removed.
const QUIET: Duration = Duration::from_mins(1);

/// The table of this daemon, while there is one.
///
/// Several daemons may run in one network namespace, on different interfaces, so each table has the
/// name of an interface that only its own daemon has the lock of. By that a table that a killed
/// daemon has left is known, too.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    table: Option<String>,
    /// `None` without a table, or if the kernel does not tell of it.
    watch: Option<TableWatch>,
    /// When a table that somebody removes again may be set again.
    backoff: Backoff,
}

impl Filter {
    /// Sets what `plan` needs in place of what is there, of this daemon or of a killed one.
    ///
    /// # Errors
    /// One sentence: packets that `plan` does not accept would be accepted.
    pub(crate) async fn set(&mut self, plan: &Plan) -> io::Result<()> {
        let table = Table::of(plan)?;
        let mut stale = match left_overs(&interfaces(plan)).await {
            Ok(stale) => stale,
            // Who needs no filter need not have `nft`.
            Err(_) if table.is_none() => BTreeSet::new(),
            Err(error) => return Err(plan_error(plan, &error)),
        };
        stale.extend(self.table.clone());
        let Some(table) = table else {
            remove(stale).await;
            (self.table, self.watch) = (None, None);
            return Ok(());
        };
        // Not after it: somebody could have removed it before.
        let watch = TableWatch::open(&table.name);
        // One transaction: there is no moment without a table.
        let mut words: Vec<String> = stale.iter().flat_map(|name| without(name)).collect();
        words.extend(table.words());
        load(&[], &words).await.map_err(|error| plan_error(plan, &error))?;
        let (names, name) = (closed_names(plan), &table.name);
        info!("packets to the addresses of {names} are dropped by the nft table inet {name}");
        if let Err(error) = &watch {
            warn!("if somebody removes the nft table inet {name}, that is not noticed: {error}");
        }
        (self.table, self.watch) = (Some(table.name), watch.ok());
        Ok(())
    }

    /// Waits until somebody has removed the table and its turn to be set again has come. Nothing is
    /// lost if it is dropped.
    pub(crate) async fn lost(&mut self) {
        let Some(watch) = &mut self.watch else { return future::pending().await };
        watch.lost().await;
        let wait = self.backoff.next().map(|at| at.since(clock::now())).unwrap_or_default();
        #[expect(clippy::disallowed_methods, reason = "who fights over the table can wait")]
        let turn = sleep(wait);
        turn.await;
    }

    /// Sets what is [`Self::lost`].
    pub(crate) async fn restore(&mut self, plan: &Plan) {
        let now = clock::now();
        if self.backoff.next().is_some_and(|at| now.since(at) > QUIET) {
            self.backoff = Backoff::default();
        }
        let pause = self.backoff.put_off(now).as_secs();
        let name = self.table.as_deref().unwrap_or_default();
        warn!(
            "somebody has removed the nft table inet {name}, as `nft flush ruleset` does: it is set \
             again now; if it is removed once more, not before {pause} s have passed"
        );
        if let Err(error) = self.set(plan).await {
            warn!("{error}");
        }
    }

    /// Removes the table.
    pub(crate) async fn remove(&mut self) {
        self.watch = None;
        remove(self.table.take()).await;
    }
}

/// Whether [`Filter::set`] will do.
///
/// # Errors
/// One sentence.
pub(crate) async fn check(plan: &Plan) -> io::Result<()> {
    let Some(table) = Table::of(plan)? else { return Ok(()) };
    load(&["--check"], &table.words()).await.map_err(|error| plan_error(plan, &error))
}

/// What is in a table.
#[derive(Debug)]
struct Table {
    name: String,
    priority: i32,
    counter: &'static str,
    v4: BTreeSet<String>,
    v6: BTreeSet<String>,
    /// Valid on one interface only, as `"eth0" . fe80::1`.
    link_local: BTreeSet<String>,
}

impl Table {
    /// `None`: everything is accepted.
    fn of(plan: &Plan) -> io::Result<Option<Self>> {
        let mut closed = plan.instances.iter().filter(|instance| !instance.accepts).peekable();
        let interfaces = interfaces(plan);
        let (Some(_), Some(first)) = (closed.peek(), interfaces.first()) else { return Ok(None) };
        let mut table = Self {
            name: table_name(first),
            priority: plan.firewall.priority,
            counter: if plan.firewall.counters { "counter " } else { "" },
            v4: BTreeSet::new(),
            v6: BTreeSet::new(),
            link_local: BTreeSet::new(),
        };
        for virtual_address in closed.flat_map(|instance| &instance.addresses) {
            let interface = &virtual_address.interface;
            match virtual_address.address {
                IpAddr::V4(address) => table.v4.insert(address.to_string()),
                IpAddr::V6(address) if address.is_unicast_link_local() => {
                    // `*` would be any interface, and a quote the end of the name.
                    if interface.contains(['*', '"', '\\']) {
                        let text = format!("nft cannot be told of {address} on {interface}");
                        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
                    }
                    table.link_local.insert(format!("\"{interface}\" . {address}"))
                }
                IpAddr::V6(address) => table.v6.insert(address.to_string()),
            };
        }
        Ok(Some(table))
    }

    /// For `nft`, an address a word: no word may be long, and there may be thousands.
    fn words(&self) -> Vec<String> {
        let mut words = vec![format!("table inet {} {{", self.name)];
        // RFC 9568 §6.4.3: a solicitation or advertisement of a neighbour is never dropped. What a
        // router tells of itself (§8.2.3) is not to be held back, either.
        self.chain(&mut words, "input", "iifname", "daddr", "");
        self.chain(&mut words, "output", "oifname", "saddr", ", nd-router-advert, nd-redirect");
        words.push("};".to_owned());
        words
    }

    fn chain(&self, words: &mut Vec<String>, hook: &str, by: &str, which: &str, more: &str) {
        let priority = self.priority;
        words.push(format!("chain {hook} {{ type filter hook {hook} priority {priority};"));
        words.push(format!(
            "icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert{more} }} accept;"
        ));
        let rules = [
            (format!("ip {which}"), &self.v4),
            (format!("ip6 {which}"), &self.v6),
            (format!("{by} . ip6 {which}"), &self.link_local),
        ];
        for (key, addresses) in rules.iter().filter(|(_, addresses)| !addresses.is_empty()) {
            words.push(format!("{key} {{"));
            words.extend(addresses.iter().map(|address| format!("{address},")));
            words.push(format!("}} {}drop;", self.counter));
        }
        words.push("};".to_owned());
    }
}

/// Removes the tables of runs that were killed; the caller has the locks of `plan`.
pub(crate) async fn remove_left_overs(plan: &Plan) {
    // Without nft there are none.
    remove(left_overs(&interfaces(plan)).await.unwrap_or_default()).await;
}

async fn remove(tables: impl IntoIterator<Item = String>) {
    for name in tables {
        if let Err(error) = load(&[], &without(&name)).await {
            warn!("the nft table inet {name} is left, and drops packets: {error}");
        }
    }
}

/// Removes a table that need not be there.
fn without(name: &str) -> [String; 2] {
    [format!("add table inet {name};"), format!("delete table inet {name};")]
}

/// The tables that no living daemon answers for, `ours` among those that are held.
async fn left_overs(ours: &BTreeSet<&str>) -> io::Result<BTreeSet<String>> {
    let run = child::run_tool(&["nft", "list", "tables", "inet"], LIMIT).await;
    let listed = succeeded(run).await?;
    let held = lock::held()?;
    let others = held.iter().filter(|interface| !ours.contains(interface.as_str()));
    let others: BTreeSet<String> = others.map(|interface| table_name(interface)).collect();
    let names = listed.lines().filter_map(|line| line.trim().strip_prefix("table inet "));
    let names = names.filter(|name| name.starts_with(PREFIX)).map(str::to_owned);
    Ok(names.filter(|name| !others.contains(name)).collect())
}

/// Runs all of it or nothing.
async fn load(options: &[&str], words: &[String]) -> io::Result<()> {
    // What begins with a minus is no option of ours.
    let before = ["nft"].iter().chain(options).chain(&["--"]).copied();
    let words: Vec<&str> = before.chain(words.iter().map(String::as_str)).collect();
    succeeded(child::run_tool(&words, LIMIT).await).await.map(drop)
}

/// What it printed.
async fn succeeded(run: Run) -> io::Result<String> {
    if run.is_success() {
        return Ok(run.output());
    }
    let text = match &run.end {
        End::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no program nft: install the package nftables".to_owned()
        }
        End::NotStarted(_) | End::Exited(_) | End::TimedOut => format!("nft: {run}"),
    };
    run.finish().await;
    Err(io::Error::other(text))
}

fn plan_error(plan: &Plan, error: &io::Error) -> io::Error {
    let names = closed_names(plan);
    io::Error::other(format!(
        "packets to the addresses of {names} cannot be refused, as `no_accept` or strict mode \
         demands: {error}; or let them be accepted"
    ))
}

fn closed_names(plan: &Plan) -> String {
    let mut text = String::new();
    for instance in plan.instances.iter().filter(|instance| !instance.accepts) {
        let separator = if text.is_empty() { "" } else { ", " };
        // A string takes everything.
        write!(text, "{separator}{}", instance.name).ok();
    }
    text
}

/// Those that the daemon has the locks of.
fn interfaces(plan: &Plan) -> BTreeSet<&str> {
    plan.instances.iter().map(|instance| instance.interface.as_str()).collect()
}

/// What `nft` does not take in a name is written as `_` and two digits, and so is `_` itself.
fn table_name(interface: &str) -> String {
    let mut name = PREFIX.to_owned();
    for byte in interface.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') {
            name.push(char::from(byte));
        } else {
            // A string takes everything.
            write!(name, "_{byte:02x}").ok();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Option<String> {
        let parsed = ha_config::parse("x", text);
        let (plan, _) = Plan::new(&parsed.config, &[]);
        assert!(!plan.instances.is_empty(), "{:?}", parsed.diagnostics);
        Table::of(&plan).unwrap().map(|table| table.words().join("\n"))
    }

    fn instance(vrid: u8, interface: &str, addresses: &str, more: &str) -> String {
        format!(
            "vrrp_instance V{vrid} {{\n interface {interface}\n virtual_router_id {vrid}\n {more}\n \
             virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
        )
    }

    #[test]
    fn what_is_closed_is_in_the_table_and_nothing_else() {
        let text = [
            "global_defs {\n nftables_priority -5\n nftables_counters\n}\n",
            &instance(1, "eth1", "192.0.2.1\n 192.0.2.2", "no_accept"),
            &instance(2, "eth1", "192.0.2.3", ""),
            &instance(3, "eth0", "fe80::1 dev eth2\n 2001:db8::1", "strict_mode"),
            &instance(4, "eth0", "192.0.2.4", "no_accept\n priority 255"),
        ];
        let expected = "table inet ha_eth0 {
chain input { type filter hook input priority -5;
icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept;
ip daddr {
192.0.2.1,
192.0.2.2,
} counter drop;
ip6 daddr {
2001:db8::1,
} counter drop;
iifname . ip6 daddr {
\"eth2\" . fe80::1,
} counter drop;
};
chain output { type filter hook output priority -5;
icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, nd-redirect } accept;
ip saddr {
192.0.2.1,
192.0.2.2,
} counter drop;
ip6 saddr {
2001:db8::1,
} counter drop;
oifname . ip6 saddr {
\"eth2\" . fe80::1,
} counter drop;
};
};";
        assert_eq!(table(&text.concat()).unwrap(), expected);
    }

    #[test]
    fn where_everything_is_accepted_there_is_no_table() {
        assert_eq!(table(&instance(1, "eth1", "192.0.2.1", "")), None);
        assert_eq!(table(&instance(1, "eth1", "192.0.2.1", "no_accept\n priority 255")), None);
    }

    #[test]
    fn names_differ_as_interfaces_do() {
        assert_eq!(table_name("br-lan.100"), "ha_br-lan.100");
        assert_eq!(table_name("a_2d"), "ha_a_5f2d");
        assert_eq!(table_name("a@b"), "ha_a_40b");
    }
}
