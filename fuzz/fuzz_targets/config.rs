//! Any bytes as keepalived.conf and the files that it includes: never a panic, a limited number of
//! complaints, each about a line that there is, and a model that keeps its promises.

#![no_main]

use std::cell::RefCell;

use ha_config::{Counts, Diagnostic, Host, Parsed, parse_with};
use libfuzzer_sys::fuzz_target;

#[path = "../../ha-config/tests/support/fixed_point.rs"]
mod fixed_point;
#[path = "../../ha-config/tests/support/well_formed.rs"]
mod well_formed;

/// Between the main file and those that can be included: `/1`, `/2` and so on.
const BETWEEN_FILES: char = '\u{c}';
/// 1000 errors and 1000 warnings.
const DIAGNOSTICS_MAX: usize = 2000;
/// As much as a line may have.
const EFFECTIVE_BYTES_MAX: usize = 64 << 10;
const EXCERPT_CHARS_MAX: usize = 300;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let disk = Disk::new(&text);
    let main = disk.files.first().copied().unwrap_or_default();
    let parsed = parse_with("/0", main, &disk);
    well_formed::check(&parsed.config, &text);
    // Beyond that a line or the whole may be more than is read.
    if ha_config::effective(&parsed.config).len() <= EFFECTIVE_BYTES_MAX {
        fixed_point::check(&parsed.config, &text);
    }
    assert!(parsed.diagnostics.len() <= DIAGNOSTICS_MAX);
    for diagnostic in &parsed.diagnostics {
        check_place(diagnostic, &disk);
    }
    let counts = parsed.counts;
    let said = parsed.diagnostics.len();
    assert!(
        said <= (counts.errors + counts.warnings) as usize
            && (said > 0 || counts == Counts::default())
    );
    check_again(&parsed, main, &disk);
});

fn check_place(diagnostic: &Diagnostic, disk: &Disk<'_>) {
    let said = diagnostic.to_line();
    assert!(!said.contains('\n'), "{said:?}");
    let text = disk.file(&diagnostic.file).expect("a file that was read");
    let (line, column) = (diagnostic.line as usize, diagnostic.column as usize);
    // An empty file has one line, of nothing.
    assert!(line >= 1 && line <= text.lines().count().max(1), "{said}");
    let chars = diagnostic.excerpt.chars().count();
    assert!(chars <= EXCERPT_CHARS_MAX, "{said}");
    assert!(!diagnostic.excerpt.contains(char::is_control), "{said}");
    assert!(diagnostic.marked().start <= chars, "{said} is outside of the excerpt");
    let found = text.lines().nth(line - 1).unwrap_or_default();
    let found = found.strip_prefix('\u{feff}').unwrap_or(found).chars().count();
    let end = column + diagnostic.width as usize;
    assert!(column >= 1 && diagnostic.width >= 1, "{said}");
    // One column after the line is where its end is.
    assert!(end <= found.max(1) + 1 || column == found + 1, "{said}: {found} characters");
    assert!(chars + diagnostic.skipped as usize <= found, "{said}: {found} characters");
}

/// The same text is the same configuration: nothing is remembered, nothing is drawn by lot.
fn check_again(parsed: &Parsed, main: &str, disk: &Disk<'_>) {
    let reads = disk.reads.take();
    assert_eq!(parse_with("/0", main, disk), *parsed);
    assert_eq!(disk.reads.take(), reads);
}

/// The files in one text.
struct Disk<'a> {
    files: Vec<&'a str>,
    /// Those that were read, in order.
    reads: RefCell<Vec<String>>,
}

impl<'a> Disk<'a> {
    fn new(text: &'a str) -> Self {
        Self { files: text.split(BETWEEN_FILES).collect(), reads: RefCell::default() }
    }

    fn file(&self, path: &str) -> Option<&'a str> {
        self.files.get(path.strip_prefix('/')?.parse::<usize>().ok()?).copied()
    }
}

impl Host for Disk<'_> {
    fn glob(&self, pattern: &str) -> Vec<String> {
        if pattern.contains('*') {
            return (1..self.files.len()).map(|number| format!("/{number}")).collect();
        }
        self.file(pattern).map(|_| pattern.to_owned()).into_iter().collect()
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<String, String> {
        self.reads.borrow_mut().push(path.to_owned());
        let text = self.file(path).ok_or("there is none")?;
        if text.len() > bytes_max { Err("too large".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "A").then(|| "a # \"\n{".to_owned())
    }

    fn directory(&self) -> &'static str {
        "/"
    }

    fn config_id(&self) -> &'static str {
        "a"
    }

    fn seed(&self) -> u64 {
        1
    }
}
