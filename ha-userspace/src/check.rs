//! Reading a configuration, and saying what is wrong with it: all of it, at once.

use std::{fs::File, io::Read as _, path::Path, process::ExitCode};

use ha_config::{Config, Diagnostic, Severity};
use tracing::warn;

/// Larger files are refused: 10,000 instances fit into a tenth of it.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// keepalived's exit code for a file with errors (`keepalived -t`).
const EXIT_ERRORS: u8 = 4;

/// The command `check`: shows everything; warnings alone are no failure.
pub(crate) fn run(path: &Path) -> ExitCode {
    match read(path) {
        Ok(text) => {
            let name = path.display().to_string();
            let parsed = ha_config::parse(&name, &text);
            show(&parsed.diagnostics, &name, &text);
            if count(&parsed.diagnostics, Severity::Error) == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_ERRORS)
            }
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a configuration to run it. A file with an error is refused as a whole.
///
/// # Errors
/// One sentence; what is wrong in the file has been shown then.
pub(crate) fn load(path: &Path) -> Result<Config, String> {
    let text = read(path)?;
    let name = path.display().to_string();
    let parsed = ha_config::parse(&name, &text);
    show(&parsed.diagnostics, &name, &text);
    match count(&parsed.diagnostics, Severity::Error) {
        0 => Ok(parsed.config),
        errors => Err(format!("{name} has {errors} error(s), listed above: nothing is run of it")),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| {
        format!("cannot open the configuration {name}: {error}; name another one with --config")
    })?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read the configuration {name}: {error}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        return Err(format!("the configuration {name} is larger than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).or_else(|error| {
        warn!("{name} is not UTF-8 throughout: what is not is shown as \u{fffd}");
        Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
    })
}

#[expect(clippy::print_stderr, reason = "diagnostics have a form of their own, not a log's")]
fn show(diagnostics: &[Diagnostic], name: &str, text: &str) {
    if diagnostics.is_empty() {
        return;
    }
    eprint!("{}", ha_config::render(diagnostics, text));
    let errors = count(diagnostics, Severity::Error);
    let warnings = count(diagnostics, Severity::Warning);
    eprintln!("{name}: {errors} error(s), {warnings} warning(s)");
}

fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}
