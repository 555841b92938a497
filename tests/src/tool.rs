//! Runs the system's tools to their end; a tool that is missing or fails says so in full.

use std::process::{Command, Stdio};

/// Runs `program` with `words` and gives its standard output, or one line that says what failed.
pub fn output_of(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let words = words.join(" ");
        return Err(format!("`{program} {words}`: {}: {}", output.status, complaint.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `program` with the blank-separated words of `line`; panics if it fails.
pub fn run(program: &str, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    output_of(program, &words).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `ip` with the words of `line`; panics if it fails.
pub fn ip(line: &str) -> String {
    run("ip", line)
}
