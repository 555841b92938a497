//! What the protocol says of configurations: which values there are, and which of them are the defaults.
//!
//! `docs/conformance.md` leads here by the ids; how files are read is the golden files' matter.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ha_config::{Authentication, Instance, Severity, parse};
    use ha_core::{AdvertInterval, Family, Priority, Version};

    /// What `lines` make of an instance, and all that is said about it.
    fn read(lines: &str) -> (Option<Instance>, Vec<(Severity, String)>) {
        let text = format!("vrrp_instance VI {{\n interface eth0\n{lines}\n}}\n");
        let parsed = parse("f", &text);
        let said = parsed.diagnostics.iter().map(|one| (one.severity, one.message.clone()));
        let said = said.collect();
        (parsed.config.instances.into_iter().next(), said)
    }

    /// The instance of a file that is in order.
    fn instance(lines: &str) -> Instance {
        let (instance, said) = read(lines);
        assert_eq!(said, [], "{lines}");
        instance.expect("an instance")
    }

    fn refused(lines: &str, why: &str) {
        let (instance, said) = read(lines);
        assert_eq!(instance, None, "{lines}");
        assert_eq!(said, [(Severity::Error, why.to_owned())], "{lines}");
    }

    const IPV4: &str = " version 3\n virtual_ipaddress {\n 192.0.2.1\n }\n";
    const IPV6: &str = " version 3\n virtual_ipaddress {\n fe80::1\n 2001:db8::1\n }\n";

    /// V-7.3: 1 to 255, and no default.
    #[test]
    fn virtual_router_ids() {
        for vrid in [1, 255] {
            let lines = format!("{IPV4} virtual_router_id {vrid}");
            assert_eq!(instance(&lines).vrid.as_u8(), vrid);
        }
        for vrid in [0, 256] {
            let why = format!("`{vrid}` is not a whole number from 1 to 255");
            refused(&format!("{IPV4} virtual_router_id {vrid}"), &why);
        }
        let (none, said) = read(IPV4);
        assert_eq!(none, None);
        assert!(said.iter().any(|(severity, _)| *severity == Severity::Error), "{said:?}");
    }

    /// V-5.2.4-1: 1 to 255, 100 by default; 0 is the word of a Master that stops.
    #[test]
    fn priorities() {
        let of = |lines: &str| instance(&format!("{IPV4} virtual_router_id 1\n{lines}")).priority;
        assert_eq!(of(""), Priority::DEFAULT);
        assert_eq!(Priority::DEFAULT.as_u8(), 100);
        assert_eq!(of(" priority 1").as_u8(), 1);
        assert_eq!(of(" priority 254").as_u8(), 254);
        assert!(of(" priority 255").is_owner());
        for priority in [0, 256] {
            let why = format!("`{priority}` is not a whole number from 1 to 255");
            refused(&format!("{IPV4} virtual_router_id 1\n priority {priority}"), &why);
        }
    }

    /// V-5.2.7: twelve bits of centiseconds, 100 by default.
    #[test]
    fn intervals() {
        let of =
            |lines: &str| instance(&format!("{IPV4} virtual_router_id 1\n{lines}")).advert_interval;
        assert_eq!(of(""), AdvertInterval::DEFAULT);
        assert_eq!(AdvertInterval::DEFAULT.as_duration(), Duration::from_secs(1));
        assert_eq!(of(" advert_int 0.01").as_duration(), Duration::from_millis(10));
        assert_eq!(of(" advert_int 40.95").as_duration(), Duration::from_millis(40_950));
        let why = "`advert_int` of version 3 is at most 40.95 s";
        refused(&format!("{IPV4} virtual_router_id 1\n advert_int 40.96"), why);
        let zero = format!("{IPV4} virtual_router_id 1\n advert_int 0");
        let (none, said) = read(&zero);
        assert_eq!(none, None, "{said:?}");
    }

    /// V-6.1-4, V-6.1-5: preemption is on; what is sent to the addresses is accepted, which is not the
    /// RFC's default, but is so in its own words.
    #[test]
    fn modes() {
        let of = |lines: &str| instance(&format!("{IPV4} virtual_router_id 1\n{lines}"));
        assert!(of("").preempt);
        assert!(!of(" nopreempt").preempt);
        assert!(of("").accept);
        assert!(!of(" no_accept").accept);
    }

    /// V-5.2.9-2: no advertisement has addresses of two families. The same VRID in each of them is two
    /// virtual routers (V-3).
    #[test]
    fn families() {
        let of = |lines: &str| instance(&format!("{lines} virtual_router_id 1\n"));
        assert_eq!(of(IPV4).family, Family::V4);
        assert_eq!(of(IPV6).family, Family::V6);
        let mixed = IPV4.replace("192.0.2.1\n", "192.0.2.1\n 2001:db8::1\n");
        let why = "`2001:db8::1` and `192.0.2.1` are of different families";
        refused(&format!("{mixed} virtual_router_id 1"), why);

        let named = |name: &str, lines: &str| {
            let head = format!("vrrp_instance {name} {{\n interface eth0\n virtual_router_id 1\n");
            head + lines + "}\n"
        };
        let both = parse("f", &(named("A", IPV4) + &named("B", IPV6)));
        assert_eq!((both.config.instances.len(), both.diagnostics.len()), (2, 0));
        let twice = parse("f", &(named("A", IPV4) + &named("B", IPV4)));
        let said: Vec<_> = twice.diagnostics.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(said, ["`A` has the VRID 1 on `eth0` already"]);
    }

    /// V-5.2.9-1: that the first address is link-local is asked for in strict mode only.
    #[test]
    fn the_first_ipv6_address() {
        let strict = |lines: &str| {
            let (instance, said) = read(&format!("{lines} virtual_router_id 1\n strict_mode\n"));
            assert!(instance.is_some(), "{said:?}");
            said.iter().any(|(_, text)| text.contains("first IPv6 address must be link-local"))
        };
        assert!(!strict(IPV6));
        assert!(strict(&IPV6.replace("fe80::1\n", "")));
        let lines = IPV6.replace("fe80::1\n", "") + " virtual_router_id 1";
        assert_eq!(instance(&lines).addresses.len(), 1);
    }

    /// V-9: version 3 authenticates nobody. V2-7.1-3: version 2 does as both sides are told.
    #[test]
    fn authentication() {
        let password = " authentication {\n auth_type PASS\n auth_pass secret\n }\n";
        let (version_3, said) = read(&format!("{IPV4} virtual_router_id 1\n{password}"));
        let version_3 = version_3.expect("an instance");
        assert_eq!(version_3.authentication, Authentication::None);
        let why = "VRRP version 3 has no authentication: ignored";
        assert_eq!(said, [(Severity::Warning, why.to_owned())]);

        let lines = IPV4.replace("version 3", "version 2") + " virtual_router_id 1\n";
        let version_2 = instance(&(lines + password));
        assert_eq!(version_2.version, Version::V2);
        assert_ne!(version_2.authentication, Authentication::None);
    }
}
