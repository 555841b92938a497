//! The words of an instance in a story.

use crate::{
    Family, InstanceConfig,
    story::value::{duration, interval, parse, priority, version, vrid, wrong},
};

pub(super) fn read(config: &mut InstanceConfig, key: &str, value: &str) -> Result<(), String> {
    match key {
        "vrid" => config.vrid = vrid(value)?,
        "version" => config.version = version(value)?,
        "ipv6" => config.family = Family::V6,
        "priority" => config.priority = priority(value)?,
        "interval" => config.interval = interval(value)?,
        "nopreempt" => config.preempt = false,
        "preempt_delay" => config.preempt_delay = duration(value)?,
        "owner_ignore_adverts" => config.owner_ignore_adverts = true,
        "skip_check_adv_addr" => config.skip_check_adv_addr = true,
        "down_adverts" => config.down_adverts = parse("a number", value)?,
        "lower_prio_no_advert" => config.lower_prio_no_advert = true,
        "higher_prio_send_advert" => config.higher_prio_send_advert = true,
        "announce" => config.announce.repeat = parse("a number", value)?,
        "delay" => config.announce.delay = duration(value)?,
        "lower_prio_repeat" => config.announce.lower_prio_repeat = parse("a number", value)?,
        "lower_prio_delay" => config.announce.lower_prio_delay = duration(value)?,
        "refresh" => config.announce.refresh = duration(value)?,
        "refresh_repeat" => config.announce.refresh_repeat = parse("a number", value)?,
        _ => return Err(wrong("a word about an instance", key)),
    }
    Ok(())
}
