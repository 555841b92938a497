//! Reading a configuration, and saying what is wrong with it: all of it, at once.

mod json;
mod notes;
mod snippet;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;
use ha_config::{Config, Counts, Parsed, Severity};
use tracing::{error, info, warn};

use self::notes::{Notes, notes};
use crate::{cli::print, host::ThisHost, logging::StandardError};

/// Larger files are refused: 10,000 instances fit into a tenth of it.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Of the first error, for whoever ordered a reload: a line of the file may be long.
const FIRST_ERROR_CHARS_MAX: usize = 300;
/// The exit code for a file with errors, as in keepalived(8); 2.2.7 itself ends with 5.
const EXIT_ERRORS: u8 = 4;
/// The exit code where a script that an instance depends on cannot be run on this host.
const EXIT_SCRIPTS: u8 = 5;

/// How what is wrong is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Whether the effective configuration is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effective {
    No,
    /// That of a file without errors: one with errors is not run, so it has none.
    OfSound,
    /// That of what is sound of the file.
    OfAny,
}

/// The command `check`: shows everything, on standard error (text), standard output (JSON) or at
/// the end of `log_file`. Warnings alone are no failure; a check that can never run is one where it
/// keeps an instance in FAULT.
pub(crate) fn run(
    path: &Path,
    host: &ThisHost,
    log_file: Option<&Path>,
    format: Format,
    effective: Effective,
) -> ExitCode {
    // Whoever checks may pipe it in, and interrupt what hangs.
    let opened = File::open(path).map_err(|error| cannot_open(path, &error, "name another one"));
    let checked = opened.and_then(|file| read(file, path)).and_then(|text| {
        let name = path.display().to_string();
        let parsed = ha_config::parse_with(&name, &text, host);
        let notes = notes(&parsed);
        match format {
            Format::Text => {
                let colours = log_file.is_none() && StandardError::find().has_colours();
                show(&describe(&parsed, &notes, &name, colours), log_file)?;
            }
            Format::Json => {
                let line = format!("{}\n", json::object(&parsed, &name, &notes));
                match log_file {
                    Some(_) => show(&line, log_file)?,
                    None => print(&line)?,
                }
            }
        }
        print_effective(&parsed, effective)?;
        Ok((parsed.counts.errors, notes.faults.is_empty()))
    });
    match checked {
        Ok((0, true)) => ExitCode::SUCCESS,
        Ok((0, false)) => ExitCode::from(EXIT_SCRIPTS),
        Ok(_) => ExitCode::from(EXIT_ERRORS),
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A configuration to run, and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the command line")]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// What `@id` lines are compared with; `None`: the host's name.
    pub(crate) config_id: Option<String>,
    /// What is to be included has to be there.
    pub(crate) all_config: bool,
    /// Run what is sound of a file with errors.
    pub(crate) keep_going: bool,
    /// Log what is run.
    pub(crate) dump: bool,
    /// Show what is wrong on standard error, with the lines of the file; else a message for each,
    /// which goes wherever the log goes.
    pub(crate) with_carets: bool,
}

impl Source {
    /// Reads it. A file with an error is refused as a whole, unless one has to keep going.
    ///
    /// # Errors
    /// One sentence; what is wrong in the file has been shown then.
    pub(crate) fn load(&self) -> Result<Config, String> {
        let text = read(self.open()?, &self.path)?;
        let name = self.path.display().to_string();
        let host =
            ThisHost::new(&self.path, self.config_id.as_deref()).with_all_files(self.all_config);
        let parsed = ha_config::parse_with(&name, &text, &host);
        self.tell(&parsed, &name)?;
        match parsed.counts.errors {
            0 => {}
            errors if self.keep_going => {
                warn!("{name} has {errors} error(s): what they are in is not run (--keep-going)");
            }
            errors => {
                let first = parsed.diagnostics.iter().find(|it| it.severity == Severity::Error);
                let first: String = first.map_or_else(String::new, |first| {
                    first.to_line().chars().take(FIRST_ERROR_CHARS_MAX).collect()
                });
                return Err(format!(
                    "{name} has {errors} error(s), so nothing is run of it; the first is {first}; \
                     `ha-userspace check {name}` shows all, as does the log"
                ));
            }
        }
        if self.dump {
            for line in dump(&ha_config::effective(&parsed.config)) {
                info!("{line}");
            }
        }
        Ok(parsed.config)
    }

    /// Opens it, if it is a file: anything else might never end, and no reload would come after.
    fn open(&self) -> Result<File, String> {
        let path = &self.path;
        // Opening a pipe would wait for its other end.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let advice = "name another one with --config";
        let file = opened.map_err(|error| cannot_open(path, &error, advice))?;
        if file.metadata().is_ok_and(|it| !it.is_file()) {
            let name = path.display();
            return Err(format!(
                "cannot read the configuration {name}: it is not a regular file; {advice}"
            ));
        }
        Ok(file)
    }

    fn tell(&self, parsed: &Parsed, name: &str) -> Result<(), String> {
        if parsed.diagnostics.is_empty() {
            return Ok(());
        }
        if self.with_carets {
            let colours = StandardError::find().has_colours();
            let rendered = snippet::render(&parsed.diagnostics, colours);
            return show(&format!("{rendered}{}\n", summary(parsed, name)), None);
        }
        for diagnostic in &parsed.diagnostics {
            match diagnostic.severity {
                Severity::Error => error!("{}", diagnostic.to_line()),
                Severity::Warning => warn!("{}", diagnostic.to_line()),
            }
        }
        info!("{}", summary(parsed, name));
        Ok(())
    }
}

/// Lines of a dump: some hundred instances.
const DUMP_LINES_MAX: usize = 10_000;

/// The lines of an effective configuration for the log, which more people may read than the file: no
/// password is in it.
fn dump(effective: &str) -> Vec<String> {
    let is_shown = |line: &&str| !line.starts_with("# SECRET:");
    let mut lines = effective.lines().filter(is_shown);
    let shown = lines.by_ref().take(DUMP_LINES_MAX);
    let mut dump: Vec<String> = shown
        .map(|line| match line.split_once("auth_pass ") {
            Some((indent, _)) if indent.trim().is_empty() => format!("{indent}auth_pass ********"),
            Some(_) | None => line.to_owned(),
        })
        .collect();
    let more = lines.count();
    if more > 0 {
        dump.push(format!("and {more} lines more: `ha-userspace check --effective` prints them"));
    }
    dump
}

/// `advice`: what to do about it.
fn cannot_open(path: &Path, error: &io::Error, advice: &str) -> String {
    format!("cannot open the configuration {}: {error}; {advice}", path.display())
}

fn read(file: File, path: &Path) -> Result<String, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read the configuration {name}: {error}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        return Err(format!("the configuration {name} is larger than {FILE_BYTES_MAX} bytes"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(format!("the configuration {name} is UTF-16: save it as UTF-8"));
    }
    String::from_utf8(bytes).or_else(|error| {
        warn!("{name} is not UTF-8 throughout: what is not is read as \u{fffd}");
        Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
    })
}

/// Everything there is to say about a file.
fn describe(parsed: &Parsed, notes: &Notes, name: &str, colours: bool) -> String {
    let mut out = snippet::render(&parsed.diagnostics, colours);
    out.extend(notes.faults.iter().map(|note| format!("fault: {note}\n")));
    out.extend(notes.others.iter().map(|note| format!("note: {note}\n")));
    let faults = match notes.faults.len() {
        0 => String::new(),
        count => format!(", {count} check(s) without which an instance is in FAULT cannot be run"),
    };
    format!("{out}{}{faults}\n", summary(parsed, name))
}

fn summary(parsed: &Parsed, name: &str) -> String {
    let Counts { errors, warnings } = parsed.counts;
    let total = errors.saturating_add(warnings);
    let shown = parsed.diagnostics.len();
    let part = if u32::try_from(shown).is_ok_and(|shown| shown == total) {
        String::new()
    } else {
        format!("; the first {shown} are shown")
    };
    format!("{name}: {errors} error(s), {warnings} warning(s){part}")
}

/// Prints the effective configuration, if it is to be.
fn print_effective(parsed: &Parsed, effective: Effective) -> Result<(), String> {
    match effective {
        Effective::No => Ok(()),
        Effective::OfSound if parsed.counts.errors > 0 => {
            warn!("nothing is run of a file with errors: --keep-going prints what is sound of it");
            Ok(())
        }
        Effective::OfSound | Effective::OfAny => print(&ha_config::effective(&parsed.config)),
    }
}

/// Diagnostics have a form of their own, not a log's.
fn show(text: &str, log_file: Option<&Path>) -> Result<(), String> {
    let Some(log_file) = log_file else {
        // Not `eprint!`: it panics when nobody reads any more, and a reload must survive that.
        io::stderr().write_all(text.as_bytes()).ok();
        return Ok(());
    };
    // Never truncated, as keepalived: it may be named by mistake.
    let append = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(log_file)?;
        file.write_all(text.as_bytes())
    };
    append().map_err(|error| format!("cannot write to {}: {error}", log_file.display()))
}

#[cfg(test)]
mod tests {
    use std::{
        env, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process, sync::mpsc, thread,
        time::Duration,
    };

    use nix::{
        sys::stat::Mode,
        unistd::{geteuid, mkfifo},
    };

    use super::*;

    const SOUND: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n \
                         virtual_ipaddress {\n 192.0.2.1\n }\n}\n";

    /// A file of this test, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, content: &[u8]) -> Self {
            let path = env::temp_dir().join(format!("ha-check-{}-{name}", process::id()));
            fs::write(&path, content).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_file(&self.0).unwrap();
        }
    }

    fn source(path: &Path) -> Source {
        Source {
            path: path.to_owned(),
            config_id: None,
            all_config: false,
            keep_going: false,
            dump: false,
            with_carets: true,
        }
    }

    fn here(path: &Path) -> ThisHost {
        ThisHost::new(path, None)
    }

    #[test]
    fn an_error_refuses_the_whole_file() {
        let broken = format!("{SOUND}vrrp_instance VI_2 {{\n interface eth1\n}}\n");
        let broken = Scratch::new("broken", broken.as_bytes());
        let error = source(&broken.0).load().unwrap_err();
        assert!(error.contains(" 2 error(s), so nothing is run"), "{error}");
        assert!(error.contains("; the first is ") && error.contains(": error: "), "{error}");
        assert_eq!(
            run(&broken.0, &here(&broken.0), None, Format::Text, Effective::No),
            ExitCode::from(EXIT_ERRORS)
        );
        let keep_going = Source { keep_going: true, ..source(&broken.0) };
        let kept = keep_going.load().unwrap().instances;
        assert_eq!(kept.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["VI_1"]);
        let sound = Scratch::new("sound", SOUND.as_bytes());
        assert_eq!(source(&sound.0).load().unwrap().instances.len(), 1);
        assert_eq!(
            run(&sound.0, &here(&sound.0), None, Format::Text, Effective::No),
            ExitCode::SUCCESS
        );
    }

    #[test]
    fn a_dump_is_what_is_run_without_its_passwords() {
        let auth = " authentication {\n auth_type PASS\n auth_pass hunter22\n }\n}\n";
        let text = SOUND.strip_suffix("}\n").unwrap().to_owned() + auth;
        let effective = ha_config::effective(&ha_config::parse("f", &text).config);
        assert!(effective.contains("hunter22"), "{effective}");
        let lines = dump(&effective);
        assert!(lines.iter().any(|line| line.trim() == "auth_pass ********"), "{lines:?}");
        assert!(lines.iter().any(|line| line.trim() == "virtual_router_id 1"), "{lines:?}");
        assert!(!lines.concat().contains("hunter22"), "{lines:?}");
        assert!(!lines.concat().contains("SECRET"), "{lines:?}");
        let long = "x\n".repeat(DUMP_LINES_MAX + 2);
        let last = "and 2 lines more: `ha-userspace check --effective` prints them";
        assert_eq!(dump(&long).last().map(String::as_str), Some(last));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = Path::new("/nonexistent/ha.conf");
        let error = source(missing).load().unwrap_err();
        assert!(error.contains("/nonexistent/ha.conf"), "{error}");
        assert!(error.ends_with("; name another one with --config"), "{error}");
        assert_eq!(
            run(missing, &here(missing), None, Format::Text, Effective::No),
            ExitCode::FAILURE
        );
        assert!(source(Path::new("/")).load().unwrap_err().starts_with("cannot read"));
    }

    #[test]
    fn what_may_never_end_is_not_run() {
        let pipe = Scratch(env::temp_dir().join(format!("ha-check-{}-pipe", process::id())));
        mkfifo(&pipe.0, Mode::S_IRWXU).unwrap();
        for path in [&pipe.0, Path::new("/dev/zero")] {
            let (answer, answered) = mpsc::channel();
            let source = source(path);
            thread::spawn(move || answer.send(source.load().map(drop)));
            let answered = answered.recv_timeout(Duration::from_secs(20)).expect("an answer");
            let error = answered.unwrap_err();
            assert!(error.contains("it is not a regular file"), "{error}");
        }
    }

    #[test]
    fn a_check_that_cannot_run_is_a_failure_where_an_instance_depends_on_it() {
        let script = Scratch::new("script", b"#!/bin/sh\n");
        fs::set_permissions(&script.0, fs::Permissions::from_mode(0o644)).unwrap();
        let path = script.0.display();
        let verdict = |tracks: &str| {
            let tracked = format!("vrrp_script s {{\n script {path}\n user root\n}}\n");
            let inner = format!("interface lo\n {tracks}\n");
            let text = format!("{tracked}{}", SOUND.replace("interface eth0\n", &inner));
            let file = Scratch::new("tracks", text.as_bytes());
            let code = run(&file.0, &here(&file.0), None, Format::Text, Effective::No);
            (code, notes(&ha_config::parse("f", &text)))
        };
        let (code, notes) = verdict("track_script {\n s\n }");
        assert_eq!(code, ExitCode::from(EXIT_SCRIPTS));
        if geteuid().is_root() {
            let fault =
                format!("line 2: {path} cannot be executed by root (mode 0644): `chmod a+x");
            assert!(notes.faults[0].contains(&fault), "{notes:?}");
        }
        for tracks in
            ["track_script {\n s weight -2\n }", "track_script {\n s weight 0 reverse\n }"]
        {
            let (code, notes) = verdict(tracks);
            assert_eq!(code, ExitCode::SUCCESS, "{tracks}");
            assert!(notes.others[0].contains("cannot be executed"), "{notes:?}");
        }
        let (code, notes) = verdict(&format!("notify_master {path}"));
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(notes.others[0].contains("nothing is run, as with keepalived"), "{notes:?}");
    }

    #[test]
    fn all_that_is_included_can_be_needed() {
        let text = format!("include ha-check-no-such-file.conf\n{SOUND}");
        let file = Scratch::new("includes", text.as_bytes());
        assert_eq!(source(&file.0).load().unwrap().instances.len(), 1);
        let strict = Source { all_config: true, ..source(&file.0) };
        assert!(strict.load().unwrap_err().contains("1 error(s)"));
    }

    #[test]
    fn another_encoding_of_wide_characters_is_named() {
        let wide = Scratch::new("utf16", b"\xff\xfev\0r\0");
        let error = source(&wide.0).load().unwrap_err();
        assert!(error.ends_with("is UTF-16: save it as UTF-8"), "{error}");
    }

    #[test]
    fn other_encodings_are_read() {
        let latin1 = Scratch::new("latin1", &[b"! caf\xe9\n", SOUND.as_bytes()].concat());
        assert_eq!(source(&latin1.0).load().unwrap().instances.len(), 1);
    }

    #[test]
    fn a_log_file_is_added_to() {
        let sound = Scratch::new("checked", SOUND.as_bytes());
        let log = Scratch::new("log", b"before\n");
        assert_eq!(
            run(&sound.0, &here(&sound.0), Some(&log.0), Format::Text, Effective::No),
            ExitCode::SUCCESS
        );
        let text = fs::read_to_string(&log.0).unwrap();
        assert!(text.starts_with("before\n"), "{text}");
        assert!(text.ends_with(": 0 error(s), 0 warning(s)\n"), "{text}");
    }
}
