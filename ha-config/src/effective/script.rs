//! `vrrp_script`.

use super::{
    track::weight,
    writer::{Writer, seconds},
};
use crate::model::{Command, Script, ScriptUser};

pub(super) fn write(writer: &mut Writer, script: &Script) {
    let Script {
        name,
        command: Command { argv, user: run_as, place: _ },
        interval,
        timeout,
        weight: by,
        rise,
        fall,
        init_fail,
        place: _,
    } = script;
    writer.block("vrrp_script", Some(name), |writer| {
        writer.command("script", argv, []);
        match run_as {
            Some(run_as) => writer.line("user", user(run_as)),
            None => writer.silent("user", "(script_user)"),
        }
        writer.value("interval", seconds(*interval));
        writer.value("timeout", seconds(*timeout));
        writer.line("weight", weight(*by));
        writer.value("rise", rise);
        writer.value("fall", fall);
        writer.presence("init_fail", *init_fail);
    });
}

/// `USER [GROUP]`.
pub(super) fn user(user: &ScriptUser) -> Vec<String> {
    let ScriptUser { user, group } = user;
    core::iter::once(user).chain(group).cloned().collect()
}
