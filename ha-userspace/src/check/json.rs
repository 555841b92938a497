//! What is wrong with a configuration, for programs: `docs/check.md` has the fields.

use ha_config::{Diagnostic, Parsed};
use serde_json::{Value, json};

/// One object in one line. `notes`: what a start would say besides.
pub(super) fn object(parsed: &Parsed, name: &str, notes: &[String]) -> Value {
    let diagnostics: Vec<Value> = parsed.diagnostics.iter().map(diagnostic).collect();
    json!({
        "file": name,
        "verdict": if parsed.counts.errors == 0 { "ok" } else { "errors" },
        "errors": parsed.counts.errors,
        "warnings": parsed.counts.warnings,
        "diagnostics": diagnostics,
        "notes": notes,
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
