//! What `check --effective` prints is a fixed point, and a real keepalived takes it: it says nothing of it
//! that it does not say of the file itself.

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        env, fs,
        path::Path,
        process::{Command, Stdio},
    };

    use ha_tests::{
        grammar, netns::Namespace, pair::Side, reference, require, tempdir::TempDir,
        verdict::Verdict,
    };
    use proptest::{
        prop_assert_eq,
        test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
    };

    /// Each of them runs the daemon's binary twice.
    const CASES: u32 = 300;

    /// Those that the reference pair and the golden files name.
    fn namespace() -> Namespace {
        let namespace = Namespace::new("effective");
        for interface in ["bond0", "eth0", "eth1", "eth2"] {
            namespace.ip(&format!("link add {interface} up type veth peer name {interface}-peer"));
        }
        namespace
    }

    fn verdict(namespace: &Namespace, config: &str) -> Verdict {
        let directory = TempDir::new("verdict");
        let file = directory.write("keepalived.conf", config);
        namespace.run(|| Verdict::of_keepalived(&file))
    }

    fn messages(verdict: &Verdict) -> BTreeSet<&str> {
        verdict.complaints.iter().map(|complaint| complaint.message.as_str()).collect()
    }

    /// What the daemon prints of `config`.
    fn effective(config: &str) -> String {
        let directory = TempDir::new("effective");
        let file = directory.write("ha.conf", config);
        let binary = env::var("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>");
        let file = file.to_str().expect("a name of our own");
        let output = Command::new(binary).args(["check", "--effective", file]).output();
        let output = output.expect("the daemon's binary");
        // The scripts need not be here.
        assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
        String::from_utf8(output.stdout).expect("a configuration")
    }

    /// What the daemon prints of `file`, also if there are errors in it.
    fn effective_of_any(file: &Path) -> String {
        let binary = env::var("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>");
        let mut command = Command::new(binary);
        command.args(["check", "--effective", "--keep-going", "--config-id", "this"]).arg(file);
        let output = command.stdin(Stdio::null()).output().expect("the daemon's binary");
        String::from_utf8(output.stdout).expect("a configuration")
    }

    /// What is printed of `config`, and what of that, from files in `directory`.
    fn effective_twice(directory: &TempDir, config: &str) -> [String; 2] {
        let once = effective_of_any(&directory.write("main.conf", config));
        let twice = effective_of_any(&directory.write("effective.conf", &once));
        [once, twice]
    }

    #[test]
    fn of_generated_files_it_is_a_fixed_point() {
        if !require::require_daemon() {
            return;
        }
        let directory = TempDir::new("effective");
        for (name, text) in grammar::INCLUDED {
            directory.write(name, text);
        }
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
        let result = TestRunner::new_with_rng(config, random).run(&grammar::case(), |case| {
            let [once, twice] = effective_twice(&directory, &case.text());
            prop_assert_eq!(&once, &twice, "of {}", case.text());
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn of_keepalived_s_samples_it_is_a_fixed_point() {
        if !require::require_keepalived_samples() || !require::require_daemon() {
            return;
        }
        let directory = TempDir::new("effective");
        for entry in fs::read_dir(require::KEEPALIVED_SAMPLES).expect("the samples") {
            let path = entry.expect("a sample").path();
            if path.is_file() {
                let sample = fs::read(&path).expect("a sample that can be read");
                let sample = String::from_utf8_lossy(&sample);
                let [once, twice] = effective_twice(&directory, &sample);
                assert_eq!(once, twice, "of {}", path.display());
            }
        }
    }

    #[test]
    fn keepalived_takes_the_reference_pair_s() {
        if !require::require_daemon() {
            return;
        }
        let namespace = namespace();
        for side in [Side::A, Side::B] {
            // It warns of scripts that are not there, and of every one without this.
            let secure = "global_defs {\n    enable_script_security\n    script_user root";
            let config = reference::config(side)
                .replacen("global_defs {", secure, 1)
                .replace("/etc/keepalived/monitor_service.sh", "/bin/true")
                .replace("/etc/keepalived/notify.sh", "/bin/true");
            let printed = effective(&config);
            assert_eq!(effective(&printed), printed);
            let found = verdict(&namespace, &printed);
            assert!(found.accepts && found.complaints.is_empty(), "{found:?} of\n{printed}");
            // It reads what it is given.
            let original = verdict(&namespace, &config);
            assert!(!original.complaints.is_empty(), "{original:?}");
        }
    }

    #[test]
    fn keepalived_says_nothing_new_of_the_golden_files() {
        if !require::require_daemon() {
            return;
        }
        let namespace = namespace();
        let goldens =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../ha-config/tests/data/accepted");
        let mut count = 0;
        for entry in fs::read_dir(&goldens).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "conf") {
                continue;
            }
            count += 1;
            let name = path.display();
            let config = fs::read_to_string(&path).unwrap();
            let original = verdict(&namespace, &config);
            let found = verdict(&namespace, &effective(&config));
            let before = messages(&original);
            let new: Vec<&str> = messages(&found).difference(&before).copied().collect();
            assert!(new.is_empty(), "{name}: {new:?}");
            assert!(found.accepts || !original.accepts, "{name}: {found:?}, but {original:?}");
        }
        assert!(count > 0, "no files in {}", goldens.display());
    }
}
