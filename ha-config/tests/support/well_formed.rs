//! What the model promises, whatever the text was. Used by tests and by the fuzz target `config`.

use std::collections::BTreeSet;

use ha_config::Config;

/// Panics with `text` if `config`, which is read from it, breaks a promise of [`Config`].
pub(crate) fn check(config: &Config, text: &str) {
    for group in &config.groups {
        assert!(!group.members.is_empty(), "{text}");
        for member in &group.members {
            assert!(config.instance(member).is_some(), "{text}");
            assert_eq!(config.group_of(member).map(|home| &home.name), Some(&group.name));
        }
        for tracked in &group.track_scripts {
            assert!(config.script(&tracked.script).is_some(), "{text}");
        }
    }
    let mut routers = BTreeSet::new();
    for instance in &config.instances {
        assert!(!instance.addresses.is_empty(), "{text}");
        assert!(routers.insert((&instance.interface, instance.family, instance.vrid)), "{text}");
        for tracked in &instance.track_scripts {
            assert!(config.script(&tracked.script).is_some(), "{text}");
        }
        assert!(instance.accept || !instance.priority.is_owner(), "{text}");
        let delay = instance.preempt_delay;
        assert!(delay.is_zero() || instance.preempt && !instance.strict, "{text}");
    }
    for script in &config.scripts {
        assert!(!script.command.argv.is_empty(), "{text}");
        assert!(!script.interval.is_zero() && !script.timeout.is_zero(), "{text}");
        assert!(script.rise > 0 && script.fall > 0, "{text}");
    }
    let mut paced = BTreeSet::new();
    for interface in config.pacing.iter().flat_map(|group| &group.interfaces) {
        assert!(paced.insert(interface), "{text}");
    }
    check_unique(config.scripts.iter().map(|one| &one.name), text);
    check_unique(config.groups.iter().map(|one| &one.name), text);
    check_unique(config.instances.iter().map(|one| &one.name), text);
}

fn check_unique<'a>(names: impl Iterator<Item = &'a String>, text: &str) {
    let mut seen = BTreeSet::new();
    for name in names {
        assert!(seen.insert(name), "`{name}` is there twice in\n{text}");
    }
}
