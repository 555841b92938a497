//! No input may panic or hang: damaged files and noise.

#[cfg(test)]
#[path = "support/fixed_point.rs"]
mod fixed_point;
#[cfg(test)]
#[path = "support/well_formed.rs"]
mod well_formed;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use ha_common::abi::{INSTANCES_MAX, PEERS_MAX};
    use ha_config::{Diagnostic, Host, Severity, parse, parse_with};

    use crate::{fixed_point, well_formed};

    fn files() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files =
            vec![fs::read_to_string(root.join("../etc/reference-pair/node-a.conf")).unwrap()];
        for directory in ["accepted", "rejected"] {
            for entry in fs::read_dir(root.join("tests/data").join(directory)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "conf") {
                    files.push(fs::read_to_string(path).unwrap());
                }
            }
        }
        files
    }

    /// What the model and the diagnostics promise holds.
    fn check(text: &str) {
        let parsed = parse("f", text);
        for found in &parsed.diagnostics {
            assert!(found.marked().start <= found.excerpt.chars().count(), "{found:?}");
            assert!(!found.to_line().contains(char::is_control), "{found:?}");
        }
        well_formed::check(&parsed.config, text);
        // It takes much longer than the rest.
        if text.len().is_multiple_of(16) {
            fixed_point::check(&parsed.config, text);
        }
    }

    #[test]
    fn every_prefix() {
        for text in files() {
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                check(text.get(..end).unwrap());
            }
        }
    }

    #[test]
    fn every_deletion() {
        for text in files() {
            for (at, removed) in text.char_indices() {
                let mut damaged = text.clone();
                assert_eq!(damaged.remove(at), removed);
                check(&damaged);
            }
        }
    }

    /// A brace lost in one instance leaves the other; scripts and groups are shared by both.
    #[test]
    fn a_lost_brace_loses_one_block() {
        let file = &files()[0];
        let first = file.find("vrrp_instance").unwrap();
        let braces = file.char_indices().filter(|(_, c)| matches!(c, '{' | '}'));
        for (at, brace) in braces.filter(|(at, _)| *at > first) {
            let mut damaged = file.clone();
            damaged.remove(at);
            let parsed = parse("f", &damaged);
            let left = parsed.config.instances.len();
            assert!(left >= 1, "without the `{brace}` at {at} no instance is left");
            assert!(!parsed.diagnostics.is_empty());
        }
    }

    const WORDS: &[&str] = &[
        "vrrp_instance",
        "V",
        "{",
        "}",
        "\n",
        "\n",
        " ",
        "\"",
        "'",
        "\\",
        "#",
        "!",
        ";",
        "$X=",
        "$X= \\\n",
        "$X",
        "${X}",
        "$Y=$X",
        "$Y",
        "${",
        "@a",
        "@^a",
        "~SEQ",
        "~SEQ(X,1,3)",
        "~SEQx(Y,-1,",
        "~LST(X,a,b)",
        "~LST({X,Y},{1,2},{",
        "${_RANDOM 1 6}",
        "${_ENV A}",
        "\\\n",
        "include",
        "include_check",
        "virtual_ipaddress",
        "10.0.0.1/24",
        "::1",
        "dev",
        "brd",
        "+",
        "group",
        "vrrp_sync_group",
        "vrrp_script",
        "script",
        "weight",
        "-253",
        "reverse",
        "global_defs",
        "track_script",
        "authentication",
        "auth_pass",
        "é",
        "\u{0}",
        "\u{2028}",
        "unicast_peer",
        "interface",
        "virtual_router_id",
        "1",
        "priority",
        "advert_int",
        "0.5",
        "virtual_server",
        "track_file",
        "bfd_instance",
        "neighbor_ip",
        "static_routes",
        "virtual_routes",
        "via",
        "lock",
        "encap",
        "track_process",
        "track_unit",
        "track_group",
        "vrrp_garp_extra_if",
        "all",
        "\r\n",
        "\t",
        "18446744073709551616",
        "9.9999999999999999",
    ];

    /// Numbers by chance, always the same ones.
    #[expect(clippy::print_stdout, reason = "the seed of a failure must be known")]
    fn numbers() -> impl FnMut() -> usize {
        let seed: u64 = 0x5eed_0fc0_f165;
        println!("seed {seed:#x}");
        let mut state = seed;
        move || {
            // xorshift64 (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        }
    }

    /// Quotes, escapes and what else is special, where a file has words of its own: a fixed point.
    #[test]
    fn odd_words() {
        const SIGNS: &[&str] = &[
            "a", "1", " ", "\"", "'", "\\", "#", "{", "}", "$", "_", "${", "$D", "${_HASH}",
            "\\x41", "\\n", "@", "~", ";", "!", "é", "\t", "include ", "\u{85}", "=", "\u{a0}",
            "\x0b", "\\",
        ];
        let mut next = numbers();
        for _ in 0..1000 {
            let mut word = || {
                let signs = (0..=next() % 8).map(|_| SIGNS[next() % SIGNS.len()]);
                signs.collect::<Vec<_>>().concat()
            };
            let [name, mail, script, hook, user, password, process] = [(); 7].map(|()| word());
            let text = format!(
                "$D=$\nglobal_defs {{\n router_id {name}\n notification_email {{\n {mail}\n script {user}\n \
                 }}\n script_user {user}\n}}\nvrrp_script s {{\n script \"/x {script}\"\n}}\n\
                 vrrp_track_process p {{\n process x {process}\n}}\n\
                 vrrp_instance {name} {{\n interface eth0\n virtual_router_id 1\n \
                 virtual_ipaddress {{\n 192.0.2.1\n }}\n authentication {{\n auth_type PASS\n \
                 auth_pass x{password}\n }}\n notify_master \"/x {hook}\" {user}\n notify /x{script}\n \
                 track_script {{\n s\n }}\n track_process {{\n p\n }}\n}}\n"
            );
            check(&text);
            fixed_point::check(&parse("f", &text).config, &text);
        }
    }

    /// Any password that can be read can be written down, in such a way that keepalived reads it too.
    #[test]
    fn passwords() {
        const SIGNS: [&str; 10] = ["a", " ", "\"", "'", "\\", "\\", "#", "é", "\u{a0}", "€"];
        let mut next = numbers();
        for _ in 0..3000 {
            let signs = (0..=next() % 10).map(|_| SIGNS[next() % SIGNS.len()]);
            let text = format!(
                "vrrp_instance V {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n \
                 192.0.2.1\n }}\n authentication {{\n auth_type PASS\n auth_pass {}\n }}\n}}\n",
                signs.collect::<Vec<_>>().concat()
            );
            let parsed = parse("f", &text);
            if parsed.diagnostics.iter().all(|one| one.severity == Severity::Warning) {
                let again = fixed_point::check(&parsed.config, &text);
                let errors = again.diagnostics.iter().find(|one| one.severity == Severity::Error);
                assert_eq!(errors, None, "{text}");
            }
        }
    }

    #[test]
    fn noise() {
        let mut next = numbers();
        for _ in 0..3000 {
            let mut text = String::new();
            for _ in 0..next() % 120 {
                text.push_str(WORDS[next() % WORDS.len()]);
                if next().is_multiple_of(3) {
                    text.push(if next().is_multiple_of(2) { ' ' } else { '\n' });
                }
            }
            check(&text);
        }
    }

    /// What is said of a text that asks for more than there may be.
    #[track_caller]
    fn check_limit(text: &str, complaint: &str) {
        let parsed = parse("f", text);
        let errors: Vec<&str> = parsed.diagnostics.iter().map(|one| one.message.as_str()).collect();
        assert!(errors.iter().any(|error| error.contains(complaint)), "{:?}", errors.first());
        assert!(errors.len() < 1100);
    }

    #[test]
    fn limits_are_told() {
        let levels = (1..99).map(|n| format!("$A{n}=y${{A{0}}}\n", n - 1));
        check_limit(&format!("{}x${{A98}}\n", levels.collect::<String>()), "more than 32 others");
        let levels = (1..30).map(|n| format!("$A{n}=${{A{0}}}${{A{0}}}\n", n - 1));
        let levels: String = levels.collect();
        check_limit(&format!("$A0=x\n{levels}${{A29}}\n"), "line of more than 65536 bytes");
        check_limit(&"x ".repeat(40_000), "line of more than 65536 bytes");
    }

    /// Numbered files that include the next one, up to a last one, of a word; files beyond are empty. `*`
    /// stands for 5000 of them.
    struct Chain {
        last: u32,
    }

    impl Host for Chain {
        fn glob(&self, pattern: &str) -> Vec<String> {
            match pattern.strip_suffix('*') {
                Some(start) => (0..5000).map(|number| format!("{start}{number}")).collect(),
                None => vec![pattern.to_owned()],
            }
        }

        fn read(&self, path: &str, bytes_max: usize) -> Result<String, String> {
            let number: Result<u32, _> = path.trim_start_matches('/').parse();
            match number {
                Ok(number) if number < self.last => Ok(format!("include /{}\n", number + 1)),
                Ok(number) if number == self.last => Ok("x".to_owned()),
                Ok(_) => Ok(String::new()),
                // How much the host may read.
                Err(_) => Err(format!("{bytes_max} bytes")),
            }
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn directory(&self) -> &'static str {
            "/"
        }

        fn config_id(&self) -> &'static str {
            ""
        }

        fn seed(&self) -> u64 {
            0
        }
    }

    /// What is said when `text` is the first file of a chain that ends with `last`.
    #[track_caller]
    fn check_chain(last: u32, text: &str, complaint: &str) {
        let parsed = parse_with("/0", text, &Chain { last });
        let said: Vec<String> = parsed.diagnostics.iter().map(Diagnostic::to_line).collect();
        assert!(said.len() < 5, "{} complaints, {:?} first", said.len(), said.first());
        assert!(said.iter().any(|line| line.contains(complaint)), "{said:?}");
    }

    #[test]
    fn included_files_have_limits() {
        check_chain(31, "include /1\n", "/31:1:1: error: unknown keyword `x`");
        check_chain(33, "include /1\n", "/32:1:1: error: more than 32 files that include each");
        check_chain(0, "include /0\n", "/0:1:1: error: `/0` includes itself");
        check_chain(0, "include /1*\n", "/0:1:1: error: more than 4096 files are included");
        let braces = format!("include /{}\n", "{1,2}".repeat(11));
        check_chain(0, &braces, "error: its braces stand for more than 1024 names");
        let large = format!("#{}\ninclude /big\n", "x".repeat(60_000));
        let left = (64 << 20) - large.len();
        check_chain(0, &large, &format!("warning: `/big` cannot be read: {left} bytes"));
    }

    #[test]
    fn instances_are_not_more_than_the_kernel_has_room_for() {
        let block = |number: u32| {
            format!(
                "vrrp_instance V{number} {{\ninterface e{number}\nvirtual_router_id 1\n\
                 virtual_ipaddress {{\n192.0.2.1\n}}\n}}\n"
            )
        };
        let mut text: String = (0..INSTANCES_MAX).map(block).collect();
        let full = parse("f", &text);
        assert_eq!(full.diagnostics, []);

        text.push_str(&block(INSTANCES_MAX));
        text.push_str(&block(INSTANCES_MAX + 1));
        let parsed = parse("f", &text);
        let said: Vec<String> = parsed.diagnostics.iter().map(Diagnostic::to_line).collect();
        // Seven lines each.
        let error = "f:114689:15: error: 16386 instances are more than the 16384 that can run";
        assert_eq!(said, [error]);
        let help = "this one and those after it need another host: the kernel's tables are full";
        let helps: Vec<_> = parsed.diagnostics.iter().map(|one| one.help.as_deref()).collect();
        assert_eq!(helps, [Some(help)]);
        assert_eq!(parsed.config, full.config, "the others run where errors are left out");
    }

    #[test]
    fn unicast_peers_are_not_more_than_the_kernel_has_room_for() {
        let each: u32 = 256;
        let addresses = (0..each).map(|number| format!("10.0.0.{number}\n"));
        let peers: String = addresses.collect();
        // The peers are in the last lines.
        let block = |number: u32| {
            format!(
                "vrrp_instance V{number} {{\ninterface e{number}\nvirtual_router_id 1\n\
                 virtual_ipaddress {{\n192.0.2.1\n}}\nunicast_peer {{\n{peers}}}\n}}\n"
            )
        };
        let fitting = PEERS_MAX / each;
        let mut text: String = (0..fitting).map(block).collect();
        let full = parse("f", &text);
        assert_eq!(full.diagnostics, []);
        assert_eq!(full.config.instances.len(), usize::try_from(fitting).unwrap());

        text.push_str(&block(fitting));
        text.push_str(&block(fitting + 1));
        let parsed = parse("f", &text);
        let said: Vec<String> = parsed.diagnostics.iter().map(Diagnostic::to_line).collect();
        // Nine lines each beside the peers.
        let line = fitting * (9 + each) + 1;
        let error = "the instances up to this one have more than 65536 `unicast_peer`s";
        assert_eq!(said, [format!("f:{line}:15: error: {error}")]);
        let help = "it and those after it need another host: the kernel's tables are full";
        let helps: Vec<_> = parsed.diagnostics.iter().map(|one| one.help.as_deref()).collect();
        assert_eq!(helps, [Some(help)]);
        assert_eq!(parsed.config, full.config, "the others run where errors are left out");
    }

    /// An instance that tracks so many interfaces.
    fn tracking(number: usize, last: usize) -> String {
        let lines: Vec<String> = (1..=last).map(|number| format!("t{number}\n")).collect();
        let lines = lines.concat();
        format!(
            "vrrp_instance V{number} {{\ninterface e{number}\nvirtual_router_id 1\n\
             virtual_ipaddress {{\n192.0.2.1\n}}\ntrack_interface {{\n{lines}}}\n}}\n"
        )
    }

    #[test]
    fn what_is_tracked_has_limits() {
        let sound = parse("f", &tracking(0, 256));
        assert_eq!(sound.diagnostics, []);
        assert_eq!(sound.config.instances[0].track_interfaces.len(), 256);
        let text = tracking(0, 300) + &tracking(1, 1);
        check_limit(&text, "more than 256 lines of `track_interface`");
        assert_eq!(parse("f", &text).config.instances.len(), 1);

        // 255 of 256 each, and a group's one for each of 256: 65,536 together.
        let members: Vec<String> = (0..256).map(|number| format!("V{number}\n")).collect();
        let members = members.concat();
        let group = format!(
            "vrrp_sync_group G {{\ngroup {{\n{members}}}\ntrack_interface {{\nt0\n}}\n}}\n"
        );
        let mut text: String = (0..256).map(|number| tracking(number, 255)).collect();
        text.push_str(&group);
        let full = parse("f", &text);
        assert_eq!(full.diagnostics, []);
        text.push_str(&tracking(256, 1));
        text.push_str(&tracking(257, 1));
        check_limit(&text, "the instances up to this one track more than 65536 things");
        let parsed = parse("f", &text);
        assert_eq!((parsed.counts.errors, parsed.config), (1, full.config));
    }

    /// How often they may repeat is tested beside the reader, with smaller limits.
    #[test]
    fn sequences_have_limits() {
        check_limit(&format!("{}x\n", "~SEQ(i,1,1) ".repeat(33)), "more than 32 definitions or");
        check_limit("~SEQ(i,1,99999999999) x\n", "cannot be read: it has the form");
        check_limit(&format!("~LST(i,{}) x\n", "a,".repeat(40_000)), "more than 65536 bytes");
    }

    #[test]
    fn depth_and_length_are_harmless() {
        check(&format!("{}x\n", "@^a ".repeat(10_000)));
        check(&"$A=$A\n$A\n".repeat(2_000));
        check(&"${".repeat(30_000));
        check(&"$A=".repeat(20_000));
        check(&format!("{}$A\n", "$A= \\\n$A \\\n".repeat(1_000)));
        check(&"a {\n".repeat(100_000));
        check(&"}\n".repeat(20_000));
        check(&"{".repeat(100_000));
        check(&"x".repeat(1_000_000));
        check(&"vrrp_instance V {\n".repeat(2_000));
        let addresses: Vec<String> =
            (0..2_000).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
        let addresses = addresses.join("\n");
        check(&format!(
            "vrrp_instance V {{\ninterface e\nvirtual_ipaddress {{\n{addresses}\n}}\n}}\n"
        ));
    }
}
