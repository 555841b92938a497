//! `include` and its strict variants: which files a pattern names, and what is wrong if one is
//! missing.

use super::{DEPTH_MAX, Host, Reader, line::Line};
use crate::{
    diagnostic::{Severity, Span},
    lexer::Kind,
    white::{is_white, trim, trim_start},
};

/// A `conf.d` with a file for each virtual router number of 16 interfaces.
const FILES_MAX: usize = 4096;
/// Of one pattern, after its braces.
const ALTERNATIVES_MAX: usize = 1024;
const WILDCARDS: [char; 3] = ['*', '?', '['];

/// What makes a missing file an error (`include_check`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "one per option of the keyword")]
pub(super) struct Checks {
    readable: bool,
    matching: bool,
    wildcard: bool,
    brace: bool,
}

impl Checks {
    const ALL: Self = Self { readable: true, matching: true, wildcard: true, brace: true };

    /// Where no `include_check` says otherwise.
    pub(super) fn of_host(host: &dyn Host) -> Self {
        if host.needs_all_files() { Self::ALL } else { Self::default() }
    }

    /// `word` is an option of `include_check`; `false`: there is no such option.
    fn set(&mut self, word: &str) -> bool {
        let on = !word.starts_with('-');
        match word.trim_start_matches(['+', '-']) {
            "readable" => self.readable = on,
            "match" => self.matching = on,
            "wildcard_match" => self.wildcard = on,
            "brace_match" => self.brace = on,
            _ => return false,
        }
        true
    }

    const fn any(self) -> bool {
        self.readable || self.matching || self.wildcard || self.brace
    }
}

/// Where an `include` begins: at the beginning, or after a brace.
pub(super) fn find(text: &str) -> Option<usize> {
    if !text.contains("include") {
        return None;
    }
    let mut quote = None;
    let mut previous = ' ';
    let mut may_begin = true;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c && previous != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '}') if previous != '$' => may_begin = true,
            (None, _) if is_white(c) => {}
            (None, _) => {
                let rest = text.get(at..).unwrap_or("");
                if may_begin && split(rest).is_some() {
                    return Some(at);
                }
                may_begin = false;
            }
        }
        previous = c;
    }
    None
}

/// The keyword and the pattern, which is all that follows it.
fn split(text: &str) -> Option<(&str, &str)> {
    let (keyword, pattern) = trim(text).split_once(is_white)?;
    let is_include = matches!(
        keyword,
        "include" | "includer" | "includem" | "includew" | "includeb" | "includea"
    );
    is_include.then(|| (keyword, trim_start(pattern)))
}

/// `name`, seen from `directory`, without `.` and `..`.
pub(super) fn join(directory: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let from = if name.starts_with('/') { "" } else { directory };
    for part in from.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((directory, _)) => directory,
    }
}

/// The patterns that `pattern` stands for, as in csh: `{a,b}` is one of two. `None`: too many.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut found = vec![pattern.to_owned()];
    // Each round replaces the first braces of one pattern.
    let mut index = 0;
    while let Some(current) = found.get(index) {
        let Some((before, choices, after)) = first_braces(current) else {
            index += 1;
            continue;
        };
        if found.len().saturating_add(choices.len()) > ALTERNATIVES_MAX {
            return None;
        }
        let made: Vec<String> =
            choices.iter().map(|choice| format!("{before}{choice}{after}")).collect();
        found.splice(index..=index, made);
    }
    Some(found)
}

/// What is before the first braces, between their commas, and after them.
fn first_braces(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = pattern.find('{')?;
    let mut depth: usize = 0;
    let mut start = open.saturating_add(1);
    let mut choices = Vec::new();
    for (at, c) in pattern.char_indices().filter(|(at, _)| *at > open) {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' if depth > 0 => depth = depth.saturating_sub(1),
            ',' | '}' if depth == 0 => {
                choices.push(pattern.get(start..at)?);
                start = at.saturating_add(1);
                if c == '}' {
                    return Some((pattern.get(..open)?, choices, pattern.get(start..)?));
                }
            }
            _ => {}
        }
    }
    None
}

/// What an `include` line names and is not there.
struct Missing<'a> {
    name: &'a str,
    /// `name`, seen from the root.
    path: &'a str,
    /// It is one of several that braces stand for.
    has_braces: bool,
}

impl Reader<'_> {
    /// Reads what an `include` line names.
    pub(super) fn include(&mut self, line: &Line) {
        let Some((keyword, pattern)) = split(line.text()) else { return };
        let (keyword, pattern) = (keyword.to_owned(), pattern.to_owned());
        let Some(file) = self.open.last_mut() else { return };
        let before = file.checks;
        match keyword.as_str() {
            "includer" => file.checks.readable = true,
            "includem" => file.checks.matching = true,
            "includew" => file.checks.wildcard = true,
            "includeb" => file.checks.brace = true,
            "includea" => file.checks = Checks::ALL,
            _ => {}
        }
        let (checks, directory) = (file.checks, file.directory.clone());
        // The variant is for this line; its files begin with what holds for the others.
        file.checks = before;
        let span = self.span(line, 0..line.text().len());
        if self.open.len() > DEPTH_MAX {
            self.sink.error(span, format!("more than {DEPTH_MAX} files that include each other"));
            return;
        }
        let Some(wanted) = alternatives(&pattern) else {
            let message = format!("its braces stand for more than {ALTERNATIVES_MAX} names");
            self.sink.error(span, message);
            return;
        };
        let has_braces = wanted.len() > 1;
        for name in wanted {
            let path = join(&directory, &name);
            let found = self.host.glob(&path);
            if found.is_empty() {
                self.missing(span, checks, &Missing { name: &name, path: &path, has_braces });
            }
            for path in found {
                self.included(line, span, checks, &path);
            }
        }
    }

    /// Says what keepalived 2.2.7 says of a `name` that stands for no file, as severely.
    fn missing(&mut self, span: Span, checks: Checks, missing: &Missing<'_>) {
        let Missing { name, path, has_braces } = *missing;
        let has_wildcard = name.contains(WILDCARDS);
        let lost = if has_wildcard { self.lost_directory(path) } else { None };
        // To keepalived, a directory that is not there is like a file that is not: the one loses
        // files as the other does. An empty `conf.d` is what many begin with.
        let is_error = match (has_wildcard && lost.is_none(), has_braces) {
            (true, _) => checks.wildcard,
            (false, true) => checks.brace,
            (false, false) => checks.matching || checks.wildcard,
        };
        if has_wildcard && lost.is_none() && !is_error {
            return;
        }
        let message = match lost {
            Some(directory) => {
                format!("no file matches `{name}`: there is no directory `{directory}`")
            }
            None if has_wildcard => format!("no file matches `{name}`"),
            None => format!("there is no file `{name}`"),
        };
        let help = if name.starts_with(['"', '\'']) {
            Some("quotes are taken as a part of the name: remove them")
        } else if name.contains(char::is_whitespace) {
            Some("white space is a part of the name: give each name an `include` line of its own")
        } else if is_error {
            Some("correct the name, or use `include`, which goes on without the file")
        } else {
            Some("it is read without this file; `includea` would make it an error")
        };
        let severity = if is_error { Severity::Error } else { Severity::Warning };
        self.sink.push(severity, span, &message, help);
    }

    /// The directory before the first wildcard of `path`, if it is not there.
    fn lost_directory<'a>(&self, path: &'a str) -> Option<&'a str> {
        let wildcard = path.find(WILDCARDS)?;
        let (directory, _) = path.get(..wildcard)?.rsplit_once('/')?;
        let is_lost = !directory.is_empty() && self.host.glob(&format!("{directory}/")).is_empty();
        is_lost.then_some(directory)
    }

    fn included(&mut self, line: &Line, span: Span, checks: Checks, path: &str) {
        if self.is_full {
            return;
        }
        if self.files >= FILES_MAX {
            self.limit(line, format!("more than {FILES_MAX} files are included"));
            return;
        }
        if self.open.iter().any(|open| open.path == path) {
            self.sink.error(span, format!("`{path}` includes itself"));
            return;
        }
        self.work(line, 0);
        match self.host.read(path, self.bytes_left) {
            Ok(text) => {
                let directory = parent(path).to_owned();
                self.file(path, &text, path.to_owned(), directory);
            }
            Err(reason) => {
                let severity = if checks.any() { Severity::Error } else { Severity::Warning };
                let message = format!("`{path}` cannot be read: {reason}");
                self.sink.push(severity, span, &message, None);
            }
        }
    }

    /// Whether an `include_check` is among the words from `before` on.
    pub(super) fn note_include_check(&mut self, before: usize) {
        let line = self.lexer.tokens().get(before..).unwrap_or_default();
        let head = line.iter().position(
            |token| matches!(&token.kind, Kind::Word(word) if &**word == "include_check"),
        );
        let Some(head) = head else { return };
        let begins = match head.checked_sub(1).and_then(|index| line.get(index)) {
            None => true,
            Some(previous) => !matches!(previous.kind, Kind::Word(_)),
        };
        let Some(file) = self.open.last_mut().filter(|_| begins) else { return };
        let options: Vec<&str> = line
            .get(head.saturating_add(1)..)
            .unwrap_or_default()
            .iter()
            .map_while(|token| match &token.kind {
                Kind::Word(word) => Some(&**word),
                Kind::Open | Kind::Close => None,
            })
            .collect();
        if options.is_empty() {
            file.checks = Checks::ALL;
        } else if !options.iter().any(|option| option.starts_with(['+', '-'])) {
            file.checks = Checks::default();
        }
        let mut unknown = Vec::new();
        for (index, option) in options.iter().enumerate() {
            if !file.checks.set(option) {
                unknown.push(index);
            }
        }
        for index in unknown {
            let at = head.saturating_add(index).saturating_add(1);
            if let Some(token) = line.get(at) {
                let message = "no such check: readable, match, wildcard_match or brace_match";
                self.sink.warning(token.span, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_those_of_csh() {
        let check = |pattern: &str, expected: &[&str]| {
            assert_eq!(alternatives(pattern).unwrap(), expected, "{pattern}");
        };
        check("a*.conf", &["a*.conf"]);
        check("f{3,1}.c", &["f3.c", "f1.c"]);
        // The example of keepalived.conf(5).
        check("{foo/{,cat,dog},bar}", &["foo/", "foo/cat", "foo/dog", "bar"]);
        check("a{b", &["a{b"]);
        assert_eq!(alternatives(&"{a,b}".repeat(9)).unwrap().len(), 512);
        assert_eq!(alternatives(&"{a,b}".repeat(30)), None);
    }

    #[test]
    fn names_are_seen_from_a_directory() {
        assert_eq!(join("/a/b", "c"), "/a/b/c");
        assert_eq!(join("/a/b", "../c/./d"), "/a/c/d");
        assert_eq!(join("/a", "/b"), "/b");
        assert_eq!(join("/", "../../b"), "/b");
        assert_eq!(parent("/b"), "/");
        assert_eq!(parent("/a/b"), "/a");
    }

    #[test]
    fn an_include_begins_a_line_or_a_block() {
        assert_eq!(find("include a"), Some(0));
        assert_eq!(find("a { includea b{c,d}"), Some(4));
        assert_eq!(find("} include b"), Some(2));
        for other in [
            "include",
            "include=a",
            "includex a",
            "a include b",
            "a \"{ include b\"",
            "include_check x",
        ] {
            assert_eq!(find(other), None, "{other}");
        }
    }
}
