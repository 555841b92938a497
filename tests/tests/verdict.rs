//! Our verdict on a configuration is keepalived's, or the difference is in `verdicts`, with the reason.

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        env, fs,
        path::{Path, PathBuf},
    };

    use ha_tests::{
        grammar,
        netns::Namespace,
        require,
        tempdir::TempDir,
        verdict::{Differences, Verdict},
    };
    use proptest::test_runner::{
        Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
    };

    /// Some ten seconds on two processors that have nothing else to do.
    const CASES: u32 = 500;
    const SEED: u64 = 1;
    /// What a failing case is made smaller with.
    const SHRINK_STEPS_MAX: u32 = 1000;

    /// Those that keepalived's samples name.
    const INTERFACES: [&str; 5] = ["eth0", "eth0.1", "eth1", "eth2", "eth3"];
    /// Of keepalived 2.2.7; others are of its load balancer only.
    const SAMPLES_MIN: usize = 10;

    fn namespace(interfaces: &[&str]) -> Namespace {
        let namespace = Namespace::new("verdict");
        for (number, interface) in interfaces.iter().enumerate() {
            namespace.ip(&format!("link add {interface} up type veth peer name peer-{number}"));
        }
        namespace
    }

    fn list(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("verdicts").join(name)
    }

    /// The samples on which the verdicts are known to differ, and who refuses them.
    fn known_samples() -> BTreeMap<String, String> {
        let text = fs::read_to_string(list("samples.txt")).expect("the list of samples");
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let words = lines.map(|line| line.split_once(' ').expect("a sample and who refuses it"));
        words.map(|(sample, who)| (sample.to_owned(), who.to_owned())).collect()
    }

    #[test]
    fn samples() {
        if !require::require_keepalived_samples() || !require::require_daemon() {
            return;
        }
        let directory = TempDir::new("verdict");
        let namespace = namespace(&INTERFACES);
        let mut count = 0;
        let mut differing = BTreeMap::new();
        let mut details = String::new();
        for entry in fs::read_dir(require::KEEPALIVED_SAMPLES).expect("the samples") {
            let path = entry.expect("a sample").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = fs::read(&path).expect("a sample that can be read");
            let text = String::from_utf8_lossy(&text);
            if !name.starts_with("keepalived.conf.") || !text.contains("vrrp_instance") {
                continue;
            }
            count += 1;
            let main = directory.write(&name, &text);
            let verdicts = || (Verdict::of_ours(&main), Verdict::of_keepalived(&main));
            let (ours, theirs) = namespace.run(verdicts);
            let who = match (ours.accepts, theirs.accepts) {
                (true, false) => "keepalived",
                (false, true) => "we",
                (true, true) | (false, false) => continue,
            };
            details.push_str(&name);
            details.extend(
                ours.errors().chain(theirs.errors()).map(|one| format!("\n  {}", one.message)),
            );
            details.push('\n');
            differing.insert(name, who.to_owned());
        }
        assert!(count >= SAMPLES_MIN, "{count} samples with VRRP only");
        assert_eq!(differing, known_samples(), "not those that are known:\n{details}");
    }

    /// A difference that is no more is to be taken from the list.
    #[test]
    fn known_differences_are_there() {
        if !require::require_keepalived() || !require::require_daemon() {
            return;
        }
        let directory = TempDir::new("verdict");
        for (name, text) in grammar::INCLUDED {
            directory.write(name, text);
        }
        let namespace = namespace(&grammar::INTERFACES);
        for difference in Differences::read(&list("differences.txt")).iter() {
            let text = difference.example();
            let main = directory.write("main.conf", &text);
            let verdicts = || (Verdict::of_ours(&main), Verdict::of_keepalived(&main));
            let (ours, theirs) = namespace.run(verdicts);
            let is_shown = difference.is_shown_by(&text, &ours, &theirs);
            assert!(is_shown, "{difference:#?} {ours:#?} {theirs:#?}\n{text}");
        }
    }

    /// Files by chance; `HA_VERDICT_SEED=N` and `HA_VERDICT_CASES=N` try others, and more.
    #[test]
    fn generated_files() {
        if !require::require_keepalived() || !require::require_daemon() {
            return;
        }
        let seed = number("HA_VERDICT_SEED", SEED);
        let cases = number("HA_VERDICT_CASES", CASES);
        let result = namespace(&grammar::INTERFACES).run(|| try_cases(seed, cases));
        result.unwrap_or_else(|failure| panic!("with HA_VERDICT_SEED={seed}, {failure}"));
    }

    fn number<T: core::str::FromStr>(variable: &str, default: T) -> T {
        let given = env::var(variable).ok();
        given.map_or(default, |text| text.parse().ok().expect("a number"))
    }

    /// Compares the verdicts on files that are made from `seed`; of a failing one, what is left of it.
    fn try_cases(seed: u64, cases: u32) -> Result<(), String> {
        let directory = TempDir::new("verdict");
        for (name, text) in grammar::INCLUDED {
            directory.write(name, text);
        }
        let differences = Differences::read(&list("differences.txt"));
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: SHRINK_STEPS_MAX,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, random);
        let result = runner.run(&grammar::case(), |case| {
            let text = case.text();
            let main = directory.write("main.conf", &text);
            let (ours, theirs) = (Verdict::of_ours(&main), Verdict::of_keepalived(&main));
            let unknown = differences.unknown(&text, &ours, &theirs);
            if unknown.is_empty() { Ok(()) } else { Err(TestCaseError::fail(unknown.join("\n"))) }
        });
        result.map_err(|error| match error {
            TestError::Fail(reason, case) => format!("{reason}\nof the file\n{}", case.text()),
            TestError::Abort(reason) => reason.to_string(),
        })
    }
}
