//! The command `replay`: runs a story again, a record or a scenario, and shows what is decided.

use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Read as _, Write},
    path::Path,
    process::ExitCode,
};

use ha_core::story::{Told, play};
use tracing::error;

/// Larger files are refused: a record's own limit is half of it.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// As `check`'s for a file with errors.
const EXIT_ERRORS: u8 = 4;

/// Shows the story, or only the decisions, on standard output; on standard error, where they differ
/// from those in the story, and a line that cannot be read.
pub(crate) fn run(path: &Path, only_decisions: bool) -> ExitCode {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            error!("cannot read the record {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    };
    let name = path.display().to_string();
    match replay(&name, &text, only_decisions, &mut io::stdout().lock(), &mut io::stderr()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_ERRORS),
        // Who reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            error!("cannot show all of it: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Says whether the story can be read and its decisions are the same.
fn replay(
    name: &str,
    text: &str,
    only_decisions: bool,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<bool> {
    let mut out = BufWriter::new(out);
    let mut shown = Ok(());
    let mut differences = 0_u64;
    let played = play(text, &mut |told| {
        let result = match told {
            Told::Line(_) if only_decisions => Ok(()),
            Told::Line(line) | Told::Decision(line) => writeln!(out, "{line}"),
            Told::Difference(difference) => {
                differences += 1;
                // In this order also where both are the same terminal.
                out.flush().and_then(|()| write!(errors, "{name}:{difference}"))
            }
            Told::Lost { line, count } => out.flush().and_then(|()| {
                writeln!(
                    errors,
                    "{name}:{line}: {count} inputs are missing: decisions from here on may differ"
                )
            }),
        };
        if shown.is_ok() {
            shown = result;
        }
    });
    shown?;
    out.flush()?;
    if differences > 0 {
        writeln!(
            errors,
            "{name}: {differences} difference(s): `-` is in the record, `+` is what this version \
             decides"
        )?;
    }
    if let Err(fault) = &played {
        writeln!(errors, "{name}:{}: {}", fault.line, fault.text)?;
    }
    Ok(differences == 0 && played.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "# A Backup.
instance VI_1
0ms source VI_1 198.51.100.11
0ms start
0ms -> VI_1 INIT -> BACKUP (ready)
0ms -> notify INSTANCE VI_1 BACKUP 100
1s end
";

    fn check(text: &str, only_decisions: bool) -> (bool, String, String) {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let result = replay("x", text, only_decisions, &mut out, &mut errors).unwrap();
        (result, String::from_utf8(out).unwrap(), String::from_utf8(errors).unwrap())
    }

    #[test]
    fn a_scenario_is_a_record() {
        assert_eq!(check(SCENARIO, false), (true, SCENARIO.to_owned(), String::new()));
        let decisions = SCENARIO.lines().filter(|line| line.contains(" -> "));
        let decisions: String = decisions.flat_map(|line| [line, "\n"]).collect();
        assert_eq!(check(SCENARIO, true), (true, decisions, String::new()));
    }

    #[test]
    fn differences_and_faults_fail_and_are_named() {
        let other = SCENARIO.replacen("INIT -> BACKUP", "INIT -> MASTER", 1);
        let (result, out, errors) = check(&other, false);
        assert_eq!((result, out.as_str()), (false, SCENARIO));
        assert!(errors.starts_with("x:") && errors.contains("  - 0ms -> VI_1 INIT -> MASTER"));
        assert!(errors.contains("x: 1 difference(s)"), "{errors}");
        let (result, out, errors) = check("instance VI_1\n0ms begin\n", false);
        assert_eq!((result, out.as_str()), (false, "instance VI_1\n0ms begin\n"));
        assert!(errors.starts_with("x:2: expected a step"), "{errors}");
    }

    #[test]
    fn what_cannot_be_read_is_a_failure() {
        assert_eq!(run(Path::new("/nonexistent/record"), false), ExitCode::FAILURE);
    }
}
