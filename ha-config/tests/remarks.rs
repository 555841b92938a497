//! What is said of a line that is read in another way than it is written, one line at a time. What keepalived
//! makes of it was learned from `keepalived -t` and `-d` (2.2.7).

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ha_config::{Config, Severity, effective, parse};

    const LIST: &str = "virtual_ipaddress {\n192.0.2.1/24\n}\n";

    /// What is read of these lines of `global_defs`, of the top level and of an instance, and what is
    /// said of them.
    fn read(global: &str, top: &str, instance: &str) -> (Config, Vec<(Severity, String)>) {
        let text = format!(
            "global_defs {{\n{global}\n}}\n{top}\nvrrp_instance VI {{\ninterface eth0\n\
             virtual_router_id 1\n{LIST}{instance}\n}}\n"
        );
        let parsed = parse("f", &text);
        let said = parsed.diagnostics.iter().map(|one| (one.severity, one.message.clone()));
        let said = said.collect();
        (parsed.config, said)
    }

    fn check_warned(global: &str, top: &str, instance: &str, warning: &str) -> Config {
        let (config, said) = read(global, top, instance);
        let said: Vec<(Severity, &str)> =
            said.iter().map(|(how, what)| (*how, what.as_str())).collect();
        assert_eq!(said, [(Severity::Warning, warning)], "{global}{top}{instance}");
        config
    }

    fn check_refused(global: &str, top: &str, instance: &str, error: &str) {
        let (_, said) = read(global, top, instance);
        let is_error = |(how, what): &(Severity, String)| *how == Severity::Error && what == error;
        assert!(said.iter().any(is_error), "{global}{top}{instance}: {said:?}");
    }

    /// keepalived: "must be greater than 0, setting to 1".
    #[test]
    fn a_master_announces_at_least_once() {
        let zero = "it has to be greater than 0: 1, as keepalived takes it";
        let refresh = check_warned("", "", "garp_master_refresh_repeat 0", zero);
        assert_eq!(refresh.instances[0].garp.master_refresh_repeat, 1);
        assert_eq!(
            check_warned("", "", "garp_master_repeat 0", zero).instances[0].garp.master_repeat,
            1
        );
        let global = check_warned("vrrp_garp_master_repeat 0", "", "", zero);
        assert_eq!(global.instances[0].garp.master_repeat, 1);
        check_warned("vrrp_garp_master_refresh_repeat 0", "", "", zero);
        let mail = check_warned("smtp_connect_timeout 0", "", "", zero);
        assert_eq!(mail.global.mail.connect_timeout, Duration::from_secs(1));
        // To a lower priority it may say nothing.
        let (config, said) = read("", "", "garp_lower_prio_repeat 0");
        assert_eq!((config.instances[0].garp.lower_prio_repeat, said), (0, Vec::new()));
    }

    #[test]
    fn fractions_that_keepalived_ignores_are_told() {
        let check = |global: &str, instance: &str, value: &str| {
            let warning = format!("`{value}` is no whole number of seconds");
            check_warned(global, "", instance, &warning)
        };
        let garp = check("", "garp_master_delay 5.5", "5.5").instances[0].garp.clone();
        assert_eq!(garp.master_delay, Duration::from_millis(5500));
        check("", "garp_master_refresh 0.1", "0.1");
        check("vrrp_garp_lower_prio_delay 1.5", "", "1.5");
        check("smtp_connect_timeout 0.5", "", "0.5");
        for line in ["vrrp_garp_interval 0", "vrrp_gna_interval 0"] {
            check_warned(line, "", "", "no interval at all, as without the line");
        }
    }

    /// It would run without authentication, which the line asks for.
    #[test]
    fn authentication_in_one_line_is_an_error() {
        let why =
            "`auth_pass` does not count here: of a line only the first keyword does, `auth_type`";
        check_refused("", "", "authentication { auth_type PASS auth_pass abc }", why);
    }

    /// keepalived reads what is before it, so that the priority would be another one.
    #[test]
    fn a_nul_is_an_error() {
        let why = "a line with a NUL character: nothing of it is read";
        check_refused("", "", "priority 150\0 x", why);
    }

    #[test]
    fn signs_that_slipped_in_are_told() {
        let name = "is not an interface name of 1 to 15 characters";
        check_refused("", "", "track_interface {\neth1;\n}", &format!("`eth1;` {name}"));
        check_refused(
            "",
            "",
            "interface \u{201c}eth1\u{201d}",
            &format!("`\u{201c}eth1\u{201d}` {name}"),
        );
        let sign = "the sign at its end is a part of the program's name";
        check_warned("", "", "notify_master \"/bin/true;\"", sign);
        let quotes = "curly quotes are a part of the program's name";
        check_warned("", "", "notify_master \u{201c}/bin/true\u{201d}", quotes);
        check_warned(
            "notification_email {\nRoot <root@example.com>\n}",
            "",
            "",
            "each word is an address: what is before it too",
        );
    }

    #[test]
    fn addresses_that_no_host_has_are_told() {
        for address in ["0.0.0.0", "224.0.0.18", "255.255.255.255"] {
            let lines = format!("virtual_ipaddress {{\n{address}\n}}");
            let warning = format!("`{address}` is no address that a host can have");
            check_warned("", "", &lines, &warning);
        }
        let peers = "unicast_peer {\n192.0.2.9\n224.0.0.18\n}";
        check_warned("", "", peers, "`224.0.0.18` is not the address of one peer");
    }

    /// A value that may be a password is not repeated.
    #[test]
    fn definitions_that_are_none_are_not_repeated() {
        let why = "unknown keyword `$PW(=..` in the top level";
        check_refused("", "$PW(=hunter", "", why);
        let help = |line: &str| {
            let found = parse("f", &format!("{line}\n")).diagnostics;
            let errors = found.into_iter().filter(|one| one.severity == Severity::Error);
            errors.filter_map(|one| one.help).collect::<Vec<_>>().concat()
        };
        assert!(help("$X = 5").contains("no white space before `=`"), "{}", help("$X = 5"));
        let text = "vrrp_instance V {\nadvert_inteval 1\n}\n";
        let found = parse("f", text).diagnostics;
        let is_near =
            |one: &ha_config::Diagnostic| one.help.as_deref() == Some("did you mean `advert_int`?");
        assert!(found.iter().any(is_near), "{found:?}");
    }

    /// keepalived 2.2.7: "ignoring tracked script s with weights due to `address_owner`".
    #[test]
    fn weights_of_an_owner_are_ignored_and_told() {
        let script = "vrrp_script s {\nscript \"/bin/true\"\nweight 5\n}\n";
        let why = "has a weight, but priority 255 never changes: ignored, as keepalived does";
        let owner = |tracked: &str| format!("priority 255\n{tracked}");
        let list = owner("track_script {\ns\n}");
        let config = check_warned("", script, &list, &format!("`s` {why}"));
        assert!(config.instances[0].track_scripts.is_empty());
        let list = owner("track_interface {\neth1 weight -5\n}");
        let config = check_warned("", "", &list, &format!("`eth1` {why}"));
        assert!(config.instances[0].track_interfaces.is_empty());
        // Its failure is a fault of an owner, too.
        let (config, said) = read("", script, &owner("track_script {\ns weight 0\n}"));
        assert_eq!((config.instances[0].track_scripts.len(), said), (1, Vec::new()));
    }

    /// As keepalived 2.2.7 dumps it.
    #[test]
    fn of_two_global_defs_the_last_word_counts() {
        let global = "router_id one\nnotification_email {\na@example.com\n}";
        let second = "global_defs {\nrouter_id two\nnotification_email {\nb@example.com\n}\n}";
        let warning = "`router_id` was given in line 2: the last one counts";
        let config = check_warned(global, second, "", warning);
        assert_eq!(config.global.router_id.as_deref(), Some("two"));
        assert_eq!(config.global.mail.to.len(), 2);
    }

    #[test]
    fn words_of_lists_and_of_the_language_are_explained() {
        for word in ["include", "includea", "brd", "real_server"] {
            assert!(ha_config::explain(word).is_ok(), "{word}");
        }
    }

    /// keepalived: "Weight (300) for `track_file` t must be between [-254..254] inclusive".
    #[test]
    fn a_file_s_weight_has_one_range() {
        let file = |weight: &str| format!("track_file t {{\nfile /tmp/x\nweight {weight}\n}}\n");
        let error = "`300` is not a whole number from -254 to 254";
        check_refused("", &file("300"), "track_file {\nt\n}", error);
        check_refused("", &file("1"), "track_file {\nt weight 300\n}", error);
        let (config, said) = read("", &file("-254"), "track_file {\nt\n}");
        assert_eq!(said, []);
        assert_eq!(parse("", &effective(&config)).config.instances.len(), 1);
    }
}
