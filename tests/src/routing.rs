//! Routes and rules of a namespace, as `ip` shows them.

use core::time::Duration;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::{netns::Namespace, process::Router, wait};

const SOON: Duration = Duration::from_secs(30);

/// What `ip` says of all tables, without what is there before any router runs.
pub fn routing(namespace: &Namespace) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in ["-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule"] {
        let text = namespace.ip(&format!("-j -d {line}"));
        let parsed: Value = serde_json::from_str(&text).unwrap_or_default();
        assert!(parsed.is_array(), "{line}: {text}");
        let entries = parsed.as_array().into_iter().flatten();
        let is_of_router = |entry: &&Value| {
            let protocol = entry["protocol"].as_str().unwrap_or_default();
            // The kernel's own come and go with addresses.
            protocol != "kernel"
        };
        found.extend(entries.filter(is_of_router).map(|entry| format!("{line}: {entry}")));
    }
    found
}

/// Waits until `ip` shows `expected` routes and rules.
pub fn await_routing(namespace: &Namespace, expected: &BTreeSet<String>, router: &Router) {
    let comes = wait::holds_within(SOON, || routing(namespace) == *expected);
    let now = routing(namespace);
    let missing: Vec<_> = expected.difference(&now).collect();
    let more: Vec<_> = now.difference(expected).collect();
    assert!(comes, "missing {missing:#?}, too many {more:#?}\n{}", router.log());
}
