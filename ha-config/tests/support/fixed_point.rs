//! The effective configuration is a fixed point. Used by tests and by the fuzz target `config`.

use ha_config::{Authentication, Config, Parsed, effective, parse};

/// What is read of the effective configuration of `config`, which is from `text`; panics unless it
/// is `config` again.
pub(crate) fn check(config: &Config, text: &str) -> Parsed {
    let written = effective(config);
    let read = parse("effective", &written);
    // A substitution can make a word that ends in a `\` and needs quotes, which cannot be written down.
    if text.contains('$') && lacks_quote(&read) {
        return read;
    }
    assert_eq!(without_lines(&read.config), without_lines(config), "{text}\nis\n{written}");
    assert_eq!(secrets(&read.config), secrets(config), "{text}\nis\n{written}");
    assert_eq!(effective(&read.config), written, "{text}");
    read
}

fn lacks_quote(parsed: &Parsed) -> bool {
    parsed.diagnostics.iter().any(|one| one.message.starts_with("unterminated"))
}

/// The model without what names lines of the file.
fn without_lines(config: &Config) -> String {
    let shown = format!("{config:#?}");
    let kept = shown.lines().filter(|line| !line.trim_start().starts_with("place: "));
    kept.collect::<Vec<_>>().join("\n")
}

/// What does not show itself.
fn secrets(config: &Config) -> Vec<&Authentication> {
    config.instances.iter().map(|instance| &instance.authentication).collect()
}
