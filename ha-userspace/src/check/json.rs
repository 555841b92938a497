//! What is wrong with a configuration, for programs: `docs/check.md` has the fields.

use ha_config::{Diagnostic, Parsed};
use serde_json::{Value, json};

use super::Notes;

/// One object in one line. `notes`: what a start would say besides.
pub(super) fn object(parsed: &Parsed, name: &str, notes: &Notes) -> Value {
    let diagnostics: Vec<Value> = parsed.diagnostics.iter().map(diagnostic).collect();
    json!({
        "file": name,
        "verdict": match (parsed.counts.errors, notes.faults.is_empty()) {
            (0, true) => "ok",
            (0, false) => "faults",
            _ => "errors",
        },
        "errors": parsed.counts.errors,
        "warnings": parsed.counts.warnings,
        "diagnostics": diagnostics,
        "faults": notes.faults,
        "notes": notes.others,
    })
}

fn diagnostic(found: &Diagnostic) -> Value {
    json!({
        "severity": found.severity.as_str(),
        "file": &*found.file,
        "line": found.line,
        "column": found.column,
        "end_column": found.column.saturating_add(found.width),
        "message": found.message,
        "help": found.help,
    })
}
