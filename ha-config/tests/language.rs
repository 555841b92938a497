//! The language of keepalived.conf, one feature at a time.
//!
//! The lines of each check were given to keepalived 2.2.7 inside `notification_email { }`; what is
//! expected is what `keepalived -d` lists under "Email notification to", unless a comment says why
//! it is something else.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ha_config::{Host, Parsed, parse_with};

    /// Files in memory; the main file is in `/etc`.
    #[derive(Default)]
    struct Disk {
        files: BTreeMap<&'static str, &'static str>,
        id: &'static str,
    }

    impl Host for Disk {
        /// `*` at the end of the name's stem only: enough for tests.
        fn glob(&self, pattern: &str) -> Vec<String> {
            let matches = |path: &str| match pattern.split_once('*') {
                Some((before, after)) => path.starts_with(before) && path.ends_with(after),
                None => path == pattern || pattern.ends_with('/') && path.starts_with(pattern),
            };
            self.files.keys().filter(|path| matches(path)).map(|&path| path.to_owned()).collect()
        }

        fn read(&self, path: &str, bytes_max: usize) -> Result<String, String> {
            match self.files.get(path) {
                Some(&"DIRECTORY") => Err("it is a directory".to_owned()),
                Some(text) if text.len() > bytes_max => Err("too large".to_owned()),
                Some(text) => Ok((*text).to_owned()),
                None => Err("gone".to_owned()),
            }
        }

        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOME").then(|| "/root # x\ny".to_owned())
        }

        fn directory(&self) -> &'static str {
            "/etc"
        }

        fn config_id(&self) -> &str {
            self.id
        }

        fn seed(&self) -> u64 {
            1
        }
    }

    impl Disk {
        fn new(files: &[(&'static str, &'static str)]) -> Self {
            Self { files: files.iter().copied().collect(), id: "vm" }
        }

        fn read_mails(&self, before: &str, lines: &str) -> Parsed {
            let text =
                format!("{before}\nglobal_defs {{\nnotification_email {{\n{lines}\n}}\n}}\n");
            parse_with("/etc/f", &text, self)
        }
    }

    /// What is wrong, by line, without what every file here has.
    fn complaints(parsed: &Parsed) -> Vec<String> {
        let is_own = |line: &String| {
            !line.contains("`notification_email` is checked")
                && !line.contains("no `vrrp_instance`")
        };
        parsed.diagnostics.iter().map(ha_config::Diagnostic::to_line).filter(is_own).collect()
    }

    #[track_caller]
    fn check(before: &str, lines: &str, expected: &[&str]) {
        let parsed = Disk::new(&[]).read_mails(before, lines);
        assert_eq!(parsed.config.global.mail.to, expected, "{:?}", complaints(&parsed));
        assert_eq!(complaints(&parsed), [""; 0]);
    }

    #[track_caller]
    fn check_files(
        files: &[(&'static str, &'static str)],
        lines: &str,
        expected: &[&str],
        wrong: &[&str],
    ) {
        let parsed = Disk::new(files).read_mails("", lines);
        assert_eq!(parsed.config.global.mail.to, expected);
        assert_eq!(complaints(&parsed), wrong);
    }

    #[test]
    fn definitions_are_replaced() {
        check(
            "$A=hello\n$B=x y",
            "$A ${B} z$A ${A}/q \"q ${B}\" \"q $A w\"",
            &["hello", "x", "y", "zhello", "hello/q", "q x y", "q hello w"],
        );
        check(
            "$A=x # comment\n$B=\"x y\"  \n$C=a\n$D=\n  $E= lead",
            "1 $A 2\n$B\n2 ${C} 3$D 4${E}5",
            &["1", "x", "2", "x y", "2", "a", "3", "4lead5"],
        );
        check("$A=1\n $A=2", "x$A", &["x2"]);
        check("", "$A=1\n$A\n\"${A}\"\n$$A", &["1", "1", "$1"]);
        check("$Q=\"", "x ${Q}a b${Q}", &["x", "a b"]);
    }

    #[test]
    fn definitions_are_late_and_recursive() {
        check("$A=${B}x\n$B=${C}y\n$C=z", "${A}\n$C=w\n${A}", &["zyx", "wyx"]);
        // The manual: after the first substitution `$B` is still not followed by white space.
        let parsed = Disk::new(&[]).read_mails("$A=10.$B\n$B=2", "${A}.1 ${A}");
        assert_eq!(parsed.config.global.mail.to, ["10.$B.1", "10.2"]);
    }

    #[test]
    fn undefined_names_stay() {
        // keepalived 2.2.7 takes the braces of `${B}` for those of a block; its manual says that it
        // remains.
        let undefined = |column: u32| {
            format!(
                "/etc/f:4:{column}: warning: nothing defines this `$` word: it stands for itself"
            )
        };
        check_files(
            &[],
            "$A a${B}c pa$$word $1 $",
            &["$A", "a${B}c", "pa$$word", "$1", "$"],
            &[&undefined(1), &undefined(5)],
        );
        check("", "\"echo $A\"", &["echo $A"]);
    }

    #[test]
    fn definitions_have_many_lines() {
        check(
            "$A=a \\\nb \\\nc",
            "$A\nq $A\nr${A}",
            &["a", "b", "c", "q", "a", "b", "c", "ra", "b", "c"],
        );
        check("$A= \\\nb \\\nc", "$A", &["b", "c"]);
        check("$A=x\\\ny\n$B=x \\ \n  y   \\\n  z", "$A\n$B", &["x", "y", "x", "y", "z"]);
        check("$A= \\\nb \\\n# comment \\\nc # comment2 \\\nd", "$A", &["b", "c", "d"]);
        // An empty line ends it.
        check("$A= \\\nb \\\n\n$B=c", "$A\n$B", &["b", "c"]);
    }

    #[test]
    fn definitions_hold_definitions() {
        check("$A= \\\nb1 \\\n$X=1 \\\nf$X ${X} \\\ng", "$A\n${X}", &["b1", "f1", "1", "g", "1"]);
        check(
            "$X=0\n$A= \\\nb1 \\\nc${X}\n$B= \\\nd \\\n$X=1 \\\n$A \\\n$X=2 \\\n$A \\\ne",
            "$B",
            &["d", "b1", "c1", "b1", "c2", "e"],
        );
    }

    #[test]
    fn conditions() {
        check(
            "",
            "@vm a\n@^vm b\n@main c\n @^main d\n@ f\n@vm\n@^ g\nx @vm h\n@\"vm\" i\n@vm{ j\n@vmx k\n@vm\tl",
            &["a", "d", "g", "x", "@vm", "h", "l"],
        );
        check("@vm $A=1\n@main $A=2", "$A", &["1"]);
        check("$A= \\\nb \\\n@main c \\\n@^main d \\\n@vm e", "$A", &["b", "d", "e"]);
        // A definition that does not count is read to its end all the same.
        check("@main $A= \\\nb \\\nc\n$B=1", "$B", &["1"]);
        // The manual; keepalived 2.2.7 reads `$I a` as `avm a`.
        check("$I=@vm\n$J=@main", "$I a\n$J b\n${I} c", &["a", "c"]);
    }

    #[test]
    fn sequences() {
        check(
            "",
            "~SEQ(i,1,3) a${i}\n~SEQ(j,3,1)b${j} $j",
            &["a1", "a2", "a3", "b3", "3", "b2", "2", "b1", "1"],
        );
        check("", "~SEQx(o,0xe,0x11) g${o}", &["ge", "gf", "g10", "g11"]);
        check("", "~SEQ(i,1,2) ~SEQ(j,1,2) c${i}${j}", &["c11", "c12", "c21", "c22"]);
        check(
            "$N=2",
            "~SEQ(j,1,$N) b${j}\n~SEQ(l,1,${N}) ~SEQ(m,1,${l}) d${l}${m}",
            &["b1", "b2", "d11", "d21", "d22"],
        );
        check(
            "",
            "@vm ~SEQ(i,1,2) d${i}\n~SEQ(i,1,2) @vm e${i}\n~SEQ(i,1,2) @main f${i}",
            &["d1", "d2", "e1", "e2"],
        );
        check("$i=9", "~SEQ(i,1,2) a${i}\n${i}", &["a1", "a2", "2"]);
        check(
            "$M= \\\nm${i} \\\nn${i}",
            "~SEQ(i,1,2) $M\n~SEQ(k,1,1) p${k} $M",
            &["m1", "n1", "m2", "n2", "p1", "m2", "n2"],
        );
        check("$M= \\\n~SEQ(i,1,2) m${i} \\\nn", "a\n$M", &["a", "m1", "m2", "n"]);
        check("$S=~SEQ(i,1,2)", "$S a${i}", &["a1", "a2"]);
        // In the middle of a line it is a word.
        check("", "x ~SEQ(i,1,2)", &["x", "~SEQ(i,1,2)"]);
    }

    #[test]
    fn lists() {
        check("", "~LST(i,1,2,3) a${i}", &["a1", "a2", "a3"]);
        check("", "~LST({ m , n } , { 1 , 2 } , { 3 , 4 } ) d${m}-${n}", &["d1-2", "d3-4"]);
        check(
            "",
            "~LST({a,b},{1,2}) ~SEQ(c,1,2) ~LST(d,x,y) a${a}${b}${c}${d}",
            &["a121x", "a121y", "a122x", "a122y"],
        );
        check("$V=~LST(p,1,2) x${p}", "$V", &["x1", "x2"]);
    }

    #[test]
    fn predefined() {
        // keepalived 2.2.7 has no `_ENV`, and spoils a line with two `_RANDOM`.
        check(
            "$P=${_PWD}/x",
            "\"${_PWD}\" $_PWD $P ${_INSTANCE} \"${_ENV HOME}\" x${_RANDOM 5 5}",
            &["/etc", "/etc", "/etc/x", "vm", "/root # x y", "x5"],
        );
        // The manual: these characters do not begin a comment.
        check("", "x${_HASH}y ${_BANG} z", &["x#y", "!", "z"]);
        check("$_PWD=2", "${_PWD}", &["2"]);
        let parsed = Disk::new(&[])
            .read_mails("", "~SEQ(i,1,200) ${_RANDOM 3 5}\n${_RANDOM}\n${_RANDOM 32760}");
        let numbers: Vec<u32> =
            parsed.config.global.mail.to.iter().map(|word| word.parse().unwrap()).collect();
        let (rolls, rest) = numbers.split_at(200);
        assert!(rolls.iter().all(|number| (3..=5).contains(number)), "{rolls:?}");
        assert!([3, 4, 5].iter().all(|number| rolls.contains(number)), "{rolls:?}");
        assert!(rest[0] <= 32767 && (32760..=32767).contains(&rest[1]), "{rest:?}");
    }

    #[test]
    fn comments() {
        let parsed = Disk::new(&[])
            .read_mails("! \"x\n# it's", "x # \"unterminated\ny ! it's\n\"a#b\" c\na#b");
        assert_eq!(parsed.config.global.mail.to, ["x", "y", "a#b", "c", "a"]);
        assert_eq!(
            complaints(&parsed),
            [
                "/etc/f:8:2: warning: a comment begins inside a word: the rest of the line is ignored"
            ]
        );
        // A backslash protects no comment, and is gone.
        let parsed = Disk::new(&[]).read_mails("", "a\\#b\n\"a\\#b\"\nx\\\\#y");
        assert_eq!(parsed.config.global.mail.to, ["a", "a\\#b", "x\\\\"]);
        assert_eq!(complaints(&parsed).len(), 2);
        // In the line of a command, `'` does not protect one either.
        let parsed = Disk::new(&[]).read_mails("vrrp_script s {\n script '/x # b'\n}", "");
        let found = complaints(&parsed);
        assert!(found[0].ends_with("error: unterminated quote '"), "{found:?}");
        // A definition in a comment is not used.
        check("$A= \\\n} \\\n}", "x # $A\n# $A\ny # \\\nz", &["x", "y", "z"]);
    }

    /// keepalived looks for the ends of strings twice: with backslashes when it looks for comments, and without
    /// them when it splits a line into words. Both must find them.
    #[test]
    fn backslashes_before_quotes() {
        let message = "unterminated quote \": the one after a `\\` ends no string";
        for (text, words, errors) in [
            ("abc\\", &["abc\\"][..], 0),
            ("abc\\\\", &["abc\\\\"], 0),
            ("\"a b\\\\\"", &["a b\\\\"], 0),
            ("\"a b\\\"", &["a b\\"], 1),
            ("\"a b\\\" # c", &["a b\\", "#", "c"], 1),
            ("\"a\\\" # b\"", &["a\\", "#", "b", ""], 0),
        ] {
            let parsed = Disk::new(&[]).read_mails("", text);
            assert_eq!(parsed.config.global.mail.to, words, "{text}");
            let found = complaints(&parsed).iter().filter(|one| one.contains(message)).count();
            assert_eq!(found, errors, "{text}");
        }
        for text in ["abc \\", "abc \\ # x", "abc \\ x"] {
            let parsed = Disk::new(&[]).read_mails("", text);
            let expected =
                "/etc/f:4:5: error: a `\\` continues a line only in a `$NAME=` definition";
            assert_eq!(complaints(&parsed), [expected], "{text}");
        }
    }

    /// Only ASCII has white space; what else looks like it is told of, since nobody sees it.
    #[test]
    fn invisible_characters() {
        check("", "a\x0bb\x0cc", &["a", "b", "c"]);
        let parsed = Disk::new(&[]).read_mails("", "a\u{a0}b\né\n\u{200b}c\n\u{a0}");
        assert_eq!(parsed.config.global.mail.to, ["a\u{a0}b", "é", "\u{200b}c", "\u{a0}"]);
        assert_eq!(
            complaints(&parsed),
            ["4:1", "6:1", "7:1"].map(|place| {
                let code = if place == "6:1" { "200B" } else { "00A0" };
                format!(
                    "/etc/f:{place}: warning: an invisible character (U+{code}) is a part of this word, \
                     as in keepalived"
                )
            })
        );
    }

    const CONF_D: &[(&str, &str)] = &[
        ("/etc/d/f1", "f1\n"),
        ("/etc/d/f2", "f2"),
        ("/etc/d/g", "g1\n include sub/h\n include f1\n g2 ${_PWD}"),
        ("/etc/d/sub/h", "h ${_PWD}\ninclude ../f2\n"),
        ("/etc/d/s p", "sp"),
        ("/etc/d/directory", "DIRECTORY"),
        ("/etc/d/windows", "\u{feff} w1\r\n w2\r\n"),
        ("/etc/d/def", "$D=dd\nx ${D}\n"),
        ("/etc/d/close", "x }\n"),
        ("/etc/d/self", "s\ninclude self\nt"),
        ("/etc/d/strict", "include_check match\n"),
        ("/etc/d/wrong", "\n@vm $X=y\n  a \"$X\n"),
    ];

    #[test]
    fn files_are_included() {
        check_files(
            CONF_D,
            "include d/f1\ninclude\td/f* # all\nlast",
            &["f1", "f1", "f2", "last"],
            &[],
        );
        check_files(CONF_D, "include /etc/d/f{2,1}", &["f2", "f1"], &[]);
        check_files(
            CONF_D,
            "include d/g\nlast ${_PWD}",
            &["g1", "h", "/etc/d/sub", "f2", "f1", "g2", "/etc/d", "last", "/etc"],
            &[],
        );
        check_files(CONF_D, "include d/s p\ninclude d/windows", &["sp", "w1", "w2"], &[]);
        check_files(CONF_D, "include d/def\nafter ${D}", &["x", "dd", "after", "dd"], &[]);
        check_files(CONF_D, "@vm include d/f1\n@main include d/f2", &["f1"], &[]);
        // keepalived 2.2.7 does not find the second one: it has left the directory. Of one file that
        // has `$i` in it, it makes two with the last value.
        let differs = "/etc/f:4:1: warning: each file is read with its own value here; keepalived \
                       reads all with the last one";
        check_files(CONF_D, "~SEQ(i,1,2) include d/f${i}", &["f1", "f2"], &[differs]);
        check_files(
            CONF_D,
            "$F=d/f1\n$I=include d/f2\ninclude $F\n$I\nx include d/f1",
            &["f1", "f2", "x", "include", "d/f1"],
            &[],
        );
        check_files(CONF_D, "a\n}\nnotification_email { include d/f1", &["a", "f1"], &[]);
        check_files(
            CONF_D,
            "a\ninclude d/close\n}\nglobal_defs {\nnotification_email {",
            &["a", "x"],
            &[],
        );
    }

    #[test]
    fn missing_files_are_warnings_unless_it_is_strict() {
        let warning = "/etc/f:4:1: warning: there is no file `d/none`";
        let error = "/etc/f:4:1: error: there is no file `d/none`";
        let unmatched = "/etc/f:4:1: error: no file matches `d/none*`";
        check_files(CONF_D, "include d/none\nx", &["x"], &[warning]);
        check_files(CONF_D, "includer d/none\nx", &["x"], &[warning]);
        check_files(CONF_D, "includem d/none\nx", &["x"], &[error]);
        check_files(CONF_D, "includew d/none\nx", &["x"], &[error]);
        check_files(CONF_D, "include d/none*\nx", &["x"], &[]);
        check_files(CONF_D, "includem d/none*\nx", &["x"], &[]);
        check_files(CONF_D, "includew d/none*\nx", &["x"], &[unmatched]);
        check_files(CONF_D, "includea d/none*\nx", &["x"], &[unmatched]);
        // keepalived: "Config files missing", and exit code 0, 0, 0, 6, 6, 0.
        let lost = "no file matches `no/*.c`: there is no directory `/etc/no`";
        let check_lost = |keyword: &str, severity: &str| {
            let complaint = format!("/etc/f:4:1: {severity}: {lost}");
            check_files(CONF_D, &format!("{keyword} no/*.c\nx"), &["x"], &[&complaint]);
        };
        check_lost("include", "warning");
        check_lost("includer", "warning");
        check_lost("includeb", "warning");
        check_lost("includem", "error");
        check_lost("includew", "error");
        // One of several, by braces: `includeb` is what makes it an error.
        let complaint = format!("/etc/f:4:1: warning: {lost}");
        check_files(CONF_D, "includew {no/*.c,d/f1}\nx", &["f1", "x"], &[&complaint]);
        check_files(
            CONF_D,
            "include d/f{1,9}\nx",
            &["f1", "x"],
            &["/etc/f:4:1: warning: there is no file `d/f9`"],
        );
        check_files(
            CONF_D,
            "includeb d/f{1,9}\nx",
            &["f1", "x"],
            &["/etc/f:4:1: error: there is no file `d/f9`"],
        );
        let directory = "`/etc/d/directory` cannot be read: it is a directory";
        check_files(
            CONF_D,
            "include d/directory",
            &[],
            &[&format!("/etc/f:4:1: warning: {directory}")],
        );
        check_files(
            CONF_D,
            "includer d/directory",
            &[],
            &[&format!("/etc/f:4:1: error: {directory}")],
        );
        check_files(
            CONF_D,
            "include \"d/f1\"",
            &[],
            &["/etc/f:4:1: warning: there is no file `\"d/f1\"`"],
        );
        check_files(CONF_D, "include", &["include"], &[]);
    }

    #[test]
    fn include_check_holds_to_the_end_of_its_file() {
        let severities = |before: &str| {
            let disk = Disk::new(CONF_D);
            let text = format!("{before}\ninclude none\ninclude none*\ninclude d/f{{8,9}}\n");
            let parsed = parse_with("/etc/f", &text, &disk);
            let lines = complaints(&parsed);
            let severity = |file: &str| {
                let line = lines.iter().find(|line| line.contains(&format!("`{file}`")));
                line.map_or("-", |line| if line.contains("error") { "error" } else { "warning" })
            };
            [severity("none"), severity("none*"), severity("d/f8")]
        };
        assert_eq!(severities(""), ["warning", "-", "warning"]);
        assert_eq!(severities("global_defs {\ninclude_check\n}"), ["error"; 3]);
        assert_eq!(severities("global_defs { include_check match }"), ["error", "-", "warning"]);
        let text = "global_defs {\ninclude_check +match +brace_match\ninclude_check -match\n}";
        assert_eq!(severities(text), ["warning", "-", "error"]);
        assert_eq!(severities("include d/strict"), ["warning", "-", "warning"]);
    }

    #[test]
    fn complaints_name_the_file_and_the_line_of_use() {
        check_files(
            CONF_D,
            "include d/wrong\nb",
            &["a", "y", "b"],
            &["/etc/d/wrong:3:5: error: unterminated quote \""],
        );
        check_files(
            CONF_D,
            "include d/self\nu",
            &["s", "t", "u"],
            &["/etc/d/self:2:1: error: `/etc/d/self` includes itself"],
        );
        let text = "$B= \\\nvrrp_instance A { \\\n interfac eth0 \\\n}\n\n  ~SEQ(i,1,2) $B\n";
        let parsed = parse_with("/etc/f", text, &Disk::new(&[]));
        let lines: Vec<u32> = parsed.diagnostics.iter().map(|found| found.line).collect();
        // What is wrong in both is told once.
        assert_eq!(lines, [6; 4], "{:?}", complaints(&parsed));
    }
}
