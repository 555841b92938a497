//! Two programs' opinions of one configuration, and where they are known to differ.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// What `@id` lines are compared with.
const CONFIG_ID: &str = "this";
/// keepalived's exit code of a file whose scripts run although it does not say `enable_script_security`.
const SCRIPTS_WITHOUT_SECURITY: i32 = 6;
/// Ours of a file whose checks are not on this host.
const CHECKS_CANNOT_RUN: i32 = 5;

/// What a program says of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    pub accepts: bool,
    pub complaints: Vec<Complaint>,
}

/// Something that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Complaint {
    /// Of the main file, if it names one.
    pub line: Option<u32>,
    pub message: String,
    /// It would be no reason to refuse the file.
    pub is_warning: bool,
}

impl Verdict {
    /// That of `keepalived -t`, which starts nothing.
    pub fn of_keepalived(main: &Path) -> Self {
        let directory = main.parent().expect("a file in a directory");
        let file = |name: &str| directory.join(name).display().to_string();
        let mut command = Command::new("keepalived");
        command.args(["--config-test", "--config-id", CONFIG_ID, "--use-file"]).arg(main);
        command.args(["--pid", &file("k.pid"), "--vrrp_pid", &file("kv.pid")]);
        command.args(["--checkers_pid", &file("kc.pid"), "--bfd_pid", &file("kb.pid")]);
        let (code, said) = run(&mut command);
        // Of the scripts, not of the language; what else is wrong decides.
        let lines = said.lines().filter(|line| !line.starts_with("SECURITY VIOLATION"));
        let complaints: Vec<Complaint> = lines.map(keepalived_complaint).collect();
        let is_only_insecure = code == Some(SCRIPTS_WITHOUT_SECURITY) && complaints.is_empty();
        Self { accepts: code == Some(0) || is_only_insecure, complaints }
    }

    /// Our own.
    pub fn of_ours(main: &Path) -> Self {
        let binary = env::var_os("HA_BINARY").expect("HA_BINARY=<path of ha-userspace>");
        let mut command = Command::new(binary);
        command.args(["check", "--config-id", CONFIG_ID]).arg(main);
        let (code, said) = run(&mut command);
        // Of what this host has, not of the language.
        let is_only_unrunnable = code == Some(CHECKS_CANNOT_RUN);
        Self { accepts: code == Some(0) || is_only_unrunnable, complaints: our_complaints(&said) }
    }

    /// What it refuses the file for.
    pub fn errors(&self) -> impl Iterator<Item = &Complaint> {
        self.complaints.iter().filter(|complaint| !complaint.is_warning)
    }

    fn has_line(&self, line: Option<u32>) -> bool {
        line.is_none() || self.complaints.iter().any(|complaint| complaint.line == line)
    }
}

/// The exit code, `None` for a death by a signal, and what it wrote to standard error.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    if let Some(signal) = output.status.signal() {
        said = format!("{said}\nkilled by signal {signal}");
    }
    (output.status.code(), said)
}

/// `(FILE: Line N) MESSAGE`, `(Line N) MESSAGE` or `MESSAGE`.
fn keepalived_complaint(text: &str) -> Complaint {
    let placed = text.strip_prefix('(').and_then(|rest| rest.split_once("Line "));
    let placed = placed.and_then(|(_, rest)| rest.split_once(") "));
    let placed = placed.and_then(|(line, message)| Some((line.parse().ok()?, message)));
    let (line, message) = placed.map_or((None, text), |(line, message)| (Some(line), message));
    Complaint { line, message: message.trim().to_owned(), is_warning: false }
}

/// `error: MESSAGE` or `warning: MESSAGE`, then a line with `--> FILE:LINE:COLUMN`.
fn our_complaints(said: &str) -> Vec<Complaint> {
    let mut complaints: Vec<Complaint> = Vec::new();
    for text in said.lines() {
        let error = text.strip_prefix("error: ").map(|message| (message, false));
        let warning = || text.strip_prefix("warning: ").map(|message| (message, true));
        if let Some((message, is_warning)) = error.or_else(warning) {
            complaints.push(Complaint { line: None, message: message.to_owned(), is_warning });
        } else if let (Some((_, place)), Some(last)) =
            (text.split_once("--> "), complaints.last_mut())
        {
            last.line = place.rsplit(':').nth(1).and_then(|line| line.parse().ok());
        }
    }
    complaints
}

/// The differences that are known, each with the reason in the comment before it.
///
/// A line is a kind and a text. `warned TEXT`: a complaint of keepalived's that makes it refuse a file, and
/// of which we warn, in the same line; `elsewhere TEXT`: the same, but we warn in another line, or when
/// the daemon starts; `refused TEXT`: an error of ours only; `file TEXT`: something in a file that only
/// keepalived refuses; `note TEXT`: what keepalived mentions of a file that it accepts. The indented lines after
/// it are an example.
#[derive(Debug)]
pub struct Differences {
    entries: Vec<Difference>,
}

#[derive(Debug)]
pub struct Difference {
    kind: Kind,
    text: String,
    /// Blocks of a sound file, and what is added to them: lines with ` / ` between.
    example: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Warned,
    Elsewhere,
    Refused,
    File,
    Note,
}

impl Difference {
    /// A file that shows it.
    pub fn example(&self) -> String {
        let added = |block: &str| {
            let parts = self.example.iter().filter(|(own, _)| own == block);
            let lines = parts.flat_map(|(_, lines)| lines.split(" / "));
            lines.flat_map(|line| [line, "\n"]).collect::<String>()
        };
        let start = self.example.iter().find(|(block, _)| block == "start");
        let instance = |number: u8, more: &str| {
            format!(
                "vrrp_instance VI_{number} {{\ninterface eth0\nvirtual_router_id {number}\n\
                 virtual_ipaddress {{\n192.0.2.{number}/24\n}}\n{more}}}\n"
            )
        };
        [
            start.map_or("", |(_, mark)| mark),
            "global_defs {\nenable_script_security\nscript_user root\n",
            &added("global"),
            "}\nvrrp_script check {\nscript /bin/true\n}\n",
            &added("top"),
            &instance(1, &added("instance")),
            &instance(2, ""),
        ]
        .concat()
    }

    /// Whether the verdicts differ in this.
    pub fn is_shown_by(&self, file: &str, ours: &Verdict, theirs: &Verdict) -> bool {
        let said = |verdict: &Verdict| verdict.errors().any(|one| one.message.contains(&self.text));
        match self.kind {
            Kind::Refused => theirs.accepts && !ours.accepts && said(ours),
            Kind::File => ours.accepts && !theirs.accepts && file.contains(&self.text),
            Kind::Note => ours.accepts && theirs.accepts && said(theirs),
            Kind::Warned | Kind::Elsewhere => ours.accepts && !theirs.accepts && said(theirs),
        }
    }
}

impl Differences {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut entries: Vec<Difference> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.trim_start().split_once(' ').expect("two words");
            let kind = match word {
                "warned" => Kind::Warned,
                "elsewhere" => Kind::Elsewhere,
                "refused" => Kind::Refused,
                "file" => Kind::File,
                "note" => Kind::Note,
                block => {
                    let is_block = ["start", "global", "instance", "top"].contains(&block);
                    assert!(is_block && line.starts_with(' '), "{}: `{line}`", path.display());
                    let last = entries.last_mut().expect("a difference before its example");
                    last.example.push((block.to_owned(), rest.to_owned()));
                    continue;
                }
            };
            entries.push(Difference { kind, text: rest.to_owned(), example: Vec::new() });
        }
        Self { entries }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Difference> {
        self.entries.iter()
    }

    /// What of a difference of the verdicts on `file` is not known; nothing if they agree.
    pub fn unknown(&self, file: &str, ours: &Verdict, theirs: &Verdict) -> Vec<String> {
        match (ours.accepts, theirs.accepts) {
            (true, true) | (false, false) => Vec::new(),
            (false, true) => {
                let is_known = |one: &&Complaint| self.has(Kind::Refused, &one.message);
                let unknown = ours.errors().filter(|one| !is_known(one));
                unknown.map(|one| format!("only we refuse it: {}", one.message)).collect()
            }
            (true, false) if self.has(Kind::File, file) => Vec::new(),
            (true, false) => {
                let unknown = theirs.errors().filter(|one| {
                    let is_told = ours.has_line(one.line);
                    let message = &one.message;
                    !(is_told && self.has(Kind::Warned, message)
                        || self.has(Kind::Elsewhere, message)
                        || self.has(Kind::Note, message))
                });
                let describe = |one: &Complaint| {
                    let message = &one.message;
                    match one.line {
                        Some(line) if !ours.has_line(one.line) => {
                            format!("only keepalived says anything of line {line}: {message}")
                        }
                        Some(_) | None => format!("only keepalived refuses it: {message}"),
                    }
                };
                unknown.map(describe).collect()
            }
        }
    }

    fn has(&self, kind: Kind, text: &str) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind && text.contains(&entry.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found() {
        let check = |text: &str, line: Option<u32>, message: &str| {
            let expected = Complaint { line, message: message.to_owned(), is_warning: false };
            assert_eq!(keepalived_complaint(text), expected);
        };
        check("(/tmp/a b.conf: Line 12) (VI_1) wrong", Some(12), "(VI_1) wrong");
        check("(Line 5) wrong", Some(5), "wrong");
        check("(VI_1) wrong", None, "(VI_1) wrong");
        let ours =
            our_complaints("warning: a\n  --> f:3:1\n   |\nerror: b\n --> f:4:2\nf: 1 error\n");
        let found: Vec<_> = ours.iter().map(|one| (one.line, one.is_warning)).collect();
        assert_eq!(found, [(Some(3), true), (Some(4), false)]);
    }
}
