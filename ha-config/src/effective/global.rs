//! `global_defs`.

use super::{
    clock, notify,
    script::user,
    writer::{Writer, seconds},
};
use crate::model::{Firewall, Global, Identity, Lifecycle, Mail, MulticastGroups, SmtpServer};

pub(super) fn write_identity(writer: &mut Writer, identity: &Identity) {
    // The last of it is in `global_defs`.
    let Identity { net_namespace, instance, use_pid_dir, data_use_instance: _ } = identity;
    writer.optional("net_namespace", net_namespace.as_ref(), "where it is started");
    writer.optional("instance", instance.as_ref(), "none");
    writer.presence("use_pid_dir", *use_pid_dir);
}

/// Without the defaults of instances, which are in the instances.
pub(super) fn write(writer: &mut Writer, global: &Global, identity: &Identity) {
    let Global {
        router_id,
        default_interface,
        mail,
        script_user,
        script_security,
        supplementary_groups,
        fifo,
        vrrp_fifo,
        fifo_states_on_reload,
        // The third of it is written outside of the block.
        lifecycle: Lifecycle { startup, shutdown, child_wait_time: _ },
        startup_delay,
        delay_after_boot,
        garp_interval,
        gna_interval,
        multicast: MulticastGroups { v4, v6 },
        log_unknown_vrids,
        firewall: Firewall { priority, counters },
        clock,
        inactive,
    } = global;
    writer.block("global_defs", None, |writer| {
        writer.optional("router_id", router_id.as_ref(), "the host's name");
        writer.optional("default_interface", default_interface.as_ref(), "eth0");
        match script_user {
            Some(script_user) => writer.line("script_user", user(script_user)),
            None => writer.silent("script_user", "(keepalived_script, else root)"),
        }
        writer.presence("enable_script_security", *script_security);
        writer.presence("set_supplementary_groups", *supplementary_groups);
        notify::write_hook(writer, "startup_script", startup);
        notify::write_hook(writer, "shutdown_script", shutdown);
        notify::write_fifo(writer, "notify_fifo", fifo.as_ref());
        notify::write_fifo(writer, "vrrp_notify_fifo", vrrp_fifo.as_ref());
        writer.presence("fifo_write_vrrp_states_on_reload", *fifo_states_on_reload);
        write_mail(writer, mail);
        clock::write_look(writer, clock);
        writer.nonzero("vrrp_startup_delay", *startup_delay);
        writer.nonzero("vrrp_delay_after_boot", *delay_after_boot);
        writer.nonzero("vrrp_garp_interval", *garp_interval);
        writer.nonzero("vrrp_gna_interval", *gna_interval);
        writer.value("vrrp_mcast_group4", v4);
        writer.value("vrrp_mcast_group6", v6);
        writer.presence("log_unknown_vrids", *log_unknown_vrids);
        writer.value("nftables_priority", priority);
        writer.presence("nftables_counters", *counters);
        writer.presence("data_use_instance", identity.data_use_instance);
        for setting in inactive {
            writer.setting(setting);
        }
    });
}

fn write_mail(writer: &mut Writer, mail: &Mail) {
    let Mail { to, from, server, connect_timeout, helo_name, no_faults } = mail;
    writer.list("notification_email", to, |address| vec![address.clone()]);
    writer.optional("notification_email_from", from.as_ref(), "root@ and the host's name");
    if let Some(SmtpServer { host, port }) = server {
        writer.line("smtp_server", [host.clone(), port.to_string()]);
    }
    writer.value("smtp_connect_timeout", seconds(*connect_timeout));
    writer.optional("smtp_helo_name", helo_name.as_ref(), "the host's name");
    writer.presence("no_email_faults", *no_faults);
}
