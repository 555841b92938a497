//! Nothing of the table is forgotten. That reading gives the same again is in `tests/effective.rs`.

use std::collections::BTreeSet;

use super::{effective, statics_text};
use crate::{
    keywords::{self, Block, Support, TABLE},
    parse,
    sink::Sink,
    source,
    tree::{self, Statement},
};

/// What it says is in other keywords then, or in nothing that the model knows.
const RESOLVED: [(Block, &str); 27] = [
    (Block::Global, "vrrp_version"),
    (Block::Global, "vrrp_skip_check_adv_addr"),
    (Block::Global, "vrrp_check_unicast_src"),
    (Block::Global, "vrrp_garp_master_delay"),
    (Block::Global, "vrrp_garp_master_repeat"),
    (Block::Global, "vrrp_garp_master_refresh"),
    (Block::Global, "vrrp_garp_master_refresh_repeat"),
    (Block::Global, "vrrp_garp_lower_prio_delay"),
    (Block::Global, "vrrp_garp_lower_prio_repeat"),
    (Block::Global, "vrrp_min_garp"),
    (Block::Global, "vrrp_owner_ignore_adverts"),
    (Block::Global, "vrrp_strict"),
    (Block::Global, "vrrp_notify_priority_changes"),
    (Block::Global, "vrrp_down_timer_adverts"),
    (Block::Global, "vrrp_lower_prio_no_advert"),
    (Block::Global, "vrrp_higher_prio_send_advert"),
    (Block::Global, "v3_checksum_as_v2"),
    (Block::Global, "smtp_alert"),
    (Block::Global, "smtp_alert_vrrp"),
    (Block::Global, "nftables"),
    (Block::Global, "include_check"),
    (Block::Process, "delay"),
    (Block::Top, "vrrp_track_file"),
    (Block::Group, "global_tracking"),
    (Block::Instance, "native_ipv6"),
    (Block::Instance, "unicast_fault_no_peer"),
    (Block::GarpGroup, "interface"),
];

/// The blocks and keywords of `statements`, at any depth.
fn collect<'a>(block: Block, statements: &'a [Statement], found: &mut BTreeSet<(Block, &'a str)>) {
    for statement in statements {
        found.insert((block, statement.head.text.as_str()));
        let inner = keywords::find(block, &statement.head.text).and_then(|keyword| keyword.body);
        if let Some(inner) = inner.filter(|inner| *inner != Block::List) {
            collect(inner, statement.body(), found);
        }
    }
}

#[test]
fn every_active_keyword_is_written() {
    let everything = include_str!("../../tests/data/accepted/everything.conf");
    let text = effective(&parse("", everything).config);
    let mut sink = Sink::default();
    let statements = tree::parse(source::read("", &text, &source::Nowhere, &mut sink), &mut sink);
    let mut written = BTreeSet::new();
    collect(Block::Top, &statements, &mut written);
    for (block, keywords) in TABLE {
        for keyword in keywords {
            let is_active = matches!(keyword.support, Support::Now);
            let is_carried = matches!(keyword.support, Support::Inactive(_));
            let found = (block, keyword.name);
            let is_written = written.contains(&found);
            let expected = is_active && !RESOLVED.contains(&found);
            assert!(is_written == expected || is_carried, "{found:?} in\n{text}");
        }
    }
}

#[test]
fn static_lines_are_read_again_without_the_rest_of_the_file() {
    let file = include_str!("../../tests/data/accepted/statics.conf");
    let text = statics_text(&parse("", file).config.statics);
    // There are no groups.
    let expected = text.replace(" track_group UPLINK", "");
    assert_ne!(text, expected);
    assert_eq!(statics_text(&parse("", &text).config.statics), expected);
}
